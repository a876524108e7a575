package loadbalancer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"pergola/containment"
	"pergola/dataplane/target"
	"pergola/lattice"
	"pergola/snapshot"
)

// balancer is a running load balancer. All but current belongs to who applies snapshots.
type balancer struct {
	set     *Set
	vpc     string
	places  []Place
	current atomic.Pointer[state]
	targets *target.Set
	doors   map[door]served
	// transports are all that there have been, since some may still keep connections.
	transports []*http.Transport
	running    sync.WaitGroup // servers, their connections, and those that drain
	// done is what has been applied whole, and failed are the doors that could not be opened.
	done   *snapshot.LoadBalancer
	failed map[door]bool
}

// state is what requests read of a load balancer.
type state struct {
	*snapshot.LoadBalancer
	// transports reach the targets from each of the places.
	transports []*http.Transport
	// certificates are those of HTTPS listeners, by port.
	certificates map[uint16]*tls.Certificate
}

// door is where a load balancer listens: a port of one of its places, and what is spoken there.
type door struct {
	place    int
	port     uint16
	protocol lattice.Protocol
}

// served is a door that is open.
type served struct {
	server   *http.Server
	listener net.Listener
}

func newBalancer(s *Set, wanted *snapshot.LoadBalancer) *balancer {
	b := &balancer{set: s, vpc: wanted.VPC, doors: map[door]served{}}
	for i, address := range wanted.Addresses {
		b.places = append(b.places, Place{VPC: wanted.VPC, Instance: wanted.NodeID(i), Address: address})
	}
	b.targets = target.New(target.Config{
		Dial: func(ctx context.Context, _ string, to netip.AddrPort) (net.Conn, error) {
			return s.reach(ctx, b.places[0], to)
		},
		Logger: s.log, Changed: s.config.Changed,
	})
	return b
}

func (b *balancer) addresses() (addresses []netip.Addr) {
	for _, place := range b.places {
		addresses = append(addresses, place.Address)
	}
	return addresses
}

// apply makes the load balancer what a snapshot says. Its targets go first, so that the first request finds them. While it
// is held, doors that could not be opened before are not tried.
func (b *balancer) apply(ctx context.Context, wanted *snapshot.LoadBalancer, held bool) error {
	if now := b.current.Load(); b.done == wanted || held && now != nil && now.LoadBalancer == wanted {
		return nil
	}
	b.done = nil
	b.targets.Apply(&snapshot.Snapshot{TargetGroups: wanted.TargetGroups})
	b.current.Store(&state{wanted, b.transportsFor(wanted), b.certificatesFor(wanted)})
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
			_ = was.listener.Close() // now, for another protocol may be spoken on the port from now on; the server follows
			b.running.Go(func() { drain(was.server) })
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

// transportsFor are the transports in use, unless the load balancer's patience with targets has changed.
func (b *balancer) transportsFor(wanted *snapshot.LoadBalancer) []*http.Transport {
	if now := b.current.Load(); now != nil && now.IdleTimeout == wanted.IdleTimeout {
		return now.transports
	}
	var transports []*http.Transport
	for _, place := range b.places {
		transports = append(transports, b.set.transport(place, wanted.IdleTimeout))
	}
	b.transports = append(b.transports, transports...)
	return transports
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
		for i := range b.places {
			doors[door{i, l.Port, l.Protocol}] = true
		}
	}
	return doors
}

// The patience with clients: for the head of a request, and for the next one (the attribute client_keep_alive.seconds has
// this default, in AWS too).
const (
	headTimeout = 60 * time.Second
	keepAlive   = 3600 * time.Second
)

// open begins to serve at a door.
func (b *balancer) open(ctx context.Context, d door) error {
	listener, err := b.set.config.Listen(ctx, b.places[d.place], d.port)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { b.serve(w, r, d) }),
		ReadHeaderTimeout: headTimeout, IdleTimeout: keepAlive, ConnState: b.count,
		ErrorLog: slog.NewLogLogger(b.set.log.Handler(), slog.LevelDebug),
		// An empty map keeps HTTP/2 out of it.
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
	}
	if d.protocol == lattice.ProtocolHTTPS {
		listener = tls.NewListener(listener, &tls.Config{
			MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return b.certificate(d.port) },
		})
	}
	b.doors[d] = served{server, listener}
	b.running.Go(func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			b.set.log.Error("a listener of a load balancer has stopped", "address", b.places[d.place].Address, "port", d.port, "error", err)
		}
	})
	return nil
}

// count lets close wait for connections. The first state comes from within Serve, which is counted too.
func (b *balancer) count(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		b.running.Add(1)
	case http.StateClosed:
		b.running.Done()
	}
}

// drain closes the listener of a server at once, and its connections when their requests have ended or had their time.
func drain(server *http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	if server.Shutdown(ctx) != nil {
		cut(server)
	}
}

// cut closes the listener of a server and its connections, whatever they are at.
func cut(server *http.Server) {
	_ = server.Close() // the error is that of a listener that has ended with its place
}

// close ends the health checks at once and each server by end, and waits until nothing is left running.
func (b *balancer) close(end func(*http.Server)) {
	b.targets.Close()
	for _, open := range b.doors {
		b.running.Go(func() { end(open.server) })
	}
	b.running.Wait()
	for _, t := range b.transports {
		t.CloseIdleConnections()
	}
}
