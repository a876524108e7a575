package apimodel

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// checks are the constraints of a member by their keys, each as it stands in a check tag. The last one may be each, of
// the elements of a list.
type checks struct {
	by   map[string]string
	each *checks
}

// checkOrder is the order of constraints in a tag.
var checkOrder = []string{"required", "union", "len", "range", "enum", "id", "name", "pattern", "match"}

// String is the tag.
func (c *checks) String() string {
	var parts []string
	for _, key := range checkOrder {
		if constraint, ok := c.by[key]; ok {
			parts = append(parts, constraint)
		}
	}
	if c.each != nil {
		if each := c.each.String(); each != "" {
			parts = append(parts, "each=("+each+")")
		}
	}
	return strings.Join(parts, ",")
}

// checks are those of a member: what the model says, changed by the notes on its shape and on the member.
func (f *fields) checks(u use, required bool) (*checks, error) {
	c, err := f.checksOf(u.Member.Shape)
	if err != nil {
		return nil, err
	}
	if required {
		c.by["required"] = "required"
	}
	return c, c.change(u.Note.Check)
}

func (b *builder) checksOf(shape string) (*checks, error) {
	s, c := b.Shapes.By[shape], &checks{by: map[string]string{}}
	if s.Union {
		c.by["union"] = "union"
	}
	if s.Min != "" || s.Max != "" {
		switch s.Type {
		case "string", "blob", "list", "map":
			c.by["len"] = "len=" + string(s.Min) + ".." + string(s.Max)
		case "integer", "long":
			c.by["range"] = "range=" + string(s.Min) + ".." + string(s.Max)
		}
	}
	if len(s.Enum) > 0 && !s.Open {
		c.by["enum"] = "enum=" + strings.Join(s.Enum, "|")
	}
	noted := strings.Split(s.Check, ",")
	silent := slices.ContainsFunc(noted, func(n string) bool {
		return n == "-pattern" || strings.HasPrefix(n, "pattern=") || strings.HasPrefix(n, "id=") ||
			strings.HasPrefix(n, "name")
	})
	if s.Pattern != "" && !silent {
		rule, err := ruleFor(s.Pattern)
		if err != nil {
			return nil, fmt.Errorf("shape %s: %w", shape, err)
		}
		key, _, _ := strings.Cut(rule, "=")
		c.by[key] = rule
	}
	if s.Type == "list" {
		each, err := b.checksOf(s.Member.Shape)
		if err != nil {
			return nil, err
		}
		c.each = each
	}
	return c, c.change(s.Check)
}

// change takes a note on checks into account.
func (c *checks) change(note string) error {
	for note != "" {
		var part string
		if inner, ok := strings.CutPrefix(note, "each=("); ok {
			inner, note, _ = strings.Cut(inner, ")")
			c.each = &checks{by: map[string]string{}}
			if err := c.each.change(inner); err != nil {
				return err
			}
			note = strings.TrimPrefix(note, ",")
			continue
		}
		part, note, _ = strings.Cut(note, ",")
		key, _, _ := strings.Cut(strings.TrimPrefix(part, "-"), "=")
		if key == "each" && part == "-each" {
			c.each = nil
			continue
		}
		if !slices.Contains(checkOrder, key) {
			return fmt.Errorf("the note on checks has %q; there are %v and each", part, checkOrder)
		}
		for _, same := range sameAs(key) {
			delete(c.by, same)
		}
		if !strings.HasPrefix(part, "-") {
			c.by[key] = part
		}
	}
	return nil
}

// sameAs are keys that exclude each other: all are rules for the text.
func sameAs(key string) []string {
	rules := []string{"id", "name", "pattern", "match"}
	if slices.Contains(rules, key) {
		return rules
	}
	return []string{key}
}

// ruleFor is the check for a pattern of a model: a rule of package api where the table has one, and else the pattern
// itself, if Go can read it.
func ruleFor(pattern string) (string, error) {
	if rule, ok := rules[pattern]; ok {
		return rule, nil
	}
	readable := codePoint.ReplaceAllString(pattern, `\x{$1}`)
	if _, err := regexp.Compile(readable); err != nil {
		return "", fmt.Errorf("the pattern %s is in no rule of package api, and Go cannot read it (%w); "+
			"give it a rule in the table rules, or note a check", pattern, err)
	}
	return "match=" + Escape(readable), nil
}

// codePoint is how models name a character, which Go does otherwise.
var codePoint = regexp.MustCompile(`\\u([0-9A-Fa-f]{4})`)

// Escape writes a pattern so that it can stand in a check tag, where commas and brackets part constraints.
func Escape(pattern string) string {
	var b strings.Builder
	for _, c := range []byte(pattern) {
		if strings.IndexByte("%,()\"`", c) >= 0 || c < ' ' || c > '~' {
			fmt.Fprintf(&b, "%%%02X", c)
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}
