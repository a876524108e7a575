package http2

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"pergola/dataplane/http1"
)

// mouth is a connection whose reader gets what the test feeds it, and tells what is written.
type mouth struct {
	net.Conn
	feed    chan []byte
	rest    []byte
	written chan int
}

func (m *mouth) Read(p []byte) (int, error) {
	if len(m.rest) == 0 {
		m.rest = <-m.feed
	}
	if len(m.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, m.rest)
	m.rest = m.rest[n:]
	return n, nil
}

func (m *mouth) Write(p []byte) (int, error) {
	m.written <- len(p)
	return len(p), nil
}

func (m *mouth) Close() error                     { return nil }
func (m *mouth) SetDeadline(time.Time) error      { return nil }
func (m *mouth) SetReadDeadline(time.Time) error  { return nil }
func (m *mouth) SetWriteDeadline(time.Time) error { return nil }

// TestAllocations holds that a request of a client that names its fields by the table, as browsers, curl, Go and gRPC do,
// allocates nothing. What a peer spells out costs an allocation for each text, in the decoder of the library.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector empties pools at random")
	}
	var b, block bytes.Buffer
	fr := xhttp2.NewFramer(&b, nil)
	enc := hpack.NewEncoder(&block)
	frames := func() []byte {
		block.Reset()
		b.Reset()
		fields := request("POST", "user-agent", "some/1.0", "content-type", "text/plain")
		for i := 0; i < len(fields); i += 2 {
			enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
		}
		fr.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, EndHeaders: true, BlockFragment: block.Bytes()})
		fr.WriteData(1, true, make([]byte, 100))
		return append([]byte(nil), b.Bytes()...)
	}
	fr.WriteSettings()
	fr.WriteWindowUpdate(0, 1<<30)
	first := append([]byte(preface), b.Bytes()...)
	first = append(first, frames()...) // it fills the table
	again := frames()

	m := &mouth{feed: make(chan []byte, 1), written: make(chan int, 16)}
	s := NewServer(m, Config{})
	served := make(chan error)
	handled := make(chan struct{}, 1)
	go func() {
		served <- s.Serve(func(s *Stream) {
			echo(s)
			handled <- struct{}{}
		})
	}()
	m.feed <- first
	<-handled
	id := uint32(1)
	data := bytes.LastIndex(again, []byte{0, 0, 100, byte(kindData), flagEndStream})
	exchange := func() {
		id += 2
		binary.BigEndian.PutUint32(again[5:], id)
		binary.BigEndian.PutUint32(again[data+5:], id)
		m.feed <- again
		<-handled
		for len(m.written) > 0 {
			<-m.written
		}
	}
	for range 100 {
		exchange()
	}
	if n := testing.AllocsPerRun(1000, exchange); n != 0 {
		t.Errorf("a request allocates %v times", n)
	}
	close(m.feed)
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// TestMemoryWhileIdle measures what a connection holds that has served a request and waits for the next one, its goroutine
// included.
func TestMemoryWhileIdle(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has memory of its own")
	}
	const conns, most = 200, 24 << 10 // both ends
	h := serve(t, Config{}, nil, echo)
	memory := new(Memory)
	inUse := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapInuse + m.StackInuse
	}
	before := inUse()
	for range conns {
		c := dial(t, h.address, Config{Memory: memory}, nil)
		var r http1.Response
		if _, err := get(c, "/100", &r); err != nil {
			t.Fatal(err)
		}
	}
	h.mu.Lock()
	for _, s := range h.servers {
		s.c.mu.Lock()
		s.dismiss() // as happens after workerTime
		s.c.mu.Unlock()
	}
	h.mu.Unlock()
	if each := (inUse() - before) / conns; each > most {
		t.Errorf("a pair of ends holds %d bytes, the budget is %d", each, most)
	} else {
		t.Logf("a pair of ends holds %d bytes", each)
	}
}
