package passthrough

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"pergola/dataplane/record"
	"pergola/snapshot"
)

// ResourceIdle is how long a connection to a resource may be idle. It may have any age (user guide, "Quotas").
const ResourceIdle = 350 * time.Second

// resourceDialTimeout is how long a resource may take to accept a connection.
const resourceDialTimeout = 10 * time.Second

// noLifetime is the lifetime of a connection that may have any age.
const noLifetime = 1<<63 - 1

// ResourceConfig is what a Resources needs. Dial is required.
type ResourceConfig struct {
	// Dial connects to a resource on a port, from one of the addresses of its gateway.
	Dial func(ctx context.Context, r *snapshot.Resource, port uint16) (net.Conn, error)
	// Record is called at the end of each connection that met a resource, on its goroutine. nil records nothing.
	Record func(*record.Record)
	// Log receives what an operator should know. nil means slog.Default.
	Log *slog.Logger
	// Idle is how long a connection may be idle. 0 means ResourceIdle.
	Idle time.Duration
}

// Resources carries connections to resources: bytes both ways, of any protocol. Nobody is asked who may connect but the
// security groups on the way, and what the two ends say to each other is not looked at.
type Resources struct {
	config  ResourceConfig
	buffers sync.Pool // of *buffer
}

// NewResources returns a Resources.
func NewResources(config ResourceConfig) *Resources {
	if config.Log == nil {
		config.Log = slog.Default()
	}
	if config.Idle <= 0 {
		config.Idle = ResourceIdle
	}
	r := &Resources{config: config}
	r.buffers.New = func() any { return new(buffer) }
	return r
}

// Serve serves a connection from a VPC until it ends, and closes it. The local address of the connection is the one
// that the client has connected to. One that is no resource's, or a port that the resource does not have, is refused as
// a connection to it would be: by a reset. When cut ends, the connection is broken off.
func (r *Resources) Serve(cut context.Context, conn net.Conn, vpc *snapshot.VPC) {
	defer conn.Close()
	at := addressOf(conn.LocalAddr())
	reach, network := vpc.Reach(at.Addr())
	if reach == nil || !reach.HasPort(at.Port()) {
		reset(conn)
		return
	}
	of := &record.Record{Protocol: record.TCP, Start: time.Now(), Client: remoteAddress(conn), VPC: vpc, Network: network,
		Resource: &record.Resource{Reach: reach, Destination: at}}
	defer func() {
		if r.config.Record != nil {
			of.Duration = time.Since(of.Start)
			r.config.Record(of)
		}
	}()
	to, err := r.dial(cut, reach.Resource, at.Port())
	if err != nil {
		r.config.Log.Debug("cannot connect to a resource", "resource", reach.ID, "port", at.Port(), "error", err)
		of.Failure = record.TargetConnectionError
		reset(conn)
		return
	}
	of.Target, of.Resource.Gateway = remoteAddress(to), addressOf(to.LocalAddr())
	r.carry(cut, conn, to, of)
}

func (r *Resources) dial(cut context.Context, to *snapshot.Resource, port uint16) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(cut, resourceDialTimeout)
	defer cancel()
	return r.config.Dial(ctx, to, port)
}

// carry carries bytes both ways until both directions are at their end, or nothing has moved for too long.
func (r *Resources) carry(cut context.Context, client, to net.Conn, of *record.Record) {
	l := newLink(client, to, of.Start, r.config.Log)
	l.patient = true
	defer l.close("")
	l.watch(r.config.Idle, noLifetime)
	defer context.AfterFunc(cut, func() { l.close("") })()
	there, back := newFlow(l, &r.buffers, client, to), newFlow(l, &r.buffers, to, client)
	var returning sync.WaitGroup
	returning.Go(func() { back.run(record.TargetConnectionClosed, record.ClientConnectionClosed) })
	there.run(record.ClientConnectionClosed, record.TargetConnectionClosed)
	returning.Wait()
	noteLink(of, there, back, l)
}

// reset closes a connection so that the client sees an error and not an end.
func reset(conn net.Conn) {
	if tcp, ok := conn.(interface{ SetLinger(int) error }); ok {
		_ = tcp.SetLinger(0) // it is closed either way
	}
	_ = conn.Close()
}

func addressOf(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	address := tcp.AddrPort()
	return netip.AddrPortFrom(address.Addr().Unmap(), address.Port())
}
