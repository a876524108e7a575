// Package table has maps that never change and share what they have in common: a snapshot's tables differ from those of
// the snapshot before in what has changed, and cost that much to make and to compare, however large they are.
//
// A table is a hash array mapped trie (Bagwell, "Ideal Hash Trees", 2001), whose nodes hold their entries and their
// children apart (Steindorfer and Vinju, "Optimizing Hash-Array Mapped Tries for Fast and Lean Immutable JVM
// Collections", 2015).
package table

import (
	"hash/maphash"
	"iter"
	"math/bits"
	"slices"
)

// Table is an immutable map from strings to values. The zero value is empty. It is safe for concurrent use.
type Table[V comparable] struct {
	root   *node[V]
	length int
}

const (
	levelBits = 5
	levelMask = 1<<levelBits - 1
	hashBits  = 64
)

// node is a part of the trie: for each of 32 values of the next bits of the hash an entry, a child or nothing. Below
// the last bits of the hash, entries are a list. Nodes never change.
type node[V comparable] struct {
	entryMap, childMap uint32
	entries            []entry[V]
	children           []*node[V]
}

type entry[V comparable] struct {
	hash  uint64
	key   string
	value V
}

// seed is the same for all tables, so that they can share nodes. It differs from process to process: nobody can choose
// keys that collide.
var seed = maphash.MakeSeed()

// Of makes a table of what a map holds.
func Of[V comparable](entries map[string]V) Table[V] {
	var t Table[V]
	for key, value := range entries {
		t = t.With(key, value)
	}
	return t
}

// Len is how many entries there are.
func (t Table[V]) Len() int { return t.length }

// Get is the value of a key, the zero value if there is none.
func (t Table[V]) Get(key string) V {
	value, _ := find(t.root, maphash.String(seed, key), key, 0)
	return value
}

// GetBytes is Get without a copy of the key.
func (t Table[V]) GetBytes(key []byte) V {
	value, _ := find(t.root, maphash.Bytes(seed, key), key, 0)
	return value
}

// Has reports whether there is a key.
func (t Table[V]) Has(key string) bool {
	_, ok := find(t.root, maphash.String(seed, key), key, 0)
	return ok
}

// With is the table with a value for a key, in place of the one it had.
func (t Table[V]) With(key string, value V) Table[V] {
	e := entry[V]{maphash.String(seed, key), key, value}
	root, added := t.root.with(e, 0)
	if added {
		t.length++
	}
	return Table[V]{root, t.length}
}

// Without is the table without a key.
func (t Table[V]) Without(key string) Table[V] {
	root, removed := t.root.without(maphash.String(seed, key), key, 0)
	if !removed {
		return t
	}
	return Table[V]{root, t.length - 1}
}

// All are the entries, in no order.
func (t Table[V]) All() iter.Seq2[string, V] {
	return func(yield func(string, V) bool) { t.root.all(yield) }
}

// Values are the values, in no order.
func (t Table[V]) Values() iter.Seq[V] {
	return func(yield func(V) bool) {
		t.root.all(func(_ string, value V) bool { return yield(value) })
	}
}

// Change is a key whose values differ between two tables: the zero value where it is missing.
type Change[V comparable] struct {
	Key     string
	Was, Is V
}

// Changes are the keys whose values differ, in no order. What both tables share is not looked at.
func Changes[V comparable](was, is Table[V]) iter.Seq[Change[V]] {
	return func(yield func(Change[V]) bool) {
		side[V]{child: was.root}.changes(side[V]{child: is.root}, 0, yield)
	}
}

func bitOf(hash uint64, shift int) uint32 { return 1 << (hash >> shift & levelMask) }

// rank is the place of a bit's entry or child.
func rank(in, bit uint32) int { return bits.OnesCount32(in & (bit - 1)) }

func (n *node[V]) child(bit uint32) *node[V] {
	if n == nil || n.childMap&bit == 0 {
		return nil
	}
	return n.children[rank(n.childMap, bit)]
}

func (n *node[V]) entry(bit uint32) *entry[V] {
	if n == nil || n.entryMap&bit == 0 {
		return nil
	}
	return &n.entries[rank(n.entryMap, bit)]
}

// find looks for a key at and below a node. The shift is the node's: how many bits of the hash lie above it.
func find[V comparable, K string | []byte](n *node[V], hash uint64, key K, shift int) (value V, ok bool) {
	for ; n != nil && shift < hashBits; shift += levelBits {
		bit := bitOf(hash, shift)
		if e := n.entry(bit); e != nil {
			if e.hash == hash && e.key == string(key) {
				return e.value, true
			}
			return value, false
		}
		n = n.child(bit)
	}
	if n != nil {
		for i := range n.entries {
			if n.entries[i].key == string(key) {
				return n.entries[i].value, true
			}
		}
	}
	return value, false
}

func (n *node[V]) with(e entry[V], shift int) (next *node[V], added bool) {
	if n == nil {
		n = &node[V]{}
	}
	next = new(*n)
	if shift >= hashBits {
		for i := range n.entries {
			if n.entries[i].key == e.key {
				next.entries = replaced(n.entries, i, e)
				return next, false
			}
		}
		next.entries = inserted(n.entries, len(n.entries), e)
		return next, true
	}
	bit := bitOf(e.hash, shift)
	switch other := n.entry(bit); {
	case other != nil && other.hash == e.hash && other.key == e.key:
		next.entries = replaced(n.entries, rank(n.entryMap, bit), e)
		return next, false
	case other != nil: // both move down
		child, _ := (*node[V])(nil).with(*other, shift+levelBits)
		child, _ = child.with(e, shift+levelBits)
		next.entries, next.entryMap = removed(n.entries, rank(n.entryMap, bit)), n.entryMap&^bit
		next.children, next.childMap = inserted(n.children, rank(n.childMap, bit), child), n.childMap|bit
		return next, true
	case n.childMap&bit != 0:
		child, added := n.child(bit).with(e, shift+levelBits)
		next.children = replaced(n.children, rank(n.childMap, bit), child)
		return next, added
	}
	next.entries, next.entryMap = inserted(n.entries, rank(n.entryMap, bit), e), n.entryMap|bit
	return next, true
}

// without is nil when nothing is left, which happens to a root alone: below it are at least two entries everywhere,
// since a child that is left with one gives it to its parent.
func (n *node[V]) without(hash uint64, key string, shift int) (next *node[V], ok bool) {
	if n == nil {
		return nil, false
	}
	at, bit := -1, uint32(0)
	if shift >= hashBits {
		at = slices.IndexFunc(n.entries, func(e entry[V]) bool { return e.key == key })
	} else {
		bit = bitOf(hash, shift)
		if n.childMap&bit != 0 {
			return n.withoutBelow(bit, hash, key, shift+levelBits)
		}
		if e := n.entry(bit); e != nil && e.hash == hash && e.key == key {
			at = rank(n.entryMap, bit)
		}
	}
	switch {
	case at < 0:
		return n, false
	case len(n.entries) == 1 && len(n.children) == 0:
		return nil, true
	}
	next = new(*n)
	next.entries, next.entryMap = removed(n.entries, at), n.entryMap&^bit
	return next, true
}

func (n *node[V]) withoutBelow(bit uint32, hash uint64, key string, shift int) (next *node[V], ok bool) {
	at := rank(n.childMap, bit)
	child, ok := n.children[at].without(hash, key, shift)
	if !ok {
		return n, false
	}
	next = new(*n)
	if len(child.entries) == 1 && len(child.children) == 0 {
		next.children, next.childMap = removed(n.children, at), n.childMap&^bit
		next.entries, next.entryMap = inserted(n.entries, rank(n.entryMap, bit), child.entries[0]), n.entryMap|bit
	} else {
		next.children = replaced(n.children, at, child)
	}
	return next, true
}

func (n *node[V]) all(yield func(string, V) bool) bool {
	if n == nil {
		return true
	}
	for i := range n.entries {
		if !yield(n.entries[i].key, n.entries[i].value) {
			return false
		}
	}
	for _, child := range n.children {
		if !child.all(yield) {
			return false
		}
	}
	return true
}

// side is what one of two tables has in one place: an entry, a child or nothing.
type side[V comparable] struct {
	entry *entry[V]
	child *node[V]
}

func (n *node[V]) side(bit uint32) side[V] { return side[V]{n.entry(bit), n.child(bit)} }

// find looks for an entry of the other side.
func (s side[V]) find(e *entry[V], shift int) (V, bool) {
	if s.entry != nil {
		if s.entry.hash == e.hash && s.entry.key == e.key {
			return s.entry.value, true
		}
		var none V
		return none, false
	}
	return find(s.child, e.hash, e.key, shift)
}

// entries calls yield with each entry.
func (s side[V]) entries(yield func(*entry[V]) bool) bool {
	if s.entry != nil {
		return yield(s.entry)
	}
	if s.child == nil {
		return true
	}
	for i := range s.child.entries {
		if !yield(&s.child.entries[i]) {
			return false
		}
	}
	for _, child := range s.child.children {
		if !(side[V]{child: child}).entries(yield) {
			return false
		}
	}
	return true
}

// changes compares two sides. shift is that of their children.
func (s side[V]) changes(is side[V], shift int, yield func(Change[V]) bool) bool {
	if s == is {
		return true
	}
	if s.child != nil && is.child != nil && shift < hashBits {
		in := s.child.entryMap | s.child.childMap | is.child.entryMap | is.child.childMap
		for ; in != 0; in &= in - 1 {
			bit := in & -in
			if !s.child.side(bit).changes(is.child.side(bit), shift+levelBits, yield) {
				return false
			}
		}
		return true
	}
	return s.entries(func(e *entry[V]) bool {
		value, _ := is.find(e, shift)
		return value == e.value || yield(Change[V]{Key: e.key, Was: e.value, Is: value})
	}) && is.entries(func(e *entry[V]) bool {
		_, had := s.find(e, shift)
		return had || yield(Change[V]{Key: e.key, Is: e.value})
	})
}

// The nodes never change, so their lists are copied.

func replaced[T any](list []T, at int, with T) []T {
	list = slices.Clone(list)
	list[at] = with
	return list
}

func inserted[T any](list []T, at int, what T) []T {
	longer := make([]T, len(list)+1)
	copy(longer, list[:at])
	longer[at] = what
	copy(longer[at+1:], list[at:])
	return longer
}

func removed[T any](list []T, at int) []T {
	if len(list) == 1 {
		return nil
	}
	shorter := make([]T, len(list)-1)
	copy(shorter, list[:at])
	copy(shorter[at:], list[at+1:])
	return shorter
}
