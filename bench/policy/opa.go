package main

import (
	"context"
	_ "embed"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
)

//go:embed policies/policy.rego
var regoPolicy string

// newOPA prepares a query, partially evaluated, and asks it about an input that is already of OPA's own type: of the
// ways its library offers, the one with the least work left for each decision.
func newOPA() (engine, error) {
	ctx := context.Background()
	query, err := rego.New(rego.Query("data.lattice.allow"), rego.Module("policy.rego", regoPolicy)).
		PrepareForEval(ctx, rego.WithPartialEval())
	prepare := func(c call) question {
		input := rego.EvalParsedInput(regoInput(c))
		return func() (bool, error) {
			results, err := query.Eval(ctx, input)
			return results.Allowed(), err
		}
	}
	return engine{"opa", prepare}, err
}

func regoInput(c call) ast.Object {
	input := ast.NewObject()
	add := func(name, value string) { input.Insert(ast.StringTerm(name), ast.StringTerm(value)) }
	add("action", "vpc-lattice-svcs:Invoke")
	add("service", service)
	add("method", c.method)
	add("path", c.path)
	if !c.anonymous {
		add("role", role)
		add("organization", c.organization)
	}
	return input
}
