package addressing

import "net/netip"

// The addresses that VPC Lattice has in every VPC (user guide, "Connectivity"): those of service networks, and their
// IPv6 form.
var (
	ServiceNetworks  = netip.MustParsePrefix("169.254.171.0/24")
	ServiceNetworks6 = netip.MustParsePrefix("fd00:ec2:80::/64")
)

// FirstDoor and LastDoor bound the addresses that are given to the doors of service networks in each VPC.
var (
	FirstDoor = Nth(ServiceNetworks, 1)
	LastDoor  = Nth(ServiceNetworks, Size(ServiceNetworks)-3)
)

// DoorOf is the address of an association that keeps one, and FirstDoor for one that keeps none: those are from before
// there was a choice.
func DoorOf(kept netip.Addr) netip.Addr {
	if !kept.IsValid() {
		return FirstDoor
	}
	return kept
}

// Source is the address from which targets are reached. No door has it, so that the port of a connection to a target
// is never one at which a door is to listen.
var Source = LastDoor.Next()

// Spell is the address of an IPv6 range that has an IPv4 address in its last four bytes: 169.254.171.33 is
// fd00:ec2:80::a9fe:ab21.
func Spell(in netip.Prefix, a netip.Addr) netip.Addr {
	six, four := in.Addr().As16(), a.As4()
	copy(six[12:], four[:])
	return netip.AddrFrom16(six)
}

// Spelled is the IPv4 address in the last four bytes of an IPv6 address.
func Spelled(a netip.Addr) netip.Addr {
	six := a.As16()
	return netip.AddrFrom4([4]byte(six[12:]))
}

// Resources are the addresses of resources, one of each in every VPC that has it by an association, and FirstResource
// and LastResource bound those that are given. No two ranges of VPC Lattice agree in their last two bytes.
var (
	Resources     = netip.MustParsePrefix("129.224.0.0/17")
	FirstResource = Nth(Resources, 1)
	LastResource  = Nth(Resources, Size(Resources)-2)
)
