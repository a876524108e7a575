package http2

import (
	"io"

	"pergola/dataplane/http1"
)

// Body is the body of the message that a Reader has read the head of. It has the methods of http1.Body, with the same
// meaning. What was handed out counts as consumed when Fill or Read is called next, or at the end.
type Body struct {
	s        *Stream
	front    *block // what was taken from the stream
	at       int    // how much of it was handed out
	out      bool   // a view of front was handed out since Fill
	ended    bool
	view     []byte // what Read has not handed out yet
	received int64
	trailers []http1.Field
}

// Received is the number of bytes handed out so far.
func (b *Body) Received() int64 { return b.received }

// Trailers are the trailer fields, once Next has returned io.EOF, without those that may not stand in a trailer section.
// They hold as long as the stream.
func (b *Body) Trailers() []http1.Field { return b.trailers }

// Next returns the next bytes of the body that have arrived, as a view that holds until Fill or Read is called. It never
// waits: nil without an error means that nothing is there and Fill is needed. At the end it returns io.EOF.
func (b *Body) Next() ([]byte, error) {
	if b.ended {
		return nil, io.EOF
	}
	if b.handedOut() {
		if more, err := b.turn(); !more {
			return nil, err
		}
	}
	view := b.front.data[b.at:]
	b.at, b.out = len(b.front.data), true
	b.received += int64(len(view))
	return view, nil
}

// turn takes what has arrived, unless a view of what was taken before is still out.
func (b *Body) turn() (more bool, err error) {
	s := b.s
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if s.in.data.size > 0 {
		if b.out {
			return false, nil
		}
		b.consumed()
		b.front, b.at = s.in.data.pop(), 0
		return true, nil
	}
	switch err := s.readError(); {
	case s.in.ended && !s.stopped:
		b.end()
		return false, io.EOF
	case err == errLate && !s.stopped:
		return false, nil
	default:
		return false, err
	}
}

// end takes note that all was handed out. mu is held.
func (b *Body) end() {
	b.ended, b.trailers = true, b.s.in.trailers
}

// consumed gives back credit for front, and its memory. mu is held.
func (b *Body) consumed() {
	if b.front == nil {
		return
	}
	n := int64(len(b.front.data))
	c := b.s.c
	c.giveBack(n)
	c.giveBackOn(b.s, n)
	b.s.drop(counted(b.front))
	c.cfg.Memory.put(b.front)
	b.front, b.at = nil, 0
}

// handedOut reports whether all that was taken was handed out.
func (b *Body) handedOut() bool { return b.front == nil || b.at == len(b.front.data) }

// unread is how many bytes were taken and not yet given back as consumed.
func (b *Body) unread() int {
	if b.front == nil {
		return 0
	}
	return len(b.front.data)
}

// Fill waits for more of the body. It returns a *http1.MalformedError if the body is not as its head announced, and what
// ended the stream, an io.ErrUnexpectedEOF among other things, if it does not come.
func (b *Body) Fill() error {
	s, c := b.s, b.s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	b.out = false
	if b.handedOut() {
		before := c.out.pending()
		b.consumed()
		if c.out.pending() > before {
			c.flush() // credit, which the peer may be waiting for
		}
	}
	if s.in.data.size > 0 {
		return nil
	}
	s.startWaiting()
	for s.in.data.size == 0 && !(s.in.ended && !s.stopped) {
		if err := s.readError(); err != nil {
			return err
		}
		s.readable.wait(c)
	}
	return nil
}

// Read implements io.Reader.
func (b *Body) Read(p []byte) (int, error) {
	for len(b.view) == 0 {
		view, err := b.Next()
		if err != nil {
			return 0, err
		}
		if b.view = view; view == nil {
			if err := b.Fill(); err != nil {
				return 0, err
			}
		}
	}
	n := copy(p, b.view)
	b.view = b.view[n:]
	return n, nil
}

// Discard reads the rest of the body and drops it. It returns http1.ErrTooMuch if that would be more than most bytes.
func (b *Body) Discard(most int64) error {
	for {
		view, err := b.Next()
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case view == nil:
			if err := b.Fill(); err != nil {
				return err
			}
		}
		if most -= int64(len(view)); most < 0 {
			return http1.ErrTooMuch
		}
	}
}
