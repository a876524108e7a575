package access

import (
	"hash/maphash"
	"math/bits"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
	"unsafe"
)

// query is the query of a request, read once however many keys policies ask for: all names and values, decoded, one
// after the other, and which parameters have a name. It takes some times the memory of the query.
type query struct {
	isRead     bool
	text       []byte
	parameters []parameter // and one more, at the end of the text
	// first has for each hash of a name the first parameter with it, and next of that the following; 0 is none, and each
	// parameter is known by its place plus one.
	first []uint32
	// The parameter that was found last, for who asks for the next.
	asked string
	found occurrence
}

// parameter is where name and value begin in the text. The value ends where the next name begins.
type parameter struct{ name, value, next uint32 }

// occurrence is where in a list of fields or parameters value number i of a name was found.
type occurrence struct {
	i  int
	at int
}

// fewParameters need no hashes.
const fewParameters = 8

// reset forgets the query, and memory beyond what most need.
func (q *query) reset() {
	kept := query{text: q.text[:0], parameters: q.parameters[:0], first: q.first[:0]}
	if cap(kept.text) > maxText {
		kept = query{}
	}
	*q = kept
}

// hashSeed keeps clients from knowing which names have one hash.
var hashSeed = maphash.MakeSeed()

// read reads a query.
func (q *query) read(raw string) {
	text, parameters, size := slices.Grow(q.text, len(raw)), slices.Grow(q.parameters, strings.Count(raw, "&")+2), 0
	for raw != "" {
		if raw[0] == '&' {
			raw = raw[1:]
			continue
		}
		p := parameter{name: uint32(len(text))}
		text, size = appendName(text, raw)
		p.value, raw = uint32(len(text)), raw[size:]
		if raw != "" && raw[0] == '=' {
			text, size = appendDecoded(text, raw[1:], '&')
			raw = raw[1+size:]
		}
		parameters = append(parameters, p)
	}
	n := len(parameters)
	q.isRead, q.text, q.parameters = true, text, append(parameters, parameter{name: uint32(len(text))})
	buckets := 1
	if n > fewParameters {
		buckets = 1 << bits.Len(uint(n)/2)
	}
	q.first = slices.Grow(q.first, buckets)[:buckets]
	clear(q.first)
	q.chain(q.parameters[:n])
}

// chain joins parameters whose names have one hash, in order.
func (q *query) chain(all []parameter) {
	var last []byte
	hash := uint64(0)
	for i := len(all) - 1; i >= 0; i-- {
		p := &all[i]
		if name := q.text[p.name:p.value]; i == len(all)-1 || string(name) != string(last) {
			hash, last = q.hash(name), name
		}
		p.next, q.first[hash] = q.first[hash], uint32(i+1)
	}
}

func (q *query) hash(name []byte) uint64 {
	if len(q.first) == 1 {
		return 0
	}
	return maphash.Bytes(hashSeed, name) & uint64(len(q.first)-1)
}

// value is the i-th value of a folded name. Who asks for one after the other is answered from where the last
// was found.
func (q *query) value(name string, i int) (string, bool) {
	skip, at := i, uint32(0)
	if i > 0 && q.asked == name && q.found.i == i-1 {
		at, skip = q.parameters[q.found.at].next, 0
	} else {
		at = q.first[q.hash(unsafe.Slice(unsafe.StringData(name), len(name)))]
	}
	for ; at != 0; at = q.parameters[at-1].next {
		p := &q.parameters[at-1]
		if string(q.text[p.name:p.value]) != name {
			continue
		}
		if skip == 0 {
			q.asked, q.found = name, occurrence{i, int(at - 1)}
			value := q.text[p.value:q.parameters[at].name]
			return unsafe.String(unsafe.SliceData(value), len(value)), true
		}
		skip--
	}
	return "", false
}

// appendDecoded appends the part of a query up to an end, as its sender meant it: a plus sign is a space, as in HTML
// forms, and a percent sign that begins no escape stands for itself. It returns how much of s that was.
func appendDecoded(b []byte, s string, end byte) ([]byte, int) {
	i := 0
	for ; i < len(s) && s[i] != end && s[i] != '&'; i++ {
		c := s[i]
		switch {
		case c == '+':
			c = ' '
		case c == '%' && i+2 < len(s) && unhex(s[i+1]) < 16 && unhex(s[i+2]) < 16:
			c = unhex(s[i+1])<<4 | unhex(s[i+2])
			i += 2
		}
		b = append(b, c)
	}
	return b, i
}

// appendName appends the name that s begins with, decoded and folded, and returns how much of s that was.
func appendName(b []byte, s string) ([]byte, int) {
	start := len(b)
	b, size := appendDecoded(b, s, '=')
	for i, c := range b[start:] {
		if c >= utf8.RuneSelf {
			return foldName(b, start), size
		}
		if 'A' <= c && c <= 'Z' {
			b[start+i] += 'a' - 'A'
		}
	}
	return b, size
}

// unhex is the value of a hexadecimal digit; of anything else it is greater.
func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10
	}
	return 0xff
}

// foldName makes names the same that differ only in case, of what begins at start, in place: no letter takes less bytes
// than the first of its kind.
func foldName(b []byte, start int) []byte {
	end := start
	for i := start; i < len(b); {
		c, size := rune(b[i]), 1
		if c >= utf8.RuneSelf {
			c, size = utf8.DecodeRune(b[i:])
		}
		if c == utf8.RuneError {
			end += copy(b[end:], b[i:i+size])
		} else {
			end = len(utf8.AppendRune(b[:end], foldedRune(c)))
		}
		i += size
	}
	return b[:end]
}

// foldedRune is the first of the letters that differ only in case; of those of ASCII the small one.
func foldedRune(c rune) rune {
	first := c
	if c >= utf8.RuneSelf {
		for other := unicode.SimpleFold(c); other != c; other = unicode.SimpleFold(other) {
			first = min(first, other)
		}
	}
	if 'A' <= first && first <= 'Z' {
		first += 'a' - 'A'
	}
	return first
}
