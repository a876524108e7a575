package fabric

import "net/netip"

// The addresses that every VPC's router answers for, beside the first two of its range (user guide, Connectivity; EC2 user
// guide, Amazon DNS server and Instance metadata).
var (
	serviceNetwork = netip.MustParsePrefix("169.254.171.0/24")
	resolverLink   = netip.MustParseAddr("169.254.169.253")
	metadata       = netip.MustParseAddr("169.254.169.254")

	// The service network's IPv6 addresses carry the IPv4 ones in their last four bytes. Instances have IPv6 addresses of
	// the same make in the next prefix, so that an AAAA answer can be used from any of them.
	serviceNetwork6 = netip.MustParsePrefix("fd00:ec2:80::/64")
	instances6      = netip.MustParsePrefix("fd00:ec2:81::/64")
)

// ServiceAddress6 is the IPv6 form of a service network address: 169.254.171.33 is fd00:ec2:80::a9fe:ab21.
func ServiceAddress6(a netip.Addr) netip.Addr { return embed(serviceNetwork6, a) }

// InstanceAddress6 is the IPv6 address of the instance with the given IPv4 address: fd00:ec2:81:: and its four bytes.
// The instance needs it to reach a service network's IPv6 address, and nobody else knows it: see ClientAddress.
func InstanceAddress6(a netip.Addr) netip.Addr { return embed(instances6, a) }

func embed(p netip.Prefix, a netip.Addr) netip.Addr {
	six, four := p.Addr().As16(), a.As4()
	copy(six[12:], four[:])
	return netip.AddrFrom16(six)
}

// ClientAddress is the address of a client as its VPC knows it. A VPC has no IPv6 addresses, so who comes over IPv6 has
// the one of its instance. Everything that asks who a client is asks here: each connection that Listen accepts has this
// address as its other end, and so it is in policies, header fields, events, records and logs.
func ClientAddress(a netip.Addr) netip.Addr {
	if instances6.Contains(a) {
		return embedded(a)
	}
	return a.Unmap()
}

// embedded undoes embed: the IPv4 address inside one of the two IPv6 prefixes. Any other address is returned as it is.
func embedded(a netip.Addr) netip.Addr {
	if !serviceNetwork6.Contains(a) && !instances6.Contains(a) {
		return a.Unmap()
	}
	six := a.As16()
	return netip.AddrFrom4([4]byte(six[12:]))
}
