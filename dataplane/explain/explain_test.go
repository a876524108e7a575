package explain_test

import (
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pergola/dataplane/access"
	"pergola/dataplane/explain"
	"pergola/lattice"
	"pergola/sealing"
	"pergola/snapshot"
	"pergola/snapshot/table"
)

// objects are a service, orders, on port 80 of a service network, called from vpc-client. Requests to /gone are answered
// on the spot, all others are forwarded to a target group that has one target.
var objects = map[string]string{
	"vpc/vpc-client":  `{"id":"vpc-client","account":"100000000001","cidr":"10.0.0.0/16"}`,
	"vpc/vpc-alone":   `{"id":"vpc-alone","account":"100000000001","cidr":"10.0.0.0/16"}`,
	"vpc/vpc-targets": `{"id":"vpc-targets","account":"100000000001","cidr":"10.0.0.0/16"}`,
	"servicenetwork/sn-1": `{"id":"sn-1","arn":"arn:aws:vpc-lattice:us-west-2:100000000001:servicenetwork/sn-1","name":"mesh","authType":"NETWORK_AUTH",
		"authPolicy":{"policy":"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Sid\":\"reads\",\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"*\",\"Resource\":\"*\",\"Condition\":{\"StringEquals\":{\"vpc-lattice-svcs:RequestMethod\":\"GET\"}}}]}"}}`,
	"service/svc-1": `{"id":"svc-1","arn":"arn:aws:vpc-lattice:us-west-2:100000000001:service/svc-1","name":"orders","authType":"NONE","status":"ACTIVE",
		"dnsEntry":{"domainName":"orders.example"}}`,
	"servicenetworkserviceassociation/snsa-1": `{"id":"snsa-1","status":"ACTIVE","serviceId":"svc-1","serviceNetworkId":"sn-1"}`,
	"servicenetworkvpcassociation/snva-1":     `{"id":"snva-1","status":"ACTIVE","vpcId":"vpc-client","serviceNetworkId":"sn-1"}`,
	"listener/svc-1/listener-1": `{"id":"listener-1","arn":"l","serviceId":"svc-1","name":"http","protocol":"HTTP","port":80,"defaultRuleId":"rule-default",
		"defaultAction":{"forward":{"targetGroups":[{"targetGroupIdentifier":"tg-1"}]}}}`,
	"listener/svc-1/listener-2": `{"id":"listener-2","arn":"l","serviceId":"svc-1","name":"https","protocol":"HTTPS","port":443,"defaultRuleId":"rule-default-2",
		"defaultAction":{"fixedResponse":{"statusCode":404}}}`,
	"rule/svc-1/listener-1/rule-1": `{"id":"rule-1","serviceId":"svc-1","listenerId":"listener-1","name":"gone","priority":10,
		"match":{"httpMatch":{"pathMatch":{"match":{"prefix":"/gone"}}}},"action":{"fixedResponse":{"statusCode":404}}}`,
	"targetgroup/tg-1": `{"id":"tg-1","arn":"tg","name":"orders","type":"IP","status":"ACTIVE","config":{"port":8080,"protocol":"HTTP","protocolVersion":"HTTP1","vpcIdentifier":"vpc-targets"}}`,
}

const target = `{"targetGroupId":"tg-1","id":"10.0.1.10","port":8080}`

// world compiles the objects with an auth type for the network, and with the target or without.
func world(t *testing.T, auth lattice.AuthType, withTarget string) explain.World {
	t.Helper()
	return compiled(t, objects, auth, withTarget)
}

// worldOf is a world with the listeners that speak TLS, too, and with another policy of the network if one is given.
func worldOf(t *testing.T, auth lattice.AuthType, withTarget, policy string) explain.World {
	t.Helper()
	all := maps.Clone(objects)
	maps.Copy(all, secured)
	if policy != "" {
		all["servicenetwork/sn-1"] = fmt.Sprintf(`{"id":"sn-1","arn":"arn:aws:vpc-lattice:us-west-2:100000000001:servicenetwork/sn-1","name":"mesh","authType":"NETWORK_AUTH",
		"authPolicy":{"policy":%q}}`, policy)
	}
	w := compiled(t, all, auth, withTarget)
	network := w.Snapshot.VPCs.Get("vpc-client").Doors[0].Network
	for _, l := range network.Names.Get("orders.example").Listeners {
		network.Ports[l.Port] = &snapshot.Port{Listeners: table.Of(map[string]*snapshot.Listener{"orders.example": l})}
	}
	return w
}

func compiled(t *testing.T, objects map[string]string, auth lattice.AuthType, withTarget string) explain.World {
	t.Helper()
	var changes []snapshot.Change
	for key, value := range objects {
		changes = append(changes, snapshot.Change{Key: key, Value: []byte(strings.Replace(value, "NETWORK_AUTH", string(auth), 1))})
	}
	if withTarget != "" {
		changes = append(changes, snapshot.Change{Key: "target/tg-1/10.0.1.10:8080", Value: []byte(withTarget)})
	}
	compiled, err := snapshot.Compile("us-west-2", 1, changes)
	if err != nil {
		t.Fatal(err)
	}
	box, err := sealing.New(make([]byte, sealing.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	guard := access.New(access.Config{
		Region: "us-west-2", Box: box, Snapshot: func() *snapshot.Snapshot { return compiled },
		Now: func() time.Time { return time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC) },
	})
	return explain.World{Snapshot: compiled, Guard: guard, Health: map[string]lattice.TargetReport{
		"tg-1": {"10.0.1.10:8080": {Status: lattice.TargetHealthy}},
	}}
}

func TestEveryGateCanStopARequest(t *testing.T) {
	for _, tt := range []struct {
		name             string
		auth             lattice.AuthType
		target           string
		vpc, method, url string
		gates            string // names of the gates with their verdicts
		reason           string
	}{
		{"no such VPC", "NONE", target, "vpc-none", "GET", "http://orders.example/", "association STOP", "unreachable: vpc-none does not exist"},
		{"no association", "NONE", target, "vpc-alone", "GET", "http://orders.example/", "association STOP", "unreachable: vpc-alone is associated with no service network"},
		{"unknown name", "NONE", target, "vpc-client", "GET", "http://parking.example/", "association ok, name STOP", "unreachable: parking.example is no service of sn-1, so it does not resolve in vpc-client"},
		{"no listener", "NONE", target, "vpc-client", "GET", "http://orders.example:81/", "association ok, name ok, listener STOP", "unreachable: no listener of the service is served on port 81"},
		{"TLS", "NONE", target, "vpc-client", "GET", "https://orders.example:80/", "association ok, name ok, listener STOP", "unreachable: listener-1 on port 80 speaks HTTP, the request TLS: ask with http://"},
		{"denied", "AWS_IAM", target, "vpc-client", "PUT", "http://orders.example/a?b", "association ok, name ok, listener ok, signature ok, network policy STOP",
			"denied: 403 AccessDeniedException: User: anonymous is not authorized to perform: vpc-lattice-svcs:Invoke on resource: arn:aws:vpc-lattice:us-west-2:100000000001:service/svc-1/a because no network-based policy allows the vpc-lattice-svcs:Invoke action"},
		{"fixed response", "NONE", target, "vpc-client", "GET", "http://orders.example/gone/1", "association ok, name ok, listener ok, authorisation skip, rule STOP", "answered: rule-1 matches with priority 10 and answers 404 Not Found"},
		{"no target", "NONE", "", "vpc-client", "GET", "http://orders.example/", "association ok, name ok, listener ok, authorisation skip, rule ok, target group STOP, target STOP", "answered: 503 Service Unavailable, since no target group of the rule has a target"},
		{"allowed", "AWS_IAM", target, "vpc-client", "GET", "http://ORDERS.example./", "association ok, name ok, listener ok, signature ok, network policy ok, rule ok, target group ok", "allowed: forwarded by rule-default"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			expectAnswer(t, world(t, tt.auth, tt.target), explain.Question{
				VPC: tt.vpc, Client: netip.MustParseAddr("10.0.0.10"), Method: tt.method, URL: tt.url,
			}, tt.gates, tt.reason)
		})
	}
}

func expectAnswer(t *testing.T, w explain.World, q explain.Question, wantGates, wantReason string) {
	t.Helper()
	answer, err := w.Explain(q)
	if err != nil {
		t.Fatal(err)
	}
	var gates []string
	for _, gate := range answer.Gates {
		gates = append(gates, fmt.Sprint(gate.Name, " ", gate.Verdict))
	}
	if got := strings.Join(gates, ", "); got != wantGates {
		t.Errorf("gates %s\nwant  %s", got, wantGates)
	}
	if answer.Reason != wantReason {
		t.Errorf("reason %s\nwant   %s", answer.Reason, wantReason)
	}
}

// secured are listeners of the service orders that speak TLS: one ends it, one passes it through.
var secured = map[string]string{
	"listener/svc-1/listener-2": `{"id":"listener-2","arn":"l","serviceId":"svc-1","name":"https","protocol":"HTTPS","port":443,"defaultRuleId":"rule-2",
		"defaultAction":{"forward":{"targetGroups":[{"targetGroupIdentifier":"tg-1"}]}}}`,
	"listener/svc-1/listener-3": `{"id":"listener-3","arn":"l","serviceId":"svc-1","name":"tls","protocol":"TLS_PASSTHROUGH","port":8443,"defaultRuleId":"rule-3",
		"defaultAction":{"forward":{"targetGroups":[{"targetGroupIdentifier":"tg-1"}]}}}`,
}

func TestListenersThatSpeakTLS(t *testing.T) {
	const (
		invoke  = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"vpc-lattice-svcs:Invoke","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"true"}}}]}`
		connect = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"vpc-lattice-svcs:Connect","Resource":"arn:aws:vpc-lattice:us-west-2:100000000001:service/svc-1"}]}`

		listened  = "association ok, name ok, listener ok"
		unheard   = "association ok, name ok, listener STOP"
		forwarded = "rule ok, target group ok"
	)
	for _, tt := range []struct {
		name, policy string // "" for the auth type NONE
		target       string
		url          string
		gates        string
		reason       string
	}{
		{"a request", "", target, "https://orders.example/", listened + ", authorisation skip, " + forwarded, "allowed: forwarded by rule-2"},
		{"a request that policies see as secure", invoke, target, "https://orders.example/", listened + ", signature ok, network policy ok, " + forwarded, "allowed: forwarded by rule-2"},
		{"one that they do not", invoke, target, "http://orders.example/", listened + ", signature ok, network policy STOP",
			"denied: 403 AccessDeniedException: User: anonymous is not authorized to perform: vpc-lattice-svcs:Invoke on resource: arn:aws:vpc-lattice:us-west-2:100000000001:service/svc-1/ because no network-based policy allows the vpc-lattice-svcs:Invoke action"},
		{"plain text", "", target, "http://orders.example:443/", unheard, "unreachable: listener-2 on port 443 speaks TLS (HTTPS), the request does not: ask with https://"},
		{"a mere connection", "", target, "tls://orders.example", unheard, "unreachable: listener-2 on port 443 ends TLS and serves requests: ask with https://"},

		{"passed through", "", target, "tls://orders.example:8443", listened + ", authorisation skip, " + forwarded, "allowed: forwarded by rule-3"},
		{"passed through, with a request in it", connect, target, "https://orders.example:8443/a", listened + ", signature ok, network policy ok, " + forwarded, "allowed: forwarded by rule-3"},
		{"whoever may invoke", invoke, target, "tls://orders.example:8443", listened + ", signature ok, network policy STOP",
			"denied: the connection is closed: AccessDeniedException: User: anonymous is not authorized to perform: vpc-lattice-svcs:Connect on resource: arn:aws:vpc-lattice:us-west-2:100000000001:service/svc-1 because no network-based policy allows the vpc-lattice-svcs:Connect action"},
		{"passed through to nobody", "", "", "tls://orders.example:8443", listened + ", authorisation skip, rule ok, target group STOP, target STOP", "closed: no target group of the rule has a target"},
		{"plain text that cannot pass", "", target, "http://orders.example:8443/", unheard, "unreachable: listener-3 on port 8443 speaks TLS (TLS_PASSTHROUGH), the request does not: ask with https://"},
		{"a connection to plain HTTP", "", target, "tls://orders.example:80", unheard, "unreachable: listener-1 on port 80 speaks HTTP, the request TLS: ask with http://"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			auth := lattice.AuthNone
			if tt.policy != "" {
				auth = lattice.AuthIAM
			}
			w := worldOf(t, auth, tt.target, tt.policy)
			expectAnswer(t, w, explain.Question{VPC: "vpc-client", Client: netip.MustParseAddr("10.0.0.10"), Method: "GET", URL: tt.url}, tt.gates, tt.reason)
		})
	}
}

func TestNobodySignsWhatIsPassedThrough(t *testing.T) {
	w := worldOf(t, lattice.AuthIAM, target, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`)
	answer, err := w.Explain(explain.Question{VPC: "vpc-client", URL: "tls://orders.example:8443", As: "arn:aws:iam::100000000001:user/alice"})
	if err != nil {
		t.Fatal(err)
	}
	want := explain.Gate{Name: "signature", Verdict: explain.Passed, Detail: "anonymous: TLS is passed through, so no signature can be seen"}
	if got := answer.Gates[3]; got.Name != want.Name || got.Verdict != want.Verdict || got.Detail != want.Detail {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestTheStatementIsNamed(t *testing.T) {
	answer, err := world(t, lattice.AuthIAM, target).Explain(explain.Question{VPC: "vpc-client", Method: "PUT", URL: "http://orders.example/"})
	if err != nil {
		t.Fatal(err)
	}
	last := answer.Gates[len(answer.Gates)-1]
	if got := strings.Join(last.More, "\n"); !strings.Contains(got, "(reads)") || !strings.Contains(got, "vpc-lattice-svcs:RequestMethod: the policy has GET, the request PUT") {
		t.Errorf("the network's policy is explained by:\n%s", got)
	}
}

func TestQuestionsThatMakeNoSense(t *testing.T) {
	w := world(t, lattice.AuthIAM, target)
	for _, q := range []explain.Question{
		{VPC: "vpc-client", Method: "GET", URL: "orders.example"},
		{VPC: "vpc-client", Method: "GET", URL: "ftp://orders.example/"},
		{VPC: "vpc-client", Method: "GET", URL: "http://%zz/"},
		{VPC: "vpc-client", Method: "GET", URL: "http://orders.example/", As: "arn:aws:iam::100000000001:user/nobody"},
	} {
		if _, err := w.Explain(q); err == nil {
			t.Errorf("%+v was explained", q)
		}
	}
}
