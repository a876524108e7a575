package ec2

import (
	"net/netip"

	"pergola/addressing"
	"pergola/aws"
	"pergola/aws/ec2"
	"pergola/store"
)

// addresses holds who has which address: "<vpc id>/<address>" and the id of an instance or a Resident. An address is one
// thing's at a time.
var addresses = store.NewIndex(ec2.AddressIndex)

// used lists the addresses that are taken in a VPC.
func used(tx *store.Tx, vpc string) (map[netip.Addr]bool, error) {
	entries, _, err := addresses.List(tx, vpc+"/", "", 0)
	used := make(map[netip.Addr]bool, len(entries))
	for _, entry := range entries {
		address, err := netip.ParseAddr(entry.ID[len(vpc)+1:])
		if err != nil {
			return nil, err
		}
		used[address] = true
	}
	return used, err
}

// free picks the lowest free addresses of a subnet: as many as wanted, or as there are.
func free(tx *store.Tx, subnet *ec2.Subnet, wanted int) ([]netip.Addr, error) {
	used, err := used(tx, subnet.VPC)
	if err != nil {
		return nil, err
	}
	var found []netip.Addr
	first, last := addressing.Assignable(subnet.CIDR)
	for address := first; len(found) < wanted && address.Compare(last) <= 0; address = address.Next() {
		if !used[address] {
			found = append(found, address)
		}
	}
	return found, nil
}

// wanted checks an address that a caller asks for.
func wanted(tx *store.Tx, subnet *ec2.Subnet, s string) (netip.Addr, error) {
	address, err := netip.ParseAddr(s)
	if err != nil || !address.Is4() {
		return netip.Addr{}, aws.Errorf("InvalidParameterValue", "invalid value for parameter address: %s", s)
	}
	if !subnet.CIDR.Contains(address) {
		return netip.Addr{}, aws.Errorf("InvalidParameterValue", "Address %s does not fall within the subnet's address range", s)
	}
	if addressing.CheckInstance(subnet.CIDR, address) != nil {
		return netip.Addr{}, aws.Errorf("InvalidParameterValue", "Address %s is in subnet's reserved address range", s)
	}
	used, err := used(tx, subnet.VPC)
	if err == nil && used[address] {
		return netip.Addr{}, aws.Errorf("InvalidIPAddress.InUse", "Address %s is in use.", s)
	}
	return address, err
}
