package snapshot

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"pergola/aws/acm"
	"pergola/aws/elbv2"
	"pergola/lattice"
	"pergola/snapshot/table"
)

// LoadBalancer is a load balancer as nodes run it: in a VPC, at an address in each of some subnets.
type LoadBalancer struct {
	ID, ARN, DNSName string
	VPC              string
	// Addresses are in order of zone.
	Addresses []netip.Addr
	// SecurityGroups are the ids of those that it is in.
	SecurityGroups []string
	// ForwardedFor is what becomes of X-Forwarded-For: elbv2.ForwardedForAppend and so on. ForwardedClientPort is whether
	// the client's port is appended with its address.
	ForwardedFor        string
	ForwardedClientPort bool
	// IdleTimeout is how long a target may take to answer.
	IdleTimeout time.Duration
	// Listeners are in order of port.
	Listeners []BalancerListener
	// TargetGroups are those that listeners forward to, by id.
	TargetGroups table.Table[*TargetGroup]
}

// BalancerListener is a port of a load balancer and what is done with its requests: exactly one of Fixed and Forward is
// set.
type BalancerListener struct {
	Protocol lattice.Protocol
	Port     uint16
	// Certificate is what an HTTPS listener shows; nil for HTTP, and where it does not exist.
	Certificate *Certificate
	Fixed       *elbv2.FixedResponse
	Forward     []WeightedTargetGroup
	// TotalWeight is the sum of the weights of Forward.
	TotalWeight int
}

// NodeID names what a load balancer is at its i-th address, among the instances of its VPC.
func (l *LoadBalancer) NodeID(i int) string { return "elb-" + l.ID + "-" + strconv.Itoa(i) }

// LoadBalancer is the load balancer of the VPC that has a DNS name, or nil. Neither the case of its letters nor one
// trailing dot counts. A nil VPC has none.
func (v *VPC) LoadBalancer(name []byte) *LoadBalancer {
	if v == nil || len(v.LoadBalancers) == 0 {
		return nil
	}
	var folded [maxName]byte
	return v.LoadBalancers[string(foldName(&folded, name))]
}

// balancers is what a Compiler knows of load balancers and of their target groups.
type balancers struct {
	objects map[string]*elbv2.LoadBalancer // by id
	groups  map[string]*elbv2.TargetGroup  // by id
	// stale are the load balancers that an Apply has to compile, those that are gone included.
	stale map[string]bool
}

func newBalancers() balancers {
	return balancers{map[string]*elbv2.LoadBalancer{}, map[string]*elbv2.TargetGroup{}, map[string]bool{}}
}

// changed marks the load balancers that forward to a target group. There are few load balancers.
func (b balancers) changed(group string) {
	for id, l := range b.objects {
		if l.ForwardsTo(group) {
			b.stale[id] = true
		}
	}
}

// certified marks the load balancers that have a listener with a certificate.
func (b balancers) certified(id, region string) {
	for balancer, l := range b.objects {
		if slices.ContainsFunc(l.Listeners, func(one elbv2.Listener) bool { of, _ := acm.ID(one.Certificate, region); return of == id }) {
			b.stale[balancer] = true
		}
	}
}

// moved marks the load balancers that have an instance among their targets.
func (b balancers) moved(instance string) {
	for id, g := range b.groups {
		if slices.ContainsFunc(g.Targets, func(t elbv2.Target) bool { return t.ID == instance }) {
			b.changed(id)
		}
	}
}

// balancerAddresses are the addresses of a load balancer, or none if there is none of that ARN.
func (c *Compiler) balancerAddresses(arn string) (addresses []netip.Addr) {
	l := c.balancers.objects[lattice.IDOf(arn)]
	if l == nil || l.ARN != arn {
		return nil
	}
	for _, node := range l.Nodes {
		addresses = append(addresses, node.Address)
	}
	return addresses
}

func (c *Compiler) takeBalancer(change Change, id string) error {
	object, err := decode[elbv2.LoadBalancer](change)
	for _, l := range []*elbv2.LoadBalancer{c.balancers.objects[id], object} {
		if l == nil {
			continue
		}
		for _, g := range c.placements[l.ARN] {
			c.staleGroups.compile(g)
		}
		c.staleVPCs.compile(c.vpc(l.VPC))
	}
	c.balancers.stale[id] = true
	delete(c.balancers.objects, id)
	if object != nil {
		c.balancers.objects[id] = object
	}
	return err
}

func (c *Compiler) takeBalancerGroup(change Change, id string) error {
	object, err := decode[elbv2.TargetGroup](change)
	delete(c.balancers.groups, id)
	if object != nil {
		c.balancers.groups[id] = object
	}
	c.balancers.changed(id)
	return err
}

// balancersOf are the load balancers in a VPC by their names, or nil.
func (c *Compiler) balancersOf(vpc string) map[string]*LoadBalancer {
	var of map[string]*LoadBalancer
	for l := range c.current.LoadBalancers.Values() {
		if l.VPC != vpc {
			continue
		}
		if of == nil {
			of = map[string]*LoadBalancer{}
		}
		of[tableName(l.DNSName)] = l
	}
	return of
}

// compileBalancers compiles the load balancers that changed and returns all.
func (c *Compiler) compileBalancers(all table.Table[*LoadBalancer]) table.Table[*LoadBalancer] {
	for id := range c.balancers.stale {
		var balancer *LoadBalancer
		if l := c.balancers.objects[id]; l != nil {
			balancer = compiled(c.faults, elbv2.KindLoadBalancer, id, func() *LoadBalancer { return c.compileBalancer(id, l) })
			c.staleVPCs.compile(c.vpc(l.VPC))
		}
		all = entered(all, id, balancer)
	}
	clear(c.balancers.stale)
	return all
}

func (c *Compiler) compileBalancer(id string, l *elbv2.LoadBalancer) *LoadBalancer {
	seconds, _ := strconv.Atoi(l.Attribute(elbv2.IdleTimeout)) // 0, which is no limit, for what the control plane refuses
	compiled := &LoadBalancer{
		ID: id, ARN: l.ARN, DNSName: l.DNSName, VPC: l.VPC, Addresses: c.balancerAddresses(l.ARN),
		SecurityGroups:      l.SecurityGroups,
		ForwardedFor:        l.Attribute(elbv2.ForwardedFor),
		ForwardedClientPort: l.Attribute(elbv2.ForwardedClientPort) == "true",
		IdleTimeout:         time.Duration(seconds) * time.Second,
	}
	for _, listener := range l.Listeners {
		of := BalancerListener{
			Protocol: listener.Protocol, Port: uint16(listener.Port), Fixed: listener.Action.Fixed,
			Certificate: c.balancerCertificate(l, &listener),
		}
		for _, share := range listener.Action.Forward {
			g := c.balancers.groups[share.TargetGroup]
			if g == nil {
				continue
			}
			group := compiled.TargetGroups.Get(share.TargetGroup)
			if group == nil {
				group = c.compileBalancerGroup(share.TargetGroup, g)
				compiled.TargetGroups = compiled.TargetGroups.With(share.TargetGroup, group)
			}
			of.Forward = append(of.Forward, WeightedTargetGroup{group, int(share.Weight)})
			of.TotalWeight += int(share.Weight)
		}
		compiled.Listeners = append(compiled.Listeners, of)
	}
	slices.SortFunc(compiled.Listeners, func(a, b BalancerListener) int { return cmp.Compare(a.Port, b.Port) })
	return compiled
}

// balancerCertificate is the certificate of a listener. One of another account or region is none.
func (c *Compiler) balancerCertificate(l *elbv2.LoadBalancer, listener *elbv2.Listener) *Certificate {
	id, ok := acm.ID(listener.Certificate, c.region)
	if state := c.certificates[id]; ok && state != nil && lattice.AccountOf(listener.Certificate) == lattice.AccountOf(l.ARN) {
		return state.compiled
	}
	return nil
}

// compileBalancerGroup makes a target group of a load balancer one like those of VPC Lattice, so that what checks and
// picks targets there does so here.
func (c *Compiler) compileBalancerGroup(id string, g *elbv2.TargetGroup) *TargetGroup {
	h := g.HealthCheck
	codes, err := lattice.ParseCodes(h.Codes)
	if err != nil {
		codes = []lattice.CodeRange{{From: 200, To: 200}} // the control plane stores none that cannot be read
	}
	group := &TargetGroup{
		ID: id, ARN: g.ARN, Type: lattice.TargetIP, Protocol: g.Protocol, ProtocolVersion: lattice.HTTP1, VPC: g.VPC, InUse: true,
		HealthCheck: &HealthCheck{
			Protocol: h.Protocol, ProtocolVersion: lattice.HTTP1, Path: h.Path, Port: uint16(h.Port), Codes: codes,
			Interval:         time.Duration(max(1, h.IntervalSeconds)) * time.Second,
			Timeout:          time.Duration(max(1, h.TimeoutSeconds)) * time.Second,
			HealthyThreshold: int(h.HealthyThreshold), UnhealthyThreshold: int(h.UnhealthyThreshold),
		},
	}
	for _, t := range g.Targets {
		address, _ := netip.ParseAddr(t.ID)
		if g.Type == elbv2.TargetInstance {
			group.Type, address = lattice.TargetInstance, c.instanceAddress(t.ID)
		}
		target := Target{Key: t.Key()}
		if address.IsValid() {
			target.Address = netip.AddrPortFrom(address, uint16(t.Port))
		}
		group.Targets = append(group.Targets, target)
	}
	slices.SortFunc(group.Targets, func(a, b Target) int { return cmp.Compare(a.Key, b.Key) })
	return group
}
