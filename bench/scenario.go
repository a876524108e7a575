package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// use is how connections of clients are used.
type use int

const (
	useKept    use = iota // for one request after the other
	useFresh              // each for one request, after a full handshake
	useResumed            // each for one request, after a handshake that resumes a session
	useIdle               // for one request, and then not at all
)

// onceOnly says that there is a new connection for each request.
func (u use) onceOnly() bool { return u == useFresh || u == useResumed }

// call is what a request of HTTP is about.
type call int

const (
	callGet       call = iota // a GET, answered with a body
	callUnary                 // a unary call of gRPC
	callStreaming             // a message in a call of gRPC that lasts; its answer is a message
)

func (c call) grpc() bool { return c != callGet }

// scenario is what clients do to every subject alike.
type scenario struct {
	name  string
	title string
	tls   bool
	http2 bool
	call  call
	use   use
	body  int // length of answers in bytes
	// connections is how many connections are busy, and streams how many requests each of them can have under way.
	connections, streams int
	rate                 int // requests a second while latency is measured
}

// messageLength is the length of gRPC's messages, without their prefix.
const messageLength = 100

// echoPath is gRPC's method of the target: it answers each message with the same.
const echoPath = "/bench.Echo/Echo"

// scenarios are all there are. Always 64 requests are under way, or 16 where they are large or few.
var scenarios = []scenario{
	{name: "plain", title: "HTTP/1.1, answers of 16 B", body: 16, connections: 64, streams: 1, rate: 5000},
	{name: "plain-1k", title: "HTTP/1.1, answers of 1 KiB", body: 1 << 10, connections: 64, streams: 1, rate: 5000},
	{name: "plain-64k", title: "HTTP/1.1, answers of 64 KiB", body: 64 << 10, connections: 64, streams: 1, rate: 2000},
	{name: "plain-1m", title: "HTTP/1.1, answers of 1 MiB", body: 1 << 20, connections: 16, streams: 1, rate: 200},
	{name: "https", title: "HTTPS, HTTP/1.1, answers of 16 B", tls: true, body: 16, connections: 64, streams: 1, rate: 5000},
	{name: "https-64k", title: "HTTPS, HTTP/1.1, answers of 64 KiB", tls: true, body: 64 << 10, connections: 64, streams: 1, rate: 1000},
	{name: "handshake", title: "HTTPS, a new connection for each request, full handshake (P-256)", tls: true,
		use: useFresh, body: 16, connections: 16, streams: 1, rate: 200},
	{name: "resumption", title: "HTTPS, a new connection for each request, resumed session", tls: true, use: useResumed, body: 16, connections: 16, streams: 1, rate: 500},
	{name: "http2", title: "HTTP/2 over TLS, answers of 16 B", tls: true, http2: true, body: 16, connections: 4, streams: 16, rate: 5000},
	{name: "http2-64k", title: "HTTP/2 over TLS, answers of 64 KiB", tls: true, http2: true, body: 64 << 10, connections: 4, streams: 16, rate: 1000},
	{name: "grpc", title: "gRPC over TLS, unary calls, messages of 100 B", tls: true, http2: true, call: callUnary, connections: 4, streams: 16, rate: 5000},
	{name: "grpc-stream", title: "gRPC over TLS, messages of 100 B in streams that last, each answered by another", tls: true, http2: true, call: callStreaming, connections: 4, streams: 16, rate: 5000},
	{name: "idle", title: "Idle connections, HTTP/1.1", use: useIdle, body: 16, connections: 64, streams: 1},
	{name: "idle-https", title: "Idle connections, HTTPS, HTTP/1.1", tls: true, use: useIdle, body: 16, connections: 64, streams: 1},
	{name: "idle-http2", title: "Idle connections, HTTP/2 over TLS", tls: true, http2: true, use: useIdle, body: 16, connections: 64, streams: 1},
}

// findScenarios finds scenarios by their names, separated by commas; "all" is all of them.
func findScenarios(names string) ([]scenario, error) {
	if names == allScenarios {
		return scenarios, nil
	}
	var found []scenario
next:
	for name := range strings.SplitSeq(names, ",") {
		for _, s := range scenarios {
			if s.name == name {
				found = append(found, s)
				continue next
			}
		}
		return nil, fmt.Errorf("there is no scenario %q; there are %s", name, scenarioNames())
	}
	return found, nil
}

// scenarioNames are the names of all scenarios, separated by commas.
func scenarioNames() string {
	var names []string
	for _, s := range scenarios {
		names = append(names, s.name)
	}
	return strings.Join(names, ",")
}

// scenarioOrder is the place of a scenario in the table.
func scenarioOrder(name string) int {
	return slices.IndexFunc(scenarios, func(s scenario) bool { return s.name == name })
}

// bodyPath is the path of an answer of some length.
func bodyPath(length int) string { return "/" + strconv.Itoa(length) }

// request is a request without a version of HTTP.
type request struct {
	method, host, path string
	fields             [][2]string // names in lower case
}

// request is what clients say in a scenario.
func (s *scenario) request(host string) request {
	if s.call.grpc() {
		return request{method: "POST", host: host, path: echoPath, fields: [][2]string{{"content-type", "application/grpc"}, {"te", "trailers"}}}
	}
	return request{method: "GET", host: host, path: bodyPath(s.body)}
}
