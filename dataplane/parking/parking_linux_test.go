package parking_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"pergola/dataplane/parking"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pair is a connection over loopback.
func pair(t testing.TB) (near, far net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if far, err = net.Dial("tcp", listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if near, err = listener.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	return near, far
}

func lot(t *testing.T) *parking.Lot {
	l := new(parking.Lot)
	t.Cleanup(l.Close)
	return l
}

// owner is what connections belong to.
type owner struct {
	context.Context
	cancel context.CancelFunc
}

func anOwner(t *testing.T) *owner {
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	return &owner{ctx, cancel}
}

func (o *owner) end(l *parking.Lot) {
	o.cancel()
	l.Leave(o)
}

// park parks a connection; its channel is closed when it leaves. Leaving twice would panic.
func park(t *testing.T, ctx context.Context, l *parking.Lot, conn net.Conn, until time.Time) <-chan struct{} {
	t.Helper()
	left := make(chan struct{})
	if err := l.Park(ctx, &parking.Pause{Conn: conn, Until: until}, func() { close(left) }); err != nil {
		t.Fatal(err)
	}
	return left
}

func later() time.Time { return time.Now().Add(time.Hour) }

// TestWhatEndsAPause: each of these lets the connection leave, and nothing else does.
func TestWhatEndsAPause(t *testing.T) {
	for name, end := range map[string]func(l *parking.Lot, far net.Conn, owner *owner){
		"something comes":       func(_ *parking.Lot, far net.Conn, _ *owner) { io.WriteString(far, "x") },
		"the peer leaves":       func(_ *parking.Lot, far net.Conn, _ *owner) { far.Close() },
		"the peer says no more": func(_ *parking.Lot, far net.Conn, _ *owner) { far.(*net.TCPConn).CloseWrite() },
		"its owner ends":        func(l *parking.Lot, _ net.Conn, owner *owner) { owner.end(l) },
		"the lot closes":        func(l *parking.Lot, _ net.Conn, _ *owner) { l.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			l := lot(t)
			near, far := pair(t)
			owner := anOwner(t)
			left := park(t, owner, l, near, later())
			select {
			case <-left:
				t.Fatal("it left although nothing happened")
			default:
			}
			if n := l.Len(); n != 1 {
				t.Errorf("%d are parked, want 1", n)
			}
			anOwner(t).end(l) // another
			end(l, far, owner)
			<-left
			if n := l.Len(); n != 0 {
				t.Errorf("%d are parked, want 0", n)
			}
		})
	}
}

func TestTime(t *testing.T) {
	near, _ := pair(t)
	until := time.Now().Add(20 * time.Millisecond)
	<-park(t, t.Context(), lot(t), near, until)
	if time.Now().Before(until) {
		t.Error("it left before its time")
	}
}

// TestWhatHasComeBefore: a connection on which something waits to be read leaves at once.
func TestWhatHasComeBefore(t *testing.T) {
	near, far := pair(t)
	io.WriteString(far, "x")
	<-park(t, t.Context(), lot(t), near, later())
}

// TestAgain parks a connection over and over.
func TestAgain(t *testing.T) {
	l := lot(t)
	near, far := pair(t)
	for range 100 {
		left := park(t, t.Context(), l, near, later())
		io.WriteString(far, "x")
		<-left
		if _, err := io.ReadFull(near, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTidy: memory is given back once, after many pauses, and not while they go on.
func TestTidy(t *testing.T) {
	tidied := make(chan int64, 100)
	var pauses atomic.Int64
	l := &parking.Lot{Tidy: func() { tidied <- pauses.Load() }}
	defer l.Close()
	near, far := pair(t)
	for range 1001 {
		pauses.Add(1)
		left := park(t, t.Context(), l, near, later())
		io.WriteString(far, "x")
		<-left
		io.ReadFull(near, make([]byte, 1))
	}
	if at := <-tidied; at != 1001 {
		t.Errorf("after %d pauses, want 1001", at)
	}
	if n := len(tidied); n > 0 {
		t.Errorf("%d times more", n)
	}
}

// TestClosedWhileParked: a connection that was closed leaves only when it is told to, and a connection that has got its
// descriptor since is not taken for it.
func TestClosedWhileParked(t *testing.T) {
	l := lot(t)
	closed, _ := pair(t)
	owner := anOwner(t)
	left := park(t, owner, l, closed, later())
	closed.Close()
	near, far := pair(t)
	next := park(t, t.Context(), l, near, later())
	io.WriteString(far, "x")
	<-next
	select {
	case <-left:
		t.Error("the closed connection left for another's sake")
	default:
	}
	owner.end(l)
	<-left
}

func TestWhatCannotBeParked(t *testing.T) {
	l := lot(t)
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	near, _ := pair(t)
	closed, _ := pair(t)
	closed.Close()
	over := anOwner(t)
	over.end(l)
	shut := new(parking.Lot)
	shut.Close()
	for _, test := range []struct {
		name string
		ctx  context.Context
		lot  *parking.Lot
		conn net.Conn
		want error
	}{
		{"no descriptor", t.Context(), l, here, errors.ErrUnsupported},
		{"closed", t.Context(), l, closed, net.ErrClosed},
		{"nothing to belong to", over, l, near, net.ErrClosed},
		{"a closed lot", t.Context(), shut, near, net.ErrClosed},
	} {
		err := test.lot.Park(test.ctx, &parking.Pause{Conn: test.conn, Until: later()}, func() { t.Errorf("%s: it left", test.name) })
		if !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
	if n := l.Len(); n != 0 {
		t.Errorf("%d are parked, want 0", n)
	}
}

// TestAll has many connections parked and spoken on at once, while some are told to leave and the time of others comes. Each of them
// leaves exactly as often as it was parked, and no byte goes unnoticed.
func TestAll(t *testing.T) {
	l := lot(t)
	var all sync.WaitGroup
	for i := range 64 {
		near, far := pair(t)
		all.Go(func() {
			for range 50 {
				io.WriteString(far, "x")
				for range rand.IntN(300) {
					runtime.Gosched()
				}
			}
			far.Close()
		})
		all.Go(func() {
			heard := 0
			for {
				left := make(chan struct{})
				until := time.Now().Add(time.Duration(rand.IntN(1000)) * time.Microsecond)
				if i%2 == 0 {
					until = later()
				}
				if l.Park(t.Context(), &parking.Pause{Conn: near, Until: until}, func() { close(left) }) == nil {
					<-left
				}
				near.SetReadDeadline(time.Now().Add(time.Millisecond))
				n, err := near.Read(make([]byte, 3))
				if heard += n; err == io.EOF {
					break
				}
			}
			if heard != 50 {
				t.Errorf("heard %d bytes, want 50", heard)
			}
		})
	}
	all.Wait()
	if n := l.Len(); n != 0 {
		t.Errorf("%d are parked, want 0", n)
	}
}

// BenchmarkPause is what it costs to park a connection, and to go on with it when a byte comes.
func BenchmarkPause(b *testing.B) {
	l := new(parking.Lot)
	defer l.Close()
	near, far := pair(b)
	left, one := make(chan struct{}), make([]byte, 1)
	pause := &parking.Pause{Conn: near, Until: later()}
	b.ReportAllocs()
	for b.Loop() {
		l.Park(b.Context(), pause, func() { left <- struct{}{} })
		far.Write(one)
		<-left
		near.Read(one)
	}
}

// BenchmarkWait is the same where the connection's goroutine waits for it.
func BenchmarkWait(b *testing.B) {
	near, far := pair(b)
	left, one := make(chan struct{}), make([]byte, 1)
	go func() {
		for one := make([]byte, 1); ; {
			_, err := near.Read(one)
			if err != nil {
				return
			}
			left <- struct{}{}
		}
	}()
	b.ReportAllocs()
	for b.Loop() {
		far.Write(one)
		<-left
	}
}
