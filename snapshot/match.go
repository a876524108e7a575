package snapshot

import (
	"bytes"

	"pergola/lattice"
)

// Request is what a rule may ask of a request. None of the slices is kept.
type Request interface {
	Method() []byte
	// Path is the path as the client sent it: percent-encoded, without the query.
	Path() []byte
	// Header is the i-th value of a field, from 0, or false if the field has no more. The name is in lower case.
	Header(name string, i int) ([]byte, bool)
}

// Match is the rule that handles the request: the first whose conditions all hold, which is the default rule when no
// other's do (user guide, "Listener rules"). It does not allocate.
func (l *Listener) Match(r Request) *Rule {
	method, path := r.Method(), r.Path()
	last := len(l.Rules) - 1
	for i := range l.Rules[:last] {
		if m := l.Rules[i].match; m == nil || m.holds(r, method, path) {
			return &l.Rules[i]
		}
	}
	return &l.Rules[last]
}

// match is the compiled condition of a rule. All of its parts must hold.
type match struct {
	// method is compared letter for letter; "" holds for every method.
	method  string
	path    pattern
	headers []headerMatch
}

// headerMatch holds when the pattern holds for some value of the field.
type headerMatch struct {
	name    string // in lower case
	pattern pattern
}

func (m *match) holds(r Request, method, path []byte) bool {
	if m.method != "" && m.method != string(method) || !m.path.holds(path) {
		return false
	}
	for i := range m.headers {
		if !m.headers[i].holds(r) {
			return false
		}
	}
	return true
}

func (h *headerMatch) holds(r Request) bool {
	for i := 0; ; i++ {
		value, ok := r.Header(h.name, i)
		if !ok || h.pattern.holds(value) {
			return ok
		}
	}
}

// comparison is how a pattern is compared.
type comparison uint8

const (
	anything comparison = iota
	exact
	prefix
	contains
)

// pattern is a text and how values are compared with it. The zero pattern holds for every value.
type pattern struct {
	comparison comparison
	// fold takes upper and lower case letters as the same. Only ASCII has letters, as in all of HTTP's own syntax.
	fold bool
	// text is in lower case when fold is set.
	text string
	// borders belongs to the comparison "contains": see search.
	borders []int32
}

func (p *pattern) holds(value []byte) bool {
	switch p.comparison {
	case exact:
		return len(value) == len(p.text) && p.begins(value)
	case prefix:
		return len(value) >= len(p.text) && p.begins(value)
	case contains:
		return p.search(value)
	}
	return true
}

// begins reports whether a value, which is no shorter than the text, begins with it. It looks from the end of the
// text, because what tells the paths of one application apart is seldom at their beginning.
func (p *pattern) begins(value []byte) bool {
	if !p.fold {
		return string(value[:len(p.text)]) == p.text
	}
	for i := len(p.text) - 1; i >= 0; i-- {
		if lower(value[i]) != p.text[i] {
			return false
		}
	}
	return true
}

// search looks for the text in a value. Without regard to case it follows Knuth, Morris and Pratt: one pass for
// any value, so that no header can be made to cost a multiple of its length. borders[i] is how many bytes the text
// up to and with byte i has in common with its own beginning, and so how far a failed comparison falls back.
func (p *pattern) search(value []byte) bool {
	if !p.fold {
		return bytes.Contains(value, []byte(p.text))
	}
	found := 0
	for _, c := range value {
		c = lower(c)
		for found > 0 && p.text[found] != c {
			found = int(p.borders[found-1])
		}
		if p.text[found] == c {
			found++
		}
		if found == len(p.text) {
			return true
		}
	}
	return false
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + ('a' - 'A')
	}
	return c
}

func lowerString(s string) string {
	b := []byte(s)
	for i, c := range b {
		b[i] = lower(c)
	}
	return string(b)
}

func compileMatch(m *lattice.RuleMatch) *match {
	compiled := &match{}
	if m == nil || m.HTTPMatch == nil {
		return compiled
	}
	compiled.method = m.HTTPMatch.Method
	if p := m.HTTPMatch.PathMatch; p != nil {
		compiled.path = compilePattern(p.CaseSensitive, p.Match.Exact, p.Match.Prefix, nil)
	}
	for _, h := range m.HTTPMatch.HeaderMatches {
		compiled.headers = append(compiled.headers, headerMatch{
			name:    lowerString(h.Name),
			pattern: compilePattern(h.CaseSensitive, h.Match.Exact, h.Match.Prefix, h.Match.Contains),
		})
	}
	return compiled
}

// compilePattern compiles whichever of the texts is there.
func compilePattern(caseSensitive *bool, whole, beginning, part *string) pattern {
	p := pattern{fold: caseSensitive == nil || !*caseSensitive}
	switch {
	case whole != nil:
		p.comparison, p.text = exact, *whole
	case beginning != nil:
		p.comparison, p.text = prefix, *beginning
	case part != nil && *part != "":
		p.comparison, p.text = contains, *part
	}
	if p.fold {
		p.text = lowerString(p.text)
	}
	if p.fold && p.comparison == contains {
		p.borders = borders(p.text)
	}
	return p
}

func borders(text string) []int32 {
	b := make([]int32, len(text))
	common := int32(0)
	for i := 1; i < len(text); i++ {
		for common > 0 && text[common] != text[i] {
			common = b[common-1]
		}
		if text[common] == text[i] {
			common++
		}
		b[i] = common
	}
	return b
}
