package iam

import (
	"cmp"
	"encoding/base64"
	"errors"
	"slices"
	"strings"

	"pergola/aws"
	"pergola/aws/iam"
	"pergola/lattice"
	"pergola/store"
)

// noun is a kind of entity: where the store keeps it and what all kinds have in common.
type noun[T any] struct {
	objects store.Kind[T]
	kind    string
	// label names the noun in messages. parameter is how requests name one of it, and name takes that from a request;
	// there are none for nouns that requests name by their ARNs.
	label, parameter string
	// action is the noun in the names of actions, and resourceType in ARNs.
	action, resourceType string
	name                 func(iam.Subject) string
	entity               func(*T) *iam.Entity
	// boundary is an entity's permissions boundary, which decides who may change its permissions; nil for nouns without.
	boundary func(*T) string
	// quota is how many an account may have.
	quota lattice.Quota
}

// holder is a noun that has policies.
type holder[T any] struct {
	noun[T]
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
	users = holder[iam.User]{noun[iam.User]{
		store.NewKind[iam.User](iam.KindUser), iam.KindUser, "user", "userName", "User", "user",
		func(s iam.Subject) string { return s.UserName }, func(u *iam.User) *iam.Entity { return &u.Entity },
		func(u *iam.User) string { return u.Boundary }, iam.QuotaUsers,
	}, func(u *iam.User) *iam.Permissions { return &u.Permissions }, iam.QuotaUserPolicies, maxUserInline}
	groups = holder[iam.Group]{noun[iam.Group]{
		store.NewKind[iam.Group](iam.KindGroup), iam.KindGroup, "group", "groupName", "Group", "group",
		func(s iam.Subject) string { return s.GroupName }, func(g *iam.Group) *iam.Entity { return &g.Entity }, nil,
		iam.QuotaGroups,
	}, func(g *iam.Group) *iam.Permissions { return &g.Permissions }, iam.QuotaGroupPolicies, maxGroupInline}
	roles = holder[iam.Role]{noun[iam.Role]{
		store.NewKind[iam.Role](iam.KindRole), iam.KindRole, "role", "roleName", "Role", "role",
		func(s iam.Subject) string { return s.RoleName }, func(r *iam.Role) *iam.Entity { return &r.Entity },
		func(r *iam.Role) string { return r.Boundary }, iam.QuotaRoles,
	}, func(r *iam.Role) *iam.Permissions { return &r.Permissions }, iam.QuotaRolePolicies, maxRoleInline}
	profiles = noun[iam.InstanceProfile]{
		store.NewKind[iam.InstanceProfile](iam.KindInstanceProfile), iam.KindInstanceProfile, "instance profile", "instanceProfileName", "InstanceProfile", "instance-profile",
		func(s iam.Subject) string { return s.InstanceProfileName },
		func(p *iam.InstanceProfile) *iam.Entity { return &p.Entity }, nil, iam.QuotaInstanceProfiles,
	}
	policies = noun[iam.ManagedPolicy]{
		store.NewKind[iam.ManagedPolicy](iam.KindPolicy), iam.KindPolicy, "policy", "", "Policy", "policy",
		nil, func(p *iam.ManagedPolicy) *iam.Entity { return &p.Entity }, nil, iam.QuotaPolicies,
	}
	providers = noun[iam.Provider]{
		store.NewKind[iam.Provider](iam.KindProvider), iam.KindProvider, "OpenID Connect provider", "", "OpenIDConnectProvider", "oidc-provider",
		nil, func(p *iam.Provider) *iam.Entity { return &p.Entity }, nil, iam.QuotaProviders,
	}
)

// nameInARN is the name that ends an ARN.
func nameInARN(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

// find reads an entity of the caller's account.
func (n noun[T]) find(op *call, name string) (*T, error) {
	object, err := n.objects.Get(op.Tx, iam.ID(op.Account, name))
	if errors.Is(err, store.ErrNotFound) {
		return nil, noSuchEntity("The %s with name %s cannot be found.", n.label, name)
	}
	return &object, err
}

// arn names an entity.
func (n noun[T]) arn(e *iam.Entity) string {
	return lattice.ARN{Service: "iam", Account: e.Account, Resource: n.resourceType + e.Path + e.Name}.String()
}

// boundaryKey is the condition key for a permissions boundary.
const boundaryKey = "iam:PermissionsBoundary"

// may asks whether the caller may perform the operation on an entity. Unless the request says which boundary it wants, the
// condition key is the one that the entity has (IAM user guide, "Delegating responsibility to others using permissions
// boundaries").
func (n noun[T]) may(op *call, object *T) error {
	e := n.entity(object)
	if !op.Has(boundaryKey) && n.boundary != nil {
		op.Set(boundaryKey, n.boundary(object))
	}
	return op.May(n.arn(e), e.Tags)
}

// subject reads the entity that an operation is about, if the caller may perform it on that.
func (n noun[T]) subject(op *call, s iam.Subject) (*T, error) {
	name := n.name(s)
	if name == "" {
		return nil, missing(n.parameter)
	}
	return n.about(op, name)
}

// about is subject for an entity with a name. Who may not perform the operation does not learn whether there is one; the
// path of one that there is not is taken to be a slash.
func (n noun[T]) about(op *call, name string) (*T, error) {
	object, err := n.find(op, name)
	if err != nil {
		absent := n.arn(&iam.Entity{Account: op.Account, Path: "/", Name: name})
		return nil, cmp.Or(op.May(absent, nil), err)
	}
	return object, n.may(op, object)
}

func missing(parameter string) error {
	return aws.Errorf("ValidationError", "1 validation error detected: Value at '%s' is required", parameter)
}

func (n noun[T]) put(op *call, object *T) error {
	e := n.entity(object)
	return n.objects.Put(op.Tx, iam.ID(e.Account, e.Name), *object)
}

// mayCreate asks whether the caller may make an entity with tags.
func (n noun[T]) mayCreate(op *call, object *T) error {
	e := n.entity(object)
	return op.MayCreate(n.arn(e), e.Tags, "Tag"+n.action)
}

// create writes an entity that must be new, if there is room for it.
func (n noun[T]) create(op *call, object *T) error {
	name := n.entity(object).Name
	if err := n.free(op, name); err != nil {
		return err
	}
	count, err := n.objects.Count(op.Tx, op.Account+"/")
	if err != nil {
		return err
	}
	if err := op.room(n.quota, count); err != nil {
		return err
	}
	return n.put(op, object)
}

// free refuses a name that is taken.
func (n noun[T]) free(op *call, name string) error {
	_, err := n.objects.Get(op.Tx, iam.ID(op.Account, name))
	switch {
	case err == nil:
		return alreadyExists("The %s with name %s already exists.", n.label, name)
	case errors.Is(err, store.ErrNotFound):
		return nil
	}
	return err
}

func (n noun[T]) delete(op *call, object *T) {
	e := n.entity(object)
	n.objects.Delete(op.Tx, iam.ID(e.Account, e.Name))
}

// list reads one page of the entities of the caller's account whose paths begin with a prefix.
func (n noun[T]) list(op *call, in *iam.ListRequest) ([]*T, iam.Rest, error) {
	if err := n.mayList(op, in.PathPrefix); err != nil {
		return nil, iam.Rest{}, err
	}
	entries, _, err := n.objects.List(op.Tx, op.Account+"/", "", 0)
	if err != nil {
		return nil, iam.Rest{}, err
	}
	var found []*T
	for i := range entries {
		if strings.HasPrefix(n.entity(&entries[i].Value).Path, in.PathPrefix) {
			found = append(found, &entries[i].Value)
		}
	}
	return paginate(found, func(object *T) string { return strings.ToLower(n.entity(object).Name) }, in.Page)
}

// mayList asks whether the caller may list the entities whose paths begin with a prefix.
func (n noun[T]) mayList(op *call, prefix string) error {
	return op.May(n.arn(&iam.Entity{Account: op.Account, Path: cmp.Or(prefix, "/")}), nil)
}

// defaultPage is how many items a page has unless the request says otherwise.
const defaultPage = 100

// paginate cuts one page out of items, in the order of their keys. A marker is the last key of the page before.
func paginate[S any](items []S, key func(S) string, page iam.Page) ([]S, iam.Rest, error) {
	after, err := base64.RawURLEncoding.DecodeString(page.Marker)
	if err != nil {
		return nil, iam.Rest{}, aws.Errorf("ValidationError", "Invalid Marker.")
	}
	slices.SortFunc(items, func(a, b S) int { return cmp.Compare(key(a), key(b)) })
	if len(after) > 0 {
		items = slices.DeleteFunc(items, func(item S) bool { return key(item) <= string(after) })
	}
	size := int(page.MaxItems)
	if size == 0 {
		size = defaultPage
	}
	if len(items) <= size {
		return items, iam.Rest{}, nil
	}
	marker := base64.RawURLEncoding.EncodeToString([]byte(key(items[size-1])))
	return items[:size], iam.Rest{IsTruncated: true, Marker: marker}, nil
}

// itself is the key of items that are strings.
func itself(s string) string { return s }

// describeAll describes each of some entities.
func describeAll[T, D any](objects []*T, describe func(*T) D) (all []D) {
	for _, object := range objects {
		all = append(all, describe(object))
	}
	return all
}
