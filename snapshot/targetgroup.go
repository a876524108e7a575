package snapshot

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"pergola/lattice"
	"pergola/snapshot/table"
)

// updateUsers brings up to date which services use which target groups.
func (c *Compiler) updateUsers() {
	for s := range c.staleServices {
		var now map[*groupState]bool
		_ = c.faults.try("looking for a service's target groups", s.id, func() error { now = c.groupsOf(s); return nil })
		joined := s.joined()
		for g := range s.groups {
			if !now[g] {
				delete(g.users, s)
				c.staleGroups.look(g)
			}
		}
		for g := range now {
			if was, known := g.users[s]; !known || was != joined {
				g.users[s] = joined
				c.staleGroups.look(g)
			}
		}
		s.groups = now
	}
}

// groupsOf are the target groups, existing or not, that the listeners of a service forward to.
func (c *Compiler) groupsOf(s *serviceState) map[*groupState]bool {
	groups := map[*groupState]bool{}
	add := func(a lattice.RuleAction) {
		for _, id := range a.TargetGroupIDs() {
			groups[c.group(id)] = true
		}
	}
	for _, l := range s.listeners {
		if l.object == nil {
			continue
		}
		add(l.object.DefaultAction)
		for _, r := range l.rules {
			add(r.action)
		}
	}
	return groups
}

// compileGroups compiles the target groups that changed or came in or out of use, marks the services that use them,
// and returns all target groups.
func (c *Compiler) compileGroups() table.Table[*TargetGroup] {
	all := c.current.TargetGroups
	for g, stale := range c.staleGroups {
		if !stale && (g.compiled == nil || g.compiled.InUse == g.inUse()) {
			continue
		}
		g.compiled = compiled(c.faults, lattice.KindTargetGroup.Name, g.id, func() *TargetGroup { return c.compileGroup(g) })
		all = entered(all, g.id, g.compiled)
		for s := range g.users {
			c.staleServices.compile(s)
		}
	}
	return all
}

func (g *groupState) inUse() bool {
	for _, joined := range g.users {
		if joined {
			return true
		}
	}
	return false
}

func (c *Compiler) compileGroup(g *groupState) *TargetGroup {
	if g.object == nil {
		return nil
	}
	group := &TargetGroup{ID: g.id, ARN: g.object.ARN, Type: g.object.Type, InUse: g.inUse()}
	if config := g.object.Config; config != nil {
		group.Protocol = config.Protocol
		group.ProtocolVersion = config.ProtocolVersion
		group.VPC = config.VPCIdentifier
		group.EventVersion = config.LambdaEventStructureVersion
		group.HealthCheck = c.compileHealthCheck(g.object)
	}
	for key, t := range g.targets {
		target := Target{Key: key, Draining: t.DeregisteredAt != nil}
		target.Address, target.More = c.addresses(group.Type, t)
		if group.Type == lattice.TargetLambda {
			target.Function = t.ID
		}
		group.Targets = append(group.Targets, target)
	}
	slices.SortFunc(group.Targets, func(a, b Target) int { return cmp.Compare(a.Key, b.Key) })
	return group
}

// addresses is where a target is: invalid when that cannot be said.
func (c *Compiler) addresses(kind lattice.TargetGroupType, t *lattice.RegisteredTarget) (first netip.AddrPort, more []netip.AddrPort) {
	var all []netip.Addr
	switch kind {
	case lattice.TargetIP:
		address, _ := netip.ParseAddr(t.ID)
		all = append(all, address)
	case lattice.TargetInstance:
		all = append(all, c.instanceAddress(t.ID))
	case lattice.TargetALB:
		all = c.balancerAddresses(t.ID)
	}
	for i, address := range all {
		at := netip.AddrPortFrom(address, uint16(t.Port))
		switch {
		case !address.IsValid():
		case i == 0:
			first = at
		default:
			more = append(more, at)
		}
	}
	return first, more
}

// instanceAddress is where an instance is, or invalid if it is to go.
func (c *Compiler) instanceAddress(id string) netip.Addr {
	if i := c.instances[id]; i != nil && !i.Deleting {
		return i.Address
	}
	return netip.Addr{}
}

// compileHealthCheck is the health check of a target group, or nil if it has none: Lambda functions and load
// balancers are not checked (user guide, "Health checks").
func (c *Compiler) compileHealthCheck(g *lattice.TargetGroup) *HealthCheck {
	h := g.Config.HealthCheck
	checkable := g.Type == lattice.TargetInstance || g.Type == lattice.TargetIP
	if !checkable || h == nil || h.Enabled == nil || !*h.Enabled {
		return nil
	}
	codes, err := healthyCodes(h.Matcher)
	if err != nil {
		c.problems = append(c.problems, fmt.Errorf("target group %s: health check: %w; update the matcher, until then %s is taken for healthy",
			g.ID, err, lattice.DefaultHealthCheckCodes))
	}
	return &HealthCheck{
		Protocol:           cmp.Or(h.Protocol, lattice.TargetHTTP),
		ProtocolVersion:    cmp.Or(h.ProtocolVersion, lattice.HTTP1),
		Path:               cmp.Or(h.Path, lattice.DefaultHealthCheckPath),
		Interval:           time.Duration(cmp.Or(h.HealthCheckIntervalSeconds, lattice.DefaultHealthCheckIntervalSeconds)) * time.Second,
		Timeout:            time.Duration(cmp.Or(h.HealthCheckTimeoutSeconds, lattice.DefaultHealthCheckTimeoutSeconds)) * time.Second,
		HealthyThreshold:   int(cmp.Or(h.HealthyThresholdCount, lattice.DefaultHealthyThresholdCount)),
		UnhealthyThreshold: int(cmp.Or(h.UnhealthyThresholdCount, lattice.DefaultUnhealthyThresholdCount)),
		Port:               uint16(h.Port),
		Codes:              codes,
	}
}

// healthyCodes are the codes of a matcher, or the default ones if it has none or is broken.
func healthyCodes(m *lattice.Matcher) ([]lattice.CodeRange, error) {
	defaults, err := lattice.ParseCodes(lattice.DefaultHealthCheckCodes)
	if m == nil || m.HTTPCode == nil || *m.HTTPCode == "" {
		return defaults, err
	}
	codes, err := lattice.ParseCodes(*m.HTTPCode)
	if err != nil {
		return defaults, err
	}
	return codes, nil
}
