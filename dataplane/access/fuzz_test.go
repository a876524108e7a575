package access

import (
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"pergola/sigv4"
)

// FuzzParameter compares the values of a parameter with those that net/url finds, in queries that it understands.
func FuzzParameter(f *testing.F) {
	for _, query := range []string{"", "a=1", "a=1&A=2&b=3", "a%20b=c+d&a+b=%", "=&=1&a", "%61=%2B%zz&&a=b=c"} {
		f.Add(query, "a")
		f.Add(query, "a b")
	}
	f.Add("a=1&b&c&d&e&f&g&h&i&A=2&%4b=3&k=4", "a")
	f.Add("a=1&b&c&d&e&f&g&h&i&A=2&%4b=3&\u212a=4&\u017f=5", "k")
	f.Add("\u212a=1&%e2%84%aa=2&K=3&\u0130=4&\u00e9=5&\u00c9=6", "\u00c9")
	f.Fuzz(func(t *testing.T, query, name string) {
		if !utf8.ValidString(name) || strings.ContainsRune(name, utf8.RuneError) {
			return // no policy names it
		}
		name = strings.ToLower(name)
		e := &evaluation{request: &Request{HTTP: sigv4.Request{RawQuery: query}}}
		var got []string
		for {
			value, ok := e.parameter(name, len(got))
			if !ok {
				break
			}
			got = append(got, value)
		}
		var want []string
		for pair := range strings.SplitSeq(query, "&") {
			field, value, _ := strings.Cut(pair, "=")
			plainField, err1 := url.QueryUnescape(field)
			plainValue, err2 := url.QueryUnescape(value)
			if err1 != nil || err2 != nil {
				return
			}
			if pair != "" && strings.EqualFold(plainField, name) {
				want = append(want, plainValue)
			}
		}
		if strings.Join(got, "&") != strings.Join(want, "&") || len(got) != len(want) {
			t.Errorf("%q of %q: %q, want %q", name, query, got, want)
		}
	})
}
