package snapshot

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pergola/aws/iam"
	"pergola/aws/organizations"
	"pergola/lattice"
	"pergola/policy"
)

const account = "111122223333"

// document is a policy that allows an action.
func document(action string) string {
	return `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"t:` + action + `","Resource":"*"}}`
}

// guarding is an auth policy that allows an action.
func guarding(action string) *lattice.AuthPolicy {
	return &lattice.AuthPolicy{Policy: `{"Statement":{"Effect":"Allow","Principal":"*","Action":"t:` + action + `","Resource":"*"}}`}
}

func entity(name, uniqueID string) iam.Entity {
	return iam.Entity{Account: account, Name: name, Path: "/", UniqueID: uniqueID}
}

func policyARN(name string) string { return "arn:aws:iam::" + account + ":policy/" + name }

func aPolicy(name, document string) Change {
	return put("managedpolicy/"+iam.ID(account, name), iam.ManagedPolicy{
		Entity: entity(name, "ANPA"+name), Versions: []iam.PolicyVersion{{ID: "v1", Document: document}}, DefaultVersion: "v1",
	})
}

func aUser(name, uniqueID string, permissions iam.Permissions, groups ...string) Change {
	return put("user/"+iam.ID(account, name), iam.User{Entity: entity(name, uniqueID), Permissions: permissions, Groups: groups})
}

func aRole(name, uniqueID string, permissions iam.Permissions) Change {
	return put("role/"+iam.ID(account, name), iam.Role{Entity: entity(name, uniqueID), Permissions: permissions})
}

func aUserGroup(name string, permissions iam.Permissions) Change {
	return put("group/"+iam.ID(account, name), iam.Group{Entity: entity(name, "AGPA"+name), Permissions: permissions})
}

func aKey(id, user string) Change {
	return put("accesskey/"+id, iam.AccessKey{ID: id, Secret: []byte("sealed " + id), Account: account, User: user})
}

// people are a user with a key, in a group, and a role, in an organisation.
func people() []Change {
	return []Change{
		aPolicy("p", document("managed")),
		aUserGroup("developers", iam.Permissions{Inline: map[string]string{"own": document("group")}}),
		aUser("Alice", "AIDA1", iam.Permissions{
			Inline: map[string]string{"b": document("b"), "a": document("a")}, Attached: []string{policyARN("p")},
		}, "Developers"),
		aKey("AKIA1", "alice"),
		aRole("caller", "AROA1", iam.Permissions{
			Attached: []string{"arn:aws:iam::aws:policy/VPCLatticeServicesInvokeAccess"}, Boundary: policyARN("p"),
		}),
		put("organization/o-1", organizations.Organization{ID: "o-1", Management: "1", PoliciesEnabled: true,
			Root: organizations.Root{ID: "r-1", Policies: []string{organizations.FullAccessID}}}),
		put("organizationalunit/ou-1", organizations.Unit{ID: "ou-1", Parent: "r-1", Policies: []string{"p-1"}}),
		put("servicecontrolpolicy/p-1", organizations.Policy{ID: "p-1", Content: document("bounded")}),
		put("account/"+account, organizations.Account{ID: account, Parent: "ou-1", Policies: []string{organizations.FullAccessID}}),
		put("account/1", organizations.Account{ID: "1", Parent: "r-1"}),
	}
}

func identities(t *testing.T, more ...Change) (*Identities, error) {
	t.Helper()
	s, err := Compile(region, 1, append(people(), more...))
	return s.Identities, err
}

// says is what some policies together say about actions: those that are allowed, or "none" if one denies everything.
func says(policies ...*policy.Policy) (allowed []string) {
	for _, action := range []string{"a", "b", "bounded", "group", "managed", "other"} {
		effect := policy.Silent
		for _, p := range policies {
			effect = max(effect, p.Evaluate(&policy.Request{Action: "t:" + action, Resource: "arn:aws:t:::x"}).Effect)
		}
		switch effect {
		case policy.Deny:
			return []string{"none"}
		case policy.Allow:
			allowed = append(allowed, action)
		}
	}
	return allowed
}

func TestIdentities(t *testing.T) {
	i, err := identities(t)
	if err != nil {
		t.Fatal(err)
	}
	user, role := i.Principals.Get("AIDA1"), i.Principals.Get("AROA1")
	if user == nil || role == nil || i.Principals.Len() != 2 {
		t.Fatalf("principals are %v", i.Principals)
	}
	if got := says(user.Policies...); !slices.Equal(got, []string{"a", "b", "group", "managed"}) || len(user.Policies) != 4 {
		t.Errorf("the user is allowed %v by %d policies", got, len(user.Policies))
	}
	if !strings.HasPrefix(user.Policies[0].Name, "inline policy a of ") {
		t.Errorf("the first policy is %q", user.Policies[0].Name)
	}
	invoke := policy.Request{Action: "vpc-lattice-svcs:Invoke", Resource: "arn:aws:t:::x"}
	if v := role.Policies[0].Evaluate(&invoke); v.Effect != policy.Allow || !slices.Equal(says(role.Boundary), []string{"managed"}) {
		t.Errorf("the role: %v, boundary %v", v, says(role.Boundary))
	}
	if k := i.Keys.Get("AKIA1"); k == nil || k.Principal != user || k.Inactive || string(k.Sealed) != "sealed AKIA1" {
		t.Errorf("the key is %+v", k)
	}
	a := i.Account(account)
	if a.Organization != "o-1" || a.Path != "o-1/r-1/ou-1/" || len(a.ServiceControl) != 3 {
		t.Errorf("the account is %+v", a)
	}
	if got := says(a.ServiceControl[1]...); !slices.Equal(got, []string{"bounded"}) {
		t.Errorf("the unit allows %v", got)
	}
	if a := i.Account("1"); a.Organization != "o-1" || a.ServiceControl != nil {
		t.Errorf("the management account is %+v", a)
	}
	if a := i.Account("none"); a.Organization != "" || a.ServiceControl != nil {
		t.Errorf("a stranger is %+v", a)
	}
	if i.Policies.Get(policyARN("p")) == nil || i.Policies.Get("arn:aws:iam::aws:policy/AdministratorAccess") == nil {
		t.Errorf("managed policies are missing: %v", i.Policies)
	}
}

// TestWhatCannotBeReadDeniesEverything, and is named.
func TestWhatCannotBeReadDeniesEverything(t *testing.T) {
	user := func(i *Identities) []string { return says(i.Principals.Get("AIDA1").Policies...) }
	boundary := func(i *Identities) []string { return says(i.Principals.Get("AROA1").Boundary) }
	level := func(n int) func(i *Identities) []string {
		return func(i *Identities) []string { return says(i.Account(account).ServiceControl[n]...) }
	}
	for _, test := range []struct {
		name   string
		change Change
		says   func(*Identities) []string
		named  string
	}{
		{"inline policy", aUser("Alice", "AIDA1", iam.Permissions{Inline: map[string]string{"a": document("a"), "x": "{}"}}), user, "inline policy x of arn:aws:iam::111122223333:user/Alice"},
		{"managed policy", aPolicy("p", "{}"), user, policyARN("p")},
		{"managed policy that is gone", gone("managedpolicy/" + iam.ID(account, "p")), user, policyARN("p")},
		{"managed policy with another path", put("managedpolicy/"+iam.ID(account, "p"), iam.ManagedPolicy{
			Entity: iam.Entity{Account: account, Name: "p", Path: "/other/"}, Versions: []iam.PolicyVersion{{ID: "v1", Document: document("a")}}, DefaultVersion: "v1",
		}), user, policyARN("p")},
		{"policy of a group", aUserGroup("developers", iam.Permissions{Inline: map[string]string{"own": "x"}}), user, "inline policy own of"},
		{"group that is gone", gone("group/" + iam.ID(account, "developers")), user, "group Developers"},
		{"boundary", aPolicy("p", "{}"), boundary, policyARN("p")},
		{"boundary that is gone", gone("managedpolicy/" + iam.ID(account, "p")), boundary, policyARN("p")},
		{"service control policy", put("servicecontrolpolicy/p-1", organizations.Policy{ID: "p-1", Content: "{}"}), level(1), "p-1"},
		{"service control policy that is gone", gone("servicecontrolpolicy/p-1"), level(0), "p-1"},
		{"organisation that cannot be decoded", Change{"organization/o-1", []byte("0")}, level(0), "organization/o-1"},
		{"account that cannot be decoded", Change{"account/" + account, []byte("0")}, level(0), "account/" + account},
		{"second organisation", put("organization/o-2", organizations.Organization{ID: "o-2"}), level(0), "2 of them"},
	} {
		i, err := identities(t, test.change)
		if got := test.says(i); !slices.Equal(got, []string{"none"}) {
			t.Errorf("%s: allows %v", test.name, got)
		}
		if err == nil || !strings.Contains(err.Error(), test.named) {
			t.Errorf("%s: the error does not name %s: %v", test.name, test.named, err)
		}
	}
}

func TestAuthPolicies(t *testing.T) {
	guarded := func(policy *lattice.AuthPolicy) []Change {
		s, n := service("svc-1"), lattice.ServiceNetwork{ID: "sn-1", ARN: arnOf(lattice.KindServiceNetwork, "sn-1"), AuthType: lattice.AuthIAM}
		s.AuthType, s.Tags = lattice.AuthIAM, lattice.Tags{"b": "2", "a": "1"}
		s.AuthPolicy, n.AuthPolicy = policy, policy
		return []Change{put("service/svc-1", s), put("servicenetwork/sn-1", n)}
	}
	s := build(t, guarded(guarding("a"))...)
	n := s.VPCs.Get("vpc-1").Doors[0].Network
	svc := n.Names.Get(lattice.DomainName("nsvc-1", "svc-1", region))
	if !slices.Equal(says(n.Policy), []string{"a"}) || !slices.Equal(says(svc.Policy), []string{"a"}) {
		t.Errorf("the network says %v and the service %v", says(n.Policy), says(svc.Policy))
	}
	if !slices.Equal(svc.Tags, Tags{{"a", "1"}, {"b", "2"}}) {
		t.Errorf("tags are %v", svc.Tags)
	}

	s, err := Compile(region, 1, append(story(), guarded(&lattice.AuthPolicy{Policy: "{}"})...))
	n = s.VPCs.Get("vpc-1").Doors[0].Network
	if svc = n.Service([]byte(svc.DomainName)); says(n.Policy)[0] != "none" || says(svc.Policy)[0] != "none" {
		t.Errorf("what cannot be read: the network says %v and the service %v", says(n.Policy), says(svc.Policy))
	}
	for _, name := range []string{"sn-1", "svc-1"} {
		if err == nil || !strings.Contains(err.Error(), "auth policy of "+name) {
			t.Errorf("%s is not named: %v", name, err)
		}
	}
	s = build(t, guarded(nil)...)
	if n := s.VPCs.Get("vpc-1").Doors[0].Network; n.Policy != nil || n.Service([]byte(svc.DomainName)).Policy != nil {
		t.Error("there is a policy where none is attached")
	}
}

// TestAuthPolicyIsReportedOnce: a service compiled again for another reason keeps its policy.
func TestAuthPolicyIsReportedOnce(t *testing.T) {
	s := service("svc-1")
	s.AuthPolicy = &lattice.AuthPolicy{Policy: "{}"}
	c := NewCompiler(region)
	if _, err := c.Apply(1, true, append(story(), put("service/svc-1", s))); err == nil {
		t.Error("not reported")
	}
	before := c.services["svc-1"].compiled.Policy
	s.IdleTimeoutSeconds = 99
	if _, err := c.Apply(2, false, []Change{put("service/svc-1", s)}); err != nil {
		t.Errorf("reported again: %v", err)
	}
	if c.services["svc-1"].compiled.Policy != before {
		t.Error("compiled again")
	}
}

// TestIdentitiesAreShared holds what an Apply may not replace.
func TestIdentitiesAreShared(t *testing.T) {
	everything := append(people(),
		aUser("bob", "AIDA2", iam.Permissions{}), aKey("AKIA2", "bob"),
		put("account/2", organizations.Account{ID: "2", Parent: "r-1"}))
	for _, test := range []struct {
		name     string
		change   Change
		replaced []string
	}{
		{"managed policy", aPolicy("p", document("a")), []string{"AIDA1", "AROA1", "AKIA1", policyARN("p")}},
		{"managed policy of nobody", aPolicy("q", document("a")), []string{policyARN("q")}},
		{"group", aUserGroup("developers", iam.Permissions{}), []string{"AIDA1", "AKIA1"}},
		{"user", aUser("bob", "AIDA2", iam.Permissions{}), []string{"AIDA2", "AKIA2"}},
		{"user made anew", aUser("bob", "AIDA3", iam.Permissions{}), []string{"AIDA3", "AKIA2"}},
		{"key", aKey("AKIA3", "bob"), []string{"AKIA3"}},
		{"role", aRole("caller", "AROA1", iam.Permissions{}), []string{"AROA1"}},
		{"account", put("account/2", organizations.Account{ID: "2", Parent: "ou-1"}), []string{"2"}},
		{"policy of a unit", put("servicecontrolpolicy/p-1", organizations.Policy{ID: "p-1", Content: document("a")}), []string{account}},
		{"unit of nobody", put("organizationalunit/ou-2", organizations.Unit{ID: "ou-2", Parent: "r-1"}), nil},
		{"service", aService("svc-1"), nil},
	} {
		c := NewCompiler(region)
		before, err := c.Apply(1, true, everything)
		if err != nil {
			t.Fatal(err)
		}
		after, err := c.Apply(2, false, []Change{test.change})
		if err != nil {
			t.Fatal(err)
		}
		was, is := parts(before.Identities), parts(after.Identities)
		for id := range is {
			if was[id] != is[id] != slices.Contains(test.replaced, id) {
				t.Errorf("%s: %s replaced: %t", test.name, id, was[id] != is[id])
			}
		}
	}
	c := NewCompiler(region)
	before, _ := c.Apply(1, true, everything)
	after, _ := c.Apply(2, false, []Change{aService("svc-1")})
	if before.Identities != after.Identities {
		t.Error("a service has replaced all identities")
	}
}

// parts are pointers to all that identities are made of.
func parts(i *Identities) map[string]any {
	all := map[string]any{}
	for id, p := range i.Principals.All() {
		all[id] = p
	}
	for id, k := range i.Keys.All() {
		all[id] = k
	}
	for id, a := range i.Accounts {
		all[id] = a
	}
	for id, p := range i.Policies.All() {
		all[id] = p
	}
	return all
}

// TestUserIsRenamed: the unique id goes from one object to another in one Apply.
func TestUserIsRenamed(t *testing.T) {
	for range 20 { // the order within an Apply is random
		c := NewCompiler(region)
		if _, err := c.Apply(1, true, people()); err != nil {
			t.Fatal(err)
		}
		s, err := c.Apply(2, false, []Change{
			gone("user/" + iam.ID(account, "alice")), aUser("carol", "AIDA1", iam.Permissions{}), aKey("AKIA1", "carol"),
		})
		if err != nil {
			t.Fatal(err)
		}
		if p := s.Identities.Principals.Get("AIDA1"); p == nil || p.Name != "carol" ||
			s.Identities.Keys.Get("AKIA1").Principal != p {
			t.Fatalf("the user is %+v", p)
		}
	}
}

func TestKeySecretIsOpenedOnce(t *testing.T) {
	calls := 0
	open := func(id string, sealed []byte) (string, error) {
		if calls++; calls == 1 {
			return "", errors.New("not yet")
		}
		return id + " " + string(sealed), nil
	}
	k := &Key{ID: "AKIA1", Sealed: []byte("x")}
	if _, err := k.Secret(open); err == nil {
		t.Error("no error")
	}
	for range 2 {
		if secret, err := k.Secret(open); err != nil || secret != "AKIA1 x" {
			t.Errorf("%q, %v", secret, err)
		}
	}
	if calls != 2 {
		t.Errorf("opened %d times", calls)
	}
}

func TestTagsAreFoundInAnyCase(t *testing.T) {
	tags := NewTags(map[string]string{"Team": "blue", "team": "red", "env": "test"})
	var got []string
	for i := 0; ; i++ {
		value, ok := tags.Value("team", i)
		if !ok {
			break
		}
		got = append(got, value)
	}
	if !slices.Equal(got, []string{"blue", "red"}) {
		t.Errorf("got %v", got)
	}
}

func TestFind(t *testing.T) {
	i, err := identities(t)
	if err != nil {
		t.Fatal(err)
	}
	for arn, want := range map[string]string{
		"arn:aws:iam::111122223333:user/Alice":                 "AIDA1",
		"arn:aws:iam::111122223333:role/caller":                "AROA1",
		"arn:aws:sts::111122223333:assumed-role/caller/x":      "AROA1",
		"arn:aws:sts::111122223333:assumed-role/caller/":       "",
		"arn:aws:sts::111122223333:assumed-role/Alice/x":       "",
		"arn:aws:iam::111122223333:user/bob":                   "",
		"arn:aws:sts::444455556666:assumed-role/caller/x":      "",
		"arn:aws:sts::111122223333:assumed-role/caller-of-x/x": "",
	} {
		if got := i.Find(arn).uniqueID(); got != want {
			t.Errorf("%s is %q, want %q", arn, got, want)
		}
	}
}

// findings are what all policies of a snapshot say, which Dump does not tell.
func findings(s *Snapshot) string {
	var b strings.Builder
	tell := func(what string, policies ...*policy.Policy) { fmt.Fprintln(&b, what, says(policies...)) }
	maybe := func(what string, p *policy.Policy) {
		if p != nil {
			tell(what, p)
		}
	}
	for _, p := range ordered(maps.Collect(s.Identities.Principals.All())) {
		tell(p.UniqueID, p.Policies...)
		maybe("boundary", p.Boundary)
	}
	for _, a := range ordered(s.Identities.Accounts) {
		for _, level := range a.ServiceControl {
			tell("level", level...)
		}
	}
	for _, p := range ordered(maps.Collect(s.Identities.Policies.All())) {
		tell(p.Name, p)
	}
	for _, v := range ordered(maps.Collect(s.VPCs.All())) {
		for _, door := range v.Doors {
			maybe(door.Network.ID, door.Network.Policy)
			for _, service := range ordered(maps.Collect(door.Network.Names.All())) {
				maybe(service.ID, service.Policy)
			}
		}
	}
	return b.String()
}

// randomIdentity puts something that identities are made of.
func randomIdentity(r *rand.Rand) Change {
	one := func(prefix string, of int) string { return fmt.Sprint(prefix, r.IntN(of)) }
	doc := func() string {
		return []string{document("a"), document("b"), document("group"), "{}"}[r.IntN(4)]
	}
	permissions := func() (p iam.Permissions) {
		if r.IntN(2) == 0 {
			p.Inline = map[string]string{one("n", 2): doc()}
		}
		for range r.IntN(3) {
			p.Attached = append(p.Attached, policyARN(one("p", 3)))
		}
		if r.IntN(3) == 0 {
			p.Boundary = policyARN(one("p", 3))
		}
		return p
	}
	attached := func() []string {
		return [][]string{nil, {organizations.FullAccessID}, {"p-0"}, {"p-0", "p-1"}}[r.IntN(4)]
	}
	switch r.IntN(9) {
	case 0:
		return aPolicy(one("p", 3), doc())
	case 1:
		var groups []string
		for range r.IntN(3) {
			groups = append(groups, one("G", 2))
		}
		n := r.IntN(3)
		return aUser(fmt.Sprint("u", n), fmt.Sprint("AIDA", n, r.IntN(2)), permissions(), groups...)
	case 2:
		return aUserGroup(one("g", 2), permissions())
	case 3:
		n := r.IntN(2)
		return aRole(fmt.Sprint("r", n), fmt.Sprint("AROA", n, r.IntN(2)), permissions())
	case 4:
		return aKey(one("AKIA", 3), one("u", 3))
	case 5:
		return put("organization/o-1", organizations.Organization{ID: "o-1", Management: "0", PoliciesEnabled: r.IntN(3) > 0,
			Root: organizations.Root{ID: "r-1", Policies: attached()}})
	case 6:
		id := one("ou-", 3)
		return put("organizationalunit/"+id, organizations.Unit{ID: id, Parent: []string{"r-1", "ou-0", "ou-1"}[r.IntN(3)], Policies: attached()})
	case 7:
		id := one("", 3)
		return put("account/"+id, organizations.Account{ID: id, Parent: []string{"", "r-1", "ou-0"}[r.IntN(3)], Policies: attached()})
	}
	id := one("p-", 2)
	return put("servicecontrolpolicy/"+id, organizations.Policy{ID: id, Content: doc()})
}
