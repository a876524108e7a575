package authority_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"pergola/aws/iam"
	"pergola/aws/organizations"
	"pergola/control/authority"
	"pergola/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	account = "100000000001"
	member  = "100000000002"

	administrator = "arn:aws:iam::aws:policy/AdministratorAccess"
	readOnly      = "arn:aws:iam::aws:policy/VPCLatticeReadOnlyAccess"
	full          = "arn:aws:iam::aws:policy/VPCLatticeFullAccess"
)

// world is an authority on a store of its own.
type world struct {
	*authority.Authority
	t     testing.TB
	ctx   context.Context
	store *store.Store
}

func newWorld(t testing.TB) *world {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	objects, err := store.Open(ctx, store.Config{Dir: t.TempDir(), NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = objects.Close() })
	now := func() time.Time { return time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC) }
	return &world{authority.New(authority.Config{Service: "vpc-lattice", Region: "us-west-2", Now: now}), t, ctx, objects}
}

// put writes an object as the control plane keeps it.
func put[T any](w *world, kind, id string, object T) {
	w.t.Helper()
	if _, err := w.store.Update(w.ctx, func(tx *store.Tx) error { return store.NewKind[T](kind).Put(tx, id, object) }); err != nil {
		w.t.Fatal(err)
	}
}

func entity(of, name, id string) iam.Entity {
	return iam.Entity{Account: of, Name: name, Path: "/", UniqueID: id}
}

// user makes a user or changes its permissions.
func (w *world) user(of, name string, p iam.Permissions, groups ...string) iam.Caller {
	w.t.Helper()
	user := iam.User{Entity: entity(of, name, "AIDA"+name), Permissions: p, Groups: groups}
	put(w, iam.KindUser, iam.ID(of, name), user)
	return iam.Caller{Account: of, ARN: user.ARN(), UserID: user.UniqueID, Type: iam.TypeUser}
}

// inline are permissions of one inline policy with the statements given.
func inline(statements ...string) iam.Permissions {
	return iam.Permissions{Inline: map[string]string{"own": document(statements...)}}
}

func document(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

const (
	allowAll  = `{"Effect":"Allow","Action":"*","Resource":"*"}`
	allowGet  = `{"Effect":"Allow","Action":"vpc-lattice:Get*","Resource":"*"}`
	denyOther = `{"Effect":"Deny","Action":"iam:*","Resource":"*"}`
	denyGet   = `{"Effect":"Deny","Action":"vpc-lattice:Get*","Resource":"*"}`
	service   = "arn:aws:vpc-lattice:us-west-2:" + account + ":service/svc-1"
	ofAnother = "arn:aws:vpc-lattice:us-west-2:100000000009:service/svc-1"
)

// may asks one question in a transaction of its own.
func (w *world) may(caller iam.Caller, action, resource string, tags map[string]string) error {
	w.t.Helper()
	return w.store.View(w.ctx, func(tx *store.Tx) error { return w.Ask(tx, caller, action).May(resource, tags) })
}

// expect checks the reason of a refusal; "" is none.
func (w *world) expect(err error, reason string) {
	w.t.Helper()
	var denied *authority.Denied
	switch {
	case reason == "" && err != nil:
		w.t.Errorf("refused: %v", err)
	case reason != "" && (!errors.As(err, &denied) || !strings.HasSuffix(denied.Message, reason)):
		w.t.Errorf("got %v, want %q", err, reason)
	}
}

const (
	noIdentity = "because no identity-based policy allows the vpc-lattice:GetService action"
	noBoundary = "because no permissions boundary allows the vpc-lattice:GetService action"
	noSession  = "because no session policy allows the vpc-lattice:GetService action"
	noControl  = "because no service control policy allows the vpc-lattice:GetService action"
	noResource = "because no resource-based policy allows the vpc-lattice:GetService action"
)

func TestUsers(t *testing.T) {
	w := newWorld(t)
	put(w, iam.KindGroup, iam.ID(account, "readers"), iam.Group{Entity: entity(account, "readers", "AGPA"), Permissions: inline(allowGet)})
	own := iam.ManagedPolicy{Entity: entity(account, "own", "ANPA"), Versions: []iam.PolicyVersion{{ID: "v1", Document: document(allowGet)}}, DefaultVersion: "v1"}
	put(w, iam.KindPolicy, iam.ID(account, "own"), own)
	for name, c := range map[string]struct {
		permissions iam.Permissions
		groups      []string
		reason      string
	}{
		"none":                {reason: noIdentity},
		"inline":              {permissions: inline(allowGet)},
		"built in":            {permissions: iam.Permissions{Attached: []string{administrator}}},
		"read only":           {permissions: iam.Permissions{Attached: []string{readOnly}}},
		"full":                {permissions: iam.Permissions{Attached: []string{full}}},
		"of the account":      {permissions: iam.Permissions{Attached: []string{own.ARN()}}},
		"of a group":          {groups: []string{"readers"}},
		"denied":              {permissions: inline(denyGet), groups: []string{"readers"}, reason: "with an explicit deny in an identity-based policy"},
		"other":               {permissions: inline(`{"Effect":"Allow","Action":"vpc-lattice:Update*","Resource":"*"}`), reason: noIdentity},
		"gone":                {permissions: iam.Permissions{Attached: []string{administrator, "arn:aws:iam::" + account + ":policy/gone"}}, reason: "with an explicit deny in an identity-based policy"},
		"group gone":          {permissions: inline(allowAll), groups: []string{"gone"}, reason: "with an explicit deny in an identity-based policy"},
		"unreadable":          {permissions: iam.Permissions{Inline: map[string]string{"a": document(allowAll), "b": "{"}}, reason: "with an explicit deny in an identity-based policy"},
		"within the boundary": {permissions: iam.Permissions{Attached: []string{administrator}, Boundary: readOnly}},
		"beyond the boundary": {permissions: iam.Permissions{Attached: []string{administrator}, Boundary: "arn:aws:iam::aws:policy/VPCLatticeServicesInvokeAccess"}, reason: noBoundary},
		"only the boundary":   {permissions: iam.Permissions{Boundary: administrator}, reason: noIdentity},
	} {
		t.Run(name, func(t *testing.T) {
			caller := w.user(account, "ada", c.permissions, c.groups...)
			w.expect(w.may(caller, "GetService", service, nil), c.reason)
		})
	}
	ada := w.user(account, "ada", inline(allowAll))
	w.expect(w.may(ada, "GetService", ofAnother, nil), noResource)
	ada.UserID = "AIDAformer"
	w.expect(w.may(ada, "GetService", service, nil), noIdentity)
	ada.Type = ""
	w.expect(w.may(ada, "GetService", service, nil), noIdentity)
	w.expect(w.may(iam.Caller{Account: account, ARN: "arn:aws:iam::" + account + ":root", Type: iam.TypeAccount}, "GetService", service, nil), "")
}

func TestSessions(t *testing.T) {
	w := newWorld(t)
	role := iam.Role{Entity: entity(account, "work", "AROA1"), Permissions: inline(allowAll)}
	put(w, iam.KindRole, iam.ID(account, "work"), role)
	for name, c := range map[string]struct {
		session iam.Session
		id      string
		reason  string
	}{
		"plain":            {id: "AROA1:one"},
		"narrowed to it":   {id: "AROA1:one", session: iam.Session{Policy: document(allowGet)}},
		"narrowed away":    {id: "AROA1:one", session: iam.Session{PolicyARNs: []string{"arn:aws:iam::aws:policy/VPCLatticeServicesInvokeAccess"}}, reason: noSession},
		"either":           {id: "AROA1:one", session: iam.Session{Policy: document(denyOther), PolicyARNs: []string{readOnly}}},
		"denied":           {id: "AROA1:one", session: iam.Session{Policy: document(denyGet)}, reason: "with an explicit deny in a session policy"},
		"named and gone":   {id: "AROA1:one", session: iam.Session{PolicyARNs: []string{"arn:aws:iam::" + account + ":policy/gone"}}, reason: noSession},
		"of a former role": {id: "AROA0:one", reason: noIdentity},
		"of nobody":        {id: "", reason: noIdentity},
	} {
		t.Run(name, func(t *testing.T) {
			caller := iam.Caller{Account: account, ARN: role.SessionARN("one"), RoleARN: role.ARN(), UserID: c.id, Type: iam.TypeAssumedRole, Session: &c.session}
			w.expect(w.may(caller, "GetService", service, nil), c.reason)
		})
	}
}

// TestConditions asks with the condition keys that follow from the request, the resource, the caller and the time.
func TestConditions(t *testing.T) {
	w := newWorld(t)
	when := func(operator, key, value string) string {
		return `{"Effect":"Allow","Action":"vpc-lattice:*","Resource":"*","Condition":{"` + operator + `":{"` + key + `":"` + value + `"}}}`
	}
	red := map[string]string{"Team": "red"}
	for i, c := range []struct {
		statement string
		resource  map[string]string
		request   map[string]string
		want      bool
	}{
		{when("StringEquals", "aws:ResourceTag/team", "red"), red, nil, true},
		{when("StringEquals", "aws:ResourceTag/Team", "blue"), red, nil, false},
		{when("StringEquals", "aws:ResourceTag/Team", "red"), nil, red, false},
		{when("StringEquals", "vpc-lattice:ResourceTag/Team", "red"), red, nil, true},
		{when("StringEquals", "aws:RequestTag/Team", "red"), nil, red, true},
		{when("ForAllValues:StringEquals", "aws:TagKeys", "Team"), nil, map[string]string{"Team": "red", "cost": "1"}, false},
		{when("ForAnyValue:StringEquals", "aws:TagKeys", "Team"), nil, map[string]string{"Team": "red", "cost": "1"}, true},
		{when("StringEquals", "aws:PrincipalTag/role", "builder"), nil, nil, true},
		{when("StringEquals", "aws:ResourceTag/Team", "${aws:PrincipalTag/team}"), red, nil, true},
		{when("DateLessThan", "aws:CurrentTime", "2026-08-01T12:00:01Z"), nil, nil, true},
		{when("NumericGreaterThan", "aws:EpochTime", "1900000000"), nil, nil, false},
		{when("StringEquals", "aws:RequestedRegion", "us-west-2"), nil, nil, true},
		{when("StringEquals", "vpc-lattice:AuthType", "AWS_IAM"), nil, nil, true},
		{when("Null", "vpc-lattice:VpcId", "true"), nil, nil, true},
		{when("StringEquals", "aws:username", "ada"), nil, nil, true},
		{when("IpAddress", "aws:SourceIp", "192.0.2.0/24"), nil, nil, true},
		{when("IpAddress", "aws:SourceIp", "198.51.100.0/24"), nil, nil, false},
		{when("Bool", "aws:SecureTransport", "false"), nil, nil, true},
		{when("Bool", "aws:SecureTransport", "true"), nil, nil, false},
		{when("StringLike", "aws:UserAgent", "aws-cli/*"), nil, nil, true},
		{when("StringEquals", "aws:ResourceAccount", "${aws:PrincipalAccount}"), nil, nil, true},
		{when("Bool", "aws:ViaAWSService", "false"), nil, nil, true},
		{when("ForAllValues:StringEquals", "aws:TagKeys", "Team"), nil, map[string]string{"": "x", "cost": "1"}, false},
	} {
		caller := w.user(account, "ada", inline(c.statement))
		caller.Tags = map[string]string{"Role": "builder", "team": "red"}
		caller.Origin = iam.Origin{Address: netip.MustParseAddr("::ffff:192.0.2.7"), UserAgent: "aws-cli/2.0"}
		err := w.store.View(w.ctx, func(tx *store.Tx) error {
			q := w.Ask(tx, caller, "UpdateService")
			q.SetTags(c.request)
			q.Set("vpc-lattice:AuthType", "AWS_IAM")
			q.Set("vpc-lattice:VpcId", "")
			return q.May(service, c.resource)
		})
		if (err == nil) != c.want {
			t.Errorf("%d: %s: %v, want %v", i, c.statement, err, c.want)
		}
	}
}

// TestFault_D10_ACallerInAVPC has the VPC and the address in it for policies, and no address of the host's network.
func TestFault_D10_ACallerInAVPC(t *testing.T) {
	w := newWorld(t)
	for condition, want := range map[string]bool{
		`"StringEquals":{"aws:SourceVpc":"vpc-1"}`: true, `"StringEquals":{"aws:SourceVpc":"vpc-2"}`: false,
		`"IpAddress":{"aws:VpcSourceIp":"10.0.0.0/8"}`: true, `"IpAddress":{"aws:VpcSourceIp":"10.9.0.0/16"}`: false,
		`"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}`: false, `"Null":{"aws:SourceIp":"true"}`: true,
	} {
		caller := w.user(account, "ada", inline(`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{`+condition+`}}`))
		caller.Origin = iam.Origin{Address: netip.MustParseAddr("10.0.1.7"), VPC: "vpc-1"}
		if err := w.may(caller, "GetService", service, nil); (err == nil) != want {
			t.Errorf("%s: %v", condition, err)
		}
	}
}

// TestNobodyComesFromNowhere asks for somebody who came over no connection: a network is not guessed.
func TestNobodyComesFromNowhere(t *testing.T) {
	w := newWorld(t)
	for key, value := range map[string]string{"aws:SourceIp": "0.0.0.0/0", "aws:SecureTransport": "false", "aws:UserAgent": "*"} {
		operator := map[string]string{"aws:SourceIp": "IpAddress", "aws:SecureTransport": "Bool", "aws:UserAgent": "StringLike"}[key]
		caller := w.user(account, "ada", inline(`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"`+operator+`":{"`+key+`":"`+value+`"}}}`))
		w.expect(w.may(caller, "GetService", service, nil), noIdentity)
	}
}

// TestTheActionOfACreationIsForTagsAlone asks about a second resource after tags: the condition key is gone.
func TestTheActionOfACreationIsForTagsAlone(t *testing.T) {
	w := newWorld(t)
	ada := w.user(account, "ada", inline(allowAll, `{"Effect":"Deny","Action":"vpc-lattice:CreateService","Resource":"*","Condition":{"Null":{"vpc-lattice:CreateAction":"false"}}}`))
	w.expect(w.store.View(w.ctx, func(tx *store.Tx) error {
		q := w.Ask(tx, ada, "CreateService")
		if err := q.MayCreate(service, map[string]string{"a": "b"}, "TagResource"); err != nil {
			return err
		}
		return q.May(service, nil)
	}), "")
}

// TestTagsOfOtherServices asks about a resource of another service, whose tags have that service's name.
func TestTagsOfOtherServices(t *testing.T) {
	w := newWorld(t)
	ada := w.user(account, "ada", inline(`{"Effect":"Allow","Action":"iam:PassRole","Resource":"*","Condition":{"StringEquals":{"iam:ResourceTag/team":"red"}}}`))
	w.expect(w.store.View(w.ctx, func(tx *store.Tx) error {
		return w.Ask(tx, ada, "CreateService").MayAlso("iam:PassRole", "arn:aws:iam::"+account+":role/work", map[string]string{"team": "red"})
	}), "")
}

// TestTaggingAtCreation needs a permission of its own, which sees what it is part of.
func TestTaggingAtCreation(t *testing.T) {
	w := newWorld(t)
	const create = `{"Effect":"Allow","Action":"vpc-lattice:CreateService","Resource":"*"}`
	tag := func(action string) string {
		return `{"Effect":"Allow","Action":"vpc-lattice:TagResource","Resource":"*","Condition":{"StringEquals":{"vpc-lattice:CreateAction":"` + action + `"}}}`
	}
	for _, c := range []struct {
		permissions iam.Permissions
		tags        map[string]string
		reason      string
	}{
		{inline(create), nil, ""},
		{inline(create), map[string]string{"a": "b"}, "because no identity-based policy allows the vpc-lattice:TagResource action"},
		{inline(create, tag("CreateService")), map[string]string{"a": "b"}, ""},
		{inline(create, tag("CreateRule")), map[string]string{"a": "b"}, "because no identity-based policy allows the vpc-lattice:TagResource action"},
		{inline(tag("CreateService")), nil, "because no identity-based policy allows the vpc-lattice:CreateService action"},
	} {
		caller := w.user(account, "ada", c.permissions)
		w.expect(w.store.View(w.ctx, func(tx *store.Tx) error {
			return w.Ask(tx, caller, "CreateService").MayCreate(service, c.tags, "TagResource")
		}), c.reason)
	}
}

// organization makes an organisation with a unit, in which the member account is; the policies are those of the unit.
func (w *world) organization(policies ...string) {
	root := organizations.Root{ID: "r-ab12", Policies: []string{organizations.FullAccessID}}
	put(w, organizations.KindOrganization, "o-1", organizations.Organization{ID: "o-1", Management: account, Root: root, PoliciesEnabled: true})
	put(w, organizations.KindUnit, "ou-ab12-1", organizations.Unit{ID: "ou-ab12-1", Parent: root.ID, Policies: policies})
	put(w, organizations.KindAccount, account, organizations.Account{ID: account, Parent: root.ID, Policies: policies})
	put(w, organizations.KindAccount, member, organizations.Account{ID: member, Parent: "ou-ab12-1", Policies: []string{organizations.FullAccessID}})
	for id, statement := range map[string]string{"p-get": allowGet, "p-none": denyGet} {
		put(w, organizations.KindPolicy, id, organizations.Policy{ID: id, Content: document(statement)})
	}
}

func TestServiceControlPolicies(t *testing.T) {
	w := newWorld(t)
	inMember := strings.Replace(service, account, member, 1)
	for name, c := range map[string]struct {
		action, reason string
		policies       []string
	}{
		"all":     {"GetService", "", []string{organizations.FullAccessID}},
		"this":    {"GetService", "", []string{"p-get"}},
		"another": {"ListServices", "because no service control policy allows the vpc-lattice:ListServices action", []string{"p-get"}},
		"none":    {"GetService", noControl, []string{}},
		"denied":  {"GetService", "with an explicit deny in a service control policy", []string{organizations.FullAccessID, "p-none"}},
	} {
		t.Run(name, func(t *testing.T) {
			w.organization(c.policies...)
			for _, caller := range []iam.Caller{
				w.user(member, "ada", iam.Permissions{Attached: []string{administrator}}),
				{Account: member, ARN: "arn:aws:iam::" + member + ":root", Type: iam.TypeAccount},
			} {
				w.expect(w.may(caller, c.action, inMember, nil), c.reason)
			}
			w.expect(w.may(w.user(account, "ada", inline(allowAll)), c.action, service, nil), "") // nothing bounds the management account
		})
	}
	inside := w.user(member, "ada", inline(`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-1"},"ForAnyValue:StringLike":{"aws:PrincipalOrgPaths":"o-1/r-ab12/ou-ab12-1/*"}}}`))
	w.organization(organizations.FullAccessID)
	w.expect(w.may(inside, "GetService", inMember, nil), "")
	put(w, organizations.KindUnit, "ou-ab12-1", organizations.Unit{ID: "ou-ab12-1", Parent: "r-ab12", Policies: []string{"p-gone"}})
	if err := w.may(inside, "GetService", inMember, nil); err == nil {
		t.Error("a caller whose bounds are not known is allowed")
	}
}

// TestConclude tells nobody anything who was not asked about.
func TestConclude(t *testing.T) {
	w := newWorld(t)
	found := errors.New("there is no such service")
	conclude := func(caller iam.Caller, about string) error {
		return w.store.View(w.ctx, func(tx *store.Tx) error {
			q := w.Ask(tx, caller, "GetService")
			if _, err := store.NewIndex("service").Get(tx, "svc-1"); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("looking for a service: %v", err)
			}
			if about != "" {
				q.About(about)
			}
			return q.Conclude(found)
		})
	}
	one := w.user(account, "one", inline(`{"Effect":"Allow","Action":"*","Resource":"`+service+`"}`))
	w.expect(conclude(one, ""), noIdentity)
	w.expect(conclude(w.user(account, "none", iam.Permissions{}), service), noIdentity)
	if err := conclude(one, service); !errors.Is(err, found) {
		t.Errorf("got %v, want %v", err, found)
	}
}

// TestConcludeOfTheRequestAlone refuses a request for its content, from any caller, and asks about one that succeeds.
func TestConcludeOfTheRequestAlone(t *testing.T) {
	w := newWorld(t)
	wrong := errors.New("the name is too long")
	nobody := w.user(account, "none", iam.Permissions{})
	conclude := func(outcome error) error {
		return w.store.View(w.ctx, func(tx *store.Tx) error { return w.Ask(tx, nobody, "GetService").Conclude(outcome) })
	}
	if err := conclude(wrong); !errors.Is(err, wrong) {
		t.Errorf("got %v, want %v", err, wrong)
	}
	w.expect(conclude(nil), noIdentity)
}

// BenchmarkMay measures a first question, which reads the caller's policies, and one more.
func BenchmarkMay(b *testing.B) {
	w := newWorld(b)
	callers := map[string]iam.Caller{"administrator": w.user(account, "admin", iam.Permissions{Attached: []string{administrator}})}
	w.organization(organizations.FullAccessID)
	callers["member"] = w.user(member, "ada", iam.Permissions{Attached: []string{full}})
	for name, caller := range callers {
		resource := strings.Replace(service, account, caller.Account, 1)
		b.Run("first/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := w.may(caller, "GetService", resource, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("again/"+name, func(b *testing.B) {
			b.ReportAllocs()
			_ = w.store.View(w.ctx, func(tx *store.Tx) error {
				q := w.Ask(tx, caller, "GetService")
				for b.Loop() {
					if err := q.May(resource, nil); err != nil {
						b.Fatal(err)
					}
				}
				return nil
			})
		})
	}
	b.Run("one read", func(b *testing.B) {
		for b.Loop() {
			_ = w.store.View(w.ctx, func(tx *store.Tx) error {
				_, err := store.NewKind[iam.User](iam.KindUser).Get(tx, iam.ID(account, "admin"))
				return err
			})
		}
	})
}
