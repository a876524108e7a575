package ec2

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"pergola/aws"
	"pergola/aws/ec2"
	"pergola/control/authority"
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

// keysOfGroup are the condition keys of a group besides its tags (Service Authorization Reference, "Amazon EC2").
func keysOfGroup(k authority.Keys, arn string, g *ec2.SecurityGroup) {
	k.Set("ec2:SecurityGroupID", g.ID)
	account, _, _ := strings.Cut(arn, "security-group/")
	k.Set("ec2:Vpc", account+"vpc/"+g.VPC)
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
	return groups.remove(op, "The vpc of '%s' has dependencies and cannot be deleted", group)
}

// group finds the security group that a request is about. Names are those of the default VPC's groups, and there is no
// such VPC.
func (op *call) group(id, name string) (*ec2.SecurityGroup, error) {
	switch {
	case id == "" && name == "":
		return nil, aws.Errorf("MissingParameter", "The request must contain the parameter groupId")
	case id != "" && name != "":
		return nil, aws.Errorf("InvalidParameterCombination", "The parameters groupName and groupId may not be used together")
	case name != "":
		return nil, noDefaultVPC()
	}
	return groups.find(op, id)
}

// text is what names and descriptions of groups and rules are made of (EC2 API reference, CreateSecurityGroup).
var text = regexp.MustCompile(`^[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{0,255}$`)

// checkText refuses names and descriptions that cannot be; the error calls the text what.
func checkText(what, s string) error {
	if text.MatchString(s) {
		return nil
	}
	return aws.Errorf("InvalidParameterValue", "Invalid %s. Valid ones are strings less than 256 characters from the "+
		"following set: a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*", what)
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
	err := cmp.Or(checkText("group name", in.Name), checkText("security group description", in.Description))
	if err != nil {
		return nil, err
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
	return aws.Errorf("VPCIdNotSpecified", "No default VPC for this user; name a VPC or a subnet, and security groups "+
		"by their ids")
}

func (op *call) describeGroup(g *ec2.SecurityGroup) (ec2.SecurityGroupDescription, error) {
	return ec2.SecurityGroupDescription{
		ID: g.ID, ARN: groups.arn(op, g.ID), OwnerID: g.Account, VPCID: g.VPC, Name: g.Name,
		Description: g.Description, Ingress: op.gather(g.Ingress), Egress: op.gather(g.Egress), Tags: sortedTags(g.Tags),
	}, nil
}

func groupAttributes(_ *call, g *ec2.SecurityGroup) map[string][]string {
	attributes := map[string][]string{
		"group-id": {g.ID}, "group-name": {g.Name}, "description": {g.Description}, "vpc-id": {g.VPC}, "owner-id": {g.Account},
	}
	addPermissions(attributes, "ip-permission.", g.Account, g.Ingress)
	addPermissions(attributes, "egress.ip-permission.", g.Account, g.Egress)
	return attributes
}

// addPermissions adds the attributes of the permissions of one direction, all under one prefix: several filters may
// match different permissions.
func addPermissions(to map[string][]string, prefix, account string, permissions []ec2.Permission) {
	for _, name := range []string{"cidr", "ipv6-cidr", "group-id", "user-id", "prefix-list-id", "protocol", "from-port",
		"to-port"} {
		to[prefix+name] = nil
	}
	for _, p := range permissions {
		add := func(name, value string) {
			if value != "" {
				to[prefix+name] = append(to[prefix+name], value)
			}
		}
		cidr, cidr6 := shown(p.CIDR)
		add("cidr", cidr)
		add("ipv6-cidr", cidr6)
		add("prefix-list-id", p.PrefixList)
		add("protocol", p.Protocol)
		if add("group-id", p.Group); p.Group != "" {
			add("user-id", account)
		}
		if port := portIn(p, p.FromPort); port != nil {
			add("from-port", strconv.Itoa(int(p.FromPort)))
			add("to-port", strconv.Itoa(int(p.ToPort)))
		}
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
	if len(in.Names) > 0 {
		return nil, noDefaultVPC()
	}
	filters, err := op.byPeerID(in.Filters)
	if err != nil {
		return nil, err
	}
	described, next, err := describe(op, groups, selection{in.IDs, filters, in.Page}, op.describeGroup)
	return &ec2.DescribeSecurityGroupsResponse{Groups: described, NextToken: next}, err
}

// byPeerID has filters ask for the ids of peers in place of their names, which permissions do not have.
func (op *call) byPeerID(filters []ec2.Filter) ([]ec2.Filter, error) {
	return each(filters, func(f ec2.Filter) (ec2.Filter, error) {
		prefix, isName := strings.CutSuffix(f.Name, "ip-permission.group-name")
		if !isName {
			return f, nil
		}
		own, err := groups.own(op)
		named, wrong := filtered(own, []ec2.Filter{{Name: "name", Values: f.Values}},
			func(g *ec2.SecurityGroup) map[string][]string { return map[string][]string{"name": {g.Name}} })
		byID := ec2.Filter{Name: prefix + "ip-permission.group-id"}
		for _, group := range named {
			byID.Values = append(byID.Values, group.ID)
		}
		return byID, cmp.Or(err, wrong)
	})
}

// DeleteSecurityGroup deletes a group that nothing is in and that no other group names.
func (op *call) DeleteSecurityGroup(in *ec2.DeleteSecurityGroupRequest) (*ec2.DeleteSecurityGroupResponse, error) {
	group, err := op.group(in.ID, in.GroupName)
	if err != nil {
		return nil, err
	}
	if group.Name == defaultGroup {
		return nil, aws.Errorf("CannotDelete", "the specified group: \"%s\" name: \"default\" cannot be deleted by a user",
			group.ID)
	}
	return &ec2.DeleteSecurityGroupResponse{Return: true, ID: group.ID},
		groups.remove(op, "resource %s has a dependent object", group)
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
