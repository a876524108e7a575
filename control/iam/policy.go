package iam

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"

	"pergola/aws"
	"pergola/aws/iam"
	"pergola/lattice"
	"pergola/store"
)

// maxVersions is how many versions a managed policy may have (IAM user guide, "IAM and AWS STS quotas").
const maxVersions = 5

// policy reads a managed policy of the caller's account, or one that is built in.
func (op *call) policy(arn string) (*iam.ManagedPolicy, error) {
	if arn == "" {
		return nil, missing("policyArn")
	}
	if policy, ok := iam.AWSManagedPolicy(arn); ok {
		return policy, nil
	}
	policy, err := policies.objects.Get(op.Tx, iam.ID(op.Account, nameInARN(arn)))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	if err != nil || policy.ARN() != arn {
		return nil, noSuchEntity("Policy %s does not exist or is not attachable.", arn)
	}
	return &policy, nil
}

// aboutPolicy reads the managed policy that an operation is about, if the caller may perform it on that.
func (op *call) aboutPolicy(arn string) (*iam.ManagedPolicy, error) {
	policy, err := op.policy(arn)
	if err != nil {
		return nil, cmp.Or(op.May(arn, nil), err)
	}
	return policy, policies.may(op, policy)
}

// ownPolicy is aboutPolicy for one that is to be changed, which those that are built in cannot be.
func (op *call) ownPolicy(arn string) (*iam.ManagedPolicy, error) {
	policy, err := op.aboutPolicy(arn)
	if err != nil {
		return nil, err
	}
	return policy, changeable(&policy.Entity)
}

// CreatePolicy makes a managed policy with its first version.
func (op *call) CreatePolicy(in *iam.CreatePolicyRequest) (*iam.PolicyResponse, error) {
	if err := checkManaged(in.Document); err != nil {
		return nil, err
	}
	e, err := op.newEntity(iam.PrefixPolicy, in.Name, in.Path, in.Tags)
	if err != nil {
		return nil, err
	}
	policy := &iam.ManagedPolicy{Entity: e, Description: in.Description}
	if err := policies.mayCreate(op, policy); err != nil {
		return nil, err
	}
	op.addVersion(policy, in.Document)
	policy.DefaultVersion = policy.Versions[0].ID
	if err := policies.create(op, policy); err != nil {
		return nil, err
	}
	return op.policyResponse(policy)
}

// addVersion adds a version, which is not in force yet.
func (op *call) addVersion(p *iam.ManagedPolicy, document string) iam.PolicyVersion {
	p.LastVersion++
	p.Updated = lattice.Time{Time: op.Now()}
	version := iam.PolicyVersion{ID: "v" + strconv.Itoa(p.LastVersion), Document: document, Created: p.Updated}
	p.Versions = append(p.Versions, version)
	return version
}

func (op *call) policyResponse(p *iam.ManagedPolicy) (*iam.PolicyResponse, error) {
	description, err := op.describePolicy(p)
	return &iam.PolicyResponse{Policy: description}, err
}

func (op *call) describePolicy(p *iam.ManagedPolicy) (iam.PolicyDescription, error) {
	attached, err := attachments.Count(op.Tx, uses(op.Account, p.ARN()))
	if err != nil {
		return iam.PolicyDescription{}, err
	}
	bounding, err := boundaries.Count(op.Tx, uses(op.Account, p.ARN()))
	return iam.PolicyDescription{
		Name: p.Name, ID: p.UniqueID, ARN: p.ARN(), Path: p.Path, DefaultVersion: p.DefaultVersion,
		Attachments: attached, BoundaryUses: bounding, Attachable: p.Attachable(), Description: p.Description,
		Created: aws.Instant{Time: p.Created.Time}, Updated: aws.Instant{Time: p.Updated.Time}, Tags: sortedTags(p.Tags),
	}, err
}

// GetPolicy tells about a managed policy.
func (op *call) GetPolicy(in *iam.SubjectRequest) (*iam.PolicyResponse, error) {
	policy, err := op.aboutPolicy(in.PolicyARN)
	if err != nil {
		return nil, err
	}
	return op.policyResponse(policy)
}

// ListPolicies lists the managed policies of the account and those that are built in, without their descriptions and
// tags.
func (op *call) ListPolicies(in *iam.ListPoliciesRequest) (*iam.ListPoliciesResponse, error) {
	if err := policies.mayList(op, in.PathPrefix); err != nil {
		return nil, err
	}
	all, err := op.policiesInScope(in.Scope)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(p *iam.ManagedPolicy) bool { return !strings.HasPrefix(p.Path, in.PathPrefix) })
	if in.Usage != "" || in.OnlyAttached {
		if all, err = op.used(all, in); err != nil {
			return nil, err
		}
	}
	all, rest, err := paginate(all, (*iam.ManagedPolicy).ARN, in.Page)
	answer := &iam.ListPoliciesResponse{Rest: rest}
	for _, policy := range all { // the page alone, since each costs two questions
		d, errDescribe := op.describePolicy(policy)
		d.Description, d.Tags = "", nil
		answer.Policies, err = append(answer.Policies, d), errors.Join(err, errDescribe)
	}
	return answer, err
}

// used are those of some policies that are in use as a listing asks for it.
func (op *call) used(all []*iam.ManagedPolicy, in *iam.ListPoliciesRequest) ([]*iam.ManagedPolicy, error) {
	index := attachments
	if in.Usage == "PermissionsBoundary" {
		index = boundaries
	}
	entries, _, err := index.List(op.Tx, op.Account+"#", "", 0)
	used := map[string]bool{}
	for _, entry := range entries {
		used[strings.Split(entry.ID, "#")[1]] = true
	}
	return slices.DeleteFunc(all, func(p *iam.ManagedPolicy) bool { return !used[p.ARN()] }), err
}

func (op *call) policiesInScope(scope string) ([]*iam.ManagedPolicy, error) {
	var all []*iam.ManagedPolicy
	if scope != "Local" {
		all = iam.AWSManaged()
	}
	if scope == "AWS" {
		return all, nil
	}
	entries, _, err := policies.objects.List(op.Tx, op.Account+"/", "", 0)
	for i := range entries {
		all = append(all, &entries[i].Value)
	}
	return all, err
}

// DeletePolicy deletes a managed policy that nobody uses, with its only version.
func (op *call) DeletePolicy(in *iam.SubjectRequest) error {
	policy, err := op.ownPolicy(in.PolicyARN)
	if err != nil {
		return err
	}
	d, err := op.describePolicy(policy)
	switch {
	case err != nil:
		return err
	case d.Attachments > 0:
		return deleteConflict("Cannot delete a policy attached to entities.")
	case d.BoundaryUses > 0:
		return deleteConflict("Cannot delete a policy that is a permissions boundary of entities.")
	case len(policy.Versions) > 1:
		return deleteConflict("This policy has more than one version. Before you delete a policy, you must delete the " +
			"policy's versions. The default version is deleted with the policy.")
	}
	policies.delete(op, policy)
	return nil
}

// CreatePolicyVersion adds a version to a managed policy, and puts it in force if the request says so.
func (op *call) CreatePolicyVersion(in *iam.CreatePolicyVersionRequest) (*iam.PolicyVersionResponse, error) {
	if err := checkManaged(in.Document); err != nil {
		return nil, err
	}
	policy, err := op.ownPolicy(in.ARN)
	if err != nil {
		return nil, err
	}
	if len(policy.Versions) >= maxVersions {
		return nil, limitExceeded("A managed policy can have up to %d versions. Before you create a new version, you must "+
			"delete an existing version.", maxVersions)
	}
	version := op.addVersion(policy, in.Document)
	if in.SetDefault {
		policy.DefaultVersion = version.ID
	}
	return &iam.PolicyVersionResponse{Version: summariseVersion(policy, version)}, policies.put(op, policy)
}

// summariseVersion describes a version without its document.
func summariseVersion(p *iam.ManagedPolicy, v iam.PolicyVersion) iam.VersionDescription {
	return iam.VersionDescription{ID: v.ID, Default: v.ID == p.DefaultVersion, Created: aws.Instant{Time: v.Created.Time}}
}

// GetPolicyVersion tells a version of a managed policy.
func (op *call) GetPolicyVersion(in *iam.PolicyVersionRequest) (*iam.PolicyVersionResponse, error) {
	policy, err := op.aboutPolicy(in.ARN)
	if err != nil {
		return nil, err
	}
	version, ok := policy.Version(in.Version)
	if !ok {
		return nil, noVersion(in)
	}
	description := summariseVersion(policy, version)
	description.Document = percentEncoded(version.Document)
	return &iam.PolicyVersionResponse{Version: description}, nil
}

func noVersion(in *iam.PolicyVersionRequest) error {
	return noSuchEntity("Policy %s version %s does not exist or is not attachable.", in.ARN, in.Version)
}

// ListPolicyVersions lists the versions of a managed policy, the newest first.
func (op *call) ListPolicyVersions(in *iam.SubjectPageRequest) (*iam.ListPolicyVersionsResponse, error) {
	policy, err := op.aboutPolicy(in.PolicyARN)
	if err != nil {
		return nil, err
	}
	newestFirst := func(v iam.PolicyVersion) string {
		return strconv.Itoa(maxVersions - slices.Index(policy.Versions, v)) // one digit
	}
	versions, rest, err := paginate(slices.Clone(policy.Versions), newestFirst, in.Page)
	answer := &iam.ListPolicyVersionsResponse{Rest: rest}
	for _, version := range versions {
		answer.Versions = append(answer.Versions, summariseVersion(policy, version))
	}
	return answer, err
}

// changeVersion changes a managed policy in which a version must be.
func (op *call) changeVersion(in *iam.PolicyVersionRequest, f func(*iam.ManagedPolicy) error) error {
	policy, err := op.ownPolicy(in.ARN)
	if err != nil {
		return err
	}
	if _, ok := policy.Version(in.Version); !ok {
		return noVersion(in)
	}
	if err := f(policy); err != nil {
		return err
	}
	policy.Updated = lattice.Time{Time: op.Now()}
	return policies.put(op, policy)
}

// DeletePolicyVersion deletes a version that is not in force.
func (op *call) DeletePolicyVersion(in *iam.PolicyVersionRequest) error {
	return op.changeVersion(in, func(p *iam.ManagedPolicy) error {
		if in.Version == p.DefaultVersion {
			return deleteConflict("Cannot delete the default version of a policy.")
		}
		p.Versions = slices.DeleteFunc(p.Versions, func(v iam.PolicyVersion) bool { return v.ID == in.Version })
		return nil
	})
}

// SetDefaultPolicyVersion puts a version in force.
func (op *call) SetDefaultPolicyVersion(in *iam.PolicyVersionRequest) error {
	return op.changeVersion(in, func(p *iam.ManagedPolicy) error {
		p.DefaultVersion = in.Version
		return nil
	})
}

// policyUser is one user of a managed policy, of any kind.
type policyUser struct{ kind, name string }

// ListEntitiesForPolicy lists the users, groups and roles that have a managed policy.
func (op *call) ListEntitiesForPolicy(in *iam.ListEntitiesRequest) (*iam.ListEntitiesResponse, error) {
	if _, err := op.aboutPolicy(in.ARN); err != nil {
		return nil, err
	}
	found, err := op.policyUsers(in)
	if err != nil {
		return nil, err
	}
	found, rest, err := paginate(found, func(u policyUser) string { return u.kind + "/" + u.name }, in.Page)
	if err != nil {
		return nil, err
	}
	answer := &iam.ListEntitiesResponse{Rest: rest}
	for _, user := range found {
		if err := op.addPolicyUser(answer, user, in.PathPrefix); err != nil {
			return nil, err
		}
	}
	return answer, nil
}

// policyUsers reads who uses a policy as a listing asks for it, each once.
func (op *call) policyUsers(in *iam.ListEntitiesRequest) ([]policyUser, error) {
	prefix := uses(op.Account, in.ARN)
	var found []policyUser
	for usage, index := range map[string]store.Index{"PermissionsPolicy": attachments, "PermissionsBoundary": boundaries} {
		if in.Usage != "" && in.Usage != usage {
			continue
		}
		entries, _, err := index.List(op.Tx, prefix, "", 0)
		if err != nil {
			return nil, err
		}
		for _, entry := range entries {
			kind, name, _ := strings.Cut(strings.TrimPrefix(entry.ID, prefix), "/")
			if in.Filter == "" || strings.EqualFold(in.Filter, kind) {
				found = append(found, policyUser{kind, name})
			}
		}
	}
	slices.SortFunc(found, func(a, b policyUser) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.name, b.name))
	})
	return slices.Compact(found), nil
}

// addPolicyUser describes one user of a policy, if its path begins as it must.
func (op *call) addPolicyUser(to *iam.ListEntitiesResponse, u policyUser, pathPrefix string) error {
	switch u.kind {
	case iam.KindUser:
		user, err := users.find(op, u.name)
		if err == nil && strings.HasPrefix(user.Path, pathPrefix) {
			to.Users = append(to.Users, iam.PolicyUser{Name: user.Name, ID: user.UniqueID})
		}
		return err
	case iam.KindGroup:
		group, err := groups.find(op, u.name)
		if err == nil && strings.HasPrefix(group.Path, pathPrefix) {
			to.Groups = append(to.Groups, iam.PolicyGroup{Name: group.Name, ID: group.UniqueID})
		}
		return err
	}
	role, err := roles.find(op, u.name)
	if err == nil && strings.HasPrefix(role.Path, pathPrefix) {
		to.Roles = append(to.Roles, iam.PolicyRole{Name: role.Name, ID: role.UniqueID})
	}
	return err
}
