// Package addressing says which addresses a VPC, a subnet and an instance can have. The control plane asks it before it
// accepts a range, and the fabric before it makes one: what one of them takes, the other takes too.
//
// It knows what follows from the numbers alone. Whether a range is free, and whether a host has room for one more VPC,
// is known to others.
package addressing

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// ErrSize and ErrSpecial are wrapped by the errors about ranges that nobody can have: too large or too small, and
// reserved for something else than networks.
var (
	ErrSize    = errors.New("the block must be from /16 to /28")
	ErrSpecial = errors.New("the block is not one for networks; choose another, such as 10.0.0.0/16")
)

// The sizes of VPCs and subnets (VPC user guide, "VPC CIDR blocks" and "Subnet CIDR blocks").
const (
	LargestBits  = 16
	SmallestBits = 28
)

// How many addresses nobody can have at the start of a range, which are the network, the router, the resolver and a
// spare one, and in the whole of it with the last (VPC user guide, "Subnet CIDR blocks").
const (
	ReservedHead = 4
	Reserved     = ReservedHead + 1
)

// LinkLocal holds the addresses of the link, among them those that routers answer at in every VPC alike.
var LinkLocal = netip.MustParsePrefix("169.254.0.0/16")

// special are the ranges that no host gives to a network (RFC 6890 section 2.2.2, RFC 5771): this network, the host
// itself, the link, multicast, and what is reserved, with the broadcast address; and the one in which every VPC has
// resources.
var special = []struct {
	block netip.Prefix
	is    string
}{
	{netip.MustParsePrefix("0.0.0.0/8"), "this network"},
	{netip.MustParsePrefix("127.0.0.0/8"), "the host itself"},
	{LinkLocal, "the link"},
	{Resources, "resources of VPC Lattice"},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast"},
	{netip.MustParsePrefix("240.0.0.0/4"), "future use"},
}

// CheckVPC says why a range cannot be a VPC's: the error is ErrSize or ErrSpecial, or of a prefix that is not one of
// IPv4 given by its first address.
func CheckVPC(block netip.Prefix) error {
	if !block.IsValid() || !block.Addr().Is4() || block != block.Masked() {
		return fmt.Errorf("%v is not an IPv4 block given by its first address", block)
	}
	if block.Bits() < LargestBits || block.Bits() > SmallestBits {
		return fmt.Errorf("%v: %w", block, ErrSize)
	}
	for _, reserved := range special {
		if block.Overlaps(reserved.block) {
			return fmt.Errorf("%v is in %v, which is for %s: %w", block, reserved.block, reserved.is, ErrSpecial)
		}
	}
	return nil
}

// CheckSubnet says why a range cannot be that of a subnet in a VPC: the error is ErrSize, or of a range that is not
// within the VPC's.
func CheckSubnet(vpc, block netip.Prefix) error {
	if err := CheckVPC(block); err != nil && !errors.Is(err, ErrSpecial) {
		return err
	}
	if block.Bits() < vpc.Bits() || !vpc.Contains(block.Addr()) {
		return fmt.Errorf("%v is not within %v", block, vpc)
	}
	return nil
}

// CheckInstance says why an instance cannot have an address in a range, which is that of its subnet or of its VPC.
func CheckInstance(block netip.Prefix, address netip.Addr) error {
	switch first, last := Assignable(block); {
	case !block.Contains(address):
		return fmt.Errorf("%v is not in %v", address, block)
	case IsReserved(block, address):
		return fmt.Errorf("%v is one of the addresses of %v that nobody can have; there are %v to %v", address, block,
			first, last)
	}
	return nil
}

// IsReserved reports whether nobody can have an address of a range, which may be of IPv6: the first ones and the last
// belong to the VPC (VPC user guide, "Subnet CIDR blocks").
func IsReserved(block netip.Prefix, address netip.Addr) bool {
	reserved := block.Masked().Addr()
	for range ReservedHead {
		if address == reserved {
			return true
		}
		reserved = reserved.Next()
	}
	return !block.Contains(address.Next())
}

// Assignable are the bounds of the addresses that instances in an IPv4 range may have.
func Assignable(block netip.Prefix) (first, last netip.Addr) {
	return Nth(block, ReservedHead), Nth(block, Size(block)-2)
}

// Nth is the address n places after the start of an IPv4 range.
func Nth(block netip.Prefix, n uint32) netip.Addr {
	base := block.Masked().Addr().As4()
	var address [4]byte
	binary.BigEndian.PutUint32(address[:], binary.BigEndian.Uint32(base[:])+n)
	return netip.AddrFrom4(address)
}

// Size is the number of addresses in an IPv4 range of at most /1.
func Size(block netip.Prefix) uint32 { return 1 << (32 - block.Bits()) }

// Router is the first address of a VPC after that of the network: its instances' way out.
func Router(vpc netip.Prefix) netip.Addr { return Nth(vpc, 1) }

// Resolver is the address of a VPC's DNS resolver, base plus two.
func Resolver(vpc netip.Prefix) netip.Addr { return Nth(vpc, 2) }

// maxID is the longest id of a VPC or an instance.
const maxID = 64

// CheckID says why an id cannot be that of a VPC or an instance: it must be fit for file names, log lines and user
// names.
func CheckID(id string) error {
	if id == "" || len(id) > maxID || id[0] == '-' || strings.Trim(id, idCharacters) != "" {
		return fmt.Errorf("%q is not made of at most %d letters, digits and hyphens", id, maxID)
	}
	return nil
}

const idCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"
