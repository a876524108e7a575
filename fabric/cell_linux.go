package fabric

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"unsafe"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// cellPlace is a cell as a place.
type cellPlace struct{ *spacePlace }

// remove ends every process in the cell, and it.
func (p cellPlace) remove() error {
	if p.entered.Load() {
		killWhere(func(q process) bool { return q.netns() == p.space.inode })
	}
	return p.space.close()
}

func (p cellPlace) spawn(s *spawning) (started *os.Process, err error) {
	p.entered.Store(true)
	s.stage.Resolv = p.resolv
	err = p.space.do(s.ctx, func() (err error) {
		started, err = os.StartProcess(s.path, []string{programStage}, s.attr)
		return err
	})
	return started, err
}

// newCell makes the namespace of a cell, in which every address of IPv4 is at hand. Its own
// resolver is the only one that programs find.
func (f *Fabric) newCell() (place, error) {
	resolv := filepath.Join(f.stateDir, "resolv-cell")
	_, rest := readResolv(hostResolv)
	if err := os.WriteFile(resolv, []byte(strings.Join(append(rest, "nameserver 127.0.0.1\n"), "\n")), 0o644); err != nil {
		return nil, err
	}
	s, err := newSpace()
	if err != nil {
		return nil, explain(err)
	}
	err = s.configure(func(h *netlink.Handle) error {
		lo, err := up(h, "lo")
		if err != nil {
			return err
		}
		openPorts()
		return addRoute(h, &netlink.Route{
			LinkIndex: lo.Attrs().Index, Dst: ipNet(netip.MustParsePrefix("0.0.0.0/0")),
			Src:  ip(netip.MustParseAddr("127.0.0.1")),
			Type: unix.RTN_LOCAL, Table: unix.RT_TABLE_LOCAL, Scope: netlink.SCOPE_HOST,
		})
	})
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return cellPlace{&spacePlace{space: s, resolv: resolv}}, nil
}

// lead leads all connections to addresses other than the loopback interface's to one port of the cell.
func (c *Cell) lead(port uint16) error {
	return c.seat.place.(cellPlace).space.do(context.Background(), func() error { return redirect(port) })
}

// redirect has the kernel's packet filter, in this thread's namespace, redirect what programs open by TCP (nft(8),
// "redirect").
func redirect(port uint16) error {
	number := func(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }
	name := func(s string) []byte { return nl.ZeroTerminated(s) }
	value := func(b ...byte) *nl.RtAttr {
		return nl.NewRtAttr(unix.NFTA_DATA_VALUE, b)
	}
	expression := func(kind string, attributes ...*nl.RtAttr) *nl.RtAttr {
		return nested(unix.NFTA_LIST_ELEM, nl.NewRtAttr(unix.NFTA_EXPR_NAME, name(kind)),
			nested(unix.NFTA_EXPR_DATA, attributes...))
	}
	isTo := func(operator uint32, b byte) *nl.RtAttr {
		return expression("cmp", nl.NewRtAttr(unix.NFTA_CMP_SREG, number(unix.NFT_REG_1)),
			nl.NewRtAttr(unix.NFTA_CMP_OP, number(operator)), nested(unix.NFTA_CMP_DATA, value(b)))
	}
	const firstOfTarget = 16 // where an IPv4 header has its destination (RFC 791 §3.1)
	const loopbackNet = 127
	rule := nested(unix.NFTA_RULE_EXPRESSIONS,
		expression("meta", nl.NewRtAttr(unix.NFTA_META_KEY, number(unix.NFT_META_L4PROTO)),
			nl.NewRtAttr(unix.NFTA_META_DREG, number(unix.NFT_REG_1))),
		isTo(unix.NFT_CMP_EQ, unix.IPPROTO_TCP),
		expression("payload", nl.NewRtAttr(unix.NFTA_PAYLOAD_DREG, number(unix.NFT_REG_1)),
			nl.NewRtAttr(unix.NFTA_PAYLOAD_BASE, number(unix.NFT_PAYLOAD_NETWORK_HEADER)),
			nl.NewRtAttr(unix.NFTA_PAYLOAD_OFFSET, number(firstOfTarget)), nl.NewRtAttr(unix.NFTA_PAYLOAD_LEN, number(1))),
		isTo(unix.NFT_CMP_NEQ, loopbackNet),
		expression("immediate", nl.NewRtAttr(unix.NFTA_IMMEDIATE_DREG, number(unix.NFT_REG_1)),
			nested(unix.NFTA_IMMEDIATE_DATA, value(byte(port>>8), byte(port)))),
		expression("redir", nl.NewRtAttr(unix.NFTA_REDIR_REG_PROTO_MIN, number(unix.NFT_REG_1))),
	)
	const hookOutput, natPriority = 3, -100 // NF_INET_LOCAL_OUT and NF_IP_PRI_NAT_DST of linux/netfilter_ipv4.h
	priority := int32(natPriority)
	return filter([]filterMessage{
		{unix.NFT_MSG_NEWTABLE, []*nl.RtAttr{nl.NewRtAttr(unix.NFTA_TABLE_NAME, name("cell"))}},
		{unix.NFT_MSG_NEWCHAIN, []*nl.RtAttr{
			nl.NewRtAttr(unix.NFTA_CHAIN_TABLE, name("cell")), nl.NewRtAttr(unix.NFTA_CHAIN_NAME, name("out")),
			nested(unix.NFTA_CHAIN_HOOK, nl.NewRtAttr(unix.NFTA_HOOK_HOOKNUM, number(hookOutput)),
				nl.NewRtAttr(unix.NFTA_HOOK_PRIORITY, number(uint32(priority)))),
			nl.NewRtAttr(unix.NFTA_CHAIN_TYPE, name("nat")),
		}},
		{unix.NFT_MSG_NEWRULE, []*nl.RtAttr{
			nl.NewRtAttr(unix.NFTA_RULE_TABLE, name("cell")), nl.NewRtAttr(unix.NFTA_RULE_CHAIN, name("out")), rule,
		}},
	})
}

func nested(kind int, attributes ...*nl.RtAttr) *nl.RtAttr {
	made := nl.NewRtAttr(kind|unix.NLA_F_NESTED, nil)
	for _, a := range attributes {
		made.AddChild(a)
	}
	return made
}

// filterMessage is one request to the packet filter.
type filterMessage struct {
	kind       int
	attributes []*nl.RtAttr
}

// filter makes requests to the packet filter as one transaction (linux/netfilter/nfnetlink.h).
func filter(messages []filterMessage) error {
	socket, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(socket)
	batch := filterRequest(unix.NFNL_MSG_BATCH_BEGIN, 0, unix.AF_UNSPEC, unix.NFNL_SUBSYS_NFTABLES, nil)
	for _, m := range messages {
		kind := uint16(unix.NFNL_SUBSYS_NFTABLES<<8 | m.kind)
		batch = append(batch, filterRequest(kind, unix.NLM_F_CREATE|unix.NLM_F_ACK, unix.AF_INET, 0, m.attributes)...)
	}
	batch = append(batch, filterRequest(unix.NFNL_MSG_BATCH_END, 0, unix.AF_UNSPEC, unix.NFNL_SUBSYS_NFTABLES, nil)...)
	if err := unix.Sendto(socket, batch, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return os.NewSyscallError("sendto", err)
	}
	buffer := make([]byte, os.Getpagesize())
	for acknowledged := 0; acknowledged < len(messages); {
		n, _, err := unix.Recvfrom(socket, buffer, 0)
		if err != nil {
			return os.NewSyscallError("recvfrom", err)
		}
		answers, err := syscall.ParseNetlinkMessage(buffer[:n])
		if err != nil {
			return err
		}
		for _, answer := range answers {
			if answer.Header.Type != unix.NLMSG_ERROR || len(answer.Data) < 4 {
				continue
			}
			if errno := int32(binary.NativeEndian.Uint32(answer.Data)); errno != 0 {
				return fmt.Errorf("the packet filter (nf_tables, with nft_redir) refuses: %w", syscall.Errno(-errno))
			}
			acknowledged++
		}
	}
	return nil
}

// filterRequest is a message of netlink with the header of the packet filter.
func filterRequest(kind, flags uint16, family byte, resource uint16, attributes []*nl.RtAttr) []byte {
	message := make([]byte, 4, 256) // its length comes last
	message = binary.NativeEndian.AppendUint16(message, kind)
	message = binary.NativeEndian.AppendUint16(message, unix.NLM_F_REQUEST|flags)
	message = append(message, make([]byte, 8)...) // which one it is, and whose: there is but one batch
	message = append(message, family, 0)          // the version of the protocol
	message = binary.BigEndian.AppendUint16(message, resource)
	for _, a := range attributes {
		message = append(message, a.Serialize()...)
	}
	binary.NativeEndian.PutUint32(message, uint32(len(message)))
	return message
}

// originalTarget is where a redirected connection was meant to go.
func originalTarget(conn net.Conn) (netip.AddrPort, error) {
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return netip.AddrPort{}, err
	}
	var address unix.RawSockaddrInet4
	failed := raw.Control(func(fd uintptr) {
		size := uint32(unsafe.Sizeof(address))
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_IP, unix.SO_ORIGINAL_DST,
			uintptr(unsafe.Pointer(&address)), uintptr(unsafe.Pointer(&size)), 0)
		if errno != 0 {
			err = os.NewSyscallError("getsockopt", errno)
		}
	})
	port := (*[2]byte)(unsafe.Pointer(&address.Port)) // in the network's order
	return netip.AddrPortFrom(netip.AddrFrom4(address.Addr), binary.BigEndian.Uint16(port[:])), errors.Join(err, failed)
}
