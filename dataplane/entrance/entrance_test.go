package entrance

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"pergola/dataplane/parking"
	"pergola/dataplane/passthrough"
	"pergola/dataplane/proxy"
	"pergola/dataplane/security"
	"pergola/lattice"
	"pergola/snapshot"
	"pergola/snapshot/table"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serving is who served a connection, and what reached him.
type serving struct {
	by      string
	arrival proxy.Arrival
	passed  passthrough.Arrival
	heard   string
}

// everybody stands for all whom an Entrance gives connections to. Each of them reads five bytes.
type everybody struct {
	certificate tls.Certificate
	served      chan serving
}

func (e *everybody) hear(conn net.Conn, s serving) {
	heard := make([]byte, 5)
	io.ReadFull(conn, heard)
	s.heard = string(heard)
	conn.Close()
	e.served <- s
}

func (e *everybody) ServeConn(_, _ context.Context, conn net.Conn, arrival proxy.Arrival) *parking.Pause {
	e.hear(conn, serving{by: "HTTP/1.1", arrival: arrival})
	return nil
}

func (e *everybody) ServeHTTP2(_, _ context.Context, conn net.Conn, arrival proxy.Arrival) *parking.Pause {
	e.hear(conn, serving{by: "HTTP/2", arrival: arrival})
	return nil
}

func (e *everybody) Serve(_ context.Context, conn net.Conn, arrival passthrough.Arrival) {
	e.hear(conn, serving{by: "relay", passed: arrival})
}

func (e *everybody) Handshake(ctx context.Context, conn net.Conn, _ *snapshot.Snapshot, service *snapshot.Service, name string) (*security.Conn, error) {
	if service.ID == "svc-broken" {
		return nil, errors.New("no certificate for " + name)
	}
	secure := security.Server(conn, &tls.Config{Certificates: []tls.Certificate{e.certificate}, NextProtos: []string{"h2", "http/1.1"}})
	return secure, secure.HandshakeContext(ctx)
}

func aCertificate(t *testing.T) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// theDoor is the key of the door of vpc-1.
const theDoor = "servicenetworkvpcassociation/snva-1"

// aSnapshot has a VPC whose service network listens on port 80 for one service in plain text, and on port 443 for four,
// each in its own way.
func aSnapshot() *snapshot.Snapshot {
	listener := func(id string, protocol lattice.Protocol) *snapshot.Listener {
		return &snapshot.Listener{ID: "listener-" + id, Protocol: protocol, Service: &snapshot.Service{ID: "svc-" + id}}
	}
	return &snapshot.Snapshot{VPCs: table.Of(map[string]*snapshot.VPC{"vpc-1": {ID: "vpc-1",
		Doors: []snapshot.Door{{Key: theDoor, Network: &snapshot.Network{Ports: map[uint16]*snapshot.Port{
			80: {Listeners: table.Of(map[string]*snapshot.Listener{"plain.example": listener("plain", lattice.ProtocolHTTP)})},
			443: {TLS: true, Listeners: table.Of(map[string]*snapshot.Listener{
				"plain.example":  listener("plain", lattice.ProtocolHTTP),
				"ended.example":  listener("ended", lattice.ProtocolHTTPS),
				"broken.example": listener("broken", lattice.ProtocolHTTPS),
				"passed.example": listener("passed", lattice.ProtocolTLSPassthrough),
			})},
		}}}}}})}
}

// arrive makes a connection arrive at a port, and returns the client's end.
func arrive(t *testing.T, e *Entrance, vpc string, port uint16) net.Conn {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	here, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	there, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		e.Serve(t.Context(), t.Context(), there, snapshot.DoorPort{VPC: vpc, Door: theDoor, Port: port})
	}()
	t.Cleanup(func() {
		here.Close()
		<-done
	})
	return here
}

// TestPlainText goes to the proxy, on ports where TLS is spoken too, and where nobody listens any more.
func TestPlainText(t *testing.T) {
	all := &everybody{served: make(chan serving, 1)}
	e := New(Config{Snapshot: aSnapshot, Terminator: all, Requests: all, Relay: all})
	for _, port := range []uint16{80, 443, 8080} {
		io.WriteString(arrive(t, e, "vpc-1", port), "GET / HTTP/1.1\r\n")
		got := <-all.served
		if got.by != "HTTP/1.1" || got.heard != "GET /" ||
			got.arrival != (proxy.Arrival{VPC: "vpc-1", Door: theDoor, Port: port}) {
			t.Errorf("port %d: %+v", port, got)
		}
	}
}

// TestTLS goes where the server name says.
func TestTLS(t *testing.T) {
	all := &everybody{certificate: aCertificate(t), served: make(chan serving, 1)}
	e := New(Config{Snapshot: aSnapshot, Terminator: all, Requests: all, Relay: all})
	for _, test := range []struct {
		name, serverName string
		protocols        []string
		by               string // who serves it
		alert            string // what the client is told if nobody does
	}{
		{"ended, no protocol named", "ended.example", nil, "HTTP/1.1", ""},
		{"ended, HTTP/1.1", "ended.example", []string{"http/1.1"}, "HTTP/1.1", ""},
		{"ended, both", "ENDED.example", []string{"http/1.1", "h2"}, "HTTP/2", ""},
		{"passed through", "passed.example", nil, "relay", ""},
		{"unknown name", "other.example", nil, "", "unrecognized name"},
		{"no name", "", nil, "", "unrecognized name"},
		{"name of a service that speaks plain text", "plain.example", nil, "", "unrecognized name"},
		{"no certificate", "broken.example", nil, "", "EOF"},
	} {
		t.Run(test.name, func(t *testing.T) {
			conn := arrive(t, e, "vpc-1", 443)
			secure := tls.Client(conn, &tls.Config{ServerName: test.serverName, InsecureSkipVerify: true, NextProtos: test.protocols})
			told := make(chan error, 1)
			go func() {
				_, err := io.WriteString(secure, "hello")
				told <- err
			}()
			if test.by == "" {
				if err := <-told; err == nil || !strings.Contains(err.Error(), test.alert) && !errors.Is(err, io.EOF) {
					t.Errorf("the client was told %v, want %s", err, test.alert)
				}
				return
			}
			got := <-all.served
			conn.Close()
			<-told
			if got.by != test.by {
				t.Fatalf("served by %q", got.by)
			}
			if test.by == "relay" {
				if got.passed.Listener.ID != "listener-passed" || got.passed.VPC.ID != "vpc-1" || got.passed.Hello.ServerName != "passed.example" || got.heard[0] != 22 {
					t.Errorf("%+v", got)
				}
				return
			}
			if got.heard != "hello" || !strings.EqualFold(got.arrival.ServerName, "ended.example") {
				t.Errorf("%+v", got)
			}
		})
	}
	io.Copy(io.Discard, say(arrive(t, e, "vpc-1", 443), "\x16\x03\x01\x00\x05hello"))
	if got := e.Refusals(); got != (Refusals{Malformed: 1, Unknown: 3}) {
		t.Errorf("counted %+v", got)
	}
}

func say(conn net.Conn, text string) net.Conn {
	io.WriteString(conn, text)
	return conn
}

// TestNothingSaid lets a client go that connects and says nothing.
func TestNothingSaid(t *testing.T) {
	all := &everybody{served: make(chan serving, 1)}
	e := New(Config{Snapshot: aSnapshot, Terminator: all, Requests: all, Relay: all})
	conn := arrive(t, e, "vpc-1", 443)
	conn.(*net.TCPConn).CloseWrite()
	if n, err := conn.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("read %d, %v", n, err)
	}
	if got := e.Refusals(); got != (Refusals{}) {
		t.Errorf("counted %+v", got)
	}
}
