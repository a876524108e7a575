package sts_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"pergola/aws"
	"pergola/aws/iam"
	"pergola/aws/organizations"
	nouns "pergola/aws/sts"
	iamcontrol "pergola/control/iam"
	"pergola/control/operation"
	"pergola/control/sts"
	"pergola/sealing"
	"pergola/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for something that must happen; never how long it takes.
const patience = 20 * time.Second

const (
	account = "100000000001"
	foreign = "100000000002"
)

// world is the service beside IAM, on a store of its own, at a time that the test sets.
type world struct {
	*sts.Control
	t       *testing.T
	ctx     context.Context
	iam     *iamcontrol.Control
	objects *store.Store
	box     *sealing.Box
	seconds atomic.Int64
}

var epoch = time.Unix(1_800_000_000, 0).UTC()

func (w *world) now() time.Time { return epoch.Add(time.Duration(w.seconds.Load()) * time.Second) }

func newWorld(t *testing.T) *world {
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
	w := &world{t: t, ctx: ctx, objects: objects, box: box}
	w.iam = iamcontrol.New(iamcontrol.Config{Config: operation.Config{Store: objects, Now: w.now}, Box: box,
		AllowLocalIssuers: true})
	w.Control = sts.New(sts.Config{Config: operation.Config{Store: objects, Now: w.now}, Box: box,
		AllowLocalIssuers: true})
	for _, of := range []string{account, foreign} {
		for _, name := range []string{"ada", "eve"} {
			w.user(of, name, "arn:aws:iam::aws:policy/AdministratorAccess")
		}
	}
	return w
}

// user makes a user with a managed policy, or with none.
func (w *world) user(account, name, policy string) iam.Caller {
	w.t.Helper()
	caller := user(account, name)
	object := iam.User{Entity: iam.Entity{Account: account, Name: name, Path: "/", UniqueID: caller.UserID}}
	if policy != "" {
		object.Attached = []string{policy}
	}
	_, err := w.objects.Update(w.ctx, func(tx *store.Tx) error {
		return store.NewKind[iam.User](iam.KindUser).Put(tx, iam.ID(account, name), object)
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return caller
}

func user(account, name string) iam.Caller {
	return iam.Caller{Account: account, ARN: "arn:aws:iam::" + account + ":user/" + name, UserID: "AIDA" + name, Type: iam.TypeUser}
}

// root is who administers an account in these tests.
func root(account string) iam.Caller {
	return iam.Caller{Account: account, ARN: "arn:aws:iam::" + account + ":root", UserID: account, Type: iam.TypeAccount}
}

func ok[In, Out any](w *world, f func(context.Context, iam.Caller, *In) (*Out, error), caller iam.Caller, in In) *Out {
	w.t.Helper()
	answer, err := f(w.ctx, caller, &in)
	if err != nil {
		w.t.Fatalf("%+v: %v", in, err)
	}
	return answer
}

func refused[In, Out any](w *world, f func(context.Context, iam.Caller, *In) (*Out, error), caller iam.Caller, in In, want string) {
	w.t.Helper()
	_, err := f(w.ctx, caller, &in)
	if got := described(err); !strings.HasPrefix(got, want) {
		w.t.Errorf("%+v: %s, want %s", in, got, want)
	}
}

// described is the code of an error, and its message.
func described(err error) string {
	var named *aws.Error
	if errors.As(err, &named) {
		return named.Code + ": " + named.Message
	}
	return fmt.Sprint(err)
}

// trust is a trust policy with one statement that allows all of some actions.
func trust(principal, actions, condition string) string {
	if condition == "" {
		condition = "{}"
	}
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":` + principal + `,"Action":` + actions + `,"Condition":` + condition + `}]}`
}

const (
	assume    = `"sts:AssumeRole"`
	assumeAll = `["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"]`
	anyone    = `{"AWS":"*"}`
)

// role makes a role and returns its ARN.
func (w *world) role(name, trust string) string {
	w.t.Helper()
	created := ok(w, w.iam.CreateRole, root(account), iam.CreateRoleRequest{
		Name: name, Path: "/app/", Trust: trust, MaxSession: 7200, Tags: []iam.Tag{{Key: "Team", Value: "red"}, {Key: "stage", Value: "test"}},
	})
	return created.Role.ARN
}

// open opens temporary credentials.
func (w *world) open(c nouns.Credentials) iam.Caller {
	w.t.Helper()
	secret, caller, err := w.box.OpenSession(c.AccessKeyID, c.Token, w.now())
	if err != nil || secret != c.Secret {
		w.t.Fatalf("credentials: %v", err)
	}
	return caller
}

func request(arn string) nouns.AssumeRoleRequest {
	return nouns.AssumeRoleRequest{RoleSession: nouns.RoleSession{RoleARN: arn, Name: "work"}}
}

func TestAssumeRole(t *testing.T) {
	w := newWorld(t)
	arn := w.role("reader", trust(`{"AWS":"`+foreign+`"}`, assumeAll, ""))
	in := request(arn)
	in.Tags = []iam.Tag{{Key: "team", Value: "blue"}, {Key: "cost", Value: "7"}}
	in.TransitiveTags = []string{"COST"}
	in.SourceIdentity = "ada"
	in.Policy = "{ \"Version\": \"2012-10-17\",\n \"Statement\": [{\"Effect\": \"Allow\", \"Action\": \"*\", \"Resource\": \"*\"}] }"
	in.PolicyARNs = []nouns.PolicyDescriptor{{ARN: "arn:aws:iam::aws:policy/VPCLatticeServicesInvokeAccess"}}
	answer := ok(w, w.AssumeRole, user(foreign, "ada"), in)

	if want := "arn:aws:sts::" + account + ":assumed-role/reader/work"; answer.AssumedRole.ARN != want || !strings.HasSuffix(answer.AssumedRole.ID, ":work") {
		t.Errorf("assumed %+v, want %s", answer.AssumedRole, want)
	}
	if !answer.Credentials.Expires.Equal(w.now().Add(time.Hour)) || answer.PackedSize == 0 || answer.SourceIdentity != "ada" {
		t.Errorf("answered %+v", answer)
	}
	caller := w.open(answer.Credentials)
	if caller.RoleARN != arn || caller.PrincipalARN() != arn || caller.Account != account || caller.Type != iam.TypeAssumedRole {
		t.Errorf("the session is of %+v", caller)
	}
	if want := map[string]string{"team": "blue", "cost": "7", "stage": "test"}; !maps.Equal(caller.Tags, want) {
		t.Errorf("the session has tags %v, want %v", caller.Tags, want)
	}
	s := caller.Session
	if s.Name != "work" || !slices.Equal(s.TransitiveTags, []string{"cost"}) || s.SourceIdentity != "ada" || len(s.PolicyARNs) != 1 {
		t.Errorf("the session is %+v", s)
	}
	if want := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`; s.Policy != want {
		t.Errorf("the session policy is %s", s.Policy)
	}
}

// TestTheCallersOwnPolicies assumes roles that trust a user without any policies, and one who is denied it.
func TestTheCallersOwnPolicies(t *testing.T) {
	w := newWorld(t)
	poor, stranger := w.user(account, "poor", ""), w.user(foreign, "poor", "")
	for i, c := range []struct {
		principal string
		caller    iam.Caller
		want      bool
	}{
		{`{"AWS":"` + account + `"}`, poor, false},
		{`{"AWS":"` + poor.ARN + `"}`, poor, true},
		{anyone, poor, true},
		{`{"AWS":"` + stranger.ARN + `"}`, stranger, false}, // the other account has not agreed
		{anyone, stranger, false},
	} {
		arn := w.role(fmt.Sprintf("own%d", i), trust(c.principal, assume, ""))
		in := request(arn)
		if _, err := w.AssumeRole(w.ctx, c.caller, &in); (err == nil) != c.want {
			t.Errorf("%s by %s: %v, want %v", c.principal, c.caller.ARN, err, c.want)
		}
		denied := iam.InlinePolicyRequest{Subject: iam.Subject{UserName: "poor"}, Name: "no"}
		deny := `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"sts:*","Resource":"*"}}`
		ok(w, w.iam.Users().PutPolicy, root(c.caller.Account), iam.PutPolicyRequest{InlinePolicyRequest: denied, Document: deny})
		refused(w, w.AssumeRole, c.caller, in, "AccessDenied: User: "+c.caller.ARN+" is not authorized to perform: sts:AssumeRole on resource: "+arn)
		ok(w, w.iam.Users().DeletePolicy, root(c.caller.Account), denied)
	}
}

func TestTrustPolicies(t *testing.T) {
	w := newWorld(t)
	ada := user(account, "ada")
	w.user(account, "bob", "")
	tagged := ada
	tagged.Tags = map[string]string{"Team": "red"}
	temporary := ada
	temporary.Session = &iam.Session{Issued: epoch}
	external, named := request(""), request("")
	external.ExternalID, named.Name = "42", "ada"
	withTag := request("")
	withTag.Tags = []iam.Tag{{Key: "team", Value: "red"}}
	withSource := request("")
	withSource.SourceIdentity = "ada"

	for i, c := range []struct {
		trust  string
		caller iam.Caller
		in     nouns.AssumeRoleRequest
		want   bool
	}{
		{trust(`{"AWS":"`+account+`"}`, assume, ""), ada, request(""), true},
		{trust(`{"AWS":"arn:aws:iam::`+account+`:root"}`, assume, ""), ada, request(""), true},
		{trust(`{"AWS":"arn:aws:iam::`+account+`:user/ada"}`, assume, ""), ada, request(""), true},
		{trust(`{"AWS":"arn:aws:iam::`+account+`:user/bob"}`, assume, ""), ada, request(""), false},
		{trust(`{"AWS":"`+foreign+`"}`, assume, ""), ada, request(""), false},
		{trust(`{"AWS":"`+foreign+`"}`, assume, ""), user(foreign, "eve"), request(""), true},
		{trust(anyone, assume, ""), user(foreign, "eve"), request(""), true},
		{trust(`{"Service":"ec2.amazonaws.com"}`, assume, ""), ada, request(""), false},
		{trust(anyone, `"sts:AssumeRoleWithWebIdentity"`, ""), ada, request(""), false},
		{trust(anyone, `"sts:*"`, ""), ada, request(""), true},
		{trust(anyone, assume, `{"StringEquals":{"sts:ExternalId":"42"}}`), ada, request(""), false},
		{trust(anyone, assume, `{"StringEquals":{"sts:ExternalId":"42"}}`), ada, external, true},
		{trust(anyone, assume, `{"StringEquals":{"sts:ExternalId":"43"}}`), ada, external, false},
		{trust(anyone, assume, `{"StringEquals":{"sts:RoleSessionName":"${aws:username}"}}`), ada, request(""), false},
		{trust(anyone, assume, `{"StringEquals":{"sts:RoleSessionName":"${aws:username}"}}`), ada, named, true},
		{trust(anyone, assume, `{"StringEquals":{"aws:PrincipalTag/team":"red"}}`), ada, request(""), false},
		{trust(anyone, assume, `{"StringEquals":{"aws:PrincipalTag/team":"red"}}`), tagged, request(""), true},
		{trust(anyone, assume, `{"Bool":{"aws:MultiFactorAuthPresent":"true"}}`), temporary, request(""), false},
		{trust(anyone, assume, `{"BoolIfExists":{"aws:MultiFactorAuthPresent":"false"}}`), temporary, request(""), true},
		{trust(anyone, assume, `{"DateLessThan":{"aws:CurrentTime":"2000-01-01T00:00:00Z"}}`), ada, request(""), false},
		{trust(anyone, assume, ""), ada, withTag, false},
		{trust(anyone, assumeAll, ""), ada, withTag, true},
		{trust(anyone, assumeAll, `{"StringEquals":{"aws:RequestTag/team":"blue"}}`), ada, withTag, false},
		{trust(anyone, assumeAll, `{"ForAllValues:StringEquals":{"aws:TagKeys":["team"]}}`), ada, withTag, true},
		{trust(anyone, assume, ""), ada, withSource, false},
		{trust(anyone, assumeAll, `{"StringEquals":{"sts:SourceIdentity":"ada"}}`), ada, withSource, true},
	} {
		arn := w.role(fmt.Sprint("role", i), c.trust)
		c.in.RoleARN = arn
		_, err := w.AssumeRole(w.ctx, c.caller, &c.in)
		if got := err == nil; got != c.want || err != nil && !strings.HasPrefix(described(err), "AccessDenied: User: "+c.caller.ARN+" is not authorized to perform: sts:AssumeRole on resource: "+arn) {
			t.Errorf("%s\nby %s with %+v: %v, want %v", c.trust, c.caller.ARN, c.in, err, c.want)
		}
	}
}

// TestWhoIsGoneAssumesNothing has sessions of a user and of a role outlive them, and roles that trust them by name.
func TestWhoIsGoneAssumesNothing(t *testing.T) {
	w := newWorld(t)
	first := w.role("first", trust(anyone, assume, ""))
	trustFirst, trustAda := w.role("second", trust(`{"AWS":"`+first+`"}`, assume, "")), w.role("third", trust(`{"AWS":"`+user(account, "ada").ARN+`"}`, assume, ""))
	session := w.open(ok(w, w.AssumeRole, user(account, "eve"), request(first)).Credentials)
	ada := w.open(ok(w, w.GetSessionToken, user(account, "ada"), nouns.GetSessionTokenRequest{}).Credentials)
	ok(w, w.AssumeRole, session, request(trustFirst))
	ok(w, w.AssumeRole, ada, request(trustAda))

	named := iam.SubjectRequest{Subject: iam.Subject{RoleName: "first"}}
	ok(w, w.iam.DeleteRole, root(account), named)
	refused(w, w.AssumeRole, session, request(trustFirst), "AccessDenied")
	w.role("first", trust(anyone, assume, ""))
	refused(w, w.AssumeRole, session, request(trustFirst), "AccessDenied")
	ada.UserID = "AIDAformer"
	refused(w, w.AssumeRole, ada, request(trustAda), "AccessDenied")
}

// TestTrustOfAnOrganization has a trust policy ask where a caller belongs and from where it calls.
func TestTrustOfAnOrganization(t *testing.T) {
	w := newWorld(t)
	put := func(f func(tx *store.Tx) error) {
		if _, err := w.objects.Update(w.ctx, f); err != nil {
			t.Fatal(err)
		}
	}
	put(func(tx *store.Tx) error {
		return errors.Join(
			store.NewKind[organizations.Organization](organizations.KindOrganization).Put(tx, "o-1", organizations.Organization{ID: "o-1", Management: account, Root: organizations.Root{ID: "r-1"}}),
			store.NewKind[organizations.Account](organizations.KindAccount).Put(tx, account, organizations.Account{ID: account, Parent: "r-1"}))
	})
	in := request(w.role("inside", trust(anyone, assume, `{"StringEquals":{"aws:PrincipalOrgID":"o-1"},"IpAddress":{"aws:SourceIp":"192.0.2.0/24"}}`)))
	ada, eve := user(account, "ada"), user(foreign, "eve")
	near, far := iam.Origin{Address: netip.MustParseAddr("192.0.2.1")}, iam.Origin{Address: netip.MustParseAddr("198.51.100.1")}
	ada.Origin, eve.Origin = near, near
	ok(w, w.AssumeRole, ada, in)
	refused(w, w.AssumeRole, eve, in, "AccessDenied")
	ada.Origin = far
	refused(w, w.AssumeRole, ada, in, "AccessDenied")
}

func TestRefusedSessions(t *testing.T) {
	w := newWorld(t)
	arn := w.role("reader", trust(anyone, assumeAll, ""))
	for want, change := range map[string]func(*nouns.AssumeRoleRequest){
		"ValidationError: not-an-arn-of-a-role is invalid":                      func(in *nouns.AssumeRoleRequest) { in.RoleARN = "not-an-arn-of-a-role" },
		"ValidationError: arn:aws:iam::100000000001:user/ada is invalid":        func(in *nouns.AssumeRoleRequest) { in.RoleARN = "arn:aws:iam::100000000001:user/ada" },
		"AccessDenied: User: arn:aws:iam::100000000001:user/ada is not":         func(in *nouns.AssumeRoleRequest) { in.RoleARN = "arn:aws:iam::100000000001:role/reader" },
		"AccessDenied: MultiFactorAuthentication":                               func(in *nouns.AssumeRoleRequest) { in.TokenCode = "123456" },
		"ValidationError: The requested DurationSeconds exceeds the MaxSession": func(in *nouns.AssumeRoleRequest) { in.Seconds = 7201 },
		"MalformedPolicyDocument":                                               func(in *nouns.AssumeRoleRequest) { in.Policy = `{"Version":"2012-10-17"}` },
		"PackedPolicyTooLarge": func(in *nouns.AssumeRoleRequest) {
			in.Policy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::` + strings.Repeat("x", 4000) + `"}]}`
		},
		"ValidationError: Policy arn:aws:iam::100000000001:policy/none": func(in *nouns.AssumeRoleRequest) {
			in.PolicyARNs = []nouns.PolicyDescriptor{{ARN: "arn:aws:iam::100000000001:policy/none"}}
		},
		"ValidationError: The value at 'policyArns'": func(in *nouns.AssumeRoleRequest) {
			in.PolicyARNs = make([]nouns.PolicyDescriptor, 11)
		},
		"InvalidParameterValue: The tag key AWS:a": func(in *nouns.AssumeRoleRequest) { in.Tags = []iam.Tag{{Key: "AWS:a"}} },
		"InvalidParameterValue: Duplicate tag":     func(in *nouns.AssumeRoleRequest) { in.Tags = []iam.Tag{{Key: "a"}, {Key: "A"}} },
		"InvalidParameterValue: The specified transitive": func(in *nouns.AssumeRoleRequest) {
			in.Tags, in.TransitiveTags = []iam.Tag{{Key: "a"}}, []string{"b"}
		},
	} {
		in := request(arn)
		change(&in)
		refused(w, w.AssumeRole, user(account, "ada"), in, want)
	}
	refused(w, w.AssumeRole, root(account), request(arn), "AccessDenied: Roles may not be assumed by root accounts.")
}

// TestChaining assumes a role from a session of another.
func TestChaining(t *testing.T) {
	w := newWorld(t)
	first := w.role("first", trust(anyone, assumeAll, ""))
	second := w.role("second", trust(`{"AWS":"`+first+`"}`, assumeAll, `{"StringEquals":{"aws:PrincipalTag/cost":"7"}}`))
	in := request(first)
	in.Tags, in.TransitiveTags, in.SourceIdentity = []iam.Tag{{Key: "cost", Value: "7"}, {Key: "team", Value: "blue"}}, []string{"cost"}, "ada"
	caller := w.open(ok(w, w.AssumeRole, user(account, "ada"), in).Credentials)

	answer := ok(w, w.AssumeRole, caller, request(second))
	chained := w.open(answer.Credentials)
	if want := map[string]string{"cost": "7", "Team": "red", "stage": "test"}; !maps.Equal(chained.Tags, want) {
		t.Errorf("the chained session has tags %v, want %v", chained.Tags, want)
	}
	if chained.Session.SourceIdentity != "ada" || answer.SourceIdentity != "ada" || !slices.Equal(chained.Session.TransitiveTags, []string{"cost"}) {
		t.Errorf("the chained session is %+v", chained.Session)
	}
	for want, change := range map[string]func(*nouns.AssumeRoleRequest){
		"ValidationError: The requested DurationSeconds exceeds the 1 hour session limit": func(in *nouns.AssumeRoleRequest) { in.Seconds = 3601 },
		"AccessDenied: The source identity":                                               func(in *nouns.AssumeRoleRequest) { in.SourceIdentity = "bob" },
		"InvalidParameterValue: One of the specified transitive": func(in *nouns.AssumeRoleRequest) {
			in.Tags = []iam.Tag{{Key: "COST", Value: "8"}}
		},
	} {
		in := request(second)
		change(&in)
		refused(w, w.AssumeRole, caller, in, want)
	}
	refused(w, w.AssumeRole, user(account, "first"), request(second), "AccessDenied")
}

func TestSessionsOfUsers(t *testing.T) {
	w := newWorld(t)
	ada := user(account, "ada")
	ada.Tags = map[string]string{"team": "red"}
	answer := ok(w, w.GetSessionToken, ada, nouns.GetSessionTokenRequest{})
	if !answer.Credentials.Expires.Equal(w.now().Add(12 * time.Hour)) {
		t.Errorf("expires at %v", answer.Credentials.Expires)
	}
	caller := w.open(answer.Credentials)
	if caller.ARN != ada.ARN || caller.Type != iam.TypeUser || caller.Tags["team"] != "red" || !caller.Session.Issued.Equal(w.now()) {
		t.Errorf("the session is of %+v", caller)
	}
	refused(w, w.GetSessionToken, caller, nouns.GetSessionTokenRequest{}, "AccessDenied: Cannot call GetSessionToken with session credentials")
	refused(w, w.GetSessionToken, ada, nouns.GetSessionTokenRequest{TokenCode: "123456"}, "AccessDenied: MultiFactorAuthentication")
	short := ok(w, w.GetSessionToken, ada, nouns.GetSessionTokenRequest{Seconds: 900}).Credentials
	w.seconds.Add(900)
	if _, _, err := w.box.OpenSession(short.AccessKeyID, short.Token, w.now()); !errors.Is(err, sealing.ErrExpired) {
		t.Errorf("after its end: %v", err)
	}
	if identity := ok(w, w.GetCallerIdentity, caller, nouns.GetCallerIdentityRequest{}); identity.ARN != ada.ARN || identity.UserID != ada.UserID {
		t.Errorf("identity %+v", identity)
	}
}

func TestGetAccessKeyInfo(t *testing.T) {
	w := newWorld(t)
	credential, err := w.iam.Administrator(w.ctx, foreign)
	if err != nil {
		t.Fatal(err)
	}
	temporary := ok(w, w.GetSessionToken, user(account, "ada"), nouns.GetSessionTokenRequest{}).Credentials
	for id, want := range map[string]string{credential.AccessKeyID: foreign, temporary.AccessKeyID: account} {
		if got := ok(w, w.GetAccessKeyInfo, user(account, "ada"), nouns.GetAccessKeyInfoRequest{ID: id}); got.Account != want {
			t.Errorf("%s is of %s, want %s", id, got.Account, want)
		}
	}
	for _, id := range []string{"AKIAIOSFODNN7EXAMPLE", "AKIA0000000000000000", "nothing-of-a-key-id"} {
		refused(w, w.GetAccessKeyInfo, user(account, "ada"), nouns.GetAccessKeyInfoRequest{ID: id}, "ValidationError: Invalid access key")
	}
}

// TestTrustIsInWhoWasNamed has a role trust a user and a role by name, who go, come back under the same names, and change
// their names.
func TestTrustIsInWhoWasNamed(t *testing.T) {
	w := newWorld(t)
	first := w.role("first", trust(anyone, assume, ""))
	ada := ok(w, w.iam.CreateUser, root(account), iam.CreateUserRequest{Name: "grace"}).User
	both := `{"AWS":["` + first + `","` + ada.ARN + `"]}`
	in := request(w.role("vault", trust(both, assume, `{"ArnLike":{"aws:PrincipalArn":["`+first+`","arn:aws:iam::*:user/*"]}}`)))
	session := func() iam.Caller {
		return w.open(ok(w, w.AssumeRole, user(account, "eve"), request(first)).Credentials)
	}
	grace := func(name string) iam.Caller {
		found := ok(w, w.iam.GetUser, root(account), iam.SubjectRequest{Subject: iam.Subject{UserName: name}}).User
		return iam.Caller{Account: account, ARN: found.ARN, UserID: found.ID, Type: iam.TypeUser}
	}
	shown := func(role string) string {
		got, err := url.PathUnescape(ok(w, w.iam.GetRole, root(account), iam.SubjectRequest{Subject: iam.Subject{RoleName: role}}).Role.Trust)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	ok(w, w.AssumeRole, session(), in)
	ok(w, w.AssumeRole, grace("grace"), in)
	if got := shown("vault"); !strings.Contains(got, both) {
		t.Errorf("the trust policy is shown as %s", got)
	}

	former := session()
	id, _, _ := strings.Cut(former.UserID, ":")
	ok(w, w.iam.DeleteRole, root(account), iam.SubjectRequest{Subject: iam.Subject{RoleName: "first"}})
	w.role("first", trust(anyone, assume, ""))
	refused(w, w.AssumeRole, session(), in, "AccessDenied")
	refused(w, w.AssumeRole, former, in, "AccessDenied")
	if got := shown("vault"); !strings.Contains(got, `{"AWS":["`+id+`","`+ada.ARN+`"]}`) || !strings.Contains(got, `"aws:PrincipalArn":["`+first+`"`) {
		t.Errorf("the trust policy is shown as %s", got)
	}
	ok(w, w.iam.UpdateUser, root(account), iam.UpdateUserRequest{Name: "grace", NewName: "hopper"})
	ok(w, w.AssumeRole, grace("hopper"), in) // still whom it trusts
	ok(w, w.iam.CreateUser, root(account), iam.CreateUserRequest{Name: "grace"})
	refused(w, w.AssumeRole, grace("grace"), in, "AccessDenied")

	ok(w, w.iam.UpdateAssumeRolePolicy, root(account), iam.UpdateAssumeRolePolicyRequest{Name: "vault", Trust: trust(both, assume, "")})
	ok(w, w.AssumeRole, session(), in)
	ok(w, w.AssumeRole, grace("grace"), in)
	refused(w, w.AssumeRole, grace("hopper"), in, "AccessDenied")
}
