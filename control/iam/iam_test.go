package iam_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"pergola/aws"
	nouns "pergola/aws/iam"
	"pergola/control/iam"
	"pergola/sealing"
	"pergola/sigv4"
	"pergola/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for something that must happen; never how long it takes.
const patience = 20 * time.Second

const account = "100000000001"

var now = time.Unix(1_800_000_000, 0)

// world is the service with one caller, on a store of its own.
type world struct {
	*iam.Control
	t      *testing.T
	ctx    context.Context
	caller nouns.Caller
}

// root is an account's root user, who needs no policies.
func root(account string) nouns.Caller {
	return nouns.Caller{Account: account, ARN: "arn:aws:iam::" + account + ":root", UserID: account, Type: nouns.TypeAccount}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldWith(t, iam.Config{AllowLocalIssuers: true})
}

// newWorldWith is a world of a configuration, whose store, box and clock are made.
func newWorldWith(t *testing.T, cfg iam.Config) *world {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	objects, err := store.Open(ctx, store.Config{Dir: filepath.Join(t.TempDir(), "store"), NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := objects.Close(); err != nil {
			t.Error(err)
		}
	})
	box, err := sealing.New(bytes.Repeat([]byte{1}, sealing.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	cfg.Store, cfg.Box, cfg.Now = objects, box, func() time.Time { return now }
	return &world{Control: iam.New(cfg), t: t, ctx: ctx, caller: root(account)}
}

// as is the same world with another caller.
func (w *world) as(caller nouns.Caller) *world {
	other := *w
	other.caller = caller
	return &other
}

// must carries out an operation that cannot fail.
func must[In, Out any](w *world, f func(context.Context, nouns.Caller, *In) (*Out, error), in In) *Out {
	w.t.Helper()
	answer, err := f(w.ctx, w.caller, &in)
	if err != nil {
		w.t.Fatalf("%+v: %v", in, err)
	}
	return answer
}

// refused carries out an operation that must fail with a code and the status that belongs to it.
func refused[In, Out any](w *world, f func(context.Context, nouns.Caller, *In) (*Out, error), in In, code string) {
	w.t.Helper()
	status := map[string]int{"NoSuchEntity": 404, "EntityAlreadyExists": 409, "DeleteConflict": 409, "LimitExceeded": 409, "AccessDenied": 403}[code]
	_, err := f(w.ctx, w.caller, &in)
	var named *aws.Error
	if !errors.As(err, &named) || named.Code != code || named.Status != status {
		w.t.Errorf("%+v: %v, want %s", in, err, code)
	}
}

func user(name string) nouns.Subject  { return nouns.Subject{UserName: name} }
func group(name string) nouns.Subject { return nouns.Subject{GroupName: name} }
func role(name string) nouns.Subject  { return nouns.Subject{RoleName: name} }

func named(s nouns.Subject) nouns.SubjectRequest      { return nouns.SubjectRequest{Subject: s} }
func pageOf(s nouns.Subject) nouns.SubjectPageRequest { return nouns.SubjectPageRequest{Subject: s} }
func policyARN(arn string) nouns.SubjectRequest       { return named(nouns.Subject{PolicyARN: arn}) }
func attach(s nouns.Subject, arn string) nouns.AttachmentRequest {
	return nouns.AttachmentRequest{Subject: s, ARN: arn}
}

const (
	document  = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"vpc-lattice:*","Resource":"*"}]}`
	trust     = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"100000000001"},"Action":"sts:AssumeRole"}]}`
	fullARN   = "arn:aws:iam::aws:policy/VPCLatticeFullAccess"
	linkedARN = "arn:aws:iam::aws:policy/aws-service-role/AWSVpcLatticeServiceRolePolicy"
)

// long is a policy of more than n characters.
func long(n int) string {
	return strings.Replace(document, "vpc-lattice:*", "x:"+strings.Repeat("a", n), 1)
}

func (w *world) createUser(name string) *nouns.UserResponse {
	w.t.Helper()
	return must(w, w.CreateUser, nouns.CreateUserRequest{Name: name})
}

func (w *world) createRole(name string) *nouns.RoleResponse {
	w.t.Helper()
	return must(w, w.CreateRole, nouns.CreateRoleRequest{Name: name, Trust: trust})
}

func (w *world) createPolicy(name string) string {
	w.t.Helper()
	return must(w, w.CreatePolicy, nouns.CreatePolicyRequest{Name: name, Document: document}).Policy.ARN
}

func TestUsers(t *testing.T) {
	w := newWorld(t)
	created := must(w, w.CreateUser, nouns.CreateUserRequest{
		Name: "Ada", Path: "/team/", Boundary: fullARN, Tags: []nouns.Tag{{Key: "b", Value: "2"}, {Key: "a", Value: "1"}},
	}).User
	if created.ARN != "arn:aws:iam::100000000001:user/team/Ada" || !strings.HasPrefix(created.ID, "AIDA") || len(created.ID) != 21 || created.Boundary.ARN != fullARN || created.Tags[0].Key != "a" {
		t.Errorf("created %+v", created)
	}
	if got := must(w, w.GetUser, named(user("ADA"))).User; got.Name != "Ada" || !got.Created.Equal(now) {
		t.Errorf("got %+v", got)
	}
	refused(w, w.CreateUser, nouns.CreateUserRequest{Name: "ada"}, "EntityAlreadyExists")
	refused(w, w.CreateUser, nouns.CreateUserRequest{Name: "bob", Boundary: "arn:aws:iam::aws:policy/Nothing"}, "NoSuchEntity")
	refused(w, w.GetUser, named(user("bob")), "NoSuchEntity")
	refused(w, w.GetUser, nouns.SubjectRequest{}, "ValidationError") // the root user is not one of the users
	refused(w, w.DeleteUser, nouns.SubjectRequest{}, "ValidationError")

	w.createUser("bob")
	listed := must(w, w.ListUsers, nouns.ListRequest{PathPrefix: "/team/"})
	if len(listed.Users) != 1 || listed.Users[0].Name != "Ada" || listed.Users[0].Tags != nil || listed.IsTruncated {
		t.Errorf("listed %+v", listed)
	}
	stranger := w.as(root("100000000002"))
	refused(stranger, w.GetUser, named(user("Ada")), "NoSuchEntity")
	if listed := must(stranger, w.ListUsers, nouns.ListRequest{}); len(listed.Users) != 0 {
		t.Errorf("a stranger sees %+v", listed.Users)
	}
	must(w, w.DeleteUser, named(user("ada")))
	refused(w, w.DeleteUser, named(user("ada")), "NoSuchEntity")
	if again := must(w, w.CreateUser, nouns.CreateUserRequest{Name: "Ada"}).User; again.ID == created.ID {
		t.Error("the unique id of a deleted user was used again")
	}
}

// TestRenamedUser renames a user with all that a user can have.
func TestRenamedUser(t *testing.T) {
	w := newWorld(t)
	w.createUser("ada")
	w.createUser("bob")
	must(w, w.CreateGroup, nouns.CreateGroupRequest{Name: "team"})
	must(w, w.AddUserToGroup, nouns.MembershipRequest{GroupName: "team", UserName: "ada"})
	must(w, w.Users().AttachPolicy, attach(user("ada"), fullARN))
	must(w, w.Users().PutBoundary, nouns.PutBoundaryRequest{Subject: user("ada"), Boundary: fullARN})
	key := must(w, w.CreateAccessKey, named(user("ada"))).Key

	refused(w, w.UpdateUser, nouns.UpdateUserRequest{Name: "ada", NewName: "BOB"}, "EntityAlreadyExists")
	refused(w, w.UpdateUser, nouns.UpdateUserRequest{Name: "eve", NewName: "mallory"}, "NoSuchEntity")
	must(w, w.UpdateUser, nouns.UpdateUserRequest{Name: "ada", NewName: "Lovelace", NewPath: "/new/"})
	must(w, w.UpdateUser, nouns.UpdateUserRequest{Name: "lovelace", NewName: "LOVELACE"})
	refused(w, w.GetUser, named(user("ada")), "NoSuchEntity")
	_, caller, err := w.Find(w.ctx, key.ID)
	if err != nil || caller.ARN != "arn:aws:iam::100000000001:user/new/LOVELACE" {
		t.Errorf("the key is of %+v, %v", caller, err)
	}
	if got := must(w, w.GetGroup, pageOf(group("team"))).Users; len(got) != 1 || got[0].Name != "LOVELACE" {
		t.Errorf("the group has %+v", got)
	}
	if got := must(w, w.ListEntitiesForPolicy, nouns.ListEntitiesRequest{ARN: fullARN}).Users; len(got) != 1 || got[0].Name != "LOVELACE" {
		t.Errorf("the policy is used by %+v", got)
	}
	if got := must(w, w.ListAccessKeys, pageOf(user("LoveLace"))).Keys; len(got) != 1 || got[0].UserName != "LOVELACE" || got[0].Secret != "" {
		t.Errorf("keys %+v", got)
	}
}

func TestAccessKeys(t *testing.T) {
	w := newWorld(t)
	w.createUser("ada")
	admin := w.createUser("admin")
	must(w, w.Users().AttachPolicy, attach(user("admin"), "arn:aws:iam::aws:policy/AdministratorAccess"))
	key := must(w, w.CreateAccessKey, named(user("ada"))).Key
	if got, ok := nouns.AccountOfKey(key.ID); !ok || got != account || len(key.ID) != 20 || len(key.Secret) != 40 || key.Status != "Active" {
		t.Errorf("made %+v of account %s", key, got)
	}
	secret, caller, err := w.Find(w.ctx, key.ID)
	if err != nil || secret != key.Secret || caller.ARN != "arn:aws:iam::100000000001:user/ada" || caller.Type != nouns.TypeUser || caller.Session != nil {
		t.Errorf("found %+v, %v", caller, err)
	}
	must(w, w.CreateAccessKey, named(user("ada")))
	refused(w, w.CreateAccessKey, named(user("ada")), "LimitExceeded")
	w = w.as(nouns.Caller{Account: account, ARN: admin.User.ARN, UserID: admin.User.ID, Type: nouns.TypeUser})
	own := must(w, w.CreateAccessKey, nouns.SubjectRequest{}).Key
	if own.UserName != "admin" {
		t.Errorf("the caller's own key is of %s", own.UserName)
	}
	if got := must(w, w.ListAccessKeys, nouns.SubjectPageRequest{}).Keys; len(got) != 1 || got[0].ID != own.ID {
		t.Errorf("the caller's own keys are %+v", got)
	}
	status := func(s string) nouns.UpdateAccessKeyRequest {
		return nouns.UpdateAccessKeyRequest{AccessKeyRequest: nouns.AccessKeyRequest{Subject: user("ada"), ID: key.ID}, Status: s}
	}
	must(w, w.UpdateAccessKey, status("Inactive"))
	if _, _, err := w.Find(w.ctx, key.ID); !errors.Is(err, sigv4.ErrUnknownKey) {
		t.Errorf("an inactive key: %v", err)
	}
	must(w, w.UpdateAccessKey, status("Active"))
	if _, _, err := w.Find(w.ctx, key.ID); err != nil {
		t.Errorf("an active key: %v", err)
	}
	refused(w, w.DeleteAccessKey, nouns.AccessKeyRequest{Subject: user("admin"), ID: key.ID}, "NoSuchEntity")
	refused(w, w.DeleteAccessKey, nouns.AccessKeyRequest{Subject: user("ada"), ID: "AKIA0000000000000000"}, "NoSuchEntity")
	refused(w, w.DeleteUser, named(user("ada")), "DeleteConflict")
	must(w, w.DeleteAccessKey, nouns.AccessKeyRequest{Subject: user("ada"), ID: key.ID})
	if _, _, err := w.Find(w.ctx, key.ID); !errors.Is(err, sigv4.ErrUnknownKey) {
		t.Errorf("a deleted key: %v", err)
	}
}

func TestGroups(t *testing.T) {
	w := newWorld(t)
	created := must(w, w.CreateGroup, nouns.CreateGroupRequest{Name: "team", Path: "/x/"}).Group
	if created.ARN != "arn:aws:iam::100000000001:group/x/team" || !strings.HasPrefix(created.ID, "AGPA") {
		t.Errorf("created %+v", created)
	}
	refused(w, w.CreateGroup, nouns.CreateGroupRequest{Name: "TEAM"}, "EntityAlreadyExists")
	for _, name := range []string{"c", "a", "b"} {
		w.createUser(name)
		must(w, w.AddUserToGroup, nouns.MembershipRequest{GroupName: "Team", UserName: strings.ToUpper(name)})
	}
	must(w, w.AddUserToGroup, nouns.MembershipRequest{GroupName: "team", UserName: "a"})
	refused(w, w.AddUserToGroup, nouns.MembershipRequest{GroupName: "none", UserName: "a"}, "NoSuchEntity")
	refused(w, w.AddUserToGroup, nouns.MembershipRequest{GroupName: "team", UserName: "none"}, "NoSuchEntity")

	page := pageOf(group("team"))
	page.MaxItems = 2
	first := must(w, w.GetGroup, page)
	page.Marker = first.Marker
	second := must(w, w.GetGroup, page)
	if len(first.Users) != 2 || first.Users[0].Name != "a" || !first.IsTruncated || len(second.Users) != 1 || second.Users[0].Name != "c" || second.IsTruncated {
		t.Errorf("pages %+v and %+v", first, second)
	}
	if got := must(w, w.ListGroupsForUser, pageOf(user("a"))).Groups; len(got) != 1 || got[0].Name != "team" {
		t.Errorf("the user is in %+v", got)
	}
	refused(w, w.DeleteGroup, named(group("team")), "DeleteConflict")
	refused(w, w.DeleteUser, named(user("a")), "DeleteConflict")
	for _, name := range []string{"a", "b", "c"} {
		must(w, w.RemoveUserFromGroup, nouns.MembershipRequest{GroupName: "TEAM", UserName: name})
	}
	refused(w, w.RemoveUserFromGroup, nouns.MembershipRequest{GroupName: "team", UserName: "a"}, "NoSuchEntity")
	for i := range 11 {
		name := fmt.Sprint("group", i)
		must(w, w.CreateGroup, nouns.CreateGroupRequest{Name: name})
		if i < 10 {
			must(w, w.AddUserToGroup, nouns.MembershipRequest{GroupName: name, UserName: "a"})
		}
	}
	refused(w, w.AddUserToGroup, nouns.MembershipRequest{GroupName: "group10", UserName: "a"}, "LimitExceeded")
	if got := must(w, w.ListGroups, nouns.ListRequest{PathPrefix: "/x"}).Groups; len(got) != 1 {
		t.Errorf("listed %+v", got)
	}
	must(w, w.DeleteGroup, named(group("team")))
}

func TestRolesAndProfiles(t *testing.T) {
	w := newWorld(t)
	created := w.createRole("work").Role
	if created.ARN != "arn:aws:iam::100000000001:role/work" || !strings.HasPrefix(created.ID, "AROA") || created.MaxSession != 3600 {
		t.Errorf("created %+v", created)
	}
	if got, err := url.PathUnescape(created.Trust); err != nil || got != trust || strings.ContainsAny(created.Trust, `{" +`) {
		t.Errorf("the trust policy is %s, %v", created.Trust, err)
	}
	refused(w, w.CreateRole, nouns.CreateRoleRequest{Name: "WORK", Trust: trust}, "EntityAlreadyExists")
	for _, bad := range []string{"{}", "no", document} {
		refused(w, w.CreateRole, nouns.CreateRoleRequest{Name: "bad", Trust: bad}, "MalformedPolicyDocument")
		refused(w, w.UpdateAssumeRolePolicy, nouns.UpdateAssumeRolePolicyRequest{Name: "work", Trust: bad}, "MalformedPolicyDocument")
	}
	tooLong := strings.Replace(trust, `"sts:AssumeRole"`, `"sts:`+strings.Repeat("a", 2048)+`"`, 1)
	refused(w, w.CreateRole, nouns.CreateRoleRequest{Name: "bad", Trust: tooLong}, "LimitExceeded")
	description := "does work"
	must(w, w.UpdateRole, nouns.UpdateRoleRequest{Name: "work", Description: &description, MaxSession: 7200})
	must(w, w.UpdateRole, nouns.UpdateRoleRequest{Name: "work"})
	if got := must(w, w.GetRole, named(role("work"))).Role; got.Description != description || got.MaxSession != 7200 {
		t.Errorf("updated to %+v", got)
	}
	must(w, w.UpdateAssumeRolePolicy, nouns.UpdateAssumeRolePolicyRequest{Name: "work", Trust: strings.ReplaceAll(trust, account, "100000000002")})
	if got := must(w, w.ListRoles, nouns.ListRequest{}).Roles; len(got) != 1 || !strings.Contains(got[0].Trust, "100000000002") {
		t.Errorf("listed %+v", got)
	}

	machines := nouns.Subject{InstanceProfileName: "machines"}
	profile := must(w, w.CreateInstanceProfile, nouns.CreateInstanceProfileRequest{Name: "machines"}).Profile
	if profile.ARN != "arn:aws:iam::100000000001:instance-profile/machines" || !strings.HasPrefix(profile.ID, "AIPA") || len(profile.Roles) != 0 {
		t.Errorf("created %+v", profile)
	}
	both := nouns.ProfileRoleRequest{ProfileName: "machines", RoleName: "Work"}
	refused(w, w.RemoveRoleFromInstanceProfile, both, "NoSuchEntity")
	must(w, w.AddRoleToInstanceProfile, both)
	refused(w, w.AddRoleToInstanceProfile, both, "LimitExceeded")
	refused(w, w.AddRoleToInstanceProfile, nouns.ProfileRoleRequest{ProfileName: "machines", RoleName: "none"}, "NoSuchEntity")
	if got := must(w, w.GetInstanceProfile, named(machines)).Profile; len(got.Roles) != 1 || got.Roles[0].Name != "work" {
		t.Errorf("got %+v", got)
	}
	if got := must(w, w.ListInstanceProfilesForRole, pageOf(role("work"))).Profiles; len(got) != 1 || got[0].Name != "machines" {
		t.Errorf("the role is in %+v", got)
	}
	refused(w, w.DeleteRole, named(role("work")), "DeleteConflict")
	refused(w, w.DeleteInstanceProfile, named(machines), "DeleteConflict")
	must(w, w.RemoveRoleFromInstanceProfile, both)
	must(w, w.DeleteInstanceProfile, named(machines))
	must(w, w.DeleteRole, named(role("work")))
	if got := must(w, w.ListInstanceProfiles, nouns.ListRequest{}).Profiles; len(got) != 0 {
		t.Errorf("left over %+v", got)
	}
}

// TestPoliciesOfAll does to users, groups and roles what can be done to the policies of each.
func TestPoliciesOfAll(t *testing.T) {
	w := newWorld(t)
	w.createUser("x")
	must(w, w.CreateGroup, nouns.CreateGroupRequest{Name: "x"})
	w.createRole("x")
	own := w.createPolicy("own")
	t.Run("user", func(t *testing.T) { testHolder(t, w, w.Users(), user("x"), own, 2048) })
	t.Run("group", func(t *testing.T) { testHolder(t, w, w.Groups(), group("x"), own, 5120) })
	t.Run("role", func(t *testing.T) { testHolder(t, w, w.Roles(), role("x"), own, 10240) })
	for _, left := range []error{
		func() error {
			_, err := w.DeleteUser(w.ctx, w.caller, &nouns.SubjectRequest{Subject: user("x")})
			return err
		}(),
		func() error {
			_, err := w.DeleteGroup(w.ctx, w.caller, &nouns.SubjectRequest{Subject: group("x")})
			return err
		}(),
		func() error {
			_, err := w.DeleteRole(w.ctx, w.caller, &nouns.SubjectRequest{Subject: role("x")})
			return err
		}(),
		func() error {
			_, err := w.DeletePolicy(w.ctx, w.caller, &nouns.SubjectRequest{Subject: nouns.Subject{PolicyARN: own}})
			return err
		}(),
	} {
		if left != nil {
			t.Error(left)
		}
	}
}

func testHolder[T any](t *testing.T, w *world, h iam.Holders[T], s nouns.Subject, own string, size int) {
	inline := func(name string) nouns.InlinePolicyRequest { return nouns.InlinePolicyRequest{Subject: s, Name: name} }
	put := func(name, document string) nouns.PutPolicyRequest {
		return nouns.PutPolicyRequest{InlinePolicyRequest: inline(name), Document: document}
	}
	must(w, h.PutPolicy, put("b", document))
	must(w, h.PutPolicy, put("a", document))
	must(w, h.PutPolicy, put("a", document+strings.Repeat(" ", size)))
	refused(w, h.PutPolicy, put("c", long(size-2*len(document))), "LimitExceeded")
	refused(w, h.PutPolicy, put("c", trust), "MalformedPolicyDocument")
	refused(w, h.PutPolicy, nouns.PutPolicyRequest{InlinePolicyRequest: nouns.InlinePolicyRequest{Name: "a"}, Document: document}, "ValidationError")
	if got := must(w, h.GetPolicy, inline("b")); got.Document != strings.ReplaceAll(url.QueryEscape(document), "+", "%20") || got.Name != "b" || got.Subject != s {
		t.Errorf("got %+v", got)
	}
	if got := must(w, h.ListPolicies, pageOf(s)).Names; !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("listed %v", got)
	}
	refused(w, h.GetPolicy, inline("c"), "NoSuchEntity")
	refused(w, h.DeletePolicy, inline("c"), "NoSuchEntity")

	must(w, h.AttachPolicy, attach(s, own))
	must(w, h.AttachPolicy, attach(s, own))
	must(w, h.AttachPolicy, attach(s, fullARN))
	refused(w, h.AttachPolicy, attach(s, linkedARN), "PolicyNotAttachable")
	refused(w, h.AttachPolicy, attach(s, "arn:aws:iam::100000000001:policy/none"), "NoSuchEntity")
	refused(w, h.AttachPolicy, attach(s, "arn:aws:iam::100000000001:policy/path/own"), "NoSuchEntity")
	if got := must(w, h.ListAttached, nouns.ListAttachedRequest{Subject: s}).Policies; len(got) != 2 || got[0].ARN != own || got[1].Name != "VPCLatticeFullAccess" {
		t.Errorf("attached %+v", got)
	}
	refused(w, w.DeletePolicy, policyARN(own), "DeleteConflict")
	must(w, h.DetachPolicy, attach(s, fullARN))
	refused(w, h.DetachPolicy, attach(s, fullARN), "NoSuchEntity")
	for i := range 9 {
		must(w, h.AttachPolicy, attach(s, w.createPolicy(fmt.Sprint(s.UserName, s.GroupName, s.RoleName, size, "-", i))))
	}
	refused(w, h.AttachPolicy, attach(s, fullARN), "LimitExceeded")
	for _, attached := range must(w, h.ListAttached, nouns.ListAttachedRequest{Subject: s}).Policies {
		must(w, h.DetachPolicy, attach(s, attached.ARN))
	}
	must(w, h.DeletePolicy, inline("a"))
	must(w, h.DeletePolicy, inline("b"))
}

func TestEntitiesWithPoliciesStay(t *testing.T) {
	w := newWorld(t)
	w.createRole("a")
	must(w, w.Roles().AttachPolicy, attach(role("a"), fullARN))
	refused(w, w.DeleteRole, named(role("a")), "DeleteConflict")
	must(w, w.Roles().DetachPolicy, attach(role("a"), fullARN))
	must(w, w.Roles().PutPolicy, nouns.PutPolicyRequest{InlinePolicyRequest: nouns.InlinePolicyRequest{Subject: role("a"), Name: "p"}, Document: document})
	refused(w, w.DeleteRole, named(role("a")), "DeleteConflict")
}

func TestBoundaries(t *testing.T) {
	w := newWorld(t)
	w.createRole("work")
	own := w.createPolicy("own")
	roles := w.Roles()
	boundary := func(arn string) nouns.PutBoundaryRequest {
		return nouns.PutBoundaryRequest{Subject: role("work"), Boundary: arn}
	}
	refused(w, roles.DeleteBoundary, named(role("work")), "NoSuchEntity")
	must(w, roles.PutBoundary, boundary(fullARN))
	must(w, roles.PutBoundary, boundary(own))
	refused(w, roles.PutBoundary, boundary("arn:aws:iam::aws:policy/Nothing"), "NoSuchEntity")
	refused(w, roles.PutBoundary, boundary(linkedARN), "PolicyNotAttachable")
	if got := must(w, w.GetRole, named(role("work"))).Role.Boundary; got == nil || got.ARN != own || got.Type != "Policy" {
		t.Errorf("the boundary is %+v", got)
	}
	if got := must(w, w.GetPolicy, policyARN(own)).Policy; got.BoundaryUses != 1 || got.Attachments != 0 {
		t.Errorf("the policy is %+v", got)
	}
	if got := must(w, w.GetPolicy, policyARN(fullARN)).Policy; got.BoundaryUses != 0 {
		t.Errorf("the former boundary is %+v", got)
	}
	refused(w, w.DeletePolicy, policyARN(own), "DeleteConflict")
	must(w, w.DeleteRole, named(role("work")))
	must(w, w.DeletePolicy, policyARN(own))
}

func TestManagedPolicies(t *testing.T) {
	w := newWorld(t)
	arn := must(w, w.CreatePolicy, nouns.CreatePolicyRequest{Name: "Own", Path: "/team/", Document: document, Description: "d", Tags: []nouns.Tag{{Key: "a"}}}).Policy.ARN
	if arn != "arn:aws:iam::100000000001:policy/team/Own" {
		t.Errorf("created %s", arn)
	}
	refused(w, w.CreatePolicy, nouns.CreatePolicyRequest{Name: "own", Document: document}, "EntityAlreadyExists")
	refused(w, w.CreatePolicy, nouns.CreatePolicyRequest{Name: "bad", Document: "[]"}, "MalformedPolicyDocument")
	refused(w, w.CreatePolicy, nouns.CreatePolicyRequest{Name: "bad", Document: long(6144)}, "LimitExceeded")
	version := func(id string) nouns.PolicyVersionRequest { return nouns.PolicyVersionRequest{ARN: arn, Version: id} }
	for i := 2; i <= 5; i++ {
		made := must(w, w.CreatePolicyVersion, nouns.CreatePolicyVersionRequest{ARN: arn, Document: document, SetDefault: i == 3}).Version
		if made.ID != fmt.Sprint("v", i) || made.Default != (i == 3) || made.Document != "" {
			t.Errorf("made %+v", made)
		}
	}
	refused(w, w.CreatePolicyVersion, nouns.CreatePolicyVersionRequest{ARN: arn, Document: document}, "LimitExceeded")
	refused(w, w.CreatePolicyVersion, nouns.CreatePolicyVersionRequest{ARN: arn, Document: "{}"}, "MalformedPolicyDocument")
	refused(w, w.DeletePolicyVersion, version("v3"), "DeleteConflict")
	refused(w, w.DeletePolicyVersion, version("v9"), "NoSuchEntity")
	refused(w, w.GetPolicyVersion, version("v9"), "NoSuchEntity")
	refused(w, w.DeletePolicy, policyARN(arn), "DeleteConflict")
	must(w, w.SetDefaultPolicyVersion, version("v1"))
	must(w, w.DeletePolicyVersion, version("v3"))
	if made := must(w, w.CreatePolicyVersion, nouns.CreatePolicyVersionRequest{ARN: arn, Document: document}).Version; made.ID != "v6" {
		t.Errorf("the number of a deleted version was used again: %s", made.ID)
	}
	var ids []string
	for _, v := range must(w, w.ListPolicyVersions, pageOf(nouns.Subject{PolicyARN: arn})).Versions {
		ids = append(ids, v.ID)
	}
	if !slices.Equal(ids, []string{"v6", "v5", "v4", "v2", "v1"}) {
		t.Errorf("versions %v", ids)
	}
	if got := must(w, w.GetPolicy, policyARN(arn)).Policy; got.DefaultVersion != "v1" || got.Description != "d" || len(got.Tags) != 1 || !got.Attachable {
		t.Errorf("got %+v", got)
	}
	for _, id := range []string{"v2", "v4", "v5", "v6"} {
		must(w, w.DeletePolicyVersion, version(id))
	}
	must(w, w.DeletePolicy, policyARN(arn))
	refused(w, w.GetPolicy, policyARN(arn), "NoSuchEntity")
}

func TestListedPolicies(t *testing.T) {
	w := newWorld(t)
	own := w.createPolicy("own")
	w.createUser("ada")
	w.createRole("work")
	must(w, w.CreateGroup, nouns.CreateGroupRequest{Name: "team"})
	must(w, w.Users().AttachPolicy, attach(user("ada"), fullARN))
	must(w, w.Groups().AttachPolicy, attach(group("team"), fullARN))
	must(w, w.Roles().AttachPolicy, attach(role("work"), fullARN))
	must(w, w.Roles().PutBoundary, nouns.PutBoundaryRequest{Subject: role("work"), Boundary: own})
	for _, c := range []struct {
		in   nouns.ListPoliciesRequest
		want []string
	}{
		{nouns.ListPoliciesRequest{Scope: "Local"}, []string{"own"}},
		{nouns.ListPoliciesRequest{Scope: "AWS"}, []string{"AdministratorAccess", "VPCLatticeFullAccess", "VPCLatticeReadOnlyAccess", "VPCLatticeServicesInvokeAccess", "AWSVpcLatticeServiceRolePolicy"}},
		{nouns.ListPoliciesRequest{Scope: "AWS", PathPrefix: "/aws-service-role/"}, []string{"AWSVpcLatticeServiceRolePolicy"}},
		{nouns.ListPoliciesRequest{OnlyAttached: true}, []string{"VPCLatticeFullAccess"}},
		{nouns.ListPoliciesRequest{Usage: "PermissionsPolicy"}, []string{"VPCLatticeFullAccess"}},
		{nouns.ListPoliciesRequest{Usage: "PermissionsBoundary"}, []string{"own"}},
	} {
		var got []string
		for _, p := range must(w, w.ListPolicies, c.in).Policies {
			got = append(got, p.Name)
		}
		slices.Sort(got)
		slices.Sort(c.want)
		if !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v, want %v", c.in, got, c.want)
		}
	}
	for _, c := range []struct {
		in                   nouns.ListEntitiesRequest
		users, groups, roles int
	}{
		{nouns.ListEntitiesRequest{ARN: fullARN}, 1, 1, 1},
		{nouns.ListEntitiesRequest{ARN: fullARN, Filter: "Group"}, 0, 1, 0},
		{nouns.ListEntitiesRequest{ARN: fullARN, PathPrefix: "/none/"}, 0, 0, 0},
		{nouns.ListEntitiesRequest{ARN: fullARN, Usage: "PermissionsBoundary"}, 0, 0, 0},
		{nouns.ListEntitiesRequest{ARN: own}, 0, 0, 1},
		{nouns.ListEntitiesRequest{ARN: own, Usage: "PermissionsPolicy"}, 0, 0, 0},
	} {
		got := must(w, w.ListEntitiesForPolicy, c.in)
		if len(got.Users) != c.users || len(got.Groups) != c.groups || len(got.Roles) != c.roles {
			t.Errorf("%+v: %+v", c.in, got)
		}
	}
	if got := must(w.as(root("100000000002")), w.GetPolicy, policyARN(fullARN)).Policy; got.Attachments != 0 {
		t.Errorf("another account sees %d attachments", got.Attachments)
	}
	refused(w, w.ListEntitiesForPolicy, nouns.ListEntitiesRequest{ARN: "arn:aws:iam::aws:policy/Nothing"}, "NoSuchEntity")
}

// TestBuiltInPolicies wants them to be there for all, and to stay as they are.
func TestBuiltInPolicies(t *testing.T) {
	w := newWorld(t)
	version := nouns.PolicyVersionRequest{ARN: fullARN, Version: "v4"}
	got := must(w, w.GetPolicyVersion, version).Version
	if plain, err := url.PathUnescape(got.Document); err != nil || !strings.Contains(plain, "vpc-lattice:*") || strings.Contains(plain, "vpc-lattice-svcs") {
		t.Errorf("the document is %s, %v", plain, err)
	}
	refused(w, w.DeletePolicy, policyARN(fullARN), "AccessDenied")
	refused(w, w.CreatePolicyVersion, nouns.CreatePolicyVersionRequest{ARN: fullARN, Document: document}, "AccessDenied")
	refused(w, w.SetDefaultPolicyVersion, version, "AccessDenied")
	refused(w, w.DeletePolicyVersion, version, "AccessDenied")
}

func TestTags(t *testing.T) {
	w := newWorld(t)
	w.createUser("ada")
	users := w.Users()
	tag := func(tags ...nouns.Tag) nouns.TagRequest { return nouns.TagRequest{Subject: user("ada"), Tags: tags} }
	must(w, users.Tag, tag(nouns.Tag{Key: "team", Value: "red"}, nouns.Tag{Key: "stage", Value: "test"}))
	must(w, users.Tag, tag(nouns.Tag{Key: "Team", Value: "blue"}))
	refused(w, users.Tag, tag(nouns.Tag{Key: "a"}, nouns.Tag{Key: "A"}), "InvalidInput")
	refused(w, users.Tag, tag(nouns.Tag{Key: "aws:x"}), "InvalidInput")
	if got := must(w, users.ListTags, pageOf(user("ada"))).Tags; len(got) != 2 || got[0] != (nouns.Tag{Key: "Team", Value: "blue"}) {
		t.Errorf("tags %+v", got)
	}
	must(w, users.Untag, nouns.UntagRequest{Subject: user("ada"), TagKeys: []string{"TEAM", "none"}})
	var many []nouns.Tag
	for i := range 50 {
		many = append(many, nouns.Tag{Key: fmt.Sprint("key", i)})
	}
	refused(w, users.Tag, tag(many...), "LimitExceeded")
	must(w, users.Tag, tag(many[:49]...))
	refused(w, users.Tag, nouns.TagRequest{Subject: user("bob")}, "NoSuchEntity")

	key := must(w, w.CreateAccessKey, named(user("ada"))).Key
	if _, caller, err := w.Find(w.ctx, key.ID); err != nil || caller.Tags["stage"] != "test" {
		t.Errorf("the caller is %+v, %v", caller, err)
	}
	own := nouns.Subject{PolicyARN: w.createPolicy("own")}
	must(w, w.Policies().Tag, nouns.TagRequest{Subject: own, Tags: many[:1]})
	if got := must(w, w.Policies().ListTags, pageOf(own)).Tags; len(got) != 1 {
		t.Errorf("tags of a policy %+v", got)
	}
	if got := must(w, w.Policies().ListTags, pageOf(nouns.Subject{PolicyARN: fullARN})).Tags; len(got) != 0 {
		t.Errorf("tags of a built-in policy %+v", got)
	}
	refused(w, w.Policies().Tag, nouns.TagRequest{Subject: nouns.Subject{PolicyARN: fullARN}, Tags: many[:1]}, "AccessDenied")
	refused(w, w.Policies().ListTags, pageOf(nouns.Subject{PolicyARN: own.PolicyARN + "x"}), "NoSuchEntity")
	refused(w, w.Policies().ListTags, pageOf(nouns.Subject{PolicyARN: strings.Replace(own.PolicyARN, "policy/", "policy/path/", 1)}), "NoSuchEntity")
}

func TestProviders(t *testing.T) {
	w := newWorld(t)
	create := func(url string) nouns.CreateProviderRequest {
		return nouns.CreateProviderRequest{URL: url, ClientIDs: []string{"a"}, Thumbprints: []string{strings.Repeat("0", 40)}}
	}
	arn := must(w, w.CreateOpenIDConnectProvider, create("https://issuer.example.com/id/ABC")).ARN
	if arn != "arn:aws:iam::100000000001:oidc-provider/issuer.example.com/id/ABC" {
		t.Errorf("created %s", arn)
	}
	refused(w, w.CreateOpenIDConnectProvider, create("https://issuer.example.com/id/ABC"), "EntityAlreadyExists")
	must(w, w.CreateOpenIDConnectProvider, create("http://127.0.0.1:8080"))
	must(w, w.CreateOpenIDConnectProvider, create("http://localhost/x"))
	for _, bad := range []string{"issuer.example.com", "http://issuer.example.com", "https://", "https://u@x", "https://x?y", "https://x#", "https://x#y", "ftp://127.0.0.1", "http://127.0.0.1.evil.example", "://"} {
		refused(w, w.CreateOpenIDConnectProvider, create(bad), "InvalidInput")
	}
	subject := nouns.Subject{ProviderARN: arn}
	client := func(id string) nouns.ClientIDRequest { return nouns.ClientIDRequest{ProviderARN: arn, ClientID: id} }
	must(w, w.AddClientIDToOpenIDConnectProvider, client("b"))
	must(w, w.AddClientIDToOpenIDConnectProvider, client("b"))
	must(w, w.RemoveClientIDFromOpenIDConnectProvider, client("a"))
	must(w, w.RemoveClientIDFromOpenIDConnectProvider, client("none"))
	got := must(w, w.GetOpenIDConnectProvider, named(subject))
	if got.URL != "issuer.example.com/id/ABC" || !slices.Equal(got.ClientIDs, []string{"b"}) || len(got.Thumbprints) != 1 {
		t.Errorf("got %+v", got)
	}
	for i := range 99 {
		must(w, w.AddClientIDToOpenIDConnectProvider, client(fmt.Sprint("client", i)))
	}
	refused(w, w.AddClientIDToOpenIDConnectProvider, client("one more"), "LimitExceeded")
	if got := must(w, w.ListOpenIDConnectProviders, nouns.ListProvidersRequest{}).Providers; len(got) != 3 {
		t.Errorf("listed %+v", got)
	}
	must(w, w.DeleteOpenIDConnectProvider, named(subject))
	must(w, w.DeleteOpenIDConnectProvider, named(subject))
	refused(w, w.GetOpenIDConnectProvider, named(subject), "NoSuchEntity")
	refused(w, w.GetOpenIDConnectProvider, nouns.SubjectRequest{}, "ValidationError")
}

func TestPages(t *testing.T) {
	w := newWorld(t)
	for i := range 25 {
		w.createUser(fmt.Sprintf("User%02d", i))
	}
	var names []string
	in := nouns.ListRequest{Page: nouns.Page{MaxItems: 10}}
	for {
		listed := must(w, w.ListUsers, in)
		for _, u := range listed.Users {
			names = append(names, u.Name)
		}
		if in.Marker = listed.Marker; !listed.IsTruncated {
			break
		}
	}
	if len(names) != 25 || !slices.IsSorted(names) || in.Marker != "" {
		t.Errorf("listed %v", names)
	}
	refused(w, w.ListUsers, nouns.ListRequest{Page: nouns.Page{Marker: "?"}}, "ValidationError")
}

func TestAdministrator(t *testing.T) {
	w := newWorld(t)
	for _, account := range []string{account, "100000000002"} {
		first, err := w.Administrator(w.ctx, account)
		if err != nil {
			t.Fatal(err)
		}
		secret, caller, err := w.Find(w.ctx, first.AccessKeyID)
		if err != nil || secret != first.Secret || caller.Account != account || caller.ARN != "arn:aws:iam::"+account+":user/admin" {
			t.Errorf("the administrator is %+v, %v", caller, err)
		}
		if again, err := w.Administrator(w.ctx, account); err != nil || again != first {
			t.Errorf("asked again: another credential, %v", err)
		}
		own := w.as(caller)
		attached := must(own, w.Users().ListAttached, nouns.ListAttachedRequest{Subject: user("admin")}).Policies
		if len(attached) != 1 || attached[0].Name != "AdministratorAccess" {
			t.Errorf("the administrator has %+v", attached)
		}
		must(own, w.UpdateAccessKey, nouns.UpdateAccessKeyRequest{AccessKeyRequest: nouns.AccessKeyRequest{ID: first.AccessKeyID}, Status: "Inactive"})
		second, err := w.Administrator(w.ctx, account)
		if err != nil || second.AccessKeyID == first.AccessKeyID {
			t.Errorf("after its key was made inactive: %v", err)
		}
		for _, id := range []string{first.AccessKeyID, second.AccessKeyID} {
			must(own, w.DeleteAccessKey, nouns.AccessKeyRequest{ID: id})
		}
		must(own, w.Users().DetachPolicy, attach(user("admin"), "arn:aws:iam::aws:policy/AdministratorAccess"))
		must(w.as(root(account)), w.DeleteUser, named(user("admin")))
		if _, err := w.Administrator(w.ctx, account); err != nil {
			t.Errorf("after the user was deleted: %v", err)
		}
	}
}

// TestRaces has many callers want the same: one gets it.
func TestRaces(t *testing.T) {
	w := newWorld(t)
	const callers = 8
	var wg sync.WaitGroup
	var mu sync.Mutex
	won, keys := 0, map[string]bool{}
	for range callers {
		wg.Go(func() {
			_, err := w.CreateUser(w.ctx, w.caller, &nouns.CreateUserRequest{Name: "ada"})
			credential, errAdmin := w.Administrator(w.ctx, account)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
			}
			if errAdmin != nil {
				t.Error(errAdmin)
			}
			keys[credential.AccessKeyID] = true
		})
	}
	wg.Wait()
	if won != 1 || len(keys) != 1 {
		t.Errorf("%d callers made the user, and the administrator has %d keys", won, len(keys))
	}
}
