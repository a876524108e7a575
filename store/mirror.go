package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// errSingle refuses what a Mirror cannot do.
var errSingle = errors.New("a Mirror reads single objects, of its own kinds")

// Mirror is a copy in memory of the objects of some kinds, as a follower was told of them. Looking at it asks nobody,
// and goes on while the store is away.
type Mirror struct {
	kinds []string

	mu     sync.RWMutex
	values map[string]string // by key
}

// NewMirror makes an empty mirror for kinds with some names.
func NewMirror(kinds ...string) *Mirror { return &Mirror{kinds: kinds, values: map[string]string{}} }

// holds reports whether a key is that of an object of one of the kinds.
func (m *Mirror) holds(key string) bool {
	object, ok := strings.CutPrefix(key, "object/")
	kind, _, _ := strings.Cut(object, "/")
	return ok && slices.Contains(m.kinds, kind)
}

// Note learns what a follower of all objects was told.
func (m *Mirror) Note(batch Batch) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if batch.Reset {
		clear(m.values)
	}
	for _, change := range batch.Changes {
		switch {
		case !m.holds(change.Key):
		case change.Value == nil:
			delete(m.values, change.Key)
		default:
			m.values[change.Key] = string(change.Value)
		}
	}
}

// View runs f on the objects as they were at the last change. f must not write, and reads single objects of the
// mirror's kinds, with Get. No change is taken in while f runs.
func (m *Mirror) View(f func(*Tx) error) error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	tx := newTx(context.Background(), nil, false)
	tx.mirror = m
	_, err := tx.run(f)
	return err
}

// get is the value of a key of the mirror, which is locked.
func (m *Mirror) get(key string) (string, error) {
	if !m.holds(key) {
		return "", fmt.Errorf("store: read %s: %w", key, errSingle)
	}
	value, ok := m.values[key]
	if !ok {
		return "", fmt.Errorf("%s: %w", key, ErrNotFound)
	}
	return value, nil
}
