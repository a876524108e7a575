package http2

import (
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	xhttp2 "golang.org/x/net/http2"

	"pergola/bound"
	"pergola/dataplane/http1"
)

// waits is a handler that reads the head, and then waits.
func waits(p *peer, s *Stream) {
	var r http1.Request
	s.In.ReadRequest(&r)
	<-p.hold
}

// bomb sends a head that is 56 KB long and names one entry of the table again and again.
func (p *peer) bomb(id uint32, end bool) {
	fields := request("GET")
	for range 14 {
		fields = append(fields, "x", strings.Repeat("y", 4000))
	}
	p.headers(id, end, fields...)
}

// TestFault_A3_HeadsAreBounded: what is named by a few bytes is not held beyond what a connection and a client may, and
// a stream beyond it is refused so that it can be sent again. Other clients have room.
func TestFault_A3_HeadsAreBounded(t *testing.T) {
	const maxHeld, all = 1 << 20, 4 << 20
	pool := bound.NewPool(all, 0)
	synctest.Test(t, func(t *testing.T) {
		var peers []*peer
		var servers []*Server
		var ends []func()
		connect := func(client string) *peer {
			near, far := net.Pipe()
			s := NewServer(far, Config{MaxHeld: maxHeld, Share: pool.Open("vpc", client)})
			p := newPeer(t, near)
			served, heard := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(served)
				s.Serve(func(s *Stream) { waits(p, s) })
			}()
			go func() { defer close(heard); p.listen() }()
			ends = append(ends, func() { close(p.hold); near.Close(); <-served; <-heard })
			peers, servers = append(peers, p), append(servers, s)
			p.greet()
			return p
		}
		before := heap()
		for range 20 {
			p := connect("hostile")
			for i := range uint32(100) {
				p.bomb(2*i+1, true)
			}
			synctest.Wait()
		}
		if got := heap() - before; got > 3*all {
			t.Errorf("%d MB are held, where %d may be", got>>20, all>>20)
		}
		for i, s := range servers {
			checkHeld(t, s.c)
			if got := peers[i].all(); !strings.Contains(got, "REFUSED_STREAM") || strings.Contains(got, "GOAWAY") {
				t.Fatalf("connection %d was told %.300q", i, got)
			}
		}
		other := connect("other")
		for i := range uint32(3) {
			other.bomb(2*i+1, true)
		}
		if got := other.all(); strings.Contains(got, "RST") || servers[20].Active() != 3 {
			t.Errorf("another client was told %q", got)
		}
		for _, end := range ends {
			end()
		}
	})
	if got := pool.Taken(); got != 0 {
		t.Errorf("%d bytes count after the end", got)
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse)
}

// TestFault_A3_WhatIsAnsweredIsLetGo: a short answer to a client that keeps its window at 0 waits without its request,
// and is sent when the window opens, or given up after the idle time.
func TestFault_A3_WhatIsAnsweredIsLetGo(t *testing.T) {
	denies := func(p *peer, s *Stream) {
		var r http1.Request
		s.In.ReadRequest(&r)
		s.Out.StartResponse(403, nil)
		s.Out.EndHead(http1.Sized(10))
		s.Out.Write([]byte("0123456789"))
		if err := s.Out.End(); err != nil {
			t.Errorf("the answer was not taken: %v", err)
		}
	}
	for name, c := range map[string]struct {
		end  bool // of the requests
		then func(*peer)
		want string // of stream 3
	}{
		"the windows open": {true, func(p *peer) { p.fr.WriteSettings(window(100)) }, "DATA 3 10 END"},
		"a window opens by pieces": {true, func(p *peer) {
			p.fr.WriteWindowUpdate(3, 4)
			p.all()
			p.fr.WriteWindowUpdate(3,
				6)
		}, "DATA 3 4\nDATA 3 6 END"},
		"a request goes on": {false,
			func(p *peer) { p.fr.WriteData(3, false, make([]byte, 1000)); p.fr.WriteWindowUpdate(3, 10) },
			"DATA 3 10 END\nRST 3 NO_ERROR"},
		"a client takes it back": {true,
			func(p *peer) { p.fr.WriteRSTStream(3, xhttp2.ErrCodeCancel); p.fr.WriteWindowUpdate(3, 10) }, ""},
		"nothing happens": {true, func(p *peer) { time.Sleep(61 * time.Second) }, "RST 3 CANCEL"},
		"a client keeps busy": {true, func(p *peer) {
			for range 70 {
				time.Sleep(time.Second)
				p.fr.WriteWindowUpdate(0, 1)
				p.fr.WriteSettings()
			}
		}, "RST 3 CANCEL"},
	} {
		t.Run(name, func(t *testing.T) {
			pool := bound.NewPool(64<<20, 0)
			withServer(t, Config{Share: pool.Open("vpc", "client")}, denies, func(p *peer, s *Server) {
				p.greet(window(0))
				for i := range uint32(50) {
					p.bomb(2*i+1, c.end)
				}
				if p.all(); s.Active() != 0 {
					t.Errorf("%d handlers wait for the client", s.Active())
				}
				s.c.mu.Lock()
				held := s.c.holding.held
				s.c.mu.Unlock()
				if want := int64(50*streamCost + 2*largeBlock); held > want {
					t.Errorf("%d bytes are held, want at most %d", held, want)
				}
				checkHeld(t, s.c)
				before := len(p.all())
				c.then(p)
				if got := onStream(p.all()[before:], "3"); got != c.want {
					t.Errorf("the stream brings %q, want %q in %q", got, c.want, p.all())
				}
				checkHeld(t, s.c)
			})
			if got := pool.Taken(); got != 0 {
				t.Errorf("%d bytes count after the end", got)
			}
		})
	}
}

func window(n uint32) xhttp2.Setting {
	return xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: n}
}

// onStream picks the frames of a stream but for those of its head.
func onStream(frames, id string) string {
	var of []string
	for line := range strings.Lines(frames) {
		if words := strings.Fields(line); len(words) > 1 && words[1] == id && words[0] != "HEADERS" {
			of = append(of, strings.TrimSpace(line))
		}
	}
	return strings.Join(of, "\n")
}

// TestBodiesBeyondWhatMayBeHeld: the stream is reset whose body would be too much, and those of other clients go on.
func TestBodiesBeyondWhatMayBeHeld(t *testing.T) {
	withServer(t, Config{MaxHeld: 600 << 10}, waits, func(p *peer, s *Server) {
		p.greet()
		for i := range uint32(8) {
			p.headers(2*i+1, false, request("POST")...)
			for range 8 {
				p.fr.WriteData(2*i+1, false, make([]byte, 16<<10))
			}
		}
		got := p.all()
		if !strings.Contains(got, "RST") || strings.Contains(got, "RST 1 ") || strings.Contains(got, "GOAWAY") {
			t.Errorf("the client was told %q", got)
		}
		checkHeld(t, s.c)
		close(p.hold)
	})
}

// checkHeld holds that a connection counts all that it holds, and no more than it may.
func checkHeld(t testing.TB, c *conn) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.holding.held > c.cfg.MaxHeld || c.holding.held < 0 || c.holding.spare > maxSpare {
		t.Errorf("%d bytes are counted of %d, and %d are spare", c.holding.held, c.cfg.MaxHeld, c.holding.spare)
	}
	real := int64(0)
	block := func(b *block) {
		if b != nil {
			real += int64(cap(b.data))
		}
	}
	for _, s := range c.streams {
		in := &s.in
		real += int64(max(in.texts, cap(in.text)) + cap(in.fields)*int(unsafe.Sizeof(http1.Field{})))
		for _, b := range in.data.blocks {
			block(b)
		}
		block(s.In.body.front)
		real += int64(cap(s.out.tail) + cap(s.Out.block) + cap(s.Out.body) + cap(s.Out.trailers))
	}
	block(c.out.blk)
	block(c.input.blk)
	block(c.head.blk)
	if most := c.holding.held + 2*smallBlock; real > most && c.err == nil {
		t.Errorf("%d bytes are held by %d streams, and %d are counted", real, len(c.streams), c.holding.held)
	}
}

// TestNoClientHoldsMore: connections of random clients, honest and hostile, hold no more than they may, and count all
// that they hold.
func TestNoClientHoldsMore(t *testing.T) {
	handlers := []handler{echoes, waits, echoesLater}
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 9))
			pool := bound.NewPool(3<<20, 0)
			cfg := Config{MaxHeld: 256<<10 + random.Int64N(1<<20), Share: pool.Open("vpc", "client")}
			withServer(t, cfg, handlers[random.IntN(3)], func(p *peer, s *Server) {
				p.greet(window(uint32(random.IntN(2) * random.IntN(70000))))
				for next := uint32(1); next < 400 && !p.hasEnded(); {
					next = p.act(random, next)
					if random.IntN(4) == 0 {
						synctest.Wait()
						checkHeld(t, s.c)
						if taken := pool.Taken(); taken > pool.Most() {
							t.Fatalf("%d bytes are taken of %d", taken, pool.Most())
						}
					}
				}
				checkHeld(t, s.c)
				close(p.hold)
			})
			if got := pool.Taken(); got != 0 {
				t.Errorf("%d bytes count after the end", got)
			}
		})
	}
}

// act does something at random, and returns the number of the next stream.
func (p *peer) act(random *rand.Rand, next uint32) uint32 {
	known := uint32(random.IntN(int(next)))&^1 + 1
	switch random.IntN(11) {
	case 0, 1:
		p.bomb(next, random.IntN(2) == 0)
	case 2, 3:
		p.headers(next, random.IntN(2) == 0, request("POST", "a", strings.Repeat("b", random.IntN(20000)))...)
	case 4: // many small fields
		fields := request("POST")
		for range random.IntN(300) {
			fields = append(fields, "cookie", "a=b")
		}
		p.headers(next, false, fields...)
	case 5: // in pieces
		block := p.block(request("POST", "a", strings.Repeat("b", random.IntN(50000)))...)
		p.fr.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: next, BlockFragment: block[:10]})
		for rest := block[10:]; ; {
			piece := rest[:min(len(rest), 9000)]
			rest = rest[len(piece):]
			p.fr.WriteContinuation(next, len(rest) == 0, piece)
			if len(rest) == 0 {
				break
			}
		}
	case 6, 7:
		for range random.IntN(9) {
			p.fr.WriteData(known, false, make([]byte, random.IntN(16000)))
		}
		return next
	case 8:
		p.fr.WriteRSTStream(known, xhttp2.ErrCodeCancel)
		return next
	case 9:
		p.fr.WriteWindowUpdate(uint32(random.IntN(2))*known, uint32(1+random.IntN(5000)))
		return next
	default:
		p.fr.WriteData(known, true, nil)
		return next
	}
	return next + 2
}
