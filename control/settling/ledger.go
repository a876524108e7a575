package settling

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"pergola/containment"
	"pergola/lattice"
	"pergola/store"
)

// Where the keys that a Settler follows begin.
const (
	objectPrefix = "object/"
	statusPrefix = "status/"
	leasePrefix  = "lease/"
)

// ledger is what a Settler knows: what waits for the nodes, and what the nodes have said. It belongs to one goroutine.
type ledger struct {
	rows    map[string]Row
	log     *slog.Logger
	waiting map[string]entry                           // by kind and path, such as "service/svc-1"
	applied map[string]int64                           // by live node
	reports map[string]map[string]lattice.TargetReport // by node and target group
	// failures are what nodes could not make, by kind and path, and by node.
	failures map[string]map[string]lattice.FailureReport
}

// entry is an object that is to be settled.
type entry struct {
	Wait
	kind, path string
	revision   int64 // of the change that the nodes have to apply; 0 for the last one
	// tries are those that have failed, and next is when there may be another.
	tries int
	next  time.Time
}

func newLedger(rows map[string]Row, log *slog.Logger) *ledger {
	return &ledger{
		rows: rows, log: log, waiting: map[string]entry{}, applied: map[string]int64{},
		reports: map[string]map[string]lattice.TargetReport{}, failures: map[string]map[string]lattice.FailureReport{},
	}
}

// noteObjects learns what waits, of the kinds that say so below a prefix: in their objects, or in statuses apart from
// them. What cannot be read is left out, and is the error.
func (l *ledger) noteObjects(prefix string, batch store.Batch) error {
	if batch.Reset {
		maps.DeleteFunc(l.waiting, func(_ string, e entry) bool { return l.prefixOf(e.kind) == prefix })
	}
	var failures []error
	for _, change := range batch.Changes {
		key := strings.TrimPrefix(change.Key, prefix)
		e := entry{revision: change.Revision}
		if e.kind, e.path, _ = strings.Cut(key, "/"); l.prefixOf(e.kind) != prefix {
			continue
		}
		known := l.waiting[key]
		delete(l.waiting, key)
		if change.Value == nil {
			continue
		}
		note := func() error { return l.noteObject(key, e, known, change.Value) }
		if err := containment.Do(l.log, "reading an object", note, "object", key); err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", change.Key, err))
		}
	}
	return errors.Join(failures...)
}

// prefixOf is where a kind says what its objects wait for, "" if it is not settled.
func (l *ledger) prefixOf(kind string) string {
	row, ok := l.rows[kind]
	switch {
	case !ok:
		return ""
	case row.Apart:
		return statusPrefix
	}
	return objectPrefix
}

// noteObject learns of an object that was put, or of its status. known is what was known of it: a Settler's own doing
// is no new change.
func (l *ledger) noteObject(key string, e, known entry, value []byte) (err error) {
	row, change := l.rows[e.kind], e.revision
	if e.Wait, err = row.Waits(value); err != nil {
		return err
	}
	if len(l.failures[key]) > 0 && e.Until.IsZero() && !e.Nodes {
		e.Nodes, e.Mends = true, true
	}
	if e.Wait == (Wait{}) {
		return nil
	}
	if known.revision == change {
		e.tries, e.next = known.tries, known.next
	}
	if e.Mends && row.Apart { // by the status, which nodes do not follow, nothing can be asked of them
		e.revision = 0
	}
	l.waiting[key] = e
	return nil
}

// noteNodes learns what nodes have said, or that they are gone. A node whose report cannot be read has applied nothing.
func (l *ledger) noteNodes(batch store.Batch) error {
	if batch.Reset {
		for key := range l.failures {
			l.lookAt(key)
		}
		clear(l.applied)
		clear(l.reports)
		clear(l.failures)
	}
	var failures []error
	for _, change := range batch.Changes {
		note := func() error { return l.noteNode(change) }
		if err := containment.Do(l.log, "reading a node's report", note, "report", change.Key); err != nil {
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
	case "failures":
		node, object, _ := strings.Cut(rest, "/")
		return l.noteFailure(node, object, change.Value)
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

// noteFailure learns that a node could not make an object, or has made it meanwhile. A report that cannot be read is a
// failure all the same.
func (l *ledger) noteFailure(node, key string, value []byte) (err error) {
	defer l.lookAt(key)
	if value == nil {
		if delete(l.failures[key], node); len(l.failures[key]) == 0 {
			delete(l.failures, key)
		}
		return nil
	}
	var report lattice.FailureReport
	if err = json.Unmarshal(value, &report); err != nil {
		report = lattice.FailureReport{Failure: lattice.Failure{FailureCode: lattice.FailureInside,
			FailureMessage: "the node's report cannot be read"}}
	}
	if l.failures[key] == nil {
		l.failures[key] = map[string]lattice.FailureReport{}
	}
	l.failures[key][node] = report
	return err
}

// lookAt has an object settled again.
func (l *ledger) lookAt(key string) {
	if _, waits := l.waiting[key]; waits {
		return
	}
	e := entry{Wait: Wait{Nodes: true}}
	e.kind, e.path, _ = strings.Cut(key, "/")
	if _, ok := l.rows[e.kind]; ok {
		l.waiting[key] = e
	}
}

// failureOf is why an object could not be made, zero if it could: of several nodes that of the first by name.
func (l *ledger) failureOf(key string) lattice.Failure {
	reports := l.failures[key]
	for _, node := range slices.Sorted(maps.Keys(reports)) {
		if !reports[node].Pending {
			return reports[node].Failure
		}
	}
	return lattice.Failure{}
}

// isPending reports whether some node has still to come to an object.
func (l *ledger) isPending(key string) bool {
	for _, report := range l.failures[key] {
		if report.Pending {
			return true
		}
	}
	return false
}

// due are the keys of what need not wait any longer.
func (l *ledger) due(now time.Time) []string {
	var due []string
	for key, e := range l.waiting {
		if l.isDue(key, e, now) && !e.next.After(now) {
			due = append(due, key)
		}
	}
	return due
}

// isDue reports whether the time of an object has come, or every live node has applied its change. While there is none,
// nobody can say so.
func (l *ledger) isDue(key string, e entry, now time.Time) bool {
	if !e.Until.IsZero() && !now.Before(e.Until) {
		return true
	}
	if !e.Nodes || l.isPending(key) {
		return false
	}
	for node, applied := range l.applied {
		if applied < e.revision || e.Drains && l.isAnswering(node, e.path) {
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

// next is when something will be due though nothing has changed: its time comes, or it is tried again. Zero if nothing
// will.
func (l *ledger) next(now time.Time) time.Time {
	var next time.Time
	for key, e := range l.waiting {
		at := e.Until
		if e.tries > 0 && l.isDue(key, e, now) {
			at = e.next
		}
		if !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next
}
