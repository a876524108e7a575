package policy

import (
	"errors"
	"strings"
	"testing"
)

func TestParseCountsWhatIsNotWhiteSpace(t *testing.T) {
	document := []byte("{ \"Statement\":\n\t{\"Effect\": \"Allow\", \"Action\": \"*\", \"Resource\": \"*\"}}")
	size := len(document) - strings.Count(string(document), " ") - 2
	if _, err := Parse(document, Identity, size); err != nil {
		t.Error(err)
	}
	_, err := Parse(document, Identity, size-1)
	if want := "invalid policy: line 1:1: the policy has 60 characters without white space, the limit is 59; " +
		"join statements or shorten patterns"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestParseRefusesOtherEncodings(t *testing.T) {
	_, err := Parse([]byte("{\"Id\": \"\xff\"}"), Resource, 0)
	if err == nil || err.Error() != "invalid policy: line 1:1: the document is not UTF-8; encode it as UTF-8" {
		t.Error(err)
	}
}

// What a hostile document costs is bounded: neither its depth nor the number of its mistakes counts.
func TestParseStaysSmall(t *testing.T) {
	for _, document := range []string{
		`{"Statement": ` + strings.Repeat("[", 9_000) + strings.Repeat("]", 9_000) + `}`,
		`{"Statement": ` + strings.Repeat(`{"a":`, 9_000) + "1" + strings.Repeat("}", 9_000) + `}`,
		`{"Statement": [1e999, ` + strings.Repeat("[", 9_000) + strings.Repeat("]", 9_000) + `]}`,
		`{"Statement": [` + strings.Repeat("1,", 9_000) + `1]}`,
	} {
		_, err := Parse([]byte(document), Identity, 0)
		var refused *Error
		if !errors.As(err, &refused) || len(refused.Problems) > 20 {
			t.Errorf("%.40s…: %.80v", document, err)
		}
	}
}

func TestProblemsHaveTheirPlace(t *testing.T) {
	_, err := Parse([]byte("{\n  \"Statement\": [\n    {\"Sid\": \"é\", \"Effect\": \"Maybe\", \"Action\": \"*\"}\n  ]\n}"), Resource, 0)
	var refused *Error
	if !errors.As(err, &refused) {
		t.Fatal(err)
	}
	want := []Problem{
		{"/Statement/0/Effect", 3, 28, `the Effect is "Allow" or "Deny", in this spelling`},
		{"/Statement/0", 3, 5, `a resource-based policy says whom it is about; add a Principal, "*" for everyone`},
		{"/Statement/0", 3, 5, `the statement has no Resource; add one`},
	}
	if len(refused.Problems) != len(want) {
		t.Fatal(err)
	}
	for i, problem := range refused.Problems {
		if problem != want[i] {
			t.Errorf("got %v, want %v", problem, want[i])
		}
	}
	if !strings.Contains(err.Error(), "(line 3:28): the Effect is \"Allow\" or \"Deny\", in this spelling; /Statement/0 (line 3:5)") {
		t.Error(err)
	}
}

func TestParseKeepsWhatTheDocumentSays(t *testing.T) {
	d, err := Parse([]byte(`{"Id": "guard", "Statement": {"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}}`), Resource, 0)
	if err != nil {
		t.Fatal(err)
	}
	if d.ID != "guard" || d.Version != "2008-10-17" || d.Kind != Resource || d.Name != "" {
		t.Errorf("%+v", d)
	}
	d.Name = "arn:aws:iam::aws:policy/Guard"
	if p := Compile(d); p.Name != d.Name {
		t.Error(p.Name)
	}
}

// Each kind of policy takes the elements that IAM gives it, and what testdata/invalid.txt holds is what it refuses.
func TestParseTakesEveryKind(t *testing.T) {
	statement := `"Effect": "Allow", "Action": ["*:*", "s3:Get*", "vpc-lattice:AssociateViaAWSService-EventsAndStates"]`
	for kind, document := range map[Kind]string{
		Identity:       `{"Statement": {"Sid": "A1", "Resource": "arn:aws:sqs", ` + statement + `}}`,
		Resource:       `{"Id": "any thing", "Statement": [{"Sid": "any thing", "Principal": "*", "NotResource": "*x", ` + statement + `}]}`,
		Trust:          `{"Id": "x", "Statement": {"Principal": {"Federated": "cognito-identity.amazonaws.com"}, ` + statement + `}}`,
		ServiceControl: `{"Version": "2012-10-17", "Statement": {"Resource": "arn:*", "Condition": {}, ` + statement + `}}`,
		Boundary:       `{"Version": "2008-10-17", "Statement": {"Resource": "arn:aws:s3:::${", ` + statement + `}}`,
		Session:        `{"Version": "2012-10-17", "Statement": {"Resource": "arn:aws:s3:*", ` + statement + `}}`,
	} {
		if _, err := Parse([]byte(document), kind, 0); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

func TestExplainShowsWhatWasCompared(t *testing.T) {
	p := compile(t, `{"Version": "2012-10-17", "Statement": {"Sid": "Own", "Effect": "Allow", "Principal": {"AWS": "111122223333"},
		"NotAction": "iam:*", "Resource": "*/${aws:username}/?/${t:none}/*",
		"Condition": {
			"ForAnyValue:StringLike": {"t:Color": ["${aws:username}-*", "red"]},
			"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:user/${aws:username}"},
			"NumericLessThan": {"t:n": 5}, "DateLessThan": {"t:d": "2026-01-01"}, "Bool": {"t:b": true},
			"BinaryEquals": {"t:y": "AA=="}, "IpAddress": {"t:i": "10.0.0.0/8"}, "Null": {"t:z": "true"}}}}`, Resource)
	r := request(principals(t)["bob"], "Invoke", "@x", "t:color=red t:color=bob-1 t:n=7")
	got := p.Explain(r)
	want := []Check{
		{"Principal", "", []string{"AWS 111122223333"}, []string{"arn:aws:iam::111122223333:user/bob"}, true},
		{"NotAction", "", []string{"iam:*"}, []string{"vpc-lattice-svcs:Invoke"}, true},
		{"Resource", "", []string{"*/bob/?/${t:none}/*"}, []string{r.Resource}, false},
		{"ForAnyValue:StringLike", "t:Color", []string{"bob-*", "red"}, []string{"red", "bob-1"}, true},
		{"ArnLike", "aws:PrincipalArn", []string{"arn:aws:iam::*:user/bob"}, []string{"arn:aws:iam::111122223333:user/bob"}, true},
		{"NumericLessThan", "t:n", []string{"5"}, []string{"7"}, false},
		{"DateLessThan", "t:d", []string{"2026-01-01"}, nil, false},
		{"Bool", "t:b", []string{"true"}, nil, false},
		{"BinaryEquals", "t:y", []string{"AA=="}, nil, false},
		{"IpAddress", "t:i", []string{"10.0.0.0/8"}, nil, false},
		{"Null", "t:z", []string{"true"}, nil, true},
	}
	if len(got.Statements) != 1 || got.Statements[0].Sid != "Own" || got.Statements[0].Applies || len(got.Statements[0].Checks) != len(want) {
		t.Fatalf("%+v", got)
	}
	for i, check := range got.Statements[0].Checks {
		if !equalChecks(check, want[i]) {
			t.Errorf("got %+v, want %+v", check, want[i])
		}
	}
}

func equalChecks(a, b Check) bool {
	return a.Element == b.Element && a.Key == b.Key && a.Holds == b.Holds &&
		strings.Join(a.Policy, "\n") == strings.Join(b.Policy, "\n") && strings.Join(a.Request, "\n") == strings.Join(b.Request, "\n")
}

// The sentences were seen on the real service, except for those of levels that nobody has published (behaviour of
// VPC Lattice; IAM user guide, Troubleshoot access denied messages).
func TestMessage(t *testing.T) {
	everybody := principals(t)
	const service = "arn:aws:vpc-lattice:us-west-2:123456789012:service/svc-0a"
	for _, test := range []struct {
		who    string
		effect Effect
		level  string
		want   string
	}{
		{"anon", Allow, "", ""},
		{"anon", Silent, "network", "User: anonymous is not authorized to perform: vpc-lattice-svcs:Invoke on resource: " + service +
			"/ because no network-based policy allows the vpc-lattice-svcs:Invoke action"},
		{"checkout", Silent, "service", "User: arn:aws:sts::444455556666:assumed-role/checkout-service/pod-1 is not authorized to perform: " +
			"vpc-lattice-svcs:Invoke on resource: " + service + "/ because no service-based policy allows the vpc-lattice-svcs:Invoke action"},
		{"checkout", Silent, LevelIdentity, "User: arn:aws:sts::444455556666:assumed-role/checkout-service/pod-1 is not authorized to perform: " +
			"vpc-lattice-svcs:Invoke on resource: " + service + "/ because no identity-based policy allows the vpc-lattice-svcs:Invoke action"},
		{"bob", Deny, "service", "User: arn:aws:iam::111122223333:user/bob is not authorized to perform: vpc-lattice-svcs:Invoke on resource: " +
			service + "/ with an explicit deny in a service-based policy"},
		{"bob", Deny, LevelIdentity, "User: arn:aws:iam::111122223333:user/bob is not authorized to perform: vpc-lattice-svcs:Invoke on resource: " +
			service + "/ with an explicit deny in an identity-based policy"},
		{"bob", Deny, LevelBoundary, "User: arn:aws:iam::111122223333:user/bob is not authorized to perform: vpc-lattice-svcs:Invoke on resource: " +
			service + "/ with an explicit deny in a permissions boundary"},
		{"bob", Silent, LevelServiceControl, "User: arn:aws:iam::111122223333:user/bob is not authorized to perform: vpc-lattice-svcs:Invoke on resource: " +
			service + "/ because no service control policy allows the vpc-lattice-svcs:Invoke action"},
		{"bob", Deny, LevelSession, "User: arn:aws:iam::111122223333:user/bob is not authorized to perform: vpc-lattice-svcs:Invoke on resource: " +
			service + "/ with an explicit deny in a session policy"},
	} {
		d := Decision{Effect: test.effect, Level: test.level}
		if got := d.Message(request(everybody[test.who], "Invoke", "@svc-0a/", "-")); got != test.want {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
		if d.Allowed() != (test.want == "") {
			t.Errorf("%v: allowed %v", test, d.Allowed())
		}
	}
}

func TestDecisionNamesTheStatement(t *testing.T) {
	article := load(t, "article-checkout")
	a := Access{Resource: []Level{{Name: "service", Policies: []*Policy{article}}}}
	d := a.Decide(request(Principal{}, "Invoke", "@svc-0a/", "-"))
	if d != (Decision{Deny, "service", article, 1}) {
		t.Errorf("%+v", d)
	}
}

func TestRequestWithoutContextHasNoKeys(t *testing.T) {
	p := load(t, "guide-organization")
	r := &Request{Action: "vpc-lattice-svcs:Invoke", Resource: "*"}
	if got := p.Evaluate(r); got != (Verdict{Silent, -1}) {
		t.Error(got)
	}
}

func TestKeyParts(t *testing.T) {
	for name, want := range map[string][3]string{
		"aws:PrincipalOrgID":                {"aws:principalorgid", "aws:principalorgid", ""},
		"aws:PrincipalTag/Team":             {"aws:principaltag/team", "aws:principaltag", "team"},
		"aws:PrincipalTag/a/b":              {"aws:principaltag/a/b", "aws:principaltag", "a/b"},
		"oidc.example.com/id/X:sub":         {"oidc.example.com/id/x:sub", "oidc.example.com/id/x:sub", ""},
		"vpc-lattice-svcs:RequestHeader/X:": {"vpc-lattice-svcs:requestheader/x:", "vpc-lattice-svcs:requestheader", "x:"},
	} {
		if key := NewKey(name); [3]string{key.String(), key.Name(), key.Part()} != want {
			t.Errorf("%s: %+v", name, key)
		}
	}
}

// A * that ends one of the first parts of an ARN may run over the next, but what is allowed for one account cannot be
// had from another by a path that spells the account.
func TestWildcardsDoNotReachIntoThePath(t *testing.T) {
	p, err := newPattern("arn:aws:vpc-lattice:*:111122223333:service/*", wildcards|resourceARN)
	if err != nil {
		t.Fatal(err)
	}
	for s, want := range map[string]bool{
		"arn:aws:vpc-lattice:us-west-2:111122223333:service/svc-1/x":                           true,
		"arn:aws:vpc-lattice:us-west-2:999999999999:service/svc-1/x":                           false,
		"arn:aws:vpc-lattice:us-west-2:999999999999:service/svc-1/:111122223333:service/svc-2": false,
		"arn:aws:vpc-lattice:a:b:111122223333:service/svc-1":                                   true,
		"arn:aws:vpc-lattice": false,
		"":                    false,
	} {
		if got := p.match(s, &Request{}); got != want {
			t.Errorf("%s: %v", s, got)
		}
	}
}

// TestWhatCannotBeReadDenies reads documents that are in force, of every kind.
func TestWhatCannotBeReadDenies(t *testing.T) {
	ada := Principal{Type: User, Account: "111122223333", ARN: "arn:aws:iam::111122223333:user/ada"}
	ask := &Request{Principal: ada, Action: "sts:AssumeRole", Resource: "arn:aws:iam::111122223333:role/work"}
	for kind, elements := range map[Kind]string{
		Resource: `"Principal":"*","Resource":"*"`, Trust: `"Principal":"*"`,
		Identity: `"Resource":"*"`, Boundary: `"Resource":"*"`, Session: `"Resource":"*"`, ServiceControl: `"Resource":"*"`,
	} {
		good, err := ReadStored("p", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*",`+elements+`}}`, kind)
		if err != nil || good.Name != "p" || good.Evaluate(ask).Effect != Allow {
			t.Errorf("kind %d: %v, %v", kind, err, good.Evaluate(ask))
		}
		bad, err := ReadStored("p", "{", kind)
		if err == nil || bad.Name != "p" || bad.Evaluate(ask).Effect != Deny {
			t.Errorf("kind %d: what cannot be read is %v, %v", kind, bad.Evaluate(ask), err)
		}
	}
}
