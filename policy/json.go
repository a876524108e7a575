package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// shape is the JSON type of a value.
type shape uint8

const (
	jsonNull shape = iota
	jsonBool
	jsonNumber
	jsonString
	jsonList
	jsonObject
)

func (s shape) String() string {
	return [...]string{"null", "a boolean", "a number", "a string", "a list", "an object"}[s]
}

// node is a JSON value with its place.
type node struct {
	position
	shape   shape
	text    string // of a string its value, of a number or a boolean its spelling
	items   []*node
	members []member
}

// member is a name in an object and its value. The place is the name's.
type member struct {
	position
	name  string
	value *node
}

// member returns the value of a name, or nil.
func (n *node) member(name string) *node {
	for _, m := range n.members {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

// reader builds the tree of a document whose syntax is known to be right. encoding/json reads the tokens; the reader
// adds what it does not give: places, and the refusal of what would be silently changed or dropped.
type reader struct {
	problems
	tokens *json.Decoder
}

// The bounds of a document, which are looked at before anything is made of it. Nothing within the quotas of IAM, VPC
// Lattice or Organizations comes near them.
const (
	// MaxBytes bounds a document with its white space: as many as IAM takes characters.
	MaxBytes = 128 << 10
	// MaxValues bounds the values in a document, at all depths.
	MaxValues = 4096
	// deepest is how many brackets can be open at once. A policy needs six: for a value in the list of a condition key.
	deepest = 8
)

// readJSON returns nil when the document is not JSON, or beyond the bounds; the problems then say why.
func readJSON(p *problems) *node {
	if len(p.source) > MaxBytes {
		p.add(position{}, "the document has %d bytes, the limit is %d; shorten it", len(p.source), MaxBytes)
		return nil
	}
	if !utf8.Valid(p.source) {
		p.add(position{}, "the document is not UTF-8; encode it as UTF-8")
		return nil
	}
	if at, beyond := measure(p.source); beyond != "" {
		p.add(position{offset: at}, "%s", beyond)
		return nil
	}
	var whole json.RawMessage
	var syntax *json.SyntaxError
	if errors.As(json.Unmarshal(p.source, &whole), &syntax) {
		at := min(max(int(syntax.Offset)-1, 0), len(p.source))
		p.add(position{offset: at}, "the document is not JSON: %s", syntax)
		return nil
	}
	r := reader{problems: *p, tokens: json.NewDecoder(bytes.NewReader(p.source))}
	r.tokens.UseNumber()
	root := r.value(position{offset: r.offset()})
	*p = r.problems
	return root
}

// measure finds where a document first opens more than deepest brackets or has more than MaxValues values. It looks at
// brackets, commas and the ends of strings only.
func measure(document []byte) (at int, beyond string) {
	depth, values, inString := 0, 1, false
	for i := 0; i < len(document); i++ {
		switch c := document[i]; {
		case inString:
			if c == '\\' {
				i++
			}
			inString = c != '"'
		case c == '"':
			inString = true
		case c == ',':
			values++
		case c == '[' || c == '{':
			values++
			if depth++; depth > deepest {
				return i, "nothing in a policy is nested so deep; remove it"
			}
		case c == ']' || c == '}':
			depth--
		}
		if values > MaxValues {
			return i, fmt.Sprintf("the document has more than %d values; use wildcards, or part it", MaxValues)
		}
	}
	return 0, ""
}

// offset is where the next token begins.
func (r *reader) offset() int {
	at := int(r.tokens.InputOffset())
	return at + len(r.source[at:]) - len(bytes.TrimLeft(r.source[at:], " \t\r\n,:"))
}

func (r *reader) value(at position) *node {
	n := &node{position: at}
	token, _ := r.tokens.Token() // cannot fail: readJSON has checked the syntax
	switch t := token.(type) {
	case bool:
		n.shape, n.text = jsonBool, strconv.FormatBool(t)
	case json.Number:
		n.shape, n.text = jsonNumber, t.String()
	case string:
		n.shape, n.text = jsonString, r.checked(n.position, t)
	case json.Delim:
		if t == '[' {
			r.list(n)
		} else {
			r.object(n)
		}
		r.tokens.Token() // the closing bracket
	}
	return n
}

func (r *reader) list(n *node) {
	n.shape = jsonList
	for r.tokens.More() {
		n.items = append(n.items, r.value(position{&n.position, strconv.Itoa(len(n.items)), r.offset()}))
	}
}

// object refuses a name that stands twice: which of the two values counts would depend on who reads (IAM user guide,
// Grammar: no element may contain the same key twice).
func (r *reader) object(n *node) {
	n.shape = jsonObject
	seen := map[string]bool{}
	for r.tokens.More() {
		at := position{in: &n.position, offset: r.offset()}
		token, _ := r.tokens.Token()
		at.name = token.(string)
		if seen[at.name] {
			r.add(at, "%q is here twice; keep one, or join their values in a list", at.name)
		}
		seen[at.name] = true
		name := r.checked(at, at.name)
		n.members = append(n.members, member{at, name, r.value(position{&n.position, name, r.offset()})})
	}
}

// checked refuses text that could not be decoded: half of a surrogate pair, for which the decoder puts U+FFFD.
func (r *reader) checked(at position, s string) string {
	if strings.ContainsRune(s, utf8.RuneError) {
		r.add(at, "the text holds U+FFFD or half of a surrogate pair; remove it")
	}
	return s
}
