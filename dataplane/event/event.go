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
	"fmt"
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

// headV1 is the structure V1 up to body and is_base64_encoded, which end it.
type headV1 struct {
	RawPath string            `json:"raw_path"`
	Method  string            `json:"method"`
	Headers map[string]string `json:"headers"`
	Query   map[string]string `json:"query_string_parameters"`
}

// headV2 is the structure V2 up to body and isBase64Encoded, which are there if there is a body and if it is not
// already a string, and requestContext.
type headV2 struct {
	Version string              `json:"version"`
	Path    string              `json:"path"`
	Method  string              `json:"method"`
	Headers map[string][]string `json:"headers"`
	Query   map[string][]string `json:"queryStringParameters"`
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
	h := headV1{RawPath: r.Target, Method: r.Method, Headers: map[string]string{}, Query: map[string]string{}}
	for name, values := range fieldsOf(r) {
		h.Headers[name] = strings.Join(values, ",")
	}
	for key, values := range queryOf(r.Target) {
		h.Query[key] = values[0]
	}
	body := bodyOf(r)
	return join(encode(h), `,"body":"`, body, `","is_base64_encoded":`+strconv.FormatBool(body.encoded)+"}")
}

// V2 is the event of a request in the structure V2.
func V2(r *Request) []byte {
	h := headV2{Version: "2.0", Path: r.Target, Method: r.Method, Headers: fieldsOf(r), Query: queryOf(r.Target)}
	c := context{
		ServiceNetworkARN: r.ServiceNetworkARN, ServiceARN: r.ServiceARN, TargetGroupARN: r.TargetGroupARN,
		Region: r.Region, TimeEpoch: strconv.FormatInt(r.Time.UnixMicro(), 10),
		Identity: identity{SourceVPCARN: r.Identity.SourceVPCARN},
	}
	if r.Identity.Principal != "" {
		c.Identity = identity{
			r.Identity.SourceVPCARN, "AWS_IAM", r.Identity.Principal, r.Identity.PrincipalOrgID, r.Identity.SessionName,
		}
	}
	body, before, after := bodyOf(r), "", ""
	if len(r.Body) > 0 {
		before, after = `,"body":"`, `"`
	}
	if body.encoded {
		after += `,"isBase64Encoded":true`
	}
	return join(encode(h), before, body, after+`,"requestContext":`+string(encode(c))+"}")
}

// join puts a body between the fields before it, an object of JSON that goes on, and those after it, without another
// copy of it: it may be long.
func join(head []byte, before string, body body, after string) []byte {
	head = bytes.TrimSuffix(head, []byte("}"))
	b := make([]byte, 0, len(head)+len(before)+body.size()+len(after))
	b = append(append(b, head...), before...)
	return append(body.append(b), after...)
}

// encode writes a part of an event. Like all JSON it is UTF-8: bytes that are not become U+FFFD.
func encode(part any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(part); err != nil {
		panic("event: an event cannot be encoded: " + err.Error()) // it has nothing but strings
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

// body is a body as it is written into a string of JSON.
type body struct {
	data    []byte
	encoded bool // in base64
}

// bodyOf is the body as a string: as it is if its type is one of text, and in base64 otherwise. What is no UTF-8, such as
// text that is compressed, cannot be a JSON string and is in base64 too.
func bodyOf(r *Request) body {
	contentType := ""
	for _, f := range r.Fields {
		if strings.EqualFold(f.Name, "content-type") {
			contentType = f.Value
			break
		}
	}
	isString := len(r.Body) == 0 || isText(contentType) && utf8.Valid(r.Body)
	return body{r.Body, !isString}
}

// BodySize is how long the body is within the event, in bytes.
func (r *Request) BodySize() int { return bodyOf(r).size() }

func (b body) size() int {
	if b.encoded {
		return base64.StdEncoding.EncodedLen(len(b.data))
	}
	size := len(b.data)
	for i := range b.data {
		if escape := b.escapeAt(i); escape != "" {
			size += len(escape) - 1
		}
	}
	return size
}

func (b body) append(to []byte) []byte {
	if b.encoded {
		return base64.StdEncoding.AppendEncode(to, b.data)
	}
	plain := 0 // where what needs no escape began
	for i := range b.data {
		if escape := b.escapeAt(i); escape != "" {
			to = append(append(to, b.data[plain:i]...), escape...)
			plain = i + 1
		}
	}
	return append(to, b.data[plain:]...)
}

// escapeAt is what stands for the byte at i in a string of JSON (RFC 8259 §7), or "" for the byte itself.
func (b body) escapeAt(i int) string {
	switch c := b.data[i]; {
	case c == '"':
		return `\"`
	case c == '\\':
		return `\\`
	case c >= ' ':
		return ""
	default:
		return controls[c]
	}
}

// controls are the escapes of the control characters.
var controls = func() (all [' ']string) {
	for c := range all {
		all[c] = fmt.Sprintf(`\u%04x`, c)
	}
	all['\b'], all['\f'], all['\n'], all['\r'], all['\t'] = `\b`, `\f`, `\n`, `\r`, `\t`
	return all
}()

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
