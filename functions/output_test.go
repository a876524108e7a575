package functions

import (
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"
)

// TestTheLogOfAFunctionThatNeverStopsWriting holds that nobody waits for what a program, or what it has left behind, goes on
// to write: not the invocation that was answered, and not the end of the environment.
func TestTheLogOfAFunctionThatNeverStopsWriting(t *testing.T) {
	endless, err := os.Open("/dev/zero")
	if err != nil {
		t.Skip(err)
	}
	o := newOutput(endless, slog.New(slog.DiscardHandler))
	within := func(what string, f func()) {
		t.Helper()
		done := make(chan struct{})
		go func() { f(); close(done) }()
		select {
		case <-done:
		case <-time.After(20 * time.Second):
			t.Fatalf("%s waits for the writer", what)
		}
	}
	reading := make(chan struct{})
	go func() { o.run(); close(reading) }()
	within("an invocation", func() {
		o.begin("1", "$LATEST")
		if tail := o.end(&invocation{Call: Call{ID: "1"}, started: time.Now()}, &Function{}); !strings.Contains(string(tail), "END RequestId: 1") {
			t.Errorf("its tail is %q", tail)
		}
	})
	within("the end", func() { o.close(); <-reading })
}
