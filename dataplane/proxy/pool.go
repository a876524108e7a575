package proxy

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"pergola/containment"
	"pergola/dataplane/http1"
	"pergola/dataplane/http2"
	"pergola/dataplane/security"
)

// destination is where a target is, and how it is spoken to there. An address means something only together with its
// VPC.
type destination struct {
	vpc     string
	address netip.AddrPort
	// secure says that TLS is spoken, and serverName whom it is for, which may be nobody in particular.
	secure     bool
	serverName string
}

// targetConn is what a request occupies of a target: a connection of its own that speaks HTTP/1.1, or a stream of one that
// speaks HTTP/2.
type targetConn struct {
	side
	at        destination
	stream    bool
	born      time.Time
	kept      bool // its connection has served a request before this one
	continued bool // the target has sent a 1xx for the current request
	since     time.Time
}

// connect makes a connection to a place. TLS must agree on one of the protocols; none leaves TLS alone about
// it.
func (p *Proxy) connect(ctx context.Context, at destination, protocols ...string) (net.Conn, error) {
	conn, err := p.reach(ctx, at)
	if err != nil || !at.secure {
		return conn, err
	}
	ctx, cancel := context.WithTimeout(ctx, handshakeTime)
	defer cancel()
	secure, err := security.Connect(ctx, conn, at.serverName, protocols...)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return secure, nil
}

// reach makes a connection that says nothing yet.
func (p *Proxy) reach(ctx context.Context, at destination) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, p.config.DialTimeout)
	defer cancel()
	return p.config.Dial(ctx, at.vpc, at.address)
}

// dial makes a connection that speaks HTTP/1.1.
func (p *Proxy) dial(ctx context.Context, at destination) (*targetConn, error) {
	conn, err := p.connect(ctx, at)
	if err != nil {
		return nil, err
	}
	return &targetConn{side: http1Side(http1.NewConn(conn, p.http1)), at: at, born: time.Now()}, nil
}

// open opens a stream of a connection that speaks HTTP/2: of one that others use too, unless a fresh one is asked for and
// where it has room. With prior knowledge the target is taken to speak it where there is no TLS (RFC 9113 §3.3).
//
// Requests that come together share a connection: the first makes it, and the others wait and fare as it does.
func (p *Proxy) open(at destination, fresh bool) (stream *http2.Stream, kept bool, err error) {
	for !fresh {
		stream, d, first := p.pool.open(at)
		switch {
		case stream != nil:
			return stream, true, nil
		case first:
			defer p.pool.dialled(at, d)
			stream, d.err = p.openFirst(at)
			return stream, false, d.err
		}
		<-d.done
		if d.err != nil {
			return nil, false, d.err
		}
	}
	stream, err = p.openFirst(at)
	return stream, false, err
}

// openFirst makes a connection, opens its first stream, and lets others open more.
func (p *Proxy) openFirst(at destination) (*http2.Stream, error) {
	// It is not for one request alone, so that none can break it off.
	conn, err := p.connect(context.Background(), at, "h2")
	if err != nil {
		return nil, err
	}
	config := p.http2
	config.Secure = at.secure
	c := http2.NewClient(conn, config)
	stream, err := c.Open()
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	p.pool.share(at, c)
	return stream, nil
}

// sweepEvery is how often kept connections are looked through, and how long one may be kept at most.
const sweepEvery = 30 * time.Second

// maxIdle is how many connections are kept to all targets together.
const maxIdle = 16384

// pool keeps connections to targets between requests. Those that serve one request at a time lie in it while they serve
// none: the last one given is the first taken, so that those beyond need grow old and are closed. Those that many
// requests share are in it as long as they take any.
type pool struct {
	perPlace int
	most     int // of all places
	lifetime time.Duration
	log      *slog.Logger

	mu     sync.Mutex // guards all below
	idle   map[destination][]*targetConn
	kept   int // how many idle holds
	common map[destination]*shared
	timer  *time.Timer // set while connections are kept
	closed bool
}

// shared are the connections to a place that many requests share. pool.mu guards it.
type shared struct {
	clients []*sharedConn
	dial    *dial // under way, or nil
}

// dial is the making of a connection that several requests wait for.
type dial struct {
	done chan struct{} // closed at its end
	err  error         // why there is no connection, once done is closed
}

// sharedConn is a connection that many requests share.
type sharedConn struct {
	*http2.Client
	used bool // since it was last looked at
}

func newPool(perPlace int, lifetime time.Duration, log *slog.Logger) *pool {
	return &pool{perPlace: perPlace, most: containment.Portion(maxIdle, 10), lifetime: lifetime, log: log,
		idle: map[destination][]*targetConn{}, common: map[destination]*shared{}}
}

// take returns a kept connection, or nil.
func (p *pool) take(at destination) *targetConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	conns := p.idle[at]
	if len(conns) == 0 {
		return nil
	}
	last := len(conns) - 1
	c := conns[last]
	conns[last] = nil
	p.idle[at] = conns[:last]
	p.kept--
	c.kept, c.continued = true, false
	return c
}

// open opens a stream of a connection that is there. Where none has room it returns the dial to wait for; first says that
// this is a new one, for the caller to make and to end with dialled.
func (p *pool) open(at destination) (stream *http2.Stream, waitFor *dial, first bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.commonAt(at)
	for _, c := range s.clients {
		if stream, err := c.Open(); err == nil {
			c.used = true
			return stream, nil, false
		}
	}
	if s.dial != nil {
		return nil, s.dial, false
	}
	s.dial = &dial{done: make(chan struct{})}
	return nil, s.dial, true
}

// dialled ends a dial for all who wait for it.
func (p *pool) dialled(at destination, d *dial) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.commonAt(at).dial = nil
	close(d.done)
}

// commonAt returns the connections to a place that many requests share; there may be none. mu is held.
func (p *pool) commonAt(at destination) *shared {
	s := p.common[at]
	if s == nil {
		s = &shared{}
		p.common[at] = s
	}
	p.wake()
	return s
}

// share lets others use a connection.
func (p *pool) share(at destination, c *http2.Client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		c.Finish()
		return
	}
	s := p.commonAt(at)
	s.clients = append(s.clients, &sharedConn{c, true})
}

// give keeps a connection that is between messages since now, or closes it if it is too old or enough are kept. A stream
// has served its purpose.
func (p *pool) give(c *targetConn, now time.Time) {
	c.since = now
	if c.stream || !p.keep(c) {
		c.Close()
	}
}

func (p *pool) keep(c *targetConn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	conns := p.idle[c.at]
	if p.closed || len(conns) >= p.perPlace || p.kept >= p.most || c.since.Sub(c.born) >= p.lifetime {
		return false
	}
	p.idle[c.at] = append(conns, c)
	p.kept++
	p.wake()
	return true
}

// wake makes sure that the pool is swept. mu is held.
func (p *pool) wake() {
	if p.timer == nil && !p.closed {
		p.timer = time.AfterFunc(sweepEvery, p.sweep)
	}
}

// sweep closes the connections that were kept unused for a whole period, and comes again if others remain. No request waits
// while they are closed, which takes a write where they speak TLS.
func (p *pool) sweep() {
	_ = containment.Do(p.log, "closing connections to targets", func() error {
		for _, c := range p.unused() {
			c.Close()
		}
		return nil
	})
}

// unused takes out what is to be closed, and sets the timer.
func (p *pool) unused() (old []*targetConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for at, conns := range p.idle {
		kept := conns[:0]
		for _, c := range conns {
			if time.Since(c.since) >= sweepEvery || time.Since(c.born) >= p.lifetime {
				old = append(old, c)
				continue
			}
			kept = append(kept, c)
		}
		clear(conns[len(kept):])
		p.kept -= len(conns) - len(kept)
		p.idle[at] = kept
		if len(kept) == 0 {
			delete(p.idle, at)
		}
	}
	for at, s := range p.common {
		if s.sweep(); len(s.clients) == 0 && s.dial == nil {
			delete(p.common, at)
		}
	}
	p.timer = nil
	if len(p.idle)+len(p.common) > 0 {
		p.wake()
	}
	return old
}

// sweep lets those connections go that take no further streams, or have had none for a whole period. What is under way on
// them ends in order.
func (s *shared) sweep() {
	kept := s.clients[:0]
	for _, c := range s.clients {
		if !c.Usable() || !c.used && c.Active() == 0 {
			c.Finish()
			continue
		}
		c.used = false
		kept = append(kept, c)
	}
	clear(s.clients[len(kept):])
	s.clients = kept
}

// close closes all kept connections, and those still to be given.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	if p.timer != nil {
		p.timer.Stop()
	}
	for at, conns := range p.idle {
		for _, c := range conns {
			c.Close()
		}
		p.kept -= len(conns)
		delete(p.idle, at)
	}
	var clients []*sharedConn
	for _, s := range p.common {
		clients = append(clients, s.clients...)
	}
	clear(p.common)
	p.mu.Unlock()
	for _, c := range clients {
		c.Close()
	}
}
