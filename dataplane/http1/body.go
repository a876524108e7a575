package http1

import (
	"bytes"
	"io"
	"math"
)

// Framing says how the end of a body is known (RFC 9112 §6): a length in bytes, or one of the constants.
type Framing int64

const (
	// Chunked bodies say their length piece by piece.
	Chunked Framing = -1
	// UntilClose is for responses that end with their connection.
	UntilClose Framing = -2
	// Bodiless messages have no body and say nothing of one.
	Bodiless Framing = -3
)

// Sized is the framing of a body of n bytes.
func Sized(n int64) Framing { return Framing(n) }

// Bounds on what a chunked body may spend on anything but data.
const (
	maxChunkLine      = 512
	maxExtensionBytes = 16 << 10
	maxTrailerBytes   = 3 << 10
	maxTrailers       = 32
)

// Body is the body of the message that a Reader is at. Next hands out what has arrived and Fill waits for more; Read does
// both for those who want an io.Reader.
type Body struct {
	in       *Reader
	state    bodyState
	left     int64 // bytes to come of a sized body, or of the current chunk
	received int64
	spent    int    // on chunk extensions
	scanned  int    // how far the window is known not to hold the end of the trailers
	view     []byte // what Read has not handed out yet
	trailers Fields
}

type bodyState uint8

const (
	bodyDone bodyState = iota
	bodySized
	bodyUntilClose
	chunkSize
	chunkData
	chunkEnd
	trailerSection
)

func (b *Body) begin(framing Framing) {
	b.left, b.received, b.spent, b.scanned, b.view = 0, 0, 0, 0, nil
	b.trailers.list = b.trailers.list[:0]
	switch {
	case framing > 0:
		b.state, b.left = bodySized, int64(framing)
	case framing == Chunked:
		b.state = chunkSize
	case framing == UntilClose:
		b.state = bodyUntilClose
	default:
		b.state = bodyDone
	}
}

// Received is the number of bytes handed out so far, without the framing.
func (b *Body) Received() int64 { return b.received }

// Trailers are the trailer fields, once Next has returned io.EOF. They are validated like header fields, and those that
// may not stand in a trailer section are left out. They hold until more is read from the connection.
func (b *Body) Trailers() []Field { return b.trailers.list }

func (b *Body) done() bool { return b.state == bodyDone }

// Next returns the next bytes of the body that have arrived, as a view that holds until Fill or Read is called. It never
// waits: nil without an error means that nothing is there and Fill is needed. At the end it returns io.EOF.
func (b *Body) Next() ([]byte, error) {
	for {
		switch b.state {
		case bodyDone:
			return nil, io.EOF
		case bodySized, chunkData, bodyUntilClose:
			return b.take(), nil
		}
		if more, err := b.step(); more || err != nil {
			return nil, err
		}
	}
}

// Fill waits for more of the body. It returns io.ErrUnexpectedEOF if the connection ends before the body.
func (b *Body) Fill() error {
	err := b.in.fillBody(b.expected())
	switch {
	case err == io.EOF && b.state == bodyUntilClose:
		b.state = bodyDone
		return nil
	case err == io.EOF:
		return io.ErrUnexpectedEOF
	}
	return err
}

// expected is how many bytes are known to be still to come.
func (b *Body) expected() int64 {
	if b.state == bodySized {
		return b.left
	}
	return math.MaxInt64
}

// Read implements io.Reader.
func (b *Body) Read(p []byte) (int, error) {
	for len(b.view) == 0 {
		view, err := b.Next()
		if err != nil {
			return 0, err
		}
		if b.view = view; view == nil {
			if err := b.Fill(); err != nil {
				return 0, err
			}
		}
	}
	n := copy(p, b.view)
	b.view = b.view[n:]
	return n, nil
}

// Discard reads the rest of the body and drops it, so that the next message can be read. It returns ErrTooMuch if that
// would be more than most bytes.
func (b *Body) Discard(most int64) error {
	for b.state != bodySized || b.left <= most {
		view, err := b.Next()
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case view == nil:
			if err := b.Fill(); err != nil {
				return err
			}
		}
		if most -= int64(len(view)); most < 0 {
			break
		}
	}
	return ErrTooMuch
}

// take consumes as much of the window as belongs to the data at hand; nil if the window is empty.
func (b *Body) take() []byte {
	window := b.window()
	if len(window) == 0 {
		return nil
	}
	if b.state != bodyUntilClose {
		window = window[:min(int64(len(window)), b.left)]
		if b.left -= int64(len(window)); b.left == 0 {
			b.state = afterData(b.state)
		}
	}
	b.in.r += len(window)
	b.received += int64(len(window))
	return window
}

func afterData(s bodyState) bodyState {
	if s == chunkData {
		return chunkEnd
	}
	return bodyDone
}

func (b *Body) window() []byte {
	if b.in.blk == nil {
		return nil
	}
	return b.in.blk.data[b.in.r:b.in.w]
}

// step reads one piece of chunked framing (RFC 9112 §7.1) off the window; more says that it is not all there.
func (b *Body) step() (more bool, err error) {
	window := b.window()
	n := 0
	switch b.state {
	case chunkSize:
		n, err = b.chunkLine(window)
	case chunkEnd:
		n, err = b.chunkTerminator(window)
	case trailerSection:
		n, err = b.trailerLines(window)
	}
	b.in.r += n
	return n == 0, err
}

// chunkLine reads the line before the data of a chunk: its size, and extensions, which are dropped. What follows the size
// must be a semicolon: whitespace there is legal and harmless only if all on the way agree to ignore it.
func (b *Body) chunkLine(window []byte) (int, error) {
	end := bytes.IndexByte(window, '\n')
	if end < 0 {
		if len(window) > maxChunkLine {
			return 0, ErrChunkLine
		}
		return 0, nil
	}
	if end == 0 || window[end-1] != '\r' {
		return 0, ErrChunkSize
	}
	line := window[:end-1]
	size, digits, err := parseChunkSize(line)
	if err != nil {
		return 0, err
	}
	extension := line[digits:]
	switch b.spent += len(extension); {
	case len(extension) > 0 && extension[0] != ';':
		return 0, ErrChunkSize
	case len(extension) > maxChunkLine || b.spent > maxExtensionBytes:
		return 0, ErrChunkLine
	case !validValue(extension):
		return 0, ErrChunkExtension
	}
	b.left, b.state = size, chunkData
	if size == 0 {
		b.state, b.scanned = trailerSection, 0
	}
	return end + 1, nil
}

// parseChunkSize reads the hexadecimal number that line starts with.
func parseChunkSize(line []byte) (size int64, digits int, err error) {
	for digits < len(line) && isHex(line[digits]) {
		if size > math.MaxInt64>>4 {
			return 0, 0, ErrChunkSize
		}
		c := lowerByte(line[digits])
		if c >= 'a' {
			c -= 'a' - 10 - '0'
		}
		size = size<<4 | int64(c-'0')
		digits++
	}
	if digits == 0 || digits > 16 {
		return 0, 0, ErrChunkSize
	}
	return size, digits, nil
}

func (b *Body) chunkTerminator(window []byte) (int, error) {
	switch {
	case len(window) > 0 && window[0] != '\r', len(window) > 1 && window[1] != '\n':
		return 0, ErrChunkEnd
	case len(window) < 2:
		return 0, nil
	}
	b.state = chunkSize
	return 2, nil
}

// trailerLines reads the trailer section with its empty line.
func (b *Body) trailerLines(window []byte) (int, error) {
	if len(window) >= 2 && window[0] == '\r' && window[1] == '\n' {
		b.state = bodyDone
		return 2, nil
	}
	end, err := headEnd(window, b.scanned)
	switch {
	case err != nil:
		return 0, err
	case end > maxTrailerBytes || end == 0 && len(window) > maxTrailerBytes:
		return 0, ErrTrailers
	case end == 0:
		b.scanned = len(window)
		return 0, nil
	}
	if err := b.trailers.parse(window[:end], maxTrailers); err != nil {
		return 0, err
	}
	b.trailers.dropForbidden()
	b.state = bodyDone
	return end, nil
}

// dropForbidden removes what may not be a trailer (RFC 9110 §6.5.1): fields for framing, for the connection, for routing
// and for authentication. A recipient that merges trailers into the head must not be fooled by them.
func (f *Fields) dropForbidden() {
	kept := f.list[:0]
	for _, field := range f.list {
		if !field.Hop && !forbiddenTrailer(field.Name) {
			kept = append(kept, field)
		}
	}
	f.list = kept
}

func forbiddenTrailer(name []byte) bool {
	for _, forbidden := range [...]string{
		"host", "authorization", "www-authenticate", "authentication-info", "cookie", "set-cookie", "trailer", "content-type",
		"content-encoding", "content-range", "cache-control", "expires", "date", "location", "retry-after", "vary",
		"age", "warning", "pragma", "max-forwards", "range", "if-match", "if-none-match", "if-modified-since",
		"if-unmodified-since", "if-range",
	} {
		if EqualFold(name, forbidden) {
			return true
		}
	}
	return false
}
