package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/fileutil"
	"golang.org/x/sys/unix"
)

// What the embedded member wants of its disk. etcd ends its process when it cannot write, so writes are refused before.
const (
	// lowSpace is what must be free for writes to be taken: the next file of etcd's log, and as much for its database.
	lowSpace = 2 * segmentSize
	// reserveSize is the length of the file that is let go when the disk is full, so that the store can be opened and
	// read, and that objects can be deleted.
	reserveSize = 64 << 20
	// reserveShare is the largest part of a small disk that the reserve takes, and lowSpace is half of it there. But
	// neither is less than a start needs, for which etcd makes the next file of its log.
	reserveShare = 8
	// lookEvery is how often the disk is looked at. Each write looks at it too.
	lookEvery = time.Second
)

// ErrDiskFull is wrapped when the disk of the data directory has no room for a write. Nothing was written.
var ErrDiskFull = errors.New("the disk of the data directory is full")

// MakingRoom marks a context for Update: what is written with it is taken on a full disk too, out of the reserve,
// because it deletes, or completes what was begun.
func MakingRoom(ctx context.Context) context.Context {
	return context.WithValue(ctx, makingRoom{}, true)
}

type makingRoom struct{}

// disk watches the disk of a member, and keeps a reserve on it.
type disk struct {
	dir          string
	log          *slog.Logger
	low, reserve int64
	stop         chan struct{}
	stopped      sync.WaitGroup

	mu      sync.Mutex // guards what follows
	full    bool
	told    bool // that it is full
	kept    bool // the reserve is there
	starved bool // nothing was free at the last look
}

// openDisk begins to watch a disk, and takes the reserve if there is room. What is full already lends the reserve to
// the start.
func openDisk(cfg Config) *disk {
	d := &disk{dir: cfg.Dir, log: cfg.Logger, low: lowSpace, reserve: reserveSize, stop: make(chan struct{})}
	if _, total, err := space(cfg.Dir); err == nil {
		d.low, d.reserve = portions(total)
	}
	info, err := os.Stat(d.path())
	d.kept = err == nil && info.Size() >= d.reserve
	d.full = !d.kept
	d.look(d.isLow())
	d.stopped.Go(d.watch)
	return d
}

// portions are how much of a disk must stay free, and how much of it the reserve takes.
func portions(total int64) (low, reserve int64) {
	reserve = min(reserveSize, max(total/reserveShare, 2*segmentSize))
	return min(lowSpace, max(reserve/2, roomToRepair)), reserve
}

func (d *disk) path() string { return filepath.Join(d.dir, "reserve") }

func (d *disk) watch() {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			d.look(false)
		case <-d.stop:
			return
		}
	}
}

func (d *disk) close() {
	close(d.stop)
	d.stopped.Wait()
}

func (d *disk) isLow() bool {
	free, _, err := space(d.dir)
	return err == nil && free < d.low
}

// look sees how the disk is, takes the reserve where there is room for it, and lets it go where it is needed, or where
// there has been nothing else for a while. A disk that cannot be asked counts as it was.
func (d *disk) look(needed bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	free, _, err := space(d.dir)
	if err != nil {
		return
	}
	lent := d.reserve
	if d.kept {
		lent = 0
	}
	switch {
	case free >= 2*d.low+lent && d.full:
		if d.take() {
			d.full = false
		}
	case free < d.low:
		d.full = true
	}
	d.tell(free)
	starving := free < d.low/lowSpaceStarving
	if d.kept && d.full && (needed || starving && d.starved) {
		if err := os.Remove(d.path()); err == nil {
			d.kept = false
		}
	}
	d.starved = starving
}

// tell logs that the disk has become full, or has room again. The caller holds mu.
func (d *disk) tell(free int64) {
	switch {
	case d.full == d.told:
	case d.full:
		d.log.Error("store: writes are refused: the disk of the data directory is full: " + d.text(free))
	default:
		d.log.Info("store: writes are taken: the disk of the data directory has room again", "directory", d.dir)
	}
	d.told = d.full
}

// lowSpaceStarving is the part of what must be free below which etcd itself may fail.
const lowSpaceStarving = 8

// take writes the reserve, unless it is there. The caller holds mu.
func (d *disk) take() bool {
	if d.kept {
		return true
	}
	file, err := os.OpenFile(d.path(), os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		err = errors.Join(fileutil.Preallocate(file, d.reserve, true), file.Close())
	}
	if err != nil {
		_ = os.Remove(d.path())
		return false
	}
	d.kept = true
	return true
}

// admit says whether there is room for a write.
func (d *disk) admit(ctx context.Context) error {
	room := ctx.Value(makingRoom{}) != nil
	d.look(room)
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.full || room {
		return nil
	}
	free, _, _ := space(d.dir)
	return fmt.Errorf("store: %w: %s", ErrDiskFull, d.text(free))
}

// text says how full the disk is, and what to do.
func (d *disk) text(free int64) string {
	return fmt.Sprintf("%d MiB are free at %s, and writes are taken again when there are %d: remove what is not needed "+
		"there, or enlarge the disk; objects can be read and deleted meanwhile",
		free>>20, d.dir, (2*d.low+d.reserve)>>20)
}

// space is what a disk has free for a user without privileges, and in all, in bytes.
func space(dir string) (free, total int64, err error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		return 0, 0, err
	}
	return int64(stat.Bavail) * int64(stat.Bsize), int64(stat.Blocks) * int64(stat.Bsize), nil
}

// isFull reports whether an error says that a disk is full. That of etcd may have it as text only.
func isFull(err error) bool {
	return errors.Is(err, ErrDiskFull) || errors.Is(err, syscall.ENOSPC) ||
		strings.Contains(err.Error(), syscall.ENOSPC.Error())
}
