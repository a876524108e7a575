package fabric

import (
	"context"
	"net"
	"net/netip"
	"os"
	"syscall"
)

// hostPlace is this host as a place: programs run on its network like any other. Sockets there need no fabric.
type hostPlace struct{}

func (hostPlace) listen(context.Context, string, netip.AddrPort) (net.Listener, error) {
	return nil, syscall.ENOTSUP
}

func (hostPlace) listenPacket(context.Context, netip.AddrPort) (net.PacketConn, error) {
	return nil, syscall.ENOTSUP
}

func (hostPlace) dial(context.Context, netip.Addr, netip.AddrPort) (net.Conn, error) {
	return nil, syscall.ENOTSUP
}

func (hostPlace) spawn(s *spawning) (*os.Process, error) {
	return os.StartProcess(s.path, []string{programStage}, s.attr)
}

func (hostPlace) remove() error { return nil }
