package functions

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// zipSuffix ends the names of zip files. Beside each lies a directory with what is in it, once it was needed.
const zipSuffix = ".zip"

// ErrNoCode is wrapped when there is no such code. Code that was replaced is removed, also while invocations wait for it.
var ErrNoCode = errors.New("the code is not in the data directory of this process")

// Codes keeps the code of functions in a directory: each zip file once, under its SHA-256, with mode 0600. One process
// puts them there and removes them, and one, which may be another, runs what is in them. The methods may be called at
// the same time.
type Codes struct {
	dir string

	mu    sync.Mutex     // guards what follows, and all unpacked directories
	users map[string]int // how many environments run each code
}

// OpenCodes takes a directory, which it makes if need be.
func OpenCodes(dir string) (*Codes, error) {
	dir, err := filepath.Abs(dir) // functions run in it, and find themselves by it
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return &Codes{dir: dir, users: map[string]int{}}, nil
}

// clear removes what was unpacked by an earlier process: it may not be whole.
func (c *Codes) clear() error {
	return c.each(func(e fs.DirEntry) error {
		if !e.IsDir() {
			return nil
		}
		return os.RemoveAll(filepath.Join(c.dir, e.Name()))
	})
}

// each does something with all that is in the directory.
func (c *Codes) each(do func(fs.DirEntry) error) error {
	entries, err := os.ReadDir(c.dir)
	for _, e := range entries {
		err = errors.Join(err, do(e))
	}
	return err
}

// Put keeps a zip file and returns its SHA-256 in hexadecimal. An error about what is in the file wraps ErrZip.
func (c *Codes) Put(content []byte) (string, error) {
	opened, err := openZip(content)
	if err == nil {
		err = opened.check()
	}
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(content)
	name := hex.EncodeToString(sum[:])
	if _, err := os.Stat(c.zip(name)); err == nil {
		return name, nil
	}
	return name, c.write(name, content)
}

// write makes a file that is there whole and for good, or not at all.
func (c *Codes) write(name string, content []byte) error {
	file, err := os.CreateTemp(c.dir, "new-*") // with mode 0600
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), c.zip(name))
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	dir, err := os.Open(c.dir)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func (c *Codes) zip(name string) string { return filepath.Join(c.dir, name+zipSuffix) }

// Keep removes the zip files whose names are not wanted, and what an interrupted Put has left. What has been unpacked
// of one goes with the last environment that runs it, or when other code is unpacked.
func (c *Codes) Keep(wanted map[string]bool) error {
	return c.each(func(e fs.DirEntry) error {
		name, isZip := strings.CutSuffix(e.Name(), zipSuffix)
		if e.IsDir() || isZip && wanted[name] {
			return nil
		}
		return os.Remove(filepath.Join(c.dir, e.Name()))
	})
}

// sweep removes what was unpacked of zip files that are gone. The caller holds mu.
func (c *Codes) sweep() error {
	return c.each(func(e fs.DirEntry) error {
		if !e.IsDir() {
			return nil
		}
		return c.discard(e.Name())
	})
}

// discard removes what was unpacked of a zip file that is gone, unless somebody runs it. The caller holds mu.
func (c *Codes) discard(name string) error {
	if c.users[name] > 0 {
		return nil
	}
	if _, err := os.Stat(c.zip(name)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.RemoveAll(filepath.Join(c.dir, name))
}

// use returns the directory with what is in a zip file, for an environment to run in until it calls done.
func (c *Codes) use(name string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	dir := filepath.Join(c.dir, name)
	if _, err := os.Stat(dir); err != nil {
		if err := c.unpack(name, dir); err != nil {
			return "", err
		}
	}
	c.users[name]++
	return dir, nil
}

func (c *Codes) unpack(name, dir string) error {
	if err := c.sweep(); err != nil {
		return err
	}
	content, err := os.ReadFile(c.zip(name))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s; update the function's code here", ErrNoCode, name)
	}
	if err != nil {
		return err
	}
	opened, err := openZip(content)
	if err != nil {
		return err
	}
	partial, err := os.MkdirTemp(c.dir, "unpacking-*")
	if err != nil {
		return err
	}
	err = opened.unpack(partial)
	if err == nil {
		err = os.Rename(partial, dir)
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(partial))
	}
	return nil
}

func (c *Codes) done(name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.users[name]--; c.users[name] > 0 {
		return nil
	}
	delete(c.users, name)
	return c.discard(name)
}
