package ec2

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"pergola/aws/ec2"
	"pergola/lattice"
	"pergola/store"
)

const (
	// terminatedFor is how long a terminated instance is still described.
	terminatedFor = time.Minute
	// retryAfter is how long Settle waits before it tries again what failed.
	retryAfter = time.Second
)

// The keys that Settle follows.
const (
	instancePrefix = "object/" + ec2.KindInstance + "/"
	reportPrefix   = "lease/" + lattice.NodePrefix + "report/"
)

// Settle moves the states of instances on for as long as the context lasts: pending to running, and shutting-down to
// terminated, when every live node has applied the change; terminated to gone after a minute. Nothing moves while no
// node is alive. Several processes may settle the same store at once. It returns nil when the context ends.
func (c *Control) Settle(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	instances, reports, failed := make(chan store.Batch), make(chan store.Batch), make(chan error, 2)
	follow := func(prefix string, batches chan<- store.Batch) {
		running.Go(func() { failed <- c.store.Follow(ctx, prefix, sendTo(ctx, batches)) })
	}
	follow(instancePrefix, instances)
	follow(reportPrefix, reports)

	s := settling{Control: c, instances: map[string]seen{}, applied: map[string]int64{}}
	for {
		select {
		case batch := <-instances:
			s.seeInstances(batch)
		case batch := <-reports:
			s.seeReports(batch)
		case <-s.due:
		case err := <-failed:
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		s.due = s.settle(ctx)
	}
}

func sendTo(ctx context.Context, batches chan<- store.Batch) func(store.Batch) error {
	return func(batch store.Batch) error {
		select {
		case batches <- batch:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// settling is what Settle knows. It belongs to Settle's goroutine.
type settling struct {
	*Control
	instances map[string]seen  // those that are not at rest, by id
	applied   map[string]int64 // by report key, the revision that a live node has applied
	due       <-chan time.Time // when to look again, though nothing may have changed
}

// seen is an instance with the revision at which it was written.
type seen struct {
	ec2.Instance
	revision int64
}

func (s *settling) seeInstances(batch store.Batch) {
	if batch.Reset {
		clear(s.instances)
	}
	for _, change := range batch.Changes {
		id := strings.TrimPrefix(change.Key, instancePrefix)
		delete(s.instances, id)
		if change.Value == nil {
			continue
		}
		instance := seen{revision: change.Revision}
		if err := json.Unmarshal(change.Value, &instance.Instance); err != nil {
			s.log.Error("an instance in the store cannot be read", "instance", id, "error", err)
			continue
		}
		if instance.State != ec2.InstanceRunning {
			s.instances[id] = instance
		}
	}
}

func (s *settling) seeReports(batch store.Batch) {
	if batch.Reset {
		clear(s.applied)
	}
	for _, change := range batch.Changes {
		delete(s.applied, change.Key)
		if change.Value == nil {
			continue
		}
		var report lattice.NodeReport
		if err := json.Unmarshal(change.Value, &report); err != nil {
			s.log.Error("a node's report cannot be read", "report", change.Key, "error", err)
		}
		s.applied[change.Key] = report.Applied
	}
}

// appliedByAll is the newest revision that every live node has applied; 0 while there is none.
func (s *settling) appliedByAll() int64 {
	if len(s.applied) == 0 {
		return 0
	}
	return slices.Min(slices.Collect(maps.Values(s.applied)))
}

// settle moves on what can be moved. It returns when to look again, or nil.
func (s *settling) settle(ctx context.Context) <-chan time.Time {
	applied, now := s.appliedByAll(), s.now()
	var wait time.Duration
	again := func(d time.Duration) {
		if wait == 0 || d < wait {
			wait = d
		}
	}
	for id, instance := range s.instances {
		if instance.State == ec2.InstanceTerminated {
			if left := instance.Terminated.Add(terminatedFor).Sub(now); left > 0 {
				again(left)
				continue
			}
		} else if instance.revision > applied {
			continue
		}
		if err := s.advance(ctx, instance); err != nil {
			s.log.Error("an instance could not change its state; it will be tried again", "instance", id, "state", instance.State, "error", err)
			again(retryAfter)
			continue
		}
		delete(s.instances, id)
	}
	if wait == 0 {
		return nil
	}
	return time.After(wait)
}

// advance moves an instance to its next state, unless somebody else has meanwhile.
func (s *settling) advance(ctx context.Context, from seen) error {
	_, err := s.store.Update(ctx, func(tx *store.Tx) error {
		instance, err := instances.objects.Get(tx, from.ID)
		if errors.Is(err, store.ErrNotFound) || err == nil && instance.State != from.State {
			return nil
		}
		if err != nil {
			return err
		}
		op := &call{Control: s.Control, Tx: tx, account: instance.Account}
		switch instance.State {
		case ec2.InstancePending:
			instance.State = ec2.InstanceRunning
		case ec2.InstanceShuttingDown:
			op.release(&instance)
			instance.State, instance.Terminated = ec2.InstanceTerminated, s.now().UTC()
		default:
			return op.remove(&instance)
		}
		return instances.put(op, &instance)
	})
	return err
}

// release gives back what a terminated instance had.
func (op *call) release(i *ec2.Instance) {
	addresses.Delete(op.Tx, i.VPC+"/"+i.Address.String())
	op.forget(i.ID, append([]string{i.Account, i.Subnet}, i.SecurityGroups...)...)
}

// remove forgets a terminated instance, and its idempotency token with the last one of its reservation.
func (op *call) remove(i *ec2.Instance) error {
	instances.remove(op, i)
	if i.ClientToken == "" {
		return nil
	}
	all, err := instances.all(op)
	for _, other := range all {
		if other.Reservation == i.Reservation {
			return err
		}
	}
	launches.Delete(op.Tx, launchKey(op.account, i.ClientToken))
	return err
}
