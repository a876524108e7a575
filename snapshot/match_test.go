package snapshot

import (
	"strings"
	"testing"

	"pergola/lattice"
)

// request is a Request made of text.
type request struct {
	method, path string
	headers      [][2]string
}

func (r *request) Method() []byte { return []byte(r.method) }
func (r *request) Path() []byte   { return []byte(r.path) }

func (r *request) Header(name string, i int) ([]byte, bool) {
	for _, h := range r.headers {
		if strings.ToLower(h[0]) == name {
			if i == 0 {
				return []byte(h[1]), true
			}
			i--
		}
	}
	return nil, false
}

func TestMatch(t *testing.T) {
	path := func(whole, beginning *string, sensitive bool) lattice.HTTPMatch {
		return lattice.HTTPMatch{PathMatch: &lattice.PathMatch{Match: lattice.PathMatchType{Exact: whole, Prefix: beginning}, CaseSensitive: &sensitive}}
	}
	header := func(m lattice.HeaderMatchType, sensitive bool) lattice.HTTPMatch {
		return lattice.HTTPMatch{HeaderMatches: []lattice.HeaderMatch{{Name: "X-Stage", Match: m, CaseSensitive: &sensitive}}}
	}
	get := func(path string, headers ...string) *request {
		r := &request{method: "GET", path: path}
		for i := 0; i < len(headers); i += 2 {
			r.headers = append(r.headers, [2]string{headers[i], headers[i+1]})
		}
		return r
	}
	for _, test := range []struct {
		name  string
		match lattice.HTTPMatch
		r     *request
		want  bool
	}{
		{"no condition", lattice.HTTPMatch{}, get("/"), true},
		{"method", lattice.HTTPMatch{Method: "GET"}, get("/"), true},
		{"method, other", lattice.HTTPMatch{Method: "POST"}, get("/"), false},
		{"method, other case", lattice.HTTPMatch{Method: "get"}, get("/"), false},
		{"path", path(new("/a"), nil, false), get("/a"), true},
		{"path, longer", path(new("/a"), nil, false), get("/a/"), false},
		{"path, shorter", path(new("/a"), nil, false), get("/"), false},
		{"path, other case", path(new("/aB"), nil, false), get("/Ab"), true},
		{"path, other case matters", path(new("/aB"), nil, true), get("/Ab"), false},
		{"path, same case matters", path(new("/aB"), nil, true), get("/aB"), true},
		{"path is not decoded", path(new("/a"), nil, false), get("/%61"), false},
		{"path begins", path(nil, new("/a"), false), get("/abc"), true},
		{"path begins, exactly", path(nil, new("/a"), false), get("/a"), true},
		{"path begins, shorter", path(nil, new("/ab"), false), get("/a"), false},
		{"path begins, other case", path(nil, new("/A"), false), get("/abc"), true},
		{"path begins, other case matters", path(nil, new("/A"), true), get("/abc"), false},
		{"path of OPTIONS *", path(nil, new("/"), false), get("*"), false},
		{"only ASCII has letters", path(new("/É"), nil, false), get("/é"), false},
		{"header", header(lattice.HeaderMatchType{Exact: new("beta")}, false), get("/", "x-stage", "Beta"), true},
		{"header, case matters", header(lattice.HeaderMatchType{Exact: new("beta")}, true), get("/", "x-stage", "Beta"), false},
		{"header, absent", header(lattice.HeaderMatchType{Exact: new("beta")}, false), get("/", "x-other", "beta"), false},
		{"header, second value", header(lattice.HeaderMatchType{Exact: new("beta")}, false), get("/", "x-stage", "alpha", "X-STAGE", "beta"), true},
		{"header begins", header(lattice.HeaderMatchType{Prefix: new("be")}, false), get("/", "x-stage", "BETA"), true},
		{"header contains", header(lattice.HeaderMatchType{Contains: new("ET")}, false), get("/", "x-stage", "beta"), true},
		{"header contains, case matters", header(lattice.HeaderMatchType{Contains: new("ET")}, true), get("/", "x-stage", "beta"), false},
		{"header contains, same case", header(lattice.HeaderMatchType{Contains: new("et")}, true), get("/", "x-stage", "beta"), true},
		{"header contains after a false start", header(lattice.HeaderMatchType{Contains: new("aab")}, false), get("/", "x-stage", "aaaAAB"), true},
		{"header contains nothing", header(lattice.HeaderMatchType{Contains: new("")}, false), get("/", "x-stage", ""), true},
	} {
		got := compileMatch(&lattice.RuleMatch{HTTPMatch: &test.match}).holds(test.r, test.r.Method(), test.r.Path())
		if got != test.want {
			t.Errorf("%s: %t, want %t", test.name, got, test.want)
		}
	}
}

func TestMatchTakesTheFirstRuleByPriority(t *testing.T) {
	s := build(t,
		aRule("svc-1", "listener-1", "rule-1", 20, "/a", fixed(404)),
		aRule("svc-1", "listener-1", "rule-2", 5, "/a/b", fixed(404)),
		aRule("svc-1", "listener-1", "rule-3", 2000, "/a/b/c", fixed(404)),
		put("rule/svc-1/listener-1/rule-4", lattice.Rule{ID: "rule-4", Priority: 1, Action: fixed(404), Match: &lattice.RuleMatch{
			HTTPMatch: &lattice.HTTPMatch{Method: "PUT", PathMatch: pathPrefix("/a").HTTPMatch.PathMatch},
		}}))
	l := s.VPCs.Get("vpc-1").Doors[0].Network.Ports[80].Listener([]byte("parking.example.com"))
	for _, test := range []struct{ method, path, want string }{
		{"GET", "/a", "rule-1"},
		{"GET", "/a/b/c", "rule-2"},
		{"PUT", "/a/b/c", "rule-4"},
		{"PUT", "/", "rule-default-listener-1"},
		{"GET", "/c", "rule-default-listener-1"},
	} {
		if got := l.Match(&request{method: test.method, path: test.path}).ID; got != test.want {
			t.Errorf("%s %s: %s, want %s", test.method, test.path, got, test.want)
		}
	}
}

// FuzzPattern compares the compiled patterns with the plain meaning of the words, on strings.
func FuzzPattern(f *testing.F) {
	f.Add("/a/b", "/A/b/c", byte(0))
	f.Add("aab", "aaab", byte(2))
	f.Add("abcabd", "xABCABCABDx", byte(2))
	f.Add("", "", byte(5))
	f.Add("É", "é", byte(1))
	f.Add("\xff", "\xffA", byte(4))
	f.Fuzz(func(t *testing.T, text, value string, how byte) {
		sensitive := how&4 != 0
		a, b := text, value
		if !sensitive {
			a, b = foldASCII(text), foldASCII(value)
		}
		var p pattern
		var want bool
		switch how % 4 {
		case 0:
			p, want = compilePattern(&sensitive, &text, nil, nil), b == a
		case 1:
			p, want = compilePattern(&sensitive, nil, &text, nil), strings.HasPrefix(b, a)
		default:
			p, want = compilePattern(&sensitive, nil, nil, &text), strings.Contains(b, a)
		}
		if got := p.holds([]byte(value)); got != want {
			t.Errorf("%q %s: %t, want %t", value, p, got, want)
		}
	})
}

// foldASCII is s with its upper case ASCII letters in lower case, byte by byte.
func foldASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if strings.IndexByte("ABCDEFGHIJKLMNOPQRSTUVWXYZ", c) >= 0 {
			b[i] = c | 0x20
		}
	}
	return string(b)
}

// fixedRequest is a Request that costs nothing to ask.
type fixedRequest struct{ method, path, name, value []byte }

func (r *fixedRequest) Method() []byte { return r.method }
func (r *fixedRequest) Path() []byte   { return r.path }

func (r *fixedRequest) Header(name string, i int) ([]byte, bool) {
	return r.value, i == 0 && name == string(r.name)
}

func TestMatchDoesNotAllocate(t *testing.T) {
	headers := []lattice.HeaderMatch{
		{Name: "x-stage", Match: lattice.HeaderMatchType{Contains: new("bet")}},
		{Name: "x-stage", Match: lattice.HeaderMatchType{Contains: new("bet")}, CaseSensitive: new(true)},
		{Name: "x-stage", Match: lattice.HeaderMatchType{Prefix: new("b")}, CaseSensitive: new(true)},
		{Name: "x-stage", Match: lattice.HeaderMatchType{Exact: new("beta, and what comes after it, at some length")}},
	}
	s := build(t, put("rule/svc-1/listener-1/rule-1", lattice.Rule{ID: "rule-1", Action: fixed(404), Match: &lattice.RuleMatch{
		HTTPMatch: &lattice.HTTPMatch{Method: "GET", PathMatch: pathPrefix("/A").HTTPMatch.PathMatch, HeaderMatches: headers},
	}}))
	l := s.VPCs.Get("vpc-1").Doors[0].Network.Ports[80].Listener([]byte("parking.example.com"))
	r := &fixedRequest{[]byte("GET"), []byte("/abc"), []byte("x-stage"), []byte("beta, and what comes after it, at some length")}
	var rule *Rule
	if n := testing.AllocsPerRun(100, func() { rule = l.Match(r) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if rule.ID != "rule-1" {
		t.Errorf("matched %s", rule.ID)
	}
}
