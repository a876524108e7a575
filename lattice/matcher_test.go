package lattice_test

import (
	"slices"
	"strings"
	"testing"

	"pergola/lattice"
)

func TestParseCodes(t *testing.T) {
	for matcher, want := range map[string][]lattice.CodeRange{
		"200":             {{From: 200, To: 200}},
		"499":             {{From: 499, To: 499}},
		"200-200":         {{From: 200, To: 200}},
		"200,202-204":     {{From: 200, To: 200}, {From: 202, To: 204}},
		"200-299,404-404": {{From: 200, To: 299}, {From: 404, To: 404}},
	} {
		if got, err := lattice.ParseCodes(matcher); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v", matcher, got, err)
		}
	}
	for _, matcher := range []string{"", ",", "199", "500", "200,", ",200", "200-", "-200", "299-200", "200-500",
		"2000", "0200",
		"+20", "20", "200-201-202", "200, 201", "200 ", "abc", "99999"} {
		if got, err := lattice.ParseCodes(matcher); err == nil {
			t.Errorf("%q was read as %v", matcher, got)
		}
	}
}

func FuzzParseCodes(f *testing.F) {
	for _, matcher := range []string{"200", "200,202-204", "200-", ",", "-", "2e2", "+200", "99999999999999999999"} {
		f.Add(matcher)
	}
	f.Fuzz(func(t *testing.T, matcher string) {
		codes, err := lattice.ParseCodes(matcher)
		if err == nil && (len(codes) != strings.Count(matcher, ",")+1 || strings.Trim(matcher, "0123456789,-") != "") {
			t.Errorf("%q was read as %v", matcher, codes)
		}
		for _, r := range codes {
			if r.From < 200 || r.To > 499 || r.From > r.To {
				t.Errorf("%q has the range %v", matcher, r)
			}
		}
	})
}
