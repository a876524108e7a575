package dataplane

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"pergola/snapshot"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// socket is where a listener is.
type socket struct {
	vpc, at string // at is the interface, or ""
	address netip.AddrPort
}

// entries are those of the only door that a VPC has in most tests.
var entries = []snapshot.Entry{
	{Address: netip.MustParseAddr("169.254.171.1")}, {Address: netip.MustParseAddr("fd00:ec2:80::a9fe:ab01")},
}

func ipv4(vpc string, port uint16) socket {
	return socket{vpc: vpc, address: netip.AddrPortFrom(entries[0].Address, port)}
}

func ipv6(vpc string, port uint16) socket {
	return socket{vpc: vpc, address: netip.AddrPortFrom(entries[1].Address, port)}
}

// memory is a network in memory.
type memory struct {
	// greet, if set, is called when somebody has connected to a listener that is about to be returned.
	greet func()

	mu      sync.Mutex // guards what follows
	open    map[socket]*listener
	refused map[socket]bool
	panics  map[socket]bool
	opened  int
}

func newMemory() *memory {
	return &memory{open: map[socket]*listener{}, refused: map[socket]bool{}, panics: map[socket]bool{}}
}

func (m *memory) Listen(_ context.Context, vpc string, entry snapshot.Entry, port uint16) (net.Listener, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := socket{vpc, entry.Interface, netip.AddrPortFrom(entry.Address, port)}
	switch {
	case m.panics[at]:
		panic("made to")
	case m.refused[at]:
		return nil, errors.New("address not available")
	case m.open[at] != nil:
		return nil, errors.New("address in use")
	}
	l := &listener{network: m, socket: at, queue: make(chan net.Conn, 100), failures: make(chan error), closed: make(chan struct{})}
	m.open[at] = l
	m.opened++
	if m.greet != nil {
		_, server := net.Pipe()
		l.queue <- server
		m.greet()
	}
	return l, nil
}

// sockets are where there are listeners.
func (m *memory) sockets() map[socket]bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	sockets := map[socket]bool{}
	for at := range m.open {
		sockets[at] = true
	}
	return sockets
}

func (m *memory) listener(at socket) *listener {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.open[at]
}

// connect connects like a client would: without a listener it is refused, otherwise it waits in the listener's queue.
func (m *memory) connect(at socket) (net.Conn, error) {
	return m.connectFrom(netip.MustParseAddr("10.0.0.1"), at)
}

// connectFrom is connect for a client with an address.
func (m *memory) connectFrom(client netip.Addr, at socket) (net.Conn, error) {
	l := m.listener(at)
	if l == nil {
		return nil, fmt.Errorf("connect to %v: refused", at)
	}
	near, far := net.Pipe()
	l.queue <- from{far, net.TCPAddrFromAddrPort(netip.AddrPortFrom(client, 40000))}
	return near, nil
}

// from is a connection that comes from an address.
type from struct {
	net.Conn
	client net.Addr
}

func (f from) RemoteAddr() net.Addr { return f.client }

// listener is a listener in memory. It gives what is in its queue, or an error from failures.
type listener struct {
	network  *memory
	socket   socket
	queue    chan net.Conn
	failures chan error
	once     sync.Once
	closed   chan struct{}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.queue:
		return conn, nil
	case err := <-l.failures:
		return nil, err
	case <-l.closed:
		return nil, &net.OpError{Op: "accept", Err: net.ErrClosed}
	}
}

func (l *listener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.socket.address) }

func (l *listener) Close() error {
	l.once.Do(func() {
		l.network.mu.Lock()
		defer l.network.mu.Unlock()
		delete(l.network.open, l.socket)
		close(l.closed)
	})
	return nil
}

// networkOn is a service network that listens on some ports.
func networkOn(ports ...uint16) *snapshot.Network {
	n := &snapshot.Network{Ports: map[uint16]*snapshot.Port{}}
	for _, port := range ports {
		n.Ports[port] = &snapshot.Port{}
	}
	return n
}

// portOf is a port of the door that places makes.
func portOf(vpc string, port uint16) snapshot.DoorPort {
	return snapshot.DoorPort{VPC: vpc, Door: "door", Port: port}
}

// places makes a snapshot of VPCs, each with a door to a service network on some ports; nil is a VPC without a door.
func places(vpcs map[string][]uint16) *snapshot.Snapshot {
	s := &snapshot.Snapshot{}
	for id, ports := range vpcs {
		vpc := &snapshot.VPC{ID: id}
		if ports != nil {
			vpc.Doors = []snapshot.Door{{Key: "door", Entries: entries, Network: networkOn(ports...)}}
		}
		s.VPCs = s.VPCs.With(id, vpc)
	}
	return s
}
