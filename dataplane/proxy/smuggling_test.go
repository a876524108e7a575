package proxy

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"pergola/lattice"
)

const (
	// post begins a request whose framing follows.
	post = "POST / HTTP/1.1\r\nHost: s.example\r\n"
	// hidden is what an attacker wants to pass as a request of its own.
	hidden = "GET /hidden HTTP/1.1\r\nHost: s.example\r\n\r\n"
	// hiddenBody is how the target shows that it took it for a body.
	hiddenBody = `"GET /hidden HTTP/1.1\r\nHost: s.example\r\n\r\n"`
	// refused is what becomes of a request that has two readings. Nothing after it is read.
	refused = "400 closed"
)

// smugglingForms are the known ways to have one request read as two, or as another, by those it passes. For each, what the
// target was sent, request for request, and what the client got. "" is that no target heard of it.
var smugglingForms = []struct{ name, sent, target, client string }{
	// Two framings at once.
	{"CL.TE", post + "Content-Length: 46\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden, "", refused},
	{"TE.CL", post + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n29\r\n" + hidden + "\r\n0\r\n\r\n", "", refused},
	{"TE.0", "OPTIONS / HTTP/1.1\r\nHost: s.example\r\nTransfer-Encoding: chunked\r\n\r\n29\r\n" + hidden + "\r\n0\r\n\r\n",
		"OPTIONS / chunked " + hiddenBody, "200"},
	{"CL.0", "GET / HTTP/1.1\r\nHost: s.example\r\nContent-Length: 41\r\n\r\n" + hidden, "GET / 41 " + hiddenBody, "200"},
	{"0.CL", "GET / HTTP/1.1\r\nHost: s.example\r\nContent-Length: 0\r\n\r\n" + hidden, "GET /; GET /hidden", "200 200"},
	{"TE in HTTP/1.0", "POST / HTTP/1.0\r\nHost: s.example\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden, "", refused},
	{"TE and CL in HTTP/1.0", "POST / HTTP/1.0\r\nHost: s.example\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "", refused},

	// Transfer-Encoding, disguised.
	{"TE in upper case", post + "TRANSFER-ENCODING: CHUNKED\r\n\r\n0\r\n\r\n" + hidden, "POST / chunked; GET /hidden", "200 200"},
	{"TE xchunked", post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + hidden, "", refused},
	{"TE chunked, identity", post + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + hidden, "", refused},
	{"TE identity, chunked", post + "Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n" + hidden, "", refused},
	{"TE chunked,", post + "Transfer-Encoding: chunked,\r\n\r\n0\r\n\r\n" + hidden, "", refused},
	{"TE , chunked", post + "Transfer-Encoding: , chunked\r\n\r\n0\r\n\r\n" + hidden, "", refused},
	{"TE chunked;x", post + "Transfer-Encoding: chunked;x\r\n\r\n0\r\n\r\n" + hidden, "", refused},
	{"TE quoted", post + "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n" + hidden, "", refused},
	{"TE identity", post + "Transfer-Encoding: identity\r\nContent-Length: 3\r\n\r\nabc", "", refused},
	{"TE empty", post + "Transfer-Encoding:\r\nContent-Length: 3\r\n\r\nabc", "", refused},
	{"TE twice", post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden, "", refused},
	{"TE.TE", post + "Transfer-Encoding: chunked\r\nTransfer-encoding: x\r\n\r\n0\r\n\r\n" + hidden, "", refused},
	{"TE.TE, the other way", post + "Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden, "", refused},
	{"TE behind spaces and tabs", post + "Transfer-Encoding: \t chunked \t\r\n\r\n0\r\n\r\n" + hidden, "POST / chunked; GET /hidden", "200 200"},
	{"TE behind a vertical tab", post + "Transfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n" + hidden, "", refused},
	{"TE behind a form feed", post + "Transfer-Encoding: \fchunked\r\n\r\n0\r\n\r\n" + hidden, "", refused},
	{"TE behind a no-break space", post + "Transfer-Encoding: \u00a0chunked\r\n\r\n0\r\n\r\n" + hidden, "", refused},
	{"TE behind a NUL", post + "Transfer-Encoding: \x00chunked\r\n\r\n0\r\n\r\n" + hidden, "", refused},
	{"TE before a NUL", post + "Transfer-Encoding: chunked\x00\r\n\r\n0\r\n\r\n" + hidden, "", refused},
	{"TE before a bare CR", post + "Transfer-Encoding: chunked\rx\r\n\r\n0\r\n\r\n" + hidden, "", refused},
	{"TE before the colon, a space", post + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + hidden, "", refused},
	{"TE before the colon, a tab", post + "Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n" + hidden, "", refused},
	{"TE before the colon, a NUL", post + "Transfer-Encoding\x00: chunked\r\n\r\n0\r\n\r\n" + hidden, "", refused},
	{"TE after a space", post + "X: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden, "", refused},
	{"TE after a bare CR", post + "X: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden, "", refused},
	{"TE after a bare LF", post + "X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden, "", refused},
	{"TE folded", post + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + hidden, "", refused},
	{"TE with an underscore", post + "Transfer_Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", `POST / 5 "0\r\n\r\n"`, "200"},
	{"TE with a byte above ASCII", post + "Tran\u017ffer-Encoding: chunked\r\n\r\n0\r\n\r\n", "", refused},

	// Content-Length, disguised.
	{"CL.CL", post + "Content-Length: 3\r\nContent-Length: 0\r\n\r\nabc", "", refused},
	{"CL.CL, equal", post + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", "", refused},
	{"CL list", post + "Content-Length: 3, 3\r\n\r\nabc", "", refused},
	{"CL plus", post + "Content-Length: +3\r\n\r\nabc", "", refused},
	{"CL minus", post + "Content-Length: -3\r\n\r\nabc", "", refused},
	{"CL minus zero", post + "Content-Length: -0\r\n\r\nabc", "", refused},
	{"CL hexadecimal", post + "Content-Length: 0x3\r\n\r\nabc", "", refused},
	{"CL underscore", post + "Content-Length: 1_0\r\n\r\n0123456789", "", refused},
	{"CL space within", post + "Content-Length: 1 0\r\n\r\n0123456789", "", refused},
	{"CL fraction", post + "Content-Length: 3.0\r\n\r\nabc", "", refused},
	{"CL exponent", post + "Content-Length: 1e1\r\n\r\n0123456789", "", refused},
	{"CL other digits", post + "Content-Length: \u0663\r\n\r\nabc", "", refused},
	{"CL empty", post + "Content-Length:\r\n\r\nabc", "", refused},
	{"CL too large", post + "Content-Length: 18446744073709551619\r\n\r\nabc", "", refused},
	{"CL leading zeros", post + "Content-Length: 0003\r\n\r\nabc" + hidden, `POST / 3 "abc"; GET /hidden`, "200 200"},
	{"CL space before the colon", post + "Content-Length : 3\r\n\r\nabc", "", refused},
	{"CL folded", post + "Content-Length:\r\n 3\r\n\r\nabc", "", refused},
	{"CL with an underscore", post + "Content_Length: 3\r\n\r\n" + hidden, "POST /; GET /hidden", "200 200"},

	// Lines.
	{"bare LF behind the request line", "GET / HTTP/1.1\nHost: s.example\r\n\r\n", "", refused},
	{"bare LF behind a field", "GET / HTTP/1.1\r\nHost: s.example\nX: y\r\n\r\n", "", refused},
	{"bare LF ends the head", "GET / HTTP/1.1\r\nHost: s.example\r\n\n" + hidden, "", refused},
	{"bare CR in a value", "GET / HTTP/1.1\r\nHost: s.example\r\nX: y\r\rGET /hidden HTTP/1.1\r\n\r\n", "", refused},
	{"bare CR in the target", "GET /\rX HTTP/1.1\r\nHost: s.example\r\n\r\n", "", refused},
	{"a folded field", "GET / HTTP/1.1\r\nHost: s.example\r\nX: y\r\n z\r\n\r\n", "", refused},
	{"a first field that is folded", "GET / HTTP/1.1\r\n Host: s.example\r\n\r\n", "", refused},
	{"NUL in a value", "GET / HTTP/1.1\r\nHost: s.example\r\nX: y\x00z\r\n\r\n", "", refused},
	{"NUL in a name", "GET / HTTP/1.1\r\nHost: s.example\r\nX\x00: y\r\n\r\n", "", refused},
	{"no name", "GET / HTTP/1.1\r\nHost: s.example\r\n: y\r\n\r\n", "", refused},
	{"no colon", "GET / HTTP/1.1\r\nHost: s.example\r\nGET /hidden HTTP/1.1\r\n\r\n", "", refused},
	{"a space in a name", "GET / HTTP/1.1\r\nHost: s.example\r\nX Y: z\r\n\r\n", "", refused},
	{"an empty line before", "\r\n" + hidden, "GET /hidden", "200"},
	{"two empty lines before", "\r\n\r\n" + hidden, "", refused},

	// Chunks.
	{"an extension", post + "Transfer-Encoding: chunked\r\n\r\n3;a=b;c=\"d\"\r\nabc\r\n0;e\r\n\r\n" + hidden,
		`POST / chunked "abc"; GET /hidden`, "200 200"},
	{"an extension with a bare LF", post + "Transfer-Encoding: chunked\r\n\r\n3;\nx\r\nabc\r\n0\r\n\r\n" + hidden, "", refused},
	{"an extension with a bare CR", post + "Transfer-Encoding: chunked\r\n\r\n3;\rx\r\nabc\r\n0\r\n\r\n" + hidden, "", refused},
	{"an extension with a NUL", post + "Transfer-Encoding: chunked\r\n\r\n3;\x00\r\nabc\r\n0\r\n\r\n" + hidden, "", refused},
	{"a space for an extension", post + "Transfer-Encoding: chunked\r\n\r\n3 \r\nabc\r\n0\r\n\r\n" + hidden, "", refused},
	{"a space before an extension", post + "Transfer-Encoding: chunked\r\n\r\n3 ;a\r\nabc\r\n0\r\n\r\n" + hidden, "", refused},
	{"a size that wraps to 3", post + "Transfer-Encoding: chunked\r\n\r\n10000000000000003\r\nabc\r\n0\r\n\r\n" + hidden, "", refused},
	{"a size that wraps 32 bits", post + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nabc\r\n0\r\n\r\n" + hidden, "", refused},
	{"a negative size", post + "Transfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n" + hidden, "", refused},
	{"a size with a plus", post + "Transfer-Encoding: chunked\r\n\r\n+3\r\nabc\r\n0\r\n\r\n" + hidden, "", refused},
	{"a size with 0x", post + "Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n" + hidden, "", refused},
	{"a size with an underscore", post + "Transfer-Encoding: chunked\r\n\r\n0_3\r\nabc\r\n0\r\n\r\n" + hidden, "", refused},
	{"no size", post + "Transfer-Encoding: chunked\r\n\r\n\r\n0\r\n\r\n" + hidden, "", refused},
	{"a size line that ends in LF", post + "Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n" + hidden, "", refused},
	{"data without CR LF", post + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc0\r\n\r\n" + hidden, "", refused},
	{"data with LF alone", post + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\n0\r\n\r\n" + hidden, "", refused},
	{"data longer than its size", post + "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n" + hidden, "", refused},
	{"an end with LF alone", post + "Transfer-Encoding: chunked\r\n\r\n0\r\n\n" + hidden, "", refused},

	// Trailers.
	{"trailers that would smuggle", post + "Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 41\r\nTransfer-Encoding: chunked\r\nHost: evil\r\n" +
		"Authorization: evil\r\nX-Amzn-Lattice-Identity: evil\r\nX-Kept: y\r\n\r\n" + hidden, "", refused},
	{"trailers that must not be passed on", post + "Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 41\r\nHost: evil\r\n" +
		"Authorization: evil\r\nX-Amzn-Lattice-Identity: evil\r\nX-Kept: y\r\n\r\n" + hidden, "POST / chunked X-Kept=y; GET /hidden", "200 200"},
	{"a trailer without a colon", post + "Transfer-Encoding: chunked\r\n\r\n0\r\nGET /hidden HTTP/1.1\r\nHost: s.example\r\n\r\n", "", refused},
	{"a trailer with a bare LF", post + "Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\n\r\n" + hidden, "", refused},

	// Whom it is for.
	{"absolute-form and another Host", "GET http://s.example/a HTTP/1.1\r\nHost: evil\r\n\r\n", "GET /a", "200"},
	{"absolute-form of another and Host", "GET http://evil/a HTTP/1.1\r\nHost: s.example\r\n\r\n", "", "404"},
	{"absolute-form with a user", "GET http://s.example@evil/ HTTP/1.1\r\nHost: s.example\r\n\r\n", "", refused},
	{"two Hosts", "GET / HTTP/1.1\r\nHost: s.example\r\nHost: evil\r\n\r\n", "", refused},
	{"two equal Hosts", "GET / HTTP/1.1\r\nHost: s.example\r\nHost: s.example\r\n\r\n", "", refused},
	{"a Host with a user", "GET / HTTP/1.1\r\nHost: evil@s.example\r\n\r\n", "", refused},
	{"a Host with a path", "GET / HTTP/1.1\r\nHost: s.example/evil\r\n\r\n", "", refused},
	{"a list of Hosts", "GET / HTTP/1.1\r\nHost: s.example, evil\r\n\r\n", "", refused},
	{"a Host with a space", "GET / HTTP/1.1\r\nHost: s.example evil\r\n\r\n", "", refused},
	{"a Host whose port is none", "GET / HTTP/1.1\r\nHost: s.example:evil\r\n\r\n", "", refused},
	{"no Host", "GET / HTTP/1.1\r\n\r\n", "", refused},

	// The request line.
	{"HTTP/0.9", "GET /\r\n\r\n", "", refused},
	{"HTTP/1.2", "GET / HTTP/1.2\r\nHost: s.example\r\n\r\n", "", refused},
	{"HTTP/2.0", "GET / HTTP/2.0\r\nHost: s.example\r\n\r\n", "", refused},
	{"http/1.1", "GET / http/1.1\r\nHost: s.example\r\n\r\n", "", refused},
	{"two versions", "GET / HTTP/1.1 HTTP/1.1\r\nHost: s.example\r\n\r\n", "", refused},
	{"two spaces", "GET  / HTTP/1.1\r\nHost: s.example\r\n\r\n", "", refused},
	{"two spaces before the version", "GET /  HTTP/1.1\r\nHost: s.example\r\n\r\n", "", refused},
	{"a space in front", " GET / HTTP/1.1\r\nHost: s.example\r\n\r\n", "", refused},
	{"a space behind", "GET / HTTP/1.1 \r\nHost: s.example\r\n\r\n", "", refused},
	{"tabs", "GET\t/\tHTTP/1.1\r\nHost: s.example\r\n\r\n", "", refused},
	{"a fragment", "GET /a#b HTTP/1.1\r\nHost: s.example\r\n\r\n", "", refused},
	{"CONNECT", "CONNECT s.example:80 HTTP/1.1\r\nHost: s.example\r\n\r\n" + hidden, "", refused},

	// Fields about the connection.
	{"Connection names Content-Length", post + "Connection: Content-Length\r\nContent-Length: 41\r\n\r\n" + hidden,
		"POST / 41 " + hiddenBody, "200"},
	{"Connection names Transfer-Encoding", post + "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden,
		"POST / chunked; GET /hidden", "200 200"},
	{"Connection names Host", "GET / HTTP/1.1\r\nHost: s.example\r\nConnection: host\r\n\r\n", "GET /", "200"},
	{"Connection names what the proxy writes", "GET / HTTP/1.1\r\nHost: s.example\r\nConnection: x-amzn-lattice-target, x-forwarded-for\r\n\r\n", "GET /", "200"},
	{"Connection: close", "GET / HTTP/1.1\r\nHost: s.example\r\nConnection: close\r\n\r\n" + hidden, "GET /", "200 closed"},
	{"Upgrade: h2c", "GET / HTTP/1.1\r\nHost: s.example\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAA\r\n\r\n", "GET /", "200"},
	{"Upgrade: websocket", "GET / HTTP/1.1\r\nHost: s.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n" + hidden, "GET /; GET /hidden", "200 200"},
	{"Expect, unknown", post + "Expect: 200-ok\r\nContent-Length: 41\r\n\r\n" + hidden, "", refused},
	{"Expect, twice", post + "Expect: 100-continue, 100-continue\r\nContent-Length: 41\r\n\r\n" + hidden, "", refused},
	{"Expect, with a body that came at once", post + "Expect: 100-continue\r\nContent-Length: 41\r\n\r\n" + hidden,
		"POST / 41 " + hiddenBody, "200"},
	{"Expect, without a body", "GET / HTTP/1.1\r\nHost: s.example\r\nExpect: 100-continue\r\n\r\n" + hidden, "GET /; GET /hidden", "200 200"},

	// What follows an answer that no target gave.
	{"404, its body, another request", "POST / HTTP/1.1\r\nHost: none.example\r\nContent-Length: 41\r\n\r\n" + hidden + hidden, "GET /hidden", "404 200"},
	{"404, its chunks, another request", "POST / HTTP/1.1\r\nHost: none.example\r\nTransfer-Encoding: chunked\r\n\r\n29\r\n" + hidden + "\r\n0\r\n\r\n" + hidden, "GET /hidden", "404 200"},
	{"404, Expect, another request", "POST / HTTP/1.1\r\nHost: none.example\r\nExpect: 100-continue\r\nContent-Length: 41\r\n\r\n" + hidden, "", "404 closed"},
	{"404, a bad chunk, another request", "POST / HTTP/1.1\r\nHost: none.example\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n" + hidden, "", "404 closed"},
}

// TestSmugglingForms holds what becomes of each: it is refused, or it reaches the target as the one request that it is. The
// same holds when it comes byte for byte, except that a target can then have been sent the head and the part of the body
// that is before the fault; it sees that the rest is missing. A connection may also be closed where whole requests would
// have let it live on.
func TestSmugglingForms(t *testing.T) {
	for _, form := range smugglingForms {
		t.Run(form.name, func(t *testing.T) {
			if target, client := smuggle(t, form.sent, len(form.sent)); target != form.target || client != form.client {
				t.Errorf("the target was sent %q, want %q; the client got %s, want %s", target, form.target, client, form.client)
			}
			target, client := smuggle(t, form.sent, 1)
			half := target == "…" && form.client == refused
			if target != form.target && !half || client != form.client && client != form.client+" closed" {
				t.Errorf("byte for byte: the target was sent %q, the client got %s", target, client)
			}
		})
	}
}

// smuggle sends text in pieces and returns what the target was sent and what the client got.
func smuggle(t *testing.T, text string, piece int) (sent, got string) {
	synctest.Test(t, func(t *testing.T) {
		w, target := newWorld(t), &suspect{t: t}
		w.targets[targetA] = target.serve
		conn := w.connect(inVPC)
		go func() {
			for from := 0; from < len(text); from += piece {
				if _, err := io.WriteString(conn, text[from:min(from+piece, len(text))]); err != nil {
					return
				}
			}
		}()
		var answers bytes.Buffer
		closed := make(chan struct{})
		go func() {
			io.Copy(&answers, conn)
			close(closed)
		}()
		synctest.Wait()
		select {
		case <-closed:
			got = statuses(answers.String()) + " closed"
		default:
			got = statuses(answers.String())
		}
		conn.Close()
		w.close()
		sent = target.String()
	})
	return sent, got
}

var statusLine = regexp.MustCompile(`HTTP/1\.1 (\d{3}) `)

// statuses are those of all answers in text.
func statuses(text string) string {
	var all []string
	for _, match := range statusLine.FindAllStringSubmatch(text, -1) {
		all = append(all, match[1])
	}
	return strings.Join(all, " ")
}

// field is a header field of HTTP/2, pseudo or not.
type field = hpack.HeaderField

// head is a request of HTTP/2: the fields that every request has, with some of them replaced, and what else it has.
func head(changed map[string]string, more ...field) (all []field) {
	for _, f := range []field{{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "https"}, {Name: ":authority", Value: "s.example"}, {Name: ":path", Value: "/"}} {
		if value, ok := changed[f.Name]; ok {
			f.Value = value
		}
		if f.Value != "none" {
			all = append(all, f)
		}
	}
	return append(all, more...)
}

func with(name, value string) []field      { return head(nil, field{Name: name, Value: value}) }
func replacing(name, value string) []field { return head(map[string]string{name: value}) }
func alsoWith(fields []field, name, v string) []field {
	return append(fields, field{Name: name, Value: v})
}

// downgradeForms are requests of HTTP/2 that would be two, or others, as text. For each, what a target that speaks HTTP/1.1
// was sent and what the client got.
var downgradeForms = []struct {
	name           string
	head           []field
	body           string
	trailers       []field
	target, client string
}{
	{"nothing wrong", head(nil), "abc", nil, `POST / chunked "abc"`, "200"},
	{"H2.CL, the body is longer", with("content-length", "0"), hidden, nil, "", "RST PROTOCOL_ERROR"},
	{"H2.CL, the body is longer by some", with("content-length", "3"), "abc" + hidden, nil, "", "RST PROTOCOL_ERROR"},
	{"H2.CL, the body is shorter", with("content-length", "50"), hidden, nil, "", "RST PROTOCOL_ERROR"},
	{"H2.CL, right", with("content-length", "41"), hidden, nil, "POST / 41 " + hiddenBody, "200"},
	{"H2.CL twice", alsoWith(with("content-length", "3"), "content-length", "3"), "abc", nil, "", "400"},
	{"H2.CL plus", with("content-length", "+3"), "abc", nil, "", "400"},
	{"H2.CL list", with("content-length", "3, 3"), "abc", nil, "", "400"},
	{"H2.CL with a line break", with("content-length", "3\r\nx: y"), "abc", nil, "", "400"},
	{"H2.TE", with("transfer-encoding", "chunked"), "0\r\n\r\n" + hidden, nil, "", "400"},
	{"H2.TE identity", with("transfer-encoding", "identity"), "abc", nil, "", "400"},
	{"H2.TE in upper case", with("Transfer-Encoding", "chunked"), "0\r\n\r\n" + hidden, nil, "", "400"},
	{"H2.TE through a value", with("x", "y\r\ntransfer-encoding: chunked"), "0\r\n\r\n" + hidden, nil, "", "400"},
	{"H2.TE through a name", with("x: y\r\ntransfer-encoding", "chunked"), "0\r\n\r\n" + hidden, nil, "", "400"},
	{"H2.TE behind a space", with("transfer-encoding ", "chunked"), "0\r\n\r\n" + hidden, nil, "", "400"},
	{"H2.TE in the trailers", head(nil), "abc", []field{{Name: "transfer-encoding", Value: "chunked"}}, "", "RST PROTOCOL_ERROR"},
	{"CL in the trailers", head(nil), "abc", []field{{Name: "content-length", Value: "3"}}, `POST / chunked "abc"`, "200"},
	{"the proxy's word in the trailers", head(nil), "abc", []field{{Name: "x-amzn-lattice-identity", Value: "evil"}, {Name: "x-kept", Value: "y"}}, `POST / chunked "abc" X-Kept=y`, "200"},
	{"a pseudo field in the trailers", head(nil), "abc", []field{{Name: ":path", Value: "/hidden"}}, "", "RST PROTOCOL_ERROR"},
	{"a line break in the trailers", head(nil), "abc", []field{{Name: "x", Value: "y\r\n\r\n" + hidden}}, "", "RST PROTOCOL_ERROR"},
	{"CR LF in a value", with("x", "y\r\n\r\n"+hidden), "", nil, "", "400"},
	{"LF in a value", with("x", "y\nhost: evil"), "", nil, "", "400"},
	{"CR in a value", with("x", "y\rhost: evil"), "", nil, "", "400"},
	{"NUL in a value", with("x", "y\x00z"), "", nil, "", "400"},
	{"space before a value", with("x", " y"), "", nil, "", "400"},
	{"CR LF in a name", with("x: y\r\nhost", "evil"), "", nil, "", "400"},
	{"a colon in a name", with("host: evil\r\nx", "y"), "", nil, "", "400"},
	{"a space in a name", with("x y", "z"), "", nil, "", "400"},
	{"an empty name", with("", "z"), "", nil, "", "400"},
	{"CR LF in :path", replacing(":path", "/ HTTP/1.1\r\nHost: s.example\r\n\r\nGET /hidden"), "", nil, "", "400"},
	{"a space in :path", replacing(":path", "/ HTTP/1.1"), "", nil, "", "400"},
	{"a tab in :path", replacing(":path", "/\tx"), "", nil, "", "400"},
	{"a fragment in :path", replacing(":path", "/a#b"), "", nil, "", "400"},
	{"a URL in :path", replacing(":path", "http://evil/"), "", nil, "", "400"},
	{"an empty :path", replacing(":path", ""), "", nil, "", "400"},
	{"no :path", replacing(":path", "none"), "", nil, "", "400"},
	{"CR LF in :method", replacing(":method", "GET / HTTP/1.1\r\nHost: s.example\r\n\r\nGET"), "", nil, "", "400"},
	{"a space in :method", replacing(":method", "GET /hidden"), "", nil, "", "400"},
	{"CONNECT in :method", replacing(":method", "CONNECT"), "", nil, "", "400"},
	{"CR LF in :authority", replacing(":authority", "s.example\r\nx: y"), "", nil, "", "400"},
	{"a user in :authority", replacing(":authority", "evil@s.example"), "", nil, "", "400"},
	{"a path in :authority", replacing(":authority", "s.example/evil"), "", nil, "", "400"},
	{"an empty :authority", replacing(":authority", ""), "", nil, "", "400"},
	{"no :authority, but host", alsoWith(replacing(":authority", "none"), "host", "s.example"), "", nil, "POST /", "200"},
	{"neither :authority nor host", replacing(":authority", "none"), "", nil, "", "400"},
	{"host differs from :authority", with("host", "evil"), "", nil, "", "400"},
	{"host equals :authority", with("host", "s.example"), "", nil, "POST /", "200"},
	{"two hosts", alsoWith(with("host", "s.example"), "host", "s.example"), "", nil, "", "400"},
	{"CR LF in :scheme", replacing(":scheme", "https\r\nx: y"), "", nil, "", "400"},
	{"another :scheme", replacing(":scheme", "file"), "", nil, "", "400"},
	{"two :method", append([]field{{Name: ":method", Value: "GET"}}, head(nil)...), "", nil, "", "400"},
	{"two :path", append([]field{{Name: ":path", Value: "/hidden"}}, head(nil)...), "", nil, "", "400"},
	{"two :authority", append([]field{{Name: ":authority", Value: "evil"}}, head(nil)...), "", nil, "", "400"},
	{"a pseudo field behind another", with(":path", "/hidden"), "", nil, "", "400"},
	{"an unknown pseudo field", append([]field{{Name: ":x", Value: "y"}}, head(nil)...), "", nil, "", "400"},
	{"a :status", append([]field{{Name: ":status", Value: "200"}}, head(nil)...), "", nil, "", "400"},
	{"connection", with("connection", "close"), "", nil, "", "400"},
	{"connection that names", with("connection", "content-length"), "", nil, "", "400"},
	{"keep-alive", with("keep-alive", "5"), "", nil, "", "400"},
	{"proxy-connection", with("proxy-connection", "close"), "", nil, "", "400"},
	{"upgrade", with("upgrade", "h2c"), "", nil, "", "400"},
	{"te beyond trailers", with("te", "trailers, chunked"), "", nil, "", "400"},
	{"expect, unknown", with("expect", "200-ok"), "", nil, "", "400"},
	{"transfer_encoding", with("transfer_encoding", "chunked"), "abc", nil, `POST / chunked "abc"`, "200"},
	{"the proxy's word", with("x-amzn-lattice-target", "evil"), "", nil, "POST /", "200"},
	{"the proxy's word, with underscores", with("x_amzn_lattice_target", "evil"), "", nil, "POST /", "200"},
}

// TestDowngradeForms holds what becomes of each.
func TestDowngradeForms(t *testing.T) {
	for _, form := range downgradeForms {
		t.Run(form.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, target := newWorld(t), &suspect{t: t}
				w.targets[targetA] = target.serve
				w.listener().Protocol = lattice.ProtocolHTTPS
				here, there := net.Pipe()
				w.serving.Go(func() { w.proxy.ServeHTTP2(w.finish, w.cut, addressed{there}, inVPCByTLS) })
				go writeHTTP2(t, here, form.head, form.body, form.trailers)
				got := make(chan string, 1)
				go func() { got <- readHTTP2(here) }()
				client := <-got
				synctest.Wait()
				here.Close()
				w.close()
				if sent := target.String(); sent != form.target || client != form.client {
					t.Errorf("the target was sent %q, want %q; the client got %s, want %s", sent, form.target, client, form.client)
				}
			})
		})
	}
}

// writeHTTP2 sends one request, a wrong one too.
func writeHTTP2(t *testing.T, conn net.Conn, head []field, body string, trailers []field) {
	var out bytes.Buffer
	out.WriteString(http2.ClientPreface)
	framer := http2.NewFramer(&out, nil)
	framer.AllowIllegalWrites = true
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	headers := func(fields []field, end bool) {
		block.Reset()
		for _, f := range fields {
			encoder.WriteField(f)
		}
		framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: end})
	}
	framer.WriteSettings()
	headers(head, body == "" && trailers == nil)
	if body != "" {
		framer.WriteData(1, trailers == nil, []byte(body))
	}
	if trailers != nil {
		headers(trailers, true)
	}
	conn.Write(out.Bytes())
}

// readHTTP2 reads until the stream is answered, or ended without, and returns its status or how it ended.
func readHTTP2(conn net.Conn) string {
	framer := http2.NewFramer(io.Discard, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	for {
		frame, err := framer.ReadFrame()
		switch f := frame.(type) {
		case nil:
			return err.Error()
		case *http2.MetaHeadersFrame:
			return f.PseudoValue("status")
		case *http2.RSTStreamFrame:
			return "RST " + f.ErrCode.String()
		case *http2.GoAwayFrame:
			return "GOAWAY " + f.ErrCode.String()
		}
	}
}

// FuzzSmuggling sends arbitrary bytes as a client, and holds that a target which reads with net/http sees no request but
// those that the proxy forwarded: each bears the proxy's word on its origin, once, and nobody else's.
func FuzzSmuggling(f *testing.F) {
	for _, seed := range []string{
		get + get,
		"POST / HTTP/1.1\r\nHost: s.example\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\nHost: s.example\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: s.example\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nA: b\r\n\r\n" + get,
		"POST / HTTP/1.1\r\nHost: s.example\r\nContent-Length: 30\r\n\r\nGET /x HTTP/1.1\r\nHost: evil\r\n\r\n" + get,
		"POST / HTTP/1.1\r\nHost: s.example\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc" + get,
		"GET http://s.example/a HTTP/1.1\r\nHost: b\r\nConnection: x-amzn-lattice-target, host\r\nX-Amzn-Lattice-Target: evil\r\n\r\n",
		"GET / HTTP/1.0\r\nHost: s.example\r\nConnection: keep-alive\r\n\r\n" + get,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		w := newWorld(t)
		w.targets[targetA] = (&suspect{t: t}).serve
		conn := w.connect(inVPC)
		go io.Copy(io.Discard, conn)
		conn.Write(data)
		conn.Close()
		w.close()
	})
}

// suspect is a target that reads with net/http and looks at who speaks to it. The requests that it was sent are written as
// method, target, framing, body and trailers.
type suspect struct {
	t        *testing.T
	mu       sync.Mutex
	requests []string
}

// String tells the requests; "…" is one that was cut off.
func (s *suspect) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.requests, "; ")
}

func (s *suspect) note(request string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, request)
}

func (s *suspect) serve(conn net.Conn) {
	in := bufio.NewReader(conn)
	for {
		r, err := http.ReadRequest(in)
		if err == io.EOF {
			return
		}
		if err == io.ErrUnexpectedEOF {
			s.note("…")
			return
		}
		if err != nil {
			s.t.Errorf("net/http refuses what was forwarded: %v", err)
			return
		}
		if word := r.Header["X-Amzn-Lattice-Target"]; len(word) != 1 || word[0] != "ServiceArn="+serviceARN+"; ServiceNetworkArn="+networkARN+"; TargetGroupArn="+groupARN {
			s.t.Errorf("%s %s bears %q", r.Method, r.URL, word)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			s.note("…")
			return
		}
		s.note(describe(r, body))
		if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"); err != nil {
			return
		}
	}
}

func describe(r *http.Request, body []byte) string {
	text := r.Method + " " + r.RequestURI
	switch {
	case len(r.TransferEncoding) > 0:
		text += " " + strings.Join(r.TransferEncoding, ", ")
	case r.ContentLength > 0:
		text += fmt.Sprint(" ", r.ContentLength)
	}
	if len(body) > 0 {
		text += fmt.Sprintf(" %q", body)
	}
	for name, values := range r.Trailer {
		text += " " + name + "=" + strings.Join(values, ", ")
	}
	if host := strings.ToLower(r.Host); host != "s.example" {
		text += " for " + host
	}
	return text
}
