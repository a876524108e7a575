package iam

import (
	"strings"

	"pergola/aws"
	"pergola/aws/iam"
	"pergola/control/authority"
	"pergola/policy"
	"pergola/store"
)

// defaultSession is how long sessions of a role may last unless the role says otherwise, in seconds.
const defaultSession = 3600

// profilesByRole has, for each instance profile that has a role, "<role's id>/<profile>".
var profilesByRole = store.NewIndex("iam-profile")

// CreateRole makes a role with its trust policy.
func (op *call) CreateRole(in *iam.CreateRoleRequest) (*iam.RoleResponse, error) {
	if err := op.checkTrust(in.Trust); err != nil {
		return nil, err
	}
	e, err := op.newEntity(iam.PrefixRole, in.Name, in.Path, in.Tags)
	if err != nil {
		return nil, err
	}
	role := &iam.Role{Entity: e, Description: in.Description, MaxSession: in.MaxSession}
	if role.MaxSession == 0 {
		role.MaxSession = defaultSession
	}
	op.Set(boundaryKey, in.Boundary)
	if err := roles.mayCreate(op, role); err != nil {
		return nil, err
	}
	if err := roles.bound(op, role, in.Boundary); err != nil {
		return nil, err
	}
	if err := op.setTrust(role, in.Trust); err != nil {
		return nil, err
	}
	if err := roles.create(op, role); err != nil {
		return nil, err
	}
	return op.roleResponse(role)
}

// setTrust gives a role a trust policy. Whom it names and who is in this deployment must exist, and is known by its
// unique id from then on.
func (op *call) setTrust(role *iam.Role, document string) error {
	absent, err := authority.AbsentPrincipal(op.Tx, document)
	switch {
	case err != nil:
		return err
	case absent != "":
		return aws.Errorf("MalformedPolicyDocument", "Invalid principal in policy: \"AWS\":%q", absent)
	}
	role.Trust, role.Trusted = document, map[string]string{}
	for _, arn := range policy.NamedPrincipals(document) {
		id, err := authority.UniqueID(op.Tx, arn)
		if err != nil {
			return err
		}
		if id != "" {
			role.Trusted[arn] = id
		}
	}
	return nil
}

// trustOf is the trust policy of a role as callers see it: whoever does not have the ARN any more is named by the unique id.
func (op *call) trustOf(role *iam.Role) (string, error) {
	gone := map[string]string{}
	for arn, id := range role.Trusted {
		now, err := authority.UniqueID(op.Tx, arn)
		if err != nil {
			return "", err
		}
		if now != id {
			gone[arn] = id
		}
	}
	return policy.RenamePrincipals(role.Trust, gone), nil
}

func (op *call) roleResponse(r *iam.Role) (*iam.RoleResponse, error) {
	description, err := op.describeRole(r)
	return &iam.RoleResponse{Role: description}, err
}

func (op *call) describeRole(r *iam.Role) (iam.RoleDescription, error) {
	trust, err := op.trustOf(r)
	return iam.RoleDescription{
		Path: r.Path, Name: r.Name, ID: r.UniqueID, ARN: r.ARN(), Created: aws.Instant{Time: r.Created.Time},
		Trust: percentEncoded(trust), Description: r.Description, MaxSession: r.MaxSession,
		Boundary: boundaryOf(r.Permissions), Tags: sortedTags(r.Tags),
	}, err
}

// GetRole tells about a role.
func (op *call) GetRole(in *iam.SubjectRequest) (*iam.RoleResponse, error) {
	role, err := roles.subject(op, in.Subject)
	if err != nil {
		return nil, err
	}
	return op.roleResponse(role)
}

// ListRoles lists roles, without their tags and boundaries.
func (op *call) ListRoles(in *iam.ListRequest) (*iam.ListRolesResponse, error) {
	found, rest, err := roles.list(op, in)
	answer := &iam.ListRolesResponse{Rest: rest}
	for _, role := range found {
		description, err := op.summariseRole(role)
		if err != nil {
			return nil, err
		}
		answer.Roles = append(answer.Roles, description)
	}
	return answer, err
}

func (op *call) summariseRole(r *iam.Role) (iam.RoleDescription, error) {
	d, err := op.describeRole(r)
	d.Boundary, d.Tags = nil, nil
	return d, err
}

// changeRole changes a role.
func (op *call) changeRole(name string, f func(*iam.Role) error) error {
	return op.Roles().edit(op, iam.Subject{RoleName: name}, f)
}

// UpdateRole changes the description of a role and how long its sessions may last. What the request leaves out stays.
func (op *call) UpdateRole(in *iam.UpdateRoleRequest) error {
	return op.changeRole(in.Name, func(role *iam.Role) error {
		if in.Description != nil {
			role.Description = *in.Description
		}
		if in.MaxSession != 0 {
			role.MaxSession = in.MaxSession
		}
		return nil
	})
}

// UpdateAssumeRolePolicy gives a role another trust policy. Sessions that there are stay.
func (op *call) UpdateAssumeRolePolicy(in *iam.UpdateAssumeRolePolicyRequest) error {
	if err := op.checkTrust(in.Trust); err != nil {
		return err
	}
	return op.changeRole(in.Name, func(role *iam.Role) error { return op.setTrust(role, in.Trust) })
}

// DeleteRole deletes a role that has no policies and is in no instance profile any more. Its sessions last to their end.
func (op *call) DeleteRole(in *iam.SubjectRequest) error {
	role, err := roles.subject(op, in.Subject)
	if err != nil {
		return err
	}
	empty, err := profilesByRole.Empty(op.Tx, iam.ID(op.Account, role.Name)+"/")
	switch {
	case err != nil:
		return err
	case !empty:
		return deleteConflict("Cannot delete entity, must remove roles from instance profile first.")
	}
	if err := roles.bare(op, role); err != nil {
		return err
	}
	roles.delete(op, role)
	return nil
}

// CreateInstanceProfile makes an instance profile without a role.
func (op *call) CreateInstanceProfile(in *iam.CreateInstanceProfileRequest) (*iam.InstanceProfileResponse, error) {
	e, err := op.newEntity(iam.PrefixInstanceProfile, in.Name, in.Path, in.Tags)
	if err != nil {
		return nil, err
	}
	profile := &iam.InstanceProfile{Entity: e}
	if err := profiles.mayCreate(op, profile); err != nil {
		return nil, err
	}
	if err := profiles.create(op, profile); err != nil {
		return nil, err
	}
	return op.profileResponse(profile)
}

func (op *call) describeProfile(p *iam.InstanceProfile) (iam.ProfileDescription, error) {
	d := iam.ProfileDescription{
		Path: p.Path, Name: p.Name, ID: p.UniqueID, ARN: p.ARN(), Created: aws.Instant{Time: p.Created.Time}, Tags: sortedTags(p.Tags),
	}
	if p.Role == "" {
		return d, nil
	}
	role, err := roles.find(op, p.Role)
	if err != nil {
		return d, err
	}
	summary, err := op.summariseRole(role)
	d.Roles = aws.Members[iam.RoleDescription]{summary}
	return d, err
}

func (op *call) profileResponse(p *iam.InstanceProfile) (*iam.InstanceProfileResponse, error) {
	description, err := op.describeProfile(p)
	return &iam.InstanceProfileResponse{Profile: description}, err
}

// GetInstanceProfile tells about an instance profile and its role.
func (op *call) GetInstanceProfile(in *iam.SubjectRequest) (*iam.InstanceProfileResponse, error) {
	profile, err := profiles.subject(op, in.Subject)
	if err != nil {
		return nil, err
	}
	return op.profileResponse(profile)
}

// ListInstanceProfiles lists instance profiles.
func (op *call) ListInstanceProfiles(in *iam.ListRequest) (*iam.ListInstanceProfilesResponse, error) {
	found, rest, err := profiles.list(op, in)
	if err != nil {
		return nil, err
	}
	return op.listProfiles(found, rest)
}

func (op *call) listProfiles(found []*iam.InstanceProfile, rest iam.Rest) (*iam.ListInstanceProfilesResponse, error) {
	answer := &iam.ListInstanceProfilesResponse{Rest: rest}
	for _, profile := range found {
		description, err := op.describeProfile(profile)
		if err != nil {
			return nil, err
		}
		answer.Profiles = append(answer.Profiles, description)
	}
	return answer, nil
}

// ListInstanceProfilesForRole lists the instance profiles that have a role.
func (op *call) ListInstanceProfilesForRole(in *iam.SubjectPageRequest) (*iam.ListInstanceProfilesResponse, error) {
	role, err := roles.subject(op, in.Subject)
	if err != nil {
		return nil, err
	}
	entries, _, err := profilesByRole.List(op.Tx, iam.ID(op.Account, role.Name)+"/", "", 0)
	if err != nil {
		return nil, err
	}
	entries, rest, err := paginate(entries, func(e store.Entry[string]) string { return e.ID }, in.Page)
	if err != nil {
		return nil, err
	}
	var found []*iam.InstanceProfile
	for _, entry := range entries {
		profile, err := profiles.find(op, nameInARN(entry.ID))
		if err != nil {
			return nil, err
		}
		found = append(found, profile)
	}
	return op.listProfiles(found, rest)
}

// DeleteInstanceProfile deletes an instance profile that has no role any more.
func (op *call) DeleteInstanceProfile(in *iam.SubjectRequest) error {
	profile, err := profiles.subject(op, in.Subject)
	switch {
	case err != nil:
		return err
	case profile.Role != "":
		return deleteConflict("Cannot delete entity, must remove roles from instance profile first.")
	}
	profiles.delete(op, profile)
	return nil
}

// AddRoleToInstanceProfile gives an instance profile its role. It may have one.
func (op *call) AddRoleToInstanceProfile(in *iam.ProfileRoleRequest) error {
	subject := iam.Subject{InstanceProfileName: in.ProfileName}
	return op.InstanceProfiles().edit(op, subject, func(profile *iam.InstanceProfile) error {
		role, err := roles.find(op, in.RoleName)
		switch {
		case err != nil:
			return err
		case profile.Role != "":
			return limitExceeded("Cannot exceed quota for RolesPerInstanceProfile: 1")
		}
		op.Set("iam:PassedToService", "ec2.amazonaws.com")
		if err := op.MayAlso("iam:PassRole", role.ARN(), role.Tags); err != nil {
			return err
		}
		profile.Role = role.Name
		return profilesByRole.Put(op.Tx, iam.ID(op.Account, role.Name)+"/"+strings.ToLower(profile.Name), "")
	})
}

// RemoveRoleFromInstanceProfile takes the role out of an instance profile.
func (op *call) RemoveRoleFromInstanceProfile(in *iam.ProfileRoleRequest) error {
	subject := iam.Subject{InstanceProfileName: in.ProfileName}
	return op.InstanceProfiles().edit(op, subject, func(profile *iam.InstanceProfile) error {
		if !strings.EqualFold(profile.Role, in.RoleName) {
			return noSuchEntity("The role with name %s is not in the instance profile %s.", in.RoleName, profile.Name)
		}
		profilesByRole.Delete(op.Tx, iam.ID(op.Account, profile.Role)+"/"+strings.ToLower(profile.Name))
		profile.Role = ""
		return nil
	})
}
