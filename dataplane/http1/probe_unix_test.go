//go:build unix

package http1

import (
	"errors"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestProbe tells a quiet connection from one that was closed or spoken on.
func TestProbe(t *testing.T) {
	for _, test := range []struct {
		name string
		peer func(*net.TCPConn)
		want error
	}{
		{"quiet", func(*net.TCPConn) {}, nil},
		{"closed", func(peer *net.TCPConn) { peer.Close() }, ErrStale},
		{"spoke out of turn", func(peer *net.TCPConn) { peer.Write([]byte("HTTP/1.1 408 Too Late\r\n\r\n")) }, ErrStale},
	} {
		for _, send := range []bool{false, true} {
			here, peer := loopback(t)
			c := NewConn(here, Config{})
			test.peer(peer)
			if test.want != nil {
				waitReadable(t, here)
			}
			c.Out.StartRequest([]byte("GET"), []byte("/"))
			c.Out.EndHead(Bodiless)
			var err error
			switch {
			case !send:
				err = c.Probe()
			case test.want == nil:
				go func() { // the answer must not come before the question
					peer.Read(make([]byte, 1))
					peer.Write([]byte("HTTP/1.1 204 \r\n\r\n"))
				}()
				if err = c.SendAndWait(); err == nil {
					err = c.In.ReadResponse(new(Response), false)
				}
			default:
				err = c.SendAndWait()
			}
			if !errors.Is(err, test.want) {
				t.Errorf("%s, sending %v: %v, want %v", test.name, send, err, test.want)
			}
			if sent := c.Out.Sent() > 0; sent != (send && test.want == nil) {
				t.Errorf("%s, sending %v: %d bytes were sent", test.name, send, c.Out.Sent())
			}
			c.Close()
		}
	}
}

// TestAKeptConnectionHasItsIdleTimeAnew sends a request although the deadline of the one before has passed.
func TestAKeptConnectionHasItsIdleTimeAnew(t *testing.T) {
	here, peer := loopback(t)
	c := NewConn(here, Config{})
	defer c.Close()
	c.stream.touch(false)
	c.stream.expires.Store(1) // as long after as it takes
	here.SetDeadline(time.Unix(1, 0))
	c.Out.StartRequest([]byte("GET"), []byte("/"))
	c.Out.EndHead(Bodiless)
	go func() {
		peer.Read(make([]byte, 1024))
		peer.Write([]byte("HTTP/1.1 204 \r\n\r\n"))
	}()
	if err := c.SendAndWait(); err != nil {
		t.Error(err)
	}
}

// waitReadable waits until something, or the end, can be read, and leaves it there.
func waitReadable(t *testing.T, conn *net.TCPConn) {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Read(func(fd uintptr) bool { return peekable(fd) }); err != nil {
		t.Fatal(err)
	}
}

// peekable reports whether a read would not have to wait.
func peekable(fd uintptr) bool {
	var b [1]byte
	_, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	return err != unix.EAGAIN
}
