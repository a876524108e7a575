package fabric

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"pergola/addressing"
)

// The devices of a VPC. An instance has eth0; the router has the other end of each. Nothing is a bridge: addresses are /32
// and the router forwards, so that no instance can speak for another's address.
const (
	instanceDevice = "eth0"
	silentDevice   = "silent0"
	silentPeer     = "silent1"
)

// gateway6 is the router's address on every wire, the IPv6 next hop of instances.
var gateway6 = netip.MustParseAddr("fe80::1")

// configure runs netlink requests in the namespace.
func (s *space) configure(requests func(h *netlink.Handle) error) error {
	return s.do(context.Background(), func() error {
		h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
		if err != nil {
			return err
		}
		defer h.Close()
		return requests(h)
	})
}

// wireRouter gives a namespace the router's addresses. The service network's are one local route each for IPv4 and
// IPv6, and those of resources another: the kernel then takes every address of the range for its own.
func wireRouter(s *space, cidr netip.Prefix) error {
	return s.configure(func(h *netlink.Handle) error {
		lo, err := up(h, "lo")
		if err != nil {
			return err
		}
		for _, a := range []netip.Addr{addressing.Router(cidr), addressing.Resolver(cidr), resolverLink, metadata,
			controlPlane} {
			if err := addAddress(h, lo, a); err != nil {
				return err
			}
		}
		for _, of := range []netip.Prefix{addressing.ServiceNetworks, addressing.Resources} {
			if err := localRoute(h, lo, of); err != nil {
				return err
			}
		}
		if hasIPv6() {
			if err := localRoute(h, lo, addressing.ServiceNetworks6); err != nil {
				return err
			}
		}
		openPorts()
		return wireSilence(h, cidr)
	})
}

// wireSilence sends packets for addresses that no instance has to a device where nobody listens and nobody is asked for: as
// in a VPC, they vanish and the sender waits.
func wireSilence(h *netlink.Handle, cidr netip.Prefix) error {
	wire := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: silentDevice}, PeerName: silentPeer}
	if err := h.LinkAdd(wire); err != nil {
		return fmt.Errorf("add %s: %w", silentDevice, err)
	}
	if err := h.LinkSetARPOff(wire); err != nil {
		return fmt.Errorf("configure %s: %w", silentDevice, err)
	}
	for _, name := range []string{silentDevice, silentPeer} {
		if _, err := up(h, name); err != nil {
			return err
		}
	}
	return addRoute(h, &netlink.Route{LinkIndex: wire.Index, Dst: ipNet(cidr), Src: ip(addressing.Router(cidr))})
}

// wireInstance joins an instance's namespace to its router's by a pair of devices; name is the router's end.
func wireInstance(router, instance *space, name string, cidr netip.Prefix, address netip.Addr) error {
	if err := router.configure(func(h *netlink.Handle) error { return wireRouterEnd(h, instance, name, cidr, address) }); err != nil {
		return err
	}
	if err := instance.configure(func(h *netlink.Handle) error { return wireInstanceEnd(h, cidr, address) }); err != nil {
		return err
	}
	if err := router.awaitCarrier(name); err != nil {
		return err
	}
	return instance.awaitCarrier(instanceDevice)
}

// carrierPatience bounds the wait for a wire's carrier, which takes the kernel some microseconds.
const carrierPatience = 5 * time.Second

// awaitCarrier waits until a device passes packets. The end that came up first does so a moment after the second, and drops
// what it is given until then; a connection opened meanwhile would wait a second for the kernel to ask its neighbour again.
func (s *space) awaitCarrier(name string) error {
	for end := time.Now().Add(carrierPatience); ; time.Sleep(50 * time.Microsecond) {
		var state netlink.LinkOperState
		err := s.configure(func(h *netlink.Handle) error {
			link, err := h.LinkByName(name)
			if err == nil {
				state = link.Attrs().OperState
			}
			return err
		})
		if err != nil || state == netlink.OperUp {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("%s has no carrier", name)
		}
	}
}

func wireRouterEnd(h *netlink.Handle, instance *space, name string, cidr netip.Prefix, address netip.Addr) error {
	wire := &netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: instanceDevice, PeerNamespace: netlink.NsFd(int(instance.ns.Fd())),
		PeerHardwareAddr: hardwareAddress(address),
	}
	if err := h.LinkAdd(wire); err != nil {
		return fmt.Errorf("add %s: %w", name, err)
	}
	link, err := up(h, name)
	if err != nil {
		return err
	}
	index := link.Attrs().Index
	if err := forward(index); err != nil {
		return fmt.Errorf("forward from %s: %w", name, err)
	}
	if err := addRoute(h, &netlink.Route{LinkIndex: index, Dst: host(address), Src: ip(addressing.Router(cidr)),
		Scope: netlink.SCOPE_LINK}); err != nil {
		return err
	}
	if !hasIPv6() {
		return nil
	}
	if err := addAddress(h, link, gateway6); err != nil {
		return err
	}
	return addRoute(h, &netlink.Route{LinkIndex: index, Dst: host(InstanceAddress6(address))})
}

// hardwareAddress is that of an instance's interface: locally administered, and ending in its IPv4 address. The instance
// metadata says the same.
func hardwareAddress(address netip.Addr) net.HardwareAddr {
	ending := address.As4()
	return append(net.HardwareAddr{2, 0}, ending[:]...)
}

func wireInstanceEnd(h *netlink.Handle, cidr netip.Prefix, address netip.Addr) error {
	if _, err := up(h, "lo"); err != nil {
		return err
	}
	link, err := up(h, instanceDevice)
	if err != nil {
		return err
	}
	openPorts()
	if err := addAddress(h, link, address); err != nil {
		return err
	}
	index := link.Attrs().Index
	if err := addRoute(h, &netlink.Route{LinkIndex: index, Gw: ip(addressing.Router(cidr)),
		Flags: int(netlink.FLAG_ONLINK)}); err != nil {
		return err
	}
	if !hasIPv6() {
		return nil
	}
	if err := addAddress(h, link, InstanceAddress6(address)); err != nil {
		return err
	}
	return addRoute(h, &netlink.Route{LinkIndex: index, Dst: ipNet(addressing.ServiceNetworks6), Gw: ip(gateway6)})
}

// unwire removes the router's end, and so both.
func unwire(router *space, name string) error {
	return router.configure(func(h *netlink.Handle) error {
		link, err := h.LinkByName(name)
		if err != nil {
			return fmt.Errorf("find %s: %w", name, err)
		}
		return h.LinkDel(link)
	})
}

func up(h *netlink.Handle, name string) (netlink.Link, error) {
	link, err := h.LinkByName(name)
	if err == nil {
		err = h.LinkSetUp(link)
	}
	if err != nil {
		return nil, fmt.Errorf("bring up %s: %w", name, err)
	}
	return link, nil
}

// addAddress gives a device one address, usable at once (IPv6 would first ask its neighbours, and there are none).
func addAddress(h *netlink.Handle, link netlink.Link, a netip.Addr) error {
	address := &netlink.Addr{IPNet: host(a)}
	if a.Is6() {
		address.Flags = unix.IFA_F_NODAD
	}
	if err := h.AddrAdd(link, address); err != nil {
		return fmt.Errorf("add address %v to %s: %w", a, link.Attrs().Name, err)
	}
	return nil
}

func addRoute(h *netlink.Handle, r *netlink.Route) error {
	if err := h.RouteAdd(r); err != nil {
		return fmt.Errorf("add route to %v: %w", r.Dst, err)
	}
	return nil
}

func localRoute(h *netlink.Handle, lo netlink.Link, p netip.Prefix) error {
	return addRoute(h, &netlink.Route{
		LinkIndex: lo.Attrs().Index, Dst: ipNet(p), Type: unix.RTN_LOCAL, Table: unix.RT_TABLE_LOCAL, Scope: netlink.SCOPE_HOST,
	})
}

// forward lets packets from a device be forwarded, if their source is what the device leads to (RFC 3704 §2.2): an instance
// cannot send in another's name. It asks by netlink because /proc/sys is read-only in many containers.
func forward(index int) error {
	// IFLA_INET_CONF of linux/if_link.h; IPV4_DEVCONF_FORWARDING and IPV4_DEVCONF_RP_FILTER of linux/ip.h.
	const inetConf, forwarding, sourceFilter = 1, 1, 8
	request := nl.NewNetlinkRequest(unix.RTM_SETLINK, unix.NLM_F_ACK)
	message := nl.NewIfInfomsg(unix.AF_UNSPEC)
	message.Index = int32(index)
	request.AddData(message)
	families := nl.NewRtAttr(unix.IFLA_AF_SPEC, nil)
	conf := families.AddRtAttr(unix.AF_INET, nil).AddRtAttr(inetConf, nil)
	conf.AddRtAttr(forwarding, nl.Uint32Attr(1))
	conf.AddRtAttr(sourceFilter, nl.Uint32Attr(1))
	request.AddData(families)
	_, err := request.Execute(unix.NETLINK_ROUTE, 0)
	return err
}

// openPorts lets programs that gave up their privileges bind low ports in this thread's namespace. Where /proc/sys is
// read-only only those programs lose anything, so a failure is not one.
func openPorts() {
	_ = os.WriteFile("/proc/sys/net/ipv4/ip_unprivileged_port_start", []byte("0"), 0)
}

// hasIPv6 reports whether this thread's namespace speaks IPv6, on old devices and new ones.
func hasIPv6() bool {
	for _, devices := range []string{"all", "default"} {
		b, err := os.ReadFile("/proc/sys/net/ipv6/conf/" + devices + "/disable_ipv6")
		if err != nil || len(b) == 0 || b[0] != '0' {
			return false
		}
	}
	return true
}

func ip(a netip.Addr) net.IP { return a.AsSlice() }

func host(a netip.Addr) *net.IPNet { return ipNet(netip.PrefixFrom(a, a.BitLen())) }

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: ip(p.Addr()), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
