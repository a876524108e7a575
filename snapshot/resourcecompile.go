package snapshot

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"pergola/lattice"
	"pergola/snapshot/table"
)

// resourceObjects is what a Compiler knows of resources.
type resourceObjects struct {
	gateways       map[string]*lattice.ResourceGateway // by id, and so are all
	configurations map[string]*lattice.ResourceConfiguration
	associations   map[string]*lattice.ServiceNetworkResourceAssociation
	verifications  map[string]*lattice.DomainVerification
	// children are the ids of the configurations in each group, and within those of the associations in each network.
	children, within map[string]map[string]bool
	// compiled are the gateways that exist, and staleGateways those that an Apply has to compile.
	compiled      table.Table[*Gateway]
	staleGateways map[string]bool
	// reached is what each network has, and stale those in which an Apply has to find that out anew.
	reached map[string]resources
	stale   map[string]bool
}

func newResourceObjects() resourceObjects {
	return resourceObjects{
		gateways: map[string]*lattice.ResourceGateway{}, configurations: map[string]*lattice.ResourceConfiguration{},
		associations:  map[string]*lattice.ServiceNetworkResourceAssociation{},
		verifications: map[string]*lattice.DomainVerification{}, children: map[string]map[string]bool{},
		within: map[string]map[string]bool{}, staleGateways: map[string]bool{}, reached: map[string]resources{},
		stale: map[string]bool{},
	}
}

// enlist adds a member to a list of a table of lists, or takes it out.
func enlist(in map[string]map[string]bool, list, member string, isMember bool) {
	if list == "" {
		return
	}
	if isMember {
		if in[list] == nil {
			in[list] = map[string]bool{}
		}
		in[list][member] = true
		return
	}
	if delete(in[list], member); len(in[list]) == 0 {
		delete(in, list)
	}
}

// replace puts an object in the place of the one before, or takes that out, and passes both to note.
func replace[T any](in map[string]*T, id string, object *T, note func(of *T, is bool)) {
	if old := in[id]; old != nil {
		note(old, false)
		delete(in, id)
	}
	if object != nil {
		in[id] = object
		note(object, true)
	}
}

func (c *Compiler) takeGateway(change Change, id string) error {
	object, err := decode[lattice.ResourceGateway](change)
	replace(c.resources.gateways, id, object, func(g *lattice.ResourceGateway, _ bool) {
		c.staleVPCs.compile(c.vpc(g.VPCID))
	})
	c.resources.staleGateways[id] = true
	c.staleNetworksWhere(func(r *lattice.ResourceConfiguration) bool { return r.ResourceGatewayID == id })
	return err
}

func (c *Compiler) takeConfiguration(change Change, id string) error {
	object, err := decode[lattice.ResourceConfiguration](change)
	replace(c.resources.configurations, id, object, func(r *lattice.ResourceConfiguration, is bool) {
		enlist(c.resources.children, r.ResourceConfigurationGroupID, id, is)
		c.staleNetworksOf(id, r.ResourceConfigurationGroupID)
	})
	return err
}

func (c *Compiler) takeResourceLink(change Change, id string) error {
	object, err := decode[lattice.ServiceNetworkResourceAssociation](change)
	replace(c.resources.associations, id, object, func(a *lattice.ServiceNetworkResourceAssociation, is bool) {
		enlist(c.resources.within, a.ServiceNetworkID, id, is)
		c.resources.stale[a.ServiceNetworkID] = true
	})
	return err
}

func (c *Compiler) takeVerification(change Change, id string) error {
	object, err := decode[lattice.DomainVerification](change)
	replace(c.resources.verifications, id, object, func(*lattice.DomainVerification, bool) {})
	c.staleNetworksWhere(func(r *lattice.ResourceConfiguration) bool { return r.DomainVerificationID == id })
	return err
}

// staleNetworksOf marks the networks that have one of some configurations.
func (c *Compiler) staleNetworksOf(configurations ...string) {
	for _, a := range c.resources.associations {
		if slices.Contains(configurations, a.ResourceConfigurationID) {
			c.resources.stale[a.ServiceNetworkID] = true
		}
	}
}

// staleNetworksWhere marks the networks that have a configuration of some sort, or its group. There are few gateways
// and verifications, and they seldom change.
func (c *Compiler) staleNetworksWhere(is func(*lattice.ResourceConfiguration) bool) {
	for id, r := range c.resources.configurations {
		if is(r) {
			c.staleNetworksOf(id, r.ResourceConfigurationGroupID)
		}
	}
}

// compileResources compiles the gateways that changed, and marks the networks whose resources have.
func (c *Compiler) compileResources() {
	for id := range c.resources.staleGateways {
		var gateway *Gateway
		if g := c.resources.gateways[id]; g != nil && served(g.Intent, g.Status) {
			gateway = compiled(c.faults, lattice.KindResourceGateway.Name, id, func() *Gateway { return compileGateway(g) })
		}
		c.resources.compiled = entered(c.resources.compiled, id, gateway)
	}
	clear(c.resources.staleGateways)
	for id := range c.resources.stale {
		if c.resources.reached[id] = c.reachable(id); len(c.resources.within[id]) == 0 {
			delete(c.resources.reached, id)
		}
		c.staleNetworks.compile(c.network(id))
		for _, l := range c.network(id).vpcs {
			c.refilter(l.member)
		}
	}
	clear(c.resources.stale)
}

func compileGateway(g *lattice.ResourceGateway) *Gateway {
	gateway := &Gateway{ID: g.ID, ARN: g.ARN, VPC: g.VPCID, SecurityGroups: g.SecurityGroupIDs,
		InVPC: g.ResourceConfigDNSResolution == lattice.ResolveInVPC}
	for _, node := range g.Nodes {
		gateway.Addresses = append(gateway.Addresses, node.Address)
	}
	return gateway
}

// gatewaysOf are the gateways in a VPC, in order of id.
func (c *Compiler) gatewaysOf(vpc string) (all []*Gateway) {
	for g := range c.resources.compiled.Values() {
		if g.VPC == vpc {
			all = append(all, g)
		}
	}
	slices.SortFunc(all, func(a, b *Gateway) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// reachable is what clients of a network reach of resources: the older of two associations that bring the same.
func (c *Compiler) reachable(network string) resources {
	all := resources{by: map[netip.Addr]*Reach{}, named: map[string]*Reach{}, zones: map[string][]*zone{}}
	var associations []*lattice.ServiceNetworkResourceAssociation
	for id := range c.resources.within[network] {
		if a := c.resources.associations[id]; served(a.Intent, a.Status) {
			associations = append(associations, a)
		}
	}
	slices.SortFunc(associations, func(a, b *lattice.ServiceNetworkResourceAssociation) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt.Time), cmp.Compare(a.ID, b.ID))
	})
	for _, a := range associations {
		for _, id := range c.singlesOf(a.ResourceConfigurationID) {
			if r := c.compileResource(id); r != nil {
				reach := &Reach{Resource: r, Association: a.ID}
				all.add(reach, lattice.ResourceDomainName(a.ID, id, c.region))
				if a.PrivateDNSEnabled != nil && *a.PrivateDNSEnabled {
					c.zoneOf(all.zones, reach)
				}
			}
		}
	}
	return all
}

// add enters a resource under its address and its generated name.
func (r resources) add(reach *Reach, name string) {
	if r.by[reach.Address] == nil {
		r.by[reach.Address] = reach
	}
	r.named[tableName(name)] = reach
}

// singlesOf are the ids of the single resources that an association with a configuration brings: its own, or those of
// its children. A child comes by its group alone.
func (c *Compiler) singlesOf(id string) []string {
	r := c.resources.configurations[id]
	switch {
	case r == nil || r.Type == lattice.ResourceChild:
		return nil
	case r.Type == lattice.ResourceGroup:
		return slices.Sorted(maps.Keys(c.resources.children[id]))
	}
	return []string{id}
}

// compileResource compiles a single resource; it is nil where it does not exist or has no gateway.
func (c *Compiler) compileResource(id string) *Resource {
	r := c.resources.configurations[id]
	if r == nil || !r.Address.IsValid() || !served(r.Intent, r.Status) {
		return nil
	}
	gateway := c.resources.compiled.Get(r.ResourceGatewayID)
	if gateway == nil {
		return nil
	}
	return compiled(c.faults, lattice.KindResourceConfiguration.Name, id, func() *Resource {
		of := &Resource{ID: id, ARN: r.ARN, Name: r.Name, Address: r.Address, Gateway: gateway}
		for _, text := range r.PortRanges {
			if first, last, ok := lattice.ParsePortRange(text); ok {
				of.Ports = append(of.Ports, PortRange{first, last})
			}
		}
		switch d := r.ResourceConfigurationDefinition; {
		case d == nil:
		case d.IPResource != nil:
			of.Target, _ = netip.ParseAddr(d.IPResource.IPAddress) // the control plane takes addresses alone
		case d.DNSResource != nil:
			of.Domain = strings.TrimSuffix(strings.ToLower(d.DNSResource.DomainName), ".")
		}
		return of
	})
}

// zoneOf enters a resource into the zone of its custom domain, which is that of its group for a child. The child of a
// group without a domain has none. A zone that would hide the resource's own name from its gateway is not in that
// gateway's VPC.
func (c *Compiler) zoneOf(zones map[string][]*zone, reach *Reach) {
	r := c.resources.configurations[reach.ID]
	name := r.CustomDomainName
	if r.Type == lattice.ResourceChild {
		group := c.resources.configurations[r.ResourceConfigurationGroupID]
		if group == nil || name == "" {
			return
		}
		name = group.GroupDomain
	}
	if name == "" {
		return
	}
	z := &zone{name: name, names: map[string]*Reach{tableName(r.CustomDomainName): reach}}
	if v := c.resources.verifications[r.DomainVerificationID]; v != nil {
		z.verified = v.Status == lattice.VerificationVerified
	}
	if g := reach.Gateway; g.InVPC && reach.Domain != "" && lattice.IsWithin(reach.Domain, name) {
		z.notIn = g.VPC
	}
	for _, other := range zones[name] {
		if other.verified == z.verified && other.notIn == z.notIn {
			if other.names[tableName(r.CustomDomainName)] == nil {
				other.names[tableName(r.CustomDomainName)] = reach
			}
			return
		}
	}
	zones[name] = append(zones[name], z)
}
