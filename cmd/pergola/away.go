package main

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"

	"pergola/api"
)

// away answers at the API's address while the control plane does not, so that clients learn to come back soon. The
// listener is the supervisor's; the control plane inherits it, and takes over what comes next.
type away struct {
	listener *net.TCPListener
	server   *http.Server
	serving  sync.WaitGroup

	mu   sync.Mutex // guards open and shut
	open chan struct{}
	shut bool
}

// awayTimeout is how long a client may take that meets it.
const awayTimeout = 5 * time.Second

// awayConnections is how many clients it has at once.
const awayConnections = 64

func serveAway(listener *net.TCPListener, region string, log *slog.Logger) *away {
	a := &away{listener: listener, open: make(chan struct{})}
	close(a.open) // nobody else is there yet
	a.server = &http.Server{
		Handler:           api.Away(region, "The control plane is being started; try again in a moment"),
		ReadHeaderTimeout: awayTimeout, ReadTimeout: awayTimeout, WriteTimeout: awayTimeout,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	a.server.SetKeepAlivesEnabled(false)
	a.serving.Go(func() {
		err := a.server.Serve(awayListener{a, make(chan struct{}, awayConnections)})
		if !errors.Is(err, http.ErrServerClosed) {
			log.Error("nobody answers while the control plane is away", "error", err)
		}
	})
	return a
}

// inheritable is a listener for processes to inherit. Package os makes a file one that blocks when it is passed on,
// unless it takes it for one already; and what the file does, the listener does, since they are one socket.
func inheritable(listener *net.TCPListener) (file *os.File, err error) {
	raw, err := listener.SyscallConn()
	if err != nil {
		return nil, err
	}
	failed := raw.Control(func(fd uintptr) {
		var inherited int
		if inherited, err = syscall.Dup(int(fd)); err != nil {
			return
		}
		syscall.CloseOnExec(inherited)
		if err = syscall.SetNonblock(inherited, false); err == nil {
			file = os.NewFile(uintptr(inherited), "the API's listener")
			err = syscall.SetNonblock(inherited, true)
		}
	})
	return file, errors.Join(failed, err)
}

// present says whether the control plane answers itself.
func (a *away) present(is bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if is == a.isShut() {
		return
	}
	if is {
		a.open, a.shut = make(chan struct{}), true
		_ = a.listener.SetDeadline(time.Unix(1, 0)) // who waits to accept meets that
		return
	}
	a.shut = false
	_ = a.listener.SetDeadline(time.Time{})
	close(a.open)
}

func (a *away) isShut() bool { return a.shut }

func (a *away) close() {
	a.mu.Lock()
	if a.shut {
		a.shut = false
		close(a.open)
	}
	a.mu.Unlock()
	_ = a.server.Close()
	a.serving.Wait()
}

// awayListener accepts while the control plane is away.
type awayListener struct {
	*away
	room chan struct{}
}

// Accept returns the next connection.
func (l awayListener) Accept() (net.Conn, error) {
	l.room <- struct{}{}
	for {
		l.mu.Lock()
		open := l.open
		l.mu.Unlock()
		<-open
		conn, err := l.listener.Accept()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			continue
		}
		if err != nil {
			<-l.room
			return nil, err
		}
		return &awayConn{Conn: conn, leave: sync.OnceFunc(func() { <-l.room })}, nil
	}
}

// Close closes the listener.
func (l awayListener) Close() error { return l.listener.Close() }

// Addr is the address of the API.
func (l awayListener) Addr() net.Addr { return l.listener.Addr() }

// awayConn makes room when it is closed.
type awayConn struct {
	net.Conn
	leave func()
}

// Close closes the connection.
func (c *awayConn) Close() error {
	c.leave()
	return c.Conn.Close()
}
