package proxy

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pergola/dataplane/record"
	"pergola/lattice"
	"pergola/snapshot"
)

const (
	get = "GET /path?q=1 HTTP/1.1\r\nHost: s.example\r\nUser-Agent: test\r\n\r\n"
	ok  = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
)

// TestFault_D14_FixedResponsesHaveBodies lets a rule answer with each status that fixed responses can have.
func TestFault_D14_FixedResponsesHaveBodies(t *testing.T) {
	for status, body := range map[int]string{404: "Not Found", 500: "Internal Server Error"} {
		w := newWorld(t)
		w.listener().Rules[0].Action = snapshot.Action{FixedStatus: status}
		if got := w.ask(get); got.status != status || got.body != body {
			t.Errorf("%d %q, want %d %q", got.status, got.body, status, body)
		}
	}
}

// TestAnswers holds what a client is told, and what is recorded, for every way a request can go.
func TestAnswers(t *testing.T) {
	denied := func(level string) string {
		return "AccessDeniedException: User: anonymous is not authorized to perform: vpc-lattice-svcs:Invoke on resource: " + serviceARN +
			"/path because no " + level + "-based policy allows the vpc-lattice-svcs:Invoke action"
	}
	for _, test := range []struct {
		name    string
		request string // get unless set
		at      Arrival
		world   func(*world)
		target  string // the answer of targetA; none means that it refuses connections
		status  int
		body    string
		failure record.Failure
	}{
		{name: "forwarded", target: ok, status: 200, body: "hello"},
		{name: "name in upper case with port and dot", request: "GET / HTTP/1.1\r\nHost: S.Example.:80\r\n\r\n", target: ok, status: 200, body: "hello"},
		{name: "unknown name", request: "GET / HTTP/1.1\r\nHost: other.example\r\n\r\n", status: 404, body: "Not Found"},
		{name: "absolute-form names another", request: "GET http://other.example/ HTTP/1.1\r\nHost: s.example\r\n\r\n", status: 404, body: "Not Found"},
		{name: "no name in HTTP/1.0", request: "GET / HTTP/1.0\r\n\r\n", status: 404, body: "Not Found"},
		{name: "port without listener", at: Arrival{VPC: "vpc-client", Door: theDoor, Port: 81}, status: 404,
			body: "Not Found"},
		{name: "VPC without network", at: Arrival{VPC: "vpc-alone", Door: theDoor, Port: 80}, status: 404, body: "Not Found"},
		{name: "unknown VPC", at: Arrival{VPC: "vpc-none", Door: theDoor, Port: 80}, status: 404, body: "Not Found"},
		{name: "no snapshot", world: func(w *world) { w.now = nil }, status: 404, body: "Not Found"},
		{name: "malformed", request: "GET / HTTP/1.1\r\nHost: s.example\r\nA : b\r\n\r\n", status: 400, body: "Bad Request",
			failure: record.ClientProtocolError},
		{name: "denied by the network", world: func(w *world) {
			w.network().AuthType = lattice.AuthIAM
			w.listener().Service.AuthType = lattice.AuthIAM
		},
			status: 403, body: denied("network"), failure: record.ClientAccessDenied},
		{name: "denied by the service", world: func(w *world) { w.listener().Service.AuthType = lattice.AuthIAM },
			status: 403, body: denied("service"), failure: record.ClientAccessDenied},
		{name: "signed for nobody", request: "GET /path HTTP/1.1\r\nHost: s.example\r\nAuthorization: AWS4-HMAC-SHA256 x\r\n\r\n",
			world: func(w *world) { w.listener().Service.AuthType = lattice.AuthIAM }, status: 403,
			body:    "IncompleteSignatureException: 'x' not a valid key=value pair (missing equal-sign) in Authorization header.",
			failure: record.ClientAccessDenied},
		{name: "signed for the target", request: "GET /path HTTP/1.1\r\nHost: s.example\r\nAuthorization: AWS4-HMAC-SHA256 x\r\n\r\n",
			target: ok, status: 200, body: "hello"},
		{name: "fixed 404", world: func(w *world) { w.listener().Rules[0].Action = snapshot.Action{FixedStatus: 404} },
			status: 404, body: "Not Found"},
		{name: "fixed 500", world: func(w *world) { w.listener().Rules[0].Action = snapshot.Action{FixedStatus: 500} },
			status: 500, body: "Internal Server Error"},
		{name: "too many requests", world: func(w *world) {
			w.proxy.rates = newRates(1)
			w.proxy.rates.allow("svc-1", time.Now())
		}, status: 429, body: "Too Many Requests", failure: record.ClientRateLimited},
		{name: "by TLS to an HTTP listener", at: Arrival{VPC: "vpc-client", Door: theDoor, Port: 80, ServerName: "s.example"},
			status: 404, body: "Not Found"},
		{name: "without TLS to an HTTPS listener", world: func(w *world) { w.listener().Protocol = lattice.ProtocolHTTPS }, status: 404, body: "Not Found"},
		{name: "by TLS", at: Arrival{VPC: "vpc-client", Door: theDoor, Port: 80, ServerName: "s.example"},
			world: func(w *world) { w.listener().Protocol = lattice.ProtocolHTTPS }, target: ok, status: 200, body: "hello"},
		{name: "by TLS that was for another", at: Arrival{VPC: "vpc-client", Door: theDoor, Port: 80,
			ServerName: "other.example"},
			world:  func(w *world) { w.listener().Protocol = lattice.ProtocolHTTPS },
			status: 421, body: "Misdirected Request", failure: record.ClientProtocolError},
		{name: "all weights 0", world: func(w *world) {
			w.listener().Rules[0].Action.TotalWeight, w.listener().Rules[0].Action.Forward[0].Weight = 0, 0
		}, status: 503, body: "Service Unavailable"},
		{name: "no targets", world: func(w *world) { w.order = nil }, status: 503, body: "Service Unavailable"},
		{name: "targets refuse", status: 503, body: "Service Unavailable", failure: record.TargetConnectionError},
		{name: "targets that speak HTTP/2", world: func(w *world) { w.listener().Rules[0].Action.Forward[0].Group.ProtocolVersion = lattice.HTTP2 },
			target: ok, status: 502, body: "Bad Gateway", failure: record.TargetProtocolError},
		{name: "targets that speak gRPC", world: func(w *world) { w.listener().Rules[0].Action.Forward[0].Group.ProtocolVersion = lattice.GRPC },
			target: ok, status: 502, body: "Bad Gateway", failure: record.TargetProtocolError},
		{name: "target hangs up", target: "HANGUP", status: 502, body: "Bad Gateway", failure: record.TargetConnectionClosed},
		{name: "target hangs up within the head", target: "HTTP/1.1 200 OK\r\nHANGUP", status: 502, body: "Bad Gateway",
			failure: record.TargetConnectionClosed},
		{name: "target is malformed", target: "HTTP/1.1 200 OK\r\nA : b\r\n\r\n", status: 502, body: "Bad Gateway",
			failure: record.TargetProtocolError},
		{name: "target switches protocols", target: "HTTP/1.1 101 Switching Protocols\r\n\r\n", status: 502,
			body: "Bad Gateway", failure: record.TargetProtocolError},
		{name: "target is endlessly informative", target: strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 17), request: "GET /path HTTP/1.0\r\nHost: s.example\r\n\r\n",
			status: 502, body: "Bad Gateway", failure: record.TargetProtocolError},
		{name: "target chunks", target: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", status: 200, body: "hello"},
		{name: "target closes to end", target: "HTTP/1.1 200 OK\r\n\r\nhelloHANGUP", status: 200, body: "hello"},
		{name: "target chunks to HTTP/1.0", request: "GET / HTTP/1.0\r\nHost: s.example\r\nConnection: keep-alive\r\n\r\n",
			target: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", status: 200, body: "hello"},
		{name: "HEAD", request: "HEAD / HTTP/1.1\r\nHost: s.example\r\n\r\n", target: "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", status: 200},
		{name: "HEAD of what is not there", request: "HEAD / HTTP/1.1\r\nHost: none.example\r\n\r\n", status: 404},
		{name: "204", target: "HTTP/1.1 204 No Content\r\n\r\n", status: 204},
		{name: "304", target: "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", status: 304},
		{name: "body within the first packet", request: "POST / HTTP/1.1\r\nHost: s.example\r\nContent-Length: 3\r\n\r\nabc", target: ok, status: 200, body: "hello"},
		{name: "malformed chunk", request: "POST / HTTP/1.1\r\nHost: s.example\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", target: ok,
			status: 400, body: "Bad Request", failure: record.ClientProtocolError},
		{name: "answered without its body", request: "POST / HTTP/1.1\r\nHost: none.example\r\nContent-Length: 3\r\n\r\nabc", status: 404, body: "Not Found"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			if test.target != "" {
				w.targets[targetA] = w.answers(test.target)
			}
			if test.world != nil {
				test.world(w)
			}
			request, at := test.request, test.at
			if request == "" {
				request = strings.Replace(get, "?q=1", "", 1)
			}
			if at == (Arrival{}) {
				at = inVPC
			}
			all := w.say(request, at)
			if len(all) != 1 || all[0].status != test.status || all[0].body != test.body || all[0].err != nil {
				t.Fatalf("answered %v, want %d %q", all, test.status, test.body)
			}
			if id := all[0].header["X-Amzn-Requestid"]; len(id) != 1 || len(id[0]) != 36 {
				t.Errorf("request id %q", id)
			}
			waitRecorded(w, 1)
			r := w.last()
			if r.Status != test.status || r.Failure != test.failure ||
				(r.Failure == record.ClientAccessDenied) != (r.DeniedBy != "") {
				t.Errorf("recorded %d %s %s", r.Status, r.Failure, r.DeniedBy)
			}
		})
	}
}

// waitRecorded waits until n requests are recorded, which happens after their answers.
func waitRecorded(w *world, n int) {
	w.t.Helper()
	for range 1000 {
		w.mu.Lock()
		have := len(w.records)
		w.mu.Unlock()
		if have >= n {
			return
		}
		<-time.After(time.Millisecond)
	}
	w.t.Fatalf("%d requests were not recorded", n)
}

// TestHeaders holds what a target is told, to the letter.
func TestHeaders(t *testing.T) {
	const said = "X-Amzn-Lattice-Network: SourceVpcArn=evil\r\nx-amzn-lattice-identity: Principal=evil\r\nX_AMZN_LATTICE_IDENTITY: Principal=evil\r\n" +
		"X-AMZN-SOURCE-VPC: evil\r\nX-Forwarded-Proto: https\r\nX-Forwarded_Port: 1\r\n"
	const forwarded = "x-forwarded-port: 80\r\nx-forwarded-proto: http\r\n"
	const lattices = "x-amzn-lattice-network: SourceVpcArn=" + vpcARN +
		"\r\nx-amzn-lattice-target: ServiceArn=" + serviceARN + "; ServiceNetworkArn=" + networkARN + "; TargetGroupArn=" + groupARN +
		"\r\nx-amzn-source-vpc: vpc-client\r\n"
	const added = forwarded + lattices
	const id = "x-amzn-requestid: 00000000-0000-4000-8000-000000000000\r\n"
	for _, test := range []struct{ name, request, want string }{
		{"plain", get, "GET /path?q=1 HTTP/1.1\r\nhost: s.example\r\nUser-Agent: test\r\nx-forwarded-for: 10.0.0.5\r\n" + added + id + "\r\n"},
		{"spoofed", "GET / HTTP/1.1\r\nHost: s.example\r\n" + said + "A: b\r\n\r\n",
			"GET / HTTP/1.1\r\nhost: s.example\r\nA: b\r\nx-forwarded-for: 10.0.0.5\r\n" + added + id + "\r\n"},
		{"forwarded already", "GET / HTTP/1.1\r\nHost: s.example\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 2.2.2.2, 3.3.3.3\r\n\r\n",
			"GET / HTTP/1.1\r\nhost: s.example\r\nx-forwarded-for: 1.1.1.1, 2.2.2.2, 3.3.3.3, 10.0.0.5\r\n" + added + id + "\r\n"},
		{"own id", "GET / HTTP/1.1\r\nHost: s.example\r\nX-Amzn-RequestId: " + strings.Repeat("i", 600) + "\r\n\r\n",
			"GET / HTTP/1.1\r\nhost: s.example\r\nx-forwarded-for: 10.0.0.5\r\n" + added + "x-amzn-requestid: " + strings.Repeat("i", 512) + "\r\n\r\n"},
		{"hop by hop", "GET / HTTP/1.1\r\nHost: s.example\r\nConnection: close, A, x-amzn-lattice-target\r\nA: b\r\nKeep-Alive: 5\r\nUpgrade: websocket\r\nTE: gzip, trailers\r\nProxy-Authorization: x\r\n\r\n",
			"GET / HTTP/1.1\r\nhost: s.example\r\nx-forwarded-for: 10.0.0.5\r\n" + forwarded +
				"te: trailers\r\nconnection: te\r\n" + lattices + id + "\r\n"},
		{"absolute-form", "GET http://s.example:80/a HTTP/1.1\r\nHost: other\r\n\r\n",
			"GET /a HTTP/1.1\r\nhost: s.example:80\r\nx-forwarded-for: 10.0.0.5\r\n" + added + id + "\r\n"},
		{"sized body", "POST / HTTP/1.1\r\nHost: s.example\r\nContent-Length: 003\r\n\r\nabc",
			"POST / HTTP/1.1\r\nhost: s.example\r\nx-forwarded-for: 10.0.0.5\r\n" + added + id + "content-length: 3\r\n\r\nabc"},
		{"chunked body with a spoofed trailer", "POST / HTTP/1.1\r\nHost: s.example\r\nTransfer-Encoding: Chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nx-amzn-lattice-identity: evil\r\n\r\n",
			"POST / HTTP/1.1\r\nhost: s.example\r\nx-forwarded-for: 10.0.0.5\r\n" + added + id + "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.targets[targetA] = w.answers("HTTP/1.1 200 OK\r\nServer: x\r\nX-Amzn-RequestId: other\r\nConnection: B\r\nB: c\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n")
			a := w.ask(test.request)
			w.mu.Lock()
			got := strings.Join(w.heads, "")
			w.mu.Unlock()
			if got != test.want {
				t.Errorf("the target was sent\n%s\nwant\n%s", got, test.want)
			}
			if a.status != 200 || a.header.Get("Server") != "x" || a.header.Get("B") != "" || a.header.Get("Upgrade") != "" || len(a.header["X-Amzn-Requestid"]) != 1 {
				t.Errorf("the client was sent %v", a.header)
			}
		})
	}
}

// TestNewSnapshotOnKeptConnection serves each request by the snapshot of the moment.
func TestNewSnapshotOnKeptConnection(t *testing.T) {
	w := newWorld(t)
	w.targets[targetA] = w.answers(ok, ok, ok)
	conn := w.connect(inVPC)
	defer conn.Close()
	in := bufio.NewReader(conn)
	for _, want := range []int{200, 404, 200} {
		io.WriteString(conn, get)
		a, err := readAnswer(in, false)
		if err != nil || a.status != want {
			t.Fatalf("%v %v, want %d", a, err, want)
		}
		next := aSnapshot()
		if want == 200 {
			next.VPCs.Get("vpc-client").Doors[0].Network.Ports[80].Listeners.Get("s.example").Rules[0].Action = snapshot.Action{
				FixedStatus: 404}
		}
		waitRecorded(w, 1)
		w.now = next
	}
	if len(w.dials) != 1 || w.dials[0] != "vpc-target 10.0.0.10:8080" {
		t.Errorf("dialled %q", w.dials)
	}
}

func TestPipelining(t *testing.T) {
	w := newWorld(t)
	w.targets[targetA] = w.answers(ok, strings.Replace(ok, "hello", "world", 1))
	const post = "POST / HTTP/1.1\r\nHost: s.example\r\nContent-Length: 3\r\n\r\nabc"
	all := w.say(get+"GET / HTTP/1.1\r\nHost: none.example\r\n\r\n"+post+"GET / HTTP/1.1\r\nHost: s.example\r\nbad\r\n\r\n", inVPC)
	if got := fmt.Sprint(all); got != `[200 "hello" 404 "Not Found" 200 "world" 400 "Bad Request"]` {
		t.Errorf("answered %s", got)
	}
	if !all[3].close {
		t.Error("the connection was not closed after a malformed request")
	}
}

// TestWeights chooses groups in proportion.
func TestWeights(t *testing.T) {
	w := newWorld(t)
	one, two, none := aGroup(), aGroup(), aGroup()
	action := snapshot.Action{TotalWeight: 4, Forward: []snapshot.WeightedTargetGroup{{Group: none}, {Group: one, Weight: 1}, {Group: two, Weight: 3}}}
	x := &exchange{proxy: w.proxy}
	count := map[*snapshot.TargetGroup]int{}
	for i := range uint64(1000) {
		w.random = i << 54
		count[x.choose(&action)]++
	}
	if count[none] != 0 || count[one] != 256 || count[two] != 744 {
		t.Errorf("chose %d, %d, %d times", count[none], count[one], count[two])
	}
}

// TestDialNext tries other targets, each once.
func TestDialNext(t *testing.T) {
	for _, test := range []struct {
		reachable int
		status    int
		dials     int
	}{{0, 200, 1}, {1, 200, 2}, {2, 200, 3}, {3, 200, 4}, {-1, 503, 4}} {
		w := newWorld(t)
		w.order = []netip.AddrPort{targetA, targetB, targetC, netip.MustParseAddrPort("10.0.0.13:80")}
		if test.reachable >= 0 {
			w.targets[w.order[test.reachable]] = w.answers(ok)
		}
		a := w.ask(get)
		w.mu.Lock()
		if a.status != test.status || len(w.dials) != test.dials {
			t.Errorf("with target %d reachable: %d after %d attempts", test.reachable, a.status, len(w.dials))
		}
		w.mu.Unlock()
	}
}

// TestRetry repeats a request on a fresh connection when a kept one was closed, if it can be repeated.
func TestRetry(t *testing.T) {
	for _, test := range []struct {
		name, second string
		status       int
		dials        int
	}{
		{"safe", get, 200, 2},
		{"idempotent", "DELETE / HTTP/1.1\r\nHost: s.example\r\n\r\n", 200, 2},
		{"not idempotent", "POST / HTTP/1.1\r\nHost: s.example\r\nContent-Length: 0\r\n\r\n", 502, 1},
		{"with a body", "GET / HTTP/1.1\r\nHost: s.example\r\nContent-Length: 1\r\n\r\nx", 502, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			// The pipe is not closed before the second request has been read, so that nothing can be known in advance.
			w.targets[targetA] = w.answers(ok, "HANGUP")
			if test.dials == 2 {
				first := w.targets[targetA]
				w.targets[targetA] = func(conn net.Conn) {
					w.mu.Lock()
					w.targets[targetA] = w.answers(ok)
					w.mu.Unlock()
					first(conn)
				}
			}
			all := w.say(get+test.second, inVPC)
			if len(all) != 2 || all[0].status != 200 || all[1].status != test.status || len(w.dials) != test.dials {
				t.Errorf("answered %v after %d connections", all, len(w.dials))
			}
		})
	}
}

// TestContinue relays the 100 of the target, and closes when the client's body was never asked for.
func TestContinue(t *testing.T) {
	const head = "POST / HTTP/1.1\r\nHost: s.example\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
	t.Run("asked for", func(t *testing.T) {
		w := newWorld(t)
		w.targets[targetA] = func(conn net.Conn) {
			in := bufio.NewReader(conn)
			for line := ""; line != "\r\n"; line, _ = in.ReadString('\n') {
			}
			io.WriteString(conn, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n")
			body := make([]byte, 3)
			io.ReadFull(in, body)
			fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n%s", body)
			io.Copy(io.Discard, in)
		}
		conn := w.connect(inVPC)
		defer conn.Close()
		in := bufio.NewReader(conn)
		io.WriteString(conn, head)
		for _, want := range []string{"HTTP/1.1 103 Early Hints\r\n", "Link: </a>\r\n", "\r\n", "HTTP/1.1 100 Continue\r\n", "\r\n"} {
			if line, err := in.ReadString('\n'); line != want {
				t.Fatalf("read %q, %v, want %q", line, err, want)
			}
		}
		io.WriteString(conn, "abc")
		if a, err := readAnswer(in, false); err != nil || a.body != "abc" || a.close {
			t.Errorf("%v %v", a, err)
		}
	})
	t.Run("not asked for", func(t *testing.T) {
		w := newWorld(t)
		w.targets[targetA] = func(conn net.Conn) {
			in := bufio.NewReader(conn)
			for line := ""; line != "\r\n"; line, _ = in.ReadString('\n') {
			}
			io.WriteString(conn, "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")
			io.Copy(io.Discard, in)
		}
		if a := w.ask(head); a.status != 403 || !a.close {
			t.Errorf("%v, closes %v", a, a.close)
		}
	})
}

// TestBothWays lets a request body and its response cross.
func TestBothWays(t *testing.T) {
	w := newWorld(t)
	w.targets[targetA] = func(conn net.Conn) {
		in := bufio.NewReader(conn)
		for line := ""; line != "\r\n"; line, _ = in.ReadString('\n') {
		}
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		for {
			size, err := in.ReadString('\n')
			if err != nil {
				return
			}
			line, _ := in.ReadString('\n')
			io.WriteString(conn, size+line)
			if size == "0\r\n" {
				break
			}
		}
		io.Copy(io.Discard, in)
	}
	conn := w.connect(inVPC)
	defer conn.Close()
	in := bufio.NewReader(conn)
	io.WriteString(conn, "POST / HTTP/1.1\r\nHost: s.example\r\nTransfer-Encoding: chunked\r\n\r\n")
	for line := ""; line != "\r\n"; line, _ = in.ReadString('\n') {
	}
	for range 10 {
		io.WriteString(conn, "4\r\nping\r\n")
		if size, _ := in.ReadString('\n'); size != "4\r\n" {
			t.Fatalf("read %q", size)
		}
		if data, _ := in.ReadString('\n'); data != "ping\r\n" {
			t.Fatalf("read %q", data)
		}
	}
	io.WriteString(conn, "0\r\n\r\n")
	if end, _ := in.ReadString('\n'); end != "0\r\n" {
		t.Fatalf("read %q", end)
	}
	in.ReadString('\n')
	waitRecorded(w, 1)
	if r := w.last(); r.Failure != "" || r.RequestToTarget == 0 || r.RequestToTarget > r.Duration {
		t.Errorf("recorded %+v", r)
	}
}

// TestClientLeavesMidway ends the target's request when the client's body breaks off.
func TestClientLeavesMidway(t *testing.T) {
	for name, rest := range map[string]string{"closed": "", "malformed": "zz\r\n"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			ended := make(chan struct{})
			w.targets[targetA] = func(conn net.Conn) {
				io.Copy(io.Discard, conn)
				close(ended)
			}
			conn := w.connect(inVPC)
			io.WriteString(conn, "POST / HTTP/1.1\r\nHost: s.example\r\nTransfer-Encoding: chunked\r\n\r\n")
			io.WriteString(conn, "3\r\nabc\r\n")
			if rest != "" {
				io.WriteString(conn, rest)
				if a, err := readAnswer(bufio.NewReader(conn), false); err != nil || a.status != 400 {
					t.Errorf("%v %v", a, err)
				}
			}
			conn.Close()
			<-ended
			waitRecorded(w, 1)
			if r := w.last(); r.Status != 400 {
				t.Errorf("recorded %d %s", r.Status, r.Failure)
			}
		})
	}
}

// TestResponseCut closes the client's connection when the target's response breaks off, so that it is not taken for
// whole.
func TestResponseCut(t *testing.T) {
	for _, target := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabcHANGUP",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nHANGUP",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n",
	} {
		w := newWorld(t)
		w.targets[targetA] = w.answers(target)
		if all := w.say(get, inVPC); len(all) > 0 && all[0].err == nil {
			t.Errorf("%q was taken for whole: %v", target, all)
		}
		waitRecorded(w, 1)
		if w.last().Failure == "" {
			t.Errorf("%q: no failure was recorded", target)
		}
	}
}

// TestLongBodies passes bodies of both framings through in both directions.
func TestLongBodies(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 1<<16)
	for _, head := range []string{
		fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(long), long),
		fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(long), long),
	} {
		w := newWorld(t)
		w.targets[targetA] = w.answers("HTTP/1.1 200 OK\r\n"+head, ok)
		all := w.say("POST / HTTP/1.1\r\nHost: s.example\r\n"+head+get, inVPC)
		if len(all) != 2 || all[0].body != long || all[1].body != "hello" {
			t.Fatalf("%d answers", len(all))
		}
		if len(w.dials) != 1 {
			t.Errorf("%d connections", len(w.dials))
		}
	}
}

// TestTimeouts drops idle clients after the idle timeout, and answers for silent targets.
func TestTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.listener().Service.IdleTimeout = 2 * time.Minute
		w.targets[targetA] = func(conn net.Conn) { io.Copy(io.Discard, conn) }
		start := time.Now()
		conn := w.connect(inVPC)
		in := bufio.NewReader(conn)
		io.WriteString(conn, get)
		a, err := readAnswer(in, false)
		if took := time.Since(start); err != nil || a.status != 502 || took < 2*time.Minute || took > 128*time.Second {
			t.Errorf("%v %v after %v", a, err, took)
		}
		start = time.Now()
		_, err = in.ReadByte()
		if took := time.Since(start); err != io.EOF || took < 2*time.Minute || took > 128*time.Second {
			t.Errorf("%v after %v", err, took)
		}
		if r := w.last(); r.Failure != record.TargetDataTimeout {
			t.Errorf("recorded %s", r.Failure)
		}
		w.close()
	})
}

// TestLifetime closes connections with the first response after their time.
func TestLifetime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.targets[targetA] = w.answers(strings.Split(strings.Repeat(ok+"|", 30), "|")[:30]...)
		conn := w.connect(inVPC)
		in := bufio.NewReader(conn)
		start := time.Now()
		for {
			io.WriteString(conn, get)
			a, err := readAnswer(in, false)
			if err != nil {
				t.Fatal(err)
			}
			if a.close {
				break
			}
			time.Sleep(20 * time.Second)
		}
		if took := time.Since(start); took != DefaultLifetime {
			t.Errorf("closed after %v", took)
		}
		conn.Close()
		w.close()
	})
}

// TestPoolForgets closes connections that nobody has used for a while.
func TestPoolForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		closed := make(chan struct{})
		serve := w.answers(ok, ok)
		w.targets[targetA] = func(conn net.Conn) { serve(conn); close(closed) }
		start := time.Now()
		w.ask(get)
		<-closed
		if took := time.Since(start); took < sweepEvery || took > 2*sweepEvery {
			t.Errorf("closed after %v", took)
		}
		w.close()
	})
}

// TestFinishAndCut lets requests end and closes what waits, and breaks off what is cut.
// slowToClose is a target that takes its time to be closed, as by TLS one can that does not read.
type slowToClose struct {
	peer
	closing, closed chan struct{}
}

func (s *slowToClose) Close() error {
	close(s.closing)
	<-s.closed
	return nil
}

// TestPoolClosesAside keeps no request waiting while a connection is closed that was kept unused.
func TestPoolClosesAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, slow := newPool(1, DefaultLifetime, slog.New(slog.DiscardHandler)), &slowToClose{closing: make(chan struct{}),
			closed: make(chan struct{})}
		p.give(&targetConn{side: side{peer: slow}, born: time.Now()}, time.Now())
		<-slow.closing
		if !p.mu.TryLock() {
			t.Fatal("requests would wait")
		}
		p.mu.Unlock()
		close(slow.closed)
		p.close()
	})
}

// cuttable is a peer that tells whether it was cut and closed.
type cuttable struct {
	peer
	cut, closed bool
}

func (c *cuttable) Cut() { c.cut = true }

func (c *cuttable) Close() error {
	c.closed = true
	return nil
}

// TestFault_A4_AConnectionThatWasCutIsNotKept has a client leave at the moment when the target's answer has been read
// whole: the connection that was cut for that is of no use to anybody.
func TestFault_A4_AConnectionThatWasCutIsNotKept(t *testing.T) {
	for _, leaves := range []bool{false, true} {
		p := &Proxy{pool: newPool(1, DefaultLifetime, slog.New(slog.DiscardHandler))}
		target := &cuttable{}
		x := &exchange{proxy: p, client: &client{side: side{peer: &cuttable{}}}, to: &targetConn{side: side{peer: target},
			born: time.Now()}}
		x.client.occupy(x.to)
		if leaves {
			x.client.cut()
		}
		x.giveBack(time.Now())
		if kept := p.pool.take(destination{}) != nil; kept == leaves || target.cut != leaves || target.closed != leaves {
			t.Errorf("a client that leaves: %t; the target's connection is kept: %t, cut: %t, closed: %t", leaves, kept,
				target.cut, target.closed)
		}
		p.pool.close()
	}
}

func TestFinishAndCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.targets[targetA] = func(conn net.Conn) {
			in := bufio.NewReader(conn)
			for w.takeRequest(in) {
				time.Sleep(5 * time.Second)
				io.WriteString(conn, ok)
			}
		}
		waiting, busy := w.connect(inVPC), w.connect(inVPC)
		io.WriteString(busy, get)
		synctest.Wait()
		w.finishAll()
		if _, err := waiting.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("a waiting connection read %v", err)
		}
		if a, err := readAnswer(bufio.NewReader(busy), false); err != nil || a.status != 200 || !a.close {
			t.Errorf("a busy one %v, %v", a, err)
		}
		if late := w.connect(inVPC); late != nil {
			if _, err := late.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("a late one read %v", err)
			}
		}
		w.close()
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.targets[targetA] = func(conn net.Conn) { io.Copy(io.Discard, conn) }
		busy := w.connect(inVPC)
		io.WriteString(busy, get)
		synctest.Wait()
		w.cutAll()
		if _, err := io.ReadAll(busy); err != nil {
			t.Errorf("a cut connection read %v", err)
		}
		w.close()
	})
}

// TestRecord holds what is recorded of a forwarded request.
func TestRecord(t *testing.T) {
	w := newWorld(t)
	w.targets[targetA] = w.answers(ok)
	const request = "POST /a?b HTTP/1.1\r\nHost: s.example\r\nUser-Agent: test\r\nX-Amzn-Requestid: mine\r\nContent-Length: 3\r\n\r\nabc"
	w.ask(request)
	waitRecorded(w, 1)
	r := w.last()
	got := fmt.Sprintf("%s %s %s %s %s %s %v %v %d", r.Protocol, r.Method, r.Path, r.Host, r.UserAgent,
		r.RequestID, r.Client, r.Target, r.Status)
	if want := "HTTP/1.1 POST /a s.example test mine 10.0.0.5:40000 10.0.0.10:8080 200"; got != want {
		t.Errorf("recorded %s, want %s", got, want)
	}
	if r.VPC.ID != "vpc-client" || r.Network.ID != "sn-1" || r.Listener.ID != "listener-1" || r.Rule.ID != "rule-1" || r.TargetGroup.ID != "tg-1" {
		t.Errorf("recorded the wrong things: %+v", r)
	}
	if r.BytesReceived != int64(len(request)) || r.BytesSent < 50 || r.Duration < r.RequestToTarget || r.Start.IsZero() {
		t.Errorf("recorded %d and %d bytes, %v, %v", r.BytesReceived, r.BytesSent, r.Duration, r.RequestToTarget)
	}
}

// TestRecordOfWhatCannotBeRead has nothing of the request before it on the connection.
func TestRecordOfWhatCannotBeRead(t *testing.T) {
	w := newWorld(t)
	w.targets[targetA] = w.answers(ok)
	w.say("POST / HTTP/1.1\r\nHost: s.example\r\nContent-Length: 3\r\n\r\nabcnonsense HTTP/1.1\r\n\r\n", inVPC)
	waitRecorded(w, 2)
	if r := w.last(); r.Status != 400 || r.BytesReceived != 0 || len(r.Method) > 0 {
		t.Errorf("recorded %+v", r)
	}
}

func TestUUID(t *testing.T) {
	got := string(appendUUID(nil, 0x0123456789abcdef, 0xffffffffffffffff))
	if want := "01234567-89ab-4def-bfff-ffffffffffff"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if n := bytes.Count([]byte(got), []byte("-")); n != 4 {
		t.Errorf("%d hyphens", n)
	}
}
