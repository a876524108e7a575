package main

import "errors"

// call is a request to a service, as a data plane knows it once its signature is verified.
type call struct {
	name         string
	anonymous    bool
	organization string
	method       string
	path         string
	allowed      bool // what the policies mean
}

// calls are the requests that are decided: one that all policies allow, one that each of them refuses alone, and one
// that nobody signed.
func calls() []call {
	const ours = "o-123456example"
	return []call{
		{name: "allowed", organization: ours, method: "GET", path: "/v1/orders/42", allowed: true},
		{name: "denied: method, by the service", organization: ours, method: "DELETE", path: "/v1/orders/42"},
		{name: "denied: organisation, by the network", organization: "o-another", method: "GET", path: "/v1/orders/42"},
		{name: "denied: path, by the identity", organization: ours, method: "GET", path: "/v2/orders/42"},
		{name: "denied: anonymous", anonymous: true, method: "GET", path: "/v1/orders/42"},
	}
}

// What the policies are about, and who calls.
const (
	account = "123456789012"
	service = "svc-0123456789abcdef0"
	role    = "arn:aws:iam::" + account + ":role/checkout"
	session = "arn:aws:sts::" + account + ":assumed-role/checkout/i-0123456789abcdef0"
)

// engine is a policy engine that has compiled the policies.
type engine struct {
	name string
	// prepare turns a call into what the engine wants to be asked, and returns the question. Only the question is
	// measured.
	prepare func(call) question
}

// question is asked as often as one likes and reports each time whether the call is allowed.
type question func() (allowed bool, err error)

// engines compiles the policies for each engine, Pergola's first.
func engines() ([]engine, error) {
	pergola, err := newPergola()
	cedar, cedarErr := newCedar()
	opa, opaErr := newOPA()
	return []engine{pergola, cedar, opa}, errors.Join(err, cedarErr, opaErr)
}
