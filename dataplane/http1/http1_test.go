package http1

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// script is a peer that has sent all it will ever send, in pieces of a given size, and that remembers what it was sent.
type script struct {
	in    string
	piece int
	out   strings.Builder
	// failed is returned by writes when set.
	failed error
}

func (s *script) Read(p []byte) (int, error) {
	if len(s.in) == 0 {
		return 0, io.EOF
	}
	n := min(len(p), len(s.in))
	if s.piece > 0 {
		n = min(n, s.piece)
	}
	copy(p, s.in[:n])
	s.in = s.in[n:]
	return n, nil
}

func (s *script) Write(p []byte) (int, error) {
	if s.failed != nil {
		return 0, s.failed
	}
	return s.out.Write(p)
}

func (s *script) Close() error                     { return nil }
func (s *script) LocalAddr() net.Addr              { return nil }
func (s *script) RemoteAddr() net.Addr             { return nil }
func (s *script) SetDeadline(time.Time) error      { return nil }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }

// saying returns a connection whose peer sends text in pieces of the given size; 0 means at once.
func saying(text string, piece int) *Conn { return NewConn(&script{in: text, piece: piece}, Config{}) }

// readBody gathers a body.
func readBody(t *testing.T, b *Body) (string, error) {
	t.Helper()
	data, err := io.ReadAll(b)
	return string(data), err
}

// pieces are the sizes in which every test message arrives: byte by byte, in odd pieces, at once.
var pieces = []int{1, 7, 0}

func expectError(t *testing.T, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("error %v, want %v", got, want)
	}
}
