package store

import (
	"fmt"
	"slices"
	"testing"
)

// TestGetMany reads objects of every sort of history, more than one request has room for.
func TestGetMany(t *testing.T) {
	s, err := Open(t.Context(), Config{Dir: t.TempDir(), NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	kind := NewKind[int]("number")
	var ids []string
	_, err = s.Update(t.Context(), func(tx *Tx) error {
		for i := range 2*getsAtOnce + 5 {
			ids = append(ids, fmt.Sprint(i))
			if err := kind.Put(tx, ids[i], i); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Update(t.Context(), func(tx *Tx) error {
		kind.Delete(tx, "1")
		if err := kind.Put(tx, "2", -2); err != nil {
			return err
		}
		entries, err := kind.GetMany(tx, append(slices.Clone(ids), "none"))
		if err != nil {
			return err
		}
		if len(entries) != len(ids)-1 || entries[0].ID != "0" || entries[1].Value != -2 ||
			entries[len(entries)-1].Value != len(ids)-1 {
			t.Errorf("got %d entries, %+v first", len(entries), entries[:2])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestGetManyConflicts has a transaction that read a missing object run again once there is one.
func TestGetManyConflicts(t *testing.T) {
	s, err := Open(t.Context(), Config{Dir: t.TempDir(), NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	kind, runs := NewKind[int]("number"), 0
	_, err = s.Update(t.Context(), func(tx *Tx) error {
		runs++
		found, err := kind.GetMany(tx, []string{"a"})
		if err != nil {
			return err
		}
		if runs == 1 {
			if _, err := s.Update(t.Context(), func(other *Tx) error { return kind.Put(other, "a", 1) }); err != nil {
				return err
			}
		}
		return kind.Put(tx, "b", len(found))
	})
	if err != nil || runs != 2 {
		t.Errorf("ran %d times, %v", runs, err)
	}
}
