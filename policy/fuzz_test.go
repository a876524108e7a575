package policy

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzParse checks that no document breaks Parse, that every refusal has its place, and that what is accepted can be
// compiled, evaluated and explained, with one outcome.
func FuzzParse(f *testing.F) {
	for name := range kindOf {
		f.Add(read(f, name+".json"), byte(kindOf[name]))
	}
	for line := range strings.SplitSeq(read(f, "invalid.txt"), "\n") {
		if _, document, ok := strings.Cut(line, " {"); ok {
			f.Add("{"+document, byte(Resource))
		}
	}
	f.Add(read(f, "not-principal.json"), byte(Resource))
	f.Add(document("Deny", `{"ForAllValues:StringLikeIfExists": {"t:k": ["${t:v, 'x'}*", "a?"]}}`), byte(Identity))
	requests := []*Request{
		{},
		{Action: "*", Resource: "*", Context: Values{"t:k": {"", "x"}}},
		request(Principal{Type: User, Account: "111122223333", ARN: "arn:aws:iam::111122223333:user/bob"}, "Invoke", "@svc-0a/x", "t:k=1"),
	}
	f.Fuzz(func(t *testing.T, document string, kind byte) {
		d, err := Parse([]byte(document), Kind(kind%6), 10_000)
		if err != nil {
			for _, problem := range err.(*Error).Problems {
				if problem.Line < 1 || problem.Column < 1 || problem.Message == "" || len(problem.Path) > 0 && problem.Path[0] != '/' {
					t.Fatalf("%+v", problem)
				}
			}
			return
		}
		for _, r := range requests {
			agree(t, Compile(d), r)
		}
	})
}

const ascii = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:/-*?"

// FuzzPattern compares the matcher with one that follows the definition and nothing else.
func FuzzPattern(f *testing.F) {
	for _, seed := range [][2]string{
		{"", ""}, {"*", ""}, {"?", "é"}, {"*??", "é"}, {"a*b*c", "abcbc"}, {"**", "x"}, {"a?*", "ab"}, {"*a", "\xffa"}, {"$", "$"},
		{"arn:aws:s3:::b/*", "arn:aws:s3:::b/k"}, {"arn:*:x", "arn:a:b:c:d:x"}, {"arn:a*b:c?d:*:x*y:z:*", "arn:aab:c:d:e:f:xy:z:q"},
		{"arn:*:b*c:d", "arn:x:b1:bzc:d"}, {"arn:*:::::*:x", "arn:::::::x"}, {"arn:*:*:", "arn::::::"}, {"arn:a*?", "arn:a"}, {"KELVIN", "\u212aelvin"},
		{"*a?b*", "xaab"}, {"*a?b*c", "aéaébac"}, {"*?a*?b?*", "\xe2\x82abx"}, {"*é?b*", "éab"},
		{"arn:a:*a?b*:*:x:y:*", "arn:a:caab:c:x:y:z"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, text, s string) {
		if len(text) > 60 || len(s) > 80 || strings.Count(text, "*") > 6 || !utf8.ValidString(text) || strings.ContainsRune(text, utf8.RuneError) {
			t.Skip()
		}
		for _, how := range []syntax{wildcards, wildcards | resourceARN, 0} {
			p, err := newPattern(text, how)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := p.match(s, &Request{}), oracle(text, s, 0, how, headLength(s)); got != want {
				t.Errorf("%q (syntax %d) and %q: got %v, want %v", text, how, s, got, want)
			}
		}
		if lower := strings.ToLower(text); len(strings.Trim(text+s, ascii)) == 0 {
			p, _ := newPattern(text, wildcards|ignoreCase)
			if got, want := p.match(s, &Request{}), oracle(lower, strings.ToLower(s), 0, wildcards, 0); got != want {
				t.Errorf("%q and %q in either case: got %v, want %v", text, s, got, want)
			}
		}
		folded, _ := newPattern(text, ignoreCase)
		if got, want := folded.match(s, &Request{}), strings.EqualFold(text, s); utf8.ValidString(s) && got != want {
			t.Errorf("%q and %q in either case: got %v, want %v", text, s, got, want)
		}
	})
}

// oracle is the definition of a match: character by character, every possibility tried. at is where in the whole
// pattern text begins, and head how many bytes of s belong to the head of an ARN.
func oracle(whole, s string, at int, how syntax, head int) bool {
	text := whole[at:]
	if text == "" {
		return s == ""
	}
	_, width := utf8.DecodeRuneInString(s)
	inHead := how&resourceARN != 0 && strings.HasPrefix(whole, "arn:") && strings.Count(whole[:at], ":") < 5
	isColon := strings.HasPrefix(s, ":")
	switch {
	case how&wildcards != 0 && text[0] == '*':
		if oracle(whole, s, at+1, how, head) {
			return true
		}
		blocked := inHead && text != "*" && (strings.HasPrefix(text, "*:") && head <= 0 || !strings.HasPrefix(text, "*:") && isColon)
		return s != "" && !blocked && oracle(whole, s[width:], at, how, head-width)
	case how&wildcards != 0 && text[0] == '?':
		return s != "" && !(inHead && isColon) && oracle(whole, s[width:], at+1, how, head-width)
	}
	_, size := utf8.DecodeRuneInString(text)
	return strings.HasPrefix(s, text[:size]) && oracle(whole, s[size:], at+size, how, head-size)
}
