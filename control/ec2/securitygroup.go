package ec2

import (
	"slices"
	"strings"

	"pergola/aws"
	"pergola/aws/ec2"
	"pergola/control/resource"
	"pergola/store"
)

// groupNames holds the names of security groups, which are unique in a VPC: "<vpc id>/<name>" and the group's id.
var groupNames = store.NewIndex("ec2-group-name")

// defaultGroup is the name of the security group that every VPC has and that lives as long as the VPC.
const defaultGroup = ec2.DefaultSecurityGroup

// allowAll is permission for all traffic from or to a peer.
func (op *call) allowAll(peer ec2.Permission) []ec2.Permission {
	peer.ID, peer.Protocol, peer.FromPort, peer.ToPort = op.newID(rulesTagged.prefix), anyProtocol, -1, -1
	return []ec2.Permission{peer}
}

// newGroup makes a security group. It lets everything out, and nothing in (VPC user guide, "Security groups").
func (op *call) newGroup(vpc *ec2.VPC, name, description string) *ec2.SecurityGroup {
	return &ec2.SecurityGroup{
		ID: op.newID(groups.prefix), Account: op.Account, VPC: vpc.ID, Name: name, Description: description,
		Egress: op.allowAll(ec2.Permission{CIDR: "0.0.0.0/0"}),
	}
}

// holdsOfGroup are the group's name and what it refers to. The default group does not keep its VPC from being deleted.
func holdsOfGroup(g *ec2.SecurityGroup) []resource.Hold {
	refers := others(g)
	if g.Name != defaultGroup {
		refers = append(refers, g.VPC)
	}
	return append(refersTo(g.ID, refers...), resource.Hold{Index: groupNames, Key: g.VPC + "/" + g.Name, Value: g.ID,
		Taken: func(string) error {
			return aws.Errorf("InvalidGroup.Duplicate", "The security group '%s' already exists for VPC '%s'", g.Name, g.VPC)
		}})
}

// createDefaultGroup makes the group that lets in what its own members send.
func (op *call) createDefaultGroup(vpc *ec2.VPC) error {
	group := op.newGroup(vpc, defaultGroup, "default VPC security group")
	group.Ingress = op.allowAll(ec2.Permission{Group: group.ID})
	return groups.Add(op.Call, group)
}

func (op *call) deleteDefaultGroup(vpc *ec2.VPC) error {
	id, err := DefaultGroup(op.Tx, vpc.ID)
	if err != nil {
		return err
	}
	group, err := groups.read(op, id)
	if err != nil {
		return err
	}
	return groups.remove(op, "vpc", group)
}

// CreateSecurityGroup makes a security group in a VPC.
func (op *call) CreateSecurityGroup(in *ec2.CreateSecurityGroupRequest) (*ec2.CreateSecurityGroupResponse, error) {
	switch {
	case in.VPCID == "":
		return nil, noDefaultVPC()
	case in.Name == defaultGroup:
		return nil, aws.Errorf("InvalidParameterValue", "Cannot use reserved security group name: %s", in.Name)
	case strings.HasPrefix(in.Name, "sg-"):
		return nil, aws.Errorf("InvalidParameterValue", "Value (%s) for parameter GroupName is invalid. Group names may not be in the format sg-*.", in.Name)
	}
	group, err := groups.create(op, in.TagSpecification, func(tags map[string]string) (*ec2.SecurityGroup, error) {
		vpc, err := vpcs.find(op, in.VPCID)
		if err != nil {
			return nil, err
		}
		group := op.newGroup(vpc, in.Name, in.Description)
		group.Tags = tags
		return group, nil
	})
	if err != nil {
		return nil, err
	}
	// That the name is taken is a more useful error than that there is no room, so the group counts already.
	return &ec2.CreateSecurityGroupResponse{ID: group.ID, ARN: groups.arn(op, group.ID), Tags: sortedTags(group.Tags)},
		op.roomFor(ec2.QuotaSecurityGroups, groups.Count, 0)
}

func noDefaultVPC() error {
	return aws.Errorf("VPCIdNotSpecified", "No default VPC for this user; name a VPC or a subnet")
}

func (op *call) describeGroup(g *ec2.SecurityGroup) (ec2.SecurityGroupDescription, error) {
	return ec2.SecurityGroupDescription{
		ID: g.ID, ARN: groups.arn(op, g.ID), OwnerID: g.Account, VPCID: g.VPC, Name: g.Name,
		Description: g.Description, Ingress: op.gather(g.Ingress), Egress: op.gather(g.Egress), Tags: sortedTags(g.Tags),
	}, nil
}

func groupAttributes(_ *call, g *ec2.SecurityGroup) map[string][]string {
	return map[string][]string{
		"group-id": {g.ID}, "group-name": {g.Name}, "description": {g.Description}, "vpc-id": {g.VPC}, "owner-id": {g.Account},
		"ip-permission.group-id": peers(g.Ingress), "egress.ip-permission.group-id": peers(g.Egress),
	}
}

// peers are the security groups that permissions name.
func peers(permissions []ec2.Permission) (ids []string) {
	for _, permission := range permissions {
		if permission.Group != "" && !slices.Contains(ids, permission.Group) {
			ids = append(ids, permission.Group)
		}
	}
	return ids
}

// DescribeSecurityGroups lists security groups.
func (op *call) DescribeSecurityGroups(
	in *ec2.DescribeSecurityGroupsRequest) (*ec2.DescribeSecurityGroupsResponse, error) {
	filters := in.Filters
	if len(in.Names) > 0 {
		filters = append(filters, ec2.Filter{Name: "group-name", Values: in.Names})
	}
	described, next, err := describe(op, groups, selection{in.IDs, filters, in.Page}, op.describeGroup)
	return &ec2.DescribeSecurityGroupsResponse{Groups: described, NextToken: next}, err
}

// DeleteSecurityGroup deletes a group that nothing is in and that no other group names.
func (op *call) DeleteSecurityGroup(in *ec2.DeleteSecurityGroupRequest) (*ec2.DeleteSecurityGroupResponse, error) {
	group, err := groups.find(op, in.ID)
	if err != nil {
		return nil, err
	}
	if group.Name == defaultGroup {
		return nil, aws.Errorf("CannotDelete", "the specified group: \"%s\" name: \"default\" cannot be deleted by a user",
			group.ID)
	}
	return &ec2.DeleteSecurityGroupResponse{Return: true, ID: group.ID}, groups.remove(op, "security group", group)
}

// others are the groups and prefix lists that a group's permissions name, but for itself.
func others(g *ec2.SecurityGroup) []string {
	all := append(peers(g.Ingress), peers(g.Egress)...)
	for _, permission := range slices.Concat(g.Ingress, g.Egress) {
		if permission.PrefixList != "" {
			all = append(all, permission.PrefixList)
		}
	}
	return slices.DeleteFunc(all, func(id string) bool { return id == g.ID })
}
