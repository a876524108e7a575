package snapshot

import (
	"strings"
	"testing"

	"pergola/containment"
	"pergola/lattice"
)

// TestFault_A11_AnObjectWhoseCompilationPanicsIsLeftOut lets each step for each object of a small world panic in turn.
// Everything else is as it would be without the object, and when the panic is over all is as it was.
func TestFault_A11_AnObjectWhoseCompilationPanicsIsLeftOut(t *testing.T) {
	everything := append(story(), people()...)
	type step struct{ what, key string }
	steps := map[step]bool{}
	c := NewCompiler(region)
	c.faults.step = func(what, key string) { steps[step{what, key}] = true }
	whole, err := c.Apply(1, true, everything)
	if err != nil || whole.LeftOut != nil {
		t.Fatal(err, whole.LeftOut)
	}
	if len(steps) < len(everything) {
		t.Fatalf("only %d steps", len(steps))
	}
	for panics := range steps {
		c := NewCompiler(region)
		trips := true
		c.faults.step = func(what, key string) {
			if trips && (step{what, key}) == panics {
				panic("made to")
			}
		}
		before := containment.Panics()
		s, _ := c.Apply(1, true, everything)
		if containment.Panics() == before {
			t.Errorf("%v: the panic was not counted", panics)
		}
		if strings.HasSuffix(panics.what, "ing an object") && s.LeftOut[panics.key] == nil {
			t.Errorf("%v: left out are %v", panics, s.LeftOut)
		}
		if s.VPCs.Len()+s.TargetGroups.Len() < whole.VPCs.Len()+whole.TargetGroups.Len()-1 {
			t.Errorf("%v took others along: %d VPCs and %d target groups", panics, s.VPCs.Len(), s.TargetGroups.Len())
		}
		trips = false
		s, err := c.Apply(2, true, everything)
		s.Revision = 1
		if got, want := dump(t, s)+findings(s), dump(t, whole)+findings(whole); err != nil || got != want ||
			s.LeftOut != nil {
			t.Errorf("%v: afterwards: %v, left out %v\n%s", panics, err, s.LeftOut, got)
		}
	}
}

// A change that panics is not served in its old form: what it was meant to deny is not known.
func TestFault_A11_TheOldFormOfABrokenServiceIsNotServed(t *testing.T) {
	c := NewCompiler(region)
	if _, err := c.Apply(1, true, story()); err != nil {
		t.Fatal(err)
	}
	name := []byte(lattice.DomainName("nsvc-1", "svc-1", region))
	for _, what := range []string{"taking in an object", "compiling an object"} {
		c.faults.step = func(step, key string) {
			if step == what && key == "service/svc-1" {
				panic("made to")
			}
		}
		s, _ := c.Apply(2, false, []Change{aService("svc-1")})
		if s.VPCs.Get("vpc-1").Doors[0].Network.Service(name) != nil {
			t.Errorf("%s: the service is served", what)
		}
		for _, key := range []string{"service/svc-1", "servicenetworkserviceassociation/snsa-1"} {
			if s.LeftOut[key] == nil {
				t.Errorf("%s: left out are %v", what, s.LeftOut)
			}
		}
		c.faults.step = nil
		s, _ = c.Apply(3, false, []Change{aService("svc-1")})
		if s.VPCs.Get("vpc-1").Doors[0].Network.Service(name) == nil || s.LeftOut != nil {
			t.Errorf("%s: afterwards the service is not served: %v", what, s.LeftOut)
		}
	}
}

func TestWhatCannotBeDecodedIsLeftOut(t *testing.T) {
	s, err := Compile(region, 1, append(story(), Change{"vpc/vpc-1", []byte(`{"id":7}`)}))
	if err == nil || s.LeftOut["vpc/vpc-1"] == nil || s.LeftOut["servicenetworkvpcassociation/snva-1"] == nil {
		t.Errorf("%v, left out %v", err, s.LeftOut)
	}
}
