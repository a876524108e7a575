// Package parking keeps connections on which nothing happens. Serving a connection takes a goroutine with its stack, timers
// and a watcher for the end of what it belongs to, several kilobytes in all; a parked connection has a place in a
// table, and one goroutine waits for all of them.
//
// A server that finds nothing to do on a connection returns a Pause, which says how to go on, and with it all that is
// on the stack. The system has to have epoll(7); elsewhere nothing can be parked, and a server that asks for a pause is
// told to go on at once.
package parking

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"pergola/containment"
	"pergola/dataplane/descriptor"
)

// Patience is how long a connection should have been quiet before its server asks for a Pause. A pause costs as much as half
// a request (BenchmarkPause), and clients who ask more often should not pay for it. Longer, and many clients who come at once
// all have their goroutines at the same time, which shows in the memory that they leave behind.
const Patience = time.Second

// Pause is a connection that waits for its peer, and how to go on with it.
type Pause struct {
	// Conn is the connection to wait on. All that has been read from its descriptor has been looked at.
	Conn net.Conn
	// Until is when to go on although nothing has come.
	Until time.Time
	// Then goes on, and may ask for another pause. It is called when something has come, or the peer has left, or it is
	// time, or what the connection belongs to has ended, and may be called for nothing.
	Then func() *Pause
}

// What is parked leaves garbage behind, first of all the stack of its goroutine. Where clients have gone quiet nothing else may
// ask for the memory, and the runtime would keep it for a long time. So it is collected and given back to the system once
// this many connections have been parked, and then none for this long.
const (
	untidy  = 1000
	settled = time.Second
)

// Lot is where connections are parked. Its methods may be called at the same time. The zero value is ready; Close it.
type Lot struct {
	// Log receives panics; a panic ends one connection. nil means slog.Default.
	Log *slog.Logger
	// Tidy gives memory back to the system. nil means debug.FreeOSMemory.
	Tidy func()

	mu     sync.Mutex // guards what follows
	poller *poller    // nil until something is parked
	parked map[uint64]*car
	last   uint64 // the number that was given out last
	tidied uint64 // what last was when Tidy was called
	tidy   *time.Timer
	closed bool
}

// car is a parked connection.
type car struct {
	lot    *Lot
	number uint64
	raw    syscall.RawConn
	owner  context.Context
	leave  func() // called once, in a goroutine of its own
	timer  *time.Timer
}

// Park parks a connection; leave is called, once and in a goroutine of its own, when it is time to go on: see Pause.Then. The
// owner is the context of what the connection belongs to: who ends it calls Leave afterwards.
//
// After an error, go on at once. It is errors.ErrUnsupported where the connection has no descriptor or the system no epoll,
// net.ErrClosed if the connection, its owner or the Lot has ended, and otherwise the system's.
func (l *Lot) Park(owner context.Context, pause *Pause, leave func()) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	raw := descriptor.Of(pause.Conn)
	switch {
	case raw == nil:
		return errors.ErrUnsupported
	case l.closed || owner.Err() != nil:
		return net.ErrClosed
	}
	if l.poller == nil {
		poller, err := newPoller(l.wake)
		if err != nil {
			return err
		}
		l.poller, l.parked = poller, map[uint64]*car{}
		l.tidy = time.AfterFunc(settled, l.settle)
		l.tidy.Stop()
	}
	l.last++
	c := &car{lot: l, number: l.last, raw: raw, owner: owner, leave: leave}
	if err := l.poller.watch(raw, c.number); err != nil {
		return err
	}
	l.parked[c.number] = c
	c.timer = time.AfterFunc(time.Until(pause.Until), c.wake)
	if l.last-l.tidied >= untidy {
		l.tidy.Reset(settled)
	}
	return nil
}

// settle is called when no connection has been parked for a while, after many.
func (l *Lot) settle() {
	defer l.contain("giving memory back")
	l.mu.Lock()
	l.tidied = l.last
	closed := l.closed
	l.mu.Unlock()
	switch {
	case closed:
	case l.Tidy != nil:
		l.Tidy()
	default:
		debug.FreeOSMemory()
	}
}

func (c *car) wake() { c.lot.wake(c.number) }

// goOn has a connection go on that has left.
func (c *car) goOn() {
	defer c.lot.contain("going on with a parked connection")
	c.leave()
}

// contain is deferred: a panic ends what it arose in.
func (l *Lot) contain(what string) {
	if problem := recover(); problem != nil {
		log := l.Log
		if log == nil {
			log = slog.Default()
		}
		_ = containment.Report(log, what, problem)
	}
}

// wake lets a connection leave, unless it has left.
func (l *Lot) wake(number uint64) {
	l.mu.Lock()
	c := l.parked[number]
	delete(l.parked, number)
	if c != nil {
		l.poller.forget(c.raw)
	}
	l.mu.Unlock()
	if c != nil {
		c.timer.Stop()
		go c.goOn()
	}
}

// Leave lets the connections of an owner leave, whose context has ended. It would be a matter of context.AfterFunc if that did not
// take a quarter of a kilobyte for each connection.
func (l *Lot) Leave(owner context.Context) { l.leave(func(c *car) bool { return c.owner == owner }) }

func (l *Lot) leave(which func(*car) bool) {
	l.mu.Lock()
	var leaving []*car
	for _, c := range l.parked {
		if which(c) {
			leaving = append(leaving, c)
		}
	}
	l.mu.Unlock()
	for _, c := range leaving {
		c.wake()
	}
}

// Len is how many connections are parked.
func (l *Lot) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.parked)
}

// Close lets all connections leave, and parks none any more. It returns when nothing waits any more.
func (l *Lot) Close() {
	l.mu.Lock()
	l.closed = true
	poller := l.poller
	l.mu.Unlock()
	l.leave(func(*car) bool { return true })
	if poller != nil {
		l.tidy.Stop()
		poller.close()
	}
}
