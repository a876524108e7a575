package fabric

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"pergola/addressing"
)

// Intercept opens a listener at the router of a VPC that accepts the TCP connections to every port of every address of
// VPC Lattice's range for resources. The local address of a connection is the one that it was opened to, or invalid
// where the other end has not said so in time. A router has one such listener at a time. It ends with the VPC.
func (f *Fabric) Intercept(ctx context.Context, vpc string) (net.Listener, error) {
	p := Place{VPC: vpc}
	s, err := f.seat(p)
	if err != nil {
		return nil, fmt.Errorf("fabric: intercept: %w", err)
	}
	l, err := s.place.(router).intercept(ctx, addressing.Resources)
	if err != nil {
		return nil, fmt.Errorf("fabric: intercept connections to %v in %v: %w", addressing.Resources, p, err)
	}
	held := &listener{Listener: l, seat: s}
	if !s.adopt(held, func() { l.Close() }) {
		return nil, errors.Join(fmt.Errorf("fabric: intercept in %v: %w", p, ErrNoPlace), l.Close())
	}
	return held, nil
}

// A loopback fabric has one real listener for the whole range. Who connects, which is this process alone, begins with
// the address and the port that are meant.
const introductionSize = 4 + 2

// introductionTime is how long the introduction may take.
const introductionTime = 5 * time.Second

// intercepted is the name of the listener for a range.
func intercepted(of netip.Prefix) socketName {
	return socketName{"tcp", netip.AddrPortFrom(of.Masked().Addr(), 0)}
}

func (r *loopbackRouter) intercept(ctx context.Context, of netip.Prefix) (net.Listener, error) {
	name := intercepted(of)
	c := net.ListenConfig{}
	c.SetMultipathTCP(false)
	l, err := c.Listen(ctx, "tcp4", netip.AddrPortFrom(r.real(name.at.Addr()), 0).String())
	if err != nil {
		return nil, hint(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, taken := r.sockets[name]; taken {
		return nil, errors.Join(syscall.EADDRINUSE, l.Close())
	}
	r.sockets[name] = addrPort(l.Addr())
	return &interceptor{&loopbackListener{TCPListener: l.(*net.TCPListener), router: r, name: name}}, nil
}

// interceptor is a loopbackListener whose connections say first what they were opened to.
type interceptor struct{ *loopbackListener }

func (l *interceptor) Accept() (net.Conn, error) {
	conn, err := l.loopbackListener.Accept()
	if err != nil {
		return nil, err
	}
	return &interceptedConn{loopbackConn: conn.(*loopbackConn)}, nil
}

// interceptedConn is a connection whose local address is what the other end has said first. It is read when it is asked
// for, which is before anything else is read.
type interceptedConn struct {
	*loopbackConn
	once sync.Once
	to   netip.AddrPort
}

// LocalAddr is what the connection was opened to.
func (c *interceptedConn) LocalAddr() net.Addr {
	c.once.Do(func() {
		var introduction [introductionSize]byte
		_ = c.SetReadDeadline(time.Now().Add(introductionTime)) // a connection without deadlines is closed, and says nothing
		if _, err := io.ReadFull(c.loopbackConn, introduction[:]); err != nil {
			return
		}
		_ = c.SetReadDeadline(time.Time{})
		c.to = netip.AddrPortFrom(netip.AddrFrom4([4]byte(introduction[:4])), binary.BigEndian.Uint16(introduction[4:]))
	})
	return net.TCPAddrFromAddrPort(c.to)
}

// introduce says at the beginning of a connection to the listener of a range what was meant.
func introduce(conn net.Conn, to netip.AddrPort) error {
	address := to.Addr().As4()
	_, err := conn.Write(binary.BigEndian.AppendUint16(address[:], to.Port()))
	return err
}
