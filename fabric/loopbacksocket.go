package fabric

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"

	"pergola/addressing"
)

// listen gives a router's listener any free port: low ports need privileges, and only the fabric's clients look for it.
func (r *loopbackRouter) listen(ctx context.Context, _ string, at netip.AddrPort) (net.Listener, error) {
	at = own(at, addressing.Router(r.vpc.CIDR))
	if !r.owns(at.Addr()) {
		return nil, syscall.EADDRNOTAVAIL
	}
	return r.listenAt(ctx, at, 0)
}

// listen gives an instance's listener the port it asks for, if this process may have it, as programs would.
func (i *loopbackInstance) listen(ctx context.Context, _ string, at netip.AddrPort) (net.Listener, error) {
	at = own(at, i.address)
	if !i.owns(at.Addr()) {
		return nil, syscall.EADDRNOTAVAIL
	}
	l, err := i.listenAt(ctx, at, at.Port())
	if errors.Is(err, syscall.EACCES) {
		return i.listenAt(ctx, at, 0)
	}
	return l, err
}

// owns reports whether an address is the router's: sockets of a place have its addresses only, as if it were a machine.
func (r *loopbackRouter) owns(a netip.Addr) bool {
	four := embedded(a)
	return addressing.LinkLocal.Contains(four) || r.vpc.CIDR.Contains(four) &&
		four.Less(addressing.Nth(r.vpc.CIDR, addressing.ReservedHead))
}

func (i *loopbackInstance) owns(a netip.Addr) bool { return embedded(a) == i.address }

// own replaces an unspecified address by the place's own.
func own(at netip.AddrPort, address netip.Addr) netip.AddrPort {
	if at.Addr().IsUnspecified() {
		return netip.AddrPortFrom(address, at.Port())
	}
	return at
}

func (r *loopbackRouter) listenAt(ctx context.Context, at netip.AddrPort, port uint16) (net.Listener, error) {
	a := r.real(at.Addr())
	c := net.ListenConfig{}
	c.SetMultipathTCP(false)
	l, err := c.Listen(ctx, "tcp4", netip.AddrPortFrom(a, port).String())
	if err != nil {
		return nil, hint(err)
	}
	name, err := r.bound(socketName{"tcp", at}, addrPort(l.Addr()))
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return &loopbackListener{TCPListener: l.(*net.TCPListener), router: r, name: name}, nil
}

func (r *loopbackRouter) listenPacket(ctx context.Context, at netip.AddrPort) (net.PacketConn, error) {
	at = own(at, addressing.Router(r.vpc.CIDR))
	if !r.owns(at.Addr()) {
		return nil, syscall.EADDRNOTAVAIL
	}
	return r.listenPacketAt(ctx, at)
}

func (i *loopbackInstance) listenPacket(ctx context.Context, at netip.AddrPort) (net.PacketConn, error) {
	at = own(at, i.address)
	if !i.owns(at.Addr()) {
		return nil, syscall.EADDRNOTAVAIL
	}
	return i.listenPacketAt(ctx, at)
}

func (r *loopbackRouter) listenPacketAt(ctx context.Context, at netip.AddrPort) (net.PacketConn, error) {
	a := r.real(at.Addr())
	var config net.ListenConfig
	c, err := config.ListenPacket(ctx, "udp4", netip.AddrPortFrom(a, 0).String())
	if err != nil {
		return nil, hint(err)
	}
	name, err := r.bound(socketName{"udp", at}, addrPort(c.LocalAddr()))
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return &loopbackPacketConn{UDPConn: c.(*net.UDPConn), router: r, name: name}, nil
}

func (r *loopbackRouter) dial(ctx context.Context, local netip.Addr, remote netip.AddrPort) (net.Conn, error) {
	if !local.IsValid() {
		local = r.seenFrom(remote.Addr(), addressing.Router(r.vpc.CIDR))
	}
	if !r.owns(local) {
		return nil, syscall.EADDRNOTAVAIL
	}
	return r.dialFrom(ctx, local, remote)
}

func (i *loopbackInstance) dial(ctx context.Context, local netip.Addr, remote netip.AddrPort) (net.Conn, error) {
	if !local.IsValid() {
		local = i.seenFrom(remote.Addr(), i.address)
	}
	if !i.owns(local) {
		return nil, syscall.EADDRNOTAVAIL
	}
	return i.dialFrom(ctx, local, remote)
}

func (r *loopbackRouter) dialFrom(ctx context.Context, local netip.Addr, remote netip.AddrPort) (net.Conn, error) {
	if r.filter.drops(local, remote) {
		return nil, keepSilent(ctx)
	}
	from := r.real(local)
	to, err := r.target(socketName{"tcp", remote})
	if err != nil {
		return nil, err
	}
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))}
	c, err := d.DialContext(ctx, "tcp4", to.String())
	if err != nil {
		return nil, hint(err)
	}
	if addressing.Resources.Contains(remote.Addr()) {
		if err := introduce(c, remote); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	port := addrPort(c.LocalAddr()).Port()
	return &loopbackConn{
		TCPConn: c.(*net.TCPConn),
		local:   net.TCPAddrFromAddrPort(netip.AddrPortFrom(local, port)),
		remote:  net.TCPAddrFromAddrPort(remote),
	}, nil
}

// loopbackConn is a connection that speaks of the VPC's addresses.
type loopbackConn struct {
	*net.TCPConn
	local, remote net.Addr
}

func (c *loopbackConn) LocalAddr() net.Addr  { return c.local }
func (c *loopbackConn) RemoteAddr() net.Addr { return c.remote }

// loopbackListener accepts connections from the VPC. One that comes from elsewhere on the host has no address there; it is
// closed unheard, because what listens here trusts addresses.
type loopbackListener struct {
	*net.TCPListener
	router *loopbackRouter
	name   socketName
}

func (l *loopbackListener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.name.at) }

func (l *loopbackListener) Accept() (net.Conn, error) {
	for {
		c, err := l.AcceptTCP()
		if err != nil {
			return nil, err
		}
		peer := addrPort(c.RemoteAddr())
		if a, ok := l.router.virtual(peer.Addr()); ok {
			remote := netip.AddrPortFrom(ClientAddress(l.router.seenFrom(l.name.at.Addr(), a)), peer.Port())
			return &loopbackConn{TCPConn: c, local: l.Addr(), remote: net.TCPAddrFromAddrPort(remote)}, nil
		}
		c.Close()
	}
}

func (l *loopbackListener) Close() error {
	l.router.unbind(l.name)
	return l.TCPListener.Close()
}

// loopbackPacketConn is a UDP socket that speaks of the VPC's addresses, to this process's other ones in the same VPC.
type loopbackPacketConn struct {
	*net.UDPConn
	router *loopbackRouter
	name   socketName
}

func (c *loopbackPacketConn) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(c.name.at) }

func (c *loopbackPacketConn) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, err := c.ReadFromUDPAddrPort(b)
		if err != nil {
			return n, nil, err
		}
		if name, ok := c.router.nameOf("udp", from); ok {
			return n, net.UDPAddrFromAddrPort(name), nil
		}
	}
}

func (c *loopbackPacketConn) WriteTo(b []byte, to net.Addr) (int, error) {
	at, err := c.router.target(socketName{"udp", addrPort(to)})
	if err != nil {
		return 0, &net.OpError{Op: "write", Net: "udp", Addr: to, Err: err}
	}
	return c.WriteToUDPAddrPort(b, at)
}

func (c *loopbackPacketConn) Close() error {
	c.router.unbind(c.name)
	return c.UDPConn.Close()
}

// addrPort is the address of a TCP or UDP socket, IPv4 in its short form.
func addrPort(a net.Addr) netip.AddrPort {
	var at netip.AddrPort
	switch a := a.(type) {
	case *net.TCPAddr:
		at = a.AddrPort()
	case *net.UDPAddr:
		at = a.AddrPort()
	}
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}
