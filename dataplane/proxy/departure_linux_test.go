package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"pergola/dataplane/record"
	"pergola/lattice"
)

// silent makes a target take requests and answer none. asked receives for each; gone is told when the proxy has left.
func silent(l *lounge, version lattice.ProtocolVersion) (asked, gone chan struct{}) {
	asked, gone = make(chan struct{}, 10), make(chan struct{}, 10)
	if version == lattice.HTTP2 {
		l.targets[targetA] = serveHTTP2(func(_ http.ResponseWriter, r *http.Request) {
			asked <- struct{}{}
			<-r.Context().Done()
			gone <- struct{}{}
		})
		return asked, gone
	}
	l.targets[targetA] = func(conn net.Conn) {
		if l.takeRequest(bufio.NewReader(conn)) {
			asked <- struct{}{}
		}
		io.Copy(io.Discard, conn) // until the proxy leaves
		gone <- struct{}{}
	}
	return asked, gone
}

// leave sends a request and leaves once it has been passed on.
func (l *lounge) leave(t *testing.T, asked <-chan struct{}, request, how string) {
	t.Helper()
	if l.http2 {
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-asked
			cancel()
		}()
		scheme := map[bool]string{true: "https", false: "http"}[l.tls]
		r, _ := http.NewRequestWithContext(ctx, "GET", scheme+"://s.example:80/", nil)
		if _, err := l.client.RoundTrip(r); err == nil {
			t.Error("an answer came")
		}
		return
	}
	below, err := net.Dial("tcp", l.address.String())
	if err != nil {
		t.Fatal(err)
	}
	conn := below
	if l.tls {
		conn = tls.Client(below, &tls.Config{InsecureSkipVerify: true})
	}
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	<-asked
	if how == "RST" {
		below.(*net.TCPConn).SetLinger(0)
		below.Close()
	}
	conn.Close()
}

// TestFault_A4_ClientsThatLeaveAreNoticed while their target is silent, however they leave: the target's connection
// ends, or its stream, and so does theirs. The idle time of the service would be an hour.
func TestFault_A4_ClientsThatLeaveAreNoticed(t *testing.T) {
	const post = "POST / HTTP/1.1\r\nHost: s.example\r\nContent-Length: 3\r\n\r\nabc"
	const upload = "POST / HTTP/1.1\r\nHost: s.example\r\nContent-Length: 3\r\n\r\n"
	for _, s := range languages {
		for _, version := range []lattice.ProtocolVersion{lattice.HTTP1, lattice.HTTP2} {
			for _, how := range []string{"FIN", "RST"} {
				for _, request := range []string{get, post, upload} {
					if version == lattice.HTTP2 && !s.http2 || s.http2 && (how == "RST" || request != get) || request == upload &&
						how != "RST" {
						continue
					}
					t.Run(s.name+" to "+string(version)+" "+how+" "+request[:4], func(t *testing.T) {
						t.Parallel()
						l := newLounge(t, s, time.Hour)
						l.listener().Rules[0].Action.Forward[0].Group.ProtocolVersion = version
						asked, gone := silent(l, version)
						if request == upload { // whose body does not come
							l.targets[targetA] = func(conn net.Conn) {
								conn.Read(make([]byte, 1))
								asked <- struct{}{}
								io.Copy(io.Discard, conn)
								gone <- struct{}{}
							}
						}
						l.leave(t, asked, request, how)
						<-gone
						l.hangUp()
						waitRecorded(l.world, 1)
						if r := l.last(); r.Failure != record.ClientConnectionClosed {
							t.Errorf("recorded %s", r.Failure)
						}
					})
				}
			}
		}
	}
}

// TestFault_A4_WhileAFunctionIsAwaited holds the same of functions, whose invocation ends.
func TestFault_A4_WhileAFunctionIsAwaited(t *testing.T) {
	t.Parallel()
	asked, gone := make(chan struct{}, 1), make(chan struct{})
	w := newFunctionWorld(t, "V1", func(ctx context.Context, _ []byte) (string, error) {
		asked <- struct{}{}
		<-ctx.Done()
		close(gone)
		return "", ctx.Err()
	})
	w.listener().Service.IdleTimeout = time.Hour
	l := listen(t)
	w.serving.Go(func() {
		conn, err := l.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		w.proxy.ServeConn(w.finish, w.cut, conn, inVPC)
	})
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(conn, get)
	<-asked
	conn.Close()
	<-gone
	w.serving.Wait()
}

// TestFault_A4_WhileTheRestOfAnAnswerIsAwaited holds the same of an answer that has begun.
func TestFault_A4_WhileTheRestOfAnAnswerIsAwaited(t *testing.T) {
	t.Parallel()
	l := newLounge(t, languages[0], time.Hour)
	gone := make(chan struct{})
	l.targets[targetA] = func(conn net.Conn) {
		l.takeRequest(bufio.NewReader(conn))
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
		io.Copy(io.Discard, conn)
		close(gone)
	}
	conn, err := net.Dial("tcp", l.address.String())
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(conn, get)
	io.ReadAtLeast(conn, make([]byte, 1024), 100)
	conn.Close()
	<-gone
	<-l.ended
}

// TestFault_A4_AClientThatListensIsAnswered: one that ends its side after its request has said all that it has to say,
// and its answer reaches it, as does that to a request before, and one that is looked after because its target takes
// its time.
func TestFault_A4_AClientThatListensIsAnswered(t *testing.T) {
	for _, s := range languages[:2] {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			l := newLounge(t, s, time.Hour)
			l.targets[targetA] = func(conn net.Conn) {
				in := bufio.NewReader(conn)
				for range 2 {
					l.takeRequest(in)
					<-time.After(2 * firstLook) // what is waited for is that the client is looked after
					io.WriteString(conn, ok)
				}
			}
			below, err := net.Dial("tcp", l.address.String())
			if err != nil {
				t.Fatal(err)
			}
			conn := below.(interface {
				net.Conn
				CloseWrite() error
			})
			if l.tls {
				conn = tls.Client(below, &tls.Config{InsecureSkipVerify: true})
			}
			defer conn.Close()
			in := bufio.NewReader(conn)
			for i := range 2 {
				io.WriteString(conn, get)
				if i == 1 {
					conn.CloseWrite()
				}
				if a, err := readAnswer(in, false); err != nil || a.status != 200 || a.body != "hello" {
					t.Errorf("request %d: %v, %v", i, a, err)
				}
			}
		})
	}
}
