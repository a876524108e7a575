package settling

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"pergola/containment"
	"pergola/lattice"
	"pergola/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// thing is an object with a status.
type thing struct {
	Status lattice.Status `json:"status"`
	lattice.Failure
}

var things = store.NewKind[thing]("thing")

// world is a Settler of things on a store of its own, at a time that the test sets. The Settler does not run by itself.
type world struct {
	*Settler
	t     *testing.T
	ctx   context.Context
	store *store.Store
	clock time.Time
	log   bytes.Buffer
	// breaks is what becomes of settling a thing, by id.
	breaks map[string]func() error
}

func newWorld(t *testing.T) *world {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	opened, err := store.Open(ctx, store.Config{Dir: t.TempDir(), NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = opened.Close() })
	w := &world{t: t, ctx: ctx, store: opened, clock: time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC),
		breaks: map[string]func() error{}}
	w.Settler = New(Config{
		Store: opened, Now: func() time.Time { return w.clock }, Logger: slog.New(slog.NewTextHandler(&w.log, nil)),
		Rows: []Row{{Kind: "thing", Waits: StatusWaits, Settle: w.settleThing, Fail: failThing}},
	})
	return w
}

func inProgress(v *thing) bool { return v.Status.InProgress() }

func (w *world) settleThing(tx *store.Tx, path string, v Verdict) error {
	value, err := Read(tx, things, path, v, inProgress)
	if value == nil {
		return err
	}
	if breaks := w.breaks[path]; breaks != nil {
		if err := breaks(); err != nil {
			return err
		}
	}
	if !v.Judge(&value.Status, &value.Failure, false) {
		return nil
	}
	return things.Put(tx, path, *value)
}

func failThing(tx *store.Tx, path string, v Verdict) (bool, error) {
	value, err := Read(tx, things, path, v, inProgress)
	if value == nil || value.Failure == v.Failure {
		return false, err
	}
	value.Status, value.Failure = lattice.StatusDeleteFailed, v.Failure
	return true, things.Put(tx, path, *value)
}

func (w *world) put(id string, status lattice.Status) (revision int64) {
	w.t.Helper()
	revision, err := w.store.Update(w.ctx, func(tx *store.Tx) error { return things.Put(tx, id, thing{Status: status}) })
	if err != nil {
		w.t.Fatal(err)
	}
	return revision
}

func (w *world) get(id string) (value thing) {
	w.t.Helper()
	if err := w.store.View(w.ctx,
		func(tx *store.Tx) (err error) { value, err = things.Get(tx, id); return err }); err != nil {
		w.t.Fatal(err)
	}
	return value
}

// catchUp lets the ledger read all objects, as when a Settler's own writes come back.
func (w *world) catchUp() {
	w.t.Helper()
	read := errors.New("read")
	err := w.store.Follow(w.ctx, objectPrefix, func(batch store.Batch) error {
		batch.Reset = false
		if err := w.ledger.noteObjects(objectPrefix, batch); err != nil {
			return err
		}
		return read
	})
	if !errors.Is(err, read) {
		w.t.Fatal(err)
	}
}

// rise tells a watermark what the one node serves; nobody for no node.
func rise(mark *watermark, applied int64) {
	change := store.Change{Key: leasePrefix + lattice.NodeReportKey("a")}
	if applied != nobody {
		change.Value = fmt.Appendf(nil, `{"applied":%d}`, applied)
	}
	mark.note(store.Batch{Changes: []store.Change{change}})
}

func (w *world) nodeSays(key, value string) {
	w.t.Helper()
	change := store.Change{Key: leasePrefix + lattice.NodePrefix + key, Value: []byte(value)}
	if value == "" {
		change.Value = nil
	}
	if err := w.ledger.noteNodes(store.Batch{Changes: []store.Change{change}}); err != nil {
		w.t.Fatal(err)
	}
}

const everything = `{"applied":1000000000}`

// TestFault_D2_WhatCannotSettleIsTriedAgainLaterAndLoggedOnce counts tries and lines over an hour.
func TestFault_D2_WhatCannotSettleIsTriedAgainLaterAndLoggedOnce(t *testing.T) {
	for name, breaks := range map[string]func() error{
		"an error": func() error { return errors.New("too many operations") },
		"a panic":  func() error { panic("made to") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			tries, broken := 0, true
			w.breaks["bad"] = func() error {
				if tries++; broken {
					return breaks()
				}
				return nil
			}
			w.put("bad", lattice.StatusDeleteInProgress)
			w.put("good", lattice.StatusCreateInProgress)
			w.nodeSays("report/a", everything)
			for range 60 * 60 { // each second something changes elsewhere
				w.catchUp()
				w.settleDue(w.ctx)
				w.clock = w.clock.Add(time.Second)
			}
			if w.get("good").Status != lattice.StatusActive {
				t.Error("the other object did not settle")
			}
			if got := w.get("bad"); got.Status != lattice.StatusDeleteFailed || got.FailureCode != lattice.FailureInside ||
				got.FailureMessage == "" {
				t.Errorf("the object is %+v", got)
			}
			if tries < 60 || tries > 140 {
				t.Errorf("tried %d times in an hour, want about once in 30 to 60 seconds", tries)
			}
			if n := strings.Count(w.log.String(), "will be tried again"); n != 1 {
				t.Errorf("logged %d times:\n%s", n, w.log.String())
			}
			broken = false
			w.clock = w.clock.Add(longestWait)
			w.settleDue(w.ctx)
			if w.get("bad").Status != lattice.StatusActive || strings.Count(w.log.String(), "has been completed") != 1 {
				t.Errorf("it is %+v\n%s", w.get("bad"), w.log.String())
			}
		})
	}
}

// A change by somebody else is a reason to try at once.
func TestAChangeIsTriedAtOnce(t *testing.T) {
	w := newWorld(t)
	tries := 0
	w.breaks["bad"] = func() error { tries++; return errors.New("no") }
	w.nodeSays("report/a", everything)
	for range 3 {
		w.put("bad", lattice.StatusCreateInProgress)
		w.catchUp()
		w.settleDue(w.ctx)
		w.catchUp()
		w.settleDue(w.ctx)
	}
	if tries != 3 {
		t.Errorf("%d tries for 3 changes", tries)
	}
	if wait := w.settleDue(w.ctx); wait <= 0 || wait > shortestWait {
		t.Errorf("the next try is in %v", wait)
	}
}

func TestFailuresComeAndGo(t *testing.T) {
	w := newWorld(t)
	w.put("x", lattice.StatusCreateInProgress)
	step := func(want lattice.Status, message string) {
		t.Helper()
		for range 2 {
			w.catchUp()
			w.settleDue(w.ctx)
		}
		if got := w.get("x"); got.Status != want || got.FailureMessage != message {
			t.Errorf("it is %+v, want %s with %q", got, want, message)
		}
	}
	w.nodeSays("failures/a/thing/x", `{"failureMessage":"no"}`)
	w.nodeSays("report/a", everything)
	step(lattice.StatusCreateFailed, "no")
	w.nodeSays("failures/a/thing/x", `{"failureMessage":"never"}`)
	step(lattice.StatusCreateFailed, "never")
	w.nodeSays("failures/a/thing/x", "")
	step(lattice.StatusActive, "")
	if len(w.ledger.waiting) != 0 {
		t.Errorf("waiting: %v", w.ledger.waiting)
	}
}

// A failure that ends says nothing of a change that the nodes have not applied.
func TestWhatIsInProgressWaitsForItsOwnRevision(t *testing.T) {
	w := newWorld(t)
	w.nodeSays("failures/a/thing/x", `{"failureMessage":"no"}`)
	w.nodeSays("report/a", `{"applied":1}`)
	w.nodeSays("failures/a/thing/x", "")
	w.put("x", lattice.StatusCreateInProgress) // which the ledger does not know yet
	w.settleDue(w.ctx)
	if got := w.get("x").Status; got != lattice.StatusCreateInProgress {
		t.Errorf("it is %s", got)
	}
}

func TestRunEndsWithItsContextOrItsStore(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(w.ctx)
	cancel()
	if err := w.Run(ctx); err != nil {
		t.Errorf("a cancelled Run returns %v", err)
	}
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.Run(w.ctx); !errors.Is(err, store.ErrClosed) {
		t.Errorf("on a closed store Run returns %v", err)
	}
}

func TestFault_A11_APanicInARowEndsOneObject(t *testing.T) {
	w := newWorld(t)
	before := containment.Panics()
	w.rows["bad"] = Row{Kind: "bad", Waits: func([]byte) (Wait, error) { panic("made to") }, Settle: w.settleThing}
	w.rows["worse"] = Row{Kind: "worse", Waits: StatusWaits,
		Settle: func(*store.Tx, string, Verdict) error { panic("made to") }}
	value := []byte(`{"status":"CREATE_IN_PROGRESS"}`)
	err := w.ledger.noteObjects(objectPrefix, store.Batch{Changes: []store.Change{
		{Key: "object/bad/x", Value: value, Revision: 1}, {Key: "object/worse/x", Value: value, Revision: 1},
	}})
	if !errors.Is(err, containment.ErrPanicked) {
		t.Errorf("the error is %v", err)
	}
	w.put("x", lattice.StatusCreateInProgress)
	w.catchUp()
	w.nodeSays("report/a", everything)
	w.settleDue(w.ctx)
	// reading the one, settling the other with what else is due, and then for itself
	if got := w.get("x").Status; got != lattice.StatusActive || containment.Panics() != before+3 {
		t.Errorf("it is %s; %d panics were contained", got, containment.Panics()-before)
	}
}

// TestManyAreSettledAtOnce settles many things in few transactions, and one that breaks does not hold up the others.
func TestManyAreSettledAtOnce(t *testing.T) {
	w := newWorld(t)
	w.breaks["thing-7"] = func() error { return errors.New("no") }
	const many = 4 * together
	for i := range many {
		w.put(fmt.Sprint("thing-", i), lattice.StatusCreateInProgress)
	}
	w.catchUp()
	w.nodeSays("report/a", everything)
	w.settleDue(w.ctx)
	revisions := map[int64]bool{}
	if err := w.store.View(w.ctx, func(tx *store.Tx) error {
		all, _, err := things.List(tx, "", "", 0)
		for _, thing := range all {
			if (thing.Value.Status == lattice.StatusActive) != (thing.ID != "thing-7") {
				t.Errorf("%s is %s", thing.ID, thing.Value.Status)
			}
			revisions[thing.Revision] = true
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if len(revisions) > together+4 {
		t.Errorf("%d things were settled at %d revisions", many, len(revisions))
	}
}

func TestChangesWaitForTheNodes(t *testing.T) {
	w := newWorld(t)
	watched, wait := w.Begin(w.ctx)
	commit := func(ctx context.Context, f func(tx *store.Tx) error) int64 {
		revision, err := w.store.Update(ctx, f)
		if err != nil {
			t.Fatal(err)
		}
		return revision
	}
	if !wait() {
		t.Error("nothing was committed")
	}
	commit(watched, func(tx *store.Tx) error { return store.NewIndex("name").Put(tx, "a", "b") })
	if !wait() {
		t.Error("nobody follows an index")
	}
	first := commit(watched, func(tx *store.Tx) error { return things.Put(tx, "x", thing{}) })
	last := commit(watched, func(tx *store.Tx) error { things.Delete(tx, "x"); return nil })
	rise(&w.applied, nobody)
	if !wait() {
		t.Error("no node is alive")
	}
	rise(&w.applied, first)
	waited := make(chan bool)
	go func() { waited <- wait() }()
	rise(&w.applied, last)
	if !<-waited {
		t.Error("it did not wait until the nodes had it")
	}
	rise(&w.applied, 0)
	cancelled, cancel := context.WithCancel(w.ctx)
	watched, wait = w.Begin(cancelled)
	commit(watched, func(tx *store.Tx) error { return things.DeletePrefix(tx, "") })
	cancel()
	if wait() || w.Late() != 1 {
		t.Errorf("with its context over it went on; %d were late", w.Late())
	}
}

func TestTheWaitIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mark watermark
		began := time.Now()
		if mark.await(t.Context(), 5) || time.Since(began) != patience { // the nodes have not been heard of
			t.Errorf("waited for %v", time.Since(began))
		}
		rise(&mark, 4)
		var waiting sync.WaitGroup
		for revision := int64(1); revision < 100; revision++ {
			waiting.Go(func() {
				if got, want := mark.await(t.Context(), revision), revision <= 50; got != want {
					t.Errorf("revision %d: %t", revision, got)
				}
			})
		}
		synctest.Wait()
		rise(&mark, 50)
		waiting.Wait()
		if mark.late.Load() != 50 || len(mark.waiting) != 0 {
			t.Errorf("%d were late, %d still wait", mark.late.Load(), len(mark.waiting))
		}
	})
}

func BenchmarkWaitThatNeedNot(b *testing.B) {
	var mark watermark
	rise(&mark, 1)
	b.ReportAllocs()
	for b.Loop() {
		mark.await(b.Context(), 1)
	}
}

// TestReportsAreRead reads what nodes write.
func TestReportsAreRead(t *testing.T) {
	w := newWorld(t)
	report := lattice.FailureReport{Failure: lattice.Failure{FailureCode: lattice.FailureOnNode, FailureMessage: "no"},
		Revision: 7}
	encoded, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	key := strings.TrimPrefix(lattice.FailureReportKey("a", "thing/x/y"), lattice.NodePrefix)
	w.nodeSays(key, string(encoded))
	if got := fmt.Sprint(w.ledger.failures); got != fmt.Sprint(map[string]map[string]lattice.FailureReport{
		"thing/x/y": {"a": report}}) {
		t.Errorf("read %s", got)
	}
}
