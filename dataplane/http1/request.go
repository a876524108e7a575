package http1

import (
	"bytes"
	"net/netip"
	"strconv"
)

// Request is a request head. Its slices point into the connection's buffer and hold until the next request is read;
// keep one Request per connection in use and read into it again and again.
type Request struct {
	Fields
	// Method is a token, case-sensitive; never CONNECT.
	Method []byte
	// Target is the request target in the form to pass on: a path with its query, or * for OPTIONS.
	Target []byte
	// Path is Target without its query.
	Path []byte
	// Query is what follows the first question mark of Target; nil without one.
	Query []byte
	// Host is whom the request is for: the authority of an absolute-form target, otherwise the Host field
	// (RFC 9112 §3.2.2). It may carry a port. It is empty only in an HTTP/1.0 request.
	Host []byte
	// HTTP10 says that the request is HTTP/1.0: its response may be neither chunked nor preceded by a 1xx.
	HTTP10 bool
	// HTTP2 says that the request came by HTTP/2; see Assemble.
	HTTP2 bool
	// Size is the length of the head in bytes; of an assembled one, how long it would be as text.
	Size int
}

// Close reports whether the connection ends with the response to this request (RFC 9112 §9.3).
func (r *Request) Close() bool { return r.close || r.HTTP10 && !r.keepAlive }

// Expects100 reports whether the sender waits for a 100 before it sends the body.
func (r *Request) Expects100() bool { return r.hasExpect }

// TakesTrailers reports whether the sender said that it takes trailers (RFC 9110 §10.1.4).
func (r *Request) TakesTrailers() bool { return r.trailersOK }

// IsHead reports whether the method is HEAD, so that the response has no body.
func (r *Request) IsHead() bool { return string(r.Method) == "HEAD" }

// Framing says how the body is delimited. A request without Content-Length and Transfer-Encoding has none
// (RFC 9112 §6.3).
func (r *Request) Framing() Framing {
	switch {
	case r.chunked:
		return Chunked
	case r.length >= 0:
		return Sized(r.length)
	}
	return Bodiless
}

// parse reads the head in b, which ends with its empty line. most bounds the fields.
func (r *Request) parse(b []byte, most int) error {
	*r = Request{Fields: r.Fields, Size: len(b)}
	end := bytes.IndexByte(b, '\n')
	if end < 1 || b[end-1] != '\r' {
		return ErrBareLF
	}
	authority, err := r.parseLine(b[:end-1])
	if err != nil {
		return err
	}
	if err := r.Fields.parse(b[end+1:], most); err != nil {
		return err
	}
	if r.HTTP10 {
		// An expectation in an HTTP/1.0 request is ignored (RFC 9110 §10.1.1).
		r.hasExpect, r.unmet = false, false
	}
	switch {
	case r.HTTP10 && r.chunked:
		return ErrTransferIn10
	case r.unmet:
		return ErrExpect
	}
	return r.settleHost(authority)
}

// parseLine reads the request line and returns the authority of an absolute-form target.
func (r *Request) parseLine(line []byte) (authority []byte, err error) {
	method, rest, ok := bytes.Cut(line, []byte{' '})
	target, version, ok2 := bytes.Cut(rest, []byte{' '})
	switch {
	case !ok || !ok2 || bytes.IndexByte(version, ' ') >= 0:
		return nil, ErrRequestLine
	case !allToken(method):
		return nil, ErrMethod
	case string(method) == "CONNECT":
		return nil, ErrConnect
	case string(version) == "HTTP/1.1":
		r.HTTP10 = false
	case string(version) == "HTTP/1.0":
		r.HTTP10 = true
	default:
		return nil, ErrVersion
	}
	r.Method = method
	return r.parseTarget(target)
}

// parseTarget reads the request target (RFC 9112 §3.2).
func (r *Request) parseTarget(target []byte) (authority []byte, err error) {
	options := string(r.Method) == "OPTIONS"
	switch {
	case len(target) == 0:
		return nil, ErrTarget
	case target[0] == '/':
	case string(target) == "*" && options:
	default:
		if authority, target, err = cutAuthority(target); err != nil {
			return nil, err
		}
		if len(target) == 0 || target[0] == '?' {
			return r.parseRootless(authority, target, options)
		}
	}
	if !validTarget(target) {
		return nil, ErrTargetByte
	}
	r.Target, r.Query = target, nil
	r.Path = target
	if i := bytes.IndexByte(target, '?'); i >= 0 {
		r.Path, r.Query = target[:i], target[i+1:]
	}
	if !validEscapes(r.Path) {
		return nil, ErrTargetByte
	}
	return authority, nil
}

// parseRootless settles an absolute-form target without a path: it asks for the root, or, with OPTIONS and no query, for
// the server as a whole (RFC 9112 §3.2.4). With a query it is refused: the target cannot be written as origin-form
// without new memory, and no client sends it.
func (r *Request) parseRootless(authority, rest []byte, options bool) ([]byte, error) {
	if len(rest) > 0 {
		return nil, ErrTarget
	}
	r.Target = rootTarget(options)
	r.Path, r.Query = r.Target, nil
	return authority, nil
}

func rootTarget(options bool) []byte {
	if options {
		return []byte("*")
	}
	return []byte("/")
}

// cutAuthority splits an absolute-form target after its authority.
func cutAuthority(target []byte) (authority, rest []byte, err error) {
	scheme := len("http://")
	if len(target) < scheme || !EqualFold(target[:scheme], "http://") {
		scheme = len("https://")
		if len(target) < scheme || !EqualFold(target[:scheme], "https://") {
			return nil, nil, ErrTarget
		}
	}
	authority = target[scheme:]
	if i := bytes.IndexAny(authority, "/?#"); i >= 0 {
		authority, rest = authority[:i], authority[i:]
	}
	if !validAuthority(authority) {
		return nil, nil, ErrHost
	}
	return authority, rest, nil
}

// settleHost applies RFC 9112 §3.2: exactly one valid Host in HTTP/1.1, at most one before, and an authority in the
// target wins over it.
func (r *Request) settleHost(authority []byte) error {
	switch {
	case r.hosts > 1:
		return ErrManyHosts
	case r.hosts == 0 && !r.HTTP10:
		return ErrNoHost
	case r.hosts == 1 && !validAuthority(r.host):
		return ErrHost
	}
	r.Host = r.host
	if authority != nil {
		r.Host = authority
	}
	return nil
}

// validTarget reports whether b is visible ASCII without a fragment.
func validTarget(b []byte) bool {
	for _, c := range b {
		if c <= ' ' || c >= 0x7f || c == '#' {
			return false
		}
	}
	return true
}

// validEscapes reports whether every percent sign of a path starts an escape. Those who decode differ on the others.
func validEscapes(path []byte) bool {
	for {
		i := bytes.IndexByte(path, '%')
		if i < 0 {
			return true
		}
		if len(path) < i+3 || !isHex(path[i+1]) || !isHex(path[i+2]) {
			return false
		}
		path = path[i+3:]
	}
}

// validAuthority reports whether b is a host with an optional port and no user (RFC 9110 §7.2, §4.2.4).
func validAuthority(b []byte) bool {
	if len(b) > 0 && b[0] == '[' {
		return validLiteral(b)
	}
	n := 0
	for n < len(b) && isHost(b[n]) {
		n++
	}
	return n > 0 && n <= 255 && validPort(b[n:])
}

// validLiteral accepts an IPv6 address in brackets, without a zone.
func validLiteral(b []byte) bool {
	end := bytes.IndexByte(b, ']')
	if end < 0 {
		return false
	}
	addr, err := netip.ParseAddr(string(b[1:end]))
	return err == nil && addr.Is6() && addr.Zone() == "" && validPort(b[end+1:])
}

// validPort accepts nothing, or a colon and a port number.
func validPort(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	if b[0] != ':' || len(b) > len(":65535") {
		return false
	}
	for _, c := range b[1:] {
		if c < '0' || c > '9' {
			return false
		}
	}
	_, err := strconv.ParseUint(string(b[1:]), 10, 16)
	return err == nil
}
