package ec2

import (
	"net/netip"

	"pergola/aws"
	"pergola/aws/ec2"
	"pergola/control/operation"
	"pergola/store"
)

// Resident is what another service keeps in a VPC: it has an address in each of some subnets, and is in security groups.
// As long as it is there, nobody else has its addresses, and none of these can be deleted.
type Resident struct {
	// ID tells the resident from all other things that have addresses or refer to resources of EC2.
	ID             string
	SecurityGroups []string
}

// Subnets reads subnets of an account. The error is that of DescribeSubnets for an id that is not one.
func Subnets(tx *store.Tx, account string, ids []string) ([]*ec2.Subnet, error) {
	return subnets.readAll(tx, account, ids)
}

// SecurityGroups reads security groups of an account. The error is that of DescribeSecurityGroups for an id that is not
// one.
func SecurityGroups(tx *store.Tx, account string, ids []string) ([]*ec2.SecurityGroup, error) {
	return groups.readAll(tx, account, ids)
}

func (n noun[T]) readAll(tx *store.Tx, account string, ids []string) ([]*T, error) {
	op := &call{Call: operation.Within(tx, account)}
	return each(ids, func(id string) (*T, error) { return n.read(op, id) })
}

// DefaultGroup is the id of the security group that every VPC has.
func DefaultGroup(tx *store.Tx, vpc string) (string, error) {
	return groupNames.Get(tx, vpc+"/"+defaultGroup)
}

// MoveIn gives a resident the lowest free address of a subnet and its place in its security groups.
func (r Resident) MoveIn(tx *store.Tx, subnet *ec2.Subnet) (netip.Addr, error) {
	free, err := free(tx, subnet, 1)
	if err != nil {
		return netip.Addr{}, err
	}
	if len(free) == 0 {
		return netip.Addr{}, aws.Errorf("InsufficientFreeAddressesInSubnet", "There is no free address in subnet '%s'.", subnet.ID)
	}
	if err := addresses.Put(tx, subnet.VPC+"/"+free[0].String(), r.ID); err != nil {
		return netip.Addr{}, err
	}
	return free[0], refer(tx, r.ID, append([]string{subnet.ID}, r.SecurityGroups...)...)
}

// Regroup puts the resident into other security groups.
func (r Resident) Regroup(tx *store.Tx, groups []string) error {
	forget(tx, r.ID, r.SecurityGroups...)
	return refer(tx, r.ID, groups...)
}

// MoveOut takes back an address in a subnet of a VPC, and the place in the security groups.
func (r Resident) MoveOut(tx *store.Tx, vpc, subnet string, address netip.Addr) {
	addresses.Delete(tx, vpc+"/"+address.String())
	forget(tx, r.ID, append([]string{subnet}, r.SecurityGroups...)...)
}

// refer records that each of some resources is referred to.
func refer(tx *store.Tx, referrer string, to ...string) error {
	for _, hold := range refersTo(referrer, to...) {
		if err := hold.Index.Put(tx, hold.Key, hold.Value); err != nil {
			return err
		}
	}
	return nil
}

func forget(tx *store.Tx, referrer string, to ...string) {
	for _, hold := range refersTo(referrer, to...) {
		hold.Index.Delete(tx, hold.Key)
	}
}
