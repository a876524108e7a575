package access

import (
	"strings"
	"testing"
	"time"

	"pergola/aws/iam"
	"pergola/lattice"
	"pergola/policy"
	"pergola/sealing"
	"pergola/sigv4"
	"pergola/snapshot"
)

// body is the text of a refusal by policies.
func body(who, path, why string) string {
	return "AccessDeniedException: User: " + who + " is not authorized to perform: vpc-lattice-svcs:Invoke on resource: " +
		serviceARN + path + " " + why
}

func silent(level string) string {
	return "because no " + level + " policy allows the vpc-lattice-svcs:Invoke action"
}

// refusal is a request that is refused.
type refusal struct {
	name    string
	change  func(t *testing.T, w *world)
	request func(w *world) *Request
	body    string
	by      DeniedBy
}

// refusals are requests that are refused by policies, or for who they say signed them.
func refusals() []refusal {
	elsewhere := func(t *testing.T) *policy.Policy {
		return authPolicy(t, strings.Replace(allowAll, `"*"`, `"`+serviceARN+`/elsewhere"`, 1))
	}
	return []refusal{
		{"unsigned, the network has a policy without a match", func(t *testing.T, w *world) { w.network.Policy = elsewhere(t) },
			func(w *world) *Request { return w.request("/") }, body("anonymous", "/", silent("network-based")), DeniedByNetwork},
		{"unsigned, the network has no policy, nor has the service", func(t *testing.T, w *world) { w.network.Policy, w.service.Policy = nil, nil },
			func(w *world) *Request { return w.request("/") }, body("anonymous", "/", silent("network-based")), DeniedByNetwork},
		{"unsigned, the service has a policy without a match", func(t *testing.T, w *world) { w.service.Policy = elsewhere(t) },
			func(w *world) *Request { return w.request("/parking?q=1") }, body("anonymous", "/parking", silent("service-based")), DeniedByService},
		{"signed, no identity policy", func(t *testing.T, w *world) { w.role.Policies = nil },
			func(w *world) *Request { return w.signed(signerOf(w.session()), "/catalogdetail") },
			body(sessionARN, "/catalogdetail", silent("identity-based")), DeniedByIdentity},
		{"signed, neither auth policy nor identity policy", func(t *testing.T, w *world) { w.service.Policy, w.role.Policies = nil, nil },
			func(w *world) *Request { return w.signed(signerOf(w.session()), "/") }, body(sessionARN, "/", silent("service-based")), DeniedByService},
		{"signed by a user without policies", func(t *testing.T, w *world) { w.user.Policies = nil },
			func(w *world) *Request { return w.signed(alice(), "/") }, body(userARN, "/", silent("identity-based")), DeniedByIdentity},
		{"the service denies", func(t *testing.T, w *world) { w.service.Policy = authPolicy(t, allowAll, denyAll) },
			func(w *world) *Request { return w.request("/") }, body("anonymous", "/", "with an explicit deny in a service-based policy"), DeniedByService},
		{"the network denies", func(t *testing.T, w *world) { w.network.Policy = authPolicy(t, denyAll) },
			func(w *world) *Request { return w.request("/") }, body("anonymous", "/", "with an explicit deny in a network-based policy"), DeniedByNetwork},
		{"the service denies and the network is silent", func(t *testing.T, w *world) {
			w.network.Policy, w.service.Policy = nil, authPolicy(t, denyAll)
		}, func(w *world) *Request { return w.request("/") }, body("anonymous", "/", "with an explicit deny in a service-based policy"), DeniedByService},
		{"an identity policy denies", func(t *testing.T, w *world) { w.user.Policies = append(w.user.Policies, identityPolicy(t, deny)) },
			func(w *world) *Request { return w.signed(alice(), "/") },
			body(userARN, "/", "with an explicit deny in an identity-based policy"), DeniedByIdentity},
		{"the boundary denies", func(t *testing.T, w *world) { w.user.Boundary = compiled(t, policy.Boundary, deny) },
			func(w *world) *Request { return w.signed(alice(), "/") },
			body(userARN, "/", "with an explicit deny in a permissions boundary"), DeniedByIdentity},
		{"the boundary is silent", func(t *testing.T, w *world) {
			w.role.Boundary = compiled(t, policy.Boundary, `"Effect":"Allow","Action":"s3:*","Resource":"*"`)
		}, func(w *world) *Request { return w.signed(signerOf(w.session()), "/") },
			body(sessionARN, "/", "because no permissions boundary allows the vpc-lattice-svcs:Invoke action"), DeniedByIdentity},
		{"a session policy denies", nil,
			func(w *world) *Request {
				return w.signed(signerOf(w.session(func(c *iam.Caller) { c.Session.Policy = `{"Statement":{` + deny + `}}` })), "/")
			}, body(sessionARN, "/", "with an explicit deny in a session policy"), DeniedByIdentity},
		{"the session policy is silent", nil,
			func(w *world) *Request {
				return w.signed(signerOf(w.session(func(c *iam.Caller) {
					c.Session.Policy = `{"Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}`
				})), "/")
			}, body(sessionARN, "/", silent("session")), DeniedByIdentity},
		{"the session's managed policy is gone", nil,
			func(w *world) *Request {
				return w.signed(signerOf(w.session(func(c *iam.Caller) { c.Session.PolicyARNs = []string{"arn:aws:iam::111122223333:policy/gone"} })), "/")
			}, body(sessionARN, "/", silent("session")), DeniedByIdentity},
		{"a service control policy denies", func(t *testing.T, w *world) {
			w.current.Identities.Accounts[account] = &snapshot.Account{ServiceControl: [][]*policy.Policy{
				{compiled(t, policy.ServiceControl, allow)}, {compiled(t, policy.ServiceControl, allow, deny)},
			}}
		}, func(w *world) *Request { return w.signed(alice(), "/") },
			body(userARN, "/", "with an explicit deny in a service control policy"), DeniedByIdentity},
		{"one level of service control policies is silent", func(t *testing.T, w *world) {
			w.current.Identities.Accounts[account] = &snapshot.Account{ServiceControl: [][]*policy.Policy{{compiled(t, policy.ServiceControl, allow)}, {}}}
		}, func(w *world) *Request { return w.signed(alice(), "/") }, body(userARN, "/", silent("service control")), DeniedByIdentity},

		{"the body is hashed", nil,
			func(w *world) *Request {
				r := w.signed(alice(), "/")
				edit(r, "x-amz-content-sha256", "UNSIGNED-PAYLOAD", strings.Repeat("0", 64))
				return r
			}, "InvalidSignatureException: Signed payloads are not supported", DeniedByIdentity},
		{"the body is streamed", nil,
			func(w *world) *Request {
				r := w.signed(alice(), "/")
				edit(r, "x-amz-content-sha256", "UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD")
				return r
			}, "InvalidSignatureException: Signed payloads are not supported", DeniedByIdentity},
		{"nothing is said of the body", nil,
			func(w *world) *Request {
				r := w.signed(alice(), "/")
				without(r, "x-amz-content-sha256")
				edit(r, "authorization", "x-amz-content-sha256;", "")
				return r
			}, "IncompleteSignatureException: Missing the 'x-amz-content-sha256' in canonical headers", DeniedByIdentity},
		{"what is said of the body is not signed", nil,
			func(w *world) *Request {
				r := w.signed(alice(), "/")
				edit(r, "authorization", "x-amz-content-sha256;", "")
				return r
			}, "IncompleteSignatureException: Missing the 'x-amz-content-sha256' in canonical headers", DeniedByIdentity},
		{"a signed field is not sent", nil,
			func(w *world) *Request {
				r := w.signed(signerOf(w.session()), "/")
				without(r, "x-amz-security-token")
				return r
			}, "IncompleteSignatureException: 'x-amz-security-token' is named as a SignedHeader, but it does not exist in the HTTP request.", DeniedByIdentity},
		{"the path was altered", nil,
			func(w *world) *Request {
				r := w.signed(alice(), "/a")
				r.HTTP.Path = "/b"
				return r
			}, mismatch, DeniedByIdentity},
		{"a field was altered", nil,
			func(w *world) *Request {
				r := w.signed(alice(), "/", sigv4.Field{Name: "X-Team", Value: "blue"})
				edit(r, "x-team", "blue", "red")
				return r
			}, mismatch, DeniedByIdentity},
		{"the secret is wrong", nil,
			func(w *world) *Request {
				s := alice()
				s.SecretAccessKey += "x"
				return w.signed(s, "/")
			}, mismatch, DeniedByIdentity},
		{"signed for the control plane", nil,
			func(w *world) *Request {
				s := alice()
				s.Service = "vpc-lattice"
				return w.signed(s, "/")
			}, "InvalidSignatureException: Credential should be scoped to correct service: 'vpc-lattice-svcs'", DeniedByIdentity},
		{"signed for another region", nil,
			func(w *world) *Request {
				s := alice()
				s.Region = "eu-west-1"
				return w.signed(s, "/")
			}, "InvalidSignatureException: Credential should be scoped to a valid Region, not 'eu-west-1'", DeniedByIdentity},
		{"signed too long ago", nil,
			func(w *world) *Request {
				w.now = time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)
				r := w.signed(alice(), "/")
				w.now = w.now.Add(10 * time.Minute)
				return r
			}, "InvalidSignatureException: Signature expired: 20240102T030405Z is now earlier than 20240102T030905Z (20240102T031405Z - 5 min.)", DeniedByIdentity},
		{"signed in the future", nil,
			func(w *world) *Request {
				w.now = noon.Add(6 * time.Minute)
				r := w.signed(alice(), "/")
				w.now = noon
				return r
			}, "InvalidSignatureException: Signature not yet current: 20260102T120600Z is still later than 20260102T120500Z (20260102T120000Z + 5 min.)", DeniedByIdentity},
		{"nobody's key", nil,
			func(w *world) *Request {
				s := alice()
				s.AccessKeyID = "AKIAI44QH8DHBEXAMPLE"
				return w.signed(s, "/")
			}, unknown, DeniedByIdentity},
		{"an inactive key", func(t *testing.T, w *world) { w.current.Identities.Keys.Get(userKey).Inactive = true },
			func(w *world) *Request { return w.signed(alice(), "/") }, unknown, DeniedByIdentity},
		{"a session that is over", nil,
			func(w *world) *Request {
				return w.signed(signerOf(w.session(func(c *iam.Caller) { c.Session.Expires = noon })), "/")
			}, "ExpiredTokenException: The security token included in the request is expired", DeniedByIdentity},
		{"a session without its token", nil,
			func(w *world) *Request {
				c := w.session()
				c.Token = ""
				return w.signed(signerOf(c), "/")
			}, unknown, DeniedByIdentity},
		{"the token of another session", nil,
			func(w *world) *Request {
				c := w.session()
				c.Token = w.session().Token
				return w.signed(signerOf(c), "/")
			}, unknown, DeniedByIdentity},
		{"a long-term key with a token", nil,
			func(w *world) *Request {
				return w.signed(signerOf(sealing.Credential{AccessKeyID: userKey, Secret: userSecret, Token: w.session().Token}), "/")
			}, unknown, DeniedByIdentity},
		{"a role that was deleted and made anew", func(t *testing.T, w *world) {
			later := *w.role
			later.UniqueID = "AROABBBBBBBBBBBBBBBBB"
			principals := &w.current.Identities.Principals
			*principals = principals.Without(roleID).With(later.UniqueID, &later)
		}, func(w *world) *Request { return w.signed(signerOf(w.session()), "/") }, unknown, DeniedByIdentity},
		{"a bad signature where nobody in particular is asked for", nil,
			func(w *world) *Request {
				return w.request("/", sigv4.Field{Name: "Authorization", Value: "AWS4-HMAC-SHA256 Credential=x, SignedHeaders=host, Signature=0"})
			}, "IncompleteSignatureException: Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got 'x'", DeniedByIdentity},
	}
}

// TestRefusals holds the body of every refusal, and who is said to have refused.
func TestRefusals(t *testing.T) {
	for _, test := range append(refusals(), malformed()...) {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			if test.change != nil {
				test.change(t, w)
			}
			r := test.request(w)
			d := w.guard.Authorize(r)
			if d.Allowed || d.Refusal != test.body || d.DeniedBy != test.by || d.Err != nil {
				t.Errorf("allowed %t by %s, %v:\n%s\nwant\n%s", d.Allowed, d.DeniedBy, d.Err, d.Refusal, test.body)
			}
			x, err := w.guard.Explain(r, "")
			if err != nil || x.Refusal != d.Refusal || x.DeniedBy != d.DeniedBy || !x.Guarded {
				t.Errorf("explained as %+v, %v", x, err)
			}
		})
	}
}

const (
	mismatch = "InvalidSignatureException: The request signature we calculated does not match the signature you provided. " +
		"Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
	unknown = "UnrecognizedClientException: The security token included in the request is invalid."
)

// TestAllowed holds who passes, and as whom.
func TestAllowed(t *testing.T) {
	for _, test := range []struct {
		name    string
		change  func(t *testing.T, w *world)
		request func(w *world) *Request
		caller  Caller
	}{
		{"unsigned", nil, func(w *world) *Request { return w.request("/") }, Caller{}},
		{"unsigned, with an Authorization of the target's", nil,
			func(w *world) *Request { return w.request("/", sigv4.Field{Name: "Authorization", Value: "Bearer x"}) }, Caller{}},
		{"unsigned, only the network asks", func(t *testing.T, w *world) { w.service.AuthType, w.service.Policy = lattice.AuthNone, nil },
			func(w *world) *Request { return w.request("/") }, Caller{}},
		{"unsigned, only the service asks", func(t *testing.T, w *world) {
			w.network.AuthType, w.network.Policy = lattice.AuthNone, authPolicy(t, denyAll)
		}, func(w *world) *Request { return w.request("/") }, Caller{}},
		{"a user", func(t *testing.T, w *world) { w.user.Tags = snapshot.Tags{{Key: "team", Value: "blue"}} },
			func(w *world) *Request { return w.signed(alice(), "/a%20b//..?x=1&x=2") },
			Caller{Principal: userARN, Tags: snapshot.Tags{{Key: "team", Value: "blue"}}}},
		{"a user with SigV4A", nil, func(w *world) *Request {
			s := alice()
			s.Algorithm, s.Region = sigv4.V4A, "us-*"
			return w.signed(s, "/")
		}, Caller{Principal: userARN}},
		{"a user with a path encoded twice", nil, func(w *world) *Request {
			s := alice()
			s.Path = sigv4.PathEncoded
			return w.signed(s, "/a%20b")
		}, Caller{Principal: userARN}},
		{"a presigned request", nil, func(w *world) *Request {
			r := w.request("/?x=1")
			query, added, err := alice().Presign(&r.HTTP, w.now, time.Hour)
			if err != nil {
				w.t.Fatal(err)
			}
			r.HTTP.RawQuery, r.HTTP.Header = query, added
			w.now = w.now.Add(59 * time.Minute)
			return r
		}, Caller{Principal: userARN}},
		{"a session of a user", nil, func(w *world) *Request {
			return w.signed(signerOf(w.session(func(c *iam.Caller) {
				*c = iam.Caller{Account: account, ARN: userARN, UserID: userID, Type: iam.TypeUser, Session: &iam.Session{Expires: noon.Add(time.Hour)}}
			})), "/")
		}, Caller{Principal: userARN}},
		{"a session of a role in an organisation", func(t *testing.T, w *world) {
			w.current.Identities.Accounts[account] = &snapshot.Account{Organization: "o-12345678", Path: "o-12345678/r-ab12/",
				ServiceControl: [][]*policy.Policy{{compiled(t, policy.ServiceControl, allow)}}}
		}, func(w *world) *Request {
			return w.signed(signerOf(w.session(func(c *iam.Caller) { c.Tags = map[string]string{"team": "blue", "env": "test"} })), "/")
		}, Caller{Principal: sessionARN, SessionName: "job", Organization: "o-12345678", OrganizationPath: "o-12345678/r-ab12/",
			Tags: snapshot.Tags{{Key: "env", Value: "test"}, {Key: "team", Value: "blue"}}}},
		{"a session limited by policies that allow it", func(t *testing.T, w *world) {
			policies := &w.current.Identities.Policies
			*policies = policies.With("arn:aws:iam::111122223333:policy/p", identityPolicy(t, allow))
		}, func(w *world) *Request {
			return w.signed(signerOf(w.session(func(c *iam.Caller) {
				c.Session.Policy = `{"Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}`
				c.Session.PolicyARNs = []string{"arn:aws:iam::111122223333:policy/p"}
			})), "/")
		}, Caller{Principal: sessionARN, SessionName: "job"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			if test.change != nil {
				test.change(t, w)
			}
			r := test.request(w)
			d := w.guard.Authorize(r)
			if !d.Allowed || d.Refusal != "" || d.DeniedBy != "" {
				t.Fatalf("refused by %s: %s", d.DeniedBy, d.Refusal)
			}
			checkCaller(t, d.Caller, test.caller)
			if x, err := w.guard.Explain(r, ""); err != nil || !x.Allowed || len(x.Levels) == 0 {
				t.Errorf("explained as %+v, %v", x, err)
			}
		})
	}
}

func checkCaller(t *testing.T, got, want Caller) {
	t.Helper()
	same := len(got.Tags) == len(want.Tags)
	for i := range got.Tags {
		same = same && got.Tags[i] == want.Tags[i]
	}
	got.Tags, want.Tags = nil, nil
	if !same || got.Principal != want.Principal || got.SessionName != want.SessionName ||
		got.Organization != want.Organization || got.OrganizationPath != want.OrganizationPath {
		t.Errorf("caller %+v, want %+v", got, want)
	}
}

// TestUnguarded: where nobody asks for authorisation, a signature is not looked at, good or bad.
func TestUnguarded(t *testing.T) {
	w := newWorld(t)
	w.network.AuthType, w.service.AuthType = lattice.AuthNone, lattice.AuthNone
	w.network.Policy, w.service.Policy = authPolicy(t, denyAll), authPolicy(t, denyAll)
	for _, r := range []*Request{
		w.request("/"), w.signed(alice(), "/"),
		w.request("/", sigv4.Field{Name: "Authorization", Value: "AWS4-HMAC-SHA256 nonsense"}),
	} {
		if d := w.guard.Authorize(r); !d.Allowed || d.Caller.Principal != "" {
			t.Errorf("%+v", d)
		}
		if x, err := w.guard.Explain(r, userARN); err != nil || !x.Allowed || x.Guarded || x.Levels != nil {
			t.Errorf("%+v, %v", x, err)
		}
	}
}

// TestConditions asks one policy after the other, each with one condition, of one signed and one unsigned request.
func TestConditions(t *testing.T) {
	for _, test := range []struct {
		condition        string
		signed, unsigned bool
	}{
		{`"NumericEquals":{"vpc-lattice-svcs:Port":"80"}`, true, true},
		{`"StringEquals":{"vpc-lattice-svcs:RequestMethod":"GET"}`, true, true},
		{`"StringEquals":{"vpc-lattice-svcs:requestmethod":"POST"}`, false, false},
		{`"StringLike":{"vpc-lattice-svcs:RequestPath":"/v1/*"}`, true, true},
		{`"StringLike":{"vpc-lattice-svcs:RequestPath":"*x=1*"}`, false, false},
		{`"StringEquals":{"vpc-lattice-svcs:RequestHeader/X-Team":"blue"}`, true, true},
		{`"ForAllValues:StringEquals":{"vpc-lattice-svcs:RequestHeader/x-twice":["1","2"]}`, true, true},
		{`"ForAllValues:StringEquals":{"vpc-lattice-svcs:RequestHeader/x-twice":"1"}`, false, false},
		{`"StringEquals":{"vpc-lattice-svcs:RequestHeader/x-twice":["1","2"]}`, false,
			false}, // what that means, IAM leaves open
		{`"StringEquals":{"vpc-lattice-svcs:RequestHeader/Host":"parking.example"}`, true, true},
		{`"Null":{"vpc-lattice-svcs:RequestHeader/x-none":"true"}`, true, true},
		{`"ForAnyValue:StringEquals":{"vpc-lattice-svcs:RequestQueryString/quux":"grault"}`, true, true},
		{`"ForAllValues:StringEquals":{"vpc-lattice-svcs:RequestQueryString/quux":"grault"}`, false, false},
		{`"StringEquals":{"vpc-lattice-svcs:RequestQueryString/a b":"c/d e%"}`, true, true},
		{`"Null":{"vpc-lattice-svcs:RequestQueryString/none":"true"}`, true, true},
		{`"ArnEquals":{"vpc-lattice-svcs:ServiceNetworkArn":"` + networkARN + `"}`, true, true},
		{`"ArnEquals":{"vpc-lattice-svcs:ServiceArn":"` + serviceARN + `"}`, true, true},
		{`"StringEquals":{"vpc-lattice-svcs:SourceVpc":"vpc-1"}`, true, true},
		{`"StringEquals":{"vpc-lattice-svcs:SourceVpcOwnerAccount":"444455556666"}`, true, true},
		{`"IpAddress":{"aws:SourceIp":"10.20.0.0/16"}`, true, true},
		{`"IpAddress":{"aws:SourceIp":"10.21.0.0/16"}`, false, false},
		{`"Bool":{"aws:SecureTransport":"false"}`, true, true},
		{`"StringEquals":{"aws:UserAgent":"test/1"}`, true, true},
		{`"StringEquals":{"aws:Referer":"me"}`, true, true},
		{`"DateEquals":{"aws:CurrentTime":"2026-01-02T12:00:00Z"}`, true, true},
		{`"NumericEquals":{"aws:EpochTime":"1767355200"}`, true, true},
		{`"StringEquals":{"aws:RequestedRegion":"us-west-2"}`, true, true},
		{`"StringEquals":{"aws:ResourceTag/Tier":"gold"}`, true, true},
		{`"StringEquals":{"aws:PrincipalTag/Team":"red"}`, true, false},
		{`"StringEquals":{"aws:PrincipalOrgID":"o-12345678"}`, true, false},
		{`"ForAnyValue:StringLike":{"aws:PrincipalOrgPaths":"o-12345678/r-ab12/*"}`, true, false},
		{`"StringEquals":{"aws:PrincipalType":"AssumedRole"}`, true, false},
		{`"StringEquals":{"aws:PrincipalType":"Anonymous"}`, false, true},
		{`"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/teams/*"}`, true, false},
		{`"StringEquals":{"aws:PrincipalAccount":"111122223333"}`, true, false},
		{`"StringLike":{"aws:userid":"` + roleID + `:*"}`, true, false},
		{`"DateLessThan":{"aws:TokenIssueTime":"2026-01-02T12:00:00Z"}`, true, false},
		{`"StringEquals":{"aws:SourceIdentity":"ada"}`, true, false},
		{`"StringEquals":{"aws:FederatedProvider":"arn:aws:iam::111122223333:oidc-provider/x"}`, true, false},
		{`"Null":{"aws:SourceVpc":"true"}`, true, true},
	} {
		w := newWorld(t)
		w.current.Identities.Accounts[account] = &snapshot.Account{Organization: "o-12345678", Path: "o-12345678/r-ab12/ou-1/"}
		w.service.Tags = snapshot.Tags{{Key: "tier", Value: "gold"}}
		w.service.Policy = authPolicy(t, allowAll+`,"Condition":{`+test.condition+`}`)
		path := "/v1/rates?x=1&quux=corge&QUUX=grault&a%20b=c%2Fd+e%"
		fields := sigv4.Fields{{Name: "x-team", Value: "blue"}, {Name: "X-Twice", Value: "1"}, {Name: "x-twice", Value: "2"},
			{Name: "User-Agent", Value: "test/1"}, {Name: "Referer", Value: "me"}}
		if d := w.guard.Authorize(w.request(path, fields...)); d.Allowed != test.unsigned {
			t.Errorf("%s, unsigned: allowed is %t", test.condition, d.Allowed)
		}
		session := w.session(func(c *iam.Caller) {
			c.Tags = map[string]string{"team": "red"}
			c.Session.SourceIdentity, c.Session.Federation = "ada", "arn:aws:iam::111122223333:oidc-provider/x"
		})
		// A query that is not well encoded cannot be signed.
		signed := w.signed(signerOf(session), strings.TrimSuffix(path, "%")+"%25", fields...)
		if d := w.guard.Authorize(signed); d.Allowed != test.signed {
			t.Errorf("%s, signed: allowed is %t: %s", test.condition, d.Allowed, d.Refusal)
		}
	}
}

// TestPrincipals holds whom the principals of an auth policy stand for.
func TestPrincipals(t *testing.T) {
	for principal, want := range map[string]struct{ user, session, anonymous bool }{
		`"*"`:                          {true, true, true},
		`{"AWS":"*"}`:                  {true, true, true},
		`{"AWS":"111122223333"}`:       {true, true, false},
		`{"AWS":"444455556666"}`:       {false, false, false},
		`{"AWS":"` + roleARN + `"}`:    {false, true, false},
		`{"AWS":"` + userARN + `"}`:    {true, false, false},
		`{"AWS":"` + sessionARN + `"}`: {false, true, false},
		`{"AWS":"arn:aws:sts::111122223333:assumed-role/caller/other"}`: {false, false, false},
	} {
		w := newWorld(t)
		w.service.Policy = authPolicy(t, allow+`,"Principal":`+principal)
		got := struct{ user, session, anonymous bool }{
			w.guard.Authorize(w.signed(alice(), "/")).Allowed,
			w.guard.Authorize(w.signed(signerOf(w.session()), "/")).Allowed,
			w.guard.Authorize(w.request("/")).Allowed,
		}
		if got != want {
			t.Errorf("%s: %+v, want %+v", principal, got, want)
		}
	}
}

// TestSessionIsOpenedOnce: what is kept of a session does not outlive it, nor the role.
func TestSessionIsOpenedOnce(t *testing.T) {
	w := newWorld(t)
	s := signerOf(w.session())
	for range 2 {
		if d := w.guard.Authorize(w.signed(s, "/")); !d.Allowed {
			t.Fatal(d.Refusal)
		}
	}
	principals := w.current.Identities.Principals
	w.current.Identities.Principals = principals.Without(roleID)
	if d := w.guard.Authorize(w.signed(s, "/")); d.Refusal != unknown {
		t.Errorf("the role is gone: %+v", d)
	}
	w.current.Identities.Principals = principals
	w.now = noon.Add(time.Hour)
	if d := w.guard.Authorize(w.signed(s, "/")); !strings.HasPrefix(d.Refusal, "ExpiredTokenException") {
		t.Errorf("the session is over: %+v", d)
	}
}

// TestSecretThatCannotBeOpened is the deployment's fault, and lets nobody pass.
func TestSecretThatCannotBeOpened(t *testing.T) {
	w := newWorld(t)
	keys := &w.current.Identities.Keys
	*keys = keys.With(userKey, &snapshot.Key{ID: userKey, Sealed: []byte("other"), Principal: w.user})
	r := w.signed(alice(), "/")
	if _, err := w.guard.Explain(r, ""); err == nil {
		t.Error("explained all the same")
	}
	d := w.guard.Authorize(r)
	if d.Allowed || d.Err == nil || d.Refusal != "" || strings.Contains(d.Err.Error(), userSecret) {
		t.Errorf("%+v", d)
	}
}

// TestExplainAs holds what an explanation on behalf of somebody says.
func TestExplainAs(t *testing.T) {
	w := newWorld(t)
	for as, principal := range map[string]string{
		userARN: userARN, roleARN: "arn:aws:sts::111122223333:assumed-role/caller/explain", sessionARN: sessionARN,
	} {
		x, err := w.guard.Explain(w.request("/"), as)
		if err != nil || !x.Allowed || x.Caller.Principal != principal || len(x.Levels) != 3 {
			t.Errorf("%s: %+v, %v", as, x, err)
		}
	}
	for _, as := range []string{"nobody", "arn:aws:sts::111122223333:assumed-role/caller/", "arn:aws:iam::111122223333:role/caller"} {
		if _, err := w.guard.Explain(w.request("/"), as); err == nil || !strings.Contains(err.Error(), as) {
			t.Errorf("%s: %v", as, err)
		}
	}
}
