package passthrough

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"pergola/dataplane/access"
	"pergola/dataplane/clienthello"
	"pergola/dataplane/record"
	"pergola/lattice"
	"pergola/snapshot"
)

var _ Guard = (*access.Guard)(nil)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a listener that passes TLS through to the targets of one group.
type world struct {
	t        *testing.T
	config   Config
	arrival  Arrival
	group    *snapshot.TargetGroup
	decision access.Decision
	asked    *access.Connection // of the guard

	mu       sync.Mutex // guards what follows
	targets  []netip.AddrPort
	occupied int
	dials    []netip.AddrPort
	refusing map[netip.AddrPort]bool
	record   *record.Record
	// What the picker was told.
	unreachable, reached []netip.AddrPort
}

func newWorld(t *testing.T) *world {
	group := &snapshot.TargetGroup{ID: "tg-1", VPC: "vpc-targets", Protocol: lattice.TargetTCP}
	w := &world{t: t, group: group, decision: access.Decision{Allowed: true}, refusing: map[netip.AddrPort]bool{}}
	for _, address := range []string{"10.0.1.1:443", "10.0.1.2:443", "10.0.1.3:443", "10.0.1.4:443"} {
		w.targets = append(w.targets, netip.MustParseAddrPort(address))
	}
	w.arrival = Arrival{
		VPC: &snapshot.VPC{ID: "vpc-client"}, Network: &snapshot.Network{ID: "sn-1"},
		Listener: &snapshot.Listener{
			ID: "listener-1", Protocol: lattice.ProtocolTLSPassthrough, Port: 443, Service: &snapshot.Service{ID: "svc-1"},
			Rules: []snapshot.Rule{{ID: "rule-default", Action: snapshot.Action{
				Forward: []snapshot.WeightedTargetGroup{{Group: group, Weight: 100}}, TotalWeight: 100,
			}}},
		},
		Hello: clienthello.Hello{ServerName: "orders.example"},
	}
	w.config = Config{
		Guard: w, Picker: w, Log: slog.New(slog.DiscardHandler),
		Record: func(r *record.Record) { w.record = r },
	}
	return w
}

// AuthorizeConnection implements Guard.
func (w *world) AuthorizeConnection(c *access.Connection) access.Decision {
	w.asked = c
	return w.decision
}

// Pick implements Picker: the first target of the list that was not tried, which goes to its end.
func (w *world) Pick(g *snapshot.TargetGroup, tried ...netip.AddrPort) (Target, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for range w.targets {
		first := w.targets[0]
		w.targets = append(w.targets[1:], first)
		if g == w.group && !slices.Contains(tried, first) {
			w.occupied++
			return &picked{w, first}, true
		}
	}
	return nil, false
}

type picked struct {
	world   *world
	address netip.AddrPort
}

func (p *picked) Address() netip.AddrPort { return p.address }

func (p *picked) Unreachable() {
	p.world.mu.Lock()
	defer p.world.mu.Unlock()
	p.world.unreachable = append(p.world.unreachable, p.address)
}

func (p *picked) Reached() {
	p.world.mu.Lock()
	defer p.world.mu.Unlock()
	p.world.reached = append(p.world.reached, p.address)
}

func (p *picked) Done() {
	p.world.mu.Lock()
	defer p.world.mu.Unlock()
	p.world.occupied--
}

// dialTo makes every dial reach serve, unless the target refuses.
func (w *world) dialTo(serve func(conn net.Conn)) {
	w.config.Dial = func(_ context.Context, vpc string, address netip.AddrPort) (net.Conn, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.dials = append(w.dials, address)
		if vpc != w.group.VPC || w.refusing[address] {
			return nil, errors.New("connection refused")
		}
		here, there := duplex()
		go serve(there)
		return here, nil
	}
}

// hello is the shortest of ClientHellos.
var hello = "\x16\x03\x01\x00\x2d" + "\x01\x00\x00\x29" + "\x03\x03" + strings.Repeat("\x00", 32) + "\x00" + "\x00\x02\x13\x01" + "\x01\x00"

// serve serves a client that has said hello, and returns its end of the connection. Done is closed when Serve returns.
func (w *world) serve(cut context.Context) (client net.Conn, done chan struct{}) {
	here, there := duplex()
	go io.WriteString(here, hello)
	_, isTLS, conn, err := clienthello.Peek(w.t.Context(), there, clienthello.Limits{})
	if err != nil || !isTLS {
		w.t.Fatalf("TLS %v: %v", isTLS, err)
	}
	done = make(chan struct{})
	go func() {
		defer close(done)
		New(w.config).Serve(cut, conn, w.arrival)
	}()
	return here, done
}

// expect reads as much as want has and compares.
func expect(t *testing.T, from io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(from, got); err != nil || string(got) != want {
		t.Errorf("read %q, want %q: %v", got, want, err)
	}
}

// half is one end of a connection in memory whose directions end one by one, as those of TCP do.
type half struct {
	net.Conn // read from
	to       net.Conn
}

func duplex() (a, b *half) {
	r1, w1 := net.Pipe()
	r2, w2 := net.Pipe()
	return &half{r1, w2}, &half{r2, w1}
}

func (h *half) Write(p []byte) (int, error) { return h.to.Write(p) }
func (h *half) CloseWrite() error           { return h.to.Close() }
func (h *half) Close() error                { return errors.Join(h.to.Close(), h.Conn.Close()) }
func (h *half) SetDeadline(at time.Time) error {
	return errors.Join(h.Conn.SetReadDeadline(at), h.to.SetWriteDeadline(at))
}
func (h *half) SetWriteDeadline(at time.Time) error { return h.to.SetWriteDeadline(at) }

// panicking makes targets on whose connections reading panics.
func panicking(dial func(context.Context, string, netip.AddrPort) (net.Conn, error)) func(context.Context, string,
	netip.AddrPort) (net.Conn, error) {
	return func(ctx context.Context, vpc string, to netip.AddrPort) (net.Conn, error) {
		conn, err := dial(ctx, vpc, to)
		return explosive{conn.(*half)}, err
	}
}

type explosive struct{ *half }

func (explosive) Read([]byte) (int, error) { panic("a fault") }
