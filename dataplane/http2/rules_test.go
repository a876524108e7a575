package http2

import (
	"strings"
	"testing"

	xhttp2 "golang.org/x/net/http2"
)

// TestServerEnforcesTheRules sends what a client may not send, or may, and looks at what becomes of it. A want with
// GOAWAY or RST must be what the server says; any other must be among what it says, and neither of these two.
func TestServerEnforcesTheRules(t *testing.T) {
	get := request("GET")
	post := func(p *peer, more ...string) { p.headers(1, false, request("POST", more...)...) }
	with := func(fields ...string) func(*peer) {
		return func(p *peer) { p.headers(1, true, fields...) }
	}
	for _, c := range []struct {
		rule string
		send func(*peer)
		want string
	}{
		// RFC 9113 §3.4 and §4.
		{"a frame other than SETTINGS comes first", func(p *peer) { p.raw(kindPing, 0, 0, make([]byte, 8)...) }, "GOAWAY 0 PROTOCOL_ERROR"},
		{"a frame is too large", func(p *peer) { post(p); p.raw(kindData, 0, 1, make([]byte, 16385)...) }, "GOAWAY 1 FRAME_SIZE_ERROR"},
		{"an unknown frame is ignored", func(p *peer) { p.raw(99, 0xff, 7, 1, 2, 3); p.headers(1, true, get...) }, "HEADERS 1 :status=200"},
		{"unknown flags are ignored", func(p *peer) { p.raw(kindPing, 0x16, 0, make([]byte, 8)...) }, "PING ACK"},
		{"the reserved bit is ignored", func(p *peer) { p.raw(kindPing, 0, 1<<31, make([]byte, 8)...) }, "PING ACK"},
		{"a header block does not decode", func(p *peer) { p.raw(kindHeaders, 5, 1, 0xff, 0xff, 0xff, 0xff, 0xff) }, "GOAWAY 1 COMPRESSION_ERROR"},
		{"a table is larger than allowed", func(p *peer) { p.raw(kindHeaders, 5, 1, 0x3f, 0xff, 0xff, 0x03) }, "GOAWAY 1 COMPRESSION_ERROR"},
		{"a header block is interrupted", func(p *peer) { p.raw(kindHeaders, 1, 1, p.block(get...)...); p.raw(kindPing, 0, 0, make([]byte, 8)...) }, "GOAWAY 1 PROTOCOL_ERROR"},
		{"a header block is interrupted by its stream", func(p *peer) { p.raw(kindHeaders, 0, 1, p.block(get...)...); p.raw(kindData, 0, 1, 1) }, "GOAWAY 1 PROTOCOL_ERROR"},
		{"another stream's CONTINUATION", func(p *peer) { p.raw(kindHeaders, 1, 1, p.block(get...)...); p.raw(kindContinuation, 4, 3) }, "GOAWAY 1 PROTOCOL_ERROR"},
		{"a head in pieces", func(p *peer) {
			b := p.block(get...)
			p.raw(kindHeaders, 1, 1, b[:3]...)
			p.raw(kindContinuation, 0, 1, b[3:4]...)
			p.raw(kindContinuation, 4, 1, b[4:]...)
		}, "HEADERS 1 :status=200"},

		// RFC 9113 §5.1: states, and numbers of streams.
		{"DATA on an idle stream", func(p *peer) { p.raw(kindData, 0, 1, 1) }, "GOAWAY 0 PROTOCOL_ERROR"},
		{"RST_STREAM on an idle stream", func(p *peer) { p.raw(kindReset, 0, 1, 0, 0, 0, 8) }, "GOAWAY 0 PROTOCOL_ERROR"},
		{"WINDOW_UPDATE on an idle stream", func(p *peer) { p.raw(kindWindow, 0, 1, 0, 0, 0, 8) }, "GOAWAY 0 PROTOCOL_ERROR"},
		{"CONTINUATION on an idle stream", func(p *peer) { p.raw(kindContinuation, 4, 1, 0) }, "GOAWAY 0 PROTOCOL_ERROR"},
		{"an even number", func(p *peer) { p.headers(2, true, get...) }, "GOAWAY 0 PROTOCOL_ERROR"},
		{"an even number below others", func(p *peer) { p.headers(5, true, get...); p.headers(4, true, get...) }, "GOAWAY 5 PROTOCOL_ERROR"},
		{"a number below another", func(p *peer) { p.headers(5, true, get...); p.headers(3, true, get...) }, "GOAWAY 5 PROTOCOL_ERROR"},
		{"HEADERS on a closed stream", func(p *peer) { p.headers(1, true, get...); p.all(); p.headers(1, true, get...) }, "GOAWAY 1 STREAM_CLOSED"},
		{"DATA on a closed stream", func(p *peer) { p.headers(1, true, get...); p.all(); p.raw(kindData, 1, 1, 1) }, "RST 1 STREAM_CLOSED"},
		{"DATA after RST_STREAM", func(p *peer) { post(p); p.raw(kindReset, 0, 1, 0, 0, 0, 8); p.raw(kindData, 1, 1, 1) }, "RST 1 STREAM_CLOSED"},
		{"HEADERS after RST_STREAM", func(p *peer) { post(p); p.raw(kindReset, 0, 1, 0, 0, 0, 8); p.headers(1, true, get...) }, "GOAWAY 1 STREAM_CLOSED"},
		{"WINDOW_UPDATE on a closed stream", func(p *peer) {
			p.headers(1, true, get...)
			p.all()
			p.raw(kindWindow, 0, 1, 0, 0, 0, 8)
			p.headers(3, true, get...)
		}, "HEADERS 3 :status=200"},
		{"PRIORITY on a closed stream", func(p *peer) {
			p.headers(1, true, get...)
			p.all()
			p.raw(kindPriority, 0, 1, 0, 0, 0, 0, 8)
			p.headers(3, true, get...)
		}, "HEADERS 3 :status=200"},
		{"a stream depends on itself", func(p *peer) { p.raw(kindHeaders, 0x25, 1, append([]byte{0, 0, 0, 1, 16}, p.block(get...)...)...) }, "RST 1 PROTOCOL_ERROR"},
		{"PRIORITY of a stream on itself", func(p *peer) { p.raw(kindPriority, 0, 3, 0, 0, 0, 3, 16) }, "RST 3 PROTOCOL_ERROR"},

		// RFC 9113 §6: frames.
		{"DATA on stream 0", func(p *peer) { p.raw(kindData, 0, 0, 1) }, "GOAWAY 0 PROTOCOL_ERROR"},
		{"DATA with too much padding", func(p *peer) { post(p); p.raw(kindData, 8, 1, 5, 0, 0) }, "GOAWAY 1 PROTOCOL_ERROR"},
		{"DATA with padding", func(p *peer) { post(p); p.raw(kindData, 9, 1, 2, 'a', 'b', 0, 0) }, "DATA 1 2 END"},
		{"padded DATA without room for the length", func(p *peer) { post(p); p.raw(kindData, 8, 1) }, "GOAWAY 1 FRAME_SIZE_ERROR"},
		{"HEADERS on stream 0", func(p *peer) { p.headers(0, true, get...) }, "GOAWAY 0 PROTOCOL_ERROR"},
		{"HEADERS with too much padding", func(p *peer) { p.raw(kindHeaders, 0xd, 1, append([]byte{200}, p.block(get...)...)...) }, "GOAWAY 0 PROTOCOL_ERROR"},
		{"HEADERS without room for the priority", func(p *peer) { p.raw(kindHeaders, 0x25, 1, 0, 0, 0) }, "GOAWAY 0 FRAME_SIZE_ERROR"},
		{"HEADERS with priority and padding", func(p *peer) {
			b := append([]byte{2, 0, 0, 0, 0, 16}, p.block(get...)...)
			p.raw(kindHeaders, 0x2d, 1, append(b, 0, 0)...)
		}, "HEADERS 1 :status=200"},
		{"PRIORITY on stream 0", func(p *peer) { p.raw(kindPriority, 0, 0, 0, 0, 0, 1, 16) }, "GOAWAY 0 PROTOCOL_ERROR"},
		{"PRIORITY of a wrong size", func(p *peer) { p.raw(kindPriority, 0, 1, 0, 0, 0) }, "RST 1 FRAME_SIZE_ERROR"},
		{"RST_STREAM on stream 0", func(p *peer) { p.raw(kindReset, 0, 0, 0, 0, 0, 8) }, "GOAWAY 0 PROTOCOL_ERROR"},
		{"RST_STREAM of a wrong size", func(p *peer) { post(p); p.raw(kindReset, 0, 1, 0, 0, 8) }, "GOAWAY 1 FRAME_SIZE_ERROR"},
		{"SETTINGS on a stream", func(p *peer) { p.raw(kindSettings, 0, 1) }, "GOAWAY 0 PROTOCOL_ERROR"},
		{"SETTINGS of a wrong size", func(p *peer) { p.raw(kindSettings, 0, 0, 0, 3, 0) }, "GOAWAY 0 FRAME_SIZE_ERROR"},
		{"an acknowledgement with content", func(p *peer) { p.raw(kindSettings, 1, 0, 0, 0, 0, 0, 0, 0) }, "GOAWAY 0 FRAME_SIZE_ERROR"},
		{"push neither on nor off", func(p *peer) { p.raw(kindSettings, 0, 0, 0, 2, 0, 0, 0, 2) }, "GOAWAY 0 PROTOCOL_ERROR"},
		{"an initial window too large", func(p *peer) { p.raw(kindSettings, 0, 0, 0, 4, 0x80, 0, 0, 0) }, "GOAWAY 0 FLOW_CONTROL_ERROR"},
		{"a frame size too small", func(p *peer) { p.raw(kindSettings, 0, 0, 0, 5, 0, 0, 0x3f, 0xff) }, "GOAWAY 0 PROTOCOL_ERROR"},
		{"a frame size too large", func(p *peer) { p.raw(kindSettings, 0, 0, 0, 5, 1, 0, 0, 0) }, "GOAWAY 0 PROTOCOL_ERROR"},
		{"a huge table for headers", func(p *peer) { p.raw(kindSettings, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff); p.headers(1, true, get...) }, "HEADERS 1 :status=200"},
		{"an unknown setting", func(p *peer) { p.raw(kindSettings, 0, 0, 0, 99, 0, 0, 0, 1); p.headers(1, true, get...) }, "HEADERS 1 :status=200"},
		{"PUSH_PROMISE from a client", func(p *peer) { post(p); p.raw(kindPush, 4, 1, 0, 0, 0, 2) }, "GOAWAY 1 PROTOCOL_ERROR"},
		{"PING on a stream", func(p *peer) { p.raw(kindPing, 0, 1, make([]byte, 8)...) }, "GOAWAY 0 PROTOCOL_ERROR"},
		{"PING of a wrong size", func(p *peer) { p.raw(kindPing, 0, 0, make([]byte, 7)...) }, "GOAWAY 0 FRAME_SIZE_ERROR"},
		{"an answered PING is not answered", func(p *peer) { p.raw(kindPing, 1, 0, make([]byte, 8)...) }, "SETTINGS ACK"},
		{"GOAWAY on a stream", func(p *peer) { p.raw(kindGoAway, 0, 1, make([]byte, 8)...) }, "GOAWAY 0 PROTOCOL_ERROR"},
		{"GOAWAY of a wrong size", func(p *peer) { p.raw(kindGoAway, 0, 0, make([]byte, 7)...) }, "GOAWAY 0 FRAME_SIZE_ERROR"},
		{"WINDOW_UPDATE of a wrong size", func(p *peer) { p.raw(kindWindow, 0, 0, 0, 0, 1) }, "GOAWAY 0 FRAME_SIZE_ERROR"},
		{"the connection's window opens by nothing", func(p *peer) { p.raw(kindWindow, 0, 0, 0, 0, 0, 0) }, "GOAWAY 0 PROTOCOL_ERROR"},
		{"a stream's window opens by nothing", func(p *peer) { post(p); p.raw(kindWindow, 0, 1, 0, 0, 0, 0) }, "RST 1 PROTOCOL_ERROR"},
		{"the connection's window overflows", func(p *peer) { p.raw(kindWindow, 0, 0, 0x7f, 0xff, 0xff, 0xff) }, "GOAWAY 0 FLOW_CONTROL_ERROR"},
		{"a stream's window overflows", func(p *peer) { post(p); p.raw(kindWindow, 0, 1, 0x7f, 0xff, 0xff, 0xff) }, "RST 1 FLOW_CONTROL_ERROR"},
		{"a stream's window overflows by SETTINGS", func(p *peer) {
			post(p)
			p.raw(kindWindow, 0, 1, 0x7f, 0xff, 0, 0)
			p.raw(kindSettings, 0, 0, 0, 4, 0x7f, 0xff, 0xff, 0xff)
		}, "GOAWAY 1 FLOW_CONTROL_ERROR"},

		// RFC 9113 §8: messages.
		{"trailers that do not end the stream", func(p *peer) { post(p); p.headers(1, false, "a", "b") }, "RST 1 PROTOCOL_ERROR"},
		{"a pseudo-header field among trailers", func(p *peer) { post(p); p.headers(1, true, ":path", "/") }, "RST 1 PROTOCOL_ERROR"},
		{"a line break among trailers", func(p *peer) { post(p); p.headers(1, true, "a", "b\r\nc: d") }, "RST 1 PROTOCOL_ERROR"},
		{"trailers", func(p *peer) { post(p); p.headers(1, true, "a", "b") }, "HEADERS 1 a=b END"},
		{"trailers that may not be any", func(p *peer) { post(p); p.headers(1, true, "content-type", "b", "host", "c") }, "HEADERS 1 :status=200"},
		{"an upper-case letter", with(append(get, "X-Y", "z")...), "RST 1 PROTOCOL_ERROR"},
		{"an unknown pseudo-header field", with(append([]string{":x", "y"}, get...)...), "RST 1 PROTOCOL_ERROR"},
		{"a pseudo-header field of responses", with(append([]string{":status", "200"}, get...)...), "RST 1 PROTOCOL_ERROR"},
		{"a pseudo-header field after others", with(":method", "GET", ":scheme", "http", ":authority", "a", "b", "c", ":path", "/"), "RST 1 PROTOCOL_ERROR"},
		{"a repeated method", with(append([]string{":method", "GET"}, get...)...), "RST 1 PROTOCOL_ERROR"},
		{"a repeated scheme", with(append([]string{":scheme", "http"}, get...)...), "RST 1 PROTOCOL_ERROR"},
		{"a repeated path", with(append([]string{":path", "/"}, get...)...), "RST 1 PROTOCOL_ERROR"},
		{"a repeated authority", with(append([]string{":authority", "service.example"}, get...)...), "RST 1 PROTOCOL_ERROR"},
		{"no method", with(get[2:]...), "RST 1 PROTOCOL_ERROR"},
		{"no scheme", with(":method", "GET", ":path", "/", ":authority", "a"), "RST 1 PROTOCOL_ERROR"},
		{"no path", with(":method", "GET", ":scheme", "http", ":authority", "a"), "RST 1 PROTOCOL_ERROR"},
		{"an empty path", with(":method", "GET", ":scheme", "http", ":path", "", ":authority", "a"), "RST 1 PROTOCOL_ERROR"},
		{"a scheme of another kind", with(":method", "GET", ":scheme", "ftp", ":path", "/", ":authority", "a"), "RST 1 PROTOCOL_ERROR"},
		{"Connection", with(append(get, "connection", "keep-alive")...), "RST 1 PROTOCOL_ERROR"},
		{"Keep-Alive", with(append(get, "keep-alive", "5")...), "RST 1 PROTOCOL_ERROR"},
		{"Proxy-Connection", with(append(get, "proxy-connection", "close")...), "RST 1 PROTOCOL_ERROR"},
		{"Transfer-Encoding", with(append(get, "transfer-encoding", "chunked")...), "RST 1 PROTOCOL_ERROR"},
		{"Upgrade", with(append(get, "upgrade", "websocket")...), "RST 1 PROTOCOL_ERROR"},
		{"TE beyond trailers", with(append(get, "te", "trailers, gzip")...), "RST 1 PROTOCOL_ERROR"},
		{"TE", with(append(get, "te", "trailers")...), "HEADERS 1 :status=200"},
		{"a length without a body", with(request("POST", "content-length", "3")...), "RST 1 PROTOCOL_ERROR"},
		{"a body longer than its length", func(p *peer) { post(p, "content-length", "3"); p.raw(kindData, 1, 1, 1, 2, 3, 4) }, "RST 1 PROTOCOL_ERROR"},
		{"a body shorter than its length", func(p *peer) { post(p, "content-length", "3"); p.raw(kindData, 1, 1, 1, 2) }, "RST 1 PROTOCOL_ERROR"},
		{"a body as long as its length", func(p *peer) { post(p, "content-length", "3"); p.raw(kindData, 1, 1, 1, 2, 3) }, "DATA 1 3 END"},

		// What http1 refuses is answered with 400.
		{"an empty field name", with(append(get, "", "b")...), "RST 1 PROTOCOL_ERROR"},
		{"a name that is not a token", with(append(get, "a b", "c")...), "HEADERS 1 :status=400"},
		{"a line break in a value", with(append(get, "a", "b\r\nc: d")...), "HEADERS 1 :status=400"},
		{"NUL in a value", with(append(get, "a", "b\x00")...), "HEADERS 1 :status=400"},
		{"a space around a value", with(append(get, "a", " b")...), "HEADERS 1 :status=400"},
		{"a space in the method", with(request("GET /x HTTP/1.1")...), "HEADERS 1 :status=400"},
		{"CONNECT", with(":method", "CONNECT", ":authority", "a:443"), "HEADERS 1 :status=400"},
		{"a space in the path", with(":method", "GET", ":scheme", "http", ":path", "/ HTTP/1.1", ":authority", "a"), "HEADERS 1 :status=400"},
		{"a line break in the path", with(":method", "GET", ":scheme", "http", ":path", "/\r\nx: y", ":authority", "a"), "HEADERS 1 :status=400"},
		{"a path without a slash", with(":method", "GET", ":scheme", "http", ":path", "x", ":authority", "a"), "HEADERS 1 :status=400"},
		{"a whole URL as path", with(":method", "GET", ":scheme", "http", ":path", "http://b/", ":authority", "a"), "HEADERS 1 :status=400"},
		{"a user in the authority", with(":method", "GET", ":scheme", "http", ":path", "/", ":authority", "u:p@a"), "HEADERS 1 :status=400"},
		{"an empty authority", with(":method", "GET", ":scheme", "http", ":path", "/", ":authority", ""), "HEADERS 1 :status=400"},
		{"no host at all", with(":method", "GET", ":scheme", "http", ":path", "/"), "HEADERS 1 :status=400"},
		{"two hosts", with(append(get, "host", "other.example")...), "HEADERS 1 :status=400"},
		{"the same host twice", with(append(get, "host", "service.example")...), "HEADERS 1 :status=200"},
		{"Host without an authority", with(":method", "GET", ":scheme", "http", ":path", "/", "host", "a"), "x-host=a"},
		{"a repeated length", with(request("POST", "content-length", "0", "content-length", "0")...), "HEADERS 1 :status=400"},
		{"a signed length", with(request("POST", "content-length", "+0")...), "HEADERS 1 :status=400"},
		{"another expectation", with(append(get, "expect", "a miracle")...), "HEADERS 1 :status=400"},
		{"OPTIONS *", with(":method", "OPTIONS", ":scheme", "http", ":path", "*", ":authority", "a"), "x-target=*"},
		{"several cookies", with(append(get, "cookie", "a=b", "cookie", "c=d")...), "x-cookie=a=b; c=d"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			withServer(t, Config{}, echoes, func(p *peer, _ *Server) {
				p.conn.Write([]byte(preface))
				if !strings.Contains(c.rule, "comes first") {
					p.fr.WriteSettings()
				}
				c.send(p)
				got := p.all()
				ends := strings.Contains(got, "GOAWAY") || strings.Contains(got, "RST")
				if wants := strings.HasPrefix(c.want, "GOAWAY") || strings.HasPrefix(c.want, "RST"); !strings.Contains(got, c.want) || ends != wants {
					t.Errorf("want %q, got\n%s", c.want, got)
				}
				if strings.Contains(got, "content-type=b") {
					t.Errorf("a field that may not be a trailer passes: %s", got)
				}
				if strings.HasPrefix(c.want, "GOAWAY") != p.hasEnded() {
					t.Errorf("the connection has ended: %v, after\n%s", p.hasEnded(), got)
				}
			})
		})
	}
}

// TestClientEnforcesTheRules is the same for what a target sends in answer to a GET.
func TestClientEnforcesTheRules(t *testing.T) {
	for _, c := range []struct {
		rule string
		send func(*peer)
		want string
	}{
		{"no status", func(p *peer) { p.headers(1, true, "a", "b") }, "pseudo-header field"},
		{"a repeated status", func(p *peer) { p.headers(1, true, ":status", "200", ":status", "200") }, "pseudo-header field"},
		{"a method", func(p *peer) { p.headers(1, true, ":status", "200", ":method", "GET") }, "pseudo-header field"},
		{"a status that is no number", func(p *peer) { p.headers(1, true, ":status", "2x0") }, "status code"},
		{"101", func(p *peer) { p.headers(1, false, ":status", "101"); p.headers(1, true, ":status", "200") }, "switched protocols"},
		{"an upper-case letter", func(p *peer) { p.headers(1, true, ":status", "200", "A", "b") }, "upper-case"},
		{"Transfer-Encoding", func(p *peer) { p.headers(1, false, ":status", "200", "transfer-encoding", "chunked") }, "about the connection"},
		{"a line break", func(p *peer) { p.headers(1, true, ":status", "200", "a", "b\nc") }, "control byte"},
		{"a body before the head", func(p *peer) { p.raw(kindData, 1, 1, 1) }, "before the head"},
		{"a body to a 204", func(p *peer) { p.headers(1, false, ":status", "204"); p.raw(kindData, 1, 1, 1) }, "RST 1 PROTOCOL_ERROR"},
		{"a body that is too long", func(p *peer) {
			p.headers(1, false, ":status", "200", "content-length", "1")
			p.raw(kindData, 1, 1, 1, 2)
		}, "Content-Length"},
		{"a body that is too short", func(p *peer) {
			p.headers(1, false, ":status", "200", "content-length", "3")
			p.raw(kindData, 1, 1, 1, 2)
		}, "Content-Length"},
		{"a length without a body", func(p *peer) { p.headers(1, true, ":status", "200", "content-length", "3") }, "Content-Length"},
		{"an informational response that ends", func(p *peer) { p.headers(1, true, ":status", "103") }, "ends the stream"},
		{"informational responses without end", func(p *peer) {
			for range 20 {
				p.headers(1, false, ":status", "103")
			}
		}, "too many"},
		{"REFUSED_STREAM", func(p *peer) { p.raw(kindReset, 0, 1, 0, 0, 0, 7) }, "REFUSED_STREAM"},
		{"push", func(p *peer) { p.raw(kindPush, 4, 1, 0, 0, 0, 2) }, "PROTOCOL_ERROR"},
		{"push allowed", func(p *peer) { p.fr.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingEnablePush, Val: 1}) }, "PROTOCOL_ERROR"},
		{"a stream of its own", func(p *peer) { p.headers(2, true, ":status", "200") }, "PROTOCOL_ERROR"},
		{"a stream that was not opened", func(p *peer) { p.headers(3, true, ":status", "200") }, "PROTOCOL_ERROR"},
		{"GOAWAY before it", func(p *peer) { p.fr.WriteGoAway(0, 0, nil) }, "not looked at"},
		{"GOAWAY after it", func(p *peer) { p.fr.WriteGoAway(1, 0, nil); p.headers(1, true, ":status", "200") }, ""},
		{"a response without a body", func(p *peer) { p.headers(1, true, ":status", "200") }, ""},
		{"a response, and then nonsense", func(p *peer) {
			p.headers(1, true, ":status", "200")
			p.raw(kindPing, 0, 1)
		}, "GOAWAY 0 PROTOCOL_ERROR"},
		{"the end of the connection", func(p *peer) { p.conn.Close() }, "EOF"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			withClient(t, Config{}, func(p *peer, client *Client) {
				err := exchange(client, func() { p.all(); c.send(p); p.all() })
				got := p.all()
				if err != nil {
					got += "\n" + err.Error()
				}
				if !strings.Contains(got, c.want) || c.want == "" && (err != nil || strings.Contains(got, "RST")) {
					t.Errorf("want %q, got\n%s", c.want, got)
				}
			})
		})
	}
}
