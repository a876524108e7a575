package ec2

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"pergola/aws"
	"pergola/aws/ec2"
)

// anyProtocol is the protocol of a permission for all traffic.
const anyProtocol = "-1"

// direction is one of a group's two lists of permissions.
type direction struct {
	isEgress bool
	of       func(*ec2.SecurityGroup) *[]ec2.Permission
}

var (
	ingress = direction{false, func(g *ec2.SecurityGroup) *[]ec2.Permission { return &g.Ingress }}
	egress  = direction{true, func(g *ec2.SecurityGroup) *[]ec2.Permission { return &g.Egress }}
)

// AuthorizeSecurityGroupIngress lets traffic in.
func (op *call) AuthorizeSecurityGroupIngress(in *ec2.PermissionsRequest) (*ec2.AuthorizeSecurityGroupResponse, error) {
	return op.authorize(in, ingress)
}

// AuthorizeSecurityGroupEgress lets traffic out.
func (op *call) AuthorizeSecurityGroupEgress(in *ec2.PermissionsRequest) (*ec2.AuthorizeSecurityGroupResponse, error) {
	return op.authorize(in, egress)
}

// RevokeSecurityGroupIngress takes back what lets traffic in.
func (op *call) RevokeSecurityGroupIngress(
	in *ec2.RevokedPermissionsRequest) (*ec2.RevokeSecurityGroupResponse, error) {
	return op.revoke(in, ingress)
}

// RevokeSecurityGroupEgress takes back what lets traffic out.
func (op *call) RevokeSecurityGroupEgress(in *ec2.RevokedPermissionsRequest) (*ec2.RevokeSecurityGroupResponse, error) {
	return op.revoke(in, egress)
}

func (op *call) authorize(in *ec2.PermissionsRequest, d direction) (*ec2.AuthorizeSecurityGroupResponse, error) {
	tags, err := rulesTagged.tagsOf(in.TagSpecification)
	if err != nil {
		return nil, err
	}
	op.SetTags(tags)
	group, added, err := op.permissions(in)
	if err != nil {
		return nil, err
	}
	if err := op.MayTag(rulesTagged.arn(op, "*"), tags, groups.Tagging); err != nil {
		return nil, err
	}
	if len(added) == 0 {
		return nil, noPermissions()
	}
	if repeated(added) >= 0 {
		return nil, aws.Errorf("InvalidParameterValue", "The same permission must not appear multiple times")
	}
	for i := range added {
		if err := op.checkPeer(group, added[i]); err != nil {
			return nil, err
		}
		added[i].ID, added[i].Tags = op.newID(rulesTagged.prefix), tags
	}
	list := d.of(group)
	*list = append(*list, added...)
	if err := op.checkRules(*list); err != nil {
		return nil, err
	}
	return &ec2.AuthorizeSecurityGroupResponse{Return: true, Rules: op.rules(group, d, added)},
		groups.Put(op.Call, group)
}

// checkPeer refuses a peer that a new permission of a group cannot name.
func (op *call) checkPeer(of *ec2.SecurityGroup, p ec2.Permission) error {
	switch {
	case p.Group != "" && p.Group != of.ID:
		peer, err := groups.read(op, p.Group)
		if err == nil && peer.VPC != of.VPC {
			return aws.Errorf("InvalidGroup.NotFound", "You have specified two resources that belong to different networks: "+
				"%s is in %s, and %s in %s", of.ID, of.VPC, peer.ID, peer.VPC)
		}
		return err
	case p.PrefixList != "":
		_, err := op.prefixList(p.PrefixList)
		return err
	}
	return nil
}

// checkRules refuses the permissions that a direction of a group would have, if one repeats another, or if they are too
// many.
func (op *call) checkRules(permissions []ec2.Permission) error {
	if i := repeated(permissions); i >= 0 {
		return aws.Errorf("InvalidPermission.Duplicate", "the specified rule \"%s\" already exists",
			describePermission(permissions[i]))
	}
	return op.roomForRules(permissions)
}

// repeated is the place of the first permission that repeats an earlier one, or -1.
func repeated(permissions []ec2.Permission) int {
	seen := map[traffic]bool{}
	return slices.IndexFunc(permissions, func(p ec2.Permission) bool {
		was := seen[trafficOf(p)]
		seen[trafficOf(p)] = true
		return was
	})
}

// roomForRules counts what permissions of one direction come to in each family: each one for itself, but a group in
// both, and a prefix list as often as it may have entries (VPC user guide, "Amazon VPC quotas").
func (op *call) roomForRules(permissions []ec2.Permission) error {
	var ofIPv4, ofIPv6 int
	for _, p := range permissions {
		switch {
		case p.Group != "":
			ofIPv4, ofIPv6 = ofIPv4+1, ofIPv6+1
		case p.PrefixList != "":
			list, err := op.prefixList(p.PrefixList)
			if err != nil {
				return err
			}
			if list.Family == familyIPv6 {
				ofIPv6 += int(list.MaxEntries)
			} else {
				ofIPv4 += int(list.MaxEntries)
			}
		case isIPv6(p.CIDR):
			ofIPv6++
		default:
			ofIPv4++
		}
	}
	return op.Quotas.Room(ec2.QuotaRules, max(ofIPv4, ofIPv6))
}

func (op *call) revoke(in *ec2.RevokedPermissionsRequest, d direction) (*ec2.RevokeSecurityGroupResponse, error) {
	group, named, err := op.permissions(&in.PermissionsRequest)
	if err != nil {
		return nil, err
	}
	if len(in.TagSpecification) > 0 {
		return nil, aws.Errorf("UnknownParameter", "The parameter TagSpecification is not recognized; leave it out")
	}
	if len(named)+len(in.RuleIDs) == 0 {
		return nil, noPermissions()
	}
	list := d.of(group)
	var revoked []ec2.Permission
	err = eachNamed(list, named, in.RuleIDs, func(i int) {
		revoked = append(revoked, (*list)[i])
		*list = slices.Delete(*list, i, i+1)
	})
	if err != nil {
		return nil, err
	}
	return &ec2.RevokeSecurityGroupResponse{Return: true, Rules: revokedRules(group, d, revoked)},
		groups.Put(op.Call, group)
}

// eachNamed finds the place of each permission that is named by the traffic that it lets pass, or by its id.
func eachNamed(in *[]ec2.Permission, named []ec2.Permission, ids []string, do func(int)) error {
	for _, permission := range named {
		i := slices.IndexFunc(*in, func(p ec2.Permission) bool { return trafficOf(p) == trafficOf(permission) })
		if i < 0 {
			return aws.Errorf("InvalidPermission.NotFound", "The specified rule does not exist in this security group: %s",
				describePermission(permission))
		}
		do(i)
	}
	for _, id := range ids {
		i := slices.IndexFunc(*in, func(p ec2.Permission) bool { return p.ID == id })
		if i < 0 {
			return noRule(id)
		}
		do(i)
	}
	return nil
}

// permissions are those that a request names, one for each peer, and the group they are of.
func (op *call) permissions(in *ec2.PermissionsRequest) (*ec2.SecurityGroup, []ec2.Permission, error) {
	if in.SourceName != "" || in.SourceOwnerID != "" {
		return nil, nil, noDefaultVPC()
	}
	group, err := op.group(in.GroupID, in.GroupName)
	if err != nil {
		return nil, nil, err
	}
	all := in.Permissions
	if single := in.SinglePermission; single != (ec2.SinglePermission{}) {
		all = append(slices.Clone(all), permissionOf(ec2.SecurityGroupRuleRequest{
			Protocol: single.Protocol, FromPort: single.FromPort, ToPort: single.ToPort, CIDR: single.CIDR}))
	}
	permissions, err := each(all, op.spread)
	return group, slices.Concat(permissions...), err
}

func noPermissions() error {
	return aws.Errorf("MissingParameter", "The request must contain the parameter ipPermissions, or name rules by their "+
		"ids")
}

// permissionOf is a rule in the form in which permissions have several peers.
func permissionOf(r ec2.SecurityGroupRuleRequest) ec2.IPPermission {
	p := ec2.IPPermission{Protocol: r.Protocol, FromPort: r.FromPort, ToPort: r.ToPort}
	if r.CIDR != "" {
		p.Ranges = ec2.Set[ec2.PermittedRange]{{CIDR: r.CIDR, Description: r.Description}}
	}
	if r.CIDR6 != "" {
		p.IPv6Ranges = ec2.Set[ec2.PermittedRange6]{{CIDR: r.CIDR6, Description: r.Description}}
	}
	if r.PeerGroupID != "" {
		p.Groups = ec2.Set[ec2.PermittedGroup]{{ID: r.PeerGroupID, Description: r.Description}}
	}
	if r.PrefixListID != "" {
		p.PrefixLists = ec2.Set[ec2.PermittedList]{{ID: r.PrefixListID, Description: r.Description}}
	}
	return p
}

// spread makes one permission for each peer.
func (op *call) spread(in ec2.IPPermission) (all []ec2.Permission, err error) {
	p := ec2.Permission{Protocol: protocolName(in.Protocol)}
	if p.FromPort, p.ToPort, err = ports(p.Protocol, in.FromPort, in.ToPort); err != nil {
		return nil, err
	}
	add := func(peer ec2.Permission, wrong error) {
		peer.Protocol, peer.FromPort, peer.ToPort = p.Protocol, p.FromPort, p.ToPort
		all, err = append(all, peer), cmp.Or(err, wrong, checkText("rule description", peer.Description))
	}
	for _, peer := range in.Ranges {
		cidr, wrong := rangeOf(peer.CIDR, netip.Addr.Is4)
		add(ec2.Permission{CIDR: cidr, Description: peer.Description}, wrong)
	}
	for _, peer := range in.IPv6Ranges {
		cidr, wrong := rangeOf(peer.CIDR, netip.Addr.Is6)
		add(ec2.Permission{CIDR: cidr, Description: peer.Description}, wrong)
	}
	for _, peer := range in.Groups {
		add(ec2.Permission{Group: peer.ID, Description: peer.Description}, op.checkGroup(peer))
	}
	for _, peer := range in.PrefixLists {
		add(ec2.Permission{PrefixList: peer.ID, Description: peer.Description}, nil)
	}
	if len(all) == 0 {
		return nil, aws.Errorf("MissingParameter", "a permission must name a range of addresses, a security group or a prefix list")
	}
	return all, err
}

// checkGroup refuses a peer that is not named by its id, or that is another account's.
func (op *call) checkGroup(peer ec2.PermittedGroup) error {
	ref := groups.ref(peer.ID)
	switch {
	case peer.Name != "":
		return noDefaultVPC()
	case ref.Malformed != nil:
		return ref.Malformed
	case peer.OwnerID != "" && peer.OwnerID != op.Account:
		return groups.Missing(ref)
	}
	return nil
}

// protocolName spells a protocol in the one way that is stored.
func protocolName(s string) string {
	name := strings.ToLower(s)
	if n, err := strconv.Atoi(name); err == nil {
		name = strconv.Itoa(n)
	}
	switch name {
	case "all":
		return anyProtocol
	case numberICMP:
		return "icmp"
	case numberTCP:
		return "tcp"
	case numberUDP:
		return "udp"
	case numberICMPv6:
		return "icmpv6"
	}
	return name
}

// ports checks the ports of a permission. ICMP keeps its type and code there, and -1 stands for any; other protocols
// have neither.
func ports(protocol string, from, to *int32) (int32, int32, error) {
	first, last, wrong := portOf(from), portOf(to), ""
	switch protocol {
	case "":
		wrong = "Invalid value 'null' for protocol. VPC security group rules must specify protocols explicitly."
	case "tcp", "udp":
		switch {
		case from == nil || to == nil:
			wrong = "Invalid value for portRange. Must specify both from and to ports with TCP/UDP."
		case first < 0 || last < first:
			wrong = fmt.Sprintf("Invalid TCP/UDP port range (%d:%d)", first, last)
		}
	case "icmp", "icmpv6":
		switch {
		case first > 255 || last > 255:
			wrong = fmt.Sprintf("ICMP type (%d) and code (%d) must be from -1 to 255", first, last)
		case first < 0 && last >= 0:
			wrong = fmt.Sprintf("ICMP code (%d) must be -1 for all types, as type -1 is", last)
		}
	default:
		if n, err := strconv.Atoi(protocol); err != nil || n < -1 || n > 255 {
			wrong = fmt.Sprintf("Invalid value '%s' for IP protocol. Unknown protocol.", protocol)
		}
		first, last = -1, -1
	}
	if wrong != "" {
		return 0, 0, aws.Errorf("InvalidParameterValue", "%s", wrong)
	}
	return first, last, nil
}

// blockOf reads a range of addresses of one family, and clears the bits beyond its mask.
func blockOf(s string, family func(netip.Addr) bool) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(s)
	if err != nil || !family(prefix.Addr()) {
		return netip.Prefix{}, aws.Errorf("InvalidParameterValue", "CIDR block %s is malformed", s)
	}
	return prefix.Masked(), nil
}

// rangeOf is blockOf as permissions keep it.
func rangeOf(s string, family func(netip.Addr) bool) (string, error) {
	prefix, err := blockOf(s, family)
	if err != nil {
		return "", err
	}
	return prefix.String(), nil
}

// traffic is what a permission lets pass: all of it but for its id, its description and its tags.
type traffic struct {
	protocol, cidr, group, prefixList string
	from, to                          int32
}

func trafficOf(p ec2.Permission) traffic {
	return traffic{p.Protocol, p.CIDR, p.Group, p.PrefixList, p.FromPort, p.ToPort}
}

// describePermission is a permission in the words of errors.
func describePermission(p ec2.Permission) string {
	which := p.Protocol
	switch p.Protocol {
	case anyProtocol:
		which = "ALL"
	case "tcp", "udp":
		which = fmt.Sprintf("%s, from port: %d, to port: %d", strings.ToUpper(p.Protocol), p.FromPort, p.ToPort)
	case "icmp", "icmpv6":
		all := strings.NewReplacer(anyProtocol, "ALL")
		which = all.Replace(fmt.Sprintf("%s, type: %d, code: %d", strings.ToUpper(p.Protocol), p.FromPort, p.ToPort))
	}
	return "peer: " + p.CIDR + p.Group + p.PrefixList + ", " + which + ", ALLOW"
}

// gather puts permissions of the same protocol and ports together, in the order in which they first appear.
func (op *call) gather(permissions []ec2.Permission) (all ec2.Set[ec2.IPPermission]) {
	for _, p := range permissions {
		i := slices.IndexFunc(all, func(at ec2.IPPermission) bool {
			return at.Protocol == p.Protocol && portOf(at.FromPort) == p.FromPort && portOf(at.ToPort) == p.ToPort
		})
		if i < 0 {
			i = len(all)
			all = append(all, ec2.IPPermission{Protocol: p.Protocol, FromPort: portIn(p, p.FromPort), ToPort: portIn(p, p.ToPort)})
		}
		op.addPeer(&all[i], p)
	}
	return all
}

// portIn is a port as answers show it: permissions without ports show none.
func portIn(p ec2.Permission, port int32) *int32 {
	switch p.Protocol {
	case "tcp", "udp", "icmp", "icmpv6":
		return &port
	}
	return nil
}

// portOf is a port as it is stored.
func portOf(shown *int32) int32 {
	if shown == nil {
		return -1
	}
	return *shown
}

func (op *call) addPeer(to *ec2.IPPermission, p ec2.Permission) {
	switch {
	case p.Group != "":
		to.Groups = append(to.Groups, ec2.PermittedGroup{ID: p.Group, OwnerID: op.Account, Description: p.Description})
	case p.PrefixList != "":
		to.PrefixLists = append(to.PrefixLists, ec2.PermittedList{ID: p.PrefixList, Description: p.Description})
	case isIPv6(p.CIDR):
		to.IPv6Ranges = append(to.IPv6Ranges, ec2.PermittedRange6{CIDR: p.CIDR, Description: p.Description})
	default:
		to.Ranges = append(to.Ranges, ec2.PermittedRange{CIDR: p.CIDR, Description: p.Description})
	}
}

func isIPv6(cidr string) bool {
	prefix, err := netip.ParsePrefix(cidr)
	return err == nil && prefix.Addr().Is6()
}

// shown is a range as answers show it, in the member for its family.
func shown(cidr string) (ipv4, ipv6 string) {
	if isIPv6(cidr) {
		return "", cidr
	}
	return cidr, ""
}

// rules describes permissions one by one.
func (op *call) rules(group *ec2.SecurityGroup, d direction, of []ec2.Permission) (all []ec2.SecurityGroupRule) {
	for _, p := range of {
		rule := ec2.SecurityGroupRule{
			ID: p.ID, GroupID: group.ID, GroupOwnerID: group.Account, IsEgress: d.isEgress,
			Protocol: p.Protocol, FromPort: p.FromPort, ToPort: p.ToPort, PrefixListID: p.PrefixList, Description: p.Description,
			ARN: rulesTagged.arn(op, p.ID), Tags: sortedTags(p.Tags),
		}
		if rule.CIDR, rule.CIDR6 = shown(p.CIDR); p.Group != "" {
			rule.Group = &ec2.ReferencedGroup{ID: p.Group, OwnerID: op.Account}
		}
		all = append(all, rule)
	}
	return all
}

// revokedRules describes permissions that have been taken away.
func revokedRules(group *ec2.SecurityGroup, d direction, of []ec2.Permission) (all []ec2.RevokedSecurityGroupRule) {
	for _, p := range of {
		rule := ec2.RevokedSecurityGroupRule{
			ID: p.ID, GroupID: group.ID, IsEgress: d.isEgress, Protocol: p.Protocol, FromPort: p.FromPort, ToPort: p.ToPort,
			PrefixListID: p.PrefixList, PeerGroupID: p.Group, Description: p.Description,
		}
		rule.CIDR, rule.CIDR6 = shown(p.CIDR)
		all = append(all, rule)
	}
	return all
}
