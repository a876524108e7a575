//go:build !unix

package clienthello

import "errors"

// peekFD has no counterpart here; hasFD keeps it from being called. The first byte is then read.
func peekFD(uintptr) (first byte, n int, again bool, err error) {
	return 0, 0, false, errors.ErrUnsupported
}

const hasFD = false
