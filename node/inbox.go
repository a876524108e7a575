package node

import (
	"sync"

	"pergola/store"
)

// inbox holds what the store has said and the node has not applied yet. While one snapshot is being applied, all that
// arrives becomes the next.
type inbox struct {
	arrived chan struct{}

	mu      sync.Mutex // guards pending
	pending store.Batch
}

func newInbox() inbox { return inbox{arrived: make(chan struct{}, 1)} }

func (i *inbox) add(batch store.Batch) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if batch.Reset {
		i.pending = batch
	} else {
		i.pending.Revision = batch.Revision
		i.pending.Changes = append(i.pending.Changes, batch.Changes...)
	}
	select {
	case i.arrived <- struct{}{}:
	default:
	}
}

func (i *inbox) take() store.Batch {
	i.mu.Lock()
	defer i.mu.Unlock()
	batch := i.pending
	i.pending = store.Batch{Revision: batch.Revision}
	return batch
}
