package ec2_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	nouns "pergola/aws/ec2"
	"pergola/store"
)

// TestStatesOfOlderStores opens a store whose instances have their states in themselves, and moves them on.
func TestStatesOfOlderStores(t *testing.T) {
	w := newWorld(t)
	vpc := w.vpc("10.0.0.0/16")
	subnet, group := w.subnet(vpc, "10.0.0.0/24"), w.defaultGroup(vpc).ID
	states := []nouns.InstanceState{nouns.InstancePending, nouns.InstanceRunning, nouns.InstanceShuttingDown,
		nouns.InstanceTerminated}
	ids := map[nouns.InstanceState]string{}
	for i, state := range states {
		ids[state] = fmt.Sprintf("i-%017d", i)
	}
	older := newWorldOn(t, w.Store, nil)
	if _, err := w.Store.Update(w.ctx, func(tx *store.Tx) error {
		var errs []error
		for i, state := range states {
			errs = append(errs, store.NewKind[json.RawMessage](nouns.KindInstance).Put(tx, ids[state], fmt.Appendf(nil,
				`{"id":%q,"account":%q,"reservation":"r-%d","vpc":%q,"subnet":%q,"address":"10.0.0.%d","securityGroups":[%q],
				"launched":"2026-11-01T10:00:00Z","state":%q,"failure":"reason %d","terminated":%q}`, ids[state],
				w.caller.Account, i, vpc, subnet, 10+i, group, state, i, w.now().UTC().Format("2006-01-02T15:04:05Z"))),
				store.NewIndex("owned").Counted().Put(tx, w.caller.Account+"/instance/"+ids[state], ""))
		}
		store.NewIndex("status-apart").Delete(tx, nouns.KindInstance)
		store.NewIndex(nouns.ReferenceIndex).Delete(tx, "reservation/complete")
		return errors.Join(errs...)
	}); err != nil {
		t.Fatal(err)
	}
	for _, state := range states {
		if got := older.state(ids[state]); got != state {
			t.Errorf("the instance that was %s is %s", state, got)
		}
	}
	if err := older.Store.View(older.ctx, func(tx *store.Tx) error {
		raw, err := store.NewKind[map[string]any](nouns.KindInstance).Get(tx, ids[nouns.InstanceTerminated])
		if raw["state"] != nil || raw["status"] != nil || raw["deleting"] != true {
			t.Errorf("what nodes are told is %v", raw)
		}
		members, countErr := store.NewIndex(nouns.ReferenceIndex).Count(tx, "r-1/")
		if members != 1 {
			t.Errorf("the reservation has %d instances, want 1", members)
		}
		return errors.Join(err, countErr)
	}); err != nil {
		t.Fatal(err)
	}
	if reason := older.describe(ids[nouns.InstanceRunning]).StateReason; reason == nil {
		t.Error("the reason is lost")
	}
	older.seconds.Add(1)
	node := older.node("one")
	older.settle()
	node.applies()
	older.until(ids[nouns.InstancePending], nouns.InstanceRunning)
	older.until(ids[nouns.InstanceShuttingDown], nouns.InstanceTerminated)
	older.until(ids[nouns.InstanceTerminated], "")
}
