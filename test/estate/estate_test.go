// Package estate tests whole deployments through the Go SDK on one side and HTTP clients inside VPCs on the other.
package estate

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice/types"

	"pergola/deployment"
	"pergola/internal/inside"
	"pergola/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// estate is a deployment with two VPCs that have the same addresses, a client in one and a place for targets in the
// other, joined by a service network.
type estate struct {
	*testenv.Env
	t               *testing.T
	clients, owners testenv.VPC
	client          inside.Instance
	network         string
}

func newEstate(t *testing.T) *estate {
	t.Helper()
	return newEstateOn(t, testenv.Start(t))
}

func newEstateOn(t *testing.T, env *testenv.Env) *estate {
	t.Helper()
	e := &estate{Env: env, t: t}
	e.clients, e.owners = e.MakeVPC("10.20.0.0/16"), e.MakeVPC("10.20.0.0/16")
	e.client = e.RunInstance(e.clients, "10.20.1.10")
	network := must(e.Lattice.CreateServiceNetwork(t.Context(), &vpclattice.CreateServiceNetworkInput{Name: aws.String("platform-mesh")}))(t)
	e.network = *network.Id
	e.associateVPC(e.clients)
	return e
}

// must fails the test for an error.
func must[T any](value T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func (e *estate) associateVPC(vpc testenv.VPC) string {
	e.t.Helper()
	created := must(e.Lattice.CreateServiceNetworkVpcAssociation(e.t.Context(), &vpclattice.CreateServiceNetworkVpcAssociationInput{
		ServiceNetworkIdentifier: &e.network, VpcIdentifier: &vpc.ID,
	}))(e.t)
	e.Eventually("the VPC association is active", func() bool {
		got := must(e.Lattice.GetServiceNetworkVpcAssociation(e.t.Context(), &vpclattice.GetServiceNetworkVpcAssociationInput{
			ServiceNetworkVpcAssociationIdentifier: created.Id,
		}))(e.t)
		return got.Status == types.ServiceNetworkVpcAssociationStatusActive
	})
	return *created.Id
}

// service is a service in the estate's network.
type service struct {
	id, listener, association, domain string
}

// url is where clients find the service.
func (s service) url(path string) string { return "http://" + s.domain + path }

// makeService makes a service with an HTTP listener on port 80, associated with the network.
func (e *estate) makeService(name string, action types.RuleAction) service {
	e.t.Helper()
	return e.makeServiceAs(&vpclattice.CreateServiceInput{Name: &name}, types.ListenerProtocolHttp, action)
}

// makeServiceAs makes a service with one listener on the port of its protocol, associated with the network.
func (e *estate) makeServiceAs(in *vpclattice.CreateServiceInput, protocol types.ListenerProtocol, action types.RuleAction) service {
	e.t.Helper()
	ctx := e.t.Context()
	created := must(e.Lattice.CreateService(ctx, in))(e.t)
	listener := must(e.Lattice.CreateListener(ctx, &vpclattice.CreateListenerInput{
		ServiceIdentifier: created.Id, Name: aws.String("main"), Protocol: protocol, DefaultAction: action,
	}))(e.t)
	association := must(e.Lattice.CreateServiceNetworkServiceAssociation(ctx, &vpclattice.CreateServiceNetworkServiceAssociationInput{
		ServiceIdentifier: created.Id, ServiceNetworkIdentifier: &e.network,
	}))(e.t)
	e.Eventually("the service association is active", func() bool {
		got := must(e.Lattice.GetServiceNetworkServiceAssociation(ctx, &vpclattice.GetServiceNetworkServiceAssociationInput{
			ServiceNetworkServiceAssociationIdentifier: association.Id,
		}))(e.t)
		return got.Status == types.ServiceNetworkServiceAssociationStatusActive
	})
	return service{*created.Id, *listener.Id, *association.Id, *created.DnsEntry.DomainName}
}

// makeGroup makes a target group of instances in the owners' VPC on port 8080, without health checks unless given.
func (e *estate) makeGroup(name string, check *types.HealthCheckConfig, members ...inside.Instance) string {
	e.t.Helper()
	return e.makeGroupAs(name, &types.TargetGroupConfig{
		Port: aws.Int32(8080), Protocol: types.TargetGroupProtocolHttp, HealthCheck: check,
	}, members...)
}

// makeGroupAs makes a target group of instances in the owners' VPC, without health checks unless given.
func (e *estate) makeGroupAs(name string, config *types.TargetGroupConfig, members ...inside.Instance) string {
	e.t.Helper()
	config.VpcIdentifier = &e.owners.ID
	if config.HealthCheck == nil {
		config.HealthCheck = &types.HealthCheckConfig{Enabled: aws.Bool(false)}
	}
	created := must(e.Lattice.CreateTargetGroup(e.t.Context(), &vpclattice.CreateTargetGroupInput{
		Name: &name, Type: types.TargetGroupTypeInstance, Config: config,
	}))(e.t)
	e.Eventually("the target group is active", func() bool {
		got := must(e.Lattice.GetTargetGroup(e.t.Context(), &vpclattice.GetTargetGroupInput{TargetGroupIdentifier: created.Id}))(e.t)
		return got.Status == types.TargetGroupStatusActive
	})
	e.register(*created.Id, members...)
	return *created.Id
}

func (e *estate) register(group string, members ...inside.Instance) {
	e.t.Helper()
	if len(members) == 0 {
		return
	}
	out := must(e.Lattice.RegisterTargets(e.t.Context(), &vpclattice.RegisterTargetsInput{
		TargetGroupIdentifier: &group, Targets: targetsOf(members),
	}))(e.t)
	if len(out.Unsuccessful) > 0 {
		e.t.Fatalf("targets were refused: %s", aws.ToString(out.Unsuccessful[0].FailureMessage))
	}
}

func targetsOf(members []inside.Instance) (targets []types.Target) {
	for _, member := range members {
		targets = append(targets, types.Target{Id: aws.String(member.ID)})
	}
	return targets
}

// forward is an action that forwards to groups, each with a weight.
func forward(weights map[string]int32) types.RuleAction {
	var action types.ForwardAction
	for group, weight := range weights {
		action.TargetGroups = append(action.TargetGroups, types.WeightedTargetGroup{TargetGroupIdentifier: &group, Weight: &weight})
	}
	return &types.RuleActionMemberForward{Value: action}
}

// only forwards everything to one group.
func only(group string) types.RuleAction { return forward(map[string]int32{group: 100}) }

// says answers every request with a text.
func says(text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, text) })
}

// target runs an instance in the owners' VPC that serves on port 8080.
func (e *estate) target(address string, handler http.Handler) inside.Instance {
	e.t.Helper()
	instance := e.RunInstance(e.owners, address)
	e.Serve(instance, 8080, handler)
	return instance
}

// statusOf is the status and the reason code of a group's only target.
func (e *estate) statusOf(group string) (types.TargetStatus, string) {
	e.t.Helper()
	out := must(e.Lattice.ListTargets(e.t.Context(), &vpclattice.ListTargetsInput{TargetGroupIdentifier: &group}))(e.t)
	if len(out.Items) == 0 {
		return "", ""
	}
	return out.Items[0].Status, aws.ToString(out.Items[0].ReasonCode)
}

func TestTheTargetHasTheClientsAddress(t *testing.T) {
	e := newEstate(t)
	server := e.target("10.20.1.10", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := strings.Cut(r.RemoteAddr, ":")
		fmt.Fprintf(w, "%s %s", r.Host, host)
	}))
	s := e.makeService("enrichment", only(e.makeGroup("enrichment", nil, server)))
	response, body := e.Get(e.client, s.url("/"))
	if want := s.domain + " 169.254.171.254"; response.StatusCode != 200 || body != want {
		t.Errorf("%d %q, want 200 %q", response.StatusCode, body, want)
	}
}

func TestWhatTheTargetSees(t *testing.T) {
	e := newEstate(t)
	seen := make(chan http.Header, 1)
	server := e.target("10.20.1.11", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header }))
	group := e.makeGroup("echo", nil, server)
	s := e.makeService("echo", only(group))
	request := must(http.NewRequestWithContext(t.Context(), http.MethodGet, s.url("/"), nil))(t)
	request.Header.Set("X-Amzn-Source-Vpc", "vpc-forged")
	request.Header.Set("X-Amzn-Lattice-Identity", "Principal=forged")
	request.Header.Set("X-Amzn-Lattice-Anything", "forged")
	request.Header.Set("X-Amzn-RequestId", "mine")
	response, _ := e.Do(e.client, request)
	got := <-seen
	account := "100000000001"
	arn := func(kind, id string) string {
		return "arn:aws:vpc-lattice:us-west-2:" + account + ":" + kind + "/" + id
	}
	for name, want := range map[string]string{
		"X-Forwarded-For":         "10.20.1.10",
		"X-Forwarded-Port":        "80",
		"X-Forwarded-Proto":       "http",
		"X-Amzn-Source-Vpc":       e.clients.ID,
		"X-Amzn-Lattice-Network":  "SourceVpcArn=arn:aws:ec2:us-west-2:" + account + ":vpc/" + e.clients.ID,
		"X-Amzn-Lattice-Target":   "ServiceArn=" + arn("service", s.id) + "; ServiceNetworkArn=" + arn("servicenetwork", e.network) + "; TargetGroupArn=" + arn("targetgroup", group),
		"X-Amzn-Requestid":        "mine",
		"X-Amzn-Lattice-Identity": "",
		"X-Amzn-Lattice-Anything": "",
	} {
		if strings.Join(got.Values(name), "|") != want {
			t.Errorf("%s is %q, want %q", name, got.Values(name), want)
		}
	}
	if id := response.Header.Get("X-Amzn-Requestid"); id != "mine" {
		t.Errorf("the client got request id %q, want its own", id)
	}
}

func TestRules(t *testing.T) {
	e := newEstate(t)
	first := e.makeGroup("first", nil, e.target("10.20.1.11", says("first")))
	second := e.makeGroup("second", nil, e.target("10.20.1.12", says("second")))
	s := e.makeService("shop", only(first))
	match := func(m types.HttpMatch) types.RuleMatch { return &types.RuleMatchMemberHttpMatch{Value: m} }
	rules := []struct {
		name   string
		match  types.HttpMatch
		action types.RuleAction
	}{
		{"exact", types.HttpMatch{PathMatch: &types.PathMatch{Match: &types.PathMatchTypeMemberExact{Value: "/Exact"}, CaseSensitive: aws.Bool(true)}}, only(second)},
		{"prefix", types.HttpMatch{PathMatch: &types.PathMatch{Match: &types.PathMatchTypeMemberPrefix{Value: "/v2"}}}, only(second)},
		{"delete", types.HttpMatch{Method: aws.String("DELETE")}, &types.RuleActionMemberFixedResponse{Value: types.FixedResponseAction{StatusCode: aws.Int32(404)}}},
		{"canary", types.HttpMatch{HeaderMatches: []types.HeaderMatch{{Name: aws.String("X-Release"), Match: &types.HeaderMatchTypeMemberContains{Value: "canary"}}}}, only(second)},
		{"both", types.HttpMatch{Method: aws.String("PUT"), PathMatch: &types.PathMatch{Match: &types.PathMatchTypeMemberPrefix{Value: "/items"}}}, &types.RuleActionMemberFixedResponse{Value: types.FixedResponseAction{StatusCode: aws.Int32(500)}}},
	}
	for i, rule := range rules {
		must(e.Lattice.CreateRule(t.Context(), &vpclattice.CreateRuleInput{
			ServiceIdentifier: &s.id, ListenerIdentifier: &s.listener, Name: aws.String("the-" + rule.name),
			Priority: aws.Int32(int32(10 * (i + 1))), Match: match(rule.match), Action: rule.action,
		}))(t)
	}
	ask := func(method, path, release string) string {
		request := must(http.NewRequestWithContext(t.Context(), method, s.url(path), nil))(t)
		if release != "" {
			request.Header.Set("X-Release", release)
		}
		response, body := e.Do(e.client, request)
		return fmt.Sprint(response.StatusCode, " ", body)
	}
	e.Eventually("the last rule is live", func() bool { return ask("PUT", "/items/1", "") == "500 Internal Server Error" })
	for _, tt := range []struct{ method, path, release, want string }{
		{"GET", "/", "", "200 first"},
		{"GET", "/Exact", "", "200 second"},
		{"GET", "/exact", "", "200 first"},
		{"GET", "/Exact/more", "", "200 first"},
		{"GET", "/V2/more?q=1", "", "200 second"},
		{"DELETE", "/", "", "404 Not Found"},
		{"GET", "/", "the-Canary-one", "200 second"},
		{"GET", "/items", "", "200 first"},
		{"PUT", "/other", "", "200 first"},
	} {
		if got := ask(tt.method, tt.path, tt.release); got != tt.want {
			t.Errorf("%s %s %q: %q, want %q", tt.method, tt.path, tt.release, got, tt.want)
		}
	}
}

func TestAnswersOfThePlaneItself(t *testing.T) {
	e := newEstate(t)
	nobody := e.makeService("nobody", only(e.makeGroup("nobody", nil)))
	guarded := e.makeService("guarded", only(e.makeGroup("guarded", nil, e.target("10.20.1.11", says("secret")))))
	must(e.Lattice.UpdateService(t.Context(), &vpclattice.UpdateServiceInput{ServiceIdentifier: &guarded.id, AuthType: types.AuthTypeAwsIam}))(t)
	e.Eventually("the service is guarded", func() bool {
		response, _ := e.Get(e.client, guarded.url("/parking"))
		return response.StatusCode != 200
	})
	denied := "AccessDeniedException: User: anonymous is not authorized to perform: vpc-lattice-svcs:Invoke on resource: " +
		"arn:aws:vpc-lattice:us-west-2:100000000001:service/" + guarded.id + "/parking because no service-based policy allows the vpc-lattice-svcs:Invoke action"
	for _, tt := range []struct {
		name, url, host string
		status          int
		body            string
	}{
		{"no target", nobody.url("/"), "", 503, "Service Unavailable"},
		{"unknown host", nobody.url("/"), "unknown.example.com", 404, "Not Found"},
		{"auth type AWS_IAM", guarded.url("/parking"), "", 403, denied},
	} {
		request := must(http.NewRequestWithContext(t.Context(), http.MethodGet, tt.url, nil))(t)
		request.Host = tt.host
		response, body := e.Do(e.client, request)
		if response.StatusCode != tt.status || body != tt.body {
			t.Errorf("%s: %d %q, want %d %q", tt.name, response.StatusCode, body, tt.status, tt.body)
		}
		if response.Header.Get("X-Amzn-Requestid") == "" {
			t.Errorf("%s: the answer has no request id", tt.name)
		}
	}
}

// TestStreaming passes a body both ways at once: the target echoes each piece before the client sends the next.
func TestStreaming(t *testing.T) {
	e := newEstate(t)
	server := e.target("10.20.1.11", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		_ = control.EnableFullDuplex()
		piece := make([]byte, 5)
		for {
			if _, err := io.ReadFull(r.Body, piece); err != nil {
				return
			}
			w.Write(piece)
			_ = control.Flush()
		}
	}))
	s := e.makeService("echo", only(e.makeGroup("echo", nil, server)))
	reader, writer := io.Pipe()
	request := must(http.NewRequestWithContext(t.Context(), http.MethodPost, s.url("/"), reader))(t)
	client := e.client.Client()
	defer client.CloseIdleConnections()
	pieces := make(chan string, 1)
	go func() {
		for piece := range pieces {
			io.WriteString(writer, piece)
		}
		writer.Close()
	}()
	pieces <- "00000" // the response begins only with the first echo
	response := must(client.Do(request))(t)
	defer response.Body.Close()
	echoed := make([]byte, 5)
	for i := range 20 {
		sent := fmt.Sprintf("%05d", i)
		if i > 0 {
			pieces <- sent
		}
		if _, err := io.ReadFull(response.Body, echoed); err != nil || string(echoed) != sent {
			t.Fatalf("piece %d came back as %q, %v", i, echoed, err)
		}
	}
	close(pieces)
	if rest, err := io.ReadAll(response.Body); len(rest) > 0 || err != nil {
		t.Errorf("after the last piece: %q, %v", rest, err)
	}
}

func TestHealth(t *testing.T) {
	e := newEstate(t)
	check := &types.HealthCheckConfig{Enabled: aws.Bool(true), Path: aws.String("/health"), HealthCheckIntervalSeconds: aws.Int32(5)}
	group := e.makeGroup("checked", check, e.target("10.20.1.11", says("well")))
	if status, reason := e.statusOf(group); status != types.TargetStatusUnused || reason != "TargetGroupNotInUse" {
		t.Errorf("before any listener forwards to it, the target is %s (%s), want UNUSED (TargetGroupNotInUse)", status, reason)
	}
	e.makeService("checked", only(group))
	e.Eventually("the target is healthy", func() bool {
		status, _ := e.statusOf(group)
		return status == types.TargetStatusHealthy
	})
}

// TestDeregistering lets a request finish that is in flight when its target is deregistered, and sends no new one.
func TestDeregistering(t *testing.T) {
	e := newEstate(t)
	arrived, release := make(chan struct{}), make(chan struct{})
	slow := e.target("10.20.1.11", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(arrived)
			<-release
		}
		io.WriteString(w, "old")
	}))
	group := e.makeGroup("pair", nil, slow)
	s := e.makeService("pair", only(group))
	inFlight := make(chan string, 1)
	go func() {
		client := e.client.Client()
		defer client.CloseIdleConnections()
		request, _ := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodGet, s.url("/slow"), nil)
		response, err := client.Do(request)
		if err != nil {
			inFlight <- err.Error()
			return
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(response.Body)
		inFlight <- string(body)
	}()
	<-arrived
	e.register(group, e.target("10.20.1.12", says("new")))
	must(e.Lattice.DeregisterTargets(t.Context(), &vpclattice.DeregisterTargetsInput{
		TargetGroupIdentifier: &group, Targets: targetsOf([]inside.Instance{slow}),
	}))(t)
	e.Eventually("new requests reach the new target alone", func() bool { // two in turn: as long as both targets are there, they take turns
		_, first := e.Get(e.client, s.url("/"))
		_, second := e.Get(e.client, s.url("/"))
		return first == "new" && second == "new"
	})
	for range 20 {
		if _, body := e.Get(e.client, s.url("/")); body != "new" {
			t.Fatalf("a draining target got a new request: %q", body)
		}
	}
	status := map[string]types.TargetStatus{}
	list := func() {
		clear(status)
		for _, item := range must(e.Lattice.ListTargets(t.Context(), &vpclattice.ListTargetsInput{TargetGroupIdentifier: &group}))(t).Items {
			status[*item.Id] = item.Status
		}
	}
	list()
	if status[slow.ID] != types.TargetStatusDraining {
		t.Errorf("the deregistered target is %q, want DRAINING", status[slow.ID])
	}
	close(release)
	if got := <-inFlight; got != "old" {
		t.Errorf("the request in flight got %q", got)
	}
	e.Eventually("the drained target is gone", func() bool {
		list()
		_, there := status[slow.ID]
		return !there
	})
}

func TestDissociating(t *testing.T) {
	e := newEstate(t)
	s := e.makeService("brief", only(e.makeGroup("brief", nil, e.target("10.20.1.11", says("here")))))
	if _, body := e.Get(e.client, s.url("/")); body != "here" {
		t.Fatalf("the service answers %q", body)
	}
	must(e.Lattice.DeleteServiceNetworkServiceAssociation(t.Context(), &vpclattice.DeleteServiceNetworkServiceAssociationInput{
		ServiceNetworkServiceAssociationIdentifier: &s.association,
	}))(t)
	e.Eventually("the name is gone", func() bool {
		_, err := e.client.Lookup(t.Context(), s.domain)
		return err != nil
	})
}

// TestRestart starts a deployment again on what an earlier one has left, and finds everything as it was.
func TestRestart(t *testing.T) {
	dir := must(os.MkdirTemp("", "pergola-"))(t)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	cfg := deployment.Config{Dir: dir, NoSync: true}
	first := &estate{Env: testenv.StartIn(t, cfg), t: t}
	first.clients, first.owners = first.MakeVPC("10.20.0.0/16"), first.MakeVPC("10.20.0.0/16")
	first.client = first.RunInstance(first.clients, "10.20.1.10")
	network := must(first.Lattice.CreateServiceNetwork(t.Context(), &vpclattice.CreateServiceNetworkInput{Name: aws.String("kept")}))(t)
	first.network = *network.Id
	first.associateVPC(first.clients)
	kept := first.target("10.20.1.11", says("before"))
	s := first.makeService("kept", only(first.makeGroup("kept", nil, kept)))
	if _, body := first.Get(first.client, s.url("/")); body != "before" {
		t.Fatalf("before the restart: %q", body)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := testenv.StartIn(t, cfg)
	kept.Fabric, first.client.Fabric = second.Fabric(), second.Fabric()
	second.Serve(kept, 8080, says("after"))
	if _, body := second.Get(first.client, s.url("/")); body != "after" {
		t.Errorf("after the restart: %q", body)
	}
}
