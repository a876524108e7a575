// Package loadbalancer runs the load balancers of a node: real hops between VPC Lattice and the targets behind them.
//
// A load balancer listens at its addresses inside its VPC, and reaches its targets from there. It decides what becomes
// of a request; requests are carried, read and refused by what does so for services: package dataplane/proxy. It speaks
// HTTP/1.1 on both sides. The health of its targets is checked, and the next one picked, by package dataplane/target.
package loadbalancer

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"pergola/bound"
	"pergola/containment"
	"pergola/lattice"
	"pergola/snapshot"
)

// Interface is a network interface of a load balancer: one of its addresses, with the instance of its VPC that the
// fabric has for it.
type Interface struct {
	VPC, Instance string
	Address       netip.Addr
}

// Config is what a Set needs. Listen, Dial and Open are required.
type Config struct {
	// Listen opens a listener on a port of an interface.
	Listen func(ctx context.Context, at Interface, port uint16) (net.Listener, error)
	// Dial connects from an interface to an address of its VPC.
	Dial func(ctx context.Context, from Interface, to netip.AddrPort) (net.Conn, error)
	// Open opens the key of a certificate, for HTTPS listeners.
	Open func(*snapshot.Certificate) (tls.Certificate, error)
	// Changed is called when what Report returns may have changed. It must return at once and must not call the Set. Nil
	// is for those who do not ask.
	Changed func()
	// Hold reports whether Apply leaves a load balancer's closed doors closed, because they wait out a backoff. Nil holds
	// none.
	Hold func(id string) bool
	// Logger receives each change of a target's health, and what cannot be served. Nil discards it.
	Logger *slog.Logger
}

// drainTime is how long the requests of a listener that is gone may go on.
const drainTime = 3 * time.Second

// maxConnections is how many connections the load balancers of a node have open at once, shared out among VPCs and
// their clients as bound.Pool says; further ones are closed.
const maxConnections = 16384

// Set is the load balancers of a node. Leave, Apply and Close must not be called at the same time; Report may be called at
// any.
type Set struct {
	config Config
	log    *slog.Logger
	seats  *bound.Pool // the connections that are open

	mu        sync.Mutex // guards balancers
	balancers map[string]*balancer
}

// New makes a Set without load balancers. Close it.
func New(config Config) *Set {
	s := &Set{config: config, log: config.Logger, balancers: map[string]*balancer{}}
	s.seats = bound.NewPool(int64(containment.Portion(maxConnections, 16)), 0) // each takes two descriptors
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.config.Hold == nil {
		s.config.Hold = func(string) bool { return false }
	}
	return s
}

// Leave ends the load balancers that are not in a snapshot any more, before their interfaces go: clients that wait for
// an answer learn at once that there will be none.
func (s *Set) Leave(snap *snapshot.Snapshot) {
	for id, b := range s.all() {
		if wanted := snap.LoadBalancers.Get(id); wanted == nil || wanted.VPC != b.vpc ||
			!slices.Equal(wanted.Addresses, b.addresses()) {
			s.forget(id)
			b.close((*served).breakOff)
		}
	}
}

// Apply makes the Set follow a snapshot that Leave has seen and whose networks exist. A load balancer that is the one
// applied before costs a map lookup. What failed is in the result, by the ids of load balancers; the rest has been
// applied, and the same call tries again what is missing. What is not open when ctx ends has failed with
// containment.ErrUntried.
func (s *Set) Apply(ctx context.Context, snap *snapshot.Snapshot) (failed containment.Failures[string]) {
	for id, wanted := range snap.LoadBalancers.All() {
		if snap.VPCs.Get(wanted.VPC) == nil {
			continue // its VPC is broken and left out, and with it the interface that it would have
		}
		failed.Try(context.WithoutCancel(ctx), s.log, "making a load balancer", id, func() error {
			if err := s.known(id, wanted).apply(ctx, wanted, s.config.Hold(id)); err != nil {
				return fmt.Errorf("load balancer %s: %w", wanted.ARN, err)
			}
			return nil
		})
	}
	return failed
}

// known is the running load balancer of an id, begun now if need be.
func (s *Set) known(id string, wanted *snapshot.LoadBalancer) *balancer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.balancers[id] == nil {
		s.balancers[id] = newBalancer(s, wanted)
	}
	return s.balancers[id]
}

func (s *Set) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.balancers, id)
}

func (s *Set) all() map[string]*balancer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.balancers)
}

// reach connects to a target. No load balancer of the VPC can be one (user guide for Application Load Balancers, "Register
// targets"): a request could go round among them for ever.
func (s *Set) reach(ctx context.Context, from Interface, to netip.AddrPort) (net.Conn, error) {
	for _, b := range s.all() {
		if b.vpc == from.VPC && slices.Contains(b.addresses(), to.Addr()) {
			return nil, fmt.Errorf("%s is the address of a load balancer, which cannot be a target of one", to.Addr())
		}
	}
	return s.config.Dial(ctx, from, to)
}

// Report is the health of every target, by target group id.
func (s *Set) Report() map[string]lattice.TargetReport {
	reports := map[string]lattice.TargetReport{}
	for _, b := range s.all() {
		maps.Copy(reports, b.targets.Report())
	}
	return reports
}

// Close stops all load balancers. Requests in flight may end, for a few seconds at most; then nothing is left running.
func (s *Set) Close() {
	var closing sync.WaitGroup
	for id, b := range s.all() {
		s.forget(id)
		closing.Go(func() { b.close((*served).drain) })
	}
	closing.Wait()
}
