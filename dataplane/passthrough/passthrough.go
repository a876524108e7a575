// Package passthrough carries connections whose TLS ends at the target: authorise, pick, dial, and then bytes both ways
// until one side has enough. This file is that path; flow.go carries the bytes, link.go ends the connection in time, and
// record.go records it in the end. resource.go is the shorter path of connections to resources.
//
// Nothing of what passes can be read, so a listener that passes TLS through has its default rule alone, and callers are
// anonymous (user guide, "TLS listeners").
package passthrough

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	"pergola/dataplane/access"
	"pergola/dataplane/clienthello"
	"pergola/dataplane/record"
	"pergola/snapshot"
)

// Defaults of a Config, and the idle timeout of a service that has none. The lifetime is that of the user guide, "TLS
// listeners", the idle timeout that of its quotas.
const (
	DefaultLifetime    = 10 * time.Minute
	DefaultDialTimeout = 2 * time.Second
	DefaultIdleTimeout = time.Minute
)

const (
	// maxTries is how many targets are tried before a connection is given up.
	maxTries = 16
	// moreTries is how long after the first target could not be reached others are tried: it allows two more that are
	// silent, and all that refuse.
	moreTries = 3 * time.Second
)

// Target is a target that was picked for one connection.
type Target interface {
	// Address is where the target listens, in the VPC of its target group.
	Address() netip.AddrPort
	// Unreachable says that no connection to the target could be made, so that others are picked until one can be.
	Unreachable()
	// Reached says that a connection to the target was made.
	Reached()
	// Done says that the connection no longer occupies the target.
	Done()
}

// Picker chooses targets. It must be safe for concurrent use.
type Picker interface {
	// Pick returns the target of a group that is next to receive a connection, at none of the addresses that were tried
	// before, or false if there is none.
	Pick(of *snapshot.TargetGroup, tried ...netip.AddrPort) (Target, bool)
}

// Guard decides which connections may pass. It must be safe for concurrent use.
type Guard interface {
	// AuthorizeConnection decides about one connection.
	AuthorizeConnection(*access.Connection) access.Decision
}

// Config is what a Relay needs. Guard, Picker and Dial are required.
type Config struct {
	// Guard decides which connections may pass.
	Guard Guard
	// Picker chooses targets.
	Picker Picker
	// Dial connects to an address in a VPC.
	Dial func(ctx context.Context, vpc string, address netip.AddrPort) (net.Conn, error)
	// Record is called at the end of each connection, on its goroutine. nil records nothing.
	Record func(*record.Record)
	// Log receives what an operator should know. nil means slog.Default.
	Log *slog.Logger
	// Random is the source of choices between weighted target groups; it must be safe for concurrent use. nil means
	// math/rand/v2, which is seeded by the system.
	Random func() uint64
	// Lifetime is the age at which a connection is ended. 0 means DefaultLifetime.
	Lifetime time.Duration
	// DialTimeout bounds each attempt to connect to a target. 0 means DefaultDialTimeout.
	DialTimeout time.Duration
}

// Relay carries connections. It has nothing to close: it is at rest when no Serve is under way.
type Relay struct {
	config  Config
	buffers sync.Pool // of *buffer
}

// New returns a Relay.
func New(config Config) *Relay {
	if config.Log == nil {
		config.Log = slog.Default()
	}
	if config.Random == nil {
		config.Random = rand.Uint64
	}
	if config.Lifetime <= 0 {
		config.Lifetime = DefaultLifetime
	}
	if config.DialTimeout <= 0 {
		config.DialTimeout = DefaultDialTimeout
	}
	r := &Relay{config: config}
	r.buffers.New = func() any { return new(buffer) }
	return r
}

// Arrival is where a connection came from and what it met.
type Arrival struct {
	// VPC is where the connection comes from, and Network what the door leads to through which it came.
	VPC     *snapshot.VPC
	Network *snapshot.Network
	// Listener is the TLS_PASSTHROUGH listener that has the server name.
	Listener *snapshot.Listener
	// Hello is what the client said.
	Hello clienthello.Hello
}

// Serve serves a connection until it ends, and closes it. The connection is as clienthello.Peek returned it, so that the
// target sees all that the client says. When cut ends, it is broken off. There is no way to ask for an end in good order,
// because only the two ends could be asked: what is under way goes on until one of them, its idle time or its lifetime
// ends it.
func (r *Relay) Serve(cut context.Context, conn net.Conn, arrival Arrival) {
	defer conn.Close()
	c := newConnection(r, conn, arrival)
	defer c.finish()
	if !c.authorise() {
		return
	}
	c.record.Rule = &arrival.Listener.Rules[len(arrival.Listener.Rules)-1]
	c.record.TargetGroup = c.record.Rule.Action.Choose(r.config.Random())
	if !c.connect(cut) {
		clienthello.Refuse(c.client, clienthello.InternalError)
		return
	}
	defer c.target.Done()
	c.carry(cut)
}

// connection is one connection on its way.
type connection struct {
	relay  *Relay
	head   []byte   // what the client has said so far, and the target has not heard
	client net.Conn // goes on behind head
	target Target
	to     net.Conn
	record record.Record
}

func newConnection(r *Relay, conn net.Conn, arrival Arrival) *connection {
	c := &connection{relay: r, client: conn}
	if peeked, ok := conn.(*clienthello.Conn); ok {
		c.head, c.client = peeked.Detach()
	}
	c.record = record.Record{
		Protocol: record.TLS, Start: time.Now(),
		Client: remoteAddress(conn), VPC: arrival.VPC, Network: arrival.Network, Listener: arrival.Listener,
		ServerName:    arrival.Hello.ServerName,
		BytesReceived: int64(len(c.head)),
	}
	return c
}

func remoteAddress(conn net.Conn) netip.AddrPort { return addressOf(conn.RemoteAddr()) }

// authorise asks the guard, and turns away whom it does not let pass.
func (c *connection) authorise() bool {
	r := &c.record
	decision := c.relay.config.Guard.AuthorizeConnection(&access.Connection{
		VPC: r.VPC, Network: r.Network, Listener: r.Listener, Client: r.Client.Addr(),
	})
	switch {
	case decision.Allowed:
		return true
	case decision.Err != nil:
		c.relay.config.Log.Error("a connection could not be authorised", "service", r.Listener.Service.ID, "error", decision.Err)
		r.Failure = record.InternalError
		clienthello.Refuse(c.client, clienthello.InternalError)
	default:
		r.DeniedBy, r.Failure = decision.DeniedBy, record.ClientAccessDenied
		clienthello.Refuse(c.client, clienthello.AccessDenied)
	}
	return false
}

// connect connects to a target of the group, and tries others where one cannot be reached. The target is occupied then.
func (c *connection) connect(cut context.Context) bool {
	config, r := &c.relay.config, &c.record
	r.Failure = record.TargetConnectionError
	var failed time.Time // when a target could not be reached first
	var tried []netip.AddrPort
	for len(tried) < maxTries && (failed.IsZero() || time.Since(failed) <= moreTries) {
		if r.TargetGroup == nil || cut.Err() != nil {
			return false
		}
		target, ok := config.Picker.Pick(r.TargetGroup, tried...)
		if !ok {
			return false
		}
		r.Target = target.Address()
		tried = append(tried, r.Target)
		to, err := c.dial(cut)
		if err == nil {
			target.Reached()
			c.target, c.to, r.Failure = target, to, ""
			return true
		}
		if cut.Err() == nil {
			target.Unreachable()
		}
		target.Done()
		if failed.IsZero() {
			failed = time.Now()
		}
		config.Log.Debug("cannot connect to a target", "targetGroup", r.TargetGroup.ID, "target", r.Target, "error", err)
	}
	return false
}

func (c *connection) dial(cut context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(cut, c.relay.config.DialTimeout)
	defer cancel()
	return c.relay.config.Dial(ctx, c.record.TargetGroup.VPC, c.record.Target)
}

// carry carries bytes both ways until both directions are at their end or the link is.
func (c *connection) carry(cut context.Context) {
	idle := c.record.Listener.Service.IdleTimeout
	if idle <= 0 {
		idle = DefaultIdleTimeout
	}
	l := newLink(c.client, c.to, c.record.Start, c.relay.config.Log)
	defer l.close("")
	l.watch(idle, c.relay.config.Lifetime)
	defer context.AfterFunc(cut, func() { l.close("") })()
	there := newFlow(l, &c.relay.buffers, c.client, c.to)
	back := newFlow(l, &c.relay.buffers, c.to, c.client)
	var returning sync.WaitGroup
	returning.Go(func() { back.run(record.TargetConnectionClosed, record.ClientConnectionClosed) })
	if there.begin(c.head) {
		c.head = nil
		there.run(record.ClientConnectionClosed, record.TargetConnectionClosed)
	}
	returning.Wait()
	noteLink(&c.record, there, back, l)
}
