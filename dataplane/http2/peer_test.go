package http2

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	xhttp2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// peer speaks frames, right or wrong, to one end of a connection. It lives in a synctest bubble.
type peer struct {
	t    testing.TB
	conn net.Conn
	fr   *xhttp2.Framer
	enc  *hpack.Encoder
	buf  bytes.Buffer

	mu     sync.Mutex
	frames []string // what has arrived, one line for each frame
	data   int      // bytes of DATA
	last   []byte   // of the last DATA frame
	ended  bool

	hold chan struct{} // for handlers to wait for
	told chan any      // for them to tell what came of it
}

func newPeer(t testing.TB, conn net.Conn) *peer {
	p := &peer{
		t: t, conn: conn, fr: xhttp2.NewFramer(conn, conn), hold: make(chan struct{}), told: make(chan any, 16),
	}
	p.fr.AllowIllegalReads, p.fr.AllowIllegalWrites = true, true
	p.enc = hpack.NewEncoder(&p.buf)
	return p
}

// listen notes what arrives, until the connection ends.
func (p *peer) listen() {
	decoder := hpack.NewDecoder(4096, nil)
	for {
		f, err := p.fr.ReadFrame()
		if err != nil {
			p.mu.Lock()
			p.ended = true
			p.mu.Unlock()
			return
		}
		p.note(f, decoder)
	}
}

func (p *peer) note(f xhttp2.Frame, decoder *hpack.Decoder) {
	p.mu.Lock()
	defer p.mu.Unlock()
	line := ""
	switch f := f.(type) {
	case *xhttp2.HeadersFrame:
		line = fmt.Sprintf("HEADERS %d", f.StreamID)
		decoder.SetEmitFunc(func(h hpack.HeaderField) { line += " " + h.Name + "=" + h.Value })
		decoder.Write(f.HeaderBlockFragment())
		decoder.Close()
		if f.StreamEnded() {
			line += " END"
		}
	case *xhttp2.DataFrame:
		p.data += len(f.Data())
		p.last = append(p.last[:0], f.Data()...)
		line = fmt.Sprintf("DATA %d %d", f.StreamID, len(f.Data()))
		if f.StreamEnded() {
			line += " END"
		}
	case *xhttp2.RSTStreamFrame:
		line = fmt.Sprintf("RST %d %v", f.StreamID, f.ErrCode)
	case *xhttp2.GoAwayFrame:
		line = fmt.Sprintf("GOAWAY %d %v", f.LastStreamID, f.ErrCode)
	case *xhttp2.WindowUpdateFrame:
		line = fmt.Sprintf("WINDOW %d %d", f.StreamID, f.Increment)
	case *xhttp2.SettingsFrame:
		line = "SETTINGS"
		if f.IsAck() {
			line += " ACK"
		}
	case *xhttp2.PingFrame:
		line = "PING"
		if f.IsAck() {
			line += " ACK"
		}
	}
	p.frames = append(p.frames, line)
}

// all waits until nothing moves any more, and returns what has arrived.
func (p *peer) all() string {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.frames, "\n")
}

func (p *peer) hasEnded() bool {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended
}

// settings sends what a client begins with.
func (p *peer) greet(settings ...xhttp2.Setting) {
	p.conn.Write([]byte(preface))
	p.fr.WriteSettings(settings...)
}

// block encodes fields, given as names and values in turn.
func (p *peer) block(fields ...string) []byte {
	p.buf.Reset()
	for i := 0; i < len(fields); i += 2 {
		p.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return append([]byte(nil), p.buf.Bytes()...)
}

func request(method string, more ...string) []string {
	return append([]string{":method", method, ":scheme", "http", ":path", "/", ":authority", "service.example"}, more...)
}

// headers sends a head in one frame.
func (p *peer) headers(id uint32, end bool, fields ...string) {
	p.fr.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: id, EndStream: end, EndHeaders: true, BlockFragment: p.block(fields...)})
}

func (p *peer) raw(kind frameKind, flags byte, id uint32, payload ...byte) {
	p.fr.WriteRawFrame(xhttp2.FrameType(kind), xhttp2.Flags(flags), id, payload)
}

// handler handles the streams of a peer.
type handler func(*peer, *Stream)

func echoes(_ *peer, s *Stream) { echo(s) }

func echoesLater(p *peer, s *Stream) {
	<-p.hold
	echo(s)
}

// withServer has a peer talk to a Server in a bubble.
func withServer(t *testing.T, cfg Config, handle handler, script func(*peer, *Server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		s := NewServer(far, cfg)
		served := make(chan error, 1)
		p := newPeer(t, near)
		go func() { served <- s.Serve(func(s *Stream) { handle(p, s) }) }()
		heard := make(chan struct{})
		go func() { defer close(heard); p.listen() }()
		script(p, s)
		near.Close()
		<-served
		<-heard
	})
}

// withClient has a peer talk to a Client in a bubble.
func withClient(t *testing.T, cfg Config, script func(*peer, *Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		c := NewClient(far, cfg)
		p := newPeer(t, near)
		heard := make(chan struct{})
		go func() {
			defer close(heard)
			b := make([]byte, len(preface))
			for n := 0; n < len(b); {
				m, err := near.Read(b[n:])
				if err != nil {
					return
				}
				n += m
			}
			p.listen()
		}()
		p.fr.WriteSettings()
		script(p, c)
		near.Close()
		<-heard
		c.Close()
	})
}

// pass lets time pass, in a bubble.
func pass(d time.Duration) { time.Sleep(d) }
