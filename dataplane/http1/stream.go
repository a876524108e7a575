package http1

import (
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"pergola/bound"
)

// stream is what the two directions of a connection share: the connection itself and its idle timer.
type stream struct {
	conn net.Conn
	raw  syscall.RawConn // nil where conn has no file descriptor to wait on
	read func(fd uintptr, p []byte) (n int, again bool, err error)
	cfg  *Config
	born time.Time
	// share is that on which buffers count; it changes between messages alone.
	share *bound.Share

	idle    atomic.Int64 // the idle timeout in nanoseconds
	expires atomic.Int64 // when the idle time passes, and with it the deadlines set on conn, in nanoseconds since born; 0 if unknown
	resting atomic.Int64 // when the read deadline set by rest passes, likewise; 0 if it is that of expires
	stopped atomic.Bool  // reads are to fail from now on
}

// get returns a block of at least n bytes that counts so many times for its size; nil if that would be more than may be
// held. A small one does not count.
func (s *stream) get(n int, times int64) *block {
	if n <= smallBlock {
		return s.cfg.Memory.get(n)
	}
	_, size := s.cfg.Memory.class(n)
	held := times * int64(size)
	if !s.share.Take(held) {
		return nil
	}
	b := s.cfg.Memory.get(n)
	b.share, b.held = s.share, held
	return b
}

// touch starts the idle time anew and returns the age of the connection. Either direction may call it, so that a long upload keeps the wait for its response
// alive. Moving a deadline costs more than reading the clock, so it is set a sixteenth too far and then left alone for as
// long as it lies far enough ahead. Before a write it leaves the read deadline of rest, under which nothing is being read.
func (s *stream) touch(writing bool) time.Duration {
	age, idle := time.Since(s.born), s.idle.Load()
	now := int64(age)
	writing = writing && s.resting.Load() != 0
	if (writing || s.resting.Load() == 0) && isAhead(s.expires.Load()-now, idle) {
		return age
	}
	expires := now + idle + idle/16
	s.expires.Store(expires)
	at := s.born.Add(time.Duration(expires))
	if writing {
		s.conn.SetWriteDeadline(at)
		return age
	}
	s.resting.Store(0)
	s.conn.SetDeadline(at)
	s.unlessStopped()
	return age
}

func isAhead(ahead, time int64) bool { return ahead >= time && ahead <= time+time/16 }

// rest bounds the next read by d, or by what is left of the idle time if that is less.
func (s *stream) rest(d time.Duration) {
	if s.expires.Load() == 0 {
		s.touch(false) // nothing was read or written yet
	}
	now := int64(time.Since(s.born))
	resting, expires := s.resting.Load(), s.expires.Load()
	if resting <= expires && isAhead(resting-now, int64(d)) {
		return
	}
	resting = min(now+int64(d+d/16), expires)
	s.resting.Store(resting)
	s.conn.SetReadDeadline(s.born.Add(time.Duration(resting)))
	s.unlessStopped()
}

// isIdle reports whether the idle time has passed.
func (s *stream) isIdle() bool { return int64(time.Since(s.born)) >= s.expires.Load() }

// unlessStopped takes back the read deadline that was set, if none was to be set any more.
func (s *stream) unlessStopped() {
	if s.stopped.Load() {
		s.conn.SetReadDeadline(s.born)
	}
}

// stop makes the pending read and all later ones fail at once. It is set before the deadline, and code that sets
// another looks at it afterwards, so that the two cannot miss each other.
func (s *stream) stop() {
	s.stopped.Store(true)
	s.conn.SetReadDeadline(s.born)
}

// limitRead gives the reads that follow d in total, until unlimitRead.
func (s *stream) limitRead(d time.Duration) {
	s.resting.Store(0)
	s.conn.SetReadDeadline(time.Now().Add(d))
}

func (s *stream) unlimitRead() {
	s.expires.Store(0)
	s.touch(false)
}
