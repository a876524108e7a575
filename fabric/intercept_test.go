package fabric

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"pergola/fabric/packetfilter"
)

// tell has a listener answer each connection with a name and both of its addresses.
func tell(t *testing.T, l net.Listener, name string) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				local, remote := addrPort(c.LocalAddr()), addrPort(c.RemoteAddr())
				fmt.Fprintf(c, "%s %v from %v", name, local, remote.Addr())
			}()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
}

// TestIntercept wants one listener in each VPC to have every port of every address of resources, and to know which was
// meant, also while packets are filtered.
func TestIntercept(t *testing.T) {
	each(t, func(t *testing.T, f *Fabric) {
		if _, err := f.Dial(t.Context(), oneA, netip.Addr{}, netip.MustParseAddrPort("129.224.3.4:5432")); !errors.Is(err,
			syscall.ECONNREFUSED) {
			t.Errorf("without a listener: %v", err)
		}
		for _, name := range []string{"vpc-a", "vpc-b"} {
			l, err := f.Intercept(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			tell(t, l, name)
		}
		greet(t, listen(t, f, routerA, "169.254.171.4:5432"), "the link")
		check := func() {
			t.Helper()
			for _, c := range []struct {
				from         Place
				remote, want string
			}{
				{oneA, "129.224.3.4:5432", "vpc-a 129.224.3.4:5432 from 10.20.1.10"},
				{twoA, "129.224.3.4:1", "vpc-a 129.224.3.4:1 from 10.20.1.11"},
				{oneB, "129.224.127.254:65535", "vpc-b 129.224.127.254:65535 from 10.20.1.10"},
				{oneA, "169.254.171.4:5432", "the link 10.20.1.10"},
			} {
				if got := ask(t, f, c.from, "", c.remote); got != c.want {
					t.Errorf("from %v to %v: %q, want %q", c.from, c.remote, got, c.want)
				}
			}
		}
		check()
		filtered := testVPC("vpc-a")
		filtered.Filter = &packetfilter.Filter{}
		apply(t, f, filtered, testVPC("vpc-b"))
		check()
	})
}

// TestInterceptedPacketsAreFilteredByTheirOwnPorts lets a group of the client, and one of the door, decide about the
// ports of a resource.
func TestInterceptedPacketsAreFilteredByTheirOwnPorts(t *testing.T) {
	each(t, func(t *testing.T, f *Fabric) {
		l, err := f.Intercept(t.Context(), "vpc-a")
		if err != nil {
			t.Fatal(err)
		}
		tell(t, l, "vpc-a")
		filtered := testVPC("vpc-a")
		filtered.Filter = &packetfilter.Filter{
			Groups: []*packetfilter.Group{
				{ID: clients, Rules: []packetfilter.Rule{rule(true, "129.224.0.0/17", 5432), rule(true, "129.224.3.4/32", 5433)}},
				{ID: entrants, Rules: []packetfilter.Rule{rule(false, "10.20.0.0/16", 5432), rule(false, "10.20.0.0/16", 5434)}},
			},
			Interfaces: []packetfilter.Interface{{ID: "i-1", Addresses: []netip.Addr{netip.MustParseAddr("10.20.1.10")},
				Groups: []string{clients}}},
			Doors: []packetfilter.Door{{ID: "snva-1", Addresses: []netip.Addr{netip.MustParseAddr("129.224.3.4")},
				Groups: []string{entrants}}},
		}
		apply(t, f, filtered, testVPC("vpc-b"))
		if got, want := ask(t, f, oneA, "", "129.224.3.4:5432"), "vpc-a 129.224.3.4:5432 from 10.20.1.10"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		for _, remote := range []string{"129.224.3.4:5433", "129.224.3.4:5434"} { // one group lets each pass, not both
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			conn, err := f.Dial(ctx, oneA, netip.Addr{}, netip.MustParseAddrPort(remote))
			cancel()
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %v, %v", remote, conn, err)
			}
		}
	})
}

// TestInterceptAgain closes the listener and opens another.
func TestInterceptAgain(t *testing.T) {
	each(t, func(t *testing.T, f *Fabric) {
		for _, name := range []string{"first", "second"} {
			l, err := f.Intercept(t.Context(), "vpc-a")
			if err != nil {
				t.Fatal(err)
			}
			tell(t, l, name)
			if got, want := ask(t, f, oneA, "", "129.224.3.4:5432"), name+" 129.224.3.4:5432 from 10.20.1.10"; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			l.Close()
		}
		apply(t, f, testVPC("vpc-b"))
		if _, err := f.Intercept(t.Context(), "vpc-a"); !errors.Is(err, ErrNoPlace) {
			t.Errorf("in a VPC that is gone: %v", err)
		}
	})
}

// TestSilentIntroduction has a connection on the host's own network say nothing: it has no address that was meant.
func TestSilentIntroduction(t *testing.T) {
	c := &interceptedConn{loopbackConn: &loopbackConn{}}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	client, err := new(net.Dialer).DialContext(ctx, "tcp4", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	client.Close()
	c.loopbackConn.TCPConn = server.(*net.TCPConn)
	if got := addrPort(c.LocalAddr()); got.Addr().IsValid() && !got.Addr().IsUnspecified() {
		t.Errorf("it was opened to %v", got)
	}
	if _, err := server.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("reading ends with %v", err)
	}
}
