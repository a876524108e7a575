package ec2

import (
	"cmp"
	"slices"
	"strings"

	"pergola/aws"
	"pergola/aws/ec2"
)

// ruleTags are the tags of security group rules, which are parts of their groups.
type ruleTags struct{ labels }

var rulesTagged = ruleTags{labels{"sgr-", "security-group-rule", "security group rule ID",
	"InvalidSecurityGroupRuleId.NotFound", "InvalidSecurityGroupRuleId.Malformed"}}

// retag changes the tags of a rule.
func (r ruleTags) retag(op *call, id string, change func(map[string]string) error) error {
	own, err := groups.own(op)
	if err != nil {
		return err
	}
	group, rule, err := r.find(op, own, id)
	if err != nil {
		return err
	}
	if err := changeTags(&rule.Tags, change); err != nil {
		return err
	}
	return groups.Put(op.Call, group)
}

// find finds a rule of some groups that an operation is about, if the caller may perform it on that.
func (r ruleTags) find(op *call, of []*ec2.SecurityGroup, id string) (*ec2.SecurityGroup, *ec2.Permission, error) {
	for _, group := range of {
		for _, list := range [][]ec2.Permission{group.Ingress, group.Egress} {
			if i := slices.IndexFunc(list, func(p ec2.Permission) bool { return p.ID == id }); i >= 0 {
				return group, &list[i], op.May(r.arn(op, id), list[i].Tags)
			}
		}
	}
	return nil, nil, cmp.Or(op.May(r.arn(op, id), nil), noRule(id))
}

func noRule(id string) error {
	if ref := rulesTagged.ref(id); ref.Malformed != nil {
		return ref.Malformed
	}
	return aws.Errorf(rulesTagged.missing, "The %s '%s' does not exist", rulesTagged.label, id)
}

func (r ruleTags) describeTags(op *call) (all []ec2.TagDescription, err error) {
	own, err := groups.own(op)
	for _, group := range own {
		for _, permission := range slices.Concat(group.Ingress, group.Egress) {
			all = append(all, r.tagDescriptions(permission.ID, permission.Tags)...)
		}
	}
	return all, err
}

// DescribeSecurityGroupRules lists the rules of security groups one by one, in order of their ids.
func (op *call) DescribeSecurityGroupRules(
	in *ec2.DescribeSecurityGroupRulesRequest) (*ec2.DescribeSecurityGroupRulesResponse, error) {
	own, err := groups.own(op)
	if err != nil {
		return nil, err
	}
	var all []ec2.SecurityGroupRule
	for _, group := range own {
		all = append(all, op.rules(group, ingress, group.Ingress)...)
		all = append(all, op.rules(group, egress, group.Egress)...)
	}
	slices.SortFunc(all, func(a, b ec2.SecurityGroupRule) int { return strings.Compare(a.ID, b.ID) })
	all, err = ruleListing.pick(all, in.IDs, in.Filters)
	page, next := pageOf(all, in.Page, ruleListing.id)
	return &ec2.DescribeSecurityGroupRulesResponse{Rules: page, NextToken: next}, err
}

var ruleListing = listing[ec2.SecurityGroupRule]{noRule, func(r ec2.SecurityGroupRule) string { return r.ID },
	func(r ec2.SecurityGroupRule) map[string][]string {
		tags := map[string]string{}
		for _, tag := range r.Tags {
			tags[tag.Key] = tag.Value
		}
		return withTags(map[string][]string{"group-id": {r.GroupID}, "security-group-rule-id": {r.ID}}, tags)
	}}

// ModifySecurityGroupRules puts other permissions in the place of some rules of a group. Their peers stay of their
// kinds.
func (op *call) ModifySecurityGroupRules(in *ec2.ModifySecurityGroupRulesRequest) (*ec2.Done, error) {
	group, err := groups.find(op, in.GroupID)
	if err != nil {
		return nil, err
	}
	for _, update := range in.Rules {
		_, rule, err := rulesTagged.find(op, []*ec2.SecurityGroup{group}, update.ID)
		if err == nil {
			err = op.modify(group, rule, update.Rule)
		}
		if err != nil {
			return nil, err
		}
	}
	return done(), cmp.Or(op.checkRules(group.Ingress), op.checkRules(group.Egress), groups.Put(op.Call, group))
}

// modify makes a rule of a group what a request says.
func (op *call) modify(of *ec2.SecurityGroup, rule *ec2.Permission, in ec2.SecurityGroupRuleRequest) error {
	changed, err := op.spread(permissionOf(in))
	switch {
	case err != nil:
		return err
	case len(changed) > 1:
		return aws.Errorf("InvalidParameterCombination",
			"Only one of cidrIp, cidrIpv6, prefixListId, or referencedGroupId can be specified")
	}
	to := changed[0]
	parameter, _ := peerKind(to)
	if was, kind := peerKind(*rule); was != parameter {
		return aws.Errorf("InvalidParameterValue", "Invalid rule type for security group rule '%s'. You may not specify %s "+
			"for an existing %s rule.", rule.ID, parameter, kind)
	}
	to.ID, to.Tags = rule.ID, rule.Tags
	*rule = to
	return op.checkPeer(of, to)
}

// peerKind says which parameter gives the peer of a permission, and what rules of such peers are called.
func peerKind(p ec2.Permission) (parameter, kind string) {
	switch {
	case p.Group != "":
		return "ReferencedGroupId", "referenced security group"
	case p.PrefixList != "":
		return "PrefixListId", "prefix list"
	case isIPv6(p.CIDR):
		return "CidrIpv6", "IPv6 CIDR"
	}
	return "CidrIpv4", "IPv4 CIDR"
}

// UpdateSecurityGroupRuleDescriptionsIngress gives rules for what comes in other descriptions.
func (op *call) UpdateSecurityGroupRuleDescriptionsIngress(in *ec2.RuleDescriptionsRequest) (*ec2.Done, error) {
	return op.redescribe(in, ingress)
}

// UpdateSecurityGroupRuleDescriptionsEgress gives rules for what goes out other descriptions.
func (op *call) UpdateSecurityGroupRuleDescriptionsEgress(in *ec2.RuleDescriptionsRequest) (*ec2.Done, error) {
	return op.redescribe(in, egress)
}

func (op *call) redescribe(in *ec2.RuleDescriptionsRequest, d direction) (*ec2.Done, error) {
	group, named, err := op.permissions(&ec2.PermissionsRequest{GroupID: in.GroupID, GroupName: in.GroupName,
		Permissions: in.Permissions})
	switch {
	case err != nil:
		return nil, err
	case len(named)+len(in.Descriptions) == 0:
		return nil, noPermissions()
	case len(named) > 0 && len(in.Descriptions) > 0:
		return nil, aws.Errorf("InvalidParameterCombination",
			"ipPermissions and securityGroupRuleDescriptions may not be specified together")
	}
	var ids, descriptions []string
	for _, permission := range named {
		descriptions = append(descriptions, permission.Description)
	}
	for _, of := range in.Descriptions {
		if err := checkText("rule description", of.Description); err != nil {
			return nil, err
		}
		ids, descriptions = append(ids, of.ID), append(descriptions, of.Description)
	}
	list := d.of(group)
	err = eachNamed(list, named, ids, func(i int) {
		(*list)[i].Description, descriptions = descriptions[0], descriptions[1:]
	})
	return done(), cmp.Or(err, groups.Put(op.Call, group))
}
