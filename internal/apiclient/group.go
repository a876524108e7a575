package apiclient

import (
	"context"
	"net/url"
)

// DefaultGroup is the id of the security group that instances of a VPC are in which name no other.
func (c *Client) DefaultGroup(ctx context.Context, vpc string) (string, error) {
	var groups struct {
		ID string `xml:"securityGroupInfo>item>groupId"`
	}
	err := c.Query(ctx, "ec2", "DescribeSecurityGroups", url.Values{
		"Filter.1.Name": {"vpc-id"}, "Filter.1.Value.1": {vpc},
		"Filter.2.Name": {"group-name"}, "Filter.2.Value.1": {"default"},
	}, &groups)
	return groups.ID, err
}

// AdmitLattice lets VPC Lattice in, by TCP, to the members of the default security group of a VPC. It returns the ids of
// the group and of the prefix list of VPC Lattice.
func (c *Client) AdmitLattice(ctx context.Context, vpc string) (group, list string, err error) {
	if group, err = c.DefaultGroup(ctx, vpc); err != nil {
		return "", "", err
	}
	var lists struct {
		ID string `xml:"prefixListSet>item>prefixListId"`
	}
	if err := c.Query(ctx, "ec2", "DescribePrefixLists", url.Values{
		"Filter.1.Name":    {"prefix-list-name"},
		"Filter.1.Value.1": {"com.amazonaws." + c.Environment.Region + ".vpc-lattice"},
	}, &lists); err != nil {
		return "", "", err
	}
	return group, lists.ID, c.Query(ctx, "ec2", "AuthorizeSecurityGroupIngress", url.Values{
		"GroupId": {group}, "IpPermissions.1.IpProtocol": {"tcp"}, "IpPermissions.1.FromPort": {"0"},
		"IpPermissions.1.ToPort": {"65535"}, "IpPermissions.1.PrefixListIds.1.PrefixListId": {lists.ID},
	}, &struct{}{})
}
