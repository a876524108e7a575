// Package dataplane keeps the doors of VPCs open: a listener at each address of a door for each port on which some
// service behind it listens, and one for all resources that the clients of a VPC reach. A Plane follows the node's
// snapshots and holds the current one, behind one pointer, for everybody who serves.
package dataplane

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"

	"pergola/containment"
	"pergola/dataplane/parking"
	"pergola/snapshot"
)

// DefaultMaxConnections is how many connections a Plane has open at most unless its Config says otherwise.
const DefaultMaxConnections = 65536

// Network is where a Plane listens.
type Network interface {
	// Listen opens a TCP listener inside a VPC, on a port of the interface that has the address.
	Listen(ctx context.Context, vpcID string, at snapshot.Entry, port uint16) (net.Listener, error)
}

// Config is what a Plane needs.
type Config struct {
	// Network opens the listeners. Required.
	Network Network
	// Serve serves a connection that came in at a port of a door, and returns nil when it is done with it; the Plane
	// closes it then. Where there is nothing to do but to wait for the peer it may return a Pause, and the Plane waits in
	// its stead. When finish ends, the request at hand may be finished and no other begun. When cut ends, because that
	// took too long or the VPC is gone, the connection has been closed under Serve's hands, and Serve has to return.
	// Required.
	Serve func(finish, cut context.Context, conn net.Conn, at snapshot.DoorPort) *parking.Pause
	// MaxConnections bounds the connections that are open at once; they are shared out among VPCs and their clients as
	// bound.Pool says. A connection beyond a client's share is reset. 0 means DefaultMaxConnections; there are fewer where
	// bound.Memory has not enough for as many.
	MaxConnections int
	// Hold reports whether Apply leaves a closed port of a door closed, because it waits out a backoff. Nil holds none.
	Hold func(snapshot.DoorPort) bool
	// Closed is called when the network has closed a door that should be open: the next Apply opens it anew. It must
	// return at once. Nil is for those who do not ask.
	Closed func()
	// Logger receives what the Plane handles itself. Nil discards it.
	Logger *slog.Logger
}

// Plane is the open doors of a node. Its methods may be called at the same time.
type Plane struct {
	network           Network
	serve             func(finish, cut context.Context, conn net.Conn, at snapshot.DoorPort) *parking.Pause
	hold              func(snapshot.DoorPort) bool
	closing           func()
	log               *slog.Logger
	current           atomic.Pointer[snapshot.Snapshot]
	seats             *seats
	lot               parking.Lot
	noIPv6, noParking sync.Once      // were said
	running           sync.WaitGroup // accept loops and connections

	mu     sync.Mutex // guards what follows, and the doors of places
	places map[string]*place
	closed bool
}

// New makes a Plane that listens nowhere until Apply. Close it.
func New(cfg Config) *Plane {
	p := &Plane{
		network: cfg.Network, serve: cfg.Serve, hold: cfg.Hold, closing: cfg.Closed, log: cfg.Logger,
		places: map[string]*place{},
	}
	if p.hold == nil {
		p.hold = func(snapshot.DoorPort) bool { return false }
	}
	if p.closing == nil {
		p.closing = func() {}
	}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	p.lot.Log = p.log
	if cfg.MaxConnections <= 0 {
		cfg.MaxConnections = DefaultMaxConnections
	}
	p.seats = newSeats(cfg.MaxConnections, p.log)
	return p
}

// Snapshot is the snapshot to serve by, nil before the first Apply. A request asks once and keeps the answer.
func (p *Plane) Snapshot() *snapshot.Snapshot { return p.current.Load() }

// Apply makes the Plane follow a snapshot. When it returns, the snapshot is what new connections and new requests see, and
// what the snapshot calls for is open and nothing else. Connections through a port that is closed finish the request they
// are at; those of a VPC that is gone are cut.
//
// What could not be opened is in the result, each port of a door by itself. All else has been applied then, and the
// next Apply, of the same snapshot too, tries these again. What is not open when ctx ends has failed with
// containment.ErrUntried. IPv6 is served where the network has it. A Plane that is closed fails at the zero DoorPort.
func (p *Plane) Apply(ctx context.Context, s *snapshot.Snapshot) (failed containment.Failures[snapshot.DoorPort]) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		failed.Note(snapshot.DoorPort{}, fmt.Errorf("data plane: apply revision %d: %w", s.Revision, net.ErrClosed))
		return failed
	}
	p.shut(s)
	opened := p.open(ctx, s, &failed)
	p.current.Store(s)
	// Clients that connected to a new door meanwhile have waited for this moment, and find the service behind it.
	for _, d := range opened {
		d.start()
	}
	return failed
}

// shut closes what the snapshot does not call for. The caller holds mu.
func (p *Plane) shut(s *snapshot.Snapshot) {
	for id, at := range p.places {
		vpc := s.VPCs.Get(id)
		for of, d := range at.doors {
			if wanted := vpc.Opening(of); len(wanted) == 0 || !slices.Equal(wanted, d.entries) {
				d.close()
				delete(at.doors, of)
			}
		}
		if vpc == nil {
			at.cut()
			delete(p.places, id)
		}
	}
}

// open opens the doors that are missing, and returns them. Nobody is let in yet. The caller holds mu.
func (p *Plane) open(ctx context.Context, s *snapshot.Snapshot,
	failed *containment.Failures[snapshot.DoorPort]) (opened []*door) {
	for id, vpc := range s.VPCs.All() {
		for of, entries := range vpc.Openings() {
			at := p.place(id)
			if d := at.doors[of]; d != nil && d.isOpen() || p.hold(of) {
				continue
			}
			failed.Try(ctx, p.log, "opening a door", of, func() error {
				d, err := p.openDoor(ctx, at, of, entries)
				if err == nil {
					at.doors[of] = d
					opened = append(opened, d)
				}
				return err
			})
		}
	}
	return opened
}

// Close stops accepting and asks all connections to finish. Those that have not when the context ends are cut, and
// counted in the error. It returns when nothing runs any more.
func (p *Plane) Close(ctx context.Context) error {
	p.mu.Lock()
	p.closed = true
	for _, at := range p.places {
		for _, d := range at.doors {
			d.close()
		}
	}
	p.mu.Unlock()
	finished := make(chan struct{})
	go func() {
		p.running.Wait()
		close(finished)
	}()
	cut := int64(0)
	select {
	case <-finished:
	case <-ctx.Done():
		cut = p.seats.taken()
	}
	p.mu.Lock()
	for _, at := range p.places {
		at.cut()
	}
	p.mu.Unlock()
	<-finished
	p.lot.Close()
	if cut > 0 {
		return fmt.Errorf("data plane: %d connections had to be cut: %w", cut, context.Cause(ctx))
	}
	return nil
}
