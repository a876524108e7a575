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
// stream of UDP. The kernel's other times are those of AWS. Where /proc/sys is read-only, or a kernel before 6.16 has one
// bound for all namespaces, what the host has set remains.
func tune() {
	_ = os.WriteFile("/proc/sys/net/netfilter/nf_conntrack_max", []byte(strconv.Itoa(maxTracked)), 0)
	_ = os.WriteFile("/proc/sys/net/netfilter/nf_conntrack_udp_timeout_stream", []byte("180"), 0)
}

// cut ends the connections that a change of the filter ends. The kernel forgets them, and what comes of them later belongs
// to no connection.
func (e *Enforcer) cut(before *Model) error {
	if !mayCut(before.declared, e.model.declared) {
		return nil
	}
	var h *netlink.Handle
	err := e.run(func() (err error) {
		h, err = netlink.NewHandle(unix.NETLINK_NETFILTER)
		return err
	})
	if err == nil {
		defer h.Close()
		ended := func(f Flow) bool { return before.cuts(e.model, f) }
		for _, family := range []netlink.InetFamily{unix.AF_INET, unix.AF_INET6} {
			if err == nil {
				_, err = h.ConntrackDeleteFilters(netlink.ConntrackTable, family, flowFilter(ended))
			}
		}
	}
	if err != nil {
		return fmt.Errorf("end connections that no rule allows any more: %w", err)
	}
	return nil
}

// mayCut reports whether a change can end a connection: a group with a rule for everybody changed, or who has it.
func mayCut(before, after *Filter) bool {
	same := map[*Group]bool{}
	for _, g := range after.Groups {
		same[g] = true
	}
	open := map[string]bool{}
	for _, g := range before.Groups {
		for _, r := range g.Rules {
			if isForAll(r.Peer) {
				if !same[g] {
					return true
				}
				open[g.ID] = true
			}
		}
	}
	ends := map[string]Interface{}
	for _, i := range after.Interfaces {
		ends[i.ID] = i
	}
	for _, i := range before.Interfaces {
		if sameEnd(end{Interface: i}, end{Interface: ends[i.ID]}) {
			continue
		}
		for _, id := range i.Groups {
			if open[id] {
				return true
			}
		}
	}
	return false
}

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
