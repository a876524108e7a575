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
	}
	return nil, n
}

// queue is bytes that were put down in one place and are taken in another, in blocks.
type queue struct {
	blocks []*block
	size   int
}

// push appends p. Where bytes gather, because they come faster than they are taken, the blocks are large.
func (q *queue) push(m *Memory, p []byte) {
	q.size += len(p)
	if n := len(q.blocks); n > 0 {
		last := q.blocks[n-1]
		fits := min(len(p), cap(last.data)-len(last.data))
		last.data = append(last.data, p[:fits]...)
		if p = p[fits:]; len(p) == 0 {
			return
		}
	}
	size := len(p)
	if len(q.blocks) > 0 {
		size = largeBlock
	}
	b := m.get(size)
	b.data = append(b.data, p...)
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
	to.data = append(to.data, b.data...)
	m.put(b)
	return to
}
