package organizations

import (
	"errors"
	"slices"
	"strings"

	"pergola/aws"
	"pergola/aws/organizations"
	"pergola/lattice"
)

// maxAttached is how many policies one target may have (Organizations user guide, "Quotas"). Each has at least one
// while policies are enabled.
const maxAttached = 5

// target is what policies attach to, as they see it: the root, a unit or an account.
type target struct {
	id, name, parent string
	// sort is the target's type in descriptions.
	sort     string
	policies *[]string
	tags     *map[string]string
	// put writes the target, changed.
	put func() error
}

func (op *call) rootTarget() target {
	root := &op.organization.Root
	return target{root.ID, "Root", "", organizations.TypeRoot, &root.Policies, &root.Tags, op.putOrganization}
}

func (op *call) unitTarget(u *organizations.Unit) target {
	put := func() error { return units.Put(op.Call, u) }
	return target{u.ID, u.Name, u.Parent, organizations.TypeUnit, &u.Policies, &u.Tags, put}
}

func (op *call) accountTarget(a *organizations.Account) target {
	put := func() error { return accounts.Put(op.Call, a) }
	return target{a.ID, a.Name, a.Parent, organizations.TypeAccount, &a.Policies, &a.Tags, put}
}

// target reads what an id names, which an operation is about.
func (op *call) target(id string) (target, error) {
	if root := op.rootTarget(); id == root.id {
		return root, op.May(op.named(id), *root.tags)
	}
	return op.child(id, aws.Errorf("TargetNotFoundException",
		"There is no root, organizational unit or account %s in the organization", id))
}

// child reads the unit or the account that an operation is about; none is the error if there is none.
func (op *call) child(id string, none error) (target, error) {
	if strings.HasPrefix(id, organizations.UnitPrefix) {
		unit, err := find(op, units, id, none)
		if err != nil {
			return target{}, err
		}
		return op.unitTarget(unit), nil
	}
	account, err := op.member(id, none)
	if err != nil {
		return target{}, err
	}
	return op.accountTarget(account), nil
}

// targets lists everything that policies attach to.
func (op *call) targets() ([]target, error) {
	below, errUnits := units.All(op.Tx, "")
	within, errAccounts := accounts.All(op.Tx, "")
	within = slices.DeleteFunc(within, func(a *organizations.Account) bool { return !inOrganization(a) })
	all := slices.Concat([]target{op.rootTarget()}, each(below, op.unitTarget), each(within, op.accountTarget))
	return all, errors.Join(errUnits, errAccounts)
}

// targetsOf lists what a policy is attached to.
func (op *call) targetsOf(policy string) ([]target, error) {
	all, err := op.targets()
	return slices.DeleteFunc(all, func(t target) bool { return !slices.Contains(*t.policies, policy) }), err
}

// firstPolicies are the policies that a new target has.
func (op *call) firstPolicies() []string {
	if op.organization.PoliciesEnabled {
		return []string{organizations.FullAccessID}
	}
	return nil
}

// EnablePolicyType enables service control policies: the built-in one is attached to everything.
func (op *call) EnablePolicyType(in *organizations.PolicyTypeRequest) (*organizations.PolicyTypeResponse, error) {
	op.Set(policyTypeKey, in.PolicyType)
	if err := op.may(in.RootID, op.organization.Root.Tags, op.available(in.PolicyType)); err != nil {
		return nil, err
	}
	if op.organization.PoliciesEnabled {
		return nil, aws.Errorf("PolicyTypeAlreadyEnabledException", "Policies of type %s are already enabled", in.PolicyType)
	}
	return op.setPoliciesEnabled(in.RootID, true)
}

// DisablePolicyType disables service control policies: all are detached from everything.
func (op *call) DisablePolicyType(in *organizations.PolicyTypeRequest) (*organizations.PolicyTypeResponse, error) {
	op.Set(policyTypeKey, in.PolicyType)
	if err := op.may(in.RootID, op.organization.Root.Tags, op.enabled(in.PolicyType)); err != nil {
		return nil, err
	}
	return op.setPoliciesEnabled(in.RootID, false)
}

func (op *call) enabled(policyType string) error {
	if policyType != organizations.ServiceControlPolicy || !op.organization.PoliciesEnabled {
		return aws.Errorf("PolicyTypeNotEnabledException", "Policies of type %s are not enabled; use EnablePolicyType", policyType)
	}
	return nil
}

// setPoliciesEnabled writes all targets, each with the policies that a new one has.
func (op *call) setPoliciesEnabled(root string, enabled bool) (*organizations.PolicyTypeResponse, error) {
	if root != op.organization.Root.ID {
		return nil, aws.Errorf("RootNotFoundException", "There is no root %s", root)
	}
	op.organization.PoliciesEnabled = enabled
	all, err := op.targets()
	if err != nil {
		return nil, err
	}
	for _, t := range all {
		*t.policies = op.firstPolicies()
		if err := t.put(); err != nil {
			return nil, err
		}
	}
	return &organizations.PolicyTypeResponse{Root: op.root()}, nil
}

// AttachPolicy attaches a policy to the root, a unit or an account.
func (op *call) AttachPolicy(in *organizations.AttachmentRequest) (*lattice.Empty, error) {
	to, err := op.attachment(in)
	if err != nil {
		return nil, err
	}
	switch attached := *to.policies; {
	case slices.Contains(attached, in.PolicyID):
		return nil, aws.Errorf("DuplicatePolicyAttachmentException", "Policy %s is already attached to %s", in.PolicyID,
			in.TargetID)
	case len(attached) >= maxAttached:
		return nil, violation("MAX_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED", "%s has %d policies; detach one first",
			in.TargetID, len(attached))
	}
	*to.policies = append(*to.policies, in.PolicyID)
	return done(to.put())
}

// attachment finds the target of a request, whose policy must exist too.
func (op *call) attachment(in *organizations.AttachmentRequest) (target, error) {
	if _, err := op.aboutPolicy(in.PolicyID); err != nil {
		return target{}, err
	}
	to, err := op.target(in.TargetID)
	if err != nil {
		return target{}, err
	}
	return to, op.enabled(organizations.ServiceControlPolicy)
}

// DetachPolicy detaches a policy from what it is attached to.
func (op *call) DetachPolicy(in *organizations.AttachmentRequest) (*lattice.Empty, error) {
	from, err := op.attachment(in)
	if err != nil {
		return nil, err
	}
	i := slices.Index(*from.policies, in.PolicyID)
	switch {
	case i < 0:
		return nil, aws.Errorf("PolicyNotAttachedException", "Policy %s is not attached to %s", in.PolicyID, in.TargetID)
	case len(*from.policies) == 1:
		return nil, violation("MIN_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED",
			"%s must keep one policy at least; attach another one first", in.TargetID)
	}
	*from.policies = slices.Delete(*from.policies, i, i+1)
	return done(from.put())
}

// ListPoliciesForTarget lists the policies that are attached to the root, a unit or an account itself.
func (op *call) ListPoliciesForTarget(
	in *organizations.ListPoliciesForTargetRequest) (*organizations.ListPoliciesResponse, error) {
	op.Set(policyTypeKey, in.Filter)
	of, err := op.target(in.TargetID)
	if err != nil {
		return nil, err
	}
	var attached []organizations.Policy
	for _, id := range *of.policies {
		policy, err := op.policy(id)
		if err != nil {
			return nil, err
		}
		attached = append(attached, *policy)
	}
	return op.listPolicies(attached, in.Filter, in.Page), nil
}

// ListTargetsForPolicy lists what a policy is attached to.
func (op *call) ListTargetsForPolicy(
	in *organizations.ListTargetsForPolicyRequest) (*organizations.ListTargetsForPolicyResponse, error) {
	if _, err := op.aboutPolicy(in.ID); err != nil {
		return nil, err
	}
	found, err := op.targetsOf(in.ID)
	if err != nil {
		return nil, err
	}
	found, next := page(found, in.Page, func(t target) string { return t.id })
	return &organizations.ListTargetsForPolicyResponse{Targets: each(found, op.policyTarget), NextToken: next}, nil
}

func (op *call) policyTarget(t target) organizations.PolicyTarget {
	return organizations.PolicyTarget{ID: t.id, ARN: op.named(t.id), Name: t.name, Type: t.sort}
}
