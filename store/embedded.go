package store

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/fileutil"
	"go.etcd.io/etcd/client/pkg/v3/types"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/config"
	"go.etcd.io/etcd/server/v3/etcdserver"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3compactor"
	"go.etcd.io/etcd/server/v3/features"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

const (
	memberName   = "pergola"
	tick         = 10 * time.Millisecond
	electionTick = 5 // a lone member has nobody to wait for: 50 ms

	maxTxnOps       = 4096
	maxRequestBytes = 3 << 19 // 1.5 MiB, etcd's default
	keptRevisions   = 10_000
)

// member is the etcd server inside this process. It is the server alone, without the listeners that etcd's own
// embedding starts: a single member has no peers, and its only client is in the process.
type member struct {
	server *etcdserver.EtcdServer
	lock   *fileutil.LockedFile
}

func startMember(ctx context.Context, cfg Config) (*member, error) {
	lock, err := lockDir(cfg.Dir)
	if err != nil {
		return nil, err
	}
	server, err := newServer(cfg)
	if errors.Is(err, errDamaged) {
		// What etcd had opened before it gave up stays open and would make a second attempt in this process wait
		// for ever. The lock stays too, so that such an attempt fails at once.
		return nil, fmt.Errorf("store: open %s: %w", cfg.Dir, err)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("store: open %s: %w", cfg.Dir, err), lock.Close())
	}
	m := &member{server: server, lock: lock}
	server.Start()
	select {
	case <-server.ReadyNotify():
		return m, nil
	case <-server.StopNotify():
		err = errors.New("etcd stopped while starting")
	case <-ctx.Done():
		err = ctx.Err()
	}
	return nil, errors.Join(fmt.Errorf("store: start on %s: %w", cfg.Dir, err), m.stop())
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

var errDamaged = errors.New("the data is damaged; restore a backup, or move the directory away to start empty")

// newServer turns etcd's way of giving up on a damaged directory, which is to end the process or panic, into an error.
func newServer(cfg Config) (server *etcdserver.EtcdServer, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errDamaged, p)
		}
	}()
	return etcdserver.NewServer(serverConfig(cfg))
}

func serverConfig(cfg Config) config.ServerConfig {
	log := zap.New(zapCore{log: cfg.Logger}, zap.WithFatalHook(zapcore.WriteThenPanic))
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
		AutoCompactionMode:      v3compactor.ModeRevision,
		AutoCompactionRetention: keptRevisions, // in this mode etcd reads the duration as a count

		SnapshotCount:          etcdserver.DefaultSnapshotCount,
		SnapshotCatchUpEntries: etcdserver.DefaultSnapshotCatchUpEntries,
		MaxSnapFiles:           5,
		MaxWALFiles:            5,
		WarningApplyDuration:   100 * time.Millisecond,
		CompactHashCheckTime:   time.Minute,
		DowngradeCheckTime:     time.Hour,
		V2Deprecation:          config.V2DeprDefault,
		ServerFeatureGate:      features.NewDefaultServerFeatureGate(memberName, log),
		BcryptCost:             10, // unused without etcd's own users, but etcd checks it
		Metrics:                "basic",
		Logger:                 log,
	}
}

func (m *member) client() *clientv3.Client { return v3client.New(m.server) }

func (m *member) stop() error {
	m.server.Stop()
	return m.lock.Close()
}
