package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"pergola/control/settling"
	"pergola/lattice"
	"pergola/store"
)

// background runs f until the returned function is called, or the test ends.
func (w *world) background(f func(ctx context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := f(ctx); err != nil && ctx.Err() == nil {
			w.t.Error(err)
		}
	})
	stop = func() { cancel(); running.Wait() }
	w.t.Cleanup(stop)
	return stop
}

// settler settles all kinds of this package.
func (w *world) settler() *settling.Settler {
	return settling.New(settling.Config{Store: w.Store, Rows: Rows(), Now: func() time.Time { return w.clock }})
}

// node is a node that applies everything at once.
func (w *world) node(name string) (stop func()) {
	return w.background(func(ctx context.Context) error {
		lease, err := w.Store.Lease(ctx, time.Minute)
		if err != nil {
			return err
		}
		defer func() { _ = lease.Close(context.WithoutCancel(ctx)) }()
		return w.Store.Follow(ctx, objectPrefix, func(batch store.Batch) error {
			return applied(ctx, lease, name, batch.Revision)
		})
	})
}

func applied(ctx context.Context, lease *store.Lease, node string, revision int64) error {
	report, err := json.Marshal(lattice.NodeReport{Applied: revision})
	return errors.Join(err, lease.Put(ctx, lattice.NodeReportKey(node), report))
}

// stuck is a node that has applied nothing and never will.
func (w *world) stuck(name string) *store.Lease {
	w.t.Helper()
	lease := must(w.Store.Lease(w.ctx, time.Minute))
	if err := applied(w.ctx, lease, name, 0); err != nil {
		w.t.Fatal(err)
	}
	return lease
}

// await waits until something is so that changes with the store.
func (w *world) await(what string, holds func() bool) {
	w.t.Helper()
	err := w.Store.Follow(w.ctx, "", func(store.Batch) error {
		if holds() {
			return errRead
		}
		return nil
	})
	if !errors.Is(err, errRead) {
		w.t.Fatalf("waited for %s in vain: %v", what, err)
	}
}

func (w *world) statusOf(service string) lattice.Status {
	got, err := w.GetService(w.ctx, w.caller, &lattice.GetServiceRequest{ServiceIdentifier: service})
	if err != nil {
		return ""
	}
	return got.Status
}

func TestSettleFollowsANodeThroughLifeAndDeath(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	vpc := w.vpc("fleet")
	before := len(w.keys())
	w.background(w.settler().Run)
	w.node("one")
	network, service, group := w.network("retail"), w.service("parking"), w.group("fleet", vpc)
	w.listener(service, "web", 80, forward(group))
	ofService, ofVPC := w.associate(network, service), w.associateVPC(network, vpc)
	w.await("everything to be active", func() bool {
		return w.statusOf(service) == lattice.StatusActive &&
			must(w.GetTargetGroup(w.ctx, w.caller, &lattice.GetTargetGroupRequest{TargetGroupIdentifier: group})).Status == lattice.StatusActive &&
			must(w.GetServiceNetworkServiceAssociation(w.ctx, w.caller, &lattice.GetServiceNetworkServiceAssociationRequest{Identifier: ofService})).Status == lattice.StatusActive &&
			must(w.GetServiceNetworkVPCAssociation(w.ctx, w.caller, &lattice.GetServiceNetworkVPCAssociationRequest{Identifier: ofVPC})).Status == lattice.StatusActive
	})
	must(w.DeleteServiceNetworkServiceAssociation(w.ctx, w.caller, &lattice.DeleteServiceNetworkServiceAssociationRequest{Identifier: ofService}))
	must(w.DeleteServiceNetworkVPCAssociation(w.ctx, w.caller, &lattice.DeleteServiceNetworkVPCAssociationRequest{Identifier: ofVPC}))
	w.await("the associations to be gone", func() bool {
		got := must(w.GetServiceNetwork(w.ctx, w.caller, &lattice.GetServiceNetworkRequest{ServiceNetworkIdentifier: network}))
		return got.NumberOfAssociatedServices+got.NumberOfAssociatedVPCs == 0
	})
	must(w.DeleteServiceNetwork(w.ctx, w.caller, &lattice.DeleteServiceNetworkRequest{ServiceNetworkIdentifier: network}))
	must(w.DeleteService(w.ctx, w.caller, &lattice.DeleteServiceRequest{ServiceIdentifier: service}))
	w.await("the service to be gone", func() bool { return w.statusOf(service) == "" })
	must(w.DeleteTargetGroup(w.ctx, w.caller, &lattice.DeleteTargetGroupRequest{TargetGroupIdentifier: group}))
	w.await("everything to be gone", func() bool { return len(w.keys()) == before })
}

func TestANodeThatVanishesIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	behind := w.stuck("behind")
	w.node("good")
	w.background(w.settler().Run)
	service := w.service("parking")
	if err := behind.Close(w.ctx); err != nil {
		t.Fatal(err)
	}
	w.await("the service to be active", func() bool { return w.statusOf(service) == lattice.StatusActive })
}

func TestSettleGoesOnAfterARestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stop := w.background(w.settler().Run)
	stop()
	service := w.service("parking")
	w.node("one")
	w.background(w.settler().Run)
	w.await("the service to be active", func() bool { return w.statusOf(service) == lattice.StatusActive })
}

func TestSeveralSettlersAgree(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 3 {
		w.background(w.settler().Run)
	}
	w.node("one")
	w.node("two")
	const n = 12
	ids := make([]string, n)
	if failed := race(n, func(i int) error {
		created, err := w.CreateService(w.ctx, w.caller, &lattice.CreateServiceRequest{Name: fmt.Sprint("app-", i)})
		if err == nil {
			ids[i] = created.ID
		}
		return err
	}); len(failed) > 0 {
		t.Fatal(failed)
	}
	all := func(want lattice.Status) func() bool {
		return func() bool {
			for _, id := range ids {
				if w.statusOf(id) != want {
					return false
				}
			}
			return true
		}
	}
	w.await("all to be active", all(lattice.StatusActive))
	if failed := race(n, func(i int) error {
		_, err := w.DeleteService(w.ctx, w.caller, &lattice.DeleteServiceRequest{ServiceIdentifier: ids[i]})
		return err
	}); len(failed) > 0 {
		t.Fatal(failed)
	}
	w.await("all to be gone", all(""))
	if left := w.keys(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestADrainingTargetGoesWhenItsRequestsHaveEnded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	group := w.group("fleet", w.vpc("fleet"))
	w.settleNow()
	w.background(w.settler().Run)
	w.node("one")
	w.register(group, lattice.Target{ID: "10.0.1.10"}, lattice.Target{ID: "10.0.1.11"})
	busy := lattice.TargetHealth{Status: lattice.TargetDraining}
	done := lattice.TargetHealth{Status: lattice.TargetDraining, Drained: true}
	w.report("one", group, lattice.TargetReport{"10.0.1.10:80": busy, "10.0.1.11:80": busy})
	w.deregister(group, lattice.Target{ID: "10.0.1.10"}, lattice.Target{ID: "10.0.1.11"})
	w.report("one", group, lattice.TargetReport{"10.0.1.10:80": done, "10.0.1.11:80": busy})
	w.await("the drained target to be gone", func() bool { return len(w.health(group)) == 1 })
	if got := w.health(group)["10.0.1.11:80"]; got != "DRAINING DeregistrationInProgress" {
		t.Errorf("the busy target is %q", got)
	}
}

// TestADrainingTargetIsGivenUp needs no node: the clock of its settler stands shortly before the deadline.
func TestADrainingTargetIsGivenUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	group := w.group("fleet", w.vpc("fleet"))
	w.settleNow()
	w.register(group, lattice.Target{ID: "10.0.1.10"})
	w.deregister(group, lattice.Target{ID: "10.0.1.10"})
	began := time.Now()
	almost := w.clock.Add(drainTime - 50*time.Millisecond)
	w.background(settling.New(settling.Config{Store: w.Store, Rows: Rows(),
		Now: func() time.Time { return almost.Add(time.Since(began)) }}).Run)
	w.await("the target to be given up", func() bool { return len(w.health(group)) == 0 })
}

func TestAJudgementIsVoidOnceTheObjectHasChanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	network, vpc := w.network("retail"), w.vpc("clients")
	association := w.associateVPC(network, vpc, w.securityGroup("web", vpc))
	group := w.group("fleet", vpc)
	w.settleNow()
	w.register(group, lattice.Target{ID: "10.0.1.10"})
	w.deregister(group, lattice.Target{ID: "10.0.1.10"})
	update := &lattice.UpdateServiceNetworkVPCAssociationRequest{Identifier: association, SecurityGroupIDs: []string{w.securityGroup("web", vpc)}}
	must(w.UpdateServiceNetworkVPCAssociation(w.ctx, w.caller, update))
	stale := w.waiting()
	w.settleNow()
	w.register(group, lattice.Target{ID: "10.0.1.10"}) // comes back after it was gone
	must(w.UpdateServiceNetworkVPCAssociation(w.ctx, w.caller, update))
	w.settleAs(stale, lattice.Failure{})
	got := must(w.GetServiceNetworkVPCAssociation(w.ctx, w.caller, &lattice.GetServiceNetworkVPCAssociationRequest{Identifier: association}))
	if got.Status != lattice.StatusUpdateInProgress {
		t.Errorf("a stale judgement made it %s", got.Status)
	}
	if len(w.health(group)) != 1 {
		t.Error("a stale judgement removed a target")
	}
}

// TestFault_A1_WhatNodesCannotMakeHasFailed takes each resource with a status through failure and back.
func TestFault_A1_WhatNodesCannotMakeHasFailed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	vpc := w.vpc("fleet")
	network, service, group := w.network("retail"), w.service("parking"), w.group("fleet", vpc)
	ofService, ofVPC := w.associate(network, service), w.associateVPC(network, vpc, w.securityGroup("web", vpc))
	type seen struct {
		status  lattice.Status
		failure lattice.Failure
	}
	look := map[string]func() seen{
		"service": func() seen {
			got := must(w.GetService(w.ctx, w.caller, &lattice.GetServiceRequest{ServiceIdentifier: service}))
			return seen{got.Status, lattice.Failure{FailureCode: got.FailureCode, FailureMessage: got.FailureMessage}}
		},
		"target group": func() seen {
			got := must(w.GetTargetGroup(w.ctx, w.caller, &lattice.GetTargetGroupRequest{TargetGroupIdentifier: group}))
			return seen{got.Status, lattice.Failure{FailureCode: got.FailureCode, FailureMessage: got.FailureMessage}}
		},
		"service association": func() seen {
			got := must(w.GetServiceNetworkServiceAssociation(w.ctx, w.caller,
				&lattice.GetServiceNetworkServiceAssociationRequest{Identifier: ofService}))
			return seen{got.Status, lattice.Failure{FailureCode: got.FailureCode, FailureMessage: got.FailureMessage}}
		},
		"VPC association": func() seen {
			got := must(w.GetServiceNetworkVPCAssociation(w.ctx, w.caller,
				&lattice.GetServiceNetworkVPCAssociationRequest{Identifier: ofVPC}))
			return seen{got.Status, lattice.Failure{FailureCode: got.FailureCode, FailureMessage: got.FailureMessage}}
		},
	}
	expect := func(when string, status lattice.Status, failure lattice.Failure) {
		t.Helper()
		for what, of := range look {
			if got := of(); got != (seen{status, failure}) {
				t.Errorf("%s the %s is %v, want %v", when, what, got, seen{status, failure})
			}
		}
	}
	failure := lattice.Failure{FailureCode: lattice.FailureOnNode, FailureMessage: "the port is taken"}
	w.settleAs(w.waiting(), failure)
	expect("once it has failed", lattice.StatusCreateFailed, failure)
	revision := must(w.Store.Revision(w.ctx))
	w.settleAs(w.waiting(), failure)
	if now := must(w.Store.Revision(w.ctx)); now != revision {
		t.Error("what has failed already was written again")
	}
	other := lattice.Failure{FailureCode: lattice.FailureOnNode, FailureMessage: "for another reason"}
	w.settleAs(w.waiting(), other)
	expect("for another reason", lattice.StatusCreateFailed, other)
	w.settleNow()
	expect("once it is mended", lattice.StatusActive, lattice.Failure{})

	must(w.UpdateServiceNetworkVPCAssociation(w.ctx, w.caller, &lattice.UpdateServiceNetworkVPCAssociationRequest{
		Identifier: ofVPC, SecurityGroupIDs: []string{w.securityGroup("web", vpc)},
	}))
	w.settleAs(w.waiting(), failure)
	if got := look["VPC association"](); got != (seen{lattice.StatusUpdateFailed, failure}) {
		t.Errorf("an update that failed: %v", got)
	}
	w.settleAs(w.waiting(), failure)
	must(w.DeleteServiceNetworkVPCAssociation(w.ctx, w.caller,
		&lattice.DeleteServiceNetworkVPCAssociationRequest{Identifier: ofVPC}))
	w.settleNow()
	if _, err := w.GetServiceNetworkVPCAssociation(w.ctx, w.caller,
		&lattice.GetServiceNetworkVPCAssociationRequest{Identifier: ofVPC}); err == nil {
		t.Error("an association that failed cannot be deleted")
	}
}

// What cannot be deleted in the store says so, and is deleted once it can be.
func TestFault_D2_ADeletionThatFailsSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	service := w.service("parking")
	w.settleNow()
	must(w.DeleteService(w.ctx, w.caller, &lattice.DeleteServiceRequest{ServiceIdentifier: service}))
	row, broken := rows()[lattice.KindService.Name], lattice.Failure{FailureCode: lattice.FailureInside,
		FailureMessage: "too many"}
	fail := func(revision int64) (changed bool) {
		w.write(func(tx *store.Tx) (err error) {
			changed, err = row.Fail(tx, service, settling.Verdict{Revision: revision, Failure: broken})
			return err
		})
		return changed
	}
	if !fail(w.waiting()[0].Revision) || fail(w.waiting()[0].Revision) {
		t.Error("the failure is not said once")
	}
	got := must(w.GetService(w.ctx, w.caller, &lattice.GetServiceRequest{ServiceIdentifier: service}))
	if got.Status != lattice.StatusDeleteFailed || got.FailureMessage != broken.FailureMessage {
		t.Errorf("it is %+v", got)
	}
	w.settleNow()
	if w.statusOf(service) != "" {
		t.Error("it is still there")
	}
}

// BenchmarkCreateToActive is the life of a service: created, applied by one node, ACTIVE, deleted and gone.
func BenchmarkCreateToActive(b *testing.B) {
	w := newWorld(b)
	w.background(w.settler().Run)
	w.node("one")
	b.ReportAllocs()
	for b.Loop() {
		service := w.service("parking")
		w.await("the service to be active", func() bool { return w.statusOf(service) == lattice.StatusActive })
		must(w.DeleteService(w.ctx, w.caller, &lattice.DeleteServiceRequest{ServiceIdentifier: service}))
		w.await("the service to be gone", func() bool { return w.statusOf(service) == "" })
	}
}

// BenchmarkCreateService adds to an account that already has a thousand services.
func BenchmarkCreateService(b *testing.B) {
	w := newWorld(b, quotaOf{lattice.QuotaServices, 1 << 30})
	for i := range 1000 {
		w.service(fmt.Sprint("app-", i))
	}
	b.ReportAllocs()
	for i := 1000; b.Loop(); i++ {
		w.service(fmt.Sprint("app-", i))
	}
}
