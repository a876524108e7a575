//go:build !unix

package descriptor

import "errors"

// usable is false, which keeps Read and Peek from being called: connections are read without a look at their descriptor.
const usable = false

// Read has no counterpart here.
func Read(uintptr, []byte) (n int, again bool, err error) { return 0, false, errors.ErrUnsupported }

// Peek has no counterpart here.
func Peek(uintptr) (first byte, n int, again bool, err error) {
	return 0, 0, false, errors.ErrUnsupported
}
