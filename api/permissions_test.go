package api

import (
	"context"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pergola/aws/ec2"
	"pergola/aws/iam"
	"pergola/aws/organizations"
	"pergola/aws/route53"
	"pergola/lattice"
)

var update = flag.Bool("update", false, "write testdata/permissions.txt anew")

// permissionsFile says which permissions each operation needs.
const permissionsFile = "testdata/permissions.txt"

const permissionsHead = `# What each operation asks for: the operation, then each action and resource that it needs. Whoever lacks one of them is
# refused; whoever has them, and nothing else, is not. What is created here is created with tags. Three operations ask for
# nothing: sts:GetCallerIdentity, sts:GetSessionToken and sts:AssumeRoleWithWebIdentity.
#
# Facts: the user guide, "Amazon VPC Lattice API permissions", and the Service Authorization Reference of each service.
`

// made calls an operation as the root user of the management account.
func made[In, Out any](t *testing.T, f func(context.Context, iam.Caller, *In) (*Out, error), in In) *Out {
	t.Helper()
	out, err := f(t.Context(), rootCaller(), &in)
	if err != nil {
		t.Fatalf("%+v: %v", in, err)
	}
	return out
}

// estate makes one of everything that operations can be about, and returns values for the members of requests that name
// it.
func (p plane) estate(t *testing.T) map[string]any {
	t.Helper()
	l, e, i, o := p.config.Lattice, p.config.EC2, p.config.IAM, p.config.Organizations
	vpc := made(t, e.CreateVPC, ec2.CreateVPCRequest{CIDRBlock: "10.0.0.0/16"}).VPC.ID
	subnet := made(t, e.CreateSubnet, ec2.CreateSubnetRequest{VPCID: vpc, CIDRBlock: "10.0.1.0/24"}).Subnet.ID
	group := made(t, e.CreateSecurityGroup, ec2.CreateSecurityGroupRequest{VPCID: vpc, Name: "web", Description: "web"}).ID
	rule := made(t, e.DescribeSecurityGroupRules, ec2.DescribeSecurityGroupRulesRequest{Filters: []ec2.Filter{
		{Name: "group-id", Values: []string{group}}}}).Rules[0].ID
	instances := made(t, e.RunInstances, ec2.RunInstancesRequest{ImageID: "ami-1", SubnetID: subnet, MinCount: new(int32(3))}).Instances
	list := made(t, e.CreateManagedPrefixList, ec2.CreateManagedPrefixListRequest{Name: "offices", MaxEntries: 9,
		Family: "IPv4"}).List.ID
	acl := made(t, e.CreateNetworkACL, ec2.CreateNetworkACLRequest{VPCID: vpc}).ACL.ID
	made(t, i.CreateUser, iam.CreateUserRequest{Name: "ada"})
	made(t, i.CreateGroup, iam.CreateGroupRequest{Name: "team"})
	made(t, i.CreateRole, iam.CreateRoleRequest{Name: "work", Trust: trustAll})
	made(t, i.CreateInstanceProfile, iam.CreateInstanceProfileRequest{Name: "web"})
	made(t, i.CreateInstanceProfile, iam.CreateInstanceProfileRequest{Name: "empty"})
	made(t, i.AddRoleToInstanceProfile, iam.ProfileRoleRequest{ProfileName: "web", RoleName: "work"})
	made(t, i.CreatePolicy, iam.CreatePolicyRequest{Name: "p", Document: plausible["Document"].(string)})
	provider := made(t, i.CreateOpenIDConnectProvider, iam.CreateProviderRequest{URL: "https://issuer.test"}).ARN
	var associations []string
	for _, instance := range instances[:2] {
		associated := made(t, e.AssociateIAMInstanceProfile, ec2.AssociateProfileRequest{InstanceID: instance.ID, Profile: ec2.ProfileSpecification{Name: "web"}})
		associations = append(associations, associated.Association.ID)
	}
	made(t, o.CreateOrganization, organizations.CreateOrganizationRequest{})
	root := made(t, o.ListRoots, organizations.ListRootsRequest{}).Roots[0].ID
	made(t, o.EnablePolicyType, organizations.PolicyTypeRequest{RootID: root, PolicyType: organizations.ServiceControlPolicy})
	account := made(t, o.CreateAccount, organizations.CreateAccountRequest{Email: "a@test.invalid", AccountName: "a"}).Status
	unit := made(t, o.CreateOrganizationalUnit, organizations.CreateOrganizationalUnitRequest{ParentID: root, Name: "unit"}).Unit.ID
	control := made(t, o.CreatePolicy, organizations.CreatePolicyRequest{Name: "none", Type: organizations.ServiceControlPolicy, Content: plausible["Document"].(string)}).Policy.Summary.ID
	for _, target := range []string{root, unit} {
		made(t, o.AttachPolicy, organizations.AttachmentRequest{PolicyID: control, TargetID: target})
	}
	values := map[string]any{
		"VPCIdentifier": vpc, "VPCID": vpc, "SubnetID": subnet, "GroupID": group, "SecurityGroupIDs": []string{group}, "InstanceID": instances[2].ID,
		"ImageID": "ami-1", "Resources": []string{vpc}, "ProviderARN": provider, "AssociationID": associations[0], "second": associations[1],
		"Profile": ec2.ProfileSpecification{Name: "web"}, "ProfileName": "empty", "NewName": "eve", "Boundary": "arn:aws:iam::100000000001:policy/p",
		"RootID": root, "ParentID": unit, "TargetID": unit, "ChildID": unit, "ResourceID": unit, "Source": root, "Destination": unit,
		"PolicyID": control, "Filter": organizations.ServiceControlPolicy, "Content": plausible["Document"],
		"ACLID": acl, "list": list, "association": "aclassoc-" + strings.TrimPrefix(subnet, "subnet-"),
		"vpc": vpc, "subnet": subnet, "group": group, "rule": rule, "unit": unit, "account": account.AccountID,
		"control": control, "creation": account.ID,
	}
	zone := made(t, p.config.Route53.CreateHostedZone, route53.CreateHostedZoneRequest{Name: "example.test",
		CallerReference: "1", VPC: &route53.VPC{VPCRegion: testRegion, VPCID: vpc}})
	values["zone"], values["change"] = lattice.IDOf(zone.HostedZone.ID), lattice.IDOf(zone.ChangeInfo.ID)
	network := made(t, l.CreateServiceNetwork, lattice.CreateServiceNetworkRequest{Name: "mesh"}).ID
	service := made(t, l.CreateService, lattice.CreateServiceRequest{Name: "orders"})
	listener := made(t, l.CreateListener, lattice.CreateListenerRequest{ServiceIdentifier: service.ID, Name: "web", Protocol: lattice.ProtocolHTTP, DefaultAction: plausible["DefaultAction"].(lattice.RuleAction)}).ID
	forwarding := made(t, l.CreateRule, lattice.CreateRuleRequest{
		ServiceIdentifier: service.ID, ListenerIdentifier: listener, Name: "one", Priority: 1,
		Match: plausible["Match"].(lattice.RuleMatch), Action: plausible["Action"].(lattice.RuleAction),
	}).ID
	values["ServiceNetworkIdentifier"], values["ServiceIdentifier"], values["ListenerIdentifier"],
		values["RuleIdentifier"] = network, service.ID, listener, forwarding
	gateway := made(t, l.CreateResourceGateway, lattice.CreateResourceGatewayRequest{Name: "way", VPCIdentifier: vpc,
		SubnetIDs: []string{subnet}}).ID
	verification := made(t, l.StartDomainVerification,
		lattice.StartDomainVerificationRequest{DomainName: "example.com"}).ID
	resource := made(t, l.CreateResourceConfiguration, lattice.CreateResourceConfigurationRequest{Name: "db",
		Type: lattice.ResourceGroup, ResourceGatewayIdentifier: gateway}).ID
	values["ResourceGatewayIdentifier"], values["DomainVerificationIdentifier"],
		values["ResourceConfigurationIdentifier"] = gateway, verification, resource
	values["ResourceIdentifier"], values["ResourceARN"] = service.ID, service.ARN
	values["Rules"] = []lattice.RuleUpdate{{RuleIdentifier: forwarding, Priority: 3}}
	return values
}

// special are values for members whose names mean another thing in each operation.
func special(service, op string, values map[string]any) map[string]any {
	of := map[string]any{}
	for part, what := range map[string]string{
		"Vpc": "vpc", "Subnet": "subnet", "SecurityGroup": "group", "OrganizationalUnit": "unit", "Account": "account",
		"Policy": "control", "CreateAccountStatus": "creation",
	} {
		if strings.HasSuffix(op, part) || strings.HasSuffix(op, part+"Attribute") || strings.HasSuffix(op, part+"FromOrganization") {
			of["ID"] = values[what]
		}
	}
	switch {
	case service == "route53":
		of["ID"], of["HostedZoneID"], of["ResourceID"] = values["zone"], values["zone"], values["zone"]
		of["DNSName"], of["ResourceType"], of["IDs"] = "example.test", "hostedzone", []string{values["zone"].(string)}
		of["VPC"], of["VPCRegion"] = route53.VPC{VPCRegion: testRegion, VPCID: values["vpc"].(string)}, testRegion
		of["ChangeBatch"] = route53.ChangeBatch{Changes: []route53.RecordChange{{Action: "CREATE",
			ResourceRecordSet: route53.ResourceRecordSet{Name: "www.example.test", Type: "A", TTL: new(int64(60)),
				Records: []route53.ResourceRecord{{Value: "192.0.2.1"}}}}}}
		if op == "GetChange" {
			of["ID"] = values["change"]
		}
	case strings.HasSuffix(op, "InstanceAttribute"):
		of["ID"] = values["InstanceID"]
	case op == "TerminateInstances":
		of["IDs"] = []string{values["InstanceID"].(string)}
	case op == "DisassociateIamInstanceProfile":
		of["AssociationID"] = values["second"]
	case op == "ReplaceNetworkAclAssociation":
		of["AssociationID"] = values["association"]
	case op == "GetManagedPrefixListAssociations" || op == "ModifyManagedPrefixList" || op == "DeleteManagedPrefixList":
		of["ID"] = values["list"]
	case op == "RestoreManagedPrefixListVersion":
		of["ID"], of["PreviousVersion"], of["CurrentVersion"] = values["list"], int64(1), int64(1)
	case op == "ModifySecurityGroupRules":
		of["Rules"] = []ec2.SecurityGroupRuleUpdate{{ID: values["rule"].(string)}}
	case strings.HasSuffix(op, "NetworkAclEntry"), strings.HasPrefix(op, "AuthorizeSecurityGroup"):
		of["Protocol"] = "-1"
	case op == "UpdateRole" || op == "UpdateAssumeRolePolicy":
		of["Name"] = "work"
	case op == "UpdateUser":
		of["Name"] = "ada"
	case strings.HasSuffix(op, "VpcAssociation"):
		of["Identifier"] = "snva-0123456789abcdef0"
	case strings.HasSuffix(op, "NetworkResourceAssociation"):
		of["Identifier"] = "snra-0123456789abcdef0"
	case op == "DeleteResourceEndpointAssociation":
		of["Identifier"] = "rea-0123456789abcdef0"
	case op == "CreateResourceGateway":
		of["SubnetIDs"] = []string{values["subnet"].(string)}
	case op == "CreateResourceConfiguration":
		of["Type"], of["GroupDomain"], of["Protocol"] = lattice.ResourceGroup, "db.example.com", lattice.ResourceTCP
	case op == "CreateTargetGroup":
		of["Config"] = &lattice.TargetGroupConfig{VPCIdentifier: values["VPCIdentifier"].(string)}
	case service == "elasticloadbalancing" && strings.Contains(op, "Listener"):
		of["ARN"] = plausible["ListenerARN"]
	case service == "elasticloadbalancing" && strings.Contains(op, "Target"):
		of["ARN"] = "arn:aws:elasticloadbalancing:us-west-2:100000000001:targetgroup/web/0123456789abcdef"
	case service == "elasticloadbalancing":
		of["ARN"] = plausible["LoadBalancerARN"]
	case service == "organizations" && op == "CreatePolicy":
		of["Type"] = organizations.ServiceControlPolicy
	}
	tag := map[string]string{"team": "red"}
	switch service {
	case "vpc-lattice":
		of["Tags"] = lattice.Tags(tag)
	case "iam":
		of["Tags"] = []iam.Tag{{Key: "team", Value: "red"}}
	case "organizations":
		of["Tags"] = []organizations.Tag{{Key: "team", Value: "red"}}
	case "ec2":
		of["GroupName"] = "" // groups go by their ids
		of["Tags"] = []ec2.Tag{{Key: "team", Value: "red"}}
		for _, resource := range []string{"vpc", "subnet", "security-group", "security-group-rule", "instance",
			"network-acl", "prefix-list"} {
			specifications, _ := of["TagSpecification"].([]ec2.TagSpecification)
			of["TagSpecification"] = append(specifications, ec2.TagSpecification{ResourceType: resource, Tags: of["Tags"].([]ec2.Tag)})
		}
	}
	return of
}

// ending reports whether an operation takes something away. Such ones are called last, so that the others find it.
var ending = regexp.MustCompile(`^(Delete|Disable|Remove|Terminate|Revoke|Deregister|Disassociate)`)

// TestEveryOperationAsks calls every operation of every service as a user without policies, who is refused the
// operation's action. What the refusals name, and nothing but that, is what is needed, and what a file says.
func TestEveryOperationAsks(t *testing.T) {
	p := newPlane(t)
	values, poor := p.estate(t), p.newUser(t, "poor")
	var text []string
	for _, last := range []bool{false, true} {
		for service, operations := range p.tables() {
			for _, op := range operations {
				name := service + ":" + op.name
				if slices.Contains(permitless, name) || ending.MatchString(op.name) != last {
					continue
				}
				t.Run(name, func(t *testing.T) {
					in := func() any { return plausibleInput(&op, plausible, values, special(service, op.name, values)) }
					needed := p.needed(t, strings.NewReplacer("BatchUpdateRule", "UpdateRule", "lambda:Invoke", "lambda:InvokeFunction").Replace(name), func() error {
						_, err := op.call(t.Context(), poor, in())
						return err
					})
					text = append(text, tell(name, needed))
				})
			}
		}
	}
	slices.Sort(text)
	text = slices.Compact(text) // two rows may be one operation at two addresses
	got := permissionsHead + strings.Join(text, "")
	if *update {
		if err := os.WriteFile(permissionsFile, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(permissionsFile)
	if err != nil {
		t.Fatal(err)
	}
	compareLines(t, got, string(want))
}

// needed finds out what a call needs, one refusal after the other.
func (p plane) needed(t *testing.T, action string, call func() error) (needed []permission) {
	t.Helper()
	try := func(permissions []permission) permission {
		p.putPolicy(t, "poor", permissions)
		action, resource := refusedWhat(t, call())
		return permission{action, resource}
	}
	first := try(nil)
	if first.action != action {
		t.Fatalf("a user without policies is refused %v, want %s", first, action)
	}
	for next := first; next.action != ""; next = try(needed) {
		if slices.Contains(needed, next) {
			t.Fatalf("%v is allowed, and refused nevertheless", next)
		}
		needed = append(needed, next)
		for i := range len(needed) - 1 { // before the call succeeds and changes what there is
			if without := slices.Delete(slices.Clone(needed), i, i+1); try(without) != needed[i] {
				t.Errorf("%v is not needed", needed[i])
			}
		}
	}
	return needed
}

// ids are the parts of ids that differ from run to run.
var ids = regexp.MustCompile(
	`\b(svc|sn|snsa|snva|snra|rgw|rcfg|rea|dv|listener|rule|tg|vpc|subnet|sgr|sg|acl|pl|i|ou|r|o|p)-` +
		`[0-9a-f]+(-[0-9a-f]+)?\b|\b([ZC])[0-9A-V]{24}\b`)

func tell(name string, needed []permission) string {
	text := name + "\n"
	for _, p := range needed {
		text += fmt.Sprintf("\t%s %s\n", p.action, ids.ReplaceAllString(p.resource, "$1$3-ID"))
	}
	return text
}

// compareLines compares two texts line by line.
func compareLines(t *testing.T, got, want string) {
	t.Helper()
	have, wanted := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(have), len(wanted)) {
		line := func(of []string) string { return strings.Join(of[min(i, len(of)):min(i+1, len(of))], "") }
		if line(have) != line(wanted) {
			t.Fatalf("%s:%d: asked is %q, the file has %q; -update writes it", permissionsFile, i+1, line(have), line(wanted))
		}
	}
}
