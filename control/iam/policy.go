package iam

import (
	"cmp"
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

// CreatePolicy makes a managed policy with its first version.
func (op *call) CreatePolicy(in *iam.CreatePolicyRequest) (*iam.PolicyResponse, error) {
	if err := checkManaged(in.Document); err != nil {
		return nil, err
	}
	return op.policyResponse(policies.create(op, in.Name, in.Path, in.Tags, func(p *iam.ManagedPolicy) error {
		p.Description, p.DefaultVersion = in.Description, op.addVersion(p, in.Document).ID
		return nil
	}))
}

// addVersion adds a version, which is not in force yet.
func (op *call) addVersion(p *iam.ManagedPolicy, document string) iam.PolicyVersion {
	p.LastVersion++
	p.Updated = lattice.Time{Time: op.Now()}
	version := iam.PolicyVersion{ID: "v" + strconv.Itoa(p.LastVersion), Document: document, Created: p.Updated}
	p.Versions = append(p.Versions, version)
	return version
}

// policyResponse tells about a managed policy that was read.
func (op *call) policyResponse(p *iam.ManagedPolicy, err error) (*iam.PolicyResponse, error) {
	if err != nil {
		return nil, err
	}
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

func (op *call) summarisePolicy(p *iam.ManagedPolicy) (iam.PolicyDescription, error) {
	d, err := op.describePolicy(p)
	d.Description, d.Tags = "", nil
	return d, err
}

// GetPolicy tells about a managed policy.
func (op *call) GetPolicy(in *iam.SubjectRequest) (*iam.PolicyResponse, error) {
	return op.policyResponse(policies.find(op, in.PolicyARN))
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
	all = policies.within(in.PathPrefix, all)
	if in.Usage != "" || in.OnlyAttached {
		if all, err = op.used(all, in); err != nil {
			return nil, err
		}
	}
	all, rest, err := paginate(all, (*iam.ManagedPolicy).ARN, in.Page)
	if err != nil {
		return nil, err
	}
	described, err := each(all, op.summarisePolicy) // the page alone, since each costs two questions
	return &iam.ListPoliciesResponse{Policies: described, Rest: rest}, err
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
	own, err := policies.All(op.Tx, op.Account)
	return append(all, own...), err
}

// DeletePolicy deletes a managed policy that nobody uses, with its only version.
func (op *call) DeletePolicy(in *iam.SubjectRequest) error {
	return policies.remove(op, in.Subject, func(policy *iam.ManagedPolicy) error {
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
		return nil
	})
}

// CreatePolicyVersion adds a version to a managed policy, and puts it in force if the request says so.
func (op *call) CreatePolicyVersion(in *iam.CreatePolicyVersionRequest) (*iam.PolicyVersionResponse, error) {
	if err := checkManaged(in.Document); err != nil {
		return nil, err
	}
	answer := &iam.PolicyVersionResponse{}
	return answer, policies.edit(op, in.ARN, func(p *iam.ManagedPolicy) error {
		if len(p.Versions) >= maxVersions {
			return limitExceeded("A managed policy can have up to %d versions. Before you create a new version, you must "+
				"delete an existing version.", maxVersions)
		}
		version := op.addVersion(p, in.Document)
		if in.SetDefault {
			p.DefaultVersion = version.ID
		}
		answer.Version = summariseVersion(p, version)
		return nil
	})
}

// summariseVersion describes a version without its document.
func summariseVersion(p *iam.ManagedPolicy, v iam.PolicyVersion) iam.VersionDescription {
	return iam.VersionDescription{ID: v.ID, Default: v.ID == p.DefaultVersion, Created: aws.Instant{Time: v.Created.Time}}
}

// GetPolicyVersion tells a version of a managed policy.
func (op *call) GetPolicyVersion(in *iam.PolicyVersionRequest) (*iam.PolicyVersionResponse, error) {
	policy, err := policies.find(op, in.ARN)
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
	policy, err := policies.find(op, in.PolicyARN)
	if err != nil {
		return nil, err
	}
	newestFirst := func(v iam.PolicyVersion) string {
		return strconv.Itoa(maxVersions - slices.Index(policy.Versions, v)) // one digit
	}
	versions, rest, err := paginate(policy.Versions, newestFirst, in.Page)
	summarise := func(v iam.PolicyVersion) iam.VersionDescription { return summariseVersion(policy, v) }
	return &iam.ListPolicyVersionsResponse{Versions: describeAll(versions, summarise), Rest: rest}, err
}

// changeVersion changes a managed policy in which a version must be.
func (op *call) changeVersion(in *iam.PolicyVersionRequest, f func(*iam.ManagedPolicy) error) error {
	return policies.edit(op, in.ARN, func(p *iam.ManagedPolicy) error {
		if _, ok := p.Version(in.Version); !ok {
			return noVersion(in)
		}
		p.Updated = lattice.Time{Time: op.Now()}
		return f(p)
	})
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
	if _, err := policies.find(op, in.ARN); err != nil {
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
	read := map[string]func(*call, string) (*iam.Entity, error){
		iam.KindUser: users.readEntity, iam.KindGroup: groups.readEntity, iam.KindRole: roles.readEntity,
	}
	e, err := read[u.kind](op, u.name)
	if err != nil || !strings.HasPrefix(e.Path, pathPrefix) {
		return err
	}
	switch u.kind {
	case iam.KindUser:
		to.Users = append(to.Users, iam.PolicyUser{Name: e.Name, ID: e.UniqueID})
	case iam.KindGroup:
		to.Groups = append(to.Groups, iam.PolicyGroup{Name: e.Name, ID: e.UniqueID})
	default:
		to.Roles = append(to.Roles, iam.PolicyRole{Name: e.Name, ID: e.UniqueID})
	}
	return nil
}

// readEntity reads the part of an entity that all kinds have in common.
func (n noun[T]) readEntity(op *call, name string) (*iam.Entity, error) {
	object, err := n.read(op, name)
	if err != nil {
		return nil, err
	}
	return n.entity(object), nil
}
