package route53_test

import (
	"errors"
	"strings"
	"testing"

	"pergola/aws/route53"
)

func TestParseName(t *testing.T) {
	long := strings.Repeat("a", 63)
	for given, want := range map[string]route53.Name{
		"example.com": "example.com.", "WWW.Example.com.": "www.example.com.", "*.example.com": `\052.example.com.`,
		`\052.example.com.`: `\052.example.com.`, `a\057b.example.com`: `a\057b.example.com.`, "a/b.c": `a\057b.c.`,
		`\101.c`: "a.c.", "_x-1.c": "_x-1.c.", long + ".c": route53.Name(long + ".c."), `\351.c`: `\351.c.`,
	} {
		got, err := route53.ParseName(given)
		if err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", given, got, err, want)
		}
	}
	for given, code := range map[string]string{
		"": "DomainLabelEmpty", ".": "DomainLabelEmpty", "a..b": "DomainLabelEmpty", ".a": "DomainLabelEmpty",
		long + "a.c": "DomainLabelTooLong", strings.Repeat("a.", 127) + "a": "DomainNameTooLong",
		"a b.c": "UnsupportedCharacter", "é.c": "UnsupportedCharacter", `\05.c`: "UnsupportedCharacter",
		`\500.c`: "UnsupportedCharacter", `a\056b.c`: "UnsupportedCharacter", `\`: "UnsupportedCharacter",
	} {
		_, err := route53.ParseName(given)
		var refused *route53.NameError
		if !errors.As(err, &refused) || refused.Code != code {
			t.Errorf("%q: %v, want %s", given, err, code)
		}
	}
}

func TestNames(t *testing.T) {
	n := route53.Name(`\052.www.example.com.`)
	if n.Raw() != "*.www.example.com" || n.Reversed() != `com.example.www.\052.` || n.Parent() != "www.example.com." ||
		!n.IsWildcard() || n.Parent().Wildcard() != n || route53.Name("com.").Parent() != "" {
		t.Errorf("%q: %q %q %q", n, n.Raw(), n.Reversed(), n.Parent())
	}
	for _, zone := range []route53.Name{n, "www.example.com.", "com."} {
		if !n.In(zone) {
			t.Errorf("%q is not in %q", n, zone)
		}
	}
	for _, zone := range []route53.Name{"ww.example.com.", "a.www.example.com.", "xample.com."} {
		if n.In(zone) {
			t.Errorf("%q is in %q", n, zone)
		}
	}
}

// FuzzParseName holds that a name that was parsed is parsed to itself, and has the same characters.
func FuzzParseName(f *testing.F) {
	for _, seed := range []string{"example.com", `\052.a.`, "*.a", `\351\000.b`, "a..b", strings.Repeat("a.", 130)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		name, err := route53.ParseName(text)
		if err != nil {
			return
		}
		again, err := route53.ParseName(string(name))
		if err != nil || again != name {
			t.Fatalf("%q is %q, and that is %q, %v", text, name, again, err)
		}
		if raw := name.Raw(); raw == "" || len(raw) > 253 || strings.Count(raw, ".") != strings.Count(string(name), ".")-1 {
			t.Fatalf("%q is %q, raw %q", text, name, raw)
		}
	})
}
