package api

import (
	shapes "pergola/aws/organizations"
	"pergola/control/organizations"
)

var organizationsStyle = jsonStyle{prefix: shapes.TargetPrefix, invalid: "InvalidInputException", internal: "ServiceException"}

// organizationsOperations is the table of Organizations, version 2016-11-28.
func organizationsOperations(c *organizations.Control) []operation {
	return []operation{
		action("CreateOrganization", c.CreateOrganization),
		action("DescribeOrganization", c.DescribeOrganization),
		action("DeleteOrganization", c.DeleteOrganization),
		action("ListRoots", c.ListRoots),

		action("CreateAccount", c.CreateAccount),
		action("DescribeCreateAccountStatus", c.DescribeCreateAccountStatus),
		action("ListCreateAccountStatus", c.ListCreateAccountStatus),
		action("DescribeAccount", c.DescribeAccount),
		action("ListAccounts", c.ListAccounts),
		action("ListAccountsForParent", c.ListAccountsForParent),
		action("MoveAccount", c.MoveAccount),
		action("RemoveAccountFromOrganization", c.RemoveAccountFromOrganization),

		action("CreateOrganizationalUnit", c.CreateOrganizationalUnit),
		action("DescribeOrganizationalUnit", c.DescribeOrganizationalUnit),
		action("UpdateOrganizationalUnit", c.UpdateOrganizationalUnit),
		action("DeleteOrganizationalUnit", c.DeleteOrganizationalUnit),
		action("ListOrganizationalUnitsForParent", c.ListOrganizationalUnitsForParent),
		action("ListParents", c.ListParents),
		action("ListChildren", c.ListChildren),

		action("EnablePolicyType", c.EnablePolicyType),
		action("DisablePolicyType", c.DisablePolicyType),
		action("CreatePolicy", c.CreatePolicy),
		action("DescribePolicy", c.DescribePolicy),
		action("UpdatePolicy", c.UpdatePolicy),
		action("DeletePolicy", c.DeletePolicy),
		action("ListPolicies", c.ListPolicies),
		action("AttachPolicy", c.AttachPolicy),
		action("DetachPolicy", c.DetachPolicy),
		action("ListPoliciesForTarget", c.ListPoliciesForTarget),
		action("ListTargetsForPolicy", c.ListTargetsForPolicy),

		action("TagResource", c.TagResource),
		action("UntagResource", c.UntagResource),
		action("ListTagsForResource", c.ListTagsForResource),
	}
}
