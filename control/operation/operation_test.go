package operation_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"pergola/aws/iam"
	"pergola/control/operation"
	"pergola/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// root is an account's root user, who needs no policies.
var root = iam.Caller{Account: "100000000001", ARN: "arn:aws:iam::100000000001:root", Type: iam.TypeAccount}

var notes = store.NewIndex("note")

// request is the input of the operations of the test.
type request struct{ Key, Value string }

// explained is an error in the words of the test's service.
type explained struct{ error }

// newService is a service whose calls are its operations.
func newService(t *testing.T) *operation.Service[*operation.Call] {
	t.Helper()
	objects, err := store.Open(t.Context(), store.Config{Dir: filepath.Join(t.TempDir(), "store"), NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := objects.Close(); err != nil {
			t.Error(err)
		}
	})
	return operation.New(operation.Config{Store: objects}, operation.Description[*operation.Call]{
		Name:    "test",
		Begin:   func(of *operation.Call) (*operation.Call, error) { return of, nil },
		Explain: func(err error) error { return explained{err} },
	})
}

func put(op *operation.Call, in *request) (*request, error) {
	return &request{in.Key, "done"}, notes.Put(op.Tx, in.Key, in.Value)
}

func get(op *operation.Call, in *request) (*request, error) {
	value, err := notes.Get(op.Tx, in.Key)
	return &request{in.Key, value}, err
}

func do(t *testing.T, s *operation.Service[*operation.Call], caller iam.Caller, action string,
	f func(*operation.Call, *request) (*request, error), in request) (*request, error) {
	t.Helper()
	return operation.Do(t.Context(), s, operation.Request{Caller: caller, Action: action}, f, &in)
}

func TestDo(t *testing.T) {
	s := newService(t)
	if answer, err := do(t, s, root, "PutNote", put, request{"a", "1"}); err != nil || answer.Value != "done" {
		t.Errorf("got %v, %v", answer, err)
	}
	if answer, err := do(t, s, root, "GetNote", get, request{"a", ""}); err != nil || answer.Value != "1" {
		t.Errorf("got %v, %v", answer, err)
	}
	answer, err := do(t, s, root, "GetNote", get, request{"b", ""})
	if !errors.As(err, new(explained)) || !errors.Is(err.(explained).error, store.ErrNotFound) || answer != nil {
		t.Errorf("of what is not there: %v, %v", answer, err)
	}
}

// TestReadersDoNotWrite ends an operation that writes although its name says that it reads.
func TestReadersDoNotWrite(t *testing.T) {
	s := newService(t)
	for _, action := range []string{"GetNote", "ListNotes", "DescribeNotes"} {
		if _, err := do(t, s, root, action, put, request{"a", "1"}); err == nil {
			t.Errorf("%s wrote", action)
		}
	}
	if _, err := do(t, s, root, "GetNote", get, request{"a", ""}); err == nil {
		t.Error("something was written")
	}
}

// TestEachOperationAsks refuses a caller without permission, though the operation forgets to ask, and leaves nothing.
func TestEachOperationAsks(t *testing.T) {
	s := newService(t)
	nobody := iam.Caller{Account: root.Account, ARN: "arn:aws:iam::100000000001:user/nobody", UserID: "AIDA",
		Type: iam.TypeUser}
	if answer, err := do(t, s, nobody, "PutNote", put, request{"a", "1"}); err == nil || answer != nil {
		t.Errorf("got %v, %v", answer, err)
	}
	if _, err := do(t, s, root, "GetNote", get, request{"a", ""}); err == nil {
		t.Error("something was written")
	}
}

// TestEachAttemptIsNew makes a call for each attempt: what another transaction changed meanwhile is read anew.
func TestEachAttemptIsNew(t *testing.T) {
	s := newService(t)
	attempts := map[*operation.Call]bool{}
	_, err := do(t, s, root, "PutNote", func(op *operation.Call, in *request) (*request, error) {
		attempts[op] = true
		value, err := notes.Get(op.Tx, "a")
		if errors.Is(err, store.ErrNotFound) && len(attempts) == 1 {
			_, err = s.Store.Update(context.WithoutCancel(op.Ctx),
				func(tx *store.Tx) error { return notes.Put(tx, "a", "theirs") })
		}
		if err != nil {
			return nil, err
		}
		return &request{}, notes.Put(op.Tx, "b", "after "+value)
	}, request{})
	if err != nil || len(attempts) != 2 {
		t.Fatalf("%d attempts, %v", len(attempts), err)
	}
	if answer, err := do(t, s, root, "GetNote", get, request{"b", ""}); err != nil || answer.Value != "after theirs" {
		t.Errorf("got %v, %v", answer, err)
	}
}

// TestBeginRefuses ends an operation that its service does not begin.
func TestBeginRefuses(t *testing.T) {
	s := newService(t)
	closed := errors.New("closed")
	shut := operation.New(s.Config, operation.Description[*operation.Call]{
		Name:    "test",
		Begin:   func(*operation.Call) (*operation.Call, error) { return nil, closed },
		Explain: func(err error) error { return err },
	})
	if _, err := do(t, shut, root, "PutNote", put, request{"a", "1"}); !errors.Is(err, closed) {
		t.Errorf("got %v", err)
	}
}

func TestDefaults(t *testing.T) {
	s := operation.New(operation.Config{}, operation.Description[*operation.Call]{Name: "test"})
	if s.Now == nil || s.Random == nil || s.Logger == nil {
		t.Error("a default is missing")
	}
}

func TestSilent(t *testing.T) {
	lost := errors.New("lost")
	f := operation.Silent[*operation.Call, request, request](func(*operation.Call, *request) error { return lost })
	if answer, err := f(nil, nil); *answer != (request{}) || !errors.Is(err, lost) {
		t.Errorf("got %v, %v", answer, err)
	}
}
