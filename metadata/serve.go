package metadata

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"pergola/bound"
	"pergola/containment"
)

const (
	// maxStreams is how many connections there may be at once, over all VPCs, shared out as bound.Pool says, and
	// maxClientStreams how many of one client; further ones are closed.
	maxStreams       = 2048
	maxClientStreams = 32
	// maxHead bounds the line and the fields of a request, in bytes. Requests have two fields or three.
	maxHead = 8 << 10
	// requestTimeout is how long a request may take to arrive, obtainTimeout how long credentials, answerTimeout how long
	// all of it, and idleTimeout how long a connection may wait for its next request.
	requestTimeout = 5 * time.Second
	obtainTimeout  = 10 * time.Second
	answerTimeout  = 20 * time.Second
	idleTimeout    = 30 * time.Second
)

// Serve answers the instances of a VPC over the connections of a listener. It returns nil when ctx ends, or
// net.ErrClosed if somebody else has closed the listener; the listener and all connections are closed then, and nothing
// is left running.
func (s *Server) Serve(ctx context.Context, vpcID string, listener net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	var open sync.WaitGroup
	defer open.Wait()
	defer cancel()
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer s.contain(vpcID)
			s.answer(w, r, vpcID)
		}),
		ReadTimeout:    requestTimeout,
		WriteTimeout:   answerTimeout,
		IdleTimeout:    idleTimeout,
		MaxHeaderBytes: maxHead,
		ErrorLog:       slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
		BaseContext:    func(net.Listener) context.Context { return ctx },
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, conn)
		},
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				open.Add(1)
			case http.StateClosed:
				open.Done()
			}
		},
	}
	defer listener.Close()
	defer server.Close()
	admitted := &admitted{Listener: listener, conns: make(chan net.Conn), done: ctx.Done()}
	open.Go(func() { _ = server.Serve(admitted) }) // it ends with ctx
	defer context.AfterFunc(ctx, func() {
		server.Close()
		listener.Close()
	})()
	err := containment.Accept(ctx, s.log, "the metadata service", listener.Accept, func(conn net.Conn) {
		place := s.streams.Enter(vpcID, bound.ClientOf(conn.RemoteAddr()))
		if place == nil {
			_ = conn.Close() // nothing was said
			return
		}
		admitted.admit(&stream{Conn: conn, place: place})
	})
	cancel() // which ends the server's own accepting
	if err != nil {
		return fmt.Errorf("metadata: %w", err)
	}
	return nil
}

// contain is deferred: a panic ends the connection that it arose on.
func (s *Server) contain(vpcID string) {
	if problem := recover(); problem != nil {
		_ = containment.Report(s.log, "answering an instance", problem, "vpc", vpcID)
		panic(http.ErrAbortHandler)
	}
}

// connKey is where the context of a request has its connection.
type connKey struct{}

// admitted is a listener of the connections that have been admitted.
type admitted struct {
	net.Listener
	conns chan net.Conn
	done  <-chan struct{}
}

func (l *admitted) admit(conn net.Conn) {
	select {
	case l.conns <- conn:
	case <-l.done:
		_ = conn.Close() // nothing was said
	}
}

// Accept waits for a connection that has been admitted.
func (l *admitted) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// stream is a connection that has a place until it is closed.
type stream struct {
	net.Conn
	place   *bound.Share
	closing sync.Once
	// hops is what limitHops last set. Only the request that is being answered uses it.
	hops int
}

// Close closes the connection.
func (s *stream) Close() error {
	s.closing.Do(s.place.Leave)
	return s.Conn.Close()
}
