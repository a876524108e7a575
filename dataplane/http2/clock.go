package http2

import (
	"os"
	"time"
)

// clock keeps the times of a connection with one timer. All times are as conn.now gives them. conn.mu guards it.
type clock struct {
	timer   *time.Timer
	due     int64 // when the timer fires; 0 if it is not set
	partial int64 // since when a head has been arriving; 0 if none is
	empty   int64 // since when no stream has been open
	paused  bool  // nobody reads, nor is to be told anything, until the connection goes on
}

// arm has tick called at a time, or before. mu is held.
func (c *conn) arm(at int64) {
	k := &c.clock
	if k.due != 0 && k.due <= at {
		return
	}
	k.due = at
	d := time.Duration(at) - time.Since(c.born)
	if k.timer == nil {
		k.timer = time.AfterFunc(d, c.tick)
		return
	}
	k.timer.Reset(d)
}

func (k *clock) stop() {
	if k.timer != nil {
		k.timer.Stop()
	}
}

// tick looks at all that may take too long, and sets the timer for what may do so next.
func (c *conn) tick() {
	defer c.contain()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clock.due = 0
	now := c.now()
	if c.clock.paused || c.err != nil && !c.out.writing {
		return
	}
	next := c.tickStreams(now)
	for _, check := range [...]func(int64) int64{c.tickHead, c.tickWriting, c.tickLife, c.tickQuiet} {
		next = min(next, check(now))
	}
	if next < never {
		c.arm(next)
	}
	c.flushSoon()
}

// tickStreams ends the waiting of streams on which nothing has moved for their idle timeout.
func (c *conn) tickStreams(now int64) (next int64) {
	next = never
	look := func(s *Stream) {
		if !s.readable.on && !s.writable.on && !s.hasTail() {
			return
		}
		due := s.active + s.idle
		if due > now {
			next = min(next, due)
			return
		}
		if s.hasTail() {
			c.reset(s, Cancel, errLate)
			return
		}
		s.late = true
		s.readable.signal()
		s.writable.signal()
		if !c.server && c.heard+s.idle <= now {
			c.retire() // the peer may be gone altogether
		}
	}
	for _, s := range c.streams {
		look(s)
	}
	for _, s := range c.blocked {
		look(s)
	}
	return next
}

func (c *conn) tickHead(now int64) int64 {
	if c.clock.partial == 0 {
		return never
	}
	due := c.clock.partial + int64(c.cfg.HeadTimeout)
	if due > now {
		return due
	}
	c.stop(connError(EnhanceYourCalm, "a head took too long"))
	return never
}

// tickWriting ends a connection to a peer that does not read.
func (c *conn) tickWriting(now int64) int64 {
	if !c.out.writing {
		return never
	}
	due := c.out.since + int64(c.cfg.IdleTimeout)
	if due > now {
		return due
	}
	c.end(os.ErrDeadlineExceeded)
	c.stop(os.ErrDeadlineExceeded)
	c.net.SetDeadline(c.born)
	return never
}

// tickLife ends a connection that is old, or that nobody uses.
func (c *conn) tickLife(now int64) int64 {
	switch c.leaving.stage {
	case left:
		return never
	case warned:
		due := c.leaving.since + int64(warnTime)
		if due > now {
			return due
		}
		c.leaveNow()
		return never
	}
	if !c.server && c.leaving.peerGone {
		return never
	}
	due := int64(c.cfg.Lifetime)
	if c.server && len(c.streams) == 0 {
		due = min(due, c.clock.empty+int64(c.cfg.IdleTimeout))
	}
	if due > now {
		return due
	}
	c.leave()
	return now + int64(warnTime)
}

// tickQuiet lets the goroutines of a Server go: those that wait for a stream, and then the one that reads.
func (c *conn) tickQuiet(now int64) int64 {
	if !c.server || len(c.streams) > 0 || c.input.interrupted {
		return never
	}
	if due := max(c.clock.empty, c.heard) + int64(c.cfg.Patience); due > now {
		return due
	}
	if !c.isQuiet() {
		return now + int64(c.cfg.Patience)
	}
	c.owner.dismiss()
	c.giveSpare()
	if c.input.raw != nil {
		c.input.interrupted = true
		c.net.SetReadDeadline(c.born)
	}
	return never
}

// pause stops the clock, and returns when it would have had something to do. mu is held.
func (c *conn) pause() time.Time {
	due := c.clock.due
	if due == 0 {
		due = c.now()
	}
	c.clock.stop()
	c.clock.timer, c.clock.due, c.clock.paused = nil, 0, true
	c.streams = nil // there is none, and a map that was used holds memory
	return c.born.Add(time.Duration(due))
}

// unpause goes on, and has the clock look at once. mu is held.
func (c *conn) unpause() {
	c.clock.paused = false
	c.heard = c.now() // or it would be quiet at once
	c.arm(c.heard)
}

// The stages in which a connection ends in order.
const (
	staying = iota
	warned  // the peer was told to open no further streams, and those that are on their way are taken
	left    // it was told up to which stream it was served
)

// leaving is how far the end of a connection has come.
type leaving struct {
	stage    int
	since    int64
	last     uint32 // the highest stream that is taken
	peerGone bool   // the peer takes no further streams, or is not to get any
	peerLast uint32 // the highest that it takes
}

// warnTime is how long streams that are on their way are waited for, unless the peer answers sooner.
const warnTime = time.Second

// leavingPing is sent with the warning: when it comes back, so has all that was sent before the warning arrived.
var leavingPing = [8]byte{'l', 'e', 'a', 'v', 'i', 'n', 'g'}

// leave begins to end the connection in order (RFC 9113 §6.8). mu is held.
func (c *conn) leave() {
	if !c.server {
		c.retire()
		return
	}
	if c.leaving.stage != staying || c.err != nil {
		return
	}
	c.leaving.stage, c.leaving.since = warned, c.now()
	c.appendGoAway(maxID, NoError)
	c.out.reserve(c, frameHeader+8)
	c.out.blk.data = appendPing(c.out.blk.data, 0, leavingPing[:])
	c.arm(c.leaving.since + int64(warnTime))
	c.flushSoon()
}

// leaveNow says up to which stream the peer is served. mu is held.
func (c *conn) leaveNow() {
	if c.leaving.stage == left || c.err != nil {
		return
	}
	c.leaving.stage, c.leaving.last = left, c.last
	c.appendGoAway(c.last, NoError)
	c.emptied()
	c.flushSoon()
}

// retire opens no further streams to the peer. mu is held.
func (c *conn) retire() {
	c.leaving.peerGone = true
	c.emptied()
}

// emptied is called when the last stream has ended, or it no longer matters that none is open. mu is held.
func (c *conn) emptied() {
	if len(c.streams) > 0 || c.err != nil {
		return
	}
	c.clock.empty = c.now()
	switch {
	case c.leaving.stage == left, !c.server && c.leaving.peerGone && c.opening == 0:
		c.stop(errLeft)
	case c.server:
		c.arm(c.clock.empty + int64(min(c.cfg.IdleTimeout, c.cfg.Patience)))
	}
}
