package functions

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"syscall"
)

// Bounds on what a function may write, in bytes.
const (
	// maxLine is how long a line of the log may be; longer ones are cut into several.
	maxLine = 4 << 10
	// maxTail is how much of the log an invocation returns (Lambda API reference, LogType).
	maxTail = 4 << 10
	// maxOutput is how much of what an environment writes during one invocation, or between two, goes into the log, where
	// each line counts as lineCost more than it has.
	maxOutput = 256 << 10
	lineCost  = 200
	// maxPipe is how much a pipe holds that nobody has read yet (pipe(7)).
	maxPipe = 64 << 10
)

// output is the pipe into which an environment writes. All that has been written before an answer was given is read
// before the invocation ends; what goes on to be written is not waited for.
type output struct {
	pipe *os.File
	log  *slog.Logger

	mu     sync.Mutex // guards what follows, and reading
	line   []byte
	tail   []byte
	left   int // of maxOutput
	closed bool
}

func newOutput(pipe *os.File, log *slog.Logger) *output {
	return &output{pipe: pipe, log: log, left: maxOutput}
}

// run reads until the environment and all that it started have closed the pipe, or close is called.
func (o *output) run() {
	raw, err := o.pipe.SyscallConn()
	if err != nil {
		return // closed already
	}
	_ = raw.Read(func(fd uintptr) bool { // its error is that of close
		for {
			if n, err := o.read(int(fd)); n <= 0 {
				return err != syscall.EAGAIN
			}
		}
	})
}

// read takes a piece of what there is. n is 0 at the end, and less with an error, which is EAGAIN if there is nothing yet. It
// lets go of mu each time: a program may write without end.
func (o *output) read(fd int) (n int, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return 0, nil
	}
	var buffer [maxLine]byte
	for n, err = syscall.Read(fd, buffer[:]); err == syscall.EINTR; n, err = syscall.Read(fd, buffer[:]) {
	}
	if n > 0 {
		o.take(buffer[:n])
	}
	return n, err
}

func (o *output) take(b []byte) {
	for len(b) > 0 {
		end := bytes.IndexByte(b, '\n') + 1
		if end == 0 {
			end = len(b)
		}
		o.line = append(o.line, b[:end]...)
		b = b[end:]
		if o.line[len(o.line)-1] == '\n' || len(o.line) >= maxLine {
			o.put()
		}
	}
}

// put takes a line into the log and the tail.
func (o *output) put() {
	o.keep(o.line)
	if line := bytes.TrimRight(o.line, "\r\n"); o.left > 0 && len(line) > 0 {
		o.log.Info("a function writes", "line", string(line))
		if o.left -= len(line) + lineCost; o.left <= 0 {
			o.log.Warn("a function writes more than the log takes; the rest, up to its next invocation, is left out")
		}
	}
	o.line = o.line[:0]
}

func (o *output) keep(b []byte) {
	o.tail = append(o.tail, b...)
	if len(o.tail) > maxTail {
		o.tail = append(o.tail[:0], o.tail[len(o.tail)-maxTail:]...)
	}
}

// begin begins the log of an invocation.
func (o *output) begin(id, version string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tail, o.left = o.tail[:0], maxOutput
	o.keep(fmt.Appendf(nil, "START RequestId: %s Version: %s\n", id, version))
}

// end ends the log of an invocation and returns the last of it.
func (o *output) end(inv *invocation, f *Function) []byte {
	raw, err := o.pipe.SyscallConn()
	if err == nil {
		_ = raw.Control(func(fd uintptr) { // its error is that of close
			for read, n := 0, 1; read < maxPipe && n > 0; read += n {
				n, _ = o.read(int(fd)) // what went wrong shows in run
			}
		})
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.line) > 0 {
		o.line = append(o.line, '\n')
		o.put()
	}
	took := inv.took()
	o.keep(fmt.Appendf(nil, "END RequestId: %s\nREPORT RequestId: %s\tDuration: %.2f ms\tBilled Duration: %.0f ms\tMemory Size: %d MB\n",
		inv.ID, inv.ID, took, took+0.5, f.Memory))
	return bytes.Clone(o.tail)
}

// close ends run, which may have something to read for ever.
func (o *output) close() {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	_ = o.pipe.Close() // nothing was written that could fail
}
