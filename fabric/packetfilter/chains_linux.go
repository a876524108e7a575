package packetfilter

import (
	"encoding/binary"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// The chains that every filter has beside those at the hooks.
const (
	egressChain  = "egress"  // judges where a packet comes from
	ingressChain = "ingress" // judges where it goes
	straysChain  = "strays"  // counts and drops what belongs to no connection
)

// rule is the expressions of one rule, put together.
type rule []expr.Any

// register is the nth register of four bytes.
func register(n int) uint32 { return uint32(unix.NFT_REG32_00 + n) }

func (r rule) immediate(to int, data []byte) rule {
	return append(r, &expr.Immediate{Register: register(to), Data: data})
}

func (r rule) network(to, offset, size int) rule {
	return append(r, &expr.Payload{OperationType: expr.PayloadLoad, DestRegister: register(to),
		Base: expr.PayloadBaseNetworkHeader, Offset: uint32(offset), Len: uint32(size)})
}

func (r rule) transport(to, offset, size int) rule {
	return append(r, &expr.Payload{OperationType: expr.PayloadLoad, DestRegister: register(to),
		Base: expr.PayloadBaseTransportHeader, Offset: uint32(offset), Len: uint32(size)})
}

func (r rule) meta(to int, key expr.MetaKey) rule {
	return append(r, &expr.Meta{Key: key, Register: register(to)})
}

func (r rule) equal(at int, data ...byte) rule {
	return append(r, &expr.Cmp{Op: expr.CmpOpEq, Register: register(at), Data: data})
}

func (r rule) family(proto byte) rule { return r.meta(0, expr.MetaKeyNFPROTO).equal(0, proto) }

func (r rule) protocol(proto int) rule { return r.meta(0, expr.MetaKeyL4PROTO).equal(0, byte(proto)) }

func (r rule) mask(at int, mask []byte) rule {
	return append(r, &expr.Bitwise{SourceRegister: register(at), DestRegister: register(at), Len: uint32(len(mask)),
		Mask: mask, Xor: make([]byte, len(mask))})
}

// in goes on if the key that begins in a register is in the set.
func (r rule) in(s set, at int) rule {
	return append(r, &expr.Lookup{SourceRegister: register(at), SetName: sets[s].name})
}

// find goes on if the map has the key, with the value in a register.
func (r rule) find(s set, at, to int) rule {
	return append(r, &expr.Lookup{SourceRegister: register(at), SetName: sets[s].name, DestRegister: register(to),
		IsDestRegSet: true})
}

// follow goes to the chain that the map has for the key.
func (r rule) follow(s set, at int) rule {
	return append(r, &expr.Lookup{SourceRegister: register(at), SetName: sets[s].name,
		DestRegister: unix.NFT_REG_VERDICT, IsDestRegSet: true})
}

func (r rule) verdict(kind expr.VerdictKind) rule { return append(r, &expr.Verdict{Kind: kind}) }

func (r rule) accept() rule { return r.verdict(expr.VerdictAccept) }

func (r rule) drop() rule { return append(r, &expr.Verdict{Kind: expr.VerdictDrop}) }

func (r rule) count() rule { return append(r, &expr.Counter{}) }

func (r rule) goTo(chain string) rule {
	return append(r, &expr.Verdict{Kind: expr.VerdictGoto, Chain: chain})
}

// state goes on if the packet's connection is in one of some states.
func (r rule) state(states uint32) rule {
	r = append(r, &expr.Ct{Key: expr.CtKeySTATE, Register: register(0)})
	r = r.mask(0, binary.NativeEndian.AppendUint32(nil, states))
	return append(r, &expr.Cmp{Op: expr.CmpOpNeq, Register: register(0), Data: make([]byte, 4)})
}

// The states of connections: packets of one that passed, or about it; and packets that are not tracked, which are those
// by which IPv6 finds its neighbours.
const (
	passedStates  = expr.CtStateBitESTABLISHED | expr.CtStateBitRELATED | expr.CtStateBitUNTRACKED
	outsideStates = expr.CtStateBitUNTRACKED
)

// from and to load an address of the packet.
func (v variant) from(r rule, at int) rule { return r.network(at, v.source, v.size) }
func (v variant) to(r rule, at int) rule   { return r.network(at, v.target, v.size) }

// words is the size of an address in registers.
func (v variant) words() int { return v.size / 4 }

// is goes on if a packet is of this variant, and may be of the last one for those of the middle one.
func (v variant) is() rule {
	switch v.name {
	case "4":
		return rule{}.family(unix.NFPROTO_IPV4)
	case "6":
		return rule{}.family(unix.NFPROTO_IPV6)
	}
	return rule{}.family(unix.NFPROTO_IPV6).network(0, 8, 12).in(embedded, 0).network(0, 24, 12).in(embedded, 0)
}

// hooks are where packets are judged, with where one shows that the router speaks to itself.
var hooks = []struct {
	name string
	hook *nftables.ChainHook
	own  expr.MetaKey
}{
	{"forward", nftables.ChainHookForward, 0},
	{"input", nftables.ChainHookInput, expr.MetaKeyIIF},
	{"output", nftables.ChainHookOutput, expr.MetaKeyOIF},
}

// loopbackIndex is the index of lo in every namespace.
var loopbackIndex = binary.NativeEndian.AppendUint32(nil, 1)

// hookRules are the rules at a hook. There are two chains at each: what the first accepts goes on to the second. The
// first judges where a packet comes from, the second asks the ACLs, which also see packets of known connections, and
// then judges where the packet goes.
func hookRules(own expr.MetaKey) (first, second []rule) {
	first = append(first, rule{}.state(passedStates).accept())
	if own != 0 {
		outside := rule{}.meta(0, own).equal(0, loopbackIndex...).accept()
		first, second = append(first, outside), append(second, outside)
	}
	if own != expr.MetaKeyOIF {
		first = append(first, sourceRules()...)
	}
	first = append(first, rule{}.goTo(egressChain))
	return first, append(second,
		rule{}.state(outsideStates).accept(),
		rule{}.meta(0, expr.MetaKeyNFPROTO).follow(stages, 0),
		rule{}.state(passedStates).accept(),
		rule{}.goTo(ingressChain),
	)
}

// sourceRules drop packets of IPv6 whose source is not what their wire leads to. For IPv4 the kernel does it by itself.
func sourceRules() []rule {
	return []rule{
		append(rule{}.family(unix.NFPROTO_IPV6), &expr.Fib{Register: register(0), ResultOIF: true, FlagSADDR: true,
			FlagIIF: true}).equal(0, 0, 0, 0, 0).goTo(straysChain),
		rule{}.family(unix.NFPROTO_IPV6).network(0, 8, 2).mask(0, []byte{0xff, 0xc0}).equal(0, 0xfe, 0x80).goTo(straysChain),
	}
}

// commonChains are the chains that hooks and each other go to, by name.
func commonChains() map[string][]rule {
	egress, ingress := exemptRules(expr.VerdictAccept), exemptRules(expr.VerdictAccept)
	// A connection of TCP begins with a SYN and nothing else; conntrack would take up one in the middle.
	egress = append(egress, append(rule{}.protocol(protocolTCP).transport(0, 13, 1).mask(0, []byte{0x17}),
		&expr.Cmp{Op: expr.CmpOpNeq, Register: register(0), Data: []byte{0x02}}).goTo(straysChain))
	egress = append(egress, portRules()...)
	for _, v := range variants {
		egress = append(egress, v.from(v.is(), 0).follow(v.egress, 0))
		ingress = append(ingress, v.to(v.is(), 0).follow(v.ingress, 0))
	}
	return map[string][]rule{
		egressChain:     egress,
		ingressChain:    ingress,
		straysChain:     {rule{}.count().drop()},
		"acls-4":        aclRules(variants[0]),
		"acls-embedded": aclRules(variants[1])[len(aclPreamble()):],
		"acls-6": append(append(aclPreamble(), variants[1].is().goTo("acls-embedded")),
			aclRules(variants[2])[len(aclPreamble()):]...),
	}
}

// exemptRules end the judging of packets from or to what is never filtered.
func exemptRules(kind expr.VerdictKind) []rule {
	return []rule{
		variants[0].from(variants[0].is(), 0).in(exempt4, 0).verdict(kind),
		variants[0].to(variants[0].is(), 0).in(exempt4, 0).verdict(kind),
		variants[2].from(variants[2].is(), 0).in(exempt6, 0).verdict(kind),
		variants[2].to(variants[2].is(), 0).in(exempt6, 0).verdict(kind),
	}
}

// portRules put the destination port into the packet's mark, or ICMP's type and code: two bytes, then two of 0.
func portRules() (rules []rule) {
	for _, p := range []struct{ protocol, offset int }{
		{protocolTCP, 2}, {protocolUDP, 2}, {protocolICMP, 0}, {protocolICMPv6, 0},
	} {
		rules = append(rules, append(rule{}.protocol(p.protocol).transport(0, p.offset, 2),
			&expr.Meta{Key: expr.MetaKeyMARK, SourceRegister: true, Register: register(0)}))
	}
	return rules
}

func aclPreamble() []rule { return append(exemptRules(expr.VerdictReturn), portRules()...) }

// aclRules lead a packet to the ACLs of the boundaries that it crosses.
func aclRules(v variant) []rule {
	return append(aclPreamble(),
		v.to(v.from(rule{}, 0).find(v.subnets, 0, 0), 1).find(v.subnets, 1, 1).in(same, 0).verdict(expr.VerdictReturn),
		v.from(rule{}, 0).follow(v.outbound, 0),
		v.to(rule{}, 0).follow(v.inbound, 0),
	)
}

// chainRules are the rules of a chain that belongs to a filter.
func chainRules(c chain) []rule {
	if c.acl != "" {
		return c.aclChain()
	}
	return c.shape.rules()
}

// aclChain has the rules of an ACL in their order. What it allows comes back, to pass the next ACL.
func (c chain) aclChain() []rule {
	v := variants[c.variant]
	var rules []rule
	for _, r := range c.rules {
		peer, load := r.Prefix.Masked().Addr().AsSlice(), v.from
		if r.Egress {
			load = v.to
		}
		var made rule
		if bits := r.Prefix.Bits(); bits > 0 {
			_, last := bounds(r.Prefix)
			mask := make([]byte, len(peer))
			for i := range mask {
				mask[i] = ^(peer[i] ^ last[i])
			}
			made = load(made, 0).mask(0, mask).equal(0, peer...)
		}
		made = r.Traffic.match(made)
		if r.Deny {
			made = made.count().drop()
		} else {
			made = made.verdict(expr.VerdictReturn)
		}
		rules = append(rules, made)
	}
	return append(rules, rule{}.count().drop())
}

// match goes on if a packet is of this traffic.
func (t Traffic) match(r rule) rule {
	if t.Protocol == AllProtocols {
		return r
	}
	r = r.protocol(t.Protocol)
	if first, last := t.span(); last-first != 0xffff {
		r = append(r.meta(0, expr.MetaKeyMARK), &expr.Range{Op: expr.CmpOpEq, Register: register(0),
			FromData: []byte{byte(first >> 8), byte(first), 0, 0}, ToData: []byte{byte(last >> 8), byte(last), 0, 0}})
	}
	return r
}

// rules look a new packet up in all that the interface's groups may allow. A lookup that finds nothing ends its rule.
func (s shape) rules() (rules []rule) {
	v := variants[s.variant]
	own, peer, drops, place := v.to, v.from, v.ingressDrops, placeIngress
	if s.egress {
		own, peer, drops, place = v.from, v.to, v.egressDrops, placeEgress
	}
	group := func(k int) rule {
		return own(rule{}, 0).immediate(v.words(), number(uint32(place+k))).find(v.groups, 0, 0)
	}
	allowed := func(r rule) rule {
		return r.meta(1, expr.MetaKeyL4PROTO).meta(2, expr.MetaKeyMARK).in(ports, 0).accept()
	}
	for k := range s.groups {
		for level := range s.levels {
			rules = append(rules, allowed(peer(group(k).immediate(1, number(uint32(level))), 2).find(v.prefixes, 0, 0)))
		}
		for j := range s.members {
			rules = append(rules, allowed(peer(group(k), 1).immediate(1+v.words(), number(uint32(placeMember+j))).
				find(v.groups, 1, 1).find(references, 0, 0)))
		}
		for n := range s.lists {
			rules = append(rules, allowed(peer(group(k).immediate(1, number(uint32(n))).find(lists, 0, 0), 2).in(v.listed, 1)))
		}
	}
	return append(rules, own(rule{}, 0).in(drops, 0).drop(), rule{}.drop())
}
