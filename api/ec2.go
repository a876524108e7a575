package api

import (
	"pergola/control/ec2"
	"pergola/control/sts"
)

// ec2Operations is the table of EC2, version 2016-11-15.
func ec2Operations(c *ec2.Control) []operation {
	return []operation{
		action("CreateVpc", c.CreateVPC),
		action("DescribeVpcs", c.DescribeVPCs),
		action("DeleteVpc", c.DeleteVPC),
		action("DescribeVpcAttribute", c.DescribeVPCAttribute),
		action("ModifyVpcAttribute", c.ModifyVPCAttribute),

		action("CreateSubnet", c.CreateSubnet),
		action("DescribeSubnets", c.DescribeSubnets),
		action("DeleteSubnet", c.DeleteSubnet),

		action("CreateSecurityGroup", c.CreateSecurityGroup),
		action("DescribeSecurityGroups", c.DescribeSecurityGroups),
		action("DeleteSecurityGroup", c.DeleteSecurityGroup),
		action("AuthorizeSecurityGroupIngress", c.AuthorizeSecurityGroupIngress),
		action("AuthorizeSecurityGroupEgress", c.AuthorizeSecurityGroupEgress),
		action("RevokeSecurityGroupIngress", c.RevokeSecurityGroupIngress),
		action("RevokeSecurityGroupEgress", c.RevokeSecurityGroupEgress),

		action("RunInstances", c.RunInstances),
		action("DescribeInstances", c.DescribeInstances),
		action("TerminateInstances", c.TerminateInstances),

		action("DescribeNetworkInterfaces", c.DescribeNetworkInterfaces),
		action("DescribeRouteTables", c.DescribeRouteTables),
		action("DescribeNetworkAcls", c.DescribeNetworkACLs),

		action("CreateTags", c.CreateTags),
		action("DeleteTags", c.DeleteTags),
		action("DescribeTags", c.DescribeTags),
		action("DescribeAvailabilityZones", c.DescribeAvailabilityZones),
	}
}

// stsOperations is the table of STS, version 2011-06-15.
func stsOperations(c *sts.Control) []operation {
	return []operation{
		action("GetCallerIdentity", c.GetCallerIdentity),
	}
}
