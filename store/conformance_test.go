package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pergola/store"
)

type thing struct {
	Name string
	Size int
}

var (
	things = store.NewKind[thing]("thing")
	others = store.NewKind[thing]("thing-other") // its name begins like the first: they must not mix
	names  = store.NewIndex("name")
	refs   = store.NewIndex("ref")
)

func TestEmbedded(t *testing.T) {
	conformance(t, 150, 4096, func(t *testing.T) *store.Store { return openEmbedded(t) })
}

func TestExternal(t *testing.T) {
	endpoints := startExternal(t)
	conformance(t, 25, 128, func(t *testing.T) *store.Store {
		s := open(t, store.Config{Endpoints: endpoints, Logger: testLog(t)})
		update(t, s, func(tx *store.Tx) error { // the members are shared by the tests: begin with nothing
			return errors.Join(counted.things.DeletePrefix(tx, ""), others.DeletePrefix(tx, ""), names.DeletePrefix(tx, ""),
				counted.refs.DeletePrefix(tx, ""))
		})
		return s
	})
}

// conformance is what every store does, wherever its etcd runs. Effort scales the random parts, maxOps is the limit
// on operations of the etcd behind it.
func conformance(t *testing.T, effort, maxOps int, open func(t *testing.T) *store.Store) {
	t.Run("tx", func(t *testing.T) { testTx(t, open(t)) })
	t.Run("races", func(t *testing.T) { testRaces(t, open(t)) })
	t.Run("limits", func(t *testing.T) { testLimits(t, open(t), maxOps) })
	t.Run("model", func(t *testing.T) { testModel(t, open(t), plain, effort) })
	t.Run("model, counted", func(t *testing.T) { testModel(t, open(t), counted, effort) })
	t.Run("counters", func(t *testing.T) { testCounters(t, open(t)) })
	t.Run("follow", func(t *testing.T) { testFollow(t, open(t)) })
	t.Run("follow compacted", func(t *testing.T) { testFollowCompacted(t, open(t)) })
	t.Run("view compacted", func(t *testing.T) { testViewCompacted(t, open(t)) })
	t.Run("lease", func(t *testing.T) { testLease(t, open(t)) })
	t.Run("closed", func(t *testing.T) { testClosed(t, open(t)) })
}

func update(t testing.TB, s *store.Store, f func(*store.Tx) error) int64 {
	t.Helper()
	revision, err := s.Update(background(t), f)
	if err != nil {
		t.Fatal(err)
	}
	return revision
}

// fill resets the store to a known state: things a/1, a/2, a/3, b/1 and one other, and the names x, y.
func fill(t *testing.T, s *store.Store) int64 {
	t.Helper()
	return update(t, s, func(tx *store.Tx) error {
		err := errors.Join(things.DeletePrefix(tx, ""), others.DeletePrefix(tx, ""), names.DeletePrefix(tx, ""))
		for i, id := range []string{"a/1", "a/2", "a/3", "b/1"} {
			err = errors.Join(err, things.Put(tx, id, thing{id, i}))
		}
		return errors.Join(err, others.Put(tx, "a/1", thing{}), names.Put(tx, "x", "a/1"), names.Put(tx, "y", ""))
	})
}

func ids(tx *store.Tx, prefix, after string, limit int) string {
	entries, more, err := things.List(tx, prefix, after, limit)
	if err != nil {
		return err.Error()
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.ID)
	}
	if more {
		out = append(out, "more")
	}
	return strings.Join(out, " ")
}

func count(tx *store.Tx, prefix string) string {
	n, err := things.Count(tx, prefix)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprint(n)
}

func name(tx *store.Tx, key string) string {
	value, err := names.Get(tx, key)
	if errors.Is(err, store.ErrNotFound) {
		return "none"
	}
	return value
}

// testTx checks what a transaction sees of its own writes, and that the next one sees the same.
func testTx(t *testing.T, s *store.Store) {
	put := func(tx *store.Tx, id string) error { return things.Put(tx, id, thing{Name: id}) }
	for _, c := range []struct {
		name  string
		write func(tx *store.Tx) error
		read  func(tx *store.Tx) string
		want  string
	}{
		{"list all", nil, func(tx *store.Tx) string { return ids(tx, "", "", 0) }, "a/1 a/2 a/3 b/1"},
		{"list children", nil, func(tx *store.Tx) string { return ids(tx, "a/", "", 0) }, "a/1 a/2 a/3"},
		{"first page", nil, func(tx *store.Tx) string { return ids(tx, "", "", 2) }, "a/1 a/2 more"},
		{"last page", nil, func(tx *store.Tx) string { return ids(tx, "", "a/2", 2) }, "a/3 b/1"},
		{"page after a missing id", nil, func(tx *store.Tx) string { return ids(tx, "a/", "a/15", 0) }, "a/2 a/3"},
		{"page after the end", nil, func(tx *store.Tx) string { return ids(tx, "a/", "z", 1) }, ""},
		{"count", nil, func(tx *store.Tx) string { return count(tx, "a/") }, "3"},
		{"empty value", nil, func(tx *store.Tx) string { return name(tx, "y") }, ""},
		{"missing", nil, func(tx *store.Tx) string { return name(tx, "z") }, "none"},
		{"put", func(tx *store.Tx) error { return put(tx, "a/25") }, func(tx *store.Tx) string { return ids(tx, "a/", "", 3) }, "a/1 a/2 a/25 more"},
		{"put at the end", func(tx *store.Tx) error { return put(tx, "a/4") }, func(tx *store.Tx) string { return ids(tx, "a/", "", 3) }, "a/1 a/2 a/3 more"},
		{"put counts", func(tx *store.Tx) error { return put(tx, "a/4") }, func(tx *store.Tx) string { return count(tx, "") }, "5"},
		{"replace counts once", func(tx *store.Tx) error { return put(tx, "a/1") }, func(tx *store.Tx) string { return count(tx, "") }, "4"},
		{"replace", func(tx *store.Tx) error { return names.Put(tx, "x", "new") }, func(tx *store.Tx) string { return name(tx, "x") }, "new"},
		{"delete", func(tx *store.Tx) error { things.Delete(tx, "a/2"); return nil }, func(tx *store.Tx) string { return ids(tx, "a/", "", 2) }, "a/1 a/3"},
		{"delete counts", func(tx *store.Tx) error { things.Delete(tx, "a/2"); return nil }, func(tx *store.Tx) string { return count(tx, "a/") }, "2"},
		{"delete of none", func(tx *store.Tx) error { things.Delete(tx, "q"); return nil }, func(tx *store.Tx) string { return count(tx, "") }, "4"},
		{"put then delete", func(tx *store.Tx) error { err := put(tx, "c"); things.Delete(tx, "c"); return err }, func(tx *store.Tx) string { return count(tx, "") }, "4"},
		{"delete then put", func(tx *store.Tx) error { names.Delete(tx, "x"); return names.Put(tx, "x", "back") }, func(tx *store.Tx) string { return name(tx, "x") }, "back"},
		{"delete prefix", func(tx *store.Tx) error { return things.DeletePrefix(tx, "a/") }, func(tx *store.Tx) string { return ids(tx, "", "", 0) }, "b/1"},
		{"delete prefix of own", func(tx *store.Tx) error { return errors.Join(put(tx, "a/9"), things.DeletePrefix(tx, "a/")) }, func(tx *store.Tx) string { return ids(tx, "", "", 0) }, "b/1"},
		{"put into deleted prefix", func(tx *store.Tx) error {
			return errors.Join(things.DeletePrefix(tx, "a/"), put(tx, "a/2"), put(tx, "a/7"))
		}, func(tx *store.Tx) string { return ids(tx, "", "", 0) }, "a/2 a/7 b/1"},
		{"put and delete in deleted prefix", func(tx *store.Tx) error {
			err := errors.Join(things.DeletePrefix(tx, "a/"), put(tx, "a/2"))
			things.Delete(tx, "a/2")
			return err
		}, func(tx *store.Tx) string { return ids(tx, "", "", 0) }, "b/1"},
		{"nested deletes, inner first", func(tx *store.Tx) error {
			return errors.Join(things.DeletePrefix(tx, "a/"), put(tx, "a/2"), things.DeletePrefix(tx, ""), put(tx, "c"))
		}, func(tx *store.Tx) string { return ids(tx, "", "", 0) }, "c"},
		{"nested deletes, outer first", func(tx *store.Tx) error {
			return errors.Join(things.DeletePrefix(tx, ""), put(tx, "a/2"), put(tx, "b/2"), things.DeletePrefix(tx, "a/"))
		}, func(tx *store.Tx) string { return ids(tx, "", "", 0) }, "b/2"},
		{"kinds are apart", func(tx *store.Tx) error { return others.DeletePrefix(tx, "") }, func(tx *store.Tx) string { return count(tx, "") }, "4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			fill(t, s)
			var inside, after string
			update(t, s, func(tx *store.Tx) error {
				if c.write != nil {
					if err := c.write(tx); err != nil {
						return err
					}
				}
				inside = c.read(tx)
				return nil
			})
			if err := s.View(background(t), func(tx *store.Tx) error { after = c.read(tx); return nil }); err != nil {
				t.Fatal(err)
			}
			if inside != c.want || after != c.want {
				t.Errorf("inside the transaction %q, after it %q, want %q", inside, after, c.want)
			}
		})
	}
	t.Run("values and revisions", func(t *testing.T) { testValues(t, s) })
	t.Run("aborted", func(t *testing.T) { testAborted(t, s) })
}

func testValues(t *testing.T, s *store.Store) {
	update(t, s, func(tx *store.Tx) error { return things.DeletePrefix(tx, "") })
	created := fill(t, s)
	changed := update(t, s, func(tx *store.Tx) error { return things.Put(tx, "a/1", thing{"changed", 7}) })
	if changed != created+1 {
		t.Errorf("revision %d after %d", changed, created)
	}
	err := s.View(background(t), func(tx *store.Tx) error {
		got, err := things.Get(tx, "a/1")
		if err != nil || got != (thing{"changed", 7}) {
			t.Errorf("got %v, %v", got, err)
		}
		entries, _, err := things.List(tx, "", "", 1)
		want := []store.Entry[thing]{{ID: "a/1", Value: got, CreateRevision: created, Revision: changed}}
		if err != nil || !slices.Equal(entries, want) {
			t.Errorf("got %v, %v, want %v", entries, err, want)
		}
		pairs, more, err := names.List(tx, "", "", 0)
		if err != nil || more || len(pairs) != 2 || pairs[0].ID != "x" || pairs[0].Value != "a/1" {
			t.Errorf("got %v, %v, %v", pairs, more, err)
		}
		empty, err := refs.Empty(tx, "")
		if err != nil || !empty {
			t.Errorf("refs empty: %v, %v", empty, err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// testAborted checks that a transaction with an error writes nothing, also when its function passes over the error.
func testAborted(t *testing.T, s *store.Store) {
	before := fill(t, s)
	mine := errors.New("mine")
	write := func(tx *store.Tx) { names.Put(tx, "x", "lost") }
	unencodable := store.NewKind[func()]("unencodable")
	numbers := store.NewKind[int]("thing")
	for _, c := range []struct {
		name string
		f    func(*store.Tx) error
		want string
	}{
		{"own error", func(tx *store.Tx) error { write(tx); return mine }, "mine"},
		{"empty id", func(tx *store.Tx) error { write(tx); things.Delete(tx, ""); return nil }, "the id is empty"},
		{"encoding", func(tx *store.Tx) error { write(tx); unencodable.Put(tx, "f", nil); return nil }, "unsupported type"},
		{"decoding", func(tx *store.Tx) error { write(tx); numbers.Get(tx, "a/1"); return nil }, "decode object/thing/a/1"},
		{"decoding a list", func(tx *store.Tx) error { write(tx); numbers.List(tx, "", "", 0); return nil }, "decode object/thing/a/1"},
	} {
		revision, err := s.Update(background(t), c.f)
		if err == nil || !strings.Contains(err.Error(), c.want) || revision != 0 {
			t.Errorf("%s: got %d, %v", c.name, revision, err)
		}
	}
	for what, f := range map[string]func(*store.Tx) error{
		"put":    func(tx *store.Tx) error { return things.Put(tx, "v", thing{}) },
		"delete": func(tx *store.Tx) error { things.Delete(tx, "a/1"); return nil },
		"clear":  func(tx *store.Tx) error { return names.DeletePrefix(tx, "") },
	} {
		if err := s.View(background(t), f); err == nil || !strings.Contains(err.Error(), "a View cannot write") {
			t.Errorf("%s in a View: %v", what, err)
		}
	}
	read, err := s.Update(background(t), func(tx *store.Tx) error { _, err := things.Get(tx, "a/1"); return err })
	if err != nil || read != before {
		t.Errorf("reading at %d returned revision %d, %v: something was written", before, read, err)
	}
}

// testRaces lets one transaction lose to another at a chosen moment, for each way to read and each way to change.
func testRaces(t *testing.T, s *store.Store) {
	changes := map[string]func(tx *store.Tx) error{
		"insert": func(tx *store.Tx) error { return things.Put(tx, "a/4", thing{}) },
		"change": func(tx *store.Tx) error { return things.Put(tx, "a/2", thing{}) },
		"delete": func(tx *store.Tx) error { things.Delete(tx, "a/2"); return nil },
		"clear":  func(tx *store.Tx) error { return things.DeletePrefix(tx, "a/") },
		"renew": func(tx *store.Tx) error {
			return errors.Join(things.DeletePrefix(tx, "a/"), things.Put(tx, "a/2", thing{}))
		},
		"apart": func(tx *store.Tx) error { return errors.Join(others.Put(tx, "a/2", thing{}), names.Put(tx, "a/2", "")) },
	}
	read := func(f func(tx *store.Tx) string) func(*store.Tx) { return func(tx *store.Tx) { f(tx) } }
	for _, c := range []struct {
		name     string
		read     func(*store.Tx)
		conflict string // the changes that must make the reader run again; others must not
	}{
		{"get", func(tx *store.Tx) { things.Get(tx, "a/2") }, "change delete clear renew"},
		{"get missing", func(tx *store.Tx) { things.Get(tx, "a/4") }, "insert"},
		{"list", read(func(tx *store.Tx) string { return ids(tx, "a/", "", 0) }), "insert change delete clear renew"},
		{"count", read(func(tx *store.Tx) string { return count(tx, "a/") }), "insert delete clear renew"},
		{"first page", read(func(tx *store.Tx) string { return ids(tx, "a/", "", 2) }), "change delete clear renew"},
		{"blind", func(*store.Tx) {}, ""},
	} {
		for change, apply := range changes {
			t.Run(c.name+" "+change, func(t *testing.T) {
				fill(t, s)
				runs := 0
				update(t, s, func(tx *store.Tx) error {
					runs++
					c.read(tx)
					if runs == 1 {
						update(t, s, apply)
					}
					return names.Put(tx, "reader", c.name)
				})
				want := 1
				if slices.Contains(strings.Fields(c.conflict), change) {
					want = 2
				}
				if runs != want {
					t.Errorf("ran %d times, want %d", runs, want)
				}
			})
		}
	}
	t.Run("clear is not blind", func(t *testing.T) {
		fill(t, s)
		runs := 0
		update(t, s, func(tx *store.Tx) error {
			if err := things.DeletePrefix(tx, "a/"); err != nil {
				return err
			}
			if runs++; runs == 1 {
				update(t, s, changes["insert"])
			}
			return nil
		})
		if runs != 2 {
			t.Errorf("ran %d times, want 2", runs)
		}
	})
	t.Run("ends with its context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(background(t))
		_, err := s.Update(ctx, func(tx *store.Tx) error {
			name(tx, "x")
			update(t, s, func(tx *store.Tx) error { return names.Put(tx, "x", "moving") })
			cancel()
			return names.Put(tx, "x", "never")
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

func testLimits(t *testing.T, s *store.Store, maxOps int) {
	puts := func(n int) func(*store.Tx) error {
		return func(tx *store.Tx) error {
			for i := range n {
				if err := refs.Put(tx, fmt.Sprintf("limit/%05d", i), ""); err != nil {
					return err
				}
			}
			return nil
		}
	}
	update(t, s, puts(maxOps))
	if _, err := s.Update(background(t), puts(maxOps+1)); !errors.Is(err, store.ErrTooManyOps) || errors.Is(err, store.ErrUncertain) {
		t.Errorf("one operation too many: %v", err)
	}
	update(t, s, func(tx *store.Tx) error {
		if n, err := refs.Count(tx, "limit/"); n != maxOps || err != nil {
			t.Errorf("counted %d, %v", n, err)
		}
		return refs.DeletePrefix(tx, "limit/")
	})
	for _, size := range []int{2 << 20, 8 << 20} { // beyond etcd's limit, and beyond that of its client too
		_, err := s.Update(background(t), func(tx *store.Tx) error { return names.Put(tx, "large", strings.Repeat("x", size)) })
		if !errors.Is(err, store.ErrTooLarge) || errors.Is(err, store.ErrUncertain) {
			t.Errorf("a value of %d bytes: %v", size, err)
		}
	}
	update(t, s, func(tx *store.Tx) error { return names.Put(tx, "large", strings.Repeat("x", 1<<20)) })
}

// testViewCompacted reads at a revision that is compacted between two reads: the view runs again, at a newer one.
func testViewCompacted(t *testing.T, s *store.Store) {
	fill(t, s)
	runs := 0
	err := s.View(background(t), func(tx *store.Tx) error {
		runs++
		got := name(tx, "x")
		if runs == 1 {
			newest := update(t, s, func(tx *store.Tx) error { return names.Put(tx, "x", "later") })
			if err := s.Compact(background(t), newest); err != nil {
				t.Fatal(err)
			}
		}
		name(tx, "y")
		if runs == 2 && got != "later" {
			t.Errorf("got %q", got)
		}
		return nil
	})
	if err != nil || runs != 2 {
		t.Errorf("ran %d times, %v", runs, err)
	}
}

func testLease(t *testing.T, s *store.Store) {
	ctx := background(t)
	const ttl = time.Second
	seen, _ := follow(t, s, "lease/")
	<-seen // the reset

	lease, err := s.Lease(ctx, ttl)
	if err != nil {
		t.Fatal(err)
	}
	must(t, lease.Put(ctx, "node/1", []byte("up")))
	must(t, lease.Put(ctx, "node/2", nil))
	must(t, lease.Delete(ctx, "node/2"))
	expect(t, seen, "lease/node/1=up")
	expect(t, seen, "lease/node/2=")
	expect(t, seen, "lease/node/2 gone")
	must(t, lease.Close(ctx))
	expect(t, seen, "lease/node/1 gone")
	<-lease.Done()
	if err := lease.Put(ctx, "node/1", nil); !errors.Is(err, store.ErrLeaseLost) {
		t.Errorf("put after close: %v", err)
	}
	must(t, lease.Close(ctx))

	alive, die := context.WithCancel(ctx)
	lease, err = s.Lease(alive, ttl)
	if err != nil {
		t.Fatal(err)
	}
	must(t, lease.Put(ctx, "node/3", []byte("up")))
	expect(t, seen, "lease/node/3=up")
	die()
	<-lease.Done()
	expect(t, seen, "lease/node/3 gone")
}

func testClosed(t *testing.T, s *store.Store) {
	ctx := background(t)
	_, followed := follow(t, s, "object/")
	lease, err := s.Lease(ctx, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	must(t, s.Close())
	<-lease.Done()
	_, leaseErr := s.Lease(ctx, time.Minute)
	_, updateErr := s.Update(ctx, func(tx *store.Tx) error { return names.Put(tx, "x", "") })
	for what, err := range map[string]error{
		"follow":  <-followed,
		"view":    s.View(ctx, func(tx *store.Tx) error { _, err := names.Get(tx, "x"); return err }),
		"update":  updateErr,
		"lease":   leaseErr,
		"compact": s.Compact(ctx, 1),
	} {
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("%s on a closed store: %v", what, err)
		}
	}
	must(t, s.Close())
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
