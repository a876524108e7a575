package store

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

var (
	// ErrNotFound: there is nothing under that id or key.
	ErrNotFound = errors.New("not found")

	// ErrTooManyOps: the transaction reads or writes more keys than etcd takes in one. Nothing was written.
	ErrTooManyOps = errors.New("more operations than one transaction may have; split it, or raise etcd's --max-txn-ops")

	// ErrTooLarge: the transaction's keys and values together exceed etcd's request limit, 1.5 MiB unless an
	// external etcd says otherwise (--max-request-bytes). Nothing was written.
	ErrTooLarge = errors.New("larger than one request to etcd may be (1.5 MiB by default)")

	// ErrNoSpace: etcd's database has reached its quota. Nothing was written. Deleting and compacting make room.
	ErrNoSpace = errors.New("the database of etcd has reached its size quota; delete objects, compact and defragment")

	// ErrUnavailable: etcd did not answer, or has no leader. Try again later.
	ErrUnavailable = errors.New("etcd is unavailable")

	// ErrUncertain: the commit was sent and its answer never came, so it may or may not have happened.
	// It comes together with ErrUnavailable, ErrClosed or the error of the context.
	ErrUncertain = errors.New("outcome unknown")

	// ErrClosed: the store was closed.
	ErrClosed = errors.New("the store is closed")

	// ErrLeaseLost: the lease has expired or was closed, and its keys are gone.
	ErrLeaseLost = errors.New("the lease is lost")

	// errConflict: something the transaction read has changed, or its revision has been compacted. Run it again.
	errConflict = errors.New("conflict")
)

// IsOutage reports whether an error is no fault of the request: etcd is away, or has no room for a write.
func IsOutage(err error) bool {
	return errors.Is(err, ErrUnavailable) || errors.Is(err, ErrDiskFull) || errors.Is(err, ErrNoSpace)
}

// explain puts an error of the etcd client into this package's words, with what was attempted. Errors that a caller
// can act on are one of the exported ones or the context's; the raw error is left as text.
func (s *Store) explain(what string, err error) error {
	known := errorMeaning(err)
	switch {
	case errors.Is(known, ErrUnavailable) && s.ctx.Err() != nil, known == context.Canceled && s.ctx.Err() != nil:
		return fmt.Errorf("store: %s: %w", what, ErrClosed)
	case known == context.Canceled, known == context.DeadlineExceeded, known == errConflict:
		return fmt.Errorf("store: %s: %w", what, known)
	}
	return fmt.Errorf("store: %s: %w (%v)", what, known, err)
}

func errorMeaning(err error) error {
	switch {
	case errors.Is(err, errSilent):
		return ErrUnavailable
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return contextError(err)
	case errors.Is(err, rpctypes.ErrTooManyOps):
		return ErrTooManyOps
	case errors.Is(err, rpctypes.ErrRequestTooLarge):
		return ErrTooLarge
	case errors.Is(err, rpctypes.ErrNoSpace):
		return ErrNoSpace
	case errors.Is(err, rpctypes.ErrLeaseNotFound):
		return ErrLeaseLost
	case errors.Is(err, rpctypes.ErrCompacted):
		return errConflict
	}
	// gRPC's own limit on a message, met by the client before etcd sees the request.
	if status.Code(err) == codes.ResourceExhausted {
		return ErrTooLarge
	}
	return ErrUnavailable
}

func contextError(err error) error {
	if errors.Is(err, context.Canceled) {
		return context.Canceled
	}
	return context.DeadlineExceeded
}

// committedNothing reports whether a failed commit is known to have written nothing.
func committedNothing(err error) bool {
	return errors.Is(err, ErrTooManyOps) || errors.Is(err, ErrTooLarge) || errors.Is(err, ErrNoSpace)
}
