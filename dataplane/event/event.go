// Package event is what VPC Lattice and Lambda functions say to each other: a request becomes an event, in the structure
// V1 or V2, and what the function returns becomes a response (user guide, "Receive events from the VPC Lattice service"
// and "Respond to the VPC Lattice service"). All of it is pure.
//
// Where the guide and the service were seen to differ, the service is followed: the path has the query with it, and of a
// key that is there several times V1 has the first value.
package event

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// MaxBody is how long the body of a request and the response of a function may be, in bytes (user guide, "Limitations").
const MaxBody = 6 << 20

// Request is a request with all that an event says of it.
type Request struct {
	Method string
	// Target is the path as it was sent, with its query.
	Target string
	// Fields are the header fields that the function sees, in order.
	Fields []Field
	Body   []byte
	// The ARNs are those of what the request has met.
	ServiceNetworkARN, ServiceARN, TargetGroupARN string
	Region                                        string
	Identity                                      Identity
	Time                                          time.Time
}

// Field is one header field.
type Field struct{ Name, Value string }

// Identity is who calls. All but SourceVPCARN is empty unless the caller has signed and the signature was asked for.
type Identity struct {
	SourceVPCARN                           string
	Principal, PrincipalOrgID, SessionName string
}

// requestV1 is the structure V1.
type requestV1 struct {
	RawPath         string            `json:"raw_path"`
	Method          string            `json:"method"`
	Headers         map[string]string `json:"headers"`
	Query           map[string]string `json:"query_string_parameters"`
	Body            string            `json:"body"`
	IsBase64Encoded bool              `json:"is_base64_encoded"`
}

// requestV2 is the structure V2.
type requestV2 struct {
	Version string              `json:"version"`
	Path    string              `json:"path"`
	Method  string              `json:"method"`
	Headers map[string][]string `json:"headers"`
	Query   map[string][]string `json:"queryStringParameters"`
	Body    *string             `json:"body,omitempty"`
	// IsBase64Encoded is there only if the body is not already a string.
	IsBase64Encoded bool    `json:"isBase64Encoded,omitempty"`
	Context         context `json:"requestContext"`
}

type context struct {
	ServiceNetworkARN string   `json:"serviceNetworkArn"`
	ServiceARN        string   `json:"serviceArn"`
	TargetGroupARN    string   `json:"targetGroupArn"`
	Identity          identity `json:"identity"`
	Region            string   `json:"region"`
	TimeEpoch         string   `json:"timeEpoch"` // in microseconds
}

type identity struct {
	SourceVPCARN   string `json:"sourceVpcArn,omitempty"`
	Type           string `json:"type,omitempty"`
	Principal      string `json:"principal,omitempty"`
	PrincipalOrgID string `json:"principalOrgID,omitempty"`
	SessionName    string `json:"sessionName,omitempty"`
}

// V1 is the event of a request in the structure V1.
func V1(r *Request) []byte {
	e := requestV1{RawPath: r.Target, Method: r.Method, Headers: map[string]string{}, Query: map[string]string{}}
	for name, values := range fieldsOf(r) {
		e.Headers[name] = strings.Join(values, ",")
	}
	for key, values := range queryOf(r.Target) {
		e.Query[key] = values[0]
	}
	e.Body, e.IsBase64Encoded = bodyOf(r)
	return encode(e)
}

// V2 is the event of a request in the structure V2.
func V2(r *Request) []byte {
	e := requestV2{
		Version: "2.0", Path: r.Target, Method: r.Method, Headers: fieldsOf(r), Query: queryOf(r.Target),
		Context: context{
			ServiceNetworkARN: r.ServiceNetworkARN, ServiceARN: r.ServiceARN, TargetGroupARN: r.TargetGroupARN,
			Region: r.Region, TimeEpoch: strconv.FormatInt(r.Time.UnixMicro(), 10),
			Identity: identity{SourceVPCARN: r.Identity.SourceVPCARN},
		},
	}
	if r.Identity.Principal != "" {
		e.Context.Identity = identity{
			r.Identity.SourceVPCARN, "AWS_IAM", r.Identity.Principal, r.Identity.PrincipalOrgID, r.Identity.SessionName,
		}
	}
	if len(r.Body) > 0 {
		body, encoded := bodyOf(r)
		e.Body, e.IsBase64Encoded = &body, encoded
	}
	return encode(e)
}

// encode writes an event. Like all JSON it is UTF-8: bytes that are not become U+FFFD.
func encode(event any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(event); err != nil {
		panic("event: an event cannot be encoded: " + err.Error()) // it has nothing but strings and truth values
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// fieldsOf are the values of the header fields by their names in lower case.
func fieldsOf(r *Request) map[string][]string {
	fields := make(map[string][]string, len(r.Fields))
	for _, f := range r.Fields {
		name := strings.ToLower(f.Name)
		fields[name] = append(fields[name], f.Value)
	}
	return fields
}

// queryOf are the parameters of a target's query with all their values, in order. What cannot be decoded stays as it is.
func queryOf(target string) map[string][]string {
	parameters := map[string][]string{}
	_, query, _ := strings.Cut(target, "?")
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		key, value, _ := strings.Cut(pair, "=")
		key, value = unescape(key), unescape(value)
		parameters[key] = append(parameters[key], value)
	}
	return parameters
}

func unescape(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	return s
}

// bodyOf is the body as a string: as it is if its type is one of text, and in base64 otherwise. What is no UTF-8, such as
// text that is compressed, cannot be a JSON string and is in base64 too.
func bodyOf(r *Request) (body string, encoded bool) {
	if len(r.Body) == 0 {
		return "", false
	}
	contentType := ""
	for _, f := range r.Fields {
		if strings.EqualFold(f.Name, "content-type") {
			contentType = f.Value
			break
		}
	}
	if isText(contentType) && utf8.Valid(r.Body) {
		return string(r.Body), false
	}
	return base64.StdEncoding.EncodeToString(r.Body), true
}

// isText reports whether bodies of a type are sent as they are (user guide, "Base64 encoding").
func isText(contentType string) bool {
	mediaType, _, _ := strings.Cut(strings.ToLower(contentType), ";")
	mediaType = strings.TrimSpace(mediaType)
	switch mediaType {
	case "application/json", "application/xml", "application/javascript":
		return true
	}
	return strings.HasPrefix(mediaType, "text/")
}
