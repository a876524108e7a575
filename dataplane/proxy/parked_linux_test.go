package proxy

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"pergola/dataplane"
	"pergola/dataplane/parking"
	"pergola/dataplane/security"
	"pergola/lattice"
	"pergola/snapshot"
)

// patience makes connections ask for a pause as soon as they can.
const patience = time.Millisecond

// speaks is how clients speak to a lounge.
type speaks struct {
	name  string
	http2 bool
	tls   bool
}

var languages = []speaks{{"HTTP/1.1", false, false}, {"HTTPS", false, true}, {"HTTP/2", true, false}, {"HTTP/2 over TLS", true, true}}

// lounge is a world whose clients come by TCP, and are parked by a Plane.
type lounge struct {
	*world
	speaks
	certificate tls.Certificate
	plane       *dataplane.Plane
	address     netip.AddrPort
	client      *http.Transport
	paused      chan struct{} // receives for each pause that is asked for
	ended       chan struct{} // receives for each connection that has ended
}

func newLounge(t *testing.T, s speaks, idle time.Duration, more ...func(*Config)) *lounge {
	w := newWorld(t, append(more, func(c *Config) { c.Patience = patience })...)
	w.targets[targetA] = w.answers(slices.Repeat([]string{ok}, 30)...)
	w.listener().Service.IdleTimeout = idle
	l := &lounge{world: w, speaks: s, certificate: selfSigned(t), paused: make(chan struct{}, 1000), ended: make(chan struct{}, 1000)}
	l.plane = dataplane.New(dataplane.Config{Network: l, Serve: l.serve})
	if s.http2 || s.tls {
		w.listener().Protocol = lattice.ProtocolHTTPS
	}
	if err := l.plane.Apply(t.Context(), w.now); err != nil {
		t.Fatal(err)
	}
	l.client = &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", l.address.String())
		},
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, Protocols: new(http.Protocols),
	}
	l.client.Protocols.SetHTTP1(!s.http2)
	l.client.Protocols.SetHTTP2(s.http2 && s.tls)
	l.client.Protocols.SetUnencryptedHTTP2(s.http2 && !s.tls)
	t.Cleanup(func() {
		l.client.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := l.plane.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return l
}

// Listen listens on any free port of the host.
func (l *lounge) Listen(_ context.Context, _ string, at snapshot.Entry, _ uint16) (net.Listener, error) {
	if at.Address.Is6() {
		return nil, syscall.EADDRNOTAVAIL
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err == nil {
		l.address = listener.Addr().(*net.TCPAddr).AddrPort()
	}
	return listener, err
}

func (l *lounge) serve(finish, cut context.Context, conn net.Conn, _ snapshot.DoorPort) *parking.Pause {
	at := inVPC
	if l.http2 || l.tls {
		at = inVPCByTLS
	}
	if l.tls {
		conn = security.Server(conn, &tls.Config{Certificates: []tls.Certificate{l.certificate}, NextProtos: []string{"h2", "http/1.1"}})
		if err := conn.(*security.Conn).HandshakeContext(cut); err != nil {
			l.t.Error(err)
			return nil
		}
	}
	if l.http2 {
		return l.watched(l.proxy.ServeHTTP2(finish, cut, conn, at))
	}
	return l.watched(l.proxy.ServeConn(finish, cut, conn, at))
}

// watched tells of a pause, and of those after it.
func (l *lounge) watched(pause *parking.Pause) *parking.Pause {
	if pause == nil {
		l.ended <- struct{}{}
		return nil
	}
	l.paused <- struct{}{}
	then := pause.Then
	pause.Then = func() *parking.Pause { return l.watched(then()) }
	return pause
}

// get sends a request, and waits for the connection to be paused afterwards.
func (l *lounge) get() {
	l.t.Helper()
	for len(l.paused) > 0 {
		<-l.paused
	}
	scheme := "http"
	if l.tls {
		scheme = "https"
	}
	request, err := http.NewRequestWithContext(l.t.Context(), "GET", scheme+"://s.example:80/", nil)
	if err != nil {
		l.t.Fatal(err)
	}
	response, err := l.client.RoundTrip(request)
	if err != nil {
		l.t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err != nil || response.StatusCode != 200 || !strings.Contains(string(body), "hello") {
		l.t.Fatalf("%d %q, %v", response.StatusCode, body, err)
	}
	<-l.paused
}

// TestParkedConnections go on when their client speaks, as often as it does.
func TestParkedConnections(t *testing.T) {
	for _, s := range languages {
		t.Run(s.name, func(t *testing.T) {
			l := newLounge(t, s, 0)
			for range 20 {
				l.get()
			}
			if n := len(l.ended); n > 0 {
				t.Errorf("%d connections ended", n)
			}
		})
	}
}

// hangUp closes the client's connection and waits for the end of ours. A stream that was given up may take the client a
// moment to forget, for which its connection is not idle.
func (l *lounge) hangUp() {
	for {
		l.client.CloseIdleConnections()
		select {
		case <-l.ended:
			return
		case <-time.After(time.Millisecond):
		}
	}
}

// TestParkedConnectionsEnd when their client leaves, when they are to finish, and when they have been idle, or lived, for long
// enough.
func TestParkedConnectionsEnd(t *testing.T) {
	for _, s := range languages {
		t.Run(s.name, func(t *testing.T) {
			t.Run("the client leaves", func(t *testing.T) {
				l := newLounge(t, s, 0)
				l.get()
				l.hangUp()
			})
			t.Run("the Plane closes", func(t *testing.T) {
				l := newLounge(t, s, 0)
				l.get()
				if err := l.plane.Close(t.Context()); err != nil {
					t.Error(err)
				}
				<-l.ended
			})
			t.Run("the VPC is gone", func(t *testing.T) {
				l := newLounge(t, s, 0)
				l.get()
				if err := l.plane.Apply(t.Context(), &snapshot.Snapshot{}); err != nil {
					t.Error(err)
				}
				<-l.ended
			})
			t.Run("time is over", func(t *testing.T) {
				l := newLounge(t, s, 100*time.Millisecond, func(c *Config) {
					if s.http2 {
						c.Lifetime = 100 * time.Millisecond
					}
				})
				l.get()
				<-l.ended
			})
		})
	}
}
