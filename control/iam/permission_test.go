package iam_test

import (
	"testing"

	nouns "pergola/aws/iam"
)

// only makes the caller a user who may do what one statement says.
func (w *world) only(statement string) *world {
	w.t.Helper()
	const name = "only"
	found, err := w.GetUser(w.ctx, w.caller, new(named(user(name))))
	if err != nil {
		found = w.createUser(name)
	}
	own := nouns.InlinePolicyRequest{Subject: user(name), Name: "own"}
	must(w, w.Users().PutPolicy, nouns.PutPolicyRequest{InlinePolicyRequest: own, Document: `{"Version":"2012-10-17","Statement":[` + statement + `]}`})
	return w.as(nouns.Caller{Account: account, ARN: found.User.ARN, UserID: found.User.ID, Type: nouns.TypeUser})
}

// TestNobodyIsRenamedIntoAnotherPath has a caller who may do everything to some users: making them others is more.
func TestNobodyIsRenamedIntoAnotherPath(t *testing.T) {
	w := newWorld(t)
	must(w, w.CreateUser, nouns.CreateUserRequest{Name: "ada", Path: "/dev/"})
	dev := w.only(`{"Effect":"Allow","Action":"iam:*","Resource":"arn:aws:iam::` + account + `:user/dev/*"}`)
	refused(dev, w.UpdateUser, nouns.UpdateUserRequest{Name: "ada", NewPath: "/admin/"}, "AccessDenied")
	must(dev, w.UpdateUser, nouns.UpdateUserRequest{Name: "ada", NewName: "eve", NewPath: "/dev/web/"})
	if got := must(w, w.GetUser, named(user("eve"))).User.Path; got != "/dev/web/" {
		t.Errorf("the user's path is %s", got)
	}
}

// TestWhoHasABoundaryMayBeChanged delegates the administration of users, as long as they have a boundary.
func TestWhoHasABoundaryMayBeChanged(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"free", "bound"} {
		w.createUser(name)
	}
	must(w, w.Users().PutBoundary, nouns.PutBoundaryRequest{Subject: user("bound"), Boundary: fullARN})
	delegate := w.only(`{"Effect":"Allow","Action":"iam:*","Resource":"*","Condition":{"StringEquals":{"iam:PermissionsBoundary":"` + fullARN + `"}}}`)
	must(delegate, w.Users().AttachPolicy, attach(user("bound"), fullARN))
	must(delegate, w.Users().DetachPolicy, attach(user("bound"), fullARN))
	refused(delegate, w.Users().AttachPolicy, attach(user("free"), fullARN), "AccessDenied")
	refused(delegate, w.Users().PutBoundary, nouns.PutBoundaryRequest{Subject: user("bound"), Boundary: "arn:aws:iam::aws:policy/AdministratorAccess"}, "AccessDenied")
	must(delegate, w.Users().PutBoundary, nouns.PutBoundaryRequest{Subject: user("free"), Boundary: fullARN})
	must(delegate, w.CreateUser, nouns.CreateUserRequest{Name: "new", Boundary: fullARN})
	refused(delegate, w.CreateUser, nouns.CreateUserRequest{Name: "newer"}, "AccessDenied")
}

// TestRolesArePassedToInstances puts a role into an instance profile as somebody who may pass it to instances alone.
func TestRolesArePassedToInstances(t *testing.T) {
	w := newWorld(t)
	w.createRole("work")
	must(w, w.CreateInstanceProfile, nouns.CreateInstanceProfileRequest{Name: "web"})
	in := nouns.ProfileRoleRequest{ProfileName: "web", RoleName: "work"}
	passTo := func(service string) *world {
		return w.only(`{"Effect":"Allow","Action":"iam:AddRoleToInstanceProfile","Resource":"*"},
			{"Effect":"Allow","Action":"iam:PassRole","Resource":"*","Condition":{"StringEquals":{"iam:PassedToService":"` + service + `"}}}`)
	}
	refused(passTo("lambda.amazonaws.com"), w.AddRoleToInstanceProfile, in, "AccessDenied")
	must(passTo("ec2.amazonaws.com"), w.AddRoleToInstanceProfile, in)
}
