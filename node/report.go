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
)

// reporter keeps the node's reports in the store, under a lease, so that they vanish when the node dies. It writes
// what has changed since it last wrote, and everything again when a lease was lost.
type reporter struct {
	id      string
	source  Source
	log     *slog.Logger
	changed chan struct{}

	mu       sync.Mutex // guards what follows
	applied  int64
	failures map[string]lattice.FailureReport // never altered
}

func newReporter(cfg Config) *reporter {
	return &reporter{id: cfg.ID, source: cfg.Source, log: cfg.Logger, changed: make(chan struct{}, 1)}
}

// wake asks for a look at what has changed. It never blocks.
func (r *reporter) wake() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// set says from which revision the node serves, and what of it it could not make.
func (r *reporter) set(applied int64, failures map[string]lattice.FailureReport) {
	r.mu.Lock()
	r.applied, r.failures = applied, failures
	r.mu.Unlock()
	r.wake()
}

func (r *reporter) state() said {
	r.mu.Lock()
	defer r.mu.Unlock()
	return said{applied: r.applied, failures: r.failures}
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
	lease, err := r.source.Report(ctx, leaseTTL)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), retryAfter)
		defer cancel()
		_ = lease.Close(ctx) // a lease that cannot be closed expires
	}()
	written := written{lease: lease, node: r.id, said: said{targets: map[string]lattice.TargetReport{}}}
	for {
		now := r.state() // before the health of targets, which may be newer but not older
		now.targets = targets()
		if err := written.update(ctx, now); err != nil {
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

// said is what the node has to say.
type said struct {
	applied  int64
	failures map[string]lattice.FailureReport // by object
	targets  map[string]lattice.TargetReport  // by target group
}

// written is what the node has said under one lease.
type written struct {
	said
	lease Report
	node  string
}

// update writes what differs. What failed and the health of targets go first: a resource must not be ACTIVE before
// these are known.
func (w *written) update(ctx context.Context, now said) error {
	if err := w.updateFailures(ctx, now.failures); err != nil {
		return err
	}
	if err := w.updateTargets(ctx, now.targets); err != nil {
		return err
	}
	if now.applied == w.applied {
		return nil
	}
	w.applied = now.applied
	return put(ctx, w.lease, lattice.NodeReportKey(w.node), lattice.NodeReport{Applied: now.applied})
}

func (w *written) updateFailures(ctx context.Context, failures map[string]lattice.FailureReport) error {
	if maps.Equal(failures, w.failures) {
		return nil
	}
	values := map[string][]byte{}
	for object, report := range failures {
		if known, ok := w.failures[object]; ok && known == report {
			continue
		}
		encoded, err := json.Marshal(report)
		if err != nil {
			return err
		}
		values[lattice.FailureReportKey(w.node, object)] = encoded
	}
	for object := range w.failures {
		if _, ok := failures[object]; !ok {
			values[lattice.FailureReportKey(w.node, object)] = nil
		}
	}
	if err := w.lease.PutAll(ctx, values); err != nil {
		return err
	}
	w.failures = failures
	return nil
}

func (w *written) updateTargets(ctx context.Context, targets map[string]lattice.TargetReport) error {
	for group, report := range targets {
		if maps.Equal(report, w.targets[group]) {
			continue
		}
		if err := put(ctx, w.lease, lattice.TargetReportKey(group, w.node), report); err != nil {
			return err
		}
		w.targets[group] = report
	}
	for group := range w.targets {
		if _, ok := targets[group]; !ok {
			if err := w.lease.Delete(ctx, lattice.TargetReportKey(group, w.node)); err != nil {
				return err
			}
			delete(w.targets, group)
		}
	}
	return nil
}

func put(ctx context.Context, lease Report, key string, value any) error {
	encoded, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return lease.Put(ctx, key, encoded)
}
