package loadbalancer

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"pergola/aws/elbv2"
	"pergola/lattice"
	"pergola/snapshot"
	"pergola/snapshot/table"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// socket is where somebody listens in a memory.
type socket struct {
	vpc     string
	address netip.AddrPort
}

// memory is a network in memory. A connection goes to who listens there, or is refused.
type memory struct {
	mu      sync.Mutex // guards what follows
	open    map[socket]*listener
	refused map[socket]bool
	opened  int
}

func (m *memory) listen(vpc string, address netip.AddrPort) (net.Listener, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := socket{vpc, address}
	if m.refused[at] || m.open[at] != nil {
		return nil, errors.New("address not available")
	}
	m.opened++
	m.open[at] = &listener{memory: m, at: at, queue: make(chan net.Conn), closed: make(chan struct{})}
	return m.open[at], nil
}

func (m *memory) sockets() (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.open)
}

// dial connects from an address to another.
func (m *memory) dial(ctx context.Context, vpc string, from netip.Addr, to netip.AddrPort) (net.Conn, error) {
	m.mu.Lock()
	l := m.open[socket{vpc, to}]
	m.mu.Unlock()
	if l == nil {
		return nil, errors.New("connection refused")
	}
	client, server := net.Pipe()
	select {
	case l.queue <- &conn{server, netip.AddrPortFrom(from, 40000)}:
		return client, nil
	case <-l.closed:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

type listener struct {
	memory *memory
	at     socket
	queue  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.queue:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.at.address) }

func (l *listener) Close() error {
	l.once.Do(func() {
		l.memory.mu.Lock()
		defer l.memory.mu.Unlock()
		delete(l.memory.open, l.at)
		close(l.closed)
	})
	return nil
}

// conn is a connection whose other end is at an address.
type conn struct {
	net.Conn
	from netip.AddrPort
}

func (c *conn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.from) }

// bench is a Set on a network in memory.
type bench struct {
	*memory
	*Set
	t *testing.T
}

const vpc = "vpc-1"

var (
	first  = netip.MustParseAddr("10.0.1.4")
	second = netip.MustParseAddr("10.0.2.4")
	caller = netip.MustParseAddr("10.0.1.99")
)

func newBench(t *testing.T, open func(*snapshot.Certificate) (tls.Certificate, error)) *bench {
	t.Helper()
	b := &bench{memory: &memory{open: map[socket]*listener{}, refused: map[socket]bool{}}, t: t}
	b.Set = New(Config{
		Listen: func(_ context.Context, at Interface, port uint16) (net.Listener, error) {
			return b.listen(at.VPC, netip.AddrPortFrom(at.Address, port))
		},
		Dial: func(ctx context.Context, from Interface, to netip.AddrPort) (net.Conn, error) {
			return b.dial(ctx, from.VPC, from.Address, to)
		},
		Open: open,
	})
	t.Cleanup(b.Set.Close)
	return b
}

// world is a snapshot with a load balancer, or without any.
func world(balancers ...*snapshot.LoadBalancer) *snapshot.Snapshot {
	s := &snapshot.Snapshot{VPCs: table.Of(map[string]*snapshot.VPC{vpc: {ID: vpc}})}
	for _, l := range balancers {
		s.LoadBalancers = s.LoadBalancers.With(l.ID, l)
	}
	return s
}

func (b *bench) apply(balancers ...*snapshot.LoadBalancer) {
	b.t.Helper()
	s := world(balancers...)
	b.Leave(s)
	if err := b.Apply(b.t.Context(), s); err != nil {
		b.t.Fatal(err)
	}
}

// balancer has a listener on port 80 that forwards to groups, each with the weight 1.
func aBalancer(groups ...*snapshot.TargetGroup) *snapshot.LoadBalancer {
	l := &snapshot.LoadBalancer{
		ID: "1", ARN: "arn", VPC: vpc, Addresses: []netip.Addr{first, second}, ForwardedFor: elbv2.ForwardedForAppend,
		IdleTimeout: time.Minute,
		Listeners:   []snapshot.BalancerListener{{Protocol: lattice.ProtocolHTTP, Port: 80, TotalWeight: len(groups)}},
	}
	for _, g := range groups {
		l.TargetGroups = l.TargetGroups.With(g.ID, g)
		l.Listeners[0].Forward = append(l.Listeners[0].Forward, snapshot.WeightedTargetGroup{Group: g, Weight: 1})
	}
	return l
}

// aGroup has targets on port 8080. Their health is not checked.
func aGroup(id string, addresses ...string) *snapshot.TargetGroup {
	g := &snapshot.TargetGroup{ID: id, VPC: vpc, Protocol: lattice.TargetHTTP, InUse: true}
	for _, address := range addresses {
		g.Targets = append(g.Targets, snapshot.Target{Key: address, Address: netip.AddrPortFrom(netip.MustParseAddr(address), 8080)})
	}
	return g
}

// target serves at an address on port 8080 until the test ends.
func (b *bench) target(address string, handler http.HandlerFunc) {
	b.t.Helper()
	l, err := b.listen(vpc, netip.AddrPortFrom(netip.MustParseAddr(address), 8080))
	if err != nil {
		b.t.Fatal(err)
	}
	server := &http.Server{Handler: handler}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l)
	}()
	b.t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
}

// client calls the load balancer at an address and a port, and not where the URL says.
func (b *bench) client(to netip.Addr, port uint16) *http.Client {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return b.dial(ctx, vpc, caller, netip.AddrPortFrom(to, port))
		},
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableCompression: true,
	}
	b.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// get calls the load balancer with some header fields, names and values in turn.
func (b *bench) get(url string, fields ...string) (int, string) {
	b.t.Helper()
	return b.getFrom(b.client(first, 80), url, fields...)
}

func (b *bench) getFrom(client *http.Client, url string, fields ...string) (int, string) {
	b.t.Helper()
	request, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, url, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		request.Header.Add(fields[i], fields[i+1])
	}
	response, err := client.Do(request)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		fmt.Fprint(w, text+" "+host)
	}
}

func TestTargetsTakeTurnsAtEachAddress(t *testing.T) {
	b := newBench(t, nil)
	b.target("10.0.1.10", says("one"))
	b.target("10.0.2.10", says("two"))
	b.apply(aBalancer(aGroup("g", "10.0.1.10", "10.0.2.10")))
	for _, at := range []netip.Addr{first, second} {
		client, counts := b.client(at, 80), map[string]int{}
		for range 6 {
			status, body := b.getFrom(client, "http://shop.example/")
			if status != 200 {
				t.Fatalf("%d %q", status, body)
			}
			counts[body]++
		}
		if counts["one "+at.String()] != 3 || counts["two "+at.String()] != 3 {
			t.Errorf("through %s: %v", at, counts)
		}
	}
}

func TestWhatATargetIsToldOfItsClient(t *testing.T) {
	b := newBench(t, nil)
	seen := make(chan *http.Request, 1)
	b.target("10.0.1.10", func(_ http.ResponseWriter, r *http.Request) { seen <- r })
	for _, test := range []struct {
		mode     string
		port     bool
		sent     []string
		expected string
	}{
		{elbv2.ForwardedForAppend, false, nil, "10.0.1.99"},
		{elbv2.ForwardedForAppend, true, nil, "10.0.1.99:40000"},
		{elbv2.ForwardedForAppend, false, []string{"X-Forwarded-For", "1.1.1.1", "X-Forwarded-For", "2.2.2.2"}, "1.1.1.1, 2.2.2.2, 10.0.1.99"},
		{elbv2.ForwardedForPreserve, false, []string{"X-Forwarded-For", "1.1.1.1"}, "1.1.1.1"},
		{elbv2.ForwardedForPreserve, false, nil, ""},
		{elbv2.ForwardedForRemove, false, []string{"X-Forwarded-For", "1.1.1.1"}, ""},
	} {
		l := aBalancer(aGroup("g", "10.0.1.10"))
		l.ForwardedFor, l.ForwardedClientPort = test.mode, test.port
		b.apply(l)
		status, _ := b.get("http://shop.example:80/a%2Fb?x=1;y=2", append(test.sent, "X-Forwarded-Port", "9", "X-Forwarded-Proto", "gopher",
			"Forwarded", "for=me", "X-Forwarded-Host", "other", "Connection", "Upgrade", "Upgrade", "websocket")...)
		r := <-seen
		if status != 200 || strings.Join(r.Header.Values("X-Forwarded-For"), "|") != test.expected {
			t.Errorf("%+v: %d, the target sees %q", test, status, r.Header.Values("X-Forwarded-For"))
		}
		for name, want := range map[string]string{
			"X-Forwarded-Port": "80", "X-Forwarded-Proto": "http", "Forwarded": "for=me", "X-Forwarded-Host": "other", "Upgrade": "", "Accept-Encoding": "",
		} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		if r.Host != "shop.example:80" || r.RequestURI != "/a%2Fb?x=1;y=2" {
			t.Errorf("the target sees %s%s", r.Host, r.RequestURI)
		}
	}
}

func TestAnswersOfItsOwn(t *testing.T) {
	b := newBench(t, nil)
	nowhere := aGroup("nowhere", "10.0.1.77")
	broken := aGroup("broken", "10.0.1.10")
	b.target("10.0.1.10", func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) })
	silent := aGroup("silent", "10.0.1.11")
	ended := make(chan struct{})
	b.target("10.0.1.11", func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		close(ended)
	})
	gone := aGroup("gone")
	gone.Targets = []snapshot.Target{{Key: "i-gone:80"}}
	weightless := aBalancer(nowhere)
	weightless.Listeners[0].TotalWeight, weightless.Listeners[0].Forward[0].Weight = 0, 0
	fixed := aBalancer()
	fixed.Listeners[0].Fixed = &elbv2.FixedResponse{Status: 418, ContentType: "text/css", Body: "tea"}
	for _, test := range []struct {
		name     string
		balancer *snapshot.LoadBalancer
		status   int
		body     string
	}{
		{"fixed response", fixed, 418, "tea"},
		{"no target group left", aBalancer(), 503, "Service Unavailable"},
		{"weights of 0", weightless, 503, "Service Unavailable"},
		{"no target", aBalancer(aGroup("empty")), 503, "Service Unavailable"},
		{"target without an address", aBalancer(gone), 503, "Service Unavailable"},
		{"target that refuses", aBalancer(nowhere), 502, "Bad Gateway"},
		{"target that breaks off", aBalancer(broken), 502, "Bad Gateway"},
		{"target that is silent", aBalancer(silent), 504, "Gateway Timeout"},
	} {
		test.balancer.IdleTimeout = time.Minute
		if test.status == 504 {
			test.balancer.IdleTimeout = time.Millisecond
		}
		b.apply(test.balancer)
		if status, body := b.get("http://shop.example/"); status != test.status || body != test.body {
			t.Errorf("%s: %d %q, want %d %q", test.name, status, body, test.status, test.body)
		}
	}
	<-ended
}

// TestLoadBalancersCallNoLoadBalancers holds that a request cannot go round among them for ever.
func TestLoadBalancersCallNoLoadBalancers(t *testing.T) {
	b := newBench(t, nil)
	fixed := snapshot.BalancerListener{Protocol: lattice.ProtocolHTTP, Port: 8080, Fixed: &elbv2.FixedResponse{Status: 204}}
	third := netip.MustParseAddr("10.0.1.5")
	other := aBalancer()
	other.ID, other.Addresses, other.Listeners = "2", []netip.Addr{third}, []snapshot.BalancerListener{fixed}
	for name, address := range map[string]netip.Addr{"itself": second, "another": third} {
		l := aBalancer(aGroup("g", address.String()))
		l.Listeners = append(l.Listeners, fixed)
		b.apply(l, other)
		if status, body := b.get("http://shop.example/"); status != 502 {
			t.Errorf("%s: %d %q", name, status, body)
		}
		if status, _ := b.getFrom(b.client(address, 8080), "http://shop.example/"); status != 204 {
			t.Errorf("%s: called by a client: %d", name, status)
		}
	}
}

func TestChooseKeepsTheWeights(t *testing.T) {
	light, heavy := aGroup("light"), aGroup("heavy")
	l := &snapshot.BalancerListener{TotalWeight: 4, Forward: []snapshot.WeightedTargetGroup{{Group: light, Weight: 1}, {Group: heavy, Weight: 3}}}
	for n, want := range []*snapshot.TargetGroup{light, heavy, heavy, heavy} {
		if got := choose(l, func(int) int { return n }); got != want {
			t.Errorf("%d chooses %v", n, got)
		}
	}
	if choose(&snapshot.BalancerListener{}, nil) != nil {
		t.Error("a group where there is none")
	}
}

func TestListenersFollowTheSnapshot(t *testing.T) {
	b := newBench(t, nil)
	b.target("10.0.1.10", says("one"))
	l := aBalancer(aGroup("g", "10.0.1.10"))
	b.apply(l)
	if b.sockets() != 3 || b.opened != 3 {
		t.Errorf("%d sockets, %d opened; want one for the target and one at each address", b.sockets(), b.opened)
	}
	b.apply(l)
	changed := *l
	changed.ForwardedFor = elbv2.ForwardedForRemove
	b.apply(&changed)
	if b.opened != 3 {
		t.Errorf("listeners were opened anew: %d", b.opened)
	}
	moved := *l
	moved.Listeners = []snapshot.BalancerListener{{Protocol: lattice.ProtocolHTTP, Port: 81, Fixed: &elbv2.FixedResponse{Status: 204}}}
	b.apply(&moved)
	if status, _ := b.getFrom(b.client(second, 81), "http://shop.example/"); status != 204 {
		t.Errorf("the new port answers %d", status)
	}
	for range 20 { // the same port, from one protocol to the other and back
		for _, protocol := range []lattice.Protocol{lattice.ProtocolHTTPS, lattice.ProtocolHTTP} {
			other := moved
			other.Listeners = []snapshot.BalancerListener{{Protocol: protocol, Port: 81, Fixed: &elbv2.FixedResponse{Status: 204}}}
			b.apply(&other)
		}
	}
	b.apply()
	if b.sockets() != 1 {
		t.Errorf("%d sockets are left, want that of the target", b.sockets())
	}
}

func TestWhatCannotBeOpenedIsTriedAgain(t *testing.T) {
	b := newBench(t, nil)
	at := socket{vpc, netip.AddrPortFrom(second, 80)}
	b.refused[at] = true
	s := world(aBalancer())
	if err := b.Apply(t.Context(), s); err == nil || !strings.Contains(err.Error(), "arn") {
		t.Fatalf("the load balancer is not named: %v", err)
	}
	delete(b.refused, at)
	if err := b.Apply(t.Context(), s); err != nil || b.sockets() != 2 {
		t.Errorf("%v, %d sockets", err, b.sockets())
	}
}

func TestFault_A1_ALoadBalancerThatFailsFailsAlone(t *testing.T) {
	b := newBench(t, nil)
	var held bool
	b.config.Hold = func(id string) bool { return held && id == "1" }
	b.refused[socket{vpc, netip.AddrPortFrom(second, 80)}] = true
	other := *aBalancer()
	other.ID, other.Addresses = "2", []netip.Addr{netip.MustParseAddr("10.0.3.10")}
	one := aBalancer()
	failed := b.Apply(t.Context(), world(one, &other))
	if len(failed) != 1 || failed["1"] == nil || b.sockets() != 2 {
		t.Errorf("failed: %v, %d sockets", failed, b.sockets())
	}
	clear(b.refused)
	held = true
	changed := *one
	changed.Listeners = append(changed.Listeners, snapshot.BalancerListener{Protocol: lattice.ProtocolHTTP, Port: 81,
		Fixed: &elbv2.FixedResponse{Status: 204}})
	if failed := b.Apply(t.Context(), world(&changed, &other)); len(failed) > 0 || b.sockets() != 4 {
		t.Errorf("while it is held, its new listener works: %v, %d sockets, want 4", failed, b.sockets())
	}
	held = false
	if failed := b.Apply(t.Context(), world(&changed, &other)); len(failed) > 0 || b.sockets() != 5 {
		t.Errorf("failed: %v, %d sockets, want 5", failed, b.sockets())
	}
}

func TestRequestsEndAtOnceWhenALoadBalancerGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		arrived := make(chan struct{})
		b.target("10.0.1.10", func(_ http.ResponseWriter, r *http.Request) {
			close(arrived)
			<-r.Context().Done()
		})
		b.apply(aBalancer(aGroup("g", "10.0.1.10")))
		conn, err := b.dial(t.Context(), vpc, caller, netip.AddrPortFrom(first, 80))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		<-arrived
		before := time.Now()
		b.apply()
		if _, err := bufio.NewReader(conn).ReadByte(); err == nil {
			t.Error("the connection goes on")
		}
		if waited := time.Since(before); waited != 0 { // in the time of the bubble
			t.Errorf("the request went on for %v", waited)
		}
	})
}

func TestRequestsEndAsTheyWouldWhenTheNodeStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		b.target("10.0.1.10", func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(time.Second)
			io.WriteString(w, "done")
		})
		b.apply(aBalancer(aGroup("g", "10.0.1.10")))
		client, answers := b.client(first, 80), make(chan string, 1)
		go func() {
			_, body := b.getFrom(client, "http://shop.example/")
			answers <- body
		}()
		synctest.Wait()
		b.Close()
		if body := <-answers; body != "done" {
			t.Errorf("the answer is %q", body)
		}
	})
}

func TestTheHealthOfTargets(t *testing.T) {
	b := newBench(t, nil)
	b.target("10.0.1.10", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/up" {
			w.WriteHeader(500)
		}
	})
	g := aGroup("g", "10.0.1.10", "10.0.1.11")
	g.HealthCheck = &snapshot.HealthCheck{
		Protocol: lattice.TargetHTTP, ProtocolVersion: lattice.HTTP1, Path: "/up", Interval: 5 * time.Millisecond, Timeout: time.Minute,
		HealthyThreshold: 2, UnhealthyThreshold: 2, Codes: []lattice.CodeRange{{From: 200, To: 299}},
	}
	changed := make(chan struct{}, 1)
	b.config.Changed = func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	b.apply(aBalancer(g))
	for {
		report := b.Report()["g"]
		if report["10.0.1.10"].Status == lattice.TargetHealthy && report["10.0.1.11"].Status == lattice.TargetUnhealthy {
			return
		}
		select {
		case <-changed:
		case <-time.After(20 * time.Second):
			t.Fatalf("the report is %v", report)
		}
	}
}

func TestHTTPSListenersHaveTheirCertificate(t *testing.T) {
	shown := map[string]tls.Certificate{"old": selfSigned(t), "new": selfSigned(t)}
	b := newBench(t, func(c *snapshot.Certificate) (tls.Certificate, error) {
		made, ok := shown[c.ARN]
		if !ok {
			return made, errors.New("its key was sealed with another sealing key")
		}
		return made, nil
	})
	with := func(c *snapshot.Certificate) {
		l := aBalancer()
		l.Listeners = append(l.Listeners, snapshot.BalancerListener{
			Protocol: lattice.ProtocolHTTPS, Port: 443, Certificate: c, Fixed: &elbv2.FixedResponse{Status: 200, Body: "safe"},
		})
		b.apply(l)
	}
	for _, name := range []string{"old", "new"} {
		with(&snapshot.Certificate{ARN: name})
		client := b.client(first, 443)
		if status, body := b.getFrom(client, "https://shop.example/"); status != 200 || body != "safe" {
			t.Errorf("%s: %d %q", name, status, body)
		}
		conn, err := client.Transport.(*http.Transport).DialContext(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		secure := tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
		if err := secure.HandshakeContext(t.Context()); err != nil || !bytes.Equal(secure.ConnectionState().PeerCertificates[0].Raw, shown[name].Certificate[0]) {
			t.Errorf("%s: another certificate is shown, %v", name, err)
		}
		_ = conn.Close()
	}
	for _, c := range []*snapshot.Certificate{nil, {ARN: "sealed by another"}} {
		with(c)
		if _, err := b.client(first, 443).Get("https://shop.example/"); err == nil {
			t.Errorf("%v is served", c)
		}
		if status, _ := b.getFrom(b.client(first, 80), "http://shop.example/"); status != 503 {
			t.Errorf("the other listener answers %d", status)
		}
	}
}

func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"shop.example"}, NotAfter: time.Now().Add(time.Hour)}
	encoded, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{encoded}, PrivateKey: key}
}

// TestNothingGoesOnOnceALoadBalancerIsGone wants no connection kept and no check made after the end.
func TestNothingGoesOnOnceALoadBalancerIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		var connections, checks atomic.Int64
		l, err := b.listen(vpc, netip.MustParseAddrPort("10.0.1.10:8080"))
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{
			Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/up" {
					checks.Add(1)
				}
			}),
			ConnState: func(_ net.Conn, state http.ConnState) {
				switch state {
				case http.StateNew:
					connections.Add(1)
				case http.StateClosed:
					connections.Add(-1)
				}
			},
		}
		go server.Serve(l)
		defer server.Close()
		g := aGroup("g", "10.0.1.10")
		g.HealthCheck = &snapshot.HealthCheck{
			Protocol: lattice.TargetHTTP, ProtocolVersion: lattice.HTTP1, Path: "/up", Interval: time.Second, Timeout: time.Second,
			HealthyThreshold: 2, UnhealthyThreshold: 2, Codes: []lattice.CodeRange{{From: 200, To: 299}},
		}
		for _, end := range []func(){func() { b.apply() }, b.Close} {
			b.apply(aBalancer(g))
			client := b.client(first, 80)
			if status, _ := b.getFrom(client, "http://shop.example/"); status != 200 {
				t.Errorf("the target answers %d", status)
			}
			client.CloseIdleConnections()
			time.Sleep(10 * time.Second)
			if connections.Load() != 1 || checks.Load() < 9 {
				t.Errorf("%d connections are kept, %d checks were made", connections.Load(), checks.Load())
			}
			end()
			synctest.Wait()
			if n := connections.Load(); n != 0 {
				t.Errorf("%d connections are left", n)
			}
			checks.Store(0)
			time.Sleep(10 * time.Second)
			if n := checks.Load(); n != 0 {
				t.Errorf("%d checks were made after the end", n)
			}
		}
	})
}
