package http2

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	xhttp2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"pergola/dataplane/http1"
)

func TestClientAndServerAgree(t *testing.T) {
	h := serve(t, Config{}, nil, echo)
	c := dial(t, h.address, Config{}, nil)
	for range 3 {
		var r http1.Response
		s := open(t, c)
		n, err := getOn(s, "/100000?q=1", &r)
		if err != nil || r.Status != 200 || n != 100000 {
			t.Fatalf("got %d bytes, %v, %+v", n, err, r)
		}
		if got := string(r.Get("x-target")); got != "/100000?q=1" {
			t.Errorf("the target arrived as %q", got)
		}
		if got := string(r.Get("x-host")); got != "service.example" {
			t.Errorf("the host arrived as %q", got)
		}
		if s.Out.Sent() == 0 || s.Out.LastWrite().Before(s.Born()) || s.Born().Before(c.Born()) {
			t.Errorf("%d bytes were sent until %v", s.Out.Sent(), s.Out.LastWrite())
		}
		s.Close()
	}
}

// TestLargeHeads takes heads beyond one frame both ways.
func TestLargeHeads(t *testing.T) {
	large := strings.Repeat("0123456789", 5000)
	h := serve(t, Config{}, nil, func(s *Stream) {
		var r http1.Request
		if err := s.In.ReadRequest(&r); err != nil {
			t.Error(err)
			return
		}
		s.Out.StartResponse(204, nil)
		s.Out.FieldBytes("x-back", r.Get("x-large"))
		s.Out.EndHead(http1.Bodiless)
		s.Out.End()
	})
	s := open(t, dial(t, h.address, Config{}, nil))
	defer s.Close()
	startGET(s)
	s.Out.Field("x-large", large)
	s.Out.EndHead(http1.Bodiless)
	var r http1.Response
	if err := s.SendAndWait(); err != nil {
		t.Fatal(err)
	}
	if err := s.In.ReadResponse(&r, false); err != nil || string(r.Get("x-back")) != large {
		t.Errorf("%d bytes came back, %v", len(r.Get("x-back")), err)
	}
}

// TestWriterHoldsToItsHead is about bodies that are not as announced.
func TestWriterHoldsToItsHead(t *testing.T) {
	withClient(t, Config{}, func(p *peer, c *Client) {
		s, _ := c.Open()
		defer s.Close()
		startGET(s)
		if _, err := s.Out.Write([]byte("x")); err != http1.ErrWrongLength {
			t.Errorf("a body where there is none: %v", err)
		}
		s.Out.EndHead(http1.Sized(3))
		if _, err := s.Out.Write([]byte("four")); err != http1.ErrWrongLength {
			t.Errorf("a body that is too long: %v", err)
		}
		s.Out.Write([]byte("ab"))
		if err := s.Out.End(); err != http1.ErrWrongLength {
			t.Errorf("a body that is too short: %v", err)
		}
		s.Out.Write([]byte("c"))
		s.Out.Trailer(http1.Field{Name: []byte("X-Sum"), Value: []byte("abc")})
		if err := s.Out.End(); err != nil {
			t.Error(err)
		}
		if got := p.all(); !strings.Contains(got, "content-length=3\nDATA 1 3\nHEADERS 1 x-sum=abc END") {
			t.Errorf("got %s", got)
		}
	})
}

// TestAnswerBeforeTheBody has a server answer and leave a body unread: the client gets the answer, and is told to stop.
func TestAnswerBeforeTheBody(t *testing.T) {
	withServer(t, Config{}, func(p *peer, s *Stream) {
		s.Out.StartResponse(413, nil)
		s.Out.EndHead(http1.Sized(4))
		io.WriteString(&s.Out, "much")
		s.Out.End()
		s.Linger(1<<10, time.Second)
	}, func(p *peer, s *Server) {
		p.greet()
		p.headers(1, false, request("POST")...)
		p.raw(kindData, 0, 1, make([]byte, 1000)...)
		want := "HEADERS 1 :status=413 content-length=4\nDATA 1 4 END\nRST 1 NO_ERROR"
		if got := p.all(); !strings.Contains(got, want) {
			t.Errorf("got %s", got)
		}
		p.raw(kindData, flagEndStream, 1, 1) // it was on its way
		p.headers(3, false, request("POST")...)
		if got := p.all(); !strings.Contains(got, "HEADERS 3") || strings.Contains(got, "STREAM_CLOSED") {
			t.Errorf("got %s", got)
		}
	})
}

// TestTakenBackInOneBreath has a request and its reset arrive together: no handler is troubled with it.
func TestTakenBackInOneBreath(t *testing.T) {
	withServer(t, Config{}, func(p *peer, s *Stream) { p.told <- s.id }, func(p *peer, s *Server) {
		p.greet()
		p.all()
		var b bytes.Buffer
		fr := xhttp2.NewFramer(&b, nil)
		fr.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, EndStream: true, EndHeaders: true, BlockFragment: p.block(request("GET")...)})
		fr.WriteRSTStream(1, xhttp2.ErrCodeCancel)
		p.conn.Write(b.Bytes())
		p.headers(3, true, request("GET")...)
		if id := <-p.told; id != uint32(3) {
			t.Errorf("stream %v was handled", id)
		}
		p.all()
		if s.Active() != 0 {
			t.Errorf("%d streams are active", s.Active())
		}
	})
}

// TestTimeFillsTheBudget has a peer ping for an hour, as those do that keep a connection alive.
func TestTimeFillsTheBudget(t *testing.T) {
	withServer(t, Config{IdleTimeout: 2 * time.Hour, Lifetime: 2 * time.Hour}, echoes, func(p *peer, s *Server) {
		p.greet()
		for range 3600 * 4 {
			p.raw(kindPing, 0, 0, make([]byte, 8)...)
			pass(time.Second / 4)
		}
		if p.hasEnded() {
			t.Error("the connection has ended")
		}
	})
}

// TestAnErrorReachesAPeerThatIsSending is about the last word before a connection is closed: unread bytes must not take it
// away.
func TestAnErrorReachesAPeerThatIsSending(t *testing.T) {
	h := serve(t, Config{}, nil, echo)
	conn, err := net.Dial("tcp", h.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	p := newPeer(t, conn)
	p.greet()
	p.raw(kindPing, 0, 1, make([]byte, 8)...)
	for range 8 {
		p.raw(77, 0, 0, make([]byte, 16000)...)
	}
	for {
		f, err := p.fr.ReadFrame()
		if err != nil {
			t.Fatalf("it ended without GOAWAY: %v", err)
		}
		if f, ok := f.(*xhttp2.GoAwayFrame); ok {
			if f.ErrCode != xhttp2.ErrCodeProtocol {
				t.Errorf("got %v", f)
			}
			return
		}
	}
}

func TestClientFinishes(t *testing.T) {
	withClient(t, Config{}, func(p *peer, c *Client) {
		s, _ := c.Open()
		startGET(s)
		s.Out.End()
		c.Finish()
		if _, err := c.Open(); err != ErrClosed {
			t.Errorf("Open: %v", err)
		}
		p.headers(1, true, ":status", "200")
		var r http1.Response
		if err := s.In.ReadResponse(&r, false); err != nil {
			t.Error(err)
		}
		s.Close()
		<-c.Done()
	})
}

// TestStaticNames compares the table with the library's.
func TestStaticNames(t *testing.T) {
	for i := 15; i <= 61; i++ {
		var name string
		d := hpack.NewDecoder(0, func(f hpack.HeaderField) { name = f.Name })
		d.Write([]byte{indexed | byte(i)})
		if got := staticName([]byte(name)); got != i && i != 57 { // 57 does not exist anymore on the Web
			t.Errorf("%q is at %d, want %d", name, got, i)
		}
	}
}

// TestNothingIsLostInTheRush has many exchanges under way over two connections, and leaves some in every way there
// is, and looks for what they left behind.
func TestNothingIsLostInTheRush(t *testing.T) {
	target := serve(t, Config{}, nil, echo)
	c := dial(t, target.address, Config{}, nil)
	h := serve(t, Config{}, nil, carry(c))
	client := dial(t, h.address, Config{}, nil)
	leave := []func(*Stream){
		func(s *Stream) {}, (*Stream).Cut, (*Stream).StopReading,
		func(s *Stream) { s.OnReset(func() {}) }, func(s *Stream) { s.Out.Flush() },
	}
	var all sync.WaitGroup
	for worker := range 20 {
		random := rand.New(rand.NewPCG(uint64(worker), 1))
		all.Go(func() {
			for range 100 {
				rush(t, client, random, leave)
			}
		})
	}
	all.Wait()
	var r http1.Response
	if n, err := get(client, "/300000", &r); n != 300000 || err != nil {
		t.Errorf("after the rush: %d bytes, %v", n, err)
	}
	h.close()
	checkState(t, client.c)
	client.Close()
	c.Close()
	target.close()
	for _, c := range []*conn{c.c, client.c, h.servers[0].c, target.servers[0].c} {
		checkState(t, c)
	}
}

func rush(t *testing.T, c *Client, random *rand.Rand, leave []func(*Stream)) {
	s, err := c.Open()
	if err != nil {
		t.Error(err)
		return
	}
	defer s.Close()
	if random.IntN(20) == 0 {
		return
	}
	s.Out.StartRequest([]byte("POST"), []byte("/"))
	s.Out.Field("host", "service.example")
	s.Out.EndHead(http1.Chunked)
	s.Out.Write(make([]byte, random.IntN(50000)))
	if random.IntN(3) == 0 {
		leave[random.IntN(len(leave))](s)
	}
	if random.IntN(20) == 0 {
		return
	}
	if s.SendAndWait() != nil {
		return
	}
	var r http1.Response
	if s.In.ReadResponse(&r, false) != nil || random.IntN(10) == 0 {
		return
	}
	if err := s.In.Body().Discard(1 << 20); err != nil && !errors.Is(err, errLate) && !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

// TestWriterWhoseConnectionEndsMeanwhile is not left waiting for a window when the connection ends while it writes out what
// was pending.
func TestWriterWhoseConnectionEndsMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		s := NewServer(there, Config{})
		returned := make(chan error, 1)
		served := make(chan error, 1)
		go func() {
			served <- s.Serve(func(stream *Stream) {
				stream.Out.StartResponse(200, nil)
				stream.Out.EndHead(http1.Sized(gatherBody))
				_, err := stream.Out.Write(make([]byte, gatherBody))
				returned <- err
			})
		}()
		p := newPeer(t, here)
		go p.greet(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 10})
		for range 3 { // SETTINGS, WINDOW_UPDATE, and the acknowledgement; what follows waits to be read
			if _, err := p.fr.ReadFrame(); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		p.headers(1, true, request("GET")...)
		synctest.Wait()
		s.Close()
		if err := <-returned; err == nil {
			t.Error("the body was written")
		}
		<-served
	})
}

// lateWrites is a connection whose writes return when they are let go, although what they say has arrived before.
type lateWrites struct {
	net.Conn
	late, release chan struct{}
}

func (c *lateWrites) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	select {
	case <-c.late:
		<-c.release
	default:
	}
	return n, err
}

// TestAnswerWhileTheRequestIsWritten takes the answer although its connection takes leave before the write of the request
// has returned.
func TestAnswerWhileTheRequestIsWritten(t *testing.T) {
	for _, parting := range []string{"GOAWAY", "close"} {
		t.Run(parting, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				late := &lateWrites{far, make(chan struct{}), make(chan struct{})}
				c := NewClient(late, Config{})
				p := newPeer(t, near)
				go func() {
					io.ReadFull(near, make([]byte, len(preface)))
					p.listen()
				}()
				p.fr.WriteSettings()
				s, err := c.Open()
				if err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				close(late.late)
				s.Out.StartRequest([]byte("POST"), []byte("/"))
				s.Out.Field("host", "service.example")
				s.Out.EndHead(http1.Sized(3))
				s.Out.Write([]byte("abc"))
				ended := make(chan error, 1)
				go func() { ended <- s.Out.End() }()
				synctest.Wait()
				if parting == "GOAWAY" {
					p.fr.WriteGoAway(1, xhttp2.ErrCodeNo, nil)
				}
				p.headers(1, true, ":status", "200")
				if parting == "close" {
					near.Close()
				}
				synctest.Wait()
				close(late.release)
				if err := <-ended; err != nil {
					t.Errorf("the request ended with %v", err)
				}
				var r http1.Response
				if err := s.In.ReadResponse(&r, false); err != nil || r.Status != 200 {
					t.Errorf("the answer is %d, %v", r.Status, err)
				}
				s.Close()
				near.Close()
				c.Close()
			})
		})
	}
}

// TestLastAnswerOfAConnection is a success for who writes it, although the connection ends with it, before the write has
// returned.
func TestLastAnswerOfAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		late := &lateWrites{far, make(chan struct{}), make(chan struct{})}
		s := NewServer(late, Config{})
		p := newPeer(t, near)
		go p.listen()
		served := make(chan error, 1)
		go func() {
			served <- s.Serve(func(stream *Stream) {
				<-p.hold
				stream.Out.StartResponse(200, nil)
				stream.Out.EndHead(http1.Sized(3))
				stream.Out.Write([]byte("abc"))
				p.told <- stream.Out.End()
			})
		}()
		p.greet()
		p.headers(1, true, request("GET")...)
		synctest.Wait()
		s.Finish()
		pass(2 * warnTime)
		close(late.late)
		close(p.hold)
		synctest.Wait()
		close(late.release)
		if err := <-p.told; err != nil {
			t.Errorf("the answer ended with %v", err)
		}
		if got := p.all(); !strings.Contains(got, "DATA 1 3 END") {
			t.Errorf("got %s", got)
		}
		near.Close()
		<-served
	})
}
