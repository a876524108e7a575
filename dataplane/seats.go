package dataplane

import (
	"log/slog"
	"net"
	"sync/atomic"

	"pergola/bound"
)

// connectionCost is how much memory there should be for each connection that is open, in bytes, out of half of
// bound.Memory: what one takes that carries a request by HTTP/1.1 whose head is small, or TLS that is passed through.
// An idle one takes a quarter of it. What requests take beyond that is counted where it arises.
const connectionCost = 32 << 10

// seats bounds how many connections are open at once: of each client, from each VPC, and in all.
type seats struct {
	pool *bound.Pool
	full atomic.Bool // a connection was refused, and no more than half of the seats have been free since
	log  *slog.Logger
}

func newSeats(n int, log *slog.Logger) *seats {
	most := max(1, min(int64(n), bound.Memory()/2/connectionCost))
	return &seats{pool: bound.NewPool(most, 0), log: log}
}

// take takes a seat for a client of a VPC, or returns nil if it gets no other.
func (s *seats) take(vpcID string, conn net.Conn) *bound.Share {
	client := bound.ClientOf(conn.RemoteAddr())
	seat := s.pool.Enter(vpcID, client)
	if seat == nil && !s.full.Swap(true) {
		s.log.Warn("a client has as many connections open as it may while others have theirs; further ones are refused",
			"client", client, "vpc", vpcID, "open", s.taken(), "most", s.pool.Most())
	}
	return seat
}

func (s *seats) leave(seat *bound.Share) {
	seat.Leave()
	if s.full.Load() && s.taken() <= s.pool.Most()/2 {
		s.full.Store(false)
	}
}

func (s *seats) taken() int64 { return s.pool.Taken() }

// refuse closes a connection for which there is no seat, at once and so that the client sees an error and not an end.
func refuse(conn net.Conn) {
	if tcp, ok := conn.(interface{ SetLinger(int) error }); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
