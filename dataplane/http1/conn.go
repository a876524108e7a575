package http1

import (
	"net"
	"time"

	"pergola/bound"
	"pergola/dataplane/descriptor"
)

// Conn is one connection, to a client or to a target.
type Conn struct {
	// In reads the messages of the peer, one after the other.
	In Reader
	// Out writes messages to the peer.
	Out Writer

	stream stream
}

// NewConn takes over a connection. Close it through the Conn, which also gives back its memory.
func NewConn(conn net.Conn, config Config) *Conn {
	config = config.withDefaults()
	c := &Conn{stream: stream{conn: conn, cfg: &config, born: time.Now()}}
	c.stream.idle.Store(int64(config.IdleTimeout))
	c.stream.share = config.Share
	// Without a descriptor the connection works all the same, at the price of a buffer held while idle.
	c.stream.raw, c.stream.read = descriptor.Of(conn), descriptor.ReaderOf(conn)
	c.In.s, c.Out.s = &c.stream, &c.stream
	c.In.onReadable = c.In.readable
	c.In.body.in = &c.In
	return c
}

// Cut breaks the connection off: reads and writes fail at once. Any goroutine may call it, and Close is called
// all the same.
func (c *Conn) Cut() { c.stream.conn.Close() }

// SetIdleTimeout changes the idle timeout from now on.
func (c *Conn) SetIdleTimeout(d time.Duration) { c.stream.idle.Store(int64(d)) }

// CountOn has what is held from now on count on the share of the client for whom a target's connection is used. Call it
// between messages.
func (c *Conn) CountOn(share *bound.Share) { c.stream.share = share }

// IdleUntil is when the connection will have been idle for its idle timeout, if nothing comes or goes until then.
func (c *Conn) IdleUntil() time.Time {
	return c.stream.born.Add(time.Duration(c.stream.expires.Load()))
}

// Rest gives back the memory of the messages so far and reports whether the connection is in order: between two
// messages, with nothing read or written beyond. A target's connection that is not may not be used again; a client's may
// have its next request waiting.
func (c *Conn) Rest() bool {
	c.In.release()
	return c.In.r == c.In.w && c.In.body.done() && len(c.Out.buf) == 0 && c.Out.done()
}

// Probe reports whether a kept connection is still quiet: ErrStale if the peer closed it, or sent something that no
// request asked for and that would pass for the next response. It does not wait. Where the connection has no descriptor
// nothing can be learnt, and nil is returned.
func (c *Conn) Probe() error {
	if c.stream.raw == nil {
		return nil
	}
	c.stream.touch(false)
	return c.In.arrived(nil, false)
}

// SendAndWait ends the message in Out and waits for the first bytes of the answer, like End and then ReadResponse would,
// but first makes sure that the connection is quiet as Probe does. It costs nothing extra: the attempt to read that comes before
// every wait is made ahead of the write instead of after it.
func (c *Conn) SendAndWait() error {
	if err := c.Out.seal(); err != nil {
		return err
	}
	if c.stream.raw == nil {
		return c.Out.Flush()
	}
	c.stream.touch(false) // the deadline of a connection that was kept may have passed
	return c.In.arrived(&c.Out, true)
}

// Linger ends a connection whose peer may still be sending: it says that nothing more will come, and reads on for a
// bounded while, because closing with unread bytes would reset the connection and could destroy the answer on its way
// (RFC 9112 §9.6).
func (c *Conn) Linger(most int64, d time.Duration) {
	if half, ok := c.stream.conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		c.stream.limitRead(d)
		c.In.drain(most)
	}
	c.Close()
}

// StopReading makes the pending read and all later ones fail at once with os.ErrDeadlineExceeded. Any goroutine may call
// it.
func (c *Conn) StopReading() { c.stream.stop() }

// Reset closes the connection like Close, but so that the peer sees an error and not an end, where the connection is TCP. TLS
// over it would take leave in order, so TCP is closed first.
func (c *Conn) Reset() error {
	lowest := c.stream.conn
	for {
		over, ok := lowest.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		lowest = over.NetConn()
	}
	if tcp, ok := lowest.(interface{ SetLinger(int) error }); ok {
		tcp.SetLinger(0)
		lowest.Close()
	}
	return c.Close()
}

// Close closes the connection and gives back its memory. No goroutine may be using In or Out.
func (c *Conn) Close() error {
	c.In.release()
	c.In.drop()
	c.Out.drop()
	c.stream.cfg.Share.Close()
	c.stream.cfg.Share = nil
	return c.stream.conn.Close()
}
