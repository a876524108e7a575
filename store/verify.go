package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/server/v3/storage/datadir"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.uber.org/zap"
)

// ErrDamaged is wrapped when the files of the embedded member cannot be what it has written. Nothing is changed or
// removed.
var ErrDamaged = errors.New("the data is damaged; restore a backup, or move the directory away to start empty")

// boltPatience is how long another process may hold the database.
const boltPatience = 2 * time.Second

// verify compares the log of a member with its database. etcd itself starts with a log that ends too early, and then
// waits for ever for what it does not have.
func verify(dir string) (err error) {
	database := datadir.ToBackendFileName(dir)
	if _, err := os.Stat(database); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	// What a cut file lacks is a fault of memory, since the database is mapped.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	applied, err := appliedIn(database)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrDamaged, database, err)
	}
	logged, err := loggedIn(datadir.ToWALDir(dir))
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrDamaged, datadir.ToWALDir(dir), err)
	}
	if logged < applied {
		return fmt.Errorf("%w: %s: the log ends at entry %d, and the database has %d", ErrDamaged, datadir.ToWALDir(dir),
			logged, applied)
	}
	return nil
}

// appliedIn is the last entry of the log that a database has.
func appliedIn(database string) (index uint64, err error) {
	db, err := bolt.Open(database, 0o600, &bolt.Options{ReadOnly: true, Timeout: boltPatience})
	if err != nil {
		return 0, err
	}
	defer db.Close()
	err = db.View(func(tx *bolt.Tx) error {
		if meta := tx.Bucket([]byte("meta")); meta != nil {
			if value := meta.Get([]byte("consistent_index")); len(value) == 8 {
				index = binary.BigEndian.Uint64(value)
			}
		}
		return nil
	})
	return index, err
}

// loggedIn is the last entry that a log has.
func loggedIn(dir string) (uint64, error) {
	if segments, _ := filepath.Glob(filepath.Join(dir, "*.wal")); len(segments) == 0 {
		return 0, errors.New("the log is missing")
	}
	log := zap.NewNop()
	snapshots, err := wal.ValidSnapshotEntries(log, dir)
	if err != nil {
		return 0, err
	}
	var last walpb.Snapshot
	if len(snapshots) > 0 {
		last = snapshots[len(snapshots)-1]
	}
	opened, err := wal.OpenForRead(log, dir, last)
	if err != nil {
		return 0, err
	}
	defer opened.Close()
	_, _, entries, err := opened.ReadAll()
	switch {
	case err != nil:
		return 0, err
	case len(entries) == 0:
		return last.Index, nil
	}
	return entries[len(entries)-1].Index, nil
}
