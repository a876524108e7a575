package elbv2_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"pergola/aws"
	"pergola/aws/acm"
	resources "pergola/aws/ec2"
	nouns "pergola/aws/elbv2"
	"pergola/aws/iam"
	"pergola/control/ec2"
	"pergola/control/elbv2"
	"pergola/control/operation"
	"pergola/lattice"
	"pergola/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for something that must happen; never how long it takes.
const patience = 20 * time.Second

const (
	account = "100000000001"
	other   = "100000000002"
)

// world is Elastic Load Balancing and EC2 with one caller, on a store of their own.
type world struct {
	*elbv2.Control
	networks *ec2.Control
	t        *testing.T
	ctx      context.Context
	caller   iam.Caller
	store    *store.Store
}

// root is an account's root user, who needs no policies.
func root(account string) iam.Caller {
	return iam.Caller{Account: account, ARN: "arn:aws:iam::" + account + ":root", UserID: account, Type: iam.TypeAccount}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	objects, err := store.Open(ctx, store.Config{Dir: filepath.Join(t.TempDir(), "store"), NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := objects.Close(); err != nil {
			t.Error(err)
		}
	})
	now := func() time.Time { return time.Unix(1_800_000_000, 0) }
	return &world{
		Control:  elbv2.New(operation.Config{Store: objects, Region: "us-west-2", Now: now}),
		networks: ec2.New(operation.Config{Store: objects, Region: "us-west-2", Now: now}),
		t:        t, ctx: ctx, caller: root(account), store: objects,
	}
}

// must carries out an operation that cannot fail.
func must[In, Out any](w *world, f func(context.Context, iam.Caller, *In) (*Out, error), in In) *Out {
	w.t.Helper()
	answer, err := f(w.ctx, w.caller, &in)
	if err != nil {
		w.t.Fatalf("%+v: %v", in, err)
	}
	return answer
}

// refused carries out an operation that must fail with a code.
func refused[In, Out any](w *world, f func(context.Context, iam.Caller, *In) (*Out, error), in In, code string) {
	w.t.Helper()
	_, err := f(w.ctx, w.caller, &in)
	var named *aws.Error
	if !errors.As(err, &named) || named.Code != code {
		w.t.Errorf("%+v: %v, want %s", in, err, code)
	}
}

// certificate puts a certificate of an account into the store and returns its ARN.
func (w *world) certificate(account string) string {
	w.t.Helper()
	arn := "arn:aws:acm:us-west-2:" + account + ":certificate/x"
	_, err := w.store.Update(w.ctx, func(tx *store.Tx) error {
		id, _ := acm.ID(arn, "us-west-2")
		return store.NewKind[acm.Certificate](acm.KindCertificate).Put(tx, id, acm.Certificate{ARN: arn})
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return arn
}

// place is a VPC with a subnet in each of two zones, of 11 free addresses each.
type place struct {
	vpc     string
	subnets []string
}

func (w *world) place() place {
	w.t.Helper()
	vpc := must(w, w.networks.CreateVPC, resources.CreateVPCRequest{CIDRBlock: "10.0.0.0/16"}).VPC.ID
	p := place{vpc: vpc}
	for i, zone := range []string{"a", "b"} {
		p.subnets = append(p.subnets, must(w, w.networks.CreateSubnet, resources.CreateSubnetRequest{
			VPCID: vpc, CIDRBlock: fmt.Sprintf("10.0.%d.0/28", i), AvailabilityZone: "us-west-2" + zone,
		}).Subnet.ID)
	}
	return p
}

func (w *world) balancer(p place, name string) nouns.LoadBalancerDescription {
	w.t.Helper()
	return must(w, w.CreateLoadBalancer, nouns.CreateLoadBalancerRequest{Name: name, Scheme: "internal", Subnets: p.subnets}).LoadBalancers[0]
}

func (w *world) group(p place, name string) string {
	w.t.Helper()
	return must(w, w.CreateTargetGroup, nouns.CreateTargetGroupRequest{Name: name, Protocol: "HTTP", Port: 8080, VPCID: p.vpc}).TargetGroups[0].ARN
}

func forwardTo(arn string) []nouns.ActionDescription {
	return []nouns.ActionDescription{{Type: "forward", TargetGroupARN: arn}}
}

func listenerRequest(balancer, protocol string, port int32, actions []nouns.ActionDescription) nouns.CreateListenerRequest {
	return nouns.CreateListenerRequest{
		LoadBalancerARN: balancer, ListenerSettings: nouns.ListenerSettings{Protocol: protocol, Port: port}, DefaultActions: actions,
	}
}

func (w *world) write(f func(tx *store.Tx) error) {
	w.t.Helper()
	if _, err := w.store.Update(w.ctx, f); err != nil {
		w.t.Fatal(err)
	}
}

// stored is a load balancer as the store has it.
func (w *world) stored(arn string) (l nouns.LoadBalancer) {
	w.t.Helper()
	w.write(func(tx *store.Tx) (err error) {
		l, err = store.NewKind[nouns.LoadBalancer](nouns.KindLoadBalancer).Get(tx, lattice.IDOf(arn))
		return err
	})
	return l
}

func (w *world) instance(id string, p place, status lattice.Status) string {
	w.t.Helper()
	w.write(func(tx *store.Tx) error {
		return store.NewKind[resources.Instance](resources.KindInstance).Put(tx, id, resources.Instance{
			ID: id, Account: account, VPC: p.vpc, Stage: lattice.Stage{Status: status},
			Intent: lattice.Intent{Deleting: status == lattice.StatusDeleteInProgress || status == lattice.StatusGone}})
	})
	return id
}

func TestALoadBalancerHasAddressesThatNobodyElseGets(t *testing.T) {
	w := newWorld(t)
	p := w.place()
	l := w.balancer(p, "shop")
	if l.State != "provisioning" || l.VPCID != p.vpc || l.Type != "application" || l.Scheme != "internal" || len(l.SecurityGroups) != 1 ||
		!strings.HasPrefix(l.DNSName, "internal-shop-") || !strings.HasSuffix(l.DNSName, ".us-west-2.elb.amazonaws.com") {
		t.Errorf("%+v", l)
	}
	var addresses []string
	for _, node := range w.stored(l.ARN).Nodes {
		addresses = append(addresses, node.Address.String())
	}
	if !slices.Equal(addresses, []string{"10.0.0.4", "10.0.1.4"}) {
		t.Errorf("the addresses are %v", addresses)
	}
	run := must(w, w.networks.RunInstances, resources.RunInstancesRequest{SubnetID: p.subnets[0]})
	if got := run.Instances[0].PrivateAddress; got != "10.0.0.5" {
		t.Errorf("an instance is at %s", got)
	}
	refused(w, w.networks.RunInstances, resources.RunInstancesRequest{SubnetID: p.subnets[0], PrivateAddress: "10.0.0.4"}, "InvalidIPAddress.InUse")

	refused(w, w.networks.DeleteSubnet, resources.DeleteSubnetRequest{ID: p.subnets[1]}, "DependencyViolation")
	refused(w, w.networks.DeleteVPC, resources.DeleteVPCRequest{ID: p.vpc}, "DependencyViolation")
	must(w, w.DeleteLoadBalancer, nouns.LoadBalancerRequest{ARN: l.ARN})
	must(w, w.DeleteLoadBalancer, nouns.LoadBalancerRequest{ARN: l.ARN})
	must(w, w.networks.DeleteSubnet, resources.DeleteSubnetRequest{ID: p.subnets[1]})
	must(w, w.networks.RunInstances, resources.RunInstancesRequest{SubnetID: p.subnets[0], PrivateAddress: "10.0.0.4"})
}

func TestWhichLoadBalancersAreMade(t *testing.T) {
	w := newWorld(t)
	p, elsewhere := w.place(), w.place()
	sameZone := must(w, w.networks.CreateSubnet, resources.CreateSubnetRequest{VPCID: p.vpc, CIDRBlock: "10.0.9.0/28", AvailabilityZone: "us-west-2a"}).Subnet.ID
	foreignGroup := must(w, w.networks.CreateSecurityGroup, resources.CreateSecurityGroupRequest{Name: "g", Description: "g", VPCID: elsewhere.vpc}).ID
	for _, test := range []struct {
		change func(*nouns.CreateLoadBalancerRequest)
		code   string
	}{
		{func(r *nouns.CreateLoadBalancerRequest) { r.Name = "-x" }, "ValidationError"},
		{func(r *nouns.CreateLoadBalancerRequest) { r.Name = "internal-x" }, "ValidationError"},
		{func(r *nouns.CreateLoadBalancerRequest) { r.Name = strings.Repeat("x", 33) }, "ValidationError"},
		{func(r *nouns.CreateLoadBalancerRequest) { r.Kind = "network" }, "OperationNotPermitted"},
		{func(r *nouns.CreateLoadBalancerRequest) { r.Scheme = "" }, "InvalidScheme"},
		{func(r *nouns.CreateLoadBalancerRequest) { r.Scheme = "internet-facing" }, "InvalidScheme"},
		{func(r *nouns.CreateLoadBalancerRequest) { r.IPAddressType = "dualstack" }, "InvalidConfigurationRequest"},
		{func(r *nouns.CreateLoadBalancerRequest) { r.CustomerPool = "x" }, "InvalidConfigurationRequest"},
		{func(r *nouns.CreateLoadBalancerRequest) {
			r.SubnetMappings = []nouns.SubnetMapping{{SubnetID: p.subnets[0]}}
		}, "ValidationError"},
		{func(r *nouns.CreateLoadBalancerRequest) {
			r.SubnetMappings = []nouns.SubnetMapping{{SubnetID: p.subnets[0], PrivateAddress: "10.0.0.9"}}
		}, "InvalidConfigurationRequest"},
		{func(r *nouns.CreateLoadBalancerRequest) { r.Subnets = p.subnets[:1] }, "ValidationError"},
		{func(r *nouns.CreateLoadBalancerRequest) { r.Subnets = []string{p.subnets[0], sameZone} }, "InvalidConfigurationRequest"},
		{func(r *nouns.CreateLoadBalancerRequest) { r.Subnets = []string{p.subnets[0], elsewhere.subnets[1]} }, "InvalidSubnet"},
		{func(r *nouns.CreateLoadBalancerRequest) {
			r.Subnets = []string{p.subnets[0], "subnet-00000000000000000"}
		}, "SubnetNotFound"},
		{func(r *nouns.CreateLoadBalancerRequest) { r.SecurityGroups = []string{"sg-00000000000000000"} }, "InvalidSecurityGroup"},
		{func(r *nouns.CreateLoadBalancerRequest) { r.SecurityGroups = []string{foreignGroup} }, "InvalidConfigurationRequest"},
		{func(r *nouns.CreateLoadBalancerRequest) { r.SecurityGroups = make([]string, 6) }, "InvalidConfigurationRequest"},
		{func(r *nouns.CreateLoadBalancerRequest) { r.Tags = []nouns.Tag{{Key: "a"}, {Key: "a"}} }, "DuplicateTagKeys"},
		{func(r *nouns.CreateLoadBalancerRequest) { r.Tags = []nouns.Tag{{Key: "aws:x"}} }, "ValidationError"},
	} {
		request := nouns.CreateLoadBalancerRequest{Name: "shop", Scheme: "internal", Subnets: p.subnets}
		test.change(&request)
		refused(w, w.CreateLoadBalancer, request, test.code)
	}
	first := w.balancer(p, "shop")
	if again := w.balancer(p, "shop"); again.ARN != first.ARN {
		t.Error("a repeated request makes another load balancer")
	}
	refused(w, w.CreateLoadBalancer, nouns.CreateLoadBalancerRequest{Name: "shop", Scheme: "internal", Subnets: elsewhere.subnets}, "DuplicateLoadBalancerName")

	// 11 addresses less the one of shop.
	for i := range 10 {
		w.balancer(p, fmt.Sprint("shop", i))
	}
	refused(w, w.CreateLoadBalancer, nouns.CreateLoadBalancerRequest{Name: "full", Scheme: "internal", Subnets: p.subnets}, "InvalidSubnet")
}

func TestDescribeLoadBalancers(t *testing.T) {
	w := newWorld(t)
	p := w.place()
	a, b := w.balancer(p, "a"), w.balancer(p, "b")
	list := func(in nouns.DescribeLoadBalancersRequest) (names []string, next string) {
		answer := must(w, w.DescribeLoadBalancers, in)
		for _, l := range answer.LoadBalancers {
			names = append(names, l.Name)
		}
		slices.Sort(names)
		return names, answer.NextMarker
	}
	for _, test := range []struct {
		in   nouns.DescribeLoadBalancersRequest
		want []string
	}{
		{nouns.DescribeLoadBalancersRequest{}, []string{"a", "b"}},
		{nouns.DescribeLoadBalancersRequest{ARNs: []string{a.ARN}}, []string{"a"}},
		{nouns.DescribeLoadBalancersRequest{Names: []string{"b"}}, []string{"b"}},
	} {
		if got, _ := list(test.in); !slices.Equal(got, test.want) {
			t.Errorf("%+v: %v", test.in, got)
		}
	}
	first, next := list(nouns.DescribeLoadBalancersRequest{Page: nouns.Page{PageSize: 1}})
	second, end := list(nouns.DescribeLoadBalancersRequest{Page: nouns.Page{PageSize: 1, Marker: next}})
	if len(first) != 1 || len(second) != 1 || first[0] == second[0] || next == "" || end != "" {
		t.Errorf("pages %v %q, %v %q", first, next, second, end)
	}
	refused(w, w.DescribeLoadBalancers, nouns.DescribeLoadBalancersRequest{Names: []string{"c"}}, "LoadBalancerNotFound")
	refused(w, w.DescribeLoadBalancers, nouns.DescribeLoadBalancersRequest{ARNs: []string{b.ARN + "0"}}, "LoadBalancerNotFound")
	refused(w, w.DescribeLoadBalancers, nouns.DescribeLoadBalancersRequest{ARNs: []string{"x"}}, "ValidationError")

	w.caller = root(other)
	if got, _ := list(nouns.DescribeLoadBalancersRequest{}); got != nil {
		t.Errorf("another account sees %v", got)
	}
	refused(w, w.DescribeLoadBalancers, nouns.DescribeLoadBalancersRequest{ARNs: []string{a.ARN}}, "AccessDenied")
	refused(w, w.DescribeListeners, nouns.DescribeListenersRequest{LoadBalancerARN: a.ARN}, "AccessDenied")
	refused(w, w.DescribeTags, nouns.DescribeTagsRequest{ResourceARNs: []string{a.ARN}}, "AccessDenied")
	refused(w, w.DeleteLoadBalancer, nouns.LoadBalancerRequest{ARN: a.ARN}, "AccessDenied")
}

func TestListeners(t *testing.T) {
	w := newWorld(t)
	p := w.place()
	l, g := w.balancer(p, "shop"), w.group(p, "web")
	made := must(w, w.CreateListener, listenerRequest(l.ARN, "HTTP", 80, forwardTo(g))).Listeners[0]
	if made.LoadBalancerARN != l.ARN || made.Port != 80 || made.DefaultActions[0].TargetGroupARN != g || *made.DefaultActions[0].Forward.TargetGroups[0].Weight != 1 {
		t.Errorf("%+v", made)
	}
	certificate := w.certificate(account)
	secure := listenerRequest(l.ARN, "HTTPS", 443, []nouns.ActionDescription{{Type: "fixed-response", Fixed: &nouns.FixedResponseConfig{StatusCode: "404", MessageBody: "no"}}})
	refused(w, w.CreateListener, secure, "ValidationError")
	for _, arn := range []string{
		"arn:aws:iam::100000000001:server-certificate/x", "arn:aws:acm:us-west-2:100000000001:certificate/gone",
		strings.Replace(certificate, "us-west-2", "eu-west-1", 1), w.certificate(other),
	} {
		secure.Certificates = []nouns.Certificate{{ARN: arn}}
		refused(w, w.CreateListener, secure, "CertificateNotFound")
	}
	secure.Certificates = []nouns.Certificate{{ARN: certificate}}
	for _, name := range []string{"strict", "ELBSecurityPolicy-", "ELBSecurityPolicy-2016-08 ", "ELBSecurityPolicy-" + strings.Repeat("x", 100)} {
		secure.SSLPolicy = name
		refused(w, w.CreateListener, secure, "SSLPolicyNotFound")
	}
	secure.SSLPolicy = ""
	got := must(w, w.CreateListener, secure).Listeners[0]
	if got.SSLPolicy == "" || got.Certificates[0].ARN != certificate || got.DefaultActions[0].Fixed.StatusCode != "404" {
		t.Errorf("%+v", got)
	}
	gone := nouns.ListenerSettings{Certificates: []nouns.Certificate{{ARN: "arn:aws:acm:us-west-2:100000000001:certificate/gone"}}}
	refused(w, w.ModifyListener, nouns.ModifyListenerRequest{ARN: got.ARN, ListenerSettings: gone}, "CertificateNotFound")
	if found := must(w, w.DescribeListenerCertificates, nouns.DescribeListenerCertificatesRequest{ListenerRequest: nouns.ListenerRequest{ARN: got.ARN}}); len(found.Certificates) != 1 {
		t.Errorf("%+v", found)
	}
	if found := must(w, w.DescribeListeners, nouns.DescribeListenersRequest{LoadBalancerARN: l.ARN}).Listeners; len(found) != 2 {
		t.Errorf("%+v", found)
	}
	rules := must(w, w.DescribeRules, nouns.DescribeRulesRequest{ListenerARN: made.ARN}).Rules
	if len(rules) != 1 || !rules[0].IsDefault || rules[0].Priority != "default" || !reflect.DeepEqual(rules[0].Actions, made.DefaultActions) {
		t.Errorf("%+v", rules)
	}
	if again := must(w, w.DescribeRules, nouns.DescribeRulesRequest{ARNs: []string{rules[0].ARN}}).Rules; !reflect.DeepEqual(again, rules) {
		t.Errorf("%+v", again)
	}
	refused(w, w.DescribeRules, nouns.DescribeRulesRequest{ARNs: []string{rules[0].ARN + "0"}}, "RuleNotFound")
	refused(w, w.DescribeRules, nouns.DescribeRulesRequest{}, "ValidationError")
	refused(w, w.DescribeListeners, nouns.DescribeListenersRequest{}, "ValidationError")

	again := must(w, w.CreateListener, secure).Listeners // as a client does that has not heard the answer
	if !reflect.DeepEqual(again[0], got) {
		t.Errorf("%+v", again)
	}
	secure.SSLPolicy = "ELBSecurityPolicy-TLS13-1-2-2021-06"
	refused(w, w.CreateListener, secure, "DuplicateListener")
	if found := must(w, w.DescribeListeners, nouns.DescribeListenersRequest{LoadBalancerARN: l.ARN}).Listeners; len(found) != 2 {
		t.Errorf("%+v", found)
	}

	moved := must(w, w.ModifyListener, nouns.ModifyListenerRequest{ARN: made.ARN, ListenerSettings: nouns.ListenerSettings{Port: 8080}}).Listeners[0]
	if moved.Port != 8080 || moved.ARN != made.ARN || moved.DefaultActions[0].TargetGroupARN != g {
		t.Errorf("%+v", moved)
	}
	refused(w, w.ModifyListener, nouns.ModifyListenerRequest{ARN: made.ARN, ListenerSettings: nouns.ListenerSettings{Port: 443}}, "DuplicateListener")
	must(w, w.DeleteListener, nouns.ListenerRequest{ARN: made.ARN})
	refused(w, w.DeleteListener, nouns.ListenerRequest{ARN: made.ARN}, "ListenerNotFound")
	refused(w, w.DescribeListeners, nouns.DescribeListenersRequest{ARNs: []string{made.ARN}}, "ListenerNotFound")
}

func TestWhichListenersAreMade(t *testing.T) {
	w := newWorld(t)
	p, elsewhere := w.place(), w.place()
	l, g := w.balancer(p, "shop"), w.group(p, "web")
	taken := w.group(p, "taken")
	must(w, w.CreateListener, listenerRequest(w.balancer(p, "other").ARN, "HTTP", 80, forwardTo(taken)))
	fixed := func(c nouns.FixedResponseConfig) []nouns.ActionDescription {
		return []nouns.ActionDescription{{Type: "fixed-response", Fixed: &c}}
	}
	weighted := func(stickiness bool, arns ...string) []nouns.ActionDescription {
		forward := &nouns.ForwardConfig{Stickiness: &nouns.ForwardStickiness{Enabled: stickiness}}
		for _, arn := range arns {
			forward.TargetGroups = append(forward.TargetGroups, nouns.WeightedGroup{ARN: arn})
		}
		return []nouns.ActionDescription{{Type: "forward", Forward: forward}}
	}
	both := weighted(false, g)
	both[0].TargetGroupARN = w.group(p, "third")
	mixed := fixed(nouns.FixedResponseConfig{StatusCode: "200"})
	mixed[0].TargetGroupARN = g
	for _, test := range []struct {
		protocol string
		port     int32
		actions  []nouns.ActionDescription
		code     string
	}{
		{"", 80, forwardTo(g), "ValidationError"},
		{"HTTP", 0, forwardTo(g), "ValidationError"},
		{"TCP", 80, forwardTo(g), "UnsupportedProtocol"},
		{"HTTP", 80, forwardTo(""), "ValidationError"},
		{"HTTP", 80, forwardTo(g + "0"), "TargetGroupNotFound"},
		{"HTTP", 80, forwardTo(taken), "TargetGroupAssociationLimit"},
		{"HTTP", 80, forwardTo(w.group(elsewhere, "away")), "InvalidConfigurationRequest"},
		{"HTTP", 80, append(forwardTo(g), forwardTo(g)...), "TooManyActions"},
		{"HTTP", 80, []nouns.ActionDescription{{Type: "redirect"}}, "InvalidLoadBalancerAction"},
		{"HTTP", 80, []nouns.ActionDescription{{Type: "fixed-response"}}, "ValidationError"},
		{"HTTP", 80, fixed(nouns.FixedResponseConfig{StatusCode: "200", ContentType: "image/png"}), "ValidationError"},
		{"HTTP", 80, mixed, "InvalidLoadBalancerAction"},
		{"HTTP", 80, both, "ValidationError"},
		{"HTTP", 80, weighted(false, g, g), "ValidationError"},
		{"HTTP", 80, weighted(true, g), "InvalidLoadBalancerAction"},
	} {
		refused(w, w.CreateListener, listenerRequest(l.ARN, test.protocol, test.port, test.actions), test.code)
	}
	for _, change := range []func(*nouns.CreateListenerRequest){
		func(r *nouns.CreateListenerRequest) { r.Certificates = []nouns.Certificate{{ARN: "x"}} },
		func(r *nouns.CreateListenerRequest) { r.SSLPolicy = "x" },
		func(r *nouns.CreateListenerRequest) { r.ALPNPolicy = []string{"x"} },
		func(r *nouns.CreateListenerRequest) {
			r.MutualAuthentication = &nouns.MutualAuthentication{Mode: "verify"}
		},
	} {
		request := listenerRequest(l.ARN, "HTTP", 80, forwardTo(g))
		change(&request)
		refused(w, w.CreateListener, request, "InvalidConfigurationRequest")
	}
	refused(w, w.CreateListener, listenerRequest(l.ARN+"0", "HTTP", 80, forwardTo(g)), "LoadBalancerNotFound")
	must(w, w.CreateListener, listenerRequest(l.ARN, "HTTP", 80, weighted(false, g, w.group(p, "fourth"))))
	refused(w, w.CreateListener, listenerRequest(l.ARN, "HTTP", 80, forwardTo(g)), "DuplicateListener")
}

func TestTargetGroups(t *testing.T) {
	w := newWorld(t)
	p := w.place()
	l := w.balancer(p, "shop")
	g := must(w, w.CreateTargetGroup, nouns.CreateTargetGroupRequest{
		Name: "web", Protocol: "HTTPS", Port: 8443, VPCID: p.vpc, TargetType: "ip",
		HealthCheckSettings: nouns.HealthCheckSettings{Path: "/up", IntervalSeconds: 5, Matcher: &nouns.CodesMatcher{HTTPCode: "200-299"}},
	}).TargetGroups[0]
	if g.CheckProtocol != "HTTP" || g.CheckPort != "traffic-port" || g.TimeoutSeconds != 5 || g.HealthyThreshold != 5 || g.UnhealthyThreshold != 2 ||
		g.Path != "/up" || g.Matcher.HTTPCode != "200-299" || g.TargetType != "ip" || len(g.LoadBalancerARNs) != 0 {
		t.Errorf("%+v", g)
	}
	must(w, w.CreateListener, listenerRequest(l.ARN, "HTTP", 80, forwardTo(g.ARN)))
	idle := w.group(p, "idle")
	if found := must(w, w.DescribeTargetGroups, nouns.DescribeTargetGroupsRequest{LoadBalancerARN: l.ARN}).TargetGroups; len(found) != 1 || found[0].LoadBalancerARNs[0] != l.ARN {
		t.Errorf("%+v", found)
	}
	if found := must(w, w.DescribeTargetGroups, nouns.DescribeTargetGroupsRequest{Names: []string{"idle"}}).TargetGroups; len(found) != 1 || found[0].ARN != idle {
		t.Errorf("%+v", found)
	}
	if w.group(p, "idle") != idle {
		t.Error("a repeated request makes another target group")
	}
	refused(w, w.CreateTargetGroup, nouns.CreateTargetGroupRequest{Name: "idle", Protocol: "HTTP", Port: 81, VPCID: p.vpc}, "DuplicateTargetGroupName")
	refused(w, w.DescribeTargetGroups, nouns.DescribeTargetGroupsRequest{Names: []string{"x"}}, "TargetGroupNotFound")
	refused(w, w.DescribeTargetGroups, nouns.DescribeTargetGroupsRequest{ARNs: []string{idle + "0"}}, "TargetGroupNotFound")

	changed := must(w, w.ModifyTargetGroup, nouns.ModifyTargetGroupRequest{ARN: g.ARN, HealthCheckSettings: nouns.HealthCheckSettings{Port: "9000", HealthyThreshold: 2}}).TargetGroups[0]
	if changed.CheckPort != "9000" || changed.HealthyThreshold != 2 || changed.Path != "/up" {
		t.Errorf("%+v", changed)
	}
	refused(w, w.DeleteTargetGroup, nouns.TargetGroupRequest{ARN: g.ARN}, "ResourceInUse")
	must(w, w.DeleteTargetGroup, nouns.TargetGroupRequest{ARN: idle})
	must(w, w.DeleteTargetGroup, nouns.TargetGroupRequest{ARN: idle})
	must(w, w.DeleteLoadBalancer, nouns.LoadBalancerRequest{ARN: l.ARN})
	must(w, w.DeleteTargetGroup, nouns.TargetGroupRequest{ARN: g.ARN})
}

func TestWhichTargetGroupsAreMade(t *testing.T) {
	w := newWorld(t)
	p := w.place()
	off := false
	for _, test := range []struct {
		change func(*nouns.CreateTargetGroupRequest)
		code   string
	}{
		{func(r *nouns.CreateTargetGroupRequest) { r.Name = "a_b" }, "ValidationError"},
		{func(r *nouns.CreateTargetGroupRequest) { r.TargetType = "lambda" }, "InvalidConfigurationRequest"},
		{func(r *nouns.CreateTargetGroupRequest) { r.TargetType = "alb" }, "InvalidConfigurationRequest"},
		{func(r *nouns.CreateTargetGroupRequest) { r.Protocol = "" }, "ValidationError"},
		{func(r *nouns.CreateTargetGroupRequest) { r.Protocol = "TCP" }, "InvalidConfigurationRequest"},
		{func(r *nouns.CreateTargetGroupRequest) { r.ProtocolVersion = "GRPC" }, "InvalidConfigurationRequest"},
		{func(r *nouns.CreateTargetGroupRequest) { r.Port = 0 }, "ValidationError"},
		{func(r *nouns.CreateTargetGroupRequest) { r.VPCID = "" }, "ValidationError"},
		{func(r *nouns.CreateTargetGroupRequest) { r.VPCID = "vpc-00000000000000000" }, "ValidationError"},
		{func(r *nouns.CreateTargetGroupRequest) { r.IPAddressType = "ipv6" }, "InvalidConfigurationRequest"},
		{func(r *nouns.CreateTargetGroupRequest) { r.ControlPort = 1 }, "InvalidConfigurationRequest"},
		{func(r *nouns.CreateTargetGroupRequest) { r.HealthCheckSettings.Protocol = "TCP" }, "InvalidConfigurationRequest"},
		{func(r *nouns.CreateTargetGroupRequest) { r.Enabled = &off }, "InvalidConfigurationRequest"},
		{func(r *nouns.CreateTargetGroupRequest) { r.Matcher = &nouns.CodesMatcher{GRPCCode: "0"} }, "InvalidConfigurationRequest"},
		{func(r *nouns.CreateTargetGroupRequest) { r.Matcher = &nouns.CodesMatcher{HTTPCode: "200-500"} }, "ValidationError"},
		{func(r *nouns.CreateTargetGroupRequest) { r.Matcher = &nouns.CodesMatcher{HTTPCode: "200,"} }, "ValidationError"},
		{func(r *nouns.CreateTargetGroupRequest) { r.Matcher = &nouns.CodesMatcher{HTTPCode: "299-200"} }, "ValidationError"},
		{func(r *nouns.CreateTargetGroupRequest) { r.HealthCheckSettings.Port = "0" }, "ValidationError"},
		{func(r *nouns.CreateTargetGroupRequest) { r.HealthCheckSettings.Port = "65536" }, "ValidationError"},
		{func(r *nouns.CreateTargetGroupRequest) { r.IntervalSeconds, r.TimeoutSeconds = 5, 6 }, "ValidationError"},
	} {
		request := nouns.CreateTargetGroupRequest{Name: "web", Protocol: "HTTP", Port: 80, VPCID: p.vpc}
		test.change(&request)
		refused(w, w.CreateTargetGroup, request, test.code)
	}
}

func TestTargets(t *testing.T) {
	w := newWorld(t)
	p, elsewhere := w.place(), w.place()
	l, g := w.balancer(p, "shop"), w.group(p, "web")
	one := w.instance("i-1", p, lattice.StatusActive)
	stopped, away := w.instance("i-2", p, lattice.StatusGone), w.instance("i-3", elsewhere, lattice.StatusActive)
	to := func(ids ...string) nouns.TargetsRequest {
		r := nouns.TargetsRequest{ARN: g}
		for _, id := range ids {
			r.Targets = append(r.Targets, nouns.TargetDescription{ID: id})
		}
		return r
	}
	for _, id := range []string{stopped, away, "i-nobody", "10.0.0.9"} {
		refused(w, w.RegisterTargets, to(one, id), "InvalidTarget")
	}
	health := func(request nouns.DescribeTargetHealthRequest) map[string]string {
		got := map[string]string{}
		for _, d := range must(w, w.DescribeTargetHealth, request).Descriptions {
			got[fmt.Sprint(d.Target.ID, ":", d.Target.Port, " checked at ", d.CheckPort)] = strings.TrimSpace(d.Health.State + " " + d.Health.Reason)
		}
		return got
	}
	all := nouns.DescribeTargetHealthRequest{ARN: g}
	if got := health(all); len(got) != 0 {
		t.Errorf("of a refused request there is %v", got)
	}
	must(w, w.RegisterTargets, to(one))
	must(w, w.RegisterTargets, to(one))
	must(w, w.RegisterTargets, nouns.TargetsRequest{ARN: g, Targets: []nouns.TargetDescription{{ID: one, Port: 81}}})
	if got := health(all); !reflect.DeepEqual(got, map[string]string{
		"i-1:8080 checked at 8080": "unused Target.NotInUse", "i-1:81 checked at 81": "unused Target.NotInUse",
	}) {
		t.Errorf("%v", got)
	}
	must(w, w.CreateListener, listenerRequest(l.ARN, "HTTP", 80, forwardTo(g)))
	lease, err := w.store.Lease(w.ctx, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ report, want string }{
		{"", "initial Elb.RegistrationInProgress"},
		{`{"i-1:8080":{"status":"INITIAL"}}`, "initial Elb.InitialHealthChecking"},
		{`{"i-1:8080":{"status":"HEALTHY"}}`, "healthy"},
		{`{"i-1:8080":{"status":"UNHEALTHY"}}`, "unhealthy Target.FailedHealthChecks"},
	} {
		if test.report != "" {
			if err := lease.Put(w.ctx, lattice.TargetReportKey(lattice.IDOf(g), "node"), []byte(test.report)); err != nil {
				t.Fatal(err)
			}
		}
		if got := health(all)["i-1:8080 checked at 8080"]; got != test.want {
			t.Errorf("with the report %s: %q, want %q", test.report, got, test.want)
		}
	}
	if got := health(nouns.DescribeTargetHealthRequest{ARN: g, Targets: []nouns.TargetDescription{{ID: "i-9"}}}); got["i-9:8080 checked at 8080"] != "unused Target.NotRegistered" {
		t.Errorf("%v", got)
	}
	w.instance(one, p, lattice.StatusDeleteInProgress)
	if got := health(all)["i-1:8080 checked at 8080"]; got != "unused Target.InvalidState" {
		t.Errorf("of an instance that is going: %q", got)
	}
	must(w, w.DeregisterTargets, to(one))
	must(w, w.DeregisterTargets, to(one, "i-nobody"))
	if got := health(all); len(got) != 0 {
		t.Errorf("%v is left", got)
	}
	if err := lease.Close(w.ctx); err != nil {
		t.Error(err)
	}
}

func TestTargetsByAddress(t *testing.T) {
	w := newWorld(t)
	p := w.place()
	g := must(w, w.CreateTargetGroup, nouns.CreateTargetGroupRequest{Name: "web", Protocol: "HTTP", Port: 80, VPCID: p.vpc, TargetType: "ip"}).TargetGroups[0].ARN
	for id, code := range map[string]string{"i-1": "ValidationError", "fd00::1": "ValidationError", "10.1.0.9": "InvalidTarget", "8.8.8.8": "InvalidTarget"} {
		refused(w, w.RegisterTargets, nouns.TargetsRequest{ARN: g, Targets: []nouns.TargetDescription{{ID: id}}}, code)
	}
	must(w, w.RegisterTargets, nouns.TargetsRequest{ARN: g, Targets: []nouns.TargetDescription{{ID: "10.0.0.9"}, {ID: "10.0.0.9", Port: 81}}})
	if got := must(w, w.DescribeTargetHealth, nouns.DescribeTargetHealthRequest{ARN: g}).Descriptions; len(got) != 2 {
		t.Errorf("%+v", got)
	}
	many := nouns.TargetsRequest{ARN: g}
	for i := range 999 {
		many.Targets = append(many.Targets, nouns.TargetDescription{ID: netip.AddrFrom4([4]byte{10, 0, byte(4 + i/250), byte(i % 250)}).String()})
	}
	refused(w, w.RegisterTargets, many, "TooManyTargets")
}

func TestAttributes(t *testing.T) {
	w := newWorld(t)
	p := w.place()
	l, g := w.balancer(p, "shop"), w.group(p, "web")
	listener := must(w, w.CreateListener, listenerRequest(l.ARN, "HTTP", 80, forwardTo(g))).Listeners[0].ARN
	of := func(answer *nouns.AttributesResponse, key string) string {
		for _, a := range answer.Attributes {
			if a.Key == key {
				return a.Value
			}
		}
		return "none"
	}
	set := func(pairs ...string) nouns.ModifyLoadBalancerAttributesRequest {
		r := nouns.ModifyLoadBalancerAttributesRequest{ARN: l.ARN}
		for i := 0; i < len(pairs); i += 2 {
			r.Attributes = append(r.Attributes, nouns.Attribute{Key: pairs[i], Value: pairs[i+1]})
		}
		return r
	}
	if got := of(must(w, w.DescribeLoadBalancerAttributes, nouns.LoadBalancerRequest{ARN: l.ARN}), nouns.ForwardedFor); got != "append" {
		t.Errorf("by default %s", got)
	}
	must(w, w.ModifyLoadBalancerAttributes, set(nouns.ForwardedFor, "remove", nouns.IdleTimeout, "5"))
	must(w, w.ModifyLoadBalancerAttributes, set(nouns.ForwardedFor, "append", "access_logs.s3.bucket", "b"))
	answer := must(w, w.DescribeLoadBalancerAttributes, nouns.LoadBalancerRequest{ARN: l.ARN})
	if of(answer, nouns.ForwardedFor) != "append" || of(answer, nouns.IdleTimeout) != "5" || of(answer, "access_logs.s3.bucket") != "b" {
		t.Errorf("%+v", answer)
	}
	if stored := w.stored(l.ARN).Attributes; !reflect.DeepEqual(stored, map[string]string{nouns.IdleTimeout: "5", "access_logs.s3.bucket": "b"}) {
		t.Errorf("stored are %v", stored)
	}
	for key, value := range map[string]string{
		nouns.ForwardedFor: "keep", nouns.IdleTimeout: "4001", nouns.DeletionProtection: "yes", "routing.http2.enabled": "",
		"client_keep_alive.seconds": "59", "routing.http.desync_mitigation_mode": "lax",
	} {
		refused(w, w.ModifyLoadBalancerAttributes, set(key, value), "InvalidConfigurationRequest")
	}
	refused(w, w.ModifyLoadBalancerAttributes, set("colour", "red"), "ValidationError")

	must(w, w.ModifyLoadBalancerAttributes, set(nouns.DeletionProtection, "true"))
	refused(w, w.DeleteLoadBalancer, nouns.LoadBalancerRequest{ARN: l.ARN}, "OperationNotPermitted")

	group := nouns.ModifyTargetGroupAttributesRequest{ARN: g, Attributes: []nouns.Attribute{{Key: "deregistration_delay.timeout_seconds", Value: "5"}}}
	if got := of(must(w, w.ModifyTargetGroupAttributes, group), "deregistration_delay.timeout_seconds"); got != "5" {
		t.Errorf("the delay is %s", got)
	}
	if got := of(must(w, w.DescribeTargetGroupAttributes, nouns.TargetGroupRequest{ARN: g}), nouns.Stickiness); got != "false" {
		t.Errorf("stickiness is %s", got)
	}
	for key, value := range map[string]string{
		nouns.Stickiness: "true", "deregistration_delay.timeout_seconds": "+5", "slow_start.duration_seconds": "901",
		"load_balancing.algorithm.type": "random", "load_balancing.cross_zone.enabled": "maybe", "stickiness.type": "source_ip",
		"stickiness.lb_cookie.duration_seconds": "0", "target_group_health.dns_failover.minimum_healthy_targets.percentage": "101",
	} {
		group.Attributes = []nouns.Attribute{{Key: key, Value: value}}
		refused(w, w.ModifyTargetGroupAttributes, group, "InvalidConfigurationRequest")
	}
	for key, value := range map[string]string{
		"load_balancing.algorithm.type": "least_outstanding_requests", "load_balancing.cross_zone.enabled": "true",
		"target_group_health.dns_failover.minimum_healthy_targets.percentage": "off", "stickiness.app_cookie.cookie_name": "shop",
	} {
		group.Attributes = []nouns.Attribute{{Key: key, Value: value}}
		must(w, w.ModifyTargetGroupAttributes, group)
	}

	must(w, w.ModifyListenerAttributes, nouns.ModifyListenerAttributesRequest{ARN: listener, Attributes: []nouns.Attribute{{Key: "routing.http.response.server.enabled", Value: "false"}}})
	if got := of(must(w, w.DescribeListenerAttributes, nouns.ListenerRequest{ARN: listener}), "routing.http.response.server.enabled"); got != "false" {
		t.Errorf("the listener's attribute is %s", got)
	}
	must(w, w.DescribeCapacityReservation, nouns.LoadBalancerRequest{ARN: l.ARN})
}

func TestTags(t *testing.T) {
	w := newWorld(t)
	p := w.place()
	l, g := w.balancer(p, "shop"), w.group(p, "web")
	made := must(w, w.CreateListener, listenerRequest(l.ARN, "HTTP", 80, forwardTo(g))).Listeners[0].ARN
	rule := must(w, w.DescribeRules, nouns.DescribeRulesRequest{ListenerARN: made}).Rules[0].ARN
	all := []string{l.ARN, g, made}
	must(w, w.AddTags, nouns.AddTagsRequest{ResourceARNs: all, Tags: []nouns.Tag{{Key: "team", Value: "red"}, {Key: "env", Value: "test"}}})
	must(w, w.AddTags, nouns.AddTagsRequest{ResourceARNs: all, Tags: []nouns.Tag{{Key: "team", Value: "blue"}}})
	must(w, w.RemoveTags, nouns.RemoveTagsRequest{ResourceARNs: all, TagKeys: []string{"env", "none"}})
	for _, d := range must(w, w.DescribeTags, nouns.DescribeTagsRequest{ResourceARNs: all}).Descriptions {
		if !reflect.DeepEqual([]nouns.Tag(d.Tags), []nouns.Tag{{Key: "team", Value: "blue"}}) {
			t.Errorf("%+v", d)
		}
	}
	refused(w, w.AddTags, nouns.AddTagsRequest{ResourceARNs: []string{rule}, Tags: []nouns.Tag{{Key: "a"}}}, "OperationNotPermitted")
	refused(w, w.AddTags, nouns.AddTagsRequest{ResourceARNs: []string{l.ARN + "0"}, Tags: []nouns.Tag{{Key: "a"}}}, "LoadBalancerNotFound")
	var many []nouns.Tag
	for i := range 50 {
		many = append(many, nouns.Tag{Key: fmt.Sprint(i)})
	}
	refused(w, w.AddTags, nouns.AddTagsRequest{ResourceARNs: []string{l.ARN}, Tags: many}, "TooManyTags")
}

func TestSecurityGroups(t *testing.T) {
	w := newWorld(t)
	p := w.place()
	l := w.balancer(p, "shop")
	group := must(w, w.networks.CreateSecurityGroup, resources.CreateSecurityGroupRequest{Name: "lb", Description: "lb", VPCID: p.vpc}).ID
	must(w, w.SetSecurityGroups, nouns.SetSecurityGroupsRequest{ARN: l.ARN, SecurityGroups: []string{group}})
	refused(w, w.networks.DeleteSecurityGroup, resources.DeleteSecurityGroupRequest{ID: group}, "DependencyViolation")
	refused(w, w.SetSecurityGroups, nouns.SetSecurityGroupsRequest{ARN: l.ARN, SecurityGroups: []string{"sg-x"}}, "InvalidSecurityGroup")
	must(w, w.DeleteLoadBalancer, nouns.LoadBalancerRequest{ARN: l.ARN})
	must(w, w.networks.DeleteSecurityGroup, resources.DeleteSecurityGroupRequest{ID: group})
}
