// Package store keeps typed, revisioned objects in etcd and tells followers what changed. It knows no noun: a Kind
// names a set of JSON objects, an Index a set of plain strings, and a transaction may read and write any of them.
//
// # Layout
//
// Every key lives under /pergola/. Without that root, the keys are
//
//	object/<kind>/<id>    one JSON object; an id may contain '/', so that children list by prefix
//	status/<kind>/<id>    one JSON object that says how far the object with the same id has come
//	index/<name>/<key>    one string: a unique name, a reference, an idempotency token
//	lease/<key>           bytes that vanish when their writer dies; see Lease
//	count/<directory>     how many keys lie in a directory; see counter.go
//	deleted/<set>/<name>  a mark that moves when a key of that kind or index is deleted; see below
//
// # Transactions
//
// Update is optimistic. Its function reads everything at one revision and its writes wait in memory; the commit is
// one etcd transaction that writes only if all that was read is still so, and otherwise the function runs again.
// Therefore all that the function checked (a name is free, a reference exists, fewer than 500 of something) is true
// at the revision of its writes, and of two racing calls that cannot both be right only one commits.
//
// A key that was read is compared by its modification revision, which is zero for a missing key. A range that was
// listed is compared in one piece: no key in it may be newer than the revision read. That sees insertions and
// changes but not deletions, because a deleted key is not there to be compared. Comparing each key that was seen
// would find those at a cost of one compare a key; instead every transaction that deletes also rewrites the mark of
// that kind or index, and a range read compares the mark: two compares, however large the range. The price is that
// a range read also conflicts with deletions elsewhere in its kind, and then runs once more. The guarantee holds as
// long as nobody but this package deletes under object/, status/ and index/.
//
// # Limits
//
// etcd bounds a transaction: by default 128 compares or writes and 1.5 MiB. The embedded member accepts 4,096 and
// 1.5 MiB; start an external etcd with --max-txn-ops=4096 to have the same. MaxOperations says how many there may be.
// What goes beyond is ErrTooManyOps or ErrTooLarge, and nothing is written. DeletePrefix counts as one write,
// however much it removes.
//
// The embedded member refuses writes before its disk is full, with ErrDiskFull; see MakingRoom.
package store

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/connectivity"
)

// root precedes every key in etcd, so that an external etcd can be shared.
const root = "/pergola/"

// How a silent external member is found out, and how long at most its clients wait before they dial again.
const (
	probeEvery   = 20 * time.Second
	probeTimeout = 2 * time.Second
)

// Config says where the objects live. The zero value is not usable: set Dir or Endpoints.
type Config struct {
	// Dir is the data directory of the embedded member. It is created, or narrowed, to mode 0700, and belongs to
	// one process at a time. Unused with Endpoints.
	Dir string

	// Socket is the path of a Unix socket at which the embedded member also answers, with mode 0600, for stores of other
	// processes whose Endpoints name it. "" means that there is none. Unused with Endpoints.
	Socket string

	// Failed is called when the embedded member cannot go on, as when the disk fails. It must end the process; if it
	// returns, or is nil, the process ends by a panic.
	Failed func(error)

	// Endpoints are the client URLs of an external etcd, such as "https://10.0.0.1:2379", or of a Socket, as
	// SocketEndpoint has it. Empty means embedded. Compaction of an external etcd is its operator's business
	// (--auto-compaction-retention).
	Endpoints []string

	// TLS is used for https endpoints: roots to trust and the client certificate to show. Nil trusts the system's
	// roots and shows none.
	TLS *tls.Config

	// NoSync leaves out fsync in the embedded member: for tests, since a power cut may then lose or corrupt
	// everything. The default is durable: what Update acknowledged is on the disk.
	NoSync bool

	// Logger receives the warnings and errors of etcd and of Follow. Nil discards them.
	Logger *slog.Logger
}

// SocketEndpoint is the endpoint of the member behind a Socket.
func SocketEndpoint(path string) string { return socketScheme + path }

const socketScheme = "unix://"

// Store is an open connection to the objects. All methods may be called from any goroutine.
type Store struct {
	client *clientv3.Client
	member *member // nil with an external etcd
	log    *slog.Logger
	most   int // operations of a transaction
	outage outage

	requests, keys atomic.Int64 // see Reads

	ctx   context.Context // ends when Close begins
	end   context.CancelFunc
	close func() error // once; later calls return the same
	busy  sync.RWMutex // held for reading by each request to etcd, for writing by Close until none is left
}

// Open connects to the etcd at cfg.Endpoints, which it waits for, or starts the embedded member on cfg.Dir. It returns
// once the store answers, or when ctx ends. The embedded member listens on nothing but cfg.Socket: its client calls it
// in process.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Store{log: cfg.Logger, most: maxTxnOps}
	s.ctx, s.end = context.WithCancel(context.Background())
	s.close = sync.OnceValue(s.disconnect)
	if err := s.connect(ctx, cfg); err != nil {
		s.end()
		return nil, err
	}
	local := s.member != nil ||
		slices.ContainsFunc(cfg.Endpoints, func(e string) bool { return strings.HasPrefix(e, socketScheme) })
	s.outage.isHere = func() bool {
		return local && (s.member != nil || s.client.ActiveConnection().GetState() == connectivity.Ready)
	}
	if err := s.await(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// await waits until the store answers, and learns what it takes.
func (s *Store) await(ctx context.Context) error {
	for {
		_, err := s.Revision(ctx)
		if err == nil && s.member == nil {
			s.most, err = s.probeOperations(ctx)
		}
		if !errors.Is(err, ErrUnavailable) {
			return err
		}
		select {
		case <-time.After(longestPause):
		case <-ctx.Done():
			return err
		}
	}
}

func (s *Store) connect(ctx context.Context, cfg Config) (err error) {
	switch {
	case len(cfg.Endpoints) > 0:
		s.client, err = dial(cfg)
	case cfg.Dir != "":
		if s.member, err = startMember(ctx, cfg); err == nil {
			s.client = s.member.client()
		}
	default:
		err = errors.New("store: no data directory and no etcd endpoints: set one of them")
	}
	return err
}

func dial(cfg Config) (*clientv3.Client, error) {
	client, err := clientv3.New(clientv3.Config{
		Endpoints:            cfg.Endpoints,
		TLS:                  cfg.TLS,
		DialKeepAliveTime:    probeEvery,
		DialKeepAliveTimeout: probeTimeout,
		Logger:               zap.New(zapCore{log: cfg.Logger}),
		DialOptions: []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{BaseDelay: longestPause, Multiplier: 1.6, Jitter: 0.2, MaxDelay: probeTimeout},
		})},
	})
	if err != nil {
		return nil, fmt.Errorf("store: connect to etcd at %q: %w", cfg.Endpoints, err)
	}
	return client, nil
}

// Close waits for the requests under way, which it interrupts, and stops the embedded member. Every later call
// returns ErrClosed, but for Close itself. Followers return, and leases are no longer renewed.
func (s *Store) Close() error { return s.close() }

func (s *Store) disconnect() error {
	s.end()
	s.busy.Lock()
	defer s.busy.Unlock()
	err := s.client.Close()
	if errors.Is(err, context.Canceled) {
		err = nil // what a client that is now closed reports of itself
	}
	if s.member != nil {
		err = errors.Join(err, s.member.stop())
	}
	return err
}

// Revision is the newest revision of the store.
func (s *Store) Revision(ctx context.Context) (int64, error) {
	resp, err := s.do(ctx, "read the newest revision", clientv3.OpGet(root, clientv3.WithCountOnly()))
	if err != nil {
		return 0, err
	}
	return resp.Get().Header.Revision, nil
}

// Compact forgets how things were before a revision; how they are is untouched. A follower that was further behind
// starts over with a Reset. The embedded member compacts by itself and keeps the last 10,000 revisions.
func (s *Store) Compact(ctx context.Context, revision int64) error {
	what := fmt.Sprintf("compact to revision %d", revision)
	_, err := call(ctx, s, what, func(ctx context.Context) (*clientv3.CompactResponse, error) {
		return s.client.Compact(ctx, revision)
	})
	return err
}

func (s *Store) do(ctx context.Context, what string, op clientv3.Op) (clientv3.OpResponse, error) {
	return call(ctx, s, what, func(ctx context.Context) (clientv3.OpResponse, error) { return s.client.Do(ctx, op) })
}

// call makes one request to etcd: never on a closed store, interrupted by Close and by silence, its error in this
// package's words.
func call[R any](ctx context.Context, s *Store, what string, request func(context.Context) (R, error)) (R, error) {
	s.busy.RLock()
	defer s.busy.RUnlock()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.ctx, func() { cancel(nil) })()
	if s.ctx.Err() != nil {
		var none R
		return none, fmt.Errorf("store: %s: %w", what, ErrClosed)
	}
	defer s.outage.guard(cancel)()
	resp, err := request(ctx)
	if err != nil && context.Cause(ctx) == errSilent {
		err = errSilent
	}
	if err != nil {
		err = s.explain(what, err)
	}
	s.outage.note(s.log, err)
	return resp, err
}

// IsEmpty reports whether nothing has ever been put into the store: no object, and no entry of an index.
func (s *Store) IsEmpty(ctx context.Context) (bool, error) {
	for _, prefix := range []string{"object/", "index/"} {
		in := under(root + prefix)
		resp, err := s.do(ctx, "look whether the store is empty", clientv3.OpGet(in.start, clientv3.WithRange(in.end),
			clientv3.WithLimit(1), clientv3.WithKeysOnly()))
		if err != nil {
			return false, err
		}
		if len(resp.Get().Kvs) > 0 {
			return false, nil
		}
	}
	return true, nil
}
