package target

import (
	"net/netip"
	"slices"
	"sync/atomic"

	"pergola/lattice"
	"pergola/snapshot"
)

// group is a target group.
type group struct {
	set   *Set
	tiers atomic.Pointer[tiers] // replaced, never altered
	turn  atomic.Uint64

	// Guarded by set.mu.
	spec    *snapshot.TargetGroup
	targets map[string]*Target // by key
}

// tiers are the ways that requests take in turn: those of healthy targets; failing these, those of all targets; failing
// these, also the ones that are avoided. A way that is avoided is in the last tier alone.
type tiers [3][]*Way

// Target is one target of a group.
type Target struct {
	group     *group
	key       string
	vpc       string
	addresses []netip.AddrPort // of a load balancer several; none for a function, and for what does not exist any more
	function  string
	ways      []*Way
	inFlight  atomic.Int64
	draining  atomic.Bool

	// Guarded by group.set.mu.
	health  health
	last    Finding
	checker *checker // nil while the target is not checked
}

func newTarget(g *group, s snapshot.Target) *Target {
	t := &Target{group: g, key: s.Key, vpc: g.spec.VPC, addresses: addressesOf(s), function: s.Function,
		health: unjudged()}
	for _, address := range t.addresses {
		t.ways = append(t.ways, &Way{target: t, address: address})
	}
	if t.function != "" {
		t.ways = []*Way{{target: t}}
	}
	return t
}

// addressesOf are all addresses of a target, which are used in turn.
func addressesOf(s snapshot.Target) []netip.AddrPort {
	if !s.Address.IsValid() {
		return nil
	}
	return append([]netip.AddrPort{s.Address}, s.More...)
}

// apply makes the group follow its specification. The caller holds set.mu.
func (g *group) apply(spec *snapshot.TargetGroup) {
	known := g.targets
	g.spec, g.targets = spec, make(map[string]*Target, len(spec.Targets))
	for _, s := range spec.Targets {
		t := known[s.Key]
		if t == nil || !t.stands(s) {
			t = newTarget(g, s)
		}
		g.targets[s.Key] = t
	}
	for key, t := range known {
		if g.targets[key] != t {
			t.uncheck()
			t.trust()
		}
	}
	g.follow()
}

// stands reports whether the target is the one that s specifies. At another address it is another one, to be judged
// anew; but one that is draining has requests to finish wherever they went.
func (t *Target) stands(s snapshot.Target) bool {
	return s.Draining || slices.Equal(t.addresses, addressesOf(s))
}

// follow brings checks, the targets in turn and the marks of draining in line with the specification, in this order. The
// order of the last two is what Pick relies on. The caller holds set.mu.
func (g *group) follow() {
	for _, s := range g.spec.Targets {
		t := g.targets[s.Key]
		if !g.isChecked() {
			t.health = unjudged()
		}
		if g.isChecked() && !s.Draining && s.Address.IsValid() {
			t.check(g.spec.HealthCheck.Interval)
		} else {
			t.uncheck()
		}
		if s.Draining {
			t.trust()
		} else {
			t.draining.Store(false)
		}
	}
	g.publish()
	for _, s := range g.spec.Targets {
		if s.Draining {
			g.targets[s.Key].draining.Store(true)
		}
	}
}

// isChecked reports whether the health of the group's targets is checked: only while a service forwards to it (user
// guide, "Target groups"), and only if it has a health check.
func (g *group) isChecked() bool { return g.spec.InUse && g.spec.HealthCheck != nil }

// publish makes the tiers anew. The caller holds set.mu.
func (g *group) publish() {
	var all tiers
	for _, s := range g.spec.Targets {
		if s.Draining {
			continue
		}
		t := g.targets[s.Key]
		for _, w := range t.ways {
			all[2] = append(all[2], w)
			if w.avoided {
				continue
			}
			all[1] = append(all[1], w)
			if t.health.status == lattice.TargetHealthy {
				all[0] = append(all[0], w)
			}
		}
	}
	g.tiers.Store(&all)
}

// report is the health of all targets of the group. The caller holds set.mu.
func (g *group) report() lattice.TargetReport {
	report := make(lattice.TargetReport, len(g.spec.Targets))
	for _, s := range g.spec.Targets {
		report[s.Key] = g.healthOf(s)
	}
	return report
}

// healthOf is what there is to say of a target. UNAVAILABLE is said of every target that is not checked, also where the
// checks are merely disabled: clients take it to mean ready. The caller holds set.mu.
func (g *group) healthOf(s snapshot.Target) lattice.TargetHealth {
	t := g.targets[s.Key]
	switch {
	case s.Draining:
		return lattice.TargetHealth{
			Status: lattice.TargetDraining, ReasonCode: lattice.ReasonDeregistrationProgress, Drained: t.inFlight.Load() == 0,
		}
	case !g.spec.InUse:
		return lattice.TargetHealth{Status: lattice.TargetUnused, ReasonCode: lattice.ReasonTargetGroupNotInUse}
	case g.spec.HealthCheck == nil:
		return lattice.TargetHealth{Status: lattice.TargetUnavailable, ReasonCode: lattice.ReasonHealthCheckNotSupported}
	case !s.Address.IsValid():
		return lattice.TargetHealth{Status: lattice.TargetUnhealthy, ReasonCode: lattice.ReasonHealthCheckFailed}
	}
	return t.health.report()
}
