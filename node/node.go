// Package node is a process's share of the data plane: it follows the store, compiles what it reads into a snapshot,
// and makes the VPCs, the resolvers, the health checks and the listeners of this host agree with it. Then it says so,
// in a report under a lease, and the control plane takes its word: a resource is ACTIVE because every node has said
// that it serves it.
package node

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"pergola/dataplane"
	"pergola/dataplane/access"
	"pergola/dataplane/entrance"
	"pergola/dataplane/passthrough"
	"pergola/dataplane/proxy"
	"pergola/dataplane/target"
	"pergola/dataplane/termination"
	"pergola/fabric"
	"pergola/lattice"
	"pergola/loadbalancer"
	"pergola/sealing"
	"pergola/snapshot"
	"pergola/store"
)

// leaseTTL is how long after a node's death the control plane still waits for its reports.
const leaseTTL = 5 * time.Second

// retryAfter is how long a node waits before it tries again to apply what it could not.
const retryAfter = time.Second

// Config is what a node needs.
type Config struct {
	// ID names the node in its reports; it is unique among the nodes of a deployment.
	ID     string
	Region string
	Store  *store.Store
	Fabric *fabric.Fabric
	// Box opens the credentials that requests are signed with.
	Box *sealing.Box
	// Functions invokes the Lambda functions of target groups.
	Functions proxy.Functions
	// API names the Unix socket on which the deployment's API answers those in VPCs; see Source. "" has none.
	API string
	// ResolvConf names the file whose nameservers answer for names that are not the deployment's.
	ResolvConf string
	// RequestsPerSecond is how many requests each service takes in a second; see proxy.Config.
	RequestsPerSecond int
	Logger            *slog.Logger
}

// Node is a running share of the data plane.
type Node struct {
	id       string
	store    *store.Store
	fabric   *fabric.Fabric
	log      *slog.Logger
	compiler *snapshot.Compiler
	plane    *dataplane.Plane
	guard    *access.Guard
	entrance *entrance.Entrance
	proxy    *proxy.Proxy
	targets  *target.Set
	// balancers are the load balancers of Elastic Load Balancing, which have targets of their own.
	balancers *loadbalancer.Set
	fixtures  *fixtures
	inbox     inbox
	reports   *reporter
	ready     chan struct{}
	isReady   sync.Once
}

// New makes a node. It serves nothing until Run.
func New(cfg Config) *Node {
	n := &Node{
		id: cfg.ID, store: cfg.Store, fabric: cfg.Fabric, log: cfg.Logger,
		compiler: snapshot.NewCompiler(cfg.Region),
		inbox:    newInbox(),
		ready:    make(chan struct{}),
	}
	n.reports = newReporter(cfg)
	n.targets = target.New(target.Config{Dial: n.dial, Logger: cfg.Logger, Changed: n.reports.wake})
	n.balancers = loadbalancer.New(loadbalancer.Config{
		Listen: n.listenAt, Dial: n.dialFrom, Changed: n.reports.wake, Logger: cfg.Logger,
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
	})
	n.plane = dataplane.New(dataplane.Config{Network: n, Serve: n.entrance.Serve, Logger: cfg.Logger})
	n.fixtures = newFixtures(cfg, n.plane.Snapshot)
	return n
}

// picker lets the proxy choose among the targets of this node.
type picker struct{ targets *target.Set }

// Pick returns the target of a group that is next to receive a request.
func (p picker) Pick(group *snapshot.TargetGroup) (proxy.Target, bool) { return p.targets.Pick(group) }

// relayPicker lets the relay of TLS choose among them too.
type relayPicker struct{ targets *target.Set }

// Pick returns the target of a group that is next to receive a connection.
func (p relayPicker) Pick(group *snapshot.TargetGroup) (passthrough.Target, bool) {
	return p.targets.Pick(group)
}

// Ready is closed once the node has applied everything that the store held when it started.
func (n *Node) Ready() <-chan struct{} { return n.ready }

// Run serves until the context ends, and then lets requests in flight finish for at most a few seconds.
func (n *Node) Run(ctx context.Context) error {
	var running sync.WaitGroup
	running.Go(func() { n.reports.run(ctx, n.health) })
	running.Go(func() { n.work(ctx) })
	err := n.store.Follow(ctx, "object/", func(batch store.Batch) error {
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

// work applies what arrives, as much of it at once as has arrived, and tries again what failed.
func (n *Node) work(ctx context.Context) {
	var (
		current *snapshot.Snapshot
		retry   <-chan time.Time
	)
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.inbox.arrived:
			batch := n.inbox.take()
			compiled, err := n.compiler.Apply(batch.Revision, batch.Reset, changesOf(batch))
			if err != nil {
				n.log.Error("objects in the store were left out of the snapshot", "revision", batch.Revision, "error", err)
			}
			current = compiled
		case <-retry:
		}
		retry = nil
		if err := n.apply(ctx, current); err != nil {
			if ctx.Err() != nil {
				return
			}
			n.log.Error("the node could not apply a snapshot and will try again", "revision", current.Revision, "error", err)
			retry = time.After(retryAfter)
			continue
		}
		n.reports.setApplied(current.Revision)
		n.isReady.Do(func() { close(n.ready) })
	}
}

// changesOf strips the store's prefix from the keys of a batch.
func changesOf(batch store.Batch) []snapshot.Change {
	changes := make([]snapshot.Change, len(batch.Changes))
	for i, change := range batch.Changes {
		changes[i] = snapshot.Change{Key: strings.TrimPrefix(change.Key, "object/"), Value: change.Value}
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
// first request can arrive, and load balancers serve before requests are forwarded
// to them. What ends with its network is told so before.
func (n *Node) apply(ctx context.Context, s *snapshot.Snapshot) error {
	n.balancers.Leave(s)
	if err := n.fabric.Apply(ctx, networksOf(s)); err != nil {
		return err
	}
	if err := n.fixtures.apply(ctx, s); err != nil {
		return err
	}
	n.targets.Apply(s)
	if err := n.balancers.Apply(ctx, s); err != nil {
		return err
	}
	return n.plane.Apply(ctx, s)
}

func networksOf(s *snapshot.Snapshot) []fabric.VPC {
	vpcs := make([]fabric.VPC, 0, len(s.VPCs))
	balancers := map[string][]fabric.Instance{}
	for l := range maps.Values(s.LoadBalancers) {
		for i, address := range l.Addresses {
			balancers[l.VPC] = append(balancers[l.VPC], fabric.Instance{ID: l.NodeID(i), Address: address})
		}
	}
	for vpc := range maps.Values(s.VPCs) {
		network := fabric.VPC{ID: vpc.ID, CIDR: vpc.CIDR, Instances: balancers[vpc.ID]}
		for _, instance := range vpc.Instances {
			network.Instances = append(network.Instances, fabric.Instance{ID: instance.ID, Address: instance.Address})
		}
		vpcs = append(vpcs, network)
	}
	return vpcs
}

// Listen opens a listener of the data plane inside a VPC.
func (n *Node) Listen(ctx context.Context, vpcID string, address netip.AddrPort) (net.Listener, error) {
	return n.fabric.Listen(ctx, fabric.Place{VPC: vpcID}, "tcp", address)
}

// listenAt opens a listener of a load balancer.
func (n *Node) listenAt(ctx context.Context, at loadbalancer.Place, port uint16) (net.Listener, error) {
	return n.fabric.Listen(ctx, fabric.Place{VPC: at.VPC, Instance: at.Instance}, "tcp", netip.AddrPortFrom(at.Address, port))
}

// dialFrom reaches a target of a load balancer, from one of that's own addresses.
func (n *Node) dialFrom(ctx context.Context, from loadbalancer.Place, to netip.AddrPort) (net.Conn, error) {
	return n.fabric.Dial(ctx, fabric.Place{VPC: from.VPC, Instance: from.Instance}, from.Address, to)
}

// dial reaches a target, from the address at which the target's VPC sees the service network.
func (n *Node) dial(ctx context.Context, vpcID string, address netip.AddrPort) (net.Conn, error) {
	local := snapshot.ServiceAddress
	if address.Addr().Is6() {
		local = snapshot.ServiceAddress6
	}
	return n.fabric.Dial(ctx, fabric.Place{VPC: vpcID}, local, address)
}

// Resolve answers for a name as the VPC's resolver would, for clients that cannot ask it.
func (n *Node) Resolve(_ context.Context, vpcID, name string) ([]netip.Addr, error) {
	s := n.plane.Snapshot()
	if s != nil {
		vpc := s.VPCs[vpcID]
		if l := vpc.LoadBalancer([]byte(name)); l != nil {
			return l.Addresses, nil
		}
		if vpc != nil && vpc.Network.Service([]byte(name)) != nil {
			return []netip.Addr{snapshot.ServiceAddress}, nil
		}
	}
	return nil, fmt.Errorf("%s: no service of that name can be reached from %s; associate the service and the VPC with one service network", name, vpcID)
}

// VPCOf returns the VPC of an instance, or the VPC itself for its own id. It knows those that this node has made.
func (n *Node) VPCOf(id string) (string, error) {
	s := n.plane.Snapshot()
	if s == nil {
		return "", fmt.Errorf("%s: the node is not ready yet", id)
	}
	if _, ok := s.VPCs[id]; ok {
		return id, nil
	}
	for _, vpc := range s.VPCs {
		for _, instance := range vpc.Instances {
			if instance.ID == id {
				return vpc.ID, nil
			}
		}
	}
	return "", fmt.Errorf("%s: no such VPC or instance; list them with: aws ec2 describe-vpcs, aws ec2 describe-instances", id)
}
