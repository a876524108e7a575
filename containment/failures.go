package containment

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
)

// ErrUntried is wrapped by the failure of what was not even tried, because the time for all had run out.
var ErrUntried = errors.New("there was no time left to try it")

// Untried is nil, or once ctx has ended an error that is ErrUntried.
func Untried(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrUntried, context.Cause(ctx))
}

// Failures is what has failed of a work on many things, by what it has failed for; everything else has been done. Empty
// is success, and nil is how that is returned. It is an error that is each of the errors in it.
type Failures[K comparable] map[K]error

// Note remembers that the work has failed for something. A nil error is none; of two the first stays.
func (f *Failures[K]) Note(of K, err error) {
	if err == nil || (*f)[of] != nil {
		return
	}
	if *f == nil {
		*f = Failures[K]{}
	}
	(*f)[of] = err
}

// Try does the work on one thing, notes how that fails or panics, and reports whether it has succeeded. What names the
// work in the log of a panic. When ctx has ended the work is not done, and has failed with Untried.
func (f *Failures[K]) Try(ctx context.Context, log *slog.Logger, what string, of K, work func() error) bool {
	err := Untried(ctx)
	if err == nil {
		err = Do(log, what, work, "of", of)
	}
	f.Note(of, err)
	return err == nil
}

// Err is the failures as one error, or nil without any.
func (f Failures[K]) Err() error {
	if len(f) == 0 {
		return nil
	}
	return f
}

// Error lists the failures, a line for each.
func (f Failures[K]) Error() string {
	lines := make([]string, 0, len(f))
	for of, err := range f {
		lines = append(lines, fmt.Sprintf("%v: %v", of, err))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// Unwrap is the errors, in an order of their own.
func (f Failures[K]) Unwrap() []error {
	return slices.SortedFunc(maps.Values(f), func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
}
