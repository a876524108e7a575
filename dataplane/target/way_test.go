package target

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pergola/containment"
	"pergola/lattice"
	"pergola/snapshot"
	"pergola/snapshot/table"
)

// fail picks until the way at an address comes, and says that it cannot be reached.
func (d *deployment) fail(address string) {
	d.t.Helper()
	for range 10 {
		w, ok := d.set.Pick(d.spec)
		if !ok {
			break
		}
		w.Done()
		if w.Address().String() == address {
			w.Unreachable()
			return
		}
	}
	d.t.Fatalf("%s is not picked", address)
}

// unchecked is a group of targets whose health is not checked.
func unchecked(addresses ...string) *snapshot.TargetGroup {
	g := groupOf(addresses...)
	g.HealthCheck = nil
	return g
}

// TestFault_B2_ATargetThatRefusesIsAvoidedAtOnce until a probe can connect, and is said to be as healthy as before
// meanwhile.
func TestFault_B2_ATargetThatRefusesIsAvoidedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := deploy(t, unchecked(one, two, three))
		d.fail(two)
		if got := d.picks(12); !slices.Equal(got, []string{one, three}) {
			t.Errorf("after a failure: picked %v", got)
		}
		counts := map[netip.AddrPort]int{}
		for range 100 {
			w, _ := d.set.Pick(d.spec)
			counts[w.Address()]++
			w.Done()
		}
		if counts[address(one)] != 50 || counts[address(three)] != 50 {
			t.Errorf("the others do not share evenly: %v", counts)
		}
		d.expect(two, lattice.TargetUnavailable)
		if !d.set.Last(d.spec.ID, two).Avoided || d.set.Last(d.spec.ID, one).Avoided {
			t.Error("it is not told which is avoided")
		}
		d.after(time.Minute)
		if n := d.checks(); n < 6 || n > 12 {
			t.Errorf("%d probes in a minute; the pauses should double up to 10 s", n)
		}
		d.answer(address(two), ok)
		d.after(longestPause)
		if got := d.picks(12); !slices.Equal(got, []string{one, two, three}) {
			t.Errorf("once a probe can connect: picked %v", got)
		}
		if n := d.connections(); n != 0 {
			t.Errorf("%d connections of probes are open", n)
		}
	})
}

// TestFault_B2_WhatEndsTheAvoidance beside a probe.
func TestFault_B2_WhatEndsTheAvoidance(t *testing.T) {
	for name, end := range map[string]func(d *deployment){
		"a check by the same port": func(d *deployment) {
			d.answer(address(one), ok)
			d.after(100 * time.Millisecond)
		},
		"a request that had no choice": func(d *deployment) {
			d.fail(two)
			w, _ := d.set.Pick(d.spec, address(two))
			w.Reached()
			w.Done()
		},
		"another address": func(d *deployment) {
			d.spec.Targets[0].Address = address("10.9.9.9:80")
			d.apply()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				spec := groupOf(one, two)
				spec.HealthCheck.Interval = 100 * time.Millisecond
				d := deploy(t, spec)
				d.after(spread)
				d.fail(one)
				if !d.set.Last(spec.ID, one).Avoided {
					t.Fatal("it is not avoided")
				}
				end(d)
				if d.set.Last(spec.ID, one).Avoided {
					t.Error("it is still avoided")
				}
			})
		})
	}
}

// TestFault_B2_NothingIsTriedTwice: a request goes from the healthy targets to those that merely are not, and last to
// those that are avoided, each once.
func TestFault_B2_NothingIsTriedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := deploy(t, groupOf(one, two, three))
		d.answer(address(one), ok)
		d.after(time.Second)
		d.fail(one) // the only one that is healthy
		d.fail(two)
		var tried []netip.AddrPort
		for range 3 {
			w, ok := d.set.Pick(d.spec, tried...)
			if !ok || slices.Contains(tried, w.Address()) {
				t.Fatalf("after %v: %v, %v", tried, w, ok)
			}
			w.Done()
			tried = append(tried, w.Address())
		}
		if tried[0] != address(three) {
			t.Errorf("first the request is sent to %v, which is avoided", tried[0])
		}
		if w, ok := d.set.Pick(d.spec, tried...); ok {
			t.Errorf("%v is tried twice", w.Address())
		}
		d.expect(one, lattice.TargetHealthy)
	})
}

// TestFault_B2_EachAddressOfALoadBalancerCounts for itself.
func TestFault_B2_EachAddressOfALoadBalancerCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spec := unchecked(one)
		spec.Targets[0].More = []netip.AddrPort{address(two), address(three)}
		d := deploy(t, spec)
		d.fail(two)
		if got := d.picks(12); !slices.Equal(got, []string{one, three}) {
			t.Errorf("picked %v", got)
		}
	})
}

// TestFault_B2_ProbesEndWithTheirTarget: nothing is probed that has been deregistered, or after the end.
func TestFault_B2_ProbesEndWithTheirTarget(t *testing.T) {
	for name, end := range map[string]func(d *deployment){
		"deregistered": func(d *deployment) { d.spec.Targets = d.spec.Targets[1:]; d.apply() },
		"draining":     func(d *deployment) { d.spec.Targets[0].Draining = true; d.apply() },
		"group gone":   func(d *deployment) { d.set.Apply(&snapshot.Snapshot{}) },
		"closed":       func(d *deployment) { d.set.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := deploy(t, unchecked(one, two))
				d.fail(one)
				late, _ := d.set.Pick(d.spec, address(two))
				end(d)
				late.Unreachable()
				late.Done()
				d.after(time.Minute)
				if n := d.checks(); n != 0 {
					t.Errorf("%d probes were made", n)
				}
			})
		})
	}
}

// TestFault_A11_APanicEndsOneCheck: that check or probe fails, and all others go on.
func TestFault_A11_APanicEndsOneCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before, mended := containment.Panics(), atomic.Bool{}
		n := newNetwork()
		spec := groupOf(one, two)
		set := New(Config{Dial: func(ctx context.Context, vpc string, to netip.AddrPort) (net.Conn, error) {
			if !mended.Load() && to == address(one) {
				panic("no such target")
			}
			return n.dial(ctx, vpc, to)
		}})
		defer set.Close()
		n.answer(address(one), ok)
		n.answer(address(two), ok)
		set.Apply(&snapshot.Snapshot{TargetGroups: table.Of(map[string]*snapshot.TargetGroup{spec.ID: spec})})
		w, _ := set.Pick(spec, address(two))
		w.Unreachable() // so that it is probed, too
		w.Done()
		time.Sleep(time.Minute)
		synctest.Wait()
		report := set.Report()[spec.ID]
		if report[one].Status != lattice.TargetUnhealthy || report[two].Status != lattice.TargetHealthy {
			t.Errorf("the report is %v", report)
		}
		if containment.Panics() < before+3 {
			t.Errorf("%d panics were counted", containment.Panics()-before)
		}
		if err := set.Last(spec.ID, one).Err; !errors.Is(err, containment.ErrPanicked) {
			t.Errorf("the last check met %v", err)
		}
		mended.Store(true)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if got := set.Report()[spec.ID][one].Status; got != lattice.TargetHealthy {
			t.Errorf("afterwards it is %s", got)
		}
	})
}
