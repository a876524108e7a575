package policy

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// syntax says which characters of a pattern have a meaning.
type syntax uint8

const (
	wildcards   syntax = 1 << iota // * and ?
	variables                      // ${key}, ${key, 'default'}, ${*}, ${?}, ${$}
	ignoreCase                     // letters match in either case
	resourceARN                    // the text is a resource: if it begins with arn:, wildcards respect its parts
)

// pattern is text to compare with, split once.
type pattern struct {
	form   form
	fold   bool    // letters match in either case
	pieces []piece // as written
	parts  []part  // of an ARN with wildcards in its first five parts, those that wildcards respect
	glob   glob    // what follows them, or all of the pattern
}

// form singles out the patterns that most policies are made of, and that need no search.
type form uint8

const (
	general    form = iota
	everything      // *
	exact           // one literal
	prefix          // one literal and *
)

// piece is one step of a pattern.
type piece struct {
	kind     pieceKind
	reach    reach     // of one and run
	text     string    // of literal
	variable *variable // of variablePiece
}

type pieceKind uint8

const (
	literal       pieceKind = iota // exactly this text
	one                            // ?: any one character
	run                            // *: any characters, also none
	variablePiece                  // the value of a key, in which nothing has a meaning
)

// reach is how far a wildcard goes (IAM user guide, Resource, Using wildcards in resource ARNs).
type reach uint8

const (
	// anywhere is the reach of wildcards in the resource part of an ARN, where neither slash nor colon is special, of
	// a * that ends the pattern, and of all wildcards in a pattern that is not an ARN.
	anywhere reach = iota
	// within is the reach of wildcards within one of the first five parts: they match no colon.
	within
	// head is the reach of a * that ends one of the first five parts: it may run over the parts that follow, but not
	// into the resource part. The guide does not state this limit. Without it the text of a resource, which for a
	// request is a path that the caller chooses, could pose as the account that the pattern asks for.
	head
)

// headParts is how many parts of an ARN come before the resource part.
const headParts = 5

// variable stands for the value of a condition key.
type variable struct {
	key        Key
	written    string // "${aws:username}"
	fallback   string
	hasDefault bool
}

// newPattern splits text. It fails only on variables: on malformed ones, and on those in the first five parts of an ARN.
func newPattern(text string, s syntax) (pattern, error) {
	b := builder{
		pattern: pattern{fold: s&ignoreCase != 0},
		isARN:   s&resourceARN != 0 && strings.HasPrefix(text, "arn:"),
	}
	for text != "" {
		switch {
		case s&wildcards != 0 && (text[0] == '*' || text[0] == '?'):
			b.wildcard(text)
			text = text[1:]
		case s&variables != 0 && strings.HasPrefix(text, "${"):
			n, err := b.variable(text)
			if err != nil {
				return pattern{}, err
			}
			text = text[n:]
		default:
			n := 1 + strings.IndexAny(text[1:], "*?$")
			if n == 0 {
				n = len(text)
			}
			b.text.WriteString(text[:n])
			b.colons += strings.Count(text[:n], ":")
			text = text[n:]
		}
	}
	b.flush()
	if len(b.pieces) == 0 {
		b.pieces = []piece{{kind: literal}}
	}
	b.form = b.formOf()
	if b.parted {
		b.parts, b.glob = partsOf(b.pieces)
	} else {
		b.glob = globOf(b.pieces)
	}
	return b.pattern, nil
}

// formOf recognises the simple forms.
func (b *builder) formOf() form {
	isRun := func(p piece) bool { return p.kind == run && p.reach == anywhere }
	switch p := b.pieces; {
	case len(p) == 1 && isRun(p[0]):
		return everything
	case len(p) == 1 && p[0].kind == literal:
		return exact
	case len(p) == 2 && p[0].kind == literal && isRun(p[1]):
		return prefix
	}
	return general
}

// builder makes a pattern piece by piece.
type builder struct {
	pattern
	text   strings.Builder // of the literal that is being read
	isARN  bool
	parted bool // there are wildcards in the first five parts of an ARN
	colons int  // so far, outside of variables
}

// add ends the literal that is being read, and adds a piece.
func (b *builder) add(p piece) {
	b.flush()
	if last := len(b.pieces) - 1; last >= 0 && p.kind == run && b.pieces[last] == p {
		return // ** is *
	}
	b.pieces = append(b.pieces, p)
}

func (b *builder) flush() {
	if b.text.Len() > 0 {
		b.pieces = append(b.pieces, piece{kind: literal, text: b.text.String()})
		b.text.Reset()
	}
}

// wildcard adds the first character of text, which is * or ?.
func (b *builder) wildcard(text string) {
	p := piece{kind: one}
	if text[0] == '*' {
		p.kind = run
	}
	inHead := b.isARN && b.colons < headParts
	switch {
	case !inHead || text == "*":
	case strings.HasPrefix(text, "*:"):
		p.reach, b.parted = head, true
	default:
		p.reach, b.parted = within, true
	}
	b.add(p)
}

// variable adds the variable that text begins with, and returns its length.
func (b *builder) variable(text string) (int, error) {
	body, fallback, n, ok := cutVariable(text)
	switch {
	case !ok:
		return 0, fmt.Errorf("%q has a variable that does not end; write ${key}, ${key, 'default'} or ${$} for a dollar sign", text)
	case body == "*" || body == "?" || body == "$":
		b.text.WriteString(body)
		return n, nil
	case checkKey(body) != nil:
		return 0, fmt.Errorf("${%s} names no condition key; write ${prefix:name}, or ${$} for a dollar sign", body)
	case b.isARN && b.colons < headParts:
		return 0, errors.New("a variable can stand only in the resource part of an ARN, after the fifth colon")
	}
	v := &variable{key: NewKey(body), written: text[:n], hasDefault: fallback != nil}
	if fallback != nil {
		v.fallback = *fallback
	}
	b.add(piece{kind: variablePiece, variable: v})
	return n, nil
}

// cutVariable takes ${body} or ${body, 'fallback'} off the front of text; n is its length.
func cutVariable(text string) (body string, fallback *string, n int, ok bool) {
	end := strings.IndexAny(text, ",}")
	if end < 0 {
		return "", nil, 0, false
	}
	body = text[len("${"):end]
	if text[end] == '}' {
		return body, nil, end + 1, true
	}
	quoted := strings.TrimLeft(text[end+1:], " ")
	value, rest, closed := strings.Cut(strings.TrimPrefix(quoted, "'"), "'}")
	if !closed || !strings.HasPrefix(quoted, "'") {
		return "", nil, 0, false
	}
	return body, &value, len(text) - len(rest), true
}

// match reports whether the pattern covers the whole of s.
func (p *pattern) match(s string, r *Request) bool {
	r.spend(workPattern)
	switch p.form {
	case everything:
		return true
	case exact:
		text := p.pieces[0].text
		if s == text {
			return true
		}
		return p.fold && p.matchFolded(s, r)
	case prefix:
		text := p.pieces[0].text
		if strings.HasPrefix(s, text) {
			return true
		}
		return p.fold && len(s) >= len(text) && p.matchFolded(s[:len(text)], r)
	}
	r.spend(workGlob)
	m := matcher{r, p.fold}
	if len(p.parts) > 0 {
		return m.matchParts(p.parts, p.glob, s)
	}
	return m.match(p.glob, s)
}

// matchFolded compares s with the pattern's text in either case.
func (p *pattern) matchFolded(s string, r *Request) bool {
	r.spend(min(len(s), len(p.pieces[0].text)))
	return strings.EqualFold(s, p.pieces[0].text)
}

// foldPrefix is strings.HasPrefix for letters in either case, which need not be as long as each other.
func foldPrefix(s, prefix string) (int, bool) {
	n := 0
	for _, want := range prefix {
		got, width := utf8.DecodeRuneInString(s[n:])
		if width == 0 || got == utf8.RuneError || !sameLetter(got, want) {
			return 0, false
		}
		n += width
	}
	return n, true
}

func sameLetter(a, b rune) bool {
	if a == b {
		return true
	}
	for other := unicode.SimpleFold(a); other != a; other = unicode.SimpleFold(other) {
		if other == b {
			return true
		}
	}
	return false
}

// value is what stands for the variable in a request; none if the key has none and there is no default.
func (v *variable) value(r *Request) (string, bool) {
	if value, ok := r.single(&v.key); ok {
		return value, true
	}
	return v.fallback, v.hasDefault
}

// filled is the pattern's text with the values of the request in place of its variables.
func (p *pattern) filled(r *Request) string {
	var b strings.Builder
	for _, piece := range p.pieces {
		switch piece.kind {
		case literal:
			b.WriteString(piece.text)
		case one:
			b.WriteByte('?')
		case run:
			b.WriteByte('*')
		case variablePiece:
			value, ok := piece.variable.value(r)
			if !ok {
				value = piece.variable.written
			}
			b.WriteString(value)
		}
	}
	return b.String()
}
