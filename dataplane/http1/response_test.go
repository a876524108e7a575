package http1

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

func TestResponses(t *testing.T) {
	for _, test := range []struct {
		name, text   string
		toHead       bool
		status       int
		reason, body string
		framing      Framing
		closes       bool
	}{
		{name: "sized", text: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", status: 200, reason: "OK", body: "abc", framing: Sized(3)},
		{name: "chunked", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
			status: 200, reason: "OK", body: "abc", framing: Chunked},
		{name: "until close", text: "HTTP/1.1 200 OK\r\n\r\nabc", status: 200, reason: "OK", body: "abc", framing: UntilClose, closes: true},
		{name: "says close", text: "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
			status: 200, reason: "OK", framing: Sized(0), closes: true},
		{name: "HTTP/1.0", text: "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", status: 200, reason: "OK", body: "a", framing: Sized(1), closes: true},
		{name: "HTTP/1.0 stays", text: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na",
			status: 200, reason: "OK", body: "a", framing: Sized(1)},
		{name: "to HEAD", text: "HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n", toHead: true, status: 200, reason: "OK", framing: Bodiless},
		{name: "chunked to HEAD", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", toHead: true, status: 200, reason: "OK", framing: Bodiless},
		{name: "204", text: "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", status: 204, reason: "No Content", framing: Bodiless},
		{name: "304", text: "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", status: 304, reason: "Not Modified", framing: Bodiless},
		{name: "100", text: "HTTP/1.1 100 Continue\r\n\r\n", status: 100, reason: "Continue", framing: Bodiless},
		{name: "103", text: "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", status: 103, reason: "Early Hints", framing: Bodiless},
		{name: "no reason", text: "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", status: 200, framing: Sized(0)},
		{name: "no reason, no space", text: "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", status: 200, framing: Sized(0)},
	} {
		for _, piece := range pieces {
			t.Run(fmt.Sprint(test.name, "/", piece), func(t *testing.T) {
				c := saying(test.text, piece)
				var r Response
				if err := c.In.ReadResponse(&r, test.toHead); err != nil {
					t.Fatal(err)
				}
				body, err := readBody(t, c.In.Body())
				if err != nil || body != test.body {
					t.Errorf("body %q, %v", body, err)
				}
				if r.Status != test.status || string(r.Reason) != test.reason || r.Framing() != test.framing || r.Close() != test.closes {
					t.Errorf("%d %q, framing %d, closes %v", r.Status, r.Reason, r.Framing(), r.Close())
				}
				if !c.Rest() {
					t.Error("something is left")
				}
			})
		}
	}
}

func TestRefusedResponses(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       error
	}{
		{"101", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", ErrUpgraded},
		{"HTTP/2", "HTTP/2.0 200 OK\r\n\r\n", ErrVersion},
		{"not HTTP", "220 smtp.example ESMTP\r\n\r\n", ErrStatusLine},
		{"short status", "HTTP/1.1 20 OK\r\n\r\n", ErrStatusLine},
		{"long status", "HTTP/1.1 2000 OK\r\n\r\n", ErrStatusLine},
		{"status with a letter", "HTTP/1.1 2x0 OK\r\n\r\n", ErrStatusLine},
		{"status 099", "HTTP/1.1 099 OK\r\n\r\n", ErrStatus},
		{"status 600", "HTTP/1.1 600 OK\r\n\r\n", ErrStatus},
		{"control in the reason", "HTTP/1.1 200 O\x01K\r\n\r\n", ErrStatusLine},
		{"bare LF", "HTTP/1.1 200 OK\nContent-Length: 0\n\n", ErrBareLF},
		{"LF first", "\n\r\n\r\n", ErrBareLF},
		{"empty line first", "\r\nHTTP/1.1 200 OK\r\n\r\n", ErrStatusLine},
		{"CL and TE", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", ErrTwoFramings},
		{"CL twice", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", ErrManyContentLengths},
		{"TE gzip", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", ErrTransferEncoding},
		{"TE in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", ErrTransferIn10},
		{"folded", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", ErrObsFold},
		{"cut", "HTTP/1.1 200 OK\r\nA: b\r\n", io.ErrUnexpectedEOF},
		{"nothing", "", io.EOF},
	} {
		for _, piece := range pieces {
			t.Run(fmt.Sprint(test.name, "/", piece), func(t *testing.T) {
				var r Response
				expectError(t, saying(test.text, piece).In.ReadResponse(&r, false), test.want)
			})
		}
	}
}

// TestFault_B11_WhatIsNoStatusLineIsNotWaitedFor: a target that goes silent after bytes that cannot become a status
// line is not waited for, and one that goes silent within a status line is.
func TestFault_B11_WhatIsNoStatusLineIsNotWaitedFor(t *testing.T) {
	const settings = "\x00\x00\x12\x04\x00\x00\x00\x00\x00"
	for text, want := range map[string]error{
		settings: ErrStatusLine, "\x00": ErrStatusLine, "S": ErrStatusLine, "\x15\x03\x01": ErrStatusLine,
		"HTTQ":   ErrStatusLine,
		"HTTP/2": ErrVersion, "HTTP/1.2": ErrVersion, "HTTP/1.1\t": ErrStatusLine, "HTTP/1.1 2x": ErrStatusLine,
		"HTTP/1.1 2000": ErrStatusLine,
		"HTTP/1.":       os.ErrDeadlineExceeded, "HTTP/1.0 200 O": os.ErrDeadlineExceeded,
		"HTTP/1.1 204\r": os.ErrDeadlineExceeded,
	} {
		for _, piece := range []int{1, len(text)} {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				c := NewConn(near, Config{})
				go func() {
					for rest := text; rest != ""; rest = rest[piece:] {
						if _, err := io.WriteString(far, rest[:piece]); err != nil {
							return
						}
					}
				}()
				began := time.Now()
				var r Response
				expectError(t, c.In.ReadResponse(&r, false), want)
				if waited := time.Since(began); (waited > 0) != (want == os.ErrDeadlineExceeded) {
					t.Errorf("%q by %d bytes: waited %v", text, piece, waited)
				}
				c.Close()
				far.Close()
			})
		}
	}
}

// TestInformationalResponses reads the responses that precede the last one (RFC 9110 §15.2).
func TestInformationalResponses(t *testing.T) {
	c := saying("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", 0)
	var r Response
	for _, want := range []int{100, 103, 200} {
		if err := c.In.ReadResponse(&r, false); err != nil || r.Status != want || r.Informational() != (want < 200) {
			t.Fatalf("status %d, %v; want %d", r.Status, err, want)
		}
	}
	if body, err := readBody(t, c.In.Body()); body != "a" || err != nil {
		t.Errorf("body %q, %v", body, err)
	}
}

// TestRestFindsResidue holds that bytes after a response are not taken for the next one.
func TestRestFindsResidue(t *testing.T) {
	c := saying("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", 0)
	var r Response
	if err := c.In.ReadResponse(&r, false); err != nil {
		t.Fatal(err)
	}
	if c.Rest() {
		t.Error("in order before its body was read")
	}
	readBody(t, c.In.Body())
	if c.Rest() {
		t.Error("in order although the target said more than one response")
	}
}

// FuzzResponse checks that each response that is accepted is accepted by net/http with the same reading.
func FuzzResponse(f *testing.F) {
	for _, seed := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.0 404\r\n\r\nabc", "HTTP/1.1 204 No\r\nA: b\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\n\r\n", "HTTP/1.1 304 X\r\nContent-Length: 9\r\n\r\n",
	} {
		f.Add([]byte(seed), false)
		f.Add([]byte(seed), true)
	}
	f.Fuzz(func(t *testing.T, data []byte, toHead bool) {
		c := saying(string(data), 0)
		var r Response
		if err := c.In.ReadResponse(&r, toHead); err != nil || r.Informational() {
			return
		}
		request := &http.Request{Method: "GET"}
		if toHead {
			request.Method = "HEAD"
		}
		other, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(data)), request)
		if err != nil {
			t.Fatalf("net/http refuses it: %v", err)
		}
		if other.StatusCode != r.Status {
			t.Fatalf("net/http reads the status %d, this is %d", other.StatusCode, r.Status)
		}
		theirs, theirErr := io.ReadAll(other.Body)
		ours, err := io.ReadAll(c.In.Body())
		if err != nil {
			return
		}
		if theirErr != nil || !bytes.Equal(ours, theirs) {
			t.Fatalf("net/http reads the body %q (%v), this is %q", theirs, theirErr, ours)
		}
	})
}
