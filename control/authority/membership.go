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

// membership is what the organisation means for the caller's account; the zero value outside of one. It reads the
// account and what is above it.
func (r *reader) membership() (organizations.Membership, error) {
	var none organizations.Membership
	if r.caller.Account == "" {
		return none, nil
	}
	found, _, err := organizationObjects.List(r.tx, "", "", 1)
	if err != nil || len(found) == 0 {
		return none, err
	}
	account, err := accountObjects.Get(r.tx, r.caller.Account)
	if err != nil || account.Parent == "" {
		return none, unlessAbsent(err)
	}
	above := organizations.Objects{Organization: found[0].Value, Accounts: []organizations.Account{account}}
	attached := append(account.Policies, above.Organization.Root.Policies...)
	for parent := account.Parent; parent != above.Organization.Root.ID; {
		unit, err := unitObjects.Get(r.tx, parent)
		if err != nil {
			return none, err
		}
		above.Units, attached, parent = append(above.Units, unit), append(attached, unit.Policies...), unit.Parent
	}
	if above.Policies, err = r.attached(attached); err != nil {
		return none, err
	}
	tree, err := organizations.NewTree(above)
	if err != nil {
		return none, err
	}
	member, _ := tree.Membership(account.ID)
	return member, nil
}

// attached reads policies, each of which may be attached at several levels.
func (r *reader) attached(ids []string) (all []organizations.Policy, err error) {
	read := map[string]bool{organizations.FullAccessID: true} // it is built in
	for _, id := range ids {
		if read[id] {
			continue
		}
		read[id] = true
		found, err := policyObjects.Get(r.tx, id)
		if err != nil {
			return nil, err
		}
		all = append(all, found)
	}
	return all, nil
}
