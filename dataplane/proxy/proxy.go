// Package proxy carries requests from the clients of a VPC to the targets of services, by HTTP/1.1, HTTP/2 and gRPC:
// match, authorise, pick, forward, record. This file is that path, to be read from top to bottom; the files beside it hold
// what it needs of the versions of HTTP (side.go), who sends requests (client.go), what the guard is told of a request
// (guard.go), the headers (headers.go), the connections to targets (pool.go), request bodies that are still arriving
// (upload.go), the answers that the proxy gives itself (answer.go, grpc.go), how many requests a service takes (rate.go)
// and what is recorded (record.go). departure.go notices clients that leave; balance.go is the path at a load balancer,
// which knows no services.
//
// A client connection that speaks HTTP/1.1 has one goroutine, one that speaks HTTP/2 has one for each request; they see the
// newest snapshot at each request. A request whose body has not arrived with its head gets a second one for as long as the
// body takes, so that request and response can cross.
//
// An expectation of 100-continue is passed on, and so is the target's 100. If the target says nothing, it is for the
// client to send the body after a while, as RFC 9110 §10.1.1 requires of clients.
package proxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"pergola/bound"
	"pergola/containment"
	"pergola/dataplane/access"
	"pergola/dataplane/http1"
	"pergola/dataplane/http2"
	"pergola/dataplane/parking"
	"pergola/dataplane/record"
	"pergola/lattice"
	"pergola/sigv4"
	"pergola/snapshot"
)

// Defaults of a Config. The lifetime is that of the user guide, "Services in VPC Lattice".
const (
	DefaultLifetime         = 10 * time.Minute
	DefaultDialTimeout      = 2 * time.Second
	DefaultMaxIdlePerTarget = 256

	DefaultRequestsPerSecond = 10000

	DefaultMaxHeld = 2 << 30
)

// held is what Held returns.
var held = sync.OnceValue(func() *bound.Pool { return bound.NewPool(min(bound.Memory()/2, DefaultMaxHeld), 0) })

// Held is what all clients together may make this process hold of heads and bodies, in bytes: half of bound.Memory, and
// at most DefaultMaxHeld.
func Held() *bound.Pool { return held() }

const (
	// maxTries is how many targets are tried before a request is answered with 503.
	maxTries = 16
	// moreTries is how long after the first target could not be reached others are tried: it allows two more that are
	// silent, and all that refuse.
	moreTries = 3 * time.Second
	// handshakeTime is how long TLS with a target may take.
	handshakeTime = 5 * time.Second
	// maxInformational is how many 1xx responses may precede a response.
	maxInformational = 16
	// maxDiscard is how much of a request body is read and dropped to keep a connection after an answer that did not
	// need it.
	maxDiscard = 256 << 10
	// maxLinger is how much of what a client is still sending is read and dropped so that an answer reaches it, where the
	// connection is to be closed: more than a function takes, so that a client is told of that limit.
	maxLinger = 16 << 20
	// lifetimeGrace is how long a request may go on beyond the lifetime of its connection.
	lifetimeGrace = time.Minute
	// lingerTime is how long reading for maxLinger may take, and how long a body that outlasts its
	// response may go on.
	lingerTime = time.Second
)

// Target is a target that was picked for one request.
type Target interface {
	// Address is where the target listens, in the VPC of its target group.
	Address() netip.AddrPort
	// Unreachable says that no connection to the target could be made, so that others are picked until one can be.
	Unreachable()
	// Reached says that a connection to the target was made.
	Reached()
	// Done says that the request no longer occupies the target.
	Done()
}

// Picker chooses targets. It must be safe for concurrent use.
type Picker interface {
	// Pick returns the target of a group that is next to receive a request, at none of the addresses that the request has
	// tried before, or false if there is none.
	Pick(of *snapshot.TargetGroup, tried ...netip.AddrPort) (Target, bool)
}

// Guard decides which requests may pass. It must be safe for concurrent use.
type Guard interface {
	// Authorize decides about one request. What the request lends holds until it returns.
	Authorize(*access.Request) access.Decision
}

// Config is what a Proxy needs. Picker and Dial are required, and either Snapshot and Guard or Balance.
type Config struct {
	// Snapshot returns the newest snapshot; it is called for each request. A nil snapshot has no services.
	Snapshot func() *snapshot.Snapshot
	// Guard decides which requests may pass.
	Guard Guard
	// Balance makes the proxy that of a load balancer, which does with each request what Balance says, and knows no
	// services. nil is for all others.
	Balance func(Asked) Terms
	// Picker chooses targets.
	Picker Picker
	// Dial connects to an address in a VPC.
	Dial func(ctx context.Context, vpc string, address netip.AddrPort) (net.Conn, error)
	// Functions invokes the Lambda functions that are targets; nil invokes none.
	Functions Functions
	// Record is called at the end of each request, on its goroutine; the Record and all in it is reused afterwards.
	// nil records nothing.
	Record func(*record.Record)
	// Log receives what an operator should know. nil means slog.Default.
	Log *slog.Logger
	// Random is the source of request ids and of choices between weighted target groups; it must be safe for concurrent
	// use. nil means math/rand/v2, which is seeded by the system.
	Random func() uint64
	// Lifetime is the age at which a connection takes its last request. A minute later it is closed, with all that is
	// under way. 0 means DefaultLifetime.
	Lifetime time.Duration
	// Patience is how long a client's connection is quiet before ServeConn and ServeHTTP2 ask for a pause. 0 means
	// parking.Patience.
	Patience time.Duration
	// RequestsPerSecond is how many requests each service takes in a second (user guide, "Quotas"). 0 means
	// DefaultRequestsPerSecond; a negative number takes the limit away.
	RequestsPerSecond int
	// DialTimeout bounds each attempt to connect to a target. 0 means DefaultDialTimeout.
	DialTimeout time.Duration
	// Held is what clients may make this process hold of heads and bodies, in bytes. nil means Held().
	Held *bound.Pool
	// MaxIdlePerTarget bounds the idle connections kept to one address. 0 means DefaultMaxIdlePerTarget.
	MaxIdlePerTarget int
}

// Proxy serves client connections. Make one with New; Close it.
type Proxy struct {
	config    Config
	http1     http1.Config
	http2     http2.Config
	pool      *pool
	rates     *rates
	exchanges sync.Pool // of *exchange
	streams   sync.Pool // of *streamClient
}

// New returns a Proxy.
func New(config Config) *Proxy {
	if config.Log == nil {
		config.Log = slog.Default()
	}
	if config.Random == nil {
		config.Random = rand.Uint64
	}
	if config.Held == nil {
		config.Held = Held()
	}
	if config.Lifetime <= 0 {
		config.Lifetime = DefaultLifetime
	}
	if config.Patience <= 0 {
		config.Patience = parking.Patience
	}
	if config.DialTimeout <= 0 {
		config.DialTimeout = DefaultDialTimeout
	}
	if config.MaxIdlePerTarget <= 0 {
		config.MaxIdlePerTarget = DefaultMaxIdlePerTarget
	}
	p := &Proxy{
		config: config,
		http1:  http1.Config{Memory: new(http1.Memory)},
		http2: http2.Config{Memory: new(http2.Memory), Log: config.Log, Lifetime: config.Lifetime,
			Patience: config.Patience},
	}
	p.pool = newPool(config.MaxIdlePerTarget, config.Lifetime, config.Log)
	p.rates = newRates(config.RequestsPerSecond)
	p.exchanges.New = func() any { return &exchange{proxy: p} }
	p.streams.New = func() any { return newStreamClient() }
	return p
}

// Arrival says where a connection came in: in which VPC, through which of its doors, by the key, and at which port.
// With a load balancer there is no door.
type Arrival struct {
	VPC  string
	Door string
	Port uint16
	// ServerName is the name for which TLS was ended here; "" for a connection without TLS.
	ServerName string
}

// protocol is the protocol of the listeners that a connection can be for.
func (a *Arrival) protocol() lattice.Protocol {
	if a.ServerName != "" {
		return lattice.ProtocolHTTPS
	}
	return lattice.ProtocolHTTP
}

// ServeConn serves a client connection that speaks HTTP/1.1 until it ends, and closes it, or until it should be parked. When
// finish ends, the request at hand is the last; when cut ends, it is broken off.
func (p *Proxy) ServeConn(finish, cut context.Context, conn net.Conn, arrival Arrival) *parking.Pause {
	return p.serveLine(finish, cut, newLineClient(conn, newConnection(conn, arrival, p.config.Held), p.http1))
}

// serveLine serves a client from one pause to the next.
func (p *Proxy) serveLine(finish, cut context.Context, c *lineClient) *parking.Pause {
	defer context.AfterFunc(finish, c.finish)()
	defer context.AfterFunc(cut, c.cut)()
	defer time.AfterFunc(p.timeLeft(c.connection), c.expire).Stop()
	c.watch = newDeparture(c, p.config.Log)
	defer c.unwatch()
	for {
		switch err := c.wait(p.config.Patience); err {
		case nil:
		case http1.ErrQuiet:
			return p.pause(c.connection, c.conn, c.wire.IdleUntil(), func() *parking.Pause { return p.serveLine(finish, cut, c) })
		default:
			c.Close()
			return nil
		}
		keep := p.serve(&c.client)
		c.watch.end()
		if !keep {
			c.Close() // again, unless it panicked
			return nil
		}
	}
}

// pause asks for a connection to be parked, at most until a time or the end of its life.
func (p *Proxy) pause(c *connection, conn net.Conn, until time.Time, then func() *parking.Pause) *parking.Pause {
	if end := c.born.Add(p.config.Lifetime + lifetimeGrace); end.Before(until) {
		until = end
	}
	return &parking.Pause{Conn: conn, Until: until, Then: then}
}

// timeLeft is how long a connection may last yet.
func (p *Proxy) timeLeft(c *connection) time.Duration {
	return time.Until(c.born.Add(p.config.Lifetime + lifetimeGrace))
}

// ServeHTTP2 is ServeConn for a connection that speaks HTTP/2.
func (p *Proxy) ServeHTTP2(finish, cut context.Context, conn net.Conn, arrival Arrival) *parking.Pause {
	c := newConnection(conn, arrival, p.config.Held)
	config := p.http2
	config.Share = c.share
	return p.serveStreams(finish, cut, conn, c, http2.NewServer(conn, config))
}

// serveStreams serves a connection that speaks HTTP/2 from one pause to the next.
func (p *Proxy) serveStreams(finish, cut context.Context, conn net.Conn, c *connection, server *http2.Server) *parking.Pause {
	defer context.AfterFunc(finish, server.Finish)()
	defer context.AfterFunc(cut, func() { server.Close() })()
	defer time.AfterFunc(p.timeLeft(c), func() {
		c.expired.Store(true)
		server.Close()
	}).Stop()
	switch err := server.Serve(func(stream *http2.Stream) { p.serveStream(c, stream) }); {
	case err == http1.ErrQuiet:
		return p.pause(c, conn, server.Until(), func() *parking.Pause { return p.serveStreams(finish, cut, conn, c, server) })
	case err != nil:
		p.config.Log.Debug("a connection by HTTP/2 was broken off", "client", c.address, "error", err)
	}
	return nil
}

// serveStream serves one stream of a connection.
func (p *Proxy) serveStream(c *connection, stream *http2.Stream) {
	client := p.streams.Get().(*streamClient)
	client.begin(c, stream)
	p.serve(&client.client)
	stream.OnReset(nil)
	client.end()
	p.streams.Put(client)
}

// serve serves one request of a client, and reports whether the client goes on. If not, it has been closed.
func (p *Proxy) serve(c *client) (keep bool) {
	x := p.exchanges.Get().(*exchange)
	x.client = c
	defer x.catch()
	keep = x.serve()
	x.reset()
	p.exchanges.Put(x)
	return keep
}

// catch is deferred: a panic breaks off the client, with what it waits for, and nothing else. The exchange is not used again.
// Its client may be another's soon, so that its upload has to be over.
func (x *exchange) catch() {
	if problem := recover(); problem != nil {
		x.proxy.panicked(x.client, problem)
		if x.upload != nil {
			<-x.upload.done
		}
		x.client.giveUp()
	}
}

// panicked is called by the deferred function that has recovered.
func (p *Proxy) panicked(c *client, problem any) {
	_ = containment.Report(p.config.Log, "serving a request", problem, "client", c.address)
	c.cut()
}

// Close closes the connections that are kept to targets. Call it when no connection is being served any more.
func (p *Proxy) Close() { p.pool.close() }

// exchange is one request with its response. Exchanges are recycled, with all the memory they have gathered.
type exchange struct {
	proxy  *Proxy
	client *client

	request  http1.Request
	response http1.Response
	question access.Request
	fields   sigv4.Fields // of question, as they were sent
	header   access.Header
	record   record.Record
	id       []byte // the request id
	scratch  []byte // for values that are put together

	balanced bool          // the proxy is a load balancer's
	patience time.Duration // how long the client and the target may be silent

	target Target           // picked, until Done
	tried  []netip.AddrPort // where the targets were that were picked
	to     *targetConn
	stream targetConn // what to is, where the target speaks HTTP/2
	upload *upload    // nil unless the body outlives sending the head
	before int64      // what the client had been sent before, in bytes
}

// reset forgets the exchange and keeps its memory.
func (x *exchange) reset() {
	x.client, x.target, x.to, x.upload = nil, nil, nil, nil
	x.stream = targetConn{}
	x.question = access.Request{}
	x.record = record.Record{}
	x.balanced, x.tried = false, x.tried[:0]
	x.header.Trim()
}

// serve serves one request and reports whether the client connection goes on. If not, it has been closed.
func (x *exchange) serve() (keep bool) {
	p, c := x.proxy, x.client
	x.record.Start = time.Now()
	c.watch.begin(x.record.Start)
	x.before = c.out.Sent()
	x.balanced = p.config.Balance != nil
	if err := c.in.ReadRequest(&x.request); err != nil {
		return x.answerUnreadable(err)
	}
	if !x.hasBody() {
		c.noteSent()
	}
	if x.balanced {
		return x.balance()
	}
	x.note()

	// Match: the listener by port and name, in the service network behind the door.
	if !x.findListener(p.config.Snapshot()) {
		return x.answer(404, reason(404))
	}
	listener := x.record.Listener
	x.setPatience(idleTimeout(listener.Service))
	x.header.Set(&x.request, x.origin())
	if x.isMisdirected() {
		x.record.Failure = record.ClientProtocolError
		return x.answer(421, reason(421))
	}
	if !p.rates.allow(listener.Service.ID, x.record.Start) {
		x.record.Failure = record.ClientRateLimited
		return x.answer(429, reason(429))
	}

	// Authorise.
	decision := x.authorise()
	x.record.Caller, x.record.DeniedBy = decision.Caller, decision.DeniedBy
	if !decision.Allowed {
		return x.answerDenied(decision)
	}

	// Match: the rule.
	rule := listener.Match(x)
	x.record.Rule = rule
	if rule.Action.FixedStatus != 0 {
		return x.answer(rule.Action.FixedStatus, reason(rule.Action.FixedStatus))
	}

	// Pick and forward.
	group := x.choose(&rule.Action)
	if group == nil {
		return x.answer(503, "Service Unavailable")
	}
	x.record.TargetGroup = group
	if !x.suits(group) {
		return x.fail(502, record.TargetProtocolError, nil)
	}
	if group.Type == lattice.TargetLambda {
		return x.invoke(group)
	}
	return x.forward(group)
}

// findListener notes the listener that the request is for, the VPC that it comes from and the service network, or
// reports false. A listener serves the requests that come by its own protocol: to those that come by another it is not
// there.
func (x *exchange) findListener(s *snapshot.Snapshot) bool {
	if s == nil {
		return false
	}
	at := &x.client.arrival
	vpc := s.VPCs.Get(at.VPC)
	door := vpc.Door(at.Door)
	listener := door.Port(at.Port).Listener(x.request.Host)
	if listener == nil || listener.Protocol != at.protocol() {
		return false
	}
	x.record.VPC, x.record.Network, x.record.Listener = vpc, door.Network, listener
	return true
}

// isMisdirected reports whether the request is for another service than the one for which TLS was ended, so that the
// client never saw a certificate of the service that it calls (RFC 9110 §15.5.20).
func (x *exchange) isMisdirected() bool {
	name := x.client.arrival.ServerName
	return name != "" && x.record.Network.Service([]byte(name)) != x.record.Listener.Service
}

// choose takes one of the target groups of an action at random, in proportion to their weights. With no weight at all
// there is nowhere to go, and nil is returned.
func (x *exchange) choose(action *snapshot.Action) *snapshot.TargetGroup {
	random := uint64(0)
	if len(action.Forward) > 1 {
		random = x.proxy.config.Random()
	}
	return action.Choose(random)
}

// suits reports whether the request can be sent to the targets of a group: a request that came by HTTP/1.1 to those that
// speak HTTP/1.1, a gRPC call not to these, and to those that speak gRPC only what can be a call (user guide, "Protocol
// version": the table of request protocols and protocol versions).
func (x *exchange) suits(g *snapshot.TargetGroup) bool {
	switch g.ProtocolVersion {
	case lattice.HTTP2:
		return x.request.HTTP2
	case lattice.GRPC:
		return x.request.HTTP2 && string(x.request.Method) == "POST"
	}
	return !x.isGRPC()
}

// setPatience says how long the client and the target may be silent.
func (x *exchange) setPatience(d time.Duration) {
	x.patience = d
	x.client.SetIdleTimeout(d)
}

func idleTimeout(s *snapshot.Service) time.Duration {
	if s.IdleTimeout > 0 {
		return s.IdleTimeout
	}
	return http1.DefaultIdleTimeout
}

// forward sends the request to a target and its response back. What was not sent at all is tried again: at other targets
// if one cannot be reached, on another connection if the kept one turns out to be closed. What was sent is tried again
// if it can be repeated and the connection ended without a byte of an answer: once on a fresh connection, if that was a
// kept one (RFC 9112 §9.3.1), and once at another target.
func (x *exchange) forward(group *snapshot.TargetGroup) (keep bool) {
	defer x.releaseTarget()
	if !x.pick(group) {
		return x.answer(503, reason(503))
	}
	var failed time.Time // when a target could not be reached first
	for fresh, moved := false, false; ; {
		if err := x.connect(group, fresh); err != nil {
			x.client.occupy(nil)
			x.proxy.config.Log.Debug("cannot connect to a target", "targetGroup", group.ID, "target", x.record.Target, "error", err)
			if x.client.wasCut() {
				return x.fail(503, record.ClientConnectionClosed, nil)
			}
			x.target.Unreachable()
			if failed.IsZero() {
				failed = time.Now()
			}
			if time.Since(failed) > moreTries || !x.pick(group) {
				return x.fail(503, record.TargetConnectionError, nil)
			}
			continue
		}
		err := x.send()
		if err == nil {
			err = x.readResponse()
		}
		if err == nil {
			return x.relayResponse()
		}
		switch {
		case !x.mayRepeat(err):
			return x.failTarget(err)
		case x.to.kept:
			fresh = true
		case moved:
			return x.failTarget(err)
		default:
			if moved = x.pick(group); !moved {
				return x.failTarget(err)
			}
		}
		x.leave()
		x.to = nil
	}
}

// pick picks a target of the group, in place of the one before, at an address that was not tried.
func (x *exchange) pick(group *snapshot.TargetGroup) bool {
	if len(x.tried) == maxTries {
		return false
	}
	target, ok := x.proxy.config.Picker.Pick(group, x.tried...)
	if ok {
		x.releaseTarget()
		x.target, x.record.Target = target, target.Address()
		x.tried = append(x.tried, x.record.Target)
	}
	return ok
}

func (x *exchange) releaseTarget() {
	if x.target != nil {
		x.target.Done()
		x.target = nil
	}
}

// connect takes a connection to the target that was kept or is shared, unless a fresh one is asked for, or makes one.
func (x *exchange) connect(group *snapshot.TargetGroup, fresh bool) (err error) {
	at := destination{vpc: group.VPC, address: x.record.Target, secure: group.Protocol == lattice.TargetHTTPS}
	if at.secure && !x.balanced {
		at.serverName = x.serverName()
	}
	if group.ProtocolVersion == lattice.HTTP2 || group.ProtocolVersion == lattice.GRPC {
		err = x.openStream(at, fresh)
	} else {
		err = x.takeConn(at, fresh)
	}
	if err != nil {
		return err
	}
	if !x.to.kept {
		x.target.Reached()
	}
	x.to.SetIdleTimeout(x.patience)
	x.client.occupy(x.to)
	return nil
}

func (x *exchange) takeConn(at destination, fresh bool) (err error) {
	if !fresh {
		x.to = x.proxy.pool.take(at)
	}
	if x.to == nil {
		ctx, end := context.WithCancel(context.Background())
		defer end()
		x.client.occupy(wait(end))
		if x.to, err = x.proxy.dial(ctx, at); err != nil {
			return err
		}
	}
	x.to.CountOn(x.client.share)
	return nil
}

func (x *exchange) openStream(at destination, fresh bool) error {
	stream, kept, err := x.proxy.open(at, fresh)
	if err == nil {
		x.stream = targetConn{side: http2Side(stream), at: at, stream: true, kept: kept}
		x.to = &x.stream
		x.to.CountOn(x.client.share)
	}
	return err
}

// leave gives up what the request occupies of the target, which is of no more use.
func (x *exchange) leave() {
	x.client.occupy(nil)
	x.to.Close()
}

// giveBack gives up what the request occupies of the target, which has been between two messages since now.
func (x *exchange) giveBack(now time.Time) {
	if x.client.occupy(nil) {
		x.to.Close()
		return
	}
	x.proxy.pool.give(x.to, now)
}

// serverName is the name by which the client calls the service. Its target is called by the same in TLS and in Host.
func (x *exchange) serverName() string {
	s, host := x.record.Listener.Service, x.request.Host
	if i := bytes.LastIndexByte(host, ':'); i >= 0 {
		host = host[:i]
	}
	if s.CustomDomainName != "" && http1.EqualFold(host, s.CustomDomainName) {
		return s.CustomDomainName
	}
	return s.DomainName
}

// send sends the request, as much of it as has arrived. A request that is complete goes out in one write; a body that is
// not gets a goroutine to follow.
func (x *exchange) send() error {
	body := x.client.body
	if !x.hasBody() {
		x.writeRequestHead(x.request.Framing())
		return x.to.SendAndWait()
	}
	if err := x.to.Probe(); err != nil {
		return err
	}
	x.writeRequestHead(x.request.Framing())
	switch readErr, writeErr := http1.RelayArrived(x.to.out, body); {
	case writeErr != nil:
		return writeErr
	case readErr == io.EOF:
		x.client.noteSent()
		return x.endRequest()
	case readErr != nil:
		return &clientError{readErr}
	}
	if err := x.to.out.Flush(); err != nil {
		return err
	}
	x.startUpload()
	return nil
}

// endRequest passes on the trailers and ends the request.
func (x *exchange) endRequest() error {
	copyTrailers(x.to.out, x.client.body.Trailers())
	return x.to.out.End()
}

// mayRepeat reports whether the request can be sent again on another connection after err.
func (x *exchange) mayRepeat(err error) bool {
	var client *clientError
	if x.to.continued || x.upload != nil || errors.As(err, &client) || x.client.wasCut() {
		return false
	}
	if errors.Is(err, http1.ErrStale) {
		return x.client.body.Received() == 0 // what was passed on of a body is not there any more
	}
	closed := errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
	return closed && !x.hasBody() && idempotent(x.request.Method)
}

func (x *exchange) hasBody() bool {
	framing := x.request.Framing()
	return framing == http1.Chunked || framing > 0
}

// idempotent reports whether doing a request twice is as good as once (RFC 9110 §9.2.2).
func idempotent(method []byte) bool {
	switch string(method) {
	case "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE":
		return true
	}
	return false
}

// readResponse reads up to the head of the final response and passes on the 1xx before it, except to HTTP/1.0 clients,
// which do not know them (RFC 9110 §15.2).
func (x *exchange) readResponse() error {
	for range maxInformational {
		if err := x.to.in.ReadResponse(&x.response, x.request.IsHead()); err != nil {
			return err
		}
		if !x.response.Informational() {
			return nil
		}
		x.to.continued = true
		if x.request.HTTP10 {
			continue
		}
		out := x.client.out
		out.StartResponse(x.response.Status, x.response.Reason)
		x.copyResponseFields()
		out.EndHead(http1.Bodiless)
		if err := out.End(); err != nil {
			return &clientError{err}
		}
	}
	return errTooManyInformational
}

var errTooManyInformational = errors.New("the target sent too many informational responses")

// relayResponse sends the response whose head has been read on to the client.
func (x *exchange) relayResponse() (keep bool) {
	c, out := x.client, x.client.out
	started := time.Now()
	framing := x.responseFraming()
	keep = x.mayKeep() && framing != http1.UntilClose && !x.unansweredExpectation()
	x.writeResponseHead(framing, keep)
	readErr, writeErr := http1.Relay(out, x.to.body)
	if readErr == nil && writeErr == nil {
		copyTrailers(out, x.to.body.Trailers())
		writeErr = out.End()
	}
	ended := time.Now()
	x.record.ResponseFromTarget = ended.Sub(started)
	switch {
	case writeErr != nil:
		x.record.Failure = record.ClientConnectionClosed
	case readErr != nil:
		x.record.Failure = x.targetFailure(readErr)
	}
	broken := readErr != nil || writeErr != nil
	uploaded := x.finishUpload(broken)
	x.noteSent()
	if x.upload != nil && x.upload.failed.Load() {
		x.record.Failure = record.ClientConnectionClosed
	}
	if !broken && uploaded && !x.response.Close() && x.to.Rest() {
		x.giveBack(ended)
	} else {
		x.leave()
	}
	x.finish(ended)
	switch {
	case broken:
		x.breakOff(framing)
		return false
	case keep && uploaded:
		return true
	}
	c.Linger(maxLinger, lingerTime)
	return false
}

// breakOff closes the client connection amid a response, which tells the client that it is incomplete. Where the end of
// the connection would be the end of the body, only a reset can say so (RFC 9112 §8), and that is also what ends a stream
// of HTTP/2 for a reason that is not the client's.
func (x *exchange) breakOff(framing http1.Framing) {
	if framing == http1.UntilClose || x.request.HTTP2 {
		x.client.Reset()
		return
	}
	x.client.Close()
}

// responseFraming is how the response is delimited for the client. A body that ended with the target's connection is
// chunked, so that the client's lives on; HTTP/1.0 knows no chunks.
func (x *exchange) responseFraming() http1.Framing {
	framing := x.response.Framing()
	switch {
	case framing == http1.UntilClose && !x.request.HTTP10:
		return http1.Chunked
	case framing == http1.Chunked && x.request.HTTP10:
		return http1.UntilClose
	}
	return framing
}

// mayKeep reports whether the client connection may take another request.
func (x *exchange) mayKeep() bool {
	return !x.request.HTTP2 && !x.request.Close() && x.record.Start.Sub(x.client.born) < x.proxy.config.Lifetime && !x.client.finishing.Load()
}

// unansweredExpectation reports whether the client may never send the body that it announced, because nobody told it to.
// What it sends next could then be the body or another request (RFC 9110 §10.1.1).
func (x *exchange) unansweredExpectation() bool {
	return x.request.Expects100() && (x.to == nil || !x.to.continued && !x.upload.finished())
}
