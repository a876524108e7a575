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
	"sync/atomic"

	"pergola/addressing"
	"pergola/containment"
	"pergola/dns"
	"pergola/fabric"
	"pergola/metadata"
	"pergola/snapshot"
)

// everyResolver is the address at which, besides its own, every VPC's resolver answers.
var everyResolver = netip.MustParseAddr("169.254.169.253")

// fixtures are what AWS keeps in every VPC, its DNS resolver and the instance metadata service, and a way to its API.
type fixtures struct {
	resolver *dns.Server
	metadata *metadata.Server
	api      *inward
	fabric   Fabric
	log      *slog.Logger
	running  sync.WaitGroup
	open     map[string]*fixture // by VPC
	broken   func()              // called when something has stopped that should run
}

// fixture is what runs in one VPC.
type fixture struct {
	ctx     context.Context // ends with the fixture
	cancel  context.CancelFunc
	sockets []io.Closer
	broken  atomic.Bool // something of it has stopped
}

func newFixtures(cfg Config, current func() *snapshot.Snapshot, broken func()) *fixtures {
	forwarder := dns.NewForwarder(dns.ForwarderConfig{ResolvConf: cfg.ResolvConf})
	instances := instances{cfg.Region, current, cfg.Mirror, cfg.Box, cfg.Logger}
	return &fixtures{
		resolver: dns.New(dns.Config{Region: cfg.Region, Snapshot: current, Forward: forwarder.Forward, Logger: cfg.Logger}),
		metadata: metadata.New(metadata.Config{
			Region: cfg.Region, Describe: instances.describe, Credentials: instances.credentials, Logger: cfg.Logger,
		}),
		api: newInward(cfg), fabric: cfg.Fabric, log: cfg.Logger, open: map[string]*fixture{}, broken: broken,
	}
}

// apply starts what new VPCs need and stops what was in those that are gone, or is broken. It leaves alone the VPCs
// that hold says. What failed is in the result by VPC; all else runs.
func (f *fixtures) apply(ctx context.Context, s *snapshot.Snapshot,
	hold func(vpc string) bool) (failed containment.Failures[string]) {
	for id, open := range f.open {
		if s.VPCs.Get(id) == nil || open.broken.Load() {
			f.stop(id)
		}
	}
	for id, vpc := range s.VPCs.All() {
		if f.open[id] != nil || hold(id) {
			continue
		}
		if !failed.Try(ctx, f.log, "starting a resolver", id, func() error { return f.start(ctx, vpc) }) {
			f.stop(id)
		}
	}
	return failed
}

func (f *fixtures) start(ctx context.Context, vpc *snapshot.VPC) error {
	opened := &fixture{}
	opened.ctx, opened.cancel = context.WithCancel(context.WithoutCancel(ctx))
	f.open[vpc.ID] = opened
	for _, address := range []netip.Addr{addressing.Resolver(vpc.CIDR), everyResolver} {
		port := netip.AddrPortFrom(address, 53)
		packets, err := f.fabric.ListenPacket(ctx, fabric.Place{VPC: vpc.ID}, port)
		if err != nil {
			return fmt.Errorf("resolver: %w", err)
		}
		f.run(vpc.ID, opened, packets, func() error { return f.resolver.ServePacket(opened.ctx, vpc.ID, packets) })
		stream, err := f.fabric.Listen(ctx, fabric.Place{VPC: vpc.ID}, "tcp", port)
		if err != nil {
			return fmt.Errorf("resolver: %w", err)
		}
		f.run(vpc.ID, opened, stream, func() error { return f.resolver.ServeStream(opened.ctx, vpc.ID, stream) })
	}
	listener, err := f.fabric.Listen(ctx, fabric.Place{VPC: vpc.ID}, "tcp", metadata.Address)
	if err != nil {
		return fmt.Errorf("metadata service: %w", err)
	}
	f.run(vpc.ID, opened, listener, func() error { return f.metadata.Serve(opened.ctx, vpc.ID, listener) })
	if f.api == nil {
		return nil
	}
	api, err := f.fabric.Listen(ctx, fabric.Place{VPC: vpc.ID}, "tcp", APIAddress)
	if err != nil {
		return fmt.Errorf("API: %w", err)
	}
	f.run(vpc.ID, opened, api, func() error { return f.api.serve(opened.ctx, vpc.ID, api) })
	return nil
}

// run serves one socket until the VPC goes. When that ends before, the next apply starts all of the VPC's anew.
func (f *fixtures) run(vpcID string, of *fixture, socket io.Closer, serve func() error) {
	of.sockets = append(of.sockets, socket)
	f.running.Go(func() {
		err := containment.Do(f.log, "the resolver, the metadata service or the API of a VPC", serve, "vpc", vpcID)
		if of.ctx.Err() != nil {
			return
		}
		if err != nil && !errors.Is(err, net.ErrClosed) {
			f.log.Error("the resolver, the metadata service or the API of a VPC has stopped", "vpc", vpcID, "error", err)
		}
		of.broken.Store(true)
		f.broken()
	})
}

func (f *fixtures) stop(vpcID string) {
	open := f.open[vpcID]
	if open == nil {
		return
	}
	open.cancel()
	for _, socket := range open.sockets {
		_ = socket.Close() // its server may have closed it
	}
	delete(f.open, vpcID)
}

func (f *fixtures) close() {
	for id := range f.open {
		f.stop(id)
	}
	f.running.Wait()
}
