package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"pergola/store"
)

// testCounters counts directories of a counted index, inside of transactions and between them.
func testCounters(t *testing.T, s *store.Store) {
	refs := counted.refs
	want := func(directory string, n int) {
		t.Helper()
		if err := s.View(background(t), func(tx *store.Tx) error {
			got, err := refs.Count(tx, directory)
			if got != n {
				t.Errorf("%q has %d keys, want %d", directory, got, n)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	count := func(tx *store.Tx, directory string, n int) error {
		got, err := refs.Count(tx, directory)
		if got != n {
			err = errors.Join(err, fmt.Errorf("%q has %d keys inside of the transaction, want %d", directory, got, n))
		}
		return err
	}
	update(t, s, func(tx *store.Tx) error { // before anybody has counted
		return errors.Join(refs.Put(tx, "a/1", ""), refs.Put(tx, "a/2", ""), refs.Put(tx, "a/deep/1", ""),
			refs.Put(tx, "b/1", ""))
	})
	want("a/", 2)
	update(t, s, func(tx *store.Tx) error { // the first count that is kept
		err := errors.Join(count(tx, "a/", 2), refs.Put(tx, "a/3", ""), refs.Put(tx, "a/3", "again"), count(tx, "a/", 3))
		refs.Delete(tx, "a/1")
		refs.Delete(tx, "a/1")
		refs.Delete(tx, "a/none")
		return errors.Join(err, count(tx, "a/", 2))
	})
	want("a/", 2)
	want("a/deep/", 1)
	update(t, s, func(tx *store.Tx) error {
		err := errors.Join(refs.DeletePrefix(tx, "a/"), count(tx, "a/", 0), refs.Put(tx, "a/4", ""), count(tx, "a/", 1))
		refs.Delete(tx, "b/1")
		return errors.Join(err, count(tx, "b/", 0))
	})
	want("a/", 1)
	want("a/deep/", 0)
	update(t, s, func(tx *store.Tx) error {
		refs.Delete(tx, "a/4")
		return errors.Join(count(tx, "a/", 0), refs.Put(tx, "a/5", ""), count(tx, "a/", 1))
	})
	want("a/", 1)
	_, err := s.Update(background(t), func(tx *store.Tx) error { return refs.DeletePrefix(tx, "a") })
	if err == nil || !strings.Contains(err.Error(), "whole directories") {
		t.Errorf("a part of a directory was deleted: %v", err)
	}
}
