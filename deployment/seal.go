package deployment

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"pergola/sealing"
	"pergola/store"
)

// keyFile is the name of the sealing key in the data directory.
const keyFile = "sealing.key"

// seals has the one constant that tells whether a key is that of the store.
var seals = store.NewIndex("seal")

const theSeal = "deployment"

// ErrOtherKey is wrapped when the sealing key is missing, or is not that of the store.
var ErrOtherKey = errors.New("the sealing key does not belong to the store")

// openBox opens the box with the key of a store.
func openBox(ctx context.Context, s *store.Store, dir string) (*sealing.Box, error) {
	path := filepath.Join(dir, keyFile)
	box, err := sealing.Open(path)
	if err != nil {
		return nil, missingKey(path, err)
	}
	return box, s.View(ctx, func(tx *store.Tx) error {
		sealed, err := seals.Get(tx, theSeal)
		if err == nil && !box.OpensConstant([]byte(sealed)) {
			err = otherKey(path)
		}
		return err
	})
}

// makeBox is openBox for the process that may make a deployment: for an empty store it makes a key. Of several that
// share a store, the first one's key is that of the store.
func makeBox(ctx context.Context, s *store.Store, dir string) (*sealing.Box, error) {
	path := filepath.Join(dir, keyFile)
	empty, err := s.IsEmpty(ctx)
	if err != nil {
		return nil, err
	}
	box, err := sealing.Open(path)
	made := errors.Is(err, fs.ErrNotExist) && empty
	if made {
		box, err = sealing.Make(path)
	}
	if err != nil {
		return nil, missingKey(path, err)
	}
	_, err = s.Update(ctx, func(tx *store.Tx) error {
		sealed, err := seals.Get(tx, theSeal)
		switch {
		case errors.Is(err, store.ErrNotFound):
			return seals.Put(tx, theSeal, string(box.SealConstant()))
		case err == nil && !box.OpensConstant([]byte(sealed)):
			return otherKey(path)
		}
		return err
	})
	if err != nil && made && !errors.Is(err, store.ErrUncertain) {
		err = errors.Join(err, os.Remove(path)) // another process was first
	}
	return box, err
}

func missingKey(path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s is missing, and the store has secrets that are sealed with it: restore the file from its "+
			"copy, or copy it from the process that shares the store; without it, only an empty data directory helps",
			ErrOtherKey, path)
	}
	return err
}

func otherKey(path string) error {
	return fmt.Errorf("%w: %s is not the key with which it was made: restore the file from its copy, or copy it from "+
		"the process that shares the store", ErrOtherKey, path)
}
