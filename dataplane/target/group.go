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
	set    *Set
	usable atomic.Pointer[[]*Target] // the targets in turn; replaced, never altered
	turn   atomic.Uint64

	// Guarded by set.mu.
	spec    *snapshot.TargetGroup
	targets map[string]*Target // by key
}

// Target is one target of a group.
type Target struct {
	group    *group
	key      string
	vpc      string
	address  netip.AddrPort
	more     []netip.AddrPort // further addresses, of a load balancer
	turn     atomic.Uint64    // counts the requests that went to address and more in turn
	function string
	inFlight atomic.Int64
	draining atomic.Bool

	// Guarded by group.set.mu.
	health  health
	checker *checker // nil while the target is not checked
}

// Address is where the next request to the target goes: a load balancer answers at several addresses, which take turns.
// It is asked once for each request.
func (t *Target) Address() netip.AddrPort {
	if len(t.more) == 0 {
		return t.address
	}
	if i := t.turn.Add(1) % uint64(1+len(t.more)); i > 0 {
		return t.more[i-1]
	}
	return t.address
}

// Function is the ARN of the Lambda function that the target is; "" for all others, which have an address.
func (t *Target) Function() string { return t.function }

// VPC is the id of the VPC in which the address is.
func (t *Target) VPC() string { return t.vpc }

// Done ends a request for which the target was picked. Call it exactly once for each Pick.
func (t *Target) Done() {
	if t.inFlight.Add(-1) == 0 && t.draining.Load() {
		t.group.set.tell()
	}
}

// apply makes the group follow its specification. The caller holds set.mu.
func (g *group) apply(spec *snapshot.TargetGroup) {
	known := g.targets
	g.spec, g.targets = spec, make(map[string]*Target, len(spec.Targets))
	for _, s := range spec.Targets {
		t := known[s.Key]
		if t == nil || !t.stands(s) {
			t = &Target{group: g, key: s.Key, vpc: spec.VPC, address: s.Address, more: s.More, function: s.Function, health: unjudged()}
		}
		g.targets[s.Key] = t
	}
	for key, t := range known {
		if g.targets[key] != t {
			t.uncheck()
		}
	}
	g.follow()
}

// stands reports whether the target is the one that s specifies. At another address it is another one, to be judged
// anew; but one that is draining has requests to finish wherever they went.
func (t *Target) stands(s snapshot.Target) bool {
	return s.Draining || t.address == s.Address && slices.Equal(t.more, s.More)
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
		if !s.Draining {
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

// publish makes the list of targets in turn anew. The caller holds set.mu.
func (g *group) publish() {
	var healthy, usable []*Target
	for _, s := range g.spec.Targets {
		t := g.targets[s.Key]
		if s.Draining || !s.Address.IsValid() && s.Function == "" {
			continue
		}
		usable = append(usable, t)
		if t.health.status == lattice.TargetHealthy {
			healthy = append(healthy, t)
		}
	}
	if len(healthy) > 0 {
		usable = healthy
	}
	g.usable.Store(&usable)
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
