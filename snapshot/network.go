package snapshot

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"pergola/aws/ec2"
	"pergola/lattice"
)

// compileNetworks compiles the service networks that changed and marks the VPCs that are associated with them.
func (c *Compiler) compileNetworks() {
	for n, stale := range c.staleNetworks {
		replaced := n.replaced
		n.replaced = nil
		switch {
		case stale:
			known := n.conflicts
			n.compiled = compiled(c.faults, lattice.KindServiceNetwork.Name, n.id, func() *Network { n.compile(); return n.compiled })
			c.report(n, known)
		case n.compiled != nil && len(replaced) > 0:
			n.compiled = compiled(c.faults, lattice.KindServiceNetwork.Name, n.id, func() *Network { return n.compiled.with(replaced) })
		default:
			continue
		}
		for _, l := range n.vpcs {
			c.staleVPCs.compile(l.member)
		}
	}
}

// report reports the conflicts of a service network that were not known before.
func (c *Compiler) report(n *networkState, known []string) {
	for _, conflict := range n.conflicts {
		if !slices.Contains(known, conflict) {
			c.problems = append(c.problems, fmt.Errorf("service network %s: %s", n.id, conflict))
		}
	}
}

// replacement is a service compiled anew.
type replacement struct{ was, is *Service }

// keepsTables reports whether the tables of a Network have the same keys with either service, so that the one only
// takes the other's place.
func (r replacement) keepsTables() bool {
	return r.was != nil && r.is != nil &&
		r.was.DomainName == r.is.DomainName && r.was.CustomDomainName == r.is.CustomDomainName &&
		slices.EqualFunc(r.was.Listeners, r.is.Listeners, func(a, b *Listener) bool {
			return a.Port == b.Port && a.Protocol == b.Protocol
		})
}

// with is the network with services in the places of others. Its tables are copies, which costs a fraction of filling
// them anew.
func (n *Network) with(replaced []replacement) *Network {
	next := new(*n)
	next.Ports, next.Names = maps.Clone(n.Ports), maps.Clone(n.Names)
	for _, r := range replaced {
		for _, name := range [...]string{r.was.DomainName, r.was.CustomDomainName} {
			if next.Names[name] == r.was {
				next.Names[name] = r.is
			}
			for i, l := range r.was.Listeners {
				if port := next.Ports[l.Port]; port != nil && port.Listeners[name] == l {
					next.ownPort(n, l.Port).Listeners[name] = r.is.Listeners[i]
				}
			}
		}
	}
	return next
}

// ownPort is a port of the network, copied if it is still that of the network before.
func (n *Network) ownPort(before *Network, number uint16) *Port {
	if n.Ports[number] == before.Ports[number] {
		n.Ports[number] = &Port{maps.Clone(before.Ports[number].Listeners), before.Ports[number].TLS}
	}
	return n.Ports[number]
}

// compile fills the tables of the network, the oldest association first: a name belongs to whoever had it first. No
// custom domain name takes a generated name away from its service, however old.
func (n *networkState) compile() {
	n.compiled, n.conflicts = nil, nil
	if n.object == nil {
		return
	}
	n.compiled = &Network{
		ID:       n.id,
		ARN:      n.object.ARN,
		AuthType: n.object.AuthType,
		Policy:   n.policy.compiled,
		Ports:    map[uint16]*Port{},
		Names:    make(map[string]*Service, len(n.services)),
	}
	members := n.members()
	for _, s := range members {
		n.enter(s.DomainName, s)
	}
	for _, s := range members {
		n.enter(s.CustomDomainName, s)
	}
}

// members are the services served in the network, the oldest association first.
func (n *networkState) members() []*Service {
	members := make([]*Service, 0, len(n.services))
	for _, l := range n.services {
		if l.isServed() && l.member.compiled != nil {
			members = append(members, l.member.compiled)
		}
	}
	return members
}

// enter enters a service into the tables under one of its names. TLS_PASSTHROUGH listeners are found by the custom
// domain name only (user guide, "TLS listeners").
func (n *networkState) enter(name string, s *Service) {
	if name == "" {
		return
	}
	if n.compiled.Names[name] == nil {
		n.compiled.Names[name] = s
	}
	for _, l := range s.Listeners {
		if l.Protocol == lattice.ProtocolTLSPassthrough && name != s.CustomDomainName {
			continue
		}
		port := n.port(l.Port)
		port.TLS = port.TLS || l.Protocol != lattice.ProtocolHTTP
		switch other := port.Listeners[name]; {
		case other == nil:
			port.Listeners[name] = l
		case other.Service != s:
			n.conflicts = append(n.conflicts, fmt.Sprintf("services %s and %s share the name %s on port %d: only %s, associated first, answers there; dissociate one of them",
				other.Service.ID, s.ID, name, l.Port, other.Service.ID))
		}
	}
}

func (n *networkState) port(number uint16) *Port {
	port := n.compiled.Ports[number]
	if port == nil {
		port = &Port{Listeners: make(map[string]*Listener, len(n.services))}
		n.compiled.Ports[number] = port
	}
	return port
}

// compileVPCs compiles the VPCs that changed and returns all VPCs.
func (c *Compiler) compileVPCs() map[string]*VPC {
	changed := map[string]*VPC{}
	for v, stale := range c.staleVPCs {
		if stale {
			changed[v.id] = compiled(c.faults, ec2.KindVPC, v.id, func() *VPC { return c.compileVPC(v) })
		}
	}
	return updated(c.current.VPCs, changed)
}

func (c *Compiler) compileVPC(v *vpcState) *VPC {
	if v.object == nil {
		return nil
	}
	vpc := &VPC{
		ID:      v.id,
		ARN:     lattice.Place{Region: c.region, Account: v.object.Account}.VPCARN(v.id),
		Account: v.object.Account,
		CIDR:    v.object.CIDR,
	}
	vpc.Network, vpc.Association = v.network()
	for id, i := range v.instances {
		// A pending instance is one that waits for the nodes to make it.
		if i.State == ec2.InstancePending || i.State == ec2.InstanceRunning {
			vpc.Instances = append(vpc.Instances, Instance{id, i.Address})
		}
	}
	slices.SortFunc(vpc.Instances, func(a, b Instance) int { return cmp.Compare(a.ID, b.ID) })
	vpc.LoadBalancers = c.balancersOf(v.id)
	return vpc
}

// network is the service network of the VPC's oldest association with the association's id, or nil. The API allows one
// association at a time.
func (v *vpcState) network() (*Network, string) {
	for _, l := range v.links {
		if l.isServed() && l.network.compiled != nil {
			return l.network.compiled, l.id
		}
	}
	return nil, ""
}
