package snapshot

import (
	"math/rand/v2"
	"testing"

	"pergola/lattice"
)

// TestAShadowTakesEveryRequest makes random pairs of conditions and requests: where one condition covers the other, it
// holds for each request for which the other does. It finds many such pairs.
func TestAShadowTakesEveryRequest(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	one := func(of ...string) string { return of[random.IntN(len(of))] }
	text := func() string { return "/" + one("", "a", "A", "ab", "aB", "b") + one("", "/a", "b") }
	condition := func() *match {
		h := &lattice.HTTPMatch{}
		if random.IntN(3) == 0 {
			h.Method = one("GET", "POST")
		}
		if random.IntN(3) > 0 {
			way, sensitive := text(), random.IntN(2) == 0
			h.PathMatch = &lattice.PathMatch{CaseSensitive: &sensitive, Match: lattice.PathMatchType{Prefix: &way}}
			if random.IntN(2) == 0 {
				h.PathMatch.Match = lattice.PathMatchType{Exact: &way}
			}
		}
		for range random.IntN(3) {
			value, sensitive := text(), random.IntN(2) == 0
			kinds := []lattice.HeaderMatchType{{Exact: &value}, {Prefix: &value}, {Contains: &value}}
			h.HeaderMatches = append(h.HeaderMatches, lattice.HeaderMatch{Name: one("x", "X", "y"), CaseSensitive: &sensitive,
				Match: kinds[random.IntN(3)]})
		}
		return compileMatch(&lattice.RuleMatch{HTTPMatch: h})
	}
	covered, held := 0, 0
	for range 20_000 {
		a, b := condition(), condition()
		if !a.covers(b) {
			continue
		}
		covered++
		for range 20 {
			r := &request{method: one("GET", "POST"), path: text()}
			for range random.IntN(3) {
				r.headers = append(r.headers, [2]string{one("x", "y"), text()})
			}
			if !b.holds(r, r.Method(), r.Path()) {
				continue
			}
			held++
			if !a.holds(r, r.Method(), r.Path()) {
				t.Fatalf("%+v is said to cover %+v, but %+v is matched by that alone", a, b, r)
			}
		}
	}
	if covered < 500 || held < 500 {
		t.Errorf("of %d pairs that cover, %d requests were compared", covered, held)
	}
}

func TestShadow(t *testing.T) {
	s := build(t, aRule("svc-1", "listener-1", "rule-2", 20, "/pay/now", fixed(404)),
		aRule("svc-1", "listener-1", "rule-3", 30, "/other", fixed(404)))
	rules := s.Services.Get("svc-1").Listeners[0]
	for i, want := range []string{"", "rule-1", "", ""} { // the last is the default rule
		by := ""
		if shadow := rules.Shadow(i); shadow != nil {
			by = shadow.ID
		}
		if by != want {
			t.Errorf("rule %s is shadowed by %q, want %q", rules.Rules[i].ID, by, want)
		}
	}
}
