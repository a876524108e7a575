package packetfilter

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
)

// Gate is a place at which a packet can be dropped.
type Gate string

// The gates, in the order in which a packet comes to them; and one for what belongs to no connection.
const (
	EgressGroups      Gate = "egress of the client's security groups"
	OutboundACL       Gate = "outbound network ACL"
	InboundACL        Gate = "inbound network ACL"
	IngressGroups     Gate = "ingress of the target's security groups"
	AssociationGroups Gate = "security groups of the association"
	NoConnection      Gate = "no connection"
)

// Flow is who wants to send to whom. For ICMP, the port of To is an ICMPPort.
type Flow struct {
	Protocol uint8
	From, To netip.AddrPort
}

// Step is what one gate says of a flow. At names the interface, the association or the ACL; Rule is the rule that
// decided, a group's by its id and an ACL's by its number or "*", and empty where no rule of a group allows the flow.
type Step struct {
	Gate   Gate
	At     string
	Rule   string
	Answer bool // the packet is one of the answer's
	Passed bool
}

// String tells who passed or dropped the packet, and by which rule.
func (s Step) String() string {
	of := string(s.Gate)
	if s.Answer {
		of = "the answer at the " + of
	}
	switch isACL := s.Gate == OutboundACL || s.Gate == InboundACL; {
	case s.Passed && isACL:
		return fmt.Sprintf("%s: rule %s of %s allows it", of, s.Rule, s.At)
	case s.Passed:
		return fmt.Sprintf("%s: rule %s of %s's groups allows it", of, s.Rule, s.At)
	case isACL:
		return fmt.Sprintf("%s: rule %s of %s denies it", of, s.Rule, s.At)
	}
	return fmt.Sprintf("%s: no rule of %s's groups allows it", of, s.At)
}

// DroppedError is that a connection did not come about because of a packet that was dropped.
type DroppedError struct {
	Step Step
	Err  error // a time-out of connecting
}

// Error names the time-out, and who dropped the packet.
func (e *DroppedError) Error() string { return e.Err.Error() + ": dropped at the " + e.Step.String() }

// Unwrap is the time-out.
func (e *DroppedError) Unwrap() error { return e.Err }

// Timeout is true, as a dropped packet shows in nothing else.
func (e *DroppedError) Timeout() bool { return true }

// Passed reports whether a flow comes past all gates.
func Passed(steps []Step) bool { return len(steps) == 0 || steps[len(steps)-1].Passed }

// Model judges flows by a filter. It may be used by several goroutines.
type Model struct {
	router   Router
	exempt   map[netip.Addr]bool
	groups   map[string]*Group
	lists    map[string]*List
	acls     map[string]*ACL // each with its rules in order
	subnets  []Subnet
	ends     map[netip.Addr]*end
	declared *Filter
}

// NewModel makes the model of a filter. A nil one filters nothing.
func NewModel(f *Filter, r Router) (*Model, error) {
	if f == nil {
		f = &Filter{}
	}
	if err := f.check(); err != nil {
		return nil, err
	}
	m := &Model{router: r, exempt: map[netip.Addr]bool{}, groups: map[string]*Group{}, lists: map[string]*List{},
		acls: map[string]*ACL{}, subnets: f.Subnets, ends: map[netip.Addr]*end{}, declared: f}
	for _, a := range r.Unfiltered {
		m.exempt[a] = true
	}
	for _, g := range f.Groups {
		m.groups[g.ID] = g
	}
	for _, l := range f.Lists {
		m.lists[l.ID] = l
	}
	for _, a := range f.ACLs {
		m.acls[a.ID] = &ACL{a.ID, inOrder(a.Rules)}
	}
	for _, e := range f.ends() {
		for _, a := range e.Addresses {
			m.ends[a] = &e
		}
	}
	return m, nil
}

func inOrder(rules []ACLRule) []ACLRule {
	return slices.SortedStableFunc(slices.Values(rules), func(a, b ACLRule) int { return a.Number - b.Number })
}

// Packet judges the first packet of a flow. It lists the gates that the packet comes to; the last one may drop it.
func (m *Model) Packet(f Flow) []Step {
	f = m.judged(f)
	if m.exempt[f.From.Addr()] || m.exempt[f.To.Addr()] {
		return nil
	}
	var steps []Step
	if from := m.ends[f.From.Addr()]; from != nil && !from.door && len(from.Groups) > 0 {
		steps = append(steps, m.atGroups(EgressGroups, from, f))
	}
	if Passed(steps) {
		steps = m.atACLs(steps, f, false)
	}
	if to := m.ends[f.To.Addr()]; to != nil && len(to.Groups) > 0 && Passed(steps) {
		steps = append(steps, m.atGroups(to.ingress(), to, f))
	}
	return steps
}

func (e *end) ingress() Gate {
	if e.door {
		return AssociationGroups
	}
	return IngressGroups
}

// Connection judges a flow and its answers, which groups let pass and ACLs may not.
func (m *Model) Connection(f Flow) []Step {
	steps := m.Packet(f)
	f = m.judged(f)
	if !Passed(steps) || m.exempt[f.From.Addr()] || m.exempt[f.To.Addr()] {
		return steps
	}
	return m.atACLs(steps, answer(f), true)
}

// answer is the flow of a flow's answers.
func answer(f Flow) Flow {
	from, to := f.To, f.From
	switch f.Protocol {
	case protocolICMP: // an echo (RFC 792)
		from, to = netip.AddrPortFrom(from.Addr(), 0), netip.AddrPortFrom(to.Addr(), ICMPPort(0, 0))
	case protocolICMPv6: // an echo (RFC 4443 §4.2)
		from, to = netip.AddrPortFrom(from.Addr(), 0), netip.AddrPortFrom(to.Addr(), ICMPPort(129, 0))
	}
	return Flow{f.Protocol, from, to}
}

// judged is a flow with the addresses by which it is judged.
func (m *Model) judged(f Flow) Flow {
	from, ok := m.embedded(f.From)
	to, both := m.embedded(f.To)
	if ok && both {
		f.From, f.To = from, to
	}
	return f
}

func (m *Model) embedded(a netip.AddrPort) (netip.AddrPort, bool) {
	for _, p := range m.router.Embedded {
		if p.Contains(a.Addr()) {
			b := a.Addr().As16()
			return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[12:])), a.Port()), true
		}
	}
	return a, false
}

// atGroups judges by the groups of one end; which of the flow's ends that is, the gate tells.
func (m *Model) atGroups(gate Gate, at *end, f Flow) Step {
	rule := m.allowing(at, gate == EgressGroups, f, func(Rule) bool { return true })
	return Step{Gate: gate, At: at.ID, Rule: rule, Passed: rule != ""}
}

// allowing is the id of the first rule of an end's groups that allows a flow in a direction, of those that are wanted.
func (m *Model) allowing(at *end, egress bool, f Flow, wanted func(Rule) bool) string {
	peer := f.From.Addr()
	if egress {
		peer = f.To.Addr()
	}
	for _, id := range at.Groups {
		for _, r := range m.groups[id].Rules {
			if r.Egress == egress && r.covers(f) && m.isPeer(r.Peer, peer) && wanted(r) {
				return r.ID
			}
		}
	}
	return ""
}

// covers reports whether a flow is of this traffic.
func (t Traffic) covers(f Flow) bool {
	at := uint32(f.Protocol) << 16
	switch f.Protocol {
	case protocolTCP, protocolUDP, protocolICMP, protocolICMPv6:
		at |= uint32(f.To.Port())
	}
	first, last := t.span()
	return first <= at && at <= last
}

func (m *Model) isPeer(p Peer, a netip.Addr) bool {
	switch {
	case p.Group != "":
		e := m.ends[a]
		return e != nil && !e.door && slices.Contains(e.Groups, p.Group)
	case p.List != "":
		l := m.lists[p.List]
		return l != nil && slices.ContainsFunc(l.Prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	return p.Prefix.Contains(a)
}

// atACLs judges a packet at the boundaries that it crosses.
func (m *Model) atACLs(steps []Step, f Flow, isAnswer bool) []Step {
	from, to := m.subnetOf(f.From.Addr()), m.subnetOf(f.To.Addr())
	if from != nil && from == to {
		return steps
	}
	if from != nil && from.ACL != "" {
		steps = append(steps, m.atACL(OutboundACL, from.ACL, f, isAnswer))
	}
	if to != nil && to.ACL != "" && Passed(steps) {
		steps = append(steps, m.atACL(InboundACL, to.ACL, f, isAnswer))
	}
	return steps
}

func (m *Model) subnetOf(a netip.Addr) *Subnet {
	for i, s := range m.subnets {
		if slices.ContainsFunc(s.Prefixes, func(p netip.Prefix) bool { return p.Contains(a) }) {
			return &m.subnets[i]
		}
	}
	return nil
}

func (m *Model) atACL(gate Gate, id string, f Flow, isAnswer bool) Step {
	step := Step{Gate: gate, At: id, Rule: "*", Answer: isAnswer}
	peer := f.From.Addr()
	if gate == OutboundACL {
		peer = f.To.Addr()
	}
	for _, r := range m.acls[id].Rules {
		if r.Egress == (gate == OutboundACL) && r.covers(f) && r.Prefix.Contains(peer) {
			step.Rule, step.Passed = strconv.Itoa(r.Number), !r.Deny
			break
		}
	}
	return step
}

// cuts reports whether a change from this model to the next ends a flow that has passed. AWS does not track a flow of
// TCP or UDP that a rule for everybody allows, if another one lets all answers pass to everybody: such a flow goes with
// its rules.
func (m *Model) cuts(next *Model, f Flow) bool {
	f = m.judged(f)
	if f.Protocol != protocolTCP && f.Protocol != protocolUDP {
		return false
	}
	from, to := m.ends[f.From.Addr()], m.ends[f.To.Addr()]
	return from != nil && !from.door && m.cutsAt(next, from, f, true) || to != nil && m.cutsAt(next, to, f, false)
}

func (m *Model) cutsAt(next *Model, at *end, f Flow, egress bool) bool {
	back := Flow{f.Protocol, f.To, f.From}
	if at.Tracked || m.allowing(at, egress, f, func(r Rule) bool { return isForAll(r.Peer) }) == "" ||
		m.allowing(at, !egress, back, isForAllPorts) == "" {
		return false
	}
	address := f.To.Addr()
	if egress {
		address = f.From.Addr()
	}
	then := next.ends[address]
	if then == nil || len(then.Groups) == 0 {
		return false // it has no gate any more
	}
	always := func(Rule) bool { return true }
	return next.allowing(then, egress, f, always) == "" || next.allowing(then, !egress, back, always) == ""
}

// mayCut reports whether a change can end any flow: an interface that may have flows which are not tracked loses a rule
// for everybody.
func (m *Model) mayCut(next *Model) bool {
	for _, at := range m.declared.Interfaces {
		if at.Tracked {
			continue
		}
		before := m.rulesForAll(at.Groups)
		if both := before[false] != nil && before[true] != nil; !both {
			continue
		}
		for _, a := range at.Addresses {
			then := next.ends[a]
			if then == nil {
				continue
			}
			after := next.rulesForAll(then.Groups)
			for egress, rules := range before {
				for of := range rules {
					if !after[egress][of] {
						return true
					}
				}
			}
		}
	}
	return false
}

// forAll is what a rule for everybody allows.
type forAll struct {
	Traffic
	six bool
}

// rulesForAll are the rules for everybody in some groups, by whether they are of egress.
func (m *Model) rulesForAll(groups []string) map[bool]map[forAll]bool {
	all := map[bool]map[forAll]bool{}
	for _, id := range groups {
		for _, r := range m.groups[id].Rules {
			if isForAll(r.Peer) {
				if all[r.Egress] == nil {
					all[r.Egress] = map[forAll]bool{}
				}
				all[r.Egress][forAll{r.Traffic, r.Prefix.Addr().Is6()}] = true
			}
		}
	}
	return all
}

func isForAll(p Peer) bool { return p.Prefix.IsValid() && p.Prefix.Bits() == 0 }

func isForAllPorts(r Rule) bool {
	first, last := r.span()
	return isForAll(r.Peer) && last-first >= 0xffff
}
