package http1

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func fieldsOf(texts ...string) (fields []Field) {
	for i := 0; i < len(texts); i += 2 {
		fields = append(fields, Field{Name: []byte(texts[i]), Value: []byte(texts[i+1])})
	}
	return fields
}

func TestAssembleRequest(t *testing.T) {
	many := make([]string, 0, 202)
	for range 101 {
		many = append(many, "a", "b")
	}
	for _, c := range []struct {
		name   string
		head   RequestHead
		fields []string
		want   error
	}{
		{"a request", RequestHead{}, nil, nil},
		{"no method", RequestHead{Method: []byte{}}, nil, ErrMethod},
		{"a method that is no token", RequestHead{Method: []byte("GET /")}, nil, ErrMethod},
		{"CONNECT", RequestHead{Method: []byte("CONNECT")}, nil, ErrConnect},
		{"no path", RequestHead{Path: []byte{}}, nil, ErrTarget},
		{"a path without a slash", RequestHead{Path: []byte("a")}, nil, ErrTarget},
		{"a URL", RequestHead{Path: []byte("http://a/")}, nil, ErrTarget},
		{"an asterisk without OPTIONS", RequestHead{Path: []byte("*")}, nil, ErrTarget},
		{"an asterisk with OPTIONS", RequestHead{Path: []byte("*"), Method: []byte("OPTIONS")}, nil, nil},
		{"a line break in the path", RequestHead{Path: []byte("/\r\n")}, nil, ErrTargetByte},
		{"a bad escape", RequestHead{Path: []byte("/%zz")}, nil, ErrTargetByte},
		{"a user", RequestHead{Authority: []byte("a@b")}, nil, ErrHost},
		{"an empty authority", RequestHead{Authority: []byte{}}, nil, ErrHost},
		{"the same host", RequestHead{}, []string{"host", "service.example"}, nil},
		{"another host", RequestHead{}, []string{"host", "b"}, ErrTwoHosts},
		{"two Host fields", RequestHead{}, []string{"host", "service.example", "host", "service.example"}, ErrManyHosts},
		{"an empty name", RequestHead{}, []string{"", "b"}, ErrFieldName},
		{"a name that is no token", RequestHead{}, []string{"a b", "c"}, ErrFieldName},
		{"a line break in a value", RequestHead{}, []string{"a", "b\r\nc"}, ErrFieldValue},
		{"a space before a value", RequestHead{}, []string{"a", " b"}, ErrFieldValue},
		{"a tab behind a value", RequestHead{}, []string{"a", "b\t"}, ErrFieldValue},
		{"Transfer-Encoding", RequestHead{}, []string{"transfer-encoding", "chunked"}, ErrTransferEncoding},
		{"Connection", RequestHead{}, []string{"connection", "close"}, ErrConnection},
		{"two lengths", RequestHead{}, []string{"content-length", "1", "content-length", "1"}, ErrManyContentLengths},
		{"a signed length", RequestHead{}, []string{"content-length", "+1"}, ErrContentLength},
		{"an expectation", RequestHead{}, []string{"expect", "100-continue"}, nil},
		{"another expectation", RequestHead{}, []string{"expect", "more"}, ErrExpect},
		{"another expectation first", RequestHead{}, []string{"expect", "more", "expect", "100-continue"}, ErrExpect},
		{"many fields", RequestHead{}, many, ErrTooManyFields},
		{"a large head", RequestHead{}, []string{"a", strings.Repeat("b", DefaultMaxHeadBytes)}, ErrHeadTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := c.head
			for _, part := range []struct {
				to       *[]byte
				standard string
			}{{&h.Method, "GET"}, {&h.Path, "/a?b"}, {&h.Authority, "service.example"}} {
				if *part.to == nil {
					*part.to = []byte(part.standard)
				}
			}
			h.Fields = fieldsOf(c.fields...)
			var r Request
			if err := r.Assemble(&h); !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			if c.want == nil && (!r.HTTP2 || r.Close() || string(r.Host) != "service.example" || string(r.Target) != string(h.Path)) {
				t.Errorf("got %+v", r)
			}
		})
	}
}

func TestAssembledFraming(t *testing.T) {
	for _, c := range []struct {
		length string
		end    bool
		want   Framing
	}{
		{"", true, Bodiless}, {"", false, Chunked}, {"7", false, Sized(7)}, {"0", true, Sized(0)}, {"0", false, Sized(0)},
	} {
		var fields []Field
		if c.length != "" {
			fields = fieldsOf("content-length", c.length)
		}
		var request Request
		h := RequestHead{Method: []byte("POST"), Path: []byte("/"), Authority: []byte("a"), Fields: fields, End: c.end}
		if err := request.Assemble(&h); err != nil || request.Framing() != c.want {
			t.Errorf("a request with length %q, end %v: %v, %v", c.length, c.end, request.Framing(), err)
		}
	}
	for _, c := range []struct {
		status string
		length string
		end    bool
		toHead bool
		want   Framing
	}{
		{"200", "", true, false, Sized(0)}, {"200", "", false, false, Chunked}, {"200", "7", false, false, Sized(7)},
		{"200", "7", true, true, Bodiless}, {"200", "", true, true, Bodiless}, {"204", "", true, false, Bodiless},
		{"304", "7", true, false, Bodiless}, {"103", "", false, false, Bodiless},
	} {
		var fields []Field
		if c.length != "" {
			fields = fieldsOf("content-length", c.length)
		}
		var response Response
		h := ResponseHead{Status: []byte(c.status), Fields: fields, End: c.end, ToHead: c.toHead}
		if err := response.Assemble(&h); err != nil || response.Framing() != c.want || response.Close() {
			t.Errorf("a %s with length %q, end %v: %v, %v", c.status, c.length, c.end, response.Framing(), err)
		}
		if want := int64(-1); c.length == "" && c.toHead && response.Length() != want {
			t.Errorf("the answer to a HEAD claims a length of %d", response.Length())
		}
	}
	for status, want := range map[string]error{"": ErrStatus, "20": ErrStatus, "2000": ErrStatus, "2x0": ErrStatus, "099": ErrStatus, "600": ErrStatus, "101": ErrUpgraded} {
		var response Response
		if err := response.Assemble(&ResponseHead{Status: []byte(status)}); err != want {
			t.Errorf("status %q: %v", status, err)
		}
	}
}

func TestAssembleTrailers(t *testing.T) {
	got, err := AssembleTrailers(fieldsOf("grpc-status", "0", "content-length", "3", "host", "a", "te", "trailers", "x", "y"))
	if err != nil || len(got) != 2 || string(got[0].Name) != "grpc-status" || string(got[1].Name) != "x" {
		t.Errorf("got %v, %v", got, err)
	}
	for _, fields := range [][]string{{"a", "b\n"}, {"a b", "c"}, {"a", strings.Repeat("b", maxTrailerBytes)}} {
		if _, err := AssembleTrailers(fieldsOf(fields...)); err == nil {
			t.Errorf("%.20q passes", fields)
		}
	}
}

// FuzzAssemble holds that both ways to a Request agree: what one takes the other does, and makes the same of it.
func FuzzAssemble(f *testing.F) {
	f.Add("GET", "/a?b", "a.example", "x", "y", "content-length", "3")
	f.Add("OPTIONS", "*", "[::1]:80", "expect", "100-continue", "te", "trailers")
	f.Fuzz(func(t *testing.T, method, path, host, name1, value1, name2, value2 string) {
		for _, part := range []string{method, path, host, name1, value1, name2, value2} {
			if strings.ContainsAny(part, "\r\n") {
				return // where a line ends it is no longer the same message
			}
		}
		for _, name := range []string{name1, name2} {
			switch strings.ToLower(name) {
			case "transfer-encoding", "connection", "host":
				return // which mean something else, or nothing
			}
			if strings.ContainsAny(name, ":") {
				return
			}
		}
		for _, value := range []string{host, value1, value2} {
			if strings.Trim(value, " \t") != value {
				return
			}
		}
		var text, parts Request
		head := fmt.Sprintf("%s %s HTTP/1.1\r\nhost: %s\r\n%s: %s\r\n%s: %s\r\n\r\n", method, path, host, name1, value1, name2, value2)
		textErr := text.parse([]byte(head), DefaultMaxFields)
		partsErr := parts.Assemble(&RequestHead{
			Method: []byte(method), Path: []byte(path), Authority: []byte(host), End: true, Fields: fieldsOf(name1, value1, name2, value2),
		})
		if strings.HasPrefix(path, "/") || path == "*" {
			if (textErr == nil) != (partsErr == nil) {
				t.Fatalf("as text: %v; in parts: %v", textErr, partsErr)
			}
		} else if partsErr == nil {
			t.Fatalf("the path %q passes", path)
		}
		if partsErr != nil || textErr != nil {
			return
		}
		if !bytes.Equal(text.Path, parts.Path) || !bytes.Equal(text.Query, parts.Query) || !bytes.Equal(text.Host, parts.Host) ||
			text.Framing() != parts.Framing() || text.Expects100() != parts.Expects100() || text.Size != parts.Size ||
			text.TakesTrailers() != parts.TakesTrailers() {
			t.Fatalf("as text %+v, in parts %+v", text, parts)
		}
	})
}
