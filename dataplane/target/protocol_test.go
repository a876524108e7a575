package target

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"pergola/lattice"
	"pergola/snapshot"
)

// way is a way to check health.
type way struct {
	protocol lattice.TargetProtocol
	version  lattice.ProtocolVersion
}

func (w way) String() string { return fmt.Sprint(w.protocol, " ", w.version) }

// ways are all that a health check can be set to.
var ways = []way{
	{lattice.TargetHTTP, lattice.HTTP1}, {lattice.TargetHTTP, lattice.HTTP2},
	{lattice.TargetHTTPS, lattice.HTTP1}, {lattice.TargetHTTPS, lattice.HTTP2},
	{lattice.TargetTCP, lattice.HTTP1},
}

func (w way) settings() *snapshot.HealthCheck {
	h := *groupOf().HealthCheck
	h.Protocol, h.ProtocolVersion, h.Path = w.protocol, w.version, "/health%20y?deep=1"
	return &h
}

// server is a real target. It speaks one protocol by one version, and answers every request with a status.
func server(t *testing.T, speaks way, status int) (address netip.AddrPort, asked chan *http.Request) {
	t.Helper()
	asked = make(chan *http.Request, 1)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(status)
		io.WriteString(w, "a body that nobody reads")
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Config.Protocols = new(http.Protocols)
	switch {
	case speaks.version == lattice.HTTP1:
		s.Config.Protocols.SetHTTP1(true)
	case speaks.protocol == lattice.TargetHTTPS:
		s.Config.Protocols.SetHTTP2(true)
		s.EnableHTTP2 = true
	default:
		s.Config.Protocols.SetUnencryptedHTTP2(true)
	}
	if speaks.protocol == lattice.TargetHTTPS {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return netip.MustParseAddrPort(s.Listener.Addr().String()), asked
}

// systemSet is a Set that checks targets at addresses of the system.
func systemSet(t *testing.T) *Set {
	set := New(Config{Dial: func(ctx context.Context, _ string, address netip.AddrPort) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", address.String())
	}})
	t.Cleanup(set.Close)
	return set
}

// expectCheck checks a target and compares what the check says; "" is that it passes.
func expectCheck(t *testing.T, set *Set, at netip.AddrPort, h *snapshot.HealthCheck, problem string) {
	t.Helper()
	err := set.check(t.Context(), &Target{vpc: vpcID, addresses: []netip.AddrPort{at}}, h)
	switch {
	case problem == "" && err != nil:
		t.Errorf("the check fails: %v", err)
	case problem != "" && (err == nil || !strings.Contains(err.Error(), problem)):
		t.Errorf("the check says %v, want %q", err, problem)
	}
}

func TestEveryWayToCheck(t *testing.T) {
	for _, way := range ways {
		if way.protocol == lattice.TargetTCP {
			continue
		}
		t.Run(way.String(), func(t *testing.T) {
			set := systemSet(t)
			at, asked := server(t, way, http.StatusOK)
			expectCheck(t, set, at, way.settings(), "")
			r := <-asked
			major := map[lattice.ProtocolVersion]int{lattice.HTTP1: 1, lattice.HTTP2: 2}[way.version]
			if r.Method != "GET" || r.RequestURI != "/health%20y?deep=1" || r.Host != at.String() || r.UserAgent() != userAgent || r.ProtoMajor != major {
				t.Errorf("the target was asked %s %s of %s by %s, HTTP/%d", r.Method, r.RequestURI, r.Host, r.UserAgent(), r.ProtoMajor)
			}
			if secured := way.protocol == lattice.TargetHTTPS; (r.TLS != nil) != secured {
				t.Errorf("TLS is %v, want %v", r.TLS != nil, secured)
			}
			at, _ = server(t, way, http.StatusServiceUnavailable)
			expectCheck(t, set, at, way.settings(), "answered with 503")
		})
	}
}

func TestTargetsThatSpeakAnotherProtocol(t *testing.T) {
	for _, tt := range []struct {
		check, speaks way
		problem       string
	}{
		{way{lattice.TargetHTTP, lattice.HTTP1}, way{lattice.TargetHTTP, lattice.HTTP2}, "no valid response"},
		{way{lattice.TargetHTTP, lattice.HTTP1}, way{lattice.TargetHTTPS, lattice.HTTP1}, "answered with 400"},
		{way{lattice.TargetHTTP, lattice.HTTP2}, way{lattice.TargetHTTP, lattice.HTTP1}, "no valid response"},
		{way{lattice.TargetHTTP, lattice.HTTP2}, way{lattice.TargetHTTPS, lattice.HTTP2}, "no valid response"},
		{way{lattice.TargetHTTPS, lattice.HTTP1}, way{lattice.TargetHTTP, lattice.HTTP1}, "no TLS with the target"},
		{way{lattice.TargetHTTPS, lattice.HTTP2}, way{lattice.TargetHTTP, lattice.HTTP2}, "no TLS with the target"},
		{way{lattice.TargetHTTPS, lattice.HTTP2}, way{lattice.TargetHTTPS, lattice.HTTP1}, "no TLS with the target: remote error: tls: no application protocol"},
		{way{lattice.TargetHTTPS, "GRPC"}, way{lattice.TargetHTTPS, lattice.HTTP2}, "health checks by HTTPS with version GRPC are not supported"},
		{way{"UDP", lattice.HTTP1}, way{lattice.TargetHTTP, lattice.HTTP1}, "health checks by UDP with version HTTP1 are not supported"},
	} {
		t.Run(fmt.Sprintf("%v of %v", tt.check, tt.speaks), func(t *testing.T) {
			at, _ := server(t, tt.speaks, http.StatusOK)
			expectCheck(t, systemSet(t), at, tt.check.settings(), tt.problem)
		})
	}
}

// TestTheSchemeOfACheck is that of the connection. Servers tell what came by TLS by it, and some refuse another.
func TestTheSchemeOfACheck(t *testing.T) {
	made := httptest.NewTLSServer(nil)
	made.Close()
	for protocol, want := range map[lattice.TargetProtocol]string{lattice.TargetHTTP: "http", lattice.TargetHTTPS: "https"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		at := address(l.Addr().String())
		if protocol == lattice.TargetHTTPS {
			l = tls.NewListener(l, &tls.Config{Certificates: made.TLS.Certificates, NextProtos: []string{"h2"}})
		}
		scheme := make(chan string, 1)
		go func() {
			defer close(scheme)
			defer l.Close()
			if conn, err := l.Accept(); err == nil {
				defer conn.Close()
				scheme <- schemeOf(conn)
			}
		}()
		expectCheck(t, systemSet(t), at, way{protocol, lattice.HTTP2}.settings(), "no valid response")
		if got := <-scheme; got != want {
			t.Errorf("the scheme of a check by %s is %q", protocol, got)
		}
	}
}

// schemeOf is the scheme of the first request by HTTP/2, or what kept it from being read.
func schemeOf(conn net.Conn) string {
	if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
		return err.Error()
	}
	framer := http2.NewFramer(conn, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	framer.WriteSettings()
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return err.Error()
		}
		if head, ok := frame.(*http2.MetaHeadersFrame); ok {
			return head.PseudoValue("scheme")
		}
	}
}

func TestACheckByTCPAsksForAConnectionAlone(t *testing.T) {
	tcp := way{lattice.TargetTCP, lattice.HTTP1}
	at, asked := server(t, way{lattice.TargetHTTPS, lattice.HTTP1}, http.StatusServiceUnavailable)
	expectCheck(t, systemSet(t), at, tcp.settings(), "")
	if len(asked) > 0 {
		t.Error("the target was asked something")
	}
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	expectCheck(t, systemSet(t), address(gone.Addr().String()), tcp.settings(), "refused")
}

// bare speaks TLS of one config, and HTTP/1.1 within.
func bare(t *testing.T, config *tls.Config) netip.AddrPort {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), ErrorLog: log.New(io.Discard, "", 0)}
	served := make(chan struct{})
	go func() {
		defer close(served)
		s.Serve(l)
	}()
	t.Cleanup(func() {
		s.Close()
		<-served
	})
	return address(l.Addr().String())
}

func TestTLSOfTargets(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	expired := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"elsewhere.example"}, NotAfter: time.Unix(1, 0)}
	der, err := x509.CreateCertificate(rand.Reader, expired, expired, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	ofECDSA := []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}
	made := httptest.NewTLSServer(nil)
	made.Close()
	ofRSA := made.TLS.Certificates
	https := way{lattice.TargetHTTPS, lattice.HTTP1}
	for _, tt := range []struct {
		name    string
		config  *tls.Config
		way     way
		problem string
	}{
		{"a certificate of another name that has expired", &tls.Config{Certificates: ofECDSA}, https, ""},
		{"TLS 1.2", &tls.Config{Certificates: ofRSA, MaxVersion: tls.VersionTLS12}, https, ""},
		{"the last suite of the guide", &tls.Config{Certificates: ofRSA, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_256_CBC_SHA}}, https, ""},
		{"a suite that the guide does not have", &tls.Config{Certificates: ofRSA, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256}}, https, "handshake failure"},
		{"TLS 1.1", &tls.Config{Certificates: ofRSA, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, https, "protocol version"},
		{"nothing said of HTTP/2", &tls.Config{Certificates: ofRSA}, way{lattice.TargetHTTPS, lattice.HTTP2}, `agrees on none of ["h2"]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			expectCheck(t, systemSet(t), bare(t, tt.config), tt.way.settings(), tt.problem)
		})
	}
}

func TestTargetsThatDoNotAnswer(t *testing.T) {
	for _, way := range ways {
		if way.protocol == lattice.TargetTCP {
			continue
		}
		t.Run(way.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork()
				n.answer(address(one), mute)
				set := New(Config{Dial: n.dial})
				defer set.Close()
				start := time.Now()
				expectCheck(t, set, address(one), way.settings(), "did not respond within 5s")
				if took := time.Since(start); took != 5*time.Second {
					t.Errorf("the check took %v", took)
				}
				synctest.Wait()
				if n.connections() != 0 {
					t.Error("the connection was left open")
				}
			})
		})
	}
}
