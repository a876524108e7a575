package snapshot

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"pergola/addressing"
	"pergola/lattice"
)

// Gateway is a resource gateway as nodes run it: in a VPC, at an address in each of some subnets.
type Gateway struct {
	ID, ARN string
	VPC     string
	// Addresses are those from which resources are reached, in the order of the subnets that its creator gave.
	Addresses []netip.Addr
	// SecurityGroups are the ids of the security groups that it is in.
	SecurityGroups []string
	// InVPC says that the resolver of the gateway's VPC knows the names of resources, and not that of the host.
	InVPC bool
}

// NodeID names what a gateway is at its i-th address, among the instances of its VPC.
func (g *Gateway) NodeID(i int) string { return g.ID + "-" + strconv.Itoa(i) }

// Resource is a single resource: one that has an address of its own in each VPC that reaches it.
type Resource struct {
	ID, ARN, Name string
	// Address is where clients reach it.
	Address netip.Addr
	Ports   []PortRange
	Gateway *Gateway
	// Target is where it is in the VPC of its gateway, and Domain the name that leads there; one of them is set. Neither
	// is for what no node can reach.
	Target netip.Addr
	Domain string
}

// PortRange is the ports from the first to the last.
type PortRange struct{ First, Last uint16 }

// HasPort reports whether clients may connect to a port of the resource.
func (r *Resource) HasPort(port uint16) bool {
	return slices.ContainsFunc(r.Ports, func(of PortRange) bool { return of.First <= port && port <= of.Last })
}

// Reach is a resource in a service network.
type Reach struct {
	*Resource
	// Association is the id of what brought it there: an association of its own, or of its group.
	Association string
}

// PrivateDNS is which custom domains of resources the clients of a door know.
type PrivateDNS struct {
	Enabled bool
	// Preference is one of the words of the API, and Specified the domains that go with it; *.example.com is all below it.
	Preference string
	Specified  string // with commas between them
}

// zone is a custom domain, or that of a group, in a service network. In a VPC that has it, there is nothing below it
// but its names.
type zone struct {
	name     string
	verified bool
	// notIn is the id of a VPC that does not have it, or "": there, it would hide the resource from its own gateway.
	notIn string
	names map[string]*Reach
}

// resources is what clients of a service network reach of resources.
type resources struct {
	// by has them by their addresses, and named by their generated names.
	by    map[netip.Addr]*Reach
	named map[string]*Reach
	// zones are those of private DNS by their names, the oldest association's first.
	zones map[string][]*zone
}

// ResourceDoor is the key of the door through which the clients of a VPC reach all resources. It has no ports of its
// own: a node accepts the connections to every port of its range, and looks then which resource was meant.
const ResourceDoor = "resources"

// resourceEntries are the addresses of a ResourceDoor: the first of the range, which no resource has.
var resourceEntries = []Entry{{Address: addressing.Resources.Addr()}}

// IsRange reports whether an entry stands for the whole range of the addresses of resources.
func (e Entry) IsRange() bool { return e.Address == addressing.Resources.Addr() }

// Reach is the resource that clients of the VPC reach at an address, with the network in which they do; nil if there is
// none. It does not allocate. A nil VPC reaches none.
func (v *VPC) Reach(at netip.Addr) (*Reach, *Network) {
	if v == nil {
		return nil, nil
	}
	for i := range v.Doors {
		if r := v.Doors[i].Network.resources.by[at]; r != nil {
			return r, v.Doors[i].Network
		}
	}
	return nil, nil
}

// Reached are all resources that clients of the VPC reach.
func (v *VPC) Reached() (all []*Reach) {
	for i := range v.Doors {
		for _, r := range v.Doors[i].Network.resources.by {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(a, b *Reach) int { return a.Address.Compare(b.Address) })
	return all
}

// reachesAny reports whether clients of the VPC reach any resource.
func (v *VPC) reachesAny() bool {
	return slices.ContainsFunc(v.Doors, func(d Door) bool { return len(d.Network.resources.by) > 0 })
}

// ReachNamed is the resource that has a name in the VPC; nil if there is none, and whether there can be none: the name
// is in a private zone. Neither the case of letters nor one trailing dot counts. It does not allocate. A nil VPC knows
// no names.
func (v *VPC) ReachNamed(name []byte) (r *Reach, isPrivate bool) {
	if v == nil {
		return nil, false
	}
	var folded [maxName]byte
	name = foldName(&folded, name)
	for i := range v.Doors {
		if r := v.Doors[i].Network.resources.named[string(name)]; r != nil {
			return r, false
		}
	}
	for i := range v.Doors {
		door := &v.Doors[i]
		if !door.PrivateDNS.Enabled || len(door.Network.resources.zones) == 0 {
			continue
		}
		for suffix := name; len(suffix) > 0; suffix = parent(suffix) {
			for _, z := range door.Network.resources.zones[string(suffix)] {
				if z.notIn != v.ID && door.PrivateDNS.admits(z) {
					return z.names[string(name)], true
				}
			}
		}
	}
	return nil, false
}

// admits reports whether the preference lets a zone be made.
func (p PrivateDNS) admits(z *zone) bool {
	switch p.Preference {
	case lattice.PreferAll:
		return true
	case lattice.PreferSpecified:
		return p.specifies(z.name)
	case lattice.PreferVerifiedAndSpecified:
		return z.verified || p.specifies(z.name)
	}
	return z.verified
}

func (p PrivateDNS) specifies(domain string) bool {
	for rest, more := p.Specified, p.Specified != ""; more; {
		var one string
		one, rest, more = strings.Cut(rest, ",")
		if below, ok := strings.CutPrefix(one, "*."); one == domain || ok && domain != below &&
			lattice.IsWithin(domain, below) {
			return true
		}
	}
	return false
}

// privateDNSOf is what an association of a VPC says of private DNS.
func privateDNSOf(a *lattice.ServiceNetworkVPCAssociation) PrivateDNS {
	if a.PrivateDNSEnabled == nil || !*a.PrivateDNSEnabled {
		return PrivateDNS{}
	}
	options := a.DNSOptions
	if options == nil {
		options = &lattice.DNSOptions{}
	}
	return PrivateDNS{Enabled: true, Preference: cmp.Or(options.PrivateDNSPreference, lattice.PreferVerified),
		Specified: strings.Join(options.PrivateDNSSpecifiedDomains, ",")}
}
