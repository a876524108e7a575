//go:build unix

package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"testing"

	"pergola/lattice"
	"pergola/snapshot"
)

// TestStaleConnection sends even what cannot be repeated on a fresh connection, when the kept one was closed or spoken on
// in the meantime: that is found out before anything is sent.
func TestStaleConnection(t *testing.T) {
	for name, parting := range map[string]string{"closed": "", "spoke out of turn": "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"} {
		for _, request := range []string{
			"POST / HTTP/1.1\r\nHost: s.example\r\nContent-Length: 3\r\n\r\nabc",
			"POST / HTTP/1.1\r\nHost: s.example\r\nContent-Length: 0\r\n\r\n",
			get,
		} {
			t.Run(name, func(t *testing.T) { staleConnection(t, parting, request, nil) })
			t.Run(name+" by TLS", func(t *testing.T) {
				certificate := selfSigned(t)
				staleConnection(t, parting, request, &tls.Config{Certificates: []tls.Certificate{certificate}})
			})
		}
	}
}

func staleConnection(t *testing.T, parting, request string, secure *tls.Config) {
	socket, now := listen(t), aSnapshot()
	target := socket
	if secure != nil {
		target = tls.NewListener(socket, secure)
		now.VPCs.Get("vpc-client").Doors[0].Network.Ports[80].Listeners.Get(
			"s.example").Rules[0].Action.Forward[0].Group.Protocol = lattice.TargetHTTPS
	}
	part, parted := make(chan struct{}), make(chan struct{})
	go serveAndPart(target, parting, part, parted)
	p := New(Config{
		Snapshot: func() *snapshot.Snapshot { return now },
		Guard:    aGuard(func() *snapshot.Snapshot { return now }),
		Picker:   &single{target.Addr().(*net.TCPAddr).AddrPort()},
		Dial: func(ctx context.Context, _ string, address netip.AddrPort) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", address.String())
		},
		Log: slog.New(slog.DiscardHandler),
	})
	here, there := net.Pipe()
	go p.ServeConn(context.Background(), context.Background(), there, inVPC)
	in := bufio.NewReader(here)
	for i := range 2 {
		if _, err := io.WriteString(here, request); err != nil {
			t.Fatal(err)
		}
		if a, err := readAnswer(in, false); err != nil || a.status != 200 || a.body != "hello" {
			t.Fatalf("request %d: %v %v", i, a, err)
		}
		if i == 0 {
			close(part)
			<-parted
		}
	}
	here.Close()
	p.Close()
}

// serveAndPart answers requests, and takes leave of its first connection when told to.
func serveAndPart(l net.Listener, parting string, part, parted chan struct{}) {
	for first := true; ; first = false {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		in := bufio.NewReader(conn)
		for {
			r, err := http.ReadRequest(in)
			if err != nil {
				break
			}
			io.Copy(io.Discard, r.Body)
			io.WriteString(conn, ok)
			if first {
				<-part
				io.WriteString(conn, parting)
				break
			}
		}
		conn.Close()
		if first {
			close(parted)
		}
	}
}
