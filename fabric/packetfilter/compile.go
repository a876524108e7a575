package packetfilter

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"net/netip"
	"slices"
)

// A filter is compiled into elements of a fixed number of sets, and into a few chains whose rules look these elements
// up. The chains do not name groups or rules, so a change of rules changes elements only, and one packet's cost does
// not grow with the number of rules.
//
// A group has a number for each direction. What it allows to one peer is a class, and the set of ports holds the
// protocols and ports of each class. How a class is found differs: prefixes by an interval of addresses, other groups
// by the numbers of the peer's groups, lists by the number of the list. Prefixes that contain each other are in
// different levels, because intervals of one set may not overlap; a packet is looked up in each level, and there are
// rarely more than three.

// set is a set of the kernel, by its place in sets.
type set int

const (
	exempt4 set = iota
	exempt6
	embedded
	stages
	egress4
	egressEmbedded
	egress6
	ingress4
	ingressEmbedded
	ingress6
	groups4
	groups6
	prefixes4
	prefixes6
	references
	lists
	listed4
	listed6
	ports
	egressDrops4
	egressDrops6
	ingressDrops4
	ingressDrops6
	subnets4
	subnets6
	same
	outbound4
	outboundEmbedded
	outbound6
	inbound4
	inboundEmbedded
	inbound6
)

// verdict is the size of values that are chains to go on in.
const verdict = -1

// sets are all sets: the bytes of keys and of values, whether keys are intervals, whether each element counts packets.
var sets = []struct {
	name     string
	key      int
	value    int
	interval bool
	counts   bool
}{
	exempt4:          {name: "exempt4", key: 4},
	exempt6:          {name: "exempt6", key: 16},
	embedded:         {name: "embedded", key: 12},
	stages:           {name: "stages", key: 4, value: verdict},
	egress4:          {name: "egress4", key: 4, value: verdict},
	egressEmbedded:   {name: "egress-embedded", key: 4, value: verdict},
	egress6:          {name: "egress6", key: 16, value: verdict},
	ingress4:         {name: "ingress4", key: 4, value: verdict},
	ingressEmbedded:  {name: "ingress-embedded", key: 4, value: verdict},
	ingress6:         {name: "ingress6", key: 16, value: verdict},
	groups4:          {name: "groups4", key: 4 + 4, value: 4},                       // address, place -> group
	groups6:          {name: "groups6", key: 16 + 4, value: 4},                      //
	prefixes4:        {name: "prefixes4", key: 4 + 4 + 4, value: 4, interval: true}, // group, level, address -> class
	prefixes6:        {name: "prefixes6", key: 4 + 4 + 16, value: 4, interval: true},
	references:       {name: "references", key: 4 + 4, value: 4},            // group, the peer's -> class
	lists:            {name: "lists", key: 4 + 4, value: 4 + 4},             // group, nth list -> class, list
	listed4:          {name: "listed4", key: 4 + 4, interval: true},         // list, address
	listed6:          {name: "listed6", key: 4 + 16, interval: true},        //
	ports:            {name: "ports", key: 4 + 4 + 4, interval: true},       // class, protocol, port
	egressDrops4:     {name: "egress-drops4", key: 4, counts: true},         // address
	egressDrops6:     {name: "egress-drops6", key: 16, counts: true},        //
	ingressDrops4:    {name: "ingress-drops4", key: 4, counts: true},        //
	ingressDrops6:    {name: "ingress-drops6", key: 16, counts: true},       //
	subnets4:         {name: "subnets4", key: 4, value: 4, interval: true},  // address -> subnet
	subnets6:         {name: "subnets6", key: 16, value: 4, interval: true}, //
	same:             {name: "same", key: 4 + 4},                            // a subnet twice
	outbound4:        {name: "outbound4", key: 4, value: verdict, interval: true},
	outboundEmbedded: {name: "outbound-embedded", key: 4, value: verdict, interval: true},
	outbound6:        {name: "outbound6", key: 16, value: verdict, interval: true},
	inbound4:         {name: "inbound4", key: 4, value: verdict, interval: true},
	inboundEmbedded:  {name: "inbound-embedded", key: 4, value: verdict, interval: true},
	inbound6:         {name: "inbound6", key: 16, value: verdict, interval: true},
}

// variant is one of the three ways in which a packet carries its addresses.
type variant struct {
	name           string
	source, target int // offsets in the header
	size           int // of an address
	egress, ingress, groups, prefixes, listed, egressDrops, ingressDrops,
	subnets, outbound, inbound set
}

var variants = [...]variant{
	{"4", 12, 16, 4, egress4, ingress4, groups4, prefixes4, listed4, egressDrops4, ingressDrops4, subnets4,
		outbound4, inbound4},
	{"embedded", 20, 36, 4, egressEmbedded, ingressEmbedded, groups4, prefixes4, listed4, egressDrops4,
		ingressDrops4, subnets4, outboundEmbedded, inboundEmbedded},
	{"6", 8, 24, 16, egress6, ingress6, groups6, prefixes6, listed6, egressDrops6, ingressDrops6, subnets6,
		outbound6, inbound6},
}

// variantsOf are those in which an address can come.
func variantsOf(a netip.Addr) []variant {
	if a.Is4() {
		return variants[:2]
	}
	return variants[2:]
}

// elementKey is a set and the first key of an element.
type elementKey struct {
	set set
	key string
}

// element is what an element has beside its key: the key after its last one, if it is an interval that ends; its value,
// which is the name of a chain where the set has verdicts; and whether the packet comes back from that chain.
type element struct {
	end     string
	value   string
	returns bool
}

// shape is what a chain of a gate by groups looks like: how often it looks for what.
type shape struct {
	variant int
	egress  bool
	groups  int // of the interface
	levels  int // of prefixes
	lists   int
	members int // of the groups of peers
}

func (s shape) name() string {
	way := "ingress"
	if s.egress {
		way = "egress"
	}
	return fmt.Sprintf("%s-%s-%d-%d-%d-%d", way, variants[s.variant].name, s.groups, s.levels, s.lists, s.members)
}

// chain is a chain that belongs to a filter: of a shape, or of one direction and variant of an ACL. Its name tells all
// that is in it, so a chain of a name never changes.
type chain struct {
	shape   shape
	acl     string
	gate    Gate // of the ACL
	rules   []ACLRule
	variant int
}

// piece is what one thing of the filter has in the kernel.
type piece struct {
	elements map[elementKey]element
	chains   map[string]chain
}

func newPiece() *piece { return &piece{map[elementKey]element{}, map[string]chain{}} }

func (p *piece) add(s set, e element, key ...[]byte) {
	p.elements[elementKey{s, string(slices.Concat(key...))}] = e
}

// addInterval adds an element for all keys from first to last.
func (p *piece) addInterval(s set, e element, first, last []byte) {
	e.end = after(last)
	p.add(s, e, first)
}

// after is the key that follows one, and empty where none does.
func after(key []byte) string {
	next := slices.Clone(key)
	for i := len(next) - 1; i >= 0; i-- {
		if next[i]++; next[i] != 0 {
			return string(next)
		}
	}
	return ""
}

func number(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

// groupPiece is a group's piece, with what interfaces that have the group must know.
type groupPiece struct {
	*piece
	group   *Group
	classes map[class]uint32
	needs   [2][2]needs // by egress and IPv6
}

// class is the name of what a group allows to one peer in one direction.
type class struct {
	egress bool
	peer   Peer
}

// needs is what must be looked up for a group.
type needs struct {
	levels, lists int
	references    bool
}

// endPiece is the piece of an interface or door, with what it was made of.
type endPiece struct {
	*piece
	end    end
	shapes []shape
}

// aclPiece has a chain for each direction and variant in which the ACL does not let all pass.
type aclPiece struct {
	*piece
	acl    *ACL
	closed map[string]string // chains by direction and variant
}

// compiled is a filter as the kernel should have it.
type compiled struct {
	filter *Filter
	groups map[string]*groupPiece
	ends   map[string]*endPiece
	acls   map[string]*aclPiece
	pieces map[string]*piece // all of them
}

// compiler numbers groups and lists: the same thing has the same number in all filters that it compiles.
type compiler struct {
	numbers map[string]uint32
	last    uint32
}

func (c *compiler) number(of string) uint32 {
	n, ok := c.numbers[of]
	if !ok {
		n = c.next()
		c.numbers[of] = n
	}
	return n
}

func (c *compiler) next() uint32 {
	c.last++
	return c.last
}

func (c *compiler) group(id string) uint32 { return c.number("group " + id) }

func (c *compiler) directed(id string, egress bool) []byte {
	n := c.group(id) * 2
	if egress {
		n++
	}
	return number(n)
}

// compile compiles a filter, taking from the one before all that did not change.
func (c *compiler) compile(f *Filter, r Router, before *compiled) *compiled {
	made := &compiled{f, map[string]*groupPiece{}, map[string]*endPiece{}, map[string]*aclPiece{}, map[string]*piece{}}
	if before == nil {
		before = &compiled{}
	}
	for _, g := range f.Groups {
		p := before.groups[g.ID]
		if p == nil || p.group != g {
			p = c.compileGroup(g, p)
		}
		made.groups[g.ID], made.pieces["group "+g.ID] = p, p.piece
	}
	for _, l := range f.Lists {
		made.pieces["list "+l.ID] = c.compileList(l)
	}
	most := 0
	for _, i := range f.Interfaces {
		most = max(most, len(i.Groups))
	}
	for _, e := range f.ends() {
		name := fmt.Sprintf("end %v %s", e.door, e.ID)
		shapes := made.shapesOf(e, most)
		p := before.ends[name]
		if p == nil || !sameEnd(p.end, e) || !slices.Equal(p.shapes, shapes) {
			p = c.compileEnd(e, shapes)
		}
		made.ends[name], made.pieces[name] = p, p.piece
	}
	for _, a := range f.ACLs {
		p := before.acls[a.ID]
		if p == nil || p.acl != a {
			p = c.compileACL(a)
		}
		made.acls[a.ID], made.pieces["acl "+a.ID] = p, p.piece
	}
	made.pieces["subnets"] = c.compileSubnets(f.Subnets, made.acls)
	made.pieces["router"] = compileRouter(r)
	return made
}

func sameEnd(a, b end) bool {
	return a.door == b.door && slices.Equal(a.Addresses, b.Addresses) && slices.Equal(a.Groups, b.Groups)
}

func compileRouter(r Router) *piece {
	p := newPiece()
	for _, a := range r.Unfiltered {
		s := exempt4
		if a.Is6() {
			s = exempt6
		}
		p.add(s, element{}, a.AsSlice())
	}
	for _, e := range r.Embedded {
		p.add(embedded, element{}, e.Addr().AsSlice()[:12])
	}
	return p
}

func (c *compiler) compileGroup(g *Group, before *groupPiece) *groupPiece {
	p := &groupPiece{piece: newPiece(), group: g, classes: map[class]uint32{}}
	spans := map[class][]span{}
	for _, r := range g.Rules {
		of := class{r.Egress, r.Peer}
		first, last := r.span()
		spans[of] = append(spans[of], span{first, last})
	}
	for of, all := range spans {
		n := uint32(0)
		if before != nil {
			n = before.classes[of]
		}
		if n == 0 {
			n = c.next()
		}
		p.classes[of] = n
		for _, s := range merge(all) {
			p.addInterval(ports, element{}, portKey(n, s.first), portKey(n, s.last))
		}
	}
	for i, egress := range []bool{false, true} {
		for j := range p.needs[i] {
			into := []set{prefixes4, prefixes6}[j]
			p.needs[i][j].levels = p.addPrefixes(into, egress, c.directed(g.ID, egress))
		}
		nth := uint32(0)
		for _, of := range slices.SortedFunc(maps.Keys(p.classes),
			func(a, b class) int { return cmp.Compare(a.peer.List, b.peer.List) }) {
			if of.egress != egress {
				continue
			}
			own, is := c.directed(g.ID, egress), number(p.classes[of])
			switch {
			case of.peer.Group != "":
				p.add(references, element{value: string(is)}, own, number(c.group(of.peer.Group)))
				p.needs[i][0].references, p.needs[i][1].references = true, true
			case of.peer.List != "":
				p.add(lists, element{value: string(is) + string(number(c.number("list "+of.peer.List)))}, own, number(nth))
				nth++
				p.needs[i][0].lists, p.needs[i][1].lists = int(nth), int(nth)
			}
		}
	}
	return p
}

// portKey is the key of a class's protocol and port, as the kernel has them in its registers.
func portKey(class, at uint32) []byte {
	return append(number(class), byte(at>>16), 0, 0, 0, byte(at>>8), byte(at), 0, 0)
}

// span is a range of protocols and ports.
type span struct{ first, last uint32 }

// merge makes disjoint spans of those given.
func merge(spans []span) []span {
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.first, b.first) })
	merged := spans[:1]
	for _, s := range spans[1:] {
		if top := &merged[len(merged)-1]; s.first <= top.last+1 {
			top.last = max(top.last, s.last)
		} else {
			merged = append(merged, s)
		}
	}
	return merged
}

// addPrefixes adds the prefixes of one family to which a group allows something, and reports how many levels they have.
func (p *groupPiece) addPrefixes(into set, egress bool, own []byte) (levels int) {
	byPrefix := map[netip.Prefix]uint32{}
	for of, n := range p.classes {
		if prefix := of.peer.Prefix; prefix.IsValid() && of.egress == egress && prefix.Addr().Is6() == (into == prefixes6) {
			byPrefix[prefix] = n
		}
	}
	var around []netip.Prefix // those that contain the present one
	for _, prefix := range slices.SortedFunc(maps.Keys(byPrefix), outermostFirst) {
		for len(around) > 0 && !around[len(around)-1].Contains(prefix.Addr()) {
			around = around[:len(around)-1]
		}
		head := slices.Concat(own, number(uint32(len(around))))
		first, last := bounds(prefix)
		p.addInterval(into, element{value: string(number(byPrefix[prefix]))}, slices.Concat(head, first),
			slices.Concat(head, last))
		around = append(around, prefix)
		levels = max(levels, len(around))
	}
	return levels
}

func outermostFirst(a, b netip.Prefix) int {
	return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
}

// bounds are the first and the last address of a prefix.
func bounds(p netip.Prefix) (first, last []byte) {
	first = p.Masked().Addr().AsSlice()
	last = slices.Clone(first)
	for bit := p.Bits(); bit < len(last)*8; bit++ {
		last[bit/8] |= 0x80 >> (bit % 8)
	}
	return first, last
}

func (c *compiler) compileList(l *List) *piece {
	p := newPiece()
	head := number(c.number("list " + l.ID))
	var around netip.Prefix
	for _, prefix := range slices.SortedFunc(slices.Values(l.Prefixes), outermostFirst) {
		if around.IsValid() && around.Contains(prefix.Addr()) {
			continue
		}
		around = prefix
		into := listed4
		if prefix.Addr().Is6() {
			into = listed6
		}
		first, last := bounds(prefix)
		p.addInterval(into, element{}, slices.Concat(head, first), slices.Concat(head, last))
	}
	return p
}

// shapesOf are the shapes of the chains at which an end's packets are judged: for each address first those of egress,
// if packets come from there, and then those of ingress.
func (c *compiled) shapesOf(e end, most int) (shapes []shape) {
	if len(e.Groups) == 0 {
		return nil
	}
	for _, a := range e.Addresses {
		for i, egress := range []bool{false, true} {
			if egress && e.door {
				continue
			}
			of := shape{egress: egress, groups: len(e.Groups)}
			for _, id := range e.Groups {
				n := c.groups[id].needs[i][btoi(a.Is6())]
				of.levels, of.lists = max(of.levels, n.levels), max(of.lists, n.lists)
				if n.references {
					of.members = most
				}
			}
			for v := range variants {
				if of.variant = v; (variants[v].size == 4) == a.Is4() {
					shapes = append(shapes, of)
				}
			}
		}
	}
	return shapes
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// The places of an interface's groups: their numbers for what comes in, for what goes out, and for who the interface
// is.
const (
	placeIngress = iota << 8
	placeEgress
	placeMember
)

func (c *compiler) compileEnd(e end, shapes []shape) *endPiece {
	p := &endPiece{newPiece(), e, shapes}
	if len(e.Groups) == 0 {
		return p
	}
	for _, a := range e.Addresses {
		address, v := a.AsSlice(), variantsOf(a)[0]
		for k, id := range e.Groups {
			add := func(place int, n []byte) {
				p.add(v.groups, element{value: string(n)}, address, number(uint32(place+k)))
			}
			add(placeIngress, c.directed(id, false))
			if !e.door {
				add(placeEgress, c.directed(id, true))
				add(placeMember, number(c.group(id)))
			}
		}
		p.add(v.ingressDrops, element{}, address)
		if !e.door {
			p.add(v.egressDrops, element{}, address)
		}
		for _, s := range shapes {
			if (variants[s.variant].size == 4) != a.Is4() {
				continue
			}
			into := variants[s.variant].ingress
			if s.egress {
				into = variants[s.variant].egress
			}
			p.chains[s.name()] = chain{shape: s}
			p.add(into, element{value: s.name()}, address)
		}
	}
	return p
}

func (c *compiler) compileACL(a *ACL) *aclPiece {
	p := &aclPiece{newPiece(), a, map[string]string{}}
	version := c.next()
	for _, egress := range []bool{false, true} {
		for v := range variants {
			var rules []ACLRule
			for _, r := range inOrder(a.Rules) {
				if r.Egress == egress && r.Prefix.Addr().Is4() == (variants[v].size == 4) {
					rules = append(rules, r)
				}
			}
			if len(rules) > 0 && !rules[0].Deny && rules[0].Prefix.Bits() == 0 && rules[0].Protocol == AllProtocols {
				continue // all pass
			}
			into, gate := variants[v].inbound, InboundACL
			if egress {
				into, gate = variants[v].outbound, OutboundACL
			}
			name := fmt.Sprintf("acl-%d-%s", version, sets[into].name)
			p.chains[name] = chain{acl: a.ID, gate: gate, rules: rules, variant: v}
			p.closed[sets[into].name] = name
		}
	}
	return p
}

// The keys of families in the stages.
const (
	family4 = "\x02\x00\x00\x00"
	family6 = "\x0a\x00\x00\x00"
)

// compileSubnets leads the packets of subnets to their ACLs, if any of these does not let all pass.
func (c *compiler) compileSubnets(subnets []Subnet, acls map[string]*aclPiece) *piece {
	p := newPiece()
	for _, s := range subnets {
		n := number(c.number("subnet " + s.ID))
		p.add(same, element{}, n, n)
		for _, prefix := range s.Prefixes {
			first, last := bounds(prefix)
			for _, v := range variantsOf(prefix.Addr()) {
				p.addInterval(v.subnets, element{value: string(n)}, first, last)
				for _, into := range []set{v.inbound, v.outbound} {
					a := acls[s.ACL]
					if a == nil || a.closed[sets[into].name] == "" {
						continue
					}
					p.addInterval(into, element{value: a.closed[sets[into].name], returns: true}, first, last)
					if v.size == 4 {
						p.add(stages, element{value: "acls-4", returns: true}, []byte(family4))
					}
					if v.name != "4" {
						p.add(stages, element{value: "acls-6", returns: true}, []byte(family6))
					}
				}
			}
		}
	}
	return p
}
