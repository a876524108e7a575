//go:build !unix

package passthrough

import "errors"

// readFD has no counterpart here; hasFD keeps it from being called. Connections then keep a buffer while idle.
func readFD(uintptr, []byte) (n int, again bool, err error) { return 0, false, errors.ErrUnsupported }

const hasFD = false
