package iam

import (
	"cmp"
	"strings"

	"pergola/aws"
	"pergola/aws/iam"
	"pergola/control/authority"
	"pergola/control/resource"
	"pergola/policy"
	"pergola/store"
)

// defaultSession is how long sessions of a role may last unless the role says otherwise, in seconds.
const defaultSession = 3600

// profilesByRole has, for each instance profile that has a role, "<role's id>/<profile>".
var profilesByRole = store.NewIndex("iam-profile")

// roleOf is the key of an instance profile that has a role.
func roleOf(p *iam.InstanceProfile) []resource.Hold {
	if p.Role == "" {
		return nil
	}
	return []resource.Hold{{Index: profilesByRole, Key: below(p.Account, p.Role) + strings.ToLower(p.Name)}}
}

// CreateRole makes a role with its trust policy.
func (op *call) CreateRole(in *iam.CreateRoleRequest) (*iam.RoleResponse, error) {
	if err := op.checkTrust(in.Trust); err != nil {
		return nil, err
	}
	op.Set(boundaryKey, in.Boundary)
	return op.roleResponse(roles.create(op, in.Name, in.Path, in.Tags, func(role *iam.Role) error {
		role.Description, role.MaxSession = in.Description, cmp.Or(in.MaxSession, defaultSession)
		if err := roles.bound(op, role, in.Boundary); err != nil {
			return err
		}
		return op.setTrust(role, in.Trust)
	}))
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

// trustOf is the trust policy of a role as callers see it: a principal whose ARN is gone is named by its unique id.
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

// roleResponse tells about a role that was read.
func (op *call) roleResponse(r *iam.Role, err error) (*iam.RoleResponse, error) {
	if err != nil {
		return nil, err
	}
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
	return op.roleResponse(roles.subject(op, in.Subject))
}

// ListRoles lists roles, without their tags and boundaries.
func (op *call) ListRoles(in *iam.ListRequest) (*iam.ListRolesResponse, error) {
	found, rest, err := roles.list(op, in)
	if err != nil {
		return nil, err
	}
	all, err := each(found, op.summariseRole)
	return &iam.ListRolesResponse{Roles: all, Rest: rest}, err
}

func (op *call) summariseRole(r *iam.Role) (iam.RoleDescription, error) {
	d, err := op.describeRole(r)
	d.Boundary, d.Tags = nil, nil
	return d, err
}

// UpdateRole changes the description of a role and how long its sessions may last. What the request leaves out stays.
func (op *call) UpdateRole(in *iam.UpdateRoleRequest) error {
	return roles.edit(op, in.Name, func(role *iam.Role) error {
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
	return roles.edit(op, in.Name, func(role *iam.Role) error { return op.setTrust(role, in.Trust) })
}

// DeleteRole deletes a role that has no policies and is in no instance profile any more. Its sessions last to their
// end.
func (op *call) DeleteRole(in *iam.SubjectRequest) error {
	return roles.remove(op, in.Subject, func(role *iam.Role) error {
		return op.unreferred(profilesByRole, role.Entity,
			"Cannot delete entity, must remove roles from instance profile first.")
	})
}

// CreateInstanceProfile makes an instance profile without a role.
func (op *call) CreateInstanceProfile(in *iam.CreateInstanceProfileRequest) (*iam.InstanceProfileResponse, error) {
	return op.profileResponse(profiles.create(op, in.Name, in.Path, in.Tags, nil))
}

func (op *call) describeProfile(p *iam.InstanceProfile) (iam.ProfileDescription, error) {
	d := iam.ProfileDescription{
		Path: p.Path, Name: p.Name, ID: p.UniqueID, ARN: p.ARN(), Created: aws.Instant{Time: p.Created.Time}, Tags: sortedTags(p.Tags),
	}
	if p.Role == "" {
		return d, nil
	}
	role, err := roles.read(op, p.Role)
	if err != nil {
		return d, err
	}
	summary, err := op.summariseRole(role)
	d.Roles = aws.Members[iam.RoleDescription]{summary}
	return d, err
}

// profileResponse tells about an instance profile that was read.
func (op *call) profileResponse(p *iam.InstanceProfile, err error) (*iam.InstanceProfileResponse, error) {
	if err != nil {
		return nil, err
	}
	description, err := op.describeProfile(p)
	return &iam.InstanceProfileResponse{Profile: description}, err
}

// GetInstanceProfile tells about an instance profile and its role.
func (op *call) GetInstanceProfile(in *iam.SubjectRequest) (*iam.InstanceProfileResponse, error) {
	return op.profileResponse(profiles.subject(op, in.Subject))
}

// ListInstanceProfiles lists instance profiles.
func (op *call) ListInstanceProfiles(in *iam.ListRequest) (*iam.ListInstanceProfilesResponse, error) {
	return op.profilesResponse(profiles.list(op, in))
}

func (op *call) profilesResponse(found []*iam.InstanceProfile, rest iam.Rest,
	err error) (*iam.ListInstanceProfilesResponse, error) {
	if err != nil {
		return nil, err
	}
	all, err := each(found, op.describeProfile)
	return &iam.ListInstanceProfilesResponse{Profiles: all, Rest: rest}, err
}

// ListInstanceProfilesForRole lists the instance profiles that have a role.
func (op *call) ListInstanceProfilesForRole(in *iam.SubjectPageRequest) (*iam.ListInstanceProfilesResponse, error) {
	role, err := roles.subject(op, in.Subject)
	if err != nil {
		return nil, err
	}
	return op.profilesResponse(profiles.referring(op, profilesByRole, below(op.Account, role.Name), in.Page))
}

// DeleteInstanceProfile deletes an instance profile that has no role any more.
func (op *call) DeleteInstanceProfile(in *iam.SubjectRequest) error {
	return profiles.remove(op, in.Subject, func(profile *iam.InstanceProfile) error {
		if profile.Role != "" {
			return deleteConflict("Cannot delete entity, must remove roles from instance profile first.")
		}
		return nil
	})
}

// AddRoleToInstanceProfile gives an instance profile its role. It may have one.
func (op *call) AddRoleToInstanceProfile(in *iam.ProfileRoleRequest) error {
	return profiles.edit(op, in.ProfileName, func(profile *iam.InstanceProfile) error {
		role, err := roles.read(op, in.RoleName)
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
		return nil
	})
}

// RemoveRoleFromInstanceProfile takes the role out of an instance profile.
func (op *call) RemoveRoleFromInstanceProfile(in *iam.ProfileRoleRequest) error {
	return profiles.edit(op, in.ProfileName, func(profile *iam.InstanceProfile) error {
		if !strings.EqualFold(profile.Role, in.RoleName) {
			return noSuchEntity("The role with name %s is not in the instance profile %s.", in.RoleName, profile.Name)
		}
		profile.Role = ""
		return nil
	})
}
