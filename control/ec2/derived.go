package ec2

import (
	"slices"
	"strings"

	"pergola/aws"
	"pergola/aws/ec2"
)

// Nobody makes these things, and the store does not keep them: an instance has one network interface, and a VPC one
// route table, which keeps its traffic inside, and one network ACL, which lets everything pass. They have the digits of
// their owner's id.

// pick keeps those of some derived things that a request wants. Each id that it asks for must be there.
func pick[T any](all []T, ids []string, missing string, wanted func(T) (id string, match bool, err error)) (picked []T, err error) {
	left := slices.Clone(ids)
	for _, thing := range all {
		id, match, err := wanted(thing)
		if err != nil {
			return nil, err
		}
		asked := slices.Contains(ids, id)
		left = slices.DeleteFunc(left, func(other string) bool { return other == id })
		if match && (asked || len(ids) == 0) {
			picked = append(picked, thing)
		}
	}
	if len(left) > 0 {
		return nil, aws.Errorf(missing, "The ID '%s' does not exist", left[0])
	}
	return picked, nil
}

// interfaceID is the id of an instance's network interface.
func interfaceID(instance string) string { return "eni-" + strings.TrimPrefix(instance, "i-") }

// DescribeNetworkInterfaces lists the network interfaces of instances.
func (op *call) DescribeNetworkInterfaces(
	in *ec2.DescribeNetworkInterfacesRequest) (*ec2.DescribeNetworkInterfacesResponse, error) {
	all, err := instances.all(op)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(i *ec2.Instance) bool { return i.State == ec2.InstanceTerminated })
	picked, err := pick(all, in.IDs, "InvalidNetworkInterfaceID.NotFound", func(i *ec2.Instance) (string, bool, error) {
		id := interfaceID(i.ID)
		match, err := matches(in.Filters, map[string][]string{
			"network-interface-id": {id}, "vpc-id": {i.VPC}, "subnet-id": {i.Subnet}, "group-id": i.SecurityGroups,
			"attachment.instance-id": {i.ID}, "attachment.instance-owner-id": {i.Account},
			"private-ip-address": {i.Address.String()}, "owner-id": {i.Account},
			"addresses.private-ip-address": {i.Address.String()}, "status": {"in-use"}, "attachment.status": {"attached"},
			"interface-type": {"interface"}, "description": {""}, "requester-id": nil,
		}, nil)
		return id, match, err
	})
	answer := &ec2.DescribeNetworkInterfacesResponse{}
	for _, instance := range picked {
		d, err := op.describeInstance(instance)
		if err != nil {
			return nil, err
		}
		answer.Interfaces = append(answer.Interfaces, ec2.NetworkInterface{
			ID: interfaceID(instance.ID), Type: "interface", OwnerID: instance.Account, Status: "in-use",
			VPCID: d.VPCID, SubnetID: d.SubnetID, AvailabilityZone: d.AvailabilityZone, PrivateAddress: d.PrivateAddress,
			MAC: instance.MAC().String(), SourceDestCheck: true, InstanceID: instance.ID, InstanceOwnerID: instance.Account,
			Attached: "attached", Groups: d.Groups,
		})
	}
	return answer, err
}

// DescribeRouteTables lists the main route tables of VPCs.
func (op *call) DescribeRouteTables(in *ec2.DescribeRouteTablesRequest) (*ec2.DescribeRouteTablesResponse, error) {
	all, err := vpcs.all(op)
	if err != nil {
		return nil, err
	}
	var tables ec2.Set[ec2.RouteTable]
	for _, vpc := range all {
		suffix := strings.TrimPrefix(vpc.ID, "vpc-")
		tables = append(tables, ec2.RouteTable{
			ID: "rtb-" + suffix, OwnerID: vpc.Account, VPCID: vpc.ID,
			Associations: ec2.Set[ec2.RouteTableAssociation]{{ID: "rtbassoc-" + suffix, TableID: "rtb-" + suffix, Main: true,
				State: "associated"}},
			Routes: ec2.Set[ec2.Route]{{Destination: vpc.CIDR.String(), GatewayID: "local", Origin: "CreateRouteTable",
				State: "active"}},
		})
	}
	tables, err = pick(tables, in.IDs, "InvalidRouteTableID.NotFound", func(t ec2.RouteTable) (string, bool, error) {
		match, err := matches(in.Filters, map[string][]string{
			"route-table-id": {t.ID}, "association.route-table-id": {t.ID},
			"association.route-table-association-id": {t.Associations[0].ID},
			"vpc-id":                                 {t.VPCID}, "owner-id": {t.OwnerID}, "association.main": {"true"},
			"association.subnet-id":        nil,
			"route.destination-cidr-block": {t.Routes[0].Destination}, "route.gateway-id": {"local"},
		}, nil)
		return t.ID, match, err
	})
	return &ec2.DescribeRouteTablesResponse{Tables: tables}, err
}

// lastACLEntry is the number of the entry that ends every network ACL and denies what none before it has decided.
const lastACLEntry = 32767

// DescribeNetworkACLs lists the default network ACLs of VPCs.
func (op *call) DescribeNetworkACLs(in *ec2.DescribeNetworkACLsRequest) (*ec2.DescribeNetworkACLsResponse, error) {
	all, err := vpcs.all(op)
	if err != nil {
		return nil, err
	}
	within, err := subnets.all(op)
	if err != nil {
		return nil, err
	}
	var acls ec2.Set[ec2.NetworkACL]
	for _, vpc := range all {
		acls = append(acls, defaultACL(vpc, within))
	}
	acls, err = pick(acls, in.IDs, "InvalidNetworkAclID.NotFound", func(a ec2.NetworkACL) (string, bool, error) {
		var associated []string
		for _, association := range a.Associations {
			associated = append(associated, association.SubnetID)
		}
		match, err := matches(in.Filters, map[string][]string{
			"network-acl-id": {a.ID}, "association.network-acl-id": {a.ID}, "vpc-id": {a.VPCID}, "owner-id": {a.OwnerID},
			"default": {"true"}, "association.subnet-id": associated,
		}, nil)
		return a.ID, match, err
	})
	return &ec2.DescribeNetworkACLsResponse{ACLs: acls}, err
}

func defaultACL(vpc *ec2.VPC, within []*ec2.Subnet) ec2.NetworkACL {
	acl := ec2.NetworkACL{ID: "acl-" + strings.TrimPrefix(vpc.ID, "vpc-"), OwnerID: vpc.Account, VPCID: vpc.ID, Default: true}
	for _, isEgress := range []bool{true, false} {
		acl.Entries = append(acl.Entries,
			ec2.NetworkACLEntry{Number: 100, Protocol: anyProtocol, Action: "allow", IsEgress: isEgress, CIDR: "0.0.0.0/0"},
			ec2.NetworkACLEntry{Number: lastACLEntry, Protocol: anyProtocol, Action: "deny", IsEgress: isEgress, CIDR: "0.0.0.0/0"})
	}
	for _, subnet := range within {
		if subnet.VPC == vpc.ID {
			acl.Associations = append(acl.Associations, ec2.NetworkACLAssociation{
				ID: "aclassoc-" + strings.TrimPrefix(subnet.ID, "subnet-"), ACLID: acl.ID, SubnetID: subnet.ID,
			})
		}
	}
	return acl
}
