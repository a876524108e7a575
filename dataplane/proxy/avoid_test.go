package proxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"pergola/dataplane/target"
	"pergola/lattice"
	"pergola/snapshot"
)

// ward is a proxy with targets whose health is looked after as in a node, on a network in memory.
type ward struct {
	t       *testing.T
	set     *target.Set
	proxy   *Proxy
	group   snapshot.TargetGroup
	now     atomic.Pointer[snapshot.Snapshot]
	running sync.WaitGroup

	mu    sync.Mutex // guards what follows
	ways  map[netip.AddrPort]func() (net.Conn, error)
	dials map[netip.AddrPort]int
}

// setPicker chooses as a node does.
type setPicker struct{ *target.Set }

func (p setPicker) Pick(g *snapshot.TargetGroup, tried ...netip.AddrPort) (Target, bool) {
	return p.Set.Pick(g, tried...)
}

func newWard(t *testing.T, version lattice.ProtocolVersion) *ward {
	w := &ward{t: t, ways: map[netip.AddrPort]func() (net.Conn, error){}, dials: map[netip.AddrPort]int{}}
	w.group = *aGroup()
	w.group.InUse, w.group.ProtocolVersion = true, version
	w.set = target.New(target.Config{Dial: w.dial})
	w.proxy = New(Config{
		Snapshot: w.now.Load, Guard: aGuard(w.now.Load), Picker: setPicker{w.set}, Dial: w.dial,
		Log: slog.New(slog.DiscardHandler), RequestsPerSecond: -1,
	})
	return w
}

func (w *ward) close() {
	w.proxy.Close()
	w.set.Close()
	w.running.Wait()
}

// register makes these the targets.
func (w *ward) register(targets ...netip.AddrPort) {
	group := w.group
	group.Targets = nil
	for _, a := range targets {
		group.Targets = append(group.Targets, snapshot.Target{Key: a.String(), Address: a})
	}
	now := aSnapshot()
	network := now.VPCs.Get("vpc-client").Doors[0].Network
	network.Ports[80].Listeners.Get("s.example").Rules = []snapshot.Rule{forwarding(&group)}
	now.TargetGroups = now.TargetGroups.With(group.ID, &group)
	w.set.Apply(now)
	w.now.Store(now)
}

func (w *ward) dial(ctx context.Context, _ string, to netip.AddrPort) (net.Conn, error) {
	w.mu.Lock()
	w.dials[to]++
	way := w.ways[to]
	w.mu.Unlock()
	if way == nil {
		<-ctx.Done() // a SYN that nobody answers
		return nil, ctx.Err()
	}
	return way()
}

func (w *ward) dialled(a netip.AddrPort) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dials[a]
}

func (w *ward) is(a netip.AddrPort, way func() (net.Conn, error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ways[a] = way
}

func refuses() (net.Conn, error) { return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED} }

// up answers each request on each connection.
func (w *ward) up() (net.Conn, error) { return w.upFor(1 << 30)() }

// upFor closes each connection as it gets the request after n.
func (w *ward) upFor(n int) func() (net.Conn, error) {
	return func() (net.Conn, error) {
		here, there := net.Pipe()
		w.running.Go(func() {
			defer there.Close()
			in := bufio.NewReader(there)
			for range n {
				if !readHeadOf(in) {
					return
				}
				io.WriteString(there, ok)
			}
			readHeadOf(in)
		})
		return here, nil
	}
}

func readHeadOf(in *bufio.Reader) bool {
	for {
		line, err := in.ReadString('\n')
		if err != nil || line == "\r\n" {
			return err == nil
		}
	}
}

// ask has clients send requests, and returns how many were not answered with 200.
func (w *ward) ask(clients, requests int, between func(n int)) (failed int) {
	var asking sync.WaitGroup
	var bad, n atomic.Int64
	for range clients {
		asking.Go(func() {
			here, there := net.Pipe()
			var serving sync.WaitGroup
			serving.Go(func() { w.proxy.ServeConn(context.Background(), context.Background(), addressed{there}, inVPC) })
			in := bufio.NewReader(here)
			for range requests / clients {
				between(int(n.Add(1)))
				io.WriteString(here, get)
				if a, err := readAnswer(in, false); err != nil || a.status != 200 {
					bad.Add(1)
				}
			}
			here.Close()
			serving.Wait()
		})
	}
	asking.Wait()
	return int(bad.Load())
}

// TestFault_B2_TenThousandRequestsBesideATargetThatIsDown: none fails, by both versions of HTTP, while its health
// is not checked. How often it is dialled tells that it is avoided.
func TestFault_B2_TenThousandRequestsBesideATargetThatIsDown(t *testing.T) {
	reset := func() (net.Conn, error) { return nil, &net.OpError{Op: "dial", Err: syscall.ECONNRESET} }
	for name, down := range map[string]func() (net.Conn, error){"refuses": refuses, "resets": reset, "is silent": nil} {
		for _, others := range []int{1, 2} {
			t.Run(fmt.Sprintf("one of %d %s", others+1, name), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWard(t, lattice.HTTP1)
					defer w.close()
					w.is(targetA, down)
					w.is(targetB, w.up)
					w.is(targetC, w.up)
					w.register([]netip.AddrPort{targetA, targetB, targetC}[:others+1]...)
					began := time.Now()
					if failed := w.ask(8, 10000, func(int) {}); failed > 0 {
						t.Errorf("%d of 10,000 requests failed", failed)
					}
					if n := w.dialled(targetA); n == 0 || n > 8+5 {
						t.Errorf("it was dialled %d times", n)
					}
					if took := time.Since(began); took > DefaultDialTimeout { // in the time of the bubble
						t.Errorf("it cost %v", took)
					}
				})
			})
		}
	}
}

// TestFault_B2_NoneFailsUnderChurn: targets go down and come back, connections end as requests are sent on them, and
// targets are registered and deregistered, without a health check.
func TestFault_B2_NoneFailsUnderChurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWard(t, lattice.HTTP1)
		defer w.close()
		all := []netip.AddrPort{targetA, targetB, targetC}
		for _, a := range all {
			w.is(a, w.upFor(50))
		}
		w.register(all...)
		failed := w.ask(8, 10000, func(n int) {
			switch at := all[n/300%3]; n % 300 {
			case 0:
				w.is(at, refuses)
			case 100:
				w.register(all[n/300%3], all[(n/300+1)%3]) // the one that is down among them
			case 150:
				w.register(all...)
			case 200:
				w.is(at, w.upFor(50))
				time.Sleep(time.Second) // so that probes come between
			}
		})
		if failed > 0 {
			t.Errorf("%d of 10,000 requests failed", failed)
		}
	})
}

// TestFault_B2_AllTargetsAreTriedAndNoneTwice, until one is found, and the client is told 503 if none is.
func TestFault_B2_AllTargetsAreTriedAndNoneTwice(t *testing.T) {
	for _, version := range []lattice.ProtocolVersion{lattice.HTTP1, lattice.HTTP2} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.listener().Rules[0].Action.Forward[0].Group.ProtocolVersion = version
			w.order = nil
			for i := range 12 {
				w.order = append(w.order, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 1, byte(i)}), 80))
			}
			client := w.connectHTTP2()
			response, err := client.RoundTrip(call{method: "GET", path: "/"}.request(t.Context(), t))
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			seen := map[string]bool{}
			for _, d := range w.dials {
				seen[d] = true
			}
			if response.StatusCode != 503 || len(w.dials) != 12 || len(seen) != 12 {
				t.Errorf("%s: answered %d after %d dials of %d targets", version, response.StatusCode, len(w.dials), len(seen))
			}
			client.Close()
			w.close()
		})
	}
}

// TestFault_B2_WhatMayBeRepeatedElsewhere: a request to which a fresh connection ends without an answer goes to one
// other target if doing it twice is as good as once (RFC 9110 §9.2.2) and nothing of a body was sent, and to no third.
func TestFault_B2_WhatMayBeRepeatedElsewhere(t *testing.T) {
	for _, test := range []struct {
		request string
		good    int // which target answers
		status  int
		dials   int
	}{
		{get, 1, 200, 2},
		{get, 2, 502, 2},
		{"PUT / HTTP/1.1\r\nHost: s.example\r\nContent-Length: 0\r\n\r\n", 1, 200, 2},
		{"POST / HTTP/1.1\r\nHost: s.example\r\nContent-Length: 0\r\n\r\n", 1, 502, 1},
		{"PATCH / HTTP/1.1\r\nHost: s.example\r\n\r\n", 1, 502, 1},
		{"PUT / HTTP/1.1\r\nHost: s.example\r\nContent-Length: 1\r\n\r\nx", 1, 502, 1},
	} {
		w := newWorld(t)
		w.order = []netip.AddrPort{targetA, targetB, targetC}
		for i, a := range w.order {
			w.targets[a] = w.answers("HANGUP")
			if i == test.good {
				w.targets[a] = w.answers(ok)
			}
		}
		a := w.ask(test.request)
		w.mu.Lock()
		if a.status != test.status || len(w.dials) != test.dials {
			t.Errorf("%.20q: answered %d after %d connections, want %d and %d", test.request, a.status, len(w.dials),
				test.status, test.dials)
		}
		w.mu.Unlock()
	}
}

// TestFault_B2_AClientThatLeavesBlamesNoTarget: what was broken off for its sake says nothing of the target.
func TestFault_B2_AClientThatLeavesBlamesNoTarget(t *testing.T) {
	blamed := make(chan struct{}, 1)
	dialling := make(chan struct{})
	w := newWorld(t, func(c *Config) {
		c.Picker = blaming{c.Picker, blamed}
		c.Dial = func(ctx context.Context, _ string, _ netip.AddrPort) (net.Conn, error) {
			close(dialling)
			<-ctx.Done()
			return nil, errors.New("broken off")
		}
	})
	conn := w.connect(inVPC)
	go io.WriteString(conn, get)
	<-dialling
	w.cutAll()
	w.serving.Wait()
	if len(blamed) > 0 {
		t.Error("the target is avoided")
	}
}

type blaming struct {
	Picker
	blamed chan struct{}
}

type blamedTarget struct {
	Target
	blamed chan struct{}
}

func (b blamedTarget) Unreachable() { b.blamed <- struct{}{} }

func (b blaming) Pick(g *snapshot.TargetGroup, tried ...netip.AddrPort) (Target, bool) {
	t, ok := b.Picker.Pick(g, tried...)
	return blamedTarget{t, b.blamed}, ok
}
