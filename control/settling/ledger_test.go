package settling

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"pergola/lattice"
	"pergola/store"
)

// rows are a kind with a status apart from its objects and one that drains.
func rows() map[string]Row {
	return map[string]Row{
		"service": {Kind: "service", Apart: true, Waits: StatusWaits},
		"target": {Kind: "target", Waits: func(object []byte) (Wait, error) {
			var target lattice.RegisteredTarget
			if err := json.Unmarshal(object, &target); err != nil || target.DeregisteredAt == nil {
				return Wait{}, err
			}
			return Wait{Nodes: true, Drains: true, Until: target.DeregisteredAt.Add(time.Minute)}, nil
		}},
	}
}

// told makes a ledger of changes, each written as "revision key value"; an empty value is a deletion.
func told(t *testing.T, changes ...string) *ledger {
	t.Helper()
	l := newLedger(rows(), slog.New(slog.DiscardHandler))
	tell(t, l, changes...)
	return l
}

func tell(t *testing.T, l *ledger, changes ...string) {
	t.Helper()
	for _, change := range changes {
		var revision int64
		var key string
		fields := strings.SplitN(change, " ", 3)
		if _, err := fmt.Sscan(fields[0], &revision); err != nil {
			t.Fatal(err)
		}
		key = fields[1]
		c := store.Change{Key: key, Revision: revision}
		if len(fields) == 3 {
			c.Value = []byte(fields[2])
		}
		batch := store.Batch{Revision: revision, Changes: []store.Change{c}}
		var err error
		switch prefix, _, _ := strings.Cut(key, "/"); prefix + "/" {
		case leasePrefix:
			err = l.noteNodes(batch)
		default:
			err = l.noteObjects(prefix+"/", batch)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestWhatIsDue(t *testing.T) {
	const (
		creating = `5 status/service/svc-1 {"status":"CREATE_IN_PROGRESS"}`
		draining = `5 object/target/tg-1/10.0.0.9:80 {"deregisteredAt":"2026-08-01T12:00:00.000Z"}`
		svc      = "service/svc-1"
		target   = "target/tg-1/10.0.0.9:80"
	)
	noon := time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
	for what, test := range map[string]struct {
		told []string
		at   time.Time
		due  []string
	}{
		"no node":                    {[]string{creating}, noon, nil},
		"a node that has applied it": {[]string{creating, `6 lease/node/report/a {"applied":5}`}, noon, []string{svc}},
		"a node that is behind":      {[]string{creating, `6 lease/node/report/a {"applied":4}`}, noon, nil},
		"one node of two is behind": {[]string{creating, `6 lease/node/report/a {"applied":9}`,
			`7 lease/node/report/b {"applied":4}`}, noon, nil},
		"the one behind vanishes": {[]string{creating, `6 lease/node/report/a {"applied":9}`,
			`7 lease/node/report/b {"applied":4}`, `8 lease/node/report/b`}, noon, []string{svc}},
		"the last node vanishes": {[]string{creating, `6 lease/node/report/a {"applied":9}`,
			`7 lease/node/report/a`}, noon, nil},
		"the report came first": {[]string{`6 lease/node/report/a {"applied":5}`, creating}, noon, []string{svc}},
		"it has changed again": {[]string{`6 lease/node/report/a {"applied":5}`, creating,
			`7 status/service/svc-1 {"status":"DELETE_IN_PROGRESS"}`}, noon, nil},
		"it is active": {[]string{`6 lease/node/report/a {"applied":5}`,
			`5 status/service/svc-1 {"status":"ACTIVE"}`}, noon, nil},
		"it is gone": {[]string{`6 lease/node/report/a {"applied":9}`, creating,
			`7 status/service/svc-1`}, noon, nil},
		"its object changes, which tells nothing": {[]string{creating, `7 object/service/svc-1 {}`,
			`6 lease/node/report/a {"applied":5}`}, noon, []string{svc}},
		"it has failed, and no node will apply that": {[]string{`6 lease/node/report/a {"applied":5}`,
			`9 status/service/svc-1 {"status":"CREATE_FAILED"}`}, noon, []string{svc}},
		"a kind that never waits": {[]string{`6 lease/node/report/a {"applied":9}`,
			`5 object/vpc/vpc-1 {"status":"CREATE_IN_PROGRESS"}`}, noon, nil},
		"a target nobody mentions": {[]string{draining, `6 lease/node/report/a {"applied":5}`}, noon,
			[]string{target}},
		"a target, a node is behind": {[]string{draining, `6 lease/node/report/a {"applied":4}`}, noon, nil},
		"a target that still answers": {[]string{draining,
			`6 lease/node/targets/tg-1/a {"10.0.0.9:80":{"status":"DRAINING"}}`, `7 lease/node/report/a {"applied":5}`},
			noon, nil},
		"a target that has drained": {[]string{draining,
			`6 lease/node/targets/tg-1/a {"10.0.0.9:80":{"status":"DRAINING","drained":true}}`,
			`7 lease/node/report/a {"applied":5}`}, noon, []string{target}},
		"drained on one node of two": {[]string{draining,
			`6 lease/node/targets/tg-1/a {"10.0.0.9:80":{"drained":true}}`, `6 lease/node/targets/tg-1/b {"10.0.0.9:80":{}}`,
			`7 lease/node/report/a {"applied":5}`, `7 lease/node/report/b {"applied":5}`}, noon, nil},
		"the answering node vanishes": {[]string{draining, `6 lease/node/targets/tg-1/b {"10.0.0.9:80":{}}`,
			`7 lease/node/report/a {"applied":5}`, `7 lease/node/report/b {"applied":5}`, `8 lease/node/targets/tg-1/b`,
			`8 lease/node/report/b`}, noon, []string{target}},
		"59 seconds of draining":      {[]string{draining}, noon.Add(59 * time.Second), nil},
		"a minute of draining":        {[]string{draining}, noon.Add(time.Minute), []string{target}},
		"a target that is registered": {[]string{`5 object/target/tg-1/10.0.0.9:80 {}`}, noon.Add(time.Hour), nil},
		"a target that was revived": {[]string{draining, `6 object/target/tg-1/10.0.0.9:80 {}`},
			noon.Add(time.Hour), nil},
		"it has failed": {[]string{`5 status/service/svc-1 {"status":"CREATE_FAILED"}`,
			`6 lease/node/report/a {"applied":5}`}, noon, []string{svc}},
		"a node could not make it": {[]string{creating,
			`6 lease/node/failures/a/service/svc-1 {"failureMessage":"no"}`, `7 lease/node/report/a {"applied":5}`}, noon,
			[]string{svc}},
		"a node has not come to it": {[]string{creating, `6 lease/node/failures/a/service/svc-1 {"pending":true}`,
			`7 lease/node/report/a {"applied":5}`}, noon, nil},
		"a node has come to it": {[]string{creating, `6 lease/node/failures/a/service/svc-1 {"pending":true}`,
			`7 lease/node/report/a {"applied":5}`, `8 lease/node/failures/a/service/svc-1`}, noon, []string{svc}},
		"an active one fails": {[]string{`5 status/service/svc-1 {"status":"ACTIVE"}`,
			`6 lease/node/report/a {"applied":5}`, `7 lease/node/failures/a/service/svc-1 {"failureMessage":"no"}`}, noon,
			[]string{svc}},
		"an active one fails, and its status is written": {[]string{`6 lease/node/report/a {"applied":5}`,
			`7 lease/node/failures/a/service/svc-1 {"failureMessage":"no"}`, `8 status/service/svc-1 {"status":"ACTIVE"}`},
			noon, []string{svc}},
		"what nobody settles fails": {[]string{`6 lease/node/report/a {"applied":5}`,
			`7 lease/node/failures/a/rule/svc-1/x {"failureMessage":"no"}`}, noon, nil},
		"another report of a future kind": {[]string{creating, `6 lease/node/else/a {}`}, noon, nil},
	} {
		t.Run(what, func(t *testing.T) {
			if due := told(t, test.told...).due(test.at); !slices.Equal(due, test.due) {
				t.Errorf("due: %v, want %v", due, test.due)
			}
		})
	}
}

func TestAResetReplacesWhatWasKnown(t *testing.T) {
	l := told(t, `5 status/service/svc-1 {"status":"CREATE_IN_PROGRESS"}`, `6 lease/node/report/a {"applied":9}`,
		`6 lease/node/targets/tg-1/a {}`)
	for _, err := range []error{l.noteObjects(statusPrefix, store.Batch{Reset: true}),
		l.noteNodes(store.Batch{Reset: true})} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(l.waiting)+len(l.applied)+len(l.reports)+len(l.failures) > 0 {
		t.Errorf("still known: %+v", l)
	}
}

func TestWhatCannotBeReadIsLeftOut(t *testing.T) {
	l := newLedger(rows(), slog.New(slog.DiscardHandler))
	err := l.noteObjects(statusPrefix, store.Batch{Changes: []store.Change{
		{Key: "status/service/svc-1", Value: []byte(`{`)},
		{Key: "status/service/svc-2", Value: []byte(`{"status":"CREATE_IN_PROGRESS"}`), Revision: 5},
	}})
	if err == nil || !strings.Contains(err.Error(), "service/svc-1") || len(l.waiting) != 1 {
		t.Errorf("error %v, waiting %v", err, l.waiting)
	}
	err = l.noteNodes(store.Batch{Changes: []store.Change{
		{Key: "lease/node/report/a", Value: []byte(`{`)},
		{Key: "lease/node/targets/tg-1/a", Value: []byte(`[]`)},
		{Key: "lease/node/report/b", Value: []byte(`{"applied":9}`)},
	}})
	if err == nil || !strings.Contains(err.Error(), "node/report/a") || len(l.applied) != 2 {
		t.Errorf("error %v, applied %v", err, l.applied)
	}
	if due := l.due(time.Now()); len(due) > 0 {
		t.Errorf("due with a node whose report cannot be read: %v", due)
	}
}

func TestNextIsWhenATimeComes(t *testing.T) {
	l := told(t, `5 object/target/tg-1/10.0.0.9:80 {"deregisteredAt":"2026-08-01T12:00:10.000Z"}`,
		`5 object/target/tg-1/10.0.0.8:80 {"deregisteredAt":"2026-08-01T12:00:00.000Z"}`,
		`5 status/service/svc-1 {"status":"CREATE_IN_PROGRESS"}`)
	noon := time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
	if want := noon.Add(time.Minute); !l.next(noon).Equal(want) {
		t.Errorf("the next time is %v, want %v", l.next(noon), want)
	}
	if !newLedger(rows(), slog.New(slog.DiscardHandler)).next(noon).IsZero() {
		t.Error("there is a time without a draining target")
	}
}

// Of several nodes that failed, the same one is told of each time.
func TestTheFailureOfAnObject(t *testing.T) {
	l := told(t, `6 lease/node/failures/b/service/svc-1 {"failureMessage":"b"}`,
		`6 lease/node/failures/c/service/svc-1 {"failureMessage":"c"}`,
		`6 lease/node/failures/a/service/svc-1 {"pending":true}`)
	for range 10 {
		if got := l.failureOf("service/svc-1").FailureMessage; got != "b" {
			t.Fatalf("the failure is %q", got)
		}
	}
	tell(t, l, `7 lease/node/failures/b/service/svc-1`, `7 lease/node/failures/c/service/svc-1`,
		`7 lease/node/failures/a/service/svc-1`)
	if got := l.failureOf("service/svc-1"); got != (lattice.Failure{}) || len(l.failures) != 0 {
		t.Errorf("the failure is %v, %v are known", got, l.failures)
	}
}

func FuzzNotes(f *testing.F) {
	f.Add("status/service/svc-1", []byte(`{"status":"CREATE_IN_PROGRESS"}`))
	f.Add("object/target/tg-1/10.0.0.9:80", []byte(`{"deregisteredAt":"2026-08-01T12:00:00Z"}`))
	f.Add("lease/node/report/a", []byte(`{"applied":1}`))
	f.Add("lease/node/targets/tg-1/a", []byte(`{"10.0.0.9:80":{"drained":true}}`))
	f.Add("lease/node/failures/a/service/svc-1", []byte(`{"failureMessage":"no"}`))
	f.Fuzz(func(_ *testing.T, key string, value []byte) {
		l := newLedger(rows(), slog.New(slog.DiscardHandler))
		batch := store.Batch{Changes: []store.Change{{Key: key, Value: value, Revision: 1},
			{Key: lattice.NodeReportKey("b"), Value: value}}}
		_, _, _ = l.noteObjects(objectPrefix, batch), l.noteObjects(statusPrefix, batch), l.noteNodes(batch)
		for _, key := range l.due(time.Time{}) {
			if _, ok := l.rows[l.waiting[key].kind]; !ok {
				panic("due without a row: " + key)
			}
		}
	})
}
