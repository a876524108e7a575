package iam

import (
	"cmp"

	"pergola/aws"
	"pergola/aws/iam"
)

// CreateUser makes a user, who has no keys yet.
func (op *call) CreateUser(in *iam.CreateUserRequest) (*iam.UserResponse, error) {
	e, err := op.newEntity(iam.PrefixUser, in.Name, in.Path, in.Tags)
	if err != nil {
		return nil, err
	}
	user := &iam.User{Entity: e}
	op.Set(boundaryKey, in.Boundary)
	if err := users.mayCreate(op, user); err != nil {
		return nil, err
	}
	if err := users.bound(op, user, in.Boundary); err != nil {
		return nil, err
	}
	return &iam.UserResponse{User: describeUser(user)}, users.create(op, user)
}

func describeUser(u *iam.User) iam.UserDescription {
	return iam.UserDescription{
		Path: u.Path, Name: u.Name, ID: u.UniqueID, ARN: u.ARN(), Created: aws.Instant{Time: u.Created.Time},
		Boundary: boundaryOf(u.Permissions), Tags: sortedTags(u.Tags),
	}
}

// user reads the user that a request names, or else the one who calls.
func (op *call) user(s iam.Subject) (*iam.User, error) {
	if s.UserName == "" {
		if op.Caller.Type != iam.TypeUser {
			return nil, aws.Errorf("ValidationError", "Must specify userName when calling with non-User credentials")
		}
		s.UserName = nameInARN(op.Caller.ARN)
	}
	return users.subject(op, s)
}

// GetUser tells about a user; about the caller, if it names none.
func (op *call) GetUser(in *iam.SubjectRequest) (*iam.UserResponse, error) {
	user, err := op.user(in.Subject)
	if err != nil {
		return nil, err
	}
	return &iam.UserResponse{User: describeUser(user)}, nil
}

// ListUsers lists users, without their tags and boundaries.
func (op *call) ListUsers(in *iam.ListRequest) (*iam.ListUsersResponse, error) {
	found, rest, err := users.list(op, in)
	return &iam.ListUsersResponse{Users: describeAll(found, summariseUser), Rest: rest}, err
}

func summariseUser(u *iam.User) iam.UserDescription {
	d := describeUser(u)
	d.Boundary, d.Tags = nil, nil
	return d
}

// UpdateUser gives a user another name or path, for which the caller needs the permission on what the user is and on what
// it becomes. Keys, groups and policies stay with the user.
func (op *call) UpdateUser(in *iam.UpdateUserRequest) error {
	user, err := users.about(op, in.Name)
	if err != nil {
		return err
	}
	if in.NewPath != "" {
		user.Path = in.NewPath
	}
	renamed := *user
	renamed.Name = cmp.Or(in.NewName, user.Name)
	if err := users.may(op, &renamed); err != nil {
		return err
	}
	if in.NewName != "" && in.NewName != user.Name {
		if err := op.renameUser(user, in.NewName); err != nil {
			return err
		}
	}
	return users.put(op, user)
}

// renameUser moves all that refers to a user to a new name. A new name may be the old one in another case.
func (op *call) renameUser(user *iam.User, name string) error {
	if iam.ID(op.Account, name) != iam.ID(op.Account, user.Name) {
		if err := users.free(op, name); err != nil {
			return err
		}
	}
	if err := users.rename(op, user, name); err != nil {
		return err
	}
	if err := op.renameKeys(user, name); err != nil {
		return err
	}
	for _, group := range user.Groups {
		memberships.Delete(op.Tx, membership(op.Account, group, user.Name))
		if err := memberships.Put(op.Tx, membership(op.Account, group, name), ""); err != nil {
			return err
		}
	}
	users.delete(op, user)
	user.Name = name
	return nil
}

// DeleteUser deletes a user that has no keys, no policies and no groups any more.
func (op *call) DeleteUser(in *iam.SubjectRequest) error {
	user, err := users.subject(op, in.Subject)
	if err != nil {
		return err
	}
	keys, err := op.keysOf(user)
	switch {
	case err != nil:
		return err
	case len(keys) > 0:
		return deleteConflict("Cannot delete entity, must delete access keys first.")
	case len(user.Groups) > 0:
		return deleteConflict("Cannot delete entity, must remove users from group first.")
	}
	if err := users.bare(op, user); err != nil {
		return err
	}
	users.delete(op, user)
	return nil
}
