package descriptor

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// Ended reports whether the peer has ended its side of a connection, be there something left to read or not. The error
// says that the connection is broken.
func Ended(fd uintptr) (bool, error) {
	polled := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
	for {
		_, err := unix.Poll(polled[:], 0)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return false, err
		case polled[0].Revents&(unix.POLLERR|unix.POLLHUP|unix.POLLNVAL) != 0:
			return true, syscall.ECONNRESET
		}
		return polled[0].Revents&unix.POLLRDHUP != 0, nil
	}
}
