package packetfilter

import (
	"fmt"
	"net/netip"
	"os"
	"strconv"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// tune gives this thread's namespace its own bound of tracked connections and the time for which AWS remembers an idle
// stream of UDP. The kernel's other times are those of AWS. Where /proc/sys is read-only, or a kernel before 6.16 has
// one bound for all namespaces, what the host has set remains.
func tune() {
	_ = os.WriteFile("/proc/sys/net/netfilter/nf_conntrack_max", []byte(strconv.Itoa(maxTracked)), 0)
	_ = os.WriteFile("/proc/sys/net/netfilter/nf_conntrack_udp_timeout_stream", []byte("180"), 0)
}

// cut ends the connections that changes of the filter have ended since it last did so. The kernel forgets them, and
// what comes of them later belongs to no connection.
func (e *Enforcer) cut() error {
	before, now := e.cutBy, e.model
	if before.mayCut(now) { // looking through the connections of a host takes milliseconds
		if err := e.forget(func(f Flow) bool { return before.cuts(now, f) }); err != nil {
			return fmt.Errorf("end connections that no rule allows any more: %w", err)
		}
	}
	e.cutBy = now
	return nil
}

// forget has the kernel forget connections. It looks again where these changed while it looked.
func (e *Enforcer) forget(which flowFilter) error {
	var h *netlink.Handle
	err := e.run(func() (err error) {
		h, err = netlink.NewHandle(unix.NETLINK_NETFILTER)
		return err
	})
	if err != nil {
		return err
	}
	defer h.Close()
	for _, family := range []netlink.InetFamily{unix.AF_INET, unix.AF_INET6} {
		for range forgetTries {
			if _, err = h.ConntrackDeleteFilters(netlink.ConntrackTable, family, which); err == nil {
				break
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// forgetTries is how often connections are looked through at most.
const forgetTries = 3

// flowFilter picks connections by their flow.
type flowFilter func(Flow) bool

// MatchConntrackFlow reports whether the kernel should forget a connection.
func (f flowFilter) MatchConntrackFlow(flow *netlink.ConntrackFlow) bool {
	from, ok := netip.AddrFromSlice(flow.Forward.SrcIP)
	to, both := netip.AddrFromSlice(flow.Forward.DstIP)
	if !ok || !both {
		return false
	}
	return f(Flow{flow.Forward.Protocol, netip.AddrPortFrom(from.Unmap(), flow.Forward.SrcPort),
		netip.AddrPortFrom(to.Unmap(), flow.Forward.DstPort)})
}
