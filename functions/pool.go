package functions

import (
	"context"
	"slices"
	"time"

	"pergola/aws/lambda"
	"pergola/bound"
)

// pool is the environments of one function. All of it is guarded by the mutex of its Runtime.
type pool struct {
	busy      int
	idle      []*environment // the one used last is the last
	waiters   []chan struct{}
	forgotten bool // environments that come back are closed
}

// maxWaiting is how many invocations of a function may wait. AWS refuses what is beyond 1,000 at once too (Lambda
// developer guide, "Lambda quotas").
const maxWaiting = 1000

// maxPayloads is how much all invocations may hold of what they were sent, in bytes: those that wait, and those whose
// program has not taken it. It is shared out among accounts and their functions as bound.Pool says, and less where
// bound.Memory is less than eight times that.
const maxPayloads = 1 << 30

// minPayloads is how much there is of it at least: for some of the largest payloads.
const minPayloads = 64 << 20

func newPayloads() *bound.Pool {
	return bound.NewPool(min(maxPayloads, max(minPayloads, bound.Memory()/8)), 0)
}

// keepPayload counts what an invocation was sent, until letGo, and reports whether it may be held.
func (r *Runtime) keepPayload(f *Function, inv *invocation) bool {
	name, err := lambda.ParseARN(f.ARN)
	if err != nil {
		name.Account = "" // which all have that have no ARN
	}
	inv.share = r.payloads.Open(name.Account, f.ARN)
	inv.held = int64(len(inv.Payload))
	if !inv.share.Take(inv.held) {
		inv.share.Close()
		return false
	}
	return true
}

// letGo gives back what counts for a payload. It may be called again.
func (inv *invocation) letGo() {
	inv.given.Do(func() {
		inv.share.Give(inv.held)
		inv.share.Close()
	})
}

// acquire takes an idle environment for an invocation, or starts one. A function that has as many as it may makes its
// callers wait, unless it is the function itself that says how many.
func (r *Runtime) acquire(ctx context.Context, f *Function) (*environment, error) {
	limit := f.Concurrency
	if limit == 0 {
		limit = r.config.Concurrency
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, f.Timeout, ErrThrottled)
		defer cancel()
	}
	p, err := r.enter(ctx, f, limit)
	if err != nil {
		return nil, err
	}
	e, surplus := r.take(p, f, limit)
	for _, e := range surplus {
		e.close()
	}
	if e != nil {
		return e, nil
	}
	if e, err = r.start(ctx, p, f); err != nil {
		r.leave(p)
		return nil, err
	}
	return e, nil
}

// enter counts an invocation among those of the function.
func (r *Runtime) enter(ctx context.Context, f *Function, limit int) (*pool, error) {
	for {
		r.mu.Lock()
		p := r.pools[f.ARN]
		if p == nil {
			p = &pool{}
			r.pools[f.ARN] = p
		}
		if p.busy < limit {
			p.busy++
			r.mu.Unlock()
			return p, nil
		}
		if f.Concurrency != 0 || len(p.waiters) >= maxWaiting {
			r.mu.Unlock()
			return nil, ErrThrottled
		}
		free := make(chan struct{})
		p.waiters = append(p.waiters, free)
		r.mu.Unlock()
		select {
		case <-free:
		case <-r.ctx.Done():
			return nil, errClosed
		case <-ctx.Done():
			r.mu.Lock()
			if i := slices.Index(p.waiters, free); i >= 0 {
				p.waiters = slices.Delete(p.waiters, i, i+1)
			} else {
				p.wake() // it was woken, and leaves that to another
			}
			r.mu.Unlock()
			return nil, context.Cause(ctx)
		}
	}
}

// take takes the idle environment that was used last, if it is of the function as it is now. It also returns those that
// are of no use any more, or one that must make room.
func (r *Runtime) take(p *pool, f *Function, limit int) (found *environment, surplus []*environment) {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := p.idle[:0]
	for _, e := range p.idle {
		stale := e.function.Version == f.Version && e.function.Revision != f.Revision || time.Since(e.born) > maxAge
		if stale || e.ended() {
			surplus = append(surplus, e)
			continue
		}
		kept = append(kept, e)
	}
	p.idle = kept
	for i, e := range slices.Backward(p.idle) {
		if e.function.Version == f.Version {
			p.idle = slices.Delete(p.idle, i, i+1)
			e.timer.Stop()
			return e, surplus
		}
	}
	if len(p.idle) > 0 && p.busy+len(p.idle) > limit {
		surplus = append(surplus, p.idle[0])
		p.idle = p.idle[1:]
	}
	return nil, surplus
}

// release gives an environment back after an invocation.
func (r *Runtime) release(e *environment) {
	r.mu.Lock()
	p := e.pool
	p.busy--
	p.wake()
	keep := !e.ended() && !p.forgotten && r.ctx.Err() == nil
	if keep {
		p.idle = append(p.idle, e)
		e.timer = time.AfterFunc(r.config.Idle, func() { r.retire(e) })
	}
	r.mu.Unlock()
	if !keep {
		e.close()
	}
}

// leave takes back what enter counted.
func (r *Runtime) leave(p *pool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p.busy--
	p.wake()
}

// retire closes an environment that has been idle for long, or has ended by itself.
func (r *Runtime) retire(e *environment) {
	r.mu.Lock()
	i := slices.Index(e.pool.idle, e)
	if i >= 0 {
		e.pool.idle = slices.Delete(e.pool.idle, i, i+1)
	}
	r.mu.Unlock()
	if i >= 0 {
		e.close()
	}
}

// wake lets the next one in. The caller holds the mutex.
func (p *pool) wake() {
	if len(p.waiters) > 0 {
		close(p.waiters[0])
		p.waiters = p.waiters[1:]
	}
}
