package dns

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// nameServer is the far end of a dialled connection.
type nameServer func(network, address string, conn net.Conn)

// newForwarder makes a Forwarder whose name servers are 192.0.2.1 and 192.0.2.2, played by a function.
func newForwarder(t *testing.T, play nameServer) *Forwarder {
	t.Helper()
	return NewForwarder(ForwarderConfig{
		ResolvConf: resolvConf(t, "nameserver 192.0.2.1\nnameserver 192.0.2.2\n"),
		Random:     bytes.NewReader(bytes.Repeat([]byte{0xAB, 0xCD}, 100)),
		Dial: func(_ context.Context, network, address string) (net.Conn, error) {
			here, there := net.Pipe()
			go func() {
				defer there.Close()
				play(network, address, there)
			}()
			return here, nil
		},
	})
}

func resolvConf(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// receive reads the query of a packet or a frame.
func receive(t *testing.T, network string, conn net.Conn) dnsmessage.Message {
	if network == "tcp" {
		return readNext(t, conn)
	}
	buffer := make([]byte, maxQuery)
	n, err := conn.Read(buffer)
	if err != nil {
		t.Error(err)
	}
	return unpack(t, buffer[:n])
}

func send(t *testing.T, network string, conn net.Conn, m *dnsmessage.Message) {
	packed, err := m.Pack()
	if err != nil {
		t.Error(err)
	}
	if network == "tcp" {
		writeFrame(t, conn, packed)
	} else {
		conn.Write(packed)
	}
}

func TestForward(t *testing.T) {
	for _, network := range []string{"udp", "tcp"} {
		f := newForwarder(t, func(used, address string, conn net.Conn) {
			m := receive(t, used, conn)
			if used != network || address != "192.0.2.1:53" || m.ID != 0xABCD {
				t.Errorf("%s: asked %s over %s with id %x", network, address, used, m.ID)
			}
			send(t, used, conn, many(m, 1))
		})
		response, err := f.Forward(t.Context(), query(t, "example.com", dnsmessage.TypeA, nil), network)
		if err != nil {
			t.Fatal(err)
		}
		if m := unpack(t, response); m.ID != 4711 || len(m.Answers) != 1 {
			t.Errorf("%s: %v", network, m)
		}
	}
}

func TestForwardAsksAgainOverTCP(t *testing.T) {
	f := newForwarder(t, func(network, _ string, conn net.Conn) {
		response := many(receive(t, network, conn), 100)
		if network == "udp" {
			response.Answers, response.Truncated = nil, true
		}
		send(t, network, conn, response)
	})
	response, err := f.Forward(t.Context(), query(t, "example.com", dnsmessage.TypeA, nil), "udp")
	if err != nil {
		t.Fatal(err)
	}
	if m := unpack(t, response); len(m.Answers) != 100 || m.Truncated {
		t.Errorf("%v with %d answers", m.Header, len(m.Answers))
	}
}

func TestForwardPassesOverForgeries(t *testing.T) {
	f := newForwarder(t, func(network, _ string, conn net.Conn) {
		m := receive(t, network, conn)
		forged := func(change func(*dnsmessage.Message)) {
			response := many(m, 3)
			response.Questions = slices.Clone(m.Questions)
			change(response)
			send(t, network, conn, response)
		}
		forged(func(r *dnsmessage.Message) { r.ID++ })
		forged(func(r *dnsmessage.Message) { r.Response = false })
		forged(func(r *dnsmessage.Message) { r.Questions = nil })
		forged(func(r *dnsmessage.Message) { r.Questions[0].Name = dnsmessage.MustNewName("example.org.") })
		forged(func(r *dnsmessage.Message) { r.Questions[0].Type = dnsmessage.TypeAAAA })
		conn.Write([]byte("nonsense"))
		response := many(m, 1)
		response.Questions = []dnsmessage.Question{{Name: dnsmessage.MustNewName("EXAMPLE.com."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}}
		send(t, network, conn, response)
	})
	response, err := f.Forward(t.Context(), query(t, "example.com", dnsmessage.TypeA, nil), "udp")
	if err != nil {
		t.Fatal(err)
	}
	if m := unpack(t, response); len(m.Answers) != 1 {
		t.Errorf("took a forgery: %v", m)
	}
}

func TestForwardTriesTheNextServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newForwarder(t, func(network, address string, conn net.Conn) {
			m := receive(t, network, conn)
			if address == "192.0.2.1:53" {
				conn.Read(make([]byte, 1)) // until the forwarder gives up
				return
			}
			send(t, network, conn, many(m, 1))
		})
		start := time.Now()
		if _, err := f.Forward(t.Context(), query(t, "example.com", dnsmessage.TypeA, nil), "udp"); err != nil || time.Since(start) != serverTimeout {
			t.Errorf("%v after %s", err, time.Since(start))
		}
	})
}

func TestForwardGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newForwarder(t, func(network, _ string, conn net.Conn) {
			receive(t, network, conn)
			conn.Read(make([]byte, 1))
		})
		_, err := f.Forward(t.Context(), query(t, "example.com", dnsmessage.TypeA, nil), "tcp")
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "192.0.2.1:53") || !strings.Contains(err.Error(), "192.0.2.2:53") {
			t.Errorf("%v", err)
		}
	})
}

func TestForwardNeverAsksItself(t *testing.T) {
	f := NewForwarder(ForwarderConfig{
		ResolvConf: resolvConf(t, "nameserver 127.0.0.1\n"),
		Own:        func(server netip.AddrPort) bool { return server.Addr().IsLoopback() },
		Dial:       func(context.Context, string, string) (net.Conn, error) { panic("dialled") },
	})
	if _, err := f.Forward(t.Context(), query(t, "example.com", dnsmessage.TypeA, nil), "udp"); err == nil {
		t.Error("a response came from nowhere")
	}
}

func TestParseResolvConf(t *testing.T) {
	text := "# nameserver 192.0.2.9\n; nameserver 192.0.2.9\nsearch example.com\nnameserver\nnameserver nonsense\n" +
		"nameserver 192.0.2.1 \n\tnameserver\t2001:db8::1\nnameserver fe80::1%eth0\nnameserver 192.0.2.4"
	want := []netip.AddrPort{
		netip.MustParseAddrPort("192.0.2.1:53"), netip.MustParseAddrPort("[2001:db8::1]:53"), netip.MustParseAddrPort("[fe80::1%eth0]:53"),
	}
	if got := parseResolvConf(text); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func FuzzParseResolvConf(f *testing.F) {
	f.Add("nameserver 192.0.2.1\noptions edns0\n")
	f.Add("nameserver fe80::1%eth0")
	f.Fuzz(func(t *testing.T, text string) {
		servers := parseResolvConf(text)
		if len(servers) > maxServers {
			t.Errorf("%d servers", len(servers))
		}
		for _, server := range servers {
			if !server.IsValid() || server.Port() != 53 {
				t.Errorf("server %v", server)
			}
		}
	})
}
