package proxy

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pergola/dataplane/http1"
	"pergola/dataplane/record"
	"pergola/dataplane/security"
	"pergola/lattice"
)

// selfSigned is a certificate that nobody has reason to trust, for no name.
func selfSigned(t testing.TB) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(-time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TestHTTPSTargets are spoken to by TLS, with any certificate that they have, under the name by which the client calls.
// The connection is kept and used again.
func TestHTTPSTargets(t *testing.T) {
	w := newWorld(t)
	w.listener().Rules[0].Action.Forward[0].Group.Protocol = lattice.TargetHTTPS
	var name atomic.Value
	certificate := selfSigned(t)
	w.targets[targetA] = func(conn net.Conn) {
		secure := tls.Server(conn, &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			name.Store(hello.ServerName)
			return &certificate, nil
		}})
		w.answers(ok, ok)(secure)
	}
	for _, a := range w.say(get+get, inVPC) {
		if a.status != 200 || a.body != "hello" {
			t.Fatalf("answered %v", a)
		}
	}
	if name.Load() != "s.example" {
		t.Errorf("the target was called %v", name.Load())
	}
	if len(w.dials) != 1 {
		t.Errorf("dialled %v, want one connection for both requests", w.dials)
	}
	if !strings.Contains(w.heads[0], "x-forwarded-proto: http\r\n") {
		t.Errorf("the protocol of the client is not told: %q", w.heads[0])
	}
}

// TestTargetsThatDoNotSpeakTLS are as good as those that cannot be reached.
func TestTargetsThatDoNotSpeakTLS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.listener().Rules[0].Action.Forward[0].Group.Protocol = lattice.TargetHTTPS
		w.targets[targetA] = w.answers(ok)
		conn := w.connect(inVPC)
		io.WriteString(conn, get)
		if a, err := readAnswer(bufio.NewReader(conn), false); err != nil || a.status != 503 {
			t.Errorf("answered %v, %v", a, err)
		}
		synctest.Wait()
		if r := w.last(); r.Failure != record.TargetConnectionError {
			t.Errorf("recorded %s", r.Failure)
		}
		conn.Close()
		w.close()
	})
}

// TestOldConnections are cut if a request is still under way a minute after their lifetime, and closed in silence if not.
func TestOldConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *Config) { c.Lifetime = 30 * time.Second })
		w.listener().Service.IdleTimeout = time.Hour
		w.targets[targetA] = func(conn net.Conn) {
			conn.Read(make([]byte, 1024))
			for {
				time.Sleep(10 * time.Second)
				if _, err := conn.Write([]byte("HTTP/1.1 103 Early Hints\r\n\r\n")); err != nil {
					return
				}
			}
		}
		start := time.Now()
		conn := w.connect(inVPC)
		io.WriteString(conn, get)
		io.Copy(io.Discard, conn)
		if took := time.Since(start); took != 90*time.Second {
			t.Errorf("cut after %v", took)
		}
		synctest.Wait()
		if r := w.last(); r.Failure != record.ConnectionDurationExceeded {
			t.Errorf("recorded %s", r.Failure)
		}
		w.close()
	})
}

// TestABrokenAnswerByTLS is no end in order, where only the end of the connection says where the body ends.
func TestABrokenAnswerByTLS(t *testing.T) {
	l := listen(t)
	certificate := selfSigned(t)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		c := http1.NewConn(security.Server(conn, &tls.Config{Certificates: []tls.Certificate{certificate}}), http1.Config{})
		c.Out.StartResponse(200, nil)
		c.Out.EndHead(http1.UntilClose)
		io.WriteString(&c.Out, "half")
		c.Out.Flush()
		c.Reset()
	}()
	client, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := io.ReadAll(client); err == nil {
		t.Error("the client sees an end in order")
	}
}
