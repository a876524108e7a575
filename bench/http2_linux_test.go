package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// framed is a framing that is connected to nothing, and what it is told.
func framed() (*framing, *[]string) {
	f := newFraming(&socket{world: &world{}})
	var told []string
	f.take = func(st *stream, fr frame) error {
		told = append(told, fmt.Sprintf("%d %v %q %+v", st.id, fr.kind, fr.payload, f.seen))
		return nil
	}
	f.begin = func(id uint32) *stream { return &stream{id: id} }
	return f, &told
}

// written are frames as the library writes them.
func written(t *testing.T, write func(*http2.Framer)) []byte {
	t.Helper()
	var out bytes.Buffer
	write(http2.NewFramer(&out, nil))
	return out.Bytes()
}

func block(fields ...hpack.HeaderField) []byte {
	var out bytes.Buffer
	encoder := hpack.NewEncoder(&out)
	for _, field := range fields {
		_ = encoder.WriteField(field)
	}
	return out.Bytes()
}

// Frames may arrive in any pieces, with padding and priorities.
func TestFraming(t *testing.T) {
	data := written(t, func(f *http2.Framer) {
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block(hpack.HeaderField{Name: ":path", Value: "/x"}),
			EndHeaders: true, PadLength: 3, Priority: http2.PriorityParam{Weight: 7}})
		f.WriteDataPadded(1, false, []byte("data"), make([]byte, 5))
		f.WritePing(false, [8]byte{1})
		f.WriteData(1, true, nil)
	})
	for size := 1; size < len(data); size += 7 {
		f, told := framed()
		for rest := data; len(rest) > 0; rest = rest[min(size, len(rest)):] {
			if err := f.receive(rest[:min(size, len(rest))]); err != nil {
				t.Fatal(err)
			}
		}
		want := `1 HEADERS ".*" {path:/x`
		if len(*told) != 3 || !strings.Contains((*told)[0], "{path:/x ") || !strings.HasPrefix((*told)[1], `1 DATA "data"`) {
			t.Errorf("in pieces of %d: got %q, want %q, data and its end", size, *told, want)
		}
		if answer := written(t, func(f *http2.Framer) { f.WritePing(true, [8]byte{1}) }); !bytes.Equal(f.out, answer) {
			t.Errorf("PING is answered with %x", f.out)
		}
	}
}

// DATA waits for its windows, and what follows it waits behind it.
func TestFlowControl(t *testing.T) {
	f, _ := framed()
	st := &stream{id: 1, window: 6}
	f.streams[1] = st
	f.putData(st, 0, []byte("first"))
	f.putData(st, 0, []byte("second"))
	f.putFields(st, http2.FlagHeadersEndStream, hpack.HeaderField{Name: "grpc-status", Value: "0"})
	if bytes.Contains(f.out, []byte("second")) || len(f.waiting) != 2 {
		t.Fatalf("more is sent than the window allows: %q", f.out)
	}
	err := f.receive(written(t, func(f *http2.Framer) { f.WriteWindowUpdate(1, 100) }))
	if err != nil || len(f.waiting) != 0 || bytes.Index(f.out, []byte("second")) < bytes.Index(f.out, []byte("first")) {
		t.Errorf("sent %q, %d are waiting, %v", f.out, len(f.waiting), err)
	}
	if st.window != 6+100-len("first")-len("second") || f.window != defaultWindow-len("first")-len("second") {
		t.Errorf("the windows are %d and %d", st.window, f.window)
	}
	// A new initial window changes that of streams.
	err = f.receive(written(t, func(f *http2.Framer) {
		f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: defaultWindow + 10})
	}))
	if err != nil || st.window != 106-11+10 || f.initial != defaultWindow+10 {
		t.Errorf("the window is %d, that of new streams %d, %v", st.window, f.initial, err)
	}
	// What has been taken is given back.
	f.out = nil
	data := written(t, func(f *http2.Framer) { f.WriteData(1, false, make([]byte, maxPayload)) })
	for range flowWindow/2/maxPayload + 1 {
		if err := f.receive(data); err != nil {
			t.Fatal(err)
		}
	}
	want := written(t, func(f *http2.Framer) {
		f.WriteWindowUpdate(0, flowWindow/2+maxPayload)
		f.WriteWindowUpdate(1, flowWindow/2+maxPayload)
	})
	if !bytes.Equal(f.out, want) {
		t.Errorf("sent %x, want %x", f.out, want)
	}
}

// What a good peer does not send is an error, and not a measurement.
func TestFramingRefuses(t *testing.T) {
	for name, data := range map[string][]byte{
		"a long frame":          {1, 0, 0, 0, 0, 0, 0, 0, 1},
		"GOAWAY":                written(t, func(f *http2.Framer) { f.WriteGoAway(1, http2.ErrCodeNo, []byte("bye")) }),
		"a head in two frames":  written(t, func(f *http2.Framer) { f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1}) }),
		"a stream out of place": written(t, func(f *http2.Framer) { f.WriteData(3, true, []byte("x")) }),
		"a reset":               written(t, func(f *http2.Framer) { f.WriteRSTStream(1, http2.ErrCodeCancel) }),
		"too much padding":      {0, 0, 1, byte(http2.FrameData), byte(http2.FlagDataPadded), 0, 0, 0, 1, 9},
		"broken fields":         {0, 0, 1, byte(http2.FrameHeaders), byte(http2.FlagHeadersEndHeaders), 0, 0, 0, 1, 0xff},
	} {
		f, _ := framed()
		f.begin = nil // as a client
		f.streams[1] = &stream{id: 1}
		if err := f.receive(data); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}
