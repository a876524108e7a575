package proxy

import (
	"net/netip"
	"testing"

	"pergola/snapshot"
)

// objects are those of a service with rules, as they stand in the store.
var objects = map[string]string{
	"vpc/vpc-client":                          `{"id":"vpc-client","account":"111122223333","cidr":"10.0.0.0/16"}`,
	"servicenetwork/sn-1":                     `{"id":"sn-1","arn":"` + networkARN + `","authType":"NONE"}`,
	"servicenetworkvpcassociation/snva-1":     `{"id":"snva-1","status":"ACTIVE","serviceNetworkId":"sn-1","vpcId":"vpc-client"}`,
	"service/svc-1":                           `{"id":"svc-1","arn":"` + serviceARN + `","name":"s","authType":"NONE","status":"ACTIVE","customDomainName":"s.example"}`,
	"servicenetworkserviceassociation/snsa-1": `{"id":"snsa-1","status":"ACTIVE","serviceNetworkId":"sn-1","serviceId":"svc-1"}`,
	"listener/svc-1/listener-1": `{"id":"listener-1","serviceId":"svc-1","protocol":"HTTP","port":80,"defaultRuleId":"rule-0",
		"defaultAction":{"fixedResponse":{"statusCode":404}}}`,
	"rule/svc-1/listener-1/rule-2": `{"id":"rule-2","serviceId":"svc-1","listenerId":"listener-1","priority":20,
		"match":{"httpMatch":{"pathMatch":{"match":{"prefix":"/a"}}}},"action":{"forward":{"targetGroups":[{"targetGroupIdentifier":"tg-1"}]}}}`,
	"rule/svc-1/listener-1/rule-1": `{"id":"rule-1","serviceId":"svc-1","listenerId":"listener-1","priority":10,
		"match":{"httpMatch":{"method":"POST","headerMatches":[{"name":"X-Kind","match":{"exact":"two"}}]}},"action":{"fixedResponse":{"statusCode":500}}}`,
	"targetgroup/tg-1": `{"id":"tg-1","arn":"` + groupARN + `","type":"IP","status":"ACTIVE",
		"config":{"port":8080,"protocol":"HTTP","protocolVersion":"HTTP1","vpcIdentifier":"vpc-target"}}`,
}

// TestRules serves a compiled snapshot: the first rule that matches decides, by path, method and any value of a field.
func TestRules(t *testing.T) {
	var changes []snapshot.Change
	for key, value := range objects {
		changes = append(changes, snapshot.Change{Key: key, Value: []byte(value)})
	}
	compiled, err := snapshot.Compile("us-west-2", 1, changes)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	w.now, w.order = compiled, []netip.AddrPort{targetA}
	w.targets[targetA] = w.answers(ok, ok, ok, ok)
	for _, test := range []struct {
		head   string
		status int
		rule   string
	}{
		{"GET / HTTP/1.1\r\n", 404, "rule-0"},
		{"GET /a/b?c HTTP/1.1\r\n", 200, "rule-2"},
		{"GET /b?/a HTTP/1.1\r\n", 404, "rule-0"},
		{"POST /a HTTP/1.1\r\nContent-Length: 0\r\n", 200, "rule-2"},
		{"POST /a HTTP/1.1\r\nX-KIND: one\r\nx-kind: two\r\nContent-Length: 0\r\n", 500, "rule-1"},
		{"post /b HTTP/1.1\r\nx-kind: two\r\nContent-Length: 0\r\n", 404, "rule-0"},
	} {
		w.records = nil
		a := w.ask(test.head + "Host: s.example\r\n\r\n")
		waitRecorded(w, 1)
		if r := w.last(); a.status != test.status || r.Rule.ID != test.rule {
			t.Errorf("%q was answered with %d by %s", test.head, a.status, r.Rule.ID)
		}
	}
}
