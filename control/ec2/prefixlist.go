package ec2

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"pergola/aws"
	"pergola/aws/ec2"
	"pergola/control/resource"
	"pergola/lattice"
	"pergola/store"
)

const familyIPv6 = "IPv6"

// maxVersions is how many versions of a prefix list can be had (VPC user guide, "Amazon VPC quotas").
const maxVersions = 1000

// versions are the entries of prefix lists in each version, by versionKey. The list itself has the newest ones.
var versions = store.NewKind[ec2.PrefixListVersion]("prefixlistversion")

func versionKey(list string, version int64) string { return fmt.Sprintf("%s/%019d", list, version) }

// latticeList is a prefix list that every account has, or nil.
func (c *Control) latticeList(id string) *ec2.PrefixList {
	for _, list := range ec2.LatticePrefixLists(c.Region) {
		if list.ID == id {
			return &list
		}
	}
	return nil
}

// prefixList reads a prefix list that an operation refers to.
func (op *call) prefixList(id string) (*ec2.PrefixList, error) {
	if list := op.latticeList(id); list != nil {
		return list, nil
	}
	return prefixLists.read(op, id)
}

// ownList finds the prefix list that an operation changes, or that its owner alone may ask about.
func (op *call) ownList(id string) (*ec2.PrefixList, error) {
	if op.latticeList(id) == nil {
		return prefixLists.find(op, id)
	}
	if err := op.May(prefixLists.arn(op, id), nil); err != nil {
		return nil, err
	}
	return nil, aws.Errorf("OperationNotPermitted", "The prefix list '%s' is AWS's; make one of your own to change it", id)
}

// DescribePrefixLists lists the prefix lists of AWS's services; VPC Lattice has two.
func (op *call) DescribePrefixLists(in *ec2.DescribePrefixListsRequest) (*ec2.DescribePrefixListsResponse, error) {
	page, next, err := pickLists(ec2.LatticePrefixLists(op.Region), in)
	answer := &ec2.DescribePrefixListsResponse{NextToken: next}
	for _, list := range page {
		described := ec2.PrefixListDescription{ID: list.ID, Name: list.Name}
		for _, entry := range list.Entries {
			described.CIDRs = append(described.CIDRs, entry.CIDR)
		}
		answer.Lists = append(answer.Lists, described)
	}
	return answer, err
}

// DescribeManagedPrefixLists lists the prefix lists of AWS's services and those of the caller's account.
func (op *call) DescribeManagedPrefixLists(
	in *ec2.DescribePrefixListsRequest) (*ec2.DescribeManagedPrefixListsResponse, error) {
	own, err := prefixLists.own(op)
	if err != nil {
		return nil, err
	}
	all := ec2.LatticePrefixLists(op.Region)
	for _, list := range own {
		all = append(all, *list)
	}
	page, next, err := pickLists(all, in)
	answer := &ec2.DescribeManagedPrefixListsResponse{NextToken: next}
	for _, list := range page {
		answer.Lists = append(answer.Lists, op.describeList(&list))
	}
	return answer, err
}

func pickLists(all []ec2.PrefixList, in *ec2.DescribePrefixListsRequest) ([]ec2.PrefixList, string, error) {
	picked, err := listing[ec2.PrefixList]{noPrefixList,
		func(l ec2.PrefixList) string { return l.ID },
		func(l ec2.PrefixList) map[string][]string {
			return withTags(map[string][]string{"prefix-list-id": {l.ID}, "prefix-list-name": {l.Name},
				"owner-id": {l.Account}}, l.Tags)
		}}.pick(all, in.IDs, in.Filters)
	page, next := pageOf(picked, in.Page, func(l ec2.PrefixList) string { return l.ID })
	return page, next, err
}

func noPrefixList(id string) error {
	ref := prefixLists.ref(id)
	if ref.Malformed != nil {
		return ref.Malformed
	}
	return prefixLists.Missing(ref)
}

// describeList describes a prefix list. Those of AWS do not tell how many entries they may have.
func (op *call) describeList(l *ec2.PrefixList) ec2.ManagedPrefixList {
	d := ec2.ManagedPrefixList{ID: l.ID, ARN: prefixLists.arn(op, l.ID), Name: l.Name, Family: l.Family,
		MaxEntries: l.MaxEntries, State: l.State, Version: l.Version, OwnerID: l.Account, Tags: sortedTags(l.Tags)}
	if l.Account == ec2.OwnerAWS {
		of := lattice.ARN{Service: "ec2", Region: op.Region, Account: "aws", Resource: "prefix-list/" + l.ID}
		d.ARN, d.MaxEntries = of.String(), 0
	}
	return d
}

// GetManagedPrefixListEntries lists what a prefix list has, or had in an earlier version.
func (op *call) GetManagedPrefixListEntries(
	in *ec2.GetPrefixListEntriesRequest) (*ec2.GetPrefixListEntriesResponse, error) {
	list := op.latticeList(in.ID)
	var err error
	if list == nil {
		list, err = prefixLists.find(op, in.ID)
	} else {
		err = op.May(prefixLists.arn(op, in.ID), nil)
	}
	if err != nil {
		return nil, err
	}
	entries := list.Entries
	if in.TargetVersion != nil && *in.TargetVersion != list.Version {
		if entries, err = op.version(list, *in.TargetVersion); err != nil {
			return nil, err
		}
	}
	page, next := pageOf(entries, in.Page, func(e ec2.PrefixListEntry) string { return e.CIDR })
	return &ec2.GetPrefixListEntriesResponse{Entries: page, NextToken: next}, nil
}

// version reads the entries that a prefix list had in a version.
func (op *call) version(l *ec2.PrefixList, number int64) ([]ec2.PrefixListEntry, error) {
	of, err := versions.Get(op.Tx, versionKey(l.ID, number))
	if errors.Is(err, store.ErrNotFound) {
		return nil, aws.Errorf("InvalidParameterValue", "The prefix list '%s' has no version %d; its newest is %d, and "+
			"%d are kept", l.ID, number, l.Version, maxVersions)
	}
	return of.Entries, err
}

// GetManagedPrefixListAssociations lists the security groups that name a prefix list in their rules.
func (op *call) GetManagedPrefixListAssociations(
	in *ec2.GetManagedPrefixListAssociationsRequest) (*ec2.GetManagedPrefixListAssociationsResponse, error) {
	list, err := op.ownList(in.ID)
	if err != nil {
		return nil, err
	}
	referrers, _, err := references.List(op.Tx, list.ID+"/", "", 0)
	if err != nil {
		return nil, err
	}
	var all []ec2.PrefixListAssociation
	for _, referrer := range referrers {
		all = append(all, ec2.PrefixListAssociation{ResourceID: lattice.IDOf(referrer.ID), ResourceOwner: list.Account})
	}
	page, next := pageOf(all, in.Page, func(a ec2.PrefixListAssociation) string { return a.ResourceID })
	return &ec2.GetManagedPrefixListAssociationsResponse{Associations: page, NextToken: next}, nil
}

// CreateManagedPrefixList makes a prefix list, which is complete at once.
func (op *call) CreateManagedPrefixList(
	in *ec2.CreateManagedPrefixListRequest) (*ec2.ManagedPrefixListResponse, error) {
	if err := checkListName(in.Name); err != nil {
		return nil, err
	}
	order := resource.Order{Token: in.ClientToken, Request: in}
	list, err := prefixLists.order(op, order, in.TagSpecification, func(tags map[string]string) (*ec2.PrefixList, error) {
		list := &ec2.PrefixList{ID: op.newID(prefixLists.prefix), Account: op.Account, Name: in.Name, Family: in.Family,
			MaxEntries: in.MaxEntries, State: "create-complete", Tags: tags, ClientToken: in.ClientToken}
		entries, err := changed(list, in.Entries, nil)
		if err != nil {
			return nil, err
		}
		if err := op.roomFor(ec2.QuotaPrefixLists, prefixLists.Count, 1); err != nil {
			return nil, err
		}
		return list, op.advance(list, entries)
	})
	if err != nil {
		return nil, err
	}
	return &ec2.ManagedPrefixListResponse{List: op.describeList(list)}, nil
}

func checkListName(name string) error {
	if strings.HasPrefix(name, "com.amazonaws") {
		return aws.Errorf("InvalidParameterValue",
			"The prefix list name '%s' is invalid: names that begin with com.amazonaws are AWS's", name)
	}
	return nil
}

// advance gives a prefix list its next version, and forgets the oldest of more than are kept.
func (op *call) advance(l *ec2.PrefixList, entries []ec2.PrefixListEntry) error {
	if len(entries) > int(l.MaxEntries) {
		return aws.Errorf("PrefixListMaxEntriesExceeded",
			"The prefix list may have %d entries, and would have %d; raise MaxEntries first", l.MaxEntries,
			len(entries))
	}
	l.Version, l.Entries = l.Version+1, entries
	versions.Delete(op.Tx, versionKey(l.ID, l.Version-maxVersions))
	return versions.Put(op.Tx, versionKey(l.ID, l.Version), ec2.PrefixListVersion{Entries: entries})
}

// changed are the entries of a prefix list after a change, in order of address. An entry that is there already gets the
// description that it is added with.
func changed(l *ec2.PrefixList, added []ec2.AddedEntry, removed []ec2.RemovedEntry) ([]ec2.PrefixListEntry, error) {
	family := netip.Addr.Is4
	if l.Family == familyIPv6 {
		family = netip.Addr.Is6
	}
	entries, seen := map[netip.Prefix]ec2.PrefixListEntry{}, map[netip.Prefix]bool{}
	for _, entry := range l.Entries {
		entries[netip.MustParsePrefix(entry.CIDR)] = entry
	}
	block := func(cidr string) (netip.Prefix, error) {
		prefix, err := blockOf(cidr, family)
		if err == nil && seen[prefix] {
			err = aws.Errorf("InvalidPrefixListModification", "The entry %s is in the request twice", cidr)
		}
		seen[prefix] = true
		return prefix, err
	}
	for _, entry := range removed {
		prefix, err := block(entry.CIDR)
		if err != nil {
			return nil, err
		}
		if _, ok := entries[prefix]; !ok {
			return nil, aws.Errorf("InvalidPrefixListModification", "The prefix list '%s' has no entry %s to remove", l.ID,
				entry.CIDR)
		}
		delete(entries, prefix)
	}
	for _, entry := range added {
		prefix, err := block(entry.CIDR)
		if err != nil {
			return nil, err
		}
		entries[prefix] = ec2.PrefixListEntry{CIDR: prefix.String(), Description: entry.Description}
	}
	var all []ec2.PrefixListEntry
	for _, prefix := range slices.SortedFunc(maps.Keys(entries), netip.Prefix.Compare) {
		all = append(all, entries[prefix])
	}
	return all, nil
}

// ModifyManagedPrefixList changes the name of a prefix list, its entries, which is a new version, or how many it may
// have.
func (op *call) ModifyManagedPrefixList(
	in *ec2.ModifyManagedPrefixListRequest) (*ec2.ManagedPrefixListResponse, error) {
	changes := len(in.AddEntries)+len(in.RemoveEntries) > 0
	switch {
	case changes && in.MaxEntries != nil:
		return nil, aws.Errorf("InvalidParameterCombination", "The entries and the size of a prefix list cannot be "+
			"modified at the same time; leave out MaxEntries")
	case changes && in.CurrentVersion == nil:
		return nil, aws.Errorf("MissingParameter", "The request must contain the parameter CurrentVersion to change entries")
	}
	if err := checkListName(in.Name); err != nil {
		return nil, err
	}
	list, err := op.ownList(in.ID)
	if err != nil {
		return nil, err
	}
	if in.CurrentVersion != nil {
		if err := isCurrent(list, *in.CurrentVersion); err != nil {
			return nil, err
		}
	}
	list.State = "modify-complete"
	if in.Name != "" {
		list.Name = in.Name
	}
	if changes {
		entries, err := changed(list, in.AddEntries, in.RemoveEntries)
		if err != nil {
			return nil, err
		}
		if err := op.advance(list, entries); err != nil {
			return nil, err
		}
	}
	return op.resized(list, in.MaxEntries)
}

// resized writes a prefix list, of a new size unless that is nil, for which all that name it must have room.
func (op *call) resized(l *ec2.PrefixList, size *int32) (*ec2.ManagedPrefixListResponse, error) {
	answer := func() *ec2.ManagedPrefixListResponse {
		return &ec2.ManagedPrefixListResponse{List: op.describeList(l)}
	}
	if size == nil {
		return answer(), prefixLists.Put(op.Call, l)
	}
	if int(*size) < len(l.Entries) {
		return nil, aws.Errorf("PrefixListMaxEntriesExceeded", "The prefix list '%s' has %d entries, which are more than "+
			"%d; remove some first", l.ID, len(l.Entries), *size)
	}
	l.MaxEntries = *size
	if err := prefixLists.Put(op.Call, l); err != nil {
		return nil, err
	}
	referrers, _, err := references.List(op.Tx, l.ID+"/", "", 0)
	if err != nil {
		return nil, err
	}
	for _, referrer := range referrers {
		group, err := groups.read(op, lattice.IDOf(referrer.ID))
		if err != nil {
			return nil, err
		}
		for _, permissions := range [][]ec2.Permission{group.Ingress, group.Egress} {
			if err := op.roomForRules(permissions); err != nil {
				return nil, err
			}
		}
	}
	return answer(), nil
}

// isCurrent refuses a change of another version than the newest.
func isCurrent(l *ec2.PrefixList, version int64) error {
	if version != l.Version {
		return aws.Errorf("PrefixListVersionMismatch", "The prefix list has the incorrect version number: '%s' is at %d",
			l.ID, l.Version)
	}
	return nil
}

// RestoreManagedPrefixListVersion makes the entries of an earlier version those of a new one.
func (op *call) RestoreManagedPrefixListVersion(
	in *ec2.RestoreManagedPrefixListVersionRequest) (*ec2.ManagedPrefixListResponse, error) {
	list, err := op.ownList(in.ID)
	if err != nil {
		return nil, err
	}
	if err := isCurrent(list, in.CurrentVersion); err != nil {
		return nil, err
	}
	entries, err := op.version(list, in.PreviousVersion)
	if err != nil {
		return nil, err
	}
	list.State = "restore-complete"
	if err := op.advance(list, entries); err != nil {
		return nil, err
	}
	return op.resized(list, nil)
}

// DeleteManagedPrefixList deletes a prefix list that no security group names, with all versions.
func (op *call) DeleteManagedPrefixList(
	in *ec2.DeleteManagedPrefixListRequest) (*ec2.ManagedPrefixListResponse, error) {
	list, err := op.ownList(in.ID)
	if err != nil {
		return nil, err
	}
	if err := prefixLists.remove(op, "The prefix list '%s' has dependencies and cannot be deleted", list); err != nil {
		return nil, err
	}
	list.State = "delete-complete"
	return &ec2.ManagedPrefixListResponse{List: op.describeList(list)}, versions.DeletePrefix(op.Tx, list.ID+"/")
}
