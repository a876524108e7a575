package policy

import (
	"bytes"
	"fmt"
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

// place is where something stands in a document.
type place struct {
	path   string
	offset int // in bytes
}

// under is the path of a member or an item below p, its name escaped as RFC 6901 §3 says.
func (p place) under(name string) string {
	return p.path + "/" + strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
}

// mostProblems bounds what a hostile document can make Parse say.
const mostProblems = 20

// problems collects what is wrong with one document.
type problems struct {
	source []byte
	found  []Problem
}

func (p *problems) add(at place, format string, args ...any) {
	if len(p.found) == mostProblems {
		return
	}
	before := p.source[:at.offset]
	line := before[bytes.LastIndexByte(before, '\n')+1:]
	p.found = append(p.found, Problem{
		Path:    at.path,
		Line:    bytes.Count(before, []byte("\n")) + 1,
		Column:  utf8.RuneCount(line) + 1,
		Message: fmt.Sprintf(format, args...),
	})
}

// err is nil when nothing was found.
func (p *problems) err() error {
	if len(p.found) == 0 {
		return nil
	}
	return &Error{p.found}
}
