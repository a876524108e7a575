package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"

	"pergola/dns"
	"pergola/fabric"
	"pergola/snapshot"
)

// everyResolver is the address at which, besides its own, every VPC's resolver answers.
var everyResolver = netip.MustParseAddr("169.254.169.253")

// resolvers runs a DNS resolver in every VPC.
type resolvers struct {
	server  *dns.Server
	fabric  *fabric.Fabric
	log     *slog.Logger
	running sync.WaitGroup
	open    map[string][]io.Closer // the sockets of a VPC's resolver, by VPC
}

func newResolvers(cfg Config, current func() *snapshot.Snapshot) *resolvers {
	forwarder := dns.NewForwarder(dns.ForwarderConfig{ResolvConf: cfg.ResolvConf})
	return &resolvers{
		server: dns.New(dns.Config{Region: cfg.Region, Snapshot: current, Forward: forwarder.Forward, Logger: cfg.Logger}),
		fabric: cfg.Fabric, log: cfg.Logger, open: map[string][]io.Closer{},
	}
}

// apply starts resolvers in new VPCs and stops those of VPCs that are gone.
func (r *resolvers) apply(ctx context.Context, s *snapshot.Snapshot) error {
	for id := range r.open {
		if s.VPCs[id] == nil {
			r.stop(id)
		}
	}
	for id, vpc := range s.VPCs {
		if r.open[id] != nil {
			continue
		}
		if err := r.start(ctx, vpc); err != nil {
			r.stop(id)
			return fmt.Errorf("resolver of %s: %w", id, err)
		}
	}
	return nil
}

func (r *resolvers) start(ctx context.Context, vpc *snapshot.VPC) error {
	place := fabric.Place{VPC: vpc.ID}
	own := vpc.CIDR.Addr().Next().Next()
	for _, address := range []netip.Addr{own, everyResolver} {
		port := netip.AddrPortFrom(address, 53)
		packets, err := r.fabric.ListenPacket(ctx, place, port)
		if err != nil {
			return err
		}
		r.open[vpc.ID] = append(r.open[vpc.ID], packets)
		r.run(vpc.ID, func() error { return r.server.ServePacket(context.WithoutCancel(ctx), vpc.ID, packets) })
		stream, err := r.fabric.Listen(ctx, place, "tcp", port)
		if err != nil {
			return err
		}
		r.open[vpc.ID] = append(r.open[vpc.ID], stream)
		r.run(vpc.ID, func() error { return r.server.ServeStream(context.WithoutCancel(ctx), vpc.ID, stream) })
	}
	return nil
}

// run serves one socket until it is closed.
func (r *resolvers) run(vpcID string, serve func() error) {
	r.running.Go(func() {
		if err := serve(); err != nil && !errors.Is(err, net.ErrClosed) {
			r.log.Error("a resolver has stopped", "vpc", vpcID, "error", err)
		}
	})
}

func (r *resolvers) stop(vpcID string) {
	for _, socket := range r.open[vpcID] {
		_ = socket.Close()
	}
	delete(r.open, vpcID)
}

func (r *resolvers) close() {
	for id := range r.open {
		r.stop(id)
	}
	r.running.Wait()
}
