package ec2

import (
	"strings"
	"testing"
)

// FuzzFilterValue holds patterns to three truths: one without special characters matches itself alone, one in which all
// of them are taken back does too, and stars around a part of a value match it.
func FuzzFilterValue(f *testing.F) {
	f.Add("web-*", "web-1")
	f.Add(`a\*?`, "a*b")
	f.Add("(.+)[", "é\n")
	f.Fuzz(func(t *testing.T, pattern, value string) {
		matchesAny(pattern, []string{value})
		literal := strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`).Replace(value)
		if strings.ToValidUTF8(value, "") != value {
			return
		}
		if !matchesAny(literal, []string{value}) || matchesAny(literal, []string{value + "x"}) {
			t.Errorf("%q does not match %q alone", literal, value)
		}
		if !matchesAny("*"+literal+"*", []string{"x" + value, value + "x"}) {
			t.Errorf("*%q* does not match around %q", literal, value)
		}
	})
}
