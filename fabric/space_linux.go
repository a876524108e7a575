package fabric

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// space is one network namespace and the thread that lives in it. Nothing but that thread, this descriptor and the sockets
// made there hold the namespace, so the kernel removes it with the process, however that ends.
type space struct {
	ns    *os.File
	inode uint64 // names the namespace among /proc/PID/ns/net
	calls chan func()
	stop  chan struct{}
	done  chan struct{} // closed when the goroutine ends, and its thread with it

	sockets4, sockets6 chan int // TCP sockets made ahead
}

// socketBatch is how many sockets a visit to the namespace's thread makes: going there costs several times as much as
// making one, and a waiting socket costs a descriptor.
const socketBatch = 4

func newSpace() (*space, error) {
	s := &space{
		calls: make(chan func()), stop: make(chan struct{}), done: make(chan struct{}),
		sockets4: make(chan int, socketBatch), sockets6: make(chan int, socketBatch),
	}
	ready := make(chan error)
	go s.live(ready)
	if err := <-ready; err != nil {
		return nil, err
	}
	return s, nil
}

// live runs in the namespace until the space is closed. It never unlocks its thread, so the runtime ends the thread with the
// goroutine and no other goroutine ever runs in the wrong network. The first thread of a process does not end that way: when
// the goroutine finds itself there it keeps the thread busy while another goroutine takes its part.
func (s *space) live(ready chan<- error) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		defer runtime.UnlockOSThread()
		moved := make(chan error)
		go s.live(moved)
		ready <- <-moved
		return
	}
	defer close(s.done)
	if err := s.enter(); err != nil {
		ready <- err
		return
	}
	ready <- nil
	for {
		select {
		case call := <-s.calls:
			call()
		case <-s.stop:
			return
		}
	}
}

func (s *space) enter() error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("make a network namespace: %w", err)
	}
	ns, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	var stat unix.Stat_t
	if err := unix.Fstat(int(ns.Fd()), &stat); err != nil {
		ns.Close()
		return os.NewSyscallError("fstat", err)
	}
	s.ns, s.inode = ns, stat.Ino
	return nil
}

// do runs a short call on the namespace's thread: one that makes or binds a socket, or forks, and never one that waits for
// the network.
func (s *space) do(ctx context.Context, call func() error) error {
	result := make(chan error, 1)
	select {
	case s.calls <- func() { result <- call() }:
		return <-result
	case <-s.stop:
		return net.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// socket gives a non-blocking TCP socket of the namespace, of the family AF_INET or AF_INET6. The namespace is the socket's
// for good: all but making it can be done on any thread.
func (s *space) socket(ctx context.Context, family int) (int, error) {
	ahead := s.sockets4
	if family == unix.AF_INET6 {
		ahead = s.sockets6
	}
	select {
	case fd, ok := <-ahead:
		if !ok {
			return -1, net.ErrClosed
		}
		return fd, nil
	default:
	}
	fd := -1
	err := s.do(ctx, func() (err error) {
		if fd, err = newSocket(family); err != nil {
			return err
		}
		for len(ahead) < socketBatch-1 { // only this thread adds
			more, err := newSocket(family)
			if err != nil {
				break // the one that is asked for is there
			}
			ahead <- more
		}
		return nil
	})
	return fd, err
}

func newSocket(family int) (int, error) {
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	return fd, nil
}

// close ends the thread and gives the namespace up.
func (s *space) close() error {
	close(s.stop)
	<-s.done
	close(s.sockets4)
	close(s.sockets6)
	for _, ahead := range []chan int{s.sockets4, s.sockets6} {
		for fd := range ahead {
			unix.Close(fd)
		}
	}
	return s.ns.Close()
}
