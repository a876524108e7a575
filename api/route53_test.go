package api

import "testing"

// TestCLIHostedZones lives through the life of hosted zones by AWS's own CLI.
func TestCLIHostedZones(t *testing.T) {
	t.Parallel()
	const change = `route53 change-resource-record-sets --hosted-zone-id {zone} --change-batch {"Changes":[{"Action":"`
	const www = `","ResourceRecordSet":{"Name":"*.example.com","Type":"A","TTL":0,"ResourceRecords":[{"Value":"192.0.2.1"}]}}]}`
	newCLI(t).runCLI(t, []step{
		{"ec2 create-vpc --cidr-block 10.0.0.0/16 --query Vpc.VpcId", "vpc", "vpc-"},
		{"route53 create-hosted-zone --name Example.com --caller-reference a --query HostedZone.Id", "zone", "/hostedzone/Z"},
		{"route53 create-hosted-zone --name b.test --caller-reference a", "", "(HostedZoneAlreadyExists) when calling"},
		{"route53 create-hosted-zone --name corp.test --caller-reference b --vpc VPCRegion=us-west-2,VPCId={vpc} " +
			"--hosted-zone-config Comment=<&,PrivateZone=true --query HostedZone.Id", "private", "/hostedzone/Z"},
		{"route53 get-hosted-zone --id {private} --query [HostedZone.Config,VPCs]", "", `"Comment": "<&"`},
		{"route53 get-hosted-zone --id {zone} --query DelegationSet.NameServers", "", "ns-4.route53.internal"},
		{change + "CREATE" + www + " --query ChangeInfo.Id", "change", "/change/C"},
		{change + "CREATE" + www, "",
			`[Tried to create resource record set [name='\052.example.com.', type='A'] but it already exists]`},
		{"route53 get-change --id {change} --query ChangeInfo.Status", "", "PENDING"},
		{"route53 list-resource-record-sets --hosted-zone-id {zone} --start-record-name *.example.com " +
			"--start-record-type A " +
			"--max-items 1 --query ResourceRecordSets[0]", "", `"TTL": 0`},
		{"route53 list-resource-record-sets --hosted-zone-id {zone} --query ResourceRecordSets[].[Name,Type]", "", "SOA"},
		{"route53 list-hosted-zones --query HostedZones[].Name", "", "corp.test."},
		{"route53 list-hosted-zones-by-name --dns-name corp.test --max-items 1 --query HostedZones[].Name", "", "corp.test."},
		{"route53 list-hosted-zones-by-vpc --vpc-id {vpc} --vpc-region us-west-2 --query HostedZoneSummaries[].Owner", "",
			"100000000001"},
		{"route53 get-hosted-zone-count", "", "2"},
		{"route53 update-hosted-zone-comment --id {zone} --comment hello", "", "hello"},
		{"route53 disassociate-vpc-from-hosted-zone --hosted-zone-id {private} --vpc VPCRegion=us-west-2,VPCId={vpc}", "",
			"(LastVPCAssociation)"},
		{"route53 get-hosted-zone --id Z1", "", "(NoSuchHostedZone) when calling the GetHostedZone operation: No " +
			"hosted zone found"},
		{"route53 get-dnssec --hosted-zone-id {zone} --query Status.ServeSignature", "", "NOT_SIGNING"},
		{"route53 list-health-checks", "", "there is no operation GET"},
		{"route53 delete-hosted-zone --id {zone}", "", "(HostedZoneNotEmpty)"},
		{change + "DELETE" + www, "", "PENDING"},
		{"route53 delete-hosted-zone --id {zone} --query ChangeInfo.Status", "", "PENDING"},
		{"route53 delete-hosted-zone --id {private} --query ChangeInfo.Status", "", "PENDING"},
	})
}
