package proxy

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"pergola/bound"
	"pergola/lattice"
)

// little lets all clients together hold so many bytes.
func little(pool *bound.Pool) func(*Config) { return func(c *Config) { c.Held = pool } }

// refuses sends a request on a connection of its own, and reports whether it is answered 503 at once. One with another
// answer fails the test.
func (w *world) refuses(request string) (net.Conn, bool) {
	w.t.Helper()
	conn := w.connect(inVPC)
	go io.WriteString(conn, request)
	synctest.Wait()
	conn.SetReadDeadline(time.Now().Add(time.Nanosecond))
	defer conn.SetReadDeadline(time.Time{})
	b := make([]byte, 64)
	n, _ := io.ReadAtLeast(conn, b, 12)
	if n >= 12 && !strings.HasPrefix(string(b), "HTTP/1.1 503") {
		w.t.Fatalf("answered %q", b)
	}
	return conn, n >= 12
}

// TestFault_A3_HeadsOfHTTP1AreBounded: clients whose heads wait hold no more than they may; one too many is told 503;
// another client has room; and nothing counts in the end.
func TestFault_A3_HeadsOfHTTP1AreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool := bound.NewPool(2<<20, 0)
		w := newWorld(t, little(pool))
		w.targets[targetA] = func(conn net.Conn) { io.Copy(io.Discard, conn) } // it never answers
		large := "GET / HTTP/1.1\r\nHost: s.example\r\nX: " + strings.Repeat("y", 50<<10) + "\r\n\r\n"
		refused := 0
		var conns []net.Conn
		for range 40 {
			conn, no := w.refuses(large)
			conns = append(conns, conn)
			if no {
				refused++
			}
		}
		if taken := pool.Taken(); taken > pool.Most()*3/4 || refused < 20 {
			t.Errorf("%d bytes are held of %d, %d requests were refused", taken, pool.Most(), refused)
		}
		other := pool.Open("vpc-client", "another")
		if !other.Take(128 << 10) {
			t.Error("another client has no room")
		}
		other.Give(128 << 10)
		for _, conn := range conns {
			conn.Close()
		}
		time.Sleep(2 * time.Minute)
		w.serving.Wait()
		if taken := pool.Taken(); taken != 0 {
			t.Errorf("%d bytes count after the end", taken)
		}
	})
}

// TestWhatIsHeldIsGivenBack after bodies both ways, by every version, whether they are read or not.
func TestWhatIsHeldIsGivenBack(t *testing.T) {
	body := strings.Repeat("b", 300<<10)
	for name, ask := range map[string]func(*world){
		"answers": func(w *world) { w.ask(get) },
		"uploads": func(w *world) {
			w.ask("POST / HTTP/1.1\r\nHost: s.example\r\nTransfer-Encoding: chunked\r\n\r\n4b000\r\n" + body + "\r\n0\r\n\r\n")
		},
		"refusals": func(w *world) { w.ask(strings.Replace(get, "s.example", "none.example", 1)) },
		"a client that leaves": func(w *world) {
			conn := w.connect(inVPC)
			io.WriteString(conn, get)
			io.ReadFull(conn, make([]byte, 1000))
			conn.Close()
		},
		"a target that panics the proxy": func(w *world) {
			w.proxy.config.Dial = func(context.Context, string, netip.AddrPort) (net.Conn, error) { return alarming{}, nil }
			w.say(get, inVPC)
		},
	} {
		t.Run(name, func(t *testing.T) {
			pool := bound.NewPool(8<<20, 0)
			w := newWorld(t, little(pool))
			w.targets[targetA] = w.answers("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("y", 30<<10) +
				"\r\nContent-Length: 307200\r\n\r\n" + body)
			ask(w)
			w.finishAll()
			w.serving.Wait()
			if taken := pool.Taken(); taken != 0 {
				t.Errorf("%d bytes count after the end", taken)
			}
		})
	}
}

// alarming is a connection that panics when it is read from.
type alarming struct{ net.Conn }

func (alarming) Read([]byte) (int, error)         { panic("no such target") }
func (alarming) Write(p []byte) (int, error)      { return len(p), nil }
func (alarming) Close() error                     { return nil }
func (alarming) SetDeadline(time.Time) error      { return nil }
func (alarming) SetReadDeadline(time.Time) error  { return nil }
func (alarming) SetWriteDeadline(time.Time) error { return nil }

// TestFault_B11_ATargetOfAnotherProtocolIsNotWaitedFor: one that answers HTTP/1.1 with HTTP/2 or the other way round,
// or with what is neither, and falls silent, is a 502 at once.
func TestFault_B11_ATargetOfAnotherProtocolIsNotWaitedFor(t *testing.T) {
	for name, c := range map[string]struct{ answer, version string }{
		"HTTP/2 for HTTP/1.1": {"\x00\x00\x12\x04\x00\x00\x00\x00\x00", ""},
		"HTTP/1.1 for HTTP/2": {"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP2"},
		"one byte of TLS":     {"\x15", ""},
		"a greeting":          {"220 smtp.example ESMTP\r\n", "HTTP2"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				group := aGroup()
				if c.version != "" {
					group.ProtocolVersion = lattice.HTTP2
				}
				w.listener().Rules = append(w.listener().Rules[:0], forwarding(group))
				w.targets[targetA] = func(conn net.Conn) {
					conn.Read(make([]byte, 10))
					go io.Copy(io.Discard, conn)
					io.WriteString(conn, c.answer)
					<-w.cut.Done()
				}
				began := time.Now()
				status := ""
				if c.version == "" {
					status = w.ask(get).String()
				} else {
					here, there := net.Pipe()
					w.serving.Go(func() { w.proxy.ServeHTTP2(w.finish, w.cut, addressed{there}, inVPC) })
					go writeHTTP2(t, here, []field{{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "http"},
						{Name: ":path", Value: "/"}, {Name: ":authority", Value: "s.example"}}, "", nil)
					status = readHTTP2(here)
					here.Close()
				}
				if !strings.HasPrefix(status, "502") || time.Since(began) > 0 {
					t.Errorf("answered %s after %v, want 502 at once", status, time.Since(began))
				}
				w.cutAll()
			})
		})
	}
}

// TestFault_A6_BodiesForFunctionsAreBounded: requests that wait for a function hold its event alone, and no more than
// their client may; one too many is told 503; and who leaves is let go.
func TestFault_A6_BodiesForFunctionsAreBounded(t *testing.T) {
	const size, all = 1 << 20, 16 << 20
	synctest.Test(t, func(t *testing.T) {
		waiting, release := atomic.Int64{}, make(chan struct{})
		w := newFunctionWorld(t, "V2", func(ctx context.Context, event []byte) (string, error) {
			if len(event) < size || cap(event) > size+size/8 {
				t.Errorf("an event of %d bytes, in %d", len(event), cap(event))
			}
			waiting.Add(1)
			defer waiting.Add(-1)
			select {
			case <-release:
				return `{"statusCode":200,"body":"done"}`, nil
			case <-ctx.Done():
				return "", ctx.Err()
			}
		})
		pool := bound.NewPool(all, 0)
		w.proxy.config.Held = pool
		request := "POST / HTTP/1.1\r\nHost: s.example\r\nContent-Type: text/plain\r\nContent-Length: 1048576\r\n\r\n" +
			strings.Repeat("b", size)
		refused := 0
		var conns []net.Conn
		for range 20 {
			conn, no := w.refuses(request)
			conns = append(conns, conn)
			if no {
				refused++
			}
			if refused > 0 {
				conn.Close()
			}
		}
		synctest.Wait()
		if got := waiting.Load(); got < 4 || got+int64(refused) != 20 || pool.Taken() > got*(size+size/8) {
			t.Errorf("%d requests wait and hold %d bytes, %d were refused", got, pool.Taken(), refused)
		}
		w.cutAll() // as when their clients leave
		synctest.Wait()
		if waiting.Load() != 0 || pool.Taken() != 0 {
			t.Errorf("%d requests wait and hold %d bytes after their clients have left", waiting.Load(), pool.Taken())
		}
		close(release)
		for _, conn := range conns {
			conn.Close()
		}
	})
}

// TestFault_A3_DeniedStreamsAreLetGo: requests that were denied leave nothing of themselves, though their client keeps
// its windows shut, and are given up after the idle timeout.
func TestFault_A3_DeniedStreamsAreLetGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool := bound.NewPool(64<<20, 0)
		w := newWorld(t, little(pool))
		w.listener().Service.AuthType = lattice.AuthIAM
		near, far := net.Pipe()
		w.serving.Go(func() { w.proxy.ServeHTTP2(w.finish, w.cut, addressed{far}, inVPC) })
		framer := http2.NewFramer(near, near)
		var mu sync.Mutex
		answered, reset := 0, 0
		heard := make(chan struct{})
		go func() {
			defer close(heard)
			for {
				frame, err := framer.ReadFrame()
				if err != nil {
					return
				}
				mu.Lock()
				switch frame.(type) {
				case *http2.HeadersFrame:
					answered++
				case *http2.RSTStreamFrame:
					reset++
				}
				mu.Unlock()
			}
		}()
		io.WriteString(near, http2.ClientPreface)
		framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		var block bytes.Buffer
		encoder := hpack.NewEncoder(&block)
		for i := range uint32(120) {
			block.Reset()
			for _, f := range []field{{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "https"},
				{Name: ":path", Value: "/"}, {Name: ":authority", Value: "s.example"}} {
				encoder.WriteField(f)
			}
			for range 14 {
				encoder.WriteField(field{Name: "x", Value: strings.Repeat("y", 4000)})
			}
			framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: block.Bytes(), EndHeaders: true,
				EndStream: true})
			synctest.Wait()
		}
		mu.Lock()
		if answered != 120 || reset != 0 {
			t.Errorf("%d requests were answered, %d reset", answered, reset)
		}
		mu.Unlock()
		if taken := pool.Taken(); taken > 3<<20 { // the flat rate of 120 streams, and buffers
			t.Errorf("%d KB are held for 120 requests that were answered", taken>>10)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		mu.Lock()
		if reset != 120 {
			t.Errorf("%d of 120 streams were given up", reset)
		}
		mu.Unlock()
		near.Close()
		<-heard
		w.serving.Wait()
		if taken := pool.Taken(); taken != 0 {
			t.Errorf("%d bytes count after the end", taken)
		}
	})
}
