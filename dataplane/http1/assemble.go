package http1

// ErrTwoHosts is what is wrong with a request that names two hosts.
var ErrTwoHosts = malformed("the Host field and the authority differ", "RFC 9113 §8.3.1")

// RequestHead is the head of a request that came in another form than HTTP/1.1 text, already parted into its pieces. Its
// slices are the caller's, and the Request that is assembled from it shares them.
type RequestHead struct {
	// Method and Path are what the request line would hold; Path has its query.
	Method, Path []byte
	// Authority is whom the request is for where the protocol says so apart from the fields; nil if it does not. A Host
	// field beside it must say the same.
	Authority []byte
	// Fields are the header fields. Of each, Name and Value are looked at.
	Fields []Field
	// End says that nothing follows the head.
	End bool
}

// ResponseHead is the head of a response, like RequestHead.
type ResponseHead struct {
	// Status is the status code as it was sent.
	Status []byte
	// Fields are the header fields. Of each, Name and Value are looked at.
	Fields []Field
	// End says that nothing follows the head.
	End bool
	// ToHead says that the response answers a HEAD.
	ToHead bool
}

// Assemble makes r the request with this head, by the rules that hold for a request of HTTP/1.1: what one version
// refuses the other does not let in. Its errors are *MalformedError. A body without a length is Chunked.
func (r *Request) Assemble(h *RequestHead) error {
	*r = Request{Fields: r.Fields, HTTP2: true}
	switch {
	case !allToken(h.Method):
		return ErrMethod
	case string(h.Method) == "CONNECT":
		return ErrConnect
	case len(h.Path) == 0 || h.Path[0] != '/' && (string(h.Path) != "*" || string(h.Method) != "OPTIONS"):
		return ErrTarget
	}
	r.Method = h.Method
	if _, err := r.parseTarget(h.Path); err != nil {
		return err
	}
	size, err := r.Fields.assemble(h.Fields)
	if err != nil {
		return err
	}
	r.Size = size + len(h.Method) + len(h.Path) + len("  HTTP/1.1\r\n\r\n")
	if r.unmet {
		return ErrExpect
	}
	if h.Authority != nil {
		if err := r.takeAuthority(h.Authority); err != nil {
			return err
		}
	}
	if r.Size > DefaultMaxHeadBytes {
		return ErrHeadTooLarge
	}
	r.chunked = !h.End && r.length < 0
	return r.settleHost(nil)
}

// takeAuthority makes the authority the Host, as RFC 9113 §8.3.1 wants. A Host field that says something else is refused:
// which of the two counts would depend on who is asked.
func (r *Request) takeAuthority(authority []byte) error {
	r.Size += len("host: \r\n") + len(authority)
	switch r.hosts {
	case 0:
		r.host, r.hosts = authority, 1
	case 1:
		if string(r.host) != string(authority) {
			return ErrTwoHosts
		}
	}
	return nil
}

// Assemble makes r the response with this head, like Request.Assemble. A response that ends with its head has a body of
// length 0, unless it is one that never has a body.
func (r *Response) Assemble(h *ResponseHead) error {
	*r = Response{Fields: r.Fields, toHead: h.ToHead}
	if len(h.Status) != 3 {
		return ErrStatus
	}
	for _, c := range h.Status {
		if c < '0' || c > '9' {
			return ErrStatus
		}
		r.Status = r.Status*10 + int(c-'0')
	}
	switch {
	case r.Status < 100 || r.Status > 599:
		return ErrStatus
	case r.Status == 101:
		return ErrUpgraded
	}
	size, err := r.Fields.assemble(h.Fields)
	switch {
	case err != nil:
		return err
	case size > DefaultMaxHeadBytes:
		return ErrHeadTooLarge
	}
	switch framing := r.Framing(); {
	case framing != UntilClose:
	case h.End:
		r.length = 0
	default:
		r.chunked = true
	}
	return nil
}

// AssembleTrailers checks the fields of a trailer section and returns those of them that may stand in one, in the same
// memory.
func AssembleTrailers(fields []Field) ([]Field, error) {
	f := Fields{length: -1}
	if len(fields) > maxTrailers {
		return nil, ErrTrailers
	}
	size := 0
	for i := range fields {
		if err := f.check(&fields[i]); err != nil {
			return nil, err
		}
		if size += len(fields[i].Name) + len(fields[i].Value) + len(": \r\n"); size > maxTrailerBytes {
			return nil, ErrTrailers
		}
	}
	f.list = fields
	f.dropForbidden()
	return f.list, nil
}

// assemble takes over fields that came one by one, and returns how large they would be as lines.
func (f *Fields) assemble(fields []Field) (size int, err error) {
	if len(fields) > DefaultMaxFields {
		return 0, ErrTooManyFields
	}
	f.reset(DefaultMaxFields)
	for i := range fields {
		field := Field{Name: fields[i].Name, Value: fields[i].Value}
		if err := f.check(&field); err != nil {
			return 0, err
		}
		f.list = append(f.list, field)
		size += len(field.Name) + len(field.Value) + len(": \r\n")
	}
	switch {
	case f.chunked:
		return 0, ErrTransferEncoding
	case f.close || f.keepAlive || f.named > 0:
		return 0, ErrConnection
	}
	return size, nil
}

// check validates a field and learns from it. Whitespace around a value, which the lines of HTTP/1.1 allow, is not there
// to be trimmed in other forms, and a value that kept it could be read in two ways.
func (f *Fields) check(field *Field) error {
	switch {
	case !allToken(field.Name):
		return ErrFieldName
	case !validValue(field.Value), len(trimSpace(field.Value)) != len(field.Value):
		return ErrFieldValue
	}
	return f.learn(field)
}
