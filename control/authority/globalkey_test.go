package authority_test

import (
	"net/netip"
	"testing"
	"time"

	"pergola/aws/iam"
	"pergola/aws/organizations"
)

// absent stands for a key without a value.
const absent = "-"

// globalKeys are what each global condition key is for a call by a user's key, by a session of a role, by that in an
// organisation, and by that from inside a VPC; dataplane/access has the same table for requests to services.
var globalKeys = map[string][4]string{
	"aws:currenttime": {"2026-08-01T12:00:00Z", "2026-08-01T12:00:00Z", "2026-08-01T12:00:00Z",
		"2026-08-01T12:00:00Z"},
	"aws:epochtime":              {"1785585600", "1785585600", "1785585600", "1785585600"},
	"aws:federatedprovider":      {absent, "arn:x", "arn:x", "arn:x"},
	"aws:multifactorauthpresent": {absent, "false", "false", "false"},
	"aws:principalorgid":         {absent, absent, "o-1", absent},
	"aws:principalorgpaths":      {absent, absent, "o-1/r-1/", absent},
	"aws:referer":                {"me", "me", "me", "me"},
	"aws:requestedregion":        {"us-west-2", "us-west-2", "us-west-2", "us-west-2"},
	"aws:resourceaccount":        {account, account, account, account},
	"aws:resourceorgid":          {absent, absent, "o-1", absent},
	"aws:resourceorgpaths":       {absent, absent, "o-1/r-1/", absent},
	"aws:securetransport":        {"true", "true", "true", "true"},
	"aws:sourceidentity":         {absent, "ada", "ada", "ada"},
	"aws:sourceip":               {"192.0.2.7", "192.0.2.7", "192.0.2.7", absent},
	"aws:sourcevpc":              {absent, absent, absent, "vpc-1"},
	"aws:tokenissuetime":         {absent, "2026-08-01T11:00:00Z", "2026-08-01T11:00:00Z", "2026-08-01T11:00:00Z"},
	"aws:useragent":              {"test/1", "test/1", "test/1", "test/1"},
	"aws:viaawsservice":          {"false", "false", "false", "false"},
	"aws:vpcsourceip":            {absent, absent, absent, "192.0.2.7"},

	"aws:principalaccount":      {account, account, account, account},
	"aws:principaltype":         {"User", "AssumedRole", "AssumedRole", "AssumedRole"},
	"aws:principalisawsservice": {"false", "false", "false", "false"},
	"aws:username":              {"ada", absent, absent, absent},
	"aws:principaltag/team":     {"blue", "blue", "blue", "blue"},
	"aws:resourcetag/tier":      {"gold", "gold", "gold", "gold"},
	"aws:calledvia":             {absent, absent, absent, absent},
	"aws:multifactorauthage":    {absent, absent, absent, absent},
	"aws:sourcearn":             {absent, absent, absent, absent},
}

// TestFault_B4_GlobalKeys holds presence and value of every global condition key at the API.
func TestFault_B4_GlobalKeys(t *testing.T) {
	for _, key := range iam.GlobalKeys {
		if _, ok := globalKeys[key]; !ok {
			t.Errorf("%s is not in the table", key)
		}
	}
	for i, who := range []string{"user", "session", "organisation", "inside a VPC"} {
		w := newWorld(t)
		if who == "organisation" {
			root := organizations.Root{ID: "r-1"}
			put(w, organizations.KindOrganization, "o-1", organizations.Organization{ID: "o-1", Management: "100000000009",
				Root: root})
			put(w, organizations.KindAccount, account, organizations.Account{ID: account, Parent: "r-1",
				Policies: []string{organizations.FullAccessID}})
		}
		for key, want := range globalKeys {
			ask := func(condition string) error {
				permissions := inline(`{"Effect":"Allow","Action":"*","Resource":"*","Condition":` + condition + `}`)
				caller := w.user(account, "ada", permissions)
				if who != "user" {
					role := iam.Role{Entity: entity(account, "batch", "AROAbatch"), Permissions: permissions}
					put(w, iam.KindRole, iam.ID(account, "batch"), role)
					caller = iam.Caller{Account: account, ARN: role.SessionARN("job"), UserID: role.UniqueID + ":job",
						Type: iam.TypeAssumedRole, RoleARN: role.ARN(),
						Session: &iam.Session{Name: "job", SourceIdentity: "ada", Federation: "arn:x",
							Issued: time.Date(2026, 8, 1, 11, 0, 0, 0, time.UTC)}}
				}
				caller.Tags = map[string]string{"team": "blue"}
				caller.Origin = iam.Origin{Address: netip.MustParseAddr("::ffff:192.0.2.7"), Secure: true, UserAgent: "test/1",
					Referer: "me"}
				if who == "inside a VPC" {
					caller.Origin.VPC = "vpc-1"
				}
				return w.may(caller, "GetService", service, map[string]string{"tier": "gold"})
			}
			if err := ask(`{"Null":{"` + key + `":"true"}}`); (err == nil) != (want[i] == absent) {
				t.Errorf("%s for %s: asked whether it is absent: %v", key, who, err)
			}
			if want[i] == absent {
				continue
			}
			if err := ask(`{"StringEquals":{"` + key + `":"` + want[i] + `"}}`); err != nil {
				t.Errorf("%s for %s is not %s: %v", key, who, want[i], err)
			}
		}
	}
}
