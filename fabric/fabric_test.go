package fabric

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"pergola/addressing"
	"pergola/containment"
)

var (
	routerA = Place{VPC: "vpc-a"}
	routerB = Place{VPC: "vpc-b"}
	oneA    = Place{"vpc-a", "i-1"}
	twoA    = Place{"vpc-a", "i-2"}
	oneB    = Place{"vpc-b", "i-1"}
)

// Two VPCs with the same addresses do not know of each other, and the clients' addresses are the VPC's own.
func TestIsolation(t *testing.T) {
	each(t, func(t *testing.T, f *Fabric) {
		greet(t, listen(t, f, routerA, "169.254.171.1:80"), "a")
		greet(t, listen(t, f, routerB, "169.254.171.1:80"), "b")
		greet(t, listen(t, f, oneB, "10.20.1.10:8080"), "b's")
		for _, c := range []struct {
			from          Place
			local, remote string
			want          string
		}{
			{oneA, "", "169.254.171.1:80", "a 10.20.1.10"},
			{twoA, "", "169.254.171.1:80", "a 10.20.1.11"},
			{oneB, "", "169.254.171.1:80", "b 10.20.1.10"},
			{routerB, "169.254.171.7", "10.20.1.10:8080", "b's 169.254.171.7"},
			{routerB, "", "10.20.1.10:8080", "b's 10.20.0.1"},
			{Place{"vpc-b", "i-2"}, "", "10.20.1.10:8080", "b's 10.20.1.11"},
		} {
			if got := ask(t, f, c.from, c.local, c.remote); got != c.want {
				t.Errorf("from %v to %v: %q, want %q", c.from, c.remote, got, c.want)
			}
		}
		if _, err := f.Dial(t.Context(), routerA, netip.Addr{}, netip.MustParseAddrPort("10.20.1.10:8080")); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("a reached what listens in b only: %v", err)
		}
	})
}

// A place opens sockets with its own addresses only.
func TestOwnAddressesOnly(t *testing.T) {
	each(t, func(t *testing.T, f *Fabric) {
		for _, c := range []struct {
			at    Place
			local string
		}{{oneA, "10.20.1.11"}, {oneA, "10.20.0.1"}, {oneA, "169.254.171.1"}, {routerA, "10.20.1.10"}, {routerA, "192.0.2.1"}, {routerA, "10.20.7.7"}} {
			local := netip.MustParseAddr(c.local)
			_, listenErr := f.Listen(t.Context(), c.at, "tcp4", netip.AddrPortFrom(local, 8080))
			_, packetErr := f.ListenPacket(t.Context(), c.at, netip.AddrPortFrom(local, 8080))
			_, dialErr := f.Dial(t.Context(), c.at, local, netip.MustParseAddrPort("10.20.1.10:8080"))
			for _, err := range []error{listenErr, packetErr, dialErr} {
				if !errors.Is(err, syscall.EADDRNOTAVAIL) {
					t.Errorf("%v with %v: %v", c.at, c.local, err)
				}
			}
		}
	})
}

// TestFault_B1_OverIPv6AClientIsKnownByItsVPCsAddress: that it uses another is the fabric's affair.
func TestFault_B1_OverIPv6AClientIsKnownByItsVPCsAddress(t *testing.T) {
	each(t, func(t *testing.T, f *Fabric) {
		at := netip.AddrPortFrom(addressing.Spell(addressing.ServiceNetworks6, netip.MustParseAddr("169.254.171.33")),
			443).String()
		l, err := f.Listen(t.Context(), routerA, "tcp6", netip.MustParseAddrPort(at))
		if err != nil {
			t.Skip("no IPv6 here: ", err)
		}
		greet(t, l, "six")
		if got, want := ask(t, f, oneA, "", at), "six 10.20.1.10"; got != want {
			t.Errorf("an instance got %q, want %q", got, want)
		}
		if got, want := ask(t, f, routerA, "fd00:ec2:80::a9fe:ab07", at), "six fd00:ec2:80::a9fe:ab07"; got != want {
			t.Errorf("the router got %q, want %q", got, want)
		}
	})
}

// Both ends of a connection speak of the VPC's addresses.
func TestConnAddresses(t *testing.T) {
	each(t, func(t *testing.T, f *Fabric) {
		l := listen(t, f, oneA, "10.20.1.10:8080")
		if got := l.Addr().String(); got != "10.20.1.10:8080" {
			t.Errorf("the listener is at %v", got)
		}
		c := dial(t, f, routerA, "169.254.171.7", "10.20.1.10:8080")
		defer c.Close()
		s, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if c.RemoteAddr().String() != "10.20.1.10:8080" || s.LocalAddr().String() != "10.20.1.10:8080" {
			t.Errorf("the server is %v to the client and %v to itself", c.RemoteAddr(), s.LocalAddr())
		}
		if c.LocalAddr().String() != s.RemoteAddr().String() || !c.LocalAddr().(*net.TCPAddr).IP.Equal(net.IPv4(169, 254, 171, 7)) {
			t.Errorf("the client is %v to itself and %v to the server", c.LocalAddr(), s.RemoteAddr())
		}
	})
}

func TestPackets(t *testing.T) {
	each(t, func(t *testing.T, f *Fabric) {
		server, err := f.ListenPacket(t.Context(), routerA, netip.MustParseAddrPort("10.20.0.2:53"))
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		client, err := f.ListenPacket(t.Context(), oneA, netip.MustParseAddrPort("10.20.1.10:0"))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		b := make([]byte, 16)
		for _, step := range []struct {
			from, to net.PacketConn
		}{{client, server}, {server, client}} {
			if _, err := step.from.WriteTo([]byte("hello"), step.to.LocalAddr()); err != nil {
				t.Fatal(err)
			}
			n, from, err := step.to.ReadFrom(b)
			if err != nil || string(b[:n]) != "hello" || from.String() != step.from.LocalAddr().String() {
				t.Errorf("%q from %v (%v), want hello from %v", b[:n], from, err, step.from.LocalAddr())
			}
		}
	})
}

// A target that does not answer keeps only its own dial waiting, and that one until its context ends.
func TestSilentTarget(t *testing.T) {
	needs(t, Netns)
	f := open(t, Config{Kind: Netns})
	apply(t, f, testVPC("vpc-a"))
	greet(t, listen(t, f, oneA, "10.20.1.10:8080"), "here")
	for _, from := range []Place{routerA, twoA} {
		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error)
		for range 20 {
			go func() {
				_, err := f.Dial(ctx, from, netip.Addr{}, netip.MustParseAddrPort("10.20.9.9:80"))
				failed <- err
			}()
		}
		for range 20 {
			ask(t, f, from, "", "10.20.1.10:8080")
		}
		cancel()
		for range 20 {
			if err := <-failed; !errors.Is(err, context.Canceled) {
				t.Errorf("from %v: %v, want a cancelled dial", from, err)
			}
		}
	}
}

func TestDialEndsWithItsContext(t *testing.T) {
	each(t, func(t *testing.T, f *Fabric) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := f.Dial(ctx, routerA, netip.Addr{}, netip.MustParseAddrPort("10.20.1.10:80"))
		if !errors.Is(err, context.Canceled) && !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("got %v", err)
		}
		var op *net.OpError
		if !errors.As(err, &op) {
			t.Errorf("%v is no *net.OpError", err)
		}
	})
}

func TestApplyKeepsWhatIsThere(t *testing.T) {
	each(t, func(t *testing.T, f *Fabric) {
		greet(t, listen(t, f, routerA, "169.254.171.1:80"), "a")
		three := testVPC("vpc-a")
		three.Instances = append(three.Instances, Instance{"i-3", netip.MustParseAddr("10.20.1.12")})
		before, err := f.seat(oneA)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			apply(t, f, three)
			if got, want := ask(t, f, Place{"vpc-a", "i-3"}, "", "169.254.171.1:80"), "a 10.20.1.12"; got != want {
				t.Errorf("the new instance got %q, want %q", got, want)
			}
		}
		if after, err := f.seat(oneA); err != nil || after != before {
			t.Errorf("an instance that stays was made anew (%v)", err)
		}
		if _, err := f.seat(routerB); !errors.Is(err, ErrNoPlace) {
			t.Errorf("vpc-b is still there: %v", err)
		}
	})
}

// What is removed, or changed and so made anew, takes its sockets with it; its addresses are free again.
func TestApplyRemoves(t *testing.T) {
	each(t, func(t *testing.T, f *Fabric) {
		moved := testVPC("vpc-a")
		moved.Instances = []Instance{{"i-1", netip.MustParseAddr("10.20.1.11")}}
		elsewhere := VPC{ID: "vpc-b", CIDR: netip.MustParsePrefix("10.30.0.0/24"), Instances: []Instance{{"i-1", netip.MustParseAddr("10.30.0.4")}}}
		gone := []net.Listener{
			listen(t, f, oneA, "10.20.1.10:8080"), listen(t, f, twoA, "10.20.1.11:8080"),
			listen(t, f, routerB, "169.254.171.1:80"), listen(t, f, oneB, "10.20.1.10:8080"),
		}
		stays := listen(t, f, routerA, "169.254.171.1:80")
		apply(t, f, moved, elsewhere)
		for _, l := range gone {
			if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("the listener at %v still lives: %v", l.Addr(), err)
			}
		}
		greet(t, stays, "a")
		if got, want := ask(t, f, oneA, "", "169.254.171.1:80"), "a 10.20.1.11"; got != want {
			t.Errorf("the moved instance got %q, want %q", got, want)
		}
		greet(t, listen(t, f, routerB, "169.254.171.1:80"), "b")
		if got, want := ask(t, f, oneB, "", "169.254.171.1:80"), "b 10.30.0.4"; got != want {
			t.Errorf("the moved VPC got %q, want %q", got, want)
		}
	})
}

func TestNoPlace(t *testing.T) {
	each(t, func(t *testing.T, f *Fabric) {
		at := netip.MustParseAddrPort("169.254.171.1:80")
		for _, p := range []Place{{VPC: "vpc-c"}, {"vpc-a", "i-9"}} {
			_, listenErr := f.Listen(t.Context(), p, "tcp4", at)
			_, packetErr := f.ListenPacket(t.Context(), p, at)
			_, dialErr := f.Dial(t.Context(), p, netip.Addr{}, at)
			_, startErr := f.Start(t.Context(), p, Command{Args: []string{"true"}})
			for _, err := range []error{listenErr, packetErr, dialErr, startErr} {
				if !errors.Is(err, ErrNoPlace) {
					t.Errorf("%v: %v, want %v", p, err, ErrNoPlace)
				}
			}
		}
	})
}

func TestClosed(t *testing.T) {
	each(t, func(t *testing.T, f *Fabric) {
		for range 2 {
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		}
		if err := f.Apply(t.Context(), nil); !errors.Is(err, net.ErrClosed) {
			t.Errorf("apply: %v", err)
		}
		if _, err := f.Start(t.Context(), oneA, Command{Args: []string{"true"}}); !errors.Is(err, net.ErrClosed) {
			t.Errorf("start: %v", err)
		}
	})
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	open(t, Config{Kind: Loopback, StateDir: dir})
	if _, err := Open(Config{Kind: Loopback, StateDir: dir}); !errors.Is(err, ErrInUse) {
		t.Errorf("a state directory in use: %v", err)
	}
	if _, err := Open(Config{Kind: "bridge", StateDir: t.TempDir()}); err == nil {
		t.Error("an unknown kind is taken")
	}
	if _, err := Open(Config{Kind: Loopback}); err == nil {
		t.Error("a fabric without a state directory is opened")
	}
}

// Auto always opens, and says why when it is not netns.
func TestAuto(t *testing.T) {
	f := open(t, Config{})
	if (f.Name() == Loopback) != (f.Reason() != "") || (f.Name() == Netns) != (refusal() == nil) {
		t.Errorf("kind %q, reason %q, refusal %v", f.Name(), f.Reason(), refusal())
	}
	if _, err := Open(Config{Kind: Netns, StateDir: t.TempDir()}); f.Name() == Loopback && err == nil {
		t.Error("netns is refused and yet opened")
	}
}

// TestFault_A1_WhatCannotBeMadeFailsAlone applies each broken VPC or instance among good ones.
func TestFault_A1_WhatCannotBeMadeFailsAlone(t *testing.T) {
	at := func(address string) Instance { return Instance{"i-1", netip.MustParseAddr(address)} }
	vpc := func(cidr string, instances ...Instance) VPC {
		return VPC{ID: "vpc-1", CIDR: netip.MustParsePrefix(cidr), Instances: instances}
	}
	whole := Place{VPC: "vpc-1"}
	tests := map[string]struct {
		VPC
		fails Place
	}{
		"no id":             {VPC{ID: "", CIDR: netip.MustParsePrefix("10.0.0.0/16")}, Place{}},
		"path as id":        {VPC{ID: "../x", CIDR: netip.MustParsePrefix("10.0.0.0/16")}, Place{VPC: "../x"}},
		"no range":          {VPC{ID: "vpc-1", CIDR: netip.Prefix{}}, whole},
		"large range":       {vpc("10.0.0.0/15"), whole},
		"small range":       {vpc("10.0.0.0/29"), whole},
		"inner address":     {vpc("10.0.0.1/16"), whole},
		"IPv6":              {vpc("fd00::/24"), whole},
		"link-local":        {vpc("169.254.0.0/16"), whole},
		"loopback":          {vpc("127.1.0.0/16"), whole},
		"multicast":         {vpc("224.0.0.0/16"), whole},
		"this network":      {vpc("0.0.0.0/16"), whole},
		"instance's id":     {vpc("10.0.0.0/24", Instance{"a/b", netip.MustParseAddr("10.0.0.9")}), Place{"vpc-1", "a/b"}},
		"instance outside":  {vpc("10.0.0.0/24", at("10.0.1.10")), Place{"vpc-1", "i-1"}},
		"instance reserved": {vpc("10.0.0.0/24", at("10.0.0.3")), Place{"vpc-1", "i-1"}},
		"instance last":     {vpc("10.0.0.0/24", at("10.0.0.255")), Place{"vpc-1", "i-1"}},
		"no address":        {vpc("10.0.0.0/24", Instance{ID: "i-1"}), Place{"vpc-1", "i-1"}},
		"instance twice":    {vpc("10.0.0.0/24", at("10.0.0.10"), at("10.0.0.11")), Place{"vpc-1", "i-1"}},
		"address twice": {vpc("10.0.0.0/24", at("10.0.0.10"), Instance{"i-2", netip.MustParseAddr("10.0.0.10")}),
			Place{"vpc-1", "i-2"}},
	}
	each(t, func(t *testing.T, f *Fabric) {
		for name, test := range tests {
			failed := f.Apply(t.Context(), []VPC{testVPC("vpc-a"), test.VPC, testVPC("vpc-b")})
			if len(failed) != 1 || failed[test.fails] == nil {
				t.Errorf("%s: failed: %v, want %v alone", name, failed, test.fails)
			}
			for _, place := range []Place{{VPC: "vpc-a"}, {"vpc-b", "i-1"}} {
				if _, err := f.seat(place); err != nil {
					t.Error(name, err)
				}
			}
		}
		if failed := f.Apply(t.Context(), []VPC{testVPC("vpc-a"), testVPC("vpc-a")}); failed[Place{VPC: "vpc-a"}] == nil {
			t.Errorf("a VPC given twice: failed: %v", failed)
		}
	})
}

// faulty is a kind of fabric in which some things fail or panic.
type faulty struct {
	network
	fails, panics map[string]bool // by id
}

func (n *faulty) fault(id string) error {
	if n.panics[id] {
		panic("made to")
	}
	if n.fails[id] {
		return errors.New("made to fail")
	}
	return nil
}

func (n *faulty) addRouter(v VPC) (router, error) {
	if err := n.fault(v.ID); err != nil {
		return nil, err
	}
	return n.network.addRouter(v)
}

func (n *faulty) addInstance(r router, v VPC, i Instance) (place, error) {
	if err := n.fault(i.ID); err != nil {
		return nil, err
	}
	return n.network.addInstance(r, v, i)
}

func TestFault_A1_WhatFailedIsMadeByTheNextApply(t *testing.T) {
	each(t, func(t *testing.T, f *Fabric) {
		n := &faulty{f.network, map[string]bool{"vpc-1": true}, map[string]bool{"i-2": true}}
		f.network = n
		two := testVPC("vpc-2")
		two.Instances = []Instance{{"i-1", addressing.Nth(two.CIDR, 10)}, {"i-2", addressing.Nth(two.CIDR, 11)}}
		three := VPC{ID: "vpc-3", CIDR: two.CIDR, Instances: two.Instances[:1]}
		wanted := []VPC{testVPC("vpc-1"), two, three}
		failed := f.Apply(t.Context(), wanted)
		if len(failed) != 2 || failed[Place{VPC: "vpc-1"}] == nil || !errors.Is(failed[Place{"vpc-2", "i-2"}],
			containment.ErrPanicked) {
			t.Errorf("failed: %v", failed)
		}
		for _, place := range []Place{{"vpc-2", "i-1"}, {"vpc-3", "i-1"}} {
			if _, err := f.seat(place); err != nil {
				t.Error(err)
			}
		}
		clear(n.fails)
		clear(n.panics)
		apply(t, f, wanted...)
		if _, err := f.seat(Place{"vpc-2", "i-2"}); err != nil {
			t.Error(err)
		}
	})
}

func TestApplyStopsMakingWhenItsTimeIsUp(t *testing.T) {
	each(t, func(t *testing.T, f *Fabric) {
		apply(t, f, testVPC("vpc-a"), testVPC("vpc-b"))
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		failed := f.Apply(ended, []VPC{testVPC("vpc-a"), testVPC("vpc-c")})
		if len(failed) != 1 || !errors.Is(failed[Place{VPC: "vpc-c"}], containment.ErrUntried) {
			t.Errorf("failed: %v", failed)
		}
		if f.vpc("vpc-b") != nil {
			t.Error("what is not wanted is still there")
		}
	})
}

func TestAddress6(t *testing.T) {
	a := netip.MustParseAddr("169.254.171.33")
	for _, six := range []netip.Addr{addressing.Spell(addressing.ServiceNetworks6, a), InstanceAddress6(a)} {
		if embedded(six) != a {
			t.Errorf("%v becomes %v", six, embedded(six))
		}
	}
}
