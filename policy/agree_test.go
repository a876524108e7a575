package policy

import "testing"

// agree checks that Explain says the same as Evaluate, and that what it says of the parts adds up to it.
func agree(t testing.TB, p *Policy, r *Request) {
	t.Helper()
	e := p.Explain(r)
	if got := p.Evaluate(r); got != e.Verdict {
		t.Fatalf("Evaluate says %v, Explain says %+v", got, e)
	}
	want := Verdict{Silent, -1}
	for i, s := range e.Statements {
		applies := true
		for _, c := range s.Checks {
			applies = applies && c.Holds
		}
		if applies != s.Applies {
			t.Fatalf("statement %d: the checks do not add up: %+v", i, s)
		}
		if applies && s.Effect > want.Effect {
			want = Verdict{s.Effect, i}
		}
	}
	if want != e.Verdict {
		t.Fatalf("the statements add up to %v: %+v", want, e)
	}
}

// agreeAccess does the same for a whole decision.
func agreeAccess(t testing.TB, a *Access, r *Request) {
	t.Helper()
	got := a.Decide(r)
	explained, levels := a.Explain(r)
	if got != explained {
		t.Fatalf("Decide says %+v, Explain says %+v", got, explained)
	}
	want := Decision{Effect: Allow, Statement: -1}
	for _, level := range levels {
		effect := Silent
		for _, p := range level.Policies {
			effect = max(effect, p.Effect)
			if p.Effect == Deny && want.Effect != Deny {
				want = Decision{Deny, level.Name, p.Policy, p.Statement}
			}
		}
		if effect != level.Effect {
			t.Fatalf("the policies of %s do not add up: %+v", level.Name, level)
		}
		if effect == Silent && want.Effect == Allow {
			want = Decision{Silent, level.Name, nil, -1}
		}
	}
	if want != got {
		t.Fatalf("the levels add up to %+v, not %+v", want, got)
	}
}
