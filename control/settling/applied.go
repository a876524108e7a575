package settling

import (
	"context"
	"encoding/json"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"pergola/lattice"
	"pergola/store"
)

// patience is how long the answer to a change waits at most for the nodes to apply it.
const patience = 2 * time.Second

// Begin begins to watch what is committed with the context that it returns. What has been committed is in force when
// wait returns true: every live node serves it then, and has for every request that comes from now on. After two
// seconds, or when ctx ends, wait returns false; the nodes apply the change all the same, as soon as they can. With
// nothing committed that a node serves by, and with no live node, it does not wait. Late counts how often it has waited
// in vain.
func (s *Settler) Begin(ctx context.Context) (watched context.Context, wait func() bool) {
	watched, commits := store.WithCommits(ctx)
	return watched, func() bool { return s.applied.await(ctx, commits.Newest()) }
}

// Late is how many changes were answered before all live nodes had applied them.
func (s *Settler) Late() int64 { return s.applied.late.Load() }

// watermark is the revision that every live node serves, with those who wait for it to rise. It is told of reports by
// who reads them, and not by who settles: many changes may be settled between two reports.
type watermark struct {
	late atomic.Int64

	mu       sync.Mutex // guards what follows
	known    bool       // whether the nodes have been heard of
	applied  map[string]int64
	revision int64
	waiting  map[chan struct{}]int64 // what each waits for
}

// nobody is the watermark while no node is alive: there is nobody to wait for.
const nobody = math.MaxInt64

// note learns what nodes serve, from the batches of those who follow their reports. A node whose report cannot be read
// serves nothing that one could rely on.
func (w *watermark) note(batch store.Batch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if batch.Reset || w.applied == nil {
		w.applied = map[string]int64{}
	}
	for _, change := range batch.Changes {
		node, ok := strings.CutPrefix(change.Key, leasePrefix+lattice.NodeReportKey(""))
		if !ok {
			continue
		}
		delete(w.applied, node)
		if change.Value != nil {
			var report lattice.NodeReport
			_ = json.Unmarshal(change.Value, &report) // the ledger says so
			w.applied[node] = report.Applied
		}
	}
	w.known, w.revision = true, nobody
	for _, applied := range w.applied {
		w.revision = min(w.revision, applied)
	}
	for reached, wanted := range w.waiting {
		if wanted <= w.revision {
			delete(w.waiting, reached)
			close(reached)
		}
	}
}

// enter is nil if a revision has been reached already.
func (w *watermark) enter(revision int64) chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if revision == 0 || w.known && w.revision >= revision {
		return nil
	}
	if w.waiting == nil {
		w.waiting = map[chan struct{}]int64{}
	}
	reached := make(chan struct{})
	w.waiting[reached] = revision
	return reached
}

func (w *watermark) leave(reached chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.waiting, reached)
}

func (w *watermark) await(ctx context.Context, revision int64) bool {
	reached := w.enter(revision)
	if reached == nil {
		return true
	}
	defer w.leave(reached)
	enough := time.NewTimer(patience)
	defer enough.Stop()
	select {
	case <-reached:
		return true
	case <-enough.C:
	case <-ctx.Done():
	}
	w.late.Add(1)
	return false
}
