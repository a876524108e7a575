package api

// tolerated are the parameters of AWS's operations that shapes here lack and that are taken all the same, by service. A
// test holds them to the published models, and docs/divergences.md lists those without effect. Tools send many of the
// others with every request, with the values that are here.
var tolerated = map[string]tolerance{
	"ec2":                  toleratedByEC2,
	"elasticloadbalancing": toleratedByELBv2,
	"lambda":               toleratedByLambda,
	"organizations":        toleratedByOrganizations,
	"route53":              toleratedByRoute53,
}

var toleratedByEC2 = tolerance{
	"CreateVpc": {
		"InstanceTenancy": "default",
	},
	"CreateSubnet": {
		"Ipv6Native": "false",
	},
	"RunInstances": {
		"BlockDeviceMapping":                withoutEffect, // instances have no disks of their own
		"CapacityReservationSpecification":  withoutEffect,
		"CpuOptions":                        withoutEffect, // nor processors
		"CreditSpecification":               withoutEffect,
		"InstanceInitiatedShutdownBehavior": withoutEffect, // nothing in an instance can end it
		"KeyName":                           withoutEffect, // pergola exec needs no key
		"MaintenanceOptions":                withoutEffect,
		"Monitoring":                        withoutEffect,
		"NetworkPerformanceOptions":         withoutEffect,

		"DisableApiStop":                                        "false",
		"DisableApiTermination":                                 "false",
		"EbsOptimized":                                          "false",
		"EnablePrimaryIpv6":                                     "false",
		"EnclaveOptions.Enabled":                                "false",
		"HibernationOptions.Configured":                         "false",
		"Ipv6AddressCount":                                      "0",
		"PrivateDnsNameOptions.HostnameType":                    "ip-name",
		"PrivateDnsNameOptions.EnableResourceNameDnsARecord":    "false",
		"PrivateDnsNameOptions.EnableResourceNameDnsAAAARecord": "false",

		"NetworkInterface.AssociateCarrierIpAddress":       "false",
		"NetworkInterface.AssociatePublicIpAddress":        "false",
		"NetworkInterface.DeleteOnTermination":             "true",
		"NetworkInterface.Description":                     withoutEffect,
		"NetworkInterface.EnaSrdSpecification":             withoutEffect,
		"NetworkInterface.ConnectionTrackingSpecification": withoutEffect,
		"NetworkInterface.InterfaceType":                   "interface",
		"NetworkInterface.Ipv4PrefixCount":                 "0",
		"NetworkInterface.Ipv6AddressCount":                "0",
		"NetworkInterface.Ipv6PrefixCount":                 "0",
		"NetworkInterface.NetworkCardIndex":                "0",
		"NetworkInterface.PrimaryIpv6":                     "false",
		"NetworkInterface.SecondaryPrivateIpAddressCount":  "0",
	},
	"TerminateInstances": {
		"Force":          withoutEffect,
		"SkipOsShutdown": withoutEffect,
	},
	"DescribeAvailabilityZones": {
		"AllAvailabilityZones": "true|false", // all are available to everybody
	},
	"DescribeInstances":         {"IncludeManagedResources": "true|false"}, // AWS's own; there are none
	"DescribeNetworkInterfaces": {"IncludeManagedResources": "true|false", "MaxResults": withoutEffect},
	"DescribeVolumes": {
		"Filter": withoutEffect, "MaxResults": withoutEffect, "IncludeManagedResources": "true|false", // there are no volumes
	},
	"DescribeImages": {
		"Owner": withoutEffect, "ExecutableBy": withoutEffect, "MaxResults": withoutEffect, // images are nobody's
		"IncludeDeprecated": "true|false", "IncludeDisabled": "true|false",
	},
	"DescribeInstanceTypes": {
		"MaxResults": withoutEffect, "IncludeUnsupportedInRegion": "true|false",
	},
	// These listings have one page of any size.
	"DescribeIamInstanceProfileAssociations": {"MaxResults": withoutEffect},
	"DescribeInstanceCreditSpecifications":   {"MaxResults": withoutEffect},
	"DescribeRouteTables":                    {"MaxResults": withoutEffect},
}

var toleratedByELBv2 = tolerance{
	"CreateListener": {
		"MutualAuthentication.AdvertiseTrustStoreCaNames":    "off",
		"MutualAuthentication.IgnoreClientCertificateExpiry": "false",
	},
	"ModifyListener": {
		"MutualAuthentication.AdvertiseTrustStoreCaNames":    "off",
		"MutualAuthentication.IgnoreClientCertificateExpiry": "false",
	},
	"CreateLoadBalancer": {
		"EnablePrefixForIpv6SourceNat": "off",
	},
	"DescribeTargetHealth": {
		"Include": withoutEffect, // anomalies, which nobody looks for
	},
}

var toleratedByLambda = tolerance{
	"CreateFunction": {
		"VpcConfig.Ipv6AllowedForDualStack": "false",
	},
	"UpdateFunctionConfiguration": {
		"VpcConfig.Ipv6AllowedForDualStack": "false",
	},
}

var toleratedByOrganizations = tolerance{
	"CreateAccount": {
		"IamUserAccessToBilling": withoutEffect, // there are no bills
		"RoleName":               withoutEffect, // no role is made
	},
}

var toleratedByRoute53 = tolerance{
	"ChangeResourceRecordSets": {
		"ChangeBatch.Changes.ResourceRecordSet.MultiValueAnswer": "false",
	},
}
