package clienthello

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"pergola/bound"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// said is what a TLS client says first, as one message.
func said(t testing.TB, config *tls.Config) (message []byte) {
	t.Helper()
	client, server := net.Pipe()
	defer server.Close()
	go func() {
		defer client.Close()
		tls.Client(client, config).Handshake()
	}()
	for {
		header := make([]byte, recordHeader)
		if _, err := io.ReadFull(server, header); err != nil {
			t.Fatal(err)
		}
		fragment := make([]byte, int(header[3])<<8|int(header[4]))
		if _, err := io.ReadFull(server, fragment); err != nil {
			t.Fatal(err)
		}
		message = append(message, fragment...)
		if len(message) == messageHeader+(int(message[1])<<16|int(message[2])<<8|int(message[3])) {
			return message
		}
	}
}

// record is a message in as few records as can be.
func record(message []byte) []byte { return inRecords(message, maxRecord) }

// named is the config of a client that asks for a name.
func named(name string) *tls.Config { return &tls.Config{ServerName: name, InsecureSkipVerify: true} }

// long is the config of a client that says a lot.
func long(bytes int) *tls.Config {
	config := named("long.example")
	for n := 0; n < bytes; n += 250 {
		config.NextProtos = append(config.NextProtos, strings.Repeat("x", 249))
	}
	return config
}

// inRecords is a message in records of at most size bytes.
func inRecords(message []byte, size int) (records []byte) {
	for part := range slices.Chunk(message, size) {
		records = append(records, recordHandshake, 3, 1, byte(len(part)>>8), byte(len(part)))
		records = append(records, part...)
	}
	return records
}

// segments writes bytes in pieces of at most size.
func segments(to net.Conn, all []byte, size int) {
	for part := range slices.Chunk(all, size) {
		if _, err := to.Write(part); err != nil {
			return
		}
	}
}

func TestHowAHelloIsSplitDoesNotMatter(t *testing.T) {
	for _, what := range []struct {
		name   string
		config *tls.Config
	}{{"orders.example", named("Orders.Example")}, {"", named("10.0.0.1")}, {"long.example", long(20 << 10)}} {
		message := said(t, what.config)
		if len(message) < 1200 {
			t.Errorf("the hello has %d bytes, too few for a post-quantum key share", len(message))
		}
		for _, records := range []int{1, 3, 4, 5, 500, maxRecord} {
			for _, segment := range []int{1, 2, 5, 6, 1000, 1 << 20} {
				sent := append(inRecords(message, records), "and what follows"...)
				expectHello(t, fmt.Sprintf("%q, records of %d, segments of %d", what.name, records, segment), sent, segment, what.name)
			}
		}
	}
}

func expectHello(t *testing.T, what string, sent []byte, segment int, name string) {
	t.Helper()
	client, server := net.Pipe()
	go func() {
		segments(client, sent, segment)
		client.Close()
	}()
	hello, isTLS, replay, err := Peek(t.Context(), server, Limits{MaxBytes: 256 << 10})
	if err != nil || !isTLS || hello.ServerName != name {
		t.Fatalf("%s: %+v, TLS %v, %v", what, hello, isTLS, err)
	}
	if got, err := io.ReadAll(replay); err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("%s: %d bytes are read again, want %d: %v", what, len(got), len(sent), err)
	}
	server.Close()
}

func TestDetach(t *testing.T) {
	first := record(said(t, named("orders.example")))
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	go client.Write(first)
	_, _, replay, err := Peek(t.Context(), server, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	io.ReadFull(replay, make([]byte, 7))
	if head, conn := replay.(*Conn).Detach(); !bytes.Equal(head, first[7:]) || conn != server {
		t.Errorf("%d of %d bytes are left, at %v", len(head), len(first), conn)
	}
}

// overTCP returns both ends of a connection.
func overTCP(t *testing.T) (client, server net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Close()
		server.Close()
	})
	return client, server
}

func TestPlainText(t *testing.T) {
	t.Run("on a connection with a file descriptor it is left alone", func(t *testing.T) {
		client, server := overTCP(t)
		go io.WriteString(client, "GET / HTTP/1.1\r\n")
		_, isTLS, replay, err := Peek(t.Context(), server, Limits{})
		if err != nil || isTLS || replay != server {
			t.Errorf("TLS %v, %v of %v: %v", isTLS, replay, server, err)
		}
		expectRead(t, replay, "GET / HTTP/1.1\r\n")
	})
	t.Run("on any other it is read again", func(t *testing.T) {
		client, server := net.Pipe()
		defer client.Close()
		defer server.Close()
		go io.WriteString(client, "GET / HTTP/1.1\r\n")
		_, isTLS, replay, err := Peek(t.Context(), server, Limits{})
		if err != nil || isTLS {
			t.Errorf("TLS %v: %v", isTLS, err)
		}
		expectRead(t, replay, "GET / HTTP/1.1\r\n")
	})
}

func expectRead(t *testing.T, from io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(from, got); err != nil || string(got) != want {
		t.Errorf("read %q, want %q: %v", got, want, err)
	}
}

func TestATCPClientIsSeenWhole(t *testing.T) {
	client, server := overTCP(t)
	first := record(said(t, long(20<<10)))
	go client.Write(append(first, "more"...))
	hello, isTLS, replay, err := Peek(t.Context(), server, Limits{})
	if err != nil || !isTLS || hello.ServerName != "long.example" {
		t.Fatalf("%+v, TLS %v, %v", hello, isTLS, err)
	}
	expectRead(t, replay, string(first)+"more")
	if err := replay.(*Conn).CloseWrite(); err != nil {
		t.Error(err)
	}
	if n, err := client.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("the client reads %d bytes and %v, want the end", n, err)
	}
}

func TestClientsThatStopHalfway(t *testing.T) {
	first := record(said(t, named("orders.example")))
	for _, tt := range []struct {
		name  string
		sent  []byte
		close bool
		want  error
		after time.Duration
	}{
		{"says nothing", nil, false, os.ErrDeadlineExceeded, DefaultIdle},
		{"closes at once", nil, true, io.EOF, 0},
		{"says a byte", first[:1], false, os.ErrDeadlineExceeded, DefaultTimeout},
		{"says all but a byte", first[:len(first)-1], false, os.ErrDeadlineExceeded, DefaultTimeout},
		{"closes amid a header", first[:3], true, io.ErrUnexpectedEOF, 0},
		{"closes amid the hello", first[:100], true, io.ErrUnexpectedEOF, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, server := net.Pipe()
				defer client.Close()
				defer server.Close()
				go func() {
					segments(client, tt.sent, 50)
					if tt.close {
						client.Close()
					}
				}()
				start := time.Now()
				_, _, _, err := Peek(t.Context(), server, Limits{})
				if took := time.Since(start); !errors.Is(err, tt.want) || took != tt.after {
					t.Errorf("after %v: %v, want %v after %v", took, err, tt.want, tt.after)
				}
			})
		})
	}
}

func TestTheContextEndsTheWait(t *testing.T) {
	for _, sent := range []int{0, 10} {
		synctest.Test(t, func(t *testing.T) {
			client, server := net.Pipe()
			defer client.Close()
			defer server.Close()
			go client.Write(record(said(t, named("orders.example")))[:sent])
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			if _, _, _, err := Peek(ctx, server, Limits{}); !errors.Is(err, context.Canceled) {
				t.Errorf("after %d bytes: %v", sent, err)
			}
		})
	}
	t.Run("over TCP", func(t *testing.T) {
		_, server := overTCP(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, _, _, err := Peek(ctx, server, Limits{}); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func TestRefuse(t *testing.T) {
	client, server := overTCP(t)
	go func() {
		_, _, replay, err := Peek(t.Context(), server, Limits{})
		if err != nil {
			t.Error(err)
		}
		Refuse(replay, UnrecognizedName)
	}()
	err := tls.Client(client, named("orders.example")).Handshake()
	if err == nil || err.Error() != "remote error: "+UnrecognizedName.Error() {
		t.Errorf("the client is told %v", err)
	}
}

// TestLargeClientHellosCount until they have been read again, and one too many is refused. Small ones do not.
func TestLargeClientHellosCount(t *testing.T) {
	pool := bound.NewPool(100<<10, 0)
	peek := func(size int) (net.Conn, error) {
		here, there := net.Pipe()
		t.Cleanup(func() { here.Close() })
		go here.Write(inRecords(append([]byte{messageClientHello, 0, byte(size >> 8), byte(size)}, make([]byte, size)...),
			1<<14))
		_, _, conn, err := Peek(t.Context(), there, Limits{Held: pool, VPC: "vpc-1"})
		return conn, err
	}
	for size, counts := range map[int]bool{2000: false, 9000: true} { // their parts do not fit together
		if _, err := peek(size); err != errLengths && err != errSuites || pool.Taken() != 0 {
			t.Errorf("%d bytes: %v, and %d bytes count", size, err, pool.Taken())
		}
		conn := &Conn{Conn: &net.TCPConn{}, head: make([]byte, size), share: pool.Open("vpc-1", "a")}
		if counts {
			conn.share.Take(9000)
			conn.held.Store(9000)
		}
		for len(conn.head) > 0 {
			conn.Read(make([]byte, 1000))
		}
		if pool.Taken() != 0 {
			t.Errorf("%d bytes count after all was read", pool.Taken())
		}
	}
	hog := pool.Open("vpc-1", bound.ClientOf(nil))
	for hog.Take(1 << 10) {
	}
	if _, err := peek(40000); err != errHeld {
		t.Errorf("one too many: %v, want %v", err, errHeld)
	}
	if _, err := peek(2000); err == errHeld {
		t.Errorf("a small one: %v", err)
	}
}
