package authority

import (
	"pergola/aws/organizations"
	"pergola/store"
)

var (
	organizationObjects = store.NewKind[organizations.Organization](organizations.KindOrganization)
	unitObjects         = store.NewKind[organizations.Unit](organizations.KindUnit)
	accountObjects      = store.NewKind[organizations.Account](organizations.KindAccount)
	policyObjects       = store.NewKind[organizations.Policy](organizations.KindPolicy)
)

// membershipOf is what the organisation means for an account; the zero value outside of one. It reads the account and
// what is above it.
func membershipOf(tx *store.Tx, id string) (organizations.Membership, error) {
	var none organizations.Membership
	if id == "" {
		return none, nil
	}
	found, _, err := organizationObjects.List(tx, "", "", 1)
	if err != nil || len(found) == 0 {
		return none, err
	}
	account, err := accountObjects.Get(tx, id)
	if err != nil || account.Parent == "" {
		return none, unlessAbsent(err)
	}
	above := organizations.Objects{Organization: found[0].Value, Accounts: []organizations.Account{account}}
	attached := append(account.Policies, above.Organization.Root.Policies...)
	for parent := account.Parent; parent != above.Organization.Root.ID; {
		unit, err := unitObjects.Get(tx, parent)
		if err != nil {
			return none, err
		}
		above.Units, attached, parent = append(above.Units, unit), append(attached, unit.Policies...), unit.Parent
	}
	if above.Policies, err = attachedPolicies(tx, attached); err != nil {
		return none, err
	}
	tree, err := organizations.NewTree(above)
	if err != nil {
		return none, err
	}
	member, _ := tree.Membership(account.ID)
	return member, nil
}

// attachedPolicies reads policies. The same one may be attached at several levels.
func attachedPolicies(tx *store.Tx, ids []string) (all []organizations.Policy, err error) {
	read := map[string]bool{organizations.FullAccessID: true} // it is built in
	for _, id := range ids {
		if read[id] {
			continue
		}
		read[id] = true
		found, err := policyObjects.Get(tx, id)
		if err != nil {
			return nil, err
		}
		all = append(all, found)
	}
	return all, nil
}
