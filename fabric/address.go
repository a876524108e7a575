package fabric

import (
	"net/netip"

	"pergola/addressing"
)

// The addresses that every VPC's router answers for, beside the first two of its range and those of service networks
// (user guide, Connectivity; EC2 user guide, Amazon DNS server and Instance metadata).
var (
	resolverLink = netip.MustParseAddr("169.254.169.253")
	metadata     = netip.MustParseAddr("169.254.169.254")
)

// instances6 holds the IPv6 addresses of instances. They are made as those of service networks are, in the next prefix,
// so that an AAAA answer can be used from any instance.
var instances6 = netip.MustParsePrefix("fd00:ec2:81::/64")

// InstanceAddress6 is the IPv6 address of the instance with the given IPv4 address: fd00:ec2:81:: and its four bytes.
// The instance needs it to reach a service network's IPv6 address, and nobody else knows it: see ClientAddress.
func InstanceAddress6(a netip.Addr) netip.Addr { return addressing.Spell(instances6, a) }

// ClientAddress is the address of a client as its VPC knows it. A VPC has no IPv6 addresses, so who comes over IPv6 has
// the one of its instance. Everything that asks who a client is asks here: each connection that Listen accepts has this
// address as its other end, and so it is in policies, header fields, events, records and logs.
func ClientAddress(a netip.Addr) netip.Addr {
	if instances6.Contains(a) {
		return addressing.Spelled(a)
	}
	return a.Unmap()
}

// embedded is the IPv4 address inside one of the two IPv6 prefixes. Any other address is returned as it is.
func embedded(a netip.Addr) netip.Addr {
	if !addressing.ServiceNetworks6.Contains(a) && !instances6.Contains(a) {
		return a.Unmap()
	}
	return addressing.Spelled(a)
}
