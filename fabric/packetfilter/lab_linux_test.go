package packetfilter_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"pergola/fabric"
	"pergola/fabric/packetfilter"
)

func TestMain(m *testing.M) {
	fabric.Main()
	if err := fabric.Enter(fabric.Auto); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// space is a network namespace; run runs a function in it.
type space struct {
	calls chan func()
	ns    *os.File
}

func newSpace(t testing.TB) *space {
	t.Helper()
	s, ready := &space{calls: make(chan func())}, make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlock: the thread ends with the goroutine
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			s.ns, err = os.Open("/proc/thread-self/ns/net")
		}
		ready <- err
		for call := range s.calls {
			call()
		}
	}()
	if err := <-ready; err != nil {
		t.Skipf("this host gives no network namespaces: %v", err)
	}
	t.Cleanup(func() { close(s.calls); s.ns.Close() })
	return s
}

func (s *space) run(f func() error) error {
	done := make(chan error)
	s.calls <- func() { done <- f() }
	return <-done
}

// lab is a router with hosts behind it, as the fabric would wire them, and with IPv6 all the way. Each host also has an
// address that is never filtered, to which packets are sent to learn that those before them have come or will not.
type lab struct {
	router   *space
	enforcer *packetfilter.Enforcer
	known    packetfilter.Router
	hosts    []*host
	self     host // the router, as a sender

	mu      sync.Mutex
	arrived map[uint64]bool
	news    chan struct{}
}

type host struct {
	*space
	addresses []netip.Addr // IPv4 and IPv6
	marker    []netip.Addr // the same
	send4     int
	send6     int
}

var labRouter = packetfilter.Router{
	Unfiltered: []netip.Addr{netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("169.254.169.254")},
	Embedded:   []netip.Prefix{netip.MustParsePrefix("fd00:ec2:80::/96"), netip.MustParsePrefix("fd00:ec2:81::/96")},
}

// newLab has n hosts; the nth is 10.0.n.10 and fd00:n::10 and, as the fabric's instances, has its IPv4 address in
// fd00:ec2:81::/96. The router has 169.254.171.0/24 and fd00:ec2:80::/64.
func newLab(t testing.TB, n int) *lab {
	t.Helper()
	l := &lab{router: newSpace(t), arrived: map[uint64]bool{}, news: make(chan struct{}, 1)}
	l.known = labRouter
	must(t, l.router.run(func() error { return errors.Join(wireRouter(), l.self.open()) }))
	t.Cleanup(l.self.close)
	for _, port := range labPorts {
		l.receive(t, port)
	}
	for i := 1; i <= n; i++ {
		h := &host{space: newSpace(t),
			addresses: []netip.Addr{netip.MustParseAddr(fmt.Sprintf("10.0.%d.10", i)),
				netip.MustParseAddr(fmt.Sprintf("fd00:%d::10", i)),
				netip.MustParseAddr(fmt.Sprintf("fd00:ec2:81::10.0.%d.10", i))},
			marker: []netip.Addr{netip.MustParseAddr(fmt.Sprintf("10.99.%d.10", i)),
				netip.MustParseAddr(fmt.Sprintf("fd00:99:%d::10", i))}}
		l.known.Unfiltered = append(slices.Clip(l.known.Unfiltered), h.marker...)
		wire(t, l.router, h, i)
		l.hosts = append(l.hosts, h)
		l.watch(t, h)
	}
	var err error
	if l.enforcer, err = packetfilter.NewEnforcer(l.router.run, l.known); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.enforcer.Close() })
	return l
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wireRouter() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	errs := []error{netlink.LinkSetUp(lo)}
	for _, a := range []string{"10.0.0.1/32", "10.0.0.2/32", "169.254.169.254/32"} {
		address, _ := netlink.ParseAddr(a)
		errs = append(errs, netlink.AddrAdd(lo, address))
	}
	for _, p := range []string{"169.254.171.0/24", "fd00:ec2:80::/64"} {
		_, dst, _ := net.ParseCIDR(p)
		errs = append(errs, netlink.RouteAdd(&netlink.Route{LinkIndex: 1, Dst: dst, Type: unix.RTN_LOCAL,
			Table: unix.RT_TABLE_LOCAL, Scope: netlink.SCOPE_HOST}))
	}
	for _, name := range []string{"ipv4/ip_forward", "ipv6/conf/all/forwarding"} {
		errs = append(errs, os.WriteFile("/proc/sys/net/"+name, []byte("1"), 0))
	}
	return errors.Join(errs...)
}

// wire joins a host to the router.
func wire(t testing.TB, router *space, h *host, n int) {
	t.Helper()
	name := fmt.Sprintf("i%d", n)
	all := append(append([]netip.Addr{}, h.addresses...), h.marker...)
	must(t, router.run(func() error {
		if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: "eth0",
			PeerNamespace: netlink.NsFd(int(h.ns.Fd()))}); err != nil {
			return err
		}
		link, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		gateway, _ := netlink.ParseAddr("fe80::1/128")
		gateway.Flags = unix.IFA_F_NODAD
		errs := []error{netlink.LinkSetUp(link), netlink.AddrAdd(link, gateway),
			os.WriteFile("/proc/sys/net/ipv4/conf/"+name+"/rp_filter", []byte("1"), 0)}
		for _, a := range all {
			errs = append(errs, netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: single(a)}))
		}
		return errors.Join(errs...)
	}))
	must(t, h.run(func() error {
		link, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		errs := []error{netlink.LinkSetUp(link), netlink.LinkSetUp(lo)}
		for _, a := range all {
			errs = append(errs, netlink.AddrAdd(link, &netlink.Addr{IPNet: single(a), Flags: unix.IFA_F_NODAD}))
		}
		for _, gateway := range []string{"10.0.0.1", "fe80::1"} {
			errs = append(errs, netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: net.ParseIP(gateway),
				Flags: int(netlink.FLAG_ONLINK)}))
		}
		return errors.Join(append(errs, h.open())...)
	}))
	t.Cleanup(h.close)
}

// open opens the sockets by which send sends.
func (h *host) open() (err error) {
	if h.send4, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW); err == nil {
		h.send6, err = unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	}
	return err
}

func (h *host) close() { unix.Close(h.send4); unix.Close(h.send6) }

func single(a netip.Addr) *net.IPNet {
	return &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(a.BitLen(), a.BitLen())}
}

// watch notes which packets arrive at a host, by what they carry.
func (l *lab) watch(t testing.TB, h *host) {
	var fd int
	must(t, h.run(func() (err error) {
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK,
			int(htons(unix.ETH_P_ALL)))
		return err
	}))
	f := os.NewFile(uintptr(fd), "packets")
	raw, err := f.SyscallConn()
	must(t, err)
	go func() {
		b := make([]byte, 4096)
		for {
			n := 0
			var from unix.Sockaddr
			err := raw.Read(func(fd uintptr) bool {
				var err error
				n, from, err = unix.Recvfrom(int(fd), b, 0)
				return err != unix.EAGAIN
			})
			if err != nil {
				return
			}
			if at, ok := from.(*unix.SockaddrLinklayer); ok && at.Pkttype != unix.PACKET_OUTGOING && n > 8 {
				l.note(b[:n])
			}
		}
	}()
	t.Cleanup(func() { f.Close() })
}

func htons(n uint16) uint16 { return n<<8 | n>>8 }

// note takes the mark at the end of a packet.
func (l *lab) note(packet []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.arrived[binary.BigEndian.Uint64(packet[len(packet)-8:])] = true
	select {
	case l.news <- struct{}{}:
	default:
	}
}

// receive has the router take UDP at a port, of both families.
func (l *lab) receive(t testing.TB, port uint16) {
	for _, network := range []string{"udp4", "udp6"} {
		var c *net.UDPConn
		must(t, l.router.run(func() (err error) {
			c, err = net.ListenUDP(network, &net.UDPAddr{Port: int(port)})
			return err
		}))
		go func() {
			b := make([]byte, 4096)
			for {
				n, err := c.Read(b)
				if err != nil {
					return
				}
				l.note(b[:n])
			}
		}()
		t.Cleanup(func() { c.Close() })
	}
}

// awaited waits until a packet has come that nothing filters.
func (l *lab) awaited(t testing.TB, mark uint64) {
	t.Helper()
	if !l.arrives(mark) {
		t.Fatal("a packet that nothing filters does not arrive")
	}
}

// arrives waits until a packet has come, and reports false when it should long have.
func (l *lab) arrives(mark uint64) bool {
	patience := time.After(10 * time.Second)
	for {
		l.mu.Lock()
		ok := l.arrived[mark]
		l.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-l.news:
		case <-patience:
			return false
		}
	}
}

func (l *lab) seen() map[uint64]bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.arrived)
}

// send sends the first packet of a flow from a host, with a mark at its end.
func (h *host) send(t testing.TB, f packetfilter.Flow, mark uint64) {
	t.Helper()
	b := packet(f, mark)
	var err error
	if f.To.Addr().Is4() {
		err = unix.Sendto(h.send4, b, 0, &unix.SockaddrInet4{Addr: f.To.Addr().As4()})
	} else {
		err = unix.Sendto(h.send6, b, 0, &unix.SockaddrInet6{Addr: f.To.Addr().As16()})
	}
	if !errors.Is(err, unix.EPERM) { // so the kernel tells a socket of the router that its packet is dropped
		must(t, err)
	}
}

// packet is an IP packet: a SYN of TCP, a datagram of UDP, an ICMP message, or nothing but the mark.
func packet(f packetfilter.Flow, mark uint64) []byte {
	var body []byte
	sum := -1 // where the checksum is
	switch f.Protocol {
	case unix.IPPROTO_TCP:
		body = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, f.From.Port()), f.To.Port())
		body = append(body, 0, 0, 0, 1, 0, 0, 0, 0, 5<<4, 2, 0xff, 0xff, 0, 0, 0, 0)
		sum = 16
	case unix.IPPROTO_UDP:
		body = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, f.From.Port()), f.To.Port())
		body = append(body, 0, 16, 0, 0)
		sum = 6
	case unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6:
		body = append(binary.BigEndian.AppendUint16(nil, f.To.Port()), 0, 0)
		body = append(binary.BigEndian.AppendUint16(body, f.From.Port()), 0, 1)
		sum = 2
	}
	body = binary.BigEndian.AppendUint64(body, mark)
	from, to := f.From.Addr().AsSlice(), f.To.Addr().AsSlice()
	if sum >= 0 {
		pseudo := append(append([]byte{}, from...), to...)
		pseudo = append(pseudo, 0, f.Protocol, byte(len(body)>>8), byte(len(body)))
		if f.Protocol == unix.IPPROTO_ICMP {
			pseudo = nil
		}
		binary.BigEndian.PutUint16(body[sum:], checksum(append(pseudo, body...)))
	}
	var head []byte
	if f.From.Addr().Is4() {
		head = []byte{0x45, 0, byte((20 + len(body)) >> 8), byte(20 + len(body)), 0, 0, 0, 0, 64, f.Protocol, 0, 0}
		head = append(append(head, from...), to...)
	} else {
		head = []byte{0x60, 0, 0, 0, byte(len(body) >> 8), byte(len(body)), f.Protocol, 64}
		head = append(append(head, from...), to...)
	}
	return append(head, body...)
}

func checksum(b []byte) uint16 {
	sum := uint32(0)
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(b[i])<<8 | uint32(b[i+1])
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}
