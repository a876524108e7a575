package bound_test

import (
	"math/rand/v2"
	"testing"

	"pergola/bound"
)

// grab takes ones for a member until no more are to be had.
func grab(p *bound.Pool, group, member string) (got int) {
	for p.Enter(group, member) != nil {
		got++
	}
	return got
}

func TestWhoWantsAllGetsAShare(t *testing.T) {
	p := bound.NewPool(1000, 0)
	if got := grab(p, "a", "1"); got < 590 || got > 610 {
		t.Errorf("one member that wants all gets %d, want about three fifths", got)
	}
	for _, member := range []string{"2", "3", "4"} {
		if p.Enter("a", member) == nil {
			t.Errorf("member %s of the same group gets nothing", member)
		}
	}
	grab(p, "a", "2")
	grab(p, "a", "3")
	if taken := p.Taken(); taken > 755 {
		t.Errorf("one group has %d, want three quarters", taken)
	}
	if got := grab(p, "b", "1"); got < 100 {
		t.Errorf("another group gets %d", got)
	}
	if p.Enter("c", "1") == nil {
		t.Error("a third group gets nothing")
	}
}

// Who wants little gets it beside many who want all, in their group and in others.
func TestManyHogsLeaveRoom(t *testing.T) {
	p := bound.NewPool(512, 0)
	for i := range 25 {
		grab(p, "a", string(rune('A'+i)))
	}
	if p.Enter("a", "newcomer") == nil || p.Enter("b", "newcomer") == nil {
		t.Error("a newcomer gets nothing")
	}
}

// Of few connections, too, a newcomer gets what a client opens beside two that want all.
func TestFewAreSharedOut(t *testing.T) {
	p := bound.NewPool(85, 0)
	grab(p, "a", "1")
	grab(p, "a", "2")
	for _, newcomer := range []string{"3", "4"} {
		for i := range 5 {
			if p.Enter("a", newcomer) == nil {
				t.Errorf("newcomer %s gets %d, want 5", newcomer, i)
			}
		}
	}
}

func TestAMemberHasABoundOfItsOwn(t *testing.T) {
	p := bound.NewPool(1000, 7)
	if got := grab(p, "a", "1"); got != 7 {
		t.Errorf("a member gets %d, want 7", got)
	}
}

func TestWhatIsGivenBackCanBeHad(t *testing.T) {
	p := bound.NewPool(100, 0)
	random := rand.New(rand.NewPCG(1, 2))
	type held struct {
		share *bound.Share
		n     int64
	}
	var all []held
	for range 10000 {
		if len(all) > 0 && random.IntN(2) == 0 {
			i := random.IntN(len(all))
			all[i].share.Give(all[i].n)
			all[i].share.Close()
			all[i] = all[len(all)-1]
			all = all[:len(all)-1]
		} else {
			share, n := p.Open(random.IntN(3), random.IntN(4)), random.Int64N(9)
			if !share.Take(n) {
				n = 0
			}
			all = append(all, held{share, n})
		}
		sum := int64(0)
		for _, h := range all {
			sum += h.n
		}
		if p.Taken() != sum || sum > p.Most() {
			t.Fatalf("%d are taken, want %d of %d", p.Taken(), sum, p.Most())
		}
	}
	for _, h := range all {
		h.share.Give(h.n)
		h.share.Close()
	}
	if grab(p, "a", "1") < 50 {
		t.Error("what was given back cannot be had")
	}
}

func TestNilHasNoBound(t *testing.T) {
	var s *bound.Share
	if !s.Take(1 << 60) {
		t.Error("nil has a bound")
	}
	s.Give(1 << 60)
	s.Close()
}

func BenchmarkTake(b *testing.B) {
	s := bound.NewPool(1000, 0).Open("vpc", "client")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if s.Take(10) {
				s.Give(10)
			}
		}
	})
}
