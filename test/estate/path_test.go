package estate

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice/types"

	"pergola/addressing"
	"pergola/internal/inside"
	"pergola/operator"
)

// over is a client of an instance that reaches services at one of their addresses.
func over(from inside.Instance, address netip.Addr) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return from.Dial(ctx, netip.AddrPortFrom(address, 80))
		},
	}}
}

// explained is all that explain says about a GET.
func (e *estate) explained(from inside.Instance, url string) (reason, all string) {
	e.t.Helper()
	x, err := e.Explain(e.t.Context(), operator.Question{From: from.ID, Method: "GET", URL: url})
	if err != nil {
		e.t.Fatal(err)
	}
	var b strings.Builder
	for _, gate := range x.Gates {
		b.WriteString(gate.Verdict + " " + gate.Name + " " + gate.Detail + "\n" + strings.Join(gate.More, "\n") + "\n")
	}
	return x.Reason, b.String() + x.Reason + "\n" + strings.Join(x.Cures, "\n")
}

// TestFault_B1_TheAddressOfAClientIsTheOneThatItsVPCKnows in policies, in what the target is told, and in what explain
// says, over IPv4 and over IPv6.
func TestFault_B1_TheAddressOfAClientIsTheOneThatItsVPCKnows(t *testing.T) {
	e := newEstate(t)
	other := e.RunInstance(e.clients, "10.20.1.11")
	target := e.target("10.20.2.10", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Header.Get("x-forwarded-for"))
	}))
	s := e.makeServiceAs(&vpclattice.CreateServiceInput{Name: aws.String("orders"), AuthType: types.AuthTypeAwsIam},
		types.ListenerProtocolHttp, only(e.makeGroup("orders", nil, target)))
	must(e.Lattice.PutAuthPolicy(t.Context(), &vpclattice.PutAuthPolicyInput{ResourceIdentifier: &s.id, Policy: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"},
		{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*",
		"Condition":{"IpAddress":{"aws:SourceIp":"10.20.1.10/32"}}}]}`)}))(t)
	for name, address := range map[string]netip.Addr{
		"IPv4": addressing.FirstDoor, "IPv6": addressing.Spell(addressing.ServiceNetworks6, addressing.FirstDoor),
	} {
		for _, client := range []inside.Instance{e.client, other} {
			want, answer := 403, "AccessDenied"
			if client.ID == other.ID {
				want, answer = 200, other.Address.String()
			}
			e.Eventually("the policy is in force", func() bool {
				request, _ := http.NewRequestWithContext(t.Context(), "GET", s.url("/"), nil)
				response, err := over(client, address).Do(request)
				if err != nil {
					t.Fatalf("%s from %s: %v", name, client.Address, err)
				}
				defer response.Body.Close()
				body, _ := io.ReadAll(response.Body)
				return response.StatusCode == want && strings.HasPrefix(string(body), answer)
			})
			reason, all := e.explained(client, s.url("/"))
			if strings.HasPrefix(reason, "allowed") != (want == 200) ||
				!strings.Contains(all, "aws:SourceIp is the address of the client in its VPC, "+client.Address.String()) {
				t.Errorf("explained:\n%s", all)
			}
		}
	}
}

// TestFault_E1_ExplainSaysWhatTheRequestGets where the only target's server is down: the 503, what its last health
// check met, and what to look at.
func TestFault_E1_ExplainSaysWhatTheRequestGets(t *testing.T) {
	e := newEstate(t)
	down := e.RunInstance(e.owners, "10.20.2.10")
	group := e.makeGroup("orders", &types.HealthCheckConfig{Enabled: aws.Bool(true),
		HealthCheckIntervalSeconds: aws.Int32(5)}, down)
	s := e.makeService("orders", only(group))
	e.Eventually("the target was checked", func() bool {
		_, all := e.explained(e.client, s.url("/"))
		return strings.Contains(all, "the last health check met: ")
	})
	response, _ := e.Get(e.client, s.url("/"))
	reason, all := e.explained(e.client, s.url("/"))
	for _, want := range []string{"refused", "fails open", "list-targets --target-group-identifier " + group,
		"start the server, on 10.20.2.10:8080", "pergola exec " + down.ID} {
		if !strings.Contains(all, want) {
			t.Errorf("there is no %q", want)
		}
	}
	if response.StatusCode != 503 ||
		!strings.HasPrefix(reason, "answered: 503 Service Unavailable, since no connection to a target of "+group) ||
		t.Failed() {
		t.Errorf("%d; explained:\n%s", response.StatusCode, all)
	}
}

// TestFault_B2_NoRequestFailsBesideATargetThatRefuses, whose health nobody checks, directly and behind a load balancer.
func TestFault_B2_NoRequestFailsBesideATargetThatRefuses(t *testing.T) {
	e := newEstate(t)
	up, down := e.target("10.20.2.10", says("up")), e.RunInstance(e.owners, "10.20.2.11")
	vpc, subnets := e.twoZones("10.30.0.0/16")
	upThere, downThere := e.RunInstance(vpc, "10.30.1.10"), e.RunInstance(vpc, "10.30.1.11")
	e.Serve(upThere, 8080, says("up"))
	balancer := e.makeBalancer("shop", vpc, subnets, upThere, downThere)
	behind := e.behind("behind", vpc, 80)
	if problem := e.registerBalancer(behind, balancer.arn); problem != "" {
		t.Fatal(problem)
	}
	for name, group := range map[string]string{"directly": e.makeGroup("orders", nil, up, down), "behind": behind} {
		s := e.makeService(name, only(group))
		client := e.client.Client()
		defer client.CloseIdleConnections()
		for range 500 {
			response, err := client.Get(s.url("/"))
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, response.Body)
			response.Body.Close()
			if response.StatusCode != 200 {
				t.Fatalf("%s: answered %d", name, response.StatusCode)
			}
		}
	}
}

// TestFault_E4_AnotherServicesTargetGroup is row 10 of the build guide's playbook: the API says what is wrong with the
// ARN.
func TestFault_E4_AnotherServicesTargetGroup(t *testing.T) {
	e := newEstate(t)
	created := must(e.Lattice.CreateService(t.Context(), &vpclattice.CreateServiceInput{Name: aws.String("orders")}))(t)
	_, err := e.Lattice.CreateListener(t.Context(), &vpclattice.CreateListenerInput{
		ServiceIdentifier: created.Id, Name: aws.String("main"), Protocol: types.ListenerProtocolHttp,
		DefaultAction: only("arn:aws:elasticloadbalancing:us-west-2:100000000001:targetgroup/orders/0123456789abcdef"),
	})
	const want = `targetGroupIdentifier must be an id (tg- and 17 letters or digits) ` +
		`or an ARN of a targetgroup, is "arn:aws:elasticloadbalancing:`
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v", err)
	}
}
