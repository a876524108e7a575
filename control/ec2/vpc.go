package ec2

import (
	"cmp"
	"net/netip"
	"strconv"
	"strings"

	"pergola/addressing"
	"pergola/aws"
	"pergola/aws/ec2"
	"pergola/lattice"
)

// CreateVPC makes a VPC with its default security group and its default network ACL. Its addresses may be those of any
// other VPC.
func (op *call) CreateVPC(in *ec2.CreateVPCRequest) (*ec2.CreateVPCResponse, error) {
	cidr, err := parseCIDR(in.CIDRBlock)
	if err != nil {
		return nil, err
	}
	if err := addressing.CheckVPC(cidr); err != nil {
		return nil, aws.Errorf("InvalidVpc.Range", "The CIDR '%s' is invalid: %s.", in.CIDRBlock, err.Error())
	}
	if in.AmazonIPv6 {
		return nil, aws.Errorf("UnsupportedOperation", "VPCs have IPv4 addresses only; leave out AmazonProvidedIpv6CidrBlock")
	}
	vpc, err := vpcs.create(op, in.TagSpecification, func(tags map[string]string) (*ec2.VPC, error) {
		return &ec2.VPC{ID: op.newID(vpcs.prefix), Account: op.Account, CIDR: cidr, Tags: tags, DNSSupport: true,
				Stage: lattice.Stage{Status: lattice.StatusActive}},
			op.roomFor(ec2.QuotaVPCs, vpcs.Count, 1)
	})
	if err != nil {
		return nil, err
	}
	return &ec2.CreateVPCResponse{VPC: describeVPC(vpc)},
		cmp.Or(op.createDefaultGroup(vpc), acls.Add(op.Call, defaultACL(vpc)))
}

// parseCIDR reads an IPv4 block. Bits beyond the mask are cleared, as in AWS.
func parseCIDR(s string) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(s)
	if err != nil || !prefix.Addr().Is4() {
		return netip.Prefix{}, aws.Errorf("InvalidParameterValue", "Value (%s) for parameter cidrBlock is invalid. This is not a valid CIDR block.", s)
	}
	return prefix.Masked(), nil
}

func describeVPC(v *ec2.VPC) ec2.VPCDescription {
	suffix := strings.TrimPrefix(v.ID, "vpc-")
	return ec2.VPCDescription{
		ID: v.ID, OwnerID: v.Account, State: vpcState(v), CIDRBlock: v.CIDR.String(),
		CIDRAssociations: ec2.Set[ec2.VPCCIDRBlock]{{AssociationID: "vpc-cidr-assoc-" + suffix, CIDRBlock: v.CIDR.String(), State: "associated"}},
		DHCPOptionsID:    "default", InstanceTenancy: "default", Tags: sortedTags(v.Tags),
	}
}

// vpcState is available, or pending while a node cannot make the VPC: EC2 has no other state for that.
func vpcState(v *ec2.VPC) string {
	if v.Status.HasFailed() {
		return "pending"
	}
	return "available"
}

func vpcAttributes(_ *call, v *ec2.VPC) map[string][]string {
	cidr := []string{v.CIDR.String()}
	return map[string][]string{
		"vpc-id": {v.ID}, "cidr": cidr, "cidrBlock": cidr, "cidr-block-association.cidr-block": cidr,
		"state": {vpcState(v)}, "owner-id": {v.Account}, "is-default": {"false"}, "isDefault": {"false"},
		"dhcp-options-id": {"default"},
		"ipv6-cidr-block-association.association-id": nil, "ipv6-cidr-block-association.ipv6-cidr-block": nil,
	}
}

// DescribeVPCs lists VPCs.
func (op *call) DescribeVPCs(in *ec2.DescribeVPCsRequest) (*ec2.DescribeVPCsResponse, error) {
	described, next, err := describe(op, vpcs, selection{in.IDs, in.Filters, in.Page},
		func(v *ec2.VPC) (ec2.VPCDescription, error) { return describeVPC(v), nil })
	return &ec2.DescribeVPCsResponse{VPCs: described, NextToken: next}, err
}

// DeleteVPC deletes a VPC with its default security group and network ACL, once nothing else is in it and nothing
// refers to it.
func (op *call) DeleteVPC(in *ec2.DeleteVPCRequest) (*ec2.Done, error) {
	vpc, err := vpcs.find(op, in.ID)
	if err != nil {
		return nil, err
	}
	if err := vpcs.remove(op, "The vpc '%s' has dependencies and cannot be deleted", vpc); err != nil {
		return nil, err
	}
	return done(), cmp.Or(op.deleteDefaultGroup(vpc), op.deleteDefaultACL(vpc))
}

// DescribeVPCAttribute tells one attribute of a VPC.
func (op *call) DescribeVPCAttribute(in *ec2.DescribeVPCAttributeRequest) (*ec2.DescribeVPCAttributeResponse, error) {
	vpc, err := vpcs.find(op, in.ID)
	if err != nil {
		return nil, err
	}
	answer := &ec2.DescribeVPCAttributeResponse{ID: vpc.ID}
	switch in.Attribute {
	case "enableDnsSupport":
		answer.DNSSupport = &ec2.AttributeValue{Value: vpc.DNSSupport}
	case "enableDnsHostnames":
		answer.DNSHostnames = &ec2.AttributeValue{Value: vpc.DNSHostnames}
	default:
		answer.AddressUsageMetrics = &ec2.AttributeValue{}
	}
	return answer, nil
}

// ModifyVPCAttribute changes one attribute of a VPC. Metrics of address usage do not exist and cannot be switched on.
func (op *call) ModifyVPCAttribute(in *ec2.ModifyVPCAttributeRequest) (*ec2.Done, error) {
	given := 0
	for _, attribute := range []*ec2.AttributeValue{in.DNSSupport, in.DNSHostnames, in.AddressUsageMetrics} {
		if attribute != nil {
			given++
		}
	}
	switch {
	case given != 1:
		return nil, aws.Errorf("InvalidParameterCombination", "one attribute must be given, not %s", strconv.Itoa(given))
	case in.AddressUsageMetrics != nil && in.AddressUsageMetrics.Value:
		return nil, aws.Errorf("UnsupportedOperation", "enableNetworkAddressUsageMetrics cannot be switched on")
	}
	vpc, err := vpcs.find(op, in.ID)
	if err != nil {
		return nil, err
	}
	if in.DNSSupport != nil {
		vpc.DNSSupport = in.DNSSupport.Value
	}
	if in.DNSHostnames != nil {
		vpc.DNSHostnames = in.DNSHostnames.Value
	}
	return done(), vpcs.Put(op.Call, vpc)
}
