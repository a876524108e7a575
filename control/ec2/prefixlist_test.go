package ec2_test

import (
	"testing"

	nouns "pergola/aws/ec2"
)

func TestManagedPrefixLists(t *testing.T) {
	w := newWorldWith(t, map[string]int{nouns.QuotaRules.Code: 10})
	in := nouns.CreateManagedPrefixListRequest{Name: "offices", Family: "IPv4", MaxEntries: 3, ClientToken: "once",
		Entries: []nouns.AddedEntry{{CIDR: "10.2.0.1/16", Description: "two"}, {CIDR: "10.1.0.0/16"}}}
	made := must(w, w.CreateManagedPrefixList, in).List
	if made.Version != 1 || made.State != "create-complete" || made.OwnerID != w.caller.Account || made.MaxEntries != 3 {
		t.Errorf("%+v", made)
	}
	if again := must(w, w.CreateManagedPrefixList, in).List.ID; again != made.ID {
		t.Errorf("a repeated request made %s", again)
	}
	entries := func(version *int64) (all string) {
		t.Helper()
		for _, e := range must(w, w.GetManagedPrefixListEntries, nouns.GetPrefixListEntriesRequest{ID: made.ID,
			TargetVersion: version}).Entries {
			all += e.CIDR + e.Description + " "
		}
		return all
	}
	if got := entries(nil); got != "10.1.0.0/16 10.2.0.0/16two " {
		t.Errorf("entries %s", got)
	}
	one, two, size, small, large := int64(1), int64(2), int32(4), int32(1), int32(11)
	add := []nouns.AddedEntry{{CIDR: "10.3.0.0/16"}}
	modify := func(change func(*nouns.ModifyManagedPrefixListRequest)) nouns.ModifyManagedPrefixListRequest {
		in := nouns.ModifyManagedPrefixListRequest{ID: made.ID, CurrentVersion: &one, AddEntries: add}
		change(&in)
		return in
	}
	for name, c := range map[string]struct {
		change func(*nouns.ModifyManagedPrefixListRequest)
		code   string
	}{
		"no version": {func(in *nouns.ModifyManagedPrefixListRequest) { in.CurrentVersion = nil }, "MissingParameter"},
		"another": {func(in *nouns.ModifyManagedPrefixListRequest) { in.CurrentVersion = &two },
			"PrefixListVersionMismatch"},
		"size too": {func(in *nouns.ModifyManagedPrefixListRequest) { in.MaxEntries = &size }, "InvalidParameterCombination"},
		"no such entry": {func(in *nouns.ModifyManagedPrefixListRequest) {
			in.RemoveEntries = []nouns.RemovedEntry{{CIDR: "10.9.0.0/16"}}
		}, "InvalidPrefixListModification"},
		"twice": {func(in *nouns.ModifyManagedPrefixListRequest) { in.AddEntries = append(add, add...) },
			"InvalidPrefixListModification"},
		"another family": {func(in *nouns.ModifyManagedPrefixListRequest) {
			in.AddEntries = []nouns.AddedEntry{
				{CIDR: "::/0"}}
		}, "InvalidParameterValue"},
		"too many": {func(in *nouns.ModifyManagedPrefixListRequest) {
			in.AddEntries = append(add, nouns.AddedEntry{CIDR: "10.4.0.0/16"})
		}, "PrefixListMaxEntriesExceeded"},
		"too small": {func(in *nouns.ModifyManagedPrefixListRequest) { in.AddEntries, in.MaxEntries = nil, &small },
			"PrefixListMaxEntriesExceeded"},
		"a name of AWS": {func(in *nouns.ModifyManagedPrefixListRequest) { in.Name = "com.amazonaws.x" },
			"InvalidParameterValue"},
	} {
		t.Run(name, func(t *testing.T) { refused(w, w.ModifyManagedPrefixList, modify(c.change), c.code) })
	}
	changed := must(w, w.ModifyManagedPrefixList, modify(func(in *nouns.ModifyManagedPrefixListRequest) {
		in.Name, in.RemoveEntries = "sites", []nouns.RemovedEntry{{CIDR: "10.1.0.0/16"}}
	})).List
	if changed.Version != 2 || changed.State != "modify-complete" || changed.Name != "sites" ||
		entries(nil) != "10.2.0.0/16two 10.3.0.0/16 " || entries(&one) != "10.1.0.0/16 10.2.0.0/16two " {
		t.Errorf("%+v with %s, before %s", changed, entries(nil), entries(&one))
	}
	restore := nouns.RestoreManagedPrefixListVersionRequest{ID: made.ID, PreviousVersion: 1, CurrentVersion: 2}
	if restored := must(w, w.RestoreManagedPrefixListVersion, restore).List; restored.Version != 3 ||
		restored.State != "restore-complete" || entries(nil) != entries(&one) {
		t.Errorf("%+v with %s", restored, entries(nil))
	}
	refused(w, w.RestoreManagedPrefixListVersion, restore, "PrefixListVersionMismatch")

	group := w.group(w.vpc("10.0.0.0/16"), "web")
	rule := nouns.PermissionsRequest{GroupID: group,
		Permissions: []nouns.IPPermission{{Protocol: "-1", PrefixLists: nouns.Set[nouns.PermittedList]{{ID: made.ID}}}}}
	must(w, w.AuthorizeSecurityGroupIngress, rule)
	if users := must(w, w.GetManagedPrefixListAssociations,
		nouns.GetManagedPrefixListAssociationsRequest{ID: made.ID}).Associations; len(users) != 1 ||
		users[0].ResourceID != group {
		t.Errorf("named by %+v", users)
	}
	resize := func(size *int32) nouns.ModifyManagedPrefixListRequest {
		return nouns.ModifyManagedPrefixListRequest{ID: made.ID, MaxEntries: size}
	}
	refused(w, w.ModifyManagedPrefixList, resize(&large), "RulesPerSecurityGroupLimitExceeded")
	if got := must(w, w.ModifyManagedPrefixList, resize(&size)).List; got.MaxEntries != 4 || got.Version != 3 {
		t.Errorf("%+v", got)
	}
	refused(w, w.DeleteManagedPrefixList, nouns.DeleteManagedPrefixListRequest{ID: made.ID}, "DependencyViolation")
	must(w, w.RevokeSecurityGroupIngress, nouns.RevokedPermissionsRequest{PermissionsRequest: rule})
	if gone := must(w, w.DeleteManagedPrefixList,
		nouns.DeleteManagedPrefixListRequest{ID: made.ID}).List; gone.State != "delete-complete" {
		t.Errorf("%+v", gone)
	}
	refused(w, w.GetManagedPrefixListEntries, nouns.GetPrefixListEntriesRequest{ID: made.ID, TargetVersion: &one},
		"InvalidPrefixListID.NotFound")
}

func TestPrefixListsOfAWS(t *testing.T) {
	w := newWorld(t)
	own := must(w, w.CreateManagedPrefixList, nouns.CreateManagedPrefixListRequest{Name: "six", Family: "IPv6",
		MaxEntries: 1}).List
	all := must(w, w.DescribeManagedPrefixLists, nouns.DescribePrefixListsRequest{}).Lists
	ofAWS := must(w, w.DescribeManagedPrefixLists,
		nouns.DescribePrefixListsRequest{Filters: []nouns.Filter{{Name: "owner-id", Values: []string{"AWS"}}}}).Lists
	if len(all) != 3 || len(ofAWS) != 2 || ofAWS[0].MaxEntries != 0 {
		t.Fatalf("%+v, of AWS %+v", all, ofAWS)
	}
	if page := must(w, w.DescribeManagedPrefixLists,
		nouns.DescribePrefixListsRequest{Page: nouns.Page{MaxResults: 2}}); len(page.Lists) != 2 || page.NextToken == "" {
		t.Errorf("%+v", page)
	}
	one := int64(1)
	for _, list := range ofAWS {
		refused(w, w.DeleteManagedPrefixList, nouns.DeleteManagedPrefixListRequest{ID: list.ID}, "OperationNotPermitted")
		refused(w, w.ModifyManagedPrefixList, nouns.ModifyManagedPrefixListRequest{ID: list.ID, Name: "x"},
			"OperationNotPermitted")
		refused(w, w.GetManagedPrefixListAssociations, nouns.GetManagedPrefixListAssociationsRequest{ID: list.ID},
			"OperationNotPermitted")
		must(w, w.GetManagedPrefixListEntries, nouns.GetPrefixListEntriesRequest{ID: list.ID, TargetVersion: &one})
	}
	w.caller = root("200000000002")
	refused(w, w.GetManagedPrefixListEntries, nouns.GetPrefixListEntriesRequest{ID: own.ID},
		"InvalidPrefixListID.NotFound")
}
