package control

import (
	"strings"
	"testing"

	"pergola/aws/iam"
	"pergola/lattice"
	"pergola/store"
)

// TestFault_C4_PrincipalsOfAuthPolicies puts auth policies that name whom there is, whom there is not, and whom other
// deployments may have.
func TestFault_C4_PrincipalsOfAuthPolicies(t *testing.T) {
	w := newWorld(t)
	id := w.service("orders")
	const own = "100000000001" // the management account
	_, err := w.Store.Update(w.ctx, func(tx *store.Tx) error {
		ada := iam.User{Entity: iam.Entity{Account: own, Name: "ada", Path: "/", UniqueID: "AIDAada"}}
		return store.NewKind[iam.User](iam.KindUser).Put(tx, iam.ID(own, "ada"), ada)
	})
	if err != nil {
		t.Fatal(err)
	}
	for principal, taken := range map[string]bool{
		"*": true, own: true, "arn:aws:iam::" + own + ":user/ada": true, "arn:aws:iam::999999999999:role/anybody": true,
		"arn:aws:iam::" + own + ":user/bob": false, "arn:aws:iam::" + own + ":role/ada": false, "arn:aws:sts::" + own +
			":assumed-role/none/x": false,
	} {
		policy := strings.Replace(authenticated, `"Principal":"*"`, `"Principal":{"AWS":"`+principal+`"}`, 1)
		_, err := w.PutAuthPolicy(w.ctx, w.caller, &lattice.PutAuthPolicyRequest{ResourceIdentifier: id, Policy: policy})
		if taken {
			if err != nil {
				t.Errorf("%s: %v", principal, err)
			}
			continue
		}
		if e := refused(t, err, lattice.Validation, "policy"); !strings.Contains(e.Message, principal) {
			t.Errorf("%s: %s", principal, e.Message)
		}
	}
}
