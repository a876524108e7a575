package http1

import (
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const plainGet = "GET /path?query HTTP/1.1\r\nHost: service.example\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n"

// loopback returns both ends of a TCP connection.
func loopback(t testing.TB) (here, there *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	return client.(*net.TCPConn), server.(*net.TCPConn)
}

// TestTimeouts holds the idle timeout to within a sixteenth, and the head timeout from the first byte of a head.
func TestTimeouts(t *testing.T) {
	for _, test := range []struct {
		name, sends string
		least, most time.Duration
	}{
		{"silent", "", time.Minute, time.Minute + time.Minute/16},
		{"slow head", "GET / HTTP/1.1\r\nHost: x\r\n", 10 * time.Second, 10 * time.Second},
		{"stuck after an empty line", "\r\n", 10 * time.Second, 10 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, server := net.Pipe()
				c := NewConn(server, Config{})
				go trickle(client, test.sends)
				start := time.Now()
				var r Request
				expectError(t, c.In.ReadRequest(&r), os.ErrDeadlineExceeded)
				if took := time.Since(start); took < test.least || took > test.most {
					t.Errorf("gave up after %v", took)
				}
				c.Close()
				client.Close()
				time.Sleep(time.Second)
			})
		})
	}
}

// trickle sends text, a byte each second, until the other end is closed.
func trickle(conn net.Conn, text string) {
	for _, b := range []byte(text) {
		if _, err := conn.Write([]byte{b}); err != nil {
			return
		}
		time.Sleep(time.Second)
	}
}

// TestBusyInOneDirection holds that a connection that is written to is not idle for those who wait to read from it.
func TestBusyInOneDirection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		c := NewConn(server, Config{})
		written := make(chan struct{})
		go io.Copy(io.Discard, client)
		go func() {
			defer close(written)
			c.Out.StartRequest([]byte("POST"), []byte("/"))
			c.Out.EndHead(Chunked)
			for range 20 {
				c.Out.Write([]byte("x"))
				c.Out.Flush()
				time.Sleep(20 * time.Second)
			}
			c.Out.End()
		}()
		start := time.Now()
		var r Response
		expectError(t, c.In.ReadResponse(&r, false), os.ErrDeadlineExceeded)
		if took := time.Since(start); took < 460*time.Second {
			t.Errorf("gave up after %v, amid the upload", took)
		}
		<-written
		c.Close()
		client.Close()
	})
}

func TestIdleTimeoutCanChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		c := NewConn(server, Config{})
		go client.Write([]byte(plainGet))
		var r Request
		if err := c.In.ReadRequest(&r); err != nil {
			t.Fatal(err)
		}
		c.SetIdleTimeout(5 * time.Minute)
		start := time.Now()
		expectError(t, c.In.ReadRequest(&r), os.ErrDeadlineExceeded)
		if took := time.Since(start); took < 5*time.Minute {
			t.Errorf("gave up after %v", took)
		}
		c.Close()
		client.Close()
	})
}

// TestStopReading stops a read that is under way while the other direction keeps the connection busy.
func TestStopReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		c := NewConn(server, Config{})
		result := make(chan error)
		go func() { result <- c.In.Await() }()
		synctest.Wait()
		c.StopReading()
		expectError(t, <-result, os.ErrDeadlineExceeded)
		time.Sleep(time.Hour)
		c.stream.touch(false)
		expectError(t, c.In.Await(), os.ErrDeadlineExceeded)
		c.Close()
		client.Close()
	})
}

// TestLinger holds that an answer reaches a client that is still sending.
func TestLinger(t *testing.T) {
	client, server := loopback(t)
	c := NewConn(server, Config{})
	go client.Write([]byte("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + strings.Repeat("x", 100000)))
	var r Request
	if err := c.In.ReadRequest(&r); err != nil {
		t.Fatal(err)
	}
	c.Out.StartResponse(413, []byte("Too Large"))
	c.Out.EndHead(Sized(0))
	if err := c.Out.End(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.Linger(1<<20, 10*time.Second)
	}()
	answer, err := io.ReadAll(client)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 413 Too Large\r\n") {
		t.Errorf("the client read %q, %v", answer, err)
	}
	client.Close()
	<-done
}

func TestReset(t *testing.T) {
	client, server := loopback(t)
	NewConn(server, Config{}).Reset()
	if _, err := client.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Errorf("the peer read %v", err)
	}
}

// echo answers requests on a connection until it ends, without allocating.
func echo(c *Conn) {
	defer c.Close()
	var r Request
	for c.In.ReadRequest(&r) == nil {
		c.Out.StartResponse(200, nil)
		c.Out.Field("server", "test")
		c.Out.EndHead(Sized(5))
		c.Out.Write(r.Target[:5])
		if c.Out.End() != nil {
			return
		}
	}
}

// forward passes requests from client on to target and responses back, until the client ends: the least that a proxy
// does.
func forward(client, target *Conn) {
	defer client.Close()
	defer target.Close()
	var request Request
	var response Response
	for client.In.ReadRequest(&request) == nil {
		target.Out.StartRequest(request.Method, request.Target)
		for _, f := range request.All() {
			if !f.Hop {
				target.Out.Copy(f)
			}
		}
		target.Out.EndHead(request.Framing())
		if target.SendAndWait() != nil || target.In.ReadResponse(&response, request.IsHead()) != nil {
			return
		}
		client.Out.StartResponse(response.Status, response.Reason)
		for _, f := range response.All() {
			if !f.Hop {
				client.Out.Copy(f)
			}
		}
		client.Out.EndHead(response.Framing())
		Relay(&client.Out, target.In.Body())
		if client.Out.End() != nil || !target.Rest() {
			return
		}
	}
}

// relayed returns a function that makes one request through forward, and one that ends it all.
func relayed(t testing.TB) (request func(), end func()) {
	memory := new(Memory)
	client, proxyIn := loopback(t)
	proxyOut, target := loopback(t)
	config := Config{Memory: memory}
	done := make(chan struct{}, 2)
	go func() { echo(NewConn(target, config)); done <- struct{}{} }()
	go func() { forward(NewConn(proxyIn, config), NewConn(proxyOut, config)); done <- struct{}{} }()
	text, answer := []byte(plainGet), make([]byte, 4096)
	request = func() {
		if _, err := client.Write(text); err != nil {
			t.Fatal(err)
		}
		if n, err := client.Read(answer); err != nil || n == 0 {
			t.Fatal(n, err)
		}
	}
	return request, func() { client.Close(); <-done; <-done }
}

// TestAllocations holds the promises of the package comment.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector empties pools at random")
	}
	request, end := relayed(t)
	defer end()
	for range 10 {
		request()
	}
	if n := testing.AllocsPerRun(1000, request); n != 0 {
		t.Errorf("a relayed request allocates %v times", n)
	}
	var r Request
	head := []byte(plainGet)
	r.parse(head, DefaultMaxFields)
	if n := testing.AllocsPerRun(1000, func() { r.parse(head, DefaultMaxFields) }); n != 0 {
		t.Errorf("parsing a request allocates %v times", n)
	}
	var s Response
	head = []byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nServer: x\r\n\r\n")
	s.parse(head, DefaultMaxFields)
	if n := testing.AllocsPerRun(1000, func() { s.parse(head, DefaultMaxFields) }); n != 0 {
		t.Errorf("parsing a response allocates %v times", n)
	}
}

// TestMemoryWhileIdle measures what a connection that has served a request and waits for the next one holds, its
// goroutine included: below the 10 KB that the project promises.
func TestMemoryWhileIdle(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has memory of its own")
	}
	const connections = 400
	memory := new(Memory)
	clients := make([]*net.TCPConn, connections)
	servers := make([]*net.TCPConn, connections)
	for i := range clients {
		clients[i], servers[i] = loopback(t)
	}
	before := inUse()
	done := make(chan struct{})
	for i, server := range servers {
		go func() { waiting(NewConn(server, Config{Memory: memory})); done <- struct{}{} }()
		answer := make([]byte, 1024)
		clients[i].Write([]byte(plainGet))
		clients[i].Read(answer)
	}
	each := (inUse() - before) / connections
	t.Logf("%d bytes for each idle connection", each)
	if each > 10<<10 {
		t.Errorf("an idle connection holds %d bytes", each)
	}
	for _, client := range clients {
		client.Close()
		<-done
	}
}

// waiting answers requests like echo, but waits for each before it takes up a Request.
func waiting(c *Conn) {
	defer c.Close()
	for c.In.Await() == nil {
		if !answerOne(c) {
			return
		}
	}
}

func answerOne(c *Conn) bool {
	var r Request
	if c.In.ReadRequest(&r) != nil {
		return false
	}
	c.Out.StartResponse(204, nil)
	c.Out.EndHead(Bodiless)
	return c.Out.End() == nil
}

// inUse is the memory of heap and stacks that is in use after collection.
func inUse() uint64 {
	var m runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

func BenchmarkParseRequest(b *testing.B) {
	head := []byte("GET /catalog/items?page=3 HTTP/1.1\r\nHost: parking-0e5f3d2b3db4c7962.7d67968.vpc-lattice-svcs.us-west-2.on.aws\r\n" +
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\nAccept: text/html,application/json;q=0.9,*/*;q=0.8\r\n" +
		"Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\nCookie: session=0123456789abcdef0123456789abcdef\r\nConnection: keep-alive\r\n\r\n")
	var r Request
	b.ReportAllocs()
	b.SetBytes(int64(len(head)))
	for b.Loop() {
		if err := r.parse(head, DefaultMaxFields); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRelay measures a request from client to target and back over loopback, all three in this process.
func BenchmarkRelay(b *testing.B) {
	request, end := relayed(b)
	defer end()
	b.ReportAllocs()
	for b.Loop() {
		request()
	}
}

// BenchmarkLongBody measures the relaying of bodies, from one connection to another over loopback.
func BenchmarkLongBody(b *testing.B) {
	for _, framing := range []Framing{Sized(1 << 20), Chunked} {
		name := "sized"
		if framing == Chunked {
			name = "chunked"
		}
		b.Run(name, func(b *testing.B) { benchmarkLongBody(b, framing) })
	}
}

func benchmarkLongBody(b *testing.B, framing Framing) {
	const length = 1 << 20
	memory := new(Memory)
	client, proxyIn := loopback(b)
	proxyOut, target := loopback(b)
	config := Config{Memory: memory}
	from, to, source := NewConn(proxyIn, config), NewConn(proxyOut, config), NewConn(client, config)
	go io.Copy(io.Discard, target)
	go func() {
		piece := make([]byte, 64<<10)
		for {
			source.Out.StartRequest([]byte("PUT"), []byte("/"))
			source.Out.Field("host", "x")
			source.Out.EndHead(framing)
			for range length / len(piece) {
				source.Out.Write(piece)
			}
			if source.Out.End() != nil {
				return
			}
		}
	}()
	b.SetBytes(length)
	b.ReportAllocs()
	var r Request
	for b.Loop() {
		if err := from.In.ReadRequest(&r); err != nil {
			b.Fatal(err)
		}
		to.Out.StartRequest(r.Method, r.Target)
		to.Out.EndHead(r.Framing())
		Relay(&to.Out, from.In.Body())
		if err := to.Out.End(); err != nil {
			b.Fatal(err)
		}
	}
}
