package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"pergola/lattice"
	"pergola/store"
)

// Where the keys that Settle follows begin.
const (
	objectPrefix = "object/"
	leasePrefix  = "lease/"
)

// drainTime is how long after its deregistration a target is given up, whatever the nodes say of it.
const drainTime = time.Minute

// ledger is what a settler knows: what waits for the nodes, and what the nodes have said. It belongs to one
// goroutine.
type ledger struct {
	waiting map[string]wait                            // by key in the store, such as "object/service/svc-1"
	applied map[string]int64                           // by live node
	reports map[string]map[string]lattice.TargetReport // by node and target group
}

// wait is an object whose last change the nodes have to apply.
type wait struct {
	kind, path string
	revision   int64 // of the change
	// deadline is when a draining target is given up; zero for everything else.
	deadline time.Time
}

func newLedger() *ledger {
	return &ledger{
		waiting: map[string]wait{}, applied: map[string]int64{}, reports: map[string]map[string]lattice.TargetReport{},
	}
}

// noteObjects learns what waits. What cannot be read is left out, and is the error.
func (l *ledger) noteObjects(batch store.Batch) error {
	if batch.Reset {
		clear(l.waiting)
	}
	var failures []error
	for _, change := range batch.Changes {
		delete(l.waiting, change.Key)
		if change.Value == nil {
			continue
		}
		if err := l.noteObject(change); err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", change.Key, err))
		}
	}
	return errors.Join(failures...)
}

func (l *ledger) noteObject(change store.Change) error {
	w := wait{revision: change.Revision}
	w.kind, w.path, _ = strings.Cut(strings.TrimPrefix(change.Key, objectPrefix), "/")
	if settlers[w.kind] == nil {
		return nil
	}
	// An object has one of these members or the other, by its kind.
	var object struct {
		Status         lattice.Status `json:"status"`
		DeregisteredAt *lattice.Time  `json:"deregisteredAt"`
	}
	if err := json.Unmarshal(change.Value, &object); err != nil {
		return err
	}
	if object.DeregisteredAt != nil {
		w.deadline = object.DeregisteredAt.Add(drainTime)
	}
	if object.Status.InProgress() || object.DeregisteredAt != nil {
		l.waiting[change.Key] = w
	}
	return nil
}

// noteNodes learns what nodes have said, or that they are gone. A node whose report cannot be read has applied
// nothing.
func (l *ledger) noteNodes(batch store.Batch) error {
	if batch.Reset {
		clear(l.applied)
		clear(l.reports)
	}
	var failures []error
	for _, change := range batch.Changes {
		if err := l.noteNode(change); err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", change.Key, err))
		}
	}
	return errors.Join(failures...)
}

func (l *ledger) noteNode(change store.Change) error {
	what, rest, _ := strings.Cut(strings.TrimPrefix(change.Key, leasePrefix+lattice.NodePrefix), "/")
	switch what {
	case "report":
		return l.noteApplied(rest, change.Value)
	case "targets":
		group, node, _ := strings.Cut(rest, "/")
		return l.noteTargets(node, group, change.Value)
	}
	return nil
}

func (l *ledger) noteApplied(node string, value []byte) error {
	if value == nil {
		delete(l.applied, node)
		return nil
	}
	l.applied[node] = 0
	var report lattice.NodeReport
	if err := json.Unmarshal(value, &report); err != nil {
		return err
	}
	l.applied[node] = report.Applied
	return nil
}

func (l *ledger) noteTargets(node, group string, value []byte) error {
	if value == nil {
		delete(l.reports[node], group)
		return nil
	}
	var report lattice.TargetReport
	err := json.Unmarshal(value, &report)
	if l.reports[node] == nil {
		l.reports[node] = map[string]lattice.TargetReport{}
	}
	l.reports[node][group] = report
	return err
}

// due are the keys of what need not wait any longer.
func (l *ledger) due(now time.Time) []string {
	var due []string
	for key, w := range l.waiting {
		if l.isDue(w, now) {
			due = append(due, key)
		}
	}
	return due
}

// isDue reports whether every live node has applied a change. While there is none, nobody can say so.
func (l *ledger) isDue(w wait, now time.Time) bool {
	if !w.deadline.IsZero() && !now.Before(w.deadline) {
		return true
	}
	for node, applied := range l.applied {
		if applied < w.revision || !w.deadline.IsZero() && l.isAnswering(node, w.path) {
			return false
		}
	}
	return len(l.applied) > 0
}

// isAnswering reports whether a node still has requests with a draining target. A node that has applied the
// deregistration and does not mention the target has none.
func (l *ledger) isAnswering(node, path string) bool {
	group, target, _ := strings.Cut(path, "/")
	health, ok := l.reports[node][group][target]
	return ok && !health.Drained
}

// nextDeadline is when the next draining target is given up; zero if none drains.
func (l *ledger) nextDeadline() time.Time {
	var next time.Time
	for _, w := range l.waiting {
		if !w.deadline.IsZero() && (next.IsZero() || w.deadline.Before(next)) {
			next = w.deadline
		}
	}
	return next
}
