package http2

import (
	"time"

	"pergola/bound"
	"pergola/dataplane/http1"
)

// Stream is one exchange: a request and its response. It has the methods of http1.Conn, and In and Out may be used by two
// goroutines at a time as they may there. StopReading, Cut, SetIdleTimeout and OnReset may be called by any goroutine.
//
// Streams are recycled. A stream of a Server belongs to the handler until that returns; one of a Client belongs to the
// code that opened it until Close, Reset or Linger: one must be called. After that no method may be called,
// from any goroutine.
type Stream struct {
	// In reads the message of the peer.
	In Reader
	// Out writes a message to the peer.
	Out Writer

	c      *conn
	id     uint32 // 0 before the request was sent
	born   time.Time
	toHead bool // the request is a HEAD

	// What follows is guarded by conn.mu.

	malformed          bool // the peer's message breaks a rule of HTTP/2
	in                 inbound
	out                outbound
	err                error // why the stream ended, unless in order
	gone               bool  // it is closed on the wire
	fresh, queued      bool  // it is in conn.ready, to be started
	stopped, late      bool  // reading was stopped; nothing has moved for too long
	waited             bool  // to write, since something was written
	done               bool  // its user has ended it
	active             int64 // when something moved last
	idle               int64 // for how long nothing may move
	readable, writable waiter
	onReset            func()
	notified           chan struct{} // closed when onReset has returned; nil if it was not called
	held               int64         // what it counts for
	share              *bound.Share  // where that counts, on a Client
}

// inbound is what has arrived of the peer's half of a stream.
type inbound struct {
	text     []byte        // the bytes of fields, the last piece
	texts    int           // the size of all pieces; 0 while there is one
	size     int           // of all fields, in bytes
	fields   []http1.Field // of all heads
	heads    []head        // that were not read yet
	trailers []http1.Field
	data     queue // of the body, not yet taken by its reader
	window   int64 // what the peer may send
	credit   int64 // what was consumed and not yet given back
	length   int64 // of the body, as announced; -1 if it was not
	got      int64 // of the body
	headed   bool  // the final head has come
	ended    bool  // all has come
}

// outbound is this side's half of a stream.
type outbound struct {
	window int64  // what may be sent
	tail   []byte // the end of the message, for the connection to send when it may
	ended  bool   // all was appended to the connection's output
}

// newStream takes a stream from memory.
func newStream(c *conn) *Stream {
	s, ok := c.cfg.Memory.streams.Get().(*Stream)
	if !ok {
		s = new(Stream)
		s.readable.ch, s.writable.ch = make(chan struct{}, 1), make(chan struct{}, 1)
		s.In.s, s.Out.s, s.In.body.s = s, s, s
	}
	s.c, s.idle, s.active = c, int64(c.cfg.IdleTimeout), c.now()
	s.born = c.born.Add(time.Duration(s.active))
	return s
}

// Bounds on what a recycled stream keeps, in bytes and in fields.
const (
	keepBytes  = 8 << 10
	keepFields = 128
)

// recycle gives the stream back to memory. Nobody may know it any more.
func (s *Stream) recycle() {
	memory := s.c.cfg.Memory
	s.In.recycle(memory)
	s.Out.recycle()
	s.in.data.drop(memory)
	s.in = inbound{
		text: kept(s.in.text, keepBytes), fields: kept(s.in.fields, keepFields), heads: s.in.heads[:0],
		data: queue{blocks: s.in.data.blocks},
	}
	*s = Stream{In: s.In, Out: s.Out, in: s.in, readable: s.readable, writable: s.writable}
	memory.streams.Put(s)
}

// kept empties a slice, and forgets its memory if that is more than so many elements.
func kept[T any](s []T, most int) []T {
	if cap(s) > most {
		return nil
	}
	return s[:0]
}

// Born is when the exchange began.
func (s *Stream) Born() time.Time { return s.born }

// SetIdleTimeout changes the idle timeout from now on; on a Server also that of the connection, all of whose streams are for
// the same service.
func (s *Stream) SetIdleTimeout(d time.Duration) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.idle = int64(d)
	if s.c.server {
		s.c.cfg.IdleTimeout = d
	}
	if s.readable.on || s.writable.on {
		s.c.arm(s.active + s.idle)
	}
}

// StopReading makes the pending read and all later ones fail at once with os.ErrDeadlineExceeded.
func (s *Stream) StopReading() {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.stopped = true
	s.readable.signal()
}

// Cut resets the stream with CANCEL; what is pending and what follows fails with ErrClosed. The stream's user still has to
// end it.
func (s *Stream) Cut() {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if s.err == nil && (!s.in.ended || !s.out.ended) {
		s.onReset = nil // it is no surprise
		s.c.reset(s, Cancel, ErrClosed)
	}
	s.c.flushSoon()
}

// OnReset has f called once if the peer resets the stream, or the connection ends, before the stream has; at once if that
// has happened. f runs in a goroutine of its own and may not end the stream that it is told of. Code that ends the
// stream, or calls OnReset(nil), waits for f to return if it was called; it is not called after that.
func (s *Stream) OnReset(f func()) {
	c := s.c
	c.mu.Lock()
	s.onReset = f
	if s.err != nil {
		s.notify()
	}
	notified := s.notified
	c.mu.Unlock()
	if f == nil && notified != nil {
		<-notified
	}
}

// notify calls onReset. mu is held.
func (s *Stream) notify() {
	f := s.onReset
	if f == nil || s.notified != nil || s.in.ended && s.out.ended {
		return
	}
	s.onReset = nil
	done := make(chan struct{})
	s.notified = done
	go func() {
		defer close(done)
		defer s.c.contain()
		f()
	}()
}

// Probe reports whether a request can be sent: http1.ErrStale if the connection has ended or takes no further streams. It
// does not wait.
func (s *Stream) Probe() error {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	switch {
	case s.err != nil:
		return s.err
	case s.c.err != nil:
		return s.c.ended(s)
	case s.id == 0 && s.c.leaving.peerGone:
		return &staleError{ErrClosed}
	}
	return nil
}

// SendAndWait ends the message in Out and waits for the head of the answer. It returns http1.ErrStale if the peer
// certainly did nothing with the request, io.EOF if the connection ended before any answer, and io.ErrUnexpectedEOF, or
// what else broke it, if it ended within one.
func (s *Stream) SendAndWait() error {
	if err := s.Out.End(); err != nil && !s.In.arrived() {
		return err
	}
	return s.In.Await()
}

// Rest reports whether the exchange is over in order: both messages were sent and read to their ends.
func (s *Stream) Rest() bool {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	return s.in.ended && s.out.ended && s.err == nil && s.in.data.size == 0 && s.In.body.handedOut()
}

// Linger ends the stream. What the peer is still sending is not waited for, and the arguments change nothing: the peer
// is told to stop, and unlike a connection that is closed, a stream that is reset with NO_ERROR does not take an answer
// with it that was sent before (RFC 9113 §8.1).
func (s *Stream) Linger(most int64, d time.Duration) { s.finish(Cancel) }

// Reset ends the stream so that the peer sees an error: INTERNAL_ERROR unless this side's message has ended.
func (s *Stream) Reset() error { return s.finish(InternalError) }

// Close ends the stream: in silence if the exchange is over; with NO_ERROR if a Server has sent its response and does not
// need the rest of the request; with CANCEL otherwise, or PROTOCOL_ERROR if the peer's message was to blame.
func (s *Stream) Close() error { return s.finish(Cancel) }

// finish ends the stream with a code. A stream of a Client is recycled; the handler's is when the handler returns.
func (s *Stream) finish(code Code) error {
	c := s.c
	c.mu.Lock()
	c.finish(s, code)
	c.flush()
	notified := s.notified
	c.mu.Unlock()
	if notified != nil {
		<-notified
	}
	if !c.server {
		s.recycle()
	}
	return nil
}

// finish ends a stream for its user. mu is held.
func (c *conn) finish(s *Stream, code Code) {
	if s.done {
		return
	}
	s.done, s.onReset = true, nil
	c.giveBack(int64(s.In.body.unread() + s.in.data.size))
	if s.hasTail() {
		return
	}
	s.drop(s.held)
	switch {
	case s.gone && s.err == nil:
		c.earn(earnStream)
	case s.gone:
	case s.malformed:
		code = ProtocolError
	case s.out.ended && c.server:
		code = NoError
	}
	if s.id == 0 {
		c.opening--
	}
	c.reset(s, code, ErrClosed)
	if !c.server {
		c.running--
		c.emptied()
	}
}

// writeError is what writing fails with. mu is held.
func (s *Stream) writeError() error {
	switch {
	case s.err != nil:
		return s.err
	case s.done:
		return ErrClosed
	case s.c.err != nil:
		return s.c.ended(s)
	case s.late:
		return errLate
	}
	return nil
}
