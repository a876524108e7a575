package snapshot

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"pergola/aws/ec2"
	"pergola/lattice"
	"pergola/snapshot/table"
)

// compileNetworks compiles the service networks that changed and marks the VPCs that are associated with them.
func (c *Compiler) compileNetworks() {
	for n, stale := range c.staleNetworks {
		if stale {
			n.compiled = compiled(c.faults, lattice.KindServiceNetwork.Name, n.id, func() *Network {
				made := n.compile(c.note)
				if made != nil {
					made.resources = c.resources.reached[n.id]
				}
				return made
			})
		}
		for _, l := range n.vpcs {
			c.staleVPCs.look(l.member)
		}
	}
}

// note notes a problem that the changes brought about.
func (c *Compiler) note(problem error) { c.problems = append(c.problems, problem) }

// compile makes the Network anew from the one before. It costs what changed: the names of the services that joined,
// left or were compiled anew are entered again, and all else is shared.
func (n *networkState) compile(note func(error)) *Network {
	was := n.compiled
	if n.object == nil {
		return nil
	}
	n.compiled = &Network{ID: n.id, ARN: n.object.ARN, AuthType: n.object.AuthType, Policy: n.policy.compiled}
	if was != nil {
		n.compiled.Ports, n.compiled.Names = was.Ports, was.Names
	} else {
		n.entries = map[string]*nameEntry{}
		for name := range n.claimants {
			n.staleNames[name] = true
		}
	}
	if len(n.staleNames) == 0 {
		return n.compiled
	}
	n.compiled.Ports = maps.Clone(n.compiled.Ports)
	if n.compiled.Ports == nil {
		n.compiled.Ports = map[uint16]*Port{}
	}
	touched := ports{of: n.compiled.Ports, own: map[uint16]bool{}}
	for name := range n.staleNames {
		n.enter(name, touched, note)
	}
	clear(n.staleNames)
	return n.compiled
}

// nameEntry is what the tables of a network hold under a name, and which services could not have it.
type nameEntry struct {
	service   *Service
	listeners []*Listener
	conflicts []string
}

// enter enters a name into the tables of the network: for the service that has had it for longest, whose generated name
// comes before another's custom domain name, however old that is. It takes out what was there.
func (n *networkState) enter(name string, tables ports, note func(error)) {
	next := n.claim(name)
	was := n.entries[name]
	if was == nil {
		was = &nameEntry{}
	}
	for _, l := range was.listeners {
		tables.remove(name, l)
	}
	for _, l := range next.listeners {
		tables.put(name, l)
	}
	n.compiled.Names = entered(n.compiled.Names, name, next.service)
	for _, conflict := range next.conflicts {
		if !slices.Contains(was.conflicts, conflict) {
			note(fmt.Errorf("service network %s: %s", n.id, conflict))
		}
	}
	if n.entries[name] = next; next.service == nil {
		delete(n.entries, name)
	}
}

// claim decides who has a name. TLS_PASSTHROUGH listeners are found by the custom domain name only (user guide, "TLS
// listeners").
func (n *networkState) claim(name string) *nameEntry {
	entry := &nameEntry{}
	for _, generated := range [...]bool{true, false} {
		for _, l := range n.claimants[name] {
			s := l.member.compiled
			if generated != (s.DomainName == name) {
				continue
			}
			if entry.service == nil {
				entry.service = s
			}
			for _, l := range s.Listeners {
				if l.Protocol != lattice.ProtocolTLSPassthrough || name == s.CustomDomainName {
					entry.add(name, l)
				}
			}
		}
	}
	return entry
}

// add adds a listener, unless another service has one on its port.
func (e *nameEntry) add(name string, l *Listener) {
	i := slices.IndexFunc(e.listeners, func(other *Listener) bool { return other.Port == l.Port })
	switch {
	case i < 0:
		e.listeners = append(e.listeners, l)
	case e.listeners[i].Service != l.Service:
		first := e.listeners[i].Service.ID
		e.conflicts = append(e.conflicts,
			fmt.Sprintf("services %s and %s share the name %s on port %d: only %s, associated first, answers there; "+
				"dissociate one of them",
				first, l.Service.ID, name, l.Port, first))
	}
}

// rename brings up to date under which names a service is looked for in a network. The names that it has, had or shares
// are entered anew.
func (n *networkState) rename(l *link[serviceState]) {
	for _, name := range l.names {
		of := n.claimants[name]
		of.remove(l)
		if n.claimants[name] = of; len(of) == 0 {
			delete(n.claimants, name)
		}
		n.staleNames[name] = true
	}
	l.names = l.names[:0]
	s := l.member.compiled
	if s == nil || l.gone || !l.isServed() {
		return
	}
	for _, name := range [...]string{s.DomainName, s.CustomDomainName} {
		if name == "" || slices.Contains(l.names, name) {
			continue
		}
		of := n.claimants[name]
		of.add(l)
		n.claimants[name] = of
		n.staleNames[name] = true
		l.names = append(l.names, name)
	}
}

// ports are the ports of a network that is being compiled. Those that are its own already may be changed; the others
// belong to the network before.
type ports struct {
	of  map[uint16]*Port
	own map[uint16]bool
}

func (p ports) port(number uint16) *Port {
	if !p.own[number] {
		p.own[number] = true
		if port := p.of[number]; port != nil {
			p.of[number] = new(*port)
		} else {
			p.of[number] = &Port{}
		}
	}
	return p.of[number]
}

func (p ports) put(name string, l *Listener) {
	port := p.port(l.Port)
	port.Listeners = port.Listeners.With(name, l)
	if l.Protocol != lattice.ProtocolHTTP {
		port.secure++
	}
	port.TLS = port.secure > 0
}

func (p ports) remove(name string, l *Listener) {
	port := p.port(l.Port)
	port.Listeners = port.Listeners.Without(name)
	if l.Protocol != lattice.ProtocolHTTP {
		port.secure--
	}
	port.TLS = port.secure > 0
	if port.Listeners.Len() == 0 {
		delete(p.of, l.Port)
		p.own[l.Port] = false
	}
}

// compileVPCs compiles the VPCs that changed and returns all VPCs. If only the service networks of one changed, or what
// its packets are filtered by, it keeps all but its doors and its filter.
func (c *Compiler) compileVPCs() table.Table[*VPC] {
	all := c.current.VPCs
	for v, stale := range c.staleVPCs {
		switch doors := v.doors(); {
		case stale:
			v.compiled = compiled(c.faults, ec2.KindVPC, v.id, func() *VPC { return c.compileVPC(v) })
		case v.compiled == nil || !v.filtering.stale && slices.EqualFunc(v.compiled.Doors, doors, Door.same):
			continue
		default:
			v.compiled = compiled(c.faults, ec2.KindVPC, v.id, func() *VPC { return c.recompileVPC(v, doors) })
		}
		all = entered(all, v.id, v.compiled)
	}
	return all
}

// recompileVPC compiles the doors and the filter of a VPC.
func (c *Compiler) recompileVPC(v *vpcState, doors []Door) *VPC {
	vpc := new(*v.compiled)
	vpc.Doors = doors
	if v.filtering.stale {
		vpc.Filter = c.compileFilter(v, vpc)
	}
	return vpc
}

func (c *Compiler) compileVPC(v *vpcState) *VPC {
	if v.object == nil {
		return nil
	}
	vpc := &VPC{
		ID:      v.id,
		ARN:     lattice.Home{Region: c.region, Account: v.object.Account}.VPCARN(v.id),
		Account: v.object.Account,
		CIDR:    v.object.CIDR,
		Doors:   v.doors(),
	}
	for id, i := range v.instances {
		if !i.Deleting {
			vpc.Instances = append(vpc.Instances, Instance{id, i.Address})
		}
	}
	slices.SortFunc(vpc.Instances, func(a, b Instance) int { return cmp.Compare(a.ID, b.ID) })
	vpc.LoadBalancers = c.balancersOf(v.id)
	vpc.Gateways = c.gatewaysOf(v.id)
	vpc.Filter = c.compileFilter(v, vpc)
	return vpc
}

// doors are those that the associations of the VPC make, the oldest first.
func (v *vpcState) doors() (all []Door) {
	for _, l := range v.links {
		if l.isServed() && l.network.compiled != nil {
			door := l.door
			door.Network = l.network.compiled
			all = append(all, door)
		}
	}
	return all
}
