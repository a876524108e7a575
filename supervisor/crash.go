package supervisor

import (
	"bytes"
	"io"
	"os"
)

// crashMarks begin what Go writes when a process crashes.
var crashMarks = [][]byte{
	[]byte("panic: "), []byte("fatal error: "), []byte("unexpected fault address "), []byte("runtime: "), []byte("SIG"),
}

// maxCrash is how much of a crash is kept, in bytes, and maxLine how long a line is looked at whole.
const (
	maxCrash = 1 << 20
	maxLine  = 64 << 10
)

// crashes passes on what a process writes, up to a crash: that goes to a file, since it is for those who mend the
// program.
type crashes struct {
	to    io.Writer
	path  string
	first string // line of the crash
	file  *os.File
	kept  int
	line  []byte // not whole yet
}

// Write takes what the process has written.
func (c *crashes) Write(b []byte) (int, error) {
	for rest := b; len(rest) > 0; {
		end := bytes.IndexByte(rest, '\n') + 1
		if end == 0 {
			c.line = append(c.line, rest...)
			if len(c.line) > maxLine {
				c.pass()
			}
			break
		}
		c.line = append(c.line, rest[:end]...)
		c.pass()
		rest = rest[end:]
	}
	return len(b), nil
}

func (c *crashes) pass() {
	line := c.line
	c.line = c.line[:0]
	if c.first == "" && isCrash(line) {
		c.first = string(bytes.TrimSpace(line))
		c.file, _ = os.OpenFile(c.path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600) // on a full disk there is the first line
	}
	if c.first == "" {
		_, _ = c.to.Write(line) // as the process itself would
		return
	}
	if c.kept += len(line); c.file != nil && c.kept <= maxCrash {
		_, _ = c.file.Write(line)
	}
}

func isCrash(line []byte) bool {
	for _, mark := range crashMarks {
		if bytes.HasPrefix(line, mark) {
			return true
		}
	}
	return false
}

// close returns the first line of a crash, "" if there was none.
func (c *crashes) close() string {
	if len(c.line) > 0 {
		c.pass()
	}
	if c.file != nil {
		_ = c.file.Close()
	}
	return c.first
}
