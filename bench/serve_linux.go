package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"os"
	"runtime/pprof"
	"sync"
	"syscall"
	"time"

	"pergola/aws/ec2"
	"pergola/dataplane"
	"pergola/dataplane/access"
	"pergola/dataplane/proxy"
	"pergola/dataplane/target"
	"pergola/deployment"
	"pergola/internal/apiclient"
	"pergola/internal/inside"
	"pergola/lattice"
	"pergola/sealing"
	"pergola/snapshot"
)

// subjectMain is the body of a process that is a subject: its name, the target's address and the file for a profile are
// its arguments. It tells its place and serves until it is told to end.
func subjectMain(ctx context.Context, args []string) error {
	if len(args) != 3 {
		return errors.New("a subject needs its name, the address of a target and the file for a profile, which may be empty")
	}
	at, err := netip.ParseAddrPort(args[1])
	if err != nil {
		return err
	}
	if args[2] != "" {
		file, err := os.Create(args[2])
		if err != nil {
			return err
		}
		defer file.Close()
		if err := pprof.StartCPUProfile(file); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	switch args[0] {
	case subjectPergola:
		return servePergola(ctx, at)
	case subjectDeployment:
		return serveDeployment(ctx)
	case subjectReverseProxy:
		return serveReverseProxy(ctx, at)
	}
	return fmt.Errorf("there is no subject %q", args[0])
}

// closeTime is how long requests in flight may take when a subject ends.
const closeTime = time.Second

// The objects of the data plane under measurement.
const (
	account    = "100000000001"
	clientVPC  = "vpc-00000000000000001"
	targetVPC  = "vpc-00000000000000002"
	targetName = "10.0.0.10"
)

// servePergola serves with the data plane alone, as a node does, but on sockets of this host.
func servePergola(ctx context.Context, at netip.AddrPort) error {
	compiled, host, err := smallSnapshot()
	if err != nil {
		return err
	}
	sockets := &localNetwork{target: at, opened: make(chan netip.AddrPort, 1)}
	targets := target.New(target.Config{Dial: sockets.dial})
	defer targets.Close()
	box, err := sealing.New(make([]byte, sealing.KeySize)) // it seals nothing here: nobody signs
	if err != nil {
		return err
	}
	var plane *dataplane.Plane
	current := func() *snapshot.Snapshot { return plane.Snapshot() }
	requests := proxy.New(proxy.Config{
		Snapshot: current, Guard: access.New(access.Config{Region: deployment.DefaultRegion, Box: box, Snapshot: current}),
		Picker: picker{targets}, Dial: sockets.dial, Log: slog.New(slog.DiscardHandler),
		RequestsPerSecond: -1,
	})
	defer requests.Close()
	plane = dataplane.New(dataplane.Config{
		Network: sockets,
		Serve: func(finish, cut context.Context, conn net.Conn, vpcID string, port uint16) {
			requests.ServeConn(finish, cut, conn, proxy.Arrival{VPC: vpcID, Port: port})
		},
	})
	targets.Apply(compiled)
	if err := plane.Apply(ctx, compiled); err != nil {
		return err
	}
	if err := tell(os.Stdout, place{<-sockets.opened, localhost, host, at}); err != nil {
		return err
	}
	<-ctx.Done()
	ending, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	return plane.Close(ending)
}

// picker lets the proxy choose among the targets of a set.
type picker struct{ targets *target.Set }

// Pick returns the next target of a group.
func (p picker) Pick(group *snapshot.TargetGroup) (proxy.Target, bool) { return p.targets.Pick(group) }

// localNetwork is the network of a data plane without VPCs.
type localNetwork struct {
	target netip.AddrPort
	opened chan netip.AddrPort
}

// Listen listens on any free port of this host instead of the one in the VPC.
func (n *localNetwork) Listen(ctx context.Context, _ string, address netip.AddrPort) (net.Listener, error) {
	if address.Addr().Is6() {
		return nil, syscall.EADDRNOTAVAIL
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp4", netip.AddrPortFrom(localhost, 0).String())
	if err != nil {
		return nil, err
	}
	n.opened <- listener.Addr().(*net.TCPAddr).AddrPort()
	return listener, nil
}

func (n *localNetwork) dial(ctx context.Context, _ string, _ netip.AddrPort) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp4", n.target.String())
}

// smallSnapshot compiles a service that forwards everything to a single target, and returns the service's name.
func smallSnapshot() (*snapshot.Snapshot, string, error) {
	var (
		home    = lattice.Place{Region: region, Account: account}
		service = lattice.Service{
			ID: "svc-00000000000000001", Name: "bench", AuthType: lattice.AuthNone,
			IdleTimeoutSeconds: lattice.DefaultIdleTimeoutSeconds, Status: lattice.StatusActive,
		}
		network  = lattice.ServiceNetwork{ID: "sn-00000000000000001", AuthType: lattice.AuthNone}
		group    = lattice.TargetGroup{ID: "tg-00000000000000001", Type: lattice.TargetIP, Status: lattice.StatusActive}
		listener = lattice.Listener{
			ID: "listener-00000000000000001", ServiceID: service.ID, Protocol: lattice.ProtocolHTTP, Port: 80,
			DefaultRuleID: "rule-00000000000000001",
		}
	)
	service.ARN = home.ARN(lattice.KindService, service.ID)
	service.DNSEntry.DomainName = lattice.DomainName(service.Name, service.ID, region)
	network.ARN = home.ARN(lattice.KindServiceNetwork, network.ID)
	group.ARN = home.ARN(lattice.KindTargetGroup, group.ID)
	group.Config = &lattice.TargetGroupConfig{
		Port: 80, Protocol: lattice.TargetHTTP, ProtocolVersion: lattice.HTTP1, VPCIdentifier: targetVPC,
		HealthCheck: &lattice.HealthCheckConfig{Enabled: new(false)},
	}
	listener.DefaultAction.Forward = &lattice.ForwardAction{
		TargetGroups: []lattice.WeightedTargetGroup{{TargetGroupIdentifier: group.ID}},
	}
	objects := map[string]any{
		"vpc/" + clientVPC:                              ec2.VPC{ID: clientVPC, Account: account, CIDR: netip.MustParsePrefix("10.0.0.0/16")},
		"vpc/" + targetVPC:                              ec2.VPC{ID: targetVPC, Account: account, CIDR: netip.MustParsePrefix("10.0.0.0/16")},
		"service/" + service.ID:                         service,
		"servicenetwork/" + network.ID:                  network,
		"targetgroup/" + group.ID:                       group,
		"target/" + group.ID + "/" + targetName + ":80": lattice.RegisteredTarget{TargetGroupID: group.ID, ID: targetName, Port: 80},
		"listener/" + service.ID + "/" + listener.ID:    listener,
		"servicenetworkserviceassociation/snsa-00000000000000001": lattice.ServiceNetworkServiceAssociation{
			ID: "snsa-00000000000000001", Status: lattice.StatusActive, ServiceID: service.ID, ServiceNetworkID: network.ID,
		},
		"servicenetworkvpcassociation/snva-00000000000000001": lattice.ServiceNetworkVPCAssociation{
			ID: "snva-00000000000000001", Status: lattice.StatusActive, VPCID: clientVPC, ServiceNetworkID: network.ID,
		},
	}
	var changes []snapshot.Change
	for key, object := range objects {
		value, err := json.Marshal(object)
		if err != nil {
			return nil, "", err
		}
		changes = append(changes, snapshot.Change{Key: key, Value: value})
	}
	compiled, err := snapshot.Compile(region, 1, changes)
	return compiled, service.DNSEntry.DomainName, err
}

// serveReverseProxy serves with the standard library's proxy, configured as its documentation advises for load.
func serveReverseProxy(ctx context.Context, at netip.AddrPort) error {
	listener, err := net.Listen("tcp", netip.AddrPortFrom(localhost, 0).String())
	if err != nil {
		return err
	}
	server := &http.Server{Handler: &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: at.String()})
			r.Out.Host = r.In.Host
			r.SetXForwarded()
		},
		Transport:  &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true},
		BufferPool: &buffers{},
	}}
	defer context.AfterFunc(ctx, func() { server.Close() })()
	if err := tell(os.Stdout, place{listener.Addr().(*net.TCPAddr).AddrPort(), localhost, "bench.example", at}); err != nil {
		return err
	}
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// buffers keeps the copy buffers of a ReverseProxy.
type buffers struct{ pool sync.Pool }

// Get returns a buffer.
func (b *buffers) Get() []byte {
	if kept, ok := b.pool.Get().(*[]byte); ok {
		return *kept
	}
	return make([]byte, 32<<10)
}

// Put keeps a buffer.
func (b *buffers) Put(buffer []byte) { b.pool.Put(&buffer) }

// serveDeployment serves with a whole deployment in its loopback fabric. Clients and target take the places of
// instances.
func serveDeployment(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "pergola-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	d, err := deployment.Start(ctx, deployment.Config{Dir: dir, Listen: "127.0.0.1:0", Network: "loopback", RequestsPerSecond: -1})
	if err != nil {
		return err
	}
	defer d.Close()
	where, err := furnish(ctx, d)
	if err != nil {
		return err
	}
	if err := tell(os.Stdout, where); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-d.Failed():
		return err
	}
}

// furnish makes a service in a deployment that forwards everything to a single target.
func furnish(ctx context.Context, d *deployment.Deployment) (place, error) {
	s, err := newSite(ctx, d)
	if err != nil {
		return place{}, err
	}
	vpc, err := s.makeVPC()
	if err != nil {
		return place{}, err
	}
	client, err := s.runInstance(vpc, "10.20.0.10")
	if err != nil {
		return place{}, err
	}
	server, err := s.runInstance(vpc, "10.20.0.11")
	if err != nil {
		return place{}, err
	}
	listener, err := server.Listen(ctx, 0)
	if err != nil {
		return place{}, err
	}
	port := listener.Addr().(*net.TCPAddr).AddrPort().Port()
	_, targetAt, err := onHost(ctx, client, netip.AddrPortFrom(server.Address, port))
	if err := errors.Join(err, listener.Close()); err != nil {
		return place{}, err
	}
	domain, err := s.makeService(server, port)
	if err != nil {
		return place{}, err
	}
	from, front, err := onHost(ctx, client, netip.AddrPortFrom(snapshot.ServiceAddress, 80))
	return place{Front: front, From: from.Addr(), Host: domain, Target: targetAt}, err
}

// makeService makes a service that forwards everything to one instance, and returns its name once it is served.
func (s *site) makeService(server inside.Instance, port uint16) (domain string, err error) {
	group, err := s.create("/targetgroups", body{"name": "bench", "type": "INSTANCE", "config": body{
		"port": port, "protocol": "HTTP", "vpcIdentifier": server.VPC, "healthCheck": body{"enabled": false},
	}})
	if err != nil {
		return "", err
	}
	targets := body{"targets": []body{{"id": server.ID}}}
	registered := func() (bool, error) {
		err := s.api.Lattice(s.ctx, http.MethodPost, "/targetgroups/"+group+"/registertargets", targets, nil)
		if refusal, ok := errors.AsType[*apiclient.Error](err); ok && refusal.Status == http.StatusConflict {
			return false, nil // the group is still being created
		}
		return err == nil, err
	}
	if err := s.eventually("register a target", registered); err != nil {
		return "", err
	}
	var service lattice.CreateServiceResponse
	if err := s.api.Lattice(s.ctx, http.MethodPost, "/services", body{"name": "bench"}, &service); err != nil {
		return "", err
	}
	forward := body{"forward": body{"targetGroups": []body{{"targetGroupIdentifier": group}}}}
	if _, err := s.create("/services/"+service.ID+"/listeners", body{"name": "http", "protocol": "HTTP", "port": 80, "defaultAction": forward}); err != nil {
		return "", err
	}
	network, err := s.create("/servicenetworks", body{"name": "bench"})
	if err != nil {
		return "", err
	}
	if _, err := s.create("/servicenetworkserviceassociations", body{"serviceNetworkIdentifier": network, "serviceIdentifier": service.ID}); err != nil {
		return "", err
	}
	return service.DNSEntry.DomainName, s.join(server.VPC, network)
}

// onHost connects from an instance to an address in its VPC, and returns the addresses that both ends of the connection
// really have on this host.
func onHost(ctx context.Context, from inside.Instance, to netip.AddrPort) (local, remote netip.AddrPort, err error) {
	conn, err := from.Dial(ctx, to)
	if err != nil {
		return local, remote, err
	}
	defer conn.Close()
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return local, remote, fmt.Errorf("a %T is not a socket of this host", conn)
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return local, remote, err
	}
	failed := raw.Control(func(fd uintptr) {
		var near, far syscall.Sockaddr
		if near, err = syscall.Getsockname(int(fd)); err != nil {
			return
		}
		if far, err = syscall.Getpeername(int(fd)); err == nil {
			local, remote = addrPort(near), addrPort(far)
		}
	})
	return local, remote, errors.Join(failed, err)
}

func addrPort(a syscall.Sockaddr) netip.AddrPort {
	four := a.(*syscall.SockaddrInet4)
	return netip.AddrPortFrom(netip.AddrFrom4(four.Addr), uint16(four.Port))
}
