package ec2

import (
	"crypto/sha256"
	"encoding/hex"

	"pergola/addressing"
)

// PrefixList is a list of ranges of addresses that goes by one id.
type PrefixList struct {
	// ID is pl- and 17 hexadecimal digits.
	ID string `json:"id"`
	// Account is AWS for those that every account has.
	Account string `json:"account"`
	Name    string `json:"name"`
	// Family is IPv4 or IPv6.
	Family string `json:"family"`
	// MaxEntries is how many entries it may have, and how many rules it counts as where it is the peer of one.
	MaxEntries int32 `json:"maxEntries"`
	// Version grows by one with each change of the entries, from 1.
	Version     int64             `json:"version"`
	Entries     []PrefixListEntry `json:"entries,omitempty"`
	State       string            `json:"state"`
	Tags        map[string]string `json:"tags,omitempty"`
	ClientToken string            `json:"clientToken,omitempty"`
}

// PrefixListVersion is what a prefix list had in one version.
type PrefixListVersion struct {
	Entries []PrefixListEntry `json:"entries,omitempty"`
}

// OwnerAWS is the account of the prefix lists that every account has.
const OwnerAWS = "AWS"

// latticeWeight is how many rules of a security group a prefix list of VPC Lattice counts as (VPC user guide,
// "AWS-managed prefix lists").
const latticeWeight = 10

// LatticePrefixLists are the prefix lists that every account has: of the addresses at which VPC Lattice is reached.
// Nothing but the region says which they are.
func LatticePrefixLists(region string) []PrefixList {
	lists := []PrefixList{
		{Name: "com.amazonaws." + region + ".vpc-lattice", Family: "IPv4",
			Entries: []PrefixListEntry{{CIDR: addressing.ServiceNetworks.String()}}},
		{Name: "com.amazonaws." + region + ".ipv6.vpc-lattice", Family: "IPv6",
			Entries: []PrefixListEntry{{CIDR: addressing.ServiceNetworks6.String()}}},
	}
	for i := range lists {
		digits := sha256.Sum256([]byte(lists[i].Name))
		lists[i].ID = "pl-" + hex.EncodeToString(digits[:])[:17]
		lists[i].Account, lists[i].MaxEntries, lists[i].Version, lists[i].State = OwnerAWS, latticeWeight, 1,
			"create-complete"
	}
	return lists
}
