// Package target is target groups at run time: it checks the health of targets, picks one for each request in turn, and
// knows when a target that is being deregistered has answered its last request.
//
// A Set follows the snapshots of a node. What it knows of a target outlives every change that leaves the target in place:
// new health check settings apply from the next check on, and a target that is registered again while it drains comes
// back with the health it had. Picking takes no lock: each group publishes the list of targets that are in turn, and
// replaces it whole. A target that a request cannot connect to is avoided at once (way.go), also
// while it is healthy.
package target

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"pergola/containment"
	"pergola/dataplane/http1"
	"pergola/lattice"
	"pergola/snapshot"
	"pergola/snapshot/table"
)

// maxChecks is how many health checks may be under way at once. Those beyond wait for their turn in the order in which
// they became due, and their time does not run meanwhile.
const maxChecks = 256

// Config is what a Set needs.
type Config struct {
	// Dial opens a connection for a health check to an address in a VPC. Required.
	Dial func(ctx context.Context, vpcID string, address netip.AddrPort) (net.Conn, error)
	// Logger receives each change of a target's health, with its cause. Nil discards it.
	Logger *slog.Logger
	// Rand spreads the first checks of targets that arrive together. Nil is the system's randomness.
	Rand *rand.Rand
	// Changed is called when what Report returns may have changed, and then not again before Report is called. Requests
	// may wait for it, so it must return at once and must not call the Set. Nil is for those who do not ask.
	Changed func()
}

// Set is all the target groups that a node serves. Its methods may be called at the same time.
type Set struct {
	dial    func(ctx context.Context, vpcID string, address netip.AddrPort) (net.Conn, error)
	log     *slog.Logger
	jitter  func(n int64) int64 // at least 0 and below n; called with mu held
	changed func()

	memory  http1.Memory
	slots   chan struct{} // holds one element for each check under way
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup // checks, under way or waiting

	unread atomic.Bool                         // changed was called, and Report was not since
	groups atomic.Pointer[table.Table[*group]] // by id

	mu      sync.Mutex // guards applied, and what is said to be guarded by it in groups, targets and checkers
	applied table.Table[*snapshot.TargetGroup]
}

// New makes a Set without target groups. Close it.
func New(cfg Config) *Set {
	s := &Set{
		dial: cfg.Dial, log: cfg.Logger, changed: cfg.Changed,
		jitter: rand.Int64N,
		slots:  make(chan struct{}, containment.Portion(maxChecks, 16)),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.changed == nil {
		s.changed = func() {}
	}
	if cfg.Rand != nil {
		s.jitter = cfg.Rand.Int64N
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.groups.Store(&table.Table[*group]{})
	return s
}

// Apply makes the Set follow a snapshot: it begins, adjusts and ends health checks. It costs what has
// changed since the snapshot applied before. After Close it does nothing.
func (s *Set) Apply(snap *snapshot.Snapshot) {
	if s.apply(snap.TargetGroups) {
		s.tell()
	}
}

func (s *Set) apply(wanted table.Table[*snapshot.TargetGroup]) (changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return false
	}
	groups := *s.groups.Load()
	for change := range table.Changes(s.applied, wanted) {
		changed = true
		g := groups.Get(change.Key)
		switch {
		case change.Is == nil:
			g.apply(&snapshot.TargetGroup{ID: change.Key})
			groups = groups.Without(change.Key)
		case g == nil:
			g = &group{set: s}
			groups = groups.With(change.Key, g)
			fallthrough
		default:
			g.apply(change.Is)
		}
	}
	s.applied = wanted
	s.groups.Store(&groups)
	return changed
}

// Pick chooses where a request goes, in turn among the healthy targets of the group that are not avoided. When there is
// none it chooses among all that are not draining (user guide, "Routing algorithm": the service fails open), first
// among those that are not avoided, and a target that no check has judged yet is not healthy. In a group whose health
// is not checked every target takes part. A target without an address never does, unless it is a function.
//
// What the request has tried is not chosen again. The request counts as in flight until Done is called. It reports
// false when there is nothing left.
func (s *Set) Pick(of *snapshot.TargetGroup, tried ...netip.AddrPort) (*Way, bool) {
	g := s.groups.Load().Get(of.ID)
	if g == nil {
		return nil, false
	}
	for {
		w := g.tiers.Load().next(g.turn.Add(1), tried)
		if w == nil {
			return nil, false
		}
		// A target is marked as draining after tiers without it were published. So either this request is counted before
		// the target can pass for drained, or the mark is seen here and the next tiers loaded are without the target.
		t := w.target
		if t.inFlight.Add(1); !t.draining.Load() {
			return w, true
		}
		w.Done()
	}
}

// next is whose turn it is in the first tier that has something left to try.
func (all *tiers) next(turn uint64, tried []netip.AddrPort) *Way {
	for _, tier := range all {
		for i := range uint64(len(tier)) {
			if w := tier[(turn+i)%uint64(len(tier))]; len(tried) == 0 || !slices.Contains(tried, w.address) {
				return w
			}
		}
	}
	return nil
}

// Report is the health of every target, by target group id. Groups without targets are left out.
func (s *Set) Report() map[string]lattice.TargetReport {
	s.unread.Store(false)
	s.mu.Lock()
	defer s.mu.Unlock()
	reports := map[string]lattice.TargetReport{}
	for id, g := range s.groups.Load().All() {
		if len(g.spec.Targets) > 0 {
			reports[id] = g.report()
		}
	}
	return reports
}

// Close ends all health checks and waits for those under way to notice. Pick and Report go on with what was known.
func (s *Set) Close() {
	s.mu.Lock()
	s.cancel()
	for g := range s.groups.Load().Values() {
		for _, t := range g.targets {
			t.uncheck()
			t.trust()
		}
	}
	s.mu.Unlock()
	s.running.Wait()
}

// tell calls changed, unless a call is still to be answered by Report. The caller does not hold mu.
func (s *Set) tell() {
	if !s.unread.Swap(true) {
		s.changed()
	}
}
