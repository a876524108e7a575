package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strconv"

	codec "github.com/fxamacker/cbor/v2"

	"pergola/aws"
	"pergola/lattice"
)

// cbor is the protocol Smithy RPC v2 CBOR: every request is a POST that names the operation in its path, and input,
// output and errors are CBOR (RFC 8949).
type cbor struct {
	strangers
	operations map[string]*operation // by their paths
	// invalid is the code of an error about a member of the input.
	invalid string
}

// newCBOR serves a service by the name that paths have for it.
func newCBOR(service, invalid string, operations []operation) cbor {
	p := cbor{operations: map[string]*operation{}, invalid: invalid}
	for i := range operations {
		p.operations["/service/"+service+"/operation/"+operations[i].name] = &operations[i]
	}
	return p
}

const (
	cborProtocol = "rpc-v2-cbor"
	cborType     = "application/cbor"
)

func (p cbor) decode(r *http.Request, body []byte) (*operation, any, error) {
	op, ok := p.operations[r.URL.Path]
	if !ok || r.Method != http.MethodPost || r.Header.Get(protocolHeader) != cborProtocol {
		return nil, nil, aws.Errorf("UnknownOperationException", "there is no operation %s %s with %s %s", r.Method,
			quoted(r.URL.Path), protocolHeader, quoted(r.Header.Get(protocolHeader)))
	}
	members, err := parseCBOR(body)
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

// reader reads CBOR as strictly as JSON is read, and times as text.
var reader = must(codec.DecOptions{
	DupMapKey: codec.DupMapKeyEnforcedAPF, MaxNestedLevels: maxDepth, MaxArrayElements: maxValues, MaxMapPairs: maxValues,
	TimeTagToAny: codec.TimeTagToRFC3339Nano, DefaultMapType: reflect.TypeFor[map[string]any](),
}.DecMode())

// writer writes lists that are nil as lists without elements.
var writer = must(codec.EncOptions{NilContainers: codec.NilContainerAsEmpty}.EncMode())

// must is for what depends on nothing but its constants.
func must[T any](value T, err error) T {
	if err != nil {
		panic(fmt.Sprintf("api: %v", err))
	}
	return value
}

// parseCBOR reads a body that must be one map. An empty body is an empty map.
func parseCBOR(body []byte) (object, error) {
	if len(body) == 0 {
		return object{}, nil
	}
	var root any
	if err := reader.Unmarshal(body, &root); err != nil {
		return nil, fmt.Errorf("the body is not valid CBOR: %w", err)
	}
	values := 0
	tree, err := treeOfCBOR(root, &values)
	if err != nil {
		return nil, err
	}
	members, ok := tree.(object)
	if !ok {
		return nil, errors.New("the body must be a map")
	}
	return members, nil
}

// treeOfCBOR is a value of CBOR as a node of a request's tree, with its values counted.
func treeOfCBOR(value any, values *int) (any, error) {
	if *values++; *values > maxValues {
		return nil, fmt.Errorf("the body has more than %d values", maxValues)
	}
	switch value := value.(type) {
	case nil, string, bool, []byte:
		return value, nil
	case uint64:
		return json.Number(strconv.FormatUint(value, 10)), nil
	case int64:
		return json.Number(strconv.FormatInt(value, 10)), nil
	case float64:
		return json.Number(strconv.FormatFloat(value, 'f', -1, 64)), nil
	case []any:
		for i := range value {
			var err error
			if value[i], err = treeOfCBOR(value[i], values); err != nil {
				return nil, err
			}
		}
		return value, nil
	case map[string]any:
		for name := range value {
			var err error
			if value[name], err = treeOfCBOR(value[name], values); err != nil {
				return nil, err
			}
		}
		return object(value), nil
	}
	return nil, fmt.Errorf("the body has a value of the type %T, which no member has", value)
}

func (p cbor) answer(w http.ResponseWriter, op *operation, output any, _ string) error {
	body, err := writer.Marshal(output)
	if err != nil {
		return fmt.Errorf("encode the answer of %s: %w", op.name, err)
	}
	w.Header().Set(protocolHeader, cborProtocol)
	send(w, http.StatusOK, cborType, body)
	return nil
}

func (cbor) refuse(w http.ResponseWriter, err error, _ string) {
	name, status, body := jsonError(err)
	var known *lattice.Error
	if errors.As(err, &known) && known.Kind == lattice.Internal {
		status = http.StatusInternalServerError
	}
	encoded := must(writer.Marshal(struct {
		Type    string `cbor:"__type"`
		Message string `cbor:"message"`
	}{name, body.Message})) // it has nothing but strings
	w.Header().Set(protocolHeader, cborProtocol)
	send(w, status, cborType, encoded)
}
