package packetfilter

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// interceptTable is the table that leads connections to a socket. It judges nothing, and ends with its namespace.
const interceptTable = "pergola-intercept"

// destinationOffset is where the destination is in the header of IPv4.
const destinationOffset = 16

// Intercept has the kernel give the TCP packets to every port of a range of local IPv4 addresses to the transparent
// socket at an address, as they are: the socket's connections have the addresses that they were opened to. It takes the
// place of what an earlier call in the namespace has said. run runs a function in the namespace.
func Intercept(run func(func() error) error, of netip.Prefix, socket netip.AddrPort) error {
	err := run(func() error {
		conn, err := nftables.New()
		if err != nil {
			return err
		}
		conn.DelTable(conn.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: interceptTable}))
		table := conn.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: interceptTable})
		chain := conn.AddChain(&nftables.Chain{Name: "prerouting", Table: table, Type: nftables.ChainTypeFilter,
			Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityMangle})
		conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: interceptRule(of, socket)})
		return conn.Flush()
	})
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EOPNOTSUPP) {
		err = fmt.Errorf("%w (the kernel has no tproxy for nftables; load the module nft_tproxy)", err)
	}
	if err != nil {
		return fmt.Errorf("lead connections to %v to a socket by nftables: %w", of, err)
	}
	return nil
}

func interceptRule(of netip.Prefix, socket netip.AddrPort) rule {
	address, port := socket.Addr().As4(), binary.BigEndian.AppendUint16(nil, socket.Port())
	base := of.Masked().Addr().As4()
	r := rule{}.protocol(unix.IPPROTO_TCP).network(0, destinationOffset, len(base)).
		mask(0, net.CIDRMask(of.Bits(), of.Addr().BitLen())).equal(0, base[:]...)
	r = r.immediate(0, address[:]).immediate(1, port)
	return append(r, &expr.TProxy{Family: unix.NFPROTO_IPV4, TableFamily: unix.NFPROTO_IPV4, RegAddr: register(0),
		RegPort: register(1)})
}
