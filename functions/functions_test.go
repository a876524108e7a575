package functions

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"pergola/bound"
	"pergola/fabric"
)

func TestMain(m *testing.M) {
	fabric.Main()
	goleak.VerifyTestMain(m)
}

// file is an entry of a zip file.
type file struct {
	name, content string
	mode          fs.FileMode
}

func zipOf(t testing.TB, files ...file) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range files {
		header := &zip.FileHeader{Name: f.name, Method: zip.Deflate}
		header.SetMode(f.mode)
		entry, err := w.CreateHeader(header)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := entry.Write([]byte(f.content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// shell is a bootstrap that answers each event with a piece of shell, which finds the event in $event, the id in
// $id, and in $me what no other process has.
func shell(handle string) file {
	return file{"bootstrap", `#!/bin/sh
me=$(cat /proc/sys/kernel/random/uuid)
api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime"
while true; do
  headers=$(mktemp)
  event=$(curl -sS -D "$headers" "$api/invocation/next") || exit 1
  id=$(tr -d '\r' < "$headers" | awk 'tolower($1) == "lambda-runtime-aws-request-id:" {print $2}')
  ` + handle + `
done
`, 0o755}
}

const respond = `curl -sS -X POST "$api/invocation/$id/response" -d `

// world is a Runtime with its fabric.
type world struct {
	*Runtime
	codes *Codes
	t     *testing.T
}

func newWorld(t *testing.T, change func(*Config)) *world {
	t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed")
	}
	dir := t.TempDir()
	f, err := fabric.Open(fabric.Config{Kind: fabric.Loopback, StateDir: filepath.Join(dir, "fabric")})
	if err != nil {
		t.Fatal(err)
	}
	codes, err := OpenCodes(filepath.Join(dir, "code"))
	if err != nil {
		t.Fatal(err)
	}
	config := Config{Fabric: f, Codes: codes, Dir: filepath.Join(dir, "tmp"), Region: "us-west-2", Endpoint: "http://127.0.0.1:4747"}
	if change != nil {
		change(&config)
	}
	r, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(r.Close(), f.Close()); err != nil {
			t.Error(err)
		}
		if left, err := os.ReadDir(filepath.Join(dir, "fabric", "programs")); err != nil || len(left) > 0 {
			t.Errorf("%d programs are left, %v", len(left), err)
		}
	})
	return &world{r, codes, t}
}

func (w *world) function(files ...file) *Function {
	w.t.Helper()
	return functionOf(w.t, w.codes, files...)
}

// unconfine lets functions see all files of the host.
func (w *world) unconfine() { w.bounds = bounds{means: fabric.ByNothing} }

func functionOf(t testing.TB, codes *Codes, files ...file) *Function {
	t.Helper()
	code, err := codes.Put(zipOf(t, files...))
	if err != nil {
		t.Fatal(err)
	}
	return &Function{
		ARN: "arn:aws:lambda:us-west-2:100000000001:function:f", Name: "f", Version: "$LATEST", Revision: code, Code: code, Handler: "h",
		Memory: 128, Timeout: 20 * time.Second, Variables: map[string]string{"COLOUR": "red"},
		Credentials: []string{"AWS_ACCESS_KEY_ID=ASIA1"},
	}
}

func (w *world) invoke(f *Function, payload string) Result {
	w.t.Helper()
	result, err := w.Invoke(w.t.Context(), f, Call{ARN: f.ARN + ":live", Payload: []byte(payload)})
	if err != nil {
		w.t.Fatal(err)
	}
	return result
}

func TestAShellBootstrapIsKeptWarm(t *testing.T) {
	w := newWorld(t, nil)
	f := w.function(shell(`n=$((n+1)); echo "number $n"; `+respond+`"{\"n\":$n,\"event\":$event,\"colour\":\"$COLOUR\",\"root\":\"$LAMBDA_TASK_ROOT\",\"here\":\"$PWD\",\"tmp\":\"$TMPDIR\",\"key\":\"$AWS_ACCESS_KEY_ID\",\"memory\":\"$AWS_LAMBDA_FUNCTION_MEMORY_SIZE\",\"file\":\"$(cat data/file)\"}"`), file{"data/file", "content", 0o644})
	for n := 1; n <= 2; n++ {
		result := w.invoke(f, `{"a":1}`)
		var got struct {
			N                                          int
			Event                                      map[string]int
			Colour, Root, Here, Tmp, Key, Memory, File string
		}
		if err := json.Unmarshal(result.Payload, &got); err != nil || result.Error != "" {
			t.Fatalf("%s %s: %v", result.Error, result.Payload, err)
		}
		if got.N != n || got.Event["a"] != 1 || got.Colour != "red" || got.Root != got.Here || got.Key != "ASIA1" || got.Memory != "128" || got.File != "content" {
			t.Errorf("invocation %d: %s", n, result.Payload)
		}
		if want := w.bounds.temporarySeen(w.config.Dir); !strings.HasPrefix(got.Tmp, want) {
			t.Errorf("TMPDIR is %s", got.Tmp)
		}
		log := string(result.Log)
		for _, want := range []string{"START RequestId: ", fmt.Sprintf("number %d\n", n), "END RequestId: ", "REPORT RequestId: "} {
			if !strings.Contains(log, want) {
				t.Errorf("the log lacks %q:\n%s", want, log)
			}
		}
	}
}

func TestFailuresOfAFunction(t *testing.T) {
	for _, c := range []struct {
		name, handle, payload, log string
		timeout                    time.Duration
		timedOut                   bool
	}{
		{name: "reported", handle: `curl -sS -X POST "$api/invocation/$id/error" -d '{"errorType":"E","errorMessage":"m"}'`, payload: `{"errorType":"E","errorMessage":"m"}`},
		{name: "exit", handle: `echo bye; exit 3`, payload: `Runtime exited with error: exit status 3`, log: "bye\n"},
		{name: "exit 0", handle: `exit 0`, payload: `Runtime exited without providing a reason`},
		{name: "signal", handle: `kill -9 $$`, payload: `Runtime exited with error: signal: killed`},
		{name: "timeout", handle: `sleep 100`, timeout: time.Second, payload: `Task timed out after 1.00 seconds`, timedOut: true},
		{name: "too large", handle: `head -c 7000000 /dev/zero | curl -sS -X POST "$api/invocation/$id/response" --data-binary @-`, payload: `Function.ResponseSizeTooLarge`},
		{name: "wrong id", handle: `curl -sS -X POST "$api/invocation/other/response" -d 1; exit 1`, payload: `exit status 1`, log: "InvalidRequestID"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, nil)
			f := w.function(shell(c.handle))
			if c.timeout > 0 {
				f.Timeout = c.timeout
			}
			for range 2 { // the function can be invoked again
				result := w.invoke(f, `{}`)
				if result.Error != unhandled || !strings.Contains(string(result.Payload), c.payload) || result.TimedOut != c.timedOut {
					t.Errorf("got %q %s", result.Error, result.Payload)
				}
				if !strings.Contains(string(result.Log), c.log) {
					t.Errorf("the log is %s", result.Log)
				}
			}
		})
	}
}

// TestAProgramThatEndsAfterItsAnswer costs the next invocation nothing but a start.
func TestAProgramThatEndsAfterItsAnswer(t *testing.T) {
	w := newWorld(t, nil)
	f := w.function(shell(respond + `"\"$me\""; sleep 0.05; exit 1`))
	seen := map[string]bool{}
	for range 3 {
		result := w.invoke(f, "{}")
		if result.Error != "" {
			t.Errorf("got %s", result.Payload)
		}
		seen[string(result.Payload)] = true
	}
	if len(seen) != 3 {
		t.Errorf("%d processes, want 3", len(seen))
	}
}

// TestADataDirectoryMayBeRelative starts from where the deployment was started.
func TestADataDirectoryMayBeRelative(t *testing.T) {
	w := newWorld(t, nil)
	t.Chdir(t.TempDir())
	codes, err := OpenCodes("code")
	if err != nil {
		t.Fatal(err)
	}
	w.codes, w.config.Codes = codes, codes
	if result := w.invoke(w.function(shell(respond+`1`)), "{}"); string(result.Payload) != "1" {
		t.Errorf("got %s", result.Payload)
	}
}

// TestForgottenFunctionsEnd ends what is kept warm.
func TestForgottenFunctionsEnd(t *testing.T) {
	w := newWorld(t, nil)
	f := w.function(shell(respond + `"\"$me\""`))
	first := w.invoke(f, "{}")
	w.Forget(f.ARN)
	if left, _ := os.ReadDir(w.config.Dir); len(left) > 0 {
		t.Errorf("%d temporary directories are left", len(left))
	}
	if second := w.invoke(f, "{}"); string(second.Payload) == string(first.Payload) {
		t.Error("the same process still runs")
	}
}

func TestIdleEnvironmentsEnd(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Idle = time.Millisecond })
	w.invoke(w.function(shell(respond+`1`)), "{}")
	for { // the test's own deadline ends it
		if left, err := os.ReadDir(w.config.Dir); err != nil || len(left) == 0 {
			break
		}
	}
}

// TestOutputIsBounded also holds that lines are whole in the log.
func TestOutputIsBounded(t *testing.T) {
	var log bytes.Buffer
	w := newWorld(t, func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	f := w.function(shell(`head -c 5000 /dev/zero | tr '\0' x; echo; yes 0123456789 | head -c 1000000; printf 'the end'; ` + respond + `1`))
	result := w.invoke(f, "{}")
	if len(result.Log) > maxTail || !strings.Contains(string(result.Log), "\nEND RequestId") {
		t.Errorf("the tail has %d bytes: …%s", len(result.Log), result.Log[max(0, len(result.Log)-200):])
	}
	if log.Len() > 2*maxOutput || !strings.Contains(log.String(), "is left out") || !strings.Contains(log.String(), "line="+strings.Repeat("x", maxLine)) {
		t.Errorf("the log has %d bytes", log.Len())
	}
}

func TestAFunctionThatCannotStart(t *testing.T) {
	for _, c := range []struct {
		name, payload string
		file          file
	}{
		{"no bootstrap", "Couldn't find valid bootstrap(s)", file{"other", "", 0o755}},
		{"not executable", "permission denied", file{"bootstrap", "#!/bin/sh", 0o644}},
		{"no program", "exec format error", file{"bootstrap", "\x00\x01\x02", 0o755}},
		{"init error", `"Init.Bad"`, file{"bootstrap", "#!/bin/sh\ncurl -sS -X POST http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/init/error -d '{\"errorType\":\"Init.Bad\"}'; exit 1\n", 0o755}},
		{"exits", "exit status 9", file{"bootstrap", "#!/bin/sh\nexit 9\n", 0o755}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, nil)
			if result := w.invoke(w.function(c.file), "{}"); result.Error != unhandled || !strings.Contains(string(result.Payload), c.payload) {
				t.Errorf("got %q %s", result.Error, result.Payload)
			}
		})
	}
}

// TestConcurrency has as many environments as invocations at once, and no more than the limit.
func TestConcurrency(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Concurrency = 2 })
	w.unconfine() // it meets the test in a directory of the host
	meet := t.TempDir()
	// Each of the first two invocations waits until the other is there too.
	f := w.function(shell(`mkdir -p ` + meet + `/$id; while [ $(ls ` + meet + ` | wc -l) -lt 2 ]; do sleep 0.01; done; ` + respond + `$$`))
	var mu sync.Mutex
	processes := map[string]bool{}
	var running sync.WaitGroup
	for range 6 {
		running.Go(func() {
			result, err := w.Invoke(t.Context(), f, Call{Payload: []byte("{}")})
			if err != nil || result.Error != "" {
				t.Errorf("%v %s", err, result.Payload)
			}
			mu.Lock()
			defer mu.Unlock()
			processes[string(result.Payload)] = true
		})
	}
	running.Wait()
	if len(processes) != 2 {
		t.Errorf("%d processes, want 2", len(processes))
	}
}

// TestNotAllMayWait holds that invocations, with what they were sent, do not pile up without end.
func TestNotAllMayWait(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Concurrency = 1 })
	f := w.function(shell(respond + "1"))
	waiting := &pool{busy: 1, waiters: make([]chan struct{}, 999)}
	w.pools[f.ARN] = waiting
	f.Timeout = time.Millisecond
	for range 2 { // each gives up, and leaves room for the next
		if _, err := w.Invoke(t.Context(), f, Call{}); !errors.Is(err, ErrThrottled) || len(waiting.waiters) != 999 {
			t.Errorf("the last that may wait: %v, %d wait", err, len(waiting.waiters))
		}
	}
	waiting.waiters = make([]chan struct{}, 1000)
	f.Timeout = time.Hour
	if _, err := w.Invoke(t.Context(), f, Call{}); !errors.Is(err, ErrThrottled) {
		t.Errorf("one more: %v", err)
	}
}

// TestFault_A6_PayloadsAreBounded: invocations that wait hold no more of what they were sent than they may, those of
// another function have room, and what has left is let go.
func TestFault_A6_PayloadsAreBounded(t *testing.T) {
	const large = 6 << 20
	w := newWorld(t, func(c *Config) { c.Concurrency = 1 })
	w.payloads = bound.NewPool(64<<20, 0)
	f, other := w.function(shell(respond+"1")), w.function(shell(respond+`"$event"`))
	other.ARN += "-other"
	w.pools[f.ARN] = &pool{busy: 1}
	f.Timeout = time.Hour
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	outcomes := make(chan error, 60)
	waiting := func() int {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.pools[f.ARN].waiters)
	}
	for range 60 {
		go func() {
			_, err := w.Invoke(ctx, f, Call{Payload: make([]byte, large)})
			outcomes <- err
		}()
	}
	refused := 0
	for refused+waiting() < 60 {
		select {
		case err := <-outcomes:
			if !errors.Is(err, ErrThrottled) {
				t.Errorf("refused with %v", err)
			}
			refused++
		default:
			runtime.Gosched()
		}
	}
	if taken := w.payloads.Taken(); taken > 48<<20 || taken < large || int(taken) != waiting()*large {
		t.Errorf("%d invocations hold %d MB of %d", waiting(), taken>>20, w.payloads.Most()>>20)
	}
	if result := w.invoke(other, `{"a":1}`); result.Error != "" || string(result.Payload) != `{"a":1}` {
		t.Errorf("another function: %s", result.Payload)
	}
	leave()
	for range 60 - refused {
		if err := <-outcomes; !errors.Is(err, context.Canceled) {
			t.Errorf("a caller that left: %v", err)
		}
	}
	if taken := w.payloads.Taken(); taken != 0 || waiting() != 0 {
		t.Errorf("%d bytes are held, %d invocations wait, after all have left", taken, waiting())
	}
}

// TestFault_A6_WhatAFunctionHasTakenIsLetGo while it is at work.
func TestFault_A6_WhatAFunctionHasTakenIsLetGo(t *testing.T) {
	w := newWorld(t, nil)
	f := w.function(shell(`sleep 1; ` + respond + `1`))
	finished := make(chan error, 1)
	go func() {
		_, err := w.Invoke(context.Background(), f, Call{Payload: make([]byte, 1<<20)})
		finished <- err
	}()
	atWork := func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		p := w.pools[f.ARN]
		return p != nil && p.busy > 0
	}
	for w.payloads.Taken() == 0 {
		runtime.Gosched()
	}
	for w.payloads.Taken() > 0 {
		runtime.Gosched()
	}
	if !atWork() {
		t.Error("what the function was sent was held until its end")
	}
	if err := <-finished; err != nil {
		t.Error(err)
	}
}

func TestReservedConcurrencyRefuses(t *testing.T) {
	w := newWorld(t, nil)
	w.unconfine() // it meets the test in a directory of the host
	gate := filepath.Join(t.TempDir(), "gate")
	began := filepath.Join(t.TempDir(), "began")
	f := w.function(shell(`touch ` + began + `; while [ ! -e ` + gate + ` ]; do sleep 0.01; done; ` + respond + `1`))
	f.Concurrency = 1
	finished := make(chan Result, 1)
	go func() {
		result, _ := w.Invoke(context.Background(), f, Call{Payload: []byte("{}")})
		finished <- result
	}()
	for {
		if _, err := os.Stat(began); err == nil {
			break
		}
	}
	if _, err := w.Invoke(t.Context(), f, Call{}); !errors.Is(err, ErrThrottled) {
		t.Errorf("got %v, want %v", err, ErrThrottled)
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if result := <-finished; string(result.Payload) != "1" {
		t.Errorf("got %s", result.Payload)
	}
}

// TestOtherCodeRunsFromTheNextInvocationOn also holds that code goes when nothing needs it.
func TestOtherCodeRunsFromTheNextInvocationOn(t *testing.T) {
	w := newWorld(t, nil)
	one, two := w.function(shell(respond+"1")), w.function(shell(respond+"2"))
	if got := w.invoke(one, "{}"); string(got.Payload) != "1" {
		t.Fatalf("got %s", got.Payload)
	}
	if err := w.codes.Keep(map[string]bool{two.Code: true}); err != nil {
		t.Fatal(err)
	}
	unpacked := filepath.Join(w.codes.dir, one.Code)
	if _, err := os.Stat(unpacked); err != nil {
		t.Errorf("the code of an environment that lives is gone: %v", err)
	}
	if got := w.invoke(two, "{}"); string(got.Payload) != "2" {
		t.Fatalf("got %s", got.Payload)
	}
	if _, err := os.Stat(unpacked); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the code that nothing runs is still there: %v", err)
	}
	if _, err := w.Invoke(t.Context(), &Function{ARN: "g", Code: one.Code, Timeout: time.Second}, Call{}); !errors.Is(err, ErrNoCode) || !strings.Contains(err.Error(), "update the function's code") {
		t.Errorf("got %v", err)
	}
}

func TestCloseEndsInvocations(t *testing.T) {
	w := newWorld(t, nil)
	w.unconfine() // it meets the test in a directory of the host
	began := filepath.Join(t.TempDir(), "began")
	f := w.function(shell(`touch ` + began + `; sleep 1000`))
	finished := make(chan Result, 1)
	go func() {
		result, _ := w.Invoke(context.Background(), f, Call{Payload: []byte("{}")})
		finished <- result
	}()
	for {
		if _, err := os.Stat(began); err == nil {
			break
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if result := <-finished; result.Error != unhandled {
		t.Errorf("got %s", result.Payload)
	}
	if _, err := w.Invoke(t.Context(), f, Call{}); !errors.Is(err, errClosed) {
		t.Errorf("got %v, want %v", err, errClosed)
	}
}

func TestACallerThatLeavesDoesNotEndTheInvocation(t *testing.T) {
	w := newWorld(t, nil)
	w.unconfine() // it meets the test in a directory of the host
	gate := filepath.Join(t.TempDir(), "gate")
	f := w.function(shell(`n=$((n+1)); while [ ! -e ` + gate + ` ]; do sleep 0.01; done; ` + respond + `$n`))
	f.Concurrency = 1
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.Invoke(ctx, f, Call{Payload: []byte("{}")}); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}
