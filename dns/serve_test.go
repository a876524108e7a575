package dns

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"pergola/containment"
	"pergola/snapshot"
)

// pipes is a listener whose connections are in memory.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// from is a connection that comes from an address.
type from struct {
	net.Conn
	client net.Addr
}

func (f from) RemoteAddr() net.Addr { return f.client }

func (p *pipes) dialFrom(t *testing.T, client string) net.Conn {
	here, there := net.Pipe()
	select {
	case p.conns <- from{there, net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(client), 40000))}:
	case <-p.done:
		t.Fatal("the listener is closed")
	}
	return here
}

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

// serve runs a serving function until the test ends and checks that it then returns nil.
func serve(t *testing.T, run func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serving ended with %v", err)
		}
	})
}

func servePipes(t *testing.T, s *Server) *pipes {
	t.Helper()
	p := newPipes()
	serve(t, func(ctx context.Context) error { return s.ServeStream(ctx, "vpc-1", p) })
	return p
}

// serveUDP serves on a loopback address and returns it.
func serveUDP(t *testing.T, s *Server) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serve(t, func(ctx context.Context) error { return s.ServePacket(ctx, "vpc-1", conn) })
	return conn.LocalAddr().String()
}

// one answers every question with an A record of 192.0.2.1.
func one(_ context.Context, query []byte, _ string) ([]byte, error) {
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil {
		return nil, err
	}
	return many(m, 1).Pack()
}

// many is a response with so many records.
func many(m dnsmessage.Message, records int) *dnsmessage.Message {
	m.Response, m.Additionals = true, nil
	for range records {
		m.Answers = append(m.Answers, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Class: dnsmessage.ClassINET, TTL: 1},
			Body:   &dnsmessage.AResource{A: [4]byte{192, 0, 2, 1}},
		})
	}
	return &m
}

// TestResolver asks with the resolver of the standard library, over UDP and over a stream.
func TestResolver(t *testing.T) {
	s := newServer(one)
	udp := serveUDP(t, s)
	for network, dial := range map[string]func(context.Context, string, string) (net.Conn, error){
		"udp": func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "udp", udp)
		},
		"stream": servePipes(t, s).dial,
	} {
		resolver := &net.Resolver{PreferGo: true, Dial: dial}
		addresses, err := resolver.LookupNetIP(t.Context(), "ip", parking+".")
		if err != nil || len(addresses) != 2 || addresses[0].Unmap() != service4 && addresses[1].Unmap() != service4 {
			t.Errorf("%s: %s is at %v, %v", network, parking, addresses, err)
		}
		var missing *net.DNSError
		if _, err = resolver.LookupHost(t.Context(), elsewhere+"."); !errors.As(err, &missing) || !missing.IsNotFound {
			t.Errorf("%s: %s: %v", network, elsewhere, err)
		}
		if hosts, err := resolver.LookupHost(t.Context(), "example.com."); err != nil || hosts[0] != "192.0.2.1" {
			t.Errorf("%s: example.com: %v, %v", network, hosts, err)
		}
	}
}

// exchangeUDP sends one packet and returns the packet that comes back.
func exchangeUDP(t *testing.T, address string, query []byte) dnsmessage.Message {
	t.Helper()
	conn, err := net.Dial("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(query); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, maxMessage)
	n, err := conn.Read(buffer)
	if err != nil {
		t.Fatal(err)
	}
	return unpack(t, buffer[:n])
}

func TestPacketsAreCutToWhatTheClientTakes(t *testing.T) {
	address := serveUDP(t, newServer(func(_ context.Context, query []byte, _ string) ([]byte, error) {
		m := many(unpack(t, query), 31)
		m.Authoritative = true
		return m.Pack() // 525 bytes
	}))
	for _, test := range []struct {
		name    string
		change  func(*dnsmessage.Message)
		answers int
	}{
		{"plain", nil, 0},
		{"small EDNS", withEDNS(513, nil), 0},
		{"EDNS", withEDNS(4096, nil), 31},
	} {
		m := exchangeUDP(t, address, query(t, "example.com", dnsmessage.TypeA, test.change))
		if len(m.Answers) != test.answers || m.Truncated != (test.answers == 0) || !m.Authoritative || m.ID != 4711 || len(m.Questions) != 1 {
			t.Errorf("%s: %v with %d answers", test.name, m.Header, len(m.Answers))
		}
	}
}

func TestFailureToForwardIsServerFailure(t *testing.T) {
	address := serveUDP(t, newServer(func(context.Context, []byte, string) ([]byte, error) { return nil, errors.New("no way") }))
	if m := exchangeUDP(t, address, query(t, "example.com", dnsmessage.TypeA, nil)); m.RCode != dnsmessage.RCodeServerFailure || len(m.Questions) != 1 {
		t.Errorf("%v", m)
	}
}

// A client that asks without end has its questions refused, and nobody else's.
func TestFault_A12_NoClientTakesTheForwarder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		proceed := make(chan struct{})
		s := newServer(func(ctx context.Context, query []byte, network string) ([]byte, error) {
			<-proceed
			return one(ctx, query, network)
		})
		var tasks sync.WaitGroup
		ask := func(vpc, client string) *dnsmessage.Message {
			var response *dnsmessage.Message
			from := origin{vpc, netip.MustParseAddr(client), "udp"}
			s.relay(t.Context(), &tasks, query(t, "example.com", dnsmessage.TypeA, nil), from, func(message []byte) {
				m := unpack(t, message)
				response = &m
			})
			return response
		}
		waiting := 0
		for range 2 * maxForwards {
			if m := ask("vpc-1", "10.0.0.1"); m == nil {
				waiting++
			} else if m.RCode != dnsmessage.RCodeServerFailure {
				t.Fatalf("one too many: %v", m)
			}
		}
		if waiting != maxClientForwards {
			t.Errorf("%d questions of one client wait, want %d", waiting, maxClientForwards)
		}
		for _, other := range [][2]string{{"vpc-1", "10.0.0.2"}, {"vpc-2", "10.0.0.1"}} {
			if m := ask(other[0], other[1]); m != nil {
				t.Errorf("the question of %v was refused: %v", other, m)
			}
		}
		close(proceed)
		tasks.Wait()
		if got := s.forwards.Taken(); got != 0 {
			t.Errorf("%d questions are counted after all were answered", got)
		}
	})
}

// A question that panics is given up, and the next one is answered.
func TestFault_A11_APanicEndsOneQuestion(t *testing.T) {
	var log bytes.Buffer
	before := containment.Panics()
	s := New(Config{
		Region: "us-west-2", Logger: slog.New(slog.NewTextHandler(&log, nil)),
		Snapshot: func() *snapshot.Snapshot {
			if panicking.Swap(false) {
				panic("no such VPC")
			}
			return &snapshot.Snapshot{}
		},
		Forward: func(ctx context.Context, query []byte, network string) ([]byte, error) {
			if m := unpack(t, query); m.Questions[0].Name.String() == "bad.example." {
				panic("no such name")
			}
			return one(ctx, query, network)
		},
	})
	udp, streams := serveUDP(t, s), servePipes(t, s)
	panicking.Store(true)
	ask, err := net.Dial("udp", udp)
	if err != nil {
		t.Fatal(err)
	}
	defer ask.Close()
	ask.Write(query(t, "example.com", dnsmessage.TypeA, nil))
	for containment.Panics() == before {
		time.Sleep(time.Millisecond) // this question has no answer that could be waited for
	}
	if m := exchangeUDP(t, udp, query(t, "example.com", dnsmessage.TypeA, nil)); len(m.Answers) != 1 {
		t.Errorf("after a panic: %v", m)
	}
	if m := exchangeUDP(t, udp, query(t, "bad.example", dnsmessage.TypeA, nil)); m.RCode != dnsmessage.RCodeServerFailure {
		t.Errorf("a panic of the forwarder: %v", m)
	}
	panicking.Store(true)
	conn, _ := streams.dial(t.Context(), "", "")
	writeFrame(t, conn, query(t, "example.com", dnsmessage.TypeA, nil))
	if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the connection of a panic: %v", err)
	}
	conn, _ = streams.dial(t.Context(), "", "")
	defer conn.Close()
	writeFrame(t, conn, query(t, "example.com", dnsmessage.TypeA, nil))
	if m := readNext(t, conn); len(m.Answers) != 1 {
		t.Errorf("a connection after that of a panic: %v", m)
	}
	if got := containment.Panics() - before; got != 3 {
		t.Errorf("%d panics were counted, want 3", got)
	}
}

var panicking atomic.Bool

// writeFrame and readNext speak the other side of a stream, from any goroutine.
func writeFrame(t *testing.T, conn net.Conn, message []byte) {
	t.Helper()
	if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...)); err != nil {
		t.Error(err)
	}
}

func readNext(t *testing.T, conn net.Conn) dnsmessage.Message {
	t.Helper()
	message, err := readFrame(conn, make([]byte, maxMessage))
	if err != nil {
		t.Error(err)
	}
	return unpack(t, message)
}

func TestStreamAnswersOutOfOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		proceed := make(chan struct{})
		p := servePipes(t, newServer(func(ctx context.Context, query []byte, network string) ([]byte, error) {
			if network != "tcp" {
				return nil, fmt.Errorf("forwarded over %s", network)
			}
			<-proceed
			return one(ctx, query, network)
		}))
		conn, _ := p.dial(t.Context(), "", "")
		defer conn.Close()
		for id := range uint16(3) {
			writeFrame(t, conn, query(t, "example.com", dnsmessage.TypeA, func(m *dnsmessage.Message) { m.ID = id }))
		}
		writeFrame(t, conn, query(t, parking, dnsmessage.TypeA, nil))
		if m := readNext(t, conn); m.ID != 4711 {
			t.Errorf("the first response is %d", m.ID)
		}
		close(proceed)
		seen := map[uint16]bool{}
		for range 3 {
			m := readNext(t, conn)
			seen[m.ID] = len(m.Answers) == 1
		}
		if !seen[0] || !seen[1] || !seen[2] {
			t.Errorf("responses: %v", seen)
		}
	})
}

func TestStreamReadsNoMoreThanItCanAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		proceed := make(chan struct{})
		p := servePipes(t, newServer(func(ctx context.Context, query []byte, network string) ([]byte, error) {
			<-proceed
			return one(ctx, query, network)
		}))
		conn, _ := p.dial(t.Context(), "", "")
		defer conn.Close()
		q := query(t, "example.com", dnsmessage.TypeA, nil)
		for range maxPipelined + 1 {
			writeFrame(t, conn, q)
		}
		conn.SetWriteDeadline(time.Now().Add(time.Second))
		if _, err := conn.Write(q); err == nil {
			t.Errorf("query %d was read", maxPipelined+2)
		}
		close(proceed)
		for range maxPipelined + 1 {
			readNext(t, conn)
		}
	})
}

func TestStreamEndsWithoutQueries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := servePipes(t, newServer(nowhere))
		conn, _ := p.dial(t.Context(), "", "")
		defer conn.Close()
		start := time.Now()
		if _, err := conn.Read(make([]byte, 1)); err != io.EOF || time.Since(start) != idleTimeout {
			t.Errorf("ended with %v after %s", err, time.Since(start))
		}
	})
}

func TestStreamEndsAtNonsense(t *testing.T) {
	p := servePipes(t, newServer(nowhere))
	for name, sent := range map[string][]byte{
		"too short":  {0, 1, 0},
		"too long":   {0xFF, 0xFF},
		"a response": append([]byte{0, 12, 0, 0, 0x80}, make([]byte, 9)...),
	} {
		conn, _ := p.dial(t.Context(), "", "")
		if _, err := conn.Write(sent); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("%s: %v", name, err)
		}
		conn.Close()
	}
}

// A client that opens connections without end has those beyond its share closed, and nobody else's.
func TestFault_A12_NoClientTakesTheResolver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := servePipes(t, newServer(nowhere))
		open := func(client string) bool {
			conn := p.dialFrom(t, client)
			t.Cleanup(func() { conn.Close() })
			conn.SetReadDeadline(time.Now().Add(time.Nanosecond))
			_, err := conn.Read(make([]byte, 1))
			return errors.Is(err, os.ErrDeadlineExceeded)
		}
		for i := range 2 * maxStreams {
			if got := open("10.0.0.1"); got != (i < maxClientStreams) {
				t.Fatalf("connection %d of a client is open: %v", i, got)
			}
		}
		if !open("10.0.0.2") {
			t.Error("another client is refused")
		}
	})
}

// TestFault_A2_ResolversOutliveALackOfDescriptors: a socket whose accept or read fails once is served on.
func TestFault_A2_ResolversOutliveALackOfDescriptors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		s := newServer(one)
		serve(t, func(ctx context.Context) error { return s.ServeStream(ctx, "vpc-1", &failing{pipes: p}) })
		conn, _ := p.dial(t.Context(), "", "")
		defer conn.Close()
		writeFrame(t, conn, query(t, "example.com", dnsmessage.TypeA, nil))
		if m := readNext(t, conn); len(m.Answers) != 1 {
			t.Errorf("after a lack of descriptors: %v", m)
		}
	})
}

// failing is a listener whose first accept fails.
type failing struct {
	*pipes
	failed bool
}

func (f *failing) Accept() (net.Conn, error) {
	if !f.failed {
		f.failed = true
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	return f.pipes.Accept()
}

func TestServingEndsWithTheError(t *testing.T) {
	p := newPipes()
	p.Close()
	if err := newServer(nowhere).ServeStream(t.Context(), "vpc-1", p); !errors.Is(err, net.ErrClosed) {
		t.Errorf("stream: %v", err)
	}
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if err := newServer(nowhere).ServePacket(t.Context(), "vpc-1", conn); !errors.Is(err, net.ErrClosed) {
		t.Errorf("packet: %v", err)
	}
}

func FuzzReadFrame(f *testing.F) {
	f.Add([]byte{0, 2, 'o', 'k'})
	f.Add([]byte{0, 9, 'n', 'o'})
	f.Add([]byte{0})
	f.Fuzz(func(t *testing.T, data []byte) {
		message, err := readFrame(bytes.NewReader(data), make([]byte, 64))
		if err == nil && !bytes.HasPrefix(data[frameHeader:], message) {
			t.Errorf("read %x from %x", message, data)
		}
	})
}
