package ec2_test

import (
	"fmt"
	"slices"
	"testing"

	nouns "pergola/aws/ec2"
	"pergola/control/ec2"
	"pergola/control/operation"
	"pergola/store"
)

func (w *world) acl(vpc string) string {
	w.t.Helper()
	return must(w, w.CreateNetworkACL, nouns.CreateNetworkACLRequest{VPCID: vpc}).ACL.ID
}

// acls lists the network ACLs that pass filters, given by name and value.
func (w *world) acls(filters ...string) (all []nouns.NetworkACL) {
	w.t.Helper()
	in := nouns.DescribeNetworkACLsRequest{}
	for pair := range slices.Chunk(filters, 2) {
		in.Filters = append(in.Filters, nouns.Filter{Name: pair[0], Values: pair[1:]})
	}
	return must(w, w.DescribeNetworkACLs, in).ACLs
}

// entry is an entry of a network ACL that allows all of TCP from anywhere, but for what change makes of it.
func entry(acl string, number int32, change func(*nouns.NetworkACLEntryRequest)) nouns.NetworkACLEntryRequest {
	in := nouns.NetworkACLEntryRequest{ACLID: acl, Number: number, Protocol: "6", Action: "allow", CIDR: "0.0.0.0/0",
		PortRange: &nouns.NetworkPortRange{From: 0, To: 65535}}
	if change != nil {
		change(&in)
	}
	return in
}

func TestDefaultNetworkACL(t *testing.T) {
	w := newWorld(t)
	vpc := w.vpc("10.0.0.0/16")
	subnet := w.subnet(vpc, "10.0.1.0/24")
	acls := w.acls("vpc-id", vpc, "default", "true")
	if len(acls) != 1 || len(acls[0].Associations) != 1 || acls[0].Associations[0].SubnetID != subnet {
		t.Fatalf("%+v", acls)
	}
	want := nouns.Set[nouns.NetworkACLEntry]{
		{Number: 100, Protocol: "-1", Action: "allow", IsEgress: true, CIDR: "0.0.0.0/0"},
		{Number: 32767, Protocol: "-1", Action: "deny", IsEgress: true, CIDR: "0.0.0.0/0"},
		{Number: 100, Protocol: "-1", Action: "allow", CIDR: "0.0.0.0/0"},
		{Number: 32767, Protocol: "-1", Action: "deny", CIDR: "0.0.0.0/0"},
	}
	if !slices.Equal(acls[0].Entries, want) {
		t.Errorf("entries %+v", acls[0].Entries)
	}
	refused(w, w.DeleteNetworkACL, nouns.DeleteNetworkACLRequest{ACLID: acls[0].ID}, "InvalidParameterValue")
	// It may be changed, in one direction alone too.
	must(w, w.DeleteNetworkACLEntry, nouns.DeleteNetworkACLEntryRequest{ACLID: acls[0].ID, Number: 100})
	if left := w.acls("network-acl-id", acls[0].ID)[0].Entries; len(left) != 3 {
		t.Errorf("left are %+v", left)
	}
	must(w, w.DeleteSubnet, nouns.DeleteSubnetRequest{ID: subnet})
	must(w, w.DeleteVPC, nouns.DeleteVPCRequest{ID: vpc})
	if left := w.acls(); len(left) != 0 {
		t.Errorf("the VPC leaves %+v", left)
	}
}

func TestNetworkACLsOfAVPC(t *testing.T) {
	w := newWorldWith(t, map[string]int{nouns.QuotaNetworkACLs.Code: 3})
	vpc := w.vpc("10.0.0.0/16")
	in := nouns.CreateNetworkACLRequest{VPCID: vpc, ClientToken: "once", TagSpecification: []nouns.TagSpecification{
		{ResourceType: "network-acl", Tags: []nouns.Tag{{Key: "team", Value: "red"}}}}}
	made := must(w, w.CreateNetworkACL, in)
	if acl := made.ACL; len(acl.Entries) != 2 || acl.Default || acl.Tags[0].Value != "red" || made.ClientToken != "once" {
		t.Errorf("%+v", made)
	}
	if again := must(w, w.CreateNetworkACL, in).ACL.ID; again != made.ACL.ID {
		t.Errorf("a repeated request made %s", again)
	}
	in.TagSpecification = nil
	refused(w, w.CreateNetworkACL, in, "IdempotentParameterMismatch")
	refused(w, w.CreateNetworkACL, nouns.CreateNetworkACLRequest{VPCID: "vpc-0"}, "InvalidVpcID.NotFound")
	second := w.acl(vpc)
	refused(w, w.CreateNetworkACL, nouns.CreateNetworkACLRequest{VPCID: vpc}, "NetworkAclLimitExceeded")
	refused(w, w.DeleteVPC, nouns.DeleteVPCRequest{ID: vpc}, "DependencyViolation")
	must(w, w.CreateTags, nouns.CreateTagsRequest{Resources: []string{second},
		Tags: []nouns.Tag{{Key: "Name", Value: "second"}}})
	if found := w.acls("tag:Name", "second"); len(found) != 1 || found[0].ID != second {
		t.Errorf("by its tag: %+v", found)
	}
	for _, id := range []string{second, made.ACL.ID} {
		must(w, w.DeleteNetworkACL, nouns.DeleteNetworkACLRequest{ACLID: id})
	}
	refused(w, w.DeleteNetworkACL, nouns.DeleteNetworkACLRequest{ACLID: second}, "InvalidNetworkAclID.NotFound")
	refused(w, w.DeleteNetworkACL, nouns.DeleteNetworkACLRequest{ACLID: "x"}, "InvalidNetworkAclId.Malformed")
	refused(w, w.DescribeNetworkACLs, nouns.DescribeNetworkACLsRequest{IDs: []string{second}},
		"InvalidNetworkAclID.NotFound")
	must(w, w.DeleteVPC, nouns.DeleteVPCRequest{ID: vpc})
}

func TestNetworkACLEntries(t *testing.T) {
	w := newWorldWith(t, map[string]int{nouns.QuotaACLEntries.Code: 4})
	acl := w.acl(w.vpc("10.0.0.0/16"))
	egress := func(in *nouns.NetworkACLEntryRequest) { in.IsEgress = true }
	must(w, w.CreateNetworkACLEntry, entry(acl, 20, func(in *nouns.NetworkACLEntryRequest) { in.CIDR = "10.1.2.3/8" }))
	must(w, w.CreateNetworkACLEntry, entry(acl, 10, func(in *nouns.NetworkACLEntryRequest) {
		in.Protocol, in.Action, in.PortRange = "-1", "deny", &nouns.NetworkPortRange{}
	}))
	must(w, w.CreateNetworkACLEntry, entry(acl, 20, egress))
	must(w, w.CreateNetworkACLEntry, entry(acl, 30, func(in *nouns.NetworkACLEntryRequest) {
		in.Protocol, in.CIDR, in.CIDR6, in.ICMP = "58", "", "2001:db8::1/32", &nouns.ICMPTypeCode{Type: 128, Code: 0}
	}))
	want := nouns.Set[nouns.NetworkACLEntry]{
		{Number: 10, Protocol: "-1", Action: "deny", CIDR: "0.0.0.0/0"},
		{Number: 20, Protocol: "6", Action: "allow", CIDR: "10.0.0.0/8"},
		{Number: 30, Protocol: "58", Action: "allow", CIDR6: "2001:db8::/32"},
	}
	ingress := func() nouns.Set[nouns.NetworkACLEntry] {
		return slices.DeleteFunc(w.acls("network-acl-id", acl)[0].Entries,
			func(e nouns.NetworkACLEntry) bool { return e.IsEgress || e.Number == 32767 })
	}
	got := ingress()
	for i, e := range got {
		if i < len(want) && e.PortRange == nil && e.ICMP == nil != (e.Number != 30) || e.Number == 20 &&
			*e.PortRange != (nouns.NetworkPortRange{To: 65535}) {
			t.Errorf("entry %+v", e)
		}
		got[i].PortRange, got[i].ICMP = nil, nil
	}
	if !slices.Equal(got, want) {
		t.Errorf("entries %+v, want %+v", got, want)
	}
	for name, c := range map[string]struct {
		change func(*nouns.NetworkACLEntryRequest)
		code   string
	}{
		"taken":            {func(in *nouns.NetworkACLEntryRequest) { in.Number = 20 }, "NetworkAclEntryAlreadyExists"},
		"no range":         {func(in *nouns.NetworkACLEntryRequest) { in.CIDR = "" }, "MissingParameter"},
		"two ranges":       {func(in *nouns.NetworkACLEntryRequest) { in.CIDR6 = "::/0" }, "InvalidParameterCombination"},
		"malformed":        {func(in *nouns.NetworkACLEntryRequest) { in.CIDR = "10.0.0.0" }, "InvalidParameterValue"},
		"the other family": {func(in *nouns.NetworkACLEntryRequest) { in.CIDR = "::/0" }, "InvalidParameterValue"},
		"no ports":         {func(in *nouns.NetworkACLEntryRequest) { in.PortRange = nil }, "MissingParameter"},
		"ports backwards": {func(in *nouns.NetworkACLEntryRequest) { in.PortRange.From, in.PortRange.To = 9, 8 },
			"InvalidParameterValue"},
		"no type": {func(in *nouns.NetworkACLEntryRequest) { in.Protocol = "icmp" }, "MissingParameter"},
		"a code of no type": {func(in *nouns.NetworkACLEntryRequest) {
			in.Protocol, in.ICMP = "1", &nouns.ICMPTypeCode{Type: -1, Code: 3}
		}, "InvalidParameterValue"},
		"no protocol": {func(in *nouns.NetworkACLEntryRequest) { in.Protocol = "256" }, "InvalidParameterValue"},
		"no ACL":      {func(in *nouns.NetworkACLEntryRequest) { in.ACLID = "acl-0" }, "InvalidNetworkAclID.NotFound"},
	} {
		t.Run(name, func(t *testing.T) { refused(w, w.CreateNetworkACLEntry, entry(acl, 99, c.change), c.code) })
	}
	must(w, w.ReplaceNetworkACLEntry, entry(acl, 10, nil))
	if e := ingress()[0]; e.Protocol != "6" || e.Action != "allow" {
		t.Errorf("replaced by %+v", e)
	}
	refused(w, w.ReplaceNetworkACLEntry, entry(acl, 11, nil), "InvalidNetworkAclEntry.NotFound")
	refused(w, w.DeleteNetworkACLEntry, nouns.DeleteNetworkACLEntryRequest{ACLID: acl, Number: 10, IsEgress: true},
		"InvalidNetworkAclEntry.NotFound")
	// Each direction and family has a quota of its own.
	must(w, w.CreateNetworkACLEntry, entry(acl, 40, nil))
	must(w, w.CreateNetworkACLEntry, entry(acl, 41, nil))
	refused(w, w.CreateNetworkACLEntry, entry(acl, 42, nil), "NetworkAclEntryLimitExceeded")
	must(w, w.CreateNetworkACLEntry, entry(acl, 42, egress))
	must(w, w.CreateNetworkACLEntry,
		entry(acl, 43, func(in *nouns.NetworkACLEntryRequest) { in.CIDR, in.CIDR6 = "", "::/0" }))
	must(w, w.DeleteNetworkACLEntry, nouns.DeleteNetworkACLEntryRequest{ACLID: acl, Number: 41})
	must(w, w.CreateNetworkACLEntry, entry(acl, 42, nil))
}

func TestNetworkACLAssociations(t *testing.T) {
	w := newWorld(t)
	vpc, other := w.vpc("10.0.0.0/16"), w.vpc("10.0.0.0/16")
	subnet, acl, foreign := w.subnet(vpc, "10.0.1.0/24"), w.acl(vpc), w.acl(other)
	w.subnet(vpc, "10.0.2.0/24")
	association := func() nouns.NetworkACLAssociation {
		t.Helper()
		found := w.acls("association.subnet-id", subnet)
		if len(found) != 1 {
			t.Fatalf("%s has %+v", subnet, found)
		}
		i := slices.IndexFunc(found[0].Associations, func(a nouns.NetworkACLAssociation) bool { return a.SubnetID == subnet })
		return found[0].Associations[i]
	}
	standard := association()
	replace := func(association, acl string) string {
		t.Helper()
		return must(w, w.ReplaceNetworkACLAssociation, nouns.ReplaceNetworkACLAssociationRequest{AssociationID: association,
			ACLID: acl}).NewAssociationID
	}
	next := replace(standard.ID, acl)
	if got := association(); got.ID != next || next == standard.ID || got.ACLID != acl {
		t.Errorf("%+v, want %s", got, next)
	}
	for _, c := range []struct{ association, acl, code string }{
		{standard.ID, acl, "InvalidAssociationID.NotFound"},
		{next, "acl-0", "InvalidNetworkAclID.NotFound"},
		{next, foreign, "InvalidParameterValue"},
	} {
		refused(w, w.ReplaceNetworkACLAssociation, nouns.ReplaceNetworkACLAssociationRequest{AssociationID: c.association,
			ACLID: c.acl}, c.code)
	}
	refused(w, w.DeleteNetworkACL, nouns.DeleteNetworkACLRequest{ACLID: acl}, "DependencyViolation")
	if got := replace(next, standard.ACLID); association().ID != got || association().ACLID != standard.ACLID {
		t.Errorf("back at the default one: %+v", association())
	}
	must(w, w.DeleteNetworkACL, nouns.DeleteNetworkACLRequest{ACLID: acl})
}

func TestNetworkACLFilters(t *testing.T) {
	w := newWorld(t)
	vpc := w.vpc("10.0.0.0/16")
	subnet, acl := w.subnet(vpc, "10.0.1.0/24"), w.acl(vpc)
	associated := must(w, w.ReplaceNetworkACLAssociation, nouns.ReplaceNetworkACLAssociationRequest{
		AssociationID: w.acls("association.subnet-id", subnet)[0].Associations[0].ID, ACLID: acl}).NewAssociationID
	must(w, w.CreateNetworkACLEntry, entry(acl, 7, func(in *nouns.NetworkACLEntryRequest) {
		in.CIDR, in.PortRange = "10.9.0.0/16", &nouns.NetworkPortRange{From: 80, To: 81}
	}))
	must(w, w.CreateNetworkACLEntry, entry(acl, 8, func(in *nouns.NetworkACLEntryRequest) {
		in.Protocol, in.CIDR, in.CIDR6, in.ICMP = "58", "", "2001:db8::/32", &nouns.ICMPTypeCode{Type: 128, Code: 3}
	}))
	for name, value := range map[string]string{
		"association.association-id": associated, "association.network-acl-id": acl, "association.subnet-id": subnet,
		"default": "false", "network-acl-id": acl, "entry.cidr": "10.9.*", "entry.ipv6-cidr": "2001:db8::/32",
		"entry.icmp.type": "128", "entry.icmp.code": "3", "entry.port-range.from": "80", "entry.port-range.to": "81",
		"entry.protocol": "58", "entry.rule-number": "8",
	} {
		if found := w.acls(name, value); len(found) != 1 || found[0].ID != acl {
			t.Errorf("%s=%s finds %+v", name, value, found)
		}
	}
	for name, value := range map[string]string{"owner-id": w.caller.Account, "vpc-id": vpc, "entry.rule-action": "allow",
		"entry.egress": "true"} {
		if found := w.acls(name, value); len(found) != 2 {
			t.Errorf("%s=%s finds %+v", name, value, found)
		}
	}
	refused(w, w.DescribeNetworkACLs,
		nouns.DescribeNetworkACLsRequest{Filters: []nouns.Filter{{Name: "colour", Values: []string{"red"}}}},
		"InvalidParameterValue")
	for range 5 {
		w.acl(vpc)
	}
	page := must(w, w.DescribeNetworkACLs, nouns.DescribeNetworkACLsRequest{Page: nouns.Page{MaxResults: 5}})
	rest := must(w, w.DescribeNetworkACLs,
		nouns.DescribeNetworkACLsRequest{Page: nouns.Page{MaxResults: 5, NextToken: page.NextToken}})
	if len(page.ACLs) != 5 || len(rest.ACLs) != 2 || rest.NextToken != "" {
		t.Errorf("pages of %d and %d", len(page.ACLs), len(rest.ACLs))
	}
}

// TestOlderVPCsGetNetworkACLs opens a store from before there were network ACLs in it.
func TestOlderVPCsGetNetworkACLs(t *testing.T) {
	w := newWorld(t)
	const account = "100000000001"
	if _, err := w.Store.Update(w.ctx, func(tx *store.Tx) error {
		for i := range 3 {
			id := fmt.Sprintf("vpc-%d", i)
			if err := store.NewKind[nouns.VPC](nouns.KindVPC).Put(tx, id, nouns.VPC{ID: id, Account: account}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if acls := w.acls("default", "true"); len(acls) != 3 || acls[0].ID != "acl-0" || len(acls[0].Entries) != 4 {
		t.Errorf("%+v", acls)
	}
	must(w, w.DeleteNetworkACLEntry, nouns.DeleteNetworkACLEntryRequest{ACLID: "acl-0", Number: 100})
	w.Control = ec2.New(operation.Config{Store: w.Store, Region: "us-west-2"}) // another process does not do it again
	if acls := w.acls("network-acl-id", "acl-0"); len(acls[0].Entries) != 3 {
		t.Errorf("%+v", acls)
	}
}
