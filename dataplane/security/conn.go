package security

import (
	"crypto/tls"
	"io"
	"net"
	"syscall"

	"pergola/dataplane/descriptor"
)

// Conn is a connection by TLS whose user need hold no buffer while it waits, and can ask whether something has arrived
// without waiting: what a package descriptor is for, at one remove. What comes off the descriptor is TLS; ReadDescriptor
// gives what is in it.
//
// crypto/tls has no way to be asked so, but it survives an error that says of itself that it is temporary, and keeps what
// it has read of a record until then. So it is made to read from the descriptor alone, and told so where that is empty.
type Conn struct {
	*tls.Conn
	wire *wire
}

// Server is tls.Server.
func Server(conn net.Conn, config *tls.Config) *Conn {
	w := newWire(conn)
	return &Conn{tls.Server(w, config), w}
}

// Client is tls.Client.
func Client(conn net.Conn, config *tls.Config) *Conn {
	w := newWire(conn)
	return &Conn{tls.Client(w, config), w}
}

// SyscallConn is the descriptor of the connection below, if that has one: what is read from it is TLS.
func (c *Conn) SyscallConn() (syscall.RawConn, error) {
	if c.wire.raw == nil {
		return nil, syscall.EINVAL
	}
	return c.wire.raw, nil
}

// ReadDescriptor implements descriptor.Reader.
func (c *Conn) ReadDescriptor(fd uintptr, p []byte) (n int, again bool, err error) {
	c.wire.fd, c.wire.direct = fd, true
	n, err = c.Read(p)
	c.wire.direct = false
	switch {
	case n > 0:
		return n, false, nil // an error that came with it comes again
	case err == errNothing:
		return 0, true, nil
	case err == io.EOF:
		return 0, false, nil
	}
	return 0, false, err
}

// wire is the connection below TLS. A reader has it to itself.
type wire struct {
	net.Conn
	raw      syscall.RawConn
	buffered func() int // how much was read from the connection below before, and is to be read again; nil for none

	fd     uintptr
	direct bool // read from fd, and do not wait
}

func newWire(conn net.Conn) *wire {
	w := &wire{Conn: conn}
	for below := conn; below != nil && w.raw == nil; {
		if b, ok := below.(interface{ Buffered() int }); ok {
			w.buffered = b.Buffered
		}
		w.raw = descriptor.Of(below)
		inner, ok := below.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		below = inner.NetConn()
	}
	return w
}

// NetConn is the connection below.
func (w *wire) NetConn() net.Conn { return w.Conn }

// Read implements io.Reader.
func (w *wire) Read(p []byte) (int, error) {
	if !w.direct || w.buffered != nil && w.buffered() > 0 {
		return w.Conn.Read(p)
	}
	n, again, err := descriptor.Read(w.fd, p)
	switch {
	case again:
		return 0, errNothing
	case n == 0 && err == nil:
		return 0, io.EOF
	}
	return n, err
}

// nothing is the error of a read for which nothing has arrived yet.
type nothing struct{}

var errNothing net.Error = nothing{}

// Error implements error.
func (nothing) Error() string { return "nothing has arrived" }

// Timeout implements net.Error.
func (nothing) Timeout() bool { return false }

// Temporary implements net.Error: crypto/tls takes no other error for one after which it may go on.
func (nothing) Temporary() bool { return true }
