package node

import (
	"context"
	"time"

	"pergola/store"
)

// Source is where a node learns what to serve, and where it reports. It is all that a node asks of the control plane.
type Source interface {
	// Follow calls apply with all objects, as a Reset, and then with every change, in order; see store.Store. It returns
	// when ctx ends, the source is closed, or apply returns an error.
	Follow(ctx context.Context, apply func(store.Batch) error) error
	// Report begins to report. What is reported vanishes when the Report is closed, or about ttl after the node has
	// stopped renewing it.
	Report(ctx context.Context, ttl time.Duration) (Report, error)
}

// Report is what a node has to say, by key, as *store.Lease keeps it.
type Report interface {
	Put(ctx context.Context, key string, value []byte) error
	PutAll(ctx context.Context, values map[string][]byte) error
	Delete(ctx context.Context, key string) error
	// Done is closed when the report is no longer renewed: begin another one.
	Done() <-chan struct{}
	Close(ctx context.Context) error
}

// FromStore is the Source of nodes that reach the store itself.
func FromStore(s *store.Store) Source { return storeSource{s} }

type storeSource struct{ store *store.Store }

func (s storeSource) Follow(ctx context.Context, apply func(store.Batch) error) error {
	return s.store.Follow(ctx, objectPrefix, apply)
}

func (s storeSource) Report(ctx context.Context, ttl time.Duration) (Report, error) {
	lease, err := s.store.Lease(ctx, ttl)
	if err != nil {
		return nil, err
	}
	return lease, nil
}
