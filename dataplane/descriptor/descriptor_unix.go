//go:build unix

package descriptor

import "syscall"

// usable says that Read and Peek work here.
const usable = true

// Read reads what has arrived on a non-blocking descriptor; again says that nothing has, and n is 0 where the peer has
// closed.
func Read(fd uintptr, p []byte) (n int, again bool, err error) {
	for {
		n, err = syscall.Read(int(fd), p)
		if err != syscall.EINTR {
			return result(n, err)
		}
	}
}

// Peek looks at the first byte that has arrived and leaves it there; it is otherwise like Read.
func Peek(fd uintptr) (first byte, n int, again bool, err error) {
	var p [1]byte
	for {
		n, _, err = syscall.Recvfrom(int(fd), p[:], syscall.MSG_PEEK)
		if err != syscall.EINTR {
			n, again, err = result(n, err)
			return p[0], n, again, err
		}
	}
}

func result(n int, err error) (int, bool, error) {
	switch err {
	case nil:
		return n, false, nil
	case syscall.EAGAIN:
		return 0, true, nil
	}
	return 0, false, err
}
