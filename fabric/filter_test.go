package fabric

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"pergola/fabric/packetfilter"
)

// The three security groups of tests: each lets all out, and in what its test says.
const (
	clients  = "sg-clients"
	targets  = "sg-targets"
	entrants = "sg-entrants" // the association's
)

// rule allows TCP at a port.
func rule(egress bool, prefix string, port uint16) packetfilter.Rule {
	return packetfilter.Rule{ID: "sgr-" + prefix, Egress: egress, Traffic: packetfilter.Traffic{Protocol: 6,
		From: port, To: port},
		Peer: packetfilter.Peer{Prefix: netip.MustParsePrefix(prefix)}}
}

// aclRule allows or denies TCP at a range of ports, for everybody.
func aclRule(number int, egress bool, ports [2]uint16) packetfilter.ACLRule {
	return packetfilter.ACLRule{Number: number, Egress: egress, Prefix: netip.MustParsePrefix("0.0.0.0/0"),
		Traffic: packetfilter.Traffic{Protocol: 6, From: ports[0], To: ports[1]}}
}

// openFilter lets i-1, a client, and i-2, a target, speak with each other and with the service network, by what is
// needed for that and nothing more.
func openFilter() *packetfilter.Filter {
	low, high := [2]uint16{1, 1023}, [2]uint16{1024, 65535}
	acl := func(id string) *packetfilter.ACL {
		return &packetfilter.ACL{ID: id, Rules: []packetfilter.ACLRule{aclRule(100, true, low), aclRule(110, true, high),
			aclRule(100, false, low), aclRule(110, false, high)}}
	}
	return &packetfilter.Filter{
		Groups: []*packetfilter.Group{
			{ID: clients, Rules: []packetfilter.Rule{rule(true, "169.254.171.0/24", 80), rule(true, "10.20.1.11/32", 81)}},
			{ID: targets, Rules: []packetfilter.Rule{rule(false, "169.254.171.0/24", 81), {ID: "sgr-group",
				Traffic: packetfilter.Traffic{Protocol: 6, From: 81, To: 81}, Peer: packetfilter.Peer{Group: clients}}}},
			{ID: entrants, Rules: []packetfilter.Rule{rule(false, "10.20.0.0/16", 80)}},
		},
		ACLs: []*packetfilter.ACL{acl("acl-clients"), acl("acl-targets")},
		Subnets: []packetfilter.Subnet{
			{ID: "subnet-1", Prefixes: []netip.Prefix{netip.MustParsePrefix("10.20.1.10/32")}, ACL: "acl-clients"},
			{ID: "subnet-2", Prefixes: []netip.Prefix{netip.MustParsePrefix("10.20.1.11/32")}, ACL: "acl-targets"},
		},
		Interfaces: []packetfilter.Interface{
			{ID: "i-1", Addresses: []netip.Addr{netip.MustParseAddr("10.20.1.10")}, Groups: []string{clients}},
			{ID: "i-2", Addresses: []netip.Addr{netip.MustParseAddr("10.20.1.11")}, Groups: []string{targets}},
		},
		Doors: []packetfilter.Door{{ID: "snva-1", Addresses: []netip.Addr{netip.MustParseAddr("169.254.171.1")},
			Groups: []string{entrants}}},
	}
}

// without is a filter in which a group or ACL has no rule in one direction at one port.
func without(f *packetfilter.Filter, id string, egress bool, port uint16) *packetfilter.Filter {
	f.Groups, f.ACLs = slices.Clone(f.Groups), slices.Clone(f.ACLs)
	for i, g := range f.Groups {
		if g.ID == id {
			f.Groups[i] = &packetfilter.Group{ID: id, Rules: slices.DeleteFunc(slices.Clone(g.Rules),
				func(r packetfilter.Rule) bool {
					return r.Egress == egress && r.From <= port && port <= r.To
				})}
		}
	}
	for i, a := range f.ACLs {
		if a.ID == id {
			f.ACLs[i] = &packetfilter.ACL{ID: id, Rules: slices.DeleteFunc(slices.Clone(a.Rules),
				func(r packetfilter.ACLRule) bool {
					return r.Egress == egress && r.From <= port && port <= r.To
				})}
		}
	}
	return f
}

// dropsOf is how much a VPC's filter has dropped, in all or at one gate.
func dropsOf(t *testing.T, f *Fabric, gate packetfilter.Gate) (n uint64) {
	t.Helper()
	drops, err := f.Drops("vpc-a")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range drops {
		if gate == "" || d.Gate == gate {
			n += d.Packets
		}
	}
	return n
}

// silent dials until the filter has counted a drop at a gate, and fails unless the client has heard nothing until then.
func silent(t *testing.T, f *Fabric, from Place, local, remote string, gate packetfilter.Gate) {
	t.Helper()
	before := dropsOf(t, f, gate)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	heard := make(chan error, 1)
	source, _ := netip.ParseAddr(local)
	go func() {
		c, err := f.Dial(ctx, from, source, netip.MustParseAddrPort(remote))
		if err == nil {
			c.Close()
		}
		heard <- err
	}()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	patience := time.After(10 * time.Second)
	for dropsOf(t, f, gate) == before {
		select {
		case err := <-heard:
			t.Errorf("from %v to %s, %q: heard %v", from, remote, gate, err)
			return
		case <-patience:
			t.Errorf("from %v to %s, %q: nothing is counted", from, remote, gate)
			return
		case <-tick.C:
		}
	}
	cancel()
	if err := <-heard; !errors.Is(err, context.Canceled) {
		t.Errorf("from %v to %s, %q: heard %v", from, remote, gate, err)
	}
}

// TestClosedGatesAreSilent closes one gate after the other: what passes there is held in silence, and all else passes.
func TestClosedGatesAreSilent(t *testing.T) {
	type way struct {
		from          Place
		local, remote string
	}
	toService := way{oneA, "", "169.254.171.1:80"}
	toTarget := way{routerA, "169.254.171.7", "10.20.1.11:81"}
	direct := way{oneA, "", "10.20.1.11:81"}
	all := []way{toService, toTarget, direct}
	each(t, func(t *testing.T, f *Fabric) {
		greet(t, listen(t, f, routerA, "169.254.171.1:80"), "service")
		greet(t, listen(t, f, twoA, "10.20.1.11:81"), "target")
		filter := openFilter()
		vpc := testVPC("vpc-a")
		for _, c := range []struct {
			id     string
			egress bool
			port   uint16
			gate   packetfilter.Gate
			closes []way
		}{
			{gate: ""},
			{clients, true, 80, packetfilter.EgressGroups, []way{toService}},
			{clients, true, 81, packetfilter.EgressGroups, []way{direct}},
			{targets, false, 81, packetfilter.IngressGroups, []way{toTarget, direct}},
			{entrants, false, 80, packetfilter.AssociationGroups, []way{toService}},
			{"acl-clients", true, 80, packetfilter.OutboundACL, []way{toService, direct}},
			{"acl-targets", false, 81, packetfilter.InboundACL, []way{toTarget, direct}},
			{"acl-clients", false, 40000, packetfilter.InboundACL, []way{toService, direct}}, // answers
			{"acl-targets", true, 40000, packetfilter.OutboundACL, []way{toTarget, direct}},
			{gate: ""},
		} {
			changed := *filter
			vpc.Filter = without(&changed, c.id, c.egress, c.port)
			apply(t, f, vpc, testVPC("vpc-b"))
			for _, w := range all {
				if slices.Contains(c.closes, w) {
					silent(t, f, w.from, w.local, w.remote, c.gate)
				} else if got := ask(t, f, w.from, w.local, w.remote); got == "" {
					t.Errorf("%s closed: from %v to %s: no answer", c.gate, w.from, w.remote)
				}
			}
		}
		vpc.Filter = nil
		apply(t, f, vpc, testVPC("vpc-b"))
		if got := ask(t, f, twoA, "", "169.254.171.1:80"); got != "service 10.20.1.11" {
			t.Errorf("without a filter: %q", got)
		}
	})
}

// What AWS never filters passes a filter that lets nothing pass.
func TestUnfilteredAddresses(t *testing.T) {
	each(t, func(t *testing.T, f *Fabric) {
		closed := openFilter()
		for _, g := range closed.Groups {
			g.Rules = nil
		}
		for _, a := range closed.ACLs {
			a.Rules = nil
		}
		vpc := testVPC("vpc-a")
		vpc.Filter = closed
		apply(t, f, vpc, testVPC("vpc-b"))
		for _, at := range []string{"10.20.0.2:53", "169.254.169.253:53", "169.254.169.254:80", "169.254.169.252:443"} {
			greet(t, listen(t, f, routerA, at), "here")
			if got := ask(t, f, oneA, "", at); got != "here 10.20.1.10" {
				t.Errorf("%s says %q", at, got)
			}
		}
		greet(t, listen(t, f, routerA, "169.254.171.1:80"), "service")
		silent(t, f, oneA, "", "169.254.171.1:80", packetfilter.EgressGroups)
	})
}

// A filter that cannot be enforced fails with its VPC: what is there stays filtered as before, and nothing new is made.
func TestAFilterThatFailsOpensNothing(t *testing.T) {
	each(t, func(t *testing.T, f *Fabric) {
		vpc := testVPC("vpc-a")
		vpc.Filter = openFilter()
		apply(t, f, vpc, testVPC("vpc-b"))
		broken := *vpc.Filter
		broken.Doors = []packetfilter.Door{{ID: "snva-1", Addresses: []netip.Addr{netip.MustParseAddr("169.254.171.1")},
			Groups: []string{"sg-none"}}}
		vpc.Filter = &broken
		vpc.Instances = append(vpc.Instances, Instance{"i-9", netip.MustParseAddr("10.20.1.99")})
		failed := f.Apply(t.Context(), []VPC{vpc, testVPC("vpc-b")})
		if err := failed[Place{VPC: "vpc-a"}]; len(failed) != 1 || err == nil || !strings.Contains(err.Error(), "sg-none") {
			t.Errorf("failed %v", failed)
		}
		if _, err := f.Listen(t.Context(), Place{"vpc-a", "i-9"}, "tcp4",
			netip.MustParseAddrPort("10.20.1.99:80")); !errors.Is(err, ErrNoPlace) {
			t.Errorf("an instance was made that nothing filters: %v", err)
		}
		greet(t, listen(t, f, routerA, "169.254.171.1:80"), "service")
		greet(t, listen(t, f, routerA, "169.254.171.1:81"), "service")
		if got := ask(t, f, oneA, "", "169.254.171.1:80"); got != "service 10.20.1.10" {
			t.Errorf("the filter before lets pass %q", got)
		}
		silent(t, f, oneA, "", "169.254.171.1:81", packetfilter.EgressGroups)
	})
}

// A program that runs without an instance has the groups for such, from its first packet on.
func TestShortLivedInstancesAreFiltered(t *testing.T) {
	each(t, func(t *testing.T, f *Fabric) {
		vpc := testVPC("vpc-a")
		vpc.Filter = openFilter()
		vpc.Filter.ShortLived = []string{clients}
		apply(t, f, vpc, testVPC("vpc-b"))
		greet(t, listen(t, f, routerA, "169.254.171.1:80"), "service")
		greet(t, listen(t, f, twoA, "10.20.1.11:81"), "target")
		_, lasting := startReady(t, f, routerA, Command{Args: []string{self(t)}, Env: testEnv("wait")})
		if lasting != "waiting" {
			t.Fatalf("the program says %q", lasting)
		}
		var short Place
		for id := range f.instancesOf(f.vpc("vpc-a")) {
			if strings.HasPrefix(id, "i-exec-") {
				short = Place{"vpc-a", id}
			}
		}
		for _, remote := range []string{"169.254.171.1:80", "10.20.1.11:81"} { // the target asks for the client's group
			if got := ask(t, f, short, "", remote); got == "" {
				t.Errorf("nothing from %s", remote)
			}
		}
		silent(t, f, short, "", "169.254.171.1:8080", packetfilter.EgressGroups)
	})
}

// An established connection goes on when its rule goes, and new ones do not come about.
func TestEstablishedConnectionsOutliveTheirRule(t *testing.T) {
	each(t, func(t *testing.T, f *Fabric) {
		vpc := testVPC("vpc-a")
		filter := openFilter()
		vpc.Filter = filter
		apply(t, f, vpc, testVPC("vpc-b"))
		l := listen(t, f, routerA, "169.254.171.1:80")
		client := dial(t, f, oneA, "", "169.254.171.1:80")
		defer client.Close()
		server, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		changed := *filter
		vpc.Filter = without(&changed, clients, true, 80)
		apply(t, f, vpc, testVPC("vpc-b"))
		for _, way := range [][2]net.Conn{{client, server}, {server, client}} {
			b := make([]byte, 5)
			if _, err := way[0].Write([]byte("still")); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(way[1], b); err != nil {
				t.Fatal(err)
			}
		}
		silent(t, f, oneA, "", "169.254.171.1:80", packetfilter.EgressGroups)
	})
}

// The proxy of a loopback fabric says nothing to a client whose connection is dropped, by HTTP nor by SOCKS.
func TestTheProxyKeepsSilent(t *testing.T) {
	f, address, credentials := proxied(t)
	vpc := testVPC("vpc-a")
	vpc.Filter = openFilter()
	apply(t, f, vpc, testVPC("vpc-b"))
	user, password, _ := strings.Cut(credentials, ":")
	login := "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(credentials)) + "\r\n\r\n"
	requests := map[string]string{
		"HTTP":    "GET http://169.254.171.1:8080/ HTTP/1.1\r\n" + login,
		"CONNECT": "CONNECT 169.254.171.1:8080 HTTP/1.1\r\n" + login,
		"SOCKS": "\x05\x01\x02\x01" + string(rune(len(user))) + user + string(rune(len(password))) + password +
			"\x05\x01\x00\x01\xa9\xfe\xab\x01\x1f\x90",
	}
	for name, request := range requests {
		before := dropsOf(t, f, packetfilter.EgressGroups)
		c, err := net.Dial("tcp4", address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, request); err != nil {
			t.Fatal(err)
		}
		for dropsOf(t, f, packetfilter.EgressGroups) == before {
			if t.Context().Err() != nil {
				t.Fatal("nothing is dropped")
			}
		}
		if err := c.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		heard, err := io.ReadAll(c)
		if want := map[string]string{"SOCKS": "\x05\x02\x01\x00"}[name]; string(heard) != want || err != nil &&
			!errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%s: heard %q, %v", name, heard, err)
		}
		c.Close()
	}
}
