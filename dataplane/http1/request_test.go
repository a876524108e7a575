package http1

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestRequestForms(t *testing.T) {
	for _, test := range []struct {
		name, head               string
		method, target, path     string
		query, host              string
		closes, old              bool
		framing                  Framing
		wantExpect, wantTrailers bool
	}{
		{name: "origin-form", head: "GET /a/b?c=d HTTP/1.1\r\nHost: x.example\r\n\r\n",
			method: "GET", target: "/a/b?c=d", path: "/a/b", query: "c=d", host: "x.example", framing: Bodiless},
		{name: "one empty line before", head: "\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
			method: "GET", target: "/", path: "/", host: "x", framing: Bodiless},
		{name: "absolute-form wins over Host", head: "GET http://a.example:80/p?q HTTP/1.1\r\nHost: b.example\r\n\r\n",
			method: "GET", target: "/p?q", path: "/p", query: "q", host: "a.example:80", framing: Bodiless},
		{name: "absolute-form without path", head: "GET HTTPS://a.example HTTP/1.1\r\nHost: b\r\n\r\n",
			method: "GET", target: "/", path: "/", host: "a.example", framing: Bodiless},
		{name: "asterisk-form", head: "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
			method: "OPTIONS", target: "*", path: "*", host: "x", framing: Bodiless},
		{name: "absolute-form of the asterisk", head: "OPTIONS http://a.example HTTP/1.1\r\nHost: x\r\n\r\n",
			method: "OPTIONS", target: "*", path: "*", host: "a.example", framing: Bodiless},
		{name: "address with port", head: "GET / HTTP/1.1\r\nHost: [fd00::1]:8080\r\n\r\n",
			method: "GET", target: "/", path: "/", host: "[fd00::1]:8080", framing: Bodiless},
		{name: "HTTP/1.0 closes", head: "GET / HTTP/1.0\r\n\r\n",
			method: "GET", target: "/", path: "/", closes: true, old: true, framing: Bodiless},
		{name: "HTTP/1.0 asks to stay", head: "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
			method: "GET", target: "/", path: "/", old: true, framing: Bodiless},
		{name: "HTTP/1.0 expectation is ignored", head: "POST / HTTP/1.0\r\nExpect: x\r\nContent-Length: 0\r\n\r\n",
			method: "POST", target: "/", path: "/", old: true, closes: true, framing: Sized(0)},
		{name: "close among options", head: "GET / HTTP/1.1\r\nHost: x\r\nConnection: foo, Close\r\n\r\n",
			method: "GET", target: "/", path: "/", host: "x", closes: true, framing: Bodiless},
		{name: "sized", head: "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 007\r\nExpect: 100-Continue\r\n\r\n",
			method: "PUT", target: "/", path: "/", host: "x", framing: Sized(7), wantExpect: true},
		{name: "chunked", head: "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\nTE: deflate, Trailers\r\n\r\n",
			method: "PUT", target: "/", path: "/", host: "x", framing: Chunked, wantTrailers: true},
	} {
		for _, piece := range pieces {
			t.Run(fmt.Sprint(test.name, "/", piece), func(t *testing.T) {
				var r Request
				if err := saying(test.head, piece).In.ReadRequest(&r); err != nil {
					t.Fatal(err)
				}
				got := fmt.Sprintf("%s %s %s %s %s", r.Method, r.Target, r.Path, r.Query, r.Host)
				want := fmt.Sprintf("%s %s %s %s %s", test.method, test.target, test.path, test.query, test.host)
				if got != want {
					t.Errorf("read %q, want %q", got, want)
				}
				if r.Close() != test.closes || r.HTTP10 != test.old || r.Framing() != test.framing {
					t.Errorf("closes %v, HTTP/1.0 %v, framing %d", r.Close(), r.HTTP10, r.Framing())
				}
				if r.Expects100() != test.wantExpect || r.TakesTrailers() != test.wantTrailers {
					t.Errorf("expects 100 %v, takes trailers %v", r.Expects100(), r.TakesTrailers())
				}
			})
		}
	}
}

// fields returns n header fields of about the given length each.
func fields(n, length int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "x-%03d: %s\r\n", i, strings.Repeat("v", length))
	}
	return b.String()
}

// refusedHeads are the requests that have, or have had, more than one reading somewhere, with the rule that each breaks.
// GET stands for "GET / HTTP/1.1\r\n" and a Host field.
var refusedHeads = []struct {
	name, head string
	want       error
}{
	// The request line: RFC 9112 §3.
	{"no version (HTTP/0.9)", "GET /\r\n\r\n", ErrRequestLine},
	{"two spaces", "GET  / HTTP/1.1\r\nHost: x\r\n\r\n", ErrRequestLine},
	{"space in target", "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", ErrRequestLine},
	{"space at end", "GET / HTTP/1.1 \r\nHost: x\r\n\r\n", ErrRequestLine},
	{"leading space", " GET / HTTP/1.1\r\nHost: x\r\n\r\n", ErrRequestLine},
	{"tab as separator", "GET\t/ HTTP/1.1\r\nHost: x\r\n\r\n", ErrRequestLine},
	{"tab in the method", "G\tT / HTTP/1.1\r\nHost: x\r\n\r\n", ErrMethod},
	{"no method", " / HTTP/1.1\r\nHost: x\r\n\r\n", ErrMethod},
	{"two empty lines before", "\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", ErrRequestLine},
	{"bare LF before", "\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", ErrBareLF},
	{"bare CR before", "\rGET / HTTP/1.1\r\nHost: x\r\n\r\n", ErrRequestLine},
	{"method with a colon", "GET: / HTTP/1.1\r\nHost: x\r\n\r\n", ErrMethod},
	{"CONNECT", "CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n", ErrConnect},
	{"lower-case version", "GET / http/1.1\r\nHost: x\r\n\r\n", ErrVersion},
	{"HTTP/1.2", "GET / HTTP/1.2\r\nHost: x\r\n\r\n", ErrVersion},
	{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ErrVersion},
	{"TLS hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n", ErrBareLF},
	{"long version", "GET / HTTP/01.1\r\nHost: x\r\n\r\n", ErrVersion},
	// The target: RFC 9112 §3.2.
	{"authority-form", "GET x:80 HTTP/1.1\r\nHost: x\r\n\r\n", ErrTarget},
	{"asterisk for GET", "GET * HTTP/1.1\r\nHost: x\r\n\r\n", ErrTarget},
	{"relative", "GET a/b HTTP/1.1\r\nHost: x\r\n\r\n", ErrTarget},
	{"fragment", "GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n", ErrTargetByte},
	{"fragment in absolute-form", "GET http://x/a#b HTTP/1.1\r\nHost: x\r\n\r\n", ErrTargetByte},
	{"NUL in target", "GET /a\x00 HTTP/1.1\r\nHost: x\r\n\r\n", ErrTargetByte},
	{"bare CR in target", "GET /a\rb HTTP/1.1\r\nHost: x\r\n\r\n", ErrTargetByte},
	{"UTF-8 in target", "GET /ä HTTP/1.1\r\nHost: x\r\n\r\n", ErrTargetByte},
	{"bad escape", "GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", ErrTargetByte},
	{"cut escape", "GET /%2 HTTP/1.1\r\nHost: x\r\n\r\n", ErrTargetByte},
	{"user in authority", "GET http://u@x/ HTTP/1.1\r\nHost: x\r\n\r\n", ErrHost},
	{"empty authority", "GET http:///a HTTP/1.1\r\nHost: x\r\n\r\n", ErrHost},
	{"other scheme", "GET ftp://x/ HTTP/1.1\r\nHost: x\r\n\r\n", ErrTarget},
	{"query without path", "GET http://x?a HTTP/1.1\r\nHost: x\r\n\r\n", ErrTarget},
	// Lines and fields: RFC 9112 §2.2 and §5.
	{"bare LF ends the request line", "GET / HTTP/1.1\nHost: x\r\n\r\n", ErrBareLF},
	{"bare LF ends a field", "GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n", ErrBareLF},
	{"bare LF ends the head", "GET / HTTP/1.1\r\nHost: x\r\n\n", ErrBareLF},
	{"LF LF, as from a shell", "GET / HTTP/1.0\n\n", ErrBareLF},
	{"bare CR in a value", "GET / HTTP/1.1\r\nHost: x\r\nA: b\rC: d\r\n\r\n", ErrFieldValue},
	{"CR CR LF", "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\r\n\r\n", ErrFieldValue},
	{"folded value", "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", ErrObsFold},
	{"folded with a tab", "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n\tchunked\r\n\r\n", ErrTransferEncoding},
	{"space before the first field", "GET / HTTP/1.1\r\n Host: x\r\n\r\n", ErrObsFold},
	{"space before the colon", "GET / HTTP/1.1\r\nHost: x\r\nContent-Length : 5\r\n\r\n", ErrSpaceInName},
	{"tab before the colon", "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding\t: chunked\r\n\r\n", ErrSpaceInName},
	{"space within a name", "GET / HTTP/1.1\r\nHost: x\r\nA b: c\r\n\r\n", ErrSpaceInName},
	{"empty name", "GET / HTTP/1.1\r\nHost: x\r\n: c\r\n\r\n", ErrFieldName},
	{"no colon", "GET / HTTP/1.1\r\nHost: x\r\nabc\r\n\r\n", ErrFieldName},
	{"NUL in a name", "GET / HTTP/1.1\r\nHost: x\r\nA\x00: c\r\n\r\n", ErrFieldName},
	{"UTF-8 in a name", "GET / HTTP/1.1\r\nHost: x\r\nÄ: c\r\n\r\n", ErrFieldName},
	{"slash in a name", "GET / HTTP/1.1\r\nHost: x\r\nA/b: c\r\n\r\n", ErrFieldName},
	{"vertical tab before a name", "GET / HTTP/1.1\r\nHost: x\r\n\vTransfer-Encoding: chunked\r\n\r\n", ErrFieldName},
	{"NUL in a value", "GET / HTTP/1.1\r\nHost: x\r\nA: b\x00c\r\n\r\n", ErrFieldValue},
	{"DEL in a long value", "GET / HTTP/1.1\r\nHost: x\r\nA: 0123456789abc\x7f0123456789\r\n\r\n", ErrFieldValue},
	{"escape in a value", "GET / HTTP/1.1\r\nHost: x\r\nA: \x1b[31m0123456789\r\n\r\n", ErrFieldValue},
	{"100 fields and one", "GET / HTTP/1.1\r\nHost: x\r\n" + fields(100, 1) + "\r\n", ErrTooManyFields},
	{"61,441 bytes", "GET / HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("v", 61441-32) + "\r\n\r\n", ErrHeadTooLarge},
	{"endless line", "GET /" + strings.Repeat("a", 70000), ErrHeadTooLarge},
	{"Connection names too much", "GET / HTTP/1.1\r\nHost: x\r\nConnection: " + strings.Repeat("a,", 40) + "\r\n\r\n", ErrConnection},
	{"unknown expectation", "GET / HTTP/1.1\r\nHost: x\r\nExpect: 200-ok\r\n\r\n", ErrExpect},
	// Host: RFC 9112 §3.2.
	{"no Host", "GET / HTTP/1.1\r\n\r\n", ErrNoHost},
	{"no Host with absolute-form", "GET http://x/ HTTP/1.1\r\n\r\n", ErrNoHost},
	{"two Hosts", "GET / HTTP/1.1\r\nHost: x\r\nhOst: x\r\n\r\n", ErrManyHosts},
	{"two Hosts in HTTP/1.0", "GET / HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n", ErrManyHosts},
	{"empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", ErrHost},
	{"Host with path", "GET / HTTP/1.1\r\nHost: x/y\r\n\r\n", ErrHost},
	{"Host with user", "GET / HTTP/1.1\r\nHost: a@x\r\n\r\n", ErrHost},
	{"Host list", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", ErrHost},
	{"Host with space", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", ErrHost},
	{"Host port not a number", "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", ErrHost},
	{"Host port too large", "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", ErrHost},
	{"Host port empty", "GET / HTTP/1.1\r\nHost: a:\r\n\r\n", ErrHost},
	{"Host bad address", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", ErrHost},
	{"Host address with zone", "GET / HTTP/1.1\r\nHost: [fe80::1%eth0]\r\n\r\n", ErrHost},
	{"Host IPv4 in brackets", "GET / HTTP/1.1\r\nHost: [1.2.3.4]\r\n\r\n", ErrHost},
	{"bad Host with absolute-form", "GET http://x/ HTTP/1.1\r\nHost: a b\r\n\r\n", ErrHost},
	// Framing: RFC 9110 §8.6, RFC 9112 §6.
	{"CL plus sign", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\n", ErrContentLength},
	{"CL minus sign", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", ErrContentLength},
	{"CL empty", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\n", ErrContentLength},
	{"CL hexadecimal", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x5\r\n\r\n", ErrContentLength},
	{"CL with space", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1 2\r\n\r\n", ErrContentLength},
	{"CL with underscore", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1_0\r\n\r\n", ErrContentLength},
	{"CL overflow", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551617\r\n\r\n", ErrContentLength},
	{"CL list of equals", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 5\r\n\r\n", ErrContentLength},
	{"CL list of others", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 6\r\n\r\n", ErrContentLength},
	{"CL twice, equal", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", ErrManyContentLengths},
	{"CL twice, others", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n", ErrManyContentLengths},
	{"CL.TE", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", ErrTwoFramings},
	{"TE.CL", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", ErrTwoFramings},
	{"TE identity", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\n\r\n", ErrTransferEncoding},
	{"TE empty", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n\r\n", ErrTransferEncoding},
	{"TE quoted", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \"chunked\"\r\n\r\n", ErrTransferEncoding},
	{"TE xchunked", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n", ErrTransferEncoding},
	{"TE vertical tab", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \vchunked\r\n\r\n", ErrFieldValue},
	{"TE gzip, chunked", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", ErrTransferEncoding},
	{"TE chunked, chunked", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", ErrTransferEncoding},
	{"TE chunked with comma", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked,\r\n\r\n", ErrTransferEncoding},
	{"TE with parameter", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked;q=1\r\n\r\n", ErrTransferEncoding},
	{"TE.TE", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: cow\r\n\r\n", ErrTransferEncoding},
	{"TE twice", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-encoding: chunked\r\n\r\n", ErrTransferEncoding},
	{"TE in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", ErrTransferIn10},
	// Cut short.
	{"nothing", "", io.EOF},
	{"half a head", "GET / HTTP/1.1\r\nHo", io.ErrUnexpectedEOF},
}

func TestRefusedRequests(t *testing.T) {
	for _, test := range refusedHeads {
		for _, piece := range pieces {
			t.Run(fmt.Sprint(test.name, "/", piece), func(t *testing.T) {
				var r Request
				expectError(t, saying(test.head, piece).In.ReadRequest(&r), test.want)
			})
		}
	}
}

func TestLargestHeadsPass(t *testing.T) {
	most := "GET / HTTP/1.1\r\nHost: x\r\n" + fields(99, 1) + "\r\n"
	const around = len("GET / HTTP/1.1\r\nHost: x\r\nA: \r\n\r\n")
	longest := "GET / HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("v", DefaultMaxHeadBytes-around) + "\r\n\r\n"
	for _, head := range []string{most, longest} {
		for _, piece := range []int{100, 0} {
			var r Request
			c := saying(head+head, piece)
			for range 2 {
				if err := c.In.ReadRequest(&r); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

func TestHopByHop(t *testing.T) {
	const head = "GET / HTTP/1.1\r\nHost: x\r\nConnection: X-Named, host\r\nKeep-Alive: 5\r\nx-named: 1\r\nProxy-Connection: a\r\n" +
		"TE: x\r\nUpgrade: websocket\r\nProxy-Authorization: y\r\nProxy-Authenticate: z\r\nAccept: */*\r\nExpect: 100-continue\r\n\r\n"
	var r Request
	if err := saying(head, 0).In.ReadRequest(&r); err != nil {
		t.Fatal(err)
	}
	var kept []string
	for _, f := range r.All() {
		if !f.Hop {
			kept = append(kept, string(f.Name))
		}
	}
	if got := strings.Join(kept, " "); got != "Host Accept" {
		t.Errorf("passed on: %s", got)
	}
	if got := string(r.Get("accept")); got != "*/*" {
		t.Errorf("Get: %q", got)
	}
	if r.Get("absent") != nil {
		t.Error("Get found an absent field")
	}
}

// TestPipelining reads requests that arrive together, with and without bodies, in order.
func TestPipelining(t *testing.T) {
	const text = "GET /1 HTTP/1.1\r\nHost: x\r\n\r\n" +
		"POST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc" +
		"POST /3 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" +
		"\r\nPOST /4 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc" +
		"GET /5 HTTP/1.1\r\nHost: x\r\n\r\n"
	for _, piece := range pieces {
		c := saying(text, piece)
		var got strings.Builder
		var r Request
		for range 5 {
			if err := c.In.ReadRequest(&r); err != nil {
				t.Fatal(err)
			}
			body, err := readBody(t, c.In.Body())
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&got, "%s%s ", r.Target, body)
		}
		if want := "/1 /2abc /3abc /4abc /5 "; got.String() != want {
			t.Errorf("in pieces of %d: read %q, want %q", piece, got.String(), want)
		}
		expectError(t, c.In.ReadRequest(&r), io.EOF)
	}
}

// FuzzRequest checks that each request that is accepted is accepted by net/http too, with the same reading, and that
// nothing panics. net/http is laxer, so its acceptance proves nothing.
func FuzzRequest(f *testing.F) {
	for _, test := range refusedHeads {
		f.Add([]byte(test.head))
	}
	f.Add([]byte("POST http://x/a?b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nA:  b \r\n\r\n2;x=y\r\nab\r\n0\r\nT: u\r\n\r\nGET"))
	f.Add([]byte("GET http://x/ HTTP/1.0\r\nA: b\r\n\r\n"))
	f.Add([]byte("POST / HTTP/1.0\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nab"))
	f.Add([]byte("OPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\nConnection: a, b\r\na: 1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := saying(string(data), 0)
		var r Request
		if err := c.In.ReadRequest(&r); err != nil {
			return
		}
		other, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(bytes.TrimPrefix(data, []byte("\r\n")))))
		if err != nil {
			t.Fatalf("net/http refuses it: %v", err)
		}
		if other.Method != string(r.Method) || other.Host != string(r.Host) {
			t.Fatalf("net/http reads %s for %s; this is %s for %s", other.Method, other.Host, r.Method, r.Host)
		}
		if length := other.ContentLength; length > 0 && r.Framing() != Sized(length) {
			t.Fatalf("net/http reads a body of %d bytes; this is %d", length, r.Framing())
		}
		theirs, theirErr := io.ReadAll(other.Body)
		ours, err := io.ReadAll(c.In.Body())
		if err != nil {
			return // stricter
		}
		if theirErr != nil || !bytes.Equal(ours, theirs) {
			t.Fatalf("net/http reads the body %q (%v), this is %q", theirs, theirErr, ours)
		}
		roundTrip(t, &r)
	})
}

// roundTrip writes a request as it was read and reads that.
func roundTrip(t *testing.T, r *Request) {
	peer := &script{}
	w := NewConn(peer, Config{})
	w.Out.StartRequest(r.Method, r.Target)
	if r.HTTP10 && r.Get("host") == nil { // it may be in the target alone
		w.Out.Field("host", "none")
	}
	for _, f := range r.All() {
		if !f.Hop {
			w.Out.Copy(f)
		}
	}
	w.Out.EndHead(r.Framing())
	w.Out.Flush()
	var again Request
	if err := saying(peer.out.String(), 0).In.ReadRequest(&again); err != nil {
		t.Fatalf("what was written for it is refused: %v\n%q", err, peer.out.String())
	}
	if !bytes.Equal(again.Target, r.Target) || again.Framing() != r.Framing() {
		t.Fatalf("written and read again: %s with %d, was %s with %d", again.Target, again.Framing(), r.Target, r.Framing())
	}
}

// TestFault_B10_EveryExpectationCounts: not the last one alone.
func TestFault_B10_EveryExpectationCounts(t *testing.T) {
	for name, fields := range map[string]string{
		"before": "Expect: banana\r\nExpect: 100-continue\r\n", "behind": "Expect: 100-continue\r\nExpect: banana\r\n",
		"empty":     "Expect:\r\nExpect: 100-continue\r\n",
		"between":   "Expect: 100-continue\r\nExpect: x\r\nExpect: 100-continue\r\n",
		"in a list": "Expect: banana, 100-continue\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			var r Request
			expectError(t, saying("POST / HTTP/1.1\r\nHost: x\r\n"+fields+"Content-Length: 0\r\n\r\n", 0).In.ReadRequest(&r),
				ErrExpect)
		})
	}
}
