package api

import "pergola/control/ec2"

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
		action("DescribeSecurityGroupRules", c.DescribeSecurityGroupRules),
		action("DescribePrefixLists", c.DescribePrefixLists),
		action("DescribeManagedPrefixLists", c.DescribeManagedPrefixLists),
		action("GetManagedPrefixListEntries", c.GetManagedPrefixListEntries),

		settles(action("RunInstances", c.RunInstances)),
		action("DescribeInstances", c.DescribeInstances),
		settles(action("TerminateInstances", c.TerminateInstances)),
		action("ModifyInstanceMetadataOptions", c.ModifyInstanceMetadataOptions),
		action("DescribeInstanceAttribute", c.DescribeInstanceAttribute),
		action("DescribeInstanceCreditSpecifications", c.DescribeInstanceCreditSpecifications),
		action("DescribeInstanceTypes", c.DescribeInstanceTypes),
		action("DescribeImages", c.DescribeImages),
		action("DescribeVolumes", c.DescribeVolumes),

		action("AssociateIamInstanceProfile", c.AssociateIAMInstanceProfile),
		action("ReplaceIamInstanceProfileAssociation", c.ReplaceIAMInstanceProfileAssociation),
		action("DisassociateIamInstanceProfile", c.DisassociateIAMInstanceProfile),
		action("DescribeIamInstanceProfileAssociations", c.DescribeIAMInstanceProfileAssociations),

		action("DescribeNetworkInterfaces", c.DescribeNetworkInterfaces),
		action("DescribeRouteTables", c.DescribeRouteTables),
		action("DescribeNetworkAcls", c.DescribeNetworkACLs),

		action("CreateTags", c.CreateTags),
		action("DeleteTags", c.DeleteTags),
		action("DescribeTags", c.DescribeTags),
		action("DescribeAvailabilityZones", c.DescribeAvailabilityZones),
	}
}
