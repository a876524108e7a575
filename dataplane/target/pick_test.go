package target

import (
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pergola/lattice"
	"pergola/snapshot"
	"pergola/snapshot/table"
)

func TestPickTakesTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := deploy(t, groupOf(one, two, three))
		for _, a := range []string{one, two, three} {
			d.answer(address(a), ok)
		}
		d.after(time.Second)
		counts := map[netip.AddrPort]int{}
		for range 300 {
			target, _ := d.set.Pick(d.spec)
			counts[target.Address()]++
			target.Done()
		}
		for _, a := range []string{one, two, three} {
			if counts[address(a)] != 100 {
				t.Errorf("%s was picked %d times of 300", a, counts[address(a)])
			}
		}
	})
}

// TestPickTakesFunctions has no address to go by, and no health.
func TestPickTakesFunctions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const gone, now = "arn:aws:lambda:us-west-2:100000000001:function:gone", "arn:aws:lambda:us-west-2:100000000001:function:now"
		spec := &snapshot.TargetGroup{ID: "tg-0123456789abcdef0", Type: lattice.TargetLambda, InUse: true, Targets: []snapshot.Target{
			{Key: gone + ":0", Function: gone, Draining: true}, {Key: now + ":0", Function: now},
		}}
		d := deploy(t, spec)
		target, ok := d.set.Pick(d.spec)
		if !ok || target.Function() != now || target.Address().IsValid() {
			t.Fatalf("picked %+v", target)
		}
		report := d.set.Report()[spec.ID]
		if got := report[now+":0"]; got.Status != lattice.TargetUnavailable || got.ReasonCode != lattice.ReasonHealthCheckNotSupported {
			t.Errorf("it is %+v", got)
		}
		if got := report[gone+":0"]; got.Status != lattice.TargetDraining || !got.Drained {
			t.Errorf("the one before is %+v", got)
		}
		d.spec.Targets[1].Draining = true
		d.apply()
		if got := d.set.Report()[spec.ID][now+":0"]; got.Status != lattice.TargetDraining || got.Drained {
			t.Errorf("while it answers it is %+v", got)
		}
		target.Done()
		if got := d.set.Report()[spec.ID][now+":0"]; !got.Drained {
			t.Errorf("when it has answered it is %+v", got)
		}
	})
}

func TestPickPrefersHealthyAndFailsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spec := groupOf(one, two, three)
		spec.Targets = append(spec.Targets, snapshot.Target{Key: "i-gone"},
			snapshot.Target{Key: "leaving", Address: address("10.0.0.4:80"), Draining: true})
		d := deploy(t, spec)
		interval := spec.HealthCheck.Interval
		expect := func(when string, want ...string) {
			t.Helper()
			if got := d.picks(12); !slices.Equal(got, want) {
				t.Errorf("%s: picked %v, want %v", when, got, want)
			}
		}
		expect("before any check", one, two, three)
		d.answer(address(two), ok)
		d.after(spread)
		expect("one is healthy, two are not judged", two)
		d.after(interval)
		expect("one is healthy, two are not", two)
		d.answer(address(two), down)
		d.after(2 * interval)
		d.expect(two, lattice.TargetUnhealthy)
		expect("none is healthy", one, two, three)
	})
}

func TestPickOfNothing(t *testing.T) {
	set := New(Config{})
	defer set.Close()
	if _, ok := set.Pick(groupOf(one)); ok {
		t.Error("picked from a group that was never applied")
	}
}

// A request that has loaded the list of targets just before one of them was deregistered passes that one over.
func TestPickPassesOverWhatDrainsMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := deploy(t, groupOf(one, two))
		g := d.set.groups.Load().Get(d.spec.ID)
		stale := g.tiers.Load()
		d.spec.Targets[0].Draining = true
		d.apply()
		g.tiers.Store(stale)
		if got := d.picks(10); !slices.Equal(got, []string{two}) {
			t.Errorf("picked %v, of which one drains", got)
		}
		if !d.set.Report()[d.spec.ID][one].Drained {
			t.Error("what was passed over counts as picked")
		}
	})
}

// While requests come and go, a target is deregistered and registered again. Once it is said to be drained, nobody may
// hold it.
func TestDrainedTargetsAreHeldByNobody(t *testing.T) {
	plain := groupOf(one, two)
	plain.HealthCheck = nil
	leaving := *plain
	leaving.Targets = slices.Clone(plain.Targets)
	leaving.Targets[0].Draining = true
	changed := make(chan struct{}, 1)
	set := New(Config{Changed: func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}})
	defer set.Close()
	apply := func(g *snapshot.TargetGroup) {
		set.Apply(&snapshot.Snapshot{TargetGroups: table.Of(map[string]*snapshot.TargetGroup{g.ID: g})})
	}
	apply(plain)

	var held atomic.Int64
	var stop atomic.Bool
	var requests sync.WaitGroup
	for range 4 {
		requests.Go(func() {
			for !stop.Load() {
				target, ok := set.Pick(plain)
				if !ok {
					t.Error("nothing to pick")
					return
				}
				if target.Address() == address(one) {
					held.Add(1)
				}
				runtime.Gosched()
				if target.Address() == address(one) {
					held.Add(-1)
				}
				target.Done()
			}
		})
	}
	for range 200 {
		apply(&leaving)
		for !set.Report()[plain.ID][one].Drained {
			<-changed
		}
		for range 10 {
			if n := held.Load(); n != 0 {
				t.Fatalf("%d requests hold a drained target", n)
			}
			runtime.Gosched()
		}
		again := *plain
		apply(&again)
	}
	stop.Store(true)
	requests.Wait()
}

func TestPickDoesNotAllocate(t *testing.T) {
	set, groups := many(10)
	defer set.Close()
	g := groups.Get(groupID(0))
	if n := testing.AllocsPerRun(1000, func() {
		target, _ := set.Pick(g)
		target.Done()
	}); n != 0 {
		t.Errorf("Pick and Done allocate %v times", n)
	}
}

func groupID(i int) string { return fmt.Sprintf("tg-%017x", i) }

// many is a Set with n groups of ten targets whose health is not checked.
func many(n int) (*Set, table.Table[*snapshot.TargetGroup]) {
	var groups table.Table[*snapshot.TargetGroup]
	for i := range n {
		g := &snapshot.TargetGroup{ID: groupID(i), VPC: vpcID, InUse: true}
		for j := range 10 {
			a := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), byte(j)}), 80)
			g.Targets = append(g.Targets, snapshot.Target{Key: a.String(), Address: a})
		}
		groups = groups.With(g.ID, g)
	}
	set := New(Config{})
	set.Apply(&snapshot.Snapshot{TargetGroups: groups})
	return set, groups
}

func BenchmarkPick(b *testing.B) {
	set, groups := many(500)
	defer set.Close()
	g := groups.Get(groupID(250))
	b.Run("alone", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			t, _ := set.Pick(g)
			t.Done()
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				t, _ := set.Pick(g)
				t.Done()
			}
		})
	})
}

func BenchmarkApply(b *testing.B) {
	set, groups := many(500)
	defer set.Close()
	b.Run("unchanged", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			set.Apply(&snapshot.Snapshot{TargetGroups: groups})
		}
	})
	b.Run("one changed", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			g := *groups.Get(groupID(250))
			groups = groups.With(g.ID, &g)
			set.Apply(&snapshot.Snapshot{TargetGroups: groups})
		}
	})
}

func TestRequestsToALoadBalancerGoToAllItsAddresses(t *testing.T) {
	t.Parallel()
	set := New(Config{})
	defer set.Close()
	spec := &snapshot.TargetGroup{ID: "tg-1", Targets: []snapshot.Target{{
		Key: "balancer", Address: address("10.0.1.4:80"), More: []netip.AddrPort{address("10.0.2.4:80"), address("10.0.3.4:80")},
	}}}
	set.Apply(&snapshot.Snapshot{TargetGroups: table.Of(map[string]*snapshot.TargetGroup{"tg-1": spec})})
	counts := map[netip.AddrPort]int{}
	for range 30 {
		target, ok := set.Pick(spec)
		if !ok {
			t.Fatal("there is no target")
		}
		counts[target.Address()]++
		target.Done()
	}
	for _, at := range append(spec.Targets[0].More, spec.Targets[0].Address) {
		if counts[at] != 10 {
			t.Errorf("%v received %d of 30 requests", at, counts[at])
		}
	}
}
