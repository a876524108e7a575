package http2

import (
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	xhttp2 "golang.org/x/net/http2"

	"pergola/containment"
	"pergola/dataplane/http1"
)

// TestFloodsEndTheConnection sends what a peer may send, but far more of it than can be honest.
func TestFloodsEndTheConnection(t *testing.T) {
	window := binary.BigEndian.AppendUint32(nil, 1)
	for _, c := range []struct {
		flood string
		begin func(*peer)
		send  func(p *peer, i int)
	}{
		{"PING", nil, func(p *peer, i int) { p.raw(kindPing, 0, 0, make([]byte, 8)...) }},
		{"SETTINGS", nil, func(p *peer, i int) { p.raw(kindSettings, 0, 0) }},
		{"acknowledgements", nil, func(p *peer, i int) { p.raw(kindSettings, flagAck, 0) }},
		{"PRIORITY", nil, func(p *peer, i int) { p.raw(kindPriority, 0, 1, 0, 0, 0, 3, 1) }},
		{"unknown frames", nil, func(p *peer, i int) { p.raw(77, 0, 0) }},
		{"small windows for the connection", nil, func(p *peer, i int) { p.raw(kindWindow, 0, 0, window...) }},
		{"small windows for a stream", func(p *peer) { p.headers(1, false, request("POST")...) },
			func(p *peer, i int) { p.raw(kindWindow, 0, 1, window...) }},
		{"empty DATA", func(p *peer) { p.headers(1, false, request("POST")...) }, func(p *peer, i int) { p.raw(kindData, 0, 1) }},
		{"padding alone", func(p *peer) { p.headers(1, false, request("POST")...) },
			func(p *peer, i int) { p.raw(kindData, flagPadded, 1, 1, 0) }},
		{"rapid reset", nil, func(p *peer, i int) {
			id := uint32(2*i + 1)
			p.headers(id, true, request("GET", "x", "y")...)
			p.raw(kindReset, 0, id, 0, 0, 0, 8)
		}},
		{"DATA on closed streams", func(p *peer) {
			p.headers(1, false, request("POST")...)
			p.raw(kindReset, 0, 1, 0, 0, 0, 8)
		}, func(p *peer, i int) { p.raw(kindData, 0, 1, 1) }},
		{"streams that break a rule", nil, func(p *peer, i int) {
			id := uint32(2*i + 1)
			p.headers(id, false, request("POST")...)
			p.raw(kindWindow, 0, id, 0, 0, 0, 0)
		}},
		{"a head in many pieces", func(p *peer) { p.raw(kindHeaders, 0, 1, p.block(request("GET")...)...) },
			func(p *peer, i int) { p.raw(kindContinuation, 0, 1) }},
		{"a head without end", func(p *peer) { p.raw(kindHeaders, 0, 1, p.block(request("GET")...)...) },
			func(p *peer, i int) { p.raw(kindContinuation, 0, 1, p.block("x", strings.Repeat("y", 15000))...) }},
		{"GOAWAY", nil, func(p *peer, i int) { p.raw(kindGoAway, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0) }},
	} {
		t.Run(c.flood, func(t *testing.T) {
			wait := func(_ *peer, s *Stream) { // a handler that takes its time
				var r http1.Request
				s.In.ReadRequest(&r)
				for s.In.Body().Fill() == nil {
					if _, err := s.In.Body().Next(); err != nil {
						return
					}
				}
			}
			withServer(t, Config{}, wait, func(p *peer, s *Server) {
				p.greet()
				if c.begin != nil {
					c.begin(p)
				}
				for i := range 5000 {
					c.send(p, i)
					if i%64 == 0 && p.hasEnded() {
						break
					}
				}
				if got := p.all(); !strings.Contains(got, "ENHANCE_YOUR_CALM") || !p.hasEnded() {
					t.Errorf("the flood was taken; the last of what was sent is %q", got[max(0, len(got)-300):])
				}
			})
		})
	}
}

// TestHonestUseIsNotAFlood is the other side of it: what costs something is paid for by what is achieved.
func TestHonestUseIsNotAFlood(t *testing.T) {
	withServer(t, Config{}, echoes, func(p *peer, _ *Server) {
		p.greet()
		for i := range uint32(2000) {
			p.headers(4*i+1, true, request("GET")...)
			p.raw(kindWindow, 0, 0, 0, 0, 0, 5)
			if i%4 == 0 { // a client that takes some of its requests back
				p.headers(4*i+3, false, request("POST")...)
				p.raw(kindReset, 0, 4*i+3, 0, 0, 0, 8)
				p.raw(kindPing, 0, 0, make([]byte, 8)...)
			}
			p.all()
		}
		if got := p.all(); strings.Contains(got, "GOAWAY") {
			t.Error("honest use was taken for a flood")
		}
	})
}

func TestHeadsAreBounded(t *testing.T) {
	many := make([]string, 0, 300)
	for range 150 {
		many = append(many, "a", "b")
	}
	large := []string{"a", strings.Repeat("b", 30<<10), "c", strings.Repeat("d", 31<<10)}
	var bomb []string // one entry of the table, named again and again
	for range 3000 {
		bomb = append(bomb, "x", strings.Repeat("y", 3000))
	}
	for name, fields := range map[string][]string{"many fields": many, "a large head": large, "a bomb": bomb} {
		t.Run(name, func(t *testing.T) {
			withServer(t, Config{}, echoes, func(p *peer, s *Server) {
				p.greet()
				block := p.block(request("GET", fields...)...)
				first := block[:min(len(block), 16000)]
				block = block[len(first):]
				p.fr.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, EndStream: true, EndHeaders: len(block) == 0, BlockFragment: first})
				for len(block) > 0 {
					piece := block[:min(len(block), 16000)]
					block = block[len(piece):]
					p.fr.WriteContinuation(1, len(block) == 0, piece)
				}
				p.headers(3, true, request("GET", "x", strings.Repeat("y", 3000))...)
				got := p.all()
				if !strings.Contains(got, "HEADERS 1 :status=400 x-problem=the head ") {
					t.Errorf("the head was not refused: %s", got)
				}
				if !strings.Contains(got, "HEADERS 3 :status=200") {
					t.Errorf("the connection does not go on: %s", got)
				}
			})
		})
	}
}

func TestStreamsAreBounded(t *testing.T) {
	withServer(t, Config{MaxStreams: 2}, echoesLater, func(p *peer, _ *Server) {
		p.greet()
		for id := uint32(1); id <= 5; id += 2 {
			p.headers(id, true, request("GET")...)
		}
		if got := p.all(); !strings.Contains(got, "RST 5 REFUSED_STREAM") || strings.Contains(got, "RST 3") {
			t.Errorf("got %s", got)
		}
		// Streams that were reset still count as long as their handlers run, though not at once.
		for id := uint32(7); id <= 15; id += 4 {
			p.raw(kindReset, 0, 1, 0, 0, 0, 8)
			p.raw(kindReset, 0, 3, 0, 0, 0, 8)
			p.all()
			p.headers(id, true, request("GET")...)
			p.headers(id+2, true, request("GET")...)
			p.all()
			p.raw(kindReset, 0, id, 0, 0, 0, 8)
			p.raw(kindReset, 0, id+2, 0, 0, 0, 8)
		}
		if got := p.all(); !strings.Contains(got, "RST 11 REFUSED_STREAM") || strings.Contains(got, "RST 9 ") {
			t.Errorf("got %s", got)
		}
		close(p.hold)
	})
}

func TestWindowsAreKept(t *testing.T) {
	for _, c := range []struct {
		window  string
		cfg     Config
		streams uint32
		want    string
	}{
		{"of a stream", Config{Window: 65535, ConnWindow: 1 << 20}, 1, "RST 1 FLOW_CONTROL_ERROR"},
		{"of the connection", Config{Window: 1 << 20, ConnWindow: 65535}, 2, "GOAWAY 3 FLOW_CONTROL_ERROR"},
	} {
		t.Run(c.window, func(t *testing.T) {
			withServer(t, c.cfg, echoesLater, func(p *peer, _ *Server) {
				defer close(p.hold)
				p.greet()
				for i := range c.streams {
					p.headers(2*i+1, false, request("POST")...)
				}
				for i := range uint32(4) {
					p.raw(kindData, 0, 2*(i%c.streams)+1, make([]byte, 16384)...)
				}
				if got := p.all(); !strings.Contains(got, c.want) {
					t.Errorf("want %q, got %s", c.want, got)
				}
			})
		})
	}
}

// TestCreditComesBack holds that what was consumed, or will never be, may be sent again.
func TestCreditComesBack(t *testing.T) {
	handlers := map[string]handler{
		"when a body is read": func(p *peer, s *Stream) {
			var r http1.Request
			s.In.ReadRequest(&r)
			s.In.Body().Discard(1 << 30)
			p.told <- s.In.Body().Received()
			s.Close()
		},
		"when a body is dropped": func(p *peer, s *Stream) { s.Close(); p.told <- int64(0) },
	}
	for name, handle := range handlers {
		t.Run(name, func(t *testing.T) {
			withServer(t, Config{Window: 65535, ConnWindow: 65535}, handle, func(p *peer, s *Server) {
				p.greet()
				total := 0
				for id := uint32(1); id < 60; id += 2 {
					p.headers(id, false, request("POST")...)
					for range 3 {
						p.raw(kindData, flagPadded, id, append([]byte{99}, make([]byte, 16000)...)...)
						total += 16001
						p.all()
					}
					p.raw(kindData, flagEndStream, id)
					got := p.all()
					if strings.Contains(got, "FLOW_CONTROL") {
						t.Fatalf("after %d bytes: %s", total, got)
					}
					if n := <-p.told; n != int64(0) && n != int64(3*(16000-99)) {
						t.Fatalf("%d bytes arrived", n)
					}
				}
			})
		})
	}
}

// TestSlowReaderHoldsLittle has a client ask for a large body and open no window: what waits for it is bounded, and ends
// with the idle timeout.
func TestSlowReaderHoldsLittle(t *testing.T) {
	handle := func(p *peer, s *Stream) {
		s.Out.StartResponse(200, nil)
		s.Out.EndHead(http1.Chunked)
		for {
			if _, err := s.Out.Write(zeros); err != nil {
				p.told <- err
				return
			}
		}
	}
	withServer(t, Config{IdleTimeout: time.Minute}, handle, func(p *peer, s *Server) {
		began := time.Now()
		p.greet()
		p.headers(1, true, request("GET")...)
		if p.all(); p.data != defaultWindow {
			t.Errorf("%d bytes were sent into a window of %d", p.data, defaultWindow)
		}
		if err, _ := (<-p.told).(error); !errors.Is(err, os.ErrDeadlineExceeded) || !within(began, time.Minute) {
			t.Errorf("it ended with %v after %v", err, time.Since(began))
		}
		if got := p.all(); !strings.Contains(got, "RST 1 CANCEL") {
			t.Errorf("got %s", got)
		}
	})
}

// TestPeerThatDoesNotReadIsLeft is about one that does not even take what is sent.
func TestPeerThatDoesNotReadIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		s := NewServer(far, Config{IdleTimeout: time.Minute})
		served := make(chan error, 1)
		began := time.Now()
		go func() { served <- s.Serve(echo) }()
		p := newPeer(t, near)
		p.greet()
		p.headers(1, true, request("GET")...)
		if err := <-served; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("it ended with %v", err)
		}
		if !within(began, time.Minute, lingerTime) {
			t.Errorf("it took %v", time.Since(began))
		}
		near.Close()
	})
}

// TestAnswersToAPeerThatDoesNotReadAreBounded has a peer provoke answers, within its budget of frames, that it does not read.
func TestAnswersToAPeerThatDoesNotReadAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		s := NewServer(far, Config{})
		served := make(chan error, 1)
		go func() { served <- s.Serve(echo) }()
		p := newPeer(t, near)
		p.greet()
		for range 10000 {
			if p.fr.WritePing(false, [8]byte{}) != nil {
				break
			}
			s.c.mu.Lock()
			if n := s.c.out.pending(); n > maxPending+frameHeader {
				t.Errorf("%d bytes wait to be sent", n)
			}
			s.c.mu.Unlock()
		}
		near.Close()
		var broken *ConnError
		if err := <-served; !errors.As(err, &broken) || broken.Code != EnhanceYourCalm {
			t.Errorf("it ended with %v", err)
		}
	})
}

// alarming is a connection that panics instead of reading, once it is told to.
type alarming struct {
	net.Conn
	now atomic.Bool
}

func (a *alarming) Read(p []byte) (int, error) {
	n, err := a.Conn.Read(p)
	if a.now.Load() {
		panic("no such thing")
	}
	return n, err
}

// TestAPanicEndsTheConnection of either side, and those who wait on it are told.
func TestAPanicEndsTheConnection(t *testing.T) {
	for name, which := range map[string]int{"the server's": 0, "the client's": 1} {
		t.Run(name, func(t *testing.T) {
			near, far := net.Pipe()
			ends := [...]*alarming{{Conn: near}, {Conn: far}}
			s, client := NewServer(ends[0], Config{}), NewClient(ends[1], Config{})
			handling := make(chan struct{})
			served, handled := make(chan error, 1), make(chan error, 1)
			go func() {
				served <- s.Serve(func(stream *Stream) {
					close(handling)
					handled <- stream.In.Body().Fill()
				})
			}()
			stream, err := client.Open()
			if err != nil {
				t.Fatal(err)
			}
			stream.Out.StartRequest([]byte("POST"), []byte("/"))
			stream.Out.Field("host", "a.example")
			stream.Out.EndHead(http1.Chunked)
			if err := stream.Out.Flush(); err != nil {
				t.Fatal(err)
			}
			<-handling
			ends[which].now.Store(true)
			if which == 0 {
				io.WriteString(&stream.Out, "x")
				stream.Out.Flush()
				if err := <-served; !errors.Is(err, ErrPanicked) {
					t.Errorf("served: %v", err)
				}
				if err := <-handled; !errors.Is(err, ErrPanicked) {
					t.Errorf("handled: %v", err)
				}
				client.Close()
				return
			}
			s.Finish() // which the client reads
			if err := stream.In.Await(); !errors.Is(err, ErrPanicked) {
				t.Errorf("awaited: %v", err)
			}
			<-handled
			<-served
		})
	}
}

// TestFault_A11_APanicEndsOneConnection, in any goroutine of it, and the server goes on.
func TestFault_A11_APanicEndsOneConnection(t *testing.T) {
	for name, c := range map[string]struct {
		handle handler
		conn   func(net.Conn) net.Conn
		script func(*peer)
	}{
		"in a handler": {func(*peer, *Stream) { panic("no such service") }, nil,
			func(p *peer) { p.greet(); p.headers(1, true, request("GET")...) }},
		"in a timer": {echoes, func(conn net.Conn) net.Conn { return timeless{conn} },
			func(p *peer) { time.Sleep(time.Minute) }},
		"in a write": {echoes, func(conn net.Conn) net.Conn { return mute{conn} }, func(p *peer) { p.greet() }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				before := containment.Panics()
				near, far := net.Pipe()
				if c.conn != nil {
					far = c.conn(far)
				}
				s := NewServer(far, Config{Log: slog.New(slog.DiscardHandler)})
				p := newPeer(t, near)
				served, heard := make(chan error, 1), make(chan struct{})
				go func() { served <- s.Serve(func(s *Stream) { c.handle(p, s) }) }()
				go func() { defer close(heard); p.listen() }()
				c.script(p)
				if err := <-served; err == nil {
					t.Error("the connection ended in order")
				}
				near.Close()
				<-heard
				if containment.Panics() == before {
					t.Error("no panic was counted")
				}
				if s.Active() != 0 {
					t.Errorf("%d streams are left", s.Active())
				}
			})
		})
	}
}

// timeless panics when a read deadline is set, and mute when it is written to.
type (
	timeless struct{ net.Conn }
	mute     struct{ net.Conn }
)

func (timeless) SetReadDeadline(time.Time) error { panic("no such time") }
func (mute) Write([]byte) (int, error)           { panic("no such peer") }

// TestFault_B11_WhoDoesNotSpeakHTTP2IsNotWaitedFor: what a target answers with that cannot become SETTINGS ends the
// connection at once, though the target falls silent.
func TestFault_B11_WhoDoesNotSpeakHTTP2IsNotWaitedFor(t *testing.T) {
	for answer, wait := range map[string]bool{
		"HTTP/1.1 400 Bad Request\r\n": false, "H": false, "\x15\x03\x01\x00\x02\x02\x16": false, "\x00\x41": false,
		"\x00\x00\x08\x06": false, "\x00\x00\x00\x04\x01": false, "\x00\x00\x12\x04\x00\x00": true,
	} {
		synctest.Test(t, func(t *testing.T) {
			near, far := net.Pipe()
			c := NewClient(far, Config{})
			go io.Copy(io.Discard, near)
			s := open(t, c)
			s.Out.StartRequest([]byte("GET"), []byte("/"))
			s.Out.Field("host", "a.example")
			s.Out.EndHead(http1.Bodiless)
			began := time.Now()
			io.WriteString(near, answer)
			if err := s.SendAndWait(); err == nil {
				t.Errorf("%q was taken for an answer", answer)
			}
			if waited := time.Since(began) > 0; waited != wait {
				t.Errorf("%q: waited %v", answer, time.Since(began))
			}
			s.Close()
			c.Close()
			near.Close()
		})
	}
}
