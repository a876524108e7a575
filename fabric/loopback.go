package fabric

import (
	"context"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"

	"pergola/addressing"
)

// In a loopback fabric a VPC has a slot n, and its address a.b.c.d is 127.n.c.d on the host: ranges are at most /16, so the
// last two bytes tell all addresses apart. The link-local addresses of routers are 127.255.c.d, for all VPCs alike. So
// would those of resources be, from 129.224.0.0 to 129.224.127.255, which share no last two bytes with them; but one
// listener has them all: see Intercept.
const (
	firstSlot  = 1
	lastSlot   = 254
	routerSlot = 255
)

// proxyPort is the port of each VPC's proxy, at 127.n.0.1. Who holds it holds the slot, also among several processes.
const proxyPort = 4748

// loopbacks is the loopback kind of fabric.
type loopbacks struct {
	resolve func(ctx context.Context, vpc, name string) ([]netip.Addr, error)
	rand    io.Reader
	log     *slog.Logger
}

func openLoopback(c Config) network {
	return &loopbacks{resolve: c.Resolve, rand: c.Rand, log: c.Logger}
}

// loopbackRouter is a VPC's router, and what its instances share: the slot, the sockets of this process, the proxy.
type loopbackRouter struct {
	vpc    VPC
	slot   byte
	proxy  *proxy
	filter loopbackFilter

	mu        sync.Mutex // guards what follows
	sockets   map[socketName]netip.AddrPort
	instances map[string]*loopbackInstance
}

// socketName is an address in the VPC at which this process listens; its real address is another.
type socketName struct {
	network string // "tcp" or "udp"
	at      netip.AddrPort
}

// loopbackInstance is an instance; it shares the router's sockets.
type loopbackInstance struct {
	*loopbackRouter
	id       string
	address  netip.Addr
	password string // the proxy's, so that a program speaks for its own instance only
}

func (n *loopbacks) addRouter(v VPC) (router, error) {
	r := &loopbackRouter{vpc: v, sockets: map[socketName]netip.AddrPort{}, instances: map[string]*loopbackInstance{}}
	if err := r.enforce(nil); err != nil {
		return nil, err
	}
	l, err := r.takeSlot()
	if err != nil {
		return nil, err
	}
	resolve := func(ctx context.Context, name string) ([]netip.Addr, error) { return n.resolve(ctx, v.ID, name) }
	r.proxy = startProxy(l, r, resolve, n.log)
	return r, nil
}

// takeSlot listens on the proxy port of the first slot that is free.
func (r *loopbackRouter) takeSlot() (net.Listener, error) {
	for slot := firstSlot; slot <= lastSlot; slot++ {
		l, err := net.Listen("tcp4", fmt.Sprintf("127.%d.0.1:%d", slot, proxyPort))
		if err == nil {
			r.slot = byte(slot)
			return l, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return nil, hint(err)
		}
	}
	return nil, fmt.Errorf("port %d is taken on all of 127.%d.0.1 to 127.%d.0.1; end another deployment on this host", proxyPort, firstSlot, lastSlot)
}

// hint explains the error of systems that have no 127.0.0.0/8 but 127.0.0.1.
func hint(err error) error {
	if errors.Is(err, syscall.EADDRNOTAVAIL) {
		return fmt.Errorf("%w (this system gives its loopback device 127.0.0.1 only; add the address named here, and those of the instances, as in: sudo ifconfig lo0 alias 127.1.0.1)", err)
	}
	return err
}

func (n *loopbacks) addInstance(of router, _ VPC, i Instance) (place, error) {
	var secret [16]byte
	if _, err := io.ReadFull(n.rand, secret[:]); err != nil {
		return nil, fmt.Errorf("make a proxy password: %w", err)
	}
	r := of.(*loopbackRouter)
	made := &loopbackInstance{loopbackRouter: r, id: i.ID, address: i.Address, password: hex.EncodeToString(secret[:])}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.instances[i.ID] = made
	return made, nil
}

func (r *loopbackRouter) remove() error { return r.proxy.close() }

func (i *loopbackInstance) remove() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.instances, i.id)
	return nil
}

// authenticate finds the instance that a proxy client speaks for.
func (r *loopbackRouter) authenticate(user, password string) *loopbackInstance {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := r.instances[user]
	if i == nil || subtle.ConstantTimeCompare([]byte(i.password), []byte(password)) != 1 {
		return nil
	}
	return i
}

// real is the host's address for an address of an instance or of the router.
func (r *loopbackRouter) real(a netip.Addr) netip.Addr {
	four := embedded(a)
	b := four.As4()
	if r.vpc.CIDR.Contains(four) {
		return netip.AddrFrom4([4]byte{127, r.slot, b[2], b[3]})
	}
	return netip.AddrFrom4([4]byte{127, routerSlot, b[2], b[3]})
}

// virtual is the address in the VPC for one of the host's. An address that is not of this VPC or of a router is refused.
func (r *loopbackRouter) virtual(a netip.Addr) (netip.Addr, bool) {
	b, base := a.Unmap().As4(), r.vpc.CIDR.Addr().As4()
	switch {
	case b[0] == 127 && b[1] == routerSlot:
		return netip.AddrFrom4([4]byte{169, 254, b[2], b[3]}), true
	case b[0] == 127 && b[1] == r.slot:
		v := netip.AddrFrom4([4]byte{base[0], base[1], b[2], b[3]})
		return v, r.vpc.CIDR.Contains(v)
	}
	return netip.Addr{}, false
}

// seenFrom is the form in which a socket at the address at sees the address a: over IPv6 all have their IPv6 form.
func (r *loopbackRouter) seenFrom(at, a netip.Addr) netip.Addr {
	switch {
	case at.Is4():
		return a
	case r.vpc.CIDR.Contains(a):
		return InstanceAddress6(a)
	}
	return addressing.Spell(addressing.ServiceNetworks6, a)
}

// target is the host's address behind an address in the VPC.
func (r *loopbackRouter) target(s socketName) (netip.AddrPort, error) {
	r.mu.Lock()
	at, ok := r.sockets[s]
	if !ok && s.network == "tcp" && addressing.Resources.Contains(s.at.Addr()) {
		at, ok = r.sockets[intercepted(addressing.Resources)]
	}
	r.mu.Unlock()
	if ok {
		return at, nil
	}
	// Beside this process's own sockets there are only programs, and those are in instances.
	if !r.vpc.CIDR.Contains(embedded(s.at.Addr())) {
		four := embedded(s.at.Addr())
		if addressing.LinkLocal.Contains(four) || addressing.Resources.Contains(four) {
			return netip.AddrPort{}, syscall.ECONNREFUSED
		}
		return netip.AddrPort{}, syscall.ENETUNREACH
	}
	return netip.AddrPortFrom(r.real(s.at.Addr()), s.at.Port()), nil
}

// bound remembers that this process listens for an address in the VPC, and gives that address with its port filled in.
func (r *loopbackRouter) bound(s socketName, at netip.AddrPort) (socketName, error) {
	if s.at.Port() == 0 {
		s.at = netip.AddrPortFrom(s.at.Addr(), at.Port())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, taken := r.sockets[s]; taken {
		return s, syscall.EADDRINUSE
	}
	r.sockets[s] = at
	return s, nil
}

func (r *loopbackRouter) unbind(s socketName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.sockets, s)
}

// nameOf is the address in the VPC of one of this process's sockets.
func (r *loopbackRouter) nameOf(network string, at netip.AddrPort) (netip.AddrPort, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for s, real := range r.sockets {
		if s.network == network && real == at {
			return s.at, true
		}
	}
	return netip.AddrPort{}, false
}

// spawn is never asked of a router: Start makes an instance first.
func (r *loopbackRouter) spawn(*spawning) (*os.Process, error) { return nil, syscall.ENOTSUP }

// spawn tells the program its real address and the proxy by which it reaches the VPC's. Both spellings are given, because
// some clients read http_proxy only in lower case; no_proxy is emptied so that nothing goes past the VPC.
func (i *loopbackInstance) spawn(s *spawning) (*os.Process, error) {
	address := i.real(i.address)
	url := "http://" + i.id + ":" + i.password + "@" + i.proxy.listener.Addr().String()
	vars := []string{"PERGOLA_ADDRESS=" + address.String(), "no_proxy=", "NO_PROXY="}
	for _, name := range []string{"http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"} {
		vars = append(vars, name+"="+url)
	}
	s.stage.Env = withEnv(s.stage.Env, vars...)
	return os.StartProcess(s.path, []string{programStage}, s.attr)
}
