package main

import (
	_ "embed"
	"fmt"

	"github.com/cedar-policy/cedar-go"
)

//go:embed policies/policy.cedar
var cedarPolicies []byte

// newCedar asks one set of policies. What must hold besides what allows is written as a forbid with an unless, Cedar's
// form of it, so that one question covers what are three levels for IAM.
func newCedar() (engine, error) {
	policies, err := cedar.NewPolicySetFromBytes("policy.cedar", cedarPolicies)
	caller := cedar.NewEntityUID("Session", session)
	entities := cedar.EntityMap{caller: {
		UID:     caller,
		Parents: cedar.NewEntityUIDSet(cedar.NewEntityUID("Role", role)),
	}}
	prepare := func(c call) question {
		r := cedarRequest(c, caller)
		return func() (bool, error) {
			decision, diagnostic := cedar.Authorize(policies, entities, r)
			if len(diagnostic.Errors) > 0 {
				return false, fmt.Errorf("cedar: %v", diagnostic.Errors)
			}
			return decision == cedar.Allow, nil
		}
	}
	return engine{"cedar-go", prepare}, err
}

func cedarRequest(c call, caller cedar.EntityUID) cedar.Request {
	context := cedar.RecordMap{"method": cedar.String(c.method), "path": cedar.String(c.path)}
	if c.anonymous {
		caller = cedar.NewEntityUID("Anonymous", "")
	} else {
		context["organization"] = cedar.String(c.organization)
	}
	return cedar.Request{
		Principal: caller,
		Action:    cedar.NewEntityUID("Action", "Invoke"),
		Resource:  cedar.NewEntityUID("Service", service),
		Context:   cedar.NewRecord(context),
	}
}
