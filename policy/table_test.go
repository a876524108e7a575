package policy

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what Parse says into testdata/invalid.txt")

// row is one line of a table in testdata.
type row struct {
	line  int
	cells []string
}

// table reads rows of cells that are parted by " | ".
func table(t testing.TB, file string) (rows []row) {
	t.Helper()
	for i, line := range strings.Split(read(t, file), "\n") {
		if line != "" && line[0] != '#' {
			rows = append(rows, row{i + 1, strings.Split(line, " | ")})
		}
	}
	return rows
}

func read(t testing.TB, file string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// kindOf says what the policies in testdata are attached to, where it is not a resource.
var kindOf = map[string]Kind{
	"actions": Identity, "not-action": Identity, "resources": Identity, "variables": Identity, "variables-2008": Identity,
	"not-resource-variable": Identity, "invoke-access": Identity, "guide-associations": Identity,
	"guide-service-associations": Identity, "guide-tagging": Identity, "guide-linked-role": Identity, "role-trust": Trust,
}

// load compiles a policy of testdata.
func load(t testing.TB, name string) *Policy {
	t.Helper()
	kind, ok := kindOf[name]
	if !ok {
		kind = Resource
	}
	return compile(t, read(t, name+".json"), kind)
}

func compile(t testing.TB, document string, kind Kind) *Policy {
	t.Helper()
	d, err := Parse([]byte(document), kind, 0)
	if err != nil {
		t.Fatalf("%s\n%v", document, err)
	}
	return Compile(d)
}

// principals are those of the tables.
func principals(t testing.TB) map[string]Principal {
	user := func(account, path string) Principal {
		return Principal{Type: User, Account: account, ARN: "arn:aws:iam::" + account + ":user/" + path, ID: "AIDA"}
	}
	root := func(account string) Principal {
		return Principal{Type: Root, Account: account, ARN: "arn:aws:iam::" + account + ":root", ID: account}
	}
	session := func(account, path, name, session string) Principal {
		return Principal{
			Type: AssumedRole, Account: account, ID: "AROA" + strings.ToUpper(name) + ":" + session,
			ARN:     "arn:aws:sts::" + account + ":assumed-role/" + name + "/" + session,
			RoleARN: "arn:aws:iam::" + account + ":role/" + path + name,
		}
	}
	bounded := session("333344445555", "app/", "reader", "s1")
	bounded.Boundary = compile(t, document("Allow", ""), Boundary)
	canonical := user("999999999999", "c")
	canonical.CanonicalID = "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be"
	return map[string]Principal{
		"anon":  {},
		"root1": root("111122223333"), "bob": user("111122223333", "bob"),
		"root3": root("333344445555"), "alice": user("333344445555", "team/alice"),
		"reader": session("333344445555", "app/", "reader", "s1"), "bounded": bounded,
		"monday": session("333344445555", "", "writer", "monday"), "friday": session("333344445555", "", "writer", "friday"),
		"fred": {
			Type: FederatedUser, Account: "333344445555", ARN: "arn:aws:sts::333344445555:federated-user/fred",
			ID: "333344445555:fred",
		},
		"rates":     session("123456789012", "", "rates-client", "s1"),
		"checkout":  session("444455556666", "", "checkout-service", "pod-1"),
		"orders":    session("444455556666", "", "orders", "pod-2"),
		"payments":  session("444455556666", "", "payments-risk", "pod-3"),
		"canonical": canonical,
		"ecs":       {Type: Service, ARN: "ecs.amazonaws.com"}, "lambda": {Type: Service, ARN: "lambda.amazonaws.com"},
		"tasks":     {Type: Service, ARN: "ecs-tasks.amazonaws.com"},
		"google":    {Type: Federated, ARN: "accounts.google.com"},
		"idp":       {Type: Federated, ARN: "arn:aws:iam::333344445555:oidc-provider/idp.example.com"},
		"other-idp": {Type: Federated, ARN: "arn:aws:iam::333344445555:oidc-provider/other.example.com"},
	}
}

// document is a policy of one statement without principal; condition is a condition block or "".
func document(effect, condition string) string {
	if condition == "" {
		condition = "{}"
	}
	return fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [{"Sid": %q, "Effect": %q, "Action": "*", "Resource": "*", "Condition": %s}]}`,
		effect, effect, condition)
}

// request is the request of a row of verdicts.txt.
func request(p Principal, action, resource, keys string) *Request {
	if action == "Invoke" {
		action = "vpc-lattice-svcs:Invoke"
	}
	if rest, ok := strings.CutPrefix(resource, "@"); ok {
		resource = "arn:aws:vpc-lattice:us-west-2:123456789012:service/" + rest
	}
	context := Values{}
	for field := range strings.FieldsSeq(strings.TrimPrefix(keys, "-")) {
		key, value, _ := strings.Cut(field, "=")
		context[strings.ToLower(key)] = append(context[strings.ToLower(key)], value)
	}
	return &Request{Principal: p, Action: action, Resource: resource, Context: context}
}

func TestVerdicts(t *testing.T) {
	everybody := principals(t)
	for _, row := range table(t, "verdicts.txt") {
		policy, who := load(t, row.cells[0]), row.cells[1]
		principal, known := everybody[who]
		if !known {
			t.Fatalf("verdicts.txt:%d: no principal %q", row.line, who)
		}
		r := request(principal, row.cells[2], row.cells[3], row.cells[4])
		if got := policy.Evaluate(r).Effect.String(); got != row.cells[5] {
			t.Errorf("verdicts.txt:%d: %v\ngot %s; %+v", row.line, row.cells, got, policy.Explain(r))
		}
		agree(t, policy, r)
	}
}

func TestConditions(t *testing.T) {
	always := Values{"t:team": {"blue"}, "t:empty": {""}, "t:many": {"x", "y"}, "t:star": {"*"}}
	for _, row := range table(t, "conditions.txt") {
		r := &Request{Action: "a:b", Resource: "*", Context: withKey(t, always, row.cells[2])}
		block := fmt.Sprintf(`{%q: {"t:k": %s}}`, row.cells[0], row.cells[1])
		allows := compile(t, document("Allow", block), Identity)
		denies := compile(t, document("Deny", block), Identity)
		got := map[[2]Effect]string{
			{Allow, Deny}: "yes", {Silent, Silent}: "no", {Silent, Deny}: "deny-only", {Allow, Silent}: "allow-only",
		}[[2]Effect{allows.Evaluate(r).Effect, denies.Evaluate(r).Effect}]
		if got != row.cells[3] {
			t.Errorf("conditions.txt:%d: %v: got %s", row.line, row.cells, got)
		}
		agree(t, allows, r)
		agree(t, denies, r)
	}
}

// withKey adds t:k: a JSON string or list of strings, or - for none.
func withKey(t *testing.T, always Values, cell string) Values {
	context := Values{}
	for key, values := range always {
		context[key] = values
	}
	if cell == "-" {
		return context
	}
	var list []string
	if !strings.HasPrefix(cell, "[") {
		cell = "[" + cell + "]"
	}
	if err := json.Unmarshal([]byte(cell), &list); err != nil {
		t.Fatalf("%s: %v", cell, err)
	}
	context["t:k"] = list
	return context
}

func TestKeysOfThePrincipal(t *testing.T) {
	everybody := principals(t)
	for _, row := range table(t, "keys.txt") {
		key := NewKey(row.cells[1])
		r := &Request{Principal: everybody[row.cells[0]], Context: Values{key.String(): {"never asked"}}}
		got, ok := r.value(&key, 0)
		if !ok {
			got = "-"
		}
		if got != row.cells[2] {
			t.Errorf("keys.txt:%d: %v: got %s", row.line, row.cells, got)
		}
		if second, ok := r.value(&key, 1); ok {
			t.Errorf("keys.txt:%d: %v: there is a second value %q", row.line, row.cells, second)
		}
	}
}

func TestAccess(t *testing.T) {
	everybody := principals(t)
	policies := map[string]*Policy{
		"allow":  compile(t, document("Allow", ""), Identity),
		"silent": compile(t, document("Allow", `{"Null": {"t:k": "false"}}`), Identity),
		"deny":   compile(t, `{"Statement": [`+statement1("Allow")+`, `+statement1("Deny")+`]}`, Identity),
	}
	level := func(cell string) (list []*Policy) {
		if cell != "-" && cell != "none" {
			for name := range strings.SplitSeq(cell, "+") {
				list = append(list, policies[name])
			}
		}
		return list
	}
	for _, row := range table(t, "access.txt") {
		var a Access
		for i, name := range []string{"network", "service"} {
			if cell := row.cells[1+i]; cell != "-" {
				a.Resource = append(a.Resource, Level{name, level(cell)})
			}
		}
		if row.cells[3] != "-" {
			for cell := range strings.SplitSeq(row.cells[3], "/") {
				a.ServiceControl = append(a.ServiceControl, level(cell))
			}
		}
		r := &Request{Principal: everybody[row.cells[0]], Action: "a:b", Resource: "*"}
		a.Identity, a.Session = level(row.cells[4]), level(row.cells[6])
		if row.cells[5] != "-" {
			r.Principal.Boundary = policies[row.cells[5]]
		}
		if got := outcome(a.Decide(r)); got != row.cells[7] {
			t.Errorf("access.txt:%d: %v: got %s", row.line, row.cells, got)
		}
		agreeAccess(t, &a, r)
	}
}

func statement1(effect string) string {
	return fmt.Sprintf(`{"Effect": %q, "Action": "*", "Resource": "*"}`, effect)
}

func outcome(d Decision) string {
	switch d.Effect {
	case Allow:
		return "allowed"
	case Deny:
		return "deny: " + d.Level
	}
	return "not allowed: " + d.Level
}

func TestInvalid(t *testing.T) {
	kinds := map[string]Kind{"identity": Identity, "resource": Resource, "trust": Trust, "control": ServiceControl,
		"boundary": Boundary, "session": Session}
	var out []string
	for line := range strings.SplitSeq(read(t, "invalid.txt"), "\n") {
		if strings.HasPrefix(line, "\t") {
			continue
		}
		out = append(out, line)
		word, document, _ := strings.Cut(line, " ")
		kind, ok := kinds[word]
		var err error
		switch {
		case word == "auth":
			_, err = ParseFor("vpc-lattice-svcs", []byte(document), Resource, 0)
		case word == "assume":
			_, err = ParseFor("sts", []byte(document), Trust, 0)
		case ok:
			_, err = Parse([]byte(document), kind, 0)
		default:
			continue
		}
		if err == nil {
			t.Errorf("%s is accepted", line)
			continue
		}
		for _, problem := range err.(*Error).Problems {
			out = append(out, "\t"+problem.String())
		}
	}
	got := strings.Join(out, "\n")
	if *update {
		if err := os.WriteFile(filepath.Join("testdata", "invalid.txt"), []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want := strings.Split(read(t, "invalid.txt"), "\n")
	for i, line := range out {
		if i >= len(want) || line != want[i] {
			t.Fatalf("invalid.txt:%d:\n got %s\nwant %s", i+1, line, slices.Concat(want, make([]string, len(out)))[i])
		}
	}
}
