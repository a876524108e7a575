// Package ownership remembers which objects an account owns, so that listing and counting them costs what that account
// has, and nothing for what others have.
package ownership

import (
	"context"
	"errors"
	"sync/atomic"

	"pergola/store"
)

// owned has a key for each object that an account owns: "<account>/<kind>/<id>". complete has a key for each kind
// whose objects are all in owned, those from before there was the index included.
var (
	owned    = store.NewIndex("owned").Counted()
	complete = store.NewIndex("owned-complete")
)

// Kind is a kind of object that accounts own. Its objects have their ids in the store.
type Kind[T any] struct {
	objects store.Kind[T]
	name    string
	owner   func(*T) (account, id string)
}

// Of makes a kind: the name that the store has for it, and whose an object is.
func Of[T any](name string, owner func(*T) (account, id string)) Kind[T] {
	return Kind[T]{store.NewKind[T](name), name, owner}
}

func (k Kind[T]) prefix(account string) string { return account + "/" + k.name + "/" }

// Add says that an object is its account's. It goes with the creation of the object.
func (k Kind[T]) Add(tx *store.Tx, object *T) error {
	account, id := k.owner(object)
	return owned.Put(tx, k.prefix(account)+id, "")
}

// Remove takes that back. It goes with the deletion of the object.
func (k Kind[T]) Remove(tx *store.Tx, object *T) {
	account, id := k.owner(object)
	owned.Delete(tx, k.prefix(account)+id)
}

// Count is how many objects an account owns.
func (k Kind[T]) Count(tx *store.Tx, account string) (int, error) {
	return owned.Count(tx, k.prefix(account))
}

// List returns the objects that an account owns, in order of id, as the lists of the store do: after an id, so many at
// most, and whether there are more. A limit of 0 means all.
func (k Kind[T]) List(tx *store.Tx, account, after string, limit int) (entries []store.Entry[T], more bool, err error) {
	prefix := k.prefix(account)
	if after != "" {
		after = prefix + after
	}
	keys, more, err := owned.List(tx, prefix, after, limit)
	if err != nil {
		return nil, false, err
	}
	ids := make([]string, len(keys))
	for i, key := range keys {
		ids[i] = key.ID[len(prefix):]
	}
	entries, err = k.objects.GetMany(tx, ids)
	return entries, more, err
}

// All returns all objects that an account owns, in order of id.
func (k Kind[T]) All(tx *store.Tx, account string) ([]*T, error) {
	entries, _, err := k.List(tx, account, "", 0)
	all := make([]*T, len(entries))
	for i := range entries {
		all[i] = &entries[i].Value
	}
	return all, err
}

// Completion is the one time that a process makes sure that nothing is missing. The zero value has still to.
type Completion struct{ done atomic.Bool }

// Step completes one kind.
type Step func(context.Context, *store.Store) error

// Complete is the step for a kind. also, unless nil, writes what else an object lacks that is older than the index.
func (k Kind[T]) Complete(also func(*store.Tx, *T) error) Step {
	return Once(complete, k.name, Each(k.objects, func(tx *store.Tx, object *T) error {
		if err := k.Add(tx, object); err != nil || also == nil {
			return err
		}
		return also(tx, object)
	}))
}

// Once takes steps unless a key of an index says that they have been taken, and then writes the key.
func Once(index store.Index, key string, steps ...Step) Step {
	return func(ctx context.Context, s *store.Store) error {
		known := false
		err := s.View(ctx, func(tx *store.Tx) error {
			_, err := index.Get(tx, key)
			known = err == nil
			if errors.Is(err, store.ErrNotFound) {
				return nil
			}
			return err
		})
		if err != nil || known {
			return err
		}
		for _, step := range steps {
			if err := step(ctx, s); err != nil {
				return err
			}
		}
		_, err = s.Update(ctx, func(tx *store.Tx) error { return index.Put(tx, key, "") })
		return err
	}
}

// batch is how many objects one transaction of Each has.
const batch = 50

// Each is the step that shows a function every object of a kind.
func Each[T any](kind store.Kind[T], show func(*store.Tx, *T) error) Step {
	return func(ctx context.Context, s *store.Store) error {
		for after, more := "", true; more; {
			from := after
			_, err := s.Update(ctx, func(tx *store.Tx) (err error) {
				var entries []store.Entry[T]
				entries, more, err = kind.List(tx, "", from, batch)
				for i := range entries {
					after = entries[i].ID
					if err := show(tx, &entries[i].Value); err != nil {
						return err
					}
				}
				return err
			})
			if err != nil {
				return err
			}
		}
		return nil
	}
}

// Ensure takes the steps, unless they were taken before.
func (c *Completion) Ensure(ctx context.Context, s *store.Store, steps ...Step) error {
	if c.done.Load() {
		return nil
	}
	for _, step := range steps {
		if err := step(ctx, s); err != nil {
			return err
		}
	}
	c.done.Store(true)
	return nil
}
