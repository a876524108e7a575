package node_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"pergola/addressing"
	"pergola/aws/ec2"
	"pergola/aws/elbv2"
	"pergola/aws/iam"
	"pergola/containment"
	"pergola/control"
	ec2control "pergola/control/ec2"
	elbcontrol "pergola/control/elbv2"
	"pergola/control/operation"
	"pergola/control/settling"
	"pergola/fabric"
	"pergola/lattice"
	"pergola/node"
	"pergola/sealing"
	"pergola/store"
)

func TestMain(m *testing.M) {
	fabric.Main()
	goleak.VerifyTestMain(m)
}

const (
	region  = "us-west-2"
	account = "100000000001"
	// patience bounds every wait; a test that reaches it has failed.
	patience = 60 * time.Second
)

// faulty is a fabric that can fail in each of its operations: fault decides, by what is to be made, such as "vpc-1",
// "vpc-1/i-1" or "vpc-1 169.254.171.1:80". It may also panic, or wait until ctx ends.
type faulty struct {
	*fabric.Fabric

	mu    sync.Mutex // guards what follows
	fault func(ctx context.Context, what string) error
	made  map[fabric.Place]bool
}

func (f *faulty) set(fault func(ctx context.Context, what string) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

func (f *faulty) fails(ctx context.Context, what string) error {
	f.mu.Lock()
	fault := f.fault
	f.mu.Unlock()
	if fault == nil {
		return nil
	}
	return fault(ctx, what)
}

// Apply keeps from the fabric what is to fail. What is there already stays.
func (f *faulty) Apply(ctx context.Context, vpcs []fabric.VPC) (failed containment.Failures[fabric.Place]) {
	made, wanted := map[fabric.Place]bool{}, make([]fabric.VPC, 0, len(vpcs))
	try := func(at fabric.Place) bool {
		if f.made[at] || failed.Try(ctx, slog.New(slog.DiscardHandler), "making", at,
			func() error { return f.fails(ctx, at.String()) }) {
			made[at] = true
			return true
		}
		return false
	}
	for _, vpc := range vpcs {
		if !try(fabric.Place{VPC: vpc.ID}) {
			continue
		}
		vpc.Instances = slices.DeleteFunc(slices.Clone(vpc.Instances), func(i fabric.Instance) bool {
			return !try(fabric.Place{VPC: vpc.ID, Instance: i.ID})
		})
		wanted = append(wanted, vpc)
	}
	f.made = made
	for at, err := range f.Fabric.Apply(ctx, wanted) {
		delete(made, at)
		failed.Note(at, err)
	}
	return failed
}

func (f *faulty) Listen(ctx context.Context, p fabric.Place, network string, at netip.AddrPort) (net.Listener, error) {
	if err := f.fails(ctx, p.String()+" "+at.String()); err != nil {
		return nil, err
	}
	return f.Fabric.Listen(ctx, p, network, at)
}

func (f *faulty) ListenPacket(ctx context.Context, p fabric.Place, at netip.AddrPort) (net.PacketConn, error) {
	if err := f.fails(ctx, p.String()+" "+at.String()); err != nil {
		return nil, err
	}
	return f.Fabric.ListenPacket(ctx, p, at)
}

func (f *faulty) Intercept(ctx context.Context, vpc string) (net.Listener, error) {
	if err := f.fails(ctx, vpc+" intercept"); err != nil {
		return nil, err
	}
	return f.Fabric.Intercept(ctx, vpc)
}

// world is a control plane and a node on a fabric that may fail.
type world struct {
	*control.Control
	*faulty
	t         testing.TB
	ctx       context.Context
	caller    iam.Caller
	store     *store.Store
	networks  *ec2control.Control
	balancers *elbcontrol.Control
	settler   *settling.Settler
	box       *sealing.Box
	node      *node.Node
	log       *logs
}

// logs are lines that may be written and read at the same time.
type logs struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logs) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *logs) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), text)
}

func newWorld(t testing.TB) *world { return newWorldOn(t, fabric.Loopback) }

func newWorldOn(t testing.TB, kind string) *world {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	t.Cleanup(cancel)
	dir, err := os.MkdirTemp("", "pergola-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	w := &world{t: t, ctx: ctx, log: &logs{}, caller: iam.Caller{Account: account, ARN: "arn:aws:iam::" + account +
		":root", UserID: account, Type: iam.TypeAccount}}
	log := slog.New(slog.NewTextHandler(w.log, nil))
	w.store = must(store.Open(ctx, store.Config{Dir: filepath.Join(dir, "store"), NoSync: true}))
	t.Cleanup(func() { _ = w.store.Close() })
	opened, err := fabric.Open(fabric.Config{Kind: kind, StateDir: filepath.Join(dir, "fabric")})
	if err != nil && kind != fabric.Loopback {
		t.Skip("not here: ", err)
	}
	must(opened, err)
	t.Cleanup(func() {
		if err := opened.Close(); err != nil {
			t.Error(err)
		}
	})
	w.faulty = &faulty{Fabric: opened, made: map[fabric.Place]bool{}}
	w.box = must(sealing.Make(filepath.Join(dir, "sealing.key")))
	w.Control = control.New(control.Config{Config: operation.Config{Store: w.store, Region: region, Logger: log}})
	w.networks = ec2control.New(operation.Config{Store: w.store, Region: region, Logger: log,
		Quotas: map[string]int{"L-F678F1CE": 1000, "L-1216C47A": 1000}})
	w.balancers = elbcontrol.New(operation.Config{Store: w.store, Region: region})
	w.settler = settling.New(settling.Config{
		Store: w.store, Rows: slices.Concat(control.Rows(), w.networks.Rows(), elbcontrol.Rows()), Logger: log,
	})
	w.background(w.settler.Run)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(w.log.text.String())
		}
	})
	return w
}

// start starts a node. It ends with the test, or when stop is called.
func (w *world) start() (stop func()) {
	w.node = node.New(node.Config{
		ID: "one", Region: region, Source: node.FromStore(w.store), Mirror: store.NewMirror(node.Mirrored()...),
		Fabric: w.faulty, Box: w.box, ResolvConf: "/dev/null",
		RequestsPerSecond: -1, Logger: slog.New(slog.NewTextHandler(w.log, nil)),
	})
	return w.background(w.node.Run)
}

func (w *world) background(run func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(w.ctx)
	var running sync.WaitGroup
	running.Go(func() {
		if err := run(ctx); err != nil && ctx.Err() == nil {
			w.t.Error(err)
		}
	})
	stop = func() { cancel(); running.Wait() }
	w.t.Cleanup(stop)
	return stop
}

// must is for calls that cannot fail unless the test is wrong.
func must[T any](v T, err error) T {
	if err != nil {
		panic(fmt.Sprintf("unexpected error: %v", err))
	}
	return v
}

func (w *world) eventually(what string, holds func() bool) {
	w.t.Helper()
	deadline := time.After(patience)
	for !holds() {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-deadline:
			w.t.Fatalf("it did not happen within %v: %s", patience, what)
		}
	}
}

// place is a VPC with two subnets and an instance, associated with a service network.
type place struct {
	vpc, instance, association string
	address                    netip.Addr
	subnets                    []string
}

func (w *world) place(network string) place {
	vpc := must(w.networks.CreateVPC(w.ctx, w.caller, &ec2.CreateVPCRequest{CIDRBlock: "10.0.0.0/16"})).VPC.ID
	p := place{vpc: vpc}
	for i, zone := range []string{"a", "b"} {
		subnet := must(w.networks.CreateSubnet(w.ctx, w.caller, &ec2.CreateSubnetRequest{
			VPCID: vpc, CIDRBlock: fmt.Sprintf("10.0.%d.0/24", i), AvailabilityZone: region + zone,
		}))
		p.subnets = append(p.subnets, subnet.Subnet.ID)
	}
	run := must(w.networks.RunInstances(w.ctx, w.caller, &ec2.RunInstancesRequest{SubnetID: p.subnets[0]})).Instances[0]
	p.instance, p.address = run.ID, netip.MustParseAddr(run.PrivateAddress)
	p.association = must(w.CreateServiceNetworkVPCAssociation(w.ctx, w.caller,
		&lattice.CreateServiceNetworkVPCAssociationRequest{
			ServiceNetworkIdentifier: network, VPCIdentifier: vpc,
		})).ID
	return p
}

func (w *world) network(name string) string {
	return must(w.CreateServiceNetwork(w.ctx, w.caller, &lattice.CreateServiceNetworkRequest{Name: name})).ID
}

// service is a service that answers 404 by itself, on some ports.
type service struct{ id, name, association string }

func (w *world) service(network, name string, ports ...int32) service {
	s := must(w.CreateService(w.ctx, w.caller, &lattice.CreateServiceRequest{Name: name}))
	for _, port := range ports {
		must(w.CreateListener(w.ctx, w.caller, &lattice.CreateListenerRequest{
			ServiceIdentifier: s.ID, Name: fmt.Sprint("port-", port), Protocol: lattice.ProtocolHTTP, Port: port,
			DefaultAction: lattice.RuleAction{FixedResponse: &lattice.FixedResponseAction{StatusCode: 500}},
		}))
	}
	a := must(w.CreateServiceNetworkServiceAssociation(w.ctx, w.caller,
		&lattice.CreateServiceNetworkServiceAssociationRequest{
			ServiceIdentifier: s.ID, ServiceNetworkIdentifier: network,
		}))
	return service{s.ID, s.DNSEntry.DomainName, a.ID}
}

// balancer is a load balancer with a listener that answers by itself.
func (w *world) balancer(p place, name string, port int32) string {
	l := must(w.balancers.CreateLoadBalancer(w.ctx, w.caller, &elbv2.CreateLoadBalancerRequest{Name: name,
		Scheme: "internal", Subnets: p.subnets})).LoadBalancers[0]
	must(w.balancers.CreateListener(w.ctx, w.caller, &elbv2.CreateListenerRequest{
		LoadBalancerARN: l.ARN, ListenerSettings: elbv2.ListenerSettings{Protocol: "HTTP", Port: port},
		DefaultActions: []elbv2.ActionDescription{{Type: "fixed-response",
			Fixed: &elbv2.FixedResponseConfig{StatusCode: "204"}}},
	}))
	return l.ARN
}

// call calls a service from an instance, or from a VPC's router without one, and returns the status.
func (w *world) call(p place, s service, port uint16) (status int, err error) {
	return w.callAt(p, addressing.FirstDoor, s, port)
}

// callAt is call at an address of a door.
func (w *world) callAt(p place, door netip.Addr, s service, port uint16) (status int, err error) {
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return w.Dial(ctx, fabric.Place{VPC: p.vpc, Instance: p.instance}, netip.Addr{},
				netip.AddrPortFrom(door, port))
		},
	}}
	response, err := client.Get(fmt.Sprintf("http://%s:%d/", s.name, port))
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

// inForce carries out a change and reports whether it was in force before anything that hangs could have ended. The two
// seconds that the answer itself waits are too few on a busy host.
func (w *world) inForce(change func(ctx context.Context) error) bool {
	w.t.Helper()
	ctx, wait := w.settler.Begin(w.ctx)
	if err := change(ctx); err != nil {
		w.t.Fatal(err)
	}
	for began := time.Now(); !wait(); {
		if time.Since(began) > patience/3 {
			return false
		}
	}
	return true
}

func (w *world) associationOf(p place) *lattice.GetServiceNetworkVPCAssociationResponse {
	return must(w.GetServiceNetworkVPCAssociation(w.ctx, w.caller,
		&lattice.GetServiceNetworkVPCAssociationRequest{Identifier: p.association}))
}

func (w *world) instanceOf(p place) ec2.InstanceDescription {
	return must(w.networks.DescribeInstances(w.ctx, w.caller,
		&ec2.DescribeInstancesRequest{IDs: []string{p.instance}})).Reservations[0].Instances[0]
}

func (w *world) vpcOf(p place) string {
	return must(w.networks.DescribeVPCs(w.ctx, w.caller, &ec2.DescribeVPCsRequest{IDs: []string{p.vpc}})).VPCs[0].State
}

func (w *world) balancerState(arn string) (state, reason string) {
	l := must(w.balancers.DescribeLoadBalancers(w.ctx, w.caller,
		&elbv2.DescribeLoadBalancersRequest{ARNs: []string{arn}})).LoadBalancers[0]
	return l.State, l.Reason
}

// fail lets everything fail whose name begins so.
func fail(prefixes ...string) func(context.Context, string) error {
	return func(_ context.Context, what string) error {
		for _, prefix := range prefixes {
			if strings.HasPrefix(what, prefix) {
				return errors.New("made to fail: " + prefix)
			}
		}
		return nil
	}
}

// sometimes lets things fail, panic or hang at random, but for those of one VPC.
func sometimes(seed uint64, spared string) func(context.Context, string) error {
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(seed, seed))
	stubborn := map[string]bool{}
	return func(ctx context.Context, what string) error {
		if strings.HasPrefix(what, spared) {
			return nil
		}
		mu.Lock()
		draw, persists := random.IntN(10), random.IntN(4) == 0
		failing := stubborn[what] || draw < 4
		stubborn[what] = stubborn[what] || draw < 4 && persists
		mu.Unlock()
		switch {
		case !failing:
			return nil
		case draw == 0:
			panic("made to")
		case draw == 1:
			<-ctx.Done()
			return ctx.Err()
		}
		return errors.New("made to fail: " + what)
	}
}
