package control

import (
	"fmt"
	"strings"

	"pergola/control/authority"
	"pergola/lattice"
	"pergola/policy"
)

// guard is where an auth policy can be: the part of a service network or of a service that says who may call.
type guard struct {
	policy   **lattice.AuthPolicy
	authType lattice.AuthType
	put      func() error
}

// findGuard finds the service network or the service that an identifier names.
func (op *call) findGuard(identifier string) (guard, error) {
	id := lattice.IDOf(identifier)
	switch {
	case strings.HasPrefix(id, lattice.KindServiceNetwork.Prefix):
		network, err := serviceNetworks.find(op, "", identifier)
		if err != nil {
			return guard{}, err
		}
		return guard{&network.AuthPolicy, network.AuthType, func() error { return serviceNetworks.put(op, network) }}, nil
	case strings.HasPrefix(id, lattice.KindService.Prefix):
		service, err := services.standing(services.find(op, "", identifier))
		if err != nil {
			return guard{}, err
		}
		return guard{&service.AuthPolicy, service.AuthType, func() error { return services.put(op, service) }}, nil
	}
	return guard{}, &lattice.Error{
		Kind: lattice.NotFound, Message: fmt.Sprintf("Resource not found: %s is neither a service network nor a service", id),
		ResourceID: id, ResourceType: "RESOURCE_CONFIGURATION",
	}
}

// PutAuthPolicy puts an auth policy in the place of the one there may be. Putting the same document again counts as an
// update.
func (op *call) PutAuthPolicy(in *lattice.PutAuthPolicyRequest) (*lattice.PutAuthPolicyResponse, error) {
	if err := checkAuthPolicy(in.Policy); err != nil {
		return nil, err
	}
	guard, err := op.findGuard(in.ResourceIdentifier)
	if err != nil {
		return nil, err
	}
	if err := op.principalsExist(in.Policy); err != nil {
		return nil, err
	}
	now := op.time()
	created := now
	if *guard.policy != nil {
		created = (*guard.policy).CreatedAt
	}
	*guard.policy = &lattice.AuthPolicy{Policy: in.Policy, CreatedAt: created, LastUpdatedAt: now}
	return &lattice.PutAuthPolicyResponse{Policy: in.Policy, State: guard.authType.PolicyState()}, guard.put()
}

// checkAuthPolicy refuses a document that says nothing that can be understood, or is about what cannot be asked.
func checkAuthPolicy(document string) error {
	if _, err := policy.ParseFor("vpc-lattice-svcs", []byte(document), policy.Resource,
		lattice.MaxAuthPolicySize); err != nil {
		return lattice.Invalid("policy", "%v", err)
	}
	return nil
}

// principalsExist refuses a document that names a principal of this deployment that does not exist.
func (op *call) principalsExist(document string) error {
	absent, err := authority.AbsentPrincipal(op.Tx, document)
	if err == nil && absent != "" {
		err = lattice.Invalid("policy", "Invalid principal in policy: \"AWS\":%q does not exist; create it first", absent)
	}
	return err
}

// GetAuthPolicy returns the auth policy of a service network or a service. Where there is none, only the state says so.
func (op *call) GetAuthPolicy(in *lattice.GetAuthPolicyRequest) (*lattice.GetAuthPolicyResponse, error) {
	guard, err := op.findGuard(in.ResourceIdentifier)
	if err != nil || *guard.policy == nil {
		return &lattice.GetAuthPolicyResponse{}, err
	}
	out := lattice.NewGetAuthPolicyResponse(*guard.policy)
	out.State = guard.authType.PolicyState()
	return out, nil
}

// DeleteAuthPolicy deletes an auth policy, if there is one. Where the auth type is AWS_IAM, no request passes then.
func (op *call) DeleteAuthPolicy(in *lattice.DeleteAuthPolicyRequest) (*lattice.Empty, error) {
	guard, err := op.findGuard(in.ResourceIdentifier)
	if err != nil {
		return nil, err
	}
	*guard.policy = nil
	return &lattice.Empty{}, guard.put()
}
