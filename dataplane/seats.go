package dataplane

import (
	"context"
	"log/slog"
	"sync/atomic"
)

// seats bounds how many connections are open at once.
type seats struct {
	occupied chan struct{} // holds one element for each connection
	full     atomic.Bool   // was said to be full, and has not been half empty since
	log      *slog.Logger
}

func newSeats(n int, log *slog.Logger) *seats {
	return &seats{occupied: make(chan struct{}, n), log: log}
}

// take takes a seat, and waits for one as long as the context lasts. It reports whether it has got one.
func (s *seats) take(ctx context.Context) bool {
	select {
	case s.occupied <- struct{}{}:
		return true
	default:
	}
	if !s.full.Swap(true) {
		s.log.Warn("as many connections are open as may be, new ones wait for others to end", "connections", cap(s.occupied))
	}
	select {
	case s.occupied <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (s *seats) leave() {
	<-s.occupied
	if s.full.Load() && s.taken() <= cap(s.occupied)/2 {
		s.full.Store(false)
	}
}

func (s *seats) taken() int { return len(s.occupied) }
