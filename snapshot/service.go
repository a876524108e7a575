package snapshot

import (
	"cmp"
	"slices"
	"time"

	"pergola/lattice"
)

// compileServices compiles the services that changed and tells the service networks in which they are served.
func (c *Compiler) compileServices() {
	for s, stale := range c.staleServices {
		if !stale {
			continue
		}
		s.compiled = compiled(c.faults, lattice.KindService.Name, s.id, func() *Service { return c.compileService(s) })
		c.current.Services = entered(c.current.Services, s.id, s.compiled)
		for _, l := range s.links {
			c.staleLinks[l] = true
		}
	}
	for _, gone := range [...]bool{true, false} { // an association may have taken the place of its former self
		for l := range c.staleLinks {
			if l.gone == gone {
				l.network.rename(l)
				if len(l.network.staleNames) > 0 {
					c.staleNetworks.compile(l.network)
				}
			}
		}
	}
	clear(c.staleLinks)
}

func (c *Compiler) compileService(s *serviceState) *Service {
	if s.object == nil || !served(s.object.Intent, s.object.Status) {
		return nil
	}
	service := &Service{
		ID:               s.id,
		ARN:              s.object.ARN,
		Name:             s.object.Name,
		DomainName:       tableName(s.object.DNSEntry.DomainName),
		CustomDomainName: tableName(s.object.CustomDomainName),
		AuthType:         s.object.AuthType,
		Policy:           s.policy.compiled,
		Tags:             NewTags(s.object.Tags),
		IdleTimeout:      time.Duration(cmp.Or(s.object.IdleTimeoutSeconds, lattice.DefaultIdleTimeoutSeconds)) * time.Second,
	}
	if s.certificate != nil {
		service.Certificate = s.certificate.compiled
	}
	for id, l := range s.listeners {
		if l.object != nil {
			service.Listeners = append(service.Listeners, c.compileListener(id, l, service))
		}
	}
	slices.SortFunc(service.Listeners, func(a, b *Listener) int {
		return cmp.Or(cmp.Compare(a.Port, b.Port), cmp.Compare(a.ID, b.ID))
	})
	return service
}

func (c *Compiler) compileListener(id string, l *listenerState, service *Service) *Listener {
	rules := make([]Rule, 0, len(l.rules)+1)
	for id, r := range l.rules {
		rules = append(rules, Rule{id, r.priority, r.match, c.compileAction(r.action)})
	}
	slices.SortFunc(rules, func(a, b Rule) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.ID, b.ID))
	})
	last := l.object.DefaultRule()
	return &Listener{
		ID:       id,
		Protocol: l.object.Protocol,
		Port:     uint16(l.object.Port),
		Service:  service,
		Rules:    append(rules, Rule{ID: last.ID, Action: c.compileAction(last.Action)}),
	}
}

// compileAction looks up the target groups of an action. A group that does not exist has no share, and the others
// take over its share in proportion to their own; when none is left, Forward is empty and TotalWeight is 0.
//
// The only group of an action has all of the requests, at any weight (user guide, "Add a listener").
func (c *Compiler) compileAction(a lattice.RuleAction) Action {
	if a.FixedResponse != nil {
		return Action{FixedStatus: int(a.FixedResponse.StatusCode)}
	}
	ids := a.TargetGroupIDs()
	action := Action{Forward: make([]WeightedTargetGroup, 0, len(ids))}
	for i, id := range ids {
		if g := c.groups[id]; g != nil && g.compiled != nil {
			share := weight(a.Forward.TargetGroups[i], len(ids) == 1)
			action.Forward = append(action.Forward, WeightedTargetGroup{g.compiled, share})
			action.TotalWeight += share
		}
	}
	return action
}

func weight(g lattice.WeightedTargetGroup, only bool) int {
	switch {
	case only:
		return 100
	case g.Weight == nil:
		return 1
	}
	return int(*g.Weight)
}
