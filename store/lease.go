package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Lease owns keys that vanish with it: when it is closed, or some time after its process has stopped renewing it. Its
// keys live under lease/ and are for followers; transactions neither read nor guard them.
type Lease struct {
	store *Store
	id    clientv3.LeaseID
	done  chan struct{}
}

// Lease grants a lease and renews it until ctx ends, it is closed, or the store is. Once it is no longer renewed, its
// keys vanish within about ttl. etcd counts whole seconds: ttl is rounded up, to at least one, and an external etcd
// with a long election timeout may raise it further.
func (s *Store) Lease(ctx context.Context, ttl time.Duration) (*Lease, error) {
	seconds := max(1, int64(math.Ceil(ttl.Seconds())))
	grant, err := call(ctx, s, "grant a lease", func(ctx context.Context) (*clientv3.LeaseGrantResponse, error) {
		return s.client.Grant(ctx, seconds)
	})
	if err != nil {
		return nil, err
	}
	renewals, err := s.client.KeepAlive(ctx, grant.ID)
	if err != nil {
		return nil, s.explain("renew a lease", err)
	}
	l := &Lease{store: s, id: grant.ID, done: make(chan struct{})}
	go l.watch(renewals)
	return l, nil
}

func (l *Lease) watch(renewals <-chan *clientv3.LeaseKeepAliveResponse) {
	for range renewals {
	}
	close(l.done)
}

// Put writes a key, which Follow reports as "lease/" + key. ErrLeaseLost if the lease is gone.
func (l *Lease) Put(ctx context.Context, key string, value []byte) error {
	_, err := l.store.do(ctx, "write "+leaseKey(key), clientv3.OpPut(root+leaseKey(key), string(value), clientv3.WithLease(l.id)))
	return err
}

// leaseOps is how many keys PutAll writes in one transaction, less than any etcd's limit.
const leaseOps = 100

// PutAll writes many keys as Put does, or removes those whose value is nil. It is one transaction for each hundred.
func (l *Lease) PutAll(ctx context.Context, values map[string][]byte) error {
	keys := slices.Sorted(maps.Keys(values))
	for some := range slices.Chunk(keys, leaseOps) {
		ops := make([]clientv3.Op, len(some))
		for i, key := range some {
			if value := values[key]; value != nil {
				ops[i] = clientv3.OpPut(root+leaseKey(key), string(value), clientv3.WithLease(l.id))
			} else {
				ops[i] = clientv3.OpDelete(root + leaseKey(key))
			}
		}
		what := fmt.Sprintf("write %d keys from %s on", len(some), leaseKey(some[0]))
		if _, err := l.store.do(ctx, what, clientv3.OpTxn(nil, ops, nil)); err != nil {
			return err
		}
	}
	return nil
}

// Delete removes a key, if it is there.
func (l *Lease) Delete(ctx context.Context, key string) error {
	_, err := l.store.do(ctx, "delete "+leaseKey(key), clientv3.OpDelete(root+leaseKey(key)))
	return err
}

// Done is closed when the lease is no longer renewed: take another and write its keys again.
func (l *Lease) Done() <-chan struct{} { return l.done }

// Close ends the lease and removes its keys at once. Closing a lease that is gone is no error.
func (l *Lease) Close(ctx context.Context) error {
	_, err := call(ctx, l.store, fmt.Sprintf("end lease %x", int64(l.id)), func(ctx context.Context) (*clientv3.LeaseRevokeResponse, error) {
		return l.store.client.Revoke(ctx, l.id)
	})
	if errors.Is(err, ErrLeaseLost) {
		return nil
	}
	return err
}

func leaseKey(key string) string { return "lease/" + key }
