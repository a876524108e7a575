package api

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"

	"pergola/aws"
	"pergola/lattice"
	"pergola/sigv4"
)

// awsJSON is the protocol awsJson1_1, and awsJson1_0, which differs in the content type: every request is a POST to /,
// the operation is in the header X-Amz-Target, and input, output and errors are JSON.
type awsJSON struct {
	jsonStyle
	strangers
	operations map[string]*operation
}

// jsonStyle is what a service that speaks the protocol has of its own.
type jsonStyle struct {
	// prefix is the part of X-Amz-Target before the point.
	prefix string
	// version is the content type; "" means that of JSON 1.1.
	version string
	// invalid is the code of an error about a member of the input, and internal that of a failure of ours.
	invalid, internal string
}

func newAWSJSON(s jsonStyle, operations []operation) awsJSON {
	p := awsJSON{jsonStyle: s, operations: map[string]*operation{}}
	for i := range operations {
		p.operations[s.prefix+"."+operations[i].name] = &operations[i]
	}
	return p
}

// targetHeader names the operation.
const targetHeader = "X-Amz-Target"

func (p awsJSON) decode(r *http.Request, body []byte) (*operation, any, error) {
	target := r.Header.Get(targetHeader)
	op, ok := p.operations[target]
	if !ok || r.Method != http.MethodPost || r.URL.Path != "/" {
		return nil, nil, aws.Errorf("UnknownOperationException",
			"there is no operation %s %s with X-Amz-Target %s; operations are a POST to / with %s.NAME", r.Method, quoted(r.URL.Path), quoted(target), p.prefix)
	}
	members, err := parseJSON(body)
	if err != nil {
		return nil, nil, aws.Errorf("SerializationException", "%v", err)
	}
	var b binding
	input := reflect.New(op.input.typ)
	b.structure(input.Elem(), op.input, "", func(m *member) any { return members[m.name] })
	if len(b.faults) > 0 {
		return nil, nil, aws.Errorf(p.invalid, "%s", textOf(b.faults))
	}
	if refused := p.judge(op.name, inStructure(members, op.input, "")); refused != "" {
		return nil, nil, aws.Errorf(p.invalid, "The member %s", refused)
	}
	return op, input.Interface(), nil
}

const awsJSONType = "application/x-amz-json-1.1"

// contentType is that of the answers.
func (p awsJSON) contentType() string { return cmp.Or(p.version, awsJSONType) }

func (p awsJSON) answer(w http.ResponseWriter, op *operation, output any, _ string) error {
	body, err := json.Marshal(output)
	if err != nil {
		return fmt.Errorf("encode the answer of %s: %w", op.name, err)
	}
	send(w, http.StatusOK, p.contentType(), body)
	return nil
}

func (p awsJSON) refuse(w http.ResponseWriter, err error, _ string) {
	body := p.errorOf(err)
	status := http.StatusBadRequest // of every error that is the caller's
	if body.Type == p.internal {
		status = http.StatusInternalServerError
	}
	if named, ok := errors.AsType[*aws.Error](err); ok && named.Status > http.StatusInternalServerError {
		status = named.Status
	}
	w.Header().Set("X-Amzn-Errortype", body.Type)
	encoded, err := json.Marshal(body)
	if err != nil {
		panic(fmt.Sprintf("api: an error cannot be encoded: %v", err)) // it has nothing but strings
	}
	send(w, status, p.contentType(), encoded)
}

// jsonFault is the body of an error.
type jsonFault struct {
	Type    string `json:"__type"`
	Message string
	Reason  string `json:",omitempty"`
}

// errorOf puts an error into the words of the service.
func (p awsJSON) errorOf(err error) jsonFault {
	var (
		named    *aws.Error
		unsigned *sigv4.Refusal
		refused  *lattice.Error
	)
	switch {
	case errors.As(err, &named):
		return jsonFault{named.Code, named.Message, named.Reason}
	case errors.As(err, &unsigned):
		code, _ := unsigned.Code.Exception()
		return jsonFault{code, unsigned.Text, ""}
	case errors.As(err, &refused) && refused.Kind == lattice.Validation:
		return jsonFault{p.invalid, refused.Message, ""}
	case errors.As(err, &refused):
		return jsonFault{p.internal, refused.Message, ""}
	}
	return jsonFault{p.internal, "internal error", ""}
}
