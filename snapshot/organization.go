package snapshot

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"pergola/aws/organizations"
	"pergola/policy"
)

// organizationState is the organisation with what was made of it. It is compiled as a whole; accounts for which nothing
// has changed are kept.
type organizationState struct {
	organizations map[string]*organizations.Organization
	units         map[string]*organizations.Unit
	accounts      map[string]*organizations.Account
	policies      map[string]*organizations.Policy
	// broken are the keys of objects that cannot be decoded.
	broken map[string]bool
	// compiled are the service control policies by their documents.
	compiled map[string]*policy.Policy
	stale    bool
}

func newOrganizationState() organizationState {
	return organizationState{
		organizations: map[string]*organizations.Organization{},
		units:         map[string]*organizations.Unit{},
		accounts:      map[string]*organizations.Account{},
		policies:      map[string]*organizations.Policy{},
		broken:        map[string]bool{},
	}
}

func (o *organizationState) take(kind, id string, change Change) (err error) {
	switch kind {
	case organizations.KindOrganization:
		err = record(o.organizations, id, change)
	case organizations.KindUnit:
		err = record(o.units, id, change)
	case organizations.KindAccount:
		err = record(o.accounts, id, change)
	case organizations.KindPolicy:
		err = record(o.policies, id, change)
	default:
		return nil
	}
	o.stale = true
	delete(o.broken, change.Key)
	if err != nil {
		o.broken[change.Key] = true
	}
	return err
}

// record puts an object into a table, or takes it out.
func record[T any](table map[string]*T, id string, change Change) error {
	object, err := decode[T](change)
	if object == nil {
		delete(table, id)
	} else {
		table[id] = object
	}
	return err
}

// compile enters into the identities what each account's place means. Where the organisation cannot be read, nobody's
// bounds are known, and everybody is denied everything.
func (o *organizationState) compile(next *Identities) error {
	o.stale = false
	members, err := o.members()
	if err != nil {
		return o.close(next, err)
	}
	accounts := make(map[string]*Account, len(members))
	before, problems := o.compiled, []error(nil)
	o.compiled = map[string]*policy.Policy{}
	for _, id := range slices.Sorted(maps.Keys(members)) {
		a := &Account{Organization: members[id].Organization, Path: members[id].Path}
		for _, level := range members[id].Levels {
			policies := make([]*policy.Policy, len(level))
			for i, document := range level {
				policies[i], err = o.serviceControl(document, before)
				problems = append(problems, err)
			}
			a.ServiceControl = append(a.ServiceControl, policies)
		}
		if known := next.Accounts[id]; known != nil && known.equal(a) {
			a = known
		}
		accounts[id] = a
	}
	next.Accounts, next.Strangers = accounts, &Account{}
	return errors.Join(problems...)
}

// close denies everybody everything.
func (o *organizationState) close(next *Identities, reason error) error {
	closed := policy.Refusal("service control policies", policy.ServiceControl)
	next.Accounts = nil
	next.Strangers = &Account{ServiceControl: [][]*policy.Policy{{closed}}}
	return fmt.Errorf("all signed requests are denied because the organisation cannot be read: %w", reason)
}

// members are the accounts that are in the organisation.
func (o *organizationState) members() (map[string]organizations.Membership, error) {
	for _, key := range slices.Sorted(maps.Keys(o.broken)) {
		return nil, fmt.Errorf("object %s cannot be decoded", key)
	}
	if len(o.organizations) == 0 {
		return nil, nil
	}
	if len(o.organizations) > 1 {
		return nil, fmt.Errorf("there are %d of them", len(o.organizations))
	}
	objects := organizations.Objects{Units: inOrder(o.units), Accounts: inOrder(o.accounts), Policies: inOrder(o.policies)}
	for _, organization := range o.organizations {
		objects.Organization = *organization
	}
	tree, err := organizations.NewTree(objects)
	if err != nil {
		return nil, err
	}
	members := map[string]organizations.Membership{}
	for _, id := range tree.Accounts() {
		members[id], _ = tree.Membership(id)
	}
	return members, nil
}

// inOrder are the objects of a table in the order of their ids.
func inOrder[T any](table map[string]*T) []T {
	objects := make([]T, 0, len(table))
	for _, object := range ordered(table) {
		objects = append(objects, *object)
	}
	return objects
}

// serviceControl compiles a service control policy unless that was done before.
func (o *organizationState) serviceControl(document string, before map[string]*policy.Policy) (p *policy.Policy, err error) {
	if o.compiled[document] != nil {
		return o.compiled[document], nil
	}
	if p = before[document]; p == nil {
		p, err = policy.ReadStored("service control policy "+o.nameOf(document), document, policy.ServiceControl)
	}
	o.compiled[document] = p
	return p, err
}

// nameOf is the id of a policy with this document.
func (o *organizationState) nameOf(document string) string {
	for _, p := range inOrder(o.policies) {
		if p.Content == document {
			return p.ID
		}
	}
	return organizations.FullAccessID
}

func (a *Account) equal(b *Account) bool {
	return a.Organization == b.Organization && a.Path == b.Path &&
		slices.EqualFunc(a.ServiceControl, b.ServiceControl, slices.Equal)
}
