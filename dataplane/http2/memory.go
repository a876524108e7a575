package http2

import "sync"

// The sizes of buffers. A frame of the largest size fits into the second.
const (
	smallBlock  = 4 << 10
	mediumBlock = 32 << 10
	largeBlock  = 128 << 10
)

// Memory recycles the buffers and the streams of connections. Share one among all connections of a process. The zero value is ready.
type Memory struct {
	small, medium, large sync.Pool
	streams              sync.Pool
}

// block is a buffer that is filled from the front; it goes back to its pool by pointer, so that returning it does not
// allocate.
type block struct {
	data []byte // as much of its memory as is filled
	held int64  // what it counts for, where it is counted
}

// get returns an empty block with room for n bytes.
func (m *Memory) get(n int) *block {
	pool, size := m.class(n)
	if pool == nil {
		return &block{data: make([]byte, 0, n)}
	}
	if b, ok := pool.Get().(*block); ok {
		return b
	}
	return &block{data: make([]byte, 0, size)}
}

func (m *Memory) put(b *block) {
	if b == nil {
		return
	}
	if pool, size := m.class(cap(b.data)); pool != nil && size == cap(b.data) {
		b.data, b.held = b.data[:0], 0
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

// queue is bytes that were put down in one place and are taken in another, in blocks.
type queue struct {
	blocks []*block
	size   int
}

// fill puts as much of p as fits into the last block, and returns the rest.
func (q *queue) fill(p []byte) []byte {
	n := len(q.blocks)
	if n == 0 {
		return p
	}
	last := q.blocks[n-1]
	fits := min(len(p), cap(last.data)-len(last.data))
	last.data = append(last.data, p[:fits]...)
	q.size += fits
	return p[fits:]
}

// add puts a block behind the others.
func (q *queue) add(b *block) {
	q.size += len(b.data)
	q.blocks = append(q.blocks, b)
}

// pop takes the first block; there must be one.
func (q *queue) pop() *block {
	b := q.blocks[0]
	q.size -= len(b.data)
	n := copy(q.blocks, q.blocks[1:])
	q.blocks[n] = nil
	q.blocks = q.blocks[:n]
	return b
}

// drop gives all back.
func (q *queue) drop(m *Memory) {
	for q.size > 0 {
		m.put(q.pop())
	}
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
	to.data, to.held = append(to.data, b.data...), b.held
	m.put(b)
	return to
}
