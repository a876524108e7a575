package store

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/fileutil"
	"go.etcd.io/etcd/client/pkg/v3/types"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/config"
	"go.etcd.io/etcd/server/v3/etcdserver"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3compactor"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3rpc"
	"go.etcd.io/etcd/server/v3/features"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"google.golang.org/grpc"
)

const (
	memberName   = "pergola"
	tick         = 10 * time.Millisecond
	electionTick = 5 // a lone member has nobody to wait for: 50 ms

	maxTxnOps       = 4096
	maxRequestBytes = 3 << 19 // 1.5 MiB, etcd's default
	keptRevisions   = 10_000
	maxStreams      = 1 << 20 // of one connection, over which a process has all its requests and watches

	// segmentSize is how much disk etcd reserves for its log at a time; it has two such files at least. Its own default is
	// four times as much, which is a lot for a small disk.
	segmentSize = 16 << 20
	// keptFiles is how many files of the log, and snapshots, are kept of those that a start needs no more.
	keptFiles = 2
	// snapshotEvery is after how many changes etcd takes a snapshot, up to which the log is not needed any more, nor the
	// changes in memory. keptEntries are left there for members that are behind; there are none.
	snapshotEvery = 2000
	keptEntries   = 100
)

// setSegmentSize sets it once, since it is one for all members of a process.
var setSegmentSize = sync.OnceFunc(func() { wal.SegmentSizeBytes = segmentSize })

// member is the etcd server inside this process. It is the server alone, without the listeners that etcd's own
// embedding starts: a single member has no peers, and its clients are in the process, or reach it by a Unix socket.
type member struct {
	server *etcdserver.EtcdServer
	lock   *fileutil.LockedFile
	disk   *disk
	rpc    *grpc.Server // nil without a socket
	served sync.WaitGroup
}

func startMember(ctx context.Context, cfg Config) (*member, error) {
	setSegmentSize()
	lock, err := lockDir(cfg.Dir)
	if err != nil {
		return nil, err
	}
	m := &member{lock: lock, disk: openDisk(cfg)}
	words := &lastWords{failed: cfg.Failed}
	m.server, err = newServer(cfg, words)
	if errors.Is(err, ErrDamaged) {
		// What etcd had opened before it gave up stays open and would make a second attempt in this process wait
		// for ever. The lock stays too, so that such an attempt fails at once.
		m.disk.close()
		return nil, fmt.Errorf("store: open %s: %w", cfg.Dir, err)
	}
	if err != nil {
		m.disk.close()
		return nil, errors.Join(fmt.Errorf("store: open %s: %w", cfg.Dir, err), lock.Close())
	}
	m.server.Start()
	select {
	case <-m.server.ReadyNotify():
		words.started.Store(true)
		return m, m.listen(cfg.Socket)
	case <-m.server.StopNotify():
		err = errors.New("etcd stopped while starting")
	case <-ctx.Done():
		err = ctx.Err()
	}
	return nil, errors.Join(fmt.Errorf("store: start on %s: %w", cfg.Dir, err), m.stop())
}

// listen answers at a Unix socket what etcd answers at its client URLs.
func (m *member) listen(path string) error {
	if path == "" {
		return nil
	}
	listener, err := listenUnix(path)
	if err != nil {
		return errors.Join(fmt.Errorf("store: %w", err), m.stop())
	}
	m.rpc = v3rpc.Server(m.server, nil, nil)
	m.served.Go(func() { _ = m.rpc.Serve(listener) }) // it ends with stop
	return nil
}

// lastWords is what happens to etcd's way of giving up, which is to end the process: a panic, which is an error of Open
// while the member starts, and what Config says afterwards.
type lastWords struct {
	failed  func(error)
	started atomic.Bool
}

// OnWrite is called for a fatal message that was logged.
func (w *lastWords) OnWrite(entry *zapcore.CheckedEntry, fields []zapcore.Field) {
	reason := errors.New("etcd: " + entry.Message)
	for _, field := range fields {
		if err, ok := field.Interface.(error); ok && field.Key == "error" {
			reason = fmt.Errorf("etcd: %s: %w", entry.Message, err)
		}
	}
	if w.started.Load() && w.failed != nil {
		w.failed(reason)
	}
	panic(reason)
}

// lockDir makes the directory private and keeps other processes out: etcd itself would wait for them in silence.
func lockDir(dir string) (*fileutil.LockedFile, error) {
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		err = os.Chmod(dir, 0o700)
	}
	if err != nil {
		return nil, fmt.Errorf("store: prepare the data directory: %w", err)
	}
	lock, err := fileutil.TryLockFile(filepath.Join(dir, "lock"), os.O_WRONLY|os.O_CREATE, 0o600)
	if errors.Is(err, fileutil.ErrLocked) {
		return nil, fmt.Errorf("store: data directory %s is in use; stop the process that uses it, or choose another directory", dir)
	}
	if err != nil {
		return nil, fmt.Errorf("store: lock the data directory: %w", err)
	}
	return lock, nil
}

// newServer turns etcd's way of giving up on a damaged directory, which is to end the process or panic, into an error.
func newServer(cfg Config, words *lastWords) (server *etcdserver.EtcdServer, err error) {
	log := zap.New(zapCore{log: cfg.Logger}, zap.WithFatalHook(words), zap.WithPanicHook(words))
	defer func() {
		if p := recover(); p != nil {
			err = givenUp(cfg.Dir, p)
		}
	}()
	if err := verify(cfg.Dir); err != nil {
		return nil, err
	}
	return etcdserver.NewServer(serverConfig(cfg, log))
}

// roomToRepair is how much must be free for the end of a log that a full disk cut to be mended, which writes a copy of
// it.
const roomToRepair = segmentSize + 1<<20

// givenUp tells damaged data from a disk that does not take what a start has to write.
func givenUp(dir string, problem any) error {
	err, ok := problem.(error)
	if !ok {
		err = fmt.Errorf("%v", problem)
	}
	if free, _, unknown := space(dir); isFull(err) || unknown == nil && free < roomToRepair {
		return fmt.Errorf("%w: %w", ErrDiskFull, err)
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

func serverConfig(cfg Config, log *zap.Logger) config.ServerConfig {
	// A member must have a peer URL to be known by. Nothing listens there, and nothing dials it.
	peer := types.URLs{url.URL{Scheme: "http", Host: "127.0.0.1:2380"}}
	return config.ServerConfig{
		Name:                memberName,
		DataDir:             cfg.Dir,
		PeerURLs:            peer,
		InitialPeerURLsMap:  types.URLsMap{memberName: peer},
		InitialClusterToken: memberName,
		NewCluster:          true,
		TickMs:              uint(tick.Milliseconds()),
		ElectionTicks:       electionTick,
		PreVote:             true,
		UnsafeNoFsync:       cfg.NoSync,

		MaxTxnOps:               maxTxnOps,
		MaxRequestBytes:         maxRequestBytes,
		MaxConcurrentStreams:    maxStreams,
		AutoCompactionMode:      v3compactor.ModeRevision,
		AutoCompactionRetention: keptRevisions, // in this mode etcd reads the duration as a count

		SnapshotCount:               snapshotEvery,
		SnapshotCatchUpEntries:      keptEntries,
		MaxSnapFiles:                keptFiles,
		MaxWALFiles:                 keptFiles,
		WarningApplyDuration:        100 * time.Millisecond,
		WarningUnaryRequestDuration: time.Second,
		CompactHashCheckTime:        time.Minute,
		DowngradeCheckTime:          time.Hour,
		V2Deprecation:               config.V2DeprDefault,
		ServerFeatureGate:           features.NewDefaultServerFeatureGate(memberName, log),
		BcryptCost:                  10, // unused without etcd's own users, but etcd checks it
		Metrics:                     "basic",
		Logger:                      log,
	}
}

func (m *member) client() *clientv3.Client { return v3client.New(m.server) }

func (m *member) stop() error {
	if m.rpc != nil {
		m.rpc.Stop()
		m.served.Wait()
	}
	m.server.Stop()
	m.disk.close()
	return m.lock.Close()
}
