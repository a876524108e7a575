// Package descriptor reads from the file descriptors of connections when there is something to read, so that who waits
// for that need not hold a buffer.
package descriptor

import (
	"net"
	"syscall"
)

// Reader is a connection that says more, or less, than its descriptor, as one by TLS does.
type Reader interface {
	// ReadDescriptor is Read for what the connection says. It may have something although nothing has arrived.
	ReadDescriptor(fd uintptr, p []byte) (n int, again bool, err error)
}

// ReaderOf is how to read from the descriptor of a connection: Read, unless the connection has its own way.
func ReaderOf(conn net.Conn) func(fd uintptr, p []byte) (n int, again bool, err error) {
	if r, ok := conn.(Reader); ok {
		return r.ReadDescriptor
	}
	return Read
}

// Of is the descriptor of a connection, or nil if the connection has none, or the system none that Read and Peek can use.
// The function that its method Read calls may use them.
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
