package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Batch is what a follower learns in one piece: everything there is (Reset), or all changes of one revision.
type Batch struct {
	// Revision is the revision that the follower has seen once it applied the batch.
	Revision int64

	// Reset says that Changes is all there is, in key order: what the follower had before and is not in it is gone.
	Reset bool

	Changes []Change
}

// Change is a key with its new value.
type Change struct {
	Key      string // without the root, such as "object/service/svc-1"
	Value    []byte // nil if the key was deleted
	Revision int64  // where the key was last written, or deleted
}

var errFallenBehind = errors.New("the next revision has been compacted")

// Follow calls apply with everything under a prefix, as a Reset, and then with every change, one batch a revision,
// in the order of revisions. No revision is left out or applied twice, even if the connection is lost: after a
// loss it resumes where it was, and only when that revision has been compacted it starts over with a Reset.
//
// It returns when ctx ends, the store is closed, or apply returns an error, which it returns as it is. Failures of
// etcd are logged and tried again for as long as ctx lasts.
func (s *Store) Follow(ctx context.Context, prefix string, apply func(Batch) error) error {
	f := follower{store: s, in: under(root + prefix), apply: apply}
	for try := 0; ; try++ {
		before := f.next
		err := f.run(ctx)
		switch {
		case f.failure != nil:
			return f.failure
		case ctx.Err() != nil:
			return ctx.Err()
		case s.ctx.Err() != nil:
			return fmt.Errorf("store: follow %s: %w", prefix, ErrClosed)
		case f.next != before:
			try = 0
		}
		if try == 0 && !errors.Is(err, ErrUnavailable) { // an outage is told once for all who meet it
			s.log.Warn("store: following was interrupted and resumes", "prefix", prefix, "revision", f.next, "error", err)
		}
		if err := pause(ctx, try); err != nil {
			return err
		}
	}
}

type follower struct {
	store   *Store
	in      span
	apply   func(Batch) error
	next    int64 // the revision to go on from; zero to start over
	failure error // what apply returned
}

// run follows until the watch ends.
func (f *follower) run(ctx context.Context) error {
	if f.next == 0 {
		if err := f.reset(ctx); err != nil {
			return err
		}
	}
	// A member of an external etcd that has lost its leader must end the watch, so that another member takes it over.
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	defer context.AfterFunc(f.store.ctx, cancel)()
	watch := f.store.client.Watch(ctx, f.in.start, clientv3.WithRange(f.in.end), clientv3.WithRev(f.next), clientv3.WithProgressNotify())
	for resp := range watch {
		if resp.CompactRevision != 0 {
			f.next = 0
			return errFallenBehind
		}
		if err := resp.Err(); err != nil {
			return f.store.explain("watch", err)
		}
		if err := f.advance(resp); err != nil {
			return err
		}
	}
	return errors.New("the watch ended")
}

func (f *follower) reset(ctx context.Context) error {
	resp, err := f.store.do(ctx, "read everything to follow", clientv3.OpGet(f.in.start, clientv3.WithRange(f.in.end)))
	if err != nil {
		return err
	}
	batch := Batch{Revision: resp.Get().Header.Revision, Reset: true}
	for _, kv := range resp.Get().Kvs {
		batch.Changes = append(batch.Changes, changeOf(kv, false))
	}
	return f.deliver(batch)
}

// advance delivers the events of a response. etcd never spreads one revision over two responses unless asked to
// fragment them. A response without events only tells how far the store has come.
func (f *follower) advance(resp clientv3.WatchResponse) error {
	var batch Batch
	for _, event := range resp.Events {
		if batch.Revision != 0 && event.Kv.ModRevision != batch.Revision {
			if err := f.deliver(batch); err != nil {
				return err
			}
			batch = Batch{}
		}
		batch.Revision = event.Kv.ModRevision
		batch.Changes = append(batch.Changes, changeOf(event.Kv, event.Type == clientv3.EventTypeDelete))
	}
	if batch.Revision == 0 {
		f.next = max(f.next, resp.Header.Revision+1)
		return nil
	}
	return f.deliver(batch)
}

func (f *follower) deliver(batch Batch) error {
	if f.failure = f.apply(batch); f.failure != nil {
		return f.failure
	}
	f.next = batch.Revision + 1
	return nil
}

func changeOf(kv *mvccpb.KeyValue, deleted bool) Change {
	c := Change{Key: strings.TrimPrefix(string(kv.Key), root), Revision: kv.ModRevision}
	if !deleted {
		c.Value = append([]byte{}, kv.Value...) // not nil, even if empty
	}
	return c
}
