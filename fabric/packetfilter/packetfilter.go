// Package packetfilter lets packets of a VPC pass, or drops them in silence, by security groups and network ACLs.
//
// A Filter declares what is enforced in one VPC. A Model judges flows by it, and tells gate by gate which rule passed
// or dropped them: for the loopback fabric, for explanations, and as what tests hold the kernel to. An Enforcer, on
// Linux, has the kernel do the same in a router's network namespace, where no program of an instance can change it.
//
// The gates of a packet, in order: the groups of the interface that it comes from; the ACL of that one's subnet; the
// ACL of the subnet that it goes to; and the groups of the interface that it goes to, or those of the association whose
// door it goes to. Groups know connections: what belongs to one that they let pass, passes. ACLs judge each packet
// alone, and none within a subnet.
package packetfilter

import (
	"fmt"
	"net/netip"
)

// Filter is what is enforced in one VPC. It is not changed once it was given away: a change is another Filter, which
// shares the groups, lists and ACLs that did not change, so that their pointers tell what did.
type Filter struct {
	Groups     []*Group
	Lists      []*List
	ACLs       []*ACL
	Subnets    []Subnet
	Interfaces []Interface
	Doors      []Door
	// ShortLived are the groups of instances that the fabric makes for a single program.
	ShortLived []string
}

// Group is a security group: what it allows. An interface that has groups passes what one of them allows, and nothing
// else.
type Group struct {
	ID    string
	Rules []Rule
}

// Rule is a rule of a security group.
type Rule struct {
	ID     string
	Egress bool
	Traffic
	Peer
}

// Peer is the other end of a rule's traffic: one of a prefix, the addresses of interfaces that have a group, and a
// list.
type Peer struct {
	Prefix netip.Prefix
	Group  string
	List   string
}

// Traffic is a protocol and, for TCP and UDP, destination ports. Of other protocols all traffic is meant, and for ICMP
// what function ICMP says.
type Traffic struct {
	Protocol int // a number of IANA's, or AllProtocols
	From, To uint16
}

// AllProtocols is the protocol of traffic of every protocol.
const AllProtocols = -1

// The protocols that have ports, or types and codes.
const (
	protocolICMP   = 1
	protocolTCP    = 6
	protocolUDP    = 17
	protocolICMPv6 = 58
)

// ICMP is traffic of ICMP or, by its number 58, ICMPv6: of one type and code, or of any where these are -1.
func ICMP(protocol, kind, code int) Traffic {
	switch {
	case kind < 0:
		return Traffic{Protocol: protocol, To: 0xffff}
	case code < 0:
		return Traffic{Protocol: protocol, From: ICMPPort(kind, 0), To: ICMPPort(kind, 255)}
	}
	return Traffic{Protocol: protocol, From: ICMPPort(kind, code), To: ICMPPort(kind, code)}
}

// ICMPPort is what stands in the place of a destination port in flows of ICMP.
func ICMPPort(kind, code int) uint16 { return uint16(kind&0xff)<<8 | uint16(code&0xff) }

// span is traffic as a range of numbers, in which the protocol comes first and then the port.
func (t Traffic) span() (first, last uint32) {
	switch t.Protocol {
	case AllProtocols:
		return 0, 0xffffff
	case protocolTCP, protocolUDP, protocolICMP, protocolICMPv6:
		return uint32(t.Protocol)<<16 | uint32(t.From), uint32(t.Protocol)<<16 | uint32(t.To)
	}
	return uint32(t.Protocol) << 16, uint32(t.Protocol)<<16 | 0xffff
}

// List is a prefix list with what it holds now. Many groups may use one.
type List struct {
	ID       string
	Prefixes []netip.Prefix
}

// ACL is a network ACL. In each direction, the matching rule of the lowest number decides; without one, it denies.
type ACL struct {
	ID    string
	Rules []ACLRule
}

// ACLRule is a numbered rule of a network ACL.
type ACLRule struct {
	Number int
	Egress bool
	Deny   bool
	Traffic
	Prefix netip.Prefix
}

// Subnet is a part of the VPC with its ACL. Without one, its boundary is open.
type Subnet struct {
	ID       string
	Prefixes []netip.Prefix
	ACL      string
}

// Interface is what has addresses in the VPC, and security groups: an instance, a node of a load balancer, an endpoint,
// a resource gateway. One that has no groups is open, but for its subnet's ACL.
type Interface struct {
	ID        string
	Addresses []netip.Addr
	Groups    []string
	// Tracked is set where AWS tracks each connection, such as for load balancers and endpoints: a change of rules never
	// ends one.
	Tracked bool
}

// Door is an address of the service network, with the groups of the association by which the VPC has it. Their inbound
// rules judge who comes; without groups everybody may.
type Door struct {
	ID        string // the association's
	Addresses []netip.Addr
	Groups    []string
}

// Router is what a VPC's router has by itself.
type Router struct {
	// Unfiltered are addresses whose packets always pass: the resolver, the instance metadata.
	Unfiltered []netip.Addr
	// Embedded are IPv6 prefixes of 96 bits, whose addresses carry IPv4 addresses in their last four bytes. Packets from
	// such an address to such an address are judged as those of the IPv4 addresses.
	Embedded []netip.Prefix
}

// What one VPC may have.
const (
	maxElements        = 1 << 19 // of sets in the kernel
	maxInterfaceGroups = 16      // groups of an interface
	maxACLRules        = 160     // rules of an ACL, both directions and families
	maxTracked         = 1 << 16 // connections, where the kernel has a bound for each namespace
)

// check says why a filter cannot be enforced.
func (f *Filter) check() error {
	known := map[string]bool{}
	add := func(kind, id string) error {
		if known[kind+id] || id == "" {
			return fmt.Errorf("%s %q is given twice or has no id", kind, id)
		}
		known[kind+id] = true
		return nil
	}
	for _, g := range f.Groups {
		if err := add("group ", g.ID); err != nil {
			return err
		}
	}
	for _, l := range f.Lists {
		if err := add("prefix list ", l.ID); err != nil {
			return err
		}
	}
	for _, a := range f.ACLs {
		if err := add("ACL ", a.ID); err != nil {
			return err
		}
		if len(a.Rules) > maxACLRules {
			return fmt.Errorf("ACL %s has %d rules of at most %d; delete some", a.ID, len(a.Rules), maxACLRules)
		}
	}
	for _, s := range f.Subnets {
		if s.ACL != "" && !known["ACL "+s.ACL] {
			return fmt.Errorf("subnet %s has ACL %s, which is not declared", s.ID, s.ACL)
		}
	}
	return f.checkEnds(known)
}

// checkEnds checks what has addresses and groups.
func (f *Filter) checkEnds(known map[string]bool) error {
	addresses := map[netip.Addr]string{}
	for _, end := range f.ends() {
		if len(end.Groups) > maxInterfaceGroups {
			return fmt.Errorf("%s has %d groups of at most %d; take some away", end.ID, len(end.Groups), maxInterfaceGroups)
		}
		for _, group := range end.Groups {
			if !known["group "+group] {
				return fmt.Errorf("%s has group %s, which is not declared", end.ID, group)
			}
		}
		for _, a := range end.Addresses {
			if other, taken := addresses[a]; taken {
				return fmt.Errorf("%v is an address of %s and of %s; it can have one owner", a, other, end.ID)
			}
			addresses[a] = end.ID
		}
	}
	return nil
}

// end is an interface or a door: packets end there.
type end struct {
	Interface
	door bool
}

// ends are the interfaces and then the doors.
func (f *Filter) ends() []end {
	ends := make([]end, 0, len(f.Interfaces)+len(f.Doors))
	for _, i := range f.Interfaces {
		ends = append(ends, end{Interface: i})
	}
	for _, d := range f.Doors {
		ends = append(ends, end{Interface{ID: d.ID, Addresses: d.Addresses, Groups: d.Groups, Tracked: true}, true})
	}
	return ends
}
