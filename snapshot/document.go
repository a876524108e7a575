package snapshot

import (
	"pergola/lattice"
	"pergola/policy"
)

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
		a.compiled, err = policy.ReadStored("auth policy of "+owner, attached.Policy, policy.Resource)
	}
	return err
}
