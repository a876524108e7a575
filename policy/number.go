package policy

import (
	"cmp"
	"strings"
	"time"
)

// order is the set of outcomes of a comparison that an operator accepts.
type order uint8

const (
	less order = 1 << iota
	equal
	greater
)

// accepts takes the outcome of a comparison: -1, 0 or 1.
func (o order) accepts(outcome int) bool { return o&(less<<(outcome+1)) != 0 }

// decimal is an integer or decimal number, exact at any length: two large numbers that differ only in the last digit
// are different, which would not be so in floating point.
type decimal struct {
	negative bool
	whole    string // without leading zeros
	fraction string // without trailing zeros
}

// parseDecimal reads digits with an optional sign and an optional fraction.
func parseDecimal(s string) (d decimal, ok bool) {
	if s != "" && (s[0] == '-' || s[0] == '+') {
		d.negative = s[0] == '-'
		s = s[1:]
	}
	whole, fraction, pointed := strings.Cut(s, ".")
	if !isDigits(whole) || pointed && !isDigits(fraction) {
		return decimal{}, false
	}
	d.whole, d.fraction = strings.TrimLeft(whole, "0"), strings.TrimRight(fraction, "0")
	if d.whole == "" && d.fraction == "" {
		d.negative = false // -0 is 0
	}
	return d, true
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// compare is -1, 0 or 1 as d is less than, equal to or greater than e.
func (d decimal) compare(e decimal) int {
	switch {
	case d.negative && e.negative:
		return e.compareSize(d)
	case d.negative:
		return -1
	case e.negative:
		return 1
	}
	return d.compareSize(e)
}

func (d decimal) compareSize(e decimal) int {
	return cmp.Or(
		cmp.Compare(len(d.whole), len(e.whole)),
		strings.Compare(d.whole, e.whole),
		strings.Compare(d.fraction, e.fraction),
	)
}

// parseDate reads a date of the W3C profile of ISO 8601, or seconds since 1970 (IAM user guide, Condition operators,
// Date). Four digits are a year.
func parseDate(s string) (time.Time, bool) {
	if len(s) != len("2006") && len(s) < len("1000000000000") && isDigits(s) {
		var seconds int64
		for i := range len(s) {
			seconds = seconds*10 + int64(s[i]-'0')
		}
		return time.Unix(seconds, 0).UTC(), true
	}
	c := clock{rest: s}
	t := c.read()
	return t, !c.failed && c.rest == ""
}

// clock reads the fields of a date one after the other. It is written out because the parser of package time allocates
// for what it refuses, and a caller may send anything.
type clock struct {
	rest   string
	failed bool
}

func (c *clock) read() time.Time {
	year, month, day := c.digits(4), 1, 1
	var sinceMidnight time.Duration
	if c.skip('-') {
		month = c.digits(2)
		if c.skip('-') {
			day = c.digits(2)
			if c.skip('T') {
				sinceMidnight = c.time() - c.zone()
			}
		}
	}
	date := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	if date.Month() != time.Month(month) || date.Day() != day {
		c.failed = true // time.Date has turned the 31st of June into the 1st of July
	}
	return date.Add(sinceMidnight)
}

// time reads hh:mm, hh:mm:ss or hh:mm:ss.fraction.
func (c *clock) time() time.Duration {
	t := c.below(24, time.Hour)
	c.want(':')
	t += c.below(60, time.Minute)
	if !c.skip(':') {
		return t
	}
	t += c.below(60, time.Second)
	if c.skip('.') {
		t += c.fraction()
	}
	return t
}

// fraction reads one digit or more; those beyond nanoseconds do not count.
func (c *clock) fraction() (t time.Duration) {
	t = time.Duration(c.digits(1)) * time.Second / 10
	n := 0
	for unit := time.Second / 100; n < len(c.rest) && '0' <= c.rest[n] && c.rest[n] <= '9'; unit /= 10 {
		t += time.Duration(c.rest[n]-'0') * unit
		n++
	}
	c.rest = c.rest[n:]
	return t
}

// zone reads Z or an offset, which a time must have.
func (c *clock) zone() time.Duration {
	if c.skip('Z') {
		return 0
	}
	sign := time.Duration(1)
	if c.skip('-') {
		sign = -1
	} else {
		c.want('+')
	}
	hours := c.below(24, time.Hour)
	c.want(':')
	return sign * (hours + c.below(60, time.Minute))
}

// below reads two digits that are less than limit.
func (c *clock) below(limit int, unit time.Duration) time.Duration {
	n := c.digits(2)
	c.failed = c.failed || n >= limit
	return time.Duration(n) * unit
}

func (c *clock) digits(n int) (value int) {
	if len(c.rest) < n || !isDigits(c.rest[:n]) {
		c.failed = true
		return 0
	}
	for i := range n {
		value = value*10 + int(c.rest[i]-'0')
	}
	c.rest = c.rest[n:]
	return value
}

func (c *clock) skip(b byte) bool {
	if c.rest == "" || c.rest[0] != b {
		return false
	}
	c.rest = c.rest[1:]
	return true
}

func (c *clock) want(b byte) {
	if !c.skip(b) {
		c.failed = true
	}
}
