package iam

import (
	"errors"
	"slices"
	"strings"

	"pergola/aws"
	"pergola/aws/iam"
	"pergola/store"
)

// memberships have, for each user in a group, a key made by membership.
var memberships = store.NewIndex("iam-membership")

func membership(account, group, user string) string {
	return iam.ID(account, group) + "/" + strings.ToLower(user)
}

// CreateGroup makes a group.
func (op *call) CreateGroup(in *iam.CreateGroupRequest) (*iam.CreateGroupResponse, error) {
	e, err := op.newEntity(iam.PrefixGroup, in.Name, in.Path, nil)
	if err != nil {
		return nil, err
	}
	group := &iam.Group{Entity: e}
	if err := groups.mayCreate(op, group); err != nil {
		return nil, err
	}
	return &iam.CreateGroupResponse{Group: describeGroup(group)}, groups.create(op, group)
}

func describeGroup(g *iam.Group) iam.GroupDescription {
	return iam.GroupDescription{Path: g.Path, Name: g.Name, ID: g.UniqueID, ARN: g.ARN(), Created: aws.Instant{Time: g.Created.Time}}
}

// GetGroup tells about a group and lists its users.
func (op *call) GetGroup(in *iam.SubjectPageRequest) (*iam.GetGroupResponse, error) {
	group, err := groups.subject(op, in.Subject)
	if err != nil {
		return nil, err
	}
	entries, _, err := memberships.List(op.Tx, iam.ID(op.Account, group.Name)+"/", "", 0)
	if err != nil {
		return nil, err
	}
	answer := &iam.GetGroupResponse{Group: describeGroup(group)}
	entries, answer.Rest, err = paginate(entries, func(e store.Entry[string]) string { return e.ID }, in.Page)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		user, err := users.find(op, nameInARN(entry.ID))
		if err != nil {
			return nil, err
		}
		answer.Users = append(answer.Users, summariseUser(user))
	}
	return answer, nil
}

// ListGroups lists groups.
func (op *call) ListGroups(in *iam.ListRequest) (*iam.ListGroupsResponse, error) {
	found, rest, err := groups.list(op, in)
	return &iam.ListGroupsResponse{Groups: describeAll(found, describeGroup), Rest: rest}, err
}

// DeleteGroup deletes a group that has no users and no policies any more.
func (op *call) DeleteGroup(in *iam.SubjectRequest) error {
	group, err := groups.subject(op, in.Subject)
	if err != nil {
		return err
	}
	empty, err := memberships.Empty(op.Tx, iam.ID(op.Account, group.Name)+"/")
	switch {
	case err != nil:
		return err
	case !empty:
		return deleteConflict("Cannot delete entity, must remove users from group first.")
	}
	if err := groups.bare(op, group); err != nil {
		return err
	}
	groups.delete(op, group)
	return nil
}

// members reads the group and the user that a request names.
func (op *call) members(in *iam.MembershipRequest) (*iam.Group, *iam.User, error) {
	group, err := groups.about(op, in.GroupName)
	if err != nil {
		return nil, nil, err
	}
	user, err := users.find(op, in.UserName)
	return group, user, err
}

// AddUserToGroup puts a user into a group. Once more does no harm.
func (op *call) AddUserToGroup(in *iam.MembershipRequest) error {
	group, user, err := op.members(in)
	switch {
	case err != nil:
		return err
	case slices.Contains(user.Groups, group.Name):
		return nil
	}
	if err := op.room(iam.QuotaUserGroups, len(user.Groups)); err != nil {
		return err
	}
	user.Groups = append(user.Groups, group.Name)
	slices.Sort(user.Groups)
	return errors.Join(users.put(op, user), memberships.Put(op.Tx, membership(op.Account, group.Name, user.Name), ""))
}

// RemoveUserFromGroup takes a user out of a group.
func (op *call) RemoveUserFromGroup(in *iam.MembershipRequest) error {
	group, user, err := op.members(in)
	if err != nil {
		return err
	}
	i := slices.Index(user.Groups, group.Name)
	if i < 0 {
		return noSuchEntity("The user %s is not in the group %s.", user.Name, group.Name)
	}
	user.Groups = slices.Delete(user.Groups, i, i+1)
	memberships.Delete(op.Tx, membership(op.Account, group.Name, user.Name))
	return users.put(op, user)
}

// ListGroupsForUser lists the groups that a user is in.
func (op *call) ListGroupsForUser(in *iam.SubjectPageRequest) (*iam.ListGroupsResponse, error) {
	user, err := users.subject(op, in.Subject)
	if err != nil {
		return nil, err
	}
	names, rest, err := paginate(slices.Clone(user.Groups), itself, in.Page)
	if err != nil {
		return nil, err
	}
	answer := &iam.ListGroupsResponse{Rest: rest}
	for _, name := range names {
		group, err := groups.find(op, name)
		if err != nil {
			return nil, err
		}
		answer.Groups = append(answer.Groups, describeGroup(group))
	}
	return answer, nil
}
