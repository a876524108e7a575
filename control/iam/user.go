package iam

import (
	"cmp"
	"errors"

	"pergola/aws"
	"pergola/aws/iam"
	"pergola/lattice"
)

// CreateUser makes a user, who has no keys yet.
func (op *call) CreateUser(in *iam.CreateUserRequest) (*iam.UserResponse, error) {
	op.Set(boundaryKey, in.Boundary)
	return userResponse(users.create(op, in.Name, in.Path, in.Tags, func(user *iam.User) error {
		return users.bound(op, user, in.Boundary)
	}))
}

// userResponse tells about a user that was read.
func userResponse(user *iam.User, err error) (*iam.UserResponse, error) {
	if err != nil {
		return nil, err
	}
	return &iam.UserResponse{User: describeUser(user)}, nil
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
		s.UserName = lattice.IDOf(op.Caller.ARN)
	}
	return users.subject(op, s)
}

// GetUser tells about a user; about the caller, if it names none.
func (op *call) GetUser(in *iam.SubjectRequest) (*iam.UserResponse, error) {
	return userResponse(op.user(in.Subject))
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

// UpdateUser gives a user another name or path, for which the caller needs the permission on what the user is and on
// what it becomes. Keys, groups and policies stay with the user.
func (op *call) UpdateUser(in *iam.UpdateUserRequest) error {
	user, err := users.find(op, in.Name)
	if err != nil {
		return err
	}
	was := *user
	user.Name, user.Path = cmp.Or(in.NewName, user.Name), cmp.Or(in.NewPath, user.Path)
	if err := op.May(user.ARN(), user.Tags); err != nil {
		return err
	}
	if user.Name == was.Name {
		return users.Put(op.Call, user)
	}
	if err := users.Move(op.Call, &was, user); err != nil {
		return err
	}
	keys, err := op.keysOf(&was)
	for _, key := range keys {
		key.User = user.Name
		err = errors.Join(err, accessKeys.Put(op.Call, key))
	}
	return err
}

// DeleteUser deletes a user that has no keys, no policies and no groups any more.
func (op *call) DeleteUser(in *iam.SubjectRequest) error {
	return users.remove(op, in.Subject, func(user *iam.User) error {
		err := op.unreferred(keysByUser, user.Entity, "Cannot delete entity, must delete access keys first.")
		if err == nil && len(user.Groups) > 0 {
			err = deleteConflict("Cannot delete entity, must remove users from group first.")
		}
		return err
	})
}
