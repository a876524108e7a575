package http2

import (
	"pergola/bound"
	"pergola/dataplane/http1"
)

// What a peer makes a connection hold is counted: heads as they are decoded, for a few bytes of a header block can
// stand for thousands; bodies that wait to be read; what waits to be written. The connection may hold so much
// (Config.MaxHeld), and what all connections hold is shared out among clients (Config.Share). A stream beyond either is
// refused, and a connection whose buffers are beyond it ends.
//
// Up to four kilobytes of each kind are not counted one by one, but by a flat rate for each stream. A head is counted
// twice, since it is written on as it came; so who writes it need not count.
//
// The streams of a Client belong to the clients of others, and count on the shares of those: see Stream.CountOn.
const (
	// streamCost is what a stream counts for that holds no more than a usual request does, in bytes: with its goroutine,
	// its exchange, and the buffers towards its target.
	streamCost = 16 << 10
	// maxSpare is how much of its share a connection keeps that it does not hold at the moment, in bytes. So a stream that
	// follows another asks nobody.
	maxSpare = 8 * streamCost
	// fieldCost is what a field counts for beside its text, in bytes, here and where it is written on.
	fieldCost = 128
	// firstText is the size of the first piece of text of a stream, in bytes.
	firstText = 512
)

// errHeld is why a stream or a connection ends that would hold more than it may.
var errHeld = connError(EnhanceYourCalm, "more would be held than may be")

// holding is what a connection holds. conn.mu guards it.
type holding struct {
	held   int64 // is counted, and bounded by Config.MaxHeld
	spare  int64 // was taken of the share, and is not held now
	closed bool  // nothing counts any more
}

// count counts n bytes more, and reports whether they may be held. mu is held.
func (c *conn) count(n int64) bool {
	h := &c.holding
	switch {
	case h.closed:
		return true
	case h.held+n > c.cfg.MaxHeld:
		return false
	case n <= h.spare:
		h.spare -= n
	case !c.cfg.Share.Take(n - h.spare):
		return false
	default:
		h.spare = 0
	}
	h.held += n
	return true
}

// discount is told that n bytes are not held any more. mu is held.
func (c *conn) discount(n int64) {
	h := &c.holding
	if h.closed {
		return
	}
	h.held -= n
	if h.spare += n; h.spare > maxSpare {
		c.cfg.Share.Give(h.spare - maxSpare/2)
		h.spare = maxSpare / 2
	}
}

// giveSpare gives back what is not needed while nothing happens. mu is held.
func (c *conn) giveSpare() {
	c.cfg.Share.Give(c.holding.spare)
	c.holding.spare = 0
}

// closeHolding gives back all, at the end of a connection.
func (c *conn) closeHolding() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h := &c.holding; !h.closed {
		h.closed = true
		c.cfg.Share.Give(h.held + h.spare)
		c.cfg.Share.Close()
	}
}

// CountOn has what a Client's stream holds count on the share of the client for whom it was opened, until it is ended.
// Call it before anything is sent.
func (s *Stream) CountOn(share *bound.Share) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.share = share
}

// take counts n bytes more for a stream, and reports whether they may be held. mu is held.
func (s *Stream) take(n int64) bool {
	if s.c.server && !s.c.count(n) || !s.c.server && !s.share.Take(n) {
		return false
	}
	s.held += n
	return true
}

// drop is told that n bytes are not held any more. mu is held.
func (s *Stream) drop(n int64) {
	s.held -= n
	if s.c.server {
		s.c.discount(n)
	} else {
		s.share.Give(n)
	}
}

// counted is what a block counts for.
func counted(b *block) int64 {
	if b == nil || cap(b.data) <= smallBlock {
		return 0
	}
	return int64(cap(b.data))
}

// keepData puts a piece of the body behind what has arrived of it, and reports whether that may be held. Where much
// waits already, the block for more is large. mu is held.
func (s *Stream) keepData(p []byte) bool {
	q, memory := &s.in.data, s.c.cfg.Memory
	if p = q.fill(p); len(p) == 0 {
		return true
	}
	b := memory.get(max(len(p), min(q.size, largeBlock)))
	if !s.take(counted(b)) {
		memory.put(b)
		return false
	}
	b.data = append(b.data, p...)
	q.add(b)
	return true
}

// keepField puts a decoded field behind the others, and reports whether it may be held. What was handed out stays where
// it is: where there is no room, what comes goes to new memory. mu is held.
func (s *Stream) keepField(name, value string) bool {
	in := &s.in
	if size := len(name) + len(value); size > cap(in.text)-len(in.text) && !s.moreText(size) {
		return false
	}
	if len(in.fields) == cap(in.fields) && !s.moreFields() {
		return false
	}
	from := len(in.text)
	in.text = append(in.text, name...)
	in.text = append(in.text, value...)
	middle, to := from+len(name), len(in.text)
	in.fields = append(in.fields, http1.Field{Name: in.text[from:middle:middle], Value: in.text[middle:to:to]})
	in.size += to - from
	return true
}

func (s *Stream) moreText(size int) bool {
	in := &s.in
	size = max(size, firstText, min(2*cap(in.text), keepBytes))
	if in.texts == 0 {
		in.texts = cap(in.text)
	}
	if in.texts += size; in.texts > keepBytes && !s.take(2*int64(size)) {
		return false
	}
	in.text = make([]byte, 0, size)
	return true
}

func (s *Stream) moreFields() bool {
	in := &s.in
	size := max(16, 2*cap(in.fields))
	if size > keepFields && !s.take(fieldCost*int64(size)) {
		return false
	}
	in.fields = append(make([]http1.Field, 0, size), in.fields...)
	return true
}
