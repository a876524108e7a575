// Package resource is what the kinds of resources of all services have in common: a Kind says once what tells it from
// the others, and the rest follows from that. It says where its resources are in the store and whose
// they are, what permission is asked about, which names and other keys only one of them may have, what they refer to,
// their quotas and idempotency tokens, and the service's own words for what is refused.
//
// There are two ways from a request to a resource. Find reads the one that an operation is about, if the caller may
// perform the operation on it; Read reads one that the operation merely refers to. An operation that uses neither is
// asked about when it ends (authority.Inquiry, Conclude).
package resource

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"strings"

	"pergola/control/authority"
	"pergola/control/operation"
	"pergola/control/ownership"
	"pergola/lattice"
	"pergola/store"
)

// Definition is what tells a kind of resource from the others. T is what the store has of one. Name, Head and Missing
// are required.
type Definition[T any] struct {
	// Name is the kind's name in the store.
	Name string
	// Head is the part of a resource that does not depend on its kind.
	Head func(*T) Head
	// Missing says that there is no such resource.
	Missing func(Ref) error
	// ByAccount says that paths begin with the account and a slash, and Global that the deployment has the resources as a
	// whole, so that All, Own and Count are about those of every account. Otherwise an index says what an account has.
	ByAccount, Global bool
	// Hidden says that another account's resource is missing too. By default the caller is refused it.
	Hidden bool
	// Keys sets the condition keys that a resource with an ARN has besides its tags; nil for none.
	Keys func(keys authority.Keys, arn string, value *T)
	// Taken refuses a new resource whose path another one has. Nil is for paths that are made of random ids.
	Taken func(*T) error
	// Room is how many resources an account may have, nil for any number. It has no set: the resources are counted.
	Room *Room
	// Holds are the keys that a resource has in indexes while it exists; nil for none.
	Holds func(*T) []Hold
	// Progress is where a resource says how far its last change has come; nil for kinds without a status.
	Progress func(*T) Progress
	// Tagging is the action for which a creation with tags also needs the permission, such as "TagResource".
	Tagging string
	// Reused says that an idempotency token was used before, with another request, for the resource with a path.
	Reused func(path string) error
}

// Head is the part of a resource that does not depend on its kind.
type Head struct {
	// Path is its id in the store. That of a part of another resource begins with the other one's path and a slash.
	Path string
	// ARN names it, and its account. A resource that does not keep its ARN goes by that of the request, and has Account
	// where the path does not begin with that.
	ARN, Account string
	// Tags are nil for kinds without.
	Tags *map[string]string
	// Token is the idempotency token that it was created with, or "".
	Token string
}

// owner is the account that has it.
func (h Head) owner() string { return cmp.Or(h.Account, lattice.AccountOf(h.ARN)) }

// Ref is what a request says of one resource.
type Ref struct {
	// Path is where the resource would be in the store.
	Path string
	// ARN is what permission is asked about where there is no such resource.
	ARN string
	// Exact says that the request gave the ARN, which must then be the resource's own.
	Exact bool
	// Named is what the request gave.
	Named string
	// Malformed is the error if that cannot name any resource.
	Malformed error
}

// Kind is a kind of resource.
type Kind[T any] struct {
	Definition[T]
	// Objects are all of the kind, of every account, without their statuses.
	Objects store.Kind[T]
	stages  store.Kind[lattice.Stage]
	owned   ownership.Kind[T]
}

// New makes a kind.
func New[T any](d Definition[T]) *Kind[T] {
	owner := func(value *T) (account, id string) {
		head := d.Head(value)
		return head.owner(), head.Path
	}
	return &Kind[T]{d, store.NewKind[T](d.Name), store.NewStatusKind[lattice.Stage](d.Name), ownership.Of(d.Name, owner)}
}

// Read reads a resource that an operation refers to. The caller needs no permission for it, but its account must own
// it.
func (k *Kind[T]) Read(op *operation.Call, ref Ref) (*T, error) {
	if ref.Malformed != nil {
		return nil, ref.Malformed
	}
	if !k.Hidden {
		if err := op.Owns(ref.ARN); err != nil {
			return nil, err
		}
	}
	value, err := k.get(op.Tx, ref.Path)
	if errors.Is(err, store.ErrNotFound) {
		return nil, k.Missing(ref)
	}
	if err != nil {
		return nil, err
	}
	head := k.Head(value)
	arn := cmp.Or(head.ARN, ref.ARN)
	switch {
	case ref.Exact && arn != ref.ARN, k.Hidden && head.owner() != op.Account:
		return nil, k.Missing(ref)
	case k.Hidden:
		return value, nil
	}
	return value, op.Owns(arn)
}

// Find reads the resource that an operation is about, if the caller may perform the operation on it. A caller that may
// not does not learn whether there is one.
func (k *Kind[T]) Find(op *operation.Call, ref Ref) (*T, error) {
	value, err := k.Read(op, ref)
	if err != nil {
		return nil, cmp.Or(op.May(ref.ARN, nil), err)
	}
	head := k.Head(value)
	arn := cmp.Or(head.ARN, ref.ARN)
	if k.Keys != nil {
		defer func(keys authority.Keys) { op.Keys = keys }(op.Keys) // these are of one question alone
		op.Keys = maps.Clone(op.Keys)
		k.Keys(op.Keys, arn, value)
	}
	var tags map[string]string
	if head.Tags != nil {
		tags = *head.Tags
	}
	return value, op.May(arn, tags)
}

// Order is a request to create a resource.
type Order struct {
	// ARN is what permission is asked about: that of the resource, with a * in place of its id.
	ARN  string
	Tags map[string]string
	// Parents is the path of what the resource will be part of, with a slash, or "".
	Parents string
	// Token is the idempotency token, or "", and Request what must be the same if it is used again.
	Token   string
	Request any
}

// Create builds a resource and writes it, if the caller may. With an idempotency token that has been used before, it
// answers with the resource that was created then, as it is now.
func (k *Kind[T]) Create(op *operation.Call, o Order, build func() (*T, error)) (*T, error) {
	if err := op.MayCreate(o.ARN, o.Tags, k.Tagging); err != nil {
		return nil, err
	}
	if known, err := k.replay(op, o); known != nil || err != nil {
		return known, err
	}
	value, err := build()
	if err != nil {
		return nil, err
	}
	if err := k.Add(op, value); err != nil {
		return nil, err
	}
	return value, k.remember(op, o, value)
}

// Add writes a resource that is new, with what it holds. That its path is taken is a more useful error than that there
// is no room.
func (k *Kind[T]) Add(op *operation.Call, value *T) error {
	if err := k.vacant(op.Tx, value); err != nil {
		return err
	}
	if k.Room != nil {
		have, err := k.Count(op.Tx, op.Account)
		if err != nil {
			return err
		}
		if err := k.Room.admit(op, have); err != nil {
			return err
		}
	}
	return k.insert(op, value)
}

// Move gives a resource another path, if no other one has that: was is the resource as it is in the store.
func (k *Kind[T]) Move(op *operation.Call, was, value *T) error {
	k.Delete(op.Tx, was)
	if err := k.vacant(op.Tx, value); err != nil {
		return err
	}
	return k.insert(op, value)
}

// vacant refuses a path that another resource has.
func (k *Kind[T]) vacant(tx *store.Tx, value *T) error {
	if k.Taken == nil {
		return nil
	}
	_, err := k.Objects.Get(tx, k.Head(value).Path)
	switch {
	case err == nil:
		return k.Taken(value)
	case errors.Is(err, store.ErrNotFound):
		return nil
	}
	return err
}

// insert writes a resource at a path where there is none, with what it holds.
func (k *Kind[T]) insert(op *operation.Call, value *T) error {
	if err := k.take(op, value, nil); err != nil {
		return err
	}
	head := k.Head(value)
	if k.isIndexed(head) {
		if err := k.owned.Add(op.Tx, value); err != nil {
			return err
		}
	}
	return k.write(op.Tx, head.Path, nil, value)
}

// isIndexed reports whether a resource is in the index of what its account has: parts of others are not.
func (k *Kind[T]) isIndexed(head Head) bool {
	return !k.ByAccount && !k.Global && !strings.Contains(head.Path, "/")
}

// stem begins the paths of what an account has, where it is not in the index.
func (k *Kind[T]) stem(account string) string {
	if k.Global {
		return ""
	}
	return account + "/"
}

// Put writes resources that exist already, and makes what they hold that of what they are now. All give up what they
// hold no more before the first takes anything new, so that two can exchange what they hold.
func (k *Kind[T]) Put(op *operation.Call, values ...*T) error {
	before, held := make([]*T, len(values)), make([][]Hold, len(values))
	for i, value := range values {
		var err error
		if before[i], err = k.get(op.Tx, k.Head(value).Path); err != nil {
			return err
		}
		held[i] = k.holdsOf(before[i])
		release(op.Tx, held[i], k.holdsOf(value))
	}
	for i, value := range values {
		if err := k.take(op, value, held[i]); err != nil {
			return err
		}
		if err := k.write(op.Tx, k.Head(value).Path, before[i], value); err != nil {
			return err
		}
	}
	return nil
}

// Delete deletes a resource, with what it holds and its idempotency token.
func (k *Kind[T]) Delete(tx *store.Tx, value *T) {
	head := k.Head(value)
	release(tx, k.holdsOf(value), nil)
	if k.isIndexed(head) {
		k.owned.Remove(tx, value)
	}
	k.forget(tx, head)
	k.Objects.Delete(tx, head.Path)
	if k.Progress != nil {
		k.stages.Delete(tx, head.Path)
	}
}

// DeleteParts deletes all that is part of the resource with a path, with their idempotency tokens: in two operations,
// however many they are. What they hold must go with the path too.
func (k *Kind[T]) DeleteParts(tx *store.Tx, account, path string) error {
	if err := tokens.DeletePrefix(tx, k.tokenKey(account, path+"/", "")); err != nil {
		return err
	}
	return k.Objects.DeletePrefix(tx, path+"/")
}

// Own are the resources of an account, in order of path, after one; so many at most, 0 for all, and whether there are
// more.
func (k *Kind[T]) Own(tx *store.Tx, account, after string, limit int) (all []store.Entry[T], more bool, err error) {
	if k.ByAccount || k.Global {
		all, more, err = k.Objects.List(tx, k.stem(account), after, limit)
	} else {
		all, more, err = k.owned.List(tx, account, after, limit)
	}
	return all, more, cmp.Or(err, k.fillAll(tx, all))
}

// All are all resources of an account, in order of path.
func (k *Kind[T]) All(tx *store.Tx, account string) ([]*T, error) {
	entries, _, err := k.Own(tx, account, "", 0)
	all := make([]*T, len(entries))
	for i := range entries {
		all[i] = &entries[i].Value
	}
	return all, err
}

// Count is how many resources an account has.
func (k *Kind[T]) Count(tx *store.Tx, account string) (int, error) {
	if k.ByAccount || k.Global {
		return k.Objects.Count(tx, k.stem(account))
	}
	return k.owned.Count(tx, account)
}

// Complete brings a store up to date that is older than the index of what accounts own, or than statuses apart from
// resources. also, unless nil, writes what else a resource lacks that is older than the index.
func (k *Kind[T]) Complete(also func(*store.Tx, *T) error) ownership.Step {
	return func(ctx context.Context, s *store.Store) error {
		if !k.ByAccount {
			if err := k.owned.Complete(also)(ctx, s); err != nil {
				return err
			}
		}
		if k.Progress == nil {
			return nil
		}
		return k.apart()(ctx, s)
	}
}
