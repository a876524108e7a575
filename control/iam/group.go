package iam

import (
	"slices"
	"strings"

	"pergola/aws"
	"pergola/aws/iam"
	"pergola/control/resource"
	"pergola/store"
)

// memberships have, for each user in a group, "<group's id>/<user>".
var memberships = store.NewIndex("iam-membership")

// membershipsOf are the keys of a user in its groups.
func membershipsOf(u *iam.User) []resource.Hold {
	return describeAll(u.Groups, func(group string) resource.Hold {
		return resource.Hold{Index: memberships, Key: below(u.Account, group) + strings.ToLower(u.Name)}
	})
}

// below begins the keys of an index that say what belongs to an entity.
func below(account, name string) string { return iam.ID(account, name) + "/" }

// CreateGroup makes a group.
func (op *call) CreateGroup(in *iam.CreateGroupRequest) (*iam.CreateGroupResponse, error) {
	group, err := groups.create(op, in.Name, in.Path, nil, nil)
	if err != nil {
		return nil, err
	}
	return &iam.CreateGroupResponse{Group: describeGroup(group)}, nil
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
	found, rest, err := users.referring(op, memberships, below(op.Account, group.Name), in.Page)
	return &iam.GetGroupResponse{
		Group: describeGroup(group), Users: describeAll(found, summariseUser), Rest: rest,
	}, err
}

// ListGroups lists groups.
func (op *call) ListGroups(in *iam.ListRequest) (*iam.ListGroupsResponse, error) {
	found, rest, err := groups.list(op, in)
	return &iam.ListGroupsResponse{Groups: describeAll(found, describeGroup), Rest: rest}, err
}

// DeleteGroup deletes a group that has no users and no policies any more.
func (op *call) DeleteGroup(in *iam.SubjectRequest) error {
	return groups.remove(op, in.Subject, func(group *iam.Group) error {
		return op.unreferred(memberships, group.Entity, "Cannot delete entity, must remove users from group first.")
	})
}

// members reads the group and the user that a request names.
func (op *call) members(in *iam.MembershipRequest) (*iam.Group, *iam.User, error) {
	group, err := groups.find(op, in.GroupName)
	if err != nil {
		return nil, nil, err
	}
	user, err := users.read(op, in.UserName)
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
	return users.Put(op.Call, user)
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
	return users.Put(op.Call, user)
}

// ListGroupsForUser lists the groups that a user is in.
func (op *call) ListGroupsForUser(in *iam.SubjectPageRequest) (*iam.ListGroupsResponse, error) {
	user, err := users.subject(op, in.Subject)
	if err != nil {
		return nil, err
	}
	names, rest, err := paginate(user.Groups, itself, in.Page)
	if err != nil {
		return nil, err
	}
	found, err := each(names, func(name string) (*iam.Group, error) { return groups.read(op, name) })
	return &iam.ListGroupsResponse{Groups: describeAll(found, describeGroup), Rest: rest}, err
}
