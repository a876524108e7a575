package api

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"unicode/utf8"

	"pergola/aws"
)

// restXML is the protocol restXml: as restJson1, with bodies in XML.
type restXML struct {
	routes
	strangers
	namespace string
	// invalid is the code of an error about a member of the input.
	invalid string
	failure func(f queryError, namespace, requestID string) any
}

func (p restXML) decode(r *http.Request, body []byte) (*operation, any, error) {
	op, labels, err := p.find(r.Method, r.URL.EscapedPath())
	if err != nil {
		return nil, nil, err
	}
	query, err := parseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, nil, aws.Errorf(p.invalid, "%v", err)
	}
	var members object
	if !op.input.payload() {
		root, err := parseXML(body)
		if err != nil {
			return nil, nil, aws.Errorf("MalformedXML", "%v", err)
		}
		members = root.members(op.input)
	}
	var b binding
	input := reflect.New(op.input.typ)
	b.structure(input.Elem(), op.input, "", func(m *member) any {
		switch m.place {
		case inPath:
			return labels[m.name]
		case inQuery:
			return parameter(&b, query, m)
		case inHeader:
			return field(r.Header, m)
		case inPayload:
			return body
		}
		return members[m.name]
	})
	if len(b.faults) > 0 {
		return nil, nil, aws.Errorf(p.invalid, "%s", textOf(b.faults))
	}
	found := append(strangersInQuery(query, op.input), inStructure(members, op.input, "")...)
	if refused := p.judge(op.name, found); refused != "" {
		return nil, nil, aws.Errorf(p.invalid, "The member %s", refused)
	}
	return op, input.Interface(), nil
}

// element is an element of XML, without its attributes.
type element struct {
	name     string
	text     []byte
	children []*element
}

// parseXML reads a body that must be one element (XML 1.0). An empty body is an empty element. Names have no prefixes
// that mean anything here, entities are those of XML itself, and a document type is refused.
func parseXML(body []byte) (*element, error) {
	root := &element{}
	if len(bytes.TrimSpace(body)) == 0 {
		return root, nil
	}
	if !utf8.Valid(body) {
		return nil, errors.New("the body is not valid UTF-8")
	}
	open, values := []*element{root}, 0
	for d := xml.NewDecoder(bytes.NewReader(body)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("the body is not valid XML: %w", err)
		}
		last := open[len(open)-1]
		switch token := token.(type) {
		case xml.StartElement:
			if values++; values > maxValues || len(open) > maxDepth {
				return nil, fmt.Errorf("the body has more than %d elements, or nests deeper than %d levels", maxValues, maxDepth)
			}
			child := &element{name: token.Name.Local}
			last.children, open = append(last.children, child), append(open, child)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			last.text = append(last.text, token...)
		case xml.Directive:
			return nil, errors.New("the body has a document type, which is not taken")
		}
	}
	if len(root.children) != 1 {
		return nil, fmt.Errorf("the body must be one element, has %d", len(root.children))
	}
	return root.children[0], nil
}

// members are the children of an element as the members of a structure. Those that it does not know are among them.
func (e *element) members(s *shape) object {
	all := object{}
	for _, child := range e.children {
		m := s.member(child.name)
		switch {
		case m == nil:
			all[child.name] = child.unknown()
		case m.shape.typ.Kind() == reflect.Slice && m.shape.typ != blobType && m.item == "":
			before, _ := all[m.name].([]any)
			all[m.name] = append(before, child.value(m.shape.element))
		case m.shape.typ.Kind() == reflect.Slice && m.shape.typ != blobType:
			list := []any{}
			for _, item := range child.children {
				list = append(list, item.value(m.shape.element))
			}
			all[m.name] = list
		default:
			all[m.name] = child.value(m.shape)
		}
	}
	return all
}

// member is the member of a structure that has a name in the body; nil for none.
func (s *shape) member(name string) *member {
	for i := range s.members {
		if m := &s.members[i]; m.name == name && m.place == inBody {
			return m
		}
	}
	return nil
}

// value is an element as a value of a shape.
func (e *element) value(s *shape) any {
	for s.typ.Kind() == reflect.Pointer {
		s = s.element
	}
	if s.typ.Kind() == reflect.Struct {
		return e.members(s)
	}
	return text(e.text)
}

// unknown is an element that no shape has.
func (e *element) unknown() any {
	if len(e.children) == 0 {
		return text(e.text)
	}
	all := object{}
	for _, child := range e.children {
		all[child.name] = child.unknown()
	}
	return all
}

const restXMLType = "application/xml"

func (p restXML) answer(w http.ResponseWriter, op *operation, output any, _ string) error {
	head := op.head.of(output)
	status := cmp.Or(head.status, op.status)
	for name, value := range head.fields {
		w.Header().Set(name, value)
	}
	switch {
	case op.head.payload != nil:
		send(w, status, restXMLType, head.payload)
		return nil
	case status == http.StatusNoContent:
		w.WriteHeader(status)
		return nil
	}
	var b bytes.Buffer
	b.WriteString(xml.Header)
	e := xml.NewEncoder(&b)
	name := xml.Name{Space: p.namespace, Local: op.name + "Response"}
	if err := errors.Join(writeXML(e, reflect.ValueOf(output), name, ""), e.Close()); err != nil {
		return fmt.Errorf("encode the answer of %s: %w", op.name, err)
	}
	send(w, status, restXMLType, b.Bytes())
	return nil
}

func (p restXML) refuse(w http.ResponseWriter, err error, requestID string) {
	f := query{style: style{internal: "InternalError"}}.errorOf(err)
	body, err := xml.Marshal(p.failure(f, p.namespace, requestID))
	if err != nil {
		panic(fmt.Sprintf("api: an error cannot be encoded: %v", err)) // it has nothing but strings
	}
	w.Header().Set("X-Amz-Request-Id", requestID)
	send(w, f.status, restXMLType, append([]byte(xml.Header), body...))
}
