package ec2

import "pergola/aws"

// The quotas of EC2 and of VPCs (VPC user guide, "Amazon VPC quotas"). AWS counts the processors
// of running instances. Instances have no type here: this is the quota from when AWS counted instances.
var (
	QuotaVPCs    = aws.Quota{Code: "L-F678F1CE", Name: "VPCs per Region", Default: 5, Exceeded: "VpcLimitExceeded"}
	QuotaSubnets = aws.Quota{Code: "L-407747CB", Name: "Subnets per VPC", Default: 200,
		Exceeded: "SubnetLimitExceeded"}
	QuotaSecurityGroups = aws.Quota{Code: "L-E79EC296", Name: "VPC security groups per Region", Default: 2500,
		Exceeded: "SecurityGroupLimitExceeded"}
	QuotaRules = aws.Quota{Code: "L-0EA8095F", Name: "Inbound or outbound rules per security group", Default: 60,
		Exceeded: "RulesPerSecurityGroupLimitExceeded"}
	QuotaGroups = aws.Quota{Code: "L-2AFB9258", Name: "Security groups per network interface", Default: 5,
		Exceeded: "SecurityGroupsPerInterfaceLimitExceeded"}
	QuotaPrefixLists = aws.Quota{Name: "Prefix lists per Region", Default: 100, Exceeded: "PrefixListLimitExceeded"}
	QuotaNetworkACLs = aws.Quota{Code: "L-B4A6D682", Name: "Network ACLs per VPC", Default: 200,
		Exceeded: "NetworkAclLimitExceeded"}
	QuotaACLEntries = aws.Quota{Code: "L-2AEEBF1A", Name: "Rules per network ACL", Default: 20,
		Exceeded: "NetworkAclEntryLimitExceeded"}
	QuotaInstances = aws.Quota{Code: "L-1216C47A", Name: "Running On-Demand instances", Default: 20,
		Exceeded: "InstanceLimitExceeded"}
)
