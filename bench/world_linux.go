package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// world is what surrounds a subject: its clients and its target, in one event loop. A request costs the world two reads
// and two writes, and one wait for many requests, so that a single core of it saturates a subject on another. It parses
// no more than it has to, and checks the status and the length of every answer.
type world struct {
	poll    int
	sockets []*socket // by descriptor
	events  []unix.EpollEvent
	scratch []byte
	answers map[string][]byte // the target's, by path
}

// role is what a socket is to the world.
type role int

const (
	roleListener role = iota
	roleTarget
	roleClient
)

type socket struct {
	fd      int
	role    role
	partial []byte // the part of a head that has arrived
	unsent  []byte
	left    int           // what is still to come of a body
	due     time.Duration // when the request should have been sent, since the load began
}

// bodies are the lengths of the answers that the target has, in bytes. Their paths are the lengths.
var bodies = [...]int{16, 1 << 10, 64 << 10}

func path(body int) string { return "/" + strconv.Itoa(body) }

func newWorld() (*world, error) {
	poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	w := &world{poll: poll, events: make([]unix.EpollEvent, 256), scratch: make([]byte, 128<<10), answers: map[string][]byte{}}
	for _, body := range bodies {
		head := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n", body)
		w.answers[path(body)] = append([]byte(head), bytes.Repeat([]byte("x"), body)...)
	}
	return w, nil
}

func (w *world) close() {
	for _, s := range w.sockets {
		if s != nil {
			w.remove(s)
		}
	}
	unix.Close(w.poll)
}

func (w *world) add(fd int, as role) (*socket, error) {
	s := &socket{fd: fd, role: as}
	for len(w.sockets) <= fd {
		w.sockets = append(w.sockets, nil)
	}
	w.sockets[fd] = s
	return s, unix.EpollCtl(w.poll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
}

func (w *world) remove(s *socket) {
	w.sockets[s.fd] = nil
	unix.Close(s.fd)
}

// listen makes the target listen at an address, and returns it with its port filled in.
func (w *world) listen(at netip.AddrPort) (netip.AddrPort, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return at, err
	}
	if _, err := w.add(fd, roleListener); err != nil {
		return at, err
	}
	if err := errors.Join(unix.Bind(fd, sockaddr(at)), unix.Listen(fd, 1024)); err != nil {
		return at, fmt.Errorf("listen at %v: %w", at, err)
	}
	bound, err := unix.Getsockname(fd)
	if err != nil {
		return at, err
	}
	return netip.AddrPortFrom(at.Addr(), uint16(bound.(*unix.SockaddrInet4).Port)), nil
}

// connect connects a client from an address.
func (w *world) connect(from netip.Addr, to netip.AddrPort) (*socket, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	s, err := w.add(fd, roleClient)
	if err != nil {
		return nil, err
	}
	err = errors.Join(
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

// load is requests to a subject, for a while.
type load struct {
	from        netip.Addr
	to          netip.AddrPort
	host        string
	body        int // length of the answers
	connections int
	// rate is how many requests are sent in a second, at even distances. A request that finds all connections busy is
	// late, and its latency counts from when it was due. 0 sends each request as soon as the answer before it is there.
	rate         int
	warm, during time.Duration
	// mark is called when the time that counts begins, and when it ends.
	mark func() error
}

// outcome is what came of a load.
type outcome struct {
	elapsed   time.Duration
	latencies []time.Duration // sorted
}

// loading is a load under way.
type loading struct {
	*load
	world     *world
	request   []byte
	began     time.Time
	next      time.Duration // when the next request is due, with a rate
	idle      []*socket
	busy      int
	ending    bool
	latencies []time.Duration
}

// run applies a load.
func (w *world) run(ctx context.Context, l load) (outcome, error) {
	u := &loading{
		load: &l, world: w, latencies: make([]time.Duration, 0, 1<<20),
		request: []byte("GET " + path(l.body) + " HTTP/1.1\r\nHost: " + l.host + "\r\n\r\n"),
	}
	var clients []*socket
	defer func() {
		for _, s := range clients {
			w.remove(s)
		}
	}()
	for range l.connections {
		s, err := w.connect(l.from, l.to)
		if err != nil {
			return outcome{}, err
		}
		clients = append(clients, s)
	}
	u.idle = slices.Clone(clients)
	return u.run(ctx)
}

func (u *loading) run(ctx context.Context) (outcome, error) {
	u.began = time.Now()
	if err := u.until(ctx, u.warm); err != nil {
		return outcome{}, err
	}
	u.latencies = u.latencies[:0]
	started := time.Since(u.began)
	if err := u.mark(); err != nil {
		return outcome{}, err
	}
	if err := u.until(ctx, u.warm+u.during); err != nil {
		return outcome{}, err
	}
	if err := u.mark(); err != nil {
		return outcome{}, err
	}
	o := outcome{time.Since(u.began) - started, slices.Clone(u.latencies)}
	slices.Sort(o.latencies)
	u.ending = true
	return o, u.until(ctx, u.warm+u.during+patience)
}

// patience is how long the last answers may take.
const patience = 5 * time.Second

// until keeps the load up until some time after its beginning, or, at its end, until all is answered.
func (u *loading) until(ctx context.Context, end time.Duration) error {
	for {
		now := time.Since(u.began)
		if now >= end || u.ending && u.busy == 0 {
			return ctx.Err()
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := u.sendDue(now); err != nil {
			return err
		}
		// With a rate the world spins: a timer would be late.
		wait := 0
		if u.rate == 0 {
			wait = 10
		}
		if err := u.turn(wait); err != nil {
			return err
		}
	}
}

// sendDue sends what is due on connections that are idle.
func (u *loading) sendDue(now time.Duration) error {
	for len(u.idle) > 0 && !u.ending {
		due := now
		if u.rate > 0 {
			if u.next > now {
				return nil
			}
			due = u.next
			u.next += time.Second / time.Duration(u.rate)
		}
		s := u.idle[0]
		u.idle = u.idle[1:]
		u.busy++
		if err := u.send(s, due); err != nil {
			return err
		}
	}
	return nil
}

func (u *loading) send(s *socket, due time.Duration) error {
	s.due = due
	return u.world.write(s, u.request)
}

// turn waits for at most some milliseconds and handles what has happened.
func (u *loading) turn(wait int) error {
	n, err := unix.EpollWait(u.world.poll, u.world.events, wait)
	if err != nil && err != unix.EINTR {
		return err
	}
	for _, event := range u.world.events[:max(n, 0)] {
		s := u.world.sockets[event.Fd]
		if s == nil {
			continue
		}
		if event.Events&unix.EPOLLOUT != 0 {
			if err := u.world.resume(s); err != nil {
				return err
			}
		}
		if event.Events&^unix.EPOLLOUT != 0 {
			if err := u.readable(s); err != nil {
				return err
			}
		}
	}
	return nil
}

func (u *loading) readable(s *socket) error {
	switch s.role {
	case roleListener:
		return u.world.accept(s)
	case roleTarget:
		return u.world.serve(s)
	default:
		return u.receive(s)
	}
}

// receive takes a part of an answer.
func (u *loading) receive(s *socket) error {
	data, err := u.world.read(s)
	if err != nil {
		return fmt.Errorf("the subject ended a connection: %w", err)
	}
	if s.left > 0 {
		s.left -= len(data)
	} else {
		head, body, whole := s.head(data)
		if !whole {
			return nil
		}
		if err := checkHead(head, u.body); err != nil {
			return err
		}
		s.left = u.body - len(body)
	}
	if s.left < 0 {
		return errors.New("an answer is longer than it says")
	}
	if s.left > 0 {
		return nil
	}
	now := time.Since(u.began)
	u.latencies = append(u.latencies, now-s.due)
	if u.rate == 0 && !u.ending {
		return u.send(s, now)
	}
	u.busy--
	u.idle = append(u.idle, s)
	return nil
}

// blankLine ends a head.
var blankLine = []byte("\r\n\r\n")

// head divides what has arrived into a head, with its last line end, and what follows it.
func (s *socket) head(data []byte) (head, rest []byte, whole bool) {
	if len(s.partial) > 0 {
		data = append(s.partial, data...)
	}
	end := bytes.Index(data, blankLine)
	if end < 0 {
		s.partial = append(s.partial[:0], data...)
		return nil, nil, false
	}
	s.partial = s.partial[:0]
	return data[:end+2], data[end+4:], true
}

// checkHead checks that an answer is a 200 with a body of the right length.
func checkHead(head []byte, body int) error {
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 200 ")) {
		return fmt.Errorf("the subject answers %q", head)
	}
	for line := range bytes.Lines(head) {
		if len(line) > 15 && line[14] == ':' && bytes.EqualFold(line[:14], []byte("content-length")) {
			length, err := strconv.Atoi(string(bytes.TrimSpace(line[15:])))
			if err == nil && length == body {
				return nil
			}
		}
	}
	return fmt.Errorf("the subject answers without the length of %d bytes: %q", body, head)
}

func (w *world) accept(listener *socket) error {
	for {
		fd, _, err := unix.Accept4(listener.fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err == unix.EAGAIN {
			return nil
		}
		if err != nil {
			return err
		}
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
			return err
		}
		if _, err := w.add(fd, roleTarget); err != nil {
			return err
		}
	}
}

// serve answers a request as the target.
func (w *world) serve(s *socket) error {
	data, err := w.read(s)
	if err != nil {
		w.remove(s)
		return nil
	}
	head, _, whole := s.head(data)
	if !whole {
		return nil
	}
	_, target, _ := bytes.Cut(head, []byte(" "))
	target, _, _ = bytes.Cut(target, []byte(" "))
	answer := w.answers[string(target)]
	if answer == nil {
		return fmt.Errorf("the target is asked for %q", head)
	}
	return w.write(s, answer)
}

// read reads what has arrived, if anything. The result is valid until the next call.
func (w *world) read(s *socket) ([]byte, error) {
	n, err := unix.Read(s.fd, w.scratch)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return nil, nil
	case err != nil:
		return nil, err
	case n == 0:
		return nil, io.EOF
	}
	return w.scratch[:n], nil
}

// write sends data, which must not change, now or as soon as there is room.
func (w *world) write(s *socket, data []byte) error {
	n, err := unix.Write(s.fd, data)
	if err != nil && err != unix.EAGAIN {
		if s.role == roleTarget {
			w.remove(s)
			return nil
		}
		return err
	}
	waiting := len(s.unsent) > 0
	s.unsent = data[max(n, 0):]
	if len(s.unsent) > 0 == waiting {
		return nil
	}
	events := uint32(unix.EPOLLIN)
	if !waiting {
		events |= unix.EPOLLOUT
	}
	return unix.EpollCtl(w.poll, unix.EPOLL_CTL_MOD, s.fd, &unix.EpollEvent{Events: events, Fd: int32(s.fd)})
}

func (w *world) resume(s *socket) error {
	if len(s.unsent) == 0 {
		return nil
	}
	return w.write(s, s.unsent)
}
