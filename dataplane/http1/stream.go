package http1

import (
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

// stream is what the two directions of a connection share: the connection itself and its idle timer.
type stream struct {
	conn net.Conn
	raw  syscall.RawConn // nil where conn has no file descriptor to wait on
	read func(fd uintptr, p []byte) (n int, again bool, err error)
	cfg  *Config
	born time.Time

	idle    atomic.Int64 // the idle timeout in nanoseconds
	expires atomic.Int64 // when the deadlines set on conn pass, in nanoseconds since born; 0 if unknown
	stopped atomic.Bool  // reads are to fail from now on
}

// touch starts the idle time anew and returns the age of the connection. Either direction may call it, so that a long upload keeps the wait for its response
// alive. Moving a deadline costs more than reading the clock, so it is set a sixteenth too far and then left alone for as
// long as it lies far enough ahead.
func (s *stream) touch() time.Duration {
	age, idle := time.Since(s.born), s.idle.Load()
	now := int64(age)
	if ahead := s.expires.Load() - now; ahead >= idle && ahead <= idle+idle/16 {
		return age
	}
	expires := now + idle + idle/16
	s.expires.Store(expires)
	s.conn.SetDeadline(s.born.Add(time.Duration(expires)))
	if s.stopped.Load() {
		s.conn.SetReadDeadline(s.born)
	}
	return age
}

// stop makes the pending read and all later ones fail at once. It is set before the deadline, and touch looks at it
// after its own, so that the two cannot miss each other.
func (s *stream) stop() {
	s.stopped.Store(true)
	s.conn.SetReadDeadline(s.born)
}

// limitRead gives the reads that follow d in total, until unlimitRead.
func (s *stream) limitRead(d time.Duration) {
	s.conn.SetReadDeadline(time.Now().Add(d))
}

func (s *stream) unlimitRead() {
	s.expires.Store(0)
	s.touch()
}
