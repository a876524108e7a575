package http1

import (
	"bytes"
	"errors"
	"io"
	"math"
	"os"
	"time"
)

// Reader reads messages from a connection: a head, its body, the next head.
//
// Its window is what has arrived and was not yet consumed, blk.data[r:w]. A head that was handed out lies in front of
// the window, or in pinned once the window has moved to memory of its own to receive a body.
type Reader struct {
	s      *stream
	blk    *block // nil while nothing is buffered
	r, w   int
	pinned *block
	body   Body

	// What readable, called back by the runtime when the descriptor may be read, has to do and what came of it.
	onReadable func(fd uintptr) bool
	first      *Writer // to flush once the connection has proved quiet
	once       bool    // do not wait
	err        error
}

// ReadRequest waits for a request and reads its head. The slices of the request before it are no longer valid, and its
// body must have been read to its end or the next head will be taken from its middle: see Body.Discard.
//
// It returns io.EOF when the peer closed between requests, io.ErrUnexpectedEOF when it did so within one, and a
// *MalformedError for a request that must be refused, after which the connection is of no more use.
func (r *Reader) ReadRequest(request *Request) error {
	head, err := r.readHead(true)
	if err != nil {
		return err
	}
	if err := request.parse(head, r.s.cfg.MaxFields); err != nil {
		return err
	}
	r.body.begin(request.Framing())
	return nil
}

// ReadResponse waits for a response and reads its head; toHead says that it answers a HEAD. Its errors are those of
// ReadRequest.
func (r *Reader) ReadResponse(response *Response, toHead bool) error {
	head, err := r.readHead(false)
	if err != nil {
		return err
	}
	if err := response.parse(head, r.s.cfg.MaxFields); err != nil {
		return err
	}
	response.toHead = toHead
	r.body.begin(response.Framing())
	return nil
}

// Body is the body of the message last read.
func (r *Reader) Body() *Body { return &r.body }

// readHead returns the next head with its empty line, and consumes it.
func (r *Reader) readHead(request bool) ([]byte, error) {
	if err := r.Await(); err != nil {
		return nil, err
	}
	if request {
		if err := r.skipEmptyLine(); err != nil {
			return nil, err
		}
	}
	scanned, limited := 0, false
	for {
		window := r.blk.data[r.r:r.w]
		end, err := headEnd(window, scanned)
		switch {
		case err != nil:
			return nil, err
		case end > r.s.cfg.MaxHeadBytes, end == 0 && len(window) >= r.s.cfg.MaxHeadBytes:
			return nil, ErrHeadTooLarge
		case end > 0:
			if limited {
				r.s.unlimitRead()
			}
			r.r += end
			return window[:end:end], nil
		}
		if !request {
			if err := checkStatusLine(window); err != nil {
				return nil, err
			}
		}
		if request && !limited {
			r.s.limitRead(r.s.cfg.HeadTimeout)
			limited = true
		}
		scanned = len(window)
		if err := r.more(); err != nil {
			return nil, err
		}
	}
}

// skipEmptyLine forgives one empty line before a request, and no more (RFC 9112 §2.2).
func (r *Reader) skipEmptyLine() error {
	if r.blk.data[r.r] != '\r' {
		return nil
	}
	r.s.limitRead(r.s.cfg.HeadTimeout)
	defer r.s.unlimitRead()
	for r.w-r.r < 3 {
		if err := r.more(); err != nil {
			return err
		}
	}
	if b := r.blk.data[r.r:r.w]; b[1] != '\n' || b[2] == '\r' {
		return ErrRequestLine
	}
	r.r += 2
	return nil
}

// checkStatusLine refuses what cannot become a status line, however it goes on, so that a target that speaks another
// protocol is not waited for.
func checkStatusLine(window []byte) error {
	const form = "HTTP/1.x ddd "
	for i, c := range window[:min(len(window), len(form))] {
		isDigit, last := '0' <= c && c <= '9', i == len(form)-1
		switch want := form[i]; {
		case i == len("HTTP/") && c != want, want == 'x' && c != '0' && c != '1':
			return ErrVersion
		case want == 'x', want == 'd' && isDigit, last && c == '\r', c == want && want != 'd':
		default:
			return ErrStatusLine
		}
	}
	return nil
}

// headEnd returns the length of the head that window starts with, 0 if it is not complete. The first scanned bytes are
// known not to complete it. A bare LF is refused here as well as in the parser, so that a peer who ends its head with
// one is told so and not left waiting.
func headEnd(window []byte, scanned int) (int, error) {
	from := max(0, scanned-3)
	if i := bytes.Index(window[from:], []byte("\r\n\r\n")); i >= 0 {
		return from + i + 4, nil
	}
	for i := scanned; ; i++ {
		next := bytes.IndexByte(window[i:], '\n')
		if next < 0 {
			return 0, nil
		}
		if i += next; i == 0 || window[i-1] != '\r' {
			return 0, ErrBareLF
		}
	}
}

// Await waits until bytes of the next message are there, and holds no memory meanwhile if it can. Calling it before
// ReadRequest lets the caller, too, wait with empty hands. It ends the message before, like reading the next one does.
func (r *Reader) Await() error {
	r.release()
	if r.r < r.w {
		return nil
	}
	if r.s.raw != nil {
		r.s.touch(false)
		return r.arrived(nil, true)
	}
	if r.blk == nil {
		r.blk = r.s.cfg.Memory.get(smallBlock)
	}
	r.r, r.w = 0, 0
	r.s.touch(false)
	return ignoreEOFAfter(r.read())
}

// AwaitFor is Await for at most d, after which it returns ErrQuiet and can be called again: at the latest when the connection's
// IdleUntil has come, and at the earliest when its descriptor has something to read. Where the connection has no descriptor it is
// Await.
func (r *Reader) AwaitFor(d time.Duration) error {
	r.release()
	switch {
	case r.r < r.w:
		return nil
	case r.s.raw == nil:
		return r.Await()
	}
	r.s.rest(d)
	err := r.arrived(nil, true)
	if errors.Is(err, os.ErrDeadlineExceeded) && !r.s.stopped.Load() && !r.s.isIdle() {
		return ErrQuiet
	}
	return err
}

// arrived reads what has come, or waits for it if told to. With first, what came before first was flushed is
// ErrStale.
func (r *Reader) arrived(first *Writer, wait bool) error {
	r.first, r.once, r.err = first, !wait, nil
	r.drop()
	if err := r.s.raw.Read(r.onReadable); err != nil {
		return err
	}
	return r.err
}

// readable takes a block, reads into it, and gives it back if nothing was there; then the runtime parks the goroutine
// and calls again. It reports whether the wait is over.
func (r *Reader) readable(fd uintptr) bool {
	r.blk = r.s.cfg.Memory.get(smallBlock)
	n, again, err := r.s.read(fd, r.blk.data)
	if again {
		r.drop()
		if r.first != nil {
			r.err = r.first.Flush()
			r.first = nil
		}
		return r.once || r.err != nil
	}
	r.w = n
	switch {
	case r.first != nil || r.once:
		r.err = ErrStale
	case err != nil:
		r.err = err
	case n == 0:
		r.err = io.EOF
	}
	return true
}

// more makes room behind the window, which is not yet a whole head, and reads.
func (r *Reader) more() error {
	switch {
	case r.w < len(r.blk.data):
	case r.r > 0:
		r.w = copy(r.blk.data, r.blk.data[r.r:r.w])
		r.r = 0
	default:
		old := r.blk
		if !r.move(4*len(old.data), 2) {
			return ErrNoRoom
		}
		r.s.cfg.Memory.put(old)
	}
	return unexpectedEOF(r.read())
}

// move takes the window to new memory, and leaves the old to the caller. It reports whether that may be held. That of a
// head counts twice: it is written on as it came, and who writes it need not count.
func (r *Reader) move(size int, times int64) bool {
	to := r.s.get(size, times)
	if to == nil {
		return false
	}
	r.w = copy(to.data, r.blk.data[r.r:r.w])
	r.r, r.blk = 0, to
	return true
}

// fillBody reads more of a body; want bytes of it are still to come (or more, if that is not known). The head must
// stay where it is, so the first call moves the window; a body that fills its block gets a larger one, if that may be
// held.
func (r *Reader) fillBody(want int64) error {
	r.s.touch(false)
	switch {
	case r.pinned == nil:
		head := r.blk
		fast := r.w == len(r.blk.data) // it filled the block in which its head came
		least := r.w - r.r + 1
		if !r.move(max(bodyBlock(want, fast), least), 1) && !r.move(least, 1) {
			return ErrNoRoom
		}
		r.pinned = head
	case r.r < r.w:
		r.w = copy(r.blk.data, r.blk.data[r.r:r.w])
		r.r = 0
	default:
		if old := r.blk; r.w == len(old.data) && r.w < largeBlock && r.move(largeBlock, 1) {
			r.s.cfg.Memory.put(old)
		}
		r.r, r.w = 0, 0
	}
	return ignoreEOFAfter(r.read())
}

// bodyBlock is the size of buffer to start a body with: what it needs, but a large one only for a body that is known to
// be long and comes fast.
func bodyBlock(want int64, fast bool) int {
	switch {
	case want <= smallBlock:
		return smallBlock
	case fast && want > mediumBlock && want < math.MaxInt64:
		return largeBlock
	}
	return mediumBlock
}

// read reads into the block behind the window: something, or an error.
func (r *Reader) read() (n int, err error) {
	for n == 0 && err == nil {
		n, err = r.s.conn.Read(r.blk.data[r.w:])
	}
	r.w += n
	return n, err
}

// ignoreEOFAfter drops an error that came with bytes: it will come again without.
func ignoreEOFAfter(n int, err error) error {
	if n > 0 {
		return nil
	}
	return err
}

func unexpectedEOF(n int, err error) error {
	if n == 0 && err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return ignoreEOFAfter(n, err)
}

// drain reads and drops up to most bytes, until an error.
func (r *Reader) drain(most int64) {
	r.release()
	if r.blk == nil {
		r.blk = r.s.cfg.Memory.get(smallBlock)
	}
	for most > 0 {
		n, err := r.s.conn.Read(r.blk.data)
		if err != nil {
			return
		}
		most -= int64(n)
	}
}

// release gives back the memory of the head last read, and of the window if that is empty.
func (r *Reader) release() {
	if r.pinned != nil {
		r.s.cfg.Memory.put(r.pinned)
		r.pinned = nil
	}
	if r.r == r.w {
		r.drop()
	}
}

// drop gives back the window's memory and all in it.
func (r *Reader) drop() {
	if r.blk != nil {
		r.s.cfg.Memory.put(r.blk)
		r.blk = nil
	}
	r.r, r.w = 0, 0
}
