package proxy

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"pergola/dataplane/http1"
)

// connection is what the requests of one client connection have in common.
type connection struct {
	arrival Arrival
	address netip.AddrPort
	born    time.Time
	// expired says that the connection is cut because it has outlived its time.
	expired atomic.Bool
}

func newConnection(conn net.Conn, arrival Arrival) *connection {
	c := &connection{arrival: arrival, born: time.Now()}
	if tcp, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		address := tcp.AddrPort()
		c.address = netip.AddrPortFrom(address.Addr().Unmap(), address.Port())
	}
	return c
}

// client is who sends requests: a connection that speaks HTTP/1.1, which sends one after the other. It holds little,
// because most of them wait most of the time.
type client struct {
	*connection
	side
	wire *http1.Conn

	waiting   atomic.Bool // between requests
	finishing atomic.Bool // takes no further request

	mu    sync.Mutex // guards what follows
	isCut bool
	// target is the connection to the target that the request under way occupies, for cut to break off.
	target *targetConn
}

func newClient(conn net.Conn, arrival Arrival, config http1.Config) *client {
	wire := http1.NewConn(conn, config)
	return &client{connection: newConnection(conn, arrival), side: http1Side(wire), wire: wire}
}

// wait waits for the first bytes of a request, and reports whether there are any.
func (c *client) wait() bool {
	c.waiting.Store(true)
	defer c.waiting.Store(false)
	return !c.finishing.Load() && c.wire.In.Await() == nil
}

// finish ends the connection after the request at hand, or at once if there is none. The connection says that it waits
// before it looks whether it should, so that one of the two sees the other. Any goroutine may call it.
func (c *client) finish() {
	c.finishing.Store(true)
	if c.waiting.Load() {
		c.StopReading()
	}
}

// expire ends the connection because it has outlived its time: by cutting it, if a request is under way.
func (c *client) expire() {
	c.finish()
	if !c.waiting.Load() {
		c.expired.Store(true)
		c.cut()
	}
}

// occupy notes the connection to the target that the request occupies; nil for none. Once it has returned, the one
// before is not touched any more.
func (c *client) occupy(target *targetConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.target = target
	if c.isCut && target != nil {
		target.Cut()
	}
}

// cut breaks off the client, and the target that it waits for. Any goroutine may call it.
func (c *client) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.isCut = true
	c.Cut()
	if c.target != nil {
		c.target.Cut()
	}
}
