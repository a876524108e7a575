// Package node is a process's share of the data plane: it follows the store, compiles what it reads into a snapshot,
// and makes the VPCs, the resolvers, the health checks and the listeners of this host agree with it. Then it says so,
// in a report under a lease, and the control plane takes its word: a resource is ACTIVE because every node has said
// that it serves it.
package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"pergola/addressing"
	"pergola/containment"
	"pergola/dataplane"
	"pergola/dataplane/access"
	"pergola/dataplane/entrance"
	"pergola/dataplane/passthrough"
	"pergola/dataplane/proxy"
	"pergola/dataplane/target"
	"pergola/dataplane/termination"
	"pergola/fabric"
	"pergola/fabric/packetfilter"
	"pergola/lattice"
	"pergola/loadbalancer"
	"pergola/sealing"
	"pergola/snapshot"
	"pergola/store"
)

// leaseTTL is how long after a node's death the control plane still waits for its reports.
const leaseTTL = 5 * time.Second

// retryAfter is how long a node waits before it tries again to report what it could not.
const retryAfter = time.Second

// patience is how long a node makes networks, doors and load balancers before it looks at what else has changed: what
// it has not come to by then it makes afterwards, and a revocation waits no longer than that.
const patience = 250 * time.Millisecond

// objectPrefix begins the keys of the objects that a node follows.
const objectPrefix = "object/"

// Config is what a node needs.
type Config struct {
	// ID names the node in its reports; it is unique among the nodes of a deployment.
	ID     string
	Region string
	// Source is where the node learns what to serve, and reports.
	Source Source
	// Mirror is what the node keeps of objects beside the snapshot: of the kinds Mirrored, and of what else Functions
	// looks at. The node fills it.
	Mirror *store.Mirror
	Fabric Fabric
	// Box opens the credentials that requests are signed with.
	Box *sealing.Box
	// Functions invokes the Lambda functions of target groups.
	Functions proxy.Functions
	// API names the Unix socket on which the deployment's API answers those in VPCs; see Origin. "" has none.
	API string
	// ResolvConf names the file whose nameservers answer for names that are not the deployment's.
	ResolvConf string
	// RequestsPerSecond is how many requests each service takes in a second; see proxy.Config.
	RequestsPerSecond int
	// MaxConnections bounds the connections of clients; see dataplane.Config.
	MaxConnections int
	Logger         *slog.Logger
}

// Fabric is the VPC networks of the node's host, as *fabric.Fabric has them.
type Fabric interface {
	Apply(ctx context.Context, vpcs []fabric.VPC) containment.Failures[fabric.Place]
	Listen(ctx context.Context, at fabric.Place, network string, address netip.AddrPort) (net.Listener, error)
	ListenPacket(ctx context.Context, at fabric.Place, address netip.AddrPort) (net.PacketConn, error)
	Judge(vpc string, from netip.Addr, to netip.AddrPort) []packetfilter.Step
	Drops(vpc string) ([]packetfilter.Drop, error)
	Dial(ctx context.Context, from fabric.Place, local netip.Addr, remote netip.AddrPort) (net.Conn, error)
	Intercept(ctx context.Context, vpc string) (net.Listener, error)
}

// Node is a running share of the data plane.
type Node struct {
	id       string
	source   Source
	mirror   *store.Mirror
	fabric   Fabric
	log      *slog.Logger
	compiler *snapshot.Compiler
	compiled atomic.Int64
	plane    *dataplane.Plane
	guard    *access.Guard
	entrance *entrance.Entrance
	proxy    *proxy.Proxy
	targets  *target.Set
	// balancers are the load balancers of Elastic Load Balancing, which have targets of their own.
	balancers *loadbalancer.Set
	fixtures  *fixtures
	ways      *ways
	inbox     inbox
	reports   *reporter
	troubles  *troubles
	pass      *pass         // the one under way; of the goroutine that applies
	broken    chan struct{} // something has stopped that an apply starts again
	ready     chan struct{}
	isReady   sync.Once
}

// New makes a node. It serves nothing until Run.
func New(cfg Config) *Node {
	n := &Node{
		id: cfg.ID, source: cfg.Source, mirror: cfg.Mirror, fabric: cfg.Fabric, log: cfg.Logger,
		compiler: snapshot.NewCompiler(cfg.Region),
		inbox:    newInbox(),
		troubles: newTroubles(cfg.Logger),
		broken:   make(chan struct{}, 1),
		ready:    make(chan struct{}),
	}
	n.compiler.LogTo(cfg.Logger)
	n.reports = newReporter(cfg)
	n.targets = target.New(target.Config{Dial: n.dial, Logger: cfg.Logger, Changed: n.reports.wake})
	n.balancers = loadbalancer.New(loadbalancer.Config{
		Listen: n.listenAt, Dial: n.dialFrom, Changed: n.reports.wake, Logger: cfg.Logger,
		Hold: func(id string) bool {
			return n.pass.holds(part{what: balancer, vpc: n.pass.LoadBalancers.Get(id).VPC, id: id})
		},
		Open: func(c *snapshot.Certificate) (tls.Certificate, error) { return termination.Open(cfg.Box, c) },
	})
	n.guard = access.New(access.Config{Region: cfg.Region, Box: cfg.Box, Snapshot: n.current})
	n.proxy = proxy.New(proxy.Config{
		Snapshot: n.current, Guard: n.guard, Picker: picker{n.targets}, Dial: n.dial, Log: cfg.Logger,
		Functions: cfg.Functions, RequestsPerSecond: cfg.RequestsPerSecond,
	})
	n.entrance = entrance.New(entrance.Config{
		Snapshot: n.current, Requests: n.proxy, Log: cfg.Logger,
		Terminator: termination.New(termination.Config{Box: cfg.Box, Logger: cfg.Logger}),
		Relay: passthrough.New(passthrough.Config{
			Guard: n.guard, Picker: relayPicker{n.targets}, Dial: n.dial, Log: cfg.Logger,
		}),
		Resources: passthrough.NewResources(passthrough.ResourceConfig{Dial: n.dialResource, Log: cfg.Logger}),
	})
	n.plane = dataplane.New(dataplane.Config{
		Network: n, Serve: n.entrance.Serve, Logger: cfg.Logger, Closed: n.repair,
		MaxConnections: cfg.MaxConnections,
		Hold: func(at snapshot.DoorPort) bool {
			return n.pass.isDown(at.VPC) || n.pass.holds(partOf(at))
		},
	})
	n.fixtures = newFixtures(cfg, n.plane.Snapshot, n.repair)
	n.ways = &ways{fabric: cfg.Fabric, names: n.fixtures.resolver}
	return n
}

// picker lets the proxy choose among the targets of this node.
type picker struct{ targets *target.Set }

// Pick returns the target of a group that is next to receive a request.
func (p picker) Pick(group *snapshot.TargetGroup, tried ...netip.AddrPort) (proxy.Target, bool) {
	return p.targets.Pick(group, tried...)
}

// relayPicker lets the relay of TLS choose among them too.
type relayPicker struct{ targets *target.Set }

// Pick returns the target of a group that is next to receive a connection.
func (p relayPicker) Pick(group *snapshot.TargetGroup, tried ...netip.AddrPort) (passthrough.Target, bool) {
	return p.targets.Pick(group, tried...)
}

// repair asks for another apply, soon. It never blocks.
func (n *Node) repair() {
	select {
	case n.broken <- struct{}{}:
	default:
	}
}

// Ready is closed once the node has applied what the store held when it started, or has tried to: what failed is
// reported, and tried again.
func (n *Node) Ready() <-chan struct{} { return n.ready }

// Run serves until the context ends, and then lets requests in flight finish for at most a few seconds.
func (n *Node) Run(ctx context.Context) error {
	var running sync.WaitGroup
	running.Go(func() { n.reports.run(ctx, n.health) })
	running.Go(func() { n.work(ctx) })
	err := n.source.Follow(ctx, func(batch store.Batch) error {
		n.mirror.Note(batch)
		n.inbox.add(batch)
		return nil
	})
	running.Wait()
	n.close()
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("node %s: %w", n.id, err)
}

// drainAtStop is how long requests in flight may go on when the node stops.
const drainAtStop = 3 * time.Second

func (n *Node) close() {
	ctx, cancel := context.WithTimeout(context.Background(), drainAtStop)
	defer cancel()
	if err := n.plane.Close(ctx); err != nil {
		n.log.Warn("requests were cut when the node stopped", "error", err)
	}
	n.proxy.Close()
	n.targets.Close()
	n.balancers.Close()
	n.fixtures.close()
}

// work applies what arrives, as much of it at once as has arrived, and tries again what failed. It swaps in and reports
// every revision, also when an object fails: a revocation waits for nobody.
func (n *Node) work(ctx context.Context) {
	var current *snapshot.Snapshot
	again := time.NewTimer(0)
	defer again.Stop()
	for {
		retry := false
		select {
		case <-ctx.Done():
			return
		case <-n.inbox.arrived:
			current = n.compile(n.inbox.take(), current)
		case <-n.broken:
			again.Reset(shortestWait) // and not at once, for it may stop again
			continue
		case <-again.C:
			retry = true
		}
		if current == nil {
			continue
		}
		whole := n.apply(ctx, n.troubles.begin(current, retry))
		if ctx.Err() != nil {
			return
		}
		n.tell()
		again.Stop()
		if next, any := n.troubles.next(); any {
			again.Reset(time.Until(next))
		} else if !whole {
			again.Reset(shortestWait)
		}
	}
}

// tell reports what is served, and what of it is not as it should be.
func (n *Node) tell() {
	served := n.plane.Snapshot()
	if served == nil {
		return
	}
	n.reports.set(served.Revision, n.troubles.reports(served))
	if !n.troubles.untried() {
		n.isReady.Do(func() { close(n.ready) })
	}
}

// Compiled is how many snapshots have been compiled and applied.
func (n *Node) Compiled() int64 { return n.compiled.Load() }

// compile makes the next snapshot. One that cannot be made at all leaves the one before, and so does not pass for
// applied.
func (n *Node) compile(batch store.Batch, current *snapshot.Snapshot) *snapshot.Snapshot {
	n.compiled.Add(1)
	_ = containment.Do(n.log, "compiling a snapshot", func() error {
		compiled, err := n.compiler.Apply(batch.Revision, batch.Reset, changesOf(batch))
		if err != nil {
			n.log.Error("objects in the store were left out of the snapshot", "revision", batch.Revision, "error", err)
		}
		current = compiled
		return nil
	}, "revision", batch.Revision)
	return current
}

// changesOf strips the store's prefix from the keys of a batch.
func changesOf(batch store.Batch) []snapshot.Change {
	changes := make([]snapshot.Change, len(batch.Changes))
	for i, change := range batch.Changes {
		changes[i] = snapshot.Change{Key: strings.TrimPrefix(change.Key, objectPrefix), Value: change.Value}
	}
	return changes
}

// health is the health of all targets that this node checks: those of VPC Lattice and those of load balancers.
func (n *Node) health() map[string]lattice.TargetReport {
	reports := n.targets.Report()
	maps.Copy(reports, n.balancers.Report())
	return reports
}

// apply makes this host serve a snapshot: networks first, then what listens in them. Health checks begin before the
// first request can arrive, and load balancers serve before requests are forwarded to them. What ends with its network
// is told so before. Last and always the snapshot is swapped in. It reports whether it has come to its end: not if a
// fault of the node's own, which is logged, has ended one of its steps.
func (n *Node) apply(ctx context.Context, p *pass) (whole bool) {
	n.pass = p
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := errors.Join(
		n.step("ending load balancers", func() { n.balancers.Leave(p.Snapshot) }),
		n.step("making networks", func() {
			for at, err := range n.fabric.Apply(bounded, p.networks()) {
				p.fail(part{what: sortOf(at), vpc: at.VPC, id: at.Instance}, err)
			}
		}),
		n.step("starting resolvers", func() {
			hold := func(vpc string) bool { return p.isDown(vpc) || p.holds(part{what: fixed, vpc: vpc}) }
			for vpc, err := range n.fixtures.apply(bounded, p.Snapshot, hold) {
				p.fail(part{what: fixed, vpc: vpc}, err)
			}
		}),
		n.step("following target groups", func() { n.targets.Apply(p.Snapshot) }),
		n.step("making load balancers", func() {
			for id, err := range n.balancers.Apply(bounded, p.Snapshot) {
				p.fail(part{what: balancer, vpc: p.LoadBalancers.Get(id).VPC, id: id}, err)
			}
		}),
		n.step("opening doors", func() {
			n.ways.forget()
			for at, err := range n.plane.Apply(bounded, p.Snapshot) {
				p.fail(partOf(at), err)
			}
		}),
	)
	if err == nil {
		p.end()
	}
	return err == nil
}

// step is a part of applying whose panic ends it alone.
func (n *Node) step(what string, do func()) error {
	return containment.Do(n.log, what, func() error { do(); return nil })
}

func sortOf(at fabric.Place) sort {
	if at.Instance == "" {
		return network
	}
	return instance
}

// networks are the networks to make: all but those that are held. A VPC that is there is never held.
func (p *pass) networks() []fabric.VPC {
	vpcs := make([]fabric.VPC, 0, p.VPCs.Len())
	for vpc := range p.VPCs.Values() {
		if p.holds(part{what: network, vpc: vpc.ID}) {
			continue
		}
		of := fabric.VPC{ID: vpc.ID, CIDR: vpc.CIDR, Filter: vpc.Filter,
			Instances: make([]fabric.Instance, 0, len(vpc.Instances))}
		add := func(id string, address netip.Addr) {
			if !p.holds(part{what: instance, vpc: vpc.ID, id: id}) {
				of.Instances = append(of.Instances, fabric.Instance{ID: id, Address: address})
			}
		}
		for _, l := range vpc.LoadBalancers {
			for i, address := range l.Addresses {
				add(l.NodeID(i), address)
			}
		}
		for _, g := range vpc.Gateways {
			for i, address := range g.Addresses {
				add(g.NodeID(i), address)
			}
		}
		for _, instance := range vpc.Instances {
			add(instance.ID, instance.Address)
		}
		vpcs = append(vpcs, of)
	}
	return vpcs
}

// Listen opens a listener of the data plane inside a VPC.
func (n *Node) Listen(ctx context.Context, vpcID string, at snapshot.Entry, port uint16) (net.Listener, error) {
	if at.IsRange() {
		return n.fabric.Intercept(ctx, vpcID)
	}
	return n.fabric.Listen(ctx, fabric.Place{VPC: vpcID, Instance: at.Interface}, "tcp",
		netip.AddrPortFrom(at.Address, port))
}

// listenAt opens a listener of a load balancer.
func (n *Node) listenAt(ctx context.Context, at loadbalancer.Interface, port uint16) (net.Listener, error) {
	return n.fabric.Listen(ctx, fabric.Place{VPC: at.VPC, Instance: at.Instance}, "tcp", netip.AddrPortFrom(at.Address, port))
}

// dialFrom reaches a target of a load balancer, from one of that's own addresses.
func (n *Node) dialFrom(ctx context.Context, from loadbalancer.Interface, to netip.AddrPort) (net.Conn, error) {
	return n.fabric.Dial(ctx, fabric.Place{VPC: from.VPC, Instance: from.Instance}, from.Address, to)
}

// dialResource reaches a resource, from an address of its gateway.
func (n *Node) dialResource(ctx context.Context, r *snapshot.Resource, port uint16) (net.Conn, error) {
	return n.ways.dial(ctx, r, port)
}

// dial reaches a target, from the address that is kept for that in every VPC.
func (n *Node) dial(ctx context.Context, vpcID string, address netip.AddrPort) (net.Conn, error) {
	local := addressing.Source
	if address.Addr().Is6() {
		local = addressing.Spell(addressing.ServiceNetworks6, local)
	}
	return n.fabric.Dial(ctx, fabric.Place{VPC: vpcID}, local, address)
}

// Resolve answers for a name as the VPC's resolver would, for clients that cannot ask it.
func (n *Node) Resolve(_ context.Context, vpcID, name string) ([]netip.Addr, error) {
	if n.plane.Snapshot() != nil {
		if found := n.fixtures.resolver.Addresses(vpcID, name); len(found) > 0 {
			return found, nil
		}
	}
	return nil, fmt.Errorf("%s: no service or resource of that name can be reached from %s; associate it and the VPC "+
		"with one service network", name, vpcID)
}

// VPCOf returns the VPC of an instance, or the VPC itself for its own id. It knows those that this node has made.
func (n *Node) VPCOf(id string) (string, error) {
	vpc, err := vpcOf(n.plane.Snapshot(), id)
	if err != nil {
		return "", err
	}
	return vpc.ID, nil
}

func vpcOf(s *snapshot.Snapshot, id string) (*snapshot.VPC, error) {
	if s == nil {
		return nil, fmt.Errorf("%s: the node is not ready yet", id)
	}
	if vpc := s.VPCs.Get(id); vpc != nil {
		return vpc, nil
	}
	for vpc := range s.VPCs.Values() {
		if isInstance(vpc, id) {
			return vpc, nil
		}
	}
	return nil, fmt.Errorf("%s: no such VPC or instance; list them with: aws ec2 describe-vpcs, aws ec2 "+
		"describe-instances", id)
}
