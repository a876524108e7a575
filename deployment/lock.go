package deployment

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// How long a deployment waits for the processes of one that was killed, and how often it looks.
const (
	partsLeave = 10 * time.Second
	lookAgain  = 20 * time.Millisecond
)

// Lock is the right to a data directory.
type Lock struct{ owner, parts *os.File }

// LockDir takes a data directory, which it makes. One that another deployment has is refused; one whose processes have
// lost their supervisor is waited for, since they are about to end.
func LockDir(ctx context.Context, dir string) (*Lock, error) {
	if err := prepare(dir); err != nil {
		return nil, err
	}
	cfg := Config{Dir: dir}
	owner, err := lockFile(ctx, cfg.path("owner.lock"), 0)
	if err != nil {
		return nil, inUse(dir, err)
	}
	parts, err := lockFile(ctx, cfg.path("parts.lock"), partsLeave)
	if err != nil {
		return nil, errors.Join(inUse(dir, err), owner.Close())
	}
	return &Lock{owner, parts}, nil
}

func inUse(dir string, err error) error {
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return fmt.Errorf("data directory %s: a deployment is running on it already; stop it or choose another one "+
			"with --data", dir)
	}
	return err
}

// lockFile takes a lock, and waits for it for so long.
func lockFile(ctx context.Context, path string, patience time.Duration) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return file, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) || ctx.Err() != nil {
			return nil, errors.Join(err, file.Close())
		}
		select {
		case <-time.After(lookAgain):
		case <-ctx.Done():
		}
	}
}

// Parts is what the processes of the parts inherit, so that they are waited for.
func (l *Lock) Parts() *os.File { return l.parts }

// Close gives the directory back. Processes that have inherited Parts keep it until they end.
func (l *Lock) Close() error { return errors.Join(l.owner.Close(), l.parts.Close()) }
