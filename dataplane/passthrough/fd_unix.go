//go:build unix

package passthrough

import "syscall"

// readFD reads what has arrived on a non-blocking descriptor; again says that nothing has.
func readFD(fd uintptr, p []byte) (n int, again bool, err error) {
	for {
		n, err = syscall.Read(int(fd), p)
		switch err {
		case nil:
			return n, false, nil
		case syscall.EINTR:
		case syscall.EAGAIN:
			return 0, true, nil
		default:
			return 0, false, err
		}
	}
}

// hasFD says that readFD works here.
const hasFD = true
