package http1

import (
	"bytes"
	"math"
)

// Field is one header or trailer field. Name and Value are slices of the connection's buffer: they hold until the next
// message is read, and for trailers until more of the connection is read.
type Field struct {
	// Name is a token, in the sender's case.
	Name []byte
	// Value has no whitespace around it, no line breaks and no controls other than tabs.
	Value []byte
	// Hop says that the field is about this connection alone and must not be passed on: the ones RFC 9110 §7.6.1 lists,
	// the fields that Connection names, and Content-Length and Expect, which are stated anew on the next connection.
	Hop bool
}

// maxNamed bounds the fields that Connection names: each is looked for among all.
const maxNamed = 32

// Fields are the fields of a head in the order received, and what was learnt on the way.
type Fields struct {
	list []Field

	host       []byte
	hosts      int
	length     int64 // of Content-Length, or -1
	chunked    bool
	close      bool
	keepAlive  bool
	trailersOK bool
	hasExpect  bool
	unmet      bool // something is expected that is not 100-continue
	named      int  // how many fields Connection names
}

// All returns the fields in the order received.
func (f *Fields) All() []Field { return f.list }

// Get returns the value of the first field of the given lower-case name, or nil.
func (f *Fields) Get(lower string) []byte {
	for i := range f.list {
		if EqualFold(f.list[i].Name, lower) {
			return f.list[i].Value
		}
	}
	return nil
}

// reset keeps the memory of the list.
func (f *Fields) reset(most int) {
	if cap(f.list) < most {
		f.list = make([]Field, 0, most)
	}
	*f = Fields{list: f.list[:0], length: -1}
}

// parse reads field lines up to the empty line that ends b. Nothing may follow that.
func (f *Fields) parse(b []byte, most int) error {
	f.reset(most)
	for len(b) > 2 {
		end := bytes.IndexByte(b, '\n')
		if end < 1 || b[end-1] != '\r' {
			return ErrBareLF
		}
		if len(f.list) == most {
			return ErrTooManyFields
		}
		field, err := parseField(b[:end-1])
		if err != nil {
			return err
		}
		if err := f.learn(&field); err != nil {
			return err
		}
		f.list = append(f.list, field)
		b = b[end+1:]
	}
	if f.named > 0 {
		f.markNamed()
	}
	if f.chunked && f.length >= 0 {
		return ErrTwoFramings
	}
	return nil
}

// parseField splits one line at its colon (RFC 9112 §5).
func parseField(line []byte) (Field, error) {
	n := 0
	for n < len(line) && isToken(line[n]) {
		n++
	}
	switch {
	case n == len(line):
		return Field{}, ErrFieldName
	case n == 0 && (line[0] == ' ' || line[0] == '\t'):
		return Field{}, ErrObsFold
	case line[n] == ' ' || line[n] == '\t':
		return Field{}, ErrSpaceInName
	case n == 0 || line[n] != ':':
		return Field{}, ErrFieldName
	}
	value := trimSpace(line[n+1:])
	if !validValue(value) {
		return Field{}, ErrFieldValue
	}
	return Field{Name: line[:n], Value: value}, nil
}

// learn takes note of a field that governs the message or the connection. The length of the name is looked at first,
// because it settles the matter for nearly all others.
func (f *Fields) learn(field *Field) error {
	name := field.Name
	switch len(name) {
	case 2:
		if EqualFold(name, "te") {
			field.Hop = true
			f.trailersOK = f.trailersOK || hasElement(field.Value, "trailers")
		}
	case 4:
		if EqualFold(name, "host") {
			f.host = field.Value
			f.hosts++
		}
	case 6:
		if EqualFold(name, "expect") {
			field.Hop = true
			f.hasExpect = true
			f.unmet = f.unmet || !EqualFold(field.Value, "100-continue")
		}
	case 7:
		field.Hop = EqualFold(name, "upgrade")
	case 10:
		if EqualFold(name, "connection") {
			field.Hop = true
			return f.learnConnection(field.Value)
		}
		field.Hop = EqualFold(name, "keep-alive")
	case 14:
		if EqualFold(name, "content-length") {
			field.Hop = true
			return f.learnLength(field.Value)
		}
	case 16:
		field.Hop = EqualFold(name, "proxy-connection")
	case 17:
		if EqualFold(name, "transfer-encoding") {
			field.Hop = true
			return f.learnEncoding(field.Value)
		}
	case 18:
		field.Hop = EqualFold(name, "proxy-authenticate")
	case 19:
		field.Hop = EqualFold(name, "proxy-authorization")
	}
	return nil
}

// learnLength accepts decimal digits alone. RFC 9112 §6.3 would let a recipient fold equal repeated values into one;
// recipients that differ in this are how requests are smuggled, so a second value is refused, an equal one too.
func (f *Fields) learnLength(value []byte) error {
	if f.length >= 0 {
		return ErrManyContentLengths
	}
	n := int64(0)
	for _, c := range value {
		if c < '0' || c > '9' || n > (math.MaxInt64-9)/10 {
			return ErrContentLength
		}
		n = n*10 + int64(c-'0')
	}
	if len(value) == 0 {
		return ErrContentLength
	}
	f.length = n
	return nil
}

func (f *Fields) learnEncoding(value []byte) error {
	if f.chunked || !EqualFold(value, "chunked") {
		return ErrTransferEncoding
	}
	f.chunked = true
	return nil
}

func (f *Fields) learnConnection(value []byte) error {
	for rest := value; len(rest) > 0; {
		var option []byte
		option, rest = nextElement(rest)
		switch {
		case EqualFold(option, "close"):
			f.close = true
		case EqualFold(option, "keep-alive"):
			f.keepAlive = true
		case len(option) > 0:
			f.named++
		}
	}
	if f.named > maxNamed {
		return ErrConnection
	}
	return nil
}

// markNamed marks the fields that Connection names. Host stays: the message means nothing without it.
func (f *Fields) markNamed() {
	for i := range f.list {
		if !EqualFold(f.list[i].Name, "connection") {
			continue
		}
		for rest := f.list[i].Value; len(rest) > 0; {
			var option []byte
			option, rest = nextElement(rest)
			f.mark(option)
		}
	}
}

func (f *Fields) mark(name []byte) {
	for i := range f.list {
		if bytes.EqualFold(f.list[i].Name, name) && !EqualFold(name, "host") {
			f.list[i].Hop = true
		}
	}
}

// nextElement cuts the first element off a comma-separated list (RFC 9110 §5.6.1).
func nextElement(list []byte) (element, rest []byte) {
	if i := bytes.IndexByte(list, ','); i >= 0 {
		return trimSpace(list[:i]), list[i+1:]
	}
	return trimSpace(list), nil
}

func hasElement(list []byte, lower string) bool {
	for len(list) > 0 {
		var element []byte
		if element, list = nextElement(list); EqualFold(element, lower) {
			return true
		}
	}
	return false
}
