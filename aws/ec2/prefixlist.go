package ec2

// PrefixList is a list of ranges of addresses that goes by one id.
type PrefixList struct {
	// ID is pl- and 17 hexadecimal digits.
	ID, Name string
	// Family is IPv4 or IPv6.
	Family string
	CIDRs  Set[string]
}

type DescribePrefixListsRequest struct {
	IDs     []string `query:"PrefixListId"`
	Filters []Filter `query:"Filter"`
}

type DescribePrefixListsResponse struct {
	Lists Set[PrefixListDescription] `xml:"prefixListSet"`
}

// PrefixListDescription is a list of a service as callers see it.
type PrefixListDescription struct {
	ID    string      `xml:"prefixListId"`
	Name  string      `xml:"prefixListName"`
	CIDRs Set[string] `xml:"cidrSet"`
}

type DescribeManagedPrefixListsResponse struct {
	Lists Set[ManagedPrefixList] `xml:"prefixListSet"`
}

// ManagedPrefixList is a list as callers see it. Those of AWS do not tell how many entries they may have.
type ManagedPrefixList struct {
	ID      string   `xml:"prefixListId"`
	ARN     string   `xml:"prefixListArn"`
	Name    string   `xml:"prefixListName"`
	Family  string   `xml:"addressFamily"`
	State   string   `xml:"state"`
	Version int64    `xml:"version"`
	OwnerID string   `xml:"ownerId"`
	Tags    Set[Tag] `xml:"tagSet"`
}

type GetPrefixListEntriesRequest struct {
	ID string `query:"PrefixListId" check:"required"`
}

type GetPrefixListEntriesResponse struct {
	Entries Set[PrefixListEntry] `xml:"entrySet"`
}

// PrefixListEntry is one range of a list.
type PrefixListEntry struct {
	CIDR string `xml:"cidr"`
}
