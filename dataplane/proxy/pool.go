package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"pergola/dataplane/http1"
)

// place is where a target is, and how it is spoken to there. An address means something only together with its VPC.
type place struct {
	vpc     string
	address netip.AddrPort
	// serverName is whom a connection by TLS is for; "" for a connection without TLS.
	serverName string
}

// targetConn is a connection to a target.
type targetConn struct {
	side
	at        place
	born      time.Time
	kept      bool // it has served a request before this one
	continued bool // the target has sent a 1xx for the current request
	since     time.Time
}

// dial makes a connection to a target.
func (p *Proxy) dial(at place) (*targetConn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), p.config.DialTimeout)
	defer cancel()
	conn, err := p.config.Dial(ctx, at.vpc, at.address)
	if err == nil && at.serverName != "" {
		conn, err = encrypt(ctx, conn, at.serverName)
	}
	if err != nil {
		return nil, err
	}
	return &targetConn{side: http1Side(http1.NewConn(conn, p.http)), at: at, born: time.Now()}, nil
}

// encrypt starts TLS with a target. Whatever certificate the target shows is good: it is the VPC that says who has an
// address.
func encrypt(ctx context.Context, conn net.Conn, serverName string, protocols ...string) (net.Conn, error) {
	secure := tls.Client(conn, &tls.Config{ServerName: serverName, InsecureSkipVerify: true, NextProtos: protocols})
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return secure, nil
}

// sweepEvery is how often kept connections are looked through, and how long one may be kept at most.
const sweepEvery = 30 * time.Second

// pool keeps connections to targets between requests. The last one given is the first taken, so that those beyond need
// grow old and are closed.
type pool struct {
	perPlace int
	lifetime time.Duration

	mu     sync.Mutex // guards all below
	idle   map[place][]*targetConn
	timer  *time.Timer // set while connections are kept
	closed bool
}

func newPool(perPlace int, lifetime time.Duration) *pool {
	return &pool{perPlace: perPlace, lifetime: lifetime, idle: map[place][]*targetConn{}}
}

// take returns a kept connection, or nil.
func (p *pool) take(at place) *targetConn {
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
	c.kept, c.continued = true, false
	return c
}

// give keeps a connection that is between messages since now, or closes it if it is too old or enough are kept.
func (p *pool) give(c *targetConn, now time.Time) {
	c.since = now
	if !p.keep(c) {
		c.Close()
	}
}

func (p *pool) keep(c *targetConn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	conns := p.idle[c.at]
	if p.closed || len(conns) >= p.perPlace || c.since.Sub(c.born) >= p.lifetime {
		return false
	}
	p.idle[c.at] = append(conns, c)
	if p.timer == nil {
		p.timer = time.AfterFunc(sweepEvery, p.sweep)
	}
	return true
}

// sweep closes the connections that were kept unused for a whole period, and comes again if others remain.
func (p *pool) sweep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	left := 0
	for at, conns := range p.idle {
		conns = p.sweepPlace(conns)
		if left += len(conns); len(conns) == 0 {
			delete(p.idle, at)
			continue
		}
		p.idle[at] = conns
	}
	p.timer = nil
	if left > 0 && !p.closed {
		p.timer = time.AfterFunc(sweepEvery, p.sweep)
	}
}

// sweepPlace closes the first of conns, which have been kept the longest, and returns the rest.
func (p *pool) sweepPlace(conns []*targetConn) []*targetConn {
	kept := conns[:0]
	for _, c := range conns {
		if time.Since(c.since) >= sweepEvery || time.Since(c.born) >= p.lifetime {
			c.Close()
			continue
		}
		kept = append(kept, c)
	}
	clear(conns[len(kept):])
	return kept
}

// close closes all kept connections, and those still to be given.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.timer != nil {
		p.timer.Stop()
	}
	for at, conns := range p.idle {
		for _, c := range conns {
			c.Close()
		}
		delete(p.idle, at)
	}
}
