package proxy

import (
	"io"
	"time"

	"pergola/bound"
	"pergola/dataplane/http1"
	"pergola/dataplane/http2"
)

// side is one side of an exchange: the client or the target, by either version of HTTP. The path of a
// request uses nothing else of either, so these interfaces are the seam between it and the engines: http1.Conn with its
// In and Out, and http2.Stream with its own.
type side struct {
	peer
	in   reader
	body body // of the message that in is at
	out  writer
}

// http1Side is a connection that speaks HTTP/1.1.
func http1Side(c *http1.Conn) side { return side{c, &c.In, c.In.Body(), &c.Out} }

// http2Side is one stream of a connection that speaks HTTP/2.
func http2Side(s *http2.Stream) side { return side{s, &s.In, s.In.Body(), &s.Out} }

// peer is who is on a side. Its methods are those of http1.Conn, which tells what they do.
type peer interface {
	SetIdleTimeout(time.Duration)
	CountOn(*bound.Share)
	StopReading()
	Probe() error
	SendAndWait() error
	Rest() bool
	Linger(most int64, d time.Duration)
	Cut()
	Reset() error
	Close() error
}

// reader reads messages. Its methods are those of http1.Reader.
type reader interface {
	ReadRequest(*http1.Request) error
	ReadResponse(response *http1.Response, toHead bool) error
}

// body is the body of a message. Its methods are those of http1.Body.
type body interface {
	io.Reader
	http1.Source
	Received() int64
	Trailers() []http1.Field
	Discard(most int64) error
}

// writer writes messages, field by field so that nothing is gathered first. Its methods are those of http1.Writer.
type writer interface {
	io.Writer
	StartRequest(method, target []byte)
	StartResponse(status int, reason []byte)
	Copy(http1.Field)
	Field(name, value string)
	FieldBytes(name string, value []byte)
	FieldInt(name string, value int64)
	EndHead(http1.Framing)
	Trailer(http1.Field)
	Flush() error
	End() error
	Sent() int64
	LastWrite() time.Time
}
