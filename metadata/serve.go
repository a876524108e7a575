package metadata

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

const (
	// maxStreams is how many connections one client may have at once; further ones are closed. A client cannot take
	// them from another.
	maxStreams = 32
	// maxHead bounds the line and the fields of a request, in bytes. Requests have two fields or three.
	maxHead = 8 << 10
	// requestTimeout is how long a request may take to arrive, obtainTimeout how long credentials, answerTimeout how long
	// all of it, and idleTimeout how long a connection may wait for its next request.
	requestTimeout = 5 * time.Second
	obtainTimeout  = 10 * time.Second
	answerTimeout  = 20 * time.Second
	idleTimeout    = 30 * time.Second
)

// Serve answers the instances of a VPC over the connections of a listener. It returns nil when ctx ends, or the error
// with which accepting failed; the listener and all connections are closed then, and nothing is left running.
func (s *Server) Serve(ctx context.Context, vpcID string, listener net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	var open sync.WaitGroup
	defer open.Wait()
	defer cancel()
	server := &http.Server{
		Handler:        http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.answer(w, r, vpcID) }),
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
	defer server.Close()
	defer context.AfterFunc(ctx, func() { server.Close() })()
	err := server.Serve(&fairListener{Listener: listener, open: map[netip.Addr]int{}})
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("metadata: %w", err)
}

// connKey is where the context of a request has its connection.
type connKey struct{}

// fairListener lets each client have maxStreams connections at once.
type fairListener struct {
	net.Listener
	mu   sync.Mutex
	open map[netip.Addr]int
}

// Accept waits for a connection of a client that may have another one.
func (l *fairListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		remote, _ := netip.ParseAddrPort(conn.RemoteAddr().String()) // the zero value is one more client
		client := remote.Addr().Unmap()
		if l.enter(client) {
			return &stream{Conn: conn, listener: l, client: client}, nil
		}
		conn.Close()
	}
}

func (l *fairListener) enter(client netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[client] >= maxStreams {
		return false
	}
	l.open[client]++
	return true
}

func (l *fairListener) leave(client netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[client]--; l.open[client] == 0 {
		delete(l.open, client)
	}
}

// stream is a connection that counts until it is closed.
type stream struct {
	net.Conn
	listener *fairListener
	client   netip.Addr
	closing  sync.Once
	// hops is what limitHops last set. Only the request that is being answered uses it.
	hops int
}

// Close closes the connection.
func (s *stream) Close() error {
	s.closing.Do(func() { s.listener.leave(s.client) })
	return s.Conn.Close()
}
