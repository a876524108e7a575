package store

import "strings"

// Index is a set of strings by key, kept under index/<name>/<key>: names that must be unique (name → id), references
// ("tg-1/rule-9" → ""), idempotency tokens (token → answer).
type Index struct{ set set }

// NewIndex names an index. It panics if the name is empty or contains '/'.
func NewIndex(name string) Index { return Index{newSet("index/", name)} }

// Counted is the same index with counters: see Kind.Counted.
func (x Index) Counted() Index {
	x.set.counted = true
	return x
}

// Get returns the value of a key, or ErrNotFound.
func (x Index) Get(tx *Tx, key string) (string, error) { return x.set.get(tx, key) }

// Put writes the value of a key, new or not.
func (x Index) Put(tx *Tx, key, value string) error { return x.set.put(tx, key, value) }

// Delete removes a key, if it is there.
func (x Index) Delete(tx *Tx, key string) { x.set.delete(tx, key) }

// DeletePrefix removes all keys that begin with prefix, as Kind.DeletePrefix does.
func (x Index) DeletePrefix(tx *Tx, prefix string) error { return x.set.deletePrefix(tx, prefix) }

// List returns the entries whose key begins with prefix, as Kind.List does.
func (x Index) List(tx *Tx, prefix, after string, limit int) (entries []Entry[string], more bool, err error) {
	rows, more, err := tx.list(x.set.page(prefix, after), limit)
	for _, r := range rows {
		entries = append(entries, Entry[string]{strings.TrimPrefix(r.key, x.set.path), r.value, r.createRevision, r.revision})
	}
	return entries, more, err
}

// Empty reports whether no key begins with prefix: with references, that nothing refers to it.
func (x Index) Empty(tx *Tx, prefix string) (bool, error) {
	n, err := x.Count(tx, prefix)
	return n == 0, err
}

// Count returns how many keys begin with prefix, as Kind.Count does.
func (x Index) Count(tx *Tx, prefix string) (int, error) { return x.set.count(tx, prefix) }
