package lattice

import "testing"

func TestPortRanges(t *testing.T) {
	for text, want := range map[string][2]uint16{
		"443": {443, 443}, "1-65535": {1, 65535}, "8000-8000": {8000, 8000}, "007": {7, 7},
		"0": {}, "0-9": {}, "65536": {}, "9-8": {}, "": {}, "-": {}, "1-": {}, "-1": {}, "1-2-3": {}, "x": {}, "+1": {},
	} {
		first, last, ok := ParsePortRange(text)
		if ok != (want != [2]uint16{}) || ok && (first != want[0] || last != want[1]) {
			t.Errorf("%q is %d to %d, %t", text, first, last, ok)
		}
	}
}

func TestDomainsWithinOthers(t *testing.T) {
	for _, test := range []struct {
		domain, other string
		want          bool
	}{
		{"example.com", "example.com", true}, {"db.example.com", "example.com", true},
		{"example.com", "db.example.com", false},
		{"anexample.com", "example.com", false},
	} {
		if got := IsWithin(test.domain, test.other); got != test.want {
			t.Errorf("%s in %s: %t", test.domain, test.other, got)
		}
	}
}
