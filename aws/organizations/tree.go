package organizations

import (
	"fmt"
	"maps"
	"slices"
)

// Objects are an organisation as the store keeps it, all at one revision. Accounts that stand alone may be among them.
type Objects struct {
	Organization Organization
	Units        []Unit
	Accounts     []Account
	Policies     []Policy
}

// Tree answers what authorisation asks about accounts. It never changes: when objects do, make another one. The zero
// value is that of a deployment without an organisation. It may be used from any goroutine.
type Tree struct {
	members map[string]Membership
}

// Membership is what it means for an account to be in an organisation.
type Membership struct {
	// Organization is the organisation's id, the value of aws:PrincipalOrgID.
	Organization string
	// Path leads from the organisation to the account's parent, the value of aws:PrincipalOrgPaths:
	// o-…/r-…/ou-…/ou-…/.
	Path string
	// Levels are the documents of the service control policies that bound the account: those of the root, then those of
	// each unit on the path, then the account's own. An action is allowed if each level has a document that allows it
	// and no document denies it. Nil if no policy bounds the account: it is the management account, or the
	// organisation has not enabled policies. To be read only.
	Levels [][]string
}

// NewTree makes a tree. The error names the first object that refers to one that is not there; from objects of one
// revision there is none.
func NewTree(o Objects) (*Tree, error) {
	b, err := newTreeBuilder(o)
	if err != nil {
		return nil, err
	}
	members := map[string]Membership{}
	for _, account := range o.Accounts {
		if account.Parent == "" {
			continue
		}
		member, err := b.membership(account)
		if err != nil {
			return nil, fmt.Errorf("account %s: %w", account.ID, err)
		}
		members[account.ID] = member
	}
	return &Tree{members}, nil
}

// Membership is that of an account; false for an account that is in no organisation.
func (t *Tree) Membership(account string) (Membership, bool) {
	member, ok := t.members[account]
	return member, ok
}

// Accounts are the ids of all accounts of the organisation, in order.
func (t *Tree) Accounts() []string { return slices.Sorted(maps.Keys(t.members)) }

// treeBuilder holds what memberships are made of.
type treeBuilder struct {
	organization Organization
	paths        map[string]string
	levels       map[string][][]string // by root and unit, from the root down to it
	documents    map[string]string
}

func newTreeBuilder(o Objects) (*treeBuilder, error) {
	b := &treeBuilder{organization: o.Organization, documents: map[string]string{FullAccessID: FullAccess().Content}}
	for _, policy := range o.Policies {
		b.documents[policy.ID] = policy.Content
	}
	var err error
	if b.paths, err = Paths(o.Organization, o.Units); err != nil {
		return nil, err
	}
	root, err := b.level(o.Organization.Root.Policies)
	if err != nil {
		return nil, fmt.Errorf("root %s: %w", o.Organization.Root.ID, err)
	}
	b.levels = map[string][][]string{o.Organization.Root.ID: {root}}
	// A parent's path is a prefix of its units', so it comes first.
	byPath := slices.SortedFunc(slices.Values(o.Units), func(x, y Unit) int { return len(b.paths[x.ID]) - len(b.paths[y.ID]) })
	for _, unit := range byPath {
		own, err := b.level(unit.Policies)
		if err != nil {
			return nil, fmt.Errorf("unit %s: %w", unit.ID, err)
		}
		b.levels[unit.ID] = below(b.levels[unit.Parent], own)
	}
	return b, nil
}

// level is the documents of some policies.
func (b *treeBuilder) level(policies []string) ([]string, error) {
	documents := make([]string, len(policies))
	for i, id := range policies {
		document, ok := b.documents[id]
		if !ok {
			return nil, fmt.Errorf("its policy %s does not exist", id)
		}
		documents[i] = document
	}
	return documents, nil
}

func (b *treeBuilder) membership(account Account) (Membership, error) {
	path, ok := b.paths[account.Parent]
	if !ok {
		return Membership{}, fmt.Errorf("its parent %s does not exist", account.Parent)
	}
	member := Membership{Organization: b.organization.ID, Path: path}
	if account.ID == b.organization.Management || !b.organization.PoliciesEnabled {
		return member, nil
	}
	own, err := b.level(account.Policies)
	member.Levels = below(b.levels[account.Parent], own)
	return member, err
}

// below adds a level to those above it, which others share.
func below(above [][]string, level []string) [][]string {
	return append(slices.Clip(above), level)
}

// Paths are the paths of an organisation's root and of its units by their ids, each with a slash at its end.
func Paths(o Organization, units []Unit) (map[string]string, error) {
	paths := map[string]string{o.Root.ID: o.ID + "/" + o.Root.ID + "/"}
	children := map[string][]Unit{}
	for _, unit := range units {
		children[unit.Parent] = append(children[unit.Parent], unit)
	}
	for reached := []string{o.Root.ID}; len(reached) > 0; reached = reached[1:] {
		for _, unit := range children[reached[0]] {
			paths[unit.ID] = paths[unit.Parent] + unit.ID + "/"
			reached = append(reached, unit.ID)
		}
	}
	for _, unit := range units {
		if paths[unit.ID] == "" {
			return nil, fmt.Errorf("unit %s: no path leads from the root to its parent %s", unit.ID, unit.Parent)
		}
	}
	return paths, nil
}
