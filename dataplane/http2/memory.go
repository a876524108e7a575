package http2

import "sync"

// The sizes of buffers. A frame of the largest size fits into the second.
const (
	smallBlock  = 4 << 10
	mediumBlock = 32 << 10
	largeBlock  = 128 << 10
	hugeBlock   = 512 << 10
)

// Memory recycles the buffers and the streams of connections. Share one among all connections of a process. The zero value is ready.
type Memory struct {
	small, medium, large, huge sync.Pool
	streams                    sync.Pool
}

// block is a buffer that is filled from the front; it goes back to its pool by pointer, so that returning it does not
// allocate.
type block struct {
	data []byte // as much of its memory as is filled
}

// get returns an empty block with room for n bytes.
func (m *Memory) get(n int) *block {
	pool, size := m.class(n)
	if pool == nil {
		return &block{make([]byte, 0, n)}
	}
	if b, ok := pool.Get().(*block); ok {
		return b
	}
	return &block{make([]byte, 0, size)}
}

func (m *Memory) put(b *block) {
	if b == nil {
		return
	}
	if pool, size := m.class(cap(b.data)); pool != nil && size == cap(b.data) {
		b.data = b.data[:0]
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
	case n <= hugeBlock:
		return &m.huge, hugeBlock
	}
	return nil, n
}

// room returns a block with what is in b, nil or not, and room for n more bytes.
func (m *Memory) room(b *block, n int) *block {
	if b == nil {
		return m.get(n)
	}
	if len(b.data)+n <= cap(b.data) {
		return b
	}
	to := m.get(len(b.data) + n)
	to.data = append(to.data, b.data...)
	m.put(b)
	return to
}
