package store

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// silence is how long a request to etcd waits without a sign of life. It goes on waiting, for up to longestSilence,
// while others are answered, or while a member on this host keeps its connection: that is slow then, and not away.
const (
	silence        = 2 * time.Second
	longestSilence = 10 * time.Second
)

// errSilent ends a request that waits in vain.
var errSilent = errors.New("it does not answer")

// outage knows whether etcd answers, and tells the log when that changes.
type outage struct {
	isHere   func() bool  // whether the member is on this host, and has not closed the connection
	answered atomic.Int64 // when it last answered, in nanoseconds since 1970

	mu    sync.Mutex // guards since
	since time.Time  // when it began to be away; zero while it answers
}

// guard cancels a request that meets silence, until what it returns is called.
func (o *outage) guard(cancel context.CancelCauseFunc) (done func()) {
	began := time.Now()
	var timer *time.Timer
	var mu sync.Mutex
	mu.Lock()
	timer = time.AfterFunc(silence, func() {
		mu.Lock()
		defer mu.Unlock()
		if (o.isHere() || o.answered.Load() > time.Now().Add(-silence).UnixNano()) && time.Since(began) < longestSilence {
			timer.Reset(silence)
			return
		}
		cancel(errSilent)
	})
	mu.Unlock()
	return func() { timer.Stop() }
}

// note tells an outage from its first request, and its end from the first that is answered.
func (o *outage) note(log *slog.Logger, err error) {
	away := errors.Is(err, ErrUnavailable)
	if !away {
		if err != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
			errors.Is(err, ErrClosed)) {
			return // it says nothing of etcd
		}
		o.answered.Store(time.Now().UnixNano())
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case away && o.since.IsZero():
		o.since = time.Now()
		log.Warn("store: etcd is away; it is tried again until it answers", "error", err)
	case !away && !o.since.IsZero():
		log.Info("store: etcd answers again", "away", time.Since(o.since).Round(time.Millisecond))
		o.since = time.Time{}
	}
}

// Away is since when etcd has not answered; zero while it does.
func (s *Store) Away() time.Time {
	s.outage.mu.Lock()
	defer s.outage.mu.Unlock()
	return s.outage.since
}
