package main

import (
	_ "embed"
	"errors"

	"pergola/policy"
)

//go:embed policies/network.json
var networkPolicy []byte

//go:embed policies/service.json
var servicePolicy []byte

//go:embed policies/identity.json
var identityPolicy []byte

func newPergola() (engine, error) {
	network, err := compile(networkPolicy, policy.Resource)
	service, serviceErr := compile(servicePolicy, policy.Resource)
	identity, identityErr := compile(identityPolicy, policy.Identity)
	access := policy.Access{
		Resource: []policy.Level{{Name: "network", Policies: network}, {Name: "service", Policies: service}},
		Identity: identity,
	}
	prepare := func(c call) question {
		r := request(&c)
		return func() (bool, error) { return access.Decide(r).Allowed(), nil }
	}
	return engine{"pergola", prepare}, errors.Join(err, serviceErr, identityErr)
}

func compile(document []byte, kind policy.Kind) ([]*policy.Policy, error) {
	d, err := policy.Parse(document, kind, 0)
	if err != nil {
		return nil, err
	}
	return []*policy.Policy{policy.Compile(d)}, nil
}

func request(c *call) *policy.Request {
	r := &policy.Request{
		Action:   "vpc-lattice-svcs:Invoke",
		Resource: "arn:aws:vpc-lattice:us-west-2:" + account + ":service/" + service + c.path,
		Context:  c,
	}
	if !c.anonymous {
		r.Principal = policy.Principal{Type: policy.AssumedRole, Account: account, ARN: session, RoleARN: role}
	}
	return r
}

// Value answers condition keys from the call itself, as the data plane does.
func (c *call) Value(key policy.Key, i int) (string, bool) {
	value := ""
	switch key.Name() {
	case "vpc-lattice-svcs:requestmethod":
		value = c.method
	case "vpc-lattice-svcs:requestpath":
		value = c.path
	case "aws:principalorgid":
		value = c.organization
	}
	return value, i == 0 && value != ""
}
