package organizations

import (
	"errors"
	"slices"
	"unicode/utf8"

	"pergola/aws"
	"pergola/aws/organizations"
	"pergola/lattice"
	"pergola/policy"
	"pergola/store"
)

// maxDocument is how many characters a service control policy may have (Organizations user guide, "Quotas").
const maxDocument = 5120

// checkDocument checks that a policy's content can be used.
func checkDocument(content string) error {
	if n := utf8.RuneCountInString(content); n > maxDocument {
		return violation("POLICY_CONTENT_LIMIT_EXCEEDED", "A service control policy may have %d characters at most, this one has %d", maxDocument, n)
	}
	if _, err := policy.Parse([]byte(content), policy.ServiceControl, 0); err != nil {
		return aws.Errorf("MalformedPolicyDocumentException", "The policy cannot be used: %v", err)
	}
	return nil
}

// available refuses the types of policy that are not served.
func (op *call) available(policyType string) error {
	if policyType == organizations.ServiceControlPolicy && op.organization.FeatureSet == organizations.FeaturesAll {
		return nil
	}
	return aws.Errorf("PolicyTypeNotAvailableForOrganizationException",
		"The organization cannot have policies of type %s: there are service control policies only, and only in an organization with all features", policyType)
}

// policies lists all policies, the built-in one among them.
func (op *call) policies() ([]organizations.Policy, error) {
	entries, _, err := policyObjects.List(op.Tx, "", "", 0)
	own := each(entries, func(e store.Entry[organizations.Policy]) organizations.Policy { return e.Value })
	return append(own, organizations.FullAccess()), err
}

// policy reads a policy.
func (op *call) policy(id string) (*organizations.Policy, error) {
	if id == organizations.FullAccessID {
		policy := organizations.FullAccess()
		return &policy, nil
	}
	policy, err := policyObjects.Get(op.Tx, id)
	return &policy, missing(err, "PolicyNotFoundException", "There is no policy %s", id)
}

// policyTypeKey is the condition key for the type of policy that an operation is about.
const policyTypeKey = "organizations:PolicyType"

// aboutPolicy reads the policy that an operation is about.
func (op *call) aboutPolicy(id string) (*organizations.Policy, error) {
	op.Set(policyTypeKey, organizations.ServiceControlPolicy) // there are no others
	policy, err := op.policy(id)
	if err != nil {
		return nil, op.may(id, nil, err)
	}
	return policy, op.may(id, policy.Tags, nil)
}

// ownPolicy is aboutPolicy for one that may be changed.
func (op *call) ownPolicy(id string) (*organizations.Policy, error) {
	if id == organizations.FullAccessID {
		return nil, invalid("IMMUTABLE_POLICY", "Policy %s is built in and cannot be changed; make another one", id)
	}
	return op.aboutPolicy(id)
}

// CreatePolicy makes a service control policy.
func (op *call) CreatePolicy(in *organizations.CreatePolicyRequest) (*organizations.PolicyResponse, error) {
	if err := op.available(in.Type); err != nil {
		return nil, err
	}
	tags, err := newTags(in.Tags)
	if err != nil {
		return nil, err
	}
	op.Set(policyTypeKey, in.Type)
	if err := op.MayCreate("*", tags, "TagResource"); err != nil {
		return nil, err
	}
	if err := op.roomForPolicy(); err != nil {
		return nil, err
	}
	return op.putPolicy(organizations.Policy{
		ID:   organizations.PolicyPrefix + lattice.NewSuffix(op.Random),
		Name: in.Name, Description: in.Description, Content: in.Content, Tags: tags,
	}, "")
}

// policyNames are the ids of the policies by their names.
var policyNames = store.NewIndex("service-control-policy-name")

// putPolicy writes a policy, new or changed, if its content is good and no other one has its name. was is its name so
// far.
func (op *call) putPolicy(policy organizations.Policy, was string) (*organizations.PolicyResponse, error) {
	if err := checkDocument(policy.Content); err != nil {
		return nil, err
	}
	other, err := policyNames.Get(op.Tx, policy.Name)
	if full := organizations.FullAccess(); policy.Name == full.Name {
		other, err = full.ID, nil
	}
	switch {
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return nil, err
	case err == nil && other != policy.ID:
		return nil, aws.Errorf("DuplicatePolicyException", "Policy %s has this name", other)
	}
	if was != "" && was != policy.Name {
		policyNames.Delete(op.Tx, was)
	}
	return op.describePolicy(policy), errors.Join(policyNames.Put(op.Tx, policy.Name, policy.ID),
		policyObjects.Put(op.Tx, policy.ID, policy))
}

func (op *call) describePolicy(p organizations.Policy) *organizations.PolicyResponse {
	return &organizations.PolicyResponse{Policy: organizations.PolicyDescription{Summary: op.policySummary(p), Content: p.Content}}
}

func (op *call) policySummary(p organizations.Policy) organizations.PolicySummary {
	summary := organizations.PolicySummary{
		ID: p.ID, ARN: arn(op.organization, "policy", "service_control_policy/"+p.ID),
		Name: p.Name, Description: p.Description, Type: organizations.ServiceControlPolicy,
	}
	if p.ID == organizations.FullAccessID {
		summary.AWSManaged = true
		summary.ARN = lattice.ARN{Service: "organizations", Account: "aws", Resource: "policy/service_control_policy/" + p.ID}.String()
	}
	return summary
}

// DescribePolicy describes one policy.
func (op *call) DescribePolicy(in *organizations.DescribePolicyRequest) (*organizations.PolicyResponse, error) {
	policy, err := op.aboutPolicy(in.ID)
	if err != nil {
		return nil, err
	}
	return op.describePolicy(*policy), nil
}

// UpdatePolicy changes what the request has of a policy.
func (op *call) UpdatePolicy(in *organizations.UpdatePolicyRequest) (*organizations.PolicyResponse, error) {
	policy, err := op.ownPolicy(in.ID)
	if err != nil {
		return nil, err
	}
	was := policy.Name
	for field, value := range map[*string]*string{&policy.Name: in.Name, &policy.Description: in.Description,
		&policy.Content: in.Content} {
		if value != nil {
			*field = *value
		}
	}
	return op.putPolicy(*policy, was)
}

// DeletePolicy deletes a policy that is attached to nothing.
func (op *call) DeletePolicy(in *organizations.DeletePolicyRequest) (*lattice.Empty, error) {
	policy, err := op.ownPolicy(in.ID)
	if err != nil {
		return nil, err
	}
	targets, err := op.targetsOf(in.ID)
	if err != nil {
		return nil, err
	}
	if len(targets) > 0 {
		return nil, aws.Errorf("PolicyInUseException", "Policy %s is attached to %s and %d more; detach it first", in.ID,
			targets[0].id, len(targets)-1)
	}
	policyObjects.Delete(op.Tx, in.ID)
	policyNames.Delete(op.Tx, policy.Name)
	return done(nil)
}

// ListPolicies lists the policies of a type.
func (op *call) ListPolicies(in *organizations.ListPoliciesRequest) (*organizations.ListPoliciesResponse, error) {
	op.Set(policyTypeKey, in.Filter)
	all, err := op.policies()
	return op.listPolicies(all, in.Filter, in.Page), err
}

// listPolicies lists those of some policies that are of a type. All are service control policies.
func (op *call) listPolicies(all []organizations.Policy, policyType string, p organizations.Page) *organizations.ListPoliciesResponse {
	if policyType != organizations.ServiceControlPolicy {
		all = nil
	}
	found, next := page(slices.Clone(all), p, func(p organizations.Policy) string { return p.ID })
	return &organizations.ListPoliciesResponse{Policies: each(found, op.policySummary), NextToken: next}
}
