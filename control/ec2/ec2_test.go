package ec2_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"pergola/aws"
	nouns "pergola/aws/ec2"
	"pergola/aws/iam"
	"pergola/control/ec2"
	"pergola/control/operation"
	"pergola/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for something that must happen; never how long it takes.
const patience = 20 * time.Second

// world is the service with one caller, on a store of its own, at a time that the test sets.
type world struct {
	*ec2.Control
	t       *testing.T
	ctx     context.Context
	caller  iam.Caller
	seconds atomic.Int64
}

// root is an account's root user, who needs no policies.
func root(account string) iam.Caller {
	return iam.Caller{Account: account, ARN: "arn:aws:iam::" + account + ":root", UserID: account, Type: iam.TypeAccount}
}

func newWorld(t *testing.T) *world {
	return newWorldWith(t, map[string]int{nouns.QuotaVPCs.Code: 1000, nouns.QuotaInstances.Code: 1000})
}

// newWorldWith makes a world with some quotas.
func newWorldWith(t *testing.T, quotas map[string]int) *world {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	objects, err := store.Open(t.Context(), store.Config{Dir: filepath.Join(t.TempDir(), "store"), NoSync: true,
		Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := objects.Close(); err != nil {
			t.Error(err)
		}
	})
	return newWorldOn(t, objects, quotas)
}

// newWorldOn makes a world on a store that is there, as another process would.
func newWorldOn(t *testing.T, objects *store.Store, quotas map[string]int) *world {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	w := &world{t: t, ctx: ctx, caller: root("100000000001")}
	w.Control = ec2.New(operation.Config{
		Store: objects, Region: "us-west-2", Quotas: quotas, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Now: w.now,
	})
	return w
}

func (w *world) now() time.Time { return time.Unix(1_800_000_000+w.seconds.Load(), 0) }

// must carries out an operation that cannot fail.
func must[In, Out any](w *world, f func(context.Context, iam.Caller, *In) (*Out, error), in In) *Out {
	w.t.Helper()
	answer, err := f(w.ctx, w.caller, &in)
	if err != nil {
		w.t.Fatalf("%+v: %v", in, err)
	}
	return answer
}

// refused carries out an operation that must fail with a code.
func refused[In, Out any](w *world, f func(context.Context, iam.Caller, *In) (*Out, error), in In, code string) {
	w.t.Helper()
	_, err := f(w.ctx, w.caller, &in)
	if got := codeOf(err); got != code {
		w.t.Errorf("%+v: %v, want %s", in, err, code)
	}
}

func codeOf(err error) string {
	var named *aws.Error
	if errors.As(err, &named) {
		return named.Code
	}
	return fmt.Sprint(err)
}

func (w *world) vpc(cidr string) string {
	w.t.Helper()
	return must(w, w.CreateVPC, nouns.CreateVPCRequest{CIDRBlock: cidr}).VPC.ID
}

func (w *world) subnet(vpc, cidr string) string {
	w.t.Helper()
	return must(w, w.CreateSubnet, nouns.CreateSubnetRequest{VPCID: vpc, CIDRBlock: cidr}).Subnet.ID
}

func (w *world) run(subnet string) nouns.InstanceDescription {
	w.t.Helper()
	return must(w, w.RunInstances, nouns.RunInstancesRequest{SubnetID: subnet}).Instances[0]
}

func (w *world) group(vpc, name string) string {
	w.t.Helper()
	return must(w, w.CreateSecurityGroup, nouns.CreateSecurityGroupRequest{Name: name, Description: name, VPCID: vpc}).ID
}

func (w *world) defaultGroup(vpc string) nouns.SecurityGroupDescription {
	w.t.Helper()
	found := must(w, w.DescribeSecurityGroups, nouns.DescribeSecurityGroupsRequest{Filters: []nouns.Filter{
		{Name: "vpc-id", Values: []string{vpc}}, {Name: "group-name", Values: []string{"default"}},
	}}).Groups
	if len(found) != 1 {
		w.t.Fatalf("%s has %d default groups", vpc, len(found))
	}
	return found[0]
}

func TestVPC(t *testing.T) {
	w := newWorld(t)
	one, two := w.vpc("10.0.0.0/16"), w.vpc("10.0.0.0/16")
	if one == two || len(one) != len("vpc-")+17 {
		t.Errorf("ids %s and %s", one, two)
	}
	if got := w.vpc("10.1.2.3/20"); must(w, w.DescribeVPCs, nouns.DescribeVPCsRequest{IDs: []string{got}}).VPCs[0].CIDRBlock != "10.1.0.0/20" {
		t.Error("bits beyond the mask are kept")
	}
	for cidr, code := range map[string]string{
		"10.0.0.0/15": "InvalidVpc.Range", "10.0.0.0/29": "InvalidVpc.Range", "10.0.0.0": "InvalidParameterValue",
		"fd00::/56": "InvalidParameterValue", "x": "InvalidParameterValue",
	} {
		refused(w, w.CreateVPC, nouns.CreateVPCRequest{CIDRBlock: cidr}, code)
	}
	refused(w, w.CreateVPC, nouns.CreateVPCRequest{CIDRBlock: "10.0.0.0/16", AmazonIPv6: true}, "UnsupportedOperation")

	group := w.defaultGroup(one)
	if len(group.Ingress) != 1 || group.Ingress[0].Groups[0].ID != group.ID || len(group.Egress) != 1 || group.Egress[0].Ranges[0].CIDR != "0.0.0.0/0" {
		t.Errorf("default group %+v", group)
	}
	must(w, w.DeleteVPC, nouns.DeleteVPCRequest{ID: one})
	refused(w, w.DeleteVPC, nouns.DeleteVPCRequest{ID: one}, "InvalidVpcID.NotFound")
	refused(w, w.DescribeVPCs, nouns.DescribeVPCsRequest{IDs: []string{one}}, "InvalidVpcID.NotFound")
	refused(w, w.DescribeVPCs, nouns.DescribeVPCsRequest{IDs: []string{"x"}}, "InvalidVpcID.Malformed")
	refused(w, w.DescribeSecurityGroups, nouns.DescribeSecurityGroupsRequest{IDs: []string{group.ID}}, "InvalidGroup.NotFound")
}

func TestVPCAttributes(t *testing.T) {
	w := newWorld(t)
	vpc := w.vpc("10.0.0.0/16")
	attribute := func(name string) *nouns.DescribeVPCAttributeResponse {
		return must(w, w.DescribeVPCAttribute, nouns.DescribeVPCAttributeRequest{ID: vpc, Attribute: name})
	}
	if a := attribute("enableDnsSupport"); !a.DNSSupport.Value || a.DNSHostnames != nil || a.AddressUsageMetrics != nil {
		t.Errorf("enableDnsSupport of a new VPC: %+v", a)
	}
	if a := attribute("enableDnsHostnames"); a.DNSHostnames.Value {
		t.Error("enableDnsHostnames of a new VPC is on")
	}
	if a := attribute("enableNetworkAddressUsageMetrics"); a.AddressUsageMetrics.Value {
		t.Error("enableNetworkAddressUsageMetrics is on")
	}
	on, off := &nouns.AttributeValue{Value: true}, &nouns.AttributeValue{}
	must(w, w.ModifyVPCAttribute, nouns.ModifyVPCAttributeRequest{ID: vpc, DNSHostnames: on})
	must(w, w.ModifyVPCAttribute, nouns.ModifyVPCAttributeRequest{ID: vpc, DNSSupport: off})
	if !attribute("enableDnsHostnames").DNSHostnames.Value || attribute("enableDnsSupport").DNSSupport.Value {
		t.Error("attributes have not changed")
	}
	refused(w, w.ModifyVPCAttribute, nouns.ModifyVPCAttributeRequest{ID: vpc}, "InvalidParameterCombination")
	refused(w, w.ModifyVPCAttribute, nouns.ModifyVPCAttributeRequest{ID: vpc, DNSSupport: on, DNSHostnames: on}, "InvalidParameterCombination")
	refused(w, w.ModifyVPCAttribute, nouns.ModifyVPCAttributeRequest{ID: vpc, AddressUsageMetrics: on}, "UnsupportedOperation")
}

func TestSubnets(t *testing.T) {
	w := newWorld(t)
	vpc := w.vpc("10.0.0.0/20")
	first := must(w, w.CreateSubnet, nouns.CreateSubnetRequest{VPCID: vpc, CIDRBlock: "10.0.1.0/24", AvailabilityZoneID: "usw2-az3"}).Subnet
	if first.AvailabilityZone != "us-west-2c" || first.AvailableAddresses != 251 || first.State != "available" {
		t.Errorf("%+v", first)
	}
	for _, c := range []struct{ cidr, zone, code string }{
		{"10.0.1.128/25", "", "InvalidSubnet.Conflict"},
		{"10.0.0.0/22", "", "InvalidSubnet.Conflict"},
		{"10.0.0.0/19", "", "InvalidSubnet.Range"},
		{"10.1.0.0/24", "", "InvalidSubnet.Range"},
		{"10.0.2.0/29", "", "InvalidSubnet.Range"},
		{"10.0.2.0/24", "us-east-1a", "InvalidParameterValue"},
	} {
		refused(w, w.CreateSubnet, nouns.CreateSubnetRequest{VPCID: vpc, CIDRBlock: c.cidr, AvailabilityZone: c.zone}, c.code)
	}
	refused(w, w.CreateSubnet, nouns.CreateSubnetRequest{VPCID: "vpc-00000000000000000", CIDRBlock: "10.0.1.0/24"}, "InvalidVpcID.NotFound")
	w.subnet(w.vpc("10.0.0.0/20"), "10.0.1.0/24") // the same addresses in another VPC

	refused(w, w.DeleteVPC, nouns.DeleteVPCRequest{ID: vpc}, "DependencyViolation")
	must(w, w.DeleteSubnet, nouns.DeleteSubnetRequest{ID: first.ID})
	refused(w, w.DeleteSubnet, nouns.DeleteSubnetRequest{ID: first.ID}, "InvalidSubnetID.NotFound")
	must(w, w.DeleteVPC, nouns.DeleteVPCRequest{ID: vpc})
}

func TestAddresses(t *testing.T) {
	w := newWorld(t)
	subnet := w.subnet(w.vpc("10.0.0.0/16"), "10.0.0.16/28")
	ask := func(address string) nouns.RunInstancesRequest {
		return nouns.RunInstancesRequest{SubnetID: subnet, PrivateAddress: address}
	}
	if got := w.run(subnet).PrivateAddress; got != "10.0.0.20" {
		t.Errorf("the first address is %s", got)
	}
	must(w, w.RunInstances, ask("10.0.0.22"))
	refused(w, w.RunInstances, ask("10.0.0.22"), "InvalidIPAddress.InUse")
	for _, address := range []string{"10.0.0.16", "10.0.0.19", "10.0.0.31", "10.0.0.15", "10.0.0.32", "x", "fd00::1"} {
		refused(w, w.RunInstances, ask(address), "InvalidParameterValue")
	}
	least, most := int32(2), int32(20)
	rest := must(w, w.RunInstances, nouns.RunInstancesRequest{SubnetID: subnet, MinCount: &least, MaxCount: &most}).Instances
	var got []string
	for _, instance := range rest {
		got = append(got, strings.TrimPrefix(instance.PrivateAddress, "10.0.0."))
	}
	if want := "21 23 24 25 26 27 28 29 30"; strings.Join(got, " ") != want {
		t.Errorf("the rest of the subnet is %v, want %s", got, want)
	}
	if left := must(w, w.DescribeSubnets, nouns.DescribeSubnetsRequest{IDs: []string{subnet}}).Subnets[0].AvailableAddresses; left != 0 {
		t.Errorf("%d addresses are left", left)
	}
	refused(w, w.RunInstances, nouns.RunInstancesRequest{SubnetID: subnet}, "InsufficientFreeAddressesInSubnet")
}

func TestOneAddressGoesToOneInstance(t *testing.T) {
	w := newWorld(t)
	subnet := w.subnet(w.vpc("10.0.0.0/16"), "10.0.0.0/24")
	var won, lost atomic.Int64
	var racing sync.WaitGroup
	for range 8 {
		racing.Go(func() {
			_, err := w.RunInstances(w.ctx, w.caller, &nouns.RunInstancesRequest{SubnetID: subnet, PrivateAddress: "10.0.0.9"})
			switch codeOf(err) {
			case "<nil>":
				won.Add(1)
			case "InvalidIPAddress.InUse":
				lost.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	racing.Wait()
	if won.Load() != 1 || lost.Load() != 7 {
		t.Errorf("%d won and %d lost", won.Load(), lost.Load())
	}
}

func TestRunInstances(t *testing.T) {
	w := newWorld(t)
	vpc := w.vpc("10.0.0.0/16")
	subnet, group := w.subnet(vpc, "10.0.0.0/24"), w.group(vpc, "web")
	foreign := w.group(w.vpc("10.0.0.0/16"), "web")
	two := int32(2)

	byDefault := w.run(subnet)
	if byDefault.Groups[0].Name != "default" || byDefault.Type != "m1.small" || byDefault.State.Name != nouns.InstancePending || byDefault.AvailabilityZone != "us-west-2a" {
		t.Errorf("%+v", byDefault)
	}
	placed := must(w, w.RunInstances, nouns.RunInstancesRequest{NetworkInterfaces: []nouns.LaunchInterface{
		{SubnetID: subnet, PrivateAddress: "10.0.0.77", SecurityGroupIDs: []string{group}},
	}}).Instances[0]
	if placed.PrivateAddress != "10.0.0.77" || placed.Groups[0].ID != group || placed.PrivateDNSName != "ip-10-0-0-77.us-west-2.compute.internal" {
		t.Errorf("%+v", placed)
	}
	for _, c := range []struct {
		in   nouns.RunInstancesRequest
		code string
	}{
		{nouns.RunInstancesRequest{}, "VPCIdNotSpecified"},
		{nouns.RunInstancesRequest{SubnetID: "subnet-0"}, "InvalidSubnetID.NotFound"},
		{nouns.RunInstancesRequest{SubnetID: subnet, SecurityGroupIDs: []string{foreign}}, "InvalidParameter"},
		{nouns.RunInstancesRequest{SubnetID: subnet, SecurityGroupIDs: []string{"sg-0"}}, "InvalidGroup.NotFound"},
		{nouns.RunInstancesRequest{SubnetID: subnet, SecurityGroupIDs: make([]string, 6)},
			"SecurityGroupsPerInterfaceLimitExceeded"},
		{nouns.RunInstancesRequest{SubnetID: subnet, PrivateAddress: "10.0.0.9", MinCount: &two}, "InvalidParameterCombination"},
		{nouns.RunInstancesRequest{SubnetID: subnet, MinCount: &two, MaxCount: new(int32)}, "InvalidParameterValue"},
		{nouns.RunInstancesRequest{SubnetID: subnet, NetworkInterfaces: make([]nouns.LaunchInterface, 1)}, "InvalidParameterCombination"},
	} {
		refused(w, w.RunInstances, c.in, c.code)
	}
	refused(w, w.DeleteSecurityGroup, nouns.DeleteSecurityGroupRequest{ID: group}, "DependencyViolation")
	refused(w, w.DeleteSubnet, nouns.DeleteSubnetRequest{ID: subnet}, "DependencyViolation")
}

// TestTheDefaultGroupIsAskedForToo launches without naming a group, as somebody who may use another one alone.
func TestTheDefaultGroupIsAskedForToo(t *testing.T) {
	w := newWorld(t)
	vpc := w.vpc("10.0.0.0/16")
	subnet, other, standard := w.subnet(vpc, "10.0.1.0/24"), w.group(vpc, "other"), w.defaultGroup(vpc).ID
	user := iam.User{Entity: iam.Entity{Account: "100000000001", Name: "ada", Path: "/", UniqueID: "AIDA"}}
	user.Inline = map[string]string{"own": `{"Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"*"},{"Effect":"Deny","Action":"ec2:*","Resource":"arn:aws:ec2:*:*:security-group/` + standard + `"}]}`}
	if _, err := w.Store.Update(w.ctx, func(tx *store.Tx) error {
		return store.NewKind[iam.User](iam.KindUser).Put(tx, iam.ID(user.Account, user.Name), user)
	}); err != nil {
		t.Fatal(err)
	}
	w.caller = iam.Caller{Account: user.Account, ARN: user.ARN(), UserID: user.UniqueID, Type: iam.TypeUser}
	refused(w, w.RunInstances, nouns.RunInstancesRequest{ImageID: "ami-1", SubnetID: subnet}, "UnauthorizedOperation")
	must(w, w.RunInstances, nouns.RunInstancesRequest{ImageID: "ami-1", SubnetID: subnet, SecurityGroupIDs: []string{other}})
}

func TestClientToken(t *testing.T) {
	w := newWorld(t)
	subnet := w.subnet(w.vpc("10.0.0.0/16"), "10.0.0.0/24")
	two := int32(2)
	in := nouns.RunInstancesRequest{SubnetID: subnet, MinCount: &two, ClientToken: "again"}
	first, second := must(w, w.RunInstances, in), must(w, w.RunInstances, in)
	if first.ReservationID != second.ReservationID || len(second.Instances) != 2 || first.Instances[0].ID != second.Instances[0].ID {
		t.Errorf("%+v and %+v", first, second)
	}
	in.PrivateAddress, in.MinCount = "10.0.0.9", nil
	refused(w, w.RunInstances, in, "IdempotentParameterMismatch")
}

func TestSecurityGroups(t *testing.T) {
	w := newWorld(t)
	vpc := w.vpc("10.0.0.0/16")
	web, app := w.group(vpc, "web"), w.group(vpc, "app")
	refused(w, w.CreateSecurityGroup, nouns.CreateSecurityGroupRequest{Name: "web", Description: "d", VPCID: vpc}, "InvalidGroup.Duplicate")
	refused(w, w.CreateSecurityGroup, nouns.CreateSecurityGroupRequest{Name: "default", Description: "d", VPCID: vpc}, "InvalidParameterValue")
	refused(w, w.CreateSecurityGroup, nouns.CreateSecurityGroupRequest{Name: "sg-x", Description: "d", VPCID: vpc}, "InvalidParameterValue")
	refused(w, w.CreateSecurityGroup, nouns.CreateSecurityGroupRequest{Name: "x", Description: "d"}, "VPCIdNotSpecified")
	refused(w, w.DeleteSecurityGroup, nouns.DeleteSecurityGroupRequest{ID: w.defaultGroup(vpc).ID}, "CannotDelete")

	from := nouns.PermissionsRequest{GroupID: app, Permissions: []nouns.IPPermission{{Protocol: "-1", Groups: nouns.Set[nouns.PermittedGroup]{{ID: web}, {ID: app}}}}}
	must(w, w.AuthorizeSecurityGroupIngress, from)
	refused(w, w.DeleteSecurityGroup, nouns.DeleteSecurityGroupRequest{ID: web}, "DependencyViolation")
	refused(w, w.DeleteVPC, nouns.DeleteVPCRequest{ID: vpc}, "DependencyViolation")
	must(w, w.RevokeSecurityGroupIngress, nouns.RevokedPermissionsRequest{PermissionsRequest: from})
	must(w, w.DeleteSecurityGroup, nouns.DeleteSecurityGroupRequest{ID: web})
	must(w, w.AuthorizeSecurityGroupIngress, nouns.PermissionsRequest{GroupID: app, Permissions: []nouns.IPPermission{{Protocol: "-1", Groups: nouns.Set[nouns.PermittedGroup]{{ID: app}}}}})
	must(w, w.DeleteSecurityGroup, nouns.DeleteSecurityGroupRequest{ID: app}) // a group may name itself
	w.group(vpc, "web")                                                       // the name is free again
}

func TestPermissions(t *testing.T) {
	w := newWorld(t)
	group := w.group(w.vpc("10.0.0.0/16"), "web")
	port := func(n int32) *int32 { return &n }
	permission := func(protocol string, from, to *int32, cidrs ...string) nouns.PermissionsRequest {
		p := nouns.IPPermission{Protocol: protocol, FromPort: from, ToPort: to}
		for _, cidr := range cidrs {
			if strings.Contains(cidr, ":") {
				p.IPv6Ranges = append(p.IPv6Ranges, nouns.PermittedRange6{CIDR: cidr})
			} else {
				p.Ranges = append(p.Ranges, nouns.PermittedRange{CIDR: cidr, Description: "d"})
			}
		}
		return nouns.PermissionsRequest{GroupID: group, Permissions: []nouns.IPPermission{p}}
	}
	rules := must(w, w.AuthorizeSecurityGroupIngress, permission("6", port(80), port(81), "10.0.0.1/8", "::/0")).Rules
	if len(rules) != 2 || rules[0].Protocol != "tcp" || rules[0].CIDR != "10.0.0.0/8" || rules[1].CIDR6 != "::/0" || rules[0].IsEgress {
		t.Errorf("%+v", rules)
	}
	must(w, w.AuthorizeSecurityGroupIngress, permission("all", nil, nil, "0.0.0.0/0"))
	must(w, w.AuthorizeSecurityGroupIngress, permission("icmp", port(8), port(-1), "0.0.0.0/0"))
	must(w, w.AuthorizeSecurityGroupIngress, permission("50", nil, nil, "0.0.0.0/0"))
	must(w, w.AuthorizeSecurityGroupIngress, nouns.PermissionsRequest{GroupID: group, SinglePermission: nouns.SinglePermission{Protocol: "udp", FromPort: port(53), ToPort: port(53), CIDR: "0.0.0.0/0"}})
	described := must(w, w.DescribeSecurityGroups, nouns.DescribeSecurityGroupsRequest{IDs: []string{group}}).Groups[0].Ingress
	if len(described) != 5 || len(described[0].Ranges) != 1 || len(described[0].IPv6Ranges) != 1 || *described[0].ToPort != 81 || described[1].FromPort != nil {
		t.Errorf("%+v", described)
	}
	refused(w, w.AuthorizeSecurityGroupIngress, permission("tcp", port(80), port(81), "10.0.0.0/8"), "InvalidPermission.Duplicate")
	must(w, w.AuthorizeSecurityGroupEgress, permission("tcp", port(80), port(81), "10.0.0.0/8"))
	for _, c := range []struct {
		in   nouns.PermissionsRequest
		code string
	}{
		{permission("tcp", nil, nil, "0.0.0.0/0"), "InvalidParameterValue"},
		{permission("tcp", port(9), port(8), "0.0.0.0/0"), "InvalidParameterValue"},
		{permission("icmp", port(256), nil, "0.0.0.0/0"), "InvalidParameterValue"},
		{permission("carrier-pigeon", nil, nil, "0.0.0.0/0"), "InvalidParameterValue"},
		{permission("256", nil, nil, "0.0.0.0/0"), "InvalidParameterValue"},
		{permission("-1", nil, nil, "10.0.0.0"), "InvalidParameterValue"},
		{permission("-1", nil, nil), "MissingParameter"},
		{nouns.PermissionsRequest{GroupID: group}, "MissingParameter"},
		{nouns.PermissionsRequest{GroupID: "sg-0"}, "InvalidGroup.NotFound"},
	} {
		refused(w, w.AuthorizeSecurityGroupIngress, c.in, c.code)
	}
	must(w, w.RevokeSecurityGroupIngress, nouns.RevokedPermissionsRequest{PermissionsRequest: nouns.PermissionsRequest{GroupID: group}, RuleIDs: []string{rules[0].ID}})
	refused(w, w.RevokeSecurityGroupIngress, nouns.RevokedPermissionsRequest{PermissionsRequest: nouns.PermissionsRequest{GroupID: group}, RuleIDs: []string{rules[0].ID}}, "InvalidSecurityGroupRuleId.NotFound")
	refused(w, w.RevokeSecurityGroupIngress, nouns.RevokedPermissionsRequest{PermissionsRequest: permission("tcp", port(80), port(81), "10.0.0.0/8")}, "InvalidPermission.NotFound")
}

func TestUsersInLattice(t *testing.T) {
	w := newWorld(t)
	vpc := w.vpc("10.0.0.0/16")
	group := w.group(vpc, "web")
	references := store.NewIndex(nouns.ReferenceIndex) // as package control writes it
	write := func(f func(*store.Tx) error) {
		t.Helper()
		if _, err := w.Store.Update(w.ctx, f); err != nil {
			t.Fatal(err)
		}
	}
	write(func(tx *store.Tx) error {
		return errors.Join(references.Put(tx, vpc+"/snva-1", ""), references.Put(tx, group+"/snva-1", ""))
	})
	refused(w, w.DeleteSecurityGroup, nouns.DeleteSecurityGroupRequest{ID: group}, "DependencyViolation")
	write(func(tx *store.Tx) error { references.Delete(tx, group+"/snva-1"); return nil })
	must(w, w.DeleteSecurityGroup, nouns.DeleteSecurityGroupRequest{ID: group})
	refused(w, w.DeleteVPC, nouns.DeleteVPCRequest{ID: vpc}, "DependencyViolation")
	write(func(tx *store.Tx) error {
		references.Delete(tx, vpc+"/snva-1")
		return references.Put(tx, vpc+"/tg-1", "")
	})
	refused(w, w.DeleteVPC, nouns.DeleteVPCRequest{ID: vpc}, "DependencyViolation")
	write(func(tx *store.Tx) error { references.Delete(tx, vpc+"/tg-1"); return nil })
	must(w, w.DeleteVPC, nouns.DeleteVPCRequest{ID: vpc})
}

func TestAccountsAreApart(t *testing.T) {
	w := newWorld(t)
	vpc := w.vpc("10.0.0.0/16")
	subnet := w.subnet(vpc, "10.0.0.0/24")
	w.caller.Account = "200000000002"
	refused(w, w.DeleteVPC, nouns.DeleteVPCRequest{ID: vpc}, "InvalidVpcID.NotFound")
	refused(w, w.RunInstances, nouns.RunInstancesRequest{SubnetID: subnet}, "InvalidSubnetID.NotFound")
	refused(w, w.CreateTags, nouns.CreateTagsRequest{Resources: []string{vpc}, Tags: []nouns.Tag{{Key: "a"}}}, "InvalidVpcID.NotFound")
	if found := must(w, w.DescribeVPCs, nouns.DescribeVPCsRequest{}).VPCs; len(found) != 0 {
		t.Errorf("another account sees %v", found)
	}
}

func TestFiltersAndPages(t *testing.T) {
	w := newWorld(t)
	var ids []string
	for i := range 5 {
		ids = append(ids, must(w, w.CreateVPC, nouns.CreateVPCRequest{
			CIDRBlock: fmt.Sprintf("10.%d.0.0/16", i),
			TagSpecification: []nouns.TagSpecification{
				{ResourceType: "vpc", Tags: []nouns.Tag{{Key: "Name", Value: fmt.Sprintf("net %d*", i)}}},
				{ResourceType: "subnet", Tags: []nouns.Tag{{Key: "Other"}}},
			},
		}).VPC.ID)
	}
	for _, c := range []struct {
		filter nouns.Filter
		want   int
	}{
		{nouns.Filter{Name: "tag:Name", Values: []string{"net 1*", "net 2*"}}, 2},
		{nouns.Filter{Name: "tag:Name", Values: []string{"net ?\\*"}}, 5},
		{nouns.Filter{Name: "tag:Name", Values: []string{"net ?"}}, 0},
		{nouns.Filter{Name: "tag:Name", Values: []string{"*"}}, 5},
		{nouns.Filter{Name: "tag:Name", Values: []string{"n.t*"}}, 0},
		{nouns.Filter{Name: "tag-key", Values: []string{"Name"}}, 5},
		{nouns.Filter{Name: "tag-key", Values: []string{"Other"}}, 0},
		{nouns.Filter{Name: "cidr", Values: []string{"10.3.0.0/16"}}, 1},
		{nouns.Filter{Name: "is-default", Values: []string{"true"}}, 0},
		{nouns.Filter{Name: "ipv6-cidr-block-association.association-id", Values: []string{"x"}}, 0},
	} {
		if got := must(w, w.DescribeVPCs, nouns.DescribeVPCsRequest{Filters: []nouns.Filter{c.filter}}).VPCs; len(got) != c.want {
			t.Errorf("%v: %d, want %d", c.filter, len(got), c.want)
		}
	}
	refused(w, w.DescribeVPCs, nouns.DescribeVPCsRequest{Filters: []nouns.Filter{{Name: "colour", Values: []string{"red"}}}}, "InvalidParameterValue")

	var listed []string
	in := nouns.DescribeVPCsRequest{Page: nouns.Page{MaxResults: 2}}
	for pages := 1; ; pages++ {
		answer := must(w, w.DescribeVPCs, in)
		for _, vpc := range answer.VPCs {
			listed = append(listed, vpc.ID)
		}
		if in.NextToken = answer.NextToken; in.NextToken == "" {
			if pages != 3 {
				t.Errorf("%d pages, want 3", pages)
			}
			break
		}
	}
	slices.Sort(ids)
	if !slices.Equal(listed, ids) {
		t.Errorf("pages list %v, want %v", listed, ids)
	}
}

func TestTags(t *testing.T) {
	w := newWorld(t)
	vpc := w.vpc("10.0.0.0/16")
	instance := w.run(w.subnet(vpc, "10.0.0.0/24")).ID
	both := []string{vpc, instance}
	must(w, w.CreateTags, nouns.CreateTagsRequest{Resources: both, Tags: []nouns.Tag{{Key: "a", Value: "1"}, {Key: "b", Value: "2"}}})
	other := "other"
	must(w, w.DeleteTags, nouns.DeleteTagsRequest{Resources: both, Tags: []nouns.DeletedTag{{Key: "a", Value: &other}, {Key: "b"}}})
	tags := must(w, w.DescribeTags, nouns.DescribeTagsRequest{}).Tags
	if len(tags) != 2 || tags[0] != (nouns.TagDescription{ResourceID: instance, ResourceType: "instance", Key: "a", Value: "1"}) {
		t.Errorf("%+v", tags)
	}
	page := must(w, w.DescribeTags, nouns.DescribeTagsRequest{Page: nouns.Page{MaxResults: 1}})
	if rest := must(w, w.DescribeTags, nouns.DescribeTagsRequest{Page: nouns.Page{MaxResults: 1, NextToken: page.NextToken}}); len(rest.Tags) != 1 || rest.Tags[0].ResourceID != vpc || rest.NextToken != "" {
		t.Errorf("%+v", rest)
	}
	must(w, w.DeleteTags, nouns.DeleteTagsRequest{Resources: both})
	if tags := must(w, w.DescribeTags, nouns.DescribeTagsRequest{}).Tags; len(tags) != 0 {
		t.Errorf("%+v are left", tags)
	}
	refused(w, w.CreateTags, nouns.CreateTagsRequest{Resources: []string{"x-1"}, Tags: []nouns.Tag{{Key: "a"}}}, "InvalidID")
	refused(w, w.CreateTags, nouns.CreateTagsRequest{Resources: both, Tags: []nouns.Tag{{Key: "Aws:a"}}}, "InvalidParameterValue")
	var many []nouns.Tag
	for i := range 51 {
		many = append(many, nouns.Tag{Key: fmt.Sprint(i)})
	}
	refused(w, w.CreateTags, nouns.CreateTagsRequest{Resources: both, Tags: many}, "TagLimitExceeded")
}

func TestDerived(t *testing.T) {
	w := newWorld(t)
	vpc, other := w.vpc("10.0.0.0/16"), w.vpc("10.0.0.0/16")
	subnet := w.subnet(vpc, "10.0.0.0/24")
	instance := w.run(subnet)
	in := func(vpc string) []nouns.Filter { return []nouns.Filter{{Name: "vpc-id", Values: []string{vpc}}} }

	interfaces := must(w, w.DescribeNetworkInterfaces, nouns.DescribeNetworkInterfacesRequest{Filters: in(vpc)}).Interfaces
	if len(interfaces) != 1 || interfaces[0].InstanceID != instance.ID || interfaces[0].ID != instance.NetworkInterfaces[0].ID {
		t.Errorf("%+v", interfaces)
	}
	if none := must(w, w.DescribeNetworkInterfaces, nouns.DescribeNetworkInterfacesRequest{Filters: in(other)}).Interfaces; len(none) != 0 {
		t.Errorf("%+v", none)
	}
	must(w, w.DescribeNetworkInterfaces, nouns.DescribeNetworkInterfacesRequest{IDs: []string{interfaces[0].ID}})
	refused(w, w.DescribeNetworkInterfaces, nouns.DescribeNetworkInterfacesRequest{IDs: []string{interfaces[0].ID, "eni-0"}}, "InvalidNetworkInterfaceID.NotFound")

	tables := must(w, w.DescribeRouteTables, nouns.DescribeRouteTablesRequest{Filters: append(in(vpc), nouns.Filter{Name: "association.main", Values: []string{"true"}})}).Tables
	if len(tables) != 1 || tables[0].VPCID != vpc || tables[0].Routes[0].Destination != "10.0.0.0/16" {
		t.Errorf("%+v", tables)
	}
	refused(w, w.DescribeRouteTables, nouns.DescribeRouteTablesRequest{IDs: []string{"rtb-0"}}, "InvalidRouteTableID.NotFound")

	acls := must(w, w.DescribeNetworkACLs, nouns.DescribeNetworkACLsRequest{Filters: []nouns.Filter{{Name: "association.subnet-id", Values: []string{subnet}}}}).ACLs
	if len(acls) != 1 || acls[0].VPCID != vpc || !acls[0].Default || len(acls[0].Entries) != 4 {
		t.Errorf("%+v", acls)
	}
	refused(w, w.DescribeNetworkACLs, nouns.DescribeNetworkACLsRequest{IDs: []string{"acl-0"}}, "InvalidNetworkAclID.NotFound")
}

func TestZones(t *testing.T) {
	w := newWorld(t)
	for region, want := range map[string]string{
		"us-west-2": "usw2-az1", "ap-southeast-1": "apse1-az1", "eu-central-1": "euc1-az1", "us-gov-west-1": "usgw1-az1",
	} {
		c := ec2.New(operation.Config{Store: w.Store, Region: region})
		answer, err := c.DescribeAvailabilityZones(t.Context(), w.caller, &nouns.DescribeAvailabilityZonesRequest{Names: []string{region + "a"}})
		if err != nil || len(answer.Zones) != 1 || answer.Zones[0].ID != want {
			t.Errorf("%s: %+v, %v, want %s", region, answer, err, want)
		}
	}
}

// node is what a node says of itself.
type node struct {
	w     *world
	name  string
	lease *store.Lease
}
