package iam_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pergola/aws"
	nouns "pergola/aws/iam"
	"pergola/control/iam"
	"pergola/control/operation"
	"pergola/lattice"
)

// TestFault_A10_QuotasOfIAM makes as many of everything as quotas let it, which are made small, and one more.
func TestFault_A10_QuotasOfIAM(t *testing.T) {
	const few = 3
	quotas := map[string]int{}
	for _, q := range []lattice.Quota{
		nouns.QuotaUsers, nouns.QuotaGroups, nouns.QuotaRoles, nouns.QuotaInstanceProfiles, nouns.QuotaPolicies,
		nouns.QuotaProviders,
		nouns.QuotaUserPolicies, nouns.QuotaGroupPolicies, nouns.QuotaRolePolicies, nouns.QuotaAccessKeys,
	} {
		quotas[q.Code] = few
	}
	w := newWorldWith(t, iam.Config{Config: operation.Config{Quotas: quotas}})
	var arns []string
	for q, create := range map[lattice.Quota]func(ctx context.Context, name string) error{
		nouns.QuotaUsers: func(ctx context.Context, name string) error {
			_, err := w.CreateUser(ctx, w.caller, &nouns.CreateUserRequest{Name: name})
			return err
		},
		nouns.QuotaGroups: func(ctx context.Context, name string) error {
			_, err := w.CreateGroup(ctx, w.caller, &nouns.CreateGroupRequest{Name: name})
			return err
		},
		nouns.QuotaRoles: func(ctx context.Context, name string) error {
			_, err := w.CreateRole(ctx, w.caller, &nouns.CreateRoleRequest{Name: name, Trust: trust})
			return err
		},
		nouns.QuotaInstanceProfiles: func(ctx context.Context, name string) error {
			_, err := w.CreateInstanceProfile(ctx, w.caller, &nouns.CreateInstanceProfileRequest{Name: name})
			return err
		},
		nouns.QuotaPolicies: func(ctx context.Context, name string) error {
			made, err := w.CreatePolicy(ctx, w.caller, &nouns.CreatePolicyRequest{Name: name, Document: document})
			if err == nil {
				arns = append(arns, made.Policy.ARN)
			}
			return err
		},
		nouns.QuotaProviders: func(ctx context.Context, name string) error {
			_, err := w.CreateOpenIDConnectProvider(ctx, w.caller, &nouns.CreateProviderRequest{URL: "https://" + name +
				".example.com"})
			return err
		},
	} {
		for i := range few {
			if err := create(w.ctx, fmt.Sprint("n", i)); err != nil {
				t.Errorf("%s: %d: %v", q.Name, i, err)
			}
		}
		exceeded(t, create(w.ctx, "more"), q, few)
	}
	w.as(root("100000000002")).createUser("n0") // another account has room of its own

	arns = append(arns, fullARN)
	for i, arn := range arns {
		_, onUser := w.Users().AttachPolicy(w.ctx, w.caller, &nouns.AttachmentRequest{Subject: user("n0"), ARN: arn})
		_, onGroup := w.Groups().AttachPolicy(w.ctx, w.caller, &nouns.AttachmentRequest{Subject: group("n0"), ARN: arn})
		_, onRole := w.Roles().AttachPolicy(w.ctx, w.caller, &nouns.AttachmentRequest{Subject: role("n0"), ARN: arn})
		if i < few {
			if err := errors.Join(onUser, onGroup, onRole); err != nil {
				t.Error(err)
			}
			continue
		}
		exceeded(t, onUser, nouns.QuotaUserPolicies, few)
		exceeded(t, onGroup, nouns.QuotaGroupPolicies, few)
		exceeded(t, onRole, nouns.QuotaRolePolicies, few)
	}
	for range few {
		must(w, w.CreateAccessKey, named(user("n0")))
	}
	_, err := w.CreateAccessKey(w.ctx, w.caller, &nouns.SubjectRequest{Subject: user("n0")})
	exceeded(t, err, nouns.QuotaAccessKeys, few)
}

func exceeded(t *testing.T, err error, q lattice.Quota, limit int) {
	t.Helper()
	var named *aws.Error
	want := fmt.Sprintf("Cannot exceed quota for %s: %d", q.Name, limit)
	if !errors.As(err, &named) || named.Code != "LimitExceeded" || named.Status != 409 || named.Message != want {
		t.Errorf("%s: %v, want LimitExceeded: %s", q.Name, err, want)
	}
}

// TestFault_A9_DocumentsAreMeasuredFirst puts documents that are too long and no policies: that they are too long is
// said alone, since nothing reads them.
func TestFault_A9_DocumentsAreMeasuredFirst(t *testing.T) {
	w := newWorldWith(t, iam.Config{Config: operation.Config{Quotas: map[string]int{nouns.QuotaTrustPolicy.Code: 4096}}})
	w.createUser("ada")
	w.createRole("worker")
	arn := w.createPolicy("own")
	junk := func(n int) string { return strings.Repeat("x", n) }
	put := func(s nouns.Subject, n int) nouns.PutPolicyRequest {
		return nouns.PutPolicyRequest{InlinePolicyRequest: nouns.InlinePolicyRequest{Subject: s, Name: "p"},
			Document: junk(n)}
	}
	for n, code := range map[int]string{0: "MalformedPolicyDocument", 1: "LimitExceeded"} {
		refused(w, w.Users().PutPolicy, put(user("ada"), 2048+n), code)
		refused(w, w.Roles().PutPolicy, put(role("worker"), 10240+n), code)
		refused(w, w.CreatePolicy, nouns.CreatePolicyRequest{Name: "b", Document: junk(6144 + n)}, code)
		refused(w, w.CreatePolicyVersion, nouns.CreatePolicyVersionRequest{ARN: arn, Document: junk(6144 + n)}, code)
		refused(w, w.CreateRole, nouns.CreateRoleRequest{Name: "b", Trust: junk(4096 + n)}, code)
		refused(w, w.UpdateAssumeRolePolicy, nouns.UpdateAssumeRolePolicyRequest{Name: "worker", Trust: junk(4096 + n)}, code)
	}
}

// TestFault_C6_IssuersInHere registers issuers on this host and in private networks, which is not allowed by default.
func TestFault_C6_IssuersInHere(t *testing.T) {
	w, open := newWorldWith(t, iam.Config{}), newWorld(t)
	for _, host := range []string{
		"127.0.0.1", "127.9.9.9:8443", "localhost", "LOCALHOST.", "a.localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0",
		"169.254.169.254",
		"10.0.0.1:6443", "172.31.0.1", "192.168.1.1", "100.64.0.1", "[fe80::1]", "[fd00::1]", "[64:ff9b::7f00:1]",
		"[2002:7f00:1::]", "224.0.0.1", "255.255.255.255",
	} {
		in := nouns.CreateProviderRequest{URL: "https://" + host + "/id"}
		refused(w, w.CreateOpenIDConnectProvider, in, "InvalidInput")
		must(open, open.CreateOpenIDConnectProvider, in)
		in.URL = "http://" + host + "/plain"
		refused(w, w.CreateOpenIDConnectProvider, in, "InvalidInput")
		must(open, open.CreateOpenIDConnectProvider, in)
	}
	for _, host := range []string{"issuer.example.com", "192.0.9.1", "8.8.8.8", "[2606:4700::1]",
		"localhost.example.com"} {
		must(w, w.CreateOpenIDConnectProvider, nouns.CreateProviderRequest{URL: "https://" + host})
		refused(open, open.CreateOpenIDConnectProvider, nouns.CreateProviderRequest{URL: "http://" + host}, "InvalidInput")
	}
}

// TestFault_C4_TrustedPrincipalsExist makes roles that trust whom there is not.
func TestFault_C4_TrustedPrincipalsExist(t *testing.T) {
	w := newWorld(t)
	w.createUser("ada")
	w.createRole("worker")
	trusting := func(principal string) string { return strings.Replace(trust, `"100000000001"`, `"`+principal+`"`, 1) }
	for principal, want := range map[string]string{
		"arn:aws:iam::100000000001:user/ada":                        "",
		"arn:aws:iam::100000000009:user/nobody":                     "",
		"arn:aws:sts::100000000001:assumed-role/worker/x":           "",
		"arn:aws:iam::100000000001:user/bob":                        "user/bob",
		"arn:aws:iam::100000000001:role/itself":                     "role/itself",
		"arn:aws:sts::100000000001:assumed-role/nobody/session":     "assumed-role/nobody/session",
		"arn:aws:iam::100000000001:role/application/worker":         "role/application/worker",
		"arn:aws:sts::100000000001:federated-user/whoever-this-may": "",
	} {
		for name, create := range map[string]func() error{
			"CreateRole": func() error {
				_, err := w.CreateRole(w.ctx, w.caller, &nouns.CreateRoleRequest{Name: "itself", Trust: trusting(principal)})
				return err
			},
			"UpdateAssumeRolePolicy": func() error {
				_, err := w.UpdateAssumeRolePolicy(w.ctx, w.caller, &nouns.UpdateAssumeRolePolicyRequest{Name: "worker",
					Trust: trusting(principal)})
				return err
			},
		} {
			err := create()
			var refusal *aws.Error
			switch {
			case want == "" && err != nil:
				t.Errorf("%s: %s: %v", name, principal, err)
			case want != "" && (!errors.As(err, &refusal) || refusal.Code != "MalformedPolicyDocument" ||
				refusal.Message != `Invalid principal in policy: "AWS":"`+principal+`"`):
				t.Errorf("%s: %s: %v", name, principal, err)
			}
		}
		if _, err := w.DeleteRole(w.ctx, w.caller,
			&nouns.SubjectRequest{Subject: role("itself")}); (err == nil) != (want == "") {
			t.Errorf("a role that trusts %s: %v", principal, err)
		}
	}
}
