package store_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pergola/store"
)

// follow runs Follow until the test ends and passes on what it applies, and at last what it returned.
func follow(t testing.TB, s *store.Store, prefix string) (<-chan store.Batch, <-chan error) {
	ctx, cancel := context.WithCancel(context.Background())
	batches, returned, over := make(chan store.Batch, 1000), make(chan error, 1), make(chan struct{})
	go func() {
		defer close(over)
		returned <- s.Follow(ctx, prefix, func(b store.Batch) error { batches <- b; return nil })
	}()
	t.Cleanup(func() { cancel(); <-over })
	return batches, returned
}

func expect(t testing.TB, seen <-chan store.Batch, want string) store.Batch {
	t.Helper()
	select {
	case b := <-seen:
		if got := describe(b); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
		return b
	case <-time.After(patience):
		t.Fatalf("nothing came, want %q", want)
		return store.Batch{}
	}
}

func describe(b store.Batch) string {
	var out []string
	if b.Reset {
		out = append(out, "reset")
	}
	for _, c := range b.Changes {
		if c.Value == nil {
			out = append(out, c.Key+" gone")
		} else {
			out = append(out, fmt.Sprintf("%s=%s", c.Key, c.Value))
		}
	}
	return strings.Join(out, ", ")
}

func testFollow(t *testing.T, s *store.Store) {
	update(t, s, func(tx *store.Tx) error { return errors.Join(names.Put(tx, "a", "1"), refs.Put(tx, "unseen", "")) })
	seen, _ := follow(t, s, "index/name/")
	expect(t, seen, "reset, index/name/a=1")

	revision := update(t, s, func(tx *store.Tx) error {
		names.Delete(tx, "a")
		return errors.Join(names.Put(tx, "c", ""), names.Put(tx, "b", "2"), refs.Put(tx, "unseen", "x"))
	})
	b := expect(t, seen, "index/name/a gone, index/name/b=2, index/name/c=")
	if b.Revision != revision || b.Changes[0].Revision != revision {
		t.Errorf("batch of revision %d, its change of %d, want %d", b.Revision, b.Changes[0].Revision, revision)
	}
	update(t, s, func(tx *store.Tx) error { return names.DeletePrefix(tx, "") })
	expect(t, seen, "index/name/b gone, index/name/c gone")

	stop := errors.New("enough")
	if err := s.Follow(background(t), "index/", func(store.Batch) error { return stop }); err != stop {
		t.Errorf("follow returned %v, not the error of apply", err)
	}
	ctx, cancel := context.WithCancel(background(t))
	err := s.Follow(ctx, "index/", func(store.Batch) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("follow returned %v, not the error of its context", err)
	}
}

// testFollowCompacted holds a follower back before it has begun to watch, and compacts what it would watch.
func testFollowCompacted(t *testing.T, s *store.Store) {
	update(t, s, func(tx *store.Tx) error { return names.Put(tx, "a", "1") })
	var got []string
	enough := errors.New("enough")
	err := s.Follow(background(t), "index/name/", func(b store.Batch) error {
		if got = append(got, describe(b)); len(got) == 2 {
			return enough
		}
		update(t, s, func(tx *store.Tx) error { return names.Put(tx, "a", "2") })
		newest := update(t, s, func(tx *store.Tx) error { names.Delete(tx, "a"); return names.Put(tx, "b", "3") })
		return s.Compact(background(t), newest)
	})
	if err != enough || got[1] != "reset, index/name/b=3" {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestFollowRestart stops the etcd member that a follower is connected to and starts it again on the same address:
// the follower goes on with the next revision, without a reset.
func TestFollowRestart(t *testing.T) {
	addrs := freeAddrs(t, 2)
	dir := filepath.Join(t.TempDir(), "lone")
	member := startLone(t, dir, addrs)
	s := open(t, store.Config{Endpoints: []string{"http://" + addrs[1]}, Logger: testLog(t)})
	seen, _ := follow(t, s, "index/")
	expect(t, seen, "reset")
	put := func(value string) {
		update(t, s, func(tx *store.Tx) error { return names.Put(tx, "a", value) })
	}
	put("1")
	expect(t, seen, "index/name/a=1")
	member.Server.Stop() // ends the watch, for which Close would wait
	member.Close()
	member = startLone(t, dir, addrs)
	// A write that is under way while the connection comes back can end with its outcome unknown; a read is tried again.
	ctx := background(t)
	for _, err := s.Revision(ctx); err != nil; _, err = s.Revision(ctx) {
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
	put("2")
	expect(t, seen, "index/name/a=2")
	member.Server.Stop()
	member.Close()
}
