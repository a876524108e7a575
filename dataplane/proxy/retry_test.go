package proxy

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"pergola/lattice"
)

// scripted is a target that speaks HTTP/2 frame by frame: it answers each request with 200, except that it does something
// else with those of its first connection after the first, once it has them whole.
type scripted struct {
	*http2.Framer
	conn net.Conn
}

// serveScript serves a connection. misbehave is nil on those that behave; it returns false to end the connection.
func serveScript(conn net.Conn, misbehave func(s *scripted, stream uint32) bool) {
	s := &scripted{http2.NewFramer(conn, conn), conn}
	if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	s.WriteSettings()
	for {
		frame, err := s.ReadFrame()
		if err != nil {
			return
		}
		whole := false
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				s.WriteSettingsAck()
			}
		case *http2.HeadersFrame:
			whole = f.StreamEnded()
		case *http2.DataFrame:
			whole = f.StreamEnded()
		}
		stream := frame.Header().StreamID
		switch {
		case !whole:
		case stream == 1 || misbehave == nil:
			s.answer(stream, true)
		case !misbehave(s, stream):
			return
		}
	}
}

func (s *scripted) answer(stream uint32, whole bool) {
	var block bytes.Buffer
	hpack.NewEncoder(&block).WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
	s.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: whole})
}

// TestRetryByHTTP2 repeats requests to targets that speak HTTP/2, once and on a fresh connection: any request without a body
// that the target promises not to have looked at, and one that changes nothing if the connection ended without an answer.
func TestRetryByHTTP2(t *testing.T) {
	closed := func(*scripted, uint32) bool { return false }
	goAway := func(s *scripted, stream uint32) bool { s.WriteGoAway(stream-2, http2.ErrCodeNo, nil); return true }
	goAwayThenAnswer := func(s *scripted, stream uint32) bool {
		s.WriteGoAway(stream, http2.ErrCodeNo, nil)
		s.answer(stream, true)
		return true
	}
	reset := func(code http2.ErrCode) func(*scripted, uint32) bool {
		return func(s *scripted, stream uint32) bool { s.WriteRSTStream(stream, code); return true }
	}
	half := func(s *scripted, stream uint32) bool { s.answer(stream, false); return false }
	get, empty, body := call{method: "GET", path: "/"}, call{method: "POST", path: "/"}, call{method: "POST", path: "/", body: "abc"}
	for _, row := range []struct {
		name      string
		second    call
		misbehave func(*scripted, uint32) bool
		status    int // 0 if the answer breaks off
		dials     int
	}{
		{"closed, GET", get, closed, 200, 2},
		{"closed, POST without a body", empty, closed, 502, 1},
		{"closed, POST with a body", body, closed, 502, 1},
		{"GOAWAY that excludes it, GET", get, goAway, 200, 2},
		{"GOAWAY that excludes it, POST without a body", empty, goAway, 200, 2},
		{"GOAWAY that excludes it, POST with a body", body, goAway, 502, 1},
		{"GOAWAY that includes it, POST with a body", body, goAwayThenAnswer, 200, 1},
		{"REFUSED_STREAM, GET", get, reset(http2.ErrCodeRefusedStream), 200, 2},
		{"REFUSED_STREAM, POST without a body", empty, reset(http2.ErrCodeRefusedStream), 200, 2},
		{"REFUSED_STREAM, POST with a body", body, reset(http2.ErrCodeRefusedStream), 502, 1},
		{"INTERNAL_ERROR, GET", get, reset(http2.ErrCodeInternal), 502, 1},
		{"closed amid the answer, GET", get, half, 0, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.listener().Rules[0].Action.Forward[0].Group.ProtocolVersion = lattice.HTTP2
				connections := 0
				w.targets[targetA] = func(conn net.Conn) {
					w.mu.Lock()
					connections++
					misbehave := row.misbehave
					if connections > 1 {
						misbehave = nil
					}
					w.mu.Unlock()
					serveScript(conn, misbehave)
				}
				client := w.connectHTTP2()
				for i, c := range []call{get, row.second} {
					request := c.request(t.Context(), t)
					status := 0
					if response, err := client.RoundTrip(request); err == nil {
						if _, err := io.Copy(io.Discard, response.Body); err == nil {
							status = response.StatusCode
						}
						response.Body.Close()
					}
					if want := []int{200, row.status}[i]; status != want {
						t.Errorf("request %d: answered %d, want %d", i, status, want)
					}
				}
				synctest.Wait()
				w.mu.Lock()
				if len(w.dials) != row.dials {
					t.Errorf("%d connections were made, want %d", len(w.dials), row.dials)
				}
				w.mu.Unlock()
				client.Close()
				w.close()
			})
		})
	}
}

// TestOneRetry gives up when the fresh connection ends like the kept one.
func TestOneRetry(t *testing.T) {
	for _, version := range []lattice.ProtocolVersion{lattice.HTTP1, lattice.HTTP2} {
		t.Run(string(version), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.listener().Rules[0].Action.Forward[0].Group.ProtocolVersion = version
				requests := 0
				w.targets[targetA] = func(conn net.Conn) {
					w.mu.Lock()
					first := len(w.dials) == 1
					w.mu.Unlock()
					switch {
					case first && version == lattice.HTTP1:
						w.answers(ok, "HANGUP")(conn)
					case first:
						serveScript(conn, func(*scripted, uint32) bool { return false })
					default:
						requests++
						conn.Read(make([]byte, 1024))
					}
				}
				client := w.connectHTTP2()
				for _, want := range []int{200, 502} {
					response, err := client.RoundTrip(call{method: "GET", path: "/"}.request(t.Context(), t))
					if err != nil {
						t.Fatal(err)
					}
					io.Copy(io.Discard, response.Body)
					response.Body.Close()
					if response.StatusCode != want {
						t.Errorf("answered %d, want %d", response.StatusCode, want)
					}
				}
				if len(w.dials) != 2 || requests != 1 {
					t.Errorf("%d connections were made, %d of them for a retry", len(w.dials), requests)
				}
				client.Close()
				w.close()
			})
		})
	}
}

// TestConnectionsThatEndWhileKept are noticed: even what cannot be repeated goes out on a fresh one.
func TestConnectionsThatEndWhileKept(t *testing.T) {
	for _, parting := range []string{"closed", "GOAWAY"} {
		t.Run(parting, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.listener().Rules[0].Action.Forward[0].Group.ProtocolVersion = lattice.HTTP2
				kept := make(chan net.Conn, 2)
				w.targets[targetA] = func(conn net.Conn) {
					kept <- conn
					serveScript(conn, nil)
				}
				client := w.connectHTTP2()
				for i := range 2 {
					response, err := client.RoundTrip(call{method: "POST", path: "/", body: strings.Repeat("abc", 100)}.request(t.Context(), t))
					if err != nil || response.StatusCode != 200 {
						t.Fatalf("request %d: %v, %v", i, response, err)
					}
					response.Body.Close()
					if conn := <-kept; i == 0 {
						synctest.Wait()
						if parting == "GOAWAY" {
							http2.NewFramer(conn, nil).WriteGoAway(1, http2.ErrCodeNo, nil)
						} else {
							conn.Close()
						}
						synctest.Wait()
					}
				}
				if len(w.dials) != 2 {
					t.Errorf("%d connections were made", len(w.dials))
				}
				client.Close()
				w.close()
			})
		})
	}
}

// TestRetryByTLS holds the same of targets that are spoken to by TLS, and that end their connections without saying so in
// TLS, as those do that are killed.
func TestRetryByTLS(t *testing.T) {
	certificate := selfSigned(t)
	for _, version := range []lattice.ProtocolVersion{lattice.HTTP1, lattice.HTTP2} {
		t.Run(string(version), func(t *testing.T) {
			w := newWorld(t)
			group := w.listener().Rules[0].Action.Forward[0].Group
			group.Protocol, group.ProtocolVersion = lattice.TargetHTTPS, version
			w.targets[targetA] = func(conn net.Conn) {
				w.mu.Lock()
				first := len(w.dials) == 1
				w.mu.Unlock()
				secure := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"h2"}})
				switch {
				case version == lattice.HTTP2 && first:
					serveScript(secure, func(*scripted, uint32) bool { return false })
				case version == lattice.HTTP2:
					serveScript(secure, nil)
				case first:
					w.answers(ok, "HANGUP")(secure)
				default:
					w.answers(ok)(secure)
				}
			}
			client := w.connectHTTP2()
			for i := range 2 {
				response, err := client.RoundTrip(call{method: "GET", path: "/"}.request(t.Context(), t))
				if err != nil {
					t.Fatal(err)
				}
				response.Body.Close()
				if response.StatusCode != 200 {
					t.Errorf("request %d: answered %d", i, response.StatusCode)
				}
			}
			if len(w.dials) != 2 {
				t.Errorf("%d connections were made", len(w.dials))
			}
		})
	}
}
