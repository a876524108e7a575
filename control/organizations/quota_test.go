package organizations

import (
	"errors"
	"fmt"
	"testing"
	"time"

	nouns "pergola/aws/organizations"
	"pergola/store"
)

// TestFault_A10_QuotasOfOrganizations makes as many accounts and policies as there may be, and one more.
func TestFault_A10_QuotasOfOrganizations(t *testing.T) {
	w := newOrganization(t)
	w.Quotas = nil
	account := func(n int) nouns.CreateAccountRequest {
		return nouns.CreateAccountRequest{Email: fmt.Sprintf("a%d@example.com", n), AccountName: "a"}
	}
	var last string
	for n := 1; n < maxAccounts; n++ { // one is there
		last = must(w, w.CreateAccount, account(n)).Status.AccountID
	}
	refused(w, w.CreateAccount, account(maxAccounts), "ConstraintViolation ACCOUNT_NUMBER_LIMIT_EXCEEDED")
	must(w, w.RemoveAccountFromOrganization, nouns.RemoveAccountFromOrganizationRequest{ID: last})
	refused(w, w.CreateAccount, account(maxAccounts), "ConstraintViolation ACCOUNT_NUMBER_LIMIT_EXCEEDED")
	w.Quotas = map[string]int{accountsQuota: maxAccounts + 1}
	must(w, w.CreateAccount, account(maxAccounts))
	refused(w, w.CreateAccount, account(maxAccounts+1), "ConstraintViolation ACCOUNT_NUMBER_LIMIT_EXCEEDED")

	const chunk = 2000
	for from := 0; from < maxPolicies; from += chunk {
		_, err := w.Store.Update(w.ctx, func(tx *store.Tx) error {
			for n := range chunk {
				id := fmt.Sprintf("p-%08d", from+n)
				if err := policies.Objects.Put(tx, id, nouns.Policy{ID: id, Name: id}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	one := nouns.CreatePolicyRequest{Name: "more", Content: allowAll, Type: nouns.ServiceControlPolicy}
	refused(w, w.CreatePolicy, one, "ConstraintViolation POLICY_NUMBER_LIMIT_EXCEEDED")
	must(w, w.DeletePolicy, nouns.DeletePolicyRequest{ID: "p-00000007"})
	must(w, w.CreatePolicy, one)
}

// TestNamesOfPoliciesAreFreed gives policies names that others have had.
func TestNamesOfPoliciesAreFreed(t *testing.T) {
	w := newOrganization(t)
	named := func(name string) nouns.CreatePolicyRequest {
		return nouns.CreatePolicyRequest{Name: name, Content: allowAll, Type: nouns.ServiceControlPolicy}
	}
	id := must(w, w.CreatePolicy, named("one")).Policy.Summary.ID
	two := "two"
	must(w, w.UpdatePolicy, nouns.UpdatePolicyRequest{ID: id, Name: &two})
	must(w, w.UpdatePolicy, nouns.UpdatePolicyRequest{ID: id, Name: &two})
	refused(w, w.CreatePolicy, named("two"), "DuplicatePolicy")
	other := must(w, w.CreatePolicy, named("one")).Policy.Summary.ID
	refused(w, w.UpdatePolicy, nouns.UpdatePolicyRequest{ID: other, Name: &two}, "DuplicatePolicy")
	must(w, w.DeletePolicy, nouns.DeletePolicyRequest{ID: id})
	must(w, w.UpdatePolicy, nouns.UpdatePolicyRequest{ID: other, Name: &two})
}

// TestFault_D4_RequestsForAccountsAreForgotten asks for accounts that are not made, which nothing else bounds.
func TestFault_D4_RequestsForAccountsAreForgotten(t *testing.T) {
	w := newOrganization(t)
	id := func(n int) string { return fmt.Sprintf("car-%08d", n) }
	_, err := w.Store.Update(w.ctx, func(tx *store.Tx) error {
		for n := range maxCreations {
			at := testNow.Add(time.Duration(n-maxCreations) * time.Second)
			key := fmt.Sprintf("%020d/%s", at.UnixNano(), id(n))
			if err := errors.Join(creationsByTime.Put(tx, key, ""),
				creationObjects.Put(tx, id(n), nouns.AccountCreation{ID: id(n), Requested: at})); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		must(w, w.CreateAccount, nouns.CreateAccountRequest{Email: "taken@example.com", AccountName: "a"})
	}
	for n := range 4 {
		_, err := w.DescribeCreateAccountStatus(w.ctx, w.caller, &nouns.DescribeCreateAccountStatusRequest{ID: id(n)})
		if forgotten := n < 2; (err != nil) != forgotten {
			t.Errorf("request %d: %v", n, err)
		}
	}
	var kept int
	if err := w.Store.View(w.ctx, func(tx *store.Tx) (err error) {
		kept, err = creationObjects.Count(tx, "")
		return err
	}); err != nil || kept != maxCreations {
		t.Errorf("%d requests are remembered, %v; want %d", kept, err, maxCreations)
	}
}
