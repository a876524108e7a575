//go:build unix

package security_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"io"
	"net"
	"testing"
	"time"

	"pergola/dataplane/descriptor"
	"pergola/dataplane/security"
)

// pieces is the way from a server to a client on which a test holds up what the server sends.
type pieces struct {
	net.Conn
	held chan []byte
}

func (p *pieces) Write(b []byte) (int, error) {
	p.held <- append([]byte(nil), b...)
	return len(b), nil
}

// TestReadDescriptor reads what has come of TLS and never waits: nothing of a record that has not come whole, all of those
// that have, with a piece of them left in crypto/tls or not, and the end.
func TestReadDescriptor(t *testing.T) {
	for name, version := range map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
		t.Run(name, func(t *testing.T) {
			here, there := tcp(t)
			key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			way := &pieces{there, make(chan []byte, 64)}
			config := &tls.Config{Certificates: []tls.Certificate{shown(t, key, key.Public())}, MaxVersion: version}
			server := tls.Server(way, config)
			client := security.Client(here, &tls.Config{InsecureSkipVerify: true})
			shaken := make(chan error, 2)
			go func() { shaken <- server.Handshake() }()
			go func() { shaken <- client.Handshake() }()
			for range 2 {
				for done := false; !done; {
					select {
					case b := <-way.held:
						there.Write(b)
					case err := <-shaken:
						if done = true; err != nil {
							t.Fatal(err)
						}
					}
				}
			}
			sent := func() (b []byte) {
				for len(way.held) > 0 {
					b = append(b, <-way.held...)
				}
				return b
			}
			raw := descriptor.Of(client)
			if raw == nil {
				t.Fatal("there is no descriptor")
			}
			// read reads once something has arrived, as an engine does, or only what is there already.
			read := func(wait bool) (text string, again bool, err error) {
				p := make([]byte, 3)
				failed := raw.Read(func(fd uintptr) bool {
					var n int
					n, again, err = descriptor.ReaderOf(client)(fd, p)
					text = string(p[:n])
					return !again || !wait
				})
				if failed != nil {
					t.Fatal(failed)
				}
				return text, again, err
			}
			there.Write(sent()) // tickets, with TLS 1.3
			if text, again, err := read(false); !again || text != "" || err != nil {
				t.Fatalf("of nothing: %q %v %v", text, again, err)
			}
			io.WriteString(server, "hello")
			record := sent()
			there.Write(record[:len(record)-4])
			if text, again, err := read(false); !again || text != "" || err != nil {
				t.Fatalf("of a part of a record: %q %v %v", text, again, err)
			}
			there.Write(record[len(record)-4:])
			for _, want := range []string{"hel", "lo"} {
				if text, _, err := read(true); text != want || err != nil {
					t.Fatalf("read %q %v, want %q", text, err, want)
				}
			}
			io.WriteString(server, "x")
			server.CloseWrite()
			there.SetWriteDeadline(time.Time{}) // crypto/tls thinks that nothing follows
			there.Write(sent())
			for _, want := range []string{"x", ""} {
				if text, again, err := read(true); text != want || again || err != nil {
					t.Errorf("at the end: %q %v %v, want %q", text, again, err, want)
				}
			}
		})
	}
}

func tcp(t *testing.T) (here, there net.Conn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if here, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if there, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		here.Close()
		there.Close()
	})
	return here, there
}
