package api

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"pergola/aws"
	"pergola/lattice"
	"pergola/sigv4"
)

// restJSON is the protocol restJson1: the operation is in the method and the path, its input in the path's labels, the
// query string and a JSON body.
type restJSON struct {
	strangers
	routes
}

// routes are the operations of a service that tells them by method and path.
type routes []route

// route is an operation with its path taken apart.
type route struct {
	operation *operation
	segments  []string
}

func newRESTJSON(operations []operation) restJSON {
	return restJSON{routes: newRoutes(operations)}
}

func newRoutes(operations []operation) (all routes) {
	for i := range operations {
		all = append(all, route{&operations[i], strings.Split(operations[i].uri, "/")})
	}
	return all
}

func (p restJSON) decode(r *http.Request, body []byte) (*operation, any, error) {
	op, labels, err := p.find(r.Method, r.URL.EscapedPath())
	if err != nil {
		return nil, nil, err
	}
	query, err := parseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, nil, cannotParse(err)
	}
	var members object
	if !op.input.payload() {
		if members, err = parseJSON(body); err != nil {
			return nil, nil, cannotParse(err)
		}
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
		return nil, nil, invalid(b.faults)
	}
	found := append(strangersInQuery(query, op.input), inStructure(members, op.input, "")...)
	if refused := p.judge(op.name, found); refused != "" {
		return nil, nil, &lattice.Error{Kind: lattice.Validation, Message: "The member " + refused,
			Reason: lattice.ReasonOther}
	}
	return op, input.Interface(), nil
}

// find matches the path segment by segment as it was sent, so that a slash in a label stays in the label: clients send
// an ARN as one segment, percent-encoded.
func (all routes) find(method, path string) (*operation, object, error) {
	segments := strings.Split(path, "/")
	var allowed []string
	for _, r := range all {
		labels, ok := r.match(segments)
		switch {
		case ok && r.operation.method == method:
			return r.operation, labels, nil
		case ok:
			allowed = append(allowed, r.operation.method)
		}
	}
	message := fmt.Sprintf("there is no operation %s %s", method, quoted(path))
	if len(allowed) > 0 {
		message += "; this path takes " + strings.Join(allowed, ", ")
	}
	return nil, nil, &lattice.Error{Kind: lattice.Validation, Message: message, Reason: lattice.ReasonUnknownOperation}
}

func (r *route) match(segments []string) (labels object, ok bool) {
	if len(segments) != len(r.segments) {
		return nil, false
	}
	labels = object{}
	for i, want := range r.segments {
		if !strings.HasPrefix(want, "{") {
			if want != segments[i] {
				return nil, false
			}
			continue
		}
		value, err := url.PathUnescape(segments[i])
		if err != nil || !utf8.ValidString(value) {
			return nil, false
		}
		labels[strings.Trim(want, "{}")] = text(value)
	}
	return labels, true
}

func parseQuery(raw string) (url.Values, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, fmt.Errorf("the query string cannot be read: %w", err)
	}
	for name, all := range values {
		if !utf8.ValidString(name) || !utf8.ValidString(strings.Join(all, "")) {
			return nil, errors.New("the query string is not valid UTF-8")
		}
	}
	return values, nil
}

// parameter is the value of a member that comes from the query string: nil, one text, or a list of them.
func parameter(b *binding, query url.Values, m *member) any {
	values := query[m.name]
	switch {
	case len(values) == 0:
		return nil
	case m.shape.typ.Kind() == reflect.Slice:
		list := make([]any, len(values))
		for i, value := range values {
			list[i] = text(value)
		}
		return list
	case len(values) > 1:
		b.fault(m.name, "must be given once, is given %d times", len(values))
	}
	return text(values[0])
}

// field is the value of a member that comes from a header field: nil, or its text.
func field(header http.Header, m *member) any {
	if values := header.Values(m.name); len(values) > 0 {
		return text(values[0])
	}
	return nil
}

func cannotParse(err error) error {
	return &lattice.Error{Kind: lattice.Validation, Message: err.Error(), Reason: lattice.ReasonCannotParse}
}

// invalid refuses a request for all of its faults.
func invalid(faults []lattice.FieldError) error {
	return &lattice.Error{
		Kind: lattice.Validation, Message: textOf(faults), Reason: lattice.ReasonFieldValidationFailed, Fields: faults,
	}
}

const jsonType = "application/json"

func (restJSON) answer(w http.ResponseWriter, op *operation, output any, _ string) error {
	head := op.head.of(output)
	status := cmp.Or(head.status, op.status)
	for name, value := range head.fields {
		w.Header().Set(name, value)
	}
	switch {
	case op.head.payload != nil:
		send(w, status, jsonType, head.payload)
		return nil
	case status == http.StatusNoContent:
		w.WriteHeader(status)
		return nil
	}
	body, err := json.Marshal(output)
	if err != nil {
		return fmt.Errorf("encode the answer of %s: %w", op.name, err)
	}
	send(w, status, jsonType, body)
	return nil
}

// exception is the body of an error: its message and the members that the model gives to exceptions of its kind.
type exception struct {
	Message      string                   `json:"message"`
	Reason       lattice.ValidationReason `json:"reason,omitempty"`
	FieldList    []lattice.FieldError     `json:"fieldList,omitempty"`
	ResourceID   string                   `json:"resourceId,omitempty"`
	ResourceType string                   `json:"resourceType,omitempty"`
	ServiceCode  string                   `json:"serviceCode,omitempty"`
	QuotaCode    string                   `json:"quotaCode,omitempty"`
}

func (restJSON) refuse(w http.ResponseWriter, err error, _ string) {
	name, status, body := jsonError(err)
	var known *lattice.Error
	if errors.As(err, &known) && known.RetryAfterSeconds > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(known.RetryAfterSeconds))
	}
	w.Header().Set("X-Amzn-Errortype", name)
	encoded, err := json.Marshal(body)
	if err != nil {
		panic(fmt.Sprintf("api: an exception cannot be encoded: %v", err)) // it has nothing but strings
	}
	send(w, status, jsonType, encoded)
}

// jsonError puts an error into the words of restJson1. Only the seven exceptions of lattice are modelled; clients show
// the others by their names.
func jsonError(err error) (name string, status int, body exception) {
	var (
		modelled    *lattice.Error
		ofNeighbour *aws.Error
		unsigned    *sigv4.Refusal
	)
	switch {
	case errors.As(err, &modelled):
		return modelled.Kind.String(), modelled.Kind.HTTPStatus(), exceptionOf(modelled)
	case errors.As(err, &ofNeighbour):
		return ofNeighbour.Code, statusOf(ofNeighbour), exception{Message: ofNeighbour.Message}
	case errors.As(err, &unsigned):
		name, status = unsigned.Code.Exception()
		return name, status, exception{Message: unsigned.Text}
	}
	return lattice.Internal.String(), lattice.Internal.HTTPStatus(), exception{Message: "internal error"}
}

func exceptionOf(e *lattice.Error) exception {
	body := exception{
		Message: e.Message, Reason: e.Reason, FieldList: e.Fields,
		ResourceID: e.ResourceID, ResourceType: e.ResourceType, QuotaCode: e.QuotaCode,
	}
	switch {
	case e.Kind == lattice.Validation && e.Reason == "":
		body.Reason = lattice.ReasonOther // required by the model
	case e.QuotaCode != "":
		body.ServiceCode = "vpc-lattice"
	}
	return body
}

func statusOf(e *aws.Error) int {
	if e.Status == 0 {
		return http.StatusBadRequest
	}
	return e.Status
}

func send(w http.ResponseWriter, status int, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	// A failure here is the caller's connection; there is nobody left to tell.
	_, _ = w.Write(body)
}
