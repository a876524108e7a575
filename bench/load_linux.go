package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// load is requests to a subject, for a while.
type load struct {
	*scenario
	from netip.Addr
	to   netip.AddrPort
	// request is what all requests say.
	request request
	// rate is how many requests are sent in a second, at even distances. A request that finds all connections busy is
	// late, and its latency counts from when it was due. 0 sends each request as soon as the answer before it is there.
	rate         int
	warm, during time.Duration
	// mark is called when the time that counts begins, and when it ends.
	mark func() error
}

// outcome is what came of a load.
type outcome struct {
	elapsed   time.Duration
	latencies []time.Duration // sorted
}

// asker can have one request under way: a connection of HTTP/1.1, or a stream of HTTP/2.
type asker interface {
	// ask sends a request that was due at some time since the load began.
	ask(due time.Duration) error
}

// loading is a load under way.
type loading struct {
	*load
	world     *world
	open      func() ([]asker, error) // opens a connection
	sockets   []*socket               // of connections that last
	began     time.Time
	next      time.Duration // when the next request is due, with a rate
	idle      []asker
	busy      int
	ending    bool
	latencies []time.Duration
}

func (w *world) newLoading(l *load) *loading {
	u := &loading{load: l, world: w, latencies: make([]time.Duration, 0, 1<<20), began: time.Now()}
	if u.open = u.http1Opener(); l.http2 {
		u.open = u.http2Opener()
	}
	return u
}

// run applies a load.
func (w *world) run(ctx context.Context, l load) (outcome, error) {
	u := w.newLoading(&l)
	defer u.close()
	for range l.connections {
		askers, err := u.open()
		if err != nil {
			return outcome{}, err
		}
		u.idle = append(u.idle, askers...)
	}
	if err := u.settle(ctx); err != nil {
		return outcome{}, err
	}
	if l.use == useResumed {
		if err := u.once(ctx); err != nil {
			return outcome{}, err
		}
	}
	return u.run(ctx)
}

// close closes the connections that last.
func (u *loading) close() {
	for _, s := range u.sockets {
		u.world.remove(s)
	}
}

// patience is how long handshakes and the last answers may take.
const patience = 10 * time.Second

// settle waits until all connections are ready.
func (u *loading) settle(ctx context.Context) error {
	for deadline := time.Now().Add(patience); u.world.shaking > 0; {
		if time.Now().After(deadline) {
			return fmt.Errorf("%d TLS handshakes are not done after %v", u.world.shaking, patience)
		}
		if err := errors.Join(ctx.Err(), u.world.turn(10)); err != nil {
			return err
		}
	}
	return nil
}

// once sends one request, so that there is a session that can be resumed.
func (u *loading) once(ctx context.Context) error {
	a := u.idle[0]
	u.idle, u.busy, u.ending = u.idle[1:], 1, true
	err := a.ask(0)
	if err == nil {
		err = u.await(ctx, 0)
	}
	u.ending = false
	return err
}

func (u *loading) run(ctx context.Context) (outcome, error) {
	u.began = time.Now()
	if err := u.until(ctx, u.warm); err != nil {
		return outcome{}, err
	}
	u.latencies = u.latencies[:0]
	u.world.resumed = 0
	if err := u.mark(); err != nil {
		return outcome{}, err
	}
	started := time.Since(u.began)
	for end := u.during; ; end += u.during { // until there is something to measure, or no hope of it
		if err := u.until(ctx, started+end); err != nil {
			return outcome{}, err
		}
		if len(u.latencies) > 0 || end > patience {
			break
		}
	}
	ended := time.Since(u.began)
	if err := u.mark(); err != nil {
		return outcome{}, err
	}
	o := outcome{elapsed: ended - started, latencies: slices.Clone(u.latencies)}
	if len(o.latencies) == 0 {
		return outcome{}, fmt.Errorf("the subject answers nothing, in %v", patience)
	}
	if err := u.checkHandshakes(); err != nil {
		return outcome{}, err
	}
	slices.Sort(o.latencies)
	u.ending = true
	if err := u.until(ctx, ended+patience); err != nil {
		return outcome{}, err
	}
	if u.busy > 0 {
		return outcome{}, fmt.Errorf("the subject leaves %d requests without an answer", u.busy)
	}
	return o, nil
}

// checkHandshakes checks that handshakes were what is to be measured.
func (u *loading) checkHandshakes() error {
	switch resumed := u.world.resumed; {
	case u.use == useFresh && resumed > 0:
		return fmt.Errorf("%d of %d handshakes resumed a session", resumed, len(u.latencies))
	case u.use == useResumed && resumed < len(u.latencies)-u.connections: // as many may be at their beginning or end
		return fmt.Errorf("only %d of %d handshakes resumed a session", resumed, len(u.latencies))
	}
	return nil
}

// until keeps the load up until some time after its beginning, or, at its end, until all is answered.
func (u *loading) until(ctx context.Context, end time.Duration) error {
	for {
		now := time.Since(u.began)
		if now >= end || u.ending && u.busy == 0 {
			return ctx.Err()
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := u.sendDue(now); err != nil {
			return err
		}
		// With a rate the world spins: a timer would be late.
		wait := 0
		if u.rate == 0 {
			wait = 10
		}
		if err := u.world.turn(wait); err != nil {
			return err
		}
	}
}

// sendDue sends what is due where no request is under way.
func (u *loading) sendDue(now time.Duration) error {
	for len(u.idle) > 0 && !u.ending {
		due := now
		if u.rate > 0 {
			if u.next > now {
				return nil
			}
			due = u.next
			u.next += time.Second / time.Duration(u.rate)
		}
		a := u.idle[0]
		u.idle = u.idle[1:]
		u.busy++
		if err := a.ask(due); err != nil {
			return err
		}
	}
	return nil
}

// answered takes an answer down and asks again, if that is due.
func (u *loading) answered(a asker, due time.Duration) error {
	now := time.Since(u.began)
	u.latencies = append(u.latencies, now-due)
	if u.rate == 0 && !u.ending {
		return a.ask(now)
	}
	u.busy--
	u.idle = append(u.idle, a)
	return nil
}

// hold opens connections, uses each of them for one request and keeps them. The load must be closed.
func (w *world) hold(ctx context.Context, l load, connections int) (*loading, error) {
	l.rate = 1 // so that nobody asks again
	u := w.newLoading(&l)
	for range connections {
		askers, err := u.open()
		if err != nil {
			return u, err
		}
		u.busy++
		if err := askers[0].ask(0); err != nil {
			return u, err
		}
		if err := u.await(ctx, l.connections-1); err != nil {
			return u, err
		}
	}
	return u, u.await(ctx, 0)
}

// await waits until no more than some requests are under way.
func (u *loading) await(ctx context.Context, busy int) error {
	for deadline := time.Now().Add(patience); u.busy > busy; {
		if time.Now().After(deadline) {
			return fmt.Errorf("%d requests are not answered after %v", u.busy, patience)
		}
		if err := errors.Join(ctx.Err(), u.world.turn(10)); err != nil {
			return err
		}
	}
	return nil
}
