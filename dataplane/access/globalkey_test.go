package access

import (
	"slices"
	"strings"
	"testing"

	"pergola/aws/iam"
	"pergola/policy"
	"pergola/sigv4"
	"pergola/snapshot"
)

// absent stands for a key without a value.
const absent = "-"

// globalKeys are what each global condition key is for a request by nobody, by a user's key, by a session of a role,
// and by that in an organisation; control/authority has the same table for the API.
var globalKeys = map[string][4]string{
	"aws:currenttime": {"2026-01-02T12:00:00Z", "2026-01-02T12:00:00Z", "2026-01-02T12:00:00Z",
		"2026-01-02T12:00:00Z"},
	"aws:epochtime": {"1767355200", "1767355200", "1767355200", "1767355200"},
	"aws:federatedprovider": {absent, absent, "arn:aws:iam::111122223333:oidc-provider/x",
		"arn:aws:iam::111122223333:oidc-provider/x"},
	"aws:multifactorauthpresent": {absent, absent, "false", "false"},
	"aws:principalorgid":         {absent, absent, absent, "o-12345678"},
	"aws:principalorgpaths":      {absent, absent, absent, "o-12345678/r-ab12/ou-1/"},
	"aws:referer":                {"me", "me", "me", "me"},
	"aws:requestedregion":        {region, region, region, region},
	"aws:resourceaccount":        {account, account, account, account},
	"aws:resourceorgid":          {absent, absent, absent, "o-12345678"},
	"aws:resourceorgpaths":       {absent, absent, absent, "o-12345678/r-ab12/ou-1/"},
	"aws:securetransport":        {"false", "false", "false", "false"},
	"aws:sourceidentity":         {absent, absent, "ada", "ada"},
	"aws:sourceip":               {"10.20.1.10", "10.20.1.10", "10.20.1.10", "10.20.1.10"},
	"aws:sourcevpc":              {absent, absent, absent, absent},
	"aws:tokenissuetime":         {absent, absent, "2026-01-02T11:59:00Z", "2026-01-02T11:59:00Z"},
	"aws:useragent":              {"test/1", "test/1", "test/1", "test/1"},
	"aws:viaawsservice":          {"false", "false", "false", "false"},
	"aws:vpcsourceip":            {absent, absent, absent, absent},

	// Those that no list of keys has: they follow from the principal and from tags, or never have a value here.
	"aws:principalarn":          {absent, userARN, roleARN, roleARN},
	"aws:principalaccount":      {absent, account, account, account},
	"aws:principaltype":         {"Anonymous", "User", "AssumedRole", "AssumedRole"},
	"aws:principalisawsservice": {absent, "false", "false", "false"},
	"aws:userid":                {absent, userID, roleID + ":job", roleID + ":job"},
	"aws:username":              {absent, "alice", absent, absent},
	"aws:principaltag/team":     {absent, "blue", "red", "red"},
	"aws:resourcetag/tier":      {"gold", "gold", "gold", "gold"},
	"aws:calledvia":             {absent, absent, absent, absent},
	"aws:calledviafirst":        {absent, absent, absent, absent},
	"aws:calledvialast":         {absent, absent, absent, absent},
	"aws:multifactorauthage":    {absent, absent, absent, absent},
	"aws:sourceaccount":         {absent, absent, absent, absent},
	"aws:sourcearn":             {absent, absent, absent, absent},
	"aws:sourceorgid":           {absent, absent, absent, absent},
	"aws:sourceorgpaths":        {absent, absent, absent, absent},
	"aws:sourcevpce":            {absent, absent, absent, absent},
	"aws:requesttag/team":       {absent, absent, absent, absent},
	"aws:tagkeys":               {absent, absent, absent, absent},
	"aws:principalservicename":  {absent, absent, absent, absent},
}

// TestFault_B4_GlobalKeys holds presence and value of every global condition key at the data plane.
func TestFault_B4_GlobalKeys(t *testing.T) {
	for _, key := range iam.GlobalKeys {
		if _, ok := globalKeys[key]; !ok {
			t.Errorf("%s is not in the table", key)
		}
	}
	for key, want := range globalKeys {
		if has := slices.ContainsFunc(want[:], func(v string) bool { return v != absent }); HasKey(key) != has {
			t.Errorf("that %s can have a value here is said to be %v", key, !has)
		}
		for i, who := range []string{"nobody", "user", "session", "organisation"} {
			w := newWorld(t)
			w.service.Tags, w.user.Tags = snapshot.Tags{{Key: "tier", Value: "gold"}},
				snapshot.Tags{{Key: "team", Value: "blue"}}
			if who == "organisation" {
				w.current.Identities.Accounts[account] = &snapshot.Account{Organization: "o-12345678",
					Path: "o-12345678/r-ab12/ou-1/"}
			}
			fields := sigv4.Fields{{Name: "User-Agent", Value: "test/1"}, {Name: "Referer", Value: "me"}}
			var r *Request
			switch who {
			case "nobody":
				r = w.request("/", fields...)
			case "user":
				r = w.signed(alice(), "/", fields...)
			default:
				r = w.signed(signerOf(w.session(func(c *iam.Caller) {
					c.Tags = map[string]string{"team": "red"}
					c.Session.SourceIdentity, c.Session.Federation = "ada", "arn:aws:iam::111122223333:oidc-provider/x"
				})), "/", fields...)
			}
			w.service.Policy = authPolicy(t, allowAll+`,"Condition":{"Null":{"`+key+`":"true"}}`)
			if got := w.guard.Authorize(r); got.Allowed != (want[i] == absent) {
				t.Errorf("%s for %s: absent is %t", key, who, got.Allowed)
			}
			if want[i] == absent {
				continue
			}
			w.service.Policy = authPolicy(t, allowAll+`,"Condition":{"StringEquals":{"`+key+`":"`+want[i]+`"}}`)
			if d := w.guard.Authorize(r); !d.Allowed {
				t.Errorf("%s for %s is not %s: %s", key, who, want[i], d.Refusal)
			}
		}
	}
}

// TestFault_B4_DenyWithoutDevice: a policy that denies sessions that no device proved binds calls of services.
func TestFault_B4_DenyWithoutDevice(t *testing.T) {
	const without = `"Condition":{"Bool":{"aws:MultiFactorAuthPresent":"false"}}`
	const everywhere = `"Condition":{"BoolIfExists":{"aws:MultiFactorAuthPresent":"false"}}`
	for _, c := range []struct {
		condition     string
		session, user bool
	}{{without, false, true}, {everywhere, false, false}} {
		w := newWorld(t)
		w.service.Policy = authPolicy(t, allowAll, denyAll+","+c.condition)
		if d := w.guard.Authorize(w.signed(signerOf(w.session()), "/")); d.Allowed != c.session {
			t.Errorf("%s: a session is allowed: %t", c.condition, d.Allowed)
		}
		if d := w.guard.Authorize(w.signed(alice(), "/")); d.Allowed != c.user {
			t.Errorf("%s: a user is allowed: %t", c.condition, d.Allowed)
		}
		if d := w.guard.Authorize(w.signed(signerOf(w.session()), "/")); !d.Allowed &&
			(d.Policy.Effect != policy.Deny || !strings.Contains(d.Refusal, "explicit deny")) {
			t.Errorf("%+v", d)
		}
	}
}

// TestGlobalKeysAreSorted keeps the list readable, and each key in it once.
func TestGlobalKeysAreSorted(t *testing.T) {
	if !slices.IsSorted(iam.GlobalKeys) || len(slices.Compact(slices.Clone(iam.GlobalKeys))) != len(iam.GlobalKeys) {
		t.Errorf("%v", iam.GlobalKeys)
	}
}
