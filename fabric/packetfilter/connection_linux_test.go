package packetfilter_test

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	pf "pergola/fabric/packetfilter"
)

// wearing gives the second host of a lab a group.
func wearing(l *lab, g *pf.Group, tracked bool) *pf.Filter {
	return &pf.Filter{Groups: []*pf.Group{g}, Interfaces: []pf.Interface{
		{ID: "i-0", Addresses: l.hosts[0].addresses[:2]},
		{ID: "i-1", Addresses: l.hosts[1].addresses[:2], Groups: []string{g.ID}, Tracked: tracked}}}
}

// connect opens a connection of TCP from one host to another.
func connect(t testing.TB, from, at *host, family int, port uint16) (client, server net.Conn) {
	t.Helper()
	address := net.TCPAddrFromAddrPort(netip.AddrPortFrom(at.addresses[family], port))
	var l *net.TCPListener
	must(t, at.run(func() (err error) { l, err = net.ListenTCP("tcp", address); return err }))
	defer l.Close()
	must(t, from.run(func() (err error) {
		client, err = net.DialTimeout("tcp", address.String(),
			10*time.Second)
		return err
	}))
	server, err := l.Accept()
	must(t, err)
	t.Cleanup(func() { client.Close(); server.Close() })
	return client, server
}

// counted is how many packets were dropped at a gate by a rule.
func counted(t testing.TB, l *lab, gate pf.Gate, at, rule string) uint64 {
	t.Helper()
	drops, err := l.enforcer.Drops()
	must(t, err)
	for _, d := range drops {
		if d.Gate == gate && d.At == at && d.Rule == rule {
			return d.Packets
		}
	}
	return 0
}

// until waits for what another goroutine or the kernel brings about.
func until(t testing.TB, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	patience := time.After(10 * time.Second)
	for !done() {
		select {
		case <-tick.C:
		case <-patience:
			t.Fatal(what)
		}
	}
}

// passes sends bytes over a connection.
func passes(t testing.TB, from, to net.Conn) {
	t.Helper()
	_, err := from.Write([]byte("bytes"))
	must(t, err)
	to.SetReadDeadline(time.Now().Add(10 * time.Second))
	_, err = io.ReadFull(to, make([]byte, 5))
	must(t, err)
}

// TestWhichConnectionsOutliveTheirRules: AWS tracks a connection unless everybody may come and every answer may go.
func TestWhichConnectionsOutliveTheirRules(t *testing.T) {
	anybody, answers := ingress(web, to("0.0.0.0/0")), egress(everything, to("0.0.0.0/0"))
	some := ingress(web, to("10.0.0.0/8"))
	for name, c := range map[string]struct {
		before, after []pf.Rule
		tracked       bool
		leaves        bool // the group
		cut           bool
	}{
		"everybody's rule goes": {before: []pf.Rule{anybody, answers}, after: []pf.Rule{answers},
			cut: true},
		"the rule for all answers goes": {before: []pf.Rule{anybody, answers}, after: []pf.Rule{anybody},
			cut: true},
		"the group goes":                  {before: []pf.Rule{anybody, answers}, leaves: true, cut: true},
		"another rule still allows it":    {before: []pf.Rule{anybody, answers}, after: []pf.Rule{some, answers}},
		"some prefix's rule goes":         {before: []pf.Rule{some, answers}, after: []pf.Rule{answers}},
		"answers may not all go":          {before: []pf.Rule{anybody, egress(everything, to("10.0.0.0/8"))}},
		"answers may not go to all ports": {before: []pf.Rule{anybody, egress(web, to("0.0.0.0/0"))}},
		"answers may go by another protocol": {before: []pf.Rule{anybody,
			egress(pf.Traffic{Protocol: unix.IPPROTO_UDP, To: 65535}, to("0.0.0.0/0"))}},
		"the interface's connections are all tracked": {before: []pf.Rule{anybody, answers}, tracked: true},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, 2)
			must(t, l.enforcer.Apply(wearing(l, group("sg-1", c.before...), c.tracked)))
			client, server := connect(t, l.hosts[0], l.hosts[1], 0, 80)
			passes(t, client, server)
			next := wearing(l, group("sg-1", c.after...), c.tracked)
			if c.leaves {
				next.Groups = append(next.Groups, group("sg-2"))
				next.Interfaces[1].Groups = []string{"sg-2"}
			}
			must(t, l.enforcer.Apply(next))
			if !c.cut {
				passes(t, client, server)
				passes(t, server, client)
				return
			}
			for _, from := range []net.Conn{client, server} {
				before := counted(t, l, pf.NoConnection, "", "")
				_, err := from.Write([]byte("bytes"))
				must(t, err)
				until(t, "the connection is not cut", func() bool { return counted(t, l, pf.NoConnection, "", "") > before })
			}
		})
	}
}

// An ACL knows no connections: its change stops what is under way, and lets it go on.
func TestACLsStopWhatIsUnderWay(t *testing.T) {
	for family, all := range []string{"0.0.0.0/0", "::/0"} {
		l := newLab(t, 2)
		allow := func(number int, out, deny bool) pf.ACLRule {
			return pf.ACLRule{Number: number, Egress: out, Deny: deny, Traffic: everything, Prefix: netip.MustParsePrefix(all)}
		}
		with := func(rules ...pf.ACLRule) *pf.Filter {
			f := wearing(l, group("sg-1", ingress(everything, to(all))), false)
			f.ACLs = []*pf.ACL{{ID: "acl-1", Rules: rules}}
			f.Subnets = []pf.Subnet{{ID: "subnet-1", ACL: "acl-1", Prefixes: []netip.Prefix{
				netip.PrefixFrom(l.hosts[1].addresses[0], 32), netip.PrefixFrom(l.hosts[1].addresses[1], 128)}}}
			return f
		}
		open := with(allow(100, true, false), allow(100, false, false))
		must(t, l.enforcer.Apply(open))
		client, server := connect(t, l.hosts[0], l.hosts[1], family, 80)
		passes(t, client, server)
		must(t, l.enforcer.Apply(with(allow(100, true, false), allow(90, false, true), allow(100, false, false))))
		_, err := client.Write([]byte("bytes"))
		must(t, err)
		until(t, "the ACL does not stop it", func() bool { return counted(t, l, pf.InboundACL, "acl-1", "90") > 0 })
		must(t, l.enforcer.Apply(open))
		server.SetReadDeadline(time.Now().Add(10 * time.Second))
		_, err = io.ReadFull(server, make([]byte, 5)) // sent again by the client's kernel
		must(t, err)
		if counted(t, l, pf.InboundACL, "acl-1", "90") == 0 {
			t.Error("the count of a rule goes with its ACL's version")
		}
	}
}

// Answers pass groups that would not let them in; who joins a group is known by it, and who leaves is not.
func TestGroupsFollowTheirMembers(t *testing.T) {
	l := newLab(t, 3)
	f := wearing(l, group("sg-1", ingress(web, pf.Peer{Group: "sg-friends"})), false)
	friends := group("sg-friends", egress(everything, to("0.0.0.0/0")), egress(everything, to("::/0")))
	f.Groups = append(f.Groups, friends)
	f.Interfaces = append(f.Interfaces, pf.Interface{ID: "i-2", Addresses: l.hosts[2].addresses[:2],
		Groups: []string{"sg-friends"}})
	mark, port := uint64(1)<<56, uint16(30000)
	tries := func(from *host, family int) bool {
		mark, port = mark+1, port+1
		source := from.addresses[family]
		wanted := mark
		from.send(t, pf.Flow{Protocol: unix.IPPROTO_TCP, From: netip.AddrPortFrom(source, port),
			To: netip.AddrPortFrom(l.hosts[1].addresses[family], 80)}, mark)
		l.settle(t, &mark)
		return l.seen()[wanted]
	}
	for i, members := range [][]int{{2}, {0, 2}, {0}, {}} {
		next := *f
		next.Interfaces = slices.Clone(f.Interfaces)
		for _, n := range []int{0, 2} {
			next.Interfaces[n].Groups = nil
			if slices.Contains(members, n) {
				next.Interfaces[n].Groups = []string{"sg-friends"}
			}
		}
		must(t, l.enforcer.Apply(&next))
		for _, n := range []int{0, 2} {
			for family := range 2 {
				if got := tries(l.hosts[n], family); got != slices.Contains(members, n) {
					t.Errorf("step %d: host %d by family %d passes: %t", i, n, family, got)
				}
			}
		}
	}
}

// What pretends to belong to a connection, or to come from elsewhere, is dropped.
func TestStraysAreDropped(t *testing.T) {
	l := newLab(t, 2)
	must(t, l.enforcer.Apply(&pf.Filter{}))
	a, b := l.hosts[0], l.hosts[1]
	mark := uint64(1) << 56
	for name, source := range map[string]netip.Addr{
		"another host's address": b.addresses[1], "the service network's": netip.MustParseAddr("fd00:ec2:80::a9fe:ab01"),
		"a link's": netip.MustParseAddr("fe80::1234"), "nobody's": netip.MustParseAddr("fd00:dead::1"),
	} {
		before := counted(t, l, pf.NoConnection, "", "")
		mark++
		a.send(t, pf.Flow{Protocol: unix.IPPROTO_UDP, From: netip.AddrPortFrom(source, 999),
			To: netip.AddrPortFrom(netip.MustParseAddr("fd00:ec2:80::a9fe:ab02"), 80)}, mark)
		l.settle(t, &mark)
		if counted(t, l, pf.NoConnection, "", "") != before+1 {
			t.Errorf("%s is taken", name)
		}
	}
}

// A VPC's first filter ends the connections that were opened without one: it has not seen them begin.
func TestAConnectionIsNotTakenUpInItsMiddle(t *testing.T) {
	l := newLab(t, 2)
	client, server := connect(t, l.hosts[0], l.hosts[1], 0, 80)
	passes(t, client, server)
	must(t, l.enforcer.Apply(&pf.Filter{}))
	_, err := client.Write([]byte("bytes"))
	must(t, err)
	until(t, "a connection is taken up in its middle", func() bool { return counted(t, l, pf.NoConnection, "", "") > 0 })
}

// A change too large for one transaction keeps the counts and what is established.
func TestALargeChangeKeepsCountsAndConnections(t *testing.T) {
	l := newLab(t, 2)
	small := wearing(l, group("sg-1", ingress(web, to("10.0.0.0/8"))), false)
	must(t, l.enforcer.Apply(small))
	client, server := connect(t, l.hosts[0], l.hosts[1], 0, 80)
	mark := uint64(1) << 56
	blocked := pf.Flow{Protocol: unix.IPPROTO_TCP, From: netip.AddrPortFrom(l.hosts[0].addresses[0], 999),
		To: netip.AddrPortFrom(l.hosts[1].addresses[0], 81)}
	for round := range uint64(3) {
		l.hosts[0].send(t, blocked, mark)
		mark++
		l.settle(t, &mark)
		if got := counted(t, l, pf.IngressGroups, "i-1", ""); got != round+1 {
			t.Fatalf("round %d: %d counted", round, got)
		}
		large := *small
		large.Groups = append(slices.Clip(large.Groups), manyGroups(2000, int(round))...)
		must(t, l.enforcer.Apply(&large))
		passes(t, client, server)
	}
}

// manyGroups are groups of three rules each; another version has one rule changed.
func manyGroups(n, version int) (groups []*pf.Group) {
	for i := range n {
		changing := to(fmt.Sprintf("10.%d.%d.%d/32", i/200, i%200, 1+version))
		groups = append(groups, group(fmt.Sprintf("sg-many-%d", i), egress(everything, to("0.0.0.0/0")),
			ingress(web, changing), ingress(pf.Traffic{Protocol: unix.IPPROTO_TCP, From: 443, To: 443}, pf.Peer{List: "pl-1"})))
	}
	return groups
}

// A VPC has its own bound of connections, so a flood of one leaves those of another alone.
func TestAFloodStaysInItsVPC(t *testing.T) {
	flooded, other := newLab(t, 2), newLab(t, 2)
	for _, l := range []*lab{flooded, other} {
		must(t, l.enforcer.Apply(wearing(l, group("sg-1", ingress(everything, to("10.0.0.0/8"))), false)))
	}
	client, server := connect(t, other.hosts[0], other.hosts[1], 0, 80)
	from, target := flooded.hosts[0].addresses[0], flooded.hosts[1].addresses[0]
	for n := range 70_000 {
		flooded.hosts[0].send(t, pf.Flow{Protocol: unix.IPPROTO_UDP, From: netip.AddrPortFrom(from, uint16(n)),
			To: netip.AddrPortFrom(target, uint16(1+n>>16))}, 7)
	}
	passes(t, client, server)
	connect(t, other.hosts[0], other.hosts[1], 0, 81)
}
