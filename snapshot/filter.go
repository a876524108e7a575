package snapshot

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strconv"

	"pergola/aws/ec2"
	"pergola/fabric/packetfilter"
	"pergola/lattice"
)

// filterState holds the objects of EC2 by which the packets of a VPC are filtered, by their ids.
type filterState struct {
	groups  map[string]*groupFilter
	acls    map[string]*packetfilter.ACL
	subnets map[string]*ec2.Subnet
	// stale says that the filter has to be compiled anew, though the VPC may not.
	stale bool
}

func newFilterState() filterState {
	return filterState{map[string]*groupFilter{}, map[string]*packetfilter.ACL{}, map[string]*ec2.Subnet{}, false}
}

func (f *filterState) isEmpty() bool { return len(f.groups)+len(f.acls)+len(f.subnets) == 0 }

// groupFilter is a security group.
type groupFilter struct {
	packetfilter.Group
	isDefault bool
}

// filters is what a Compiler knows of what packets are filtered by, the filters of the VPCs apart.
type filters struct {
	homes map[string]*vpcState // of what belongs to a VPC, by the keys of the objects
	lists map[string]*packetfilter.List
}

func newFilters(region string) filters {
	f := filters{map[string]*vpcState{}, map[string]*packetfilter.List{}}
	for _, list := range ec2.LatticePrefixLists(region) {
		f.lists[list.ID] = listOf(&list)
	}
	return f
}

// refilter marks the filter of a VPC.
func (c *Compiler) refilter(v *vpcState) {
	v.filtering.stale = true
	c.staleVPCs.look(v)
}

// takeInto takes an object in among those of its kind that belong to its VPC.
func takeInto[T, M any](c *Compiler, change Change, home func(*T) string, into func(*filterState) map[string]*M,
	made func(*T) *M) error {
	object, err := decode[T](change)
	id := lattice.IDOf(change.Key)
	if was := c.filters.homes[change.Key]; was != nil {
		delete(into(&was.filtering), id)
		delete(c.filters.homes, change.Key)
		c.refilter(was)
	}
	if object != nil {
		v := c.vpc(home(object))
		into(&v.filtering)[id] = made(object)
		c.filters.homes[change.Key] = v
		c.refilter(v)
	}
	return err
}

func (c *Compiler) takeSecurityGroup(change Change, id string) error {
	return takeInto(c, change, func(g *ec2.SecurityGroup) string { return g.VPC },
		func(f *filterState) map[string]*groupFilter { return f.groups },
		func(g *ec2.SecurityGroup) *groupFilter {
			return &groupFilter{packetfilter.Group{ID: id, Rules: append(rulesOf(g.Ingress, false), rulesOf(g.Egress, true)...)},
				g.Name == ec2.DefaultSecurityGroup}
		})
}

func (c *Compiler) takeACL(change Change, id string) error {
	return takeInto(c, change, func(a *ec2.ACL) string { return a.VPC },
		func(f *filterState) map[string]*packetfilter.ACL { return f.acls },
		func(a *ec2.ACL) *packetfilter.ACL {
			return &packetfilter.ACL{ID: id, Rules: append(entriesOfACL(a.Ingress, false), entriesOfACL(a.Egress, true)...)}
		})
}

func (c *Compiler) takeSubnet(change Change) error {
	return takeInto(c, change, func(s *ec2.Subnet) string { return s.VPC },
		func(f *filterState) map[string]*ec2.Subnet { return f.subnets }, func(s *ec2.Subnet) *ec2.Subnet { return s })
}

// takePrefixList takes in a prefix list, and marks the VPCs that have a rule with it.
func (c *Compiler) takePrefixList(change Change, id string) error {
	object, err := decode[ec2.PrefixList](change)
	delete(c.filters.lists, id)
	if object != nil {
		c.filters.lists[id] = listOf(object)
	}
	for _, v := range c.vpcs {
		for _, g := range v.filtering.groups {
			if slices.ContainsFunc(g.Rules, func(r packetfilter.Rule) bool { return r.List == id }) {
				c.refilter(v)
				break
			}
		}
	}
	return err
}

func listOf(l *ec2.PrefixList) *packetfilter.List {
	list := &packetfilter.List{ID: l.ID}
	for _, e := range l.Entries {
		if prefix, err := netip.ParsePrefix(e.CIDR); err == nil {
			list.Prefixes = append(list.Prefixes, prefix)
		}
	}
	return list
}

// rulesOf are the permissions of a security group in one direction. One that cannot be read allows nothing.
func rulesOf(permissions []ec2.Permission, egress bool) (rules []packetfilter.Rule) {
	for _, p := range permissions {
		traffic, ok := trafficOf(p.Protocol, p.FromPort, p.ToPort)
		peer := packetfilter.Peer{Group: p.Group, List: p.PrefixList}
		if p.CIDR != "" {
			prefix, err := netip.ParsePrefix(p.CIDR)
			ok, peer.Prefix = ok && err == nil, prefix.Masked()
		}
		if ok {
			rules = append(rules, packetfilter.Rule{ID: p.ID, Egress: egress, Traffic: traffic, Peer: peer})
		}
	}
	return rules
}

// entriesOfACL are the entries of a network ACL in one direction. Of one that cannot be read nothing is known, so it
// denies all.
func entriesOfACL(entries []ec2.ACLEntry, egress bool) (rules []packetfilter.ACLRule) {
	for _, e := range entries {
		traffic, ok := trafficOf(e.Protocol, e.FromPort, e.ToPort)
		if !ok {
			traffic = packetfilter.Traffic{Protocol: packetfilter.AllProtocols}
		}
		rules = append(rules, packetfilter.ACLRule{Number: int(e.Number), Egress: egress, Deny: !e.Allow || !ok,
			Traffic: traffic, Prefix: e.CIDR})
	}
	return rules
}

// protocols are the numbers of the protocols that security groups call by their names.
var protocols = map[string]int{"tcp": 6, "udp": 17, "icmp": 1, "icmpv6": 58}

// trafficOf reads the protocol and the ports of a rule of EC2; for ICMP these are type and code.
func trafficOf(protocol string, from, to int32) (packetfilter.Traffic, bool) {
	number, ok := protocols[protocol]
	if !ok {
		var err error
		if number, err = strconv.Atoi(protocol); err != nil {
			return packetfilter.Traffic{}, false
		}
	}
	switch {
	case number == protocols["icmp"], number == protocols["icmpv6"]:
		return packetfilter.ICMP(number, int(from), int(to)), true
	case number == protocols["tcp"] || number == protocols["udp"]:
		if from < 0 {
			from, to = 0, 0xffff
		}
		return packetfilter.Traffic{Protocol: number, From: uint16(from), To: uint16(to)}, true
	}
	return packetfilter.Traffic{Protocol: number}, true
}

// compileFilter makes the filter of a VPC, of its groups, ACLs and subnets and of the interfaces and doors in it. A group
// or an ACL that cannot be found lets nothing pass.
func (c *Compiler) compileFilter(v *vpcState, of *VPC) *packetfilter.Filter {
	v.filtering.stale = false
	made := filterMaker{c: c, v: v, Filter: &packetfilter.Filter{}, lists: map[string]bool{}}
	for _, g := range ordered(v.filtering.groups) {
		made.addGroup(&g.Group)
		if g.isDefault {
			made.ShortLived = []string{g.ID}
		}
	}
	made.ACLs = append(made.ACLs, ordered(v.filtering.acls)...)
	for _, s := range ordered(v.filtering.subnets) {
		made.addSubnet(s)
	}
	for _, i := range of.Instances {
		made.addInterface(i.ID, i.Address, v.instances[i.ID].SecurityGroups, false)
	}
	for _, l := range ordered(of.LoadBalancers) {
		for n, address := range l.Addresses {
			made.addInterface(l.NodeID(n), address, l.SecurityGroups, true)
		}
	}
	for _, g := range of.Gateways {
		for n, address := range g.Addresses {
			made.addInterface(g.NodeID(n), address, g.SecurityGroups, false)
		}
	}
	for _, l := range v.links {
		if l.isServed() {
			made.addDoor(l)
		}
	}
	return made.Filter
}

// filterMaker is a filter that is being made.
type filterMaker struct {
	*packetfilter.Filter
	c     *Compiler
	v     *vpcState
	lists map[string]bool
}

// addGroup adds a group with the prefix lists that its rules name.
func (m filterMaker) addGroup(g *packetfilter.Group) {
	m.Groups = append(m.Groups, g)
	for _, r := range g.Rules {
		if list := m.c.filters.lists[r.List]; list != nil && !m.lists[r.List] {
			m.lists[r.List] = true
			m.Lists = append(m.Lists, list)
		}
	}
}

// need adds those of some groups that there are not, without rules.
func (m filterMaker) need(groups []string) {
	for _, id := range groups {
		if m.v.filtering.groups[id] == nil &&
			!slices.ContainsFunc(m.Groups, func(g *packetfilter.Group) bool { return g.ID == id }) {
			m.addGroup(&packetfilter.Group{ID: id})
		}
	}
}

func (m filterMaker) addSubnet(s *ec2.Subnet) {
	acl := s.NetworkACL()
	if !slices.ContainsFunc(m.ACLs, func(a *packetfilter.ACL) bool { return a.ID == acl }) {
		m.ACLs = append(m.ACLs, &packetfilter.ACL{ID: acl})
	}
	m.Subnets = append(m.Subnets, packetfilter.Subnet{ID: s.ID, Prefixes: []netip.Prefix{s.CIDR}, ACL: acl})
}

// addInterface adds an interface, which is in the default group if it is in no other.
func (m filterMaker) addInterface(id string, address netip.Addr, groups []string, tracked bool) {
	if len(groups) == 0 {
		groups = m.ShortLived
	}
	m.need(groups)
	m.Interfaces = append(m.Interfaces, packetfilter.Interface{ID: id, Addresses: []netip.Addr{address}, Groups: groups,
		Tracked: tracked})
}

// addDoor adds the door that an association makes, with the addresses of the resources that it leads to and no older
// door does. IPv6 addresses that spell IPv4 ones are judged as these.
func (m filterMaker) addDoor(l *link[vpcState]) {
	m.need(l.groups)
	door := packetfilter.Door{ID: l.id, Addresses: l.door.IPv4(), Groups: l.groups}
	for _, address := range slices.SortedFunc(maps.Keys(m.c.resources.reached[l.network.id].by), netip.Addr.Compare) {
		if !slices.ContainsFunc(m.Doors, func(d packetfilter.Door) bool { return slices.Contains(d.Addresses, address) }) {
			door.Addresses = append(door.Addresses, address)
		}
	}
	m.Doors = append(m.Doors, door)
}

// filter writes by what packets are filtered.
func (d dumper) filter(f *packetfilter.Filter) {
	for _, g := range f.Groups {
		d.line(1, "security group %s", g.ID)
		for _, r := range g.Rules {
			d.line(2, "rule %s egress %t %s peer %v", r.ID, r.Egress, traffic(r.Traffic), peer(r.Peer))
		}
	}
	for _, l := range f.Lists {
		d.line(1, "prefix list %s %v", l.ID, l.Prefixes)
	}
	for _, a := range f.ACLs {
		d.line(1, "network acl %s", a.ID)
		for _, r := range a.Rules {
			d.line(2, "rule %d egress %t deny %t %s peer %v", r.Number, r.Egress, r.Deny, traffic(r.Traffic), r.Prefix)
		}
	}
	for _, s := range f.Subnets {
		d.line(1, "subnet %s %v has %s", s.ID, s.Prefixes, s.ACL)
	}
	for _, i := range f.Interfaces {
		d.line(1, "interface %s %v in %v tracked %t", i.ID, i.Addresses, i.Groups, i.Tracked)
	}
	for _, door := range f.Doors {
		d.line(1, "gate %s %v in %v", door.ID, door.Addresses, door.Groups)
	}
	if len(f.ShortLived) > 0 {
		d.line(1, "short-lived instances in %v", f.ShortLived)
	}
}

func traffic(t packetfilter.Traffic) string {
	return "protocol " + strconv.Itoa(t.Protocol) + " ports " + strconv.Itoa(int(t.From)) + "-" + strconv.Itoa(int(t.To))
}

func peer(p packetfilter.Peer) string {
	if p.Prefix.IsValid() {
		return p.Prefix.String()
	}
	return cmp.Or(p.Group, p.List)
}
