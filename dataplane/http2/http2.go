// Package http2 is the HTTP/2 engine of the data plane (RFC 9113), for both sides: a Server takes streams from a client, a
// Client opens them to a target. A Stream is one exchange, with the methods of an http1.Conn and the same meaning, so that
// code that carries a request need not know by which version it came or leaves.
//
// It keeps the promises of http1. Strict: messages pass the same checks as those of HTTP/1.1 (http1.Request.Assemble), and
// all else that RFC 9113 forbids ends the stream or the connection. Streaming: a body is handed out as it arrives, and
// what a peer may send before it was consumed is bounded by the windows of the stream and of the connection. Frugal:
// streams, buffers and goroutines are recycled.
//
// # Who owns what
//
// A connection (conn.go) has one goroutine that reads. It takes all frames that have arrived under one hold of the mutex,
// and wakes those who wait when it has looked at all of them. The mutex, conn.mu, guards the whole state of the connection
// and of its streams (inbound and outbound), except for what a Stream's user alone touches: the view that a Body has handed
// out, and what a Writer has gathered. No other mutex but that of a bound.Pool is taken while it is held, and nothing
// waits while holding it.
//
// There is no goroutine that writes. A sender appends whole frames to conn.out, and writes all that is
// there unless another is writing already, which then takes it along (send.go). The reader must not wait for a peer who
// is himself waiting to be read, so it leaves writing to a goroutine of the moment.
//
// Time is kept by one timer for each connection (clock.go). It is set to the first moment at which something may have taken
// too long, and looks at what is waiting then.
//
// On a Server's connection on which nothing happens, the clock lets the goroutine go that reads: Serve returns, and is called
// again when something has arrived.
//
// What a peer can make a connection hold is counted, and bounded (hold.go).
//
// What costs us more than it costs the peer is paid for from a budget (defence.go); useful work fills it up again.
//
// Frames are parsed where they lie in the read buffer. The Framer of golang.org/x/net/http2 copies every payload and
// allocates every frame but DATA, and takes seven times as long (BenchmarkFrames); a fuzz target holds that both agree.
package http2

import (
	"log/slog"
	"time"

	"pergola/bound"
	"pergola/dataplane/parking"
)

// Defaults of a Config. The limits on heads and the timeouts are those of http1, which has them from the user guide.
const (
	DefaultMaxHeadBytes = 60 << 10
	DefaultMaxFields    = 100
	DefaultHeadTimeout  = 10 * time.Second
	DefaultIdleTimeout  = time.Minute
	DefaultLifetime     = 10 * time.Minute
	DefaultMaxStreams   = 128
	DefaultWindow       = 256 << 10
	DefaultConnWindow   = 1 << 20
	DefaultMaxHeld      = 8 << 20
)

// Config holds what all connections of one kind share. The zero value works.
type Config struct {
	// MaxHeadBytes bounds a message head, decoded, in the bytes that it would have as text. 0 means DefaultMaxHeadBytes,
	// which is also the most.
	MaxHeadBytes int
	// MaxFields bounds the header fields of a head. Cookie fields count as one. 0 means DefaultMaxFields, which is also the
	// most.
	MaxFields int
	// HeadTimeout is how long a head may take from its first byte to its last, and the preface. 0 means
	// DefaultHeadTimeout.
	HeadTimeout time.Duration
	// IdleTimeout is how long a stream's pending read or write may pass without progress before it fails with
	// os.ErrDeadlineExceeded, how long a write to the connection may take, and how long a Server keeps a connection without
	// streams. 0 means DefaultIdleTimeout.
	IdleTimeout time.Duration
	// Lifetime is the age at which a connection takes no further streams. 0 means DefaultLifetime.
	Lifetime time.Duration
	// MaxStreams bounds the streams of a connection that are open at a time. 0 means DefaultMaxStreams.
	MaxStreams uint32
	// Window is how many bytes a peer may send on a stream before they are consumed. 0 means DefaultWindow, which is the
	// fastest of those that BenchmarkLarge tries: smaller ones wait for credit, larger ones do not fit the caches.
	Window int
	// ConnWindow is how many bytes a peer may send on all streams before they are consumed. 0 means DefaultConnWindow for a
	// Server. For a Client it means Window for each of MaxStreams: streams belong to different clients there, and a slow
	// one must not hold up the others.
	ConnWindow int
	// MaxHeld is how many bytes of heads, bodies and buffers a connection may hold; the streams of a Client hold theirs
	// for other connections. 0 means DefaultMaxHeld: 128 uploads at a time stay below half of it.
	MaxHeld int64
	// Share is what the connection may hold of what all of them may; it is closed with the connection. nil has no bound.
	Share *bound.Share
	// Patience is how long nothing must have happened on a connection before the goroutines of its Server are let go. 0 means
	// parking.Patience.
	Patience time.Duration
	// Log receives panics; a panic ends one connection. nil means slog.Default.
	Log *slog.Logger
	// Secure says that the scheme of requests that a Client sends is https.
	Secure bool
	// Memory provides buffers and streams. nil means a Memory of the connection's own, which recycles little.
	Memory *Memory
}

// withDefaults returns the configuration with every unset field filled in.
func (c Config) withDefaults(server bool) Config {
	if c.MaxHeadBytes <= 0 || c.MaxHeadBytes > DefaultMaxHeadBytes {
		c.MaxHeadBytes = DefaultMaxHeadBytes
	}
	if c.MaxFields <= 0 || c.MaxFields > DefaultMaxFields {
		c.MaxFields = DefaultMaxFields
	}
	orDefault(&c.HeadTimeout, DefaultHeadTimeout)
	orDefault(&c.IdleTimeout, DefaultIdleTimeout)
	orDefault(&c.Lifetime, DefaultLifetime)
	orDefault(&c.Patience, parking.Patience)
	orDefault(&c.Window, DefaultWindow)
	orDefault(&c.MaxHeld, DefaultMaxHeld)
	if c.MaxStreams == 0 {
		c.MaxStreams = DefaultMaxStreams
	}
	if !server {
		orDefault(&c.ConnWindow, int(min(int64(c.Window)*int64(c.MaxStreams), maxWindow)))
	}
	orDefault(&c.ConnWindow, DefaultConnWindow)
	c.ConnWindow = max(c.ConnWindow, defaultWindow) // it starts with that, and cannot be less
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Memory == nil {
		c.Memory = new(Memory)
	}
	return c
}

func orDefault[T int | int64 | time.Duration](value *T, standard T) {
	if *value <= 0 {
		*value = standard
	}
}
