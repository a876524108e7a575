package http2

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pergola/dataplane/http1"
)

// within reports whether as long has passed since as was to pass, never less, and no more than the grace beyond it.
func within(since time.Time, d time.Duration, grace ...time.Duration) bool {
	more := time.Since(since) - d
	return more >= 0 && more <= append(grace, time.Millisecond)[0]
}

func TestConnectionsEndInTime(t *testing.T) {
	cfg := Config{HeadTimeout: 10 * time.Second, IdleTimeout: time.Minute, Lifetime: 10 * time.Minute}
	for _, c := range []struct {
		name  string
		send  func(*peer)
		after time.Duration
		want  string
	}{
		{"without a preface", func(p *peer) {}, 10 * time.Second, "GOAWAY 0 ENHANCE_YOUR_CALM"},
		{"within the preface", func(p *peer) { p.conn.Write([]byte(preface[:9])) }, 10 * time.Second, "GOAWAY 0 ENHANCE_YOUR_CALM"},
		{"without SETTINGS", func(p *peer) { p.conn.Write([]byte(preface)) }, 10 * time.Second, "GOAWAY 0 ENHANCE_YOUR_CALM"},
		{"within a head", func(p *peer) { p.greet(); p.raw(kindHeaders, 0, 1, p.block(request("GET")...)...) }, 10 * time.Second, "GOAWAY 1 ENHANCE_YOUR_CALM"},
		{"within a frame", func(p *peer) { p.greet(); p.conn.Write([]byte{0, 0, 9, byte(kindHeaders), 5}) }, 10 * time.Second, "GOAWAY 0 ENHANCE_YOUR_CALM"},
		{"idle", func(p *peer) { p.greet() }, time.Minute + warnTime, "GOAWAY 2147483647 NO_ERROR\nPING\nGOAWAY 0 NO_ERROR"},
		{"idle after a request", func(p *peer) { p.greet(); p.headers(1, true, request("GET")...) }, time.Minute + warnTime, "GOAWAY 1 NO_ERROR"},
		{"old", func(p *peer) {
			p.greet()
			for id := uint32(1); !strings.Contains(p.all(), "GOAWAY"); id += 2 {
				p.headers(id, true, request("GET")...)
				pass(30 * time.Second)
			}
			p.headers(101, true, request("GET")...)
		}, 10*time.Minute + warnTime, "HEADERS 101 :status=200"},
	} {
		t.Run(c.name, func(t *testing.T) {
			withServer(t, cfg, echoes, func(p *peer, s *Server) {
				began := time.Now()
				c.send(p)
				for !p.hasEnded() {
					pass(100 * time.Millisecond)
				}
				if got := p.all(); !strings.Contains(got, c.want) {
					t.Errorf("want %q, got %s", c.want, got)
				}
				if !within(began, c.after, lingerTime+time.Second) {
					t.Errorf("it took %v, want %v", time.Since(began), c.after)
				}
			})
		})
	}
}

func TestFinishServesWhatIsUnderWay(t *testing.T) {
	withServer(t, Config{}, echoesLater, func(p *peer, s *Server) {
		p.greet()
		p.headers(1, true, request("GET")...)
		p.all()
		s.Finish()
		p.headers(3, true, request("GET")...) // it was on its way
		p.all()
		p.raw(kindPing, flagAck, 0, leavingPing[:]...)
		if got := p.all(); !strings.Contains(got, "GOAWAY 3 NO_ERROR") || p.hasEnded() {
			t.Errorf("got %s", got)
		}
		p.headers(5, true, request("GET")...) // it came too late
		if s.Active() != 2 {
			t.Errorf("%d streams are active", s.Active())
		}
		close(p.hold)
		got := p.all()
		if !strings.Contains(got, "HEADERS 1 :status=200") || !strings.Contains(got, "HEADERS 3 :status=200") || strings.Contains(got, "HEADERS 5") {
			t.Errorf("got %s", got)
		}
		if !p.hasEnded() {
			t.Error("the connection goes on")
		}
	})
}

func TestCloseFailsWhatIsUnderWay(t *testing.T) {
	withServer(t, Config{}, func(p *peer, s *Stream) {
		var r http1.Request
		s.In.ReadRequest(&r)
		p.told <- s.In.Body().Fill()
	}, func(p *peer, s *Server) {
		p.greet()
		p.headers(1, false, request("POST")...)
		p.all()
		s.Close()
		if err, _ := (<-p.told).(error); !errors.Is(err, ErrClosed) {
			t.Errorf("got %v", err)
		}
	})
}

func TestWaitingEnds(t *testing.T) {
	for _, c := range []struct {
		name string
		wait func(*Stream) error
		want error
		took time.Duration
	}{
		{"with the idle timeout", func(s *Stream) error { return s.In.Body().Fill() }, os.ErrDeadlineExceeded, time.Minute},
		{"with a new idle timeout", func(s *Stream) error {
			s.SetIdleTimeout(5 * time.Second)
			return s.In.Body().Fill()
		}, os.ErrDeadlineExceeded, 5 * time.Second},
		{"with an idle timeout that is set while waiting", func(s *Stream) error {
			time.AfterFunc(time.Second, func() { s.SetIdleTimeout(5 * time.Second) })
			return s.In.Body().Fill()
		}, os.ErrDeadlineExceeded, 5 * time.Second},
		{"when reading is stopped", func(s *Stream) error {
			time.AfterFunc(time.Second, s.StopReading)
			return s.In.Body().Fill()
		}, os.ErrDeadlineExceeded, time.Second},
		{"when the stream is cut", func(s *Stream) error {
			time.AfterFunc(time.Second, s.Cut)
			return s.In.Body().Fill()
		}, ErrClosed, time.Second},
		{"when a stream that writes is cut", func(s *Stream) error {
			time.AfterFunc(time.Second, s.Cut)
			s.Out.StartResponse(200, nil)
			s.Out.EndHead(http1.Chunked)
			_, err := s.Out.Write(make([]byte, 100000))
			return err
		}, ErrClosed, time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			withServer(t, Config{IdleTimeout: time.Minute}, func(p *peer, s *Stream) {
				var r http1.Request
				s.In.ReadRequest(&r)
				began := time.Now()
				err := c.wait(s)
				if !errors.Is(err, c.want) || !within(began, c.took) {
					t.Errorf("it ended with %v after %v", err, time.Since(began))
				}
				close(p.hold)
			}, func(p *peer, s *Server) {
				p.greet()
				p.headers(1, false, request("POST")...)
				<-p.hold
			})
		})
	}
}

// TestProgressKeepsAStreamAlive has a body arrive slowly: the idle time begins anew with each piece.
func TestProgressKeepsAStreamAlive(t *testing.T) {
	withServer(t, Config{IdleTimeout: time.Minute}, func(p *peer, s *Stream) {
		var r http1.Request
		s.In.ReadRequest(&r)
		n, err := io.Copy(io.Discard, s.In.Body())
		if n != 5 || err != nil {
			t.Errorf("%d bytes and %v", n, err)
		}
		close(p.hold)
	}, func(p *peer, s *Server) {
		p.greet()
		p.headers(1, false, request("POST")...)
		for range 5 {
			pass(50 * time.Second)
			p.raw(kindData, 0, 1, 'x')
		}
		p.raw(kindData, flagEndStream, 1)
		<-p.hold
	})
}

// TestAnUploadKeepsTheWaitForItsResponseAlive has a body leave slowly.
func TestAnUploadKeepsTheWaitForItsResponseAlive(t *testing.T) {
	withClient(t, Config{IdleTimeout: time.Minute}, func(p *peer, c *Client) {
		s, _ := c.Open()
		defer s.Close()
		startGET(s)
		s.Out.EndHead(http1.Chunked)
		go func() {
			for range 5 {
				pass(50 * time.Second)
				s.Out.Write([]byte("x"))
				s.Out.Flush()
			}
			s.Out.End()
			p.told <- nil
			p.headers(1, true, ":status", "200")
		}()
		var r http1.Response
		if err := s.In.ReadResponse(&r, false); err != nil || r.Status != 200 {
			t.Errorf("got %d, %v", r.Status, err)
		}
		<-p.told
	})
}

// TestOnResetTellsOnce covers the ways in which a peer can leave a stream.
func TestOnResetTellsOnce(t *testing.T) {
	for _, c := range []struct {
		name  string
		leave func(*peer)
		want  int
	}{
		{"RST_STREAM", func(p *peer) { p.raw(kindReset, 0, 1, 0, 0, 0, 8) }, 1},
		{"the end of the connection", func(p *peer) { p.conn.Close() }, 1},
		{"a broken rule", func(p *peer) { p.raw(kindWindow, 0, 1, 0, 0, 0, 0) }, 1},
		{"an orderly end", func(p *peer) { close(p.hold) }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			called := make(chan struct{}, 10)
			withServer(t, Config{}, func(p *peer, s *Stream) {
				var r http1.Request
				s.In.ReadRequest(&r)
				s.OnReset(func() {
					called <- struct{}{}
					close(p.hold)
				})
				<-p.hold
				s.Out.StartResponse(200, nil)
				s.Out.EndHead(http1.Sized(0))
				s.Out.End()
			}, func(p *peer, s *Server) {
				p.greet()
				p.headers(1, true, request("GET")...)
				p.all()
				c.leave(p)
				p.all()
			})
			if len(called) != c.want {
				t.Errorf("it was called %d times, want %d", len(called), c.want)
			}
		})
	}
}

// TestClientStreams covers what an opened stream comes to.
func TestClientStreams(t *testing.T) {
	t.Run("no more than the peer allows", func(t *testing.T) {
		withClient(t, Config{}, func(p *peer, c *Client) {
			p.raw(kindSettings, 0, 0, 0, 3, 0, 0, 0, 2)
			synctest.Wait()
			first, _ := c.Open()
			second, _ := c.Open()
			if _, err := c.Open(); err != ErrFull {
				t.Errorf("a third stream: %v", err)
			}
			first.Close()
			if c.Active() != 1 {
				t.Errorf("%d streams are active", c.Active())
			}
			third, err := c.Open()
			if err != nil {
				t.Fatal(err)
			}
			third.Close()
			second.Close()
		})
	})
	t.Run("closed before the response", func(t *testing.T) {
		withClient(t, Config{}, func(p *peer, c *Client) {
			exchangeNothing(c, (*Stream).Close)
			if got := p.all(); !strings.Contains(got, "RST 1 CANCEL") {
				t.Errorf("got %s", got)
			}
		})
	})
	t.Run("reset", func(t *testing.T) {
		withClient(t, Config{}, func(p *peer, c *Client) {
			exchangeNothing(c, (*Stream).Reset)
			if got := p.all(); !strings.Contains(got, "RST 1 INTERNAL_ERROR") {
				t.Errorf("got %s", got)
			}
		})
	})
	t.Run("stale after GOAWAY", func(t *testing.T) {
		withClient(t, Config{}, func(p *peer, c *Client) {
			s, _ := c.Open()
			other, _ := c.Open()
			startGET(other)
			other.Out.End()
			synctest.Wait()
			p.fr.WriteGoAway(1, 0, nil)
			synctest.Wait()
			if err := s.Probe(); !errors.Is(err, http1.ErrStale) {
				t.Errorf("Probe: %v", err)
			}
			startGET(s)
			if err := s.SendAndWait(); !errors.Is(err, http1.ErrStale) {
				t.Errorf("SendAndWait: %v", err)
			}
			s.Close()
			if c.Usable() {
				t.Error("it is still of use")
			}
			if _, err := c.Open(); err != ErrClosed {
				t.Errorf("Open: %v", err)
			}
			p.headers(1, true, ":status", "204")
			var r http1.Response
			if err := other.In.ReadResponse(&r, false); err != nil || r.Status != 204 {
				t.Errorf("the stream under way: %v", err)
			}
			other.Close()
			<-c.Done()
		})
	})
	t.Run("stale after REFUSED_STREAM", func(t *testing.T) {
		withClient(t, Config{}, func(p *peer, c *Client) {
			err := exchange(c, func() { p.all(); p.raw(kindReset, 0, 1, 0, 0, 0, byte(RefusedStream)) })
			if !errors.Is(err, http1.ErrStale) {
				t.Errorf("got %v", err)
			}
		})
	})
	t.Run("broken off", func(t *testing.T) {
		withClient(t, Config{}, func(p *peer, c *Client) {
			if err := exchange(c, func() { p.all(); p.conn.Close() }); err != io.EOF {
				t.Errorf("before the response: %v", err)
			}
		})
		withClient(t, Config{}, func(p *peer, c *Client) {
			err := exchange(c, func() { p.all(); p.headers(1, false, ":status", "200"); p.conn.Close() })
			if !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("within the response: %v", err)
			}
		})
	})
	t.Run("answered early", func(t *testing.T) {
		withClient(t, Config{}, func(p *peer, c *Client) {
			s, _ := c.Open()
			defer s.Close()
			s.Out.StartRequest([]byte("POST"), []byte("/"))
			s.Out.Field("host", "service.example")
			s.Out.EndHead(http1.Chunked)
			s.Out.Flush()
			p.all()
			p.headers(1, true, ":status", "413")
			p.raw(kindReset, 0, 1, 0, 0, 0, 0)
			p.all()
			if _, err := s.Out.Write(zeros); err == nil {
				t.Error("writing goes on")
			}
			var r http1.Response
			if err := s.SendAndWait(); err != nil {
				t.Error(err)
			}
			if err := s.In.ReadResponse(&r, false); err != nil || r.Status != 413 {
				t.Errorf("got %d, %v", r.Status, err)
			}
			if s.Rest() {
				t.Error("the exchange counts as complete")
			}
		})
	})
	t.Run("silent", func(t *testing.T) {
		withClient(t, Config{IdleTimeout: time.Minute}, func(p *peer, c *Client) {
			began := time.Now()
			if err := exchange(c, func() {}); !errors.Is(err, os.ErrDeadlineExceeded) || !within(began, time.Minute) {
				t.Errorf("got %v after %v", err, time.Since(began))
			}
			if c.Usable() {
				t.Error("a connection on which nothing comes is still used")
			}
		})
	})
	t.Run("with a head and nothing else", func(t *testing.T) {
		withClient(t, Config{}, func(p *peer, c *Client) {
			s, _ := c.Open()
			defer s.Close()
			s.Out.StartRequest([]byte("POST"), []byte("/a?b"))
			s.Out.Field("X-Field", "value")
			s.Out.Copy(http1.Field{Name: []byte("Connection"), Value: []byte("close")})
			s.Out.Copy(http1.Field{Name: []byte("Transfer-Encoding"), Value: []byte("chunked")})
			s.Out.Field("te", "gzip")
			s.Out.Field("te", "trailers")
			s.Out.Field("Host", "service.example")
			s.Out.EndHead(http1.Sized(0))
			s.Out.End()
			want := "HEADERS 1 :method=POST :scheme=http :path=/a?b :authority=service.example x-field=value te=trailers END"
			if got := p.all(); !strings.Contains(got, want) {
				t.Errorf("got %s", got)
			}
		})
	})
}

func startGET(s *Stream) {
	s.Out.StartRequest([]byte("GET"), []byte("/"))
	s.Out.Field("host", "service.example")
	s.Out.EndHead(http1.Bodiless)
}

// exchangeNothing opens a stream, sends a GET and ends the stream.
func exchangeNothing(c *Client, end func(*Stream) error) {
	s, err := c.Open()
	if err != nil {
		return
	}
	startGET(s)
	s.Out.Flush()
	end(s)
}
