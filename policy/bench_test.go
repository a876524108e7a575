package policy

import "testing"

// call is how a data plane answers the keys: from a struct, without a map.
type call struct {
	method, vpc, organization, path, service, network string
	headers                                           [][2]string
}

func (c *call) Value(key Key, i int) (string, bool) {
	value := ""
	switch key.Name() {
	case "vpc-lattice-svcs:requestmethod":
		value = c.method
	case "vpc-lattice-svcs:requestpath":
		value = c.path
	case "vpc-lattice-svcs:sourcevpc":
		value = c.vpc
	case "vpc-lattice-svcs:servicearn":
		value = c.service
	case "vpc-lattice-svcs:servicenetworkarn":
		value = c.network
	case "vpc-lattice-svcs:requestheader":
		for _, header := range c.headers {
			if header[0] == key.Part() {
				value = header[1]
			}
		}
	case "aws:principalorgid":
		value = c.organization
	}
	return value, i == 0 && value != ""
}

// typical is a signed call that the policies of a network, of a service and of a role allow.
func typical(t testing.TB) (*Access, *Request) {
	a := &Access{
		Resource: []Level{
			{"network", []*Policy{load(t, "guide-organization")}},
			{"service", []*Policy{load(t, "article-checkout")}},
		},
		Identity: []*Policy{load(t, "invoke-access")},
	}
	r := request(principals(t)["checkout"], "Invoke", "@svc-0123456789abcdef0/v1/orders/42", "-")
	r.Context = &call{
		method: "GET", path: "/v1/orders/42", vpc: "vpc-1a2b3c4d", organization: "o-123456example",
		service: "arn:aws:vpc-lattice:us-west-2:123456789012:service/svc-0123456789abcdef0",
		headers: [][2]string{{"x-tenant", "acme"}},
	}
	return a, r
}

// heavy is a call under policies that use every kind of operator.
func heavy(t testing.TB) (*Policy, *Request) {
	p := compile(t, `{"Version": "2012-10-17", "Statement": [
		{"Effect": "Allow", "Principal": "*", "Action": ["a:x", "vpc-lattice-svcs:*"], "Resource": [
			"arn:aws:vpc-lattice:*:123456789012:service/svc-*/v1/${aws:PrincipalAccount}/*", "*/v1/*/42"],
		"Condition": {
			"StringLike": {"vpc-lattice-svcs:RequestPath": ["/v2/*", "/*/orders/*"]},
			"StringEqualsIgnoreCase": {"vpc-lattice-svcs:RequestMethod": ["post", "get"]},
			"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/checkout-*"},
			"StringNotEqualsIfExists": {"vpc-lattice-svcs:SourceVpc": ["vpc-1", "vpc-2"]},
			"NumericLessThan": {"vpc-lattice-svcs:RequestHeader/n": 10},
			"DateGreaterThan": {"vpc-lattice-svcs:RequestHeader/d": "2025-01-01T00:00:00Z"},
			"IpAddress": {"vpc-lattice-svcs:RequestHeader/i": ["10.0.0.0/8", "2001:db8::/32"]},
			"BinaryEquals": {"vpc-lattice-svcs:RequestHeader/b": "aGVsbG8="},
			"Bool": {"aws:PrincipalIsAWSService": false},
			"Null": {"vpc-lattice-svcs:RequestHeader/z": true},
			"ForAnyValue:StringEquals": {"aws:PrincipalOrgID": ["o-1", "o-123456example"]},
			"ForAllValues:StringNotEquals": {"vpc-lattice-svcs:RequestHeader/none": "x"}}}]}`, Resource)
	_, r := typical(t)
	r.Context.(*call).headers = [][2]string{{"n", "7.5"}, {"d", "2026-01-02T03:04:05.5+01:00"}, {"i", "2001:db8::1"}, {"b", "hello"}}
	return p, r
}

func TestDecideDoesNotAllocate(t *testing.T) {
	a, r := typical(t)
	if d := a.Decide(r); !d.Allowed() {
		t.Fatalf("%+v", d)
	}
	if n := testing.AllocsPerRun(100, func() {
		access := Access{Resource: []Level{a.Resource[0], a.Resource[1]}, Identity: a.Identity}
		access.Decide(r)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	p, r := heavy(t)
	if v := p.Evaluate(r); v.Effect != Allow {
		t.Fatalf("%+v", p.Explain(r))
	}
	if n := testing.AllocsPerRun(100, func() { p.Evaluate(r) }); n != 0 {
		t.Errorf("%v allocations with every kind of operator", n)
	}
	r.Context.(*call).headers = [][2]string{{"n", "seven"}, {"d", "yesterday"}, {"i", ""}, {"b", ""}}
	if n := testing.AllocsPerRun(100, func() { p.Evaluate(r) }); n != 0 {
		t.Errorf("%v allocations with values of the wrong type", n)
	}
	r.Principal = Principal{Type: AssumedRole, Boundary: p}
	if n := testing.AllocsPerRun(100, func() { a.Decide(r) }); n != 0 {
		t.Errorf("%v allocations with a boundary", n)
	}
}

func BenchmarkDecide(b *testing.B) {
	a, r := typical(b)
	b.Run("signed", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if d := a.Decide(r); !d.Allowed() {
				b.Fatal(d)
			}
		}
	})
	anonymous := *r
	anonymous.Principal = Principal{}
	b.Run("anonymous", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if d := a.Decide(&anonymous); d.Effect != Deny {
				b.Fatal(d)
			}
		}
	})
}

func BenchmarkEvaluateEveryOperator(b *testing.B) {
	p, r := heavy(b)
	b.ReportAllocs()
	for b.Loop() {
		if p.Evaluate(r).Effect != Allow {
			b.Fatal("denied")
		}
	}
}

func BenchmarkParseAndCompile(b *testing.B) {
	document := []byte(read(b, "article-checkout.json"))
	b.ReportAllocs()
	for b.Loop() {
		d, err := Parse(document, Resource, 10_000)
		if err != nil {
			b.Fatal(err)
		}
		Compile(d)
	}
}
