package fabric

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"pergola/containment"
)

// Cell is a network of its own for one program outside of all VPCs. Its loopback interface is the program's alone. What
// is outside is reached by TCP over IPv4, and names by a resolver at 127.0.0.1: connections end in this process, which
// opens those outside. This host is not outside, but for the addresses that a cell is made with.
type Cell struct {
	fabric    *Fabric
	seat      *seat
	ctx       context.Context // ends with the cell
	cancel    context.CancelFunc
	relaying  sync.WaitGroup
	allowed   []netip.AddrPort // that are not outside and can be reached
	resolvers []netip.AddrPort // of this host
	closing   sync.Once
	closed    error
	connected chan struct{} // holds one element for each connection
	asked     chan struct{} // and for each question to the resolver
}

// Bounds on what one cell may have open at once: connections to the outside, and questions to the resolver; further
// ones are refused and dropped.
const (
	maxCellConnections = 512
	maxCellQuestions   = 64
)

// cellDial and cellQuestion are how long a connection outside may take to open, and an answer of the resolver to come.
const (
	cellDial     = 30 * time.Second
	cellQuestion = 5 * time.Second
)

// errNotOutside refuses a connection from a cell.
var errNotOutside = errors.New("the address is not outside: it is of this host, of the link, or of no single machine")

// MakeCell makes a cell from which, beside what is outside, some addresses of this host can be reached. The error says
// why there can be none here. Close it.
func (f *Fabric) MakeCell(ctx context.Context, reach ...netip.AddrPort) (*Cell, error) {
	if err := f.begin(); err != nil {
		return nil, err
	}
	c := &Cell{fabric: f, connected: make(chan struct{}, maxCellConnections), asked: make(chan struct{}, maxCellQuestions)}
	c.resolvers = f.resolvers()
	c.allowed = append(c.allowed, c.resolvers...) // at a loopback address they are reached by way of 127.0.0.1 alone
	for i, a := range reach {
		reach[i] = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
	}
	c.allowed = append(c.allowed, reach...)
	c.ctx, c.cancel = context.WithCancel(context.Background())
	made, err := f.newCell()
	if err != nil {
		c.cancel()
		f.watch.Done()
		return nil, fmt.Errorf("fabric: make a network of its own: %w", err)
	}
	c.seat = newSeat(made)
	if !f.host.adopt(c, func() { c.Close() }) {
		return nil, errors.Join(net.ErrClosed, c.Close())
	}
	if err := c.open(ctx, reach); err != nil {
		return nil, errors.Join(fmt.Errorf("fabric: open a network of its own: %w", err), c.Close())
	}
	return c, nil
}

// open makes what listens in the cell.
func (c *Cell) open(ctx context.Context, reach []netip.AddrPort) error {
	outside, err := c.Listen(ctx, netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		return err
	}
	if err := c.lead(addrPort(outside.Addr()).Port()); err != nil {
		outside.Close()
		return err
	}
	c.relay(outside, originalTarget)
	for _, to := range reach {
		if !to.Addr().IsLoopback() {
			continue // those come the way of what is outside
		}
		here, err := c.Listen(ctx, to)
		if err != nil {
			return err
		}
		c.relay(here, func(net.Conn) (netip.AddrPort, error) { return to, nil })
	}
	return c.resolve(ctx)
}

// Listen opens a TCP listener in the cell, for its program alone. It ends with the cell.
func (c *Cell) Listen(ctx context.Context, at netip.AddrPort) (net.Listener, error) {
	l, err := c.seat.place.listen(ctx, "tcp", at)
	if err != nil {
		return nil, err
	}
	held := &listener{Listener: l, seat: c.seat}
	if !c.seat.adopt(held, func() { l.Close() }) {
		return nil, errors.Join(net.ErrClosed, l.Close())
	}
	return held, nil
}

// Start runs a program in the cell, as Fabric.Start does elsewhere. It ends with the cell.
func (c *Cell) Start(ctx context.Context, command Command) (*Process, error) {
	return c.fabric.startIn(ctx, c.seat, command)
}

// Close ends what runs in the cell, and its connections. Closing twice is no error.
func (c *Cell) Close() error {
	c.closing.Do(func() {
		defer c.fabric.watch.Done()
		c.fabric.host.release(c)
		c.cancel()
		c.closed = c.seat.remove()
		c.relaying.Wait()
	})
	return c.closed
}

// relay carries the connections of a listener to where they are meant to go.
func (c *Cell) relay(l net.Listener, target func(net.Conn) (netip.AddrPort, error)) {
	c.relaying.Go(func() {
		_ = containment.Accept(c.ctx, c.fabric.log, "a network of its own", l.Accept,
			func(conn net.Conn) { // the listener ends with the cell
				select {
				case c.connected <- struct{}{}:
					c.relaying.Go(func() {
						defer func() { <-c.connected }()
						_ = containment.Do(c.fabric.log, "a connection to the outside", func() error { // it is logged there
							c.carry(conn, target)
							return nil
						})
					})
				default:
					conn.Close()
				}
			})
	})
}

// carry opens the connection outside and carries bytes both ways. A client whose target does not answer is reset.
func (c *Cell) carry(conn net.Conn, target func(net.Conn) (netip.AddrPort, error)) {
	defer conn.Close()
	defer context.AfterFunc(c.ctx, func() { conn.Close() })()
	to, err := target(conn)
	if err == nil && !c.mayReach(to) {
		err = errNotOutside
	}
	var outside net.Conn
	if err == nil {
		dialer := net.Dialer{Timeout: cellDial}
		outside, err = dialer.DialContext(c.ctx, "tcp", to.String())
	}
	if err != nil {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // so that its end is a reset
		}
		return
	}
	defer outside.Close()
	defer context.AfterFunc(c.ctx, func() { outside.Close() })()
	relay(conn, conn, outside)
}

// mayReach reports whether an address is outside, or allowed.
func (c *Cell) mayReach(to netip.AddrPort) bool {
	for _, allowed := range c.allowed {
		if allowed == to {
			return true
		}
	}
	return isOutside(to.Addr())
}

// isOutside reports whether an address is another machine's.
func isOutside(a netip.Addr) bool {
	if a = a.Unmap(); !a.IsGlobalUnicast() || a.Is4() && (a.As4()[0] == 0 || a.As4()[0] >= 240) {
		return false
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, address := range own {
		if network, ok := address.(*net.IPNet); ok {
			if host, ok := netip.AddrFromSlice(network.IP); ok && host.Unmap() == a {
				return false
			}
		}
	}
	return true
}

// resolve opens the cell's resolver, which passes questions on to this host's.
func (c *Cell) resolve(ctx context.Context) error {
	if len(c.resolvers) == 0 {
		return nil // the host cannot resolve names either
	}
	at := netip.MustParseAddrPort("127.0.0.1:53")
	stream, err := c.Listen(ctx, at)
	if err != nil {
		return err
	}
	c.relay(stream, func(net.Conn) (netip.AddrPort, error) { return c.resolvers[0], nil })
	packets, err := c.seat.place.listenPacket(ctx, at)
	if err != nil {
		return err
	}
	if !c.seat.adopt(packets, func() { packets.Close() }) {
		return errors.Join(net.ErrClosed, packets.Close())
	}
	c.relaying.Go(func() { c.answer(packets) })
	return nil
}

// maxQuestion is the longest message of DNS that is carried over UDP, in bytes.
const maxQuestion = 4096

// answer passes questions on, as many at once as there may be.
func (c *Cell) answer(packets net.PacketConn) {
	for c.ctx.Err() == nil {
		question := make([]byte, maxQuestion)
		n, from, err := packets.ReadFrom(question)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // of one packet
		}
		select {
		case c.asked <- struct{}{}:
			c.relaying.Go(func() {
				defer func() { <-c.asked }()
				for _, server := range c.resolvers {
					if answer, err := c.ask(server, question[:n]); err == nil {
						_, _ = packets.WriteTo(answer, from) // who does not get it asks again
						return
					}
				}
			})
		default: // who gets no answer asks again
		}
	}
}

func (c *Cell) ask(server netip.AddrPort, question []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(c.ctx, cellQuestion)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "udp", server.String())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if _, err := conn.Write(question); err != nil {
		return nil, err
	}
	answer := make([]byte, maxQuestion)
	n, err := conn.Read(answer)
	if err == nil && n == 0 {
		err = io.ErrUnexpectedEOF
	}
	return answer[:n], err
}
