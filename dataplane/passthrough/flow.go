package passthrough

import (
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"pergola/dataplane/descriptor"
	"pergola/dataplane/record"
)

// buffer holds what is on its way in one direction: a record of TLS, which is also how finely progress is seen. Larger
// ones were not faster, nor was having the system move the bytes by splice.
type buffer [16 << 10]byte

// flow is one direction of a link. One goroutine runs it; its numbers are for afterwards.
type flow struct {
	link     *link
	buffers  *sync.Pool
	from, to net.Conn
	raw      syscall.RawConn // of from; nil where it has no file descriptor

	onReadable func(fd uintptr) bool
	buffer     *buffer // nil while there is nothing
	n          int     // how much is in it
	err        error   // what onReadable ended with

	read, written int64
	first, last   time.Duration // the first byte read and the last written, since the start of the link
}

func newFlow(l *link, buffers *sync.Pool, from, to net.Conn) *flow {
	// Without a descriptor the flow keeps a buffer while it waits.
	f := &flow{link: l, buffers: buffers, from: from, to: to, raw: descriptor.Of(from)}
	f.onReadable = f.readable
	return f
}

// begin writes what was read before, and reports whether the flow can go on.
func (f *flow) begin(head []byte) bool {
	if len(head) == 0 {
		return true
	}
	f.read = int64(len(head))
	if err := f.write(head); err != nil {
		f.link.reset(record.TargetConnectionClosed)
		return false
	}
	return true
}

// run carries bytes until the sender has no more, and tells the receiver so. If either breaks off, it is one of two
// failures. When reading fails nothing is left to do in either direction. When writing fails, the receiver may have said
// something before it left, so the other direction ends by itself.
func (f *flow) run(sender, receiver record.Failure) {
	defer f.link.contain()
	for {
		readErr := f.fetch()
		writeErr := error(nil)
		if f.n > 0 {
			writeErr = f.write(f.buffer[:f.n])
		}
		f.drop()
		switch {
		case writeErr != nil:
			f.link.fail(receiver)
			return
		case readErr == io.EOF:
			f.end()
			return
		case readErr != nil:
			f.link.reset(sender)
			return
		}
	}
}

// fetch waits for bytes, and holds no memory meanwhile if it can.
func (f *flow) fetch() (err error) {
	if f.raw != nil {
		f.err = nil
		if err = f.raw.Read(f.onReadable); err == nil {
			err = f.err
		}
	} else {
		f.buffer = f.buffers.Get().(*buffer)
		f.n, err = f.from.Read(f.buffer[:])
	}
	if f.n == 0 {
		return err
	}
	now := f.link.touch()
	if f.read == 0 {
		f.first = now
	}
	f.read += int64(f.n)
	if f.from == f.link.target {
		f.link.answered.Store(true)
	}
	return err
}

// readable reads what has arrived, and reports whether anything has, be it the end. The runtime calls it when the
// descriptor may be read.
func (f *flow) readable(fd uintptr) bool {
	f.buffer = f.buffers.Get().(*buffer)
	n, again, err := descriptor.Read(fd, f.buffer[:])
	if again {
		f.drop()
		return false
	}
	if f.n, f.err = n, err; n == 0 && err == nil {
		f.err = io.EOF
	}
	return true
}

func (f *flow) write(p []byte) error {
	n, err := f.to.Write(p)
	f.written += int64(n)
	if n > 0 {
		f.last = f.link.touch()
	}
	return err
}

// drop gives back the buffer.
func (f *flow) drop() {
	if f.buffer != nil {
		f.buffers.Put(f.buffer)
	}
	f.buffer, f.n = nil, 0
}

// end tells the receiver that nothing more will come. Where only a whole connection can end, the link does.
func (f *flow) end() {
	if f.from == f.link.target {
		f.link.finished.Store(true)
	}
	if half, ok := f.to.(interface{ CloseWrite() error }); ok {
		half.CloseWrite() // fails if the receiver has left, which reading from it will show
		if f.from == f.link.client {
			f.link.parting()
		}
		return
	}
	f.link.close("")
}
