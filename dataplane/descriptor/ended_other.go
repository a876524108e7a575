//go:build !linux

package descriptor

// Ended reports whether the peer has ended its side of a connection. Here that shows only once all before it was read.
// The error says that the connection is broken.
func Ended(fd uintptr) (bool, error) {
	_, n, again, err := Peek(fd)
	return n == 0 && !again && err == nil, err
}
