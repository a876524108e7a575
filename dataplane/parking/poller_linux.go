package parking

import (
	"cmp"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// poller waits for many descriptors at once (epoll(7)). Its own descriptor is watched by the runtime, so that waiting takes
// no thread.
type poller struct {
	file    *os.File
	raw     syscall.RawConn
	running sync.WaitGroup
}

// newPoller calls wake, from one goroutine, with the number of each descriptor on which something has come.
func newPoller(wake func(number uint64)) (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fd, true); err != nil { // what makes os.NewFile hand it to the runtime
		unix.Close(fd)
		return nil, err
	}
	p := &poller{file: os.NewFile(uintptr(fd), "epoll")}
	if p.raw, err = p.file.SyscallConn(); err != nil {
		p.file.Close()
		return nil, err
	}
	p.running.Go(func() { p.run(wake) })
	return p, nil
}

// run ends when the poller is closed.
func (p *poller) run(wake func(uint64)) {
	var events [64]unix.EpollEvent
	for {
		n := 0
		err := p.raw.Read(func(fd uintptr) bool {
			n, _ = unix.EpollWait(int(fd), events[:], 0)
			return n > 0
		})
		if err != nil {
			return
		}
		for i := range n {
			wake(uint64(uint32(events[i].Fd)) | uint64(uint32(events[i].Pad))<<32)
		}
	}
}

// watch has a number called once something has come on a connection. Its descriptor goes by the number, not by its own:
// that may be another connection's by then.
func (p *poller) watch(conn syscall.RawConn, number uint64) error {
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLONESHOT, Fd: int32(number), Pad: int32(number >> 32)}
	return p.control(conn, unix.EPOLL_CTL_ADD, &event)
}

// forget ends watch. The system has done it if the connection was closed.
func (p *poller) forget(conn syscall.RawConn) { _ = p.control(conn, unix.EPOLL_CTL_DEL, nil) }

func (p *poller) control(conn syscall.RawConn, operation int, event *unix.EpollEvent) error {
	var result error
	err := p.raw.Control(func(epoll uintptr) {
		err := conn.Control(func(fd uintptr) {
			result = unix.EpollCtl(int(epoll), operation, int(fd), event)
		})
		result = cmp.Or(err, result)
	})
	return cmp.Or(err, result)
}

func (p *poller) close() {
	_ = p.file.Close()
	p.running.Wait()
}
