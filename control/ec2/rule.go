package ec2

import (
	"cmp"
	"slices"
	"strings"

	"pergola/aws"
	"pergola/aws/ec2"
)

// ruleTags are the tags of security group rules, which are parts of their groups.
type ruleTags struct {
	// prefix begins every id, and resourceType is the noun in tag specifications and in ARNs.
	prefix, resourceType string
}

var rulesTagged = ruleTags{"sgr-", "security-group-rule"}

func (r ruleTags) owns(id string) bool { return strings.HasPrefix(id, r.prefix) }

// tagsOf takes the tags for rules out of a request that creates some.
func (r ruleTags) tagsOf(specifications []ec2.TagSpecification) (map[string]string, error) {
	return tagsFor(r.resourceType, specifications)
}

// mayTagRules asks whether the caller may give tags to the new rules of an action.
func (op *call) mayTagRules(action string, tags map[string]string) error {
	if len(tags) == 0 {
		return nil
	}
	const createAction = "ec2:CreateAction"
	op.Set(createAction, action)
	defer op.Set(createAction) // of tagging alone
	return op.MayAlso("ec2:CreateTags", op.arn(rulesTagged.resourceType+"/*"), nil)
}

// retag changes the tags of a rule.
func (r ruleTags) retag(op *call, id string, change func(map[string]string) error) error {
	all, err := groups.all(op)
	if err != nil {
		return err
	}
	for _, group := range all {
		for _, d := range []direction{ingress, egress} {
			list := *d.of(group)
			i := slices.IndexFunc(list, func(p ec2.Permission) bool { return p.ID == id })
			if i < 0 {
				continue
			}
			if list[i].Tags == nil {
				list[i].Tags = map[string]string{}
			}
			if err := cmp.Or(op.May(op.arn(r.resourceType+"/"+id), list[i].Tags), change(list[i].Tags)); err != nil {
				return err
			}
			return groups.put(op, group)
		}
	}
	return cmp.Or(op.May(op.arn(r.resourceType+"/"+id), nil), error(noRule(id)))
}

func noRule(id string) *aws.Error {
	return aws.Errorf("InvalidSecurityGroupRuleId.NotFound", "The security group rule ID '%s' does not exist", id)
}

func (r ruleTags) describeTags(op *call) (all []ec2.TagDescription, err error) {
	own, err := groups.all(op)
	for _, group := range own {
		for _, permission := range slices.Concat(group.Ingress, group.Egress) {
			for _, tag := range sortedTags(permission.Tags) {
				all = append(all, ec2.TagDescription{ResourceID: permission.ID, ResourceType: r.resourceType, Key: tag.Key,
					Value: tag.Value})
			}
		}
	}
	return all, err
}

// DescribeSecurityGroupRules lists the rules of security groups one by one, in order of their ids.
func (op *call) DescribeSecurityGroupRules(
	in *ec2.DescribeSecurityGroupRulesRequest) (*ec2.DescribeSecurityGroupRulesResponse, error) {
	own, err := groups.all(op)
	if err != nil {
		return nil, err
	}
	var all []ec2.SecurityGroupRule
	for _, group := range own {
		all = append(all, op.rules(group, ingress, group.Ingress)...)
		all = append(all, op.rules(group, egress, group.Egress)...)
	}
	slices.SortFunc(all, func(a, b ec2.SecurityGroupRule) int { return strings.Compare(a.ID, b.ID) })
	all, err = pick(all, in.IDs, "InvalidSecurityGroupRuleId.NotFound",
		func(r ec2.SecurityGroupRule) (string, bool, error) {
			tags := map[string]string{}
			for _, tag := range r.Tags {
				tags[tag.Key] = tag.Value
			}
			match, err := matches(in.Filters, map[string][]string{"group-id": {r.GroupID}, "security-group-rule-id": {r.ID}},
				tags)
			return r.ID, match, err
		})
	answer := &ec2.DescribeSecurityGroupRulesResponse{}
	for _, rule := range all {
		switch {
		case rule.ID <= in.NextToken:
		case in.MaxResults > 0 && len(answer.Rules) == int(in.MaxResults):
			answer.NextToken = answer.Rules[len(answer.Rules)-1].ID
			return answer, err
		default:
			answer.Rules = append(answer.Rules, rule)
		}
	}
	return answer, err
}
