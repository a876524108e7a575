package snapshot

import "strings"

// Shadow is a rule before the i-th one that matches every request that the i-th would, which so is never used; nil if
// no rule is known to.
func (l *Listener) Shadow(i int) *Rule {
	for j := range l.Rules[:i] {
		if l.Rules[j].match.covers(l.Rules[i].match) {
			return &l.Rules[j]
		}
	}
	return nil
}

// covers reports whether every request that other matches is matched too.
func (m *match) covers(other *match) bool {
	if other == nil || m == nil || m.method != "" && m.method != other.method || !m.path.covers(&other.path) {
		return false
	}
	for _, h := range m.headers {
		if !other.has(h) {
			return false
		}
	}
	return true
}

// has reports whether a request is matched only if some value of a field holds for what h asks.
func (m *match) has(h headerMatch) bool {
	for _, own := range m.headers {
		if own.name == h.name && h.pattern.covers(&own.pattern) {
			return true
		}
	}
	return false
}

// covers reports whether every value that other holds for is held for too.
func (p *pattern) covers(other *pattern) bool {
	if p.comparison == anything {
		return true
	}
	if other.comparison == anything || other.fold && !p.fold {
		return false
	}
	text := other.text
	if p.fold {
		text = lowerString(text)
	}
	switch p.comparison {
	case exact:
		return other.comparison == exact && text == p.text
	case prefix:
		return other.comparison != contains && strings.HasPrefix(text, p.text)
	}
	return strings.Contains(text, p.text)
}
