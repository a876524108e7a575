package organizations

import (
	"errors"

	"pergola/aws"
	"pergola/aws/organizations"
	"pergola/lattice"
	"pergola/store"
)

// current is the deployment's organisation, or nil.
func current(tx *store.Tx) (*organizations.Organization, error) {
	entries, _, err := organizationObjects.List(tx, "", "", 1)
	if err != nil || len(entries) == 0 {
		return nil, err
	}
	return &entries[0].Value, nil
}

// membership is the organisation of an account, which must have one.
func membership(tx *store.Tx, account string) (*organizations.Organization, error) {
	organization, err := current(tx)
	if err != nil {
		return nil, err
	}
	if organization != nil {
		switch member, err := accounts.Objects.Get(tx, account); {
		case err == nil && member.Parent != "":
			return organization, nil
		case err != nil && !errors.Is(err, store.ErrNotFound):
			return nil, err
		}
	}
	return nil, aws.Errorf("AWSOrganizationsNotInUseException", "Account %s is not a member of an organization", account)
}

// CreateOrganization makes the caller's account the management account of a new organisation.
func (op *call) CreateOrganization(
	in *organizations.CreateOrganizationRequest) (*organizations.CreateOrganizationResponse, error) {
	organization, err := op.create(in.FeatureSet)
	if err != nil {
		return nil, err
	}
	return &organizations.CreateOrganizationResponse{Organization: describe(organization)}, nil
}

func (op *call) create(features organizations.FeatureSet) (*organizations.Organization, error) {
	if _, err := membership(op.Tx, op.Account); err == nil {
		return nil, aws.Errorf("AlreadyInOrganizationException", "Account %s is already a member of an organization",
			op.Account)
	}
	if op.Account != op.first {
		return nil, aws.Errorf("AccessDeniedException", "Only account %s can create the organization of this deployment",
			op.first)
	}
	if features == "" {
		features = organizations.FeaturesAll
	}
	organization := &organizations.Organization{
		ID: organizations.OrganizationPrefix + lattice.NewSuffix(op.Random)[:10], Management: op.Account,
		FeatureSet: features,
		Root:       organizations.Root{ID: organizations.RootPrefix + lattice.NewSuffix(op.Random)[:4]},
	}
	err := errors.Join(
		organizationObjects.Put(op.Tx, organization.ID, *organization),
		accounts.Objects.Put(op.Tx, op.Account, organizations.Account{
			ID: op.Account, Name: "management", Email: managementEmail, Parent: organization.Root.ID,
			Joined: op.Now(), Method: organizations.JoinedInvited,
		}),
	)
	return organization, err
}

// managementEmail is the address of the management account. Nobody reads it.
const managementEmail = "management@pergola.invalid"

func describe(o *organizations.Organization) organizations.OrganizationDescription {
	description := organizations.OrganizationDescription{
		ID: o.ID, FeatureSet: o.FeatureSet, MasterAccountID: o.Management, MasterAccountEmail: managementEmail,
		ARN:                  lattice.ARN{Service: "organizations", Account: o.Management, Resource: "organization/" + o.ID}.String(),
		MasterAccountARN:     arn(o, "account", o.Management),
		AvailablePolicyTypes: []organizations.PolicyType{},
	}
	if o.FeatureSet == organizations.FeaturesAll {
		description.AvailablePolicyTypes = enabledPolicyTypes()
	}
	return description
}

func enabledPolicyTypes() []organizations.PolicyType {
	return []organizations.PolicyType{{Type: organizations.ServiceControlPolicy, Status: "ENABLED"}}
}

// DescribeOrganization describes the organisation of the caller, who may be any member.
func (op *call) DescribeOrganization(
	*organizations.DescribeOrganizationRequest) (*organizations.DescribeOrganizationResponse, error) {
	organization, err := membership(op.Tx, op.Account)
	if err != nil {
		return nil, err
	}
	return &organizations.DescribeOrganizationResponse{Organization: describe(organization)}, nil
}

// DeleteOrganization deletes an organisation that has no account but the management account, with its units and
// policies.
func (op *call) DeleteOrganization(_ *organizations.DeleteOrganizationRequest) (*lattice.Empty, error) {
	members, err := op.accounts(inOrganization)
	if err != nil {
		return nil, err
	}
	if len(members) > 1 {
		return nil, aws.Errorf("OrganizationNotEmptyException",
			"The organization has %d accounts besides the management account; remove them first", len(members)-1)
	}
	organizationObjects.Delete(op.Tx, op.organization.ID)
	accounts.Objects.Delete(op.Tx, op.organization.Management)
	return done(errors.Join(
		units.Objects.DeletePrefix(op.Tx, ""), policies.Objects.DeletePrefix(op.Tx, ""), policyNames.DeletePrefix(op.Tx, ""),
		creationObjects.DeletePrefix(op.Tx, ""), creationsByTime.DeletePrefix(op.Tx, ""),
	))
}

// ListRoots lists the one root.
func (op *call) ListRoots(in *organizations.ListRootsRequest) (*organizations.ListRootsResponse, error) {
	roots, next := page([]organizations.RootDescription{op.root()}, in.Page,
		func(r organizations.RootDescription) string { return r.ID })
	return &organizations.ListRootsResponse{Roots: roots, NextToken: next}, nil
}

func (op *call) root() organizations.RootDescription {
	id := op.organization.Root.ID
	description := organizations.RootDescription{ID: id, ARN: op.arn("root", id), Name: "Root", PolicyTypes: []organizations.PolicyType{}}
	if op.organization.PoliciesEnabled {
		description.PolicyTypes = enabledPolicyTypes()
	}
	return description
}

// putOrganization writes the organisation, changed.
func (op *call) putOrganization() error {
	return organizationObjects.Put(op.Tx, op.organization.ID, *op.organization)
}
