package store

import (
	"context"
	"strings"
	"sync/atomic"
)

// Commits remembers what was committed with a context.
type Commits struct{ newest atomic.Int64 }

type commitsKey struct{}

// WithCommits returns a context with which Update notes in the Commits what it has committed.
func WithCommits(ctx context.Context) (context.Context, *Commits) {
	commits := &Commits{}
	return context.WithValue(ctx, commitsKey{}, commits), commits
}

// Newest is the newest revision that was committed, 0 if none was. Only commits that put or delete objects count:
// nobody follows what is in indexes.
func (c *Commits) Newest() int64 { return c.newest.Load() }

// noteCommit notes a commit for who watches.
func (tx *Tx) noteCommit(revision int64) {
	commits, ok := tx.ctx.Value(commitsKey{}).(*Commits)
	if !ok || !tx.writesObjects() {
		return
	}
	for {
		newest := commits.newest.Load()
		if newest >= revision || commits.newest.CompareAndSwap(newest, revision) {
			return
		}
	}
}

func (tx *Tx) writesObjects() bool {
	const objects = "object/"
	for key := range tx.writes {
		if strings.HasPrefix(key, objects) {
			return true
		}
	}
	for _, in := range tx.cleared {
		if strings.HasPrefix(in.start, objects) {
			return true
		}
	}
	return false
}
