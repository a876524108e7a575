package resource

import (
	"errors"
	"slices"

	"pergola/control/operation"
	"pergola/store"
)

// Hold is a key of an index that a resource has while it exists: a name, or what it refers to. Since the keys with a
// common prefix are a set, they are also what quotas count, and what says that a resource is referred to.
type Hold struct {
	Index store.Index
	// Key is the key, and Value what it has: as a rule the resource's id.
	Key, Value string
	// Taken is the error if the key has another value already. Nil is for a key that names its resource itself, which
	// nobody else can want.
	Taken func(holder string) error
	// Room is nil where there may be any number.
	Room *Room
}

// Room is how many keys of a set there may be.
type Room struct {
	// Set is the prefix of the keys.
	Set string
	// Code is that of the quota, and Default how many there may be unless a deployment says otherwise.
	Code    string
	Default int
	// Exceeded is the error beyond that.
	Exceeded func(limit int) error
}

// admit refuses one more where there are some already.
func (r *Room) admit(op *operation.Call, have int) error {
	if limit := op.Quotas.LimitOf(r.Code, r.Default); have >= limit {
		return r.Exceeded(limit)
	}
	return nil
}

func (k *Kind[T]) holdsOf(value *T) []Hold {
	if k.Holds == nil {
		return nil
	}
	return k.Holds(value)
}

// take has a resource take what it holds, but for what it held before.
func (k *Kind[T]) take(op *operation.Call, value *T, before []Hold) error {
	for _, hold := range k.holdsOf(value) {
		if slices.ContainsFunc(before, hold.same) {
			continue
		}
		if err := hold.Take(op); err != nil {
			return err
		}
	}
	return nil
}

func (h Hold) same(other Hold) bool {
	return h.Index == other.Index && h.Key == other.Key && h.Value == other.Value
}

// Take takes the key. That it is taken is a more useful error than that there is no room.
func (h Hold) Take(op *operation.Call) error {
	if h.Taken != nil {
		holder, err := Holder(op.Tx, h.Index, h.Key)
		if err != nil {
			return err
		}
		if holder != "" && (holder != h.Value || h.Room != nil) {
			return h.Taken(holder)
		}
	}
	if h.Room != nil {
		n, err := h.Index.Count(op.Tx, h.Room.Set)
		if err != nil {
			return err
		}
		if err := h.Room.admit(op, n); err != nil {
			return err
		}
	}
	return h.Index.Put(op.Tx, h.Key, h.Value)
}

// release gives up what was held and is not among what is held from now on.
func release(tx *store.Tx, held, from []Hold) {
	for _, hold := range held {
		if !slices.ContainsFunc(from, hold.same) {
			hold.Index.Delete(tx, hold.Key)
		}
	}
}

// Holder is who has a key of an index, or "".
func Holder(tx *store.Tx, index store.Index, key string) (string, error) {
	holder, err := index.Get(tx, key)
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	return holder, err
}
