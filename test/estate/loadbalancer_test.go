package estate

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice/types"

	"pergola/internal/apiclient"
	"pergola/internal/inside"
	"pergola/internal/testenv"
)

// elb calls an operation of Elastic Load Balancing. Parameters are names and values in turn.
func (e *estate) elb(action string, out any, parameters ...string) error {
	form := url.Values{}
	for i := 0; i < len(parameters); i += 2 {
		form.Set(parameters[i], parameters[i+1])
	}
	return e.API.Query(e.t.Context(), "elasticloadbalancing", action, form, out)
}

// mustELB is elb for calls that cannot fail.
func (e *estate) mustELB(action string, out any, parameters ...string) {
	e.t.Helper()
	if err := e.elb(action, out, parameters...); err != nil {
		e.t.Fatal(err)
	}
}

// refusedELB is elb for calls that must fail with a code.
func (e *estate) refusedELB(code, action string, parameters ...string) {
	e.t.Helper()
	var refusal *apiclient.Error
	if err := e.elb(action, nil, parameters...); !errors.As(err, &refusal) || refusal.Code != code {
		e.t.Errorf("%s %q: %v, want %s", action, parameters, err, code)
	}
}

// balancer is a load balancer with a listener on port 80 that forwards to a target group of instances on port 8080.
type balancer struct{ arn, name, group, listener string }

// twoZones makes a VPC with a subnet in each of two zones.
func (e *estate) twoZones(cidr string) (vpc testenv.VPC, subnets []string) {
	e.t.Helper()
	var made struct {
		ID string `xml:"vpc>vpcId"`
	}
	query := func(action string, parameters url.Values, out any) {
		if err := e.API.Query(e.t.Context(), "ec2", action, parameters, out); err != nil {
			e.t.Fatal(err)
		}
	}
	query("CreateVpc", url.Values{"CidrBlock": {cidr}}, &made)
	prefix := netip.MustParsePrefix(cidr)
	address := prefix.Addr().As4()
	for i, zone := range []string{"us-west-2a", "us-west-2b"} {
		var subnet struct {
			ID string `xml:"subnet>subnetId"`
		}
		address[2] = byte(i + 1)
		query("CreateSubnet", url.Values{
			"VpcId": {made.ID}, "CidrBlock": {netip.PrefixFrom(netip.AddrFrom4(address), 24).String()}, "AvailabilityZone": {zone},
		}, &subnet)
		subnets = append(subnets, subnet.ID)
	}
	group, _, err := e.API.AdmitLattice(e.t.Context(), made.ID)
	if err != nil {
		e.t.Fatal(err)
	}
	return testenv.VPC{ID: made.ID, Subnet: subnets[0], Group: group, CIDR: prefix}, subnets
}

func (e *estate) makeBalancer(name string, vpc testenv.VPC, subnets []string, members ...inside.Instance) balancer {
	e.t.Helper()
	var made struct {
		ARN  string `xml:"CreateLoadBalancerResult>LoadBalancers>member>LoadBalancerArn"`
		Name string `xml:"CreateLoadBalancerResult>LoadBalancers>member>DNSName"`
	}
	e.mustELB("CreateLoadBalancer", &made, "Name", name, "Scheme", "internal", "Subnets.member.1", subnets[0], "Subnets.member.2", subnets[1])
	var group struct {
		ARN string `xml:"CreateTargetGroupResult>TargetGroups>member>TargetGroupArn"`
	}
	e.mustELB("CreateTargetGroup", &group, "Name", name, "Protocol", "HTTP", "Port", "8080", "VpcId", vpc.ID,
		"HealthCheckPath", "/up", "HealthCheckIntervalSeconds", "5", "HealthCheckTimeoutSeconds", "2")
	for _, member := range members {
		e.mustELB("RegisterTargets", nil, "TargetGroupArn", group.ARN, "Targets.member.1.Id", member.ID)
	}
	var listener struct {
		ARN string `xml:"CreateListenerResult>Listeners>member>ListenerArn"`
	}
	e.mustELB("CreateListener", &listener, "LoadBalancerArn", made.ARN, "Protocol", "HTTP", "Port", "80",
		"DefaultActions.member.1.Type", "forward", "DefaultActions.member.1.TargetGroupArn", group.ARN)
	e.Eventually("load balancer "+name+" is active", func() bool {
		var described struct {
			State string `xml:"DescribeLoadBalancersResult>LoadBalancers>member>State>Code"`
		}
		e.mustELB("DescribeLoadBalancers", &described, "LoadBalancerArns.member.1", made.ARN)
		return described.State == "active"
	})
	return balancer{made.ARN, made.Name, group.ARN, listener.ARN}
}

// healthOf is the state and reason of each target of a load balancer's target group.
func (e *estate) healthOf(group string) map[string]string {
	e.t.Helper()
	var described struct {
		Targets []struct {
			ID     string `xml:"Target>Id"`
			State  string `xml:"TargetHealth>State"`
			Reason string `xml:"TargetHealth>Reason"`
		} `xml:"DescribeTargetHealthResult>TargetHealthDescriptions>member"`
	}
	e.mustELB("DescribeTargetHealth", &described, "TargetGroupArn", group)
	health := map[string]string{}
	for _, target := range described.Targets {
		health[target.ID] = strings.TrimSpace(target.State + " " + target.Reason)
	}
	return health
}

// behind makes a target group of type ALB in a VPC.
func (e *estate) behind(name string, vpc testenv.VPC, port int32) string {
	e.t.Helper()
	return e.behindAs(name, vpc, port, types.TargetGroupProtocolHttp)
}

// behindAs is behind for a protocol.
func (e *estate) behindAs(name string, vpc testenv.VPC, port int32, protocol types.TargetGroupProtocol) string {
	e.t.Helper()
	created := must(e.Lattice.CreateTargetGroup(e.t.Context(), &vpclattice.CreateTargetGroupInput{
		Name: &name, Type: types.TargetGroupTypeAlb,
		Config: &types.TargetGroupConfig{Port: &port, Protocol: protocol, VpcIdentifier: &vpc.ID},
	}))(e.t)
	e.Eventually("the target group is active", func() bool {
		got := must(e.Lattice.GetTargetGroup(e.t.Context(), &vpclattice.GetTargetGroupInput{TargetGroupIdentifier: created.Id}))(e.t)
		return got.Status == types.TargetGroupStatusActive
	})
	return *created.Id
}

// registerBalancer registers a load balancer and returns why that was refused, or "".
func (e *estate) registerBalancer(group, arn string) string {
	e.t.Helper()
	out := must(e.Lattice.RegisterTargets(e.t.Context(), &vpclattice.RegisterTargetsInput{
		TargetGroupIdentifier: &group, Targets: []types.Target{{Id: &arn}},
	}))(e.t)
	if len(out.Unsuccessful) == 0 {
		return ""
	}
	return aws.ToString(out.Unsuccessful[0].FailureCode) + ": " + aws.ToString(out.Unsuccessful[0].FailureMessage)
}

// names answers with a name, and with what the request says of those before.
func names(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := strings.Cut(r.RemoteAddr, ":")
		h := r.Header
		fmt.Fprintf(w, "%s|%s|%s|%s|%s|%s", name, host, r.Host, h.Get("X-Forwarded-For"), h.Get("X-Forwarded-Port"), h.Get("X-Forwarded-Proto"))
	})
}

func TestALoadBalancerBehindAService(t *testing.T) {
	e := newEstate(t)
	vpc, subnets := e.twoZones("10.20.0.0/16") // the client's VPC has the same addresses
	one, two := e.RunInstance(vpc, "10.20.1.10"), e.RunInstance(vpc, "10.20.1.11")
	e.Serve(one, 8080, names("one"))
	stop := e.Serve(two, 8080, names("two"))
	b := e.makeBalancer("shop", vpc, subnets, one, two)
	group := e.behind("shop", vpc, 80)
	if refusal := e.registerBalancer(group, b.arn); refusal != "" {
		t.Fatal(refusal)
	}
	s := e.makeService("shop", only(group))
	e.Eventually("both targets are healthy", func() bool {
		health := e.healthOf(b.group)
		return health[one.ID] == "healthy" && health[two.ID] == "healthy"
	})

	seen, hops := map[string]bool{}, map[string]bool{}
	for range 8 {
		response, body := e.Get(e.client, s.url("/cart"))
		said := strings.Split(body, "|")
		if response.StatusCode != 200 || len(said) != 6 {
			t.Fatalf("%d %q", response.StatusCode, body)
		}
		seen[said[0]], hops[said[1]] = true, true
		if want := []string{s.domain, "10.20.1.10, 169.254.171.254", "80", "http"}; strings.Join(said[2:],
			"|") != strings.Join(want, "|") {
			t.Errorf("the target sees %q, want %q", said[2:], want)
		}
	}
	if !seen["one"] || !seen["two"] {
		t.Errorf("answered by %v, want both", seen)
	}
	if !hops["10.20.1.4"] || !hops["10.20.2.4"] {
		t.Errorf("the targets were called from %v, want both addresses of the load balancer", hops)
	}
	if status, reason := e.statusOf(group); status != types.TargetStatusUnavailable || reason != "HealthCheckNotSupported" {
		t.Errorf("the target is %s %s", status, reason)
	}

	e.mustELB("ModifyLoadBalancerAttributes", nil, "LoadBalancerArn", b.arn,
		"Attributes.member.1.Key", "routing.http.xff_header_processing.mode", "Attributes.member.1.Value", "preserve")
	e.Eventually("the client's address is preserved", func() bool {
		_, body := e.Get(e.client, s.url("/"))
		return strings.Contains(body, "|10.20.1.10|80|http")
	})

	stop()
	e.Eventually("the target that has stopped is unhealthy", func() bool {
		return e.healthOf(b.group)[two.ID] == "unhealthy Target.FailedHealthChecks"
	})
	for range 4 {
		if response, body := e.Get(e.client, s.url("/")); response.StatusCode != 200 || !strings.HasPrefix(body, "one|") {
			t.Errorf("%d %q, want an answer of the healthy target", response.StatusCode, body)
		}
	}
	e.mustELB("DeregisterTargets", nil, "TargetGroupArn", b.group, "Targets.member.1.Id", one.ID, "Targets.member.2.Id", two.ID)
	e.Eventually("there is no target", func() bool {
		response, _ := e.Get(e.client, s.url("/"))
		return response.StatusCode == 503
	})
	e.mustELB("ModifyListener", nil, "ListenerArn", b.listener, "DefaultActions.member.1.Type", "fixed-response",
		"DefaultActions.member.1.FixedResponseConfig.StatusCode", "418", "DefaultActions.member.1.FixedResponseConfig.MessageBody", "teapot")
	e.Eventually("the load balancer answers itself", func() bool {
		response, body := e.Get(e.client, s.url("/"))
		return response.StatusCode == 418 && body == "teapot"
	})
	e.mustELB("DeleteLoadBalancer", nil, "LoadBalancerArn", b.arn)
	e.Eventually("the load balancer is gone", func() bool {
		response, _ := e.Get(e.client, s.url("/"))
		return response.StatusCode == 503
	})
}

// TestALoadBalancerWithHTTPS has TLS on every hop: from the client to the service, on to the load balancer, whose
// certificate comes from ACM, and on to the target, which is also checked by HTTPS.
func TestALoadBalancerWithHTTPS(t *testing.T) {
	e := newEstate(t)
	vpc, subnets := e.twoZones("10.20.0.0/16")
	one := e.RunInstance(vpc, "10.20.1.10")
	untrusted, _ := selfSigned(t)
	e.serveAs(one, 8443, false, &untrusted, names("one"))
	b := e.makeBalancer("shop", vpc, subnets)
	var own struct {
		ARN string `xml:"CreateTargetGroupResult>TargetGroups>member>TargetGroupArn"`
	}
	e.mustELB("CreateTargetGroup", &own, "Name", "safe", "Protocol", "HTTPS", "Port", "8443", "VpcId", vpc.ID,
		"HealthCheckProtocol", "HTTPS", "HealthCheckPath", "/up", "HealthCheckIntervalSeconds", "5", "HealthCheckTimeoutSeconds", "2")
	e.mustELB("RegisterTargets", nil, "TargetGroupArn", own.ARN, "Targets.member.1.Id", one.ID)

	first, second := e.certificate("*.example.com"), e.certificate("shop.example.net")
	listener := []string{"LoadBalancerArn", b.arn, "Protocol", "HTTPS", "Port", "443",
		"DefaultActions.member.1.Type", "forward", "DefaultActions.member.1.TargetGroupArn", own.ARN, "Certificates.member.1.CertificateArn"}
	e.refusedELB("CertificateNotFound", "CreateListener", append(listener, first[:len(first)-4]+"ffff")...)
	var made struct {
		ARN string `xml:"CreateListenerResult>Listeners>member>ListenerArn"`
	}
	e.mustELB("CreateListener", &made, append(listener, first)...)
	e.Eventually("the target is healthy by HTTPS", func() bool { return e.healthOf(own.ARN)[one.ID] == "healthy" })

	group := e.behindAs("safe", vpc, 443, types.TargetGroupProtocolHttps)
	if refusal := e.registerBalancer(group, b.arn); refusal != "" {
		t.Fatal(refusal)
	}
	s := e.makeServiceAs(&vpclattice.CreateServiceInput{Name: aws.String("safe")}, types.ListenerProtocolHttps, only(group))
	if status, _, body := e.say(e.trusting(e.client, false), "GET", "https://"+s.domain+"/", ""); status != 200 || !strings.HasPrefix(body, "one|") || !strings.HasSuffix(body, "|443|https") {
		t.Errorf("%d %q", status, body)
	}

	shows := func(name string) bool {
		client := e.trusting(one, false)
		client.Transport.(*http.Transport).TLSClientConfig.ServerName = name
		response, err := client.Get("https://" + b.name + "/")
		if err != nil {
			return false
		}
		return response.Body.Close() == nil && response.StatusCode == 200
	}
	if !shows("shop.example.com") || shows("shop.example.net") {
		t.Error("the load balancer does not show the certificate of its listener")
	}
	e.mustELB("ModifyListener", nil, "ListenerArn", made.ARN, "Certificates.member.1.CertificateArn", second)
	e.Eventually("the load balancer shows the other certificate", func() bool { return shows("shop.example.net") })

	remove := func(arn string) error {
		return e.API.Certificates(t.Context(), "DeleteCertificate", map[string]string{"CertificateArn": arn}, nil)
	}
	var refusal *apiclient.Error
	if err := remove(second); !errors.As(err, &refusal) || refusal.Code != "ResourceInUseException" {
		t.Errorf("a certificate in use was deleted: %v", err)
	}
	if err := remove(first); err != nil {
		t.Errorf("a certificate out of use: %v", err)
	}
}

// certificate requests a certificate and returns its ARN.
func (e *estate) certificate(name string) string {
	e.t.Helper()
	var made struct {
		ARN string `json:"CertificateArn"`
	}
	if err := e.API.Certificates(e.t.Context(), "RequestCertificate", map[string]string{"DomainName": name}, &made); err != nil {
		e.t.Fatal(err)
	}
	return made.ARN
}

func TestALoadBalancerIsFoundByNameInItsVPC(t *testing.T) {
	e := newEstate(t)
	vpc, subnets := e.twoZones("10.30.0.0/16")
	one := e.RunInstance(vpc, "10.30.1.10")
	e.Serve(one, 8080, names("one"))
	b := e.makeBalancer("shop", vpc, subnets, one)
	if !strings.HasPrefix(b.name, "internal-shop-") {
		t.Errorf("the name is %s", b.name)
	}
	addresses, err := one.Lookup(t.Context(), b.name)
	if err != nil || len(addresses) != 2 {
		t.Errorf("%s is at %v: %v", b.name, addresses, err)
	}
	response, body := e.Get(one, "http://"+b.name+"/")
	if response.StatusCode != 200 || !strings.HasPrefix(body, "one|10.30.") || !strings.HasSuffix(body, "|10.30.1.10|80|http") {
		t.Errorf("%d %q", response.StatusCode, body)
	}
}

func TestWhichLoadBalancersCanBeTargets(t *testing.T) {
	e := newEstate(t)
	vpc, subnets := e.twoZones("10.40.0.0/16")
	elsewhere, others := e.twoZones("10.40.0.0/16")
	first, second := e.makeBalancer("first", vpc, subnets), e.makeBalancer("second", vpc, subnets)
	away := e.makeBalancer("away", elsewhere, others)
	a, b, c := e.behind("group-a", vpc, 80), e.behind("group-b", vpc, 8080), e.behind("group-c", vpc, 80)
	for _, test := range []struct{ group, arn, want string }{
		{a, first.arn[:len(first.arn)-4] + "ffff", "no Application Load Balancer of that ARN exists"},
		{a, away.arn, "is not in " + vpc.ID},
		{a, first.arn, ""},
		{a, first.arn, ""},
		{a, second.arn, "has a load balancer already"},
		{b, first.arn, ""}, // whose port no listener has: the guide lets traffic fail then
		{c, first.arn, "is in 2 target groups"},
		{c, second.arn, ""},
	} {
		refusal := e.registerBalancer(test.group, test.arn)
		if test.want == "" && refusal != "" || test.want != "" && (!strings.HasPrefix(refusal, "InvalidTarget: ") || !strings.Contains(refusal, test.want)) {
			t.Errorf("%s in %s: %q, want %q", test.arn, test.group, refusal, test.want)
		}
	}
	s := e.makeService("portless", only(b))
	if response, _ := e.Get(e.client, s.url("/")); response.StatusCode != 503 {
		t.Errorf("a port that no listener has answers %d", response.StatusCode)
	}
	e.refusedELB("TargetGroupAssociationLimit", "ModifyListener", "ListenerArn", second.listener,
		"DefaultActions.member.1.Type", "forward", "DefaultActions.member.1.TargetGroupArn", first.group)
}
