package api

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// checks are the constraints of one member, as package lattice writes them in its field tags.
type checks struct {
	required bool
	union    bool
	length   *interval
	values   *interval
	enum     []string
	// texts say what is wrong with a string or with a map, or "".
	text func(string) string
	tags func(map[string]string) string
	each *checks
}

// interval is an inclusive range.
type interval struct{ from, to int64 }

func (i interval) holds(n int64) bool { return i.from <= n && n <= i.to }

// String is the range in words.
func (i interval) String() string {
	switch {
	case i.to == math.MaxInt64:
		return fmt.Sprintf("at least %d", i.from)
	case i.from == math.MinInt64:
		return fmt.Sprintf("at most %d", i.to)
	}
	return fmt.Sprintf("%d to %d", i.from, i.to)
}

// parseChecks reads a check tag.
func parseChecks(tag string) (checks, error) {
	var c checks
	rest := tag
	for rest != "" {
		if inner, after, ok := cutEach(rest); ok {
			each, err := parseChecks(inner)
			if err != nil {
				return c, err
			}
			c.each, rest = &each, after
			continue
		}
		var part string
		part, rest, _ = strings.Cut(rest, ",")
		key, value, _ := strings.Cut(part, "=")
		if err := c.add(key, value); err != nil {
			return c, fmt.Errorf("check %q: %w", tag, err)
		}
	}
	return c, nil
}

// cutEach takes "each=(…)" off the front of a tag.
func cutEach(tag string) (inner, rest string, ok bool) {
	body, ok := strings.CutPrefix(tag, "each=(")
	if !ok {
		return "", "", false
	}
	inner, rest, ok = strings.Cut(body, ")")
	return inner, strings.TrimPrefix(rest, ","), ok
}

func (c *checks) add(key, value string) (err error) {
	switch key {
	case "required":
		c.required = true
	case "union":
		c.union = true
	case "len":
		c.length, err = parseInterval(value)
	case "range":
		c.values, err = parseInterval(value)
	case "enum":
		c.enum = strings.Split(value, "|")
	case "name":
		c.text = func(s string) string { return nameFault(s, value) }
	case "id":
		c.text, err = identifierRule(value)
	case "pattern":
		if value == "tags" {
			c.tags = tagsFault
			return nil
		}
		c.text, err = patternRule(value)
	case "match":
		c.text, err = matchRule(value)
	default:
		err = fmt.Errorf("unknown constraint %q", key)
	}
	return err
}

func parseInterval(s string) (*interval, error) {
	from, to, ok := strings.Cut(s, "..")
	a, errFrom := strconv.ParseInt(cmp.Or(from, strconv.FormatInt(math.MinInt64, 10)), 10, 64)
	b, errTo := strconv.ParseInt(cmp.Or(to, strconv.FormatInt(math.MaxInt64, 10)), 10, 64)
	if !ok || errFrom != nil || errTo != nil || a > b {
		return nil, fmt.Errorf("%q is no range a..b", s)
	}
	return &interval{a, b}, nil
}

// stringFault says what is wrong with a value, or "". Of several faults it names the first: an empty string is too
// short before it is anything else.
func (c *checks) stringFault(s string) string {
	if c.length != nil && !c.length.holds(int64(utf8.RuneCountInString(s))) {
		return fmt.Sprintf("must have %s characters, has %d", c.length, utf8.RuneCountInString(s))
	}
	if c.enum != nil && !slices.Contains(c.enum, s) {
		return fmt.Sprintf("must be one of %s, is %s", strings.Join(c.enum, ", "), quoted(s))
	}
	if c.text != nil {
		return c.text(s)
	}
	return ""
}

func (c *checks) numberFault(n int64) string {
	if c.values != nil && !c.values.holds(n) {
		if c.values.from == math.MinInt64 || c.values.to == math.MaxInt64 {
			return fmt.Sprintf("must be %s, is %d", c.values, n)
		}
		return fmt.Sprintf("must be from %s, is %d", c.values, n)
	}
	return ""
}

// entriesFault judges the number of elements of a list or entries of a map.
func (c *checks) entriesFault(n int) string {
	if c.length != nil && !c.length.holds(int64(n)) {
		return fmt.Sprintf("must have %s entries, has %d", c.length, n)
	}
	return ""
}

// quoted is a value of the caller's as messages show it: quoted, and cut where it is long.
func quoted(s string) string {
	const limit = 100
	if runes := []rune(s); len(runes) > limit {
		s = string(runes[:limit]) + "…"
	}
	return strconv.Quote(s)
}
