package explain_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pergola/dataplane/explain"
	"pergola/lattice"
	"pergola/snapshot"
)

// told is all that an answer says.
func told(t *testing.T, w explain.World, q explain.Question) (answer explain.Answer, text string) {
	t.Helper()
	answer, err := w.Explain(q)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, gate := range answer.Gates {
		fmt.Fprintln(&b, gate.Verdict, gate.Name, gate.Detail)
		for _, line := range gate.More {
			fmt.Fprintln(&b, "  ", line)
		}
	}
	fmt.Fprintln(&b, answer.Reason)
	for _, line := range answer.Cures {
		fmt.Fprintln(&b, "-", line)
	}
	return answer, b.String()
}

// errRefused is what connecting to a target that is down meets.
var errRefused = errors.New("connect: connection refused")

// watched lets the health of the world's targets be checked.
func watched(w explain.World) explain.World {
	for group := range w.Snapshot.TargetGroups.Values() {
		group.HealthCheck = &snapshot.HealthCheck{Protocol: lattice.TargetHTTP, ProtocolVersion: lattice.HTTP1,
			Path: "/health"}
	}
	return w
}

// down makes a world's only target one on whose port nobody listens.
func down(w explain.World) explain.World {
	w = watched(w)
	w.Health = map[string]lattice.TargetReport{"tg-1": {"10.0.1.10:8080": {Status: lattice.TargetInitial,
		ReasonCode: lattice.ReasonHealthCheckInProgress}}}
	w.Last = func(string, string) explain.Check { return explain.Check{At: time.Unix(1, 0), Err: errRefused} }
	w.Connect = func(string, netip.AddrPort) error { return errRefused }
	return w
}

func allow(condition string) string {
	return `{"Version":"2012-10-17","Statement":[
		{"Sid":"only","Effect":"Allow","Principal":"*","Action":"*","Resource":"*"` + condition + `}]}`
}

// TestFault_E4_ThePlaybook is the build guide's table of symptoms, row by row: for each, explain tells the cause, and
// what to do. (Rows 10 and 11 are not about a request: the API tells of another service's ARN, and a shared network
// that was not accepted is a VPC without an association, row 2.)
func TestFault_E4_ThePlaybook(t *testing.T) {
	const region = `"Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-other"}}`
	ask := explain.Question{VPC: "vpc-client", Client: netip.MustParseAddr("10.0.0.10"), Method: "GET",
		URL: "http://orders.example/"}
	with := func(change func(q *explain.Question)) explain.Question {
		q := ask
		change(&q)
		return q
	}
	checked := func(w explain.World, status lattice.TargetStatus, met error) explain.World {
		w = watched(w)
		w.Health = map[string]lattice.TargetReport{"tg-1": {"10.0.1.10:8080": {Status: status}}}
		w.Last = func(string, string) explain.Check { return explain.Check{At: time.Unix(1, 0), Err: met} }
		w.Connect = func(string, netip.AddrPort) error { return nil }
		return w
	}
	for _, row := range []struct {
		number int
		world  explain.World
		ask    explain.Question
		reason string
		says   []string
	}{
		{1, world(t, "NONE", target), with(func(q *explain.Question) { q.URL = "http://orders.example:81/" }),
			"unreachable: no listener of the service is served on port 81", []string{"- the service listens by HTTP on port 80",
				"create-listener --service-identifier svc-1"}},
		{2, world(t, "NONE", target), with(func(q *explain.Question) { q.VPC = "vpc-alone" }),
			"unreachable: vpc-alone is associated with no service network",
			[]string{"aws vpc-lattice create-service-network-vpc-association --service-network-identifier sn-1 " +
				"--vpc-identifier vpc-alone"}},
		{3, world(t, "NONE", target), with(func(q *explain.Question) { q.URL = "http://parking.example/" }),
			"unreachable: parking.example is no service of sn-1",
			[]string{"aws vpc-lattice create-service-network-service-association --service-network-identifier sn-1"}},
		{4, worldOf(t, "AWS_IAM", target, allow(`,"Condition":{"StringNotEquals":{"aws:PrincipalType":"Anonymous"}}`)), ask,
			"denied: the request is not signed: 403 AccessDeniedException",
			[]string{"signature the request is not signed", "- sign it: curl --aws-sigv4 " +
				"\"aws:amz:us-west-2:vpc-lattice-svcs\""}},
		{5, worldOf(t, "AWS_IAM", target, allow(","+region)), ask, "denied: the request is not signed: 403",
			[]string{"STOP network policy", "StringEquals aws:PrincipalOrgID: the policy " +
				"has o-other", "aws vpc-lattice get-auth-policy " +
				"--resource-identifier sn-1", "put-auth-policy --resource-identifier sn-1"}},
		{6, worldOf(t, "AWS_IAM", target, allow(`,"Condition":{"StringEquals":{"vpc-lattice-svcs:RequestMethod":"POST"}}`)),
			ask,
			"denied: 403 AccessDeniedException", []string{"RequestMethod: the policy has POST, the request GET",
				"put-auth-policy"}},
		{7, world(t, "NONE", target), with(func(q *explain.Question) { q.URL = "http://orders.example/gone" }),
			"answered: rule-1 matches with priority 10 and answers 404 Not Found",
			[]string{"aws vpc-lattice list-rules --service-identifier svc-1 --listener-identifier listener-1", "update-rule"}},
		{8, checked(worldOf(t, "NONE", target, ""), lattice.TargetUnhealthy, errors.New("GET /health was answered with 500")),
			ask,
			"allowed: forwarded by rule-default, although no target of tg-1 is healthy",
			[]string{"the last health check met: GET /health was answered with 500", "aws vpc-lattice list-targets " +
				"--target-group-identifier tg-1", "update-target-group"}},
		{8, down(worldOf(t, "NONE", target, "")), ask,
			"answered: 503 Service Unavailable, since no connection to a target of tg-1 can be made (10.0.1.10:8080: connect: " +
				"connection refused)",
			[]string{"the group fails open", "the last health check met: connect: connection refused", "list-targets",
				"start the server, on 10.0.1.10:8080"}},
		{9, world(t, "NONE", target), ask, "allowed: forwarded by rule-default",
			[]string{"the auth types of the network and of the service are NONE", "aws vpc-lattice update-service " +
				"--service-identifier svc-1 --auth-type AWS_IAM"}},
		{12, worldOf(t, "AWS_IAM", target, allow(`,"Condition":{"IpAddress":{"aws:SourceIp":"10.9.0.0/16"}}`)), ask,
			"denied: 403",
			[]string{"aws:SourceIp is the address of the client in its VPC, 10.0.0.10", "use vpc-lattice-svcs:SourceVpc, " +
				"which is vpc-client here"}},
	} {
		t.Run(fmt.Sprint(row.number), func(t *testing.T) {
			answer, text := told(t, row.world, row.ask)
			if !strings.HasPrefix(answer.Reason, row.reason) {
				t.Errorf("the reason is not %q", row.reason)
			}
			for _, want := range row.says {
				if !strings.Contains(text, want) {
					t.Errorf("there is no %q", want)
				}
			}
			if len(answer.Cures) == 0 {
				t.Error("there is no cure")
			}
			if t.Failed() {
				t.Log(text)
			}
		})
	}
}

// TestFault_E1_WhatBecomesOfARequestToTargetsThatAreDown: each kind of them.
func TestFault_E1_WhatBecomesOfARequestToTargetsThatAreDown(t *testing.T) {
	ask := explain.Question{VPC: "vpc-client", Method: "GET", URL: "http://orders.example/"}
	w := down(worldOf(t, "NONE", target, ""))
	passed := ask
	passed.URL = "tls://orders.example:8443"
	if answer, text := told(t, w, passed); !strings.HasPrefix(answer.Reason,
		"closed: no connection to a target of tg-1 can be made") {
		t.Errorf("passed through:\n%s", text)
	}
	w.Connect = nil // nobody can ask
	if answer, text := told(t, w, ask); answer.Reason != "allowed: forwarded by rule-default, although no target of "+
		"tg-1 is healthy" {
		t.Errorf("where nobody knows:\n%s", text)
	}
	w = down(worldOf(t, "NONE", target, ""))
	for group := range w.Snapshot.TargetGroups.Values() {
		group.HealthCheck = nil
	}
	w.Last = func(string, string) explain.Check { return explain.Check{Avoided: true} }
	answer, text := told(t, w, ask)
	if !strings.HasPrefix(answer.Reason, "answered: 503") ||
		!strings.Contains(text, "it is avoided, since a request could not connect to it") ||
		strings.Contains(text, "--health-check") {
		t.Errorf("without checks:\n%s", text)
	}
}

// TestFault_E2_SignaturesThatAreNotGood are told before any policy, each with what is wrong and the way to sign.
func TestFault_E2_SignaturesThatAreNotGood(t *testing.T) {
	w := worldOf(t, "AWS_IAM", target, allow(""))
	signed := func(scope, sha string) http.Header {
		return http.Header{
			"Authorization": {"AWS4-HMAC-SHA256 Credential=AKIA1/20260801/" + scope +
				"/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=" + strings.Repeat("0", 64)},
			"X-Amz-Date":           {"20260801T000000Z"},
			"X-Amz-Content-Sha256": {sha},
		}
	}
	for _, row := range []struct {
		header http.Header
		says   string
		cure   string
	}{
		{signed("us-west-2/vpc-lattice", "UNSIGNED-PAYLOAD"), "the signature is for the service vpc-lattice in the " +
			"region us-west-2", "sign for the service vpc-lattice-svcs; vpc-lattice is the API"},
		{signed("eu-west-1/vpc-lattice-svcs", "UNSIGNED-PAYLOAD"), "in the region eu-west-1",
			"sign for the region us-west-2"},
		{signed("us-west-2/vpc-lattice-svcs", strings.Repeat("a", 64)), "Signed payloads are not supported",
			"send x-amz-content-sha256: UNSIGNED-PAYLOAD"},
		{signed("us-west-2/vpc-lattice-svcs", "UNSIGNED-PAYLOAD"), "The security token included in the request is invalid",
			"the key is not of this deployment"},
	} {
		answer, text := told(t, w, explain.Question{VPC: "vpc-client", Method: "GET", URL: "http://orders.example/",
			Header: row.header})
		last := answer.Gates[len(answer.Gates)-1]
		if last.Name != "signature" || last.Verdict != explain.Stopped || !strings.Contains(last.Detail, row.says) ||
			!strings.Contains(answer.Cures[0], row.cure) || !strings.Contains(text, "--aws-sigv4") {
			t.Errorf("want %q and %q:\n%s", row.says, row.cure, text)
		}
	}
}

// TestFault_E2_ASignatureIsAskedForOnlyWhereItCounts: where a statement denies everybody, nobody need sign.
func TestFault_E2_ASignatureIsAskedForOnlyWhereItCounts(t *testing.T) {
	for policy, counts := range map[string]bool{
		allow(`,"Condition":{"StringLike":{"aws:PrincipalArn":"*"}}`): true,
		strings.Replace(allow(""), `"Principal":"*"`, `"Principal":{"AWS":"100000000001"}`,
			1): true,
		strings.Replace(allow(`,"Condition":{"StringEquals":{"aws:PrincipalType":"Anonymous"}}`), `"Effect":"Allow"`,
			`"Effect":"Deny"`, 1): true,
		strings.Replace(allow(""), `"Effect":"Allow"`, `"Effect":"Deny"`, 1):                                        false,
		allow(`,"Condition":{"StringEquals":{"vpc-lattice-svcs:RequestMethod":"POST"}}`):                            false,
		allow(`,"Condition":{"StringEquals":{"vpc-lattice-svcs:RequestMethod":"POST","aws:PrincipalType":"User"}}`): false,
	} {
		answer, text := told(t, worldOf(t, "AWS_IAM", target, policy), explain.Question{VPC: "vpc-client", Method: "GET",
			URL: "http://orders.example/"})
		if got := strings.HasPrefix(answer.Reason, "denied: the request is not signed: "); got != counts {
			t.Errorf("%s: %v, want %v:\n%s", policy, got, counts, text)
		}
	}
}

// TestFault_E3_AnAddressThatIsNotKnown is said to be not known.
func TestFault_E3_AnAddressThatIsNotKnown(t *testing.T) {
	w := worldOf(t, "AWS_IAM", target, allow(`,"Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/16"}}`))
	if _, text := told(t, w, explain.Question{VPC: "vpc-client", Method: "GET",
		URL: "http://orders.example/"}); !strings.Contains(text, "give an instance to --from") {
		t.Error(text)
	}
}

// TestFault_B12_PathsThatADenyMisses: the three of docs/authorisation.md, and others that some server takes for the
// same.
func TestFault_B12_PathsThatADenyMisses(t *testing.T) {
	const statement = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"},
		{"Sid":"closed","Effect":"Deny","Principal":"*","Action":"*","Resource":"*/admin*"}]}`
	const condition = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"},
		{"Sid":"closed","Effect":"Deny","Principal":"*","Action":"*","Resource":"*",
		"Condition":{"StringLike":{"vpc-lattice-svcs:RequestPath":"/admin*"}}}]}`
	for path, missed := range map[string]bool{
		"//admin": true, "/./admin": true, "/%61dmin": true, "/%2561dmin": true, "/x/..%2Fadmin": true,
		"/x/../admin/users": true, "/ADMIN": true, `/%5Cadmin`: true,
		"/orders": false, "/": false, "/orders//1": false, "/%6frders": false, "/a%zz": false,
	} {
		answer, text := told(t, worldOf(t, "AWS_IAM", target, condition), explain.Question{VPC: "vpc-client", Method: "GET",
			URL: "http://orders.example" + strings.ReplaceAll(path, "%zz", "")})
		if got := strings.Contains(text, "(closed) of auth policy of sn-1 does not deny "+path+
			" as it was sent"); got != missed {
			t.Errorf("%s: %v, want %v:\n%s", path, got, missed, text)
		}
		if got := strings.Contains(strings.Join(answer.Cures, "\n"), "allow exact paths"); got != missed {
			t.Errorf("%s: the cure is told: %v, want %v", path, got, missed)
		}
	}
	if _, text := told(t, worldOf(t, "AWS_IAM", target, statement), explain.Question{VPC: "vpc-client", Method: "GET",
		URL: "http://orders.example/%61dmin"}); !strings.Contains(text, "it would deny /admin") {
		t.Errorf("as a resource:\n%s", text)
	}
}

// TestFault_B8_ExplainSeesWhatTheTargetGets: fields about the connection meet no condition and no rule.
func TestFault_B8_ExplainSeesWhatTheTargetGets(t *testing.T) {
	w := worldOf(t, "AWS_IAM", target,
		allow(`,"Condition":{"StringEquals":{"vpc-lattice-svcs:RequestHeader/x-role":"admin"}}`))
	ask := explain.Question{VPC: "vpc-client", Method: "GET", URL: "http://orders.example/",
		Header: http.Header{"X-Role": {"admin"}}}
	if answer, text := told(t, w, ask); !strings.HasPrefix(answer.Reason, "allowed") {
		t.Error(text)
	}
	ask.Header["Connection"] = []string{"x-role"}
	if answer, text := told(t, w, ask); !strings.HasPrefix(answer.Reason, "denied") {
		t.Error(text)
	}
	ask.Header = http.Header{"Transfer-Encoding": {"gzip"}}
	if answer, text := told(t, w, ask); !strings.HasPrefix(answer.Reason, "answered: 400 Bad Request") {
		t.Error(text)
	}
}
