package snapshot

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"pergola/aws/iam"
	"pergola/aws/organizations"
	"pergola/containment"
	"pergola/policy"
)

// identityCompiler is the part of a Compiler that knows callers. Managed policies carry users, groups and roles; groups
// carry users; and users carry access keys.
type identityCompiler struct {
	current *Identities

	managed map[string]*managedState // by the ids under which the store keeps them
	holders map[string]*holderState  // users, groups and roles, by kind and id
	keys    map[string]*keyState
	bounds  organizationState

	staleManaged marks[managedState]
	staleHolders marks[holderState]
	staleKeys    marks[keyState]
	problems     []error
}

// managedState is a managed policy with those who have it.
type managedState struct {
	id  string
	arn string
	// entered is the ARN under which the tables hold the policy, or "".
	entered  string
	compiled *policy.Policy // nil if there is no such policy
	holders  map[*holderState]bool
}

func (m *managedState) name() string { return m.id }
func (m *managedState) unused() bool { return m.compiled == nil && len(m.holders) == 0 }

// holderState is a user, a group or a role: each has policies.
type holderState struct {
	id     string
	object *holder // nil if there is none
	inline []*policy.Policy
	// managed are the managed policies that it refers to, and groups those that a user is in; existing or not.
	managed map[*managedState]bool
	groups  map[*holderState]bool
	// members are the users of a group, and keys the access keys of a user.
	members  map[*holderState]bool
	keys     map[*keyState]bool
	compiled *Principal // nil for a group
}

func (h *holderState) name() string { return h.id }
func (h *holderState) unused() bool {
	return h.object == nil && len(h.members) == 0 && len(h.keys) == 0
}

// holder is what matters here of a user, a group or a role.
type holder struct {
	iam.Entity
	iam.Permissions
	arn string
	// groups are the names of the groups of a user.
	groups []string
	// principal is what requests come from it; Anonymous for a group, from which none come.
	principal policy.PrincipalType
}

// keyState is an access key.
type keyState struct {
	id     string
	object *iam.AccessKey
	owner  *holderState // nil without an object
}

func (k *keyState) name() string { return k.id }
func (k *keyState) unused() bool { return k.object == nil }

func newIdentityCompiler() *identityCompiler {
	c := &identityCompiler{
		current:      &Identities{Accounts: map[string]*Account{}, Strangers: &Account{}},
		managed:      map[string]*managedState{},
		holders:      map[string]*holderState{},
		keys:         map[string]*keyState{},
		bounds:       newOrganizationState(),
		staleManaged: marks[managedState]{},
		staleHolders: marks[holderState]{},
		staleKeys:    marks[keyState]{},
	}
	for _, p := range iam.AWSManaged() {
		c.note(c.putManaged(iam.ID(p.Account, p.Name), p))
	}
	return c
}

func (c *identityCompiler) note(err error) {
	if err != nil {
		c.problems = append(c.problems, err)
	}
}

// take records one change, if its kind is about callers.
func (c *identityCompiler) take(kind, id string, change Change) error {
	switch kind {
	case iam.KindPolicy:
		object, err := decode[iam.ManagedPolicy](change)
		if object != nil && iam.ID(object.Account, object.Name) != id {
			object, err = nil, errMisplaced(change)
		}
		return errors.Join(err, c.putManaged(id, object))
	case iam.KindUser, iam.KindGroup, iam.KindRole:
		return c.takeHolder(kind, id, change)
	case iam.KindAccessKey:
		return c.takeKey(id, change)
	}
	return c.bounds.take(kind, id, change)
}

// errMisplaced is about an object whose key says that it is another one.
func errMisplaced(change Change) error {
	return &broken{change.Key, errors.New("it has the name of another")}
}

// putManaged records a managed policy, or with nil that there is none.
func (c *identityCompiler) putManaged(id string, object *iam.ManagedPolicy) (err error) {
	m := c.policy(id)
	m.arn, m.compiled = "", nil
	if object != nil {
		m.arn = object.ARN()
		m.compiled, err = policy.ReadStored(m.arn, object.Document(), policy.Identity)
	}
	c.staleManaged.compile(m)
	return err
}

func (c *identityCompiler) takeHolder(kind, id string, change Change) error {
	object, err := decodeHolder(kind, change)
	if object != nil && iam.ID(object.Account, object.Name) != id {
		object, err = nil, errMisplaced(change)
	}
	h := c.holder(kind, id)
	h.object, h.inline = object, nil
	problems := []error{err}
	if object != nil {
		for _, name := range slices.Sorted(maps.Keys(object.Inline)) {
			p, err := policy.ReadStored("inline policy "+name+" of "+object.arn, object.Inline[name], policy.Identity)
			h.inline = append(h.inline, p)
			problems = append(problems, err)
		}
	}
	c.link(h)
	c.staleHolders.compile(h)
	return errors.Join(problems...)
}

func decodeHolder(kind string, change Change) (*holder, error) {
	switch kind {
	case iam.KindUser:
		u, err := decode[iam.User](change)
		if u == nil {
			return nil, err
		}
		return &holder{u.Entity, u.Permissions, u.ARN(), u.Groups, policy.User}, nil
	case iam.KindRole:
		r, err := decode[iam.Role](change)
		if r == nil {
			return nil, err
		}
		return &holder{r.Entity, r.Permissions, r.ARN(), nil, policy.AssumedRole}, nil
	}
	g, err := decode[iam.Group](change)
	if g == nil {
		return nil, err
	}
	return &holder{g.Entity, g.Permissions, g.ARN(), nil, policy.Anonymous}, nil
}

// link notes what the policies of a user, a group or a role depend on.
func (c *identityCompiler) link(h *holderState) {
	for m := range h.managed {
		delete(m.holders, h)
		c.staleManaged.look(m)
	}
	for g := range h.groups {
		delete(g.members, h)
		c.staleHolders.look(g)
	}
	clear(h.managed)
	clear(h.groups)
	if h.object == nil {
		return
	}
	for _, arn := range append(slices.Clip(h.object.Attached), h.object.Boundary) {
		if arn != "" {
			m := c.policy(policyID(arn))
			m.holders[h], h.managed[m] = true, true
		}
	}
	for _, group := range h.object.groups {
		g := c.holder(iam.KindGroup, iam.ID(h.object.Account, group))
		g.members[h], h.groups[g] = true, true
	}
}

// policyID is where the store keeps the managed policy of an ARN.
func policyID(arn string) string {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) < 6 {
		return arn
	}
	return iam.ID(parts[4], parts[5][strings.LastIndexByte(parts[5], '/')+1:])
}

func (c *identityCompiler) takeKey(id string, change Change) error {
	object, err := decode[iam.AccessKey](change)
	k := c.keys[id]
	if k == nil {
		k = &keyState{id: id}
		c.keys[id] = k
	}
	if k.owner != nil {
		delete(k.owner.keys, k)
		c.staleHolders.look(k.owner)
	}
	k.object, k.owner = object, nil
	if object != nil {
		k.owner = c.holder(iam.KindUser, iam.ID(object.Account, object.User))
		k.owner.keys[k] = true
	}
	c.staleKeys.compile(k)
	return err
}

func (c *identityCompiler) policy(id string) *managedState {
	m := c.managed[id]
	if m == nil {
		m = &managedState{id: id, holders: map[*holderState]bool{}}
		c.managed[id] = m
	}
	return m
}

func (c *identityCompiler) holder(kind, id string) *holderState {
	id = kind + "/" + id
	h := c.holders[id]
	if h == nil {
		h = &holderState{
			id: id, managed: map[*managedState]bool{}, groups: map[*holderState]bool{},
			members: map[*holderState]bool{}, keys: map[*keyState]bool{},
		}
		c.holders[id] = h
	}
	return h
}

// compile makes the identities of the next snapshot, which are those of the last one if nothing has changed.
func (c *identityCompiler) compile(f *faults) *Identities {
	next := *c.current
	next.Policies = updated(next.Policies, c.compileManaged())
	next.Principals = updated(next.Principals, c.compilePrincipals(f))
	next.Keys = updated(next.Keys, c.compileKeys())
	changed := len(c.staleManaged)+len(c.staleHolders)+len(c.staleKeys) > 0
	if c.bounds.stale {
		changed = true
		err := f.try("compiling an organisation", organizations.KindOrganization,
			func() error { return c.bounds.compile(&next) })
		if errors.Is(err, containment.ErrPanicked) {
			err = c.bounds.close(&next, err)
		}
		c.note(err)
	}
	sweep(c.managed, c.staleManaged)
	sweep(c.holders, c.staleHolders)
	sweep(c.keys, c.staleKeys)
	if changed {
		c.current = &next
	}
	return c.current
}

// edits are what changes in a table; nil entries are removed.
type edits[T any] map[string]*T

// move takes out what was under one key and puts in what is under another; "" stands for none. Things trade keys, so
// what one gives up may be another's by then.
func (e edits[T]) move(was, is string, value *T) {
	if _, taken := e[was]; was != "" && !taken {
		e[was] = nil
	}
	if is != "" {
		e[is] = value
	}
}

func (c *identityCompiler) compileManaged() edits[policy.Policy] {
	changed := edits[policy.Policy]{}
	for m, stale := range c.staleManaged {
		if !stale {
			continue
		}
		changed.move(m.entered, m.arn, m.compiled)
		m.entered = m.arn
		for h := range m.holders {
			c.staleHolders.compile(h)
		}
	}
	return changed
}

func (c *identityCompiler) compilePrincipals(f *faults) edits[Principal] {
	for h, stale := range c.staleHolders {
		if stale {
			for member := range h.members {
				c.staleHolders.compile(member)
			}
		}
	}
	changed := edits[Principal]{}
	for h, stale := range c.staleHolders {
		if !stale {
			continue
		}
		was := h.compiled
		kind, id, _ := strings.Cut(h.id, "/")
		h.compiled = compiled(f, kind, id, func() *Principal { return c.compilePrincipal(h) })
		changed.move(was.uniqueID(), h.compiled.uniqueID(), h.compiled)
		for k := range h.keys {
			c.staleKeys.compile(k)
		}
	}
	return changed
}

// uniqueID is "" for nobody.
func (p *Principal) uniqueID() string {
	if p == nil {
		return ""
	}
	return p.UniqueID
}

// compilePrincipal is nil for a group, and where there is no object.
func (c *identityCompiler) compilePrincipal(h *holderState) *Principal {
	o := h.object
	if o == nil || o.principal == policy.Anonymous {
		return nil
	}
	p := &Principal{
		Type: o.principal, Account: o.Account, Name: o.Name, ARN: o.arn, UniqueID: o.UniqueID, Tags: NewTags(o.Tags),
		Policies: c.policiesOf(h),
	}
	for _, name := range o.groups {
		group := c.holder(iam.KindGroup, iam.ID(o.Account, name))
		if group.object == nil {
			p.Policies = append(p.Policies, c.missing("group "+name, o))
			continue
		}
		p.Policies = append(p.Policies, c.policiesOf(group)...)
	}
	if o.Boundary != "" {
		p.Boundary = c.managedPolicy(o.Boundary, o)
	}
	return p
}

// policiesOf are the inline and the managed policies of a user, a group or a role.
func (c *identityCompiler) policiesOf(h *holderState) []*policy.Policy {
	all := slices.Clone(h.inline)
	for _, arn := range h.object.Attached {
		all = append(all, c.managedPolicy(arn, h.object))
	}
	return all
}

func (c *identityCompiler) managedPolicy(arn string, o *holder) *policy.Policy {
	if m := c.policy(policyID(arn)); m.arn == arn && m.compiled != nil {
		return m.compiled
	}
	return c.missing(arn, o)
}

// missing stands for what a user, a group or a role refers to and is not there. It is not known what it would deny.
func (c *identityCompiler) missing(what string, o *holder) *policy.Policy {
	c.note(fmt.Errorf("%s is denied everything because %s, which it refers to, does not exist", o.arn, what))
	return policy.Refusal(what, policy.Identity)
}

func (c *identityCompiler) compileKeys() edits[Key] {
	changed := edits[Key]{}
	for k, stale := range c.staleKeys {
		if !stale {
			continue
		}
		changed[k.id] = nil
		if k.object != nil && k.owner.compiled != nil {
			changed[k.id] = &Key{ID: k.id, Sealed: k.object.Secret, Inactive: k.object.Inactive, Principal: k.owner.compiled}
		}
	}
	return changed
}
