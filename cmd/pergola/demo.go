package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"pergola/addressing"
	"pergola/deployment"
	"pergola/fabric"
	"pergola/internal/apiclient"
	"pergola/internal/inside"
	"pergola/lattice"
)

// demoTimeout bounds the whole story.
const demoTimeout = 60 * time.Second

func demo(ctx context.Context, c *command, args []string) (int, error) {
	set := c.flags()
	network := networkFlag(set)
	exit := set.Bool("exit", true, "end after the story; --exit=false keeps the estate up until Ctrl-C")
	if err := c.parse(set, args); err != nil {
		return exitUsage, err
	}
	if err := noArguments(set); err != nil {
		return exitUsage, err
	}
	if err := fabric.Enter(*network); err != nil {
		return exitFailure, err
	}
	dir, err := os.MkdirTemp("", "pergola-demo-")
	if err != nil {
		return exitFailure, err
	}
	defer os.RemoveAll(dir)
	d, err := deployment.Start(ctx, deployment.Config{
		Dir: dir, Listen: "127.0.0.1:0", Network: *network,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		return exitFailure, err
	}
	defer d.Close()
	s, err := newStory(ctx, d)
	if err != nil {
		return exitFailure, err
	}
	s.tell(!*exit, dir)
	fmt.Printf("%d passed, %d failed\n", s.passed, s.failed)
	if s.failed > 0 {
		return exitFailure, nil
	}
	return exitSuccess, nil
}

// linger keeps the estate alive until its watcher ends it.
func (s *story) linger(ctx context.Context, dir string) {
	fmt.Printf("\nThe estate stays up until you press Ctrl-C. Look around from another shell:\n"+
		"  eval \"$(pergola env --data %[1]s)\"\n  aws vpc-lattice list-services\n"+
		"  pergola exec --data %[1]s %[2]s -- curl -s http://%[3]s/\n\n", dir, s.client.ID, s.domain)
	<-ctx.Done()
}

// story is the estate of the demo: a payments VPC whose risk scoring calls the enrichment service of a partner, an
// acquired company whose VPC has the very same addresses. The platform team's service network joins them. A third VPC
// has no association.
type story struct {
	deployment *deployment.Deployment
	api        *apiclient.Client
	ctx        context.Context // of the whole story, so that each step reads as a sentence

	passed, failed int

	payments, partner, stranger network
	client                      inside.Instance // risk scoring, in payments
	outsider                    inside.Instance // in the VPC without association
	targets                     [3]*demoTarget  // enrichment in partner: two of version 1, one of version 2

	callers callers
	trusted *x509.CertPool // what risk scoring trusts: the built-in authority

	network, service, listener string   // ids
	secure                     string   // id of the listener for HTTPS
	v1, v2                     string   // target group ids
	domain                     string   // the service's generated name
	made                       []string // the path of each resource, in the order in which they were made
	function                   func() (arn string, err error)
	servers                    []io.Closer // what runs in the instances
}

// network is a VPC with its one subnet.
type network struct{ name, vpc, subnet string }

func newStory(ctx context.Context, d *deployment.Deployment) (*story, error) {
	environment, err := d.Environment(ctx, "")
	if err != nil {
		return nil, err
	}
	s := &story{
		deployment: d, api: &apiclient.Client{Environment: environment}, ctx: ctx,
		payments: network{name: "payments"}, partner: network{name: "partner"}, stranger: network{name: "stranger"},
	}
	s.function = sync.OnceValues(s.makeFunction)
	return s, nil
}

// tell plays the steps up to the first that fails: each stands on those before it. With stay, the estate lingers
// instead of being torn down.
func (s *story) tell(stay bool, dir string) {
	whole := s.ctx
	ctx, cancel := context.WithTimeout(whole, demoTimeout)
	defer cancel()
	s.ctx = ctx
	defer s.closeServers()
	go s.function() // making it takes a while, which the wait for health checks hides
	for _, step := range []struct {
		title string
		play  func() (detail string, err error)
	}{
		{"the platform is up", s.platformIsUp},
		{"payments and partner have the same addresses", s.makeVPCs},
		{"enrichment runs in partner, risk scoring in payments", s.makeInstances},
		{"the security group of the targets lets in VPC Lattice", s.admitLattice},
		{"a service network joins them", s.makeNetwork},
		{"risk scoring resolves enrichment", s.resolve},
		{"risk scoring is answered from the other VPC", s.call},
		{"a security group says no by silence", s.silence},
		{"a header rule leads to version 2", s.headerRule},
		{"version 2 gets a tenth of the calls", s.weights},
		{"a killed target is taken out", s.killTarget},
		{"a VPC without association cannot reach the name", s.isolation},
		{"HTTPS comes with a certificate of the built-in authority", s.https},
		{"HTTP/2 carries many calls on one connection", s.http2},
		{"a gRPC call has a rule of its own", s.grpc},
		{"TLS passes through to its target by the server name", s.passthrough},
		{"a Lambda function answers for a path", s.callFunction},
		{"the network asks for the organisation, the service for a role", s.guard},
		{"an unsigned call is denied by the network", s.unsigned},
		{"a caller outside of the organisation is denied by the network", s.outsideOrganization},
		{"a role that the service does not know is denied by the service", s.wrongRole},
		{"a method that the role may not use is denied by the service", s.wrongMethod},
		{"the right role passes", s.rightRole},
	} {
		if !s.step(step.title, step.play) {
			return
		}
	}
	if stay {
		s.linger(whole, dir)
		return
	}
	s.step("teardown leaves nothing behind", s.teardown)
}

// step plays one step, tells how it went and reports whether it went well.
func (s *story) step(title string, play func() (string, error)) bool {
	detail, err := play()
	if err != nil {
		s.failed++
		fmt.Printf("FAIL %s: %v\n", title, err)
		return false
	}
	s.passed++
	fmt.Printf("ok   %s: %s\n", title, detail)
	return true
}

func (s *story) platformIsUp() (string, error) {
	var identity struct {
		ARN string `xml:"GetCallerIdentityResult>Arn"`
	}
	if err := s.api.Query(s.ctx, "sts", "GetCallerIdentity", nil, &identity); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s on the %s fabric, as %s", s.deployment.Endpoint(), fabricName(s.deployment.Fabric()), identity.ARN), nil
}

const demoCIDR = "10.20.0.0/16"

func (s *story) makeVPCs() (string, error) {
	for _, n := range []*network{&s.payments, &s.partner, &s.stranger} {
		var vpc struct {
			ID string `xml:"vpc>vpcId"`
		}
		tags := url.Values{"TagSpecification.1.ResourceType": {"vpc"}, "TagSpecification.1.Tag.1.Key": {"Name"}, "TagSpecification.1.Tag.1.Value": {n.name}}
		tags.Set("CidrBlock", demoCIDR)
		if err := s.api.Query(s.ctx, "ec2", "CreateVpc", tags, &vpc); err != nil {
			return "", err
		}
		var subnet struct {
			ID string `xml:"subnet>subnetId"`
		}
		if err := s.api.Query(s.ctx, "ec2", "CreateSubnet", url.Values{"VpcId": {vpc.ID}, "CidrBlock": {"10.20.1.0/24"}}, &subnet); err != nil {
			return "", err
		}
		n.vpc, n.subnet = vpc.ID, subnet.ID
	}
	return fmt.Sprintf("%s and %s are both %s", s.payments.vpc, s.partner.vpc, demoCIDR), nil
}

func (s *story) makeInstances() (string, error) {
	var err error
	if s.client, err = s.runInstance(s.payments, "10.20.1.10"); err != nil {
		return "", err
	}
	if s.outsider, err = s.runInstance(s.stranger, "10.20.1.10"); err != nil {
		return "", err
	}
	for i, version := range []string{"v1", "v1", "v2"} {
		instance, err := s.runInstance(s.partner, fmt.Sprintf("10.20.1.%d", 10+i))
		if err != nil {
			return "", err
		}
		s.targets[i] = &demoTarget{instance, newServer(fmt.Sprintf("enrichment %s at %s in %s", version, instance.Address, instance.VPC))}
		listener, err := instance.Listen(s.ctx, demoTargetPort)
		if err != nil {
			return "", err
		}
		s.serve(s.targets[i].server, func() error { return s.targets[i].server.Serve(listener) })
	}
	return fmt.Sprintf("%s has %s in payments, %s has it in partner", s.client.ID, s.client.Address, s.targets[0].instance.ID), nil
}

// runInstance runs an instance and waits until it is running.
func (s *story) runInstance(n network, address string) (inside.Instance, error) {
	var reservation struct {
		ID string `xml:"instancesSet>item>instanceId"`
	}
	parameters := url.Values{"SubnetId": {n.subnet}, "PrivateIpAddress": {address}, "MinCount": {"1"}, "MaxCount": {"1"}, "ImageId": {"ami-00000000000000000"}}
	if err := s.api.Query(s.ctx, "ec2", "RunInstances", parameters, &reservation); err != nil {
		return inside.Instance{}, err
	}
	err := s.eventually(func() (bool, error) {
		var described struct {
			State string `xml:"reservationSet>item>instancesSet>item>instanceState>name"`
		}
		err := s.api.Query(s.ctx, "ec2", "DescribeInstances", url.Values{"InstanceId.1": {reservation.ID}}, &described)
		return described.State == "running", err
	})
	base := netip.MustParsePrefix(demoCIDR).Addr()
	return inside.Instance{
		Fabric: s.deployment.Fabric(), VPC: n.vpc, ID: reservation.ID,
		Address: netip.MustParseAddr(address), Resolver: base.Next().Next(),
	}, err
}

// makeNetwork makes the service network, the service with its target groups and listener, and the associations.
func (s *story) makeNetwork() (string, error) {
	network, err := s.create("/servicenetworks", body{"name": "platform-mesh"})
	if err != nil {
		return "", err
	}
	service, err := s.create("/services", body{"name": "enrichment"})
	if err != nil {
		return "", err
	}
	s.network, s.service, s.domain = network.ID, service.ID, service.DNSEntry.DomainName
	if s.v1, err = s.makeEnrichment("enrichment-v1", s.targets[:2]); err != nil {
		return "", err
	}
	if s.v2, err = s.makeEnrichment("enrichment-v2", s.targets[2:]); err != nil {
		return "", err
	}
	listener, err := s.create("/services/"+s.service+"/listeners", body{"name": "http", "protocol": "HTTP", "port": 80, "defaultAction": forward(s.v1, 100)})
	if err != nil {
		return "", err
	}
	s.listener = listener.ID
	if err := s.associate(s.service); err != nil {
		return "", err
	}
	for _, vpc := range []string{s.payments.vpc, s.partner.vpc} {
		if _, err := s.create("/servicenetworkvpcassociations", body{"serviceNetworkIdentifier": s.network, "vpcIdentifier": vpc}); err != nil {
			return "", err
		}
	}
	return s.network + " has payments, partner and " + s.service, s.eventually(s.isAssociated)
}

// associate makes a service callable in the network.
func (s *story) associate(service string) error {
	_, err := s.create("/servicenetworkserviceassociations", body{"serviceNetworkIdentifier": s.network, "serviceIdentifier": service})
	return err
}

// body is a JSON body.
type body map[string]any

// forward is an action that forwards to target groups, given as pairs of id and weight.
func forward(pairs ...any) body {
	var groups []body
	for i := 0; i < len(pairs); i += 2 {
		groups = append(groups, body{"targetGroupIdentifier": pairs[i], "weight": pairs[i+1]})
	}
	return body{"forward": body{"targetGroups": groups}}
}

// resource is what the story needs to know of what it has made.
type resource struct {
	ID, ARN  string
	DNSEntry struct{ DomainName string }
}

// create creates a resource, for teardown to delete.
func (s *story) create(path string, in body) (resource, error) {
	var out resource
	err := s.api.Lattice(s.ctx, "POST", path, in, &out)
	if err == nil {
		s.made = append(s.made, path+"/"+out.ID)
	}
	return out, err
}

func (s *story) makeEnrichment(name string, members []*demoTarget) (id string, err error) {
	check := body{"enabled": true, "path": "/health", "healthCheckIntervalSeconds": 5, "healthCheckTimeoutSeconds": 1}
	var targets []string
	for _, member := range members {
		targets = append(targets, member.instance.ID)
	}
	return s.makeTargetGroup(name, body{"port": demoTargetPort, "protocol": "HTTP", "healthCheck": check}, targets...)
}

// makeTargetGroup makes a target group of instances in partner.
func (s *story) makeTargetGroup(name string, config body, instances ...string) (id string, err error) {
	config["vpcIdentifier"] = s.partner.vpc
	group, err := s.create("/targetgroups", body{"name": name, "type": "INSTANCE", "config": config})
	if err != nil {
		return "", err
	}
	return group.ID, s.register(group.ID, instances...)
}

// register registers targets once their group is active.
func (s *story) register(group string, ids ...string) error {
	err := s.eventually(func() (bool, error) {
		var got lattice.GetTargetGroupResponse
		err := s.api.Lattice(s.ctx, "GET", "/targetgroups/"+group, nil, &got)
		return got.Status == lattice.StatusActive, err
	})
	if err != nil {
		return err
	}
	var targets []body
	for _, id := range ids {
		targets = append(targets, body{"id": id})
	}
	var out lattice.RegisterTargetsResponse
	err = s.api.Lattice(s.ctx, "POST", "/targetgroups/"+group+"/registertargets", body{"targets": targets}, &out)
	if err == nil && len(out.Unsuccessful) > 0 {
		err = fmt.Errorf("register targets: %+v", out.Unsuccessful)
	}
	return err
}

// isAssociated is true once both associations of the network are active and the targets are healthy.
func (s *story) isAssociated() (bool, error) {
	var services lattice.List[lattice.ServiceNetworkServiceAssociationSummary]
	var vpcs lattice.List[lattice.ServiceNetworkVPCAssociationSummary]
	if err := s.api.Lattice(s.ctx, "GET", "/servicenetworkserviceassociations?serviceNetworkIdentifier="+s.network, nil, &services); err != nil {
		return false, err
	}
	if err := s.api.Lattice(s.ctx, "GET", "/servicenetworkvpcassociations?serviceNetworkIdentifier="+s.network, nil, &vpcs); err != nil {
		return false, err
	}
	for _, association := range services.Items {
		if association.Status != lattice.StatusActive {
			return false, nil
		}
	}
	for _, association := range vpcs.Items {
		if association.Status != lattice.StatusActive {
			return false, nil
		}
	}
	healthy, err := s.healthy(s.v1)
	return healthy == 2, err
}

// healthy counts the healthy targets of a target group.
func (s *story) healthy(group string) (n int, err error) {
	var targets lattice.List[lattice.TargetSummary]
	err = s.api.Lattice(s.ctx, "POST", "/targetgroups/"+group+"/listtargets", body{}, &targets)
	for _, target := range targets.Items {
		if target.Status == lattice.TargetHealthy {
			n++
		}
	}
	return n, err
}

func (s *story) resolve() (string, error) {
	addresses, err := s.client.Lookup(s.ctx, s.domain)
	if err != nil {
		return "", err
	}
	if !addressing.ServiceNetworks.Contains(addresses[0]) {
		return "", fmt.Errorf("%s resolves to %v, not to an address of %v", s.domain, addresses, addressing.ServiceNetworks)
	}
	return fmt.Sprintf("%s is %v", s.domain, addresses[0]), nil
}

func (s *story) call() (string, error) {
	answer, err := s.get(s.client.Client(), nil)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("GET http://%s/ from %s: %d %s", s.domain, s.client.Address, answer.status, answer.body), nil
}

// answer is what a call brought back.
type answer struct {
	status  int
	body    string
	version string               // of HTTP
	tls     *tls.ConnectionState // nil without TLS
}

// get calls the service. Anything but 200 is an error.
func (s *story) get(client *http.Client, header http.Header) (answer, error) {
	return s.fetch(client, "http://"+s.domain+"/", header)
}

// fetch is get for any URL.
func (s *story) fetch(client *http.Client, from string, header http.Header) (answer, error) {
	request, err := http.NewRequestWithContext(s.ctx, http.MethodGet, from, nil)
	if err != nil {
		return answer{}, err
	}
	request.Header = header.Clone()
	response, err := client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%d %s", response.StatusCode, strings.TrimSpace(string(content)))
	}
	return answer{response.StatusCode, string(content), response.Proto, response.TLS}, err
}

func (s *story) headerRule() (string, error) {
	match := body{"httpMatch": body{"headerMatches": []body{{"name": "x-release-channel", "match": body{"exact": "canary"}}}}}
	rule := body{"name": "canary-by-header", "priority": 10, "match": match, "action": forward(s.v2, 100)}
	if _, err := s.create("/services/"+s.service+"/listeners/"+s.listener+"/rules", rule); err != nil {
		return "", err
	}
	client := s.client.Client()
	var canary answer
	err := s.eventually(func() (bool, error) {
		var err error
		canary, err = s.get(client, http.Header{"X-Release-Channel": {"canary"}})
		return strings.HasPrefix(canary.body, "enrichment v2"), err
	})
	if err != nil {
		return "", err
	}
	plain, err := s.get(client, nil)
	if err == nil && !strings.HasPrefix(plain.body, "enrichment v1") {
		err = fmt.Errorf("a call without the header was answered by %q", plain.body)
	}
	return "x-release-channel: canary is answered by " + canary.body, err
}

// weights sends 1,000 calls through a 90/10 split. The share of version 2 is binomial with a deviation of 0.95 %: five
// deviations on either side fail less than once in a million.
func (s *story) weights() (string, error) {
	const calls, callers = 1000, 8
	action := body{"defaultAction": forward(s.v1, 90, s.v2, 10)}
	if err := s.api.Lattice(s.ctx, "PATCH", "/services/"+s.service+"/listeners/"+s.listener, action, nil); err != nil {
		return "", err
	}
	client := s.client.Client()
	err := s.eventually(func() (bool, error) {
		answer, err := s.get(client, nil)
		return strings.HasPrefix(answer.body, "enrichment v2"), err
	})
	if err != nil {
		return "", err
	}
	var second, failed atomic.Int64
	var running sync.WaitGroup
	for range callers {
		running.Go(func() {
			for range calls / callers {
				answer, err := s.get(client, nil)
				switch {
				case err != nil:
					failed.Add(1)
				case strings.HasPrefix(answer.body, "enrichment v2"):
					second.Add(1)
				}
			}
		})
	}
	running.Wait()
	share := float64(second.Load()) * 100 / calls
	detail := fmt.Sprintf("weights 90 and 10 gave %d and %d of %d calls", calls-second.Load()-failed.Load(), second.Load(), calls)
	if failed.Load() > 0 || share < 5 || share > 15 {
		return "", fmt.Errorf("%s, %d failed", detail, failed.Load())
	}
	return detail, nil
}

// killTarget ends one of the two targets of version 1. Calls go on without an error, before the health checks notice
// and after.
func (s *story) killTarget() (string, error) {
	if err := s.targets[0].server.Close(); err != nil {
		return "", err
	}
	client, calls := s.client.Client(), 0
	err := s.eventually(func() (bool, error) {
		if _, err := s.get(client, nil); err != nil {
			return false, fmt.Errorf("call %d: %w", calls, err)
		}
		calls++
		healthy, err := s.healthy(s.v1)
		return healthy == 1, err
	})
	return fmt.Sprintf("%s is UNHEALTHY; none of %d calls meanwhile failed", s.targets[0].instance.ID, calls), err
}

func (s *story) isolation() (string, error) {
	addresses, err := s.outsider.Lookup(s.ctx, s.domain)
	if err == nil {
		return "", fmt.Errorf("%s resolves to %v there", s.domain, addresses)
	}
	if addresses, err = s.client.Lookup(s.ctx, s.domain); err != nil {
		return "", err
	}
	connection, err := s.outsider.Dial(s.ctx, netip.AddrPortFrom(addresses[0], 80))
	if err == nil {
		connection.Close()
		return "", fmt.Errorf("%v answers there", addresses[0])
	}
	return fmt.Sprintf("the name does not exist there, and %v does not answer", addresses[0]), nil
}

// teardown deletes everything, the latest first, so that nothing goes before what stands on it.
func (s *story) teardown() (string, error) {
	for _, path := range slices.Backward(s.made) {
		if err := s.api.Lattice(s.ctx, "DELETE", path, nil, nil); err != nil {
			return "", err
		}
		if err := s.eventually(func() (bool, error) { return s.isGone(path) }); err != nil {
			return "", err
		}
	}
	if err := s.deleteFunction(); err != nil {
		return "", err
	}
	for _, kind := range []string{"/servicenetworks", "/services", "/targetgroups"} {
		var left lattice.List[resource]
		if err := s.api.Lattice(s.ctx, "GET", kind, nil, &left); err != nil {
			return "", err
		}
		if len(left.Items) > 0 {
			return "", fmt.Errorf("of %s, %d are left", kind, len(left.Items))
		}
	}
	return "no association, service, target group, function or service network is left", nil
}

func (s *story) isGone(path string) (bool, error) {
	err := s.api.Lattice(s.ctx, "GET", path, nil, nil)
	var refused *apiclient.Error
	if errors.As(err, &refused) && refused.Status == http.StatusNotFound {
		return true, nil
	}
	return false, err
}

// eventually asks until the answer is yes, an error, or the end of the story.
func (s *story) eventually(yes func() (bool, error)) error {
	for {
		done, err := yes()
		if done || err != nil {
			return err
		}
		select {
		case <-s.ctx.Done():
			return fmt.Errorf("it did not happen in time: %w", s.ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// soon tries until it goes well, for as long as a change may take to be served.
func (s *story) soon(try func() error) error {
	deadline := time.Now().Add(5 * time.Second)
	for {
		err := try()
		if err == nil || s.ctx.Err() != nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// demoTargetPort is the port of the demo's targets.
const demoTargetPort = 8080

// demoTarget is a program in an instance that says who it is.
type demoTarget struct {
	instance inside.Instance
	server   *http.Server
}

// newServer is a server that says the same to everyone.
func newServer(says string) *http.Server {
	return &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, says) }),
		ReadHeaderTimeout: 5 * time.Second,
	}
}

// serve runs a server until the end of the story.
func (s *story) serve(server io.Closer, run func() error) {
	s.servers = append(s.servers, server)
	go run() // it ends when the server is closed
}

func (s *story) closeServers() {
	for _, server := range s.servers {
		_ = server.Close()
	}
}
