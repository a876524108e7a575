package fabric

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// The addresses that every VPC's router answers for, beside the first two of its range (user guide, Connectivity; EC2 user
// guide, Amazon DNS server and Instance metadata).
var (
	linkLocal      = netip.MustParsePrefix("169.254.0.0/16")
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

// InstanceAddress6 is the IPv6 address of the instance with the given IPv4 address: fd00:ec2:81:: and its four bytes. The
// instance needs it to reach a service network's IPv6 address, and nobody else knows it: see ClientAddress.
func InstanceAddress6(a netip.Addr) netip.Addr { return embed(instances6, a) }

func embed(p netip.Prefix, a netip.Addr) netip.Addr {
	six, four := p.Addr().As16(), a.As4()
	copy(six[12:], four[:])
	return netip.AddrFrom16(six)
}

// ClientAddress is the address of a client as its VPC knows it. A VPC has no IPv6 addresses, so who comes over IPv6 has the
// one of its instance. Everything that asks who a client is asks here: each connection that Listen accepts has this address
// as its other end, and so it is in policies, header fields, events, records and logs.
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

// nth is the address n places after the start of an IPv4 prefix.
func nth(p netip.Prefix, n uint32) netip.Addr {
	base := p.Masked().Addr().As4()
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], binary.BigEndian.Uint32(base[:])+n)
	return netip.AddrFrom4(a)
}

// size is the number of addresses in an IPv4 prefix.
func size(p netip.Prefix) uint32 { return 1 << (32 - p.Bits()) }

// routerAddress is the first address of a VPC, its instances' way out; resolverAddress is the second.
func routerAddress(p netip.Prefix) netip.Addr   { return nth(p, 1) }
func resolverAddress(p netip.Prefix) netip.Addr { return nth(p, 2) }

// reservedHead is how many addresses at the start of a range instances cannot have; the last one is reserved too.
const reservedHead = 4

// validate refuses a set of VPCs that cannot all exist.
func validate(vpcs []VPC) error {
	seen := map[string]bool{}
	var errs []error
	for _, v := range vpcs {
		if seen[v.ID] {
			errs = append(errs, fmt.Errorf("fabric: VPC %q is given twice; give it once", v.ID))
		}
		seen[v.ID] = true
		errs = append(errs, v.validate())
	}
	return errors.Join(errs...)
}

func (v VPC) validate() error {
	if !validID(v.ID) {
		return fmt.Errorf("fabric: VPC id %q is not made of letters, digits and hyphens", v.ID)
	}
	c := v.CIDR
	if !c.IsValid() || !c.Addr().Is4() || c != c.Masked() || c.Bits() < 16 || c.Bits() > 28 {
		return fmt.Errorf("fabric: VPC %s: CIDR %v is not an IPv4 range of /16 to /28 given by its first address", v.ID, c)
	}
	if c.Overlaps(linkLocal) || c.Addr().IsLoopback() {
		return fmt.Errorf("fabric: VPC %s: CIDR %v is reserved for the host or the link; choose another, such as 10.0.0.0/16", v.ID, c)
	}
	ids, addresses := map[string]bool{}, map[netip.Addr]bool{}
	for _, i := range v.Instances {
		if !validID(i.ID) {
			return fmt.Errorf("fabric: instance id %q in %s is not made of letters, digits and hyphens", i.ID, v.ID)
		}
		if ids[i.ID] || addresses[i.Address] {
			return fmt.Errorf("fabric: instance %s or its address %v is in %s twice; give it once", i.ID, i.Address, v.ID)
		}
		if !c.Contains(i.Address) || i.Address.Less(nth(c, reservedHead)) || i.Address == nth(c, size(c)-1) {
			return fmt.Errorf("fabric: instance %s: address %v is not free for instances in %v of %s", i.ID, i.Address, c, v.ID)
		}
		ids[i.ID], addresses[i.Address] = true, true
	}
	return nil
}

// validID keeps ids fit for file names, log lines and a proxy's user name.
func validID(id string) bool {
	return id != "" && len(id) <= 64 && strings.Trim(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") == "" && id[0] != '-'
}
