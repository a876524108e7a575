package authority_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pergola/aws/iam"
	"pergola/control/authority"
	"pergola/policy"
	"pergola/store"
)

// The parts of the questions about what has a policy of its own.
const (
	adaARN   = "arn:aws:iam::" + account + ":user/ada"
	batchARN = "arn:aws:iam::" + account + ":role/batch"
	jobARN   = "arn:aws:sts::" + account + ":assumed-role/batch/job"
	evaARN   = "arn:aws:iam::" + member + ":user/eva"
	guarded  = "arn:aws:lambda:us-west-2:" + account + ":function:f"
)

// callers are who asks in the tests of guards, by name. The permissions are those of the user or of the role.
func (w *world) callers(p iam.Permissions) map[string]iam.Caller {
	w.t.Helper()
	role := iam.Role{Entity: entity(account, "batch", "AROAbatch"), Permissions: p}
	put(w, iam.KindRole, iam.ID(account, "batch"), role)
	eva := w.user(member, "eva", p)
	session := iam.Caller{
		Account: account, ARN: jobARN, RoleARN: batchARN, UserID: "AROAbatch:job", Type: iam.TypeAssumedRole,
		Session: &iam.Session{Name: "job"},
	}
	narrow := session
	narrow.Session = &iam.Session{Name: "job", Policy: document(`{"Effect":"Allow","Action":"s3:*","Resource":"*"}`)}
	gone := session
	gone.UserID = "AROAformer:job"
	return map[string]iam.Caller{
		"user": w.user(account, "ada", p), "session": session, "narrow": narrow, "gone": gone, "stranger": eva,
		"root": {Account: account, ARN: "arn:aws:iam::" + account + ":root", UserID: account, Type: iam.TypeAccount},
		"web":  {Type: iam.TypeFederated, ARN: "arn:aws:iam::" + account + ":oidc-provider/id.example.com"},
	}
}

// invoke asks about what has a policy of its own, and need not have one.
func (w *world) invoke(caller iam.Caller, document string) error {
	w.t.Helper()
	var guard *policy.Policy
	if document != "" {
		var err error
		if guard, err = policy.ReadStored("of f", document, policy.Resource); err != nil {
			w.t.Fatal(err)
		}
	}
	return w.store.View(w.ctx, func(tx *store.Tx) error {
		return w.Ask(tx, caller, "Invoke").MayBy(guard, "lambda:InvokeFunction", guarded, nil)
	})
}

// assume asks for a session of a role with a trust policy.
func (w *world) assume(caller iam.Caller, trust string) error {
	w.t.Helper()
	role := &iam.Role{Entity: entity(account, "vault", "AROAvault"), Trust: trust}
	return w.store.View(w.ctx,
		func(tx *store.Tx) error { return w.Ask(tx, caller, "AssumeRole").MayAssume("sts:AssumeRole", role) })
}

// statements about everything that has a policy of its own, of a resource and of a role.
func about(effect, principal, condition string) (resource, trust string) {
	s := `{"Effect":"` + effect + `","Principal":` + principal + `,"Condition":{` + condition + `}`
	return s + `,"Action":"*","Resource":"*"}`, s + `,"Action":"sts:*"}`
}

func aws(arn string) string { return `{"AWS":"` + arn + `"}` }

// TestFault_C1_AQuestionIsAskedWhole asks with policies that name callers in every way, and with conditions on who
// calls.
func TestFault_C1_AQuestionIsAskedWhole(t *testing.T) {
	const (
		ownAccount   = `"StringEquals":{"aws:PrincipalAccount":"` + account + `"}`
		otherAccount = `"StringNotEquals":{"aws:PrincipalAccount":"` + account + `"}`
		resourceOwn  = `"StringEquals":{"aws:ResourceAccount":"${aws:PrincipalAccount}"}`
		accountIn    = `"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::` + account + `:*"}`
		none         = ""
	)
	w := newWorld(t)
	own := iam.Permissions{}
	full := inline(allowAll)
	for _, c := range []struct {
		principal, condition string
		caller               string
		permissions          iam.Permissions
		assumes, invokes     bool
	}{
		// A principal that is named itself needs nothing else within the account, even if conditions ask for the account.
		{aws(adaARN), none, "user", own, true, true},
		{aws(adaARN), ownAccount, "user", own, true, true},
		{aws(adaARN), resourceOwn, "user", own, true, true},
		{aws(adaARN), accountIn, "user", own, true, true},
		{aws(adaARN), otherAccount, "user", own, false, false},
		{`"*"`, ownAccount, "user", own, true, true},
		{aws("*"), ownAccount, "user", own, true, true},
		{`"*"`, ownAccount, "stranger", full, false, false},
		{aws(jobARN), ownAccount, "session", own, true, true},
		{aws(jobARN), ownAccount, "narrow", own, true, true},
		{aws(batchARN), ownAccount, "session", own, true, true},
		{aws(batchARN), ownAccount, "narrow", own, false, false}, // a role's session is limited by its own policies
		{aws(batchARN), ownAccount, "gone", own, false, false},
		{`"*"`, none, "gone", full, false, false},
		// Whose account is named needs the account's own policies.
		{aws(account), none, "user", own, false, false},
		{aws(account), ownAccount, "user", full, true, true},
		{aws("arn:aws:iam::" + account + ":root"), ownAccount, "session", full, true, true},
		{aws(account), none, "narrow", full, false, false},
		{aws(account), none, "root", own, true, true},
		// Another account must be named, and must agree.
		{aws(evaARN), none, "stranger", own, false, false},
		{aws(evaARN), otherAccount, "stranger", full, true, true},
		{aws(member), otherAccount, "stranger", full, true, true},
		{aws(evaARN), ownAccount, "stranger", full, false, false},
		{aws(account), none, "stranger", full, false, false},
		// A trust policy must allow; a resource's may be silent within the account.
		{aws(evaARN), none, "user", full, false, true},
		{aws(evaARN), none, "root", own, false, true},
		{aws(evaARN), none, "session", full, false, true},
		{aws(evaARN), none, "narrow", full, false, false},
		// Those without an account hang on the guard alone.
		{`{"Federated":"arn:aws:iam::` + account + `:oidc-provider/id.example.com"}`, none, "web", own, true, true},
		{`{"Federated":"arn:aws:iam::` + account + `:oidc-provider/id.example.com"}`, ownAccount, "web", own, false, false},
		{aws("*"), none, "web", own, false, false},
	} {
		caller := w.callers(c.permissions)[c.caller]
		resource, trust := about("Allow", c.principal, c.condition)
		if err := w.assume(caller, document(trust)); (err == nil) != c.assumes {
			t.Errorf("assume: %s {%s} by %s: %v, want %v", c.principal, c.condition, c.caller, err, c.assumes)
		}
		if err := w.invoke(caller, document(resource)); (err == nil) != c.invokes {
			t.Errorf("invoke: %s {%s} by %s: %v, want %v", c.principal, c.condition, c.caller, err, c.invokes)
		}
	}
}

// TestFault_C2_ADenyOfTheResourceCounts has policies of resources and roles deny those whom their own policies let do
// everything.
func TestFault_C2_ADenyOfTheResourceCounts(t *testing.T) {
	const explicit = "with an explicit deny in a resource-based policy"
	w := newWorld(t)
	callers := w.callers(iam.Permissions{Attached: []string{administrator}})
	for _, c := range []struct {
		principal, condition string
		denied               []string
	}{
		{`"*"`, "", []string{"user", "session", "root", "stranger"}},
		{aws("*"), "", []string{"user", "session", "root", "stranger"}},
		{aws(account), "", []string{"user", "session", "root"}},
		{aws(adaARN), "", []string{"user"}},
		{aws(batchARN), "", []string{"session"}},
		{aws(jobARN), "", []string{"session"}},
		{`"*"`, `"StringEquals":{"aws:PrincipalAccount":"` + account + `"}`, []string{"user", "session", "root"}},
		{`"*"`, `"StringNotEquals":{"aws:PrincipalAccount":"` + account + `"}`, []string{"stranger"}},
		{`"*"`, `"ArnNotEquals":{"aws:PrincipalArn":"` + adaARN + `"}`, []string{"session", "root", "stranger"}},
	} {
		for _, name := range []string{"user", "session", "root", "stranger"} {
			resource, trust := about("Deny", c.principal, c.condition)
			allow, allowTrust := about("Allow", `"*"`, "")
			reason := ""
			if slices.Contains(c.denied, name) {
				reason = explicit
			}
			w.expect(w.invoke(callers[name], document(allow, resource)), reason)
			w.expect(w.assume(callers[name], document(allowTrust, trust)), reason)
			if reason != "" {
				w.expect(w.invoke(callers[name], document(resource)), reason)
			}
		}
	}
	// NotPrincipal spares those who are listed with their account.
	spared := `{"Effect":"Deny","NotPrincipal":{"AWS":["` + adaARN + `","` + account + `"]},"Action":"*","Resource":"*"}`
	w.expect(w.invoke(callers["user"], document(spared)), "")
	w.expect(w.invoke(callers["session"], document(spared)), explicit)
	// Nothing that cannot be read lets anybody pass.
	w.expect(w.store.View(w.ctx, func(tx *store.Tx) error {
		return w.Ask(tx, callers["user"], "Invoke").MayBy(policy.Refusal("of f", policy.Resource), "lambda:InvokeFunction",
			guarded, nil)
	}), explicit)
}

// TestNamesAndLimits has a boundary stand between a user or a role and what a guard allows it by name.
func TestNamesAndLimits(t *testing.T) {
	w := newWorld(t)
	put(w, iam.KindPolicy, iam.ID(account, "narrow"), iam.ManagedPolicy{
		Entity: entity(account, "narrow", "ANPA"),
		Versions: []iam.PolicyVersion{{ID: "v1",
			Document: document(`{"Effect":"Allow","Action":"s3:*","Resource":"*"}`)}},
		DefaultVersion: "v1",
	})
	callers := w.callers(iam.Permissions{Boundary: "arn:aws:iam::" + account + ":policy/narrow"})
	for _, c := range []struct {
		principal, caller string
		want              bool
	}{
		{aws(adaARN), "user", true}, {aws(account), "user", false}, {`"*"`, "user", true},
		{aws(batchARN), "session", false}, {aws(jobARN), "session", true}, {`"*"`, "session", true},
	} {
		resource, trust := about("Allow", c.principal, "")
		if err := w.assume(callers[c.caller], document(trust)); (err == nil) != c.want {
			t.Errorf("assume: %s by %s: %v, want %v", c.principal, c.caller, err, c.want)
		}
		if err := w.invoke(callers[c.caller], document(resource)); (err == nil) != c.want {
			t.Errorf("invoke: %s by %s: %v, want %v", c.principal, c.caller, err, c.want)
		}
	}
}

// TestPropertiesOfGuards draws documents at random. A deny that applies denies, in any policy; a statement that allows
// never takes anything away, and one that denies never gives anything.
func TestPropertiesOfGuards(t *testing.T) {
	w := newWorld(t)
	random := rand.New(rand.NewPCG(1, 2))
	draw := func(from ...string) string { return from[random.IntN(len(from))] }
	names := []string{"user", "session", "narrow", "root", "stranger", "gone"}
	statement := func(effect string) (resource, trust, identity string) {
		condition := draw("", `"StringEquals":{"aws:PrincipalAccount":"`+draw(account, member)+`"}`,
			`"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:`+draw("user", "role")+`/*"}`)
		resource, trust = about(effect, draw(`"*"`, aws("*"), aws(account), aws(member), aws(adaARN), aws(evaARN),
			aws(batchARN), aws(jobARN)), condition)
		return resource, trust, `{"Effect":"` + effect + `","Action":"` + draw("*", "lambda:*", "sts:*", "s3:*") +
			`","Resource":"*","Condition":{` + condition + `}}`
	}
	for range 400 {
		var guards, trusts, identities []string
		for range 1 + random.IntN(3) {
			r, t, i := statement(draw("Allow", "Allow", "Deny"))
			guards, trusts, identities = append(guards, r), append(trusts, t), append(identities, i)
		}
		moreGuard, moreTrust, moreIdentity := statement(draw("Allow", "Deny"))
		name := draw(names...)
		ask := func(guards, trusts, identities []string) [2]bool {
			caller := w.callers(inline(identities...))[name]
			return [2]bool{w.invoke(caller, document(guards...)) == nil, w.assume(caller, document(trusts...)) == nil}
		}
		before := ask(guards, trusts, identities)
		for _, after := range [][2]bool{
			ask(append(slices.Clone(guards), moreGuard), append(slices.Clone(trusts), moreTrust), identities),
			ask(guards, trusts, append(slices.Clone(identities), moreIdentity)),
		} {
			allows := strings.Contains(moreGuard, `"Allow"`)
			for i := range before {
				if allows && before[i] && !after[i] || !allows && !before[i] && after[i] {
					t.Fatalf("%s: %v became %v by %s\n%s", name, before, after, moreGuard,
						fmt.Sprint(guards, trusts, identities, moreIdentity))
				}
			}
		}
		deny, denyTrust := about("Deny", `"*"`, "")
		if got := ask(append(slices.Clone(guards), deny), append(slices.Clone(trusts), denyTrust),
			identities); got != [2]bool{} {
			t.Fatalf("%s: a deny of everybody lets %v pass: %v", name, got, guards)
		}
		denyAll := `{"Effect":"Deny","Action":"*","Resource":"*"}`
		if got := ask(guards, trusts, append(slices.Clone(identities), denyAll)); name != "root" && got != [2]bool{} {
			t.Fatalf("%s: a deny of everything lets %v pass: %v", name, got, identities)
		}
	}
}

// TestFault_C4_PrincipalsOfTheDeployment looks for the principals that documents name.
func TestFault_C4_PrincipalsOfTheDeployment(t *testing.T) {
	w := newWorld(t)
	w.callers(iam.Permissions{})
	w.organization() // which the member belongs to
	for named, absent := range map[string]bool{
		"*": false, account: false, member: false, "100000000009": false,
		adaARN: false, batchARN: false, jobARN: false, evaARN: false,
		"arn:aws:iam::" + account + ":root":                     false,
		"arn:aws:iam::" + account + ":user/bob":                 true,
		"arn:aws:iam::" + account + ":user/path/ada":            true,
		"arn:aws:iam::" + account + ":user/Ada":                 true,
		"arn:aws:iam::" + account + ":role/ada":                 true,
		"arn:aws:iam::" + member + ":user/ada":                  true,
		"arn:aws:sts::" + account + ":assumed-role/none/job":    true,
		"arn:aws:sts::" + account + ":federated-user/somebody":  false,
		"arn:aws:iam::100000000009:user/ada":                    false,
		"arn:aws:iam::100000000009:role/batch":                  false,
		"arn:aws:sts::100000000009:assumed-role/none/somewhere": false,
	} {
		for _, element := range []string{`"Effect":"Allow","Principal":{"AWS":["` + adaARN + `","` + named + `"]}`,
			`"Effect":"Deny","NotPrincipal":{"AWS":"` + named + `"}`} {
			var got string
			err := w.store.View(w.ctx, func(tx *store.Tx) (err error) {
				got, err = authority.AbsentPrincipal(tx, document(`{`+element+`,"Action":"*","Resource":"*"}`))
				return err
			})
			if err != nil || (got != "") != absent || absent && got != named {
				t.Errorf("%s: %q is absent, %v; want %v", element, got, err, absent)
			}
		}
	}
}

// TestFault_C3_WhatIsTemporaryDoesNotLast asks for users with a session of their own, of the services that would let
// them keep what they may.
func TestFault_C3_WhatIsTemporaryDoesNotLast(t *testing.T) {
	w := newWorld(t)
	ada := w.user(account, "ada", inline(allowAll))
	session := w.callers(inline(allowAll))["session"]
	ada.Session = &iam.Session{}
	for _, c := range []struct {
		caller          iam.Caller
		service, action string
		want            string
	}{
		{ada, "iam", "CreateUser", "InvalidClientTokenId: The security token included in the request is invalid"},
		{ada, "iam", "ListUsers", "InvalidClientTokenId: The security token included in the request is invalid"},
		{ada, "sts", "GetAccessKeyInfo", "AccessDenied: Cannot call GetAccessKeyInfo with session credentials"},
		{ada, "sts", "GetFederationToken", "AccessDenied: Cannot call GetFederationToken with session credentials"},
		{ada, "sts", "AssumeRole", ""}, {ada, "ec2", "RunInstances", ""},
		{session, "iam", "CreateUser", ""}, {session, "sts", "GetAccessKeyInfo", ""},
	} {
		err := w.store.View(w.ctx, func(tx *store.Tx) error {
			return authority.New(authority.Config{Service: c.service}).Ask(tx, c.caller, c.action).Conclude(nil)
		})
		if got := fmt.Sprint(err); c.want == "" && err != nil || c.want != "" && got != c.want {
			t.Errorf("%s:%s: %v, want %q", c.service, c.action, err, c.want)
		}
	}
	passed := w.store.View(w.ctx, func(tx *store.Tx) error { // by another service, which calls IAM itself
		return authority.New(authority.Config{Service: "ec2"}).Ask(tx, ada, "RunInstances").MayAlso("iam:PassRole",
			batchARN, nil)
	})
	w.expect(passed, "")
}
