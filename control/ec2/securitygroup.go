package ec2

import (
	"errors"
	"slices"
	"strings"

	"pergola/aws"
	"pergola/aws/ec2"
	"pergola/store"
)

// groupNames holds the names of security groups, which are unique in a VPC: "<vpc id>/<name>" and the group's id.
var groupNames = store.NewIndex("ec2-group-name")

// defaultGroup is the name of the security group that every VPC has and that lives as long as the VPC.
const defaultGroup = "default"

// allowAll is a permission for all traffic. The peer is still to be named.
func (op *call) allowAll() ec2.Permission {
	return ec2.Permission{ID: op.newID("sgr-"), Protocol: anyProtocol, FromPort: -1, ToPort: -1}
}

// newGroup makes a security group. It lets everything out, and nothing in (VPC user guide, "Security groups").
func (op *call) newGroup(vpc *ec2.VPC, name, description string) *ec2.SecurityGroup {
	egress := op.allowAll()
	egress.CIDR = "0.0.0.0/0"
	return &ec2.SecurityGroup{
		ID: op.newID("sg-"), Account: op.Account, VPC: vpc.ID, Name: name, Description: description,
		Egress: []ec2.Permission{egress},
	}
}

// putNew writes a new group under its name. The default group does not keep its VPC from being deleted.
func (op *call) putNew(group *ec2.SecurityGroup) error {
	if err := groupNames.Put(op.Tx, group.VPC+"/"+group.Name, group.ID); err != nil {
		return err
	}
	if group.Name != defaultGroup {
		if err := op.refer(group.ID, group.VPC); err != nil {
			return err
		}
	}
	return groups.create(op, group)
}

// createDefaultGroup makes the group that lets in what its own members send.
func (op *call) createDefaultGroup(vpc *ec2.VPC) error {
	group := op.newGroup(vpc, defaultGroup, "default VPC security group")
	ingress := op.allowAll()
	ingress.Group = group.ID
	group.Ingress = []ec2.Permission{ingress}
	return op.putNew(group)
}

func (op *call) deleteDefaultGroup(vpc *ec2.VPC) error {
	id, err := groupNames.Get(op.Tx, vpc.ID+"/"+defaultGroup)
	if err != nil {
		return err
	}
	if err := op.unreferenced("vpc", id); err != nil {
		return err
	}
	groupNames.Delete(op.Tx, vpc.ID+"/"+defaultGroup)
	group, err := groups.objects.Get(op.Tx, id)
	if err != nil {
		return err
	}
	groups.remove(op, &group)
	return nil
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
	tags, err := groups.tagsOf(in.TagSpecification)
	if err != nil {
		return nil, err
	}
	if err := groups.mayCreate(op, tags); err != nil {
		return nil, err
	}
	vpc, err := vpcs.find(op, in.VPCID)
	if err != nil {
		return nil, err
	}
	if err := op.nameIsFree(vpc, in.Name); err != nil {
		return nil, err
	}
	if err := op.roomFor(ec2.QuotaSecurityGroups, groups.owned.Count, 1); err != nil {
		return nil, err
	}
	group := op.newGroup(vpc, in.Name, in.Description)
	group.Tags = tags
	return &ec2.CreateSecurityGroupResponse{
		ID: group.ID, ARN: op.arn("security-group/" + group.ID), Tags: sortedTags(group.Tags),
	}, op.putNew(group)
}

func (op *call) nameIsFree(vpc *ec2.VPC, name string) error {
	_, err := groupNames.Get(op.Tx, vpc.ID+"/"+name)
	switch {
	case err == nil:
		return aws.Errorf("InvalidGroup.Duplicate", "The security group '%s' already exists for VPC '%s'", name, vpc.ID)
	case errors.Is(err, store.ErrNotFound):
		return nil
	}
	return err
}

func noDefaultVPC() error {
	return aws.Errorf("VPCIdNotSpecified", "No default VPC for this user; name a VPC or a subnet")
}

func (op *call) describeGroup(g *ec2.SecurityGroup) ec2.SecurityGroupDescription {
	return ec2.SecurityGroupDescription{
		ID: g.ID, ARN: op.arn("security-group/" + g.ID), OwnerID: g.Account, VPCID: g.VPC, Name: g.Name,
		Description: g.Description, Ingress: op.gather(g.Ingress), Egress: op.gather(g.Egress), Tags: sortedTags(g.Tags),
	}
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
	found, next, err := groups.selected(op, selection{in.IDs, filters, in.Page})
	answer := &ec2.DescribeSecurityGroupsResponse{NextToken: next}
	for _, group := range found {
		answer.Groups = append(answer.Groups, op.describeGroup(group))
	}
	return answer, err
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
	if err := op.unreferenced("security group", group.ID); err != nil {
		return nil, err
	}
	op.forget(group.ID, append(others(group), group.VPC)...)
	groupNames.Delete(op.Tx, group.VPC+"/"+group.Name)
	groups.remove(op, group)
	return &ec2.DeleteSecurityGroupResponse{Return: true, ID: group.ID}, nil
}

// others are the groups that a group's permissions name, but for itself.
func others(g *ec2.SecurityGroup) []string {
	return slices.DeleteFunc(append(peers(g.Ingress), peers(g.Egress)...), func(id string) bool { return id == g.ID })
}
