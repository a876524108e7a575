package loadbalancer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"pergola/bound"
	"pergola/containment"
	"pergola/dataplane/proxy"
	"pergola/dataplane/security"
	"pergola/dataplane/target"
	"pergola/lattice"
	"pergola/snapshot"
)

// balancer is a running load balancer. All but current belongs to who applies snapshots.
type balancer struct {
	set        *Set
	vpc        string
	interfaces []Interface
	current    atomic.Pointer[state]
	targets    *target.Set
	doors      map[door]*served
	proxies    []*proxy.Proxy // carry requests from each of the interfaces
	running    sync.WaitGroup // doors, and those that drain
	// done is what has been applied whole, and failed are the doors that could not be opened.
	done   *snapshot.LoadBalancer
	failed map[door]bool
}

// state is what requests read of a load balancer.
type state struct {
	*snapshot.LoadBalancer
	// certificates are those of HTTPS listeners, by port.
	certificates map[uint16]*tls.Certificate
}

// door is where a load balancer listens: a port of one of its interfaces, and what is spoken there.
type door struct {
	on       int // which of the interfaces
	port     uint16
	protocol lattice.Protocol
}

// served is a door that is open.
type served struct {
	listener    net.Listener
	finish, cut context.Context
	end, endAll context.CancelFunc // end finish, and cut
	connections sync.WaitGroup     // and who accepts them
}

func newBalancer(s *Set, wanted *snapshot.LoadBalancer) *balancer {
	b := &balancer{set: s, vpc: wanted.VPC, doors: map[door]*served{}}
	for i, address := range wanted.Addresses {
		b.interfaces = append(b.interfaces, Interface{VPC: wanted.VPC, Instance: wanted.NodeID(i), Address: address})
	}
	b.targets = target.New(target.Config{
		Dial: func(ctx context.Context, _ string, to netip.AddrPort) (net.Conn, error) {
			return s.reach(ctx, b.interfaces[0], to)
		},
		Logger: s.log, Changed: s.config.Changed,
	})
	for _, i := range b.interfaces {
		b.proxies = append(b.proxies, proxy.New(proxy.Config{
			Balance: b.terms, Picker: picker{b.targets}, Log: s.log, Lifetime: lifetime, Patience: lifetime,
			Dial: func(ctx context.Context, _ string, to netip.AddrPort) (net.Conn, error) {
				return s.reach(ctx, i, to)
			},
		}))
	}
	return b
}

func (b *balancer) addresses() (addresses []netip.Addr) {
	for _, i := range b.interfaces {
		addresses = append(addresses, i.Address)
	}
	return addresses
}

// apply makes the load balancer what a snapshot says. Its targets go first, so that the first request finds them. While
// it is held, doors that could not be opened before are not tried.
func (b *balancer) apply(ctx context.Context, wanted *snapshot.LoadBalancer, held bool) error {
	if now := b.current.Load(); b.done == wanted || held && now != nil && now.LoadBalancer == wanted {
		return nil
	}
	b.done = nil
	b.targets.Apply(&snapshot.Snapshot{TargetGroups: wanted.TargetGroups})
	b.current.Store(&state{wanted, b.certificatesFor(wanted)})
	err := b.follow(ctx, b.wantedDoors(wanted), held)
	if len(b.failed) == 0 {
		b.done = wanted
	}
	return err
}

// follow closes the doors that are not wanted any more, and opens those that are.
func (b *balancer) follow(ctx context.Context, open map[door]bool, held bool) error {
	for d, was := range b.doors {
		if !open[d] {
			delete(b.doors, d)
			was.close() // now, for another protocol may be spoken on the port from now on
			b.running.Go(was.drain)
		}
	}
	var errs []error
	before := b.failed
	b.failed = map[door]bool{}
	for d := range open {
		if _, is := b.doors[d]; is {
			continue
		}
		var err error
		if !held || !before[d] {
			if err = containment.Untried(ctx); err == nil {
				err = b.open(ctx, d)
			}
		}
		if err != nil || held && before[d] {
			b.failed[d] = true
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// certificatesFor opens the certificates of HTTPS listeners. Handshakes with a listener that has none fail.
func (b *balancer) certificatesFor(wanted *snapshot.LoadBalancer) map[uint16]*tls.Certificate {
	certificates := map[uint16]*tls.Certificate{}
	for _, l := range wanted.Listeners {
		if l.Protocol != lattice.ProtocolHTTPS {
			continue
		}
		opened, err := tls.Certificate{}, errNoCertificate
		if l.Certificate != nil {
			opened, err = b.set.config.Open(l.Certificate)
		}
		if err != nil {
			b.set.log.Error("an HTTPS listener of a load balancer cannot be served", "loadBalancer", wanted.ARN, "port", l.Port, "error", err)
			continue
		}
		certificates[l.Port] = &opened
	}
	return certificates
}

var errNoCertificate = errors.New("its certificate does not exist; give the listener another (aws elbv2 modify-listener)")

// certificate is what is shown on a port.
func (b *balancer) certificate(port uint16) (*tls.Certificate, error) {
	if c := b.current.Load().certificates[port]; c != nil {
		return c, nil
	}
	return nil, fmt.Errorf("the listener on port %d has no certificate that can be shown", port)
}

func (b *balancer) wantedDoors(wanted *snapshot.LoadBalancer) map[door]bool {
	doors := map[door]bool{}
	for _, l := range wanted.Listeners {
		for i := range b.interfaces {
			doors[door{i, l.Port, l.Protocol}] = true
		}
	}
	return doors
}

const (
	// lifetime is the age at which a client's connection takes its last request (the attribute client_keep_alive.seconds
	// has this default, in AWS too).
	lifetime = time.Hour
	// handshakeTime is how long a client may take for TLS.
	handshakeTime = 10 * time.Second
)

// open begins to serve at a door.
func (b *balancer) open(ctx context.Context, d door) error {
	listener, err := b.set.config.Listen(ctx, b.interfaces[d.on], d.port)
	if err != nil {
		return err
	}
	s := &served{listener: listener}
	s.finish, s.end = context.WithCancel(context.Background())
	s.cut, s.endAll = context.WithCancel(context.Background())
	b.doors[d] = s
	s.connections.Go(func() {
		err := containment.Accept(s.finish, b.set.log, "a listener of a load balancer", listener.Accept, func(conn net.Conn) {
			seat := b.set.seats.Enter(b.vpc, bound.ClientOf(conn.RemoteAddr()))
			if seat == nil {
				_ = conn.Close()
				return
			}
			s.connections.Go(func() {
				defer seat.Leave()
				b.admit(s, d, conn)
			})
		})
		if err != nil {
			b.set.log.Error("a listener of a load balancer has stopped", "address", b.interfaces[d.on].Address, "port", d.port,
				"error", err)
		}
	})
	return nil
}

// admit serves a connection that came through a door to its end. A panic ends this connection and no other.
func (b *balancer) admit(s *served, d door, conn net.Conn) {
	defer conn.Close()
	_ = containment.Do(b.set.log, "serving a connection to a load balancer", func() error {
		defer context.AfterFunc(s.cut, func() { conn.Close() })()
		b.serve(s, d, conn)
		return nil
	})
}

func (b *balancer) serve(s *served, d door, conn net.Conn) {
	arrival := proxy.Arrival{VPC: b.vpc, Port: d.port}
	if d.protocol == lattice.ProtocolHTTPS {
		secure := security.Server(conn, &tls.Config{
			MinVersion: security.MinVersion, NextProtos: []string{"http/1.1"},
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return b.certificate(d.port) },
		})
		ctx, cancel := context.WithTimeout(s.cut, handshakeTime)
		err := secure.HandshakeContext(ctx)
		cancel()
		if err != nil {
			b.set.log.Debug("a TLS handshake with a load balancer failed", "client", conn.RemoteAddr(), "error", err)
			return
		}
		conn = secure
	}
	for pause := b.proxies[d.on].ServeConn(s.finish, s.cut, conn, arrival); pause != nil; {
		pause = pause.Then() // which waits
	}
}

// close closes a door to new connections, and asks those that came through it to finish.
func (s *served) close() {
	s.end()
	_ = s.listener.Close() // it may have ended with its interface
}

// drain closes a door at once, and its connections when their requests have ended or had their time.
func (s *served) drain() {
	s.close()
	defer time.AfterFunc(drainTime, s.endAll).Stop()
	s.connections.Wait()
	s.endAll()
}

// breakOff closes a door and its connections at once.
func (s *served) breakOff() {
	s.close()
	s.endAll()
	s.connections.Wait()
}

// close ends the health checks at once and each door by end, and waits until nothing is left running.
func (b *balancer) close(end func(*served)) {
	b.targets.Close()
	for _, open := range b.doors {
		b.running.Go(func() { end(open) })
	}
	b.running.Wait()
	for _, p := range b.proxies {
		p.Close()
	}
}
