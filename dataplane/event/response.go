package event

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Response is what a function answers.
type Response struct {
	// Status is from 200 to 599.
	Status int
	// Fields are the header fields in the order of their names, without those that are about a connection, and without
	// Content-Length.
	Fields []Field
	Body   []byte
}

// Bounds on the fields of a response. They are those on the fields of a target's response.
const (
	maxFields     = 100
	maxFieldBytes = 60 << 10
)

// ErrTooLarge says that a response is longer than MaxBody.
var ErrTooLarge = errors.New("the function's response is longer than 6 MB")

// response is a response as JSON. Headers may have a string or a list of strings each; multiValueHeaders is what
// functions have that also serve a load balancer.
type response struct {
	StatusCode        json.Number       `json:"statusCode"`
	Headers           map[string]values `json:"headers"`
	MultiValueHeaders map[string]values `json:"multiValueHeaders"`
	Body              *string           `json:"body"`
	IsBase64Encoded   bool              `json:"isBase64Encoded"`
}

// values are one or more values of a field; a number or a truth value counts as its text, and null as none.
type values []string

// UnmarshalJSON reads one value or a list of them.
func (v *values) UnmarshalJSON(b []byte) error {
	var list []json.RawMessage
	if len(b) > 0 && b[0] == '[' {
		if err := json.Unmarshal(b, &list); err != nil {
			return err
		}
	} else {
		list = []json.RawMessage{b}
	}
	for _, raw := range list {
		switch {
		case len(raw) == 0, raw[0] == '{', raw[0] == '[':
			return errors.New("a header must be a string or a list of strings")
		case raw[0] == '"':
			var s string
			if err := json.Unmarshal(raw, &s); err != nil {
				return err
			}
			*v = append(*v, s)
		case string(raw) != "null":
			*v = append(*v, string(raw))
		}
	}
	return nil
}

// ParseResponse reads what a function has returned. The error says what is wrong with it.
func ParseResponse(payload []byte) (*Response, error) {
	if len(payload) > MaxBody {
		return nil, ErrTooLarge
	}
	var in response
	if err := json.Unmarshal(payload, &in); err != nil {
		return nil, fmt.Errorf("the function's response is not one of HTTP: %w", err)
	}
	status, err := in.StatusCode.Int64()
	if err != nil || status < 200 || status > 599 {
		return nil, fmt.Errorf("the function's response has the statusCode %.20q; it must be a number from 200 to 599", in.StatusCode.String())
	}
	out := &Response{Status: int(status)}
	if out.Fields, err = in.fields(); err != nil {
		return nil, err
	}
	if in.Body == nil {
		return out, nil
	}
	out.Body = []byte(*in.Body)
	if in.IsBase64Encoded {
		if out.Body, err = base64.StdEncoding.DecodeString(*in.Body); err != nil {
			return nil, fmt.Errorf("the body of the function's response is not the base64 that it says it is: %w", err)
		}
	}
	return out, nil
}

// fields are the header fields that may be sent on. A name in both kinds of headers has the values of the second.
func (in *response) fields() ([]Field, error) {
	headers := map[string]values{}
	for _, kind := range []map[string]values{in.Headers, in.MultiValueHeaders} {
		of := map[string]values{}
		for _, name := range slices.Sorted(maps.Keys(kind)) {
			lower := strings.ToLower(name)
			of[lower] = append(of[lower], kind[name]...)
		}
		maps.Copy(headers, of)
	}
	hop := map[string]bool{
		"connection": true, "keep-alive": true, "proxy-connection": true, "proxy-authenticate": true, "te": true,
		"trailer": true, "transfer-encoding": true, "upgrade": true, "content-length": true,
	}
	for _, value := range headers["connection"] { // names others that are about the connection (RFC 9110 §7.6.1)
		for name := range strings.SplitSeq(value, ",") {
			hop[strings.ToLower(strings.TrimSpace(name))] = true
		}
	}
	var fields []Field
	size := 0
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		if hop[name] {
			continue
		}
		for _, value := range headers[name] {
			value = strings.Trim(value, " \t")
			if !validName(name) || !validValue(value) {
				return nil, fmt.Errorf("the function's response has the header %.100q, which HTTP does not allow: %.100q", name, value)
			}
			fields = append(fields, Field{name, value})
			size += len(name) + len(value)
		}
	}
	if len(fields) > maxFields || size > maxFieldBytes {
		return nil, fmt.Errorf("the function's response has %d headers of %d bytes; %d of %d bytes are allowed", len(fields), size, maxFields, maxFieldBytes)
	}
	return fields, nil
}

// validName reports whether a name is a token (RFC 9110 §5.6.2).
func validName(s string) bool {
	for i := range len(s) {
		c := s[i]
		alphanumeric := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !alphanumeric && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}

// validValue reports whether a value has no control characters but tabs (RFC 9110 §5.5).
func validValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
