package dataplane

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"pergola/bound"
	"pergola/containment"
	"pergola/dataplane/parking"
	"pergola/snapshot"
)

// place is a VPC in which the Plane listens, or listened: it lasts as long as the VPC, because connections may outlast the
// doors through which they came.
type place struct {
	vpc   string
	ctx   context.Context
	cut   context.CancelFunc // cuts the connections
	doors map[snapshot.DoorPort]*door
}

// place returns the place of a VPC, made now if need be. The caller holds mu.
func (p *Plane) place(vpcID string) *place {
	at := p.places[vpcID]
	if at == nil {
		at = &place{vpc: vpcID, doors: map[snapshot.DoorPort]*door{}}
		at.ctx, at.cut = context.WithCancel(context.Background())
		p.places[vpcID] = at
	}
	return at
}

// door is one port of a door of a VPC, at each of its addresses.
type door struct {
	plane     *Plane
	place     *place
	at        snapshot.DoorPort
	entries   []snapshot.Entry
	listeners []net.Listener
	ctx       context.Context // ends when the door closes
	cancel    context.CancelFunc
}

// openDoor opens a port of a door. Where the network has no IPv6 it does without, unless the door has nothing else.
func (p *Plane) openDoor(ctx context.Context, at *place, of snapshot.DoorPort,
	entries []snapshot.Entry) (*door, error) {
	d := &door{plane: p, place: at, at: of, entries: entries}
	d.ctx, d.cancel = context.WithCancel(at.ctx)
	whole := false
	defer func() {
		if !whole { // a panic must not leave half a door, which nothing could open again
			d.close()
		}
	}()
	for _, entry := range entries {
		l, err := p.network.Listen(ctx, at.vpc, entry, of.Port)
		address := netip.AddrPortFrom(entry.Address, of.Port)
		switch {
		case err == nil:
			d.listeners = append(d.listeners, l)
		case entry.Address.Is6() && len(d.listeners) > 0:
			p.noIPv6.Do(func() {
				p.log.Info("services are reached over IPv4 alone where the network has no IPv6", "vpc", at.vpc,
					"address", address, "error", err)
			})
		default:
			return nil, fmt.Errorf("data plane: listen on %v in %s: %w", address, at.vpc, err)
		}
	}
	whole = true
	return d, nil
}

// start lets connections in.
func (d *door) start() {
	for _, l := range d.listeners {
		d.plane.running.Go(func() { d.accept(l) })
	}
}

// close closes the door to new connections, and asks those that came through it to finish. It may be called again.
func (d *door) close() {
	d.cancel()
	d.plane.lot.Leave(d.ctx)
	for _, l := range d.listeners {
		_ = l.Close() // closed before, or gone with its VPC
	}
}

func (d *door) isOpen() bool { return d.ctx.Err() == nil }

// accept lets connections in until the door closes. When the listener was closed by someone else, the door closes too, so
// that the next Apply opens it anew.
func (d *door) accept(l net.Listener) {
	log := d.plane.log.With("vpc", d.place.vpc, "address", l.Addr())
	err := containment.Accept(d.ctx, log, "a listener", l.Accept, d.admit)
	ours := !d.isOpen()
	d.close()
	if err != nil && !ours {
		log.Warn("a listener was closed by the network", "error", err)
		d.plane.closing()
	}
}

// admit serves a connection in a goroutine of its own, if there is a seat for it.
func (d *door) admit(conn net.Conn) {
	seat := d.plane.seats.take(d.place.vpc, conn)
	if seat == nil {
		refuse(conn)
		return
	}
	d.plane.running.Add(1)
	go d.serve(conn, seat, func() *parking.Pause {
		return d.plane.serve(d.ctx, d.place.ctx, conn, d.at)
	})
}

// serve serves a connection, from the given step on, to its end or until it is parked; then another goroutine goes on.
func (d *door) serve(conn net.Conn, seat *bound.Share, step func() *parking.Pause) {
	for {
		pause := d.take(conn, step)
		if pause == nil {
			break
		}
		step = pause.Then
		err := d.plane.lot.Park(d.ctx, pause, func() { d.serve(conn, seat, step) })
		if err == nil {
			return
		}
		d.plane.notParked(err)
	}
	_ = conn.Close()
	d.plane.seats.leave(seat)
	d.plane.running.Done()
}

// notParked tells, once, that connections cannot be parked although they should be.
func (p *Plane) notParked(err error) {
	if !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, net.ErrClosed) {
		p.noParking.Do(func() {
			p.log.Warn("connections cannot be parked: idle ones take more memory than they need", "error", err)
		})
	}
}

// take takes one step in serving a connection. A panic ends this connection and no other.
func (d *door) take(conn net.Conn, step func() *parking.Pause) *parking.Pause {
	defer context.AfterFunc(d.place.ctx, func() { conn.Close() })()
	defer func() {
		if problem := recover(); problem != nil {
			_ = containment.Report(d.plane.log, "serving a connection", problem, "vpc", d.place.vpc, "door", d.at.Door,
				"port", d.at.Port)
		}
	}()
	return step()
}
