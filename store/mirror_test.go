package store_test

import (
	"errors"
	"strings"
	"testing"

	"pergola/store"
)

// TestMirror looks at what a follower was told, without a store.
func TestMirror(t *testing.T) {
	m := store.NewMirror("thing")
	change := func(key, value string) store.Change {
		if value == "" {
			return store.Change{Key: key}
		}
		return store.Change{Key: key, Value: []byte(value)}
	}
	view := func(id string) (got thing, err error) {
		err = m.View(func(tx *store.Tx) (err error) {
			got, err = things.Get(tx, id)
			return err
		})
		return got, err
	}
	if _, err := view("a/1"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("before anything was told: %v", err)
	}
	m.Note(store.Batch{Reset: true, Changes: []store.Change{change("object/thing/a/1", `{"Name":"one"}`),
		change("object/other/a/1", `{"Name":"of another kind"}`)}})
	if got, err := view("a/1"); err != nil || got.Name != "one" {
		t.Errorf("got %v, %v", got, err)
	}
	m.Note(store.Batch{Changes: []store.Change{change("object/thing/a/1", `{"Name":"changed"}`),
		change("object/thing/a/2", `{`)}})
	if got, err := view("a/1"); err != nil || got.Name != "changed" {
		t.Errorf("after a change: %v, %v", got, err)
	}
	if _, err := view("a/2"); err == nil || !strings.Contains(err.Error(), "a/2") {
		t.Errorf("what cannot be read: %v", err)
	}
	m.Note(store.Batch{Changes: []store.Change{change("object/thing/a/1", "")}})
	if _, err := view("a/1"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("after a deletion: %v", err)
	}
	m.Note(store.Batch{Changes: []store.Change{change("object/thing/a/1", `{}`)}})
	m.Note(store.Batch{Reset: true})
	if _, err := view("a/1"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("after a reset: %v", err)
	}
}

// TestMirrorRefuses what it cannot know, rather than answering that there is nothing.
func TestMirrorRefuses(t *testing.T) {
	m := store.NewMirror("thing")
	for what, f := range map[string]func(*store.Tx) error{
		"another kind": func(tx *store.Tx) error { _, err := others.Get(tx, "a"); return err },
		"an index":     func(tx *store.Tx) error { _, err := names.Get(tx, "a"); return err },
		"a listing":    func(tx *store.Tx) error { _, _, err := things.List(tx, "", "", 0); return err },
		"many":         func(tx *store.Tx) error { _, err := things.GetMany(tx, []string{"a"}); return err },
		"a count":      func(tx *store.Tx) error { _, err := things.Count(tx, ""); return err },
		"a write":      func(tx *store.Tx) error { return things.Put(tx, "a", thing{}) },
	} {
		if err := m.View(f); err == nil || errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
