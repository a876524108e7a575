package passthrough

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"pergola/dataplane/access"
	"pergola/dataplane/clienthello"
	"pergola/dataplane/record"
	"pergola/lattice"
	"pergola/policy"
	"pergola/sealing"
	"pergola/snapshot"
)

// front listens on loopback and passes what comes on to one address, as a node does.
func (w *world) front(target net.Addr) (address string) {
	w.t.Helper()
	return w.recorded(target, nil)
}

// recorded is front, and hands over the records.
func (w *world) recorded(target net.Addr, record func(*record.Record)) (address string) {
	w.t.Helper()
	w.config.Record = record
	address, _ = w.counted(target)
	return address
}

// counted is front, and counts the buffers that are made.
func (w *world) counted(target net.Addr) (address string, buffers *atomic.Int64) {
	w.t.Helper()
	w.config.Dial = func(ctx context.Context, _ string, _ netip.AddrPort) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", target.String())
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	var running sync.WaitGroup
	relay, buffers := New(w.config), new(atomic.Int64)
	relay.buffers.New = func() any {
		buffers.Add(1)
		return new(buffer)
	}
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				hello, isTLS, replay, err := clienthello.Peek(context.Background(), conn, clienthello.Limits{})
				if err != nil || !isTLS {
					w.t.Errorf("TLS %v: %v", isTLS, err)
					return
				}
				arrival := w.arrival
				arrival.Hello = hello
				relay.Serve(context.Background(), replay, arrival)
			})
		}
	})
	w.t.Cleanup(func() {
		listener.Close()
		running.Wait()
	})
	return listener.Addr().String(), buffers
}

// echo listens on loopback and says again what it hears.
func echo(t *testing.T) net.Addr {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				for block := make([]byte, 32<<10); ; {
					n, err := conn.Read(block)
					if err != nil {
						return
					}
					if _, err := conn.Write(block[:n]); err != nil {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		running.Wait()
	})
	return listener.Addr()
}

// greeted is a connection to a front whose target has heard the hello.
func greeted(t *testing.T, front string) net.Conn {
	t.Helper()
	client, err := net.Dial("tcp", front)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	io.WriteString(client, hello)
	expect(t, client, hello)
	return client
}

func TestIdleConnectionsHoldNoBuffer(t *testing.T) {
	if raceEnabled {
		t.Skip("with the race detector on, pools forget what they are given at random")
	}
	const connections = 100
	w := newWorld(t)
	w.config.Record = nil
	front, buffers := w.counted(echo(t))
	for range connections {
		greeted(t, front)
	}
	if n := buffers.Load(); n > connections/2 {
		t.Errorf("%d buffers were made for %d idle connections", n, connections)
	}
}

func TestTLSEndsAtTheTarget(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		io.Copy(rw, r.Body)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	w := newWorld(t)
	address := w.front(server.Listener.Addr())
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		config := server.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
		config.ServerName, config.MinVersion, config.MaxVersion = "example.com", version, version
		transport := &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "tcp", address)
			},
			TLSClientConfig: config, ForceAttemptHTTP2: true,
		}
		body := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
		response, err := (&http.Client{Transport: transport}).Post("https://example.com/", "text/plain", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(response.Body)
		if err != nil || !bytes.Equal(got, body) || response.ProtoMajor != 2 || response.TLS.Version != version {
			t.Errorf("%s: %d bytes by HTTP/%d: %v", tls.VersionName(version), len(got), response.ProtoMajor, err)
		}
		response.Body.Close()
		transport.CloseIdleConnections()
	}
}

// A whole connection under real policies: the client is told, and the record says, at which level it ended.
func TestPoliciesDecideWhoConnects(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	statement := func(action, condition string) *policy.Policy {
		document := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"` + action + `","Resource":"*"` + condition + `}]}`
		parsed, err := policy.Parse([]byte(document), policy.Resource, 0)
		if err != nil {
			t.Fatal(err)
		}
		return policy.Compile(parsed)
	}
	box, err := sealing.New(make([]byte, sealing.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name             string
		network, service *policy.Policy
		by               access.DeniedBy
	}{
		{"both allow it", statement("vpc-lattice-svcs:Connect", ""), statement("vpc-lattice-svcs:*", `,"Condition":{"IpAddress":{"aws:SourceIp":"127.0.0.0/8"}}`), ""},
		{"the service allows requests", statement("vpc-lattice-svcs:Connect", ""), statement("vpc-lattice-svcs:Invoke", ""), access.DeniedByService},
		{"the network has no policy", nil, statement("vpc-lattice-svcs:Connect", ""), access.DeniedByNetwork},
		{"not from this address", statement("vpc-lattice-svcs:Connect", `,"Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}`), statement("*", ""), access.DeniedByNetwork},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			network, service := w.arrival.Network, w.arrival.Listener.Service
			network.AuthType, network.Policy, service.AuthType, service.Policy = lattice.AuthIAM, tt.network, lattice.AuthIAM, tt.service
			w.config.Guard = access.New(access.Config{Region: "us-west-2", Box: box, Snapshot: func() *snapshot.Snapshot { return &snapshot.Snapshot{} }})
			ended := make(chan *record.Record, 1)
			conn, err := net.Dial("tcp", w.recorded(server.Listener.Addr(), func(r *record.Record) { ended <- r }))
			if err != nil {
				t.Fatal(err)
			}
			client := tls.Client(conn, &tls.Config{ServerName: "orders.example", InsecureSkipVerify: true})
			err = client.Handshake()
			client.Close()
			want := "<nil>"
			if tt.by != "" {
				want = "remote error: " + clienthello.AccessDenied.Error()
			}
			if got := fmt.Sprint(err); got != want {
				t.Errorf("the client is told %q, want %q", got, want)
			}
			if r := <-ended; r.DeniedBy != tt.by || r.ServerName != "orders.example" ||
				(r.Failure == record.ClientAccessDenied) != (tt.by != "") {
				t.Errorf("recorded %+v", r)
			}
		})
	}
}

// amount is how many bytes a connection carries in TestMemoryIsConstant, e.g. 1073741824.
func amount(t *testing.T) int64 {
	given := os.Getenv("PERGOLA_PASSTHROUGH_BYTES")
	if given == "" {
		return 64 << 20
	}
	n, err := strconv.ParseInt(given, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestMemoryIsConstant(t *testing.T) {
	n := amount(t)
	client := greeted(t, newWorld(t).front(echo(t)))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	block := make([]byte, 32<<10)
	go func() {
		pattern := bytes.Repeat([]byte{'x'}, 32<<10)
		for left := n; left > 0; left -= int64(len(pattern)) {
			client.Write(pattern[:min(left, int64(len(pattern)))])
		}
		client.(*net.TCPConn).CloseWrite()
	}()
	read := int64(0)
	for {
		got, err := client.Read(block)
		if read += int64(got); err != nil {
			break
		}
	}
	runtime.ReadMemStats(&after)
	if read != n {
		t.Errorf("%d bytes came back, want %d", read, n)
	}
	// With the race detector on, pools forget what they are given at random.
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 8<<20 && !raceEnabled {
		t.Errorf("%d bytes of memory were allocated for %d carried", allocated, n)
	}
}

func TestAResetIsPassedOn(t *testing.T) {
	target, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	go func() {
		conn, err := target.Accept()
		if err != nil {
			return
		}
		io.ReadFull(conn, make([]byte, len(hello)))
		conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
	}()
	w := newWorld(t)
	client, err := net.Dial("tcp", w.front(target.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	io.WriteString(client, hello)
	if _, err := io.ReadAll(client); err == nil {
		t.Error("the client sees an end in good order")
	}
}
