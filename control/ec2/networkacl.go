package ec2

import (
	"cmp"
	"errors"
	"net/netip"
	"slices"
	"strconv"

	"pergola/aws"
	"pergola/aws/ec2"
	"pergola/control/operation"
	"pergola/control/ownership"
	"pergola/control/resource"
	"pergola/store"
)

// lastACLEntry is the number of the entry that ends every network ACL and denies what none before it has decided.
// Nothing keeps it: it cannot be changed.
const lastACLEntry = 32767

// holdsOfACL is the reference to the VPC. The default one does not keep its VPC from being deleted.
func holdsOfACL(a *ec2.ACL) []resource.Hold {
	if a.Default {
		return nil
	}
	return refersTo(a.ID, a.VPC)
}

// defaultACL makes the network ACL that lets everything pass (VPC user guide, "Default network ACL for a VPC").
func defaultACL(vpc *ec2.VPC) *ec2.ACL {
	all := []ec2.ACLEntry{{Number: 100, Protocol: anyProtocol, Allow: true,
		CIDR: netip.PrefixFrom(netip.IPv4Unspecified(), 0), FromPort: -1, ToPort: -1}}
	return &ec2.ACL{ID: ec2.DefaultACL(vpc.ID), Account: vpc.Account, VPC: vpc.ID, Default: true,
		Ingress: all, Egress: slices.Clone(all)}
}

// completeACLs makes the default network ACLs of VPCs that are older than the store's keeping them, once.
var completeACLs = ownership.Once(references, "network-acl/complete",
	ownership.Each(vpcs.Objects, func(tx *store.Tx, vpc *ec2.VPC) error {
		acl := defaultACL(vpc)
		_, err := acls.Objects.Get(tx, acl.ID)
		if errors.Is(err, store.ErrNotFound) {
			return acls.Add(operation.Within(tx, vpc.Account), acl)
		}
		return err
	}))

func (op *call) deleteDefaultACL(vpc *ec2.VPC) error {
	acl, err := acls.read(op, ec2.DefaultACL(vpc.ID))
	if err != nil {
		return err
	}
	acls.Delete(op.Tx, acl)
	return nil
}

// CreateNetworkACL makes a network ACL of a VPC. It denies everything, and no subnet has it.
func (op *call) CreateNetworkACL(in *ec2.CreateNetworkACLRequest) (*ec2.CreateNetworkACLResponse, error) {
	order := resource.Order{Token: in.ClientToken, Request: in}
	acl, err := acls.order(op, order, in.TagSpecification, func(tags map[string]string) (*ec2.ACL, error) {
		vpc, err := vpcs.find(op, in.VPCID)
		if err != nil {
			return nil, err
		}
		inVPC := func(tx *store.Tx, _ string) (int, error) { return references.Count(tx, vpc.ID+"/"+acls.prefix) }
		const byDefault, more = 1, 1
		return &ec2.ACL{ID: op.newID(acls.prefix), Account: op.Account, VPC: vpc.ID, Tags: tags,
			ClientToken: in.ClientToken}, op.roomFor(ec2.QuotaNetworkACLs, inVPC, byDefault+more)
	})
	if err != nil {
		return nil, err
	}
	return &ec2.CreateNetworkACLResponse{ACL: describeACL(acl, nil), ClientToken: in.ClientToken}, nil
}

// DeleteNetworkACL deletes a network ACL that no subnet has.
func (op *call) DeleteNetworkACL(in *ec2.DeleteNetworkACLRequest) (*ec2.Done, error) {
	acl, err := acls.find(op, in.ACLID)
	if err != nil {
		return nil, err
	}
	if acl.Default {
		return nil, aws.Errorf("InvalidParameterValue",
			"cannot delete default network ACL %s; it goes with its VPC %s", acl.ID, acl.VPC)
	}
	return done(), acls.remove(op, "The network ACL '%s' has dependencies and cannot be deleted", acl)
}

// entriesOf are the entries of one direction.
func entriesOf(a *ec2.ACL, isEgress bool) *[]ec2.ACLEntry {
	if isEgress {
		return &a.Egress
	}
	return &a.Ingress
}

// position finds the entry with a number, or where it would be.
func position(entries []ec2.ACLEntry, number int32) (int, bool) {
	return slices.BinarySearchFunc(entries, number,
		func(e ec2.ACLEntry, number int32) int { return cmp.Compare(e.Number, number) })
}

func noEntry(acl *ec2.ACL, number int32, isEgress bool) error {
	way := "ingress"
	if isEgress {
		way = "egress"
	}
	return aws.Errorf("InvalidNetworkAclEntry.NotFound",
		"The network acl entry identified by %d does not exist: %s has no such %s entry", number, acl.ID, way)
}

// CreateNetworkACLEntry adds an entry under a number that no other entry of its direction has.
func (op *call) CreateNetworkACLEntry(in *ec2.NetworkACLEntryRequest) (*ec2.Done, error) {
	entry, err := readEntry(in)
	if err != nil {
		return nil, err
	}
	acl, err := acls.find(op, in.ACLID)
	if err != nil {
		return nil, err
	}
	entries := entriesOf(acl, in.IsEgress)
	at, taken := position(*entries, in.Number)
	if taken {
		return nil, aws.Errorf("NetworkAclEntryAlreadyExists", "The network acl entry identified by %d already exists.",
			in.Number)
	}
	*entries = slices.Insert(*entries, at, entry)
	return done(), cmp.Or(op.roomForEntries(*entries), acls.Put(op.Call, acl))
}

// roomForEntries counts the entries of each family apart (VPC user guide, "Amazon VPC quotas").
func (op *call) roomForEntries(entries []ec2.ACLEntry) error {
	ofIPv4 := 0
	for _, entry := range entries {
		if entry.CIDR.Addr().Is4() {
			ofIPv4++
		}
	}
	return op.Quotas.Room(ec2.QuotaACLEntries, max(ofIPv4, len(entries)-ofIPv4))
}

// ReplaceNetworkACLEntry puts an entry in the place of the one with its number.
func (op *call) ReplaceNetworkACLEntry(in *ec2.NetworkACLEntryRequest) (*ec2.Done, error) {
	entry, err := readEntry(in)
	if err != nil {
		return nil, err
	}
	acl, err := acls.find(op, in.ACLID)
	if err != nil {
		return nil, err
	}
	entries := entriesOf(acl, in.IsEgress)
	at, ok := position(*entries, in.Number)
	if !ok {
		return nil, noEntry(acl, in.Number, in.IsEgress)
	}
	(*entries)[at] = entry
	return done(), cmp.Or(op.roomForEntries(*entries), acls.Put(op.Call, acl))
}

// DeleteNetworkACLEntry takes an entry away.
func (op *call) DeleteNetworkACLEntry(in *ec2.DeleteNetworkACLEntryRequest) (*ec2.Done, error) {
	acl, err := acls.find(op, in.ACLID)
	if err != nil {
		return nil, err
	}
	entries := entriesOf(acl, in.IsEgress)
	at, ok := position(*entries, in.Number)
	if !ok {
		return nil, noEntry(acl, in.Number, in.IsEgress)
	}
	*entries = slices.Delete(*entries, at, at+1)
	return done(), acls.Put(op.Call, acl)
}

// The numbers of the protocols that have ports, or types and codes.
const (
	numberICMP   = "1"
	numberTCP    = "6"
	numberUDP    = "17"
	numberICMPv6 = "58"
)

// protocolNumber spells a protocol as network ACLs do, by its number.
func protocolNumber(s string) (string, error) {
	for number, name := range map[string]string{anyProtocol: "all", numberICMP: "icmp", numberTCP: "tcp",
		numberUDP: "udp", numberICMPv6: "icmpv6"} {
		if s == name {
			return number, nil
		}
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < -1 || n > 255 {
		return "", aws.Errorf("InvalidParameterValue", "Invalid value '%s' for IP protocol; use a number from 0 to 255, "+
			"or -1 for all", s)
	}
	return strconv.Itoa(n), nil
}

// readEntry checks an entry. Protocols without ports ignore what is said of ports (API reference,
// CreateNetworkAclEntry).
func readEntry(in *ec2.NetworkACLEntryRequest) (ec2.ACLEntry, error) {
	entry := ec2.ACLEntry{Number: in.Number, Allow: in.Action == "allow", FromPort: -1, ToPort: -1}
	var err error
	if entry.Protocol, err = protocolNumber(in.Protocol); err != nil {
		return entry, err
	}
	switch {
	case in.CIDR != "" && in.CIDR6 != "":
		return entry, aws.Errorf("InvalidParameterCombination", "An entry has either CidrBlock or Ipv6CidrBlock, not both")
	case in.CIDR6 != "":
		entry.CIDR, err = blockOf(in.CIDR6, netip.Addr.Is6)
	case in.CIDR != "":
		entry.CIDR, err = blockOf(in.CIDR, netip.Addr.Is4)
	default:
		return entry, aws.Errorf("MissingParameter", "The request must contain the parameter CidrBlock or Ipv6CidrBlock")
	}
	if err != nil {
		return entry, err
	}
	switch entry.Protocol {
	case numberTCP, numberUDP:
		return entry, readPorts(&entry, in.PortRange)
	case numberICMP:
		return entry, readICMP(&entry, in.ICMP)
	case numberICMPv6:
		if in.ICMP != nil || in.CIDR6 != "" {
			return entry, readICMP(&entry, in.ICMP)
		}
	}
	return entry, nil
}

func readPorts(entry *ec2.ACLEntry, ports *ec2.NetworkPortRange) error {
	switch {
	case ports == nil:
		return aws.Errorf("MissingParameter",
			"The request must contain the parameter PortRange, with From and To, for TCP and UDP")
	case ports.To < ports.From:
		return aws.Errorf("InvalidParameterValue", "Invalid TCP/UDP port range (%d:%d)", ports.From, ports.To)
	}
	entry.FromPort, entry.ToPort = ports.From, ports.To
	return nil
}

func readICMP(entry *ec2.ACLEntry, of *ec2.ICMPTypeCode) error {
	switch {
	case of == nil:
		return aws.Errorf("MissingParameter", "The request must contain the parameter Icmp, with Type and Code, for ICMP")
	case of.Type == -1 && of.Code != -1:
		return aws.Errorf("InvalidParameterValue", "ICMP code (%d) must be -1 where the type is -1, which is any", of.Code)
	}
	entry.FromPort, entry.ToPort = of.Type, of.Code
	return nil
}

// ReplaceNetworkACLAssociation gives a subnet another network ACL of its VPC.
func (op *call) ReplaceNetworkACLAssociation(
	in *ec2.ReplaceNetworkACLAssociationRequest) (*ec2.ReplaceNetworkACLAssociationResponse, error) {
	acl, err := acls.find(op, in.ACLID)
	if err != nil {
		return nil, err
	}
	all, err := subnets.own(op)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(s *ec2.Subnet) bool { return s.NetworkACLAssociation() == in.AssociationID })
	if i < 0 {
		return nil, aws.Errorf("InvalidAssociationID.NotFound", "The association ID '%s' does not exist", in.AssociationID)
	}
	subnet, err := subnets.find(op, all[i].ID)
	if err != nil {
		return nil, err
	}
	if subnet.VPC != acl.VPC {
		return nil, aws.Errorf("InvalidParameterValue", "The network ACL %s and the subnet %s belong to different "+
			"networks: %s and %s", acl.ID, subnet.ID, acl.VPC, subnet.VPC)
	}
	subnet.ACLAssociation = op.newID("aclassoc-")
	if subnet.ACL = acl.ID; acl.Default {
		subnet.ACL = ""
	}
	return &ec2.ReplaceNetworkACLAssociationResponse{NewAssociationID: subnet.ACLAssociation},
		subnets.Put(op.Call, subnet)
}

// DescribeNetworkACLs lists network ACLs.
func (op *call) DescribeNetworkACLs(in *ec2.DescribeNetworkACLsRequest) (*ec2.DescribeNetworkACLsResponse, error) {
	all, err := acls.own(op)
	if err != nil {
		return nil, err
	}
	within, err := subnets.own(op)
	if err != nil {
		return nil, err
	}
	var described []ec2.NetworkACL
	for _, acl := range all {
		described = append(described, describeACL(acl, within))
	}
	described, err = networkACLs.pick(described, in.IDs, in.Filters)
	page, next := pageOf(described, in.Page, networkACLs.id)
	return &ec2.DescribeNetworkACLsResponse{ACLs: page, NextToken: next}, err
}

// describeACL describes a network ACL with those of some subnets that have it.
func describeACL(a *ec2.ACL, among []*ec2.Subnet) ec2.NetworkACL {
	d := ec2.NetworkACL{ID: a.ID, OwnerID: a.Account, VPCID: a.VPC, Default: a.Default, Tags: sortedTags(a.Tags)}
	for _, isEgress := range []bool{true, false} {
		for _, entry := range *entriesOf(a, isEgress) {
			d.Entries = append(d.Entries, describeEntry(entry, isEgress))
		}
		d.Entries = append(d.Entries, ec2.NetworkACLEntry{Number: lastACLEntry, Protocol: anyProtocol, Action: "deny",
			IsEgress: isEgress, CIDR: "0.0.0.0/0"})
	}
	for _, subnet := range among {
		if subnet.NetworkACL() == a.ID {
			d.Associations = append(d.Associations, ec2.NetworkACLAssociation{ID: subnet.NetworkACLAssociation(),
				ACLID: a.ID, SubnetID: subnet.ID})
		}
	}
	return d
}

func describeEntry(e ec2.ACLEntry, isEgress bool) ec2.NetworkACLEntry {
	d := ec2.NetworkACLEntry{Number: e.Number, Protocol: e.Protocol, Action: "deny", IsEgress: isEgress}
	if e.Allow {
		d.Action = "allow"
	}
	d.CIDR, d.CIDR6 = shown(e.CIDR.String())
	switch e.Protocol {
	case numberTCP, numberUDP:
		d.PortRange = &ec2.NetworkPortRange{From: e.FromPort, To: e.ToPort}
	case numberICMP, numberICMPv6:
		d.ICMP = &ec2.ICMPTypeCode{Type: e.FromPort, Code: e.ToPort}
	}
	return d
}

var networkACLs = listing[ec2.NetworkACL]{
	func(id string) error {
		ref := acls.ref(id)
		return cmp.Or(ref.Malformed, acls.Missing(ref))
	},
	func(a ec2.NetworkACL) string { return a.ID },
	func(a ec2.NetworkACL) map[string][]string {
		attributes := map[string][]string{
			"network-acl-id": {a.ID}, "vpc-id": {a.VPCID}, "owner-id": {a.OwnerID},
			"default": {strconv.FormatBool(a.Default)},
		}
		for _, name := range []string{"association.association-id", "association.network-acl-id",
			"association.subnet-id", "entry.cidr", "entry.ipv6-cidr", "entry.protocol", "entry.rule-action",
			"entry.egress", "entry.rule-number", "entry.port-range.from", "entry.port-range.to", "entry.icmp.type",
			"entry.icmp.code"} {
			attributes[name] = nil // an ACL may have none of it
		}
		for _, of := range a.Associations {
			add(attributes, "association.association-id", of.ID)
			add(attributes, "association.network-acl-id", of.ACLID)
			add(attributes, "association.subnet-id", of.SubnetID)
		}
		for _, entry := range a.Entries {
			addEntry(attributes, entry)
		}
		tags := map[string]string{}
		for _, tag := range a.Tags {
			tags[tag.Key] = tag.Value
		}
		return withTags(attributes, tags)
	}}

func addEntry(attributes map[string][]string, e ec2.NetworkACLEntry) {
	add(attributes, "entry.cidr", e.CIDR)
	add(attributes, "entry.ipv6-cidr", e.CIDR6)
	add(attributes, "entry.protocol", e.Protocol)
	add(attributes, "entry.rule-action", e.Action)
	add(attributes, "entry.egress", strconv.FormatBool(e.IsEgress))
	add(attributes, "entry.rule-number", decimal(e.Number))
	if e.PortRange != nil {
		add(attributes, "entry.port-range.from", decimal(e.PortRange.From))
		add(attributes, "entry.port-range.to", decimal(e.PortRange.To))
	}
	if e.ICMP != nil {
		add(attributes, "entry.icmp.type", decimal(e.ICMP.Type))
		add(attributes, "entry.icmp.code", decimal(e.ICMP.Code))
	}
}

// add adds a value of an attribute, if there is one.
func add(attributes map[string][]string, name, value string) {
	if value != "" {
		attributes[name] = append(attributes[name], value)
	}
}

func decimal(n int32) string { return strconv.Itoa(int(n)) }
