package main

import (
	"errors"
	"fmt"
	"io"
	"net/netip"

	"golang.org/x/sys/unix"
)

// world is what surrounds a subject: its clients and its target, in one event loop, so that a single core of it
// saturates a subject on another. It parses no more than it has to, and checks every answer.
type world struct {
	poll    int
	sockets []*socket // by descriptor
	events  []unix.EpollEvent
	scratch []byte // what was read last
	plain   []byte // what was decrypted last
	unsent  []*framing
	closing []*socket
	files   []int
	shaking int // TLS handshakes under way
	resumed int // TLS handshakes that have resumed a session
}

// end is whom a socket leads to in the world.
type end interface {
	// receive takes what has arrived; data is valid until it returns.
	receive(data []byte) error
	// ended says that the subject has ended the connection.
	ended(err error) error
}

// socket is a socket of the world: a listener if it has accept, or a connection with its end.
type socket struct {
	world  *world
	fd     int
	accept func(*socket) end
	end    end
	secure *secure // nil without TLS
	unsent []byte
	piece  piece // of a file, unsent
	full   bool  // waits for room to send
	skip   int   // bytes to come that nobody has to see
}

// piece is a part of a file.
type piece struct {
	file   int
	offset int64
	length int
}

func newWorld() (*world, error) {
	poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return &world{poll: poll, events: make([]unix.EpollEvent, 256), scratch: make([]byte, 256<<10), plain: make([]byte, 16<<10)}, nil
}

func (w *world) close() {
	for _, s := range w.sockets {
		if s != nil {
			w.remove(s)
		}
	}
	for _, file := range w.files {
		unix.Close(file)
	}
	unix.Close(w.poll)
}

// file makes a file in memory.
func (w *world) file(content []byte) (int, error) {
	file, err := unix.MemfdCreate("answer", unix.MFD_CLOEXEC)
	if err != nil {
		return 0, err
	}
	w.files = append(w.files, file)
	if n, err := unix.Write(file, content); err != nil || n < len(content) {
		return 0, fmt.Errorf("write %d bytes into memory: %d, %w", len(content), n, err)
	}
	return file, nil
}

func (w *world) add(fd int) (*socket, error) {
	s := &socket{world: w, fd: fd}
	for len(w.sockets) <= fd {
		w.sockets = append(w.sockets, nil)
	}
	w.sockets[fd] = s
	return s, unix.EpollCtl(w.poll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
}

// remove closes a socket. What runs on behalf of the socket itself must use closeSoon.
func (w *world) remove(s *socket) {
	if w.sockets[s.fd] != s {
		return
	}
	w.sockets[s.fd] = nil
	unix.Close(s.fd)
	if s.secure != nil {
		s.secure.stop()
	}
}

// closeSoon closes a socket once all that has happened is handled.
func (w *world) closeSoon(s *socket) { w.closing = append(w.closing, s) }

// listen listens at an address, and returns it with its port filled in.
func (w *world) listen(at netip.AddrPort, accept func(*socket) end) (netip.AddrPort, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return at, err
	}
	s, err := w.add(fd)
	if err != nil {
		return at, err
	}
	s.accept = accept
	if err := errors.Join(unix.Bind(fd, sockaddr(at)), unix.Listen(fd, 1024)); err != nil {
		return at, fmt.Errorf("listen at %v: %w", at, err)
	}
	bound, err := unix.Getsockname(fd)
	if err != nil {
		return at, err
	}
	return netip.AddrPortFrom(at.Addr(), uint16(bound.(*unix.SockaddrInet4).Port)), nil
}

// connect connects from an address.
func (w *world) connect(from netip.Addr, to netip.AddrPort) (*socket, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	s, err := w.add(fd)
	if err != nil {
		return nil, err
	}
	err = errors.Join(
		// The port is chosen by connect, which may take one that waits for the last packets of another connection.
		unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1),
		unix.Bind(fd, sockaddr(netip.AddrPortFrom(from, 0))),
		unix.Connect(fd, sockaddr(to)),
		unix.SetNonblock(fd, true),
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1),
	)
	if err != nil {
		return nil, fmt.Errorf("connect to %v: %w", to, err)
	}
	return s, nil
}

func sockaddr(a netip.AddrPort) *unix.SockaddrInet4 {
	return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
}

// turn sends what has gathered, waits for at most some milliseconds and handles what has happened.
func (w *world) turn(wait int) error {
	for _, f := range w.unsent {
		if err := f.flush(); err != nil {
			return err
		}
	}
	w.unsent = w.unsent[:0]
	for _, s := range w.closing {
		w.remove(s)
	}
	w.closing = w.closing[:0]
	n, err := unix.EpollWait(w.poll, w.events, wait)
	if err != nil && err != unix.EINTR {
		return err
	}
	for _, event := range w.events[:max(n, 0)] {
		s := w.sockets[event.Fd]
		if s == nil {
			continue
		}
		if event.Events&unix.EPOLLOUT != 0 && s.full {
			if err := s.goOn(); err != nil {
				return err
			}
		}
		if event.Events&^unix.EPOLLOUT != 0 {
			if err := s.readable(); err != nil {
				return err
			}
		}
	}
	return nil
}

// readable handles what has arrived.
func (s *socket) readable() error {
	if s.accept != nil {
		return s.acceptAll()
	}
	if s.skip > 0 {
		return s.discard()
	}
	n, err := unix.Read(s.fd, s.world.scratch)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return nil
	case err != nil:
		return s.end.ended(err)
	case n == 0:
		return s.end.ended(io.EOF)
	case s.secure != nil:
		return s.secure.feed(s.world.scratch[:n])
	}
	return s.end.receive(s.world.scratch[:n])
}

// discard takes what may be skipped, without copying it. At the end of it the socket's end receives nothing, to know.
func (s *socket) discard() error {
	n, _, err := unix.Recvfrom(s.fd, s.world.scratch[:min(s.skip, len(s.world.scratch))], unix.MSG_TRUNC)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return nil
	case err != nil:
		return s.end.ended(err)
	case n == 0:
		return s.end.ended(io.EOF)
	}
	if s.skip -= n; s.skip > 0 {
		return nil
	}
	return s.end.receive(nil)
}

func (s *socket) acceptAll() error {
	for {
		fd, _, err := unix.Accept4(s.fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err == unix.EAGAIN {
			return nil
		}
		if err != nil {
			return err
		}
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
			return err
		}
		accepted, err := s.world.add(fd)
		if err != nil {
			return err
		}
		accepted.end = s.accept(accepted)
	}
}

// send sends data to the subject. Without TLS, data must not change any more.
func (s *socket) send(data []byte) error {
	if s.secure != nil {
		return s.secure.send(data)
	}
	return s.write(data)
}

// write writes data, which must not change, now or as soon as there is room.
func (s *socket) write(data []byte) error {
	n, err := unix.Write(s.fd, data)
	if err != nil && err != unix.EAGAIN {
		return s.end.ended(err)
	}
	s.unsent = data[max(n, 0):]
	return s.await(len(s.unsent) > 0)
}

// sendFile sends a piece of a file, without copying it, now or as soon as there is room.
func (s *socket) sendFile(p piece) error {
	for p.length > 0 {
		n, err := unix.Sendfile(s.fd, p.file, &p.offset, p.length)
		if err == unix.EAGAIN {
			break
		}
		if err != nil {
			return s.end.ended(err)
		}
		p.length -= n
	}
	s.piece = p
	return s.await(p.length > 0)
}

// goOn sends what there was no room for.
func (s *socket) goOn() error {
	if s.piece.length > 0 {
		return s.sendFile(s.piece)
	}
	return s.write(s.unsent)
}

// await asks to be told of room to send, or no more.
func (s *socket) await(full bool) error {
	if full == s.full {
		return nil
	}
	s.full = full
	events := uint32(unix.EPOLLIN)
	if full {
		events |= unix.EPOLLOUT
	}
	return unix.EpollCtl(s.world.poll, unix.EPOLL_CTL_MOD, s.fd, &unix.EpollEvent{Events: events, Fd: int32(s.fd)})
}
