package descriptor_test

import (
	"net"
	"syscall"
	"testing"

	"pergola/dataplane/descriptor"
)

func TestConnectionsWithoutADescriptor(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	if descriptor.Of(near) != nil {
		t.Error("a pipe in memory has a descriptor")
	}
}

// pair is a connection over loopback, and the descriptor of its near end.
func pair(t *testing.T) (raw syscall.RawConn, far net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	far, err = net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	near, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	if raw = descriptor.Of(near); raw == nil {
		t.Skip("connections have no descriptors here")
	}
	return raw, far
}

// TestRead waits for bytes, looks at them without and with taking them, and sees the end of the connection.
func TestRead(t *testing.T) {
	raw, far := pair(t)
	p := make([]byte, 8)
	waited := false
	err := raw.Read(func(fd uintptr) bool {
		n, again, err := descriptor.Read(fd, p)
		_, m, peekAgain, peekErr := descriptor.Peek(fd)
		if !waited && (n != 0 || !again || err != nil || m != 0 || !peekAgain || peekErr != nil) {
			t.Errorf("before anything came: %d %t %v, %d %t %v", n, again, err, m, peekAgain, peekErr)
		}
		if again && waited {
			return false
		}
		if !waited {
			waited = true
			_, _ = far.Write([]byte("abc"))
			return false
		}
		if err != nil || string(p[:n]) != "abc" {
			t.Errorf("read %q, %v", p[:n], err)
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = far.Write([]byte("xy"))
	if err := far.Close(); err != nil {
		t.Fatal(err)
	}
	var taken string
	err = raw.Read(func(fd uintptr) bool {
		for { // until nothing is there: what has come before is not told again
			first, n, again, err := descriptor.Peek(fd)
			if again {
				return false
			}
			if err != nil {
				t.Errorf("peek: %v", err)
				return true
			}
			got, again, err := descriptor.Read(fd, p)
			if again || err != nil || got > 0 && p[0] != first || (n == 0) != (got == 0) {
				t.Errorf("peeked %q of %d, then read %q, %t, %v", first, n, p[:got], again, err)
			}
			if taken += string(p[:got]); n == 0 {
				return true
			}
		}
	})
	if err != nil || taken != "xy" {
		t.Errorf("read %q up to the end, %v", taken, err)
	}
}

func TestADescriptorThatIsNone(t *testing.T) {
	pair(t) // skips where there are none
	if n, again, err := descriptor.Read(^uintptr(0), make([]byte, 1)); n != 0 || again || err == nil {
		t.Errorf("read %d, %t, %v", n, again, err)
	}
	if _, n, again, err := descriptor.Peek(^uintptr(0)); n != 0 || again || err == nil {
		t.Errorf("peeked %d, %t, %v", n, again, err)
	}
}
