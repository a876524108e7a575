package organizations

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"pergola/aws"
	"pergola/aws/iam"
	nouns "pergola/aws/organizations"
	"pergola/control/operation"
	"pergola/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for something that must happen; never how long it takes.
const patience = 20 * time.Second

const (
	management = "100000000001"
	allowAll   = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`
	denyAll    = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}`
)

var testNow = time.Date(2026, 8, 1, 12, 0, 0, 250_000_000, time.UTC)

// world is the service with one caller, on a store of its own.
type world struct {
	*Control
	t      testing.TB
	ctx    context.Context
	caller iam.Caller
}

// root is an account's root user, who needs no policies.
func root(account string) iam.Caller {
	return iam.Caller{Account: account, ARN: "arn:aws:iam::" + account + ":root", UserID: account, Type: iam.TypeAccount}
}

func newWorld(t testing.TB) *world {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	objects, err := store.Open(ctx, store.Config{Dir: filepath.Join(t.TempDir(), "store"), NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = objects.Close() }) // a test may have closed it
	c := New(Config{Config: operation.Config{Store: objects, Now: func() time.Time { return testNow },
		Quotas: map[string]int{accountsQuota: 100}}, FirstAccount: management})
	return &world{c, t, ctx, root(management)}
}

// newOrganization is a world with an organisation in it.
func newOrganization(t testing.TB) *world {
	t.Helper()
	w := newWorld(t)
	must(w, w.CreateOrganization, nouns.CreateOrganizationRequest{})
	return w
}

// withPolicies is a world with an organisation in which policies are enabled.
func withPolicies(t testing.TB) *world {
	t.Helper()
	w := newOrganization(t)
	must(w, w.EnablePolicyType, nouns.PolicyTypeRequest{RootID: w.root(), PolicyType: nouns.ServiceControlPolicy})
	return w
}

// must carries out an operation that cannot fail.
func must[In, Out any](w *world, f func(context.Context, iam.Caller, *In) (*Out, error), in In) *Out {
	w.t.Helper()
	answer, err := f(w.ctx, w.caller, &in)
	if err != nil {
		w.t.Fatalf("%+v: %v", in, err)
	}
	return answer
}

// refused carries out an operation that must fail with a code, or a code and a reason: "Code REASON".
func refused[In, Out any](w *world, f func(context.Context, iam.Caller, *In) (*Out, error), in In, code string) {
	w.t.Helper()
	answer, err := f(w.ctx, w.caller, &in)
	if got := codeOf(err); got != code {
		w.t.Errorf("%+v: %+v, %v, want %s", in, answer, err, code)
	}
}

func codeOf(err error) string {
	var named *aws.Error
	if errors.As(err, &named) {
		return strings.TrimSpace(strings.TrimSuffix(named.Code, "Exception") + " " + named.Reason)
	}
	return fmt.Sprint(err)
}

// as is the same world with another caller.
func (w *world) as(account string) *world {
	other := *w
	other.caller.Account = account
	return &other
}

func (w *world) root() string {
	w.t.Helper()
	return must(w, w.ListRoots, nouns.ListRootsRequest{}).Roots[0].ID
}

func (w *world) account(name string) string {
	w.t.Helper()
	status := must(w, w.CreateAccount, nouns.CreateAccountRequest{Email: name + "@example.com", AccountName: name}).Status
	if status.State != nouns.CreationSucceeded {
		w.t.Fatalf("account %s: %+v", name, status)
	}
	return status.AccountID
}

func (w *world) unit(parent, name string) string {
	w.t.Helper()
	return must(w, w.CreateOrganizationalUnit, nouns.CreateOrganizationalUnitRequest{ParentID: parent, Name: name}).Unit.ID
}

func (w *world) newPolicy(name, content string) string {
	w.t.Helper()
	return must(w, w.CreatePolicy, nouns.CreatePolicyRequest{Name: name, Content: content, Type: nouns.ServiceControlPolicy}).Policy.Summary.ID
}

// attached are the policies of a target, in order of id.
func (w *world) attached(target string) (ids []string) {
	w.t.Helper()
	for _, p := range must(w, w.ListPoliciesForTarget, nouns.ListPoliciesForTargetRequest{TargetID: target, Filter: nouns.ServiceControlPolicy}).Policies {
		ids = append(ids, p.ID)
	}
	return ids
}

// tree is the organisation as nodes see it.
func (w *world) tree() *nouns.Tree {
	w.t.Helper()
	var o nouns.Objects
	err := w.Store.View(w.ctx, func(tx *store.Tx) error {
		organization, err := current(tx)
		if err != nil {
			return err
		}
		o = nouns.Objects{Organization: *organization}
		return errors.Join(read(tx, units.Objects, &o.Units), read(tx, accounts.Objects, &o.Accounts),
			read(tx, policies.Objects, &o.Policies))
	})
	if err != nil {
		w.t.Fatal(err)
	}
	tree, err := nouns.NewTree(o)
	if err != nil {
		w.t.Fatal(err)
	}
	return tree
}

func read[T any](tx *store.Tx, kind store.Kind[T], into *[]T) error {
	entries, _, err := kind.List(tx, "", "", 0)
	for _, entry := range entries {
		*into = append(*into, entry.Value)
	}
	return err
}

func TestOrganization(t *testing.T) {
	w := newWorld(t)
	refused(w, w.DescribeOrganization, nouns.DescribeOrganizationRequest{}, "AWSOrganizationsNotInUse")
	refused(w, w.ListAccounts, nouns.ListAccountsRequest{}, "AWSOrganizationsNotInUse")
	refused(w.as("100000000002"), w.CreateOrganization, nouns.CreateOrganizationRequest{}, "AccessDenied")

	made := must(w, w.CreateOrganization, nouns.CreateOrganizationRequest{}).Organization
	if made.MasterAccountID != management || made.FeatureSet != nouns.FeaturesAll || len(made.AvailablePolicyTypes) != 1 ||
		made.ARN != "arn:aws:organizations::100000000001:organization/"+made.ID ||
		made.MasterAccountARN != "arn:aws:organizations::100000000001:account/"+made.ID+"/100000000001" {
		t.Errorf("made %+v", made)
	}
	if got := must(w, w.DescribeOrganization, nouns.DescribeOrganizationRequest{}).Organization; !reflect.DeepEqual(got, made) {
		t.Errorf("described %+v, made %+v", got, made)
	}
	refused(w, w.CreateOrganization, nouns.CreateOrganizationRequest{}, "AlreadyInOrganization")
	roots := must(w, w.ListRoots, nouns.ListRootsRequest{}).Roots
	if len(roots) != 1 || roots[0].Name != "Root" || roots[0].ARN != "arn:aws:organizations::100000000001:root/"+made.ID+"/"+roots[0].ID || len(roots[0].PolicyTypes) != 0 {
		t.Errorf("roots %+v", roots)
	}

	account := w.account("red")
	refused(w, w.DeleteOrganization, nouns.DeleteOrganizationRequest{}, "OrganizationNotEmpty")
	must(w, w.RemoveAccountFromOrganization, nouns.RemoveAccountFromOrganizationRequest{ID: account})
	w.unit(roots[0].ID, "left")
	w.newPolicy("left", denyAll)
	must(w, w.DeleteOrganization, nouns.DeleteOrganizationRequest{})
	refused(w, w.DescribeOrganization, nouns.DescribeOrganizationRequest{}, "AWSOrganizationsNotInUse")

	again := must(w, w.CreateOrganization, nouns.CreateOrganizationRequest{FeatureSet: nouns.FeaturesBilling}).Organization
	if again.ID == made.ID || len(again.AvailablePolicyTypes) != 0 {
		t.Errorf("made again %+v", again)
	}
	if got := must(w, w.ListChildren, nouns.ListChildrenRequest{ParentID: w.root(), ChildType: nouns.TypeUnit}).Children; len(got) != 0 {
		t.Errorf("units are left: %v", got)
	}
	if got := w.account("red2"); got == account {
		t.Errorf("account %s is there twice", got)
	}
	refused(w, w.CreatePolicy, nouns.CreatePolicyRequest{Name: "x", Content: denyAll, Type: nouns.ServiceControlPolicy}, "PolicyTypeNotAvailableForOrganization")
	refused(w, w.EnablePolicyType, nouns.PolicyTypeRequest{RootID: w.root(), PolicyType: nouns.ServiceControlPolicy}, "PolicyTypeNotAvailableForOrganization")
}

func TestOnlyTheManagementAccountManages(t *testing.T) {
	w := newOrganization(t)
	member := w.as(w.account("red"))
	if got := must(member, w.DescribeOrganization, nouns.DescribeOrganizationRequest{}).Organization.MasterAccountID; got != management {
		t.Errorf("a member sees the management account %s", got)
	}
	refused(member, w.CreateOrganization, nouns.CreateOrganizationRequest{}, "AlreadyInOrganization")
	for _, account := range []struct{ id, code string }{
		{member.caller.Account, "AccessDenied"}, {"100000000099", "AWSOrganizationsNotInUse"},
	} {
		w := w.as(account.id)
		refused(w, w.DeleteOrganization, nouns.DeleteOrganizationRequest{}, account.code)
		refused(w, w.ListRoots, nouns.ListRootsRequest{}, account.code)
		refused(w, w.CreateAccount, nouns.CreateAccountRequest{}, account.code)
		refused(w, w.DescribeCreateAccountStatus, nouns.DescribeCreateAccountStatusRequest{}, account.code)
		refused(w, w.ListCreateAccountStatus, nouns.ListCreateAccountStatusRequest{}, account.code)
		refused(w, w.DescribeAccount, nouns.DescribeAccountRequest{ID: account.id}, account.code)
		refused(w, w.ListAccounts, nouns.ListAccountsRequest{}, account.code)
		refused(w, w.ListAccountsForParent, nouns.ListAccountsForParentRequest{}, account.code)
		refused(w, w.MoveAccount, nouns.MoveAccountRequest{}, account.code)
		refused(w, w.RemoveAccountFromOrganization, nouns.RemoveAccountFromOrganizationRequest{ID: account.id}, account.code)
		refused(w, w.CreateOrganizationalUnit, nouns.CreateOrganizationalUnitRequest{}, account.code)
		refused(w, w.DescribeOrganizationalUnit, nouns.DescribeOrganizationalUnitRequest{}, account.code)
		refused(w, w.UpdateOrganizationalUnit, nouns.UpdateOrganizationalUnitRequest{}, account.code)
		refused(w, w.DeleteOrganizationalUnit, nouns.DeleteOrganizationalUnitRequest{}, account.code)
		refused(w, w.ListOrganizationalUnitsForParent, nouns.ListOrganizationalUnitsForParentRequest{}, account.code)
		refused(w, w.ListParents, nouns.ListParentsRequest{}, account.code)
		refused(w, w.ListChildren, nouns.ListChildrenRequest{}, account.code)
		refused(w, w.EnablePolicyType, nouns.PolicyTypeRequest{}, account.code)
		refused(w, w.DisablePolicyType, nouns.PolicyTypeRequest{}, account.code)
		refused(w, w.CreatePolicy, nouns.CreatePolicyRequest{}, account.code)
		refused(w, w.DescribePolicy, nouns.DescribePolicyRequest{ID: nouns.FullAccessID}, account.code)
		refused(w, w.UpdatePolicy, nouns.UpdatePolicyRequest{}, account.code)
		refused(w, w.DeletePolicy, nouns.DeletePolicyRequest{}, account.code)
		refused(w, w.ListPolicies, nouns.ListPoliciesRequest{}, account.code)
		refused(w, w.AttachPolicy, nouns.AttachmentRequest{}, account.code)
		refused(w, w.DetachPolicy, nouns.AttachmentRequest{}, account.code)
		refused(w, w.ListPoliciesForTarget, nouns.ListPoliciesForTargetRequest{}, account.code)
		refused(w, w.ListTargetsForPolicy, nouns.ListTargetsForPolicyRequest{}, account.code)
		refused(w, w.TagResource, nouns.TagResourceRequest{}, account.code)
		refused(w, w.UntagResource, nouns.UntagResourceRequest{}, account.code)
		refused(w, w.ListTagsForResource, nouns.ListTagsForResourceRequest{}, account.code)
	}
}

func TestAccounts(t *testing.T) {
	w := newOrganization(t)
	root := w.root()
	red, blue := w.account("red"), w.account("blue")
	if red != "100000000002" || blue != "100000000003" {
		t.Errorf("accounts %s and %s, want those that follow the first", red, blue)
	}
	got := must(w, w.DescribeAccount, nouns.DescribeAccountRequest{ID: red}).Account
	organization := must(w, w.DescribeOrganization, nouns.DescribeOrganizationRequest{}).Organization.ID
	want := nouns.AccountDescription{
		ID: red, ARN: "arn:aws:organizations::100000000001:account/" + organization + "/" + red, Email: "red@example.com", Name: "red",
		Status: "ACTIVE", State: "ACTIVE", Paths: []string{organization + "/" + root + "/" + red + "/"}, Method: nouns.JoinedCreated,
		Joined: aws.Timestamp{Time: testNow},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if got := must(w, w.DescribeAccount, nouns.DescribeAccountRequest{ID: management}).Account; got.Method != nouns.JoinedInvited {
		t.Errorf("the management account is %+v", got)
	}
	refused(w, w.DescribeAccount, nouns.DescribeAccountRequest{ID: "100000000009"}, "AccountNotFound")
	refused(w, w.ListAccountsForParent, nouns.ListAccountsForParentRequest{ParentID: "ou-abcd-12345678"}, "ParentNotFound")

	refused(w, w.RemoveAccountFromOrganization, nouns.RemoveAccountFromOrganizationRequest{ID: management}, "MasterCannotLeaveOrganization")
	must(w, w.RemoveAccountFromOrganization, nouns.RemoveAccountFromOrganizationRequest{ID: red})
	refused(w, w.RemoveAccountFromOrganization, nouns.RemoveAccountFromOrganizationRequest{ID: red}, "AccountNotFound")
	refused(w, w.DescribeAccount, nouns.DescribeAccountRequest{ID: red}, "AccountNotFound")
	refused(w, w.ListParents, nouns.ListParentsRequest{ChildID: red}, "ChildNotFound")
	refused(w, w.ListPoliciesForTarget, nouns.ListPoliciesForTargetRequest{TargetID: red}, "TargetNotFound")
	refused(w.as(red), w.DescribeOrganization, nouns.DescribeOrganizationRequest{}, "AWSOrganizationsNotInUse")
	if all := must(w, w.ListAccounts, nouns.ListAccountsRequest{}).Accounts; len(all) != 2 || all[0].ID != management || all[1].ID != blue {
		t.Errorf("accounts %+v", all)
	}
	if _, ok := w.tree().Membership(red); ok {
		t.Error("an account that was removed is a member")
	}
	for account, want := range map[string]bool{management: true, red: true, blue: true, "100000000009": false} {
		if got, err := w.Exists(w.ctx, account); got != want || err != nil {
			t.Errorf("%s exists: %v, %v", account, got, err)
		}
	}
}

func TestAccountCreations(t *testing.T) {
	w := newOrganization(t)
	w.account("red")
	failed := must(w, w.CreateAccount, nouns.CreateAccountRequest{Email: "RED@example.com", AccountName: "other"}).Status
	if failed.State != nouns.CreationFailed || failed.FailureReason != "EMAIL_ALREADY_EXISTS" || failed.AccountID != "" {
		t.Errorf("%+v", failed)
	}
	if got := must(w, w.DescribeCreateAccountStatus, nouns.DescribeCreateAccountStatusRequest{ID: failed.ID}).Status; !reflect.DeepEqual(got, failed) {
		t.Errorf("described %+v, answered %+v", got, failed)
	}
	refused(w, w.DescribeCreateAccountStatus, nouns.DescribeCreateAccountStatusRequest{ID: "car-00000000"}, "CreateAccountStatusNotFound")
	for n, states := range [][]nouns.CreationState{{"IN_PROGRESS"}, {"FAILED"}, {}} {
		if got := must(w, w.ListCreateAccountStatus, nouns.ListCreateAccountStatusRequest{States: states}).Statuses; len(got) != n {
			t.Errorf("%v: %+v, want %d", states, got, n)
		}
	}
	refused(w, w.CreateAccount, nouns.CreateAccountRequest{Email: "blue@example.com", Tags: []nouns.Tag{{Key: "a"}, {Key: "a"}}}, "InvalidInput DUPLICATE_TAG_KEY")
	if got := w.account("blue"); got != "100000000003" {
		t.Errorf("the next account is %s: one that was not made has taken a number", got)
	}
}

func TestUnits(t *testing.T) {
	w := newOrganization(t)
	root := w.root()
	organization := must(w, w.DescribeOrganization, nouns.DescribeOrganizationRequest{}).Organization.ID
	outer := must(w, w.CreateOrganizationalUnit, nouns.CreateOrganizationalUnitRequest{ParentID: root, Name: "outer"}).Unit
	if !strings.HasPrefix(outer.ID, "ou-"+strings.TrimPrefix(root, "r-")+"-") || outer.Name != "outer" ||
		outer.ARN != "arn:aws:organizations::100000000001:ou/"+organization+"/"+outer.ID || outer.Path != organization+"/"+root+"/"+outer.ID+"/" {
		t.Errorf("%+v", outer)
	}
	inner := w.unit(outer.ID, "outer") // the name is free below another parent
	refused(w, w.CreateOrganizationalUnit, nouns.CreateOrganizationalUnitRequest{ParentID: root, Name: "outer"}, "DuplicateOrganizationalUnit")
	refused(w, w.CreateOrganizationalUnit, nouns.CreateOrganizationalUnitRequest{ParentID: "ou-abcd-00000000", Name: "x"}, "ParentNotFound")
	refused(w, w.CreateOrganizationalUnit, nouns.CreateOrganizationalUnitRequest{ParentID: root, Name: "x", Tags: []nouns.Tag{{Key: "aws:x"}}}, "InvalidInput INVALID_SYSTEM_TAGS_PARAMETER")

	other, name := w.unit(root, "other"), "renamed"
	if got := must(w, w.UpdateOrganizationalUnit, nouns.UpdateOrganizationalUnitRequest{ID: outer.ID, Name: &name}).Unit; got.Name != name || got.Path != outer.Path {
		t.Errorf("renamed %+v", got)
	}
	must(w, w.UpdateOrganizationalUnit, nouns.UpdateOrganizationalUnitRequest{ID: outer.ID, Name: &name})
	must(w, w.UpdateOrganizationalUnit, nouns.UpdateOrganizationalUnitRequest{ID: outer.ID})
	refused(w, w.UpdateOrganizationalUnit, nouns.UpdateOrganizationalUnitRequest{ID: other, Name: &name}, "DuplicateOrganizationalUnit")
	refused(w, w.UpdateOrganizationalUnit, nouns.UpdateOrganizationalUnitRequest{ID: "ou-abcd-00000000", Name: &name}, "OrganizationalUnitNotFound")
	if got := must(w, w.DescribeOrganizationalUnit, nouns.DescribeOrganizationalUnitRequest{ID: inner}).Unit; got.Name != "outer" || got.Path != outer.Path+inner+"/" {
		t.Errorf("inner %+v", got)
	}
	refused(w, w.DescribeOrganizationalUnit, nouns.DescribeOrganizationalUnitRequest{ID: "ou-abcd-00000000"}, "OrganizationalUnitNotFound")
	if got := must(w, w.ListOrganizationalUnitsForParent, nouns.ListOrganizationalUnitsForParentRequest{ParentID: root}).Units; len(got) != 2 {
		t.Errorf("below the root are %+v", got)
	}
	refused(w, w.ListOrganizationalUnitsForParent, nouns.ListOrganizationalUnitsForParentRequest{ParentID: "r-zzzz"}, "ParentNotFound")

	refused(w, w.DeleteOrganizationalUnit, nouns.DeleteOrganizationalUnitRequest{ID: outer.ID}, "OrganizationalUnitNotEmpty")
	must(w, w.DeleteOrganizationalUnit, nouns.DeleteOrganizationalUnitRequest{ID: inner})
	must(w, w.DeleteOrganizationalUnit, nouns.DeleteOrganizationalUnitRequest{ID: outer.ID})
	refused(w, w.DeleteOrganizationalUnit, nouns.DeleteOrganizationalUnitRequest{ID: outer.ID}, "OrganizationalUnitNotFound")
}

func TestUnitLimits(t *testing.T) {
	w := newOrganization(t)
	parent := w.root()
	for depth := range maxDepth {
		parent = w.unit(parent, fmt.Sprint(depth))
	}
	refused(w, w.CreateOrganizationalUnit, nouns.CreateOrganizationalUnitRequest{ParentID: parent, Name: "deeper"}, "ConstraintViolation OU_DEPTH_LIMIT_EXCEEDED")
	root := w.root()
	_, err := w.Store.Update(w.ctx, func(tx *store.Tx) error {
		for n := maxDepth; n < maxUnits; n++ {
			unit := nouns.Unit{ID: fmt.Sprintf("ou-many-%08d", n), Name: fmt.Sprint("unit ", n), Parent: root}
			if err := units.Objects.Put(tx, unit.ID, unit); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	refused(w, w.CreateOrganizationalUnit, nouns.CreateOrganizationalUnitRequest{ParentID: root, Name: "more"}, "ConstraintViolation OU_NUMBER_LIMIT_EXCEEDED")
}

func TestMoves(t *testing.T) {
	w := newOrganization(t)
	root, red := w.root(), w.account("red")
	unit := w.unit(root, "unit")
	move := func(account, from, to, code string) {
		t.Helper()
		refused(w, w.MoveAccount, nouns.MoveAccountRequest{ID: account, Source: from, Destination: to}, code)
	}
	move("100000000009", root, unit, "AccountNotFound")
	move(red, unit, root, "SourceParentNotFound")
	move(red, root, "ou-abcd-00000000", "DestinationParentNotFound")
	move(red, root, root, "DuplicateAccount")
	must(w, w.MoveAccount, nouns.MoveAccountRequest{ID: red, Source: root, Destination: unit})
	refused(w, w.DeleteOrganizationalUnit, nouns.DeleteOrganizationalUnitRequest{ID: unit}, "OrganizationalUnitNotEmpty")

	if got := must(w, w.ListAccountsForParent, nouns.ListAccountsForParentRequest{ParentID: unit}).Accounts; len(got) != 1 || got[0].ID != red ||
		!strings.HasSuffix(got[0].Paths[0], "/"+root+"/"+unit+"/"+red+"/") {
		t.Errorf("in the unit: %+v", got)
	}
	for child, parent := range map[string]nouns.Relative{
		red: {ID: unit, Type: nouns.TypeUnit}, unit: {ID: root, Type: nouns.TypeRoot}, management: {ID: root, Type: nouns.TypeRoot},
	} {
		if got := must(w, w.ListParents, nouns.ListParentsRequest{ChildID: child}).Parents; len(got) != 1 || got[0] != parent {
			t.Errorf("the parents of %s are %+v, want %+v", child, got, parent)
		}
	}
	refused(w, w.ListParents, nouns.ListParentsRequest{ChildID: "ou-abcd-00000000"}, "ChildNotFound")
	refused(w, w.ListChildren, nouns.ListChildrenRequest{ParentID: "ou-abcd-00000000", ChildType: nouns.TypeAccount}, "ParentNotFound")
	for _, c := range []struct {
		parent, sort string
		want         []nouns.Relative
	}{
		{root, nouns.TypeAccount, []nouns.Relative{{ID: management, Type: nouns.TypeAccount}}},
		{root, nouns.TypeUnit, []nouns.Relative{{ID: unit, Type: nouns.TypeUnit}}},
		{unit, nouns.TypeAccount, []nouns.Relative{{ID: red, Type: nouns.TypeAccount}}},
		{unit, nouns.TypeUnit, []nouns.Relative{}},
	} {
		if got := must(w, w.ListChildren, nouns.ListChildrenRequest{ParentID: c.parent, ChildType: c.sort}).Children; !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s of %s: %+v, want %+v", c.sort, c.parent, got, c.want)
		}
	}
	if member, ok := w.tree().Membership(red); !ok || !strings.HasSuffix(member.Path, "/"+root+"/"+unit+"/") {
		t.Errorf("red is %+v", member)
	}
}

func TestPolicies(t *testing.T) {
	w := newOrganization(t)
	scp := nouns.ServiceControlPolicy
	made := must(w, w.CreatePolicy, nouns.CreatePolicyRequest{Name: "deny", Description: "d", Content: denyAll, Type: scp}).Policy
	organization := must(w, w.DescribeOrganization, nouns.DescribeOrganizationRequest{}).Organization.ID
	if made.Content != denyAll || made.Summary.AWSManaged || made.Summary.Type != scp ||
		made.Summary.ARN != "arn:aws:organizations::100000000001:policy/"+organization+"/service_control_policy/"+made.Summary.ID {
		t.Errorf("made %+v", made)
	}
	id, full := made.Summary.ID, must(w, w.DescribePolicy, nouns.DescribePolicyRequest{ID: nouns.FullAccessID}).Policy.Summary
	if !full.AWSManaged || full.ARN != "arn:aws:organizations::aws:policy/service_control_policy/p-FullAWSAccess" || full.Name != "FullAWSAccess" {
		t.Errorf("built in: %+v", full)
	}
	for _, c := range []struct{ name, content, policyType, code string }{
		{"deny", allowAll, scp, "DuplicatePolicy"},
		{"FullAWSAccess", allowAll, scp, "DuplicatePolicy"},
		{"x", `[]`, scp, "MalformedPolicyDocument"},
		{"x", `{}`, scp, "MalformedPolicyDocument"},
		{"x", `{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`, scp, "MalformedPolicyDocument"},
		{"x", denyAll + strings.Repeat(" ", maxDocument), scp, "ConstraintViolation POLICY_CONTENT_LIMIT_EXCEEDED"},
		{"x", allowAll, "TAG_POLICY", "PolicyTypeNotAvailableForOrganization"},
	} {
		refused(w, w.CreatePolicy, nouns.CreatePolicyRequest{Name: c.name, Content: c.content, Type: c.policyType}, c.code)
	}

	name, content, description, bad, taken := "renamed", allowAll, "", "{", "FullAWSAccess"
	got := must(w, w.UpdatePolicy, nouns.UpdatePolicyRequest{ID: id, Name: &name, Content: &content}).Policy
	if got.Summary.Name != name || got.Summary.Description != "d" || got.Content != allowAll {
		t.Errorf("updated %+v", got)
	}
	if got := must(w, w.UpdatePolicy, nouns.UpdatePolicyRequest{ID: id, Description: &description}).Policy; got.Summary.Description != "" || got.Summary.Name != name {
		t.Errorf("updated %+v", got)
	}
	refused(w, w.UpdatePolicy, nouns.UpdatePolicyRequest{ID: id, Content: &bad}, "MalformedPolicyDocument")
	refused(w, w.UpdatePolicy, nouns.UpdatePolicyRequest{ID: id, Name: &taken}, "DuplicatePolicy")
	refused(w, w.UpdatePolicy, nouns.UpdatePolicyRequest{ID: "p-00000000"}, "PolicyNotFound")
	refused(w, w.UpdatePolicy, nouns.UpdatePolicyRequest{ID: nouns.FullAccessID}, "InvalidInput IMMUTABLE_POLICY")
	refused(w, w.DeletePolicy, nouns.DeletePolicyRequest{ID: nouns.FullAccessID}, "InvalidInput IMMUTABLE_POLICY")
	refused(w, w.DeletePolicy, nouns.DeletePolicyRequest{ID: "p-00000000"}, "PolicyNotFound")
	refused(w, w.DescribePolicy, nouns.DescribePolicyRequest{ID: "p-00000000"}, "PolicyNotFound")
	if got := must(w, w.ListPolicies, nouns.ListPoliciesRequest{Filter: scp}).Policies; len(got) != 2 {
		t.Errorf("policies %+v", got)
	}
	if got := must(w, w.ListPolicies, nouns.ListPoliciesRequest{Filter: "TAG_POLICY"}).Policies; len(got) != 0 {
		t.Errorf("tag policies %+v", got)
	}
	must(w, w.DeletePolicy, nouns.DeletePolicyRequest{ID: id})
	refused(w, w.DescribePolicy, nouns.DescribePolicyRequest{ID: id}, "PolicyNotFound")
}

// TestTypesOfPolicies asks with the condition key for the type of a policy.
func TestTypesOfPolicies(t *testing.T) {
	w := withPolicies(t)
	user := iam.User{Entity: iam.Entity{Account: management, Name: "ada", Path: "/", UniqueID: "AIDA"}}
	as := func(policyType string) {
		user.Inline = map[string]string{"own": `{"Statement":{"Effect":"Allow","Action":"organizations:*","Resource":"*","Condition":{"StringEquals":{"organizations:PolicyType":"` + policyType + `"}}}}`}
		if _, err := w.Store.Update(w.ctx, func(tx *store.Tx) error {
			return store.NewKind[iam.User](iam.KindUser).Put(tx, iam.ID(management, user.Name), user)
		}); err != nil {
			t.Fatal(err)
		}
		w.caller = iam.Caller{Account: management, ARN: user.ARN(), UserID: user.UniqueID, Type: iam.TypeUser}
	}
	describe, list := nouns.DescribePolicyRequest{ID: nouns.FullAccessID}, nouns.ListPoliciesRequest{Filter: nouns.ServiceControlPolicy}
	as("TAG_POLICY")
	refused(w, w.DescribePolicy, describe, "AccessDenied")
	refused(w, w.ListPolicies, list, "AccessDenied")
	as(nouns.ServiceControlPolicy)
	must(w, w.DescribePolicy, describe)
	must(w, w.ListPolicies, list)
}

func TestAttachments(t *testing.T) {
	w := newOrganization(t)
	root, red := w.root(), w.account("red")
	unit := w.unit(root, "unit")
	deny := w.newPolicy("deny", denyAll)
	refused(w, w.AttachPolicy, nouns.AttachmentRequest{PolicyID: deny, TargetID: red}, "PolicyTypeNotEnabled")
	refused(w, w.DetachPolicy, nouns.AttachmentRequest{PolicyID: deny, TargetID: red}, "PolicyTypeNotEnabled")
	refused(w, w.DisablePolicyType, nouns.PolicyTypeRequest{RootID: root, PolicyType: nouns.ServiceControlPolicy}, "PolicyTypeNotEnabled")
	refused(w, w.EnablePolicyType, nouns.PolicyTypeRequest{RootID: "r-zzzz", PolicyType: nouns.ServiceControlPolicy}, "RootNotFound")
	refused(w, w.EnablePolicyType, nouns.PolicyTypeRequest{RootID: root, PolicyType: "TAG_POLICY"}, "PolicyTypeNotAvailableForOrganization")

	enabled := must(w, w.EnablePolicyType, nouns.PolicyTypeRequest{RootID: root, PolicyType: nouns.ServiceControlPolicy}).Root
	if len(enabled.PolicyTypes) != 1 || enabled.PolicyTypes[0].Status != "ENABLED" {
		t.Errorf("%+v", enabled)
	}
	refused(w, w.EnablePolicyType, nouns.PolicyTypeRequest{RootID: root, PolicyType: nouns.ServiceControlPolicy}, "PolicyTypeAlreadyEnabled")
	for _, target := range []string{root, unit, red, management, w.account("later"), w.unit(root, "later")} {
		if got := w.attached(target); !reflect.DeepEqual(got, []string{nouns.FullAccessID}) {
			t.Errorf("%s has the policies %v", target, got)
		}
	}

	refused(w, w.AttachPolicy, nouns.AttachmentRequest{PolicyID: "p-00000000", TargetID: red}, "PolicyNotFound")
	for _, target := range []string{"100000000009", "ou-abcd-00000000", "r-zzzz"} {
		refused(w, w.AttachPolicy, nouns.AttachmentRequest{PolicyID: deny, TargetID: target}, "TargetNotFound")
	}
	refused(w, w.DetachPolicy, nouns.AttachmentRequest{PolicyID: deny, TargetID: red}, "PolicyNotAttached")
	refused(w, w.DetachPolicy, nouns.AttachmentRequest{PolicyID: nouns.FullAccessID, TargetID: red}, "ConstraintViolation MIN_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED")
	for _, target := range []string{root, unit, red} {
		must(w, w.AttachPolicy, nouns.AttachmentRequest{PolicyID: deny, TargetID: target})
	}
	refused(w, w.AttachPolicy, nouns.AttachmentRequest{PolicyID: deny, TargetID: red}, "DuplicatePolicyAttachment")
	refused(w, w.DeletePolicy, nouns.DeletePolicyRequest{ID: deny}, "PolicyInUse")
	want := map[string]string{root: "ROOT Root", unit: "ORGANIZATIONAL_UNIT unit", red: "ACCOUNT red"}
	targets := must(w, w.ListTargetsForPolicy, nouns.ListTargetsForPolicyRequest{ID: deny}).Targets
	for _, target := range targets {
		if want[target.ID] != target.Type+" "+target.Name || !strings.HasSuffix(target.ARN, "/"+target.ID) {
			t.Errorf("target %+v", target)
		}
	}
	if len(targets) != len(want) {
		t.Errorf("targets %+v", targets)
	}
	refused(w, w.ListTargetsForPolicy, nouns.ListTargetsForPolicyRequest{ID: "p-00000000"}, "PolicyNotFound")

	must(w, w.DetachPolicy, nouns.AttachmentRequest{PolicyID: nouns.FullAccessID, TargetID: red})
	if got := w.attached(red); !reflect.DeepEqual(got, []string{deny}) {
		t.Errorf("red has %v", got)
	}
	for n := range maxAttached - 1 {
		must(w, w.AttachPolicy, nouns.AttachmentRequest{PolicyID: w.newPolicy(fmt.Sprint(n), denyAll), TargetID: red})
	}
	refused(w, w.AttachPolicy, nouns.AttachmentRequest{PolicyID: nouns.FullAccessID, TargetID: red}, "ConstraintViolation MAX_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED")

	must(w, w.DisablePolicyType, nouns.PolicyTypeRequest{RootID: root, PolicyType: nouns.ServiceControlPolicy})
	must(w, w.EnablePolicyType, nouns.PolicyTypeRequest{RootID: root, PolicyType: nouns.ServiceControlPolicy})
	if got := w.attached(red); !reflect.DeepEqual(got, []string{nouns.FullAccessID}) {
		t.Errorf("red has %v, want the built-in policy alone", got)
	}
}

// TestLevels is what authorisation will see.
func TestLevels(t *testing.T) {
	w := withPolicies(t)
	root, red := w.root(), w.account("red")
	unit := w.unit(root, "unit")
	must(w, w.MoveAccount, nouns.MoveAccountRequest{ID: red, Source: root, Destination: unit})
	must(w, w.AttachPolicy, nouns.AttachmentRequest{PolicyID: w.newPolicy("deny", denyAll), TargetID: unit})
	member, ok := w.tree().Membership(red)
	if want := [][]string{{allowAll}, {allowAll, denyAll}, {allowAll}}; !ok || !reflect.DeepEqual(member.Levels, want) {
		t.Errorf("%+v, want the levels %q", member, want)
	}
	if member, ok := w.tree().Membership(management); !ok || member.Levels != nil {
		t.Errorf("the management account is bounded: %+v", member)
	}
}

func TestTags(t *testing.T) {
	w := newOrganization(t)
	root := w.root()
	tagged := []nouns.Tag{{Key: "a", Value: "1"}}
	account := must(w, w.CreateAccount, nouns.CreateAccountRequest{Email: "red@example.com", AccountName: "red", Tags: tagged}).Status.AccountID
	unit := must(w, w.CreateOrganizationalUnit, nouns.CreateOrganizationalUnitRequest{ParentID: root, Name: "unit", Tags: tagged}).Unit.ID
	policy := must(w, w.CreatePolicy, nouns.CreatePolicyRequest{Name: "deny", Content: denyAll, Type: nouns.ServiceControlPolicy, Tags: tagged}).Policy.Summary.ID
	must(w, w.TagResource, nouns.TagResourceRequest{ResourceID: root, Tags: tagged})
	for _, id := range []string{root, account, unit, policy} {
		must(w, w.TagResource, nouns.TagResourceRequest{ResourceID: id, Tags: []nouns.Tag{{Key: "b", Value: "2"}, {Key: "c", Value: ""}}})
		must(w, w.UntagResource, nouns.UntagResourceRequest{ResourceID: id, TagKeys: []string{"b", "never"}})
		got := must(w, w.ListTagsForResource, nouns.ListTagsForResourceRequest{ResourceID: id}).Tags
		if want := []nouns.Tag{{Key: "a", Value: "1"}, {Key: "c", Value: ""}}; !reflect.DeepEqual(got, want) {
			t.Errorf("%s has %v, want %v", id, got, want)
		}
	}
	var many []nouns.Tag
	for n := range maxTags {
		many = append(many, nouns.Tag{Key: fmt.Sprint("key ", n)})
	}
	refused(w, w.TagResource, nouns.TagResourceRequest{ResourceID: unit, Tags: many}, "ConstraintViolation MAX_TAG_LIMIT_EXCEEDED")
	refused(w, w.TagResource, nouns.TagResourceRequest{ResourceID: unit, Tags: []nouns.Tag{{Key: "AWS:x"}}}, "InvalidInput INVALID_SYSTEM_TAGS_PARAMETER")
	refused(w, w.TagResource, nouns.TagResourceRequest{ResourceID: nouns.FullAccessID, Tags: tagged}, "InvalidInput IMMUTABLE_POLICY")
	refused(w, w.TagResource, nouns.TagResourceRequest{ResourceID: "p-00000000", Tags: tagged}, "PolicyNotFound")
	refused(w, w.UntagResource, nouns.UntagResourceRequest{ResourceID: "100000000009"}, "TargetNotFound")
	if got := must(w, w.ListTagsForResource, nouns.ListTagsForResourceRequest{ResourceID: nouns.FullAccessID}).Tags; got == nil || len(got) != 0 {
		t.Errorf("the built-in policy has the tags %v", got)
	}
}

func TestPages(t *testing.T) {
	w := newOrganization(t)
	for n := range 24 {
		w.account(fmt.Sprint("a", n))
	}
	for _, c := range []struct {
		size  int32
		pages int
	}{{0, 2}, {20, 2}, {5, 5}, {1, 25}} {
		seen, pages, request := []string{}, 0, nouns.ListAccountsRequest{Page: nouns.Page{MaxResults: c.size}}
		for more := true; more; more = request.NextToken != "" {
			answer := must(w, w.ListAccounts, request)
			for _, account := range answer.Accounts {
				seen = append(seen, account.ID)
			}
			pages, request.NextToken = pages+1, answer.NextToken
		}
		if len(seen) != 25 || pages != c.pages || seen[0] != management || seen[24] != "100000000025" {
			t.Errorf("%d at a time: %d pages with %v, want %d", c.size, pages, seen, c.pages)
		}
	}
}

// TestRacingCreations wants every account to have a number of its own, and an email address to be used once.
func TestRacingCreations(t *testing.T) {
	w := newOrganization(t)
	ids, failures := make(chan string, 8), make(chan string, 8)
	var racing sync.WaitGroup
	for n := range 8 {
		racing.Go(func() {
			answer, err := w.CreateAccount(w.ctx, w.caller, &nouns.CreateAccountRequest{AccountName: "x", Email: fmt.Sprintf("x%d@example.com", n/2)})
			switch {
			case err != nil:
				t.Error(err)
			case answer.Status.State == nouns.CreationFailed:
				failures <- answer.Status.FailureReason
			default:
				ids <- answer.Status.AccountID
			}
		})
	}
	racing.Wait()
	close(ids)
	close(failures)
	distinct := map[string]bool{}
	for id := range ids {
		distinct[id] = true
	}
	if len(distinct) != 4 || len(failures) != 4 {
		t.Errorf("made %v, %d failures; want 4 of each", distinct, len(failures))
	}
}

func TestRacingOrganizations(t *testing.T) {
	w := newWorld(t)
	codes := make(chan string, 4)
	var racing sync.WaitGroup
	for range 4 {
		racing.Go(func() {
			_, err := w.CreateOrganization(w.ctx, w.caller, &nouns.CreateOrganizationRequest{})
			codes <- codeOf(err)
		})
	}
	racing.Wait()
	close(codes)
	won := 0
	for code := range codes {
		if code == "<nil>" {
			won++
		} else if code != "AlreadyInOrganization" {
			t.Errorf("one has lost with %s", code)
		}
	}
	if won != 1 {
		t.Errorf("%d have won", won)
	}
}

// TestRacingMoveAndDeletion moves an account into a unit that is being deleted: one of the two must fail, and the
// account must be somewhere.
func TestRacingMoveAndDeletion(t *testing.T) {
	w := newOrganization(t)
	root := w.root()
	for n := range 20 {
		account, unit := w.account(fmt.Sprint("a", n)), w.unit(root, fmt.Sprint("u", n))
		var moved, deleted error
		var racing sync.WaitGroup
		racing.Go(func() {
			_, moved = w.MoveAccount(w.ctx, w.caller, &nouns.MoveAccountRequest{ID: account, Source: root, Destination: unit})
		})
		racing.Go(func() {
			_, deleted = w.DeleteOrganizationalUnit(w.ctx, w.caller, &nouns.DeleteOrganizationalUnitRequest{ID: unit})
		})
		racing.Wait()
		switch {
		case moved == nil && codeOf(deleted) == "OrganizationalUnitNotEmpty":
		case deleted == nil && codeOf(moved) == "DestinationParentNotFound":
		default:
			t.Fatalf("the move: %v; the deletion: %v", moved, deleted)
		}
		if _, ok := w.tree().Membership(account); !ok {
			t.Fatalf("account %s is nowhere", account)
		}
	}
}

func TestOutage(t *testing.T) {
	w := newOrganization(t)
	if err := w.Store.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.ListRoots(w.ctx, w.caller, &nouns.ListRootsRequest{}); !errors.Is(err, store.ErrClosed) {
		t.Errorf("a closed store: %v", err)
	}
	if got := codeOf(explain(fmt.Errorf("put: %w", store.ErrUnavailable))); got != "Service" {
		t.Errorf("an unavailable store: %s", got)
	}
	if _, err := w.Exists(w.ctx, "100000000002"); err == nil {
		t.Error("a closed store knows an account")
	}
}
