package proxy

import (
	"log/slog"
	"sync/atomic"
	"syscall"
	"time"

	"pergola/containment"
	"pergola/dataplane/descriptor"
)

// When a client is looked after whose request takes long.
const (
	// firstLook is how long a request is under way before its client is looked after. Most are over by then, and cost
	// nothing.
	firstLook = 250 * time.Millisecond
	// seldomLook is how often a client is looked after whose request takes very long.
	seldomLook = time.Second
	// partingTime is how long a client is still answered after it has ended its side. It may have said all that it has to
	// say and listen, or have gone: nothing tells the two apart.
	partingTime = time.Second
)

// departure notices that a client has left that speaks HTTP/1.1 and waits for an answer: nobody reads from its
// connection meanwhile. (Of HTTP/2 the engine tells.) One whose connection is broken has left; one that has ended its
// side has left after partingTime, unless its request is still being read. What was under way for it is broken off.
//
// A request costs two stores. The timer runs on from one request to the next while they come, and then stops.
type departure struct {
	client *lineClient
	log    *slog.Logger
	timer  *time.Timer

	began   atomic.Int64 // when the request under way did, in nanoseconds since the client connected; 0 for none
	armed   atomic.Bool  // the timer runs, or look does
	stopped atomic.Bool

	// Of look alone.
	raw   syscall.RawConn
	of    int64 // the request during which the client ended its side
	since int64 // and when that was seen
	ended bool
	err   error // of the connection
	check func(fd uintptr)
}

// newDeparture returns nil, which watches nobody, where nothing can be seen of the connection.
func newDeparture(c *lineClient, log *slog.Logger) *departure {
	if descriptor.Of(c.conn) == nil {
		return nil
	}
	d := &departure{client: c, log: log}
	d.timer = time.AfterFunc(time.Hour, d.run)
	d.timer.Stop()
	return d
}

func (d *departure) now() int64 { return int64(time.Since(d.client.born)) }

// begin notes that a request comes, at a time.
func (d *departure) begin(at time.Time) {
	if d == nil {
		return
	}
	d.client.sent.Store(false)
	d.began.Store(max(1, int64(at.Sub(d.client.born))))
	d.arm()
}

func (d *departure) arm() {
	if !d.armed.Load() && d.armed.CompareAndSwap(false, true) {
		d.timer.Reset(firstLook)
	}
}

// end notes that the request is over.
func (d *departure) end() {
	if d != nil {
		d.began.Store(0)
	}
}

// stop ends the watch.
func (d *departure) stop() {
	if d != nil {
		d.stopped.Store(true)
		d.timer.Stop()
	}
}

// run is what the timer calls.
func (d *departure) run() {
	_ = containment.Do(d.log, "looking after a client", func() error {
		d.look()
		return nil
	}, "client", d.client.address)
}

func (d *departure) look() {
	began := d.began.Load()
	if d.stopped.Load() {
		return
	}
	if began == 0 {
		d.armed.Store(false)
		if d.began.Load() != 0 { // begun meanwhile, by who found the timer armed
			d.arm()
		}
		return
	}
	age := time.Duration(d.now() - began)
	if age < firstLook {
		d.timer.Reset(firstLook - age)
		return
	}
	next := min(max(firstLook, age/8), seldomLook)
	if gone, wait := d.left(began); gone && d.began.Load() == began {
		d.client.cut()
	} else if wait > 0 {
		next = min(next, wait)
	}
	d.timer.Reset(next)
}

// left reports whether the client has left, or after how long it has if nothing changes; 0 if it is there.
func (d *departure) left(began int64) (gone bool, after time.Duration) {
	if d.raw == nil {
		d.raw = descriptor.Of(d.client.conn)
		d.check = func(fd uintptr) { d.ended, d.err = descriptor.Ended(fd) }
	}
	d.ended, d.err = false, nil
	if d.raw == nil || d.raw.Control(d.check) != nil {
		return false, 0 // it was closed here
	}
	switch {
	case d.err != nil:
		return true, 0
	case !d.ended || !d.client.sent.Load():
		return false, 0
	case d.of != began:
		d.of, d.since = began, d.now()
	}
	after = partingTime - time.Duration(d.now()-d.since)
	return after <= 0, after
}
