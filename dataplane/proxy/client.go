package proxy

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"pergola/bound"
	"pergola/dataplane/http1"
	"pergola/dataplane/http2"
)

// connection is what the requests of one client connection have in common.
type connection struct {
	arrival Arrival
	address netip.AddrPort
	born    time.Time
	// share is what its client may hold, here and for it at targets. The engine closes it with the connection.
	share *bound.Share
	// finishing says that it takes no further request.
	finishing atomic.Bool
	// expired says that it is cut because it has outlived its time.
	expired atomic.Bool
}

// newConnection is for a connection whose memory counts in held.
func newConnection(conn net.Conn, arrival Arrival, held *bound.Pool) *connection {
	c := &connection{arrival: arrival, born: time.Now()}
	if tcp, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		address := tcp.AddrPort()
		c.address = netip.AddrPortFrom(address.Addr().Unmap(), address.Port())
	}
	c.share = held.Open(arrival.VPC, c.address.Addr())
	return c
}

// client is who sends a request: a connection that speaks HTTP/1.1, or a stream of one that speaks HTTP/2.
type client struct {
	*connection
	side

	sent  atomic.Bool // the request under way has come whole
	watch *departure  // nil where the engine tells when the client leaves, and where nothing can be seen

	mu    sync.Mutex // guards what follows
	isCut bool
	// occupied is what the request under way waits for, for cut to break it off: the connection to a target, one that is being
	// made, or the invocation of a function.
	occupied interface{ Cut() }
}

// wait is something that a request waits for, by what ends it.
type wait context.CancelFunc

// Cut ends the wait.
func (w wait) Cut() { w() }

// occupy notes what the request waits for; nil for nothing. Once it has returned, what was noted before is not touched any
// more. It reports whether the client was broken off, and what was noted before with it.
func (c *client) occupy(it interface{ Cut() }) (cut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.occupied = it
	if c.isCut && it != nil {
		it.Cut()
	}
	return c.isCut
}

// noteSent notes that the request under way has come whole: its client has nothing more to say.
func (c *client) noteSent() { c.sent.Store(true) }

// cut breaks off the client, and what it waits for. Any goroutine may call it.
func (c *client) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.isCut = true
	c.Cut()
	if c.occupied != nil {
		c.occupied.Cut()
	}
}

// giveUp closes what the request occupies of a target, if it does, in place of a request that panicked.
func (c *client) giveUp() {
	c.mu.Lock()
	it := c.occupied
	c.occupied = nil
	c.mu.Unlock()
	if to, ok := it.(*targetConn); ok {
		to.Close()
	}
}

// wasCut reports whether the client was broken off, or has gone.
func (c *client) wasCut() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.isCut
}

// lineClient is a connection that speaks HTTP/1.1 and sends one request after the other. It holds little, because most of
// them wait most of the time.
type lineClient struct {
	client
	conn    net.Conn
	wire    *http1.Conn
	waiting atomic.Bool // between requests
}

func newLineClient(conn net.Conn, c *connection, config http1.Config) *lineClient {
	config.Share = c.share
	wire := http1.NewConn(conn, config)
	return &lineClient{client: client{connection: c, side: http1Side(wire)}, conn: conn, wire: wire}
}

// wait waits for the first bytes of a request. The error is http1.ErrQuiet if they take longer than that, and any other if they
// will not come.
func (c *lineClient) wait(patience time.Duration) error {
	c.waiting.Store(true)
	defer c.waiting.Store(false)
	if c.finishing.Load() {
		return net.ErrClosed
	}
	return c.wire.In.AwaitFor(patience)
}

// unwatch ends the watch, so that a client that is parked holds none.
func (c *lineClient) unwatch() {
	c.watch.stop()
	c.watch = nil
}

// finish ends the connection after the request at hand, or at once if there is none. The connection says that it waits
// before it looks whether it should, so that one of the two sees the other. Any goroutine may call it.
func (c *lineClient) finish() {
	c.finishing.Store(true)
	if c.waiting.Load() {
		c.StopReading()
	}
}

// expire ends the connection because it has outlived its time: by cutting it, if a request is under way.
func (c *lineClient) expire() {
	c.finish()
	if !c.waiting.Load() {
		c.expired.Store(true)
		c.cut()
	}
}

// streamClient is a stream of a connection that speaks HTTP/2. streamClients are recycled.
type streamClient struct {
	client
	onReset func() // is cut, kept so that it is made once
}

func newStreamClient() *streamClient {
	c := &streamClient{}
	c.onReset = c.cut
	return c
}

// begin takes on a stream. If the client gives it up, what is under way for it is broken off.
func (c *streamClient) begin(on *connection, stream *http2.Stream) {
	c.connection, c.side = on, http2Side(stream)
	stream.OnReset(c.onReset)
}

// end forgets the stream, which has ended, so that nobody calls cut any more.
func (c *streamClient) end() {
	c.connection, c.side, c.isCut, c.occupied = nil, side{}, false, nil
}
