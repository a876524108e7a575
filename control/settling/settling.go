// Package settling moves what is in progress to its end. Operations leave an object in progress; nodes report which
// revision they serve, and what of it they could not make; and a Settler completes the change of an object when every
// live node has applied it, or says that it has failed and why. What has failed is settled again when the nodes mend
// it.
//
// The kinds of objects that are settled are rows, each of the package that owns the kind. A Settler knows what waits
// and what the nodes have said, and no noun.
//
// It also tells when a change that has no status is in force: see Begin.
package settling

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"pergola/containment"
	"pergola/lattice"
	"pergola/store"
)

// Row says how the objects of one kind are settled. All but Fail is required.
type Row struct {
	// Kind is the kind's name in the store.
	Kind string
	// Apart says that the store has the statuses of the kind apart from its objects, as a lattice.Stage of the same path.
	Apart bool
	// Waits tells what an object waits for, from what the store has: the object, or its status where that is apart.
	Waits func(object []byte) (Wait, error)
	// Settle completes the last change of the object with a path, or says in it that it has failed. It may be asked about
	// an object that is settled already, and leaves that as it is. It must have no effect but through tx.
	Settle func(tx *store.Tx, path string, verdict Verdict) error
	// Fail says in the object that it could not be settled, and reports whether it has changed the object for that. Settle
	// is tried again all the same, later. Nil is for kinds that have no word for it; the log has.
	Fail func(tx *store.Tx, path string, verdict Verdict) (changed bool, err error)
}

// Wait is what an object waits for. The zero Wait is that of an object at rest.
type Wait struct {
	// Nodes is whether it waits for all live nodes to apply its last change.
	Nodes bool
	// Mends is whether it has failed, so that what counts is how nodes find it by now, and not its last change.
	Mends bool
	// Drains is whether it waits for the nodes' requests with it to end, too. It is a target then, whose path is its
	// target group's id and its key.
	Drains bool
	// Until is when it stops waiting for nodes; zero for never.
	Until time.Time
}

// Verdict is what nodes say of an object that waits no longer.
type Verdict struct {
	// Revision is that of the object's change that the nodes were asked about: the verdict is void if the object has
	// changed since. 0 is for no change: the nodes were asked how the object is by now.
	Revision int64
	// Failure is why a node could not make the object, zero if all have; for Row.Fail why it could not be settled.
	Failure lattice.Failure
}

// Read reads the object that a verdict is about, for a Row. It is nil if there is none, or if the verdict is void: the
// object has changed since, or it is in progress and the nodes were not asked about that.
func Read[T any](tx *store.Tx, kind store.Kind[T], path string, v Verdict, inProgress func(*T) bool) (*T, error) {
	entries, _, err := kind.List(tx, path, "", 1)
	if err != nil || len(entries) == 0 || entries[0].ID != path {
		return nil, err
	}
	of := &entries[0]
	if v.Revision != of.Revision && (v.Revision != 0 || inProgress(&of.Value)) {
		return nil, nil
	}
	return &of.Value, nil
}

// StatusWaits is the Waits of a lattice.Stage: what is in progress waits for the nodes, what has failed for them to
// mend it, and all for its time.
func StatusWaits(object []byte) (Wait, error) {
	var of lattice.Stage
	err := json.Unmarshal(object, &of)
	failed := of.Status.HasFailed()
	return Wait{Nodes: of.Status.InProgress() || failed, Mends: failed, Until: of.Until.Time}, err
}

// Judge brings a status that is not of a deletion, and the failure beside it, in line with the verdict, and reports
// whether that has changed them. Kinds without updates, which have no status for those, stay ACTIVE once they were.
func (v Verdict) Judge(status *lattice.Status, failure *lattice.Failure, updates bool) (changed bool) {
	before, why := *status, *failure
	*failure = v.Failure
	switch creating := before == lattice.StatusCreateInProgress || before == lattice.StatusCreateFailed; {
	case v.Failure == lattice.Failure{}:
		*status = lattice.StatusActive
	case creating:
		*status = lattice.StatusCreateFailed
	case updates:
		*status = lattice.StatusUpdateFailed
	default:
		*status, *failure = lattice.StatusActive, lattice.Failure{}
	}
	return *status != before || *failure != why
}

// The waits before an object that could not be settled is tried again. They double from the shortest to the longest,
// and each is cut by up to a half at random.
const (
	shortestWait = time.Second
	longestWait  = time.Minute
)

// together is how many objects are settled in one transaction, if it takes so many: typical is how many keys one reads
// or writes.
const (
	together = 32
	typical  = 16
)

// idle is how long a Settler waits at most before it looks whether something is due.
const idle = time.Minute

// backlog is how many changes a Settler reads before it has settled what became due by the first of them.
const backlog = 1024

// Config is what a Settler needs. Store and Rows are required.
type Config struct {
	Store *store.Store
	Rows  []Row
	// Now tells the time; nil means time.Now.
	Now func() time.Time
	// Logger hears of what cannot be settled; nil is silent.
	Logger *slog.Logger
}

// Settler settles. Several may run at once, in one process or in many: each change is one transaction that holds only
// if nothing has happened to the object since the nodes' reports were judged.
type Settler struct {
	store *store.Store
	now   func() time.Time
	log   *slog.Logger
	rows  map[string]Row

	ledger  *ledger // of the goroutine that runs
	applied watermark
}

// New makes a Settler, which does nothing until Run.
func New(cfg Config) *Settler {
	s := &Settler{store: cfg.Store, now: cfg.Now, log: cfg.Logger, rows: make(map[string]Row, len(cfg.Rows))}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	for _, row := range cfg.Rows {
		s.rows[row.Kind] = row
	}
	s.ledger = newLedger(s.rows, s.log)
	return s
}

// Run settles until ctx ends. Nothing settles while no node is alive, but for what waits for a time alone. What a
// Settler knows is read from the store when it starts, so it can be stopped at any time; it runs once. It returns an
// error when the store is closed.
func (s *Settler) Run(ctx context.Context) error {
	running, end := context.WithCancelCause(ctx)
	var followers sync.WaitGroup
	follow := func(prefix string, note func(store.Batch)) <-chan store.Batch {
		batches := make(chan store.Batch, backlog)
		followers.Go(func() {
			end(s.store.Follow(running, prefix, func(batch store.Batch) error {
				note(batch)
				select {
				case batches <- batch:
				case <-running.Done():
				}
				return nil
			}))
		})
		return batches
	}
	ignore := func(store.Batch) {}
	s.settleAsToldBy(running, news{objects: follow(objectPrefix, ignore), statuses: follow(statusPrefix, ignore),
		nodes: follow(leasePrefix+lattice.NodePrefix, s.applied.note)})
	followers.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return context.Cause(running)
}

// news is what a Settler hears of objects, of statuses that are apart from them, and of what nodes have said.
type news struct{ objects, statuses, nodes <-chan store.Batch }

// settleAsToldBy keeps a ledger of what it receives and settles what is due, until ctx ends.
func (s *Settler) settleAsToldBy(ctx context.Context, from news) {
	alarm := time.NewTimer(0)
	defer alarm.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case batch := <-from.objects:
			err = s.ledger.noteObjects(objectPrefix, batch)
		case batch := <-from.statuses:
			err = s.ledger.noteObjects(statusPrefix, batch)
		case batch := <-from.nodes:
			err = s.ledger.noteNodes(batch)
		case <-alarm.C:
		}
		if err != nil {
			s.log.Error("what the store holds could not be read and is left out", "error", err)
		}
		alarm.Reset(s.settleDue(ctx))
	}
}

// settleDue settles what is due, and says how long to wait for more if nothing happens.
func (s *Settler) settleDue(ctx context.Context) time.Duration {
	now := s.now()
	for keys := range slices.Chunk(s.ledger.due(now), s.atOnce()) {
		if err := s.settleAll(ctx, keys); err != nil {
			s.log.Warn("changes cannot be completed while the store cannot be reached", "error", err)
			return shortestWait
		}
	}
	again := idle
	if next := s.ledger.next(now); !next.IsZero() {
		again = min(again, max(0, next.Sub(s.now())))
	}
	return again
}

// atOnce is how many objects one transaction settles.
func (s *Settler) atOnce() int { return max(1, min(together, s.store.MaxOperations()/typical)) }

// settleAll settles some objects in one transaction, and each for itself if that fails. The error says that the store
// cannot be reached.
func (s *Settler) settleAll(ctx context.Context, keys []string) error {
	all := func(tx *store.Tx) error {
		for _, key := range keys {
			if err := s.complete(tx, key); err != nil {
				return err
			}
		}
		return nil
	}
	if len(keys) > 1 && !slices.ContainsFunc(keys, func(key string) bool { return s.ledger.waiting[key].tries > 0 }) {
		if _, err := s.store.Update(ctx, all); err == nil {
			for _, key := range keys {
				delete(s.ledger.waiting, key)
			}
			return nil
		}
	}
	for _, key := range keys {
		if err := s.settle(ctx, key); err != nil && s.isAway(ctx, err) {
			return err
		}
	}
	return nil
}

// isAway reports whether an error says that the store cannot be reached.
func (s *Settler) isAway(ctx context.Context, err error) bool {
	return ctx.Err() != nil || errors.Is(err, store.ErrClosed) || errors.Is(err, store.ErrUnavailable)
}

// complete settles one object in a transaction.
func (s *Settler) complete(tx *store.Tx, key string) error {
	w := s.ledger.waiting[key]
	verdict := Verdict{Revision: w.revision, Failure: s.ledger.failureOf(key)}
	return containment.Do(s.log, "completing a change", func() error {
		return s.rows[w.kind].Settle(tx, w.path, verdict)
	}, "object", key)
}

// settle settles one object. If it has changed meanwhile, the change is on its way and will be noted again.
func (s *Settler) settle(ctx context.Context, key string) error {
	w := s.ledger.waiting[key]
	_, err := s.store.Update(ctx, func(tx *store.Tx) error { return s.complete(tx, key) })
	if err == nil {
		delete(s.ledger.waiting, key)
		if w.tries > 0 {
			s.log.Info("a change that could not be completed has been completed", "object", key, "tries", w.tries+1)
		}
		return nil
	}
	if s.isAway(ctx, err) {
		return err
	}
	if w.tries == 0 {
		s.log.Error("a change could not be completed and will be tried again", "object", key, "error", err)
	}
	wait := min(shortestWait<<min(w.tries, 16), longestWait)
	w.tries, w.next = w.tries+1, s.now().Add(wait-rand.N(wait/2))
	s.ledger.waiting[key] = w
	if revision := s.fail(ctx, key, err); revision > 0 {
		w.revision = revision // which is our own doing, and no reason to try at once
		s.ledger.waiting[key] = w
	}
	return err
}

// fail says in an object why it could not be settled, and returns the revision at which it did; 0 if it did not.
func (s *Settler) fail(ctx context.Context, key string, why error) (revision int64) {
	w := s.ledger.waiting[key]
	row, verdict := s.rows[w.kind], Verdict{Revision: w.revision,
		Failure: lattice.Failure{FailureCode: lattice.FailureInside, FailureMessage: why.Error()}}
	if row.Fail == nil {
		return 0
	}
	changed := false
	revision, err := s.store.Update(ctx, func(tx *store.Tx) error {
		return containment.Do(s.log, "saying that a change has failed", func() (err error) {
			changed, err = row.Fail(tx, w.path, verdict)
			return err
		}, "object", key)
	})
	if err != nil || !changed {
		return 0
	}
	return revision
}
