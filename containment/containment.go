// Package containment keeps a fault where it arose. A panic ends the request, the question, the check or the object
// that it came from; a listener that cannot accept waits and goes on. Both are logged where they are contained, and
// counted.
package containment

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// ErrPanicked is wrapped by the error that Do returns for a panic.
var ErrPanicked = errors.New("a fault inside Pergola")

var panics atomic.Int64

// Panics is how many panics this process has contained.
func Panics() int64 { return panics.Load() }

// Do runs f, and ends it alone if it panics: the panic is logged with its stack and counted, and becomes an error that
// is ErrPanicked. What names the work in the log, as in "a health check"; args are further attributes of the log's
// line.
func Do(log *slog.Logger, what string, f func() error, args ...any) (err error) {
	defer func() {
		if problem := recover(); problem != nil {
			err = Report(log, what, problem, args...)
		}
	}()
	return f()
}

// Report logs and counts a panic that its caller has recovered, and returns it as an error that is ErrPanicked. It
// serves those that cannot afford Do's closure. It must be called by the deferred function itself, so that the stack is
// the panic's.
func Report(log *slog.Logger, what string, problem any, args ...any) error {
	panics.Add(1)
	log.Error(what+" panicked", append(args, "panic", problem, "stack", string(debug.Stack()))...)
	return fmt.Errorf("%w: %s panicked: %v", ErrPanicked, what, problem)
}

// The pauses after an accept that failed, as when the process is out of descriptors. They double from the shortest to
// the longest.
const (
	shortestPause = 5 * time.Millisecond
	longestPause  = time.Second
)

// Accept hands connections to admit until ctx ends, and returns nil then. An accept that fails is tried again after a
// pause, for a process that has no descriptor left will have some later; the first failure of a row is logged. A
// listener that somebody else has closed is the only error, net.ErrClosed. Accept leaves the listener open: close it
// when ctx ends, which also ends the accept that is under way.
func Accept[C any](ctx context.Context, log *slog.Logger, what string, accept func() (C, error), admit func(C)) error {
	pause := time.Duration(0)
	for {
		conn, err := accept()
		switch {
		case err == nil:
			pause = 0
			admit(conn)
			continue
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("%s: the listener was closed: %w", what, err)
		case pause == 0:
			log.Warn(what+" could not accept a connection and tries again", "error", err)
		}
		pause = min(max(2*pause, shortestPause), longestPause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil
		}
	}
}
