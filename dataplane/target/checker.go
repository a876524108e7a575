package target

import (
	"context"
	"sync/atomic"
	"time"

	"pergola/containment"
	"pergola/lattice"
	"pergola/snapshot"
)

// spread is how far apart the first checks of targets that arrive together may be. Later checks keep these distances.
const spread = 250 * time.Millisecond

// checker checks a target at its interval, however long each check takes, until it is stopped. Between checks it is but a
// timer.
type checker struct {
	target *Target
	ctx    context.Context
	cancel context.CancelFunc
	queued atomic.Bool // a check is waiting for its turn

	// Guarded by target.group.set.mu.
	timer    *time.Timer
	interval time.Duration
	last     time.Time // when the last check became due; zero before the first
}

// check makes sure that the target is checked at this interval. The caller holds set.mu.
func (t *Target) check(interval time.Duration) {
	if t.checker == nil {
		t.checker = newChecker(t, interval)
		return
	}
	t.checker.setInterval(interval)
}

// uncheck makes sure that the target is not checked. A check under way has no effect any more. The caller holds set.mu.
func (t *Target) uncheck() {
	if t.checker != nil {
		t.checker.timer.Stop()
		t.checker.cancel()
		t.checker = nil
	}
}

func newChecker(t *Target, interval time.Duration) *checker {
	set := t.group.set
	c := &checker{target: t, interval: interval}
	c.ctx, c.cancel = context.WithCancel(set.ctx)
	c.timer = time.AfterFunc(time.Duration(set.jitter(int64(spread))), c.run)
	return c
}

// setInterval changes when the next check is due, unless that is the first.
func (c *checker) setInterval(interval time.Duration) {
	if c.interval == interval {
		return
	}
	c.interval = interval
	if !c.last.IsZero() {
		c.timer.Reset(time.Until(c.last.Add(interval)))
	}
}

// run does one check. The timer calls it, in a goroutine of its own, so checks that last longer than the interval
// overlap: none delays the next (user guide, "Health check settings").
func (c *checker) run() {
	settings, ok := c.begin()
	if !ok {
		return
	}
	set := c.target.group.set
	defer set.running.Done()
	if !c.queue() {
		return
	}
	err := containment.Do(set.log, "a health check", func() error {
		return set.check(c.ctx, c.target, settings)
	}, "target", c.target.key)
	<-set.slots
	if c.record(err) {
		set.tell()
	}
}

// begin arms the timer for the next check and returns the settings for this one, or reports that the checker was stopped.
func (c *checker) begin() (*snapshot.HealthCheck, bool) {
	g := c.target.group
	g.set.mu.Lock()
	defer g.set.mu.Unlock()
	if c.ctx.Err() != nil {
		return nil, false
	}
	c.last = time.Now()
	c.timer.Reset(c.interval)
	g.set.running.Add(1)
	return g.spec.HealthCheck, true
}

// queue takes one of the slots. Waiting checks are served first come first served, and no target waits twice, so many
// targets that do not answer slow down all checks alike. It reports whether there is a check to do.
func (c *checker) queue() bool {
	if c.queued.Swap(true) {
		return false
	}
	defer c.queued.Store(false)
	select {
	case c.target.group.set.slots <- struct{}{}:
		return true
	case <-c.ctx.Done():
		return false
	}
}

// record takes in the result of a check and reports whether the target's status changed.
func (c *checker) record(err error) (changed bool) {
	t, g := c.target, c.target.group
	g.set.mu.Lock()
	defer g.set.mu.Unlock()
	if c.ctx.Err() != nil {
		return false
	}
	t.last = Finding{At: time.Now(), Err: err}
	trusted := err == nil && g.spec.HealthCheck.Port == 0 && t.trust()
	changed = t.health.record(err == nil, g.spec.HealthCheck)
	if changed || trusted {
		g.publish()
	}
	if !changed {
		return false
	}
	if t.health.status == lattice.TargetUnhealthy {
		g.set.log.Warn("a target became unhealthy", "targetGroup", g.spec.ID, "target", t.key, "cause", err)
	} else {
		g.set.log.Info("a target became healthy", "targetGroup", g.spec.ID, "target", t.key)
	}
	return true
}
