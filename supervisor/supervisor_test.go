package supervisor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if name := Name(); name != "" {
		os.Exit(runTestPart(name))
	}
	goleak.VerifyTestMain(m)
}

// runTestPart is a process under test: its name says what it does.
func runTestPart(name string) int {
	told, tell, err := Attach()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	switch name {
	case "refuses":
		tell(State{Failed: "it is told " + string(told)})
		return 1
	case "crashes":
		fmt.Fprintln(os.Stderr, "an ordinary line")
		panic("on purpose")
	}
	tell(State{Ready: true, Detail: string(told)})
	if name == "ends at once" {
		return 0
	}
	select {} // until it is killed
}

func start(t *testing.T, name string, changed func(bool)) (*Process, *bytes.Buffer, string) {
	t.Helper()
	var log bytes.Buffer
	dir := t.TempDir()
	p := Start(Part{Name: name, Config: []byte(`"hello"`)},
		Config{Dir: dir, Logger: slog.New(slog.NewTextHandler(&log, nil)), Changed: changed})
	t.Cleanup(p.Stop)
	return p, &log, dir
}

func TestAProcessThatCannotStartIsNotStartedAgain(t *testing.T) {
	p, log, _ := start(t, "refuses", nil)
	if err := <-p.Fatal(); err == nil || err.Error() != `it is told "hello"` {
		t.Errorf("got %v", err)
	}
	p.Stop()
	if log.Len() > 0 {
		t.Errorf("logged %s", log)
	}
}

func TestACrashIsOneLineAndAFile(t *testing.T) {
	p, _, dir := start(t, "crashes", nil)
	err := <-p.Fatal()
	if !errors.Is(err, ErrCrashed) || !strings.Contains(err.Error(), "panic: on purpose") {
		t.Errorf("got %v", err)
	}
	written, err := os.ReadFile(filepath.Join(dir, "crash-crashes.txt"))
	if err != nil || !bytes.Contains(written, []byte("goroutine ")) || bytes.Contains(written, []byte("ordinary")) {
		t.Errorf("the file has %.300s, %v", written, err)
	}
}

// TestAProcessThatEndsIsStartedAgain also sees that the pauses between grow.
func TestAProcessThatEndsIsStartedAgain(t *testing.T) {
	var started atomic.Int32
	third := make(chan struct{})
	p, log, _ := start(t, "ends at once", func(ready bool) {
		if ready && started.Add(1) == 3 {
			close(third)
		}
	})
	if state := <-p.Ready(); state.Detail != `"hello"` {
		t.Errorf("it is told %s", state.Detail)
	}
	<-third
	p.Stop()
	if n := strings.Count(log.String(), "is started again"); n < 2 {
		t.Errorf("%d lines of at least 2: %s", n, log)
	}
}

func TestStopKillsWhatDoesNotEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	p, _, _ := start(t, "stays", nil)
	<-p.Ready()
	p.Stop() // Go ends a process that handles no SIGTERM
	if ctx.Err() != nil || syscall.Kill(os.Getpid(), 0) != nil {
		t.Error("the supervisor itself was hit")
	}
}

func TestALineIsWholeOrCut(t *testing.T) {
	var out bytes.Buffer
	c := &crashes{to: &out, path: filepath.Join(t.TempDir(), "crash")}
	for _, piece := range []string{"time=1 ms", "g=a\npan", "ic: x\ngoroutine 1\n", strings.Repeat("y", maxCrash)} {
		if _, err := c.Write([]byte(piece)); err != nil {
			t.Fatal(err)
		}
	}
	if first := c.close(); first != "panic: x" || out.String() != "time=1 msg=a\n" {
		t.Errorf("the crash is %q, and passed on was %q", first, out.String())
	}
	if info, err := os.Stat(c.path); err != nil || info.Size() > maxCrash {
		t.Errorf("%v, %v", info, err)
	}
}
