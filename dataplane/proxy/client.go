package proxy

import (
	"context"
	"net"
	"net/netip"
	"sync/atomic"

	"pergola/dataplane/http1"
)

// client is a client connection. It holds little, because most of them wait most of the time.
type client struct {
	*http1.Conn
	arrival Arrival
	address netip.AddrPort

	waiting   atomic.Bool // between requests
	finishing atomic.Bool // takes no further request
	isCut     atomic.Bool
	// target is the connection to the target that the request under way occupies, for cut to close.
	target atomic.Pointer[targetConn]
	// call ends the invocation of a function that the request waits for.
	call atomic.Pointer[context.CancelFunc]
}

func newClient(conn net.Conn, arrival Arrival, config http1.Config) *client {
	return &client{Conn: http1.NewConn(conn, config), arrival: arrival, address: remoteAddress(conn)}
}

func remoteAddress(conn net.Conn) netip.AddrPort {
	if tcp, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		address := tcp.AddrPort()
		return netip.AddrPortFrom(address.Addr().Unmap(), address.Port())
	}
	return netip.AddrPort{}
}

// wait waits for the first bytes of a request, and reports whether there are any.
func (c *client) wait() bool {
	c.waiting.Store(true)
	defer c.waiting.Store(false)
	return !c.finishing.Load() && c.In.Await() == nil
}

// finish ends the connection after the request at hand, or at once if there is none. The connection says that it waits
// before it looks whether it should, so that one of the two sees the other. Any goroutine may call it.
func (c *client) finish() {
	c.finishing.Store(true)
	if c.waiting.Load() {
		c.StopReading()
	}
}

// occupy notes the connection to the target that the request occupies; nil for none.
func (c *client) occupy(target *targetConn) {
	c.target.Store(target)
	if c.isCut.Load() {
		c.cut()
	}
}

// await notes what ends the invocation that the request waits for; nil for none.
func (c *client) await(end context.CancelFunc) {
	if end == nil {
		c.call.Store(nil)
		return
	}
	c.call.Store(&end)
	if c.isCut.Load() {
		end()
	}
}

// cut closes the network connections to the client and to the target that it waits for, and ends its invocation. Any goroutine may call it.
func (c *client) cut() {
	c.isCut.Store(true)
	c.NetConn().Close()
	if target := c.target.Load(); target != nil {
		target.NetConn().Close()
	}
	if end := c.call.Load(); end != nil {
		(*end)()
	}
}
