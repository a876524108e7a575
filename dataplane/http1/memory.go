package http1

import (
	"sync"

	"pergola/bound"
)

// The sizes of buffers. The smallest takes nearly every head; the largest takes the largest head that is allowed, and a
// good mouthful of a long body.
const (
	smallBlock  = 4 << 10
	mediumBlock = 16 << 10
	largeBlock  = 64 << 10
)

// Memory recycles the buffers of connections. Share one among all connections of a process. The zero value is ready.
type Memory struct {
	small, medium, large sync.Pool
}

// block is a buffer that goes back to its pool as it came, by pointer, so that returning it does not allocate.
type block struct {
	data  []byte
	share *bound.Share // on which it counts
	held  int64        // for so many bytes
}

// get returns a block of at least n bytes. Beyond largeBlock it is made to measure and not kept.
func (m *Memory) get(n int) *block {
	pool, size := m.class(n)
	if pool == nil {
		return &block{data: make([]byte, n)}
	}
	if b, ok := pool.Get().(*block); ok {
		return b
	}
	return &block{data: make([]byte, size)}
}

func (m *Memory) put(b *block) {
	if b.held > 0 {
		b.share.Give(b.held)
		b.share, b.held = nil, 0
	}
	if pool, size := m.class(len(b.data)); pool != nil && size == len(b.data) {
		pool.Put(b)
	}
}

func (m *Memory) class(n int) (pool *sync.Pool, size int) {
	switch {
	case n <= smallBlock:
		return &m.small, smallBlock
	case n <= mediumBlock:
		return &m.medium, mediumBlock
	case n <= largeBlock:
		return &m.large, largeBlock
	}
	return nil, n
}
