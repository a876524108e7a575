package http2

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"sync"
	"syscall"
	"time"

	"golang.org/x/net/http2/hpack"

	"pergola/containment"
	"pergola/dataplane/descriptor"
	"pergola/dataplane/http1"
)

// conn is a connection of either side.
type conn struct {
	net    net.Conn
	cfg    Config
	server bool
	born   time.Time
	owner  *Server // nil on a client's side
	input  input   // belongs to the goroutine that reads

	mu      sync.Mutex // guards all below and what a Stream says that it guards
	streams map[uint32]*Stream
	running int    // streams that somebody uses, on the wire or not
	opening int    // streams that have no id yet
	last    uint32 // the highest stream that was opened
	closed  closedStreams
	err     error // why nothing more is sent or received; nil until then
	heard   int64 // when something was read last, as now gives it
	out     output
	flow    connFlow
	peer    peerSettings
	head    headBlock
	decoder *hpack.Decoder
	ready   []*Stream // to be started or woken when all that has arrived was looked at
	blocked []*Stream // writers who wait for room
	clock   clock
	budget  budget
	leaving leaving
	holding holding
}

// connFlow is the connection's share of flow control.
type connFlow struct {
	send    int64 // what may be sent
	receive int64 // what the peer may send
	credit  int64 // what was consumed and not yet given back to the peer

	bringing int // streams on which something may still come
}

// peerSettings is what the peer has said in SETTINGS.
type peerSettings struct {
	seen       bool
	window     int64 // of a new stream
	maxStreams uint32
}

func newConn(nc net.Conn, cfg Config, server bool) *conn {
	c := &conn{
		net: nc, cfg: cfg.withDefaults(server), server: server, born: time.Now(),
		flow:    connFlow{send: defaultWindow},
		peer:    peerSettings{window: defaultWindow, maxStreams: initialMaxStreams},
		budget:  budget{tokens: fullBudget},
		leaving: leaving{last: maxID, peerLast: maxID},
	}
	c.flow.receive = int64(c.cfg.ConnWindow)
	c.decoder = hpack.NewDecoder(tableSize, c.emit)
	c.decoder.SetMaxStringLength(2 * c.cfg.MaxHeadBytes) // a block that is taken at all cannot hold longer ones
	c.input = input{raw: descriptor.Of(nc), read: descriptor.ReaderOf(nc), idle: true, started: !server}
	c.input.onReadable = c.readable
	return c
}

const (
	// initialMaxStreams is how many streams are opened before the peer has said how many it takes: RFC 9113 §6.5.2 asks for
	// no fewer.
	initialMaxStreams = 100
	// tableSize bounds the dynamic table of the peer's header blocks; it is the default, and not announced.
	tableSize = 4096
)

// now is the age of the connection in nanoseconds, at least 1.
func (c *conn) now() int64 { return max(1, int64(time.Since(c.born))) }

// announce appends the settings, and the window of the connection.
func (c *conn) announce() {
	settings := []setting{
		{settingInitialWindow, uint32(min(c.cfg.Window, maxWindow))},
		{settingMaxHeadBytes, uint32(c.cfg.MaxHeadBytes + 32*c.cfg.MaxFields)}, // 32 a field: RFC 9113 §6.5.2
	}
	if c.server {
		settings = append(settings, setting{settingMaxStreams, c.cfg.MaxStreams})
	} else {
		settings = append(settings, setting{settingPush, 0})
	}
	c.out.reserve(c, 128)
	c.out.blk.data = appendSettings(c.out.blk.data, settings...)
	if more := int64(c.cfg.ConnWindow) - defaultWindow; more > 0 {
		c.out.blk.data = appendWindow(c.out.blk.data, 0, more)
	}
}

// run reads until the connection ends, and closes it. It returns nil if it ended in order. It returns http1.ErrQuiet, and
// leaves the connection open, if nothing happens on it, and somebody else can wait for more: see Server.Serve.
func (c *conn) run() error {
	err := c.read()
	if err == http1.ErrQuiet {
		return err
	}
	c.mu.Lock()
	var broken *ConnError
	ours, quiet := errors.As(err, &broken) && c.err == nil, len(c.streams) == 0
	if ours {
		c.goAway(broken.Code)
	}
	orderly := err == errLeft
	c.end(err)
	c.mu.Unlock()
	if ours || orderly {
		c.hangUp()
	}
	c.net.Close()
	c.input.release(c.cfg.Memory)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out.waitQuiet(c)
	c.clock.stop()
	if orderly || err == io.EOF && quiet {
		return nil
	}
	return err
}

// errLeft ends the reading when everything was done that was to be done.
var errLeft = errors.New("http2: the connection has done its work")

// hangUp sends what is pending and reads on for a moment, because closing with unread bytes would reset the connection and
// could destroy what is on its way, as in http1.Conn.Linger.
func (c *conn) hangUp() {
	c.net.SetDeadline(time.Now().Add(lingerTime))
	c.mu.Lock()
	c.flush()
	c.out.waitQuiet(c)
	c.mu.Unlock()
	half, ok := c.net.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	c.input.resize(c.cfg.Memory, smallBlock)
	for most := maxLinger; most > 0; {
		n, err := c.net.Read(c.input.buf)
		if err != nil {
			return
		}
		most -= n
	}
}

const (
	lingerTime = time.Second
	maxLinger  = 256 << 10
)

// end makes everything under way fail with err. mu is held.
func (c *conn) end(err error) {
	if c.err != nil {
		return
	}
	c.err = err
	for _, s := range c.streams {
		c.kill(s, c.ended(s))
	}
	for _, s := range c.ready {
		if s.fresh {
			c.running-- // it was not started
		}
		s.readable.signal()
	}
	c.ready = nil
	c.wakeBlocked()
}

// ended is the error of a stream whose connection has ended.
func (c *conn) ended(s *Stream) error {
	switch {
	case s.id == 0 && !c.server:
		return &staleError{c.err}
	case c.err == io.EOF && (c.server || s.in.headed):
		return io.ErrUnexpectedEOF
	}
	return c.err
}

// staleError says that the peer did not look at a request, and why.
type staleError struct{ err error }

func (e *staleError) Error() string { return "http2: the request was not looked at: " + e.err.Error() }
func (e *staleError) Unwrap() error { return http1.ErrStale }

// stop ends the reading, with err. mu is held.
func (c *conn) stop(err error) {
	if c.input.stopped == nil {
		c.input.stopped = err
		c.net.SetReadDeadline(c.born)
	}
}

// cut ends the connection at once.
func (c *conn) cut(err error) error {
	c.mu.Lock()
	c.end(err)
	c.mu.Unlock()
	return c.net.Close()
}

// add makes a stream known under its id. mu is held.
func (c *conn) add(s *Stream) {
	s.in.window, s.out.window = int64(c.cfg.Window), c.peer.window
	if c.streams == nil {
		c.streams = map[uint32]*Stream{}
	}
	c.streams[s.id] = s
	c.flow.bringing++
}

// remove forgets a stream that is closed on the wire. mu is held.
func (c *conn) remove(s *Stream) {
	if s.gone {
		return
	}
	s.gone = true
	c.forgetTail(s)
	if c.head.s == s {
		c.head.s = nil
		c.decoder.SetEmitEnabled(false)
	}
	if s.id == 0 {
		return
	}
	delete(c.streams, s.id)
	if !s.in.ended {
		c.flow.bringing--
	}
	c.closed.add(s.id, false)
	if len(c.streams) == 0 {
		c.emptied()
	}
}

// settle forgets a stream if both sides have ended it. mu is held.
func (c *conn) settle(s *Stream) {
	if s.in.ended && s.out.ended {
		c.remove(s)
	}
}

// kill ends a stream with err for its user. mu is held.
func (c *conn) kill(s *Stream, err error) {
	if s.gone {
		return
	}
	if s.err == nil {
		s.err = err
	}
	c.remove(s)
	s.readable.signal()
	s.writable.signal()
	s.notify()
}

// reset ends a stream with err for its user, and with a code for the peer. mu is held.
func (c *conn) reset(s *Stream, code Code, err error) {
	if s.gone {
		return
	}
	c.appendReset(s.id, code)
	c.closed.add(s.id, true) // before kill says otherwise
	c.kill(s, err)
}

func (c *conn) appendReset(id uint32, code Code) {
	if id == 0 {
		return
	}
	c.out.reserve(c, frameHeader+4)
	c.out.blk.data = appendReset(c.out.blk.data, id, code)
}

// closedStreams remembers the streams that were closed last, and by whom.
type closedStreams struct {
	last []closedStream // a ring once it is full
	next int
}

// closedStream is the id of a stream, and whether it was closed by us.
type closedStream struct {
	id   uint32
	byUs bool
}

// maxClosed is how many closed streams are remembered.
const maxClosed = 64

func (r *closedStreams) add(id uint32, byUs bool) {
	if known, _ := r.find(id); id == 0 || known {
		return
	}
	if len(r.last) < maxClosed {
		r.last = append(r.last, closedStream{id, byUs})
		return
	}
	r.last[r.next%maxClosed] = closedStream{id, byUs}
	r.next++
}

func (r *closedStreams) find(id uint32) (known, byUs bool) {
	for _, s := range r.last {
		if s.id == id {
			return true, s.byUs
		}
	}
	return false, false
}

// input is the read buffer. What has arrived and was not taken is buf[r:w].
type input struct {
	raw     syscall.RawConn // nil where the connection has no file descriptor to wait on
	read    func(fd uintptr, p []byte) (n int, again bool, err error)
	blk     *block
	buf     []byte
	counted int // what the buffer counts for
	r, w    int
	last    int  // how much the last read brought
	idle    bool // nothing is expected but new streams
	started bool // the preface was read

	onReadable func(fd uintptr) bool // is conn.readable, made once
	err        error                 // of its read

	stopped     error // ends the reading; conn.mu guards it and what follows
	interrupted bool  // the reader is to look whether the connection can be paused
}

// fill reads more, behind what is there. A wait that may be long is done without a buffer, or with a small one where there
// has to be one. Otherwise the buffer has room for any frame, and for more if what came last has filled it.
func (in *input) fill(c *conn) error {
	memory, full := c.cfg.Memory, in.last > 0 && in.w == len(in.buf)
	switch {
	case in.r == in.w && in.idle && in.raw != nil:
		return c.awaitInput()
	case in.r == in.w && in.idle && in.last < smallBlock:
		in.resize(memory, smallBlock)
	case full && len(in.buf) >= mediumBlock && c.countInput(largeBlock):
		in.resize(memory, largeBlock)
	case c.countInput(mediumBlock):
		in.resize(memory, max(mediumBlock, len(in.buf)))
	default:
		return errHeld
	}
	n, err := c.net.Read(in.buf[in.w:])
	in.w += n
	in.last = n
	if n > 0 {
		return nil
	}
	return err
}

// awaitInput reads what comes first.
func (c *conn) awaitInput() error {
	in := &c.input
	in.err = nil
	if err := in.raw.Read(in.onReadable); err != nil {
		return err
	}
	in.last = in.w
	if in.w > 0 {
		return nil
	}
	return in.err
}

// readable takes a buffer, reads into it, and gives it back if nothing was there; then the runtime parks the goroutine and calls
// again. It reports whether the wait is over.
func (c *conn) readable(fd uintptr) bool {
	in := &c.input
	if in.last < smallBlock || !c.countInput(mediumBlock) {
		in.resize(c.cfg.Memory, smallBlock)
	} else {
		in.resize(c.cfg.Memory, mediumBlock)
	}
	n, again, err := in.read(fd, in.buf)
	switch {
	case again:
		in.release(c.cfg.Memory)
		return false
	case n == 0 && err == nil:
		err = io.EOF
	}
	in.w, in.err = n, err
	return true
}

// countInput reports whether the read buffer may have a size. What was counted once is counted until the connection is
// paused.
func (c *conn) countInput(size int) bool {
	in := &c.input
	if size <= in.counted {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.count(int64(size - in.counted)) {
		return false
	}
	in.counted = size
	return true
}

// resize moves what is there to the front of a buffer of a size.
func (in *input) resize(memory *Memory, size int) {
	if len(in.buf) == size {
		in.w = copy(in.buf, in.buf[in.r:in.w])
		in.r = 0
		return
	}
	to := memory.get(size)
	buf := to.data[:cap(to.data)]
	n := copy(buf, in.buf[in.r:in.w])
	memory.put(in.blk)
	in.blk, in.buf, in.r, in.w = to, buf, 0, n
}

// release gives the memory back; what is in it is gone.
func (in *input) release(memory *Memory) {
	memory.put(in.blk)
	in.blk, in.buf, in.r, in.w = nil, nil, 0, 0
}

// read reads and takes frames until the connection ends. A panic ends it, too: what its streams wait for would not come.
func (c *conn) read() (err error) {
	defer func() {
		if problem := recover(); problem != nil {
			err = c.panicked(problem)
		}
	}()
	for {
		err := c.input.fill(c)
		if err == nil {
			err = c.takeAll()
		} else {
			err = c.unread(err)
		}
		if err != nil {
			return err
		}
	}
}

// panicked reports a panic, for the deferred function that has recovered it.
func (c *conn) panicked(problem any) error {
	return fmt.Errorf("%w: %w", ErrPanicked, containment.Report(c.cfg.Log, "a connection by HTTP/2", problem, "peer",
		c.net.RemoteAddr()))
}

// contain is deferred in all goroutines but the reading one: a panic ends the connection.
func (c *conn) contain() {
	if problem := recover(); problem != nil {
		_ = c.cut(c.panicked(problem)) // which ends it for all
	}
}

// unread is what a failed read means; nil if it was to look whether the connection can be paused, and it cannot.
func (c *conn) unread(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	in := &c.input
	switch {
	case in.stopped != nil:
		return in.stopped
	case c.err != nil:
		return c.err
	case !in.interrupted:
		return err
	}
	in.interrupted = false
	c.net.SetReadDeadline(time.Time{})
	if !c.isQuiet() || in.r < in.w {
		c.arm(c.now() + int64(c.cfg.Patience))
		return nil
	}
	in.release(c.cfg.Memory)
	c.discount(int64(in.counted))
	in.counted = 0
	c.giveSpare()
	return http1.ErrQuiet
}

// isQuiet reports whether nothing is under way, and nothing is to be said. mu is held.
func (c *conn) isQuiet() bool {
	return len(c.streams) == 0 && c.running == 0 && !c.out.writing && c.out.pending() == 0 &&
		c.leaving.stage == staying && c.clock.partial == 0
}

// takeAll takes what has arrived, as far as its frames are complete.
func (c *conn) takeAll() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	in := &c.input
	c.heard = c.now()
	if !in.started {
		if more, err := c.takePreface(); more || err != nil {
			return err
		}
	}
	for {
		f, size, err := nextFrame(in.buf[in.r:in.w])
		if err != nil {
			return err
		}
		if size == 0 {
			if err := c.checkFirst(in.buf[in.r:in.w]); err != nil {
				return err
			}
			break
		}
		in.r += size
		if err := c.take(&f); err != nil {
			return err
		}
	}
	c.noteIncomplete()
	c.wakeReady()
	in.idle = c.flow.bringing == 0
	if c.out.pending() > maxPending {
		return connError(EnhanceYourCalm, "nothing is read of what is sent")
	}
	c.flushSoon()
	return in.stopped
}

// takePreface takes the client's first bytes; more says that they are not all there.
func (c *conn) takePreface() (more bool, err error) {
	in := &c.input
	arrived := in.buf[in.r:in.w]
	n := min(len(arrived), len(preface))
	if string(arrived[:n]) != preface[:n] {
		return false, connError(ProtocolError, "the connection does not start with the preface of HTTP/2")
	}
	if n < len(preface) {
		return true, nil
	}
	in.r += n
	in.started = true
	return false, nil
}

// checkFirst refuses what cannot become the frame that comes first, so that a peer who speaks another protocol is not
// waited for: SETTINGS, and no acknowledgement.
func (c *conn) checkFirst(b []byte) error {
	wrong := len(b) > 0 && b[0] != 0 || len(b) > 1 && b[1] > maxFrame>>8 ||
		len(b) > 3 && frameKind(b[3]) != kindSettings || len(b) > 4 && b[4]&flagAck != 0
	if c.peer.seen || !wrong {
		return nil
	}
	return connError(ProtocolError, "the peer does not begin with SETTINGS, so it does not seem to speak HTTP/2")
}

// noteIncomplete starts the clock for a frame that has arrived in part, unless it is DATA: that is the stream's matter.
func (c *conn) noteIncomplete() {
	rest := c.input.buf[c.input.r:c.input.w]
	waits := c.head.open || !c.peer.seen || len(rest) > 0 && (len(rest) < frameHeader || frameKind(rest[3]) != kindData)
	switch {
	case !waits:
		c.clock.partial = 0
	case c.clock.partial == 0:
		c.clock.partial = c.heard
		c.arm(c.heard + int64(c.cfg.HeadTimeout))
	}
}

// wakeReady starts and wakes the streams for which something has arrived. mu is held.
func (c *conn) wakeReady() {
	for i, s := range c.ready {
		c.ready[i] = nil
		s.queued = false
		switch {
		case s.fresh && s.gone && s.err != nil: // begun and taken back in one breath
			c.running--
			c.giveBack(int64(s.in.data.size))
			s.drop(s.held)
			s.recycle()
		case s.fresh:
			s.fresh = false
			c.owner.start(s)
		default:
			s.readable.signal()
		}
	}
	c.ready = c.ready[:0]
}

// wake has a stream started or woken when all that has arrived was looked at. mu is held.
func (c *conn) wake(s *Stream) {
	if !s.queued {
		s.queued = true
		c.ready = append(c.ready, s)
	}
}

// waiter lets one goroutine wait. conn.mu guards it.
type waiter struct {
	ch chan struct{} // of capacity 1; nil until somebody waits
	on bool          // somebody waits
}

func (w *waiter) signal() {
	if w.on {
		w.on = false
		w.ch <- struct{}{}
	}
}

// wait waits for signal. mu is held, though not meanwhile.
func (w *waiter) wait(c *conn) {
	if w.ch == nil {
		w.ch = make(chan struct{}, 1)
	}
	w.on = true
	c.mu.Unlock()
	<-w.ch
	c.mu.Lock()
}

// never is a time that does not come.
const never = math.MaxInt64
