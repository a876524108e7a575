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

var rulesTagged = ruleTags{labels{prefix: "sgr-", resourceType: "security-group-rule"}}

// retag changes the tags of a rule.
func (r ruleTags) retag(op *call, id string, change func(map[string]string) error) error {
	own, err := groups.own(op)
	if err != nil {
		return err
	}
	for _, group := range own {
		for _, list := range [][]ec2.Permission{group.Ingress, group.Egress} {
			i := slices.IndexFunc(list, func(p ec2.Permission) bool { return p.ID == id })
			if i < 0 {
				continue
			}
			err := op.May(r.arn(op, id), list[i].Tags)
			if err := cmp.Or(err, changeTags(&list[i].Tags, change)); err != nil {
				return err
			}
			return groups.Put(op.Call, group)
		}
	}
	return cmp.Or(op.May(r.arn(op, id), nil), noRule(id))
}

func noRule(id string) error {
	return aws.Errorf("InvalidSecurityGroupRuleId.NotFound", "The security group rule ID '%s' does not exist", id)
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
