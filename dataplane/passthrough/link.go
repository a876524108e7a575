package passthrough

import (
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"pergola/containment"
	"pergola/dataplane/record"
)

// link is the two connections that are joined. It ends both when nothing has moved for too long, or when they are too
// old.
type link struct {
	client, target net.Conn
	log            *slog.Logger
	start          time.Time
	moved          atomic.Int64 // when a byte last moved, in nanoseconds since start
	answered       atomic.Bool  // the target has said something
	finished       atomic.Bool  // the target has said all that it had to say
	leaving        atomic.Bool  // the client has
	patient        bool         // a client that has ended its side still listens

	mu      sync.Mutex // guards what follows
	timer   *time.Timer
	closed  bool
	failure record.Failure // the first
}

func newLink(client, target net.Conn, start time.Time, log *slog.Logger) *link {
	l := &link{client: client, target: target, log: log, start: start}
	l.touch()
	return l
}

// touch notes that a byte has moved, and returns when.
func (l *link) touch() time.Duration {
	now := time.Since(l.start)
	l.moved.Store(int64(now))
	return now
}

// watch ends the link after an idle time, never early, or at the end of its lifetime. Between two looks it is but a
// timer, which bytes that move do not touch.
func (l *link) watch(idle, lifetime time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.timer = time.AfterFunc(min(idle, lifetime-time.Since(l.start)), func() {
		l.look(idle, lifetime)
	})
}

// partingTime is how long the target may be silent once the client has ended its side: the client may listen for an
// answer yet, or have gone. Nothing tells the two apart.
const partingTime = time.Second

// parting notes that the client has ended its side.
func (l *link) parting() {
	if l.patient {
		return
	}
	l.touch()
	l.leaving.Store(true)
	l.lookAgain(partingTime)
}

func (l *link) look(idle, lifetime time.Duration) {
	defer l.contain()
	leaving := l.leaving.Load()
	if leaving {
		idle = min(idle, partingTime)
	}
	age := time.Since(l.start)
	still := age - time.Duration(l.moved.Load())
	switch {
	case age >= lifetime:
		l.close(record.ConnectionDurationExceeded)
	case still < idle:
		l.lookAgain(min(idle-still, lifetime-age))
	case leaving:
		l.reset(record.ClientConnectionClosed)
	case !l.answered.Load():
		l.close(record.TargetDataTimeout)
	default:
		l.close("")
	}
}

func (l *link) lookAgain(after time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.timer.Reset(after)
	}
}

// contain is deferred: a panic ends both connections, and no others.
func (l *link) contain() {
	if problem := recover(); problem != nil {
		_ = containment.Report(l.log, "passing a connection through", problem, "client", l.client.RemoteAddr(), "target",
			l.target.RemoteAddr())
		l.reset(record.InternalError)
	}
}

// fail notes that one side has broken off, unless that does not matter any more.
func (l *link) fail(failure record.Failure) {
	if l.finished.Load() {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.note(failure)
}

// note notes a failure, unless there was one or the link was closed before it. The caller holds mu.
func (l *link) note(failure record.Failure) {
	if !l.closed && l.failure == "" {
		l.failure = failure
	}
}

func (l *link) failed() record.Failure {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failure
}

// close closes both connections, for a failure or for none. Any goroutine may call it, any number of times.
func (l *link) close(failure record.Failure) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.note(failure)
	if !l.closed {
		l.closed = true
		l.timer.Stop()
		l.client.Close()
		l.target.Close()
	}
}

// reset closes both connections because one side has broken off, which the other must not take for an end in good order.
func (l *link) reset(failure record.Failure) {
	l.fail(failure)
	for _, conn := range []net.Conn{l.client, l.target} {
		if tcp, ok := conn.(interface{ SetLinger(int) error }); ok {
			tcp.SetLinger(0)
		}
	}
	l.close("")
}
