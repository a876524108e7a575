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
