package lambda

import (
	"strings"
	"testing"

	"pergola/policy"
)

func TestNames(t *testing.T) {
	for s, want := range map[string]Name{
		"spots":                         {Function: "spots"},
		"spots:live":                    {Function: "spots", Qualifier: "live"},
		"spots:$LATEST":                 {Function: "spots", Qualifier: "$LATEST"},
		"100000000001:function:spots:7": {Account: "100000000001", Function: "spots", Qualifier: "7"},
		"arn:aws:lambda:us-west-2:100000000001:function:spots": {
			Region: "us-west-2", Account: "100000000001", Function: "spots"},
		"arn:aws:lambda:us-gov-west-1:100000000001:function:a_b-C:live": {
			Region: "us-gov-west-1", Account: "100000000001", Function: "a_b-C", Qualifier: "live"},
	} {
		got, err := ParseName(s)
		if got != want || err != nil {
			t.Errorf("%s: got %+v, %v, want %+v", s, got, err, want)
		}
		if arn, err := ParseARN(s); (err == nil) != strings.HasPrefix(s, "arn:") || err == nil && arn.ARN() != s {
			t.Errorf("%s: as an ARN %+v, %v", s, arn, err)
		}
	}
	for _, s := range []string{"", ":", "a b", "spots:", "spots:li ve", "arn:aws:s3:::bucket", "arn:aws:lambda:us-west-2:1:function:spots",
		"a:b:c", "../spots", "spots/live", strings.Repeat("x", 65)} {
		if got, err := ParseName(s); err == nil {
			t.Errorf("%q: got %+v, want an error", s, got)
		}
	}
}

func TestVersionsAreInOrder(t *testing.T) {
	two, _ := VersionOrder("2")
	ten, _ := VersionOrder("10")
	if two >= ten {
		t.Errorf("2 is %s, 10 is %s", two, ten)
	}
	for _, s := range []string{"", "$LATEST", "live", "-1", "+1", "0", "01", "99999999999999999999"} {
		if _, ok := VersionOrder(s); ok {
			t.Errorf("%q is a number", s)
		}
	}
}

// FuzzName holds that what is a name stays one when it is written as an ARN.
func FuzzName(f *testing.F) {
	f.Add("arn:aws:lambda:us-west-2:100000000001:function:spots:live")
	f.Add("100000000001:function:spots")
	f.Fuzz(func(t *testing.T, s string) {
		name, err := ParseName(s)
		if err != nil {
			return
		}
		name.Region, name.Account = "us-west-2", "100000000001"
		if again, err := ParseARN(name.ARN()); err != nil || again != name {
			t.Errorf("%q is %+v, and its ARN %s is %+v, %v", s, name, name.ARN(), again, err)
		}
	})
}

const (
	group   = "arn:aws:vpc-lattice:us-west-2:100000000001:targetgroup/tg-1"
	account = "100000000001"
)

func TestWhatLetsLatticeInvoke(t *testing.T) {
	name := Name{"us-west-2", account, "spots", "live"}
	for _, c := range []struct {
		what      string
		statement Statement
		want      bool
	}{
		{"the group", Statement{Principal: LatticeService, Action: InvokeAction, SourceARN: group}, true},
		{"any source", Statement{Principal: LatticeService, Action: InvokeAction}, true},
		{"a pattern", Statement{Principal: LatticeService, Action: "lambda:*", SourceARN: "arn:aws:vpc-lattice:us-west-2:100000000001:targetgroup/*"}, true},
		{"the account", Statement{Principal: LatticeService, Action: InvokeAction, SourceAccount: account}, true},
		{"everybody", Statement{Principal: "*", Action: InvokeAction}, true},
		{"another group", Statement{Principal: LatticeService, Action: InvokeAction, SourceARN: group + "2"}, false},
		{"another account", Statement{Principal: LatticeService, Action: InvokeAction, SourceAccount: "100000000002"}, false},
		{"another service", Statement{Principal: "s3.amazonaws.com", Action: InvokeAction}, false},
		{"another action", Statement{Principal: LatticeService, Action: "lambda:GetFunction"}, false},
		{"an account as principal", Statement{Principal: account, Action: InvokeAction}, false},
		{"an organisation", Statement{Principal: "*", Action: InvokeAction, Organization: "o-0123456789"}, false},
		{"a token", Statement{Principal: LatticeService, Action: InvokeAction, EventSourceToken: "x"}, false},
	} {
		c.statement.SID, c.statement.Resource = "s", name.ARN()
		f := &Function{Account: account, Name: "spots", Policies: map[string]Policy{"live": {Statements: []Statement{c.statement}}}}
		if got := f.LetsLattice(name, group, account); got != c.want {
			t.Errorf("%s: %t", c.what, got)
		}
		if f.LetsLattice(name.Unqualified(), group, account) {
			t.Errorf("%s: the permission of an alias holds for the function", c.what)
		}
		p := f.Policies["live"]
		if err := p.Check(); err != nil {
			t.Errorf("%s: %v\n%s", c.what, err, p.Document())
		}
	}
}

// TestABrokenPolicyDenies is for what an older program may have written.
func TestABrokenPolicyDenies(t *testing.T) {
	f := &Function{Policies: map[string]Policy{"": {Statements: []Statement{{SID: "s", Principal: "arn:aws:nonsense", Action: "*", Resource: "*"}}}}}
	if got := f.Evaluate("", &policy.Request{}); got != policy.Deny {
		t.Errorf("got %v", got)
	}
}
