package http2

import (
	"golang.org/x/net/http2/hpack"

	"pergola/dataplane/http1"
)

// headBlock is the header block that is being received.
type headBlock struct {
	open   bool // its end has not come
	stream uint32
	end    bool    // it ends the stream
	s      *Stream // nil if what it says is dropped
	frames int
	raw    int    // bytes of the block so far
	blk    *block // the pieces, where there are several
	from   int    // where its fields start in the stream's
	size   int    // of its fields, in the bytes that they would have as text
	count  int    // of its fields
	err    error
}

// head is a head that has arrived: a range of the stream's fields.
type head struct {
	from, to int
	end      bool
	err      error // what is wrong with it, unless nil
}

// beginBlock takes the first piece of a header block for s, or for nobody. mu is held.
func (c *conn) beginBlock(s *Stream, f *frame, block []byte) error {
	c.head = headBlock{open: true, stream: f.stream, end: f.has(flagEndStream), s: s}
	if s != nil {
		c.head.from = len(s.in.fields)
	}
	c.decoder.SetEmitEnabled(s != nil)
	return c.takeBlock(block, f.has(flagEndHeaders))
}

// takeContinuation takes a further piece (RFC 9113 §6.10).
func (c *conn) takeContinuation(f *frame) error {
	if !c.head.open {
		return connError(ProtocolError, "CONTINUATION without HEADERS")
	}
	if c.head.frames++; c.head.frames > maxContinuations {
		return connError(EnhanceYourCalm, "a header block in too many pieces")
	}
	return c.takeBlock(f.payload, f.has(flagEndHeaders))
}

// takeBlock decodes a piece of a header block. The dynamic table must follow each block, so a head beyond the limits is
// decoded to its end; a block that is larger as it was sent than any head may be ends the connection.
func (c *conn) takeBlock(block []byte, end bool) error {
	h := &c.head
	if h.raw += len(block); h.raw > 2*c.cfg.MaxHeadBytes {
		return connError(EnhanceYourCalm, "a header block is too large")
	}
	if !end || h.blk != nil {
		if !c.gather(block) {
			return errHeld
		}
		if !end {
			return nil
		}
		block = h.blk.data
	}
	h.open = false
	if _, err := c.decoder.Write(block); err != nil {
		return connError(CompressionError, err.Error())
	}
	if err := c.decoder.Close(); err != nil {
		return connError(CompressionError, err.Error())
	}
	if h.blk != nil {
		c.discount(h.blk.held)
		c.cfg.Memory.put(h.blk)
		h.blk = nil
	}
	switch {
	case h.s == nil:
		return nil
	case h.err == errHeld:
		return c.refuseHeld(h.s)
	}
	return c.takeHead(h.s, head{h.from, len(h.s.in.fields), h.end, h.err})
}

// gather puts a piece of a header block behind the others: the decoder would keep the memory for it for good. It
// reports whether that may be held.
func (c *conn) gather(block []byte) bool {
	h := &c.head
	h.blk = c.cfg.Memory.room(h.blk, len(block))
	h.blk.data = append(h.blk.data, block...)
	return c.countBlock(h.blk)
}

// countBlock counts a block as it is now, and reports whether it may be held. mu is held.
func (c *conn) countBlock(b *block) bool {
	more := counted(b) - b.held
	if more <= 0 {
		return true
	}
	if !c.count(more) {
		return false
	}
	b.held += more
	return true
}

// emit takes a decoded field.
func (c *conn) emit(f hpack.HeaderField) {
	h := &c.head
	h.size += len(f.Name) + len(f.Value) + len(": \r\n")
	if f.Name != "cookie" && !f.IsPseudo() {
		h.count++
	}
	in := &h.s.in
	switch {
	case h.size > c.cfg.MaxHeadBytes || in.size > 2*c.cfg.MaxHeadBytes || len(in.fields) > 4*http1.DefaultMaxFields:
		h.err = http1.ErrHeadTooLarge
	case h.count > c.cfg.MaxFields:
		h.err = http1.ErrTooManyFields
	}
	if h.err == nil && !h.s.keepField(f.Name, f.Value) {
		h.err = errHeld
	}
	if h.err != nil {
		c.decoder.SetEmitEnabled(false)
	}
}

// statusOf returns the status of a response; it is looked at again when the head is read.
func statusOf(fields []http1.Field) string {
	if len(fields) == 0 || string(fields[0].Name) != ":status" {
		return ""
	}
	return string(fields[0].Value)
}

func informational(fields []http1.Field) bool {
	return len(fields) > 0 && string(fields[0].Name) == ":status" && len(fields[0].Value) == 3 && fields[0].Value[0] == '1'
}

// pseudo are the pseudo-header fields of a head.
type pseudo struct {
	method, scheme, authority, path, status []byte
	rest                                    []http1.Field // the other fields
	cookies                                 int
}

// part takes the pseudo-header fields off the others and checks what HTTP/2 asks of both (RFC 9113 §8.2 and §8.3).
func part(fields []http1.Field) (p pseudo, err error) {
	n := 0
	for n < len(fields) && len(fields[n].Name) > 0 && fields[n].Name[0] == ':' {
		if err := p.take(&fields[n]); err != nil {
			return p, err
		}
		n++
	}
	p.rest = fields[n:]
	for i := range p.rest {
		if err := checkName(&p.rest[i]); err != nil {
			return p, err
		}
		if string(p.rest[i].Name) == "cookie" {
			p.cookies++
		}
	}
	return p, nil
}

func (p *pseudo) take(f *http1.Field) error {
	var to *[]byte
	switch string(f.Name) {
	case ":method":
		to = &p.method
	case ":scheme":
		to = &p.scheme
	case ":authority":
		to = &p.authority
	case ":path":
		to = &p.path
	case ":status":
		to = &p.status
	}
	if to == nil || *to != nil {
		return ErrPseudoField
	}
	*to = f.Value
	return nil
}

// checkName refuses the fields that HTTP/1.1 would take and HTTP/2 does not.
func checkName(f *http1.Field) error {
	for _, c := range f.Name {
		if 'A' <= c && c <= 'Z' {
			return ErrUpperCase
		}
	}
	if len(f.Name) == 0 {
		return http1.ErrFieldName
	}
	if f.Name[0] == ':' {
		return ErrPseudoField
	}
	switch len(f.Name) {
	case 2:
		if string(f.Name) == "te" && string(f.Value) != "trailers" {
			return ErrConnection
		}
	case 7, 10, 16, 17:
		if staticName(f.Name) == connectionName {
			return ErrConnection
		}
	}
	return nil
}

// requestHead makes a head of what has arrived.
func requestHead(fields []http1.Field) (h http1.RequestHead, cookies int, err error) {
	p, err := part(fields)
	if err != nil {
		return h, 0, err
	}
	h = http1.RequestHead{Method: p.method, Path: p.path, Authority: p.authority, Fields: p.rest}
	connect := string(p.method) == "CONNECT" // has neither; http1 refuses it
	switch {
	case p.status != nil, len(p.method) == 0, !connect && (len(p.path) == 0 || p.scheme == nil):
		return h, 0, ErrPseudoField
	case !connect && string(p.scheme) != "http" && string(p.scheme) != "https":
		return h, 0, ErrScheme
	}
	return h, p.cookies, nil
}

func responseHead(fields []http1.Field) (h http1.ResponseHead, err error) {
	p, err := part(fields)
	if err != nil {
		return h, err
	}
	if p.status == nil || p.method != nil || p.scheme != nil || p.authority != nil || p.path != nil {
		return h, ErrPseudoField
	}
	return http1.ResponseHead{Status: p.status, Fields: p.rest}, nil
}

// trailers checks a trailer section, which has no pseudo-header fields.
func trailers(fields []http1.Field) ([]http1.Field, error) {
	for i := range fields {
		if err := checkName(&fields[i]); err != nil {
			return nil, err
		}
	}
	return http1.AssembleTrailers(fields)
}

var cookieName = []byte("cookie")

// joinCookies makes one field of several cookie fields (RFC 9113 §8.2.3), with its value in text, and puts it behind the
// others in list.
func joinCookies(list, fields []http1.Field, text []byte) ([]http1.Field, []byte) {
	for _, f := range fields {
		if string(f.Name) != "cookie" {
			list = append(list, f)
			continue
		}
		if len(text) > 0 {
			text = append(text, "; "...)
		}
		text = append(text, f.Value...)
	}
	return append(list, http1.Field{Name: cookieName, Value: text}), text
}
