package policy

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestEvaluateAgreesWithExplain makes policies and requests at random, out of words that often match, and checks that
// the two ways to answer give one answer, alone and combined.
func TestEvaluateAgreesWithExplain(t *testing.T) {
	g := generator{rand.New(rand.NewPCG(1, 2)), nil}
	for _, p := range principals(t) {
		g.principals = append(g.principals, p)
	}
	slices.SortFunc(g.principals, func(a, b Principal) int { return strings.Compare(a.ARN+a.ID, b.ARN+b.ID) })
	effects, outcomes := map[Effect]int{}, map[Effect]int{}
	for range 1500 {
		a := Access{
			Resource: []Level{{"network", g.policies(t, Resource)}, {"service", g.policies(t, Resource)}},
			Identity: g.policies(t, Identity),
			Session:  g.policies(t, Session),
		}
		for range g.IntN(2) {
			a.ServiceControl = append(a.ServiceControl, g.policies(t, ServiceControl))
		}
		for range 4 {
			r := g.request()
			for _, level := range a.Resource {
				for _, p := range level.Policies {
					agree(t, p, r)
					effects[p.Evaluate(r).Effect]++
				}
			}
			agreeAccess(t, &a, r)
			outcomes[a.Decide(r).Effect]++
		}
	}
	for _, effect := range []Effect{Silent, Allow, Deny} {
		if effects[effect] < 500 || outcomes[effect] < 100 {
			t.Errorf("too few of %s to mean something: %v, %v", effect, effects, outcomes)
		}
	}
}

type generator struct {
	*rand.Rand
	principals []Principal
}

func pick[T any](g generator, from ...T) T { return from[g.IntN(len(from))] }

func (g generator) policies(t *testing.T, kind Kind) (list []*Policy) {
	for range pick(g, 1, 1, 1, 2, 3) {
		var statements []string
		for range 1 + g.IntN(3) {
			statements = append(statements, g.statement(kind))
		}
		list = append(list, compile(t, `{"Version": "2012-10-17", "Statement": [`+strings.Join(statements, ", ")+`]}`, kind))
	}
	return list
}

func (g generator) statement(kind Kind) string {
	effect := pick(g, "Allow", "Allow", "Allow", "Allow", "Allow", "Deny")
	principal := ""
	if kind == Resource {
		principal = `"Principal": ` + pick(g, `"*"`, `"*"`, `{"AWS": "*"}`, `{"AWS": ["111122223333", "333344445555"]}`,
			`{"AWS": "arn:aws:iam::333344445555:role/app/reader", "Service": "ecs.amazonaws.com"}`) + ", "
		if effect == "Deny" && g.IntN(2) == 0 {
			principal = `"NotPrincipal": {"AWS": ["333344445555", "arn:aws:iam::333344445555:user/team/alice"]}, `
		}
	}
	return fmt.Sprintf(`{%s"Effect": %q, %q: %q, %q: %q, "Condition": {%s}}`, principal, effect,
		pick(g, "Action", "Action", "Action", "NotAction"), pick(g, "*", "*", "*", "a:*", "a:G?t", "A:get", "b:Put"),
		pick(g, "Resource", "Resource", "Resource", "NotResource"), pick(g, "*", "*", "*", "arn:aws:a:*:1:x/*", "arn:aws:a:r:1:${t:v}", "arn:aws:a:r:*:x/z"),
		g.conditions())
}

func (g generator) conditions() string {
	var all []string
	for _, operator := range []string{"String", "Numeric", "Set", "Null"} {
		if g.IntN(9) > 0 {
			continue
		}
		key := pick(g, "t:k", "t:v", "aws:username", "aws:PrincipalType")
		suffix := pick(g, "", "IfExists")
		switch operator {
		case "String":
			operator = pick(g, "StringEquals", "StringNotEquals", "StringLike", "StringNotLike", "StringEqualsIgnoreCase") + suffix
			all = append(all, fmt.Sprintf(`%q: {%q: [%q, %q]}`, operator, key, pick(g, "x", "User", "1", ""), pick(g, "y*", "${t:v}", "${t:k, 'x'}")))
		case "Numeric":
			operator = pick(g, "NumericLessThan", "NumericNotEquals", "DateLessThan", "DateNotEquals") + suffix
			all = append(all, fmt.Sprintf(`%q: {%q: %d}`, operator, key, g.IntN(3)))
		case "Set":
			operator = pick(g, "ForAllValues:", "ForAnyValue:") + pick(g, "StringEquals", "StringNotLike", "StringNotEquals") + suffix
			all = append(all, fmt.Sprintf(`%q: {%q: [%q, %q]}`, operator, key, pick(g, "x", "y"), pick(g, "", "z")))
		case "Null":
			all = append(all, fmt.Sprintf(`"Null": {%q: %t}`, key, g.IntN(2) == 0))
		}
	}
	return strings.Join(all, ", ")
}

func (g generator) request() *Request {
	context := Values{}
	for _, key := range []string{"t:k", "t:v"} {
		for range g.IntN(3) {
			context[key] = append(context[key], pick(g, "x", "y", "z", "1", ""))
		}
	}
	return &Request{
		Principal: pick(g, g.principals...),
		Action:    pick(g, "a:Get", "a:Put", "b:Put"),
		Resource:  pick(g, "*", "arn:aws:a:r:1:x/y", "arn:aws:a:r:1:x", "arn:aws:a:r:2:x/z"),
		Context:   context,
	}
}
