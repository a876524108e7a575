package api

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"pergola/aws"
	"pergola/lattice"
	"pergola/sigv4"
)

// query is the query protocol: the operation and its input are the fields of a form, in the body or in the query
// string, and answers are XML.
type query struct {
	style
	strangers
	actions map[string]*operation
}

// style is what sets EC2's dialect of the protocol apart from that of the other services.
type style struct {
	version   string
	namespace string
	// wrap puts a result or an error into the elements around it.
	result  func(op *operation, namespace string, output any, requestID string) ([]byte, error)
	failure func(f queryError, namespace, requestID string) any
	// fault is the error of a request that breaks a constraint.
	fault func(lattice.FieldError) error
	// unknown is the error of a request with a parameter that is not known.
	unknown func(refused string) error
	// internal is the code of a failure of ours.
	internal string
}

// queryError is an error as the query protocol has it.
type queryError struct {
	Code, Message string
	status        int
}

var (
	ec2Style = style{
		version: "2016-11-15", namespace: "http://ec2.amazonaws.com/doc/2016-11-15/",
		result: ec2Result, failure: ec2Failure, fault: ec2Fault, unknown: ec2Unknown, internal: "InternalError",
	}
	stsStyle = style{
		version: "2011-06-15", namespace: "https://sts.amazonaws.com/doc/2011-06-15/",
		result: plainResult, failure: plainFailure, fault: plainFault, unknown: plainUnknown, internal: "InternalFailure",
	}
	iamStyle = style{
		version: "2010-05-08", namespace: "https://iam.amazonaws.com/doc/2010-05-08/",
		result: plainResult, failure: plainFailure, fault: plainFault, unknown: plainUnknown, internal: "ServiceFailure",
	}
	elbv2Style = style{
		version: "2015-12-01", namespace: "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/",
		result: plainResult, failure: plainFailure, fault: plainFault, unknown: plainUnknown, internal: "InternalFailure",
	}
)

func newQuery(s style, operations []operation) query {
	q := query{style: s, actions: map[string]*operation{}}
	for i := range operations {
		q.actions[operations[i].name] = &operations[i]
	}
	return q
}

const formType = "application/x-www-form-urlencoded"

func (q query) decode(r *http.Request, body []byte) (*operation, any, error) {
	fields, err := formFields(r, body)
	if err != nil {
		return nil, nil, err
	}
	tree, err := parseForm(fields)
	if err != nil {
		return nil, nil, aws.Errorf("MalformedQueryString", "%v", err)
	}
	op, err := q.find(tree)
	if err != nil {
		return nil, nil, err
	}
	var b binding
	input := reflect.New(op.input.typ)
	b.structure(input.Elem(), op.input, "", func(m *member) any { return tree[m.name] })
	if len(b.faults) > 0 {
		return op, nil, q.fault(b.faults[0])
	}
	if refused := q.judge(op.name, strangersInForm(tree, op.input)); refused != "" {
		return op, nil, q.unknown(refused)
	}
	return op, input.Interface(), nil
}

func formFields(r *http.Request, body []byte) (url.Values, error) {
	raw := r.URL.RawQuery
	switch {
	case r.Method == http.MethodGet:
	case r.Method == http.MethodPost && raw != "" && len(body) > 0:
		raw += "&" + string(body)
	case r.Method == http.MethodPost:
		raw += string(body)
	default:
		return nil, &aws.Error{Code: "InvalidAction", Status: http.StatusMethodNotAllowed, Message: "a request must be a GET or a POST, is a " + quoted(r.Method)}
	}
	values, err := parseQuery(raw)
	if err != nil {
		return nil, aws.Errorf("MalformedQueryString", "%v", err)
	}
	return values, nil
}

func (q query) find(tree form) (*operation, error) {
	name, _ := tree["Action"].(text)
	version, _ := tree["Version"].(text)
	op, ok := q.actions[string(name)]
	switch {
	case name == "":
		return nil, aws.Errorf("MissingAction", "the request must have the parameter Action")
	case version != "" && string(version) != q.version:
		return nil, aws.Errorf("NoSuchVersion", "the version %s is not served here; use %s", quoted(string(version)), q.version)
	case !ok:
		return nil, aws.Errorf("InvalidAction", "The action %s is not valid for this web service.", string(name))
	case tree["DryRun"] == text("true"):
		return nil, aws.Errorf("UnsupportedOperation", "dry runs are not supported; leave out DryRun")
	}
	return op, nil
}

// ec2Fault makes the one error that the query protocol has room for. Parameters count from 1 where lists count
// from 0.
func ec2Fault(f lattice.FieldError) error {
	parameter := listIndex.ReplaceAllStringFunc(f.Name, func(index string) string {
		n, _ := strconv.Atoi(strings.Trim(index, "[]")) // the expression has nothing but digits there
		return "." + strconv.Itoa(n+1)
	})
	if f.Message == absent {
		return aws.Errorf("MissingParameter", "The request must contain the parameter %s", parameter)
	}
	return aws.Errorf("InvalidParameterValue", "The parameter %s %s", parameter, f.Message)
}

func ec2Unknown(refused string) error {
	return aws.Errorf("UnknownParameter", "The parameter %s", refused)
}

func plainUnknown(refused string) error {
	return aws.Errorf("ValidationError", "The parameter %s", refused)
}

// plainFault is the same in the words of the other services. They write members with a small letter.
func plainFault(f lattice.FieldError) error {
	return aws.Errorf("ValidationError", "1 validation error detected: Value at '%s' %s", strings.ToLower(f.Name[:1])+f.Name[1:], f.Message)
}

var listIndex = regexp.MustCompile(`\[\d+\]`)

// maxNesting bounds the parts of a parameter's name. The longest name of EC2 has 6.
const maxNesting = 10

// parseForm turns the fields of a form, such as Filter.1.Value.2=a, into a tree.
func parseForm(fields url.Values) (form, error) {
	root := form{}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if len(fields[name]) > 1 {
			return nil, fmt.Errorf("the parameter %s is given %d times", quoted(name), len(fields[name]))
		}
		parts := strings.Split(name, ".")
		if len(parts) > maxNesting {
			return nil, fmt.Errorf("the parameter %s nests too deep", quoted(name))
		}
		if !root.put(parts, text(fields[name][0])) {
			return nil, fmt.Errorf("the parameter %s is both a value and a structure", quoted(name))
		}
	}
	return root, nil
}

// put places a value below the parts of its name. It reports false where a value is in the way.
func (f form) put(parts []string, value text) bool {
	first, rest := parts[0], parts[1:]
	if len(rest) == 0 {
		_, taken := f[first]
		f[first] = value
		return !taken
	}
	if f[first] == nil {
		f[first] = form{}
	}
	below, ok := f[first].(form)
	return ok && below.put(rest, value)
}

// elements are the values whose names are numbers, in the order of the numbers. Gaps close up, as in AWS. Services other
// than EC2 put the word member before the number.
func (f form) elements() []any {
	if below, ok := f["member"].(form); ok {
		f = below
	}
	numbers := map[int]any{}
	for name, value := range f {
		if n, err := strconv.Atoi(name); err == nil {
			numbers[n] = value
		}
	}
	elements := make([]any, 0, len(numbers))
	for _, n := range slices.Sorted(maps.Keys(numbers)) {
		elements = append(elements, numbers[n])
	}
	return elements
}

const xmlType = "text/xml;charset=UTF-8"

func (q query) answer(w http.ResponseWriter, op *operation, output any, requestID string) error {
	body, err := q.result(op, q.namespace, output, requestID)
	if err != nil {
		return fmt.Errorf("encode the answer of %s: %w", op.name, err)
	}
	send(w, http.StatusOK, xmlType, body)
	return nil
}

func (q query) refuse(w http.ResponseWriter, err error, requestID string) {
	f := q.errorOf(err)
	body, err := xml.Marshal(q.failure(f, q.namespace, requestID))
	if err != nil {
		panic(fmt.Sprintf("api: an error cannot be encoded: %v", err)) // it has nothing but strings
	}
	send(w, f.status, xmlType, append([]byte(xml.Header), body...))
}

// errorOf puts an error into the words of the query protocol.
func (q query) errorOf(err error) queryError {
	var (
		named    *aws.Error
		unsigned *sigv4.Refusal
		refused  *lattice.Error
	)
	switch {
	case errors.As(err, &named):
		return queryError{named.Code, named.Message, statusOf(named)}
	case errors.As(err, &unsigned):
		code, status := unsigned.Code.QueryError()
		return queryError{code, unsigned.Text, status}
	case errors.As(err, &refused) && refused.Kind == lattice.Validation:
		return queryError{"ValidationError", refused.Message, http.StatusBadRequest}
	case errors.As(err, &refused):
		return queryError{q.internal, refused.Message, http.StatusInternalServerError}
	}
	return queryError{q.internal, "internal error", http.StatusInternalServerError}
}

// ec2Result has the members of the output beside the request id.
func ec2Result(op *operation, namespace string, output any, requestID string) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(xml.Header)
	e := xml.NewEncoder(&b)
	start := xml.StartElement{Name: xml.Name{Space: namespace, Local: op.name + "Response"}}
	errs := []error{
		e.EncodeToken(start),
		e.EncodeElement(requestID, xml.StartElement{Name: xml.Name{Local: "requestId"}}),
	}
	value := reflect.ValueOf(output).Elem()
	for i := range value.NumField() {
		name, options, _ := strings.Cut(value.Type().Field(i).Tag.Get("xml"), ",")
		if options == "omitempty" && value.Field(i).IsZero() {
			continue
		}
		errs = append(errs, e.EncodeElement(value.Field(i).Interface(), xml.StartElement{Name: xml.Name{Local: name}}))
	}
	errs = append(errs, e.EncodeToken(start.End()), e.Close())
	return b.Bytes(), errors.Join(errs...)
}

func ec2Failure(f queryError, _, requestID string) any {
	return struct {
		XMLName   xml.Name   `xml:"Response"`
		Error     queryError `xml:"Errors>Error"`
		RequestID string
	}{Error: f, RequestID: requestID}
}

// plainResult has the output in an element of its own.
func plainResult(op *operation, namespace string, output any, requestID string) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(xml.Header)
	e := xml.NewEncoder(&b)
	start := xml.StartElement{Name: xml.Name{Space: namespace, Local: op.name + "Response"}}
	metadata := struct {
		RequestID string `xml:"RequestId"`
	}{requestID}
	err := errors.Join(
		e.EncodeToken(start),
		e.EncodeElement(output, xml.StartElement{Name: xml.Name{Local: op.name + "Result"}}),
		e.EncodeElement(metadata, xml.StartElement{Name: xml.Name{Local: "ResponseMetadata"}}),
		e.EncodeToken(start.End()), e.Close(),
	)
	return b.Bytes(), err
}

func plainFailure(f queryError, namespace, requestID string) any {
	type element struct {
		Type          string
		Code, Message string
	}
	sort := "Sender"
	if f.status >= http.StatusInternalServerError {
		sort = "Receiver"
	}
	return struct {
		XMLName   xml.Name
		Error     element
		RequestID string `xml:"RequestId"`
	}{xml.Name{Space: namespace, Local: "ErrorResponse"}, element{sort, f.Code, f.Message}, requestID}
}
