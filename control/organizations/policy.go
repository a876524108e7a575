package organizations

import (
	"unicode/utf8"

	"pergola/aws"
	"pergola/aws/organizations"
	"pergola/control/resource"
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

// policy reads a policy.
func (op *call) policy(id string) (*organizations.Policy, error) {
	if id == organizations.FullAccessID {
		policy := organizations.FullAccess()
		return &policy, nil
	}
	policy, err := policies.Objects.Get(op.Tx, id)
	return &policy, missing(err, "PolicyNotFoundException", "There is no policy %s", id)
}

// policyTypeKey is the condition key for the type of policy that an operation is about.
const policyTypeKey = "organizations:PolicyType"

// aboutPolicy reads the policy that an operation is about.
func (op *call) aboutPolicy(id string) (*organizations.Policy, error) {
	op.Set(policyTypeKey, organizations.ServiceControlPolicy) // there are no others
	policy, err := op.policy(id)
	return policy, op.may(id, policy.Tags, err)
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
	policy := &organizations.Policy{
		ID:   organizations.PolicyPrefix + lattice.NewSuffix(op.Random),
		Name: in.Name, Description: in.Description, Content: in.Content, Tags: tags,
	}
	return op.policyResponse(policies.Create(op.Call, resource.Order{ARN: "*", Tags: tags},
		func() (*organizations.Policy, error) {
			have, err := policies.Count(op.Tx, "")
			switch {
			case err != nil:
				return nil, err
			case have >= maxPolicies:
				return nil, exceeded(maxPolicies, "POLICY_NUMBER_LIMIT_EXCEEDED", "policies")
			}
			return policy, checkPolicy(policy)
		}))
}

// policyNames are the ids of the policies by their names.
var policyNames = store.NewIndex("service-control-policy-name")

// nameTaken refuses the name that another policy has.
func nameTaken(other string) error {
	return aws.Errorf("DuplicatePolicyException", "Policy %s has this name", other)
}

// checkPolicy refuses a policy whose content cannot be used, or that has the name of the built-in one.
func checkPolicy(policy *organizations.Policy) error {
	if err := checkDocument(policy.Content); err != nil {
		return err
	}
	if full := organizations.FullAccess(); policy.Name == full.Name {
		return nameTaken(full.ID)
	}
	return nil
}

// policyResponse describes a policy that was read.
func (op *call) policyResponse(p *organizations.Policy, err error) (*organizations.PolicyResponse, error) {
	if err != nil {
		return nil, err
	}
	return &organizations.PolicyResponse{
		Policy: organizations.PolicyDescription{Summary: op.policySummary(*p), Content: p.Content},
	}, nil
}

func (op *call) policySummary(p organizations.Policy) organizations.PolicySummary {
	return organizations.PolicySummary{
		ID: p.ID, ARN: op.named(p.ID), Name: p.Name, Description: p.Description,
		Type: organizations.ServiceControlPolicy, AWSManaged: p.ID == organizations.FullAccessID,
	}
}

// DescribePolicy describes one policy.
func (op *call) DescribePolicy(in *organizations.DescribePolicyRequest) (*organizations.PolicyResponse, error) {
	return op.policyResponse(op.aboutPolicy(in.ID))
}

// UpdatePolicy changes what the request has of a policy.
func (op *call) UpdatePolicy(in *organizations.UpdatePolicyRequest) (*organizations.PolicyResponse, error) {
	policy, err := op.ownPolicy(in.ID)
	if err != nil {
		return nil, err
	}
	for field, value := range map[*string]*string{&policy.Name: in.Name, &policy.Description: in.Description,
		&policy.Content: in.Content} {
		if value != nil {
			*field = *value
		}
	}
	if err := checkPolicy(policy); err != nil {
		return nil, err
	}
	return op.policyResponse(policy, policies.Put(op.Call, policy))
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
	policies.Delete(op.Tx, policy)
	return done(nil)
}

// ListPolicies lists the policies of a type.
func (op *call) ListPolicies(in *organizations.ListPoliciesRequest) (*organizations.ListPoliciesResponse, error) {
	op.Set(policyTypeKey, in.Filter)
	own, err := allOf(op, policies.Objects)
	return op.listPolicies(append(own, organizations.FullAccess()), in.Filter, in.Page), err
}

// listPolicies lists those of some policies that are of a type. All are service control policies.
func (op *call) listPolicies(all []organizations.Policy, policyType string, p organizations.Page) *organizations.ListPoliciesResponse {
	if policyType != organizations.ServiceControlPolicy {
		all = nil
	}
	found, next := page(all, p, func(p organizations.Policy) string { return p.ID })
	return &organizations.ListPoliciesResponse{Policies: each(found, op.policySummary), NextToken: next}
}
