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
	fabric   *fabric.Fabric
	log      *slog.Logger
	running  sync.WaitGroup
	open     map[string]*fixture // by VPC
}

// fixture is what runs in one VPC.
type fixture struct {
	cancel  context.CancelFunc
	sockets []io.Closer
}

func newFixtures(cfg Config, current func() *snapshot.Snapshot) *fixtures {
	forwarder := dns.NewForwarder(dns.ForwarderConfig{ResolvConf: cfg.ResolvConf})
	instances := instances{cfg.Region, cfg.Store, cfg.Box, cfg.Logger}
	return &fixtures{
		resolver: dns.New(dns.Config{Region: cfg.Region, Snapshot: current, Forward: forwarder.Forward, Logger: cfg.Logger}),
		metadata: metadata.New(metadata.Config{
			Region: cfg.Region, Describe: instances.describe, Credentials: instances.credentials, Logger: cfg.Logger,
		}),
		api: newInward(cfg), fabric: cfg.Fabric, log: cfg.Logger, open: map[string]*fixture{},
	}
}

// apply starts what new VPCs need and stops what was in those that are gone.
func (f *fixtures) apply(ctx context.Context, s *snapshot.Snapshot) error {
	for id := range f.open {
		if s.VPCs[id] == nil {
			f.stop(id)
		}
	}
	for id, vpc := range s.VPCs {
		if f.open[id] != nil {
			continue
		}
		if err := f.start(ctx, vpc); err != nil {
			f.stop(id)
			return fmt.Errorf("resolver, metadata service and API of %s: %w", id, err)
		}
	}
	return nil
}

func (f *fixtures) start(ctx context.Context, vpc *snapshot.VPC) error {
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f.open[vpc.ID] = &fixture{cancel: cancel}
	own := vpc.CIDR.Addr().Next().Next()
	for _, address := range []netip.Addr{own, everyResolver} {
		port := netip.AddrPortFrom(address, 53)
		packets, err := f.fabric.ListenPacket(ctx, fabric.Place{VPC: vpc.ID}, port)
		if err != nil {
			return err
		}
		f.run(vpc.ID, packets, func() error { return f.resolver.ServePacket(running, vpc.ID, packets) })
		stream, err := f.fabric.Listen(ctx, fabric.Place{VPC: vpc.ID}, "tcp", port)
		if err != nil {
			return err
		}
		f.run(vpc.ID, stream, func() error { return f.resolver.ServeStream(running, vpc.ID, stream) })
	}
	listener, err := f.fabric.Listen(ctx, fabric.Place{VPC: vpc.ID}, "tcp", metadata.Address)
	if err != nil {
		return err
	}
	f.run(vpc.ID, listener, func() error { return f.metadata.Serve(running, vpc.ID, listener) })
	if f.api == nil {
		return nil
	}
	door, err := f.fabric.Listen(ctx, fabric.Place{VPC: vpc.ID}, "tcp", APIAddress)
	if err != nil {
		return err
	}
	f.run(vpc.ID, door, func() error { return f.api.serve(running, vpc.ID, door) })
	return nil
}

// run serves one socket until the VPC goes.
func (f *fixtures) run(vpcID string, socket io.Closer, serve func() error) {
	f.open[vpcID].sockets = append(f.open[vpcID].sockets, socket)
	f.running.Go(func() {
		if err := serve(); err != nil && !errors.Is(err, net.ErrClosed) {
			f.log.Error("the resolver, the metadata service or the API of a VPC has stopped", "vpc", vpcID, "error", err)
		}
	})
}

func (f *fixtures) stop(vpcID string) {
	f.open[vpcID].cancel()
	for _, socket := range f.open[vpcID].sockets {
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
