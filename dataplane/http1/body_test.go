package http1

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http/httputil"
	"strings"
	"testing"
)

const chunkedHead = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"

// chunkedBody returns the body of a request whose chunked body is text.
func chunkedBody(t *testing.T, text string, piece int) *Conn {
	t.Helper()
	c := saying(chunkedHead+text, piece)
	var r Request
	if err := c.In.ReadRequest(&r); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestChunkedBodies(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 10000)
	for _, test := range []struct{ name, text, want, trailers string }{
		{"empty", "0\r\n\r\n", "", ""},
		{"two chunks", "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "abcde", ""},
		{"either case of digits", "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789", ""},
		{"leading zeros", "0003\r\nabc\r\n00000\r\n\r\n", "abc", ""},
		{"extensions are dropped", "3;a=b;c=\"d e\"\r\nabc\r\n0;x\r\n\r\n", "abc", ""},
		{"trailers", "1\r\na\r\n0\r\nX-Sum: 1\r\nX-Two:  2 \r\n\r\n", "a", "X-Sum=1 X-Two=2 "},
		{"trailers that may not be", "0\r\nHost: y\r\nContent-Length: 5\r\nAuthorization: z\r\nConnection: close\r\nX-Sum: 1\r\n\r\n", "", "X-Sum=1 "},
		{"trailers that Connection names", "0\r\nConnection: X-Sum\r\nX-Sum: 1\r\n\r\n", "", ""},
		{"long", fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(long), long), long, ""},
	} {
		for _, piece := range pieces {
			t.Run(fmt.Sprint(test.name, "/", piece), func(t *testing.T) {
				c := chunkedBody(t, test.text+"GET / HTTP/1.1\r\nHost: next\r\n\r\n", piece)
				got, err := readBody(t, c.In.Body())
				if err != nil || got != test.want {
					t.Fatalf("body of %d bytes, %v; want %d", len(got), err, len(test.want))
				}
				var trailers strings.Builder
				for _, f := range c.In.Body().Trailers() {
					fmt.Fprintf(&trailers, "%s=%s ", f.Name, f.Value)
				}
				if trailers.String() != test.trailers {
					t.Errorf("trailers %q, want %q", trailers.String(), test.trailers)
				}
				if n := c.In.Body().Received(); n != int64(len(test.want)) {
					t.Errorf("received %d", n)
				}
				var next Request
				if err := c.In.ReadRequest(&next); err != nil || string(next.Host) != "next" {
					t.Errorf("the next request: %s, %v", next.Host, err)
				}
			})
		}
	}
}

// TestRefusedChunks holds RFC 9112 §7.1 to the letter.
func TestRefusedChunks(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       error
	}{
		{"no size", "\r\nabc\r\n0\r\n\r\n", ErrChunkSize},
		{"leading space", " 3\r\nabc\r\n0\r\n\r\n", ErrChunkSize},
		{"leading tab", "\t3\r\nabc\r\n0\r\n\r\n", ErrChunkSize},
		{"trailing space", "3 \r\nabc\r\n0\r\n\r\n", ErrChunkSize},
		{"space before the extension", "3 ;a\r\nabc\r\n0\r\n\r\n", ErrChunkSize},
		{"plus sign", "+3\r\nabc\r\n0\r\n\r\n", ErrChunkSize},
		{"minus sign", "-1\r\nabc\r\n0\r\n\r\n", ErrChunkSize},
		{"0x", "0x3\r\nabc\r\n0\r\n\r\n", ErrChunkSize},
		{"underscore", "0_3\r\nabc\r\n0\r\n\r\n", ErrChunkSize},
		{"not hexadecimal", "g\r\nabc\r\n0\r\n\r\n", ErrChunkSize},
		{"64 bits", "ffffffffffffffff\r\nabc", ErrChunkSize},
		{"63 bits and one", "8000000000000000\r\nabc", ErrChunkSize},
		{"17 digits", "00000000000000003\r\nabc\r\n0\r\n\r\n", ErrChunkSize},
		{"wraps to 3", "10000000000000003\r\nabc\r\n0\r\n\r\n", ErrChunkSize},
		{"bare LF after the size", "3\nabc\r\n0\r\n\r\n", ErrChunkSize},
		{"bare LF alone", "\nabc", ErrChunkSize},
		{"bare LF after an extension", "3;a\nabc\r\n0\r\n\r\n", ErrChunkSize},
		{"bare CR in an extension", "3;a\rb\r\nabc\r\n0\r\n\r\n", ErrChunkExtension},
		{"NUL in an extension", "3;\x00\r\nabc\r\n0\r\n\r\n", ErrChunkExtension},
		{"long extension", "3;" + strings.Repeat("a", 600) + "\r\nabc\r\n0\r\n\r\n", ErrChunkLine},
		{"endless extension", "3;" + strings.Repeat("a", 6000), ErrChunkLine},
		{"many extensions", strings.Repeat("1;"+strings.Repeat("a", 400)+"\r\na\r\n", 50), ErrChunkLine},
		{"data too long", "3\r\nabcd\r\n0\r\n\r\n", ErrChunkEnd},
		{"bare LF after the data", "3\r\nabc\n0\r\n\r\n", ErrChunkEnd},
		{"CR without LF after the data", "3\r\nabc\rx0\r\n\r\n", ErrChunkEnd},
		{"bare LF ends the trailers", "0\r\nA: b\n\r\n", ErrBareLF},
		{"bare LF for the empty line", "0\r\n\n", ErrBareLF},
		{"folded trailer", "0\r\nA: b\r\n c\r\n\r\n", ErrObsFold},
		{"trailer without a colon", "0\r\nabc\r\n\r\n", ErrFieldName},
		{"trailer with a control", "0\r\nA: \x01\r\n\r\n", ErrFieldValue},
		{"long trailers", "0\r\nA: " + strings.Repeat("v", 4000) + "\r\n\r\n", ErrTrailers},
		{"endless trailers", "0\r\n" + fields(10, 4000), ErrTrailers},
		{"33 trailers", "0\r\n" + fields(33, 1) + "\r\n", ErrTooManyFields},
		{"cut in the size", "3", io.ErrUnexpectedEOF},
		{"cut in the data", "3\r\nab", io.ErrUnexpectedEOF},
		{"cut after the data", "3\r\nabc\r\n", io.ErrUnexpectedEOF},
		{"cut in the trailers", "0\r\nA: b\r\n", io.ErrUnexpectedEOF},
	} {
		for _, piece := range pieces {
			t.Run(fmt.Sprint(test.name, "/", piece), func(t *testing.T) {
				_, err := readBody(t, chunkedBody(t, test.text, piece).In.Body())
				expectError(t, err, test.want)
			})
		}
	}
}

func TestSizedBodyCut(t *testing.T) {
	c := saying("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nabc", 0)
	var r Request
	if err := c.In.ReadRequest(&r); err != nil {
		t.Fatal(err)
	}
	got, err := readBody(t, c.In.Body())
	if got != "abc" {
		t.Errorf("body %q", got)
	}
	expectError(t, err, io.ErrUnexpectedEOF)
}

func TestDiscard(t *testing.T) {
	for _, test := range []struct {
		name, head, body string
		want             error
	}{
		{"small", "Content-Length: 4", "abcd", nil},
		{"announced too long", "Content-Length: 11", "abcd", ErrTooMuch},
		{"chunked", "Transfer-Encoding: chunked", "4\r\nabcd\r\n0\r\n\r\n", nil},
		{"chunked too long", "Transfer-Encoding: chunked", "b\r\n01234567890\r\n0\r\n\r\n", ErrTooMuch},
		{"malformed", "Transfer-Encoding: chunked", "x\r\n", ErrChunkSize},
		{"cut", "Content-Length: 4", "abc", io.ErrUnexpectedEOF},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := saying("POST / HTTP/1.1\r\nHost: x\r\n"+test.head+"\r\n\r\n"+test.body, 0)
			var r Request
			if err := c.In.ReadRequest(&r); err != nil {
				t.Fatal(err)
			}
			expectError(t, c.In.Body().Discard(10), test.want)
		})
	}
}

// TestRelay passes bodies of all framings on in all others and reads them back.
func TestRelay(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 20000)
	for _, want := range []string{"", "abc", long} {
		sources := map[string]string{
			"sized":   fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(want), want),
			"chunked": "Transfer-Encoding: chunked\r\n\r\n" + asChunks(want) + "0\r\nX-Sum: 1\r\n\r\n",
		}
		for name, source := range sources {
			for _, framing := range []Framing{Sized(int64(len(want))), Chunked} {
				for _, piece := range []int{0, 1000, 50000} {
					t.Run(fmt.Sprint(name, "/", len(want), "/", framing, "/", piece), func(t *testing.T) {
						relayOnce(t, saying("POST / HTTP/1.1\r\nHost: x\r\n"+source, piece), framing, want)
					})
				}
			}
		}
	}
}

func asChunks(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		n := min(len(s), 70000)
		fmt.Fprintf(&b, "%x;ext\r\n%s\r\n", n, s[:n])
		s = s[n:]
	}
	return b.String()
}

func relayOnce(t *testing.T, from *Conn, framing Framing, want string) {
	var r Request
	if err := from.In.ReadRequest(&r); err != nil {
		t.Fatal(err)
	}
	peer := &script{}
	to := NewConn(peer, Config{})
	to.Out.StartRequest(r.Method, r.Target)
	to.Out.Field("host", "x")
	to.Out.EndHead(framing)
	if readErr, writeErr := Relay(&to.Out, from.In.Body()); readErr != nil || writeErr != nil {
		t.Fatal(readErr, writeErr)
	}
	trailers := 0
	for _, f := range from.In.Body().Trailers() {
		to.Out.Trailer(f)
		trailers++
	}
	if err := to.Out.End(); err != nil {
		t.Fatal(err)
	}
	if !to.Rest() || !from.Rest() {
		t.Error("the connections are not between messages")
	}
	again := saying(peer.out.String(), 0)
	if err := again.In.ReadRequest(&r); err != nil {
		t.Fatal(err)
	}
	got, err := readBody(t, again.In.Body())
	if err != nil || got != want {
		t.Errorf("passed on as %d bytes, %v; want %d", len(got), err, len(want))
	}
	if n := len(again.In.Body().Trailers()); framing == Chunked && n != trailers {
		t.Errorf("%d trailers were passed on, of %d", n, trailers)
	}
}

// TestSmallMessagesLeaveAtOnce holds that a head leaves together with a body that has arrived with it.
func TestSmallMessagesLeaveAtOnce(t *testing.T) {
	from := saying(chunkedHead+"3\r\nabc\r\n0\r\n\r\n", 0)
	var r Request
	if err := from.In.ReadRequest(&r); err != nil {
		t.Fatal(err)
	}
	peer := &script{}
	to := NewConn(peer, Config{})
	to.Out.StartRequest(r.Method, r.Target)
	to.Out.EndHead(Chunked)
	Relay(&to.Out, from.In.Body())
	if peer.out.Len() != 0 {
		t.Errorf("sent early: %q", peer.out.String())
	}
}

func TestRelaySides(t *testing.T) {
	broken := errors.New("broken")
	var r Request
	from := chunkedBody(t, "3\r\nabc\r\nx\r\n", 0)
	to := NewConn(&script{}, Config{})
	to.Out.EndHead(Chunked)
	readErr, writeErr := Relay(&to.Out, from.In.Body())
	if !errors.Is(readErr, ErrChunkSize) || writeErr != nil {
		t.Errorf("a malformed body gave %v, %v", readErr, writeErr)
	}
	from = saying("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc", 0)
	if err := from.In.ReadRequest(&r); err != nil {
		t.Fatal(err)
	}
	to = NewConn(&script{failed: broken}, Config{})
	to.Out.EndHead(Chunked)
	if readErr, writeErr = Relay(&to.Out, from.In.Body()); readErr != nil || !errors.Is(writeErr, broken) {
		t.Errorf("a broken peer gave %v, %v", readErr, writeErr)
	}
}

func TestWriterKeepsItsWord(t *testing.T) {
	c := NewConn(&script{}, Config{})
	c.Out.StartResponse(200, nil)
	c.Out.EndHead(Sized(3))
	if _, err := c.Out.Write([]byte("abcd")); !errors.Is(err, ErrWrongLength) {
		t.Errorf("too long: %v", err)
	}
	if err := c.Out.End(); !errors.Is(err, ErrWrongLength) {
		t.Errorf("too short: %v", err)
	}
	if c.Rest() {
		t.Error("a connection with half a message is called in order")
	}
	c.Out.StartResponse(204, nil)
	c.Out.EndHead(Bodiless)
	if _, err := c.Out.Write([]byte("a")); !errors.Is(err, ErrWrongLength) {
		t.Errorf("body where there is none: %v", err)
	}
}

// FuzzChunks checks that a chunked body that is accepted reads the same with net/http's reader, and that what follows it
// is left alone.
func FuzzChunks(f *testing.F) {
	for _, seed := range []string{"0\r\n\r\n", "3;a=b\r\nabc\r\n0\r\nA: b\r\n\r\n", "ff\r\n", "1\r\na\r\n1\r\nb\r\n0\r\n\r\n", "3 \r\n", "\r\n"} {
		f.Add([]byte(seed), uint8(0))
		f.Add([]byte(seed), uint8(3))
	}
	f.Fuzz(func(t *testing.T, data []byte, piece uint8) {
		c := chunkedBody(t, string(data), int(piece))
		ours, err := readBody(t, c.In.Body())
		if err != nil {
			return
		}
		theirs, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(data)))
		if err != nil || string(theirs) != ours {
			t.Fatalf("net/http reads %q (%v), this is %q", theirs, err, ours)
		}
		rest := c.stream.conn.(*script).in
		if c.In.blk != nil {
			rest = string(c.In.blk.data[c.In.r:c.In.w]) + rest
		}
		if !strings.HasSuffix(string(data), rest) {
			t.Fatalf("what follows became %q", rest)
		}
	})
}
