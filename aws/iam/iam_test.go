package iam_test

import (
	"crypto/rand"
	"errors"
	"strings"
	"testing"

	"pergola/aws/iam"
	"pergola/policy"
)

func TestKeyIDsTellTheirAccounts(t *testing.T) {
	for _, prefix := range []string{iam.PrefixAccessKey, iam.PrefixSessionKey} {
		for _, account := range []string{"100000000001", "000000000000", "999999999999"} {
			id := iam.NewKeyID(prefix, account, rand.Reader)
			if got, ok := iam.AccountOfKey(id); !ok || got != account || len(id) != 20 || !strings.HasPrefix(id, prefix) {
				t.Errorf("%s tells %q, %v, want %s", id, got, ok, account)
			}
		}
	}
	// An id that AWS has made and published with its account.
	if got, ok := iam.AccountOfKey("ASIAQNZGKIQY56JQ7WML"); !ok || got != "029608264753" {
		t.Errorf("an id of AWS tells %q, %v", got, ok)
	}
	for _, id := range []string{"", "AKIA", "AIDAQNZGKIQY56JQ7WML", "AKIA0000000000000000", "AKIAQNZGKIQY56JQ7WMLAAAA"} {
		if got, ok := iam.AccountOfKey(id); ok {
			t.Errorf("%q tells %s", id, got)
		}
	}
}

func TestUniqueIDs(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		id := iam.NewUniqueID(iam.PrefixRole, rand.Reader)
		if seen[id] || len(id) != 21 || !strings.HasPrefix(id, "AROA") {
			t.Errorf("made %s", id)
		}
		seen[id] = true
	}
}

// noRandomness fails.
type noRandomness struct{}

func (noRandomness) Read([]byte) (int, error) { return 0, errors.New("none left") }

func TestNoIDsWithoutRandomness(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("an id was made without randomness")
		}
	}()
	iam.NewUniqueID(iam.PrefixUser, noRandomness{})
}

// TestAWSManagedPolicies asks the built-in policies what they are there for.
func TestAWSManagedPolicies(t *testing.T) {
	const (
		prefix  = "arn:aws:iam::aws:policy/"
		service = "arn:aws:vpc-lattice:us-west-2:100000000001:service/svc-0123456789abcdef0"
	)
	for _, c := range []struct {
		name, action string
		want         policy.Effect
	}{
		{"AdministratorAccess", "anything:AtAll", policy.Allow},
		{"VPCLatticeFullAccess", "vpc-lattice:CreateService", policy.Allow},
		{"VPCLatticeFullAccess", "ec2:DescribeVpcs", policy.Allow},
		{"VPCLatticeFullAccess", "ec2:CreateVpc", policy.Silent},
		{"VPCLatticeFullAccess", "vpc-lattice-svcs:Invoke", policy.Silent},
		{"VPCLatticeFullAccess", "logs:CreateLogDelivery", policy.Silent}, // only by way of VPC Lattice
		{"VPCLatticeReadOnlyAccess", "vpc-lattice:GetService", policy.Allow},
		{"VPCLatticeReadOnlyAccess", "vpc-lattice:ListServices", policy.Allow},
		{"VPCLatticeReadOnlyAccess", "vpc-lattice:DeleteService", policy.Silent},
		{"VPCLatticeServicesInvokeAccess", "vpc-lattice-svcs:Invoke", policy.Allow},
		{"VPCLatticeServicesInvokeAccess", "vpc-lattice-svcs:Connect", policy.Silent},
		{"aws-service-role/AWSVpcLatticeServiceRolePolicy", "vpc-lattice:GetService", policy.Silent},
	} {
		managed, ok := iam.AWSManagedPolicy(prefix + c.name)
		if !ok {
			t.Errorf("%s is not built in", c.name)
			continue
		}
		document, err := policy.Parse([]byte(managed.Document()), policy.Identity, 6144)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := policy.Compile(document).Evaluate(&policy.Request{Action: c.action, Resource: service}).Effect; got != c.want {
			t.Errorf("%s says %v to %s, want %v", c.name, got, c.action, c.want)
		}
		again, _ := iam.AWSManagedPolicy(prefix + c.name)
		if managed.UniqueID != again.UniqueID || len(managed.UniqueID) != 21 || managed.Attachable() == strings.Contains(c.name, "service-role") {
			t.Errorf("%s has the id %s, attachable %v", c.name, managed.UniqueID, managed.Attachable())
		}
	}
	if _, ok := iam.AWSManagedPolicy(prefix + "Nothing"); ok {
		t.Error("a policy is built in that does not exist")
	}
}
