package ec2_test

import (
	"encoding/base64"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	nouns "pergola/aws/ec2"
	"pergola/lattice"
	"pergola/store"
)

// TestFault_D8_UserDataIsKept has what an instance was launched with come back, and refuses what could not.
func TestFault_D8_UserDataIsKept(t *testing.T) {
	w := newWorld(t)
	subnet := w.subnet(w.vpc("10.0.0.0/16"), "10.0.1.0/24")
	encoded := base64.StdEncoding.EncodeToString([]byte("#!/bin/sh\necho hello\n"))
	launched := must(w, w.RunInstances, nouns.RunInstancesRequest{SubnetID: subnet, UserData: encoded,
		Placement: nouns.Placement{AvailabilityZone: "us-west-2a"}}).Instances[0]
	if got := must(w, w.DescribeInstanceAttribute, nouns.DescribeInstanceAttributeRequest{ID: launched.ID,
		Attribute: "userData"}).UserData; got == nil || got.Value != encoded {
		t.Errorf("the user data is %+v, want %s", got, encoded)
	}
	for code, in := range map[string]nouns.RunInstancesRequest{
		"InvalidUserData.Malformed": {SubnetID: subnet, UserData: "#!/bin/sh"},
		"InvalidParameterValue": {SubnetID: subnet,
			UserData: base64.StdEncoding.EncodeToString(make([]byte, nouns.MaxUserData+1))},
	} {
		refused(w, w.RunInstances, in, code)
	}
	refused(w, w.RunInstances, nouns.RunInstancesRequest{SubnetID: subnet,
		Placement: nouns.Placement{AvailabilityZone: "us-west-2b"}}, "InvalidParameterValue")
}

// TestFault_D8_PrefixListsMustExist refuses rules whose peer nobody knows, and takes the lists of VPC Lattice.
func TestFault_D8_PrefixListsMustExist(t *testing.T) {
	w := newWorld(t)
	group := w.group(w.vpc("10.0.0.0/16"), "web")
	allow := func(list string) nouns.PermissionsRequest {
		return nouns.PermissionsRequest{GroupID: group,
			Permissions: []nouns.IPPermission{{Protocol: "-1", PrefixLists: nouns.Set[nouns.PermittedList]{{ID: list}}}}}
	}
	refused(w, w.AuthorizeSecurityGroupIngress, allow("pl-0123456789abcdef0"), "InvalidPrefixListID.NotFound")
	refused(w, w.AuthorizeSecurityGroupEgress, allow("lists"), "InvalidPrefixListId.Malformed")
	lists := must(w, w.DescribeManagedPrefixLists,
		nouns.DescribePrefixListsRequest{Filters: []nouns.Filter{{Name: "prefix-list-name",
			Values: []string{"com.amazonaws.us-west-2.vpc-lattice"}}}}).Lists
	if len(lists) != 1 || lists[0].Family != "IPv4" || lists[0].OwnerID != "AWS" {
		t.Fatalf("lists %+v", lists)
	}
	if old := must(w, w.DescribePrefixLists, nouns.DescribePrefixListsRequest{IDs: []string{lists[0].ID}}).Lists; len(
		old) != 1 || old[0].Name != lists[0].Name {
		t.Errorf("by its id: %+v", old)
	}
	if entries := must(w, w.GetManagedPrefixListEntries,
		nouns.GetPrefixListEntriesRequest{ID: lists[0].ID}).Entries; len(entries) != 1 ||
		entries[0].CIDR != "169.254.171.0/24" {
		t.Errorf("entries %+v", entries)
	}
	must(w, w.AuthorizeSecurityGroupIngress, allow(lists[0].ID))
	if got := must(w, w.DescribeSecurityGroups,
		nouns.DescribeSecurityGroupsRequest{IDs: []string{group}}).Groups[0].Ingress; len(got) != 1 ||
		got[0].PrefixLists[0].ID != lists[0].ID {
		t.Errorf("the group has %+v", got)
	}
}

// TestFault_D8_RulesKeepTheirTags follows the tags of a security group rule through all that tells of them.
func TestFault_D8_RulesKeepTheirTags(t *testing.T) {
	w := newWorld(t)
	group := w.group(w.vpc("10.0.0.0/16"), "web")
	team := nouns.Set[nouns.Tag]{{Key: "team", Value: "red"}}
	rule := must(w, w.AuthorizeSecurityGroupIngress, nouns.PermissionsRequest{
		GroupID: group, SinglePermission: nouns.SinglePermission{Protocol: "-1", CIDR: "10.0.0.0/8"},
		TagSpecification: []nouns.TagSpecification{{ResourceType: "security-group-rule", Tags: team}},
	}).Rules[0]
	tagsOf := func() nouns.Set[nouns.Tag] {
		t.Helper()
		return must(w, w.DescribeSecurityGroupRules,
			nouns.DescribeSecurityGroupRulesRequest{IDs: []string{rule.ID}}).Rules[0].Tags
	}
	if !slices.Equal(rule.Tags, team) || !slices.Equal(tagsOf(), team) ||
		!strings.HasSuffix(rule.ARN, ":security-group-rule/"+rule.ID) {
		t.Errorf("made %+v, read %+v", rule, tagsOf())
	}
	must(w, w.CreateTags, nouns.CreateTagsRequest{Resources: []string{rule.ID},
		Tags: []nouns.Tag{{Key: "colour", Value: "blue"}}})
	must(w, w.DeleteTags, nouns.DeleteTagsRequest{Resources: []string{rule.ID}, Tags: []nouns.DeletedTag{{Key: "team"}}})
	if got := tagsOf(); !slices.Equal(got, nouns.Set[nouns.Tag]{{Key: "colour", Value: "blue"}}) {
		t.Errorf("after a change %+v", got)
	}
	described := must(w, w.DescribeTags,
		nouns.DescribeTagsRequest{Filters: []nouns.Filter{{Name: "resource-type",
			Values: []string{"security-group-rule"}}}}).Tags
	if len(described) != 1 || described[0].ResourceID != rule.ID || described[0].Key != "colour" {
		t.Errorf("described %+v", described)
	}
	refused(w, w.CreateTags, nouns.CreateTagsRequest{Resources: []string{"sgr-0"}, Tags: team},
		"InvalidSecurityGroupRuleId.NotFound")
	if all := must(w, w.DescribeSecurityGroupRules,
		nouns.DescribeSecurityGroupRulesRequest{Filters: []nouns.Filter{{Name: "group-id",
			Values: []string{group}}}}).Rules; len(all) != 2 {
		t.Errorf("the group has the rules %+v", all)
	}
}

// TestFault_A10_QuotasAreThoseOfAWS goes to each quota and one beyond.
func TestFault_A10_QuotasAreThoseOfAWS(t *testing.T) {
	w := newWorldWith(t, map[string]int{nouns.QuotaSubnets.Code: 2, nouns.QuotaSecurityGroups.Code: 7,
		nouns.QuotaRules.Code: 11, nouns.QuotaInstances.Code: 2})
	vpc := w.vpc("10.0.0.0/16")
	for range nouns.QuotaVPCs.Default - 1 {
		w.vpc("10.0.0.0/16")
	}
	refused(w, w.CreateVPC, nouns.CreateVPCRequest{CIDRBlock: "10.0.0.0/16"}, "VpcLimitExceeded")
	subnet := w.subnet(vpc, "10.0.1.0/24")
	w.subnet(vpc, "10.0.2.0/24")
	refused(w, w.CreateSubnet, nouns.CreateSubnetRequest{VPCID: vpc, CIDRBlock: "10.0.3.0/24"}, "SubnetLimitExceeded")
	group := w.group(vpc, "one") // beside the default ones of five VPCs
	w.group(vpc, "two")
	refused(w, w.CreateSecurityGroup, nouns.CreateSecurityGroupRequest{Name: "three", Description: "d", VPCID: vpc},
		"SecurityGroupLimitExceeded")
	list := must(w, w.DescribePrefixLists, nouns.DescribePrefixListsRequest{Filters: []nouns.Filter{{
		Name: "prefix-list-name", Values: []string{"com.amazonaws.us-west-2.vpc-lattice"}}}}).Lists[0].ID
	must(w, w.AuthorizeSecurityGroupIngress, nouns.PermissionsRequest{GroupID: group, Permissions: []nouns.IPPermission{{
		Protocol: "-1", PrefixLists: nouns.Set[nouns.PermittedList]{{ID: list}},
		Ranges: nouns.Set[nouns.PermittedRange]{{CIDR: "10.0.0.0/8"}},
	}}})
	refused(w, w.AuthorizeSecurityGroupIngress, nouns.PermissionsRequest{GroupID: group,
		SinglePermission: nouns.SinglePermission{Protocol: "-1", CIDR: "11.0.0.0/8"}}, "RulesPerSecurityGroupLimitExceeded")
	must(w, w.AuthorizeSecurityGroupIngress, nouns.PermissionsRequest{GroupID: group, // the families are counted apart
		Permissions: []nouns.IPPermission{{Protocol: "-1",
			IPv6Ranges: nouns.Set[nouns.PermittedRange6]{{CIDR: "fd00::/8"}}}}})
	w.run(subnet)
	w.run(subnet)
	refused(w, w.RunInstances, nouns.RunInstancesRequest{SubnetID: subnet}, "InstanceLimitExceeded")
	w.caller = root("200000000002")
	w.vpc("10.0.0.0/16") // each account has its own
}

// TestFault_D4_ADefaultGroupHoldsNothingWithoutItsVPC deletes a prefix list that the default group of a VPC that is
// gone has named.
func TestFault_D4_ADefaultGroupHoldsNothingWithoutItsVPC(t *testing.T) {
	w := newWorld(t)
	vpc, list := w.vpc("10.0.0.0/16"), must(w, w.CreateManagedPrefixList, nouns.CreateManagedPrefixListRequest{
		Name: "offices", Family: "IPv4", MaxEntries: 1}).List.ID
	must(w, w.AuthorizeSecurityGroupIngress, nouns.PermissionsRequest{GroupID: w.defaultGroup(vpc).ID,
		Permissions: []nouns.IPPermission{{Protocol: "-1", PrefixLists: nouns.Set[nouns.PermittedList]{{ID: list}}}}})
	refused(w, w.DeleteManagedPrefixList, nouns.DeleteManagedPrefixListRequest{ID: list}, "DependencyViolation")
	must(w, w.DeleteVPC, nouns.DeleteVPCRequest{ID: vpc})
	must(w, w.DeleteManagedPrefixList, nouns.DeleteManagedPrefixListRequest{ID: list})
}

// TestFault_D4_OthersVPCsCostNothing counts what an account's operations read while another account has a lot.
func TestFault_D4_OthersVPCsCostNothing(t *testing.T) {
	w := newWorldWith(t, map[string]int{nouns.QuotaVPCs.Code: 100})
	cost := func() store.Reads {
		before := w.Store.Reads()
		vpc := w.vpc("10.0.0.0/16")
		w.subnet(vpc, "10.0.1.0/24")
		must(w, w.DescribeVPCs, nouns.DescribeVPCsRequest{})
		refused(w, w.DeleteVPC, nouns.DeleteVPCRequest{ID: vpc}, "DependencyViolation")
		must(w, w.DeleteSubnet, nouns.DeleteSubnetRequest{ID: must(w, w.DescribeSubnets,
			nouns.DescribeSubnetsRequest{}).Subnets[0].ID})
		must(w, w.DeleteVPC, nouns.DeleteVPCRequest{ID: vpc})
		after := w.Store.Reads()
		return store.Reads{Requests: after.Requests - before.Requests, Keys: after.Keys - before.Keys}
	}
	cost() // the first time in a process also looks whether indexes are complete
	alone := cost()
	mine := w.caller
	w.caller = root("200000000002")
	for range 30 {
		w.subnet(w.vpc("10.0.0.0/16"), "10.0.1.0/24")
	}
	w.caller = mine
	if got := cost(); got != alone {
		t.Errorf("with another account's VPCs it reads %+v, before %+v", got, alone)
	}
}

// TestFault_D4_OlderStoresAreCompleted deletes nothing that an association of an older store uses.
func TestFault_D4_OlderStoresAreCompleted(t *testing.T) {
	w := newWorld(t)
	vpc := "vpc-0123456789abcdef0"
	_, err := w.Store.Update(w.ctx, func(tx *store.Tx) error {
		return errors.Join(
			store.NewKind[nouns.VPC](nouns.KindVPC).Put(tx, vpc, nouns.VPC{ID: vpc, Account: w.caller.Account,
				CIDR: netip.MustParsePrefix("10.0.0.0/16")}),
			store.NewKind[lattice.TargetGroup](lattice.KindTargetGroup.Name).Put(tx, "tg-1",
				lattice.TargetGroup{ID: "tg-1", Config: &lattice.TargetGroupConfig{VPCIdentifier: vpc}}),
		)
	})
	if err != nil {
		t.Fatal(err)
	}
	if found := must(w, w.DescribeVPCs, nouns.DescribeVPCsRequest{}).VPCs; len(found) != 1 {
		t.Errorf("found %+v", found)
	}
	refused(w, w.DeleteVPC, nouns.DeleteVPCRequest{ID: vpc}, "DependencyViolation")
}
