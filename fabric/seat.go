package fabric

import (
	"net"
	"net/netip"
	"sync"
)

// seat is a place and what lives there: the listeners, packet sockets and programs that end with it.
type seat struct {
	place place

	mu   sync.Mutex     // guards what follows
	ends map[any]func() // how to end each thing that lives here
	gone bool
}

func newSeat(p place) *seat { return &seat{place: p, ends: map[any]func(){}} }

// adopt ties a thing to the place, and reports false when the place is already gone.
func (s *seat) adopt(thing any, end func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return false
	}
	s.ends[thing] = end
	return true
}

// release unties a thing that has ended by itself.
func (s *seat) release(thing any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.ends, thing)
}

// remove ends everything here and then the place.
func (s *seat) remove() error {
	for _, end := range s.vacate() {
		end()
	}
	return s.place.remove()
}

func (s *seat) vacate() map[any]func() {
	s.mu.Lock()
	defer s.mu.Unlock()
	ends := s.ends
	s.ends, s.gone = nil, true
	return ends
}

// listener is a net.Listener that lives at a seat.
type listener struct {
	net.Listener
	seat *seat
}

// Accept tells who calls by the address that its VPC knows.
func (l *listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if tcp, ok := conn.(*net.TCPConn); ok {
		seen := addrPort(tcp.RemoteAddr())
		if known := ClientAddress(seen.Addr()); known != seen.Addr() {
			return &knownConn{tcp, net.TCPAddrFromAddrPort(netip.AddrPortFrom(known, seen.Port()))}, err
		}
	}
	return conn, err
}

// knownConn is a connection whose other end is known by another address than the one that it uses.
type knownConn struct {
	*net.TCPConn
	remote net.Addr
}

func (c *knownConn) RemoteAddr() net.Addr { return c.remote }

func (l *listener) Close() error {
	l.seat.release(l)
	return l.Listener.Close()
}

// packetConn is a net.PacketConn that lives at a seat.
type packetConn struct {
	net.PacketConn
	seat *seat
}

func (c *packetConn) Close() error {
	c.seat.release(c)
	return c.PacketConn.Close()
}
