package node

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"pergola/lattice"
	"pergola/store"
)

// reporter keeps the node's reports in the store, under a lease, so that they vanish when the node dies. It writes
// what has changed since it last wrote, and everything again when a lease was lost.
type reporter struct {
	id      string
	store   *store.Store
	log     *slog.Logger
	changed chan struct{}

	mu      sync.Mutex // guards applied
	applied int64
}

func newReporter(cfg Config) *reporter {
	return &reporter{id: cfg.ID, store: cfg.Store, log: cfg.Logger, changed: make(chan struct{}, 1)}
}

// wake asks for a look at what has changed. It never blocks.
func (r *reporter) wake() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// setApplied says from which revision the node serves.
func (r *reporter) setApplied(revision int64) {
	r.mu.Lock()
	r.applied = revision
	r.mu.Unlock()
	r.wake()
}

// run reports until the context ends, and takes its reports back then.
func (r *reporter) run(ctx context.Context, targets func() map[string]lattice.TargetReport) {
	for ctx.Err() == nil {
		if err := r.reportUnderLease(ctx, targets); err != nil && ctx.Err() == nil {
			r.log.Error("the node could not report and will try again", "node", r.id, "error", err)
			select {
			case <-time.After(retryAfter):
			case <-ctx.Done():
			}
		}
	}
}

// reportUnderLease reports until the lease is lost, a write fails or the context ends.
func (r *reporter) reportUnderLease(ctx context.Context, targets func() map[string]lattice.TargetReport) error {
	lease, err := r.store.Lease(ctx, leaseTTL)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), retryAfter)
		defer cancel()
		_ = lease.Close(ctx) // a lease that cannot be closed expires
	}()
	written := written{lease: lease, targets: map[string]lattice.TargetReport{}}
	for {
		r.mu.Lock()
		applied := r.applied
		r.mu.Unlock()
		if err := written.update(ctx, r.id, applied, targets()); err != nil {
			return err
		}
		select {
		case <-r.changed:
		case <-lease.Done():
			return fmt.Errorf("the node's lease was lost")
		case <-ctx.Done():
			return nil
		}
	}
}

// written is what the node has said under one lease.
type written struct {
	lease   *store.Lease
	applied int64
	targets map[string]lattice.TargetReport
}

// update writes what differs. The health of targets goes first: a resource must not be ACTIVE before that is known.
func (w *written) update(ctx context.Context, node string, applied int64, targets map[string]lattice.TargetReport) error {
	for group, report := range targets {
		if maps.Equal(report, w.targets[group]) {
			continue
		}
		if err := put(ctx, w.lease, lattice.TargetReportKey(group, node), report); err != nil {
			return err
		}
		w.targets[group] = report
	}
	for group := range w.targets {
		if _, ok := targets[group]; !ok {
			if err := w.lease.Delete(ctx, lattice.TargetReportKey(group, node)); err != nil {
				return err
			}
			delete(w.targets, group)
		}
	}
	if applied == w.applied {
		return nil
	}
	w.applied = applied
	return put(ctx, w.lease, lattice.NodeReportKey(node), lattice.NodeReport{Applied: applied})
}

func put(ctx context.Context, lease *store.Lease, key string, value any) error {
	encoded, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return lease.Put(ctx, key, encoded)
}
