package http2

import (
	"bytes"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	xhttp2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"pergola/dataplane/http1"
)

// seeds are frames to begin with.
func seeds(f *testing.F) {
	var b bytes.Buffer
	fr := xhttp2.NewFramer(&b, nil)
	fr.AllowIllegalWrites = true
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for i, fields := range [][]string{request("GET"), request("POST", "content-length", "3"), {":status", "200", "content-length", "3"}} {
		b.Reset()
		block.Reset()
		for i := 0; i < len(fields); i += 2 {
			enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
		}
		fr.WriteSettings()
		fr.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, EndHeaders: i < 2, EndStream: i == 0, BlockFragment: block.Bytes()})
		fr.WriteContinuation(1, true, nil)
		fr.WriteData(1, i == 1, []byte("abc"))
		f.Add(append([]byte(nil), b.Bytes()...))
	}
	b.Reset()
	fr.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 1})
	fr.WritePing(false, [8]byte{})
	fr.WriteGoAway(1, 0, nil)
	fr.WriteWindowUpdate(1, 1)
	fr.WriteRSTStream(1, xhttp2.ErrCodeCancel)
	fr.WritePriority(3, xhttp2.PriorityParam{StreamDep: 3})
	fr.WriteDataPadded(1, true, []byte("abc"), make([]byte, 5))
	fr.WritePushPromise(xhttp2.PushPromiseParam{StreamID: 1, PromiseID: 2})
	f.Add(append([]byte(nil), b.Bytes()...))
}

// talk sends bytes to one end of a pipe and drops what comes back. It returns when the other end has closed.
func talk(conn net.Conn, input []byte) {
	go func() {
		conn.Write(input)
		time.Sleep(time.Hour) // beyond every timeout
		conn.Close()
	}()
	io.Copy(io.Discard, conn)
	conn.Close()
}

// checkState holds what must be so after any input.
func checkState(t *testing.T, c *conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running != 0 || c.opening != 0 || len(c.streams) != 0 || c.flow.bringing != 0 {
		t.Errorf("left are %d streams in use, %d to be opened, %d on the wire, %d that bring something",
			c.running, c.opening, len(c.streams), c.flow.bringing)
	}
	if window := c.flow.receive + c.flow.credit; window != int64(c.cfg.ConnWindow) {
		t.Errorf("%d bytes of the window are lost", int64(c.cfg.ConnWindow)-window)
	}
	if n := c.out.pending(); n > 2*maxPending {
		t.Errorf("%d bytes are pending", n)
	}
}

// FuzzServer has a Server read anything. It must not panic, must end, and leave nothing behind.
func FuzzServer(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, input []byte) {
		synctest.Test(t, func(t *testing.T) {
			near, far := net.Pipe()
			s := NewServer(far, Config{MaxStreams: 4, Window: 65535})
			served := make(chan struct{})
			go func() {
				defer close(served)
				s.Serve(echo)
			}()
			talk(near, append([]byte(preface), input...))
			<-served
			checkState(t, s.c)
			time.Sleep(2 * time.Hour)
		})
	})
}

// FuzzClient has a Client read anything in answer to its requests.
func FuzzClient(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, input []byte) {
		synctest.Test(t, func(t *testing.T) {
			near, far := net.Pipe()
			c := NewClient(far, Config{})
			done := make(chan struct{}, 2)
			for range 2 {
				go func() {
					defer func() { done <- struct{}{} }()
					s, err := c.Open()
					if err != nil {
						return
					}
					defer s.Close()
					s.Out.StartRequest([]byte("POST"), []byte("/"))
					s.Out.Field("host", "service.example")
					s.Out.EndHead(http1.Chunked)
					s.Out.Write(zeros)
					if s.SendAndWait() != nil {
						return
					}
					var r http1.Response
					for r.Status < 200 {
						if s.In.ReadResponse(&r, false) != nil {
							return
						}
					}
					s.In.Body().Discard(1 << 20)
				}()
			}
			talk(near, input)
			<-done
			<-done
			c.Close()
			checkState(t, c.c)
			time.Sleep(2 * time.Hour)
		})
	})
}

// FuzzFrames holds that frames are parted as the Framer parts them.
func FuzzFrames(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, input []byte) {
		fr := xhttp2.NewFramer(nil, bytes.NewReader(input))
		fr.AllowIllegalReads = true
		fr.SetMaxReadFrameSize(maxFrame)
		for rest := input; ; {
			want, wantErr := fr.ReadFrame()
			got, size, err := nextFrame(rest)
			if err != nil || size == 0 {
				if wantErr == nil {
					t.Fatalf("the Framer takes %v, nextFrame %v", want.Header(), err)
				}
				return
			}
			rest = rest[size:]
			if wantErr != nil {
				if wantErr == xhttp2.ErrFrameTooLarge {
					t.Fatalf("the Framer refuses the size of %+v", got)
				}
				return // what it says of contents is the business of take
			}
			h := want.Header()
			if byte(got.kind) != byte(h.Type) || got.flags != byte(h.Flags) || got.stream != h.StreamID || len(got.payload) != int(h.Length) {
				t.Fatalf("got %+v, the Framer has %v", got, h)
			}
			var content, wantContent []byte
			switch want := want.(type) {
			case *xhttp2.DataFrame:
				content, err = got.unpad()
				wantContent = want.Data()
			case *xhttp2.HeadersFrame:
				content, _, err = got.block()
				wantContent = want.HeaderBlockFragment()
			}
			if err != nil || !bytes.Equal(content, wantContent) {
				t.Fatalf("content %x, %v; the Framer has %x", content, err, wantContent)
			}
		}
	})
}

// FuzzEncode holds that what is encoded decodes to the same, with names in lower case.
func FuzzEncode(f *testing.F) {
	f.Add("Content-Type", "text/plain", "/", "GET", 200)
	f.Add("connection", "close", "/a?b", "PUT", 418)
	f.Fuzz(func(t *testing.T, name, value, path, method string, status int) {
		status = 100 + (status%500+500)%500
		b := appendMethod(nil, []byte(method))
		b = appendPath(b, []byte(path))
		b = appendStatus(b, status)
		b = appendField(b, name, value)
		var got []hpack.HeaderField
		d := hpack.NewDecoder(4096, func(h hpack.HeaderField) { got = append(got, h) })
		if _, err := d.Write(b); err != nil {
			t.Fatal(err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		lower := lowerASCII(name)
		dropped := staticName([]byte(lower)) == connectionName || lower == "te" && value != "trailers"
		want := 4
		if dropped {
			want = 3
		}
		if len(got) != want || got[0].Value != method || got[1].Value != path || len(got[2].Value) != 3 {
			t.Fatalf("got %v", got)
		}
		if !dropped && (got[3].Name != lower || got[3].Value != value) {
			t.Fatalf("%q: %q became %v", name, value, got[3])
		}
	})
}

func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 32
		}
	}
	return string(b)
}
