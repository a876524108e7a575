package ec2

import (
	"slices"
	"strings"

	"pergola/aws"
	"pergola/aws/ec2"
)

// Nobody makes these things, and the store does not keep them: an instance has one network interface, and a VPC one
// route table, which keeps its traffic inside. They have the digits of their owner's id.

// listing is how a request lists things that are no nouns.
type listing[T any] struct {
	// missing says that there is nothing with an id.
	missing func(id string) error
	id      func(T) string
	// attributes are what filters look at, by filter name.
	attributes func(T) map[string][]string
}

// noID makes the missing of a listing from the code of the error.
func noID(code string) func(id string) error {
	return func(id string) error { return aws.Errorf(code, "The ID '%s' does not exist", id) }
}

// pick keeps those of some things that a request wants. Each id that it asks for must be there.
func (l listing[T]) pick(all []T, ids []string, filters []ec2.Filter) ([]T, error) {
	picked, err := filtered(all, filters, l.attributes)
	if err != nil || len(ids) == 0 {
		return picked, err
	}
	for _, id := range ids {
		if !slices.ContainsFunc(all, func(thing T) bool { return l.id(thing) == id }) {
			return nil, l.missing(id)
		}
	}
	return slices.DeleteFunc(picked, func(thing T) bool { return !slices.Contains(ids, l.id(thing)) }), nil
}

// interfaceID is the id of an instance's network interface.
func interfaceID(instance string) string { return "eni-" + strings.TrimPrefix(instance, "i-") }

var interfaces = listing[*ec2.Instance]{noID("InvalidNetworkInterfaceID.NotFound"),
	func(i *ec2.Instance) string { return interfaceID(i.ID) },
	func(i *ec2.Instance) map[string][]string {
		return map[string][]string{
			"network-interface-id": {interfaceID(i.ID)}, "vpc-id": {i.VPC}, "subnet-id": {i.Subnet},
			"group-id": i.SecurityGroups, "attachment.instance-id": {i.ID}, "attachment.instance-owner-id": {i.Account},
			"private-ip-address": {i.Address.String()}, "owner-id": {i.Account},
			"addresses.private-ip-address": {i.Address.String()}, "status": {"in-use"}, "attachment.status": {"attached"},
			"interface-type": {"interface"}, "description": {""}, "requester-id": nil,
		}
	}}

// DescribeNetworkInterfaces lists the network interfaces of instances.
func (op *call) DescribeNetworkInterfaces(
	in *ec2.DescribeNetworkInterfacesRequest) (*ec2.DescribeNetworkInterfacesResponse, error) {
	all, err := instances.own(op)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(i *ec2.Instance) bool { return i.State() == ec2.InstanceTerminated })
	picked, err := interfaces.pick(all, in.IDs, in.Filters)
	if err != nil {
		return nil, err
	}
	described, err := each(picked, func(i *ec2.Instance) (ec2.NetworkInterface, error) {
		d, err := op.describeInstance(i)
		return ec2.NetworkInterface{
			ID: interfaceID(i.ID), Type: "interface", OwnerID: i.Account, Status: "in-use",
			VPCID: d.VPCID, SubnetID: d.SubnetID, AvailabilityZone: d.AvailabilityZone, PrivateAddress: d.PrivateAddress,
			MAC: i.MAC().String(), SourceDestCheck: true, InstanceID: i.ID, InstanceOwnerID: i.Account,
			Attached: "attached", Groups: d.Groups,
		}, err
	})
	return &ec2.DescribeNetworkInterfacesResponse{Interfaces: described}, err
}

var routeTables = listing[ec2.RouteTable]{noID("InvalidRouteTableID.NotFound"),
	func(t ec2.RouteTable) string { return t.ID },
	func(t ec2.RouteTable) map[string][]string {
		return map[string][]string{
			"route-table-id": {t.ID}, "association.route-table-id": {t.ID},
			"association.route-table-association-id": {t.Associations[0].ID}, "association.main": {"true"},
			"association.subnet-id": nil, "vpc-id": {t.VPCID}, "owner-id": {t.OwnerID},
			"route.destination-cidr-block": {t.Routes[0].Destination}, "route.gateway-id": {"local"},
		}
	}}

// DescribeRouteTables lists the main route tables of VPCs.
func (op *call) DescribeRouteTables(in *ec2.DescribeRouteTablesRequest) (*ec2.DescribeRouteTablesResponse, error) {
	all, err := vpcs.own(op)
	if err != nil {
		return nil, err
	}
	var tables []ec2.RouteTable
	for _, vpc := range all {
		suffix := strings.TrimPrefix(vpc.ID, vpcs.prefix)
		tables = append(tables, ec2.RouteTable{
			ID: "rtb-" + suffix, OwnerID: vpc.Account, VPCID: vpc.ID,
			Associations: ec2.Set[ec2.RouteTableAssociation]{{ID: "rtbassoc-" + suffix, TableID: "rtb-" + suffix, Main: true,
				State: "associated"}},
			Routes: ec2.Set[ec2.Route]{{Destination: vpc.CIDR.String(), GatewayID: "local", Origin: "CreateRouteTable",
				State: "active"}},
		})
	}
	tables, err = routeTables.pick(tables, in.IDs, in.Filters)
	return &ec2.DescribeRouteTablesResponse{Tables: tables}, err
}
