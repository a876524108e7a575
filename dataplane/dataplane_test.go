package dataplane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"pergola/containment"
	"pergola/dataplane/parking"
	"pergola/snapshot"
)

// rig is a Plane under test on a network in memory. Its connections are served by serve.
type rig struct {
	*Plane
	t       *testing.T
	network *memory
	logs    strings.Builder
}

type serve = func(ctx, _ context.Context, conn net.Conn, vpcID string, port uint16)

func newRig(t *testing.T, serve serve, maxConnections int) *rig {
	r := &rig{t: t, network: newMemory()}
	r.Plane = New(Config{
		Network: r.network, MaxConnections: maxConnections,
		Serve: func(finish, cut context.Context, conn net.Conn, at snapshot.DoorPort) *parking.Pause {
			serve(finish, cut, conn, at.VPC, at.Port)
			return nil
		},
		Logger: slog.New(slog.NewTextHandler(&r.logs, nil)),
	})
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = r.Close(ctx)
	})
	return r
}

func (r *rig) apply(vpcs map[string][]uint16) {
	r.t.Helper()
	if err := r.Apply(r.t.Context(), places(vpcs)); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) connect(at socket) net.Conn {
	r.t.Helper()
	conn, err := r.network.connect(at)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	return conn
}

// logged reports how often a text was logged.
func (r *rig) logged(text string) int { return strings.Count(r.logs.String(), text) }

// echo sends back what comes, behind the place where it came in, until the client closes or the context ends.
func echo(ctx, _ context.Context, conn net.Conn, vpcID string, port uint16) {
	defer context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Now()) })()
	fmt.Fprintf(conn, "%s %d: ", vpcID, port)
	io.Copy(conn, conn)
}

// hold holds a connection until it is closed.
func hold(_, _ context.Context, conn net.Conn, _ string, _ uint16) { io.Copy(io.Discard, conn) }

func isClosed(conn net.Conn) bool {
	conn.SetReadDeadline(time.Now().Add(time.Millisecond))
	_, err := conn.Read(make([]byte, 1))
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe)
}

func TestConnectionsAreServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, echo, 0)
		if r.Snapshot() != nil {
			t.Error("there is a snapshot before the first Apply")
		}
		r.apply(map[string][]uint16{"vpc-a": {80, 443}, "vpc-b": {80}})
		for _, at := range []socket{ipv4("vpc-a", 80), ipv4("vpc-a", 443), ipv6("vpc-b", 80)} {
			conn := r.connect(at)
			go io.WriteString(conn, "hello")
			want := fmt.Sprintf("%s %d: hello", at.vpc, at.address.Port())
			got := make([]byte, len(want))
			if _, err := io.ReadFull(conn, got); err != nil || string(got) != want {
				t.Errorf("at %v got %q, %v, want %q", at, got, err, want)
			}
		}
	})
}

// After any sequence of snapshots, what listens is what the last one calls for, but for what the network refuses.
func TestListenersFollowSnapshots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(7, 7))
		r := newRig(t, hold, 0)
		for step := range 300 {
			vpcs, want := map[string][]uint16{}, map[socket]bool{}
			refused := map[socket]bool{}
			for i := range 5 {
				id := fmt.Sprintf("vpc-%d", i)
				switch random.IntN(4) {
				case 0:
					continue // no such VPC
				case 1:
					vpcs[id] = nil // not associated
					continue
				}
				vpcs[id] = []uint16{}
				for port := uint16(80); port < 84; port++ {
					if random.IntN(2) == 0 {
						continue
					}
					vpcs[id] = append(vpcs[id], port)
					at, isOpen := ipv4(id, port), r.network.listener(ipv4(id, port)) != nil
					if !isOpen && random.IntN(5) == 0 {
						refused[at] = true
						continue
					}
					want[at], want[ipv6(id, port)] = true, true
				}
			}
			r.network.mu.Lock()
			r.network.refused = refused
			r.network.mu.Unlock()
			s := places(vpcs)
			err := r.Apply(t.Context(), s).Err()
			if r.Snapshot() != s {
				t.Fatalf("step %d: the snapshot was not swapped in", step)
			}
			if got := r.network.sockets(); !maps.Equal(got, want) {
				t.Fatalf("step %d: listening at\n%v, want\n%v", step, got, want)
			}
			checkErrors(t, err, refused)
			synctest.Wait()
		}
	})
}

// checkErrors checks that an error of Apply names exactly what was refused.
func checkErrors(t *testing.T, err error, refused map[socket]bool) {
	t.Helper()
	if len(refused) == 0 && err != nil {
		t.Fatal(err)
	}
	for at := range refused {
		want := fmt.Sprintf("listen on %v in %s: address not available", at.address, at.vpc)
		if err == nil || strings.Count(err.Error(), want) != 1 {
			t.Fatalf("the error is %v, want %q", err, want)
		}
	}
}

func TestUnchangedListenersStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, hold, 0)
		for range 3 {
			r.apply(map[string][]uint16{"vpc-a": {80}})
		}
		if r.network.opened != 2 {
			t.Errorf("%d listeners were opened, want 2", r.network.opened)
		}
	})
}

// Who connects to a new listener at once is served by the snapshot that made it.
func TestNewListenersServeTheNewSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r *rig
		served := make(chan *snapshot.Snapshot, 2)
		r = newRig(t, func(context.Context, context.Context, net.Conn, string, uint16) { served <- r.Snapshot() }, 0)
		r.apply(map[string][]uint16{"vpc-a": nil})
		r.network.greet = synctest.Wait
		s := places(map[string][]uint16{"vpc-a": {80}})
		if err := r.Apply(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if got := <-served; got != s {
				t.Error("a connection was served by an earlier snapshot")
			}
		}
	})
}

func TestConnectionsOfAClosedPortFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		r := newRig(t, func(ctx, _ context.Context, conn net.Conn, vpcID string, port uint16) {
			defer context.AfterFunc(ctx, func() { asked.Add(1) })()
			hold(ctx, ctx, conn, vpcID, port)
		}, 0)
		r.apply(map[string][]uint16{"vpc-a": {80, 81}, "vpc-b": {80}})
		leaving, staying := r.connect(ipv4("vpc-a", 80)), r.connect(ipv4("vpc-b", 80))
		synctest.Wait()
		r.apply(map[string][]uint16{"vpc-a": {81}, "vpc-b": {80}})
		synctest.Wait()
		if asked.Load() != 1 {
			t.Errorf("%d connections were asked to finish, want 1", asked.Load())
		}
		if isClosed(leaving) {
			t.Error("the connection was cut although its VPC is still there")
		}
		r.apply(map[string][]uint16{"vpc-b": {80}})
		synctest.Wait()
		if !isClosed(leaving) {
			t.Error("the connection outlived its VPC")
		}
		if isClosed(staying) || asked.Load() != 1 {
			t.Error("the connection in the other VPC did not stay")
		}
	})
}

func TestWithoutIPv6(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, hold, 0)
		vpcs := map[string][]uint16{"vpc-a": {80}, "vpc-b": {80}}
		for id := range vpcs {
			r.network.refused[ipv6(id, 80)] = true
		}
		r.apply(vpcs)
		r.apply(vpcs)
		if want := map[socket]bool{ipv4("vpc-a", 80): true, ipv4("vpc-b", 80): true}; !maps.Equal(r.network.sockets(), want) {
			t.Errorf("listening at %v", r.network.sockets())
		}
		if r.logged("IPv4 alone") != 1 {
			t.Errorf("the lack of IPv6 was not logged once:\n%s", r.logs.String())
		}
	})
}

func TestAcceptSurvivesErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, echo, 0)
		r.apply(map[string][]uint16{"vpc-a": {80}})
		at := ipv4("vpc-a", 80)
		for run := 1; run <= 2; run++ {
			for range 10 {
				r.network.listener(at).failures <- syscall.EMFILE
			}
			conn := r.connect(at)
			if _, err := conn.Read(make([]byte, 1)); err != nil {
				t.Errorf("after the errors: %v", err)
			}
			if r.logged("could not accept") != run {
				t.Errorf("%d runs of errors were not logged once each:\n%s", run, r.logs.String())
			}
			conn.Close()
		}
		r.network.listener(at).failures <- syscall.EMFILE
		synctest.Wait()
		began := time.Now()
		if err := r.Close(t.Context()); err != nil || time.Since(began) != 0 {
			t.Errorf("Close within a pause returned %v after %v", err, time.Since(began))
		}
	})
}

func TestListenerClosedByTheNetworkIsReopened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, hold, 0)
		vpcs := map[string][]uint16{"vpc-a": {80}}
		r.apply(vpcs)
		r.network.listener(ipv4("vpc-a", 80)).Close()
		synctest.Wait()
		if got := r.network.sockets(); len(got) != 0 {
			t.Errorf("half a door is open: %v", got)
		}
		r.apply(vpcs)
		if got := r.network.sockets(); len(got) != 2 {
			t.Errorf("listening at %v after the next Apply", got)
		}
		if r.logged("closed by the network") != 1 {
			t.Errorf("not logged once:\n%s", r.logs.String())
		}
	})
}

func TestFault_A1_ADoorThatFailsIsHeldAndTheRestOpens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, hold, 0)
		held := map[snapshot.DoorPort]bool{}
		r.Plane.hold = func(at snapshot.DoorPort) bool { return held[at] }
		r.network.refused[ipv4("vpc-a", 80)], r.network.panics[ipv6("vpc-b", 80)] = true, true
		wanted := places(map[string][]uint16{"vpc-a": {80, 443}, "vpc-b": {80, 443}})
		failed := r.Apply(t.Context(), wanted)
		if len(failed) != 2 || failed[portOf("vpc-a", 80)] == nil ||
			!errors.Is(failed[portOf("vpc-b", 80)], containment.ErrPanicked) {
			t.Errorf("failed: %v", failed)
		}
		if r.Snapshot() != wanted || len(r.network.sockets()) != 4 {
			t.Errorf("listening at %v", r.network.sockets())
		}
		clear(r.network.refused)
		clear(r.network.panics)
		held[portOf("vpc-a", 80)] = true
		r.apply(map[string][]uint16{"vpc-a": {80, 443}, "vpc-b": {80, 443}})
		if got := r.network.sockets(); got[ipv4("vpc-a", 80)] || !got[ipv4("vpc-b", 80)] {
			t.Errorf("listening at %v", got)
		}
		clear(held)
		r.apply(map[string][]uint16{"vpc-a": {80, 443}, "vpc-b": {80, 443}})
		if got := r.network.sockets(); len(got) != 8 {
			t.Errorf("listening at %v", got)
		}
	})
}

func TestConnectionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var serving atomic.Int64
		r := newRig(t, func(ctx, _ context.Context, conn net.Conn, vpcID string, port uint16) {
			serving.Add(1)
			defer serving.Add(-1)
			hold(ctx, ctx, conn, vpcID, port)
		}, 2)
		r.apply(map[string][]uint16{"vpc-a": {80}})
		for round := range 2 {
			var conns []net.Conn
			for range 5 {
				conns = append(conns, r.connect(ipv4("vpc-a", 80)))
				synctest.Wait()
			}
			if serving.Load() != 2 || isClosed(conns[0]) || isClosed(conns[1]) || !isClosed(conns[2]) || !isClosed(conns[4]) {
				t.Errorf("%d connections are served, want the first 2", serving.Load())
			}
			if r.logged("as it may") != round+1 {
				t.Errorf("the bound was not logged once each time that it was reached:\n%s", r.logs.String())
			}
			for _, conn := range conns {
				conn.Close()
			}
			synctest.Wait()
		}
	})
}

// Clients that open connections without end leave doors open to others, in their VPC and in others.
func TestFault_A12_NoClientTakesTheDoors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, hold, 400)
		r.apply(map[string][]uint16{"vpc-a": {80, 81}, "vpc-b": {80}})
		open := func(client string, at socket) net.Conn {
			conn, err := r.network.connectFrom(netip.MustParseAddr(client), at)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { conn.Close() })
			synctest.Wait()
			return conn
		}
		for _, hog := range []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"} {
			for i := range 500 {
				open(hog, ipv4("vpc-a", 80+uint16(i%2)))
			}
		}
		if isClosed(open("10.0.0.4", ipv4("vpc-a", 80))) {
			t.Error("another client of the same VPC is not let in")
		}
		for i := range 50 {
			if isClosed(open("10.0.0.1", ipv4("vpc-b", 80))) {
				t.Fatalf("a client of another VPC with the same address is not let in for the %dth time", i+1)
			}
		}
	})
}

func TestPanicEndsOneConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(ctx, _ context.Context, conn net.Conn, vpcID string, port uint16) {
			if port == 81 {
				panic("no such thing")
			}
			hold(ctx, ctx, conn, vpcID, port)
		}, 0)
		r.apply(map[string][]uint16{"vpc-a": {80, 81}})
		fine, bad := r.connect(ipv4("vpc-a", 80)), r.connect(ipv4("vpc-a", 81))
		synctest.Wait()
		if !isClosed(bad) || isClosed(fine) {
			t.Error("not just the connection that panicked was closed")
		}
		if r.logged("no such thing") != 1 {
			t.Errorf("the panic was not logged:\n%s", r.logs.String())
		}
	})
}

// TestPausesThatCannotBe: a connection that cannot be parked goes on at once, and is closed when it is done, or panics.
func TestPausesThatCannotBe(t *testing.T) {
	for name, last := range map[string]func() *parking.Pause{
		"done":   func() *parking.Pause { return nil },
		"panics": func() *parking.Pause { panic("no such thing") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, nil, 1)
				pauses := 0
				r.serve = func(_, _ context.Context, conn net.Conn, _ snapshot.DoorPort) *parking.Pause {
					var then func() *parking.Pause
					then = func() *parking.Pause {
						if pauses++; pauses == 3 {
							return last()
						}
						return &parking.Pause{Conn: conn, Until: time.Now().Add(time.Hour), Then: then}
					}
					return then()
				}
				r.apply(map[string][]uint16{"vpc-a": {80}})
				conn := r.connect(ipv4("vpc-a", 80))
				synctest.Wait()
				if !isClosed(conn) || pauses != 3 || r.seats.taken() != 0 {
					t.Errorf("after %d pauses %d seats are taken", pauses, r.seats.taken())
				}
			})
		})
	}
}

func TestCloseLetsConnectionsFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(ctx, _ context.Context, _ net.Conn, _ string, _ uint16) {
			<-ctx.Done()
			time.Sleep(2 * time.Second) // the request at hand
		}, 0)
		r.apply(map[string][]uint16{"vpc-a": {80}})
		r.connect(ipv4("vpc-a", 80))
		synctest.Wait()
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if err := r.Close(ctx); err != nil || time.Since(began) != 2*time.Second {
			t.Errorf("Close returned %v after %v, want nil after 2s", err, time.Since(began))
		}
		if got := r.network.sockets(); len(got) != 0 {
			t.Errorf("still listening at %v", got)
		}
		if err := r.Apply(t.Context(), places(nil)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Apply after Close: %v", err)
		}
	})
}

func TestCloseCutsWhatDoesNotFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, hold, 2)
		r.apply(map[string][]uint16{"vpc-a": {80}})
		for range 3 { // there is no seat for the last
			r.connect(ipv4("vpc-a", 80))
		}
		synctest.Wait()
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		err := r.Close(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "2 connections") {
			t.Errorf("Close returned %v, want two connections cut", err)
		}
		if time.Since(began) != 3*time.Second {
			t.Errorf("Close took %v, want 3s", time.Since(began))
		}
	})
}
