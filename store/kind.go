package store

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Kind is a set of objects of one type, each with an id, kept as JSON under object/<name>/<id>. An id may contain
// '/': with listeners named "svc-1/listener-2", the prefix "svc-1/" is all listeners of one service.
type Kind[T any] struct{ set set }

// Entry is one object or index entry of a listing. Revision is where it was last written, CreateRevision where it
// came to be; both are zero for what the same transaction has written. An object deleted and put again in one
// transaction has only changed.
type Entry[T any] struct {
	ID             string
	Value          T
	CreateRevision int64
	Revision       int64
}

// NewKind names a kind. It panics if the name is empty or contains '/', since kinds are fixed when the program is written.
func NewKind[T any](name string) Kind[T] { return Kind[T]{newSet("object/", name)} }

// NewStatusKind names a kind whose objects say how far others have come, by the same ids. They are kept under
// status/<name>/<id>, so that nobody is told of them who follows the others.
func NewStatusKind[T any](name string) Kind[T] { return Kind[T]{newSet("status/", name)} }

// Counted is the same kind with counters: what a Count costs does not depend on how many there are. Then a prefix that
// is counted names a directory, all of "" or up to a slash, and the count is that of the ids directly in it; a Put of a
// new object, and a Delete, write the counter of its directory too, if that has been counted before.
func (k Kind[T]) Counted() Kind[T] {
	k.set.counted = true
	return k
}

// Get returns the object with that id, or ErrNotFound.
func (k Kind[T]) Get(tx *Tx, id string) (T, error) {
	var value T
	raw, err := k.set.get(tx, id)
	if err != nil {
		return value, err
	}
	return k.decode(tx, id, raw)
}

// Put writes the object, new or not. One that is as the transaction has read it is not written, and nobody is told of
// it.
func (k Kind[T]) Put(tx *Tx, id string, value T) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return tx.fail(fmt.Errorf("store: encode %s%s: %w", k.set.path, id, err))
	}
	return k.set.put(tx, id, string(raw))
}

// Delete removes the object, if there is one.
func (k Kind[T]) Delete(tx *Tx, id string) { k.set.delete(tx, id) }

// DeletePrefix removes all objects whose id begins with prefix; with "" all of the kind. It is one operation however
// many they are, and conflicts like a List of the same prefix: nothing that came meanwhile is removed unseen.
func (k Kind[T]) DeletePrefix(tx *Tx, prefix string) error {
	return k.set.deletePrefix(tx, prefix)
}

// List returns the objects whose id begins with prefix, in id order, from the first id after the one given: "" for
// the first page, then the last id of the page before. A limit of zero means all; more says whether the limit left
// any out.
func (k Kind[T]) List(tx *Tx, prefix, after string, limit int) (entries []Entry[T], more bool, err error) {
	rows, more, err := tx.list(k.set.page(prefix, after), limit)
	if err != nil {
		return nil, false, err
	}
	for _, r := range rows {
		id := strings.TrimPrefix(r.key, k.set.path)
		value, err := k.decode(tx, id, r.value)
		if err != nil {
			return nil, false, err
		}
		entries = append(entries, Entry[T]{id, value, r.createRevision, r.revision})
	}
	return entries, more, nil
}

// Count returns how many objects have an id that begins with prefix. Unless the kind is Counted, etcd reads all of
// them.
func (k Kind[T]) Count(tx *Tx, prefix string) (int, error) { return k.set.count(tx, prefix) }

func (k Kind[T]) decode(tx *Tx, id, raw string) (value T, err error) {
	if err := json.Unmarshal([]byte(raw), &value); err != nil {
		return value, tx.fail(fmt.Errorf("store: decode %s%s: %w", k.set.path, id, err))
	}
	return value, nil
}
