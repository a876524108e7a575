// Package entrance finds out what a new connection is and gives it to its server: requests in plain text to the
// proxy; TLS that an HTTPS listener ends, once it has been ended, to the proxy as well; TLS that a TLS_PASSTHROUGH listener
// passes through to the relay; and what came by the door of resources to who carries that. Listeners of all three kinds
// may share a port: the first byte tells TLS from plain text, and the server name in the ClientHello tells the
// listener.
package entrance

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"pergola/dataplane/clienthello"
	"pergola/dataplane/parking"
	"pergola/dataplane/passthrough"
	"pergola/dataplane/proxy"
	"pergola/dataplane/security"
	"pergola/lattice"
	"pergola/snapshot"
)

// Terminator ends TLS.
type Terminator interface {
	// Handshake ends TLS on a connection whose ClientHello, still to be read, names a service by one of its names. It
	// leaves closing the connection to the caller.
	Handshake(ctx context.Context, conn net.Conn, s *snapshot.Snapshot, service *snapshot.Service, name string) (*security.Conn, error)
}

// Requests serves connections that carry requests, and closes them, unless it asks for a pause.
type Requests interface {
	// ServeConn serves one that speaks HTTP/1.1.
	ServeConn(finish, cut context.Context, conn net.Conn, arrival proxy.Arrival) *parking.Pause
	// ServeHTTP2 serves one that speaks HTTP/2.
	ServeHTTP2(finish, cut context.Context, conn net.Conn, arrival proxy.Arrival) *parking.Pause
}

// Relay serves connections whose TLS is passed through, and closes them.
type Relay interface {
	Serve(cut context.Context, conn net.Conn, arrival passthrough.Arrival)
}

// Resources serves connections to resources, and closes them.
type Resources interface {
	Serve(cut context.Context, conn net.Conn, vpc *snapshot.VPC)
}

// Config is what an Entrance needs. All but Log and Limits is required.
type Config struct {
	// Snapshot returns the newest snapshot.
	Snapshot   func() *snapshot.Snapshot
	Terminator Terminator
	Requests   Requests
	Relay      Relay
	Resources  Resources
	// Limits bound ClientHellos. Unless they say otherwise, these count where the process counts what requests hold.
	Limits clienthello.Limits
	// Log receives what an operator may want to know when a client complains. nil discards it.
	Log *slog.Logger
}

// Entrance gives connections to their servers. It is safe for concurrent use.
type Entrance struct {
	config    Config
	malformed atomic.Uint64
	unknown   atomic.Uint64
}

// New returns an Entrance.
func New(config Config) *Entrance {
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	if config.Limits.Held == nil {
		config.Limits.Held = proxy.Held()
	}
	return &Entrance{config: config}
}

// Refusals are the numbers of TLS connections that met no listener, by cause.
type Refusals struct {
	// Malformed had no valid ClientHello.
	Malformed uint64
	// Unknown named no service that listens there.
	Unknown uint64
}

// Refusals returns how many TLS connections have met no listener so far.
func (e *Entrance) Refusals() Refusals { return Refusals{e.malformed.Load(), e.unknown.Load()} }

// Serve serves a connection that came in at a port of a door, and closes it, unless it asks for a pause. When finish
// ends, what is under way is the last; when cut ends, it is broken off.
func (e *Entrance) Serve(finish, cut context.Context, conn net.Conn, at snapshot.DoorPort) *parking.Pause {
	arrival := proxy.Arrival{VPC: at.VPC, Door: at.Door, Port: at.Port}
	_, vpc, door := e.find(arrival)
	if at.Door == snapshot.ResourceDoor {
		e.config.Resources.Serve(cut, conn, vpc)
		return nil
	}
	if port := door.Port(at.Port); port == nil || !port.TLS {
		return e.config.Requests.ServeConn(finish, cut, conn, arrival)
	}
	limits := e.config.Limits
	limits.VPC = at.VPC
	hello, isTLS, replay, err := clienthello.Peek(finish, conn, limits)
	switch {
	case err != nil:
		e.refuse(conn, err)
		return nil
	case !isTLS:
		return e.config.Requests.ServeConn(finish, cut, replay, arrival)
	}
	return e.serveTLS(finish, cut, replay, hello, arrival)
}

// find is what a connection meets: the snapshot, the VPC that it comes from, and the door. The last two are nil where
// there is none.
func (e *Entrance) find(arrival proxy.Arrival) (*snapshot.Snapshot, *snapshot.VPC, *snapshot.Door) {
	s := e.config.Snapshot()
	if s == nil {
		return nil, nil, nil
	}
	vpc := s.VPCs.Get(arrival.VPC)
	return s, vpc, vpc.Door(arrival.Door)
}

// refuse ends a connection that sent no whole ClientHello. A client that left, or said nothing, is told nothing.
func (e *Entrance) refuse(conn net.Conn, err error) {
	var malformed *clienthello.Error
	if !errors.As(err, &malformed) {
		_ = conn.Close()
		return
	}
	e.malformed.Add(1)
	e.config.Log.Debug("a TLS connection was refused", "client", conn.RemoteAddr(), "error", err)
	clienthello.Refuse(conn, malformed.Alert)
}

// serveTLS serves a connection by the listener that its ClientHello names. The wait for that may have been long, so it is
// the snapshot of now that counts.
func (e *Entrance) serveTLS(finish, cut context.Context, conn net.Conn, hello clienthello.Hello, arrival proxy.Arrival) *parking.Pause {
	s, vpc, door := e.find(arrival)
	listener := door.Port(arrival.Port).Listener([]byte(hello.ServerName))
	switch {
	case listener == nil || listener.Protocol == lattice.ProtocolHTTP:
		e.unknown.Add(1)
		e.config.Log.Debug("a TLS connection names no service that listens for it", "client", conn.RemoteAddr(), "vpc", arrival.VPC, "port", arrival.Port, "serverName", hello.ServerName)
		clienthello.Refuse(conn, clienthello.UnrecognizedName)
	case listener.Protocol == lattice.ProtocolTLSPassthrough:
		e.config.Relay.Serve(cut, conn, passthrough.Arrival{VPC: vpc, Network: door.Network, Listener: listener,
			Hello: hello})
	default:
		handshake, cancel := context.WithTimeout(cut, handshakeTime)
		secure, err := e.config.Terminator.Handshake(handshake, conn, s, listener.Service, hello.ServerName)
		cancel()
		if err != nil {
			e.config.Log.Debug("a TLS handshake failed", "client", conn.RemoteAddr(), "service", listener.Service.ID, "error", err)
			_ = conn.Close() // the terminator has counted the failure, and told the client
			return nil
		}
		return e.serveSecure(finish, cut, secure, arrival)
	}
	return nil
}

// handshakeTime is how long a handshake may take once the ClientHello is there.
const handshakeTime = 10 * time.Second

// serveSecure serves a connection whose TLS has been ended, by the version of HTTP that was agreed on.
func (e *Entrance) serveSecure(finish, cut context.Context, conn *security.Conn, arrival proxy.Arrival) *parking.Pause {
	state := conn.ConnectionState()
	arrival.ServerName = state.ServerName
	if state.NegotiatedProtocol == "h2" {
		return e.config.Requests.ServeHTTP2(finish, cut, conn, arrival)
	}
	return e.config.Requests.ServeConn(finish, cut, conn, arrival)
}
