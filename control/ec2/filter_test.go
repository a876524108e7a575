package ec2

import (
	"net/netip"
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

func TestAssignable(t *testing.T) {
	for cidr, want := range map[string][2]string{
		"10.0.0.0/16":      {"10.0.0.4", "10.0.255.254"},
		"10.0.0.16/28":     {"10.0.0.20", "10.0.0.30"},
		"192.168.1.128/25": {"192.168.1.132", "192.168.1.254"},
	} {
		first, last := assignable(netip.MustParsePrefix(cidr))
		if first.String() != want[0] || last.String() != want[1] {
			t.Errorf("%s: %s to %s, want %v", cidr, first, last, want)
		}
	}
}
