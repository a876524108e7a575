package ec2

import (
	"net/netip"
	"strconv"

	"pergola/addressing"
	"pergola/aws"
	"pergola/aws/ec2"
	"pergola/control/resource"
	"pergola/lattice"
	"pergola/store"
)

// CreateSubnet makes a subnet of addresses that the VPC has and that none of its other subnets has.
func (op *call) CreateSubnet(in *ec2.CreateSubnetRequest) (*ec2.CreateSubnetResponse, error) {
	cidr, err := parseCIDR(in.CIDRBlock)
	if err != nil {
		return nil, err
	}
	if in.IPv6CIDRBlock != "" {
		return nil, aws.Errorf("UnsupportedOperation", "subnets have IPv4 addresses only; leave out Ipv6CidrBlock")
	}
	zone, err := op.zone(in.AvailabilityZone, in.AvailabilityZoneID)
	if err != nil {
		return nil, err
	}
	subnet, err := subnets.create(op, in.TagSpecification, func(tags map[string]string) (*ec2.Subnet, error) {
		vpc, err := vpcs.find(op, in.VPCID)
		if err != nil {
			return nil, err
		}
		if err := op.fits(cidr, vpc); err != nil {
			return nil, err
		}
		inVPC := func(tx *store.Tx, _ string) (int, error) { return references.Count(tx, vpc.ID+"/"+subnets.prefix) }
		return &ec2.Subnet{ID: op.newID(subnets.prefix), Account: op.Account, VPC: vpc.ID, CIDR: cidr,
			AvailabilityZone: zone.Name, Tags: tags}, op.roomFor(ec2.QuotaSubnets, inVPC, 1)
	})
	if err != nil {
		return nil, err
	}
	description, err := op.describeSubnet(subnet)
	return &ec2.CreateSubnetResponse{Subnet: description}, err
}

// holdsOfSubnet are the references to the VPC and to its network ACL. The VPC's default one needs none: it goes with
// the VPC.
func holdsOfSubnet(s *ec2.Subnet) []resource.Hold {
	if s.ACL == "" {
		return refersTo(s.ID, s.VPC)
	}
	return refersTo(s.ID, s.VPC, s.ACL)
}

// subnetsOf are the subnets of a VPC.
func (op *call) subnetsOf(vpc string) ([]*ec2.Subnet, error) {
	referrers, _, err := references.List(op.Tx, vpc+"/"+subnets.prefix, "", 0)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(referrers))
	for i, referrer := range referrers {
		ids[i] = lattice.IDOf(referrer.ID)
	}
	entries, err := subnets.Objects.GetMany(op.Tx, ids)
	of := make([]*ec2.Subnet, len(entries))
	for i := range entries {
		of[i] = &entries[i].Value
	}
	return of, err
}

// fits checks a new subnet's block against the VPC's and those of the VPC's subnets.
func (op *call) fits(cidr netip.Prefix, vpc *ec2.VPC) error {
	if err := addressing.CheckSubnet(vpc.CIDR, cidr); err != nil {
		return aws.Errorf("InvalidSubnet.Range", "The CIDR '%s' is invalid: %s.", cidr, err.Error())
	}
	all, err := op.subnetsOf(vpc.ID)
	for _, other := range all {
		if other.CIDR.Overlaps(cidr) {
			return aws.Errorf("InvalidSubnet.Conflict", "The CIDR '%s' conflicts with another subnet: %s has %s.", cidr, other.ID, other.CIDR)
		}
	}
	return err
}

func (op *call) describeSubnet(s *ec2.Subnet) (ec2.SubnetDescription, error) {
	zone, err := op.zone(s.AvailabilityZone, "")
	if err != nil {
		return ec2.SubnetDescription{}, err
	}
	used, err := used(op.Tx, s.VPC)
	available := int(addressing.Size(s.CIDR)) - addressing.Reserved
	for address := range used {
		if s.CIDR.Contains(address) {
			available--
		}
	}
	return ec2.SubnetDescription{
		ID: s.ID, ARN: op.arn("subnet/" + s.ID), OwnerID: s.Account, State: "available", VPCID: s.VPC,
		CIDRBlock: s.CIDR.String(), AvailableAddresses: available,
		AvailabilityZone: zone.Name, AvailabilityZoneID: zone.ID, Tags: sortedTags(s.Tags),
	}, err
}

func subnetAttributes(op *call, s *ec2.Subnet) map[string][]string {
	cidr := []string{s.CIDR.String()}
	zone, _ := op.zone(s.AvailabilityZone, "") // a subnet is only made in a zone that exists
	return map[string][]string{
		"subnet-id": {s.ID}, "vpc-id": {s.VPC}, "state": {"available"}, "owner-id": {s.Account},
		"subnet-arn": {op.arn("subnet/" + s.ID)}, "cidr": cidr, "cidr-block": cidr, "cidrBlock": cidr,
		"availability-zone": {s.AvailabilityZone}, "availabilityZone": {s.AvailabilityZone}, "availability-zone-id": {zone.ID},
		"default-for-az": {strconv.FormatBool(false)}, "map-public-ip-on-launch": {strconv.FormatBool(false)},
		"ipv6-cidr-block-association.association-id": nil, "ipv6-cidr-block-association.ipv6-cidr-block": nil,
	}
}

// DescribeSubnets lists subnets.
func (op *call) DescribeSubnets(in *ec2.DescribeSubnetsRequest) (*ec2.DescribeSubnetsResponse, error) {
	described, next, err := describe(op, subnets, selection{in.IDs, in.Filters, in.Page}, op.describeSubnet)
	return &ec2.DescribeSubnetsResponse{Subnets: described, NextToken: next}, err
}

// DeleteSubnet deletes a subnet in which nothing is left.
func (op *call) DeleteSubnet(in *ec2.DeleteSubnetRequest) (*ec2.Done, error) {
	subnet, err := subnets.find(op, in.ID)
	if err != nil {
		return nil, err
	}
	return done(), subnets.remove(op, "The subnet '%s' has dependencies and cannot be deleted", subnet)
}
