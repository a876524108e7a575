package ec2

// PrefixList is a list of ranges of addresses that goes by one id.
type PrefixList struct {
	// ID is pl- and 17 hexadecimal digits.
	ID, Name string
	// Family is IPv4 or IPv6.
	Family string
	CIDRs  Set[string]
}
