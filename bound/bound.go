// Package bound shares out what there is only so much of, such as connections and memory, so that nobody takes it from
// the others. What each may have follows what is free: who has much is refused while there is still room for those who
// have little.
package bound

import (
	"net"
	"net/netip"
	"sync"
)

// What a group may have is so many times what is free, and more if it is for a member that has little, which is a small
// part of all.
const (
	ofGroup       = 3
	ofGroupLittle = 7
	little        = 256
	// fewest is how much is little where such a part of all is nothing: what a single client of a service opens.
	fewest = 12
)

// Pool is a quantity, such as a number of connections or of bytes, that is shared among groups, such as VPCs, and among
// the members of each group, such as the clients in a VPC.
//
// A group may have three times as much as is free, and a member as much as its group may have beyond what it has. So
// one member alone gets three fifths of all, and its group three quarters. Who has less than a 256th of all may have
// that much even where its group has that, as long as the group does not have seven eighths; where such a part is
// nothing, as of some eighty connections, that is twelve. So a member that wants little gets it, however much its group
// and other groups want. Nothing that was given is taken back. (The idea is that of Choudhury and Hahne, "Dynamic queue
// length thresholds for shared-memory packet switches", 1998.)
//
// Its methods, and those of its Shares, may be called at the same time.
type Pool struct {
	most, each int64

	mu     sync.Mutex // guards what follows, and all Shares
	taken  int64
	groups map[any]*group
}

// group is what the members of a group have.
type group struct {
	taken   int64
	members map[any]*Share
}

// NewPool makes a Pool of so much. No member gets more than each; 0 sets no such bound.
func NewPool(most, each int64) *Pool {
	if each <= 0 {
		each = most
	}
	return &Pool{most: most, each: each, groups: map[any]*group{}}
}

// Share is what one member of a group has of a Pool. Nil has no bound.
type Share struct {
	pool        *Pool
	group       *group
	inGroup, as any // the keys
	taken       int64
	opened      int
}

// Open returns the share of a member of a group, each named by a value that can be compared. Close it as often.
func (p *Pool) Open(inGroup, as any) *Share {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open(inGroup, as)
}

func (p *Pool) open(inGroup, as any) *Share {
	g := p.groups[inGroup]
	if g == nil {
		g = &group{members: map[any]*Share{}}
		p.groups[inGroup] = g
	}
	s := g.members[as]
	if s == nil {
		s = &Share{pool: p, group: g, inGroup: inGroup, as: as}
		g.members[as] = s
	}
	s.opened++
	return s
}

// Enter opens a share and takes one, or returns nil if there is none to be had. Give it back with Leave.
func (p *Pool) Enter(inGroup, as any) *Share {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.open(inGroup, as)
	if !s.take(1) {
		s.close()
		return nil
	}
	return s
}

// Leave gives back what Enter took, and closes the share.
func (s *Share) Leave() {
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	s.opened--
	s.give(1)
}

// Take takes n more, and reports whether they could be had.
func (s *Share) Take(n int64) bool {
	if s == nil || n == 0 {
		return true
	}
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	return s.take(n)
}

// little is how much a member can have beside others that want all.
func (p *Pool) little() int64 {
	if p.most < little {
		return min(p.most/ofGroupLittle, fewest)
	}
	return p.most / little
}

func (s *Share) take(n int64) bool {
	p, g := s.pool, s.group
	free := p.most - p.taken
	hasLittle := s.taken+n <= max(1, p.little()) && g.taken <= ofGroupLittle*free
	if n > free || s.taken+n > p.each || !hasLittle && s.taken > ofGroup*free-g.taken {
		return false
	}
	p.taken += n
	g.taken += n
	s.taken += n
	return true
}

// Give gives back n of what was taken.
func (s *Share) Give(n int64) {
	if s == nil || n == 0 {
		return
	}
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	s.give(n)
}

func (s *Share) give(n int64) {
	if s.taken -= n; s.taken < 0 {
		panic("bound: more was given back than had been taken")
	}
	s.group.taken -= n
	s.pool.taken -= n
	s.forget()
}

// Close ends what Open began. What has not been given back still counts.
func (s *Share) Close() {
	if s == nil {
		return
	}
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	s.close()
}

func (s *Share) close() {
	s.opened--
	s.forget()
}

// forget forgets an empty share.
func (s *Share) forget() {
	if s.opened > 0 || s.taken > 0 {
		return
	}
	delete(s.group.members, s.as)
	if len(s.group.members) == 0 {
		delete(s.pool.groups, s.inGroup)
	}
}

// Taken is how much all have.
func (p *Pool) Taken() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken
}

// Most is how much there is.
func (p *Pool) Most() int64 { return p.most }

// ClientOf is the address of a client, by which it is known within its VPC: that of either kind of socket, and an IPv4
// address as such. It is the zero Addr where there is none, so that all of those are one client.
func ClientOf(remote net.Addr) netip.Addr {
	switch a := remote.(type) {
	case *net.TCPAddr:
		return a.AddrPort().Addr().Unmap()
	case *net.UDPAddr:
		return a.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}
