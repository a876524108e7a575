package policy

import (
	"strings"
	"unicode/utf8"
)

// glob is a pattern cut at its runs: the first segment matches the beginning of a text, the last one its end, and those
// between are looked for one after the other, each where it first occurs. Taking the first is enough, since a run
// reaches from an earlier place as far as from a later one. So a match takes time by the length of the
// text, save for long segments that hold ? or variables, which may be tried at many places.
type glob []segment

// segment is the pieces between two runs.
type segment struct {
	pieces []piece
	shift  *shift // finds them, nil where another way does
}

// globOf cuts pieces at their runs, whose reach is left to the caller. A ? behind a run goes before it, which is the
// same and leaves segments that begin with text.
func globOf(pieces []piece) glob {
	g := glob{{}}
	for _, p := range pieces {
		last := len(g) - 1
		afterRun := last > 0 && len(g[last].pieces) == 0
		switch {
		case p.kind == run && afterRun:
		case p.kind == run:
			g = append(g, segment{})
		case p.kind == one && afterRun:
			g[last-1].pieces = append(g[last-1].pieces, p)
		default:
			g[last].pieces = append(g[last].pieces, p)
		}
	}
	for i := 1; i < len(g)-1; i++ {
		g[i].shift = newShift(g[i].pieces)
	}
	return g
}

// matcher matches in the course of one evaluation.
type matcher struct {
	*Request
	fold bool // letters match in either case
}

// match reports whether a glob covers the whole of s.
func (m matcher) match(g glob, s string) bool {
	n, ok := m.begins(s, g[0].pieces)
	last := len(g) - 1
	if !ok || last == 0 {
		return ok && n == len(s)
	}
	s = s[n:]
	for i := range g[1:last] {
		if s, ok = m.after(&g[1+i], s); !ok {
			return false
		}
	}
	return m.ends(s, g[last].pieces)
}

// begins matches a segment with the front of s, and returns how much of s it takes.
func (m matcher) begins(s string, pieces []piece) (n int, ok bool) {
	for i := range pieces {
		took, ok := m.take(&pieces[i], s[n:])
		if !ok {
			return 0, false
		}
		n += took
	}
	return n, true
}

// take matches one piece with the front of s.
func (m matcher) take(p *piece, s string) (int, bool) {
	m.spend(workPiece)
	if p.kind == one {
		_, width := utf8.DecodeRuneInString(s)
		return width, width > 0
	}
	text, ok := m.text(p)
	m.spend(min(len(text), len(s)) / workSearched)
	switch {
	case !ok:
		return 0, false
	case strings.HasPrefix(s, text):
		return len(text), true
	case m.fold:
		m.spend(min(len(text), len(s)))
		return foldPrefix(s, text)
	}
	return 0, false
}

// text is what a literal or a variable stands for; none for a variable without value.
func (m matcher) text(p *piece) (string, bool) {
	if p.kind == variablePiece {
		m.spend(2 * workValue)
		return p.variable.value(m.Request)
	}
	return p.text, true
}

// ends matches a segment with the end of s.
func (m matcher) ends(s string, pieces []piece) bool {
	for i := len(pieces) - 1; i >= 0; i-- {
		m.spend(workPiece)
		p := &pieces[i]
		if p.kind == one {
			_, width := utf8.DecodeLastRuneInString(s)
			if width == 0 {
				return false
			}
			s = s[:len(s)-width]
			continue
		}
		text, ok := m.text(p)
		if !ok || len(text) > len(s) {
			return false
		}
		cut := len(s) - len(text)
		m.spend(len(text) / workSearched)
		if s[cut:] != text && !(m.fold && strings.EqualFold(s[cut:], text)) {
			return false
		}
		s = s[:cut]
	}
	return true
}

// after finds the first place in s at which a segment matches, and returns what follows it.
func (m matcher) after(g *segment, s string) (rest string, ok bool) {
	if g.shift != nil && !m.fold {
		return g.shift.after(s, m.Request)
	}
	lead, ok := m.text(&g.pieces[0]) // never a ?: see globOf
	for ok && !m.exhausted() {
		m.spend(workTry)
		skipped := 0
		if !m.fold {
			skipped = m.search(s, lead)
		}
		if skipped < 0 {
			return "", false
		}
		s = s[skipped:]
		if n, ok := m.begins(s, g.pieces); ok {
			return s[n:], true
		}
		_, width := utf8.DecodeRuneInString(s)
		if width == 0 {
			return "", false
		}
		s = s[width:]
	}
	return "", false
}

// shift finds a segment of text and ? in one pass over what is searched, however often it begins and does not go on
// (Shift-And, Baeza-Yates and Gonnet 1992). Bit i of a set stands for the first i+1 characters of the segment.
type shift struct {
	of    [utf8.RuneSelf]uint8 // for each character its place in sets
	sets  []uint64             // where in the segment a character may stand; the first is for all that are not in it
	found uint64
}

// newShift returns nil for segments that are plain text, are too long or have characters beyond ASCII or variables.
func newShift(pieces []piece) *shift {
	if len(pieces) < 2 {
		return nil
	}
	s, at, anything := &shift{sets: []uint64{0}, found: 1}, 0, uint64(0)
	for _, p := range pieces {
		if p.kind == variablePiece || at+max(1, len(p.text)) > 64 {
			return nil
		}
		if p.kind == one {
			anything |= 1 << at
			at++
		}
		for i := range len(p.text) {
			c := p.text[i]
			if c >= utf8.RuneSelf {
				return nil
			}
			if s.of[c] == 0 {
				s.of[c] = uint8(len(s.sets))
				s.sets = append(s.sets, 0)
			}
			s.sets[s.of[c]] |= 1 << at
			at++
		}
	}
	for i := range s.sets {
		s.sets[i] |= anything
	}
	s.found <<= at - 1
	return s
}

// after returns what follows the first place in text at which the segment matches.
func (s *shift) after(text string, r *Request) (rest string, ok bool) {
	begun := uint64(0)
	for i, c := range text {
		set, width := s.sets[0], 1
		if c < utf8.RuneSelf {
			set = s.sets[s.of[c]]
		} else {
			_, width = utf8.DecodeRuneInString(text[i:])
		}
		if begun = (begun<<1 | 1) & set; begun&s.found != 0 {
			r.spend(i)
			return text[i+width:], true
		}
	}
	r.spend(len(text))
	return "", false
}

// part is one of the first five parts of an ARN, as a pattern has it.
type part struct {
	whole  glob // what the part must be
	begins glob // the same with a run behind it; nil unless open
	// open says that the part ends with a run that may go on over the parts that follow, up to the resource part.
	open bool
	// last says that the pattern ends here, and so before the resource part.
	last bool
}

// partsOf takes the first five parts off the front of an ARN's pieces, and makes a glob of the rest.
func partsOf(pieces []piece) (parts []part, rest glob) {
	var current []piece
	for i, p := range pieces {
		for p.kind == literal && len(parts) < headParts {
			text, more, found := strings.Cut(p.text, ":")
			if !found {
				break
			}
			if text != "" {
				current = append(current, piece{kind: literal, text: text})
			}
			parts, current, p.text = append(parts, partOf(current)), nil, more
			if len(parts) == headParts {
				if p.text != "" {
					current = append(current, p)
				}
				return parts, globOf(append(current, pieces[i+1:]...))
			}
		}
		if p.kind != literal || p.text != "" {
			current = append(current, p)
		}
	}
	end := partOf(current)
	end.last = true
	return append(parts, end), nil
}

func partOf(pieces []piece) part {
	var p part
	if last := len(pieces) - 1; last >= 0 && pieces[last].kind == run && pieces[last].reach != within {
		p.open, pieces = true, pieces[:last]
		p.begins = globOf(append(pieces[:last:last], piece{kind: run}))
	}
	p.whole = globOf(pieces)
	return p
}

// matchParts matches the parts of an ARN, and then the rest. Wildcards in a part match no colon, so a part covers what
// is between one colon and the next. Only an open part may end at a later colon as well. So it is enough to keep, as a
// set of bits, at which colons of s the parts so far can end: 0 is its beginning, and none can be beyond mostColons.
func (m matcher) matchParts(parts []part, rest glob, s string) bool {
	var colons [mostColons + 1]int // where what follows each colon begins
	known := 1
	for i := 0; i < len(s) && known < len(colons); known++ {
		next := strings.IndexByte(s[i:], ':')
		if next < 0 {
			break
		}
		i += next + 1
		colons[known] = i
	}
	m.spend(workTry + len(s)/workScanned)
	ends := uint(1)
	for i := range parts {
		var next uint
		for at := range known {
			if ends&(1<<at) == 0 {
				continue
			}
			if parts[i].last {
				if m.matchLast(&parts[i], s[colons[at]:]) {
					return true
				}
			} else if at+1 < known {
				next |= m.endsOf(&parts[i], s[colons[at]:colons[at+1]-1], at, known)
			}
		}
		ends = next
	}
	for at := range known {
		if ends&(1<<at) != 0 && m.match(rest, s[colons[at]:]) {
			return true
		}
	}
	return false
}

// mostColons is how many colons of a text the first five parts of a pattern can cover: an open part reaches to the
// fifth, and four others may follow it.
const mostColons = 2*headParts - 1

// endsOf is at which colons a part can end that begins behind colon number at, where text is what comes before the
// next.
func (m matcher) endsOf(p *part, text string, at, known int) (ends uint) {
	if p.open && at < headParts && m.match(p.begins, text) {
		for end := at + 1; end <= headParts && end < known; end++ {
			ends |= 1 << end
		}
		return ends
	}
	if m.match(p.whole, text) {
		ends = 1 << (at + 1)
	}
	return ends
}

// matchLast matches the part with which a pattern ends. Here a run at the end reaches anywhere.
func (m matcher) matchLast(p *part, s string) bool {
	text, _, more := strings.Cut(s, ":")
	if p.open {
		return m.match(p.begins, text)
	}
	return !more && m.match(p.whole, text)
}
