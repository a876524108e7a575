package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pergola/dataplane/record"
	"pergola/lattice"
)

// inVPCByTLS is where connections come in that an HTTPS listener serves. HTTP/2 is tested without TLS here, which is
// ended before.
var inVPCByTLS = Arrival{VPC: "vpc-client", Door: theDoor, Port: 80, ServerName: "s.example"}

// connectHTTP2 opens a client connection that speaks HTTP/2.
func (w *world) connectHTTP2() *http.ClientConn {
	w.t.Helper()
	w.listener().Protocol = lattice.ProtocolHTTPS
	here, there := net.Pipe()
	w.serving.Go(func() { w.proxy.ServeHTTP2(w.finish, w.cut, addressed{there}, inVPCByTLS) })
	transport := &http.Transport{
		DialContext:        func(context.Context, string, string) (net.Conn, error) { return here, nil },
		DisableCompression: true, Protocols: new(http.Protocols),
	}
	transport.Protocols.SetUnencryptedHTTP2(true)
	conn, err := transport.NewClientConn(w.t.Context(), "http", "s.example:80")
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { here.Close() })
	return conn
}

// serveHTTP2 makes a target speak HTTP/2 with prior knowledge.
func serveHTTP2(handler http.HandlerFunc) func(net.Conn) {
	return func(conn net.Conn) {
		only := &oneConn{conn: conn, ended: make(chan struct{})}
		server := &http.Server{Handler: handler, Protocols: new(http.Protocols), ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateClosed {
				close(only.ended)
			}
		}}
		server.Protocols.SetUnencryptedHTTP2(true)
		server.Serve(only)
	}
}

// oneConn is a listener to which one connection comes, and which is closed when that has ended.
type oneConn struct {
	conn  net.Conn
	ended chan struct{}
}

// Accept implements net.Listener.
func (l *oneConn) Accept() (conn net.Conn, err error) {
	if conn, l.conn = l.conn, nil; conn != nil {
		return conn, nil
	}
	<-l.ended
	return nil, net.ErrClosed
}

// Close implements net.Listener.
func (l *oneConn) Close() error { return nil }

// Addr implements net.Listener.
func (l *oneConn) Addr() net.Addr { return clientAddress }

// call is a request of a test, and what became of it.
type call struct {
	method, path, kind string
	body               string
}

func (c call) request(ctx context.Context, t *testing.T) *http.Request {
	r, err := http.NewRequestWithContext(ctx, c.method, "http://s.example"+c.path, strings.NewReader(c.body))
	if err != nil {
		t.Fatal(err)
	}
	if c.kind != "" {
		r.Header.Set("Content-Type", c.kind)
		r.Header.Set("Te", "trailers")
	}
	return r
}

// TestProtocolVersions is the user guide's table of request protocols and protocol versions, "Protocol version": what comes
// of each with each.
func TestProtocolVersions(t *testing.T) {
	echo := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Trailer", "Grpc-Status")
		w.Header().Set("X-Version", r.Proto)
		io.WriteString(w, r.Method+" "+string(body))
		w.Header().Set("Grpc-Status", "0")
	}
	speaks1 := func(w *world) func(net.Conn) {
		return w.answers("HTTP/1.1 200 OK\r\nX-Version: HTTP/1.1\r\nContent-Length: 9\r\n\r\nPOST body")
	}
	speaks2 := func(*world) func(net.Conn) { return serveHTTP2(echo) }
	const grpc = "application/grpc+proto"
	for _, row := range []struct {
		protocol  string
		call      call
		version   lattice.ProtocolVersion
		target    func(*world) func(net.Conn)
		status    int
		body      string
		byVersion string
	}{
		{"HTTP/1.1", call{method: "POST", path: "/a", body: "body"}, lattice.HTTP1, speaks1, 200, "POST body", "HTTP/1.1"},
		{"HTTP/2", call{method: "POST", path: "/a", body: "body"}, lattice.HTTP1, speaks1, 200, "POST body", "HTTP/1.1"},
		{"gRPC", call{method: "POST", path: "/p.S/M", kind: grpc, body: "body"}, lattice.HTTP1, speaks1, 502, "", ""},
		{"HTTP/1.1", call{method: "POST", path: "/a", body: "body"}, lattice.HTTP2, speaks2, 502, "Bad Gateway", ""},
		{"HTTP/2", call{method: "POST", path: "/a", body: "body"}, lattice.HTTP2, speaks2, 200, "POST body", "HTTP/2.0"},
		{"gRPC", call{method: "POST", path: "/p.S/M", kind: grpc, body: "body"}, lattice.HTTP2, speaks2, 200, "POST body", "HTTP/2.0"},
		{"HTTP/1.1", call{method: "POST", path: "/a", body: "body"}, lattice.GRPC, speaks2, 502, "Bad Gateway", ""},
		{"HTTP/2", call{method: "POST", path: "/a", body: "body"}, lattice.GRPC, speaks2, 200, "POST body", "HTTP/2.0"},
		{"HTTP/2", call{method: "GET", path: "/a"}, lattice.GRPC, speaks2, 502, "Bad Gateway", ""},
		{"gRPC", call{method: "POST", path: "/p.S/M", kind: grpc, body: "body"}, lattice.GRPC, speaks2, 200, "POST body", "HTTP/2.0"},
	} {
		t.Run(row.protocol+" "+row.call.method+" to "+string(row.version), func(t *testing.T) {
			w := newWorld(t)
			w.targets[targetA] = row.target(w)
			w.listener().Rules[0].Action.Forward[0].Group.ProtocolVersion = row.version
			if row.protocol == "HTTP/1.1" {
				a := w.ask(row.call.method + " " + row.call.path + " HTTP/1.1\r\nHost: s.example\r\nContent-Length: 4\r\n\r\n" + row.call.body)
				if a.status != row.status || a.body != row.body {
					t.Errorf("answered %v, want %d %q", a, row.status, row.body)
				}
				return
			}
			response, err := w.connectHTTP2().RoundTrip(row.call.request(t.Context(), t))
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			if err != nil {
				t.Fatal(err)
			}
			status := response.StatusCode
			if row.protocol == "gRPC" && row.status == 502 {
				// A call is told by its own means: 14 is UNAVAILABLE.
				if status != 200 || response.Header.Get("Grpc-Status") != "14" || response.Header.Get("Grpc-Message") != "Bad Gateway" {
					t.Errorf("answered %d %v", status, response.Header)
				}
				return
			}
			if status != row.status || string(body) != row.body || response.Header.Get("X-Version") != row.byVersion {
				t.Errorf("answered %d %q by %q, want %d %q by %q", status, body, response.Header.Get("X-Version"), row.status, row.body, row.byVersion)
			}
			if row.byVersion == "HTTP/2.0" && response.Trailer.Get("Grpc-Status") != "0" {
				t.Errorf("trailers %v", response.Trailer)
			}
		})
	}
}

// TestManyShareAConnection carries requests that come together over one connection to a target that speaks HTTP/2.
func TestManyShareAConnection(t *testing.T) {
	w := newWorld(t)
	w.listener().Rules[0].Action.Forward[0].Group.ProtocolVersion = lattice.HTTP2
	arrived, all := make(chan struct{}), make(chan struct{})
	const requests = 20
	w.targets[targetA] = serveHTTP2(func(rw http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-all
		io.WriteString(rw, r.URL.Path)
	})
	conn := w.connectHTTP2()
	done := make(chan error)
	for range requests {
		go func() {
			response, err := conn.RoundTrip(call{method: "GET", path: "/x"}.request(t.Context(), t))
			if err == nil {
				var body []byte
				body, err = io.ReadAll(response.Body)
				if err == nil && string(body) != "/x" {
					err = errors.New(string(body))
				}
				response.Body.Close()
			}
			done <- err
		}()
	}
	for range requests {
		<-arrived
	}
	close(all)
	for range requests {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if len(w.dials) != 1 {
		t.Errorf("%d connections were made", len(w.dials))
	}
}

// TestBothDirectionsAtOnce passes what either side says on at once, as a gRPC stream needs it.
func TestBothDirectionsAtOnce(t *testing.T) {
	w := newWorld(t)
	w.listener().Rules[0].Action.Forward[0].Group.ProtocolVersion = lattice.GRPC
	w.targets[targetA] = serveHTTP2(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Trailer", "Grpc-Status")
		rw.WriteHeader(200)
		rw.(http.Flusher).Flush()
		buffer := make([]byte, 16)
		for {
			n, err := r.Body.Read(buffer)
			rw.Write(bytes.ToUpper(buffer[:n]))
			rw.(http.Flusher).Flush()
			if err != nil {
				break
			}
		}
		rw.Header().Set("Grpc-Status", "0")
	})
	from, to := io.Pipe()
	request := call{method: "POST", path: "/p.S/M", kind: "application/grpc"}.request(t.Context(), t)
	request.Body, request.ContentLength = from, -1
	response, err := w.connectHTTP2().RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	got := make([]byte, 3)
	for _, word := range []string{"one", "two", "six"} {
		io.WriteString(to, word)
		if _, err := io.ReadFull(response.Body, got); err != nil || string(got) != strings.ToUpper(word) {
			t.Fatalf("said %q, heard %q, %v", word, got, err)
		}
	}
	to.Close()
	if rest, err := io.ReadAll(response.Body); err != nil || len(rest) > 0 || response.Trailer.Get("Grpc-Status") != "0" {
		t.Errorf("ended with %q, %v, trailers %v", rest, err, response.Trailer)
	}
}

// TestWhoGivesUp ends a call at its target when its client gives it up, by either version towards the target, and says so.
func TestWhoGivesUp(t *testing.T) {
	for _, version := range []lattice.ProtocolVersion{lattice.HTTP1, lattice.HTTP2} {
		t.Run(string(version), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.listener().Rules[0].Action.Forward[0].Group.ProtocolVersion = version
				arrived, left := make(chan struct{}), make(chan struct{})
				w.targets[targetA] = func(conn net.Conn) {
					conn.Read(make([]byte, 1024))
					close(arrived)
					io.Copy(io.Discard, conn)
					close(left)
				}
				if version == lattice.HTTP2 {
					w.targets[targetA] = serveHTTP2(func(_ http.ResponseWriter, r *http.Request) {
						close(arrived)
						<-r.Context().Done()
						close(left)
					})
				}
				ctx, cancel := context.WithCancel(t.Context())
				conn := w.connectHTTP2()
				failed := make(chan error)
				go func() {
					_, err := conn.RoundTrip(call{method: "GET", path: "/x"}.request(ctx, t))
					failed <- err
				}()
				<-arrived
				cancel()
				<-left
				if err := <-failed; !errors.Is(err, context.Canceled) {
					t.Errorf("the client was told %v", err)
				}
				synctest.Wait()
				if r := w.last(); r.Failure != record.ClientConnectionClosed {
					t.Errorf("recorded %s", r.Failure)
				}
				conn.Close()
				w.close()
			})
		})
	}
}

// TestDeniedCalls tells a gRPC call in its own words that it may not pass.
func TestDeniedCalls(t *testing.T) {
	w := newWorld(t)
	w.listener().Service.AuthType = lattice.AuthIAM
	response, err := w.connectHTTP2().RoundTrip(call{method: "POST", path: "/p.S/M", kind: "application/grpc"}.request(t.Context(), t))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	const permissionDenied = "7"
	if response.StatusCode != 200 || response.Header.Get("Grpc-Status") != permissionDenied {
		t.Errorf("answered %d %v", response.StatusCode, response.Header)
	}
	if message := response.Header.Get("Grpc-Message"); !strings.HasPrefix(message, "AccessDeniedException: User: anonymous is not authorized") {
		t.Errorf("message %q", message)
	}
}

// TestMessagesOfCalls are escaped where gRPC asks for it.
func TestMessagesOfCalls(t *testing.T) {
	if got := string(appendGRPCMessage(nil, "100 % of\nü")); got != "100 %25 of%0A%C3%BC" {
		t.Errorf("escaped to %q", got)
	}
}

// TestEmptyStreams carries a call in which neither side says anything, whenever the client makes that known.
func TestEmptyStreams(t *testing.T) {
	for _, late := range []bool{false, true} {
		t.Run(fmt.Sprintf("late %v", late), func(t *testing.T) {
			w := newWorld(t)
			w.listener().Rules[0].Action.Forward[0].Group.ProtocolVersion = lattice.GRPC
			arrived := make(chan struct{})
			w.targets[targetA] = serveHTTP2(func(rw http.ResponseWriter, r *http.Request) {
				close(arrived)
				if body, err := io.ReadAll(r.Body); err != nil || len(body) > 0 {
					t.Errorf("the target heard %q, %v", body, err)
				}
				rw.Header().Set("Grpc-Status", "0")
			})
			from, to := io.Pipe()
			request := call{method: "POST", path: "/p.S/M", kind: "application/grpc"}.request(t.Context(), t)
			request.Body, request.ContentLength = from, -1
			if late {
				go func() {
					<-arrived
					to.Close()
				}()
			} else {
				to.Close()
			}
			response, err := w.connectHTTP2().RoundTrip(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if body, err := io.ReadAll(response.Body); err != nil || len(body) > 0 || response.Header.Get("Grpc-Status") != "0" {
				t.Errorf("answered %v %q, %v", response.Header, body, err)
			}
		})
	}
}

// TestTimeoutsOfCalls are read as gRPC writes them.
func TestTimeoutsOfCalls(t *testing.T) {
	for field, want := range map[string]time.Duration{
		"1S": time.Second, "250m": 250 * time.Millisecond, "7u": 7 * time.Microsecond, "12345678n": 12345678, "2M": 2 * time.Minute,
		"99999999H": math.MaxInt64, "": -1, "S": -1, "1": -1, "1s": -1, "-1S": -1, "+1S": -1, "1 S": -1, "123456789S": -1,
	} {
		if got, ok := parseGRPCTimeout([]byte(field)); ok != (want >= 0) || ok && got != want {
			t.Errorf("%q: %v %v, want %v", field, got, ok, want)
		}
	}
}

// TestLateCalls are told that they are late, where the target knew it first and gave up without a word.
func TestLateCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.listener().Rules[0].Action.Forward[0].Group.ProtocolVersion = lattice.GRPC
		w.targets[targetA] = serveHTTP2(func(http.ResponseWriter, *http.Request) {
			time.Sleep(time.Second)
			panic(http.ErrAbortHandler)
		})
		request := call{method: "POST", path: "/p.S/M", kind: "application/grpc"}.request(t.Context(), t)
		request.Header.Set("Grpc-Timeout", "1S")
		conn := w.connectHTTP2()
		response, err := conn.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.Header.Get("Grpc-Status") != "4" {
			t.Errorf("answered %v", response.Header)
		}
		conn.Close()
		w.close()
	})
}
