//go:build unix

package http1

import (
	"errors"
	"io"
	"os"
	"testing"
	"time"
)

const patience = 10 * time.Millisecond

// TestAwaitFor: a client that says nothing is quiet, again and again, and is heard when it speaks.
func TestAwaitFor(t *testing.T) {
	server, client := loopback(t)
	c := NewConn(server, Config{})
	defer c.Close()
	var r Request
	for range 3 {
		expectError(t, c.In.AwaitFor(patience), ErrQuiet)
		io.WriteString(client, plainGet)
		for {
			err := c.In.AwaitFor(patience)
			if err == nil {
				break
			}
			expectError(t, err, ErrQuiet)
		}
		if err := c.In.AwaitFor(patience); err != nil {
			t.Errorf("with a request at hand: %v", err)
		}
		if err := c.In.ReadRequest(&r); err != nil {
			t.Fatal(err)
		}
	}
	client.Close()
	expectError(t, c.In.AwaitFor(time.Hour), io.EOF)
}

// TestPatienceEndsWithTheWait: what comes after the first bytes of a message may take longer.
func TestPatienceEndsWithTheWait(t *testing.T) {
	for name, parts := range map[string][2]string{
		"head": {"GET / HTTP/1.1\r\n", "Host: a\r\n\r\n"},
		"body": {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", "hello"},
	} {
		server, client := loopback(t)
		c := NewConn(server, Config{})
		io.WriteString(client, parts[0])
		if err := c.In.AwaitFor(patience); err != nil {
			t.Fatal(err)
		}
		c.Out.StartResponse(103, nil) // which leaves the deadline of the wait alone
		c.Out.EndHead(Bodiless)
		if err := c.Out.End(); err != nil {
			t.Fatal(err)
		}
		rest := time.AfterFunc(5*patience, func() { io.WriteString(client, parts[1]) })
		var r Request
		if err := c.In.ReadRequest(&r); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := io.ReadAll(c.In.Body()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		rest.Stop()
		c.Close()
	}
}

// TestIdleTimeoutOfTheQuiet: however often it was quiet meanwhile, a connection is idle when nothing came or went for its idle
// timeout, and not before.
func TestIdleTimeoutOfTheQuiet(t *testing.T) {
	server, _ := loopback(t)
	c := NewConn(server, Config{IdleTimeout: 5 * patience})
	defer c.Close()
	began, quiet := time.Now(), 0
	var err error
	for {
		if err = c.In.AwaitFor(patience); !errors.Is(err, ErrQuiet) {
			break
		}
		quiet++
		if until := c.IdleUntil(); until.Before(began.Add(5*patience)) || until.After(time.Now().Add(6*patience)) {
			t.Errorf("idle until %v after the beginning", until.Sub(began))
		}
	}
	expectError(t, err, os.ErrDeadlineExceeded)
	if took := time.Since(began); took < 5*patience || quiet == 0 {
		t.Errorf("idle after %v, having been quiet %d times", took, quiet)
	}
	expectError(t, c.In.AwaitFor(patience), os.ErrDeadlineExceeded)
}

// TestStopTheQuiet: a connection that is to read no more is not quiet.
func TestStopTheQuiet(t *testing.T) {
	server, _ := loopback(t)
	c := NewConn(server, Config{})
	defer c.Close()
	expectError(t, c.In.AwaitFor(patience), ErrQuiet)
	c.StopReading()
	expectError(t, c.In.AwaitFor(patience), os.ErrDeadlineExceeded)
}
