package estate

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice/types"

	"pergola/internal/apiclient"
	"pergola/internal/testenv"
)

// tenant is an account that makes all that it can. What the API accepts is remembered.
type tenant struct {
	*apiclient.Client
	t      *testing.T
	random *rand.Rand

	vpcs, networks, services []string
	subnets                  map[string][]string // by VPC
	instances, balancers     []string
	withStatus               []string // paths of what has a status, in VPC Lattice
	accepted, refused        int
}

// try calls and remembers whether that was accepted. What is refused must say why; a failure of the service fails the
// test.
func (a *tenant) try(err error) bool {
	a.t.Helper()
	if err == nil {
		a.accepted++
		return true
	}
	a.refused++
	if refusal, ok := err.(*apiclient.Error); !ok || refusal.Status >= 500 || refusal.Code == "" || refusal.Message == "" {
		a.t.Errorf("%v", err)
	}
	return false
}

func (a *tenant) ec2(action string, out any, pairs ...string) bool {
	return a.query("ec2", action, out, pairs...)
}

func (a *tenant) query(service, action string, out any, pairs ...string) bool {
	a.t.Helper()
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return a.try(a.Query(a.t.Context(), service, action, form, out))
}

func (a *tenant) post(path string, in map[string]any) (id string, ok bool) {
	a.t.Helper()
	var made struct{ ID string }
	ok = a.try(a.Lattice(a.t.Context(), http.MethodPost, path, in, &made))
	return made.ID, ok
}

// pick is one of several, or a name of nothing.
func (a *tenant) pick(from []string, otherwise string) string {
	if len(from) == 0 || a.random.IntN(12) == 0 {
		return otherwise
	}
	return from[a.random.IntN(len(from))]
}

// oddRange is a range that may or may not be one for networks.
func (a *tenant) oddRange() string {
	first := []int{0, 1, 10, 10, 10, 100, 127, 169, 172, 192, 198, 203, 223, 224, 239, 240, 255}[a.random.IntN(17)]
	second := []int{0, 16, 64, 168, 254, 255, a.random.IntN(256)}[a.random.IntN(7)]
	return fmt.Sprintf("%d.%d.%d.%d/%d", first, second, a.random.IntN(3), a.random.IntN(2)*16, 14+a.random.IntN(16))
}

func (a *tenant) oddPort() int {
	return []int{0, 1, 53, 80, 443, 4747, 4748, 8080, 65535, 65536, -1, 1 + a.random.IntN(65535)}[a.random.IntN(12)]
}

func (a *tenant) makeVPC() {
	var vpc struct {
		ID string `xml:"vpc>vpcId"`
	}
	cidr := a.oddRange()
	if a.random.IntN(2) == 0 {
		cidr = "10.0.0.0/16"
	}
	if a.ec2("CreateVpc", &vpc, "CidrBlock", cidr) {
		a.vpcs = append(a.vpcs, vpc.ID)
	}
}

func (a *tenant) makeSubnet() {
	var subnet struct {
		ID string `xml:"subnet>subnetId"`
	}
	vpc, cidr := a.pick(a.vpcs, "vpc-00000000000000000"), a.oddRange()
	if a.random.IntN(3) > 0 {
		cidr = fmt.Sprintf("10.0.%d.0/%d", a.random.IntN(8), 24+a.random.IntN(6))
	}
	if a.ec2("CreateSubnet", &subnet, "VpcId", vpc, "CidrBlock", cidr, "AvailabilityZone", "us-west-2"+
		string(rune('a'+a.random.IntN(3)))) {
		a.subnets[vpc] = append(a.subnets[vpc], subnet.ID)
	}
}

func (a *tenant) someSubnets() []string { return a.subnets[a.pick(a.vpcs, "")] }

func (a *tenant) runInstance() {
	var run struct {
		IDs []string `xml:"instancesSet>item>instanceId"`
	}
	pairs := []string{"SubnetId", a.pick(a.someSubnets(), "subnet-00000000000000000"), "MinCount", "1", "MaxCount",
		fmt.Sprint(1 + a.random.IntN(2))}
	if a.random.IntN(4) == 0 {
		pairs = append(pairs, "PrivateIpAddress", fmt.Sprintf("10.0.%d.%d", a.random.IntN(8), a.random.IntN(256)))
	}
	if a.ec2("RunInstances", &run, pairs...) {
		a.instances = append(a.instances, run.IDs...)
	}
}

func (a *tenant) makeBalancer() {
	var made struct {
		ARN string `xml:"CreateLoadBalancerResult>LoadBalancers>member>LoadBalancerArn"`
	}
	subnets := a.someSubnets()
	pairs := []string{"Name", fmt.Sprint("lb-", a.random.IntN(1000)), "Scheme", "internal"}
	for i, subnet := range subnets {
		pairs = append(pairs, fmt.Sprint("Subnets.member.", i+1), subnet)
	}
	if !a.query("elasticloadbalancing", "CreateLoadBalancer", &made, pairs...) {
		return
	}
	a.balancers = append(a.balancers, made.ARN)
	for range 2 {
		a.query("elasticloadbalancing", "CreateListener", nil, "LoadBalancerArn", made.ARN, "Protocol", "HTTP", "Port",
			fmt.Sprint(a.oddPort()),
			"DefaultActions.member.1.Type", "fixed-response", "DefaultActions.member.1.FixedResponseConfig.StatusCode", "204")
	}
}

func (a *tenant) makeNetwork() {
	if id, ok := a.post("/servicenetworks", map[string]any{"name": fmt.Sprint("net-", a.random.IntN(10))}); ok {
		a.networks = append(a.networks, id)
	}
}

func (a *tenant) makeService() {
	in := map[string]any{"name": fmt.Sprint("app-", a.random.IntN(30))}
	if a.random.IntN(3) == 0 {
		in["customDomainName"] = fmt.Sprintf("app-%d.example.com", a.random.IntN(3))
	}
	if id, ok := a.post("/services", in); ok {
		a.services = append(a.services, id)
		a.withStatus = append(a.withStatus, "/services/"+id)
	}
}

func (a *tenant) makeListener() {
	protocol := []string{"HTTP", "HTTP", "HTTPS", "TLS_PASSTHROUGH"}[a.random.IntN(4)]
	in := map[string]any{
		"name": fmt.Sprint("on-", a.random.IntN(1000)), "protocol": protocol,
		"defaultAction": map[string]any{"fixedResponse": map[string]any{"statusCode": []int{404, 500,
			200}[a.random.IntN(3)]}},
	}
	if port := a.oddPort(); port != 0 {
		in["port"] = port
	}
	a.post("/services/"+a.pick(a.services, "svc-00000000000000000")+"/listeners", in)
}

func (a *tenant) associate() {
	network := a.pick(a.networks, "sn-00000000000000000")
	kind, in := "/servicenetworkserviceassociations",
		map[string]any{"serviceIdentifier": a.pick(a.services, "svc-00000000000000000")}
	if a.random.IntN(2) == 0 {
		kind, in = "/servicenetworkvpcassociations", map[string]any{"vpcIdentifier": a.pick(a.vpcs, "vpc-00000000000000000")}
	}
	in["serviceNetworkIdentifier"] = network
	if id, ok := a.post(kind, in); ok {
		a.withStatus = append(a.withStatus, kind+"/"+id)
	}
}

// states are the states of all that the tenant has, each with the reason that it gives.
func (a *tenant) states() (states map[string][2]string) {
	states = map[string][2]string{}
	ctx := a.t.Context()
	for _, path := range a.withStatus {
		var got struct{ Status, FailureMessage string }
		if err := a.Lattice(ctx, http.MethodGet, path, nil, &got); err != nil {
			a.t.Error(err)
		}
		states[path] = [2]string{strings.TrimSuffix(got.Status, "_FAILED"), got.FailureMessage}
		if strings.HasSuffix(got.Status, "_FAILED") {
			states[path] = [2]string{"failed", got.FailureMessage}
		}
	}
	for _, id := range a.instances {
		var got struct {
			State  string `xml:"reservationSet>item>instancesSet>item>instanceState>name"`
			Reason string `xml:"reservationSet>item>instancesSet>item>stateReason>message"`
		}
		if err := a.Query(ctx, "ec2", "DescribeInstances", url.Values{"InstanceId.1": {id}}, &got); err != nil {
			a.t.Error(err)
		}
		states[id] = [2]string{got.State, got.Reason}
	}
	for _, arn := range a.balancers {
		var got struct {
			State  string `xml:"DescribeLoadBalancersResult>LoadBalancers>member>State>Code"`
			Reason string `xml:"DescribeLoadBalancersResult>LoadBalancers>member>State>Reason"`
		}
		if err := a.Query(ctx, "elasticloadbalancing", "DescribeLoadBalancers",
			url.Values{"LoadBalancerArns.member.1": {arn}}, &got); err != nil {
			a.t.Error(err)
		}
		states[arn] = [2]string{got.State, got.Reason}
	}
	return states
}

// unsettled names what is neither as it should be nor failed with a reason.
func (a *tenant) unsettled() (what []string) {
	for name, state := range a.states() {
		switch state[0] {
		case "ACTIVE", "running", "active":
		case "failed", "terminated", "active_impaired":
			if state[1] == "" {
				what = append(what, name+" has failed without a reason")
			}
		default:
			what = append(what, name+" is "+state[0])
		}
	}
	return what
}

// TestFault_A1_WhatTheAPIAcceptsWorksOrSaysWhyNot makes random estates of several accounts, of odd ranges, ports and
// numbers. Everything that the API accepts becomes active, or says why not; in both cases a change elsewhere
// is in force when it is answered.
func TestFault_A1_WhatTheAPIAcceptsWorksOrSaysWhyNot(t *testing.T) {
	e := newEstateOn(t, testenv.Start(t))
	s := e.makeService("steady",
		&types.RuleActionMemberFixedResponse{Value: types.FixedResponseAction{StatusCode: aws.Int32(404)}})
	random := rand.New(rand.NewPCG(9, 9))
	var tenants []*tenant
	for i := range 3 {
		tenants = append(tenants, &tenant{Client: e.account(fmt.Sprint("tenant-", i)), t: t, random: random,
			subnets: map[string][]string{}})
	}
	for step := range 240 {
		a := tenants[random.IntN(len(tenants))]
		makes := []func(){
			a.makeVPC, a.makeSubnet, a.makeSubnet, a.runInstance, a.makeBalancer,
			a.makeNetwork, a.makeService, a.makeListener, a.makeListener, a.associate, a.associate,
		}
		if len(a.vpcs) > 5 {
			makes = makes[1:]
		}
		makes[random.IntN(len(makes))]()
		if step%40 == 0 {
			e.toggle(s, 1+step/40%2)
			want := []int{500, 404}[step/40%2]
			if response, _ := e.Get(e.client, s.url("/")); response.StatusCode != want {
				t.Errorf("step %d: %d, want %d", step, response.StatusCode, want)
			}
		}
	}
	for i, a := range tenants {
		e.Eventually(fmt.Sprintf("all of tenant %d is settled", i), func() bool { return len(a.unsettled()) == 0 })
		if a.accepted < 20 || a.refused < 5 {
			t.Errorf("tenant %d: %d calls were accepted, %d refused", i, a.accepted, a.refused)
		}
	}
}

// account makes an account and returns a client of its administrator.
func (e *estate) account(name string) *apiclient.Client {
	e.t.Helper()
	ctx := e.t.Context()
	_ = e.API.Organizations(ctx, "CreateOrganization", map[string]any{"FeatureSet": "ALL"}, nil) // there may be one
	var made struct {
		CreateAccountStatus struct{ AccountID, State string }
	}
	raw := map[string]any{"AccountName": name, "Email": name + "@example.com"}
	if err := e.API.Organizations(ctx, "CreateAccount", raw, &made); err != nil {
		e.t.Fatal(err)
	}
	environment, err := e.Environment(ctx, made.CreateAccountStatus.AccountID)
	if err != nil {
		e.t.Fatal(err)
	}
	return &apiclient.Client{Environment: environment}
}
