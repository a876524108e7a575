// Package http1 is the HTTP/1.1 engine of the data plane. A Conn reads requests from a client, or writes them to a
// target and reads the responses; both sides share one reader, one writer and one view of bodies.
//
// It promises three things.
//
// Strict: a message has one reading or it is refused. Every refusal is a *MalformedError that names its rule, and no
// refused message is passed on in part as if it were whole. Where RFC 9112 lets a recipient guess (bare LF, repeated
// Content-Length, both framings at once), this package does not.
//
// Streaming: a body is handed out as views of the bytes that have arrived, decoded if it was chunked, and never
// gathered; memory does not grow with the length of a body.
//
// Frugal: heads are slices of the read buffer, buffers come from a Memory shared by all connections and go back to it
// whenever a connection waits for its peer, and a request relayed over connections that live on allocates nothing.
//
// One goroutine at a time may use a Conn's In, and one its Out; they may be different goroutines, which is how a request
// body and its response cross.
package http1

import (
	"time"

	"pergola/bound"
)

// Defaults of a Config. The two limits on heads are those of the user guide's table of error codes; the two timeouts of
// connections are those of its chapter on services.
const (
	DefaultMaxHeadBytes = 60 << 10
	DefaultMaxFields    = 100
	DefaultHeadTimeout  = 10 * time.Second
	DefaultIdleTimeout  = time.Minute
)

// Config holds what all connections of one kind share. The zero value works.
type Config struct {
	// MaxHeadBytes bounds a message head from its first line to its empty line, in bytes. 0 means DefaultMaxHeadBytes;
	// more than that is not supported, because a head must fit one buffer.
	MaxHeadBytes int
	// MaxFields bounds the header fields of a head. 0 means DefaultMaxFields, which is also the most.
	MaxFields int
	// HeadTimeout is how long a request head may take from its first byte to its last. 0 means DefaultHeadTimeout.
	HeadTimeout time.Duration
	// IdleTimeout is how long a connection may pass without a byte in either direction before its pending read or write
	// fails with os.ErrDeadlineExceeded. It is kept to within a sixteenth, never early. 0 means DefaultIdleTimeout.
	IdleTimeout time.Duration
	// Share is what the connection may hold of what all of them may: buffers beyond a small one are counted. It is closed
	// with the connection. nil has no bound.
	Share *bound.Share
	// Memory provides the buffers. nil means a Memory of the connection's own, which recycles little.
	Memory *Memory
}

// withDefaults returns the configuration with every unset field filled in.
func (c Config) withDefaults() Config {
	if c.MaxHeadBytes <= 0 || c.MaxHeadBytes > DefaultMaxHeadBytes {
		c.MaxHeadBytes = DefaultMaxHeadBytes
	}
	if c.MaxFields <= 0 || c.MaxFields > DefaultMaxFields {
		c.MaxFields = DefaultMaxFields
	}
	if c.HeadTimeout <= 0 {
		c.HeadTimeout = DefaultHeadTimeout
	}
	if c.IdleTimeout <= 0 {
		c.IdleTimeout = DefaultIdleTimeout
	}
	if c.Memory == nil {
		c.Memory = new(Memory)
	}
	return c
}
