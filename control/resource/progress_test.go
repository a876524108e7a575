package resource_test

import (
	"context"
	"errors"
	"testing"

	"pergola/control/operation"
	"pergola/control/resource"
	"pergola/control/settling"
	"pergola/lattice"
	"pergola/store"
)

// stagedBowl is a bowl whose changes take time.
type stagedBowl struct {
	bowl
	Status lattice.Status `json:",omitempty"`
	lattice.Failure
	lattice.Intent
}

// staged are such bowls in a kitchen, with the row that settles them.
type staged struct {
	*kitchen
	bowls *resource.Kind[stagedBowl]
	row   settling.Row
}

func newStaged(t *testing.T) *staged {
	t.Helper()
	s := &staged{kitchen: newKitchen(t, definition()), bowls: resource.New(resource.Definition[stagedBowl]{
		Name: "bowl",
		Head: func(b *stagedBowl) resource.Head {
			return resource.Head{Path: b.ID, ARN: arnOf(b.Account, b.ID), Tags: &b.Tags}
		},
		Missing: func(resource.Ref) error { return errMissing },
		Progress: func(b *stagedBowl) resource.Progress {
			return resource.Progress{Status: &b.Status, Failure: &b.Failure, Intent: &b.Intent}
		},
	})}
	s.row = s.bowls.Row(resource.Course[stagedBowl]{Updates: true, Drop: func(tx *store.Tx, b *stagedBowl) error {
		s.bowls.Delete(tx, b)
		return nil
	}})
	return s
}

// change changes the bowl, and returns the revision at which it did.
func (s *staged) change(f func(op *operation.Call) error) (revision int64) {
	s.t.Helper()
	revision, err := s.Store.Update(s.t.Context(), func(tx *store.Tx) error { return f(operation.Within(tx, account)) })
	if err != nil {
		s.t.Fatal(err)
	}
	return revision
}

func (s *staged) put(change func(*stagedBowl)) (revision int64) {
	s.t.Helper()
	return s.change(func(op *operation.Call) error {
		b, err := s.bowls.Read(within(s, op), ref(account, "bowl-1"))
		if err != nil {
			return err
		}
		change(b)
		return s.bowls.Put(op, b)
	})
}

// within is a call that may ask whose a resource is.
func within(s *staged, op *operation.Call) *operation.Call {
	return s.Ask(s.t.Context(), op.Tx, operation.Request{Caller: root(account), Action: "GetBowl"})
}

func (s *staged) get() (b *stagedBowl, err error) {
	err = s.Store.View(s.t.Context(), func(tx *store.Tx) error {
		b, err = s.bowls.Read(within(s, operation.Within(tx, account)), ref(account, "bowl-1"))
		return err
	})
	return b, err
}

// objectRevision is when nodes were last told of anything.
func (s *staged) objectRevision() (newest int64) {
	s.t.Helper()
	read := errors.New("read")
	err := s.Store.Follow(s.t.Context(), "object/", func(batch store.Batch) error {
		for _, change := range batch.Changes {
			newest = max(newest, change.Revision)
		}
		return read
	})
	if !errors.Is(err, read) {
		s.t.Fatal(err)
	}
	return newest
}

func (s *staged) settle(verdict settling.Verdict) {
	s.t.Helper()
	s.change(func(op *operation.Call) error { return s.row.Settle(op.Tx, "bowl-1", verdict) })
}

// TestStatusesAreApart tells nodes of what the owner does, and of nothing else: a creation, an update and a deletion
// are one change each, however their statuses move.
func TestStatusesAreApart(t *testing.T) {
	s := newStaged(t)
	created := s.change(func(op *operation.Call) error {
		return s.bowls.Add(op, &stagedBowl{bowl: bowl{ID: "bowl-1", Account: account},
			Status: lattice.StatusCreateInProgress})
	})
	expect := func(when string, want lattice.Status, told int64) {
		t.Helper()
		b, err := s.get()
		if err != nil || b.Status != want {
			t.Fatalf("%s: %v, %v, want %s", when, b, err, want)
		}
		if got := s.objectRevision(); got != told {
			t.Errorf("%s: nodes are told at revision %d, want %d", when, got, told)
		}
	}
	expect("a creation", lattice.StatusCreateInProgress, created)
	s.settle(settling.Verdict{Revision: created - 1})
	expect("of another revision", lattice.StatusCreateInProgress, created)
	failure := lattice.Failure{FailureCode: "C", FailureMessage: "no"}
	s.settle(settling.Verdict{Revision: created, Failure: failure})
	expect("a failure", lattice.StatusCreateFailed, created)
	if b, _ := s.get(); b.Failure != failure {
		t.Errorf("the failure is %v", b.Failure)
	}
	s.settle(settling.Verdict{})
	expect("mended", lattice.StatusActive, created)
	if b, _ := s.get(); b.Failure != (lattice.Failure{}) || b.Generation != 1 {
		t.Errorf("mended: %+v", b)
	}

	updated := s.put(func(b *stagedBowl) { b.Status = lattice.StatusUpdateInProgress })
	expect("an update", lattice.StatusUpdateInProgress, updated)
	s.settle(settling.Verdict{Revision: updated})
	expect("updated", lattice.StatusActive, updated)
	if revision := s.put(func(*stagedBowl) {}); s.objectRevision() != updated {
		t.Errorf("a change that changes nothing was made at %d", revision)
	}

	deleted := s.put(func(b *stagedBowl) { b.Status = lattice.StatusDeleteInProgress })
	expect("a deletion", lattice.StatusDeleteInProgress, deleted)
	if b, _ := s.get(); !b.Deleting {
		t.Error("nodes are not told that it is to go")
	}
	s.change(func(op *operation.Call) error {
		_, err := s.row.Fail(op.Tx, "bowl-1", settling.Verdict{Revision: deleted, Failure: failure})
		return err
	})
	expect("a failed deletion", lattice.StatusDeleteFailed, deleted)
	s.settle(settling.Verdict{})
	if _, err := s.get(); !errors.Is(err, errMissing) {
		t.Errorf("it is not gone: %v", err)
	}
	if err := s.Store.View(t.Context(), func(tx *store.Tx) error {
		_, err := store.NewStatusKind[lattice.Stage]("bowl").Get(tx, "bowl-1")
		return err
	}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("its status is left: %v", err)
	}
}

// TestWhatCannotBeCreatedMayBeGivenUp drops a bowl that could not be created, and again when its time is over.
func TestWhatCannotBeCreatedMayBeGivenUp(t *testing.T) {
	s := newStaged(t)
	drops := 0
	row := s.bowls.Row(resource.Course[stagedBowl]{GivesUp: true, Drop: func(tx *store.Tx, b *stagedBowl) error {
		if drops++; drops > 1 {
			s.bowls.Delete(tx, b)
			return nil
		}
		b.Status = lattice.StatusGone
		return s.bowls.Put(operation.Within(tx, account), b)
	}})
	created := s.change(func(op *operation.Call) error {
		return s.bowls.Add(op, &stagedBowl{bowl: bowl{ID: "bowl-1", Account: account},
			Status: lattice.StatusCreateInProgress})
	})
	settle := func(verdict settling.Verdict) (revision int64) {
		return s.change(func(op *operation.Call) error { return row.Settle(op.Tx, "bowl-1", verdict) })
	}
	failure := lattice.Failure{FailureCode: "C", FailureMessage: "no"}
	gone := settle(settling.Verdict{Revision: created, Failure: failure})
	if b, err := s.get(); err != nil || b.Status != lattice.StatusGone || b.Failure != failure || !b.Deleting {
		t.Fatalf("it is %+v, %v", b, err)
	}
	settle(settling.Verdict{}) // a node has forgotten it, and has no failure any more
	if _, err := s.get(); err != nil {
		t.Errorf("it went before its time: %v", err)
	}
	settle(settling.Verdict{Revision: gone})
	if _, err := s.get(); !errors.Is(err, errMissing) {
		t.Errorf("it is not gone: %v", err)
	}
}

// TestOlderStatusesAreTakenApart completes a store in which resources have their statuses in themselves.
func TestOlderStatusesAreTakenApart(t *testing.T) {
	s := newStaged(t)
	older := stagedBowl{bowl: bowl{ID: "bowl-1", Account: account}, Status: lattice.StatusDeleteInProgress}
	s.change(func(op *operation.Call) error { return s.bowls.Objects.Put(op.Tx, "bowl-1", older) })
	if b, err := s.get(); err != nil || b.Status != older.Status {
		t.Errorf("before: %v, %v", b, err)
	}
	for range 2 {
		if err := s.bowls.Complete(nil)(context.WithoutCancel(t.Context()), s.Store); err != nil {
			t.Fatal(err)
		}
	}
	b, err := s.get()
	if err != nil || b.Status != older.Status || !b.Deleting {
		t.Errorf("after: %v, %v", b, err)
	}
	if err := s.Store.View(t.Context(), func(tx *store.Tx) error {
		bare, err := s.bowls.Objects.Get(tx, "bowl-1")
		if bare.Status != "" {
			t.Errorf("the object has %s in it", bare.Status)
		}
		own, _, listErr := s.bowls.Own(tx, account, "", 0)
		if len(own) != 1 || own[0].Value.Status != older.Status {
			t.Errorf("listed %v", own)
		}
		return errors.Join(err, listErr)
	}); err != nil {
		t.Fatal(err)
	}
}
