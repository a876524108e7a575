package snapshot

import (
	"fmt"

	"pergola/lattice"
	"pergola/policy"
)

// readPolicy compiles a document. One that cannot be read becomes a policy that denies everything, and the error says
// so: had it been left out, what it denies would have become allowed.
func readPolicy(name, document string, kind policy.Kind) (*policy.Policy, error) {
	parsed, err := policy.Parse([]byte(document), kind, 0)
	if err != nil {
		return refusal(name, kind), fmt.Errorf("%s denies everything because it cannot be read: %w", name, err)
	}
	parsed.Name = name
	return policy.Compile(parsed), nil
}

// refusal is a policy that denies everything to everyone.
func refusal(name string, kind policy.Kind) *policy.Policy {
	document := `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}`
	if kind == policy.Resource {
		document = `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}}`
	}
	parsed, err := policy.Parse([]byte(document), kind, 0)
	if err != nil {
		panic(fmt.Sprintf("snapshot: the policy that denies everything: %v", err))
	}
	parsed.Name = name
	return policy.Compile(parsed)
}

// authPolicy is the auth policy of a service or of a service network, kept from one version of its owner to the next.
type authPolicy struct {
	document string
	compiled *policy.Policy
}

// read follows the owner's auth policy, which is nil where none is attached.
func (a *authPolicy) read(owner string, attached *lattice.AuthPolicy) (err error) {
	switch {
	case attached == nil:
		*a = authPolicy{}
	case a.compiled == nil || a.document != attached.Policy:
		a.document = attached.Policy
		a.compiled, err = readPolicy("auth policy of "+owner, attached.Policy, policy.Resource)
	}
	return err
}
