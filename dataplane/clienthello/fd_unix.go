//go:build unix

package clienthello

import "syscall"

// peekFD looks at the first byte that has arrived on a non-blocking descriptor and leaves it there; again says that
// nothing has arrived, and n is 0 where the peer has closed.
func peekFD(fd uintptr) (first byte, n int, again bool, err error) {
	var p [1]byte
	for {
		n, _, err = syscall.Recvfrom(int(fd), p[:], syscall.MSG_PEEK)
		switch err {
		case nil:
			return p[0], n, false, nil
		case syscall.EINTR:
		case syscall.EAGAIN:
			return 0, 0, true, nil
		default:
			return 0, 0, false, err
		}
	}
}

// hasFD says that peekFD works here.
const hasFD = true
