package store_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"pergola/store"
)

// BenchmarkOpen is the start of an embedded member on an empty directory, until it answers, and its stop.
func BenchmarkOpen(b *testing.B) {
	b.ReportAllocs()
	for i := range b.N {
		s := open(b, store.Config{Dir: filepath.Join(b.TempDir(), fmt.Sprint(i))})
		must(b, s.Close())
	}
}

// BenchmarkUpdate is a durable transaction of the usual kind: is the name free, are there too many, write two keys.
func BenchmarkUpdate(b *testing.B) {
	s := open(b, store.Config{Dir: filepath.Join(b.TempDir(), "store")})
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		id := fmt.Sprint("svc-", i%100)
		update(b, s, func(tx *store.Tx) error {
			if _, err := names.Get(tx, id); err == nil {
				names.Delete(tx, id)
			}
			if _, err := things.Count(tx, ""); err != nil {
				return err
			}
			if err := things.Put(tx, id, thing{Name: id}); err != nil {
				return err
			}
			return names.Put(tx, id, id)
		})
	}
}

// BenchmarkGet is a View that reads one object.
func BenchmarkGet(b *testing.B) {
	s := filled(b, 1)
	b.ReportAllocs()
	for b.Loop() {
		must(b, s.View(b.Context(), func(tx *store.Tx) error { _, err := things.Get(tx, "0000"); return err }))
	}
}

// BenchmarkCount is a View that counts 2,000 objects.
func BenchmarkCount(b *testing.B) {
	s := filled(b, 2000)
	b.ReportAllocs()
	for b.Loop() {
		must(b, s.View(b.Context(), func(tx *store.Tx) error { _, err := things.Count(tx, ""); return err }))
	}
}

// BenchmarkList is a View that lists 2,000 objects.
func BenchmarkList(b *testing.B) {
	s := filled(b, 2000)
	b.ReportAllocs()
	for b.Loop() {
		must(b, s.View(b.Context(), func(tx *store.Tx) error { _, _, err := things.List(tx, "", "", 0); return err }))
	}
}

// BenchmarkUpdateCounted is a transaction that depends on a count of 2,000, with fsync off to show that price alone.
func BenchmarkUpdateCounted(b *testing.B) {
	s := filled(b, 2000)
	b.ReportAllocs()
	for b.Loop() {
		update(b, s, func(tx *store.Tx) error {
			if _, err := things.Count(tx, ""); err != nil {
				return err
			}
			return names.Put(tx, "a", "")
		})
	}
}

// BenchmarkFollow is from the call of a durable Update to the follower's apply.
func BenchmarkFollow(b *testing.B) {
	s := open(b, store.Config{Dir: filepath.Join(b.TempDir(), "store")})
	seen, _ := follow(b, s, "index/")
	<-seen
	b.ReportAllocs()
	for b.Loop() {
		update(b, s, func(tx *store.Tx) error { return names.Put(tx, "a", "") })
		<-seen
	}
}

func filled(b *testing.B, n int) *store.Store {
	s := openEmbedded(b)
	update(b, s, func(tx *store.Tx) error {
		for i := range n {
			must(b, things.Put(tx, fmt.Sprintf("%04d", i), thing{Name: "n"}))
		}
		return nil
	})
	return s
}
