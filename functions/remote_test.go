package functions

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"pergola/aws/lambda"
)

// remote serves a world's Runtime at a socket, and returns a client of it, and what ends the serving.
func remote(t *testing.T, w *world) (client *Client, stop func()) {
	t.Helper()
	dir, err := os.MkdirTemp("", "functions-")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "functions.sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, listener, w.Runtime, slog.New(slog.DiscardHandler)) }()
	client = NewClient(path)
	stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		done <- nil
	}
	t.Cleanup(func() {
		stop()
		_ = client.Close()
		_ = os.RemoveAll(dir)
	})
	return client, stop
}

func TestARuntimeInAnotherProcess(t *testing.T) {
	w := newWorld(t, nil)
	client, _ := remote(t, w)
	f := w.function(shell(respond + `"$AWS_ACCESS_KEY_ID"`))
	result, err := client.Invoke(t.Context(), f, Call{Payload: []byte("{}")})
	if err != nil || string(result.Payload) != "ASIA1" || result.Error != "" || len(result.Log) == 0 {
		t.Errorf("got %+v, %v", result, err)
	}
	client.Forget(f.ARN)
	if left, _ := os.ReadDir(w.config.Dir); len(left) > 0 {
		t.Errorf("%d temporary directories are left", len(left))
	}
	if _, err := client.Invoke(t.Context(), &Function{ARN: "g", Code: "none", Timeout: time.Second},
		Call{}); !errors.Is(err, ErrNoCode) {
		t.Errorf("got %v, want %v", err, ErrNoCode)
	}
}

// TestTheLargestEventsPass sends what an event has of a body of 6 MB, which is longer in Base64.
func TestTheLargestEventsPass(t *testing.T) {
	w := newWorld(t, nil)
	client, _ := remote(t, w)
	payload := bytes.Repeat([]byte("7"), lambda.MaxPayload/3*4+4096)
	result, err := client.Invoke(t.Context(), w.function(shell(respond+`"${#event}"`)), Call{Payload: payload})
	if err != nil || string(result.Payload) != strconv.Itoa(len(payload)) {
		t.Errorf("the function has %.100s bytes of %d, %v", result.Payload, len(payload), err)
	}
}

// TestTheLargestPayloadsPass sends what the API allows, there and back.
func TestTheLargestPayloadsPass(t *testing.T) {
	w := newWorld(t, nil)
	client, _ := remote(t, w)
	payload := bytes.Repeat([]byte("7"), lambda.MaxPayload)
	result, err := client.Invoke(t.Context(),
		w.function(shell(`printf %s "$event" | `+strings.TrimSuffix(respond, "-d ")+`--data-binary @-`)),
		Call{Payload: payload})
	if err != nil || !bytes.Equal(result.Payload, payload) {
		t.Errorf("%d bytes came back of %d: %.100s, %v", len(result.Payload), len(payload), result.Payload, err)
	}
}

// TestACallerThatLeavesIsNoticed waits in the Runtime on behalf of a caller, until that leaves.
func TestACallerThatLeavesIsNoticed(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Concurrency = 1 })
	client, _ := remote(t, w)
	f := w.function(shell(`sleep 1000`))
	busy, cancel := context.WithCancel(t.Context())
	defer cancel()
	go client.Invoke(busy, f, Call{Payload: []byte("{}")})
	waiting := func() int {
		w.mu.Lock()
		defer w.mu.Unlock()
		if p := w.pools[f.ARN]; p != nil {
			return len(p.waiters)
		}
		return 0
	}
	for w.busyWith(f.ARN) == 0 {
		runtime.Gosched()
	}
	ctx, leave := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := client.Invoke(ctx, f, Call{Payload: []byte("{}")})
		ended <- err
	}()
	for waiting() != 1 {
		runtime.Gosched()
	}
	leave()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	for waiting() != 0 {
		runtime.Gosched()
	}
}

func (w *world) busyWith(arn string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p := w.pools[arn]; p != nil {
		return p.busy
	}
	return 0
}

// TestARuntimeThatEndsCostsWhatIsInFlight ends the serving under an invocation.
func TestARuntimeThatEndsCostsWhatIsInFlight(t *testing.T) {
	w := newWorld(t, nil)
	client, stop := remote(t, w)
	f := w.function(shell(`sleep 1000`))
	ended := make(chan error, 1)
	go func() {
		_, err := client.Invoke(t.Context(), f, Call{Payload: []byte("{}")})
		ended <- err
	}()
	for w.busyWith(f.ARN) == 0 {
		runtime.Gosched()
	}
	stop()
	if err := <-ended; err == nil {
		t.Error("the invocation succeeded")
	}
}
