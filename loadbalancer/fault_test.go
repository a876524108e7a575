package loadbalancer

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// say sends text on a new connection to the load balancer and returns the statuses of the answers, and whether the
// connection goes on.
func (b *bench) say(text string, answers int) (statuses []int, goesOn bool) {
	b.t.Helper()
	conn, err := b.dial(b.t.Context(), vpc, caller, netip.AddrPortFrom(first, 80))
	if err != nil {
		b.t.Fatal(err)
	}
	defer conn.Close()
	go io.WriteString(conn, text)
	in := bufio.NewReader(conn)
	for range answers {
		response, err := http.ReadResponse(in, nil)
		if err != nil {
			return statuses, false
		}
		io.Copy(io.Discard, response.Body)
		statuses = append(statuses, response.StatusCode)
		goesOn = !response.Close
	}
	return statuses, goesOn
}

// TestFault_B9_WhatIsAmbiguousIsRefused, as on the way to a service: with 400, after which the connection ends and
// nothing has reached the target.
func TestFault_B9_WhatIsAmbiguousIsRefused(t *testing.T) {
	const head = "POST / HTTP/1.1\r\nHost: shop.example\r\n"
	for name, text := range map[string]string{
		"the preface of HTTP/2":       "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"CL beside TE":                head + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"CL repeated":                 head + "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
		"CL as a list":                head + "Content-Length: 1, 1\r\n\r\nx",
		"bare LF":                     "GET / HTTP/1.1\nHost: shop.example\n\n",
		"bare LF in a field":          "GET / HTTP/1.1\r\nHost: shop.example\r\nA: b\nC: d\r\n\r\n",
		"folded field":                "GET / HTTP/1.1\r\nHost: shop.example\r\nA: b\r\n c\r\n\r\n",
		"space before the colon":      "GET / HTTP/1.1\r\nHost: shop.example\r\nA : b\r\n\r\n",
		"TE that is not chunked":      head + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"no Host":                     "GET / HTTP/1.1\r\n\r\n",
		"two Hosts":                   "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
		"CONNECT":                     "CONNECT shop.example:80 HTTP/1.1\r\nHost: shop.example\r\n\r\n",
		"an expectation that is none": head + "Expect: banana\r\nContent-Length: 1\r\n\r\nx",
		"a path with a broken escape": "GET /%zz HTTP/1.1\r\nHost: shop.example\r\n\r\n",
		"TE in HTTP/1.0":              "POST / HTTP/1.0\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, nil)
			var reached atomic.Int64
			b.target("10.0.1.10", func(http.ResponseWriter, *http.Request) { reached.Add(1) })
			b.apply(aBalancer(aGroup("g", "10.0.1.10")))
			statuses, goesOn := b.say(text, 1)
			if len(statuses) != 1 || statuses[0] != 400 || goesOn || reached.Load() != 0 {
				t.Errorf("answered %v, the connection goes on: %v, %d requests reached the target", statuses, goesOn,
					reached.Load())
			}
		})
	}
	for name, body := range map[string]string{
		"folded trailers":       "1\r\nx\r\n0\r\nA: b\r\n c\r\n\r\n",
		"bare LF in the chunks": "1\nx\n0\n\n",
		"a chunk too long":      "1\r\nxy\r\n0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, nil)
			b.target("10.0.1.10", func(_ http.ResponseWriter, r *http.Request) {
				if _, err := io.Copy(io.Discard, r.Body); err == nil {
					t.Error("the target takes the body for whole")
				}
			})
			b.apply(aBalancer(aGroup("g", "10.0.1.10")))
			if statuses, goesOn := b.say(head+"Transfer-Encoding: chunked\r\n\r\n"+body, 1); len(statuses) != 1 ||
				statuses[0] != 400 || goesOn {
				t.Errorf("answered %v, the connection goes on: %v", statuses, goesOn)
			}
		})
	}
}

// TestFault_B9_AClientThatHalfClosesIsAnswered, as by a service.
func TestFault_B9_AClientThatHalfClosesIsAnswered(t *testing.T) {
	b := newBench(t, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listen := b.config.Listen
	b.config.Listen = func(ctx context.Context, at Interface, port uint16) (net.Listener, error) {
		if at.Address == first {
			return l, nil
		}
		return listen(ctx, at, port)
	}
	b.target("10.0.1.10", says("one"))
	b.apply(aBalancer(aGroup("g", "10.0.1.10")))
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n")
	conn.(*net.TCPConn).CloseWrite()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || response.StatusCode != 200 {
		t.Fatalf("%v, %v", response, err)
	}
	if body, err := io.ReadAll(response.Body); string(body) != "one 10.0.1.4" || err != nil {
		t.Errorf("%q, %v", body, err)
	}
}

// TestFault_B9_PipelinedRequestsAreAnsweredInTurn on one connection, by fixed responses and by targets.
func TestFault_B9_PipelinedRequestsAreAnsweredInTurn(t *testing.T) {
	b := newBench(t, nil)
	b.target("10.0.1.10", says("one"))
	b.apply(aBalancer(aGroup("g", "10.0.1.10")))
	const get = "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n"
	if statuses, goesOn := b.say(get+"HEAD"+strings.TrimPrefix(get, "GET")+get, 1); len(statuses) != 1 ||
		statuses[0] != 200 || !goesOn {
		t.Errorf("%v, %v", statuses, goesOn)
	}
	if statuses, goesOn := b.say(get+get+get, 3); len(statuses) != 3 || !goesOn {
		t.Errorf("%v, %v", statuses, goesOn)
	}
}

// TestFault_B2_NoneFailsBehindALoadBalancer while one of its targets refuses.
func TestFault_B2_NoneFailsBehindALoadBalancer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		b.target("10.0.1.10", says("one"))
		b.apply(aBalancer(aGroup("g", "10.0.1.10", "10.0.1.11")))
		client := b.client(first, 80)
		for range 1000 {
			if status, body := b.getFrom(client, "http://shop.example/"); status != 200 {
				t.Fatalf("%d %q", status, body)
			}
		}
		client.CloseIdleConnections()
		time.Sleep(time.Minute)
		b.Close()
	})
}

// TestFault_B8_WhatATargetIsToldCannotBeForged: fields by which the load balancer tells who asks, in any spelling, are
// its own.
func TestFault_B8_WhatATargetIsToldCannotBeForged(t *testing.T) {
	b := newBench(t, nil)
	seen := make(chan http.Header, 1)
	b.target("10.0.1.10", func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header })
	b.apply(aBalancer(aGroup("g", "10.0.1.10")))
	b.get("http://shop.example/", "X_Forwarded_For", "9.9.9.9", "X_Forwarded-Proto", "https", "X-Role", "a",
		"Connection", "x-role")
	header := <-seen
	for name := range header {
		if strings.Contains(name, "_") || name == "X-Role" {
			t.Errorf("the target sees %s: %v", name, header[name])
		}
	}
	if got := header.Get("X-Forwarded-For"); got != "10.0.1.99" {
		t.Errorf("the target sees the client as %s", got)
	}
}

// TestFault_A11_APanicEndsOneConnection to a load balancer.
func TestFault_A11_APanicEndsOneConnection(t *testing.T) {
	b := newBench(t, nil)
	b.apply(aBalancer())
	for _, running := range b.all() {
		running.current.Store(&state{}) // which cannot be
	}
	if statuses, _ := b.say("GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n", 1); len(statuses) != 0 {
		t.Errorf("answered %v", statuses)
	}
	b.apply(aBalancer())
	if statuses, _ := b.say("GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n", 1); len(statuses) != 1 || statuses[0] != 503 {
		t.Errorf("afterwards answered %v", statuses)
	}
}
