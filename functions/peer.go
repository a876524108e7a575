package functions

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
)

// guarded is the listener of a Runtime API. It is open to this host alone, and where the host tells whose a connection is, to
// processes of the own user alone: others could take the events of a function, and answer for it.
type guarded struct{ net.Listener }

// Accept returns the next connection of the own user.
func (l guarded) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil || isOwn(conn) {
			return conn, err
		}
		_ = conn.Close() // nothing was said
	}
}

// tables are where Linux lists the connections of the network that a thread is in.
var tables = []string{"/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"}

// isOwn reports whether the other end of a connection within this host is a process of the own user, or that cannot be told.
func isOwn(conn net.Conn) bool {
	remote, ok1 := conn.RemoteAddr().(*net.TCPAddr)
	local, ok2 := conn.LocalAddr().(*net.TCPAddr)
	if !ok1 || !ok2 {
		return false
	}
	told := false
	for _, name := range tables {
		table, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		told = true
		if owner, found := ownerOf(table, remote.AddrPort(), local.AddrPort()); found {
			return owner == os.Getuid()
		}
	}
	return !told
}

// ownerOf finds the user of a socket in a table of proc_pid_net(5), by the socket's own address and that of its peer. Both
// are IPv4, which an IPv6 socket has in the last four of its bytes.
func ownerOf(table []byte, own, peer netip.AddrPort) (uid int, found bool) {
	a, b := hexOf(own), hexOf(peer)
	for line := range bytes.Lines(table) {
		fields := bytes.Fields(line)
		if len(fields) < 8 || !bytes.HasSuffix(fields[1], a) || !bytes.HasSuffix(fields[2], b) {
			continue
		}
		uid, err := strconv.Atoi(string(fields[7]))
		return uid, err == nil
	}
	return 0, false
}

// hexOf is an address as the tables have it: its four bytes as one word of the host, and the port.
func hexOf(a netip.AddrPort) []byte {
	ip := a.Addr().Unmap().As4()
	return fmt.Appendf(nil, "%08X:%04X", binary.NativeEndian.Uint32(ip[:]), a.Port())
}
