package explain

import (
	"cmp"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"pergola/dataplane/access"
	"pergola/dataplane/http1"
	"pergola/lattice"
	"pergola/sigv4"
)

// read reads the request as a node reads one that arrives, and reports whether it can be read.
func (w *walk) read() bool {
	var text strings.Builder
	target := cmp.Or(w.url.EscapedPath(), "/")
	if w.url.RawQuery != "" {
		target += "?" + w.url.RawQuery
	}
	text.WriteString(w.question.Method + " " + target + " HTTP/1.1\r\nHost: " + w.url.Host + "\r\n")
	for _, name := range slices.Sorted(keysOf(w.question.Header)) {
		for _, value := range w.question.Header[name] {
			if !strings.EqualFold(name, "host") {
				text.WriteString(name + ": " + value + "\r\n")
			}
		}
	}
	text.WriteString("\r\n")
	conn := http1.NewConn(said{strings.NewReader(text.String())}, http1.Config{})
	if err := conn.In.ReadRequest(&w.request); err != nil {
		return w.stop("request", "answered", "400 Bad Request: %v", err)
	}
	w.header.Set(&w.request, access.Origin{
		Client: w.question.Client, Port: w.listener.Port, Secure: w.listener.Protocol == lattice.ProtocolHTTPS,
	})
	return true
}

// said is a connection from which a text comes, and then nothing.
type said struct{ io.Reader }

func (said) Write(p []byte) (int, error)      { return len(p), nil }
func (said) Close() error                     { return nil }
func (said) LocalAddr() net.Addr              { return nil }
func (said) RemoteAddr() net.Addr             { return nil }
func (said) SetDeadline(time.Time) error      { return nil }
func (said) SetReadDeadline(time.Time) error  { return nil }
func (said) SetWriteDeadline(time.Time) error { return nil }

// signed is the request as the guard sees it.
func (w *walk) signed() sigv4.Request {
	var fields sigv4.Fields
	for _, f := range w.request.All() {
		fields = append(fields, sigv4.Field{Name: string(f.Name), Value: string(f.Value)})
	}
	return sigv4.Request{
		Method: string(w.request.Method), Path: string(w.request.Path), RawQuery: string(w.request.Query),
		Host: string(w.request.Host), Header: fields,
	}
}

func keysOf(header map[string][]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for name := range header {
			if !yield(name) {
				return
			}
		}
	}
}

// request is what rules see of the request: the same as its target.
type request walk

// Method is the request's method.
func (r *request) Method() []byte { return r.request.Method }

// Path is the path as a client sends it.
func (r *request) Path() []byte { return r.request.Path }

// Header is the i-th value of a field; Host is one.
func (r *request) Header(name string, i int) ([]byte, bool) {
	for _, f := range r.header.Fields {
		if !strings.EqualFold(f.Name, name) {
			continue
		}
		if i == 0 {
			return []byte(f.Value), true
		}
		i--
	}
	return nil, false
}
