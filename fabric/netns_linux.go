package fabric

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"pergola/addressing"
	"pergola/fabric/packetfilter"
)

// namespaces is the netns kind of fabric.
type namespaces struct {
	resolv string // directory with a resolv.conf for each VPC
	log    *slog.Logger
	wires  atomic.Uint64 // numbers the routers' devices
}

func openNetns(resolv string, log *slog.Logger) (network, error) {
	if err := os.MkdirAll(resolv, 0o700); err != nil {
		return nil, fmt.Errorf("fabric: %w", err)
	}
	return &namespaces{resolv: resolv, log: log}, nil
}

// spacePlace is a place in a namespace of its own.
type spacePlace struct {
	space   *space
	address netip.Addr  // an instance's; invalid for a router
	resolv  string      // the file that programs see as /etc/resolv.conf
	router  *spacePlace // an instance's; nil for a router
	wire    string      // the router's end of an instance's wire
	entered atomic.Bool // a program was started here
}

// routerPlace is a router's, with what filters its packets once there was a filter.
type routerPlace struct {
	*spacePlace
	known    packetfilter.Router
	enforcer *packetfilter.Enforcer
}

func (n *namespaces) addRouter(v VPC) (router, error) {
	resolv := filepath.Join(n.resolv, v.ID)
	// Programs read this file, as any user of their instance.
	if err := os.WriteFile(resolv, fmt.Appendf(nil, "nameserver %v\n", addressing.Resolver(v.CIDR)), 0o644); err != nil {
		return nil, err
	}
	s, err := newSpace()
	if err != nil {
		return nil, errors.Join(err, os.Remove(resolv))
	}
	if err := wireRouter(s, v.CIDR); err != nil {
		return nil, errors.Join(err, s.close(), os.Remove(resolv))
	}
	return &routerPlace{spacePlace: &spacePlace{space: s, resolv: resolv}, known: Router(v.CIDR)}, nil
}

func (r *routerPlace) enforce(f *packetfilter.Filter) (err error) {
	if r.enforcer == nil && f != nil {
		run := func(do func() error) error { return r.space.do(context.Background(), do) }
		r.enforcer, err = packetfilter.NewEnforcer(run, r.known)
	}
	if r.enforcer == nil || err != nil {
		return err
	}
	return r.enforcer.Apply(f)
}

func (r *routerPlace) judge(f packetfilter.Flow) []packetfilter.Step {
	if r.enforcer == nil {
		return nil
	}
	return r.enforcer.Judge(f)
}

// intercept has the kernel lead the connections to a range to a socket at the range's first address, which nothing else
// has.
func (r *routerPlace) intercept(ctx context.Context, of netip.Prefix) (l net.Listener, err error) {
	c := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		controlErr := raw.Control(func(fd uintptr) {
			err = os.NewSyscallError("setsockopt", unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_TRANSPARENT, 1))
		})
		return cmp.Or(controlErr, err)
	}}
	c.SetMultipathTCP(false)
	run := func(do func() error) error { return r.space.do(ctx, do) }
	if err := run(func() (err error) {
		l, err = c.Listen(ctx, "tcp4", netip.AddrPortFrom(of.Masked().Addr(), 0).String())
		return err
	}); err != nil {
		return nil, err
	}
	if err := packetfilter.Intercept(run, of, addrPort(l.Addr())); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (r *routerPlace) drops() ([]packetfilter.Drop, error) {
	if r.enforcer == nil {
		return nil, nil
	}
	return r.enforcer.Drops()
}

func (r *routerPlace) remove() error {
	var err error
	if r.enforcer != nil {
		err = r.enforcer.Close()
	}
	return errors.Join(err, r.spacePlace.remove())
}

func (n *namespaces) addInstance(of router, v VPC, i Instance) (place, error) {
	r := of.(*routerPlace).spacePlace
	s, err := newSpace()
	if err != nil {
		return nil, err
	}
	wire := fmt.Sprintf("i%d", n.wires.Add(1))
	if err := wireInstance(r.space, s, wire, v.CIDR, i.Address); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return &spacePlace{space: s, address: i.Address, resolv: r.resolv, router: r, wire: wire}, nil
}

// remove ends every process in the namespace, also those that left their session, and then the namespace.
func (p *spacePlace) remove() error {
	if p.entered.Load() {
		killWhere(func(q process) bool { return q.netns() == p.space.inode })
	}
	var err error
	if p.router == nil {
		err = os.Remove(p.resolv)
	} else {
		err = unwire(p.router.space, p.wire)
	}
	return errors.Join(err, p.space.close())
}

func (p *spacePlace) spawn(s *spawning) (*os.Process, error) {
	p.entered.Store(true)
	s.stage.Resolv = p.resolv
	s.stage.Env = withEnv(s.stage.Env, "PERGOLA_ADDRESS="+p.address.String())
	var started *os.Process
	err := p.space.do(s.ctx, func() (err error) {
		started, err = os.StartProcess(s.path, []string{programStage}, s.attr)
		return err
	})
	return started, err
}

// sockets makes the listening sockets. They may be bound to the IPv6 service addresses, which the kernel takes for its own
// by a route but lets no socket have without this option; plain TCP is what clients in a VPC speak.
func sockets() net.ListenConfig {
	c := net.ListenConfig{Control: func(network, _ string, raw syscall.RawConn) error {
		if network != "tcp6" && network != "udp6" {
			return nil
		}
		var err error
		if controlErr := raw.Control(func(fd uintptr) { err = freeBind6(int(fd)) }); controlErr != nil {
			return controlErr
		}
		return err
	}}
	c.SetMultipathTCP(false)
	return c
}

func freeBind6(fd int) error {
	return os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_FREEBIND, 1))
}

func (p *spacePlace) listen(ctx context.Context, network string, at netip.AddrPort) (l net.Listener, err error) {
	doErr := p.space.do(ctx, func() error {
		c := sockets()
		l, err = c.Listen(ctx, network, at.String())
		return err
	})
	return l, doErr
}

func (p *spacePlace) listenPacket(ctx context.Context, at netip.AddrPort) (c net.PacketConn, err error) {
	network := "udp4"
	if at.Addr().Is6() {
		network = "udp6"
	}
	doErr := p.space.do(ctx, func() error {
		config := sockets()
		c, err = config.ListenPacket(ctx, network, at.String())
		return err
	})
	return c, doErr
}

// dial takes a socket of the namespace and connects it on the thread that it runs on, so a target that does not answer
// keeps nobody else waiting.
func (p *spacePlace) dial(ctx context.Context, local netip.Addr, remote netip.AddrPort) (net.Conn, error) {
	family := unix.AF_INET
	if remote.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := p.space.socket(ctx, family)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "socket")
	defer f.Close()
	if local.IsValid() {
		if err := bind(fd, local); err != nil {
			return nil, fmt.Errorf("bind to %v: %w", local, err)
		}
	}
	if err := connect(ctx, f, sockaddr(remote)); err != nil {
		return nil, err
	}
	return net.FileConn(f)
}

// bind binds a socket to an address. Its port is chosen only when it connects, so that ports are scarce for each target and
// not for each address.
func bind(fd int, local netip.Addr) error {
	err := unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	if err == nil && local.Is6() {
		err = freeBind6(fd)
	}
	if err == nil {
		err = unix.Bind(fd, sockaddr(netip.AddrPortFrom(local, 0)))
	}
	return err
}

// connect connects a non-blocking socket, waiting in the runtime's poller. Asking again tells how an attempt under way fares.
func connect(ctx context.Context, f *os.File, to unix.Sockaddr) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	cancel := context.AfterFunc(ctx, func() { f.SetWriteDeadline(time.Unix(1, 0)) })
	defer cancel()
	var failed error
	err = raw.Write(func(fd uintptr) bool {
		failed = unix.Connect(int(fd), to)
		return failed != unix.EINPROGRESS && failed != unix.EALREADY && failed != unix.EINTR
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err == nil {
		err = os.NewSyscallError("connect", failed)
	}
	return err
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}
