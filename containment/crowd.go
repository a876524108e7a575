package containment

import (
	"container/list"
	"net"
	"sync"
	"syscall"
)

// Descriptors is how many files this process may have open. Go has raised the soft limit to the hard one at the start.
func Descriptors() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fewDescriptors
	}
	return int(min(limit.Cur, manyDescriptors))
}

// The limits of descriptors that are believed: the first where the system does not say, the second where it has none.
const (
	fewDescriptors  = 256
	manyDescriptors = 1 << 20
)

// The part of its descriptors that a process keeps from its clients, for files and sockets of its own: an eighth,
// within these bounds, but never more than half.
const (
	leastReserve = 64
	mostReserve  = 4096
)

// ForClients is how many of so many descriptors clients may use.
func ForClients(descriptors int) int {
	reserve := min(max(descriptors/8, leastReserve), mostReserve)
	return max(descriptors-reserve, descriptors/2)
}

// Portion is how many descriptors one use of them may take: so many, and no more than a part of all that the process
// may have. All uses together leave some for files and sockets of the process's own.
func Portion(most, part int) int { return max(1, min(most, Descriptors()/part)) }

// Crowd bounds the connections of a server. When one more comes, the one that has been quiet for longest gives way, so
// that clients who only hold on keep nobody out. Its methods may be called at the same time.
type Crowd struct {
	most int

	mu    sync.Mutex // guards what follows
	known map[net.Conn]*list.Element
	quiet list.List // of net.Conn, longest first
}

// NewCrowd makes a Crowd of so many connections.
func NewCrowd(most int) *Crowd {
	return &Crowd{most: most, known: map[net.Conn]*list.Element{}}
}

// Quiet says that a connection is there, and that its client has asked for nothing that is not done.
func (c *Crowd) Quiet(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.known[conn]; e != nil {
		c.quiet.Remove(e)
	}
	c.known[conn] = c.quiet.PushBack(conn)
	for len(c.known) > c.most && c.quiet.Len() > 0 {
		longest := c.quiet.Remove(c.quiet.Front()).(net.Conn)
		delete(c.known, longest)
		_ = longest.Close() // who serves it meets that
	}
}

// Busy says that a connection's client is being served.
func (c *Crowd) Busy(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.known[conn]; ok && e != nil {
		c.quiet.Remove(e)
		c.known[conn] = nil
	}
}

// Gone says that a connection is closed.
func (c *Crowd) Gone(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.known[conn]; e != nil {
		c.quiet.Remove(e)
	}
	delete(c.known, conn)
}
