// Package clienthello reads what a TLS client says first, without ending TLS: for whom the connection is meant. What was
// read can be read again from the connection, so its next reader, a TLS server here or a target elsewhere, sees all
// of it from the first byte.
//
// A ClientHello has one reading or it is refused: a server name that two readers could read in two ways would pass one
// service's connections for another's. Encrypted Client Hello is not supported: the name is the one outside of it.
package clienthello

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"pergola/bound"
	"pergola/dataplane/descriptor"
)

// Hello is what a ClientHello says.
type Hello struct {
	// ServerName is the name that the client asks for, in lower case; "" if it names none.
	ServerName string
}

// Defaults of Limits.
const (
	DefaultMaxBytes = 64 << 10
	DefaultTimeout  = 10 * time.Second
	DefaultIdle     = time.Minute
)

// Limits bound what a client may ask for. The zero value works.
type Limits struct {
	// MaxBytes bounds the records that hold the ClientHello, in bytes. 0 means DefaultMaxBytes.
	MaxBytes int
	// Timeout is how long the ClientHello may take from its first byte to its last. 0 means DefaultTimeout.
	Timeout time.Duration
	// Idle is how long the first byte may take. 0 means DefaultIdle.
	Idle time.Duration
	// Held is what clients may make the process hold, in bytes: the larger ClientHellos count there, for the client in
	// VPC, until they have been read again. nil has no bound.
	Held *bound.Pool
	VPC  string
}

func (l Limits) withDefaults() Limits {
	if l.MaxBytes <= 0 {
		l.MaxBytes = DefaultMaxBytes
	}
	if l.Timeout <= 0 {
		l.Timeout = DefaultTimeout
	}
	if l.Idle <= 0 {
		l.Idle = DefaultIdle
	}
	return l
}

// past is a deadline that makes reads fail at once.
var past = time.Unix(1, 0)

// Peek waits for the first byte of a connection and says whether TLS begins with it. If so it reads on until the
// ClientHello is whole. The connection it returns begins with the first byte again: a *Conn where something had to be
// read, the very connection otherwise, as in the case of plain text on a connection with a file descriptor. While it
// waits for the first byte on such a one, it holds no memory.
//
// The wait and the reading end with the context. The error is *Error for what is no valid ClientHello, io.EOF if the
// client closed without a byte, io.ErrUnexpectedEOF if it did so amid the ClientHello, and os.ErrDeadlineExceeded if it
// took too long. Peek leaves closing to the caller, and no read deadline behind.
func Peek(ctx context.Context, conn net.Conn, limits Limits) (hello Hello, isTLS bool, replay net.Conn, err error) {
	limits = limits.withDefaults()
	conn.SetReadDeadline(time.Now().Add(limits.Idle))
	stop := context.AfterFunc(ctx, func() { conn.SetReadDeadline(past) })
	hello, isTLS, replay, err = peek(ctx, conn, limits)
	if !stop() {
		return Hello{}, isTLS, replay, context.Cause(ctx)
	}
	conn.SetReadDeadline(time.Time{})
	return hello, isTLS, replay, err
}

func peek(ctx context.Context, conn net.Conn, limits Limits) (hello Hello, isTLS bool, replay net.Conn, err error) {
	first, head, err := await(conn)
	if err != nil {
		return Hello{}, false, conn, err
	}
	if first != recordHandshake {
		if head == nil {
			return Hello{}, false, conn, nil
		}
		return Hello{}, false, &Conn{Conn: conn, head: head}, nil
	}
	conn.SetReadDeadline(time.Now().Add(limits.Timeout))
	if ctx.Err() != nil {
		conn.SetReadDeadline(past) // which the line before may have undone
	}
	reader := reader{from: conn, read: head, limits: limits, client: conn.RemoteAddr()}
	hello, err = reader.hello()
	c := &Conn{Conn: conn, head: reader.read, share: reader.share}
	c.held.Store(reader.held)
	if err != nil {
		c.giveBack()
	}
	return hello, true, c, err
}

// await waits for the first byte. It returns what it had to read for that, if anything.
func await(conn net.Conn) (first byte, head []byte, err error) {
	if raw := descriptor.Of(conn); raw != nil {
		first, err = awaitFD(raw)
		return first, nil, err
	}
	head = make([]byte, 1)
	_, err = io.ReadFull(conn, head)
	return head[0], head, err
}

// awaitFD is await by a look at what has arrived.
func awaitFD(raw syscall.RawConn) (first byte, err error) {
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		var n int
		var again bool
		first, n, again, failed = descriptor.Peek(fd)
		if !again && failed == nil && n == 0 {
			failed = io.EOF
		}
		return !again
	})
	if err == nil {
		err = failed
	}
	return first, err
}

// Conn is a connection whose first bytes have been looked at, and are read again. One goroutine at a time may read.
type Conn struct {
	net.Conn
	head  []byte
	share *bound.Share // on which a large head counts
	held  atomic.Int64 // for so many bytes
}

// Read reads the bytes that have been looked at, and then from the connection.
func (c *Conn) Read(p []byte) (int, error) {
	if len(c.head) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.head)
	if c.head = c.head[n:]; len(c.head) == 0 {
		c.head = nil
		c.giveBack()
	}
	return n, nil
}

// giveBack gives back what counts. It may be called again, and by any goroutine.
func (c *Conn) giveBack() {
	if n := c.held.Swap(0); n > 0 {
		c.share.Give(n)
		c.share.Close()
	}
}

// Close closes the connection.
func (c *Conn) Close() error {
	c.giveBack()
	return c.Conn.Close()
}

// Buffered is how much has been looked at and not been read again, in bytes.
func (c *Conn) Buffered() int { return len(c.head) }

// CloseWrite tells the client that no more is to come, where the connection can say so.
func (c *Conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// Detach returns what has been looked at and not been read again, and the connection that follows it. The Conn is of no
// more use then.
func (c *Conn) Detach() (head []byte, conn net.Conn) {
	c.giveBack()
	head, c.head = c.head, nil
	return head, c.Conn
}

// NetConn returns the connection below.
func (c *Conn) NetConn() net.Conn { return c.Conn }

// The alerts with which a connection is refused before a handshake (RFC 8446 §6.2).
const (
	UnexpectedMessage tls.AlertError = 10
	RecordOverflow    tls.AlertError = 22
	IllegalParameter  tls.AlertError = 47
	AccessDenied      tls.AlertError = 49
	DecodeError       tls.AlertError = 50
	InternalError     tls.AlertError = 80
	UnrecognizedName  tls.AlertError = 112
)

// How long, and for how many bytes, a refused client is listened to, so that the alert reaches it (RFC 9112 §9.6 tells
// of the same trouble).
const (
	lingerTime  = time.Second
	lingerBytes = 64 << 10
)

// Refuse tells a client that has sent its ClientHello why there will be no handshake, and closes the connection.
func Refuse(conn net.Conn, alert tls.AlertError) {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(lingerTime))
	const fatal = 2
	if _, err := conn.Write([]byte{recordAlert, 3, 3, 0, 2, fatal, byte(alert)}); err != nil {
		return
	}
	if half, ok := conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		io.CopyN(io.Discard, conn, lingerBytes)
	}
}
