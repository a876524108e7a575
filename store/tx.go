package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// longestPause bounds the wait before a transaction that lost a race runs again.
const longestPause = 50 * time.Millisecond

// Tx is a transaction under way. It belongs to the function it was given to: one goroutine, and not after it returned.
type Tx struct {
	ctx      context.Context
	store    *Store
	writable bool
	mirror   *Mirror // what is read instead of the store, or nil

	revision int64 // what all reads see; zero until the first
	seen     reads
	values   map[string]string // of the keys in seen that were read one by one; the absent ones are not among them

	writes  map[string]*string // by key; nil deletes
	cleared []span             // what DeletePrefix removes; disjoint, and no write before it lies inside

	err error // the first failure; it decides, even if f passes over it
}

// reads is what the commit must find unchanged.
type reads struct {
	keys    map[string]int64    // modification revision by key; zero for a missing key
	changed map[span]struct{}   // nothing inserted or changed
	created map[span]struct{}   // nothing inserted
	deleted map[string]struct{} // sets from which nothing was deleted
}

// span is the keys from start up to but not including end.
type span struct{ start, end string }

func under(prefix string) span { return span{prefix, clientv3.GetPrefixRangeEnd(prefix)} }

func (s span) holds(key string) bool { return s.start <= key && key < s.end }

// row is one key with its value; without revisions if it was written by the transaction that reads it.
type row struct {
	key, value               string
	createRevision, revision int64
}

// Update runs f and commits what it wrote, all or nothing, and returns the revision of the commit. Everything that f
// read through tx still holds at that revision. An error from f is returned as it is, and nothing is written.
//
// When something that f read has changed meanwhile, f runs again from the beginning, after a short wait, until it
// commits or ctx ends: f must have no effect but through tx. If f wrote nothing, nothing is sent to etcd; what it
// read was true together at the returned revision, which is zero if it read nothing either.
//
// An error that is ErrUncertain leaves open whether the commit happened.
func (s *Store) Update(ctx context.Context, f func(*Tx) error) (revision int64, err error) {
	return s.attempt(ctx, true, f)
}

// View runs f, which must not write. All its reads see one revision. f may run more than once.
func (s *Store) View(ctx context.Context, f func(*Tx) error) error {
	_, err := s.attempt(ctx, false, f)
	return err
}

func (s *Store) attempt(ctx context.Context, writable bool, f func(*Tx) error) (int64, error) {
	for try := 0; ; try++ {
		revision, err := newTx(ctx, s, writable).run(f)
		if !errors.Is(err, errConflict) {
			return revision, err
		}
		if err := pause(ctx, try); err != nil {
			return 0, fmt.Errorf("store: transaction lost %d races: %w", try+1, err)
		}
	}
}

// pause waits a random time that may double with each try, so that losers of one race do not meet in the next.
func pause(ctx context.Context, try int) error {
	wait := time.NewTimer(rand.N(min(time.Millisecond<<min(try, 10), longestPause)))
	defer wait.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-wait.C:
		return nil
	}
}

func newTx(ctx context.Context, s *Store, writable bool) *Tx {
	return &Tx{
		ctx:      ctx,
		store:    s,
		writable: writable,
		writes:   map[string]*string{},
		values:   map[string]string{},
		seen: reads{
			keys:    map[string]int64{},
			changed: map[span]struct{}{},
			created: map[span]struct{}{},
			deleted: map[string]struct{}{},
		},
	}
}

func (tx *Tx) run(f func(*Tx) error) (int64, error) {
	err := f(tx)
	if tx.err != nil {
		return 0, tx.err
	}
	if err != nil {
		return 0, err
	}
	if len(tx.writes)+len(tx.cleared) == 0 {
		return tx.revision, nil
	}
	return tx.commit()
}

// fail remembers the first failure, so that a transaction that could not read or write something cannot commit.
func (tx *Tx) fail(err error) error {
	if tx.err == nil {
		tx.err = err
	}
	return err
}

// HasRead reports whether the transaction knows anything of the store yet.
func (tx *Tx) HasRead() bool { return tx.revision != 0 }

// fetch reads at the transaction's revision, which the first read sets to the newest.
func (tx *Tx) fetch(what string, in span, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	if tx.mirror != nil {
		return nil, tx.fail(fmt.Errorf("store: %s: %w", what, errSingle))
	}
	if in.end != "" {
		opts = append(opts, clientv3.WithRange(root+in.end))
	}
	opts = append(opts, clientv3.WithRev(tx.revision))
	resp, err := tx.store.do(tx.ctx, what, clientv3.OpGet(root+in.start, opts...))
	if err != nil {
		return nil, tx.fail(err)
	}
	tx.store.count(len(resp.Get().Kvs))
	if tx.revision == 0 {
		tx.revision = resp.Get().Header.Revision
	}
	return resp.Get(), nil
}

func (tx *Tx) get(key string) (string, error) {
	if value, ok := tx.written(key); ok {
		if value == nil {
			return "", fmt.Errorf("%s: %w", key, ErrNotFound)
		}
		return *value, nil
	}
	if value, ok := tx.values[key]; ok {
		return value, nil
	}
	if tx.mirror != nil {
		return tx.mirror.get(key)
	}
	resp, err := tx.fetch("read "+key, span{start: key})
	if err != nil {
		return "", err
	}
	if len(resp.Kvs) == 0 {
		tx.seen.keys[key] = 0
		return "", fmt.Errorf("%s: %w", key, ErrNotFound)
	}
	tx.seen.keys[key] = resp.Kvs[0].ModRevision
	tx.values[key] = string(resp.Kvs[0].Value)
	return tx.values[key], nil
}

// written is what this transaction has done to a key, if anything; nil if it is deleted.
func (tx *Tx) written(key string) (value *string, ok bool) {
	if value, ok := tx.writes[key]; ok {
		return value, true
	}
	return nil, tx.isCleared(key)
}

func (tx *Tx) isCleared(key string) bool {
	return slices.ContainsFunc(tx.cleared, func(s span) bool { return s.holds(key) })
}

func (tx *Tx) touches(in span) bool {
	for key := range tx.writes {
		if in.holds(key) {
			return true
		}
	}
	return slices.ContainsFunc(tx.cleared, func(s span) bool { return s.start < in.end && in.start < s.end })
}

func (tx *Tx) put(key, value string) error {
	if !tx.writable {
		return tx.fail(fmt.Errorf("store: write %s: a View cannot write; use Update", key))
	}
	if known, ok := tx.values[key]; ok && known == value && !tx.isCleared(key) {
		delete(tx.writes, key) // nothing changes
		return nil
	}
	tx.writes[key] = &value
	return nil
}

func (tx *Tx) delete(key string) {
	if !tx.writable {
		tx.fail(fmt.Errorf("store: delete %s: a View cannot write; use Update", key))
		return
	}
	if tx.isCleared(key) {
		delete(tx.writes, key)
		return
	}
	tx.writes[key] = nil
}

// clear deletes a range in one operation. It is bound to the revision read like a listing of that range, so what it
// removes is what f could have seen there, and nothing that was put there meanwhile.
func (tx *Tx) clear(in span) error {
	if !tx.writable {
		return tx.fail(fmt.Errorf("store: delete %s…: a View cannot write; use Update", in.start))
	}
	if tx.revision == 0 {
		if _, err := tx.fetch("read the revision to delete at", in, clientv3.WithCountOnly()); err != nil {
			return err
		}
	}
	tx.seen.changed[in] = struct{}{}
	maps.DeleteFunc(tx.writes, func(key string, _ *string) bool { return in.holds(key) })
	// Ranges come from prefixes: two of them are nested or apart.
	if tx.isCleared(in.start) {
		return nil
	}
	tx.cleared = slices.DeleteFunc(tx.cleared, func(s span) bool { return in.holds(s.start) })
	tx.cleared = append(tx.cleared, in)
	return nil
}

// list returns the rows of a range in key order, with this transaction's own writes, and whether a limit above zero
// left any out.
func (tx *Tx) list(in span, limit int) (rows []row, more bool, err error) {
	own, ask := tx.touches(in), limit
	if own {
		ask = 0 // own writes may hide or precede any of the rows, so see them all and then cut
	}
	resp, err := tx.fetch("list "+in.start, in, clientv3.WithLimit(int64(ask)))
	if err != nil {
		return nil, false, err
	}
	for _, kv := range resp.Kvs {
		key := strings.TrimPrefix(string(kv.Key), root)
		if _, ok := tx.written(key); !ok {
			rows = append(rows, row{key, string(kv.Value), kv.CreateRevision, kv.ModRevision})
		}
	}
	if resp.More {
		in.end = rows[len(rows)-1].key + "\x00" // what was not seen need not stay
	}
	tx.seen.changed[in] = struct{}{}
	tx.seen.deleted[setOf(in.start)] = struct{}{}
	if own {
		rows = tx.withOwn(rows, in)
	}
	if limit > 0 && len(rows) > limit {
		return rows[:limit], true, nil
	}
	return rows, resp.More, nil
}

func (tx *Tx) withOwn(rows []row, in span) []row {
	for key, value := range tx.writes {
		if value != nil && in.holds(key) {
			rows = append(rows, row{key: key, value: *value})
		}
	}
	slices.SortFunc(rows, func(a, b row) int { return strings.Compare(a.key, b.key) })
	return rows
}

// count is the length of list, and conflicts with less: a changed value leaves the count as it is.
func (tx *Tx) count(in span) (int, error) {
	if tx.touches(in) {
		rows, _, err := tx.list(in, 0)
		return len(rows), err
	}
	resp, err := tx.fetch("count "+in.start, in, clientv3.WithCountOnly())
	if err != nil {
		return 0, err
	}
	tx.seen.created[in] = struct{}{}
	tx.seen.deleted[setOf(in.start)] = struct{}{}
	return int(resp.Count), nil
}

func (tx *Tx) commit() (int64, error) {
	if tx.store.member != nil {
		if err := tx.store.member.disk.admit(tx.ctx); err != nil {
			return 0, err
		}
	}
	what := fmt.Sprintf("commit %d writes and %d deleted ranges", len(tx.writes), len(tx.cleared))
	resp, err := tx.store.do(tx.ctx, what, clientv3.OpTxn(tx.compares(), tx.operations(), nil))
	switch {
	case err != nil && committedNothing(err):
		return 0, err
	case err != nil:
		return 0, fmt.Errorf("%w: %w", err, ErrUncertain)
	case !resp.Txn().Succeeded:
		return 0, errConflict
	}
	tx.noteCommit(resp.Txn().Header.Revision)
	return resp.Txn().Header.Revision, nil
}

func (tx *Tx) compares() []clientv3.Cmp {
	var all []clientv3.Cmp
	newest := tx.revision + 1
	for key, revision := range tx.seen.keys {
		all = append(all, clientv3.Compare(clientv3.ModRevision(root+key), "=", revision))
	}
	for s := range tx.seen.changed {
		all = append(all, clientv3.Compare(clientv3.ModRevision(root+s.start).WithRange(root+s.end), "<", newest))
	}
	for s := range tx.seen.created {
		all = append(all, clientv3.Compare(clientv3.CreateRevision(root+s.start).WithRange(root+s.end), "<", newest))
	}
	for set := range tx.seen.deleted {
		all = append(all, clientv3.Compare(clientv3.ModRevision(root+deletionMark(set)), "<", newest))
	}
	return all
}

// operations are the writes in key order, then the cleared ranges, then the marks of the sets that lose keys.
func (tx *Tx) operations() []clientv3.Op {
	var ops []clientv3.Op
	shrunk := map[string]struct{}{}
	for _, key := range slices.Sorted(maps.Keys(tx.writes)) {
		if value := tx.writes[key]; value != nil {
			ops = append(ops, clientv3.OpPut(root+key, *value))
			continue
		}
		if !strings.HasPrefix(key, counters) { // nobody lists counters
			shrunk[setOf(key)] = struct{}{}
		}
		ops = append(ops, clientv3.OpDelete(root+key))
	}
	for _, s := range tx.cleared {
		if !strings.HasPrefix(s.start, counters) {
			shrunk[setOf(s.start)] = struct{}{}
		}
		for _, part := range tx.around(s) {
			ops = append(ops, clientv3.OpDelete(root+part.start, clientv3.WithRange(root+part.end)))
		}
	}
	for _, set := range slices.Sorted(maps.Keys(shrunk)) {
		ops = append(ops, clientv3.OpPut(root+deletionMark(set), ""))
	}
	return ops
}

// around splits a range so that it spares the keys written into it after it was cleared: etcd refuses a transaction
// that deletes and puts one key.
func (tx *Tx) around(s span) []span {
	var parts []span
	for _, key := range slices.Sorted(maps.Keys(tx.writes)) {
		if !s.holds(key) {
			continue
		}
		if s.start < key {
			parts = append(parts, span{s.start, key})
		}
		s.start = key + "\x00"
	}
	return append(parts, s)
}

// setOf is the kind or index of a key: "object/service" of "object/service/svc-1".
func setOf(key string) string {
	set, rest, _ := strings.Cut(key, "/")
	name, _, _ := strings.Cut(rest, "/")
	return set + "/" + name
}

func deletionMark(set string) string { return "deleted/" + set }
