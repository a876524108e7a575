package policy

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Error is why Parse refused a document.
type Error struct {
	// Problems holds at least one problem, and no more than twenty, in the order in which they were found.
	Problems []Problem
}

// Problem is one thing that is wrong with a document.
type Problem struct {
	// Path is where it is, as a JSON pointer (RFC 6901): "/Statement/0/Effect", "" for the whole document.
	Path string
	// Line and Column say the same as counted by an editor, from 1; columns are characters.
	Line, Column int
	// Message says what is wrong and the way out.
	Message string
}

// String is the problem on one line.
func (p Problem) String() string {
	if p.Path == "" {
		return fmt.Sprintf("line %d:%d: %s", p.Line, p.Column, p.Message)
	}
	return fmt.Sprintf("%s (line %d:%d): %s", p.Path, p.Line, p.Column, p.Message)
}

// Error lists the problems on one line.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, problem := range e.Problems {
		lines[i] = problem.String()
	}
	return "invalid policy: " + strings.Join(lines, "; ")
}

// position is where something stands in a document: under which name in what.
type position struct {
	in     *position // nil for the document itself
	name   string
	offset int // in bytes
}

// path is the position as a JSON pointer, its names escaped as RFC 6901 §3 says.
func (p *position) path() string {
	var names []string
	for at := p; at.in != nil; at = at.in {
		names = append(names, strings.ReplaceAll(strings.ReplaceAll(cut(at.name, longestName), "~", "~0"), "/", "~1"), "/")
	}
	slices.Reverse(names)
	return strings.Join(names, "")
}

// How many bytes of a name in a path, and of a message, are shown where a hostile document makes them long.
const (
	longestName    = 256
	longestMessage = 2048
)

// cut shortens text to a number of bytes.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "..."
}

// mostProblems bounds what a hostile document can make Parse say.
const mostProblems = 20

// problems collects what is wrong with one document.
type problems struct {
	source []byte
	found  []Problem
}

// full reports whether there is no use in looking for more.
func (p *problems) full() bool { return len(p.found) == mostProblems }

func (p *problems) add(at position, format string, args ...any) {
	if p.full() {
		return
	}
	before := p.source[:at.offset]
	line := before[bytes.LastIndexByte(before, '\n')+1:]
	p.found = append(p.found, Problem{
		Path:    at.path(),
		Line:    bytes.Count(before, []byte("\n")) + 1,
		Column:  utf8.RuneCount(line) + 1,
		Message: cut(fmt.Sprintf(format, args...), longestMessage),
	})
}

// err is nil when nothing was found.
func (p *problems) err() error {
	if len(p.found) == 0 {
		return nil
	}
	return &Error{p.found}
}
