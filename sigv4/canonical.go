package sigv4

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"
)

// canonicalizer builds canonical requests and strings to sign in memory that it keeps from one request to the next. What its methods
// return is good until the next call.
type canonicalizer struct {
	headers []byte // of the signed headers, a line each
	request []byte
	toSign  []byte
	query   []byte // encoded parameters, unsorted
	pairs   []pair

	queryForm QueryForm
	presigned bool      // the query carries the signature, which does not sign itself
	sorted    []byte    // the canonical query
	isSorted  bool      // of this request, in sortedAs
	sortedAs  QueryForm // so that the forms of a path share it
}

// pair is one encoded query parameter.
type pair struct{ name, value []byte }

// canonicalRequest builds the canonical request from the headers read last. It cannot fail: the query's percent-encoding is checked before.
func (c *canonicalizer) canonicalRequest(r *Request, signedHeaders string, form PathForm, payload Payload) []byte {
	b := append(c.request[:0], r.Method...)
	b = append(b, '\n')
	b = appendPath(b, r.Path, form)
	b = append(b, '\n')
	if !c.isSorted || c.sortedAs != c.queryForm {
		c.sorted, c.isSorted, c.sortedAs = c.appendQuery(c.sorted[:0], r.RawQuery), true, c.queryForm
	}
	b = append(b, c.sorted...)
	b = append(b, '\n')
	b = append(b, c.headers...)
	b = append(b, '\n')
	b = append(b, signedHeaders...)
	b = append(b, '\n')
	if payload == PayloadUnsigned {
		b = append(b, unsignedPayload...)
	} else {
		b = hex.AppendEncode(b, r.BodyHash[:])
	}
	c.request = b
	return b
}

// stringToSign builds what is signed in the end: the claim's algorithm, instant and scope, and the hash of the canonical request.
func (c *canonicalizer) stringToSign(claim *claim, canonicalRequest []byte) []byte {
	b := append(c.toSign[:0], claim.algorithm...)
	b = append(b, '\n')
	b = append(b, claim.timestamp...)
	b = append(b, '\n')
	b = append(b, claim.date...)
	b = append(b, '/')
	if claim.algorithm == V4 {
		b = append(b, claim.region...)
		b = append(b, '/')
	}
	b = append(b, claim.service...)
	b = append(b, '/')
	b = append(b, claim.terminator...)
	b = append(b, '\n')
	hash := sha256.Sum256(canonicalRequest)
	b = hex.AppendEncode(b, hash[:])
	c.toSign = b
	return b
}

func appendPath(b []byte, path string, form PathForm) []byte {
	switch form {
	case PathAsSent:
		if path == "" {
			return append(b, '/')
		}
		return append(b, path...)
	case PathNormalized:
		path = normalize(path)
	}
	if path == "" {
		return append(b, '/')
	}
	collapses := (form == PathCollapsed || form == PathCollapsedEncoded) && !hasDotSegment(path)
	for i := range len(path) {
		switch {
		case path[i] == '/':
			if !collapses || i == 0 || path[i-1] != '/' {
				b = append(b, '/')
			}
		case form == PathCollapsed:
			b = append(b, path[i])
		default:
			b = appendEncoded(b, path[i])
		}
	}
	return b
}

// hasDotSegment reports whether normalising a path would leave out more than empty segments.
func hasDotSegment(path string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}

// normalize drops empty and "." segments and lets ".." take away the segment before it. A path that ends in a slash, or in a dot segment,
// still ends in a slash.
func normalize(path string) string {
	var kept []string
	last := ""
	for segment := range strings.SplitSeq(path, "/") {
		last = segment
		switch segment {
		case "", ".":
		case "..":
			kept = kept[:max(0, len(kept)-1)]
		default:
			kept = append(kept, segment)
		}
	}
	if len(kept) == 0 {
		return "/"
	}
	normal := "/" + strings.Join(kept, "/")
	if last == "" || last == "." || last == ".." {
		normal += "/"
	}
	return normal
}

// samePath reports whether every form of a path is the same, as it is for most: letters, digits, and no segment that normalising drops.
func samePath(path string) bool {
	for i := range len(path) {
		switch c := path[i]; {
		case c == '/':
			if i+1 < len(path) && (path[i+1] == '/' || path[i+1] == '.') {
				return false
			}
		case !isUnreserved(c):
			return false
		}
	}
	return true
}

// appendQuery appends the parameters in the form that is set, ordered by encoded name and then by encoded value. Empty
// parameters are dropped, and so is the signature of a presigned request.
func (c *canonicalizer) appendQuery(b []byte, rawQuery string) []byte {
	if rawQuery == "" {
		return b
	}
	c.pairs = c.pairs[:0]
	// An encoded parameter is at most three times as long. Growing first keeps the slices in pairs on one array.
	c.query = slices.Grow(c.query[:0], 3*len(rawQuery))
	for parameter := range strings.SplitSeq(rawQuery, "&") {
		if parameter == "" {
			continue
		}
		name, value, _ := strings.Cut(parameter, "=")
		if !c.presigned || !spells(name, "X-Amz-Signature") {
			c.pairs = append(c.pairs, pair{c.encodeAgain(name), c.encodeAgain(value)})
		}
	}
	slices.SortFunc(c.pairs, func(x, y pair) int {
		return cmp.Or(bytes.Compare(x.name, y.name), bytes.Compare(x.value, y.value))
	})
	for i, p := range c.pairs {
		if i > 0 {
			b = append(b, '&')
		}
		b = append(b, p.name...)
		b = append(b, '=')
		b = append(b, p.value...)
	}
	return b
}

// encodeAgain writes a part of the query to c.query, in its one canonical spelling unless as sent, and returns it.
func (c *canonicalizer) encodeAgain(s string) []byte {
	b := c.query
	for i := 0; i < len(s) && c.queryForm != QueryAsSent; i++ {
		ch := s[i]
		switch {
		case ch == '+' && c.queryForm == QueryDecoded:
			ch = ' '
		case ch == '%':
			ch, _ = unhexByte(s[i:])
			i += 2
		}
		b = appendEncoded(b, ch)
	}
	if c.queryForm == QueryAsSent {
		b = append(b, s...)
	}
	encoded := b[len(c.query):]
	c.query = b
	return encoded
}

// spells reports whether a part of the query, as sent, means a name. Every look for a parameter is one for what it
// means, or what is found in one place would be passed over in another.
func spells(sent, name string) bool {
	if strings.IndexByte(sent, '%') < 0 {
		return sent == name // no name that is looked for has a space
	}
	for len(sent) > 0 && name != "" {
		c, size := sent[0], 1
		if c == '%' {
			c, _ = unhexByte(sent)
			size = min(3, len(sent))
		}
		if c != name[0] {
			return false
		}
		sent, name = sent[size:], name[1:]
	}
	return sent == "" && name == ""
}

// readHeaders writes the line of each signed header: its name, a colon and its values, joined by commas in the order sent. The names must
// be in order, each once, all of them sent, host among them. signed is how many x-amz- fields they cover.
func (c *canonicalizer) readHeaders(r *Request, signedHeaders string) (signed int, err error) {
	c.headers, c.isSorted = c.headers[:0], false
	previous, host := "", false
	for name := range strings.SplitSeq(signedHeaders, ";") {
		if name <= previous {
			return 0, incomplete("SignedHeaders must be in order without repetition: '%s' comes after '%s'.", shown(name), shown(previous))
		}
		previous = name
		c.headers = append(append(c.headers, name...), ':')
		n := 1
		if name == "host" && r.Host != "" {
			host = true
			c.headers = appendValue(c.headers, r.Host)
		} else {
			c.headers, n = appendValues(c.headers, r.Header, name)
		}
		if n == 0 {
			return 0, incomplete("'%s' is named as a SignedHeader, but it does not exist in the HTTP request.", shown(name))
		}
		if hasNamePrefix(name, amzPrefix) {
			signed += n
		}
		c.headers = append(c.headers, '\n')
	}
	if !host {
		return 0, incomplete("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
	}
	return signed, nil
}

// appendValues appends the values of a header, and tells how many there are.
func appendValues(b []byte, h Fields, name string) (_ []byte, n int) {
	for i := range h {
		if !isNamed(h[i].Name, name) {
			continue
		}
		if n++; n > 1 {
			b = append(b, ',')
		}
		b = appendValue(b, h[i].Value)
	}
	return b, n
}

// appendValue appends the words of a header value with one space between them: white space around the value goes, and each run of it
// inside, folded lines included, becomes one space. Most values are one word, and a session token is one of hundreds of bytes.
func appendValue(b []byte, value string) []byte {
	start := len(b)
	if b = append(b, value...); isWord(b[start:]) {
		return b
	}
	b = b[:start]
	for word := range strings.FieldsFuncSeq(value, isSpace) {
		if len(b) > start {
			b = append(b, ' ')
		}
		b = append(b, word...)
	}
	return b
}

// isSpace reports whether a character is white space in a header value.
func isSpace(c rune) bool { return c == ' ' || '\t' <= c && c <= '\r' }

// isWord reports whether no byte is a control character or a space. It looks at eight at a time: of those in a word that are less than
// 0x21, and of no others before the first, the subtraction borrows the high bit.
func isWord(b []byte) bool {
	const each = 0x0101010101010101
	for ; len(b) >= 8; b = b[8:] {
		if x := binary.LittleEndian.Uint64(b); (x-0x21*each)&^x&(0x80*each) != 0 {
			return false
		}
	}
	for _, c := range b {
		if c <= ' ' {
			return false
		}
	}
	return true
}

// isUnreserved reports whether a byte stands for itself in the canonical request (RFC 3986 §2.3).
func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}

func appendEncoded(b []byte, c byte) []byte {
	const digits = "0123456789ABCDEF"
	if isUnreserved(c) {
		return append(b, c)
	}
	return append(b, '%', digits[c>>4], digits[c&0xf])
}

// unescape decodes a name or value of the query. It allocates only where there is something to decode.
func unescape(s string) (string, bool) {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s, true
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c, ok := s[i], true
		switch c {
		case '+':
			c = ' '
		case '%':
			c, ok = unhexByte(s[i:])
			i += 2
		}
		if !ok {
			return "", false
		}
		b = append(b, c)
	}
	return string(b), true
}

// wellEncoded reports whether each percent sign begins an escape.
func wellEncoded(s string) bool {
	for i := strings.IndexByte(s, '%'); i >= 0; {
		if _, ok := unhexByte(s[i:]); !ok {
			return false
		}
		next := strings.IndexByte(s[i+3:], '%')
		if next < 0 {
			return true
		}
		i += 3 + next
	}
	return true
}

// unhexByte reads the escape that s begins with.
func unhexByte(s string) (byte, bool) {
	if len(s) < 3 {
		return 0, false
	}
	high, low := unhex(s[1]), unhex(s[2])
	return high<<4 | low, high < 16 && low < 16
}

func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 0xff
}

func errQueryEncoding() *Refusal {
	return incomplete("The query string has a percent sign that begins no escape. Write it as '%%25'.")
}
