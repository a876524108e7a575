package http2

import (
	"runtime"
	"slices"
)

// maxGather is how much waits to be written before those who add to it have to wait, in bytes.
const maxGather = 64 << 10

// output is what is to be written to the connection. conn.mu guards it.
type output struct {
	blk     *block // whole frames; nil if there is nothing
	writing bool   // somebody writes what was there before
	since   int64  // when that began
	failed  bool
	began   bool      // the first header block was appended
	tails   []*Stream // whose messages the connection ends when it may
	quiet   waiter    // for the end of writing
}

// reserve makes room for n bytes more. A connection that may not hold them ends.
func (o *output) reserve(c *conn, n int) {
	o.blk = c.cfg.Memory.room(o.blk, n)
	if !c.countBlock(o.blk) {
		c.stop(errHeld)
	}
}

func (o *output) pending() int {
	if o.blk == nil {
		return 0
	}
	return len(o.blk.data)
}

// flush writes what is pending, and what is added meanwhile, unless somebody else is doing so. mu is held, though not while
// writing. Where other streams are under way it lets them go first: what they add leaves in the same write.
func (c *conn) flush() {
	o := &c.out
	for o.pending() > 0 && !o.writing && !o.failed {
		o.writing = true
		if c.running > 1 {
			c.mu.Unlock()
			runtime.Gosched()
			c.mu.Lock()
		}
		blk := o.blk
		o.blk = nil
		o.since = c.now()
		c.arm(o.since + int64(c.cfg.IdleTimeout))
		c.mu.Unlock()
		err := c.write(blk.data)
		c.mu.Lock()
		c.discount(blk.held)
		c.cfg.Memory.put(blk)
		o.writing = false
		if err != nil {
			o.failed = true
			c.end(err)
			c.stop(err)
		}
		c.wakeBlocked()
	}
	if !o.writing {
		o.quiet.signal()
	}
}

// write writes to the connection. mu is not held.
func (c *conn) write(p []byte) (err error) {
	defer func() {
		if problem := recover(); problem != nil {
			err = c.panicked(problem)
		}
	}()
	_, err = c.net.Write(p)
	return err
}

// flushSoon has what is pending written by somebody who may wait.
func (c *conn) flushSoon() {
	if c.out.pending() > 0 && !c.out.writing && !c.out.failed {
		go func() {
			defer c.contain()
			c.mu.Lock()
			defer c.mu.Unlock()
			c.flush()
		}()
	}
}

// waitQuiet waits until nobody writes.
func (o *output) waitQuiet(c *conn) {
	for o.writing {
		o.quiet.wait(c)
	}
}

// wakeBlocked wakes the writers who wait for the connection. mu is held.
func (c *conn) wakeBlocked() {
	c.sendTails()
	for i, s := range c.blocked {
		c.blocked[i] = nil
		s.writable.signal()
	}
	c.blocked = c.blocked[:0]
}

// await waits until the stream, or the connection, may have room: as long as its idle time from when something was
// handed over or sent last, however often it is woken. mu is held, though not meanwhile. The caller has flushed
// before, and either may have ended meanwhile.
func (c *conn) await(s *Stream) error {
	if err := s.writeError(); err != nil {
		return err
	}
	c.blocked = append(c.blocked, s)
	s.waited = true
	c.arm(s.active + s.idle)
	s.writable.wait(c)
	for i := range c.blocked {
		if c.blocked[i] == s {
			c.blocked = append(c.blocked[:i], c.blocked[i+1:]...)
			break
		}
	}
	return s.writeError()
}

// room waits until there is room among what is pending. mu is held, though not meanwhile.
func (c *conn) room(s *Stream) error {
	for c.out.pending() >= maxGather {
		c.flush()
		if c.out.pending() < maxGather {
			break
		}
		if err := c.await(s); err != nil {
			return err
		}
	}
	return s.writeError()
}

// sendHead appends a header block, which starts with dropTable. mu is held.
func (c *conn) sendHead(s *Stream, block []byte, end bool) error {
	if err := c.room(s); err != nil {
		return err
	}
	if s.id == 0 {
		if err := c.open(s); err != nil {
			return err
		}
	}
	if c.out.began {
		block = block[1:]
	}
	c.out.began = true
	c.out.reserve(c, len(block)+frameHeader*(len(block)/maxFrame+1))
	before := len(c.out.blk.data)
	c.out.blk.data = appendBlock(c.out.blk.data, s.id, block, end)
	s.Out.sent += int64(len(c.out.blk.data) - before)
	if end {
		s.endOutbound()
	}
	return nil
}

// sendData appends p as the windows allow it, and waits for them to open. mu is held, though not while waiting.
func (c *conn) sendData(s *Stream, p []byte, end bool) error {
	for {
		if err := c.room(s); err != nil {
			return err
		}
		n := int(min(int64(len(p)), maxFrame, s.out.window, c.flow.send))
		if n <= 0 && len(p) > 0 {
			c.flush() // what is pending may be what the peer waits for
			if min(s.out.window, c.flow.send) > 0 {
				continue
			}
			if end && s.leaveTail(p) {
				return nil
			}
			if err := c.await(s); err != nil {
				return err
			}
			continue
		}
		if n = max(n, 0); s.waited {
			s.active, s.waited = c.now(), false
		}
		last, flags := n == len(p), byte(0)
		if last && end {
			flags = flagEndStream
		}
		c.out.reserve(c, frameHeader+n)
		c.out.blk.data = appendFrameHeader(c.out.blk.data, kindData, flags, frameSize{s.id, n})
		c.out.blk.data = append(c.out.blk.data, p[:n]...)
		s.Out.sent += int64(frameHeader + n)
		s.out.window -= int64(n)
		c.flow.send -= int64(n)
		c.earn(earnData)
		if p = p[n:]; last {
			if end {
				s.endOutbound()
			}
			return nil
		}
	}
}

// endOutbound notes that the last frame of the stream was appended. mu is held.
func (s *Stream) endOutbound() {
	s.out.ended = true
	s.c.settle(s)
}

// maxTail is how much of the end of a response a connection keeps for a client that has not opened its windows, in
// bytes.
const maxTail = gatherBody

// leaveTail leaves the end of a response to the connection, if it is short: so neither its handler nor the request
// waits for a client that does not read. mu is held.
func (s *Stream) leaveTail(p []byte) bool {
	c := s.c
	if !c.server || len(p) > maxTail {
		return false
	}
	s.out.tail = append([]byte(nil), p...)
	c.out.tails = append(c.out.tails, s)
	c.arm(s.active + s.idle)
	return true
}

// hasTail reports whether the end of the message is left to the connection. mu is held.
func (s *Stream) hasTail() bool { return s.out.tail != nil }

// sendTails sends the ends of messages, as far as there is room for them. mu is held.
func (c *conn) sendTails() {
	for i := 0; i < len(c.out.tails) && c.out.pending() < maxGather; {
		if s := c.out.tails[i]; !c.sendTail(s) {
			i++
		}
	}
}

// sendTail reports whether all of a tail was sent, and with it the stream's place among tails given up. mu is held.
func (c *conn) sendTail(s *Stream) bool {
	tail := s.out.tail
	n := int(min(int64(len(tail)), s.out.window, c.flow.send))
	if n <= 0 {
		return false
	}
	flags := byte(0)
	if n == len(tail) {
		flags = flagEndStream
	}
	c.out.reserve(c, frameHeader+n)
	c.out.blk.data = appendFrameHeader(c.out.blk.data, kindData, flags, frameSize{s.id, n})
	c.out.blk.data = append(c.out.blk.data, tail[:n]...)
	s.out.tail, s.active = tail[n:], c.now()
	s.out.window -= int64(n)
	c.flow.send -= int64(n)
	c.earn(earnData)
	if n < len(tail) {
		return false
	}
	c.forgetTail(s)
	s.endOutbound()
	if s.done {
		c.reset(s, NoError, ErrClosed) // the rest of the request is of no use
		s.drop(s.held)
	}
	return true
}

// forgetTail gives up what was left to be sent of a stream. mu is held.
func (c *conn) forgetTail(s *Stream) {
	if !s.hasTail() {
		return
	}
	s.out.tail = nil
	if i := slices.Index(c.out.tails, s); i >= 0 {
		c.out.tails = slices.Delete(c.out.tails, i, i+1)
	}
	if s.done {
		s.drop(s.held)
	}
}

// letGo gives back all but the tail of a stream whose handler has returned. mu is held.
func (s *Stream) letGo() {
	s.drop(s.held - streamCost)
	s.In.recycle(s.c.cfg.Memory)
	s.in.data.drop(s.c.cfg.Memory)
	s.in.text, s.in.texts, s.in.fields, s.in.heads, s.in.trailers = nil, 0, nil, nil, nil
	s.Out.block, s.Out.body, s.Out.trailers = nil, nil, nil
}

// giveBack returns credit for the connection's window, a quarter of it at a time. mu is held.
func (c *conn) giveBack(n int64) {
	c.flow.credit += n
	if c.flow.credit < int64(c.cfg.ConnWindow)/4 {
		return
	}
	c.out.reserve(c, frameHeader+4)
	c.out.blk.data = appendWindow(c.out.blk.data, 0, c.flow.credit)
	c.flow.receive += c.flow.credit
	c.flow.credit = 0
}

// giveBackOn returns credit for the window of a stream. mu is held.
func (c *conn) giveBackOn(s *Stream, n int64) {
	if s.in.ended || s.gone {
		return
	}
	s.in.credit += n
	if s.in.credit < int64(c.cfg.Window)/4 {
		return
	}
	c.out.reserve(c, frameHeader+4)
	c.out.blk.data = appendWindow(c.out.blk.data, s.id, s.in.credit)
	s.in.window += s.in.credit
	s.in.credit = 0
}

// goAway says that no further stream is taken, with a code if that is because of an error. mu is held.
func (c *conn) goAway(code Code) {
	last := uint32(0)
	if c.server {
		last = min(c.last, c.leaving.last)
	}
	c.appendGoAway(last, code)
}

func (c *conn) appendGoAway(last uint32, code Code) {
	c.out.reserve(c, frameHeader+8)
	c.out.blk.data = appendGoAway(c.out.blk.data, last, code)
}
