package control

import (
	"context"
	"errors"
	"sync"
	"time"

	"pergola/aws/elbv2"
	"pergola/lattice"
	"pergola/store"
)

// retryAfter is how long Settle waits after a failure of the store.
const retryAfter = time.Second

// settlers complete the last change of an object, by kind, provided that the object is still at the revision at which
// the nodes' reports were judged.
var settlers = map[string]func(tx *store.Tx, path string, revision int64) error{
	services.Name:            settler(services, dropService),
	targetGroups.Name:        settler(targetGroups, dropTargetGroup),
	serviceAssociations.Name: settler(serviceAssociations, dropServiceAssociation),
	vpcAssociations.Name:     settler(vpcAssociations, dropVPCAssociation),
	lattice.KindTarget.Name:  settleTarget,
	elbv2.KindLoadBalancer:   settleLoadBalancer,
}

// settler completes the changes of a kind with a status: what was to be served is ACTIVE, what was to be deleted is
// dropped.
func settler[T any](n noun[T], drop func(*store.Tx, *T) error) func(*store.Tx, string, int64) error {
	return func(tx *store.Tx, path string, revision int64) error {
		value, err := at(tx, n.objects, path, revision)
		if value == nil {
			return err
		}
		status := n.head(value).status
		if *status == lattice.StatusDeleteInProgress {
			return drop(tx, value)
		}
		*status = lattice.StatusActive
		return n.put(tx, value)
	}
}

// settleTarget removes a target that has drained.
func settleTarget(tx *store.Tx, path string, revision int64) error {
	target, err := at(tx, targets, path, revision)
	if target != nil {
		targets.Delete(tx, path)
	}
	return err
}

// settleLoadBalancer makes a load balancer ACTIVE. It belongs to Elastic Load Balancing, and waits for the nodes like all
// that is here.
func settleLoadBalancer(tx *store.Tx, path string, revision int64) error {
	balancer, err := at(tx, loadBalancers, path, revision)
	if balancer == nil {
		return err
	}
	balancer.Status = lattice.StatusActive
	return loadBalancers.Put(tx, path, *balancer)
}

// at reads an object if it was last written at a revision, and is nil otherwise.
func at[T any](tx *store.Tx, kind store.Kind[T], path string, revision int64) (*T, error) {
	entries, _, err := kind.List(tx, path, "", 1)
	if err != nil || len(entries) == 0 || entries[0].ID != path || entries[0].Revision != revision {
		return nil, err
	}
	return &entries[0].Value, nil
}

// Settle moves statuses on until ctx ends: when every live node has applied the last change of an object, one in
// creation or update becomes ACTIVE, and one in deletion is gone, with all that was its own. A draining target is gone
// when no node has requests with it any more, or a minute after its deregistration. While no node is alive, only that
// minute counts.
//
// Several may run at once, in one process or in many: each change is one transaction that holds only if nothing has
// happened to the object since the nodes' reports were judged. What a settler knows is read from the store when it
// starts, so it can be stopped at any time. It returns an error when the store is closed.
func (c *Control) Settle(ctx context.Context) error {
	running, end := context.WithCancelCause(ctx)
	var followers sync.WaitGroup
	follow := func(prefix string) <-chan store.Batch {
		batches := make(chan store.Batch)
		followers.Go(func() {
			end(c.store.Follow(running, prefix, func(batch store.Batch) error {
				select {
				case batches <- batch:
				case <-running.Done():
				}
				return nil
			}))
		})
		return batches
	}
	c.settleAsToldBy(running, follow(objectPrefix), follow(leasePrefix+lattice.NodePrefix))
	followers.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return context.Cause(running)
}

// settleAsToldBy keeps a ledger of what it receives and settles whatever is due, until ctx ends.
func (c *Control) settleAsToldBy(ctx context.Context, objects, nodes <-chan store.Batch) {
	ledger, alarm := newLedger(), time.NewTimer(0)
	defer alarm.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case batch := <-objects:
			err = ledger.noteObjects(batch)
		case batch := <-nodes:
			err = ledger.noteNodes(batch)
		case <-alarm.C:
		}
		if err != nil {
			c.log.Error("what the store holds could not be read and is left out", "error", err)
		}
		alarm.Reset(c.settleDue(ctx, ledger))
	}
}

// settleDue settles what is due, and says how long to wait for more if nothing happens.
func (c *Control) settleDue(ctx context.Context, ledger *ledger) time.Duration {
	now, again := c.now(), drainTime
	for _, key := range ledger.due(now) {
		w := ledger.waiting[key]
		_, err := c.store.Update(ctx, func(tx *store.Tx) error { return settlers[w.kind](tx, w.path, w.revision) })
		if err == nil {
			// If the object has changed meanwhile, the change is on its way and will be noted again.
			delete(ledger.waiting, key)
			continue
		}
		again = retryAfter
		if ctx.Err() != nil || errors.Is(err, store.ErrClosed) {
			return again
		}
		c.log.Error("a change could not be completed and will be tried again", "object", key, "error", err)
		if errors.Is(err, store.ErrUnavailable) {
			return again
		}
	}
	if next := ledger.nextDeadline(); next.After(now) {
		again = min(again, next.Sub(now))
	}
	return again
}
