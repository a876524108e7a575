package http2

import (
	"net"
	"time"
)

// Client is the client's side of a connection.
type Client struct {
	c    *conn
	done chan struct{}
}

// NewClient takes over a connection to a server that speaks HTTP/2, and sends the preface.
func NewClient(conn net.Conn, cfg Config) *Client {
	c := newConn(conn, cfg, false)
	client := &Client{c: c, done: make(chan struct{})}
	c.mu.Lock()
	c.out.reserve(c, len(preface))
	c.out.blk.data = append(c.out.blk.data, preface...)
	c.announce()
	c.arm(int64(c.cfg.Lifetime))
	c.mu.Unlock()
	go func() {
		defer close(client.done)
		c.run()
	}()
	return client
}

// Open opens a stream for one request, on which it is to be sent with Out. It returns ErrFull while the peer allows no
// further stream, and ErrClosed once the connection takes none any more.
func (c *Client) Open() (*Stream, error) { return c.c.openStream() }

func (c *conn) openStream() (*Stream, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.err != nil || c.leaving.peerGone || c.last >= maxID-2*c.cfg.MaxStreams:
		return nil, ErrClosed
	case len(c.streams)+c.opening >= int(min(c.cfg.MaxStreams, c.peer.maxStreams)):
		return nil, ErrFull
	}
	c.opening++
	c.running++
	return newStream(c), nil
}

// open gives a stream its number: they grow in the order in which the streams' first frames are sent. mu is held.
func (c *conn) open(s *Stream) error {
	if c.leaving.peerGone {
		return &staleError{ErrClosed}
	}
	c.opening--
	if c.last++; c.last > 1 {
		c.last++
	}
	s.id = c.last
	c.add(s)
	return nil
}

// Usable reports whether Open may return a stream, now or when others have ended.
func (c *Client) Usable() bool {
	c.c.mu.Lock()
	defer c.c.mu.Unlock()
	return c.c.err == nil && !c.c.leaving.peerGone
}

// Done is closed when the connection has ended.
func (c *Client) Done() <-chan struct{} { return c.done }

// Born is when NewClient took over the connection.
func (c *Client) Born() time.Time { return c.c.born }

// Active is the number of streams that were opened and not ended by their users.
func (c *Client) Active() int {
	c.c.mu.Lock()
	defer c.c.mu.Unlock()
	return c.c.running
}

// Finish opens no further streams; the connection ends with the last of those under way.
func (c *Client) Finish() {
	c.c.mu.Lock()
	defer c.c.mu.Unlock()
	c.c.leave()
}

// Close ends the connection, and all that is under way on it. It waits until its goroutine has ended.
func (c *Client) Close() error {
	err := c.c.cut(ErrClosed)
	<-c.done
	return err
}
