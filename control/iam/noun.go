package iam

import (
	"cmp"
	"encoding/base64"
	"strings"

	"pergola/aws"
	"pergola/aws/iam"
	"pergola/control/authority"
	"pergola/control/resource"
	"pergola/lattice"
	"pergola/store"
)

// noun is a kind of entity.
type noun[T any] struct {
	*resource.Kind[T]
	traits[T]
}

// traits tell one kind of entity from the others.
type traits[T any] struct {
	// kind is the noun in the store, label in messages, action in the names of actions, resourceType in ARNs, and prefix
	// begins unique ids.
	kind, label, action, resourceType, prefix string
	// parameter is how requests name an entity, and given takes that from a request.
	parameter string
	given     func(iam.Subject) string
	// nameIn takes the name from an ARN, and absent says that an ARN names nothing, for nouns that requests name by their
	// ARNs; builtIn are those of AWS.
	nameIn  func(arn string) string
	absent  string
	builtIn func(arn string) (*T, bool)
	entity  func(*T) *iam.Entity
	// refers are the further keys by which an entity refers to others; nil for none.
	refers func(*T) []resource.Hold
	// quota is how many an account may have.
	quota lattice.Quota

	// permissions are the policies of an entity; nil for nouns without, and the rest is for those that have them.
	permissions func(*T) *iam.Permissions
	// attached is how many managed policies one may have.
	attached lattice.Quota
	// inlineSize is how many characters all inline policies of one may have together, whitespace not counted.
	inlineSize int
}

// How many characters all inline policies of a user, a group or a role may have together (IAM user guide, "IAM and AWS
// STS quotas").
const (
	maxUserInline  = 2048
	maxGroupInline = 5120
	maxRoleInline  = 10240
)

var (
	users = newNoun(traits[iam.User]{
		kind: iam.KindUser, label: "user", action: "User", resourceType: "user", prefix: iam.PrefixUser,
		parameter: "userName", given: func(s iam.Subject) string { return s.UserName },
		entity: func(u *iam.User) *iam.Entity { return &u.Entity }, refers: membershipsOf, quota: iam.QuotaUsers,
		permissions: func(u *iam.User) *iam.Permissions { return &u.Permissions },
		attached:    iam.QuotaUserPolicies, inlineSize: maxUserInline,
	})
	groups = newNoun(traits[iam.Group]{
		kind: iam.KindGroup, label: "group", action: "Group", resourceType: "group", prefix: iam.PrefixGroup,
		parameter: "groupName", given: func(s iam.Subject) string { return s.GroupName },
		entity: func(g *iam.Group) *iam.Entity { return &g.Entity }, quota: iam.QuotaGroups,
		permissions: func(g *iam.Group) *iam.Permissions { return &g.Permissions },
		attached:    iam.QuotaGroupPolicies, inlineSize: maxGroupInline,
	})
	roles = newNoun(traits[iam.Role]{
		kind: iam.KindRole, label: "role", action: "Role", resourceType: "role", prefix: iam.PrefixRole,
		parameter: "roleName", given: func(s iam.Subject) string { return s.RoleName },
		entity: func(r *iam.Role) *iam.Entity { return &r.Entity }, quota: iam.QuotaRoles,
		permissions: func(r *iam.Role) *iam.Permissions { return &r.Permissions },
		attached:    iam.QuotaRolePolicies, inlineSize: maxRoleInline,
	})
	profiles = newNoun(traits[iam.InstanceProfile]{
		kind: iam.KindInstanceProfile, label: "instance profile", action: "InstanceProfile",
		resourceType: "instance-profile", prefix: iam.PrefixInstanceProfile,
		parameter: "instanceProfileName", given: func(s iam.Subject) string { return s.InstanceProfileName },
		entity: func(p *iam.InstanceProfile) *iam.Entity { return &p.Entity }, refers: roleOf,
		quota: iam.QuotaInstanceProfiles,
	})
	policies = newNoun(traits[iam.ManagedPolicy]{
		kind: iam.KindPolicy, label: "policy", action: "Policy", resourceType: "policy", prefix: iam.PrefixPolicy,
		parameter: "policyArn", given: func(s iam.Subject) string { return s.PolicyARN },
		nameIn: lattice.IDOf, absent: "Policy %s does not exist or is not attachable.", builtIn: iam.AWSManagedPolicy,
		entity: func(p *iam.ManagedPolicy) *iam.Entity { return &p.Entity }, quota: iam.QuotaPolicies,
	})
	providers = newNoun(traits[iam.Provider]{
		kind: iam.KindProvider, label: "OpenID Connect provider", action: "OpenIDConnectProvider",
		resourceType: "oidc-provider",
		parameter:    "openIDConnectProviderArn", given: func(s iam.Subject) string { return s.ProviderARN },
		nameIn: issuerIn, absent: "OpenIDConnect Provider not found for arn %s",
		entity: func(p *iam.Provider) *iam.Entity { return &p.Entity }, quota: iam.QuotaProviders,
	})
)

func newNoun[T any](t traits[T]) noun[T] {
	return noun[T]{resource.New(resource.Definition[T]{
		Name: t.kind, ByAccount: true, Hidden: true, Tagging: "Tag" + t.action,
		Missing: t.missing, Keys: t.keys, Holds: t.holds,
		Head: func(object *T) resource.Head {
			e := t.entity(object)
			return resource.Head{Path: iam.ID(e.Account, e.Name), ARN: t.arn(e), Tags: &e.Tags}
		},
		Taken: func(object *T) error {
			return alreadyExists("The %s with name %s already exists.", t.label, t.entity(object).Name)
		},
		Room: &resource.Room{Code: t.quota.Code, Default: t.quota.Default, Exceeded: func(limit int) error {
			return exceeded(t.quota, limit)
		}},
	}), t}
}

// arn names an entity.
func (t traits[T]) arn(e *iam.Entity) string {
	return lattice.ARN{Service: "iam", Account: e.Account, Resource: t.resourceType + e.Path + e.Name}.String()
}

func (t traits[T]) missing(ref resource.Ref) error {
	switch {
	case t.nameIn == nil:
		return noSuchEntity("The %s with name %s cannot be found.", t.label, ref.Named)
	case ref.Named == "":
		return missing(t.parameter)
	}
	return noSuchEntity(t.absent, ref.Named)
}

func missing(parameter string) error {
	return aws.Errorf("ValidationError", "1 validation error detected: Value at '%s' is required", parameter)
}

// boundaryKey is the condition key for a permissions boundary.
const boundaryKey = "iam:PermissionsBoundary"

// keys are the condition keys of an entity. Unless the request says which boundary it wants, that key is the boundary
// that the entity has (IAM user guide, "Delegating responsibility to others using permissions boundaries").
func (t traits[T]) keys(k authority.Keys, _ string, object *T) {
	if t.permissions != nil && !k.Has(boundaryKey) {
		k.Set(boundaryKey, t.permissions(object).Boundary)
	}
}

// attachments and boundaries say who uses which managed policy: "<uses of the policy><kind>/<name>".
var (
	attachments = store.NewIndex("iam-attachment")
	boundaries  = store.NewIndex("iam-boundary")
)

// uses begins the keys of all uses of a policy within an account. Neither names nor ARNs have a '#'.
func uses(account, arn string) string { return account + "#" + arn + "#" }

// holds are the keys of what an entity refers to: its policies, its boundary, and more for some nouns.
func (t traits[T]) holds(object *T) (all []resource.Hold) {
	if t.refers != nil {
		all = t.refers(object)
	}
	if t.permissions == nil {
		return all
	}
	e, p := t.entity(object), t.permissions(object)
	by := t.kind + "/" + strings.ToLower(e.Name)
	for _, arn := range p.Attached {
		all = append(all, resource.Hold{Index: attachments, Key: uses(e.Account, arn) + by})
	}
	if p.Boundary != "" {
		all = append(all, resource.Hold{Index: boundaries, Key: uses(e.Account, p.Boundary) + by})
	}
	return all
}

// ref is what a request names: by a name, or else by an ARN. The path of one that there is not is taken to be a slash.
func (n noun[T]) ref(op *call, given string) resource.Ref {
	if n.nameIn != nil {
		return resource.Ref{Path: iam.ID(op.Account, n.nameIn(given)), ARN: given, Exact: true, Named: given}
	}
	absent := n.arn(&iam.Entity{Account: op.Account, Path: "/", Name: given})
	return resource.Ref{Path: iam.ID(op.Account, given), ARN: absent, Named: given}
}

// read reads an entity of the caller's account, or one that is built in.
func (n noun[T]) read(op *call, given string) (*T, error) {
	if n.builtIn != nil {
		if object, ok := n.builtIn(given); ok {
			return object, nil
		}
	}
	return n.Read(op.Call, n.ref(op, given))
}

// find reads the entity that an operation is about, if the caller may perform the operation on it.
func (n noun[T]) find(op *call, given string) (*T, error) {
	if n.builtIn != nil {
		if object, ok := n.builtIn(given); ok {
			return object, op.May(given, n.entity(object).Tags)
		}
	}
	return n.Find(op.Call, n.ref(op, given))
}

// subject is find for the entity that a request names among others.
func (n noun[T]) subject(op *call, s iam.Subject) (*T, error) {
	given := n.given(s)
	if given == "" && n.nameIn == nil {
		return nil, missing(n.parameter)
	}
	return n.find(op, given)
}

// make makes an entity of the caller's account, which is not yet written.
func (n noun[T]) make(op *call, name, path string, tags []iam.Tag) (*T, error) {
	object := new(T)
	e := n.entity(object)
	*e = iam.Entity{
		Account: op.Account, Name: name, Path: cmp.Or(path, "/"), UniqueID: iam.NewUniqueID(n.prefix, op.Random),
		Created: lattice.Time{Time: op.Now()},
	}
	return object, addTags(e, tags)
}

// create makes an entity and writes it, if the caller may, once it is complete; nil is for one that is so.
func (n noun[T]) create(op *call, name, path string, tags []iam.Tag, complete func(*T) error) (*T, error) {
	object, err := n.make(op, name, path, tags)
	if err != nil {
		return nil, err
	}
	e := n.entity(object)
	return n.Create(op.Call, resource.Order{ARN: n.arn(e), Tags: e.Tags}, func() (*T, error) {
		if complete == nil {
			return object, nil
		}
		return object, complete(object)
	})
}

// remove deletes the entity that an operation is about, unless it is AWS's own, is kept, or has policies.
func (n noun[T]) remove(op *call, s iam.Subject, kept func(*T) error) error {
	object, err := n.subject(op, s)
	if err != nil {
		return err
	}
	if err := changeable(n.entity(object)); err != nil {
		return err
	}
	if err := kept(object); err != nil {
		return err
	}
	if n.permissions != nil {
		if err := bare(n.permissions(object)); err != nil {
			return err
		}
	}
	n.Delete(op.Tx, object)
	return nil
}

// unreferred refuses to delete an entity to which something refers in an index.
func (op *call) unreferred(index store.Index, e iam.Entity, refusal string) error {
	empty, err := index.Empty(op.Tx, below(e.Account, e.Name))
	if err == nil && !empty {
		err = deleteConflict("%s", refusal)
	}
	return err
}

// list reads one page of the entities of the caller's account whose paths begin with a prefix.
func (n noun[T]) list(op *call, in *iam.ListRequest) ([]*T, iam.Rest, error) {
	if err := n.mayList(op, in.PathPrefix); err != nil {
		return nil, iam.Rest{}, err
	}
	all, err := n.All(op.Tx, op.Account)
	if err != nil {
		return nil, iam.Rest{}, err
	}
	return paginate(n.within(in.PathPrefix, all), func(object *T) string {
		return strings.ToLower(n.entity(object).Name)
	}, in.Page)
}

// within are those of some entities whose paths begin with a prefix.
func (n noun[T]) within(prefix string, all []*T) (within []*T) {
	for _, object := range all {
		if strings.HasPrefix(n.entity(object).Path, prefix) {
			within = append(within, object)
		}
	}
	return within
}

// mayList asks whether the caller may list the entities whose paths begin with a prefix.
func (n noun[T]) mayList(op *call, prefix string) error {
	return op.May(n.arn(&iam.Entity{Account: op.Account, Path: cmp.Or(prefix, "/")}), nil)
}

// referring reads one page of the entities whose names end the keys of an index with a prefix.
func (n noun[T]) referring(op *call, index store.Index, prefix string, page iam.Page) ([]*T, iam.Rest, error) {
	entries, _, err := index.List(op.Tx, prefix, "", 0)
	if err != nil {
		return nil, iam.Rest{}, err
	}
	entries, rest, err := paginate(entries, func(e store.Entry[string]) string { return e.ID }, page)
	if err != nil {
		return nil, iam.Rest{}, err
	}
	found, err := each(entries, func(e store.Entry[string]) (*T, error) { return n.read(op, lattice.IDOf(e.ID)) })
	return found, rest, err
}

// defaultPage is how many items a page has unless the request says otherwise.
const defaultPage = 100

// paginate cuts one page out of items, in the order of their keys. A marker is the last key of the page before.
func paginate[S any](items []S, key func(S) string, page iam.Page) ([]S, iam.Rest, error) {
	after, err := base64.RawURLEncoding.DecodeString(page.Marker)
	if err != nil {
		return nil, iam.Rest{}, aws.Errorf("ValidationError", "Invalid Marker.")
	}
	items, next := resource.Page(items, key, string(after), int(cmp.Or(page.MaxItems, defaultPage)))
	return items, iam.Rest{IsTruncated: next != "", Marker: base64.RawURLEncoding.EncodeToString([]byte(next))}, nil
}

// itself is the key of items that are strings.
func itself(s string) string { return s }

// each makes one slice of another.
func each[S, D any](items []S, f func(S) (D, error)) (all []D, err error) {
	for _, item := range items {
		made, err := f(item)
		if err != nil {
			return nil, err
		}
		all = append(all, made)
	}
	return all, nil
}

// describeAll describes each of some items.
func describeAll[S, D any](items []S, describe func(S) D) (all []D) {
	for _, item := range items {
		all = append(all, describe(item))
	}
	return all
}
