package api

import "testing"

func TestCLIMetadataOfInstances(t *testing.T) {
	t.Parallel()
	newCLI(t).runCLI(t, []step{
		{`iam create-role --role-name reader --assume-role-policy-document {"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]} --query Role.RoleName`, "", "reader"},
		{"iam create-instance-profile --instance-profile-name web --path /app/ --query InstanceProfile.Arn", "web", ":instance-profile/app/web"},
		{"iam create-instance-profile --instance-profile-name ops --query InstanceProfile.InstanceProfileId", "ops", "AIPA"},
		{"ec2 create-vpc --cidr-block 10.0.0.0/16 --query Vpc.VpcId", "vpc", "vpc-"},
		{"ec2 create-subnet --vpc-id {vpc} --cidr-block 10.0.1.0/24 --query Subnet.SubnetId", "subnet", "subnet-"},
		{"ec2 run-instances --subnet-id {subnet} --iam-instance-profile Name=web", "", "has no associated IAM Roles"},
		{"iam add-role-to-instance-profile --instance-profile-name web --role-name reader", "", ""},
		{"iam add-role-to-instance-profile --instance-profile-name ops --role-name reader", "", ""},
		{"ec2 run-instances --subnet-id {subnet} --iam-instance-profile Name=nobody", "", "Invalid IAM Instance Profile name"},
		{"ec2 run-instances --subnet-id {subnet} --iam-instance-profile Arn={web}x", "", "Invalid IAM Instance Profile ARN"},
		{"ec2 run-instances --subnet-id {subnet} --instance-type t3.micro --iam-instance-profile Arn={web} --metadata-options HttpTokens=optional,HttpPutResponseHopLimit=2,InstanceMetadataTags=enabled --query Instances[0].InstanceId", "instance", "i-"},
		{"ec2 run-instances --subnet-id {subnet} --metadata-options HttpPutResponseHopLimit=65", "", "InvalidParameterValue"},
		{"ec2 describe-instances --instance-ids {instance} --query Reservations[0].Instances[0].IamInstanceProfile.Arn", "", "{web}"},
		{"ec2 describe-instances --filters Name=iam-instance-profile.arn,Values={web} --query Reservations[0].Instances[0].MetadataOptions", "", `"HttpTokens": "optional"`},
		{"ec2 modify-instance-metadata-options --instance-id {instance} --http-tokens required --query InstanceMetadataOptions", "", `"State": "pending"`},
		{"ec2 describe-instances --query Reservations[0].Instances[0].MetadataOptions.[State,HttpTokens,HttpPutResponseHopLimit,HttpEndpoint,InstanceMetadataTags]", "", `"required"`},
		{"ec2 describe-instances --query Reservations[0].Instances[0].NetworkInterfaces[0].MacAddress", "", "02:00:0a:00:01:04"},
		{"ec2 describe-iam-instance-profile-associations --filters Name=instance-id,Values={instance} --query IamInstanceProfileAssociations[0].AssociationId", "association", "iip-assoc-"},
		{"ec2 associate-iam-instance-profile --instance-id {instance} --iam-instance-profile Name=ops", "", "IncorrectState"},
		{"ec2 replace-iam-instance-profile-association --association-id {association} --iam-instance-profile Name=ops --query IamInstanceProfileAssociation.AssociationId", "association", "iip-assoc-"},
		{"ec2 describe-iam-instance-profile-associations --association-ids {association} --query IamInstanceProfileAssociations[0].IamInstanceProfile.Id", "", "{ops}"},
		{"ec2 disassociate-iam-instance-profile --association-id {association} --query IamInstanceProfileAssociation.State", "", "disassociating"},
		{"ec2 disassociate-iam-instance-profile --association-id {association}", "", "InvalidAssociationID.NotFound"},
		{"ec2 associate-iam-instance-profile --instance-id {instance} --iam-instance-profile Name=web --query IamInstanceProfileAssociation.State", "", "associating"},
		{"ec2 describe-images --image-ids ami-0123456789abcdef0 --query Images[0].[ImageId,State,RootDeviceType]", "", "available"},
		{"ec2 describe-instance-types --instance-types t3.micro --query InstanceTypes[0].[BurstablePerformanceSupported,ProcessorInfo.SupportedArchitectures]", "", "x86_64"},
		{"ec2 describe-instance-credit-specifications --instance-ids {instance} --query InstanceCreditSpecifications[0].CpuCredits", "", "unlimited"},
		{"ec2 describe-instance-attribute --instance-id {instance} --attribute disableApiTermination --query DisableApiTermination.Value", "", "false"},
		{"ec2 describe-instance-attribute --instance-id {instance} --attribute userData --query InstanceId", "", "{instance}"},
		{"ec2 describe-instance-attribute --instance-id {instance} --attribute groupSet --query Groups[0].GroupName", "", "default"},
		{"ec2 describe-volumes --filters Name=attachment.instance-id,Values={instance} --query Volumes", "", "[]"},
		{"ec2 describe-volumes --volume-ids vol-00000000000000000", "", "InvalidVolume.NotFound"},
	})
}

func TestCLINetworkACLs(t *testing.T) {
	t.Parallel()
	newCLI(t).runCLI(t, []step{
		{"ec2 create-vpc --cidr-block 10.0.0.0/16 --query Vpc.VpcId", "vpc", "vpc-"},
		{"ec2 create-subnet --vpc-id {vpc} --cidr-block 10.0.1.0/24 --query Subnet.SubnetId", "subnet", "subnet-"},
		{"ec2 describe-network-acls --filters Name=default,Values=true Name=vpc-id,Values={vpc} --query " +
			"NetworkAcls[0].NetworkAclId", "standard", "acl-"},
		{"ec2 describe-network-acls --filters Name=association.subnet-id,Values={subnet} --query " +
			"NetworkAcls[0].Associations[0].NetworkAclAssociationId", "association", "aclassoc-"},
		{"ec2 create-network-acl --vpc-id {vpc} --client-token once --tag-specifications " +
			"ResourceType=network-acl,Tags=[{Key=Name,Value=web}] --query NetworkAcl.NetworkAclId", "acl", "acl-"},
		{"ec2 create-network-acl-entry --network-acl-id {acl} --rule-number 100 --protocol tcp --rule-action allow " +
			"--ingress --cidr-block 10.0.0.0/8 --port-range From=80,To=81", "", ""},
		{"ec2 create-network-acl-entry --network-acl-id {acl} --rule-number 100 --protocol tcp --rule-action allow " +
			"--ingress --cidr-block 10.0.0.0/8 --port-range From=80,To=81", "", "NetworkAclEntryAlreadyExists"},
		{"ec2 create-network-acl-entry --network-acl-id {acl} --rule-number 32767 --protocol -1 --rule-action allow " +
			"--egress --cidr-block 0.0.0.0/0", "", "InvalidParameterValue"},
		{"ec2 replace-network-acl-entry --network-acl-id {acl} --rule-number 100 --protocol icmp --rule-action deny " +
			"--ingress --ipv6-cidr-block ::/0 --icmp-type-code Type=8,Code=-1", "", ""},
		{"ec2 describe-network-acls --network-acl-ids {acl} --query " +
			"NetworkAcls[0].Entries[?RuleNumber==`100`]|[0].[Protocol,RuleAction,Ipv6CidrBlock,IcmpTypeCode.Type]",
			"", `"deny"`},
		{"ec2 delete-network-acl-entry --network-acl-id {acl} --rule-number 100 --egress", "",
			"InvalidNetworkAclEntry.NotFound"},
		{"ec2 delete-network-acl-entry --network-acl-id {acl} --rule-number 100 --ingress", "", ""},
		{"ec2 replace-network-acl-association --association-id {association} --network-acl-id {acl} --query NewAssociationId",
			"next", "aclassoc-"},
		{"ec2 replace-network-acl-association --association-id {association} --network-acl-id {acl}", "",
			"InvalidAssociationID.NotFound"},
		{"ec2 delete-network-acl --network-acl-id {acl}", "", "DependencyViolation"},
		{"ec2 replace-network-acl-association --association-id {next} --network-acl-id {standard} --query NewAssociationId",
			"", "aclassoc-"},
		{"ec2 delete-network-acl --network-acl-id {acl}", "", ""},
		{"ec2 describe-network-acls --network-acl-ids {acl}", "", "InvalidNetworkAclID.NotFound"},
	})
}

// TestCLISecurityGroups makes the calls of Terraform's aws_security_group and aws_vpc_security_group_ingress_rule, in
// their order.
func TestCLISecurityGroups(t *testing.T) {
	t.Parallel()
	const all = "--ip-permissions IpProtocol=-1,FromPort=0,ToPort=0,"
	newCLI(t).runCLI(t, []step{
		{"ec2 create-vpc --cidr-block 10.0.0.0/16 --query Vpc.VpcId", "vpc", "vpc-"},
		{"ec2 create-security-group --group-name web --description Managed --vpc-id {vpc} --tag-specifications " +
			"ResourceType=security-group,Tags=[{Key=Name,Value=web}] --query GroupId", "group", "sg-"},
		{"ec2 describe-security-groups --group-ids {group} --query SecurityGroups[0].[GroupName,VpcId,Tags[0].Value," +
			"IpPermissionsEgress[0].[IpProtocol,FromPort]]|[3]", "", "null"},
		{"ec2 revoke-security-group-egress --group-id {group} " + all + "IpRanges=[{CidrIp=0.0.0.0/0}] --query " +
			"RevokedSecurityGroupRules[0].[IpProtocol,FromPort,ToPort,CidrIpv4]", "", "0.0.0.0/0"},
		{"ec2 revoke-security-group-egress --group-id {group} " + all + "Ipv6Ranges=[{CidrIpv6=::/0}]", "",
			"InvalidPermission.NotFound"},
		{"ec2 authorize-security-group-egress --group-id {group} " + all + "IpRanges=[{CidrIp=0.0.0.0/0}]", "", "true"},
		{"ec2 authorize-security-group-ingress --group-id {group} --ip-permissions " +
			"IpProtocol=tcp,FromPort=443,ToPort=443,IpRanges=[{CidrIp=10.0.0.0/8,Description=a},{CidrIp=11.0.0.0/8}]," +
			"UserIdGroupPairs=[{GroupId={group}}]", "", "true"},
		{"ec2 describe-security-groups --filters Name=ip-permission.from-port,Values=443 --query " +
			"length(SecurityGroups[0].IpPermissions[0].IpRanges)", "", "2"},
		{"ec2 describe-security-groups --group-ids {group} --query " +
			"SecurityGroups[0].IpPermissions[0].UserIdGroupPairs[0].UserId", "", "100000000001"},
		{"ec2 update-security-group-rule-descriptions-ingress --group-id {group} --ip-permissions " +
			"IpProtocol=tcp,FromPort=443,ToPort=443,IpRanges=[{CidrIp=10.0.0.0/8,Description=b}] --query Return", "", "true"},
		{"ec2 revoke-security-group-ingress --group-id {group} --ip-permissions " +
			"IpProtocol=tcp,FromPort=443,ToPort=443,IpRanges=[{CidrIp=11.0.0.0/8}] --query Return", "", "true"},

		{"ec2 authorize-security-group-ingress --group-id {group} --ip-permissions " +
			"IpProtocol=-1,UserIdGroupPairs=[{GroupId={group}}] --tag-specifications " +
			"ResourceType=security-group-rule,Tags=[{Key=Name,Value=self}] --query SecurityGroupRules[0].SecurityGroupRuleId",
			"rule", "sgr-"},
		{"ec2 describe-security-group-rules --security-group-rule-ids {rule} --query " +
			"SecurityGroupRules[0].[FromPort,ToPort,ReferencedGroupInfo.UserId,Tags[0].Value]", "", "100000000001"},
		{"ec2 describe-security-group-rules --filters Name=tag:Name,Values=self --query SecurityGroupRules[0].ToPort",
			"", "-1"},
		{"ec2 modify-security-group-rules --group-id {group} --security-group-rules SecurityGroupRuleId={rule}," +
			"SecurityGroupRule={IpProtocol=6,FromPort=22,ToPort=22,ReferencedGroupId={group},Description=ssh} --query Return",
			"", "true"},
		{"ec2 modify-security-group-rules --group-id {group} --security-group-rules SecurityGroupRuleId={rule}," +
			"SecurityGroupRule={IpProtocol=tcp,FromPort=22,ToPort=22,CidrIpv4=10.0.0.0/8}", "", "You may not specify CidrIpv4"},
		{"ec2 update-security-group-rule-descriptions-ingress --group-id {group} --security-group-rule-descriptions " +
			"SecurityGroupRuleId={rule},Description=login --query Return", "", "true"},
		{"ec2 describe-security-group-rules --security-group-rule-ids {rule} --query " +
			"SecurityGroupRules[0].[IpProtocol,FromPort,Description]", "", "login"},
		{"ec2 create-tags --resources {rule} --tags Key=Name,Value=ssh", "", ""},
		{"ec2 revoke-security-group-ingress --group-id {group} --security-group-rule-ids {rule} --query " +
			"RevokedSecurityGroupRules[0].ReferencedGroupId", "", "sg-"},
		{"ec2 revoke-security-group-ingress --group-id {group} --security-group-rule-ids {rule}", "",
			"InvalidSecurityGroupRuleId.NotFound"},

		{"ec2 authorize-security-group-ingress --group-name web --protocol tcp --port 80 --cidr 10.0.0.0/8", "",
			"VPCIdNotSpecified"},
		{"ec2 delete-security-group --group-name web", "", "VPCIdNotSpecified"},
		{"ec2 describe-network-interfaces --filters Name=group-id,Values={group} --query NetworkInterfaces", "", "[]"},
		{"ec2 delete-security-group --group-id {group}", "", ""},
		{"ec2 describe-security-groups --group-ids {group}", "", "InvalidGroup.NotFound"},
	})
}
