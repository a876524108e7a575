package target

import (
	"context"
	"net/netip"
	"sync/atomic"
	"time"

	"pergola/containment"
)

// Way is a way to a target: one of its addresses, or a function. A request that cannot connect by a way says so, and
// from then on the way is avoided, until a health check by the port of requests passes, a probe can connect, or a
// request that found nothing better could. The health that Report tells is not touched by this.
type Way struct {
	target  *Target
	address netip.AddrPort
	strikes atomic.Int32 // the failures since a request could connect

	// Guarded by target.group.set.mu.
	avoided bool
	probe   *time.Timer // set while the way is avoided
}

// A probe only connects. The pauses before probes double from the shortest to the longest with each failure in a row.
const (
	shortestPause = 500 * time.Millisecond
	longestPause  = 10 * time.Second
	probeTime     = 2 * time.Second
)

// Address is where the request goes; invalid for a function.
func (w *Way) Address() netip.AddrPort { return w.address }

// Function is the ARN of the Lambda function that the target is; "" for all others, which have an address.
func (w *Way) Function() string { return w.target.function }

// Done ends a request for which the way was picked. Call it exactly once for each Pick.
func (w *Way) Done() {
	t := w.target
	if t.inFlight.Add(-1) == 0 && t.draining.Load() {
		t.group.set.tell()
	}
}

// Unreachable says that no connection could be made.
func (w *Way) Unreachable() {
	g := w.target.group
	g.set.mu.Lock()
	defer g.set.mu.Unlock()
	if g.set.ctx.Err() != nil || w.avoided || g.targets[w.target.key] != w.target || w.target.draining.Load() {
		return
	}
	w.avoided = true
	w.strikes.Add(1)
	w.probe = time.AfterFunc(w.pause(), w.try)
	g.publish()
	g.set.log.Info("a target is avoided, since no connection to it could be made", "targetGroup", g.spec.ID,
		"target", w.address)
}

// Reached says that a connection could be made.
func (w *Way) Reached() {
	if w.strikes.Load() == 0 {
		return
	}
	g := w.target.group
	g.set.mu.Lock()
	defer g.set.mu.Unlock()
	w.strikes.Store(0)
	if w.trust() {
		g.publish()
	}
}

// pause is how long the next probe waits. The caller holds set.mu.
func (w *Way) pause() time.Duration {
	return min(shortestPause<<min(w.strikes.Load()-1, 10), longestPause)
}

// try probes. The timer calls it, in a goroutine of its own.
func (w *Way) try() {
	set := w.target.group.set
	if !w.begin() {
		return
	}
	defer set.running.Done()
	err := containment.Do(set.log, "a probe", w.connect, "target", w.address)
	set.mu.Lock()
	defer set.mu.Unlock()
	switch {
	case set.ctx.Err() != nil || !w.avoided:
	case err != nil:
		w.strikes.Add(1)
		w.probe.Reset(w.pause())
	case w.trust():
		w.target.group.publish()
		set.log.Info("a target is avoided no more", "targetGroup", w.target.group.spec.ID, "target", w.address)
	}
}

// begin reports whether there is a probe to make, and counts it as running.
func (w *Way) begin() bool {
	set := w.target.group.set
	set.mu.Lock()
	defer set.mu.Unlock()
	if set.ctx.Err() != nil || !w.avoided {
		return false
	}
	set.running.Add(1)
	return true
}

// connect makes a connection, in its turn among the health checks, and closes it.
func (w *Way) connect() error {
	set := w.target.group.set
	select {
	case set.slots <- struct{}{}:
		defer func() { <-set.slots }()
	case <-set.ctx.Done():
		return set.ctx.Err()
	}
	ctx, cancel := context.WithTimeout(set.ctx, probeTime)
	defer cancel()
	conn, err := set.dial(ctx, w.target.vpc, w.address)
	if err == nil {
		conn.Close()
	}
	return err
}

// trust ends the avoidance, if there is one, and reports whether there was. The caller holds set.mu.
func (w *Way) trust() (was bool) {
	if w.avoided {
		w.probe.Stop()
		was, w.avoided, w.probe = true, false, nil
	}
	return was
}

// trust does so with all ways to the target.
func (t *Target) trust() (was bool) {
	for _, w := range t.ways {
		was = w.trust() || was
	}
	return was
}

// Finding is what was found out about a target last.
type Finding struct {
	// At is when the last health check ended; zero if none has.
	At time.Time
	// Err is what it met; nil if it passed.
	Err error
	// Avoided says that requests cannot connect to the target, or to one of its addresses.
	Avoided bool
}

// Last is what was found out last about a target of a group.
func (s *Set) Last(groupID, key string) (f Finding) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.groups.Load().Get(groupID)
	if g == nil || g.targets[key] == nil {
		return Finding{}
	}
	f = g.targets[key].last
	for _, w := range g.targets[key].ways {
		f.Avoided = f.Avoided || w.avoided
	}
	return f
}
