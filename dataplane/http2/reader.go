package http2

import (
	"errors"
	"io"
	"os"

	"pergola/dataplane/http1"
)

// errLate is what a read or a write fails with that has waited for the idle timeout.
var errLate = os.ErrDeadlineExceeded

// Reader reads the message of the peer: a head, or several if some are informational, and the body.
type Reader struct {
	s       *Stream
	body    Body
	read    bool // the head of a request was read
	cookies []byte
	fields  []http1.Field // where several cookie fields had to become one
}

func (r *Reader) recycle(memory *Memory) {
	memory.put(r.body.front)
	*r = Reader{s: r.s, body: Body{s: r.s}, cookies: kept(r.cookies, keepBytes), fields: kept(r.fields, keepFields)}
}

// ReadRequest reads the head of the request, once; then it returns io.EOF, since a stream has no further one. A
// *http1.MalformedError says that the request must be refused; it can be answered.
func (r *Reader) ReadRequest(request *http1.Request) error {
	if r.read {
		return io.EOF
	}
	r.read = true
	h, fields, err := r.next()
	if err != nil {
		return err
	}
	if h.err != nil && h.err != ErrLength {
		return h.err // too large: the rest was not kept
	}
	parts, cookies, err := requestHead(fields)
	if err == nil {
		err = h.err
	}
	if err != nil {
		r.blame()
		return err
	}
	if cookies > 1 {
		r.fields, r.cookies = joinCookies(r.fields[:0], parts.Fields, r.cookies[:0])
		parts.Fields = r.fields
	}
	parts.End = h.end
	if err := request.Assemble(&parts); err != nil {
		return err
	}
	r.body.ended = h.end
	return nil
}

// ReadResponse waits for the head of a response and reads it; toHead says that it answers a HEAD. Informational responses
// come first. It returns what SendAndWait does.
func (r *Reader) ReadResponse(response *http1.Response, toHead bool) error {
	if err := r.Await(); err != nil {
		return err
	}
	h, fields, err := r.next()
	if err != nil {
		return err
	}
	parts, err := responseHead(fields)
	if h.err != nil {
		err = h.err
	}
	if err == nil {
		parts.End, parts.ToHead = h.end, toHead
		err = response.Assemble(&parts)
	}
	if err != nil {
		r.blame()
		return err
	}
	if !response.Informational() {
		r.body.ended = h.end
	}
	return nil
}

// blame notes that the peer's message breaks a rule of HTTP/2, for which its stream will be reset.
func (r *Reader) blame() {
	r.s.c.mu.Lock()
	r.s.malformed = true
	r.s.c.mu.Unlock()
}

// next takes the head that arrived first.
func (r *Reader) next() (head, []http1.Field, error) {
	s := r.s
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if len(s.in.heads) == 0 {
		return head{}, nil, s.readError()
	}
	h := s.in.heads[0]
	s.in.heads = append(s.in.heads[:0], s.in.heads[1:]...)
	return h, s.in.fields[h.from:h.to:h.to], nil
}

// arrived reports whether a head is there to be read.
func (r *Reader) arrived() bool {
	r.s.c.mu.Lock()
	defer r.s.c.mu.Unlock()
	return len(r.s.in.heads) > 0
}

// Await waits for a head. On a stream of a Server, whose head is there from the start, it returns io.EOF once that was
// read.
func (r *Reader) Await() error {
	s, c := r.s, r.s.c
	if r.read {
		return io.EOF
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s.startWaiting()
	for len(s.in.heads) == 0 {
		if err := s.readError(); err != nil {
			return err
		}
		s.readable.wait(c)
	}
	return nil
}

// startWaiting begins the idle time anew. mu is held.
func (s *Stream) startWaiting() {
	c := s.c
	c.flush()
	s.late, s.active = false, c.now()
	c.arm(s.active + s.idle)
}

// readError is what reading fails with when nothing is left to be read. mu is held.
func (s *Stream) readError() error {
	switch {
	case s.stopped:
		return errLate
	case s.err != nil:
		return problem(s.err)
	case s.done:
		return ErrClosed
	case s.c.err != nil:
		return s.c.ended(s)
	case s.late:
		return errLate
	case s.in.ended && s.in.headed:
		return io.EOF
	}
	return nil
}

// problem is a malformed message by itself, without what was done about it.
func problem(err error) error {
	var malformed *http1.MalformedError
	if errors.As(err, &malformed) {
		return malformed
	}
	return err
}

// Body is the body of the message.
func (r *Reader) Body() *Body { return &r.body }
