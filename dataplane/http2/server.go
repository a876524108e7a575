package http2

import (
	"net"
	"sync"
	"time"

	"pergola/dataplane/http1"
)

// Server is the server's side of a connection.
type Server struct {
	c      *conn
	handle func(*Stream)
	all    sync.WaitGroup
	idle   []chan *Stream // workers that wait for a stream; conn.mu guards it
	until  time.Time      // when to go on after a pause
}

// NewServer takes over a connection, on which a client is about to send the preface.
func NewServer(conn net.Conn, cfg Config) *Server {
	c := newConn(conn, cfg, true)
	c.announce()
	c.owner = &Server{c: c}
	return c.owner
}

// Serve reads until the connection ends, and closes it. It calls handle for each request, in a goroutine that has the
// stream until it returns: a response that was not ended by then is cancelled. Serve returns when all of them have
// returned; nil if the connection ended between requests.
//
// Where the connection has a descriptor, Serve returns http1.ErrQuiet, and leaves the connection open, when nothing has happened
// for a while. Call it again when the descriptor has something to read, and at the latest when Until has come.
func (s *Server) Serve(handle func(*Stream)) error {
	c := s.c
	c.mu.Lock()
	if s.handle == nil {
		c.clock.partial = c.now()
		c.arm(c.clock.partial + int64(c.cfg.HeadTimeout))
		c.flushSoon()
	} else {
		c.unpause()
	}
	s.handle = handle
	c.mu.Unlock()
	err := c.run()
	c.mu.Lock()
	if err == http1.ErrQuiet {
		s.until = c.pause()
		c.mu.Unlock()
		return err
	}
	s.dismiss()
	c.mu.Unlock()
	s.all.Wait()
	c.closeHolding()
	return err
}

// Until is when a connection whose Serve has returned http1.ErrQuiet has to go on: for its idle timeout, or its life, to end
// in order.
func (s *Server) Until() time.Time { return s.until }

// start gives a stream to a worker. mu is held.
func (s *Server) start(stream *Stream) {
	if n := len(s.idle); n > 0 {
		w := s.idle[n-1]
		s.idle = s.idle[:n-1]
		w <- stream
		return
	}
	s.all.Add(1)
	go s.work(make(chan *Stream, 1), stream)
}

// dismiss ends the workers that wait. mu is held.
func (s *Server) dismiss() {
	for _, w := range s.idle {
		close(w)
	}
	s.idle = nil
}

// work handles streams one after the other: a goroutine's stack that has grown to what a request needs is kept.
func (s *Server) work(w chan *Stream, stream *Stream) {
	defer s.all.Done()
	defer func() {
		if problem := recover(); problem != nil {
			_ = s.c.cut(s.c.panicked(problem)) // which ends it for all
			s.abandon(stream)
		}
	}()
	for stream != nil {
		s.handle(stream)
		if !s.finish(stream, w) {
			return
		}
		stream = <-w
	}
}

// abandon ends a stream whose handler has panicked. It is not used again.
func (s *Server) abandon(stream *Stream) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.c.finish(stream, InternalError)
	s.c.running--
}

// finish ends a stream after its handler, and reports whether the worker is to wait for another.
func (s *Server) finish(stream *Stream, w chan *Stream) bool {
	c := s.c
	c.mu.Lock()
	c.finish(stream, Cancel)
	c.running--
	over := !stream.hasTail()
	if !over {
		stream.letGo()
	}
	c.flush()
	if notified := stream.notified; notified != nil {
		c.mu.Unlock()
		<-notified
		c.mu.Lock()
	}
	more := c.err == nil
	if more {
		s.idle = append(s.idle, w) // a stream that it is given waits in its channel
	}
	c.mu.Unlock()
	if over {
		stream.recycle()
	}
	return more
}

// Finish lets the connection end: the client is told to open no further streams, those that are under way are served,
// then Serve returns.
func (s *Server) Finish() {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.c.leave()
}

// Close ends the connection at once; all that is under way fails.
func (s *Server) Close() error { return s.c.cut(ErrClosed) }

// Active is the number of streams that are being handled.
func (s *Server) Active() int {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	return s.c.running
}
