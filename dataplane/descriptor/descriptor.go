// Package descriptor reads from the file descriptors of connections when there is something to read, so that who waits
// for that need not hold a buffer.
package descriptor

import (
	"net"
	"syscall"
)

// Of is the descriptor of a connection, or nil if the connection has none of its own, as under TLS, or the system none that
// Read and Peek can use. The function that its method Read calls may use them.
func Of(conn net.Conn) syscall.RawConn {
	sc, ok := conn.(syscall.Conn)
	if !ok || !usable {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}
