package proxy

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"pergola/dataplane/record"
	"pergola/lattice"
	"pergola/policy"
	"pergola/sealing"
	"pergola/sigv4"
	"pergola/snapshot"
)

// single is a Picker with one target, which is its own handle.
type single struct{ address netip.AddrPort }

// Pick picks the target, once for each request.
func (s *single) Pick(_ *snapshot.TargetGroup, tried ...netip.AddrPort) (Target, bool) {
	return s, len(tried) == 0
}
func (s *single) Address() netip.AddrPort { return s.address }
func (s *single) Unreachable()            {}
func (s *single) Reached()                {}
func (s *single) Done()                   {}

// canned answers every read on every connection with the same response: the least that a target can cost.
func canned(l net.Listener, response []byte) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			buf := make([]byte, 4096)
			for {
				if _, err := conn.Read(buf); err != nil {
					return
				}
				if _, err := conn.Write(response); err != nil {
					return
				}
			}
		}()
	}
}

func listen(t testing.TB) net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// onLoopback starts a proxy and a target on loopback, and returns the proxy's address.
func onLoopback(t testing.TB) string { return serving(t, aSnapshot()) }

// serving is onLoopback for a snapshot.
func serving(t testing.TB, now *snapshot.Snapshot) string {
	target, front := listen(t), listen(t)
	go canned(target, []byte(ok))
	p := New(Config{
		Snapshot: func() *snapshot.Snapshot { return now },
		Guard:    aGuard(func() *snapshot.Snapshot { return now }),
		Picker:   &single{target.Addr().(*net.TCPAddr).AddrPort()},
		Dial: func(ctx context.Context, _ string, address netip.AddrPort) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", address.String())
		},
		Record: func(*record.Record) {}, RequestsPerSecond: -1,
		Log: slog.New(slog.DiscardHandler),
	})
	go func() {
		for {
			conn, err := front.Accept()
			if err != nil {
				return
			}
			go p.ServeConn(context.Background(), context.Background(), conn, inVPC)
		}
	}()
	t.Cleanup(func() { p.Close() })
	return front.Addr().String()
}

// requests returns a function that makes one plain request on a connection to address.
func requests(t testing.TB, address string) func() { return repeats(t, address, get) }

// repeats is requests for a request of one's own.
func repeats(t testing.TB, address, request string) func() {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	text, buf := []byte(request), make([]byte, 512)
	return func() {
		if _, err := conn.Write(text); err != nil {
			t.Fatal(err)
		}
		n := 0
		for !bytes.HasSuffix(buf[:n], []byte("hello")) {
			m, err := conn.Read(buf[n:])
			if err != nil {
				t.Fatal(err)
			}
			n += m
		}
	}
}

// TestAllocations holds that a request is forwarded and recorded without allocating, also if it is signed and a policy
// has to be asked.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector empties pools at random")
	}
	for name, request := range map[string]func(){
		"plain":    requests(t, onLoopback(t)),
		"unsigned": requests(t, serving(t, guardedSnapshot(t))),
		"signed":   repeats(t, serving(t, guardedSnapshot(t)), signedGet(t)),
	} {
		for range 10 {
			request()
		}
		if n := testing.AllocsPerRun(1000, request); n != 0 {
			t.Errorf("a forwarded request, %s, allocates %v times", name, n)
		}
	}
}

const benchSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"

// guardedSnapshot is one whose service asks for authorisation, and lets everybody in.
func guardedSnapshot(t testing.TB) *snapshot.Snapshot {
	allow := func(kind policy.Kind, principal string) *policy.Policy {
		document, err := policy.Parse([]byte(`{"Statement":{"Effect":"Allow",`+principal+`"Action":"*","Resource":"*"}}`), kind, 0)
		if err != nil {
			t.Fatal(err)
		}
		return policy.Compile(document)
	}
	box, err := sealing.New(make([]byte, sealing.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	now := aSnapshot()
	service := now.VPCs.Get("vpc-client").Doors[0].Network.Names.Get("s.example")
	service.AuthType, service.Policy = lattice.AuthIAM, allow(policy.Resource, `"Principal":"*",`)
	user := &snapshot.Principal{Type: policy.User, Account: "111122223333", ARN: "arn:aws:iam::111122223333:user/alice",
		Tags: snapshot.Tags{{Key: "team", Value: "blue"}}, Policies: []*policy.Policy{allow(policy.Identity, "")}}
	now.Identities.Keys = now.Identities.Keys.With("AKIA1",
		&snapshot.Key{ID: "AKIA1", Sealed: box.SealSecret("AKIA1", benchSecret), Principal: user})
	return now
}

// signedGet is get with a signature of now.
func signedGet(t testing.TB) string {
	request, err := http.NewRequest("GET", "http://s.example/path?q=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	s := sigv4.Signer{AccessKeyID: "AKIA1", SecretAccessKey: benchSecret, Region: "us-west-2", Service: "vpc-lattice-svcs", Payload: sigv4.PayloadUnsigned}
	if err := s.SignHTTP(request, nil, time.Now()); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := request.Write(&text); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// TestMemoryWhileIdle measures what a client connection holds that has had a request answered and waits for the next:
// below the 10 KB that the project promises, with the client's own end included.
func TestMemoryWhileIdle(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has memory of its own")
	}
	const connections = 300
	address := onLoopback(t)
	requests(t, address)()
	before := inUse()
	for range connections {
		requests(t, address)()
	}
	each := (inUse() - before) / connections
	t.Logf("%d bytes for each idle connection", each)
	if each > 10<<10 {
		t.Errorf("an idle connection holds %d bytes", each)
	}
}

// inUse is the memory of heap and stacks that is in use after collection.
func inUse() uint64 {
	var m runtime.MemStats
	for range 4 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

// BenchmarkForward measures a plain request through the proxy over loopback, client and target included.
func BenchmarkForward(b *testing.B) {
	benchmarkParallel(b, onLoopback(b))
}

// BenchmarkForwardSigned is the same for a signed request that two policies allow.
func BenchmarkForwardSigned(b *testing.B) {
	address, request := serving(b, guardedSnapshot(b)), signedGet(b)
	b.ReportAllocs()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		request := repeats(b, address, request)
		for pb.Next() {
			request()
		}
	})
}

// BenchmarkReverseProxy is the same through the standard library's proxy.
func BenchmarkReverseProxy(b *testing.B) {
	target, front := listen(b), listen(b)
	go canned(target, []byte(ok))
	rp := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: target.Addr().String()})
	rp.Transport = &http.Transport{MaxIdleConnsPerHost: 256}
	server := &http.Server{Handler: rp}
	go server.Serve(front)
	b.Cleanup(func() { server.Close(); rp.Transport.(*http.Transport).CloseIdleConnections() })
	benchmarkParallel(b, front.Addr().String())
}

// BenchmarkDirect is the same without a proxy: what client and target alone cost.
func BenchmarkDirect(b *testing.B) {
	target := listen(b)
	go canned(target, []byte(ok))
	benchmarkParallel(b, target.Addr().String())
}

func benchmarkParallel(b *testing.B, address string) {
	b.ReportAllocs()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		request := requests(b, address)
		for pb.Next() {
			request()
		}
	})
}

// BenchmarkDownload measures long responses, in bytes.
func BenchmarkDownload(b *testing.B) {
	const length = 8 << 20
	w := aSnapshot()
	target, front := listen(b), listen(b)
	server := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Length", "8388608")
		rw.Write(make([]byte, length))
	})}
	go server.Serve(target)
	p := New(Config{
		Snapshot: func() *snapshot.Snapshot { return w },
		Guard:    aGuard(func() *snapshot.Snapshot { return w }),
		Picker:   &single{target.Addr().(*net.TCPAddr).AddrPort()},
		Dial: func(ctx context.Context, _ string, address netip.AddrPort) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", address.String())
		},
	})
	go func() {
		conn, err := front.Accept()
		if err == nil {
			p.ServeConn(context.Background(), context.Background(), conn, inVPC)
		}
	}()
	conn, err := net.Dial("tcp", front.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close(); p.Close(); server.Close() })
	b.SetBytes(length)
	buf := make([]byte, 256<<10)
	for b.Loop() {
		io.WriteString(conn, get)
		for got := 0; got < length; {
			n, err := conn.Read(buf)
			if err != nil {
				b.Fatal(err)
			}
			got += n
		}
	}
}
