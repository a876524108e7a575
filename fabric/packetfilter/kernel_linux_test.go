package packetfilter_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"pergola/fabric/packetfilter"
)

// TestTheKernelAgreesWithTheModel declares random filters, one after the other, and sends packets of random flows:
// those arrive that the model lets pass, and the counters tell of the others what the model says of them.
func TestTheKernelAgreesWithTheModel(t *testing.T) {
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	l := newLab(t, 4)
	w := &world{rand: r}
	port, mark := uint16(2000), uint64(1)<<56
	for round := range rounds {
		f := w.next()
		must(t, l.enforcer.Apply(f))
		must(t, l.router.run(func() error { return netlink.ConntrackTableFlush(netlink.ConntrackTable) }))
		model, err := packetfilter.NewModel(f, l.known)
		must(t, err)
		before := dropped(t, l)
		expected := map[packetfilter.Drop]uint64{}
		var sent []sentFlow
		once := map[string]bool{} // flows that conntrack would take for one
		for range 80 {
			port, mark = max(port+1, 2000), mark+1
			from, flow := w.flow(l, port)
			if flow.Protocol == 50 {
				name := fmt.Sprint(flow.From.Addr(), flow.To.Addr())
				if once[name] || once[fmt.Sprint(flow.To.Addr(), flow.From.Addr())] {
					continue
				}
				once[name] = true
			}
			steps := model.Packet(flow)
			from.send(t, flow, mark)
			sent = append(sent, sentFlow{flow, mark, steps})
			if !packetfilter.Passed(steps) {
				last := steps[len(steps)-1]
				expected[packetfilter.Drop{Gate: last.Gate, At: last.At, Rule: last.Rule}]++
			}
		}
		l.settle(t, &mark)
		for _, s := range sent {
			if packetfilter.Passed(s.steps) && !l.arrives(s.mark) {
				t.Errorf("round %d: %v: the kernel drops it, the model says %v", round, s.flow, s.steps)
			}
		}
		seen := l.seen()
		for _, s := range sent {
			if seen[s.mark] && !packetfilter.Passed(s.steps) {
				t.Errorf("round %d: %v: the kernel passes it, the model says %v", round, s.flow, s.steps)
			}
		}
		checkDrops(t, before, dropped(t, l), expected)
		if t.Failed() {
			t.Fatalf("the filter was %s", describe(f))
		}
	}
}

type sentFlow struct {
	flow  packetfilter.Flow
	mark  uint64
	steps []packetfilter.Step
}

func dropped(t *testing.T, l *lab) map[packetfilter.Drop]uint64 {
	t.Helper()
	drops, err := l.enforcer.Drops()
	must(t, err)
	all := map[packetfilter.Drop]uint64{}
	for _, d := range drops {
		all[packetfilter.Drop{Gate: d.Gate, At: d.At, Rule: d.Rule}] = d.Packets
	}
	return all
}

// checkDrops compares counters. ACLs may have dropped answers of the hosts too.
func checkDrops(t *testing.T, before, after, expected map[packetfilter.Drop]uint64) {
	t.Helper()
	names := maps.Clone(after)
	maps.Copy(names, expected)
	for name := range names {
		got, want := after[name]-before[name], expected[name]
		isACL := name.Gate == packetfilter.OutboundACL || name.Gate == packetfilter.InboundACL
		if got != want && !(isACL && got > want) {
			t.Errorf("the kernel counts %d packets dropped at %v, want %d", got, name, want)
		}
	}
}

// settle waits until all packets that were sent before have come, or will not.
func (l *lab) settle(t testing.TB, mark *uint64) {
	t.Helper()
	send := func(from *host, source, target netip.Addr) {
		*mark++
		from.send(t, packetfilter.Flow{Protocol: unix.IPPROTO_UDP, From: netip.AddrPortFrom(source, 9),
			To: netip.AddrPortFrom(target, labPorts[0])}, *mark)
		l.awaited(t, *mark)
	}
	for _, from := range l.hosts {
		for _, to := range l.hosts {
			if from != to {
				send(from, from.addresses[0], to.marker[0])
				send(from, from.addresses[1], to.marker[1])
			}
		}
		send(from, from.addresses[0], labRouter.Unfiltered[0])
		send(&l.self, labRouter.Unfiltered[0], from.marker[0])
	}
}

func describe(f *packetfilter.Filter) (s string) {
	for _, g := range f.Groups {
		s += fmt.Sprintf("\n%+v", *g)
	}
	for _, a := range f.ACLs {
		s += fmt.Sprintf("\n%+v", *a)
	}
	for _, l := range f.Lists {
		s += fmt.Sprintf("\n%+v", *l)
	}
	return s + fmt.Sprintf("\n%+v\n%+v\n%+v", f.Subnets, f.Interfaces, f.Doors)
}

var labPorts = []uint16{22, 53, 80, 443, 8080}

// world makes random filters, each a change of the one before, and random flows.
type world struct {
	rand   *rand.Rand
	filter packetfilter.Filter
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// next changes some of the filter, and keeps the pointers to what it does not change.
func (w *world) next() *packetfilter.Filter {
	r, f := w.rand, w.filter
	f.Groups, f.ACLs, f.Lists = slices.Clone(f.Groups), slices.Clone(f.ACLs), slices.Clone(f.Lists)
	if len(f.Groups) > 0 && r.IntN(4) > 0 {
		w.little(&f)
		w.filter = f
		return &f
	}
	for i := range 6 {
		if g := w.group(i); i >= len(f.Groups) {
			f.Groups = append(f.Groups, g)
		} else if r.IntN(3) == 0 {
			f.Groups[i] = g
		}
	}
	for i := range 3 {
		if a := w.acl(i); i >= len(f.ACLs) {
			f.ACLs = append(f.ACLs, a)
		} else if r.IntN(3) == 0 {
			f.ACLs[i] = a
		}
	}
	for i := range 3 {
		if l := w.list(i); i >= len(f.Lists) {
			f.Lists = append(f.Lists, l)
		} else if r.IntN(4) == 0 {
			f.Lists[i] = l
		}
	}
	f.Subnets, f.Interfaces, f.Doors = nil, nil, nil
	for i, prefixes := range [][2]string{{"10.0.1.0/24", "fd00:1::/32"}, {"10.0.2.0/23", "fd00:2::/31"},
		{"10.0.4.0/24", "fd00:4::/32"}} {
		f.Subnets = append(f.Subnets, packetfilter.Subnet{ID: fmt.Sprintf("subnet-%d", i),
			ACL:      pick(r, "", "acl-0", "acl-1", "acl-2"),
			Prefixes: []netip.Prefix{netip.MustParsePrefix(prefixes[0]), netip.MustParsePrefix(prefixes[1])}})
	}
	for i := range 4 {
		f.Interfaces = append(f.Interfaces, packetfilter.Interface{ID: fmt.Sprintf("i-%d", i), Groups: w.groups(),
			Addresses: []netip.Addr{netip.MustParseAddr(fmt.Sprintf("10.0.%d.10", i+1)),
				netip.MustParseAddr(fmt.Sprintf("fd00:%d::10", i+1))}})
	}
	for i := range 2 {
		f.Doors = append(f.Doors, packetfilter.Door{ID: fmt.Sprintf("snva-%d", i), Groups: w.groups(),
			Addresses: []netip.Addr{netip.MustParseAddr(fmt.Sprintf("169.254.171.%d", i+1)),
				netip.MustParseAddr(fmt.Sprintf("fd00:ec2:80::a9fe:ab0%d", i+1))}})
	}
	w.filter = f
	return &f
}

// little changes one thing or two, which is one transaction of the kernel.
func (w *world) little(f *packetfilter.Filter) {
	f.Subnets, f.Interfaces, f.Doors = slices.Clone(f.Subnets), slices.Clone(f.Interfaces), slices.Clone(f.Doors)
	for range 1 + w.rand.IntN(2) {
		switch n := w.rand.IntN(3); w.rand.IntN(7) {
		case 0:
			f.ACLs[n] = w.acl(n)
		case 1:
			f.Lists[n] = w.list(n)
		case 2:
			f.Subnets[n].ACL = pick(w.rand, "", "acl-0", "acl-1", "acl-2")
		case 3:
			f.Interfaces[n].Groups = w.groups()
		case 4:
			f.Doors[n%2].Groups = w.groups()
		default:
			f.Groups[n] = w.group(n)
		}
	}
}

func (w *world) groups() (ids []string) {
	for _, i := range w.rand.Perm(6)[:pick(w.rand, 0, 1, 1, 1, 2, 3, 5)] {
		ids = append(ids, fmt.Sprintf("sg-%d", i))
	}
	return ids
}

func (w *world) group(n int) *packetfilter.Group {
	g := &packetfilter.Group{ID: fmt.Sprintf("sg-%d", n)}
	for i := range w.rand.IntN(12) {
		g.Rules = append(g.Rules, packetfilter.Rule{ID: fmt.Sprintf("sgr-%d-%d", n, i), Egress: w.rand.IntN(2) == 0,
			Traffic: w.traffic(), Peer: w.peer()})
	}
	return g
}

func (w *world) peer() packetfilter.Peer {
	switch w.rand.IntN(6) {
	case 0:
		return packetfilter.Peer{Group: fmt.Sprintf("sg-%d", w.rand.IntN(6))}
	case 1:
		return packetfilter.Peer{List: fmt.Sprintf("pl-%d", w.rand.IntN(3))}
	}
	return packetfilter.Peer{Prefix: w.prefix()}
}

func (w *world) prefix() netip.Prefix {
	return netip.MustParsePrefix(pick(w.rand, "0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/16", "10.0.2.0/23", "10.0.1.10/32",
		"10.0.3.10/32",
		"10.0.4.0/24", "128.0.0.0/1", "255.255.255.255/32", "169.254.171.0/24", "169.254.171.2/32", "169.254.171.5/32",
		"::/0", "fd00::/8", "fd00:2::/31", "fd00:3::10/128", "fd00:4::/32", "8000::/1", "fd00:ec2:80::/64",
		"fd00:ec2:80::a9fe:ab01/128"))
}

func (w *world) traffic() packetfilter.Traffic {
	port := func() uint16 { return pick(w.rand, labPorts...) }
	switch w.rand.IntN(8) {
	case 0:
		return packetfilter.Traffic{Protocol: packetfilter.AllProtocols}
	case 1:
		return packetfilter.Traffic{Protocol: 50}
	case 2:
		return packetfilter.ICMP(pick(w.rand, unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6), pick(w.rand, -1, 8, 13, 128),
			pick(w.rand, -1, 0, 1))
	case 3:
		return packetfilter.Traffic{Protocol: pick(w.rand, unix.IPPROTO_TCP, unix.IPPROTO_UDP), To: 65535}
	}
	from, to := port(), port()
	return packetfilter.Traffic{Protocol: pick(w.rand, unix.IPPROTO_TCP, unix.IPPROTO_UDP), From: min(from, to),
		To: max(from, to)}
}

func (w *world) acl(n int) *packetfilter.ACL {
	a := &packetfilter.ACL{ID: fmt.Sprintf("acl-%d", n)}
	for i, number := range w.rand.Perm(20)[:w.rand.IntN(14)] {
		a.Rules = append(a.Rules, packetfilter.ACLRule{Number: 10*number + 1, Egress: i%2 == 0, Deny: w.rand.IntN(3) == 0,
			Traffic: w.traffic(), Prefix: w.prefix()})
	}
	return a
}

func (w *world) list(n int) *packetfilter.List {
	l := &packetfilter.List{ID: fmt.Sprintf("pl-%d", n)}
	for range w.rand.IntN(4) {
		l.Prefixes = append(l.Prefixes, w.prefix())
	}
	return l
}

// flow is one between hosts, from a host to the service network, or from there to a host.
func (w *world) flow(l *lab, port uint16) (*host, packetfilter.Flow) {
	r := w.rand
	i, j := r.IntN(len(l.hosts)), r.IntN(len(l.hosts)-1)
	if j >= i {
		j++
	}
	a, b := l.hosts[i], l.hosts[j]
	at := func(from, to netip.Addr, protocol uint8, target uint16) packetfilter.Flow {
		return packetfilter.Flow{Protocol: protocol, From: netip.AddrPortFrom(from, port), To: netip.AddrPortFrom(to, target)}
	}
	service := byte(1 + r.IntN(3))
	service4, service6 := netip.AddrFrom4([4]byte{169, 254, 171, service}),
		netip.MustParseAddr(fmt.Sprintf("fd00:ec2:80::a9fe:ab0%d", service))
	switch r.IntN(8) {
	case 0:
		return a, at(a.addresses[0], service4, unix.IPPROTO_UDP, pick(r, labPorts...))
	case 1:
		return a, at(pick(r, a.addresses[1:]...), service6, unix.IPPROTO_UDP, pick(r, labPorts...))
	case 2:
		return &l.self, at(service4, b.addresses[0], unix.IPPROTO_UDP, pick(r, labPorts...))
	case 3:
		return &l.self, at(service6, pick(r, b.addresses[1:]...), unix.IPPROTO_UDP, pick(r, labPorts...))
	}
	family := r.IntN(2)
	from, to := a.addresses[family], b.addresses[family]
	switch r.IntN(6) {
	case 0:
		if family == 1 {
			return a, at(from, to, unix.IPPROTO_ICMPV6, packetfilter.ICMPPort(128, r.IntN(2)))
		}
		// Hosts answer a timestamp request of another code with code 0, which belongs to no connection.
		return a, at(from, to, unix.IPPROTO_ICMP, pick(r, packetfilter.ICMPPort(8, 0), packetfilter.ICMPPort(8, 1),
			packetfilter.ICMPPort(13, 0)))
	case 1:
		return a, at(from, to, 50, 0)
	}
	return a, at(from, to, pick[uint8](r, unix.IPPROTO_TCP, unix.IPPROTO_UDP), pick(r, labPorts...))
}
