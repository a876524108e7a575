package http1

import "bytes"

// Response is a response head. Its slices hold until the next response is read from the same connection.
type Response struct {
	Fields
	// Status is between 100 and 599, and never 101.
	Status int
	// Reason is the reason phrase, often empty.
	Reason []byte
	// HTTP10 says that the response is HTTP/1.0.
	HTTP10 bool

	toHead bool
}

// Close reports whether the connection ends with this response (RFC 9112 §9.3), also because its body ends so.
func (r *Response) Close() bool {
	return r.close || r.HTTP10 && !r.keepAlive || r.Framing() == UntilClose
}

// Informational reports whether the response is a 1xx, which another one follows.
func (r *Response) Informational() bool { return r.Status < 200 }

// Length returns what Content-Length says, or -1. In the response to a HEAD and in a 304 it is the length of a body
// that is not sent.
func (r *Response) Length() int64 { return r.length }

// Framing says how the body is delimited (RFC 9112 §6.3).
func (r *Response) Framing() Framing {
	switch {
	case r.toHead, r.Status < 200, r.Status == 204, r.Status == 304:
		return Bodiless
	case r.chunked:
		return Chunked
	case r.length >= 0:
		return Sized(r.length)
	}
	return UntilClose
}

// parse reads the head in b, which ends with its empty line.
func (r *Response) parse(b []byte, most int) error {
	end := bytes.IndexByte(b, '\n')
	if end < 1 || b[end-1] != '\r' {
		return ErrBareLF
	}
	if err := r.parseLine(b[:end-1]); err != nil {
		return err
	}
	if err := r.Fields.parse(b[end+1:], most); err != nil {
		return err
	}
	switch {
	case r.HTTP10 && r.chunked:
		return ErrTransferIn10
	case r.Status == 101:
		return ErrUpgraded
	}
	return nil
}

// parseLine reads the status line (RFC 9112 §4). The space before an empty reason may be missing, as it often is.
func (r *Response) parseLine(line []byte) error {
	const version = len("HTTP/1.1")
	if len(line) < version+4 || line[version] != ' ' || len(line) > version+4 && line[version+4] != ' ' {
		return ErrStatusLine
	}
	switch string(line[:version]) {
	case "HTTP/1.1":
		r.HTTP10 = false
	case "HTTP/1.0":
		r.HTTP10 = true
	default:
		return ErrVersion
	}
	r.Status = 0
	for _, c := range line[version+1 : version+4] {
		if c < '0' || c > '9' {
			return ErrStatusLine
		}
		r.Status = r.Status*10 + int(c-'0')
	}
	if r.Status < 100 || r.Status > 599 {
		return ErrStatus
	}
	r.Reason = line[min(version+5, len(line)):]
	if !validValue(r.Reason) {
		return ErrStatusLine
	}
	return nil
}
