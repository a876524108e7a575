package test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"pergola/internal/apiclient"
	"pergola/lattice"
	"pergola/operator"
)

// served is a pergola serve under test, with what it has written.
type served struct {
	*workplace
	cmd    *exec.Cmd
	data   string
	stdout lines
	stderr lines
	ended  chan struct{}
	err    error // how it ended, once it has
}

// lines takes what a process writes. It may be read meanwhile.
type lines struct {
	mu   chan struct{}
	text bytes.Buffer
}

// Write keeps what was written.
func (l *lines) Write(b []byte) (int, error) {
	l.mu <- struct{}{}
	defer func() { <-l.mu }()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu <- struct{}{}
	defer func() { <-l.mu }()
	return l.text.String()
}

// launch runs pergola serve, through a shell that does something first, until the test ends. Where data is not, nobody
// looks.
func (w *workplace) launch(before string, attributes *syscall.SysProcAttr, args ...string) *served {
	w.t.Helper()
	s := &served{workplace: w, data: filepath.Join(w.dir, "data"), ended: make(chan struct{})}
	s.stdout.mu, s.stderr.mu = make(chan struct{}, 1), make(chan struct{}, 1)
	script := before + `exec "$0" serve --data data --listen 127.0.0.1:0 "$@"`
	s.cmd = w.command(context.Background(), "sh", append([]string{"-c", script, program}, args...)...)
	s.cmd.SysProcAttr, s.cmd.Stdout, s.cmd.Stderr = attributes, &s.stdout, &s.stderr
	w.must(s.cmd.Start())
	go func() {
		defer close(s.ended)
		s.err = s.cmd.Wait()
	}()
	w.t.Cleanup(func() {
		_ = s.cmd.Process.Signal(syscall.SIGTERM)
		<-s.ended
		if w.t.Failed() {
			w.t.Logf("pergola serve wrote: %.20000s", s.stderr.String())
		}
	})
	return s
}

// until waits until something holds.
func (s *served) until(what string, holds func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); {
		select {
		case <-s.ended:
			s.t.Fatalf("pergola serve ended (%v) before: %s\n%s", s.err, what, s.stderr.String())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("it did not happen within a minute: %s", what)
		}
	}
}

func (s *served) ready() {
	s.t.Helper()
	s.until("it is ready", func() bool { return strings.Contains(s.stdout.String(), "pergola is ready") })
}

// api is a client of the administrator.
func (s *served) api() *apiclient.Client {
	s.t.Helper()
	environment, err := operator.Env(s.t.Context(), s.data, "")
	s.must(err)
	return &apiclient.Client{Environment: environment}
}

// process is the id of the process of a part.
func (s *served) process(part string) (id int) {
	s.t.Helper()
	s.until("the process "+part+" runs", func() bool {
		id = processOf(s.cmd.Process.Pid, "pergola: "+part)
		return id != 0
	})
	return id
}

// processOf is the descendant of a process that runs under a name, 0 if there is none.
func processOf(parent int, name string) int {
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", parent, parent))
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", parent))
	for _, task := range tasks {
		more, _ := os.ReadFile(task)
		children = append(append(children, ' '), more...)
	}
	for _, field := range strings.Fields(string(children)) {
		var id int
		_, _ = fmt.Sscan(field, &id)
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", id))
		if string(bytes.TrimRight(line, "\x00")) == name {
			return id
		}
		if found := processOf(id, name); found != 0 {
			return found
		}
	}
	return 0
}

func makeNetwork(api *apiclient.Client, name string) (lattice.CreateServiceNetworkResponse, error) {
	var made lattice.CreateServiceNetworkResponse
	err := api.Lattice(context.Background(), "POST", "/servicenetworks", map[string]any{"name": name}, &made)
	return made, err
}

func statusOf(err error) int {
	if refusal, ok := errors.AsType[*apiclient.Error](err); ok {
		return refusal.Status
	}
	return 0
}

// TestEachProcessIsStartedAgain kills one process of a deployment after the other. The others go on, and what was
// acknowledged is there.
func TestEachProcessIsStartedAgain(t *testing.T) {
	if _, err := os.Stat("/proc/self/task"); err != nil {
		t.Skip("there is no /proc")
	}
	s := newWorkplace(t).launch("", nil, "--network", "loopback")
	s.ready()
	api := s.api()
	made, err := makeNetwork(api, "kept")
	s.must(err)
	for _, part := range []string{"control", "node", "functions", "control"} {
		others := map[string]int{}
		for _, other := range []string{"control", "node", "functions"} {
			others[other] = s.process(other)
		}
		s.must(syscall.Kill(others[part], syscall.SIGKILL))
		s.until(part+" runs again", func() bool {
			id := processOf(s.cmd.Process.Pid, "pergola: "+part)
			return id != 0 && id != others[part]
		})
		// A client that comes meanwhile is told to come again, and is not refused.
		s.until("the API answers", func() bool {
			err := api.Lattice(t.Context(), "GET", "/servicenetworks/"+made.ID, nil, nil)
			if err != nil && statusOf(err) != http.StatusServiceUnavailable && part != "control" {
				t.Errorf("while %s is away: %v", part, err)
			}
			return err == nil
		})
		s.until("the node answers", func() bool {
			_, err := operator.Explain(t.Context(), s.data, operator.Question{From: "vpc-0", Method: "GET", URL: "http://x/"})
			return err != nil && strings.Contains(err.Error(), "no such VPC")
		})
		for other, id := range others {
			if other != part && s.process(other) != id {
				t.Errorf("%s was started again with %s", other, part)
			}
		}
	}
	if lines := strings.Count(s.stderr.String(), "is started again"); lines != 4 {
		t.Errorf("%d lines tell of 4 processes that ended", lines)
	}
}

// TestTheProcessesEndWithTheirSupervisor kills the supervisor, and starts another on the same directory at once.
func TestTheProcessesEndWithTheirSupervisor(t *testing.T) {
	if _, err := os.Stat("/proc/self/task"); err != nil {
		t.Skip("there is no /proc")
	}
	w := newWorkplace(t)
	s := w.launch("", nil, "--network", "loopback")
	s.ready()
	ids := []int{s.process("control"), s.process("node"), s.process("functions")}
	s.must(s.cmd.Process.Kill())
	<-s.ended
	again := w.launch("", nil, "--network", "loopback")
	again.ready()
	for _, id := range ids {
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", id))
		if bytes.HasPrefix(line, []byte("pergola: ")) {
			t.Errorf("process %d of the first deployment still runs", id)
		}
	}
}

// refusedStart starts a deployment that cannot start, and returns the one line that says why.
func refusedStart(t *testing.T, w *workplace, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := w.command(ctx, program, append([]string{"serve", "--data", "data", "--listen", "127.0.0.1:0", "--network",
		"loopback"}, args...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 1 || stdout.Len() > 0 {
		t.Errorf("it ended with %v and said %q, want status 1 and nothing: %s", err, stdout.String(), stderr.String())
	}
	said := strings.TrimSpace(stderr.String())
	if strings.Contains(said, "\n") || strings.Contains(said, "goroutine ") {
		t.Errorf("more than one line: %.3000s", said)
	}
	return said
}

// stopped makes a deployment with some data, and stops it.
func stopped(t *testing.T) *workplace {
	t.Helper()
	w := newWorkplace(t)
	s := w.launch("", nil, "--network", "loopback")
	s.ready()
	api := s.api()
	for i := range 30 {
		_, err := makeNetwork(api, fmt.Sprint("kept-", i))
		w.must(err)
	}
	w.must(s.cmd.Process.Signal(syscall.SIGTERM))
	<-s.ended
	w.must(s.err)
	return w
}

// TestFault_C7_TheKeyBelongsToTheStore takes the key away, and puts another there.
func TestFault_C7_TheKeyBelongsToTheStore(t *testing.T) {
	w := stopped(t)
	path := filepath.Join(w.dir, "data", "sealing.key")
	key, err := os.ReadFile(path)
	w.must(err)
	w.must(os.Remove(path))
	if said := refusedStart(t, w); !strings.Contains(said, "sealing.key is missing") ||
		!strings.Contains(said, "restore") {
		t.Errorf("without the key: %s", said)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a key was made: %v", err)
	}
	w.must(os.WriteFile(path, bytes.Repeat([]byte{7}, len(key)), 0o600))
	if said := refusedStart(t, w); !strings.Contains(said, "is not the key") || !strings.Contains(said, "restore") {
		t.Errorf("with another key: %s", said)
	}
	w.must(os.WriteFile(path, key, 0o600))
	w.launch("", nil, "--network", "loopback").ready()
}

// TestFault_D5_DamagedDataIsNamed cuts and garbles the files of the store.
func TestFault_D5_DamagedDataIsNamed(t *testing.T) {
	w := stopped(t)
	member := filepath.Join(w.dir, "data", "etcd", "member")
	database := filepath.Join(member, "snap", "db")
	logs, err := filepath.Glob(filepath.Join(member, "wal", "*.wal"))
	w.must(err)
	for _, damage := range []struct {
		name, file string
		do         func(content []byte) []byte
	}{
		{"a log that was cut", logs[0], func(b []byte) []byte { return b[:8<<10] }},
		{"an empty log", logs[0], func([]byte) []byte { return nil }},
		{"a garbled log", logs[0], func(b []byte) []byte {
			return append(append(b[:2000:2000], bytes.Repeat([]byte{0xff}, 500)...), b[2500:]...)
		}},
		{"a database that was cut", database, func(b []byte) []byte { return b[:5*4096+100] }},
		{"an empty database", database, func([]byte) []byte { return nil }},
		{"a database without its head", database, func(b []byte) []byte { return append(make([]byte, 8192), b[8192:]...) }},
		{"a database with bad pages", database,
			func(b []byte) []byte { return append(b[:8192:8192], bytes.Repeat([]byte{0xa5}, len(b)-8192)...) }},
	} {
		content, err := os.ReadFile(damage.file)
		w.must(err)
		w.must(os.WriteFile(damage.file, damage.do(bytes.Clone(content)), 0o600))
		said := refusedStart(t, w)
		if !strings.Contains(said, filepath.Join("data", "etcd")) || !strings.Contains(said, "restore a backup") {
			t.Errorf("%s: %s", damage.name, said)
		}
		w.must(os.WriteFile(damage.file, content, 0o600))
	}
	w.launch("", nil, "--network", "loopback").ready()
}

// TestFault_A2_DescriptorsRunOut floods a deployment whose processes may have few files open.
func TestFault_A2_DescriptorsRunOut(t *testing.T) {
	for _, limit := range []int{256, 512} {
		s := newWorkplace(t).launch(fmt.Sprintf("ulimit -n %d; ", limit), nil, "--network", "loopback")
		s.ready()
		api := s.api()
		made, err := makeNetwork(api, "kept")
		s.must(err)
		endpoint, err := url.Parse(api.Environment.Endpoint)
		s.must(err)
		flood := func(network, address string) (close func()) {
			conns := idle(t, network, address, 700)
			return func() {
				for _, c := range conns {
					_ = c.Close()
				}
			}
		}
		for _, at := range []string{endpoint.Host, filepath.Join(s.data, "operator.sock"),
			filepath.Join(s.data, "node.sock")} {
			network := "tcp"
			if strings.HasPrefix(at, "/") {
				network = "unix"
			}
			defer flood(network, at)()
		}
		fresh := *api
		fresh.HTTP = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		for i := range 20 {
			s.must(fresh.Lattice(t.Context(), "POST", tagPath(made.ARN),
				map[string]any{"tags": map[string]string{"key": fmt.Sprint(i)}}, nil))
		}
		if again := s.api(); again.Environment != api.Environment {
			t.Error("pergola env says something else during the flood")
		}
		if _, err := operator.Explain(t.Context(), s.data, operator.Question{From: "vpc-0", Method: "GET",
			URL: "http://x/"}); err == nil || !strings.Contains(err.Error(), "no such VPC") {
			t.Errorf("the node answers %v", err)
		}
		if said := s.stderr.String(); strings.Contains(said, "is started again") {
			t.Errorf("with %d descriptors: %s", limit, said)
		}
	}
}

var freeSpace = regexp.MustCompile(`\d+ MiB are free`)

// TestFault_A5_AFullDiskEndsNothing fills the disk of the data directory, a small one of the test's own.
func TestFault_A5_AFullDiskEndsNothing(t *testing.T) {
	attributes, ok := ownMounts()
	if !ok {
		t.Skip("no mounts of a test's own on this system")
	}
	s := newWorkplace(t).launch("mkdir data && mount -t tmpfs -o size=200m none data || exit 77; ", attributes,
		"--network", "loopback")
	s.until("it is ready", func() bool {
		return strings.Contains(s.stdout.String(), "pergola is ready") || processEnded(s)
	})
	s.data = fmt.Sprintf("/proc/%d/root%s", s.cmd.Process.Pid, s.data)
	api := s.api()
	made, err := makeNetwork(api, "kept")
	s.must(err)
	gone, err := makeNetwork(api, "to-be-deleted")
	s.must(err)
	node := s.process("node")
	for round := range 2 {
		// The control plane is away for a moment if etcd is writing when the disk becomes full.
		s.fill()
		var refused error
		s.until("writes are refused", func() bool {
			_, refused = makeNetwork(api, fmt.Sprintf("refused-%d-%d", round, time.Now().UnixNano()%1e6))
			return refused != nil && strings.Contains(refused.Error(), "the disk of the data directory is full")
		})
		if statusOf(refused) != http.StatusServiceUnavailable || !freeSpace.MatchString(refused.Error()) {
			t.Errorf("a write is refused with %v", refused)
		}
		s.until("what is kept can be read", func() bool {
			return api.Lattice(t.Context(), "GET", "/servicenetworks/"+made.ID, nil, nil) == nil
		})
		if round == 0 {
			s.until("what is not needed can be deleted", func() bool {
				err := api.Lattice(t.Context(), "DELETE", "/servicenetworks/"+gone.ID, nil, nil)
				return err == nil || statusOf(err) == http.StatusNotFound // the answer to the first may have been lost
			})
			// What ends on a full disk comes back on it.
			s.must(syscall.Kill(s.process("control"), syscall.SIGKILL))
			s.until("the API answers again", func() bool {
				return api.Lattice(t.Context(), "GET", "/servicenetworks/"+made.ID, nil, nil) == nil
			})
			if err := api.Lattice(t.Context(), "GET", "/servicenetworks/"+gone.ID, nil,
				nil); statusOf(err) != http.StatusNotFound {
				t.Errorf("what was deleted on the full disk: %v", err)
			}
		}
		s.must(os.Remove(filepath.Join(s.data, "fill")))
		s.until("writes are taken again", func() bool {
			_, err := makeNetwork(api, fmt.Sprintf("taken-%d-%d", round, time.Now().UnixNano()%1e6))
			return err == nil
		})
		if _, err := os.Stat(filepath.Join(s.data, "etcd", "reserve")); err != nil {
			t.Errorf("the reserve was not taken again: %v", err)
		}
	}
	if s.process("node") != node {
		t.Error("the node was started again")
	}
}

func processEnded(s *served) bool {
	select {
	case <-s.ended:
		s.t.Skip("no mounts of a test's own are allowed here")
	default:
	}
	return false
}

// fill fills the disk of the data directory.
func (s *served) fill() {
	s.t.Helper()
	file, err := os.Create(filepath.Join(s.data, "fill"))
	s.must(err)
	defer file.Close()
	for block := make([]byte, 1<<20); err == nil; {
		_, err = file.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		s.t.Fatal(err)
	}
}
