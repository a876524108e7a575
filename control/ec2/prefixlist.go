package ec2

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"pergola/addressing"
	"pergola/aws"
	"pergola/aws/ec2"
	"pergola/lattice"
)

// prefixListWeight is how many rules of a security group a prefix list of VPC Lattice counts as (VPC user guide,
// "AWS-managed prefix lists").
const prefixListWeight = 10

// prefixLists are those that every account has: of the addresses at which VPC Lattice is reached. There are no others.
// Nothing but the region says which they are.
func (c *Control) prefixLists() []ec2.PrefixList {
	lists := []ec2.PrefixList{
		{Name: "com.amazonaws." + c.Region + ".vpc-lattice", Family: "IPv4",
			CIDRs: ec2.Set[string]{addressing.ServiceNetworks.String()}},
		{Name: "com.amazonaws." + c.Region + ".ipv6.vpc-lattice", Family: "IPv6",
			CIDRs: ec2.Set[string]{addressing.ServiceNetworks6.String()}},
	}
	for i := range lists {
		digits := sha256.Sum256([]byte(lists[i].Name))
		lists[i].ID = "pl-" + hex.EncodeToString(digits[:])[:17]
	}
	return lists
}

// prefixList finds a prefix list.
func (op *call) prefixList(id string) (ec2.PrefixList, error) {
	all := op.prefixLists()
	i := slices.IndexFunc(all, func(l ec2.PrefixList) bool { return l.ID == id })
	switch {
	case !strings.HasPrefix(id, "pl-"):
		return ec2.PrefixList{}, aws.Errorf("InvalidPrefixListID.Malformed", "Invalid id: '%s' (expecting 'pl-...')", id)
	case i < 0:
		return ec2.PrefixList{}, aws.Errorf("InvalidPrefixListID.NotFound", "The prefix list ID '%s' does not exist", id)
	}
	return all[i], nil
}

// DescribePrefixLists lists the prefix lists of AWS's services; VPC Lattice has two.
func (op *call) DescribePrefixLists(in *ec2.DescribePrefixListsRequest) (*ec2.DescribePrefixListsResponse, error) {
	picked, err := prefixLists.pick(op.prefixLists(), in.IDs, in.Filters)
	answer := &ec2.DescribePrefixListsResponse{}
	for _, list := range picked {
		answer.Lists = append(answer.Lists, ec2.PrefixListDescription{ID: list.ID, Name: list.Name, CIDRs: list.CIDRs})
	}
	return answer, err
}

// DescribeManagedPrefixLists lists the same lists, as managed prefix lists.
func (op *call) DescribeManagedPrefixLists(
	in *ec2.DescribePrefixListsRequest) (*ec2.DescribeManagedPrefixListsResponse, error) {
	picked, err := prefixLists.pick(op.prefixLists(), in.IDs, in.Filters)
	answer := &ec2.DescribeManagedPrefixListsResponse{}
	for _, list := range picked {
		answer.Lists = append(answer.Lists, ec2.ManagedPrefixList{
			ID: list.ID, Name: list.Name, Family: list.Family, State: "create-complete", OwnerID: "AWS", Version: 1,
			ARN: lattice.ARN{Service: "ec2", Region: op.Region, Account: "aws", Resource: "prefix-list/" + list.ID}.String(),
		})
	}
	return answer, err
}

// GetManagedPrefixListEntries lists what a prefix list has.
func (op *call) GetManagedPrefixListEntries(
	in *ec2.GetPrefixListEntriesRequest) (*ec2.GetPrefixListEntriesResponse, error) {
	if err := op.May(op.arn("prefix-list/"+in.ID), nil); err != nil {
		return nil, err
	}
	list, err := op.prefixList(in.ID)
	answer := &ec2.GetPrefixListEntriesResponse{}
	for _, cidr := range list.CIDRs {
		answer.Entries = append(answer.Entries, ec2.PrefixListEntry{CIDR: cidr})
	}
	return answer, err
}

var prefixLists = listing[ec2.PrefixList]{noID("InvalidPrefixListID.NotFound"),
	func(l ec2.PrefixList) string { return l.ID },
	func(l ec2.PrefixList) map[string][]string {
		return map[string][]string{"prefix-list-id": {l.ID}, "prefix-list-name": {l.Name}, "owner-id": {"AWS"}}
	}}
