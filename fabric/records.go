package fabric

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// records remember the running programs on disk, one file named by process id for each, which holds the moment the process
// started. The pair names a process for good: an id is given again, but not with the same start.
type records struct {
	dir  string
	lock *os.File // held while the fabric is open, so that nobody ends a living fabric's programs
}

// openRecords takes the state directory and ends the programs that a crashed process left behind.
func openRecords(stateDir string) (*records, error) {
	r := &records{dir: filepath.Join(stateDir, "programs")}
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		return nil, fmt.Errorf("fabric: %w", err)
	}
	var err error
	if r.lock, err = os.OpenFile(filepath.Join(stateDir, "lock"), os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return nil, fmt.Errorf("fabric: %w", err)
	}
	if err := unix.Flock(int(r.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		r.lock.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = ErrInUse
		}
		return nil, fmt.Errorf("fabric: lock %s: %w", stateDir, err)
	}
	if err := r.endOrphans(); err != nil {
		return nil, errors.Join(fmt.Errorf("fabric: end the programs of an earlier process: %w", err), r.close())
	}
	return r, nil
}

func (r *records) endOrphans() error {
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			return fmt.Errorf("%s is not named by a process; remove it", filepath.Join(r.dir, e.Name()))
		}
		r.kill(pid)
		if err := r.remove(pid); err != nil {
			return err
		}
	}
	return nil
}

func (r *records) path(pid int) string { return filepath.Join(r.dir, strconv.Itoa(pid)) }

func (r *records) add(pid int) error {
	start, ok := startOf(pid)
	if !ok {
		return fmt.Errorf("process %d ended before it started a program", pid)
	}
	return os.WriteFile(r.path(pid), []byte(start+"\n"), 0o600)
}

func (r *records) remove(pid int) error {
	if err := os.Remove(r.path(pid)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// kill ends a recorded program with what it has started, if the process is still the one that was recorded.
func (r *records) kill(pid int) {
	recorded, err := os.ReadFile(r.path(pid))
	if err != nil {
		return
	}
	endInit(pid, strings.TrimSpace(string(recorded)))
}

func (r *records) close() error { return r.lock.Close() }
