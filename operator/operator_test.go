package operator_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"pergola/operator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a deployment with one account and one instance, in which a program copies its input to its output until it
// gets a signal.
type fake struct{ signals chan os.Signal }

func (f *fake) Environment(_ context.Context, account string) (operator.Environment, error) {
	if account != "" && account != "100000000001" {
		return operator.Environment{}, errors.New("account " + account + " does not exist")
	}
	return operator.Environment{Endpoint: "http://127.0.0.1:4747", Region: "us-west-2", AccessKeyID: "AKIA", SecretAccessKey: "secret"}, nil
}

func (f *fake) Start(_ context.Context, program operator.Program, streams operator.Streams) (operator.Process, error) {
	if program.Place != "i-1" {
		return nil, errors.New(program.Place + ": no such instance")
	}
	// The caller closes its copies when Start returns, as it does for a program that has its own.
	in, out := dup(streams.In), dup(streams.Out)
	p := &process{signals: f.signals, ended: make(chan int, 1)}
	go func() {
		defer in.Close()
		defer out.Close()
		io.Copy(out, in)
		if len(program.Args) > 1 {
			s := <-f.signals
			p.ended <- 128 + int(s.(syscall.Signal))
			return
		}
		p.ended <- 7
	}()
	return p, nil
}

func (f *fake) Explain(_ context.Context, q operator.Question) (operator.Explanation, error) {
	if q.From == "" {
		return operator.Explanation{}, errors.New("from where?")
	}
	return operator.Explanation{Reason: q.Method + " " + q.URL, Gates: []operator.Gate{{Name: "gate", Verdict: "ok", Detail: strings.Repeat("x", 100_000)}}}, nil
}

func (f *fake) Authority(context.Context) (string, error) { return "PEM", nil }

func dup(file *os.File) *os.File {
	fd, err := syscall.Dup(int(file.Fd()))
	if err != nil {
		panic(err)
	}
	return os.NewFile(uintptr(fd), file.Name())
}

type process struct {
	signals chan os.Signal
	ended   chan int
}

func (p *process) Wait() (int, error)       { return <-p.ended, nil }
func (p *process) Signal(s os.Signal) error { p.signals <- s; return nil }

// serve opens the door of a fake deployment in a directory of the test's own.
func serve(t *testing.T) (dir string, f *fake) {
	t.Helper()
	dir, err := os.MkdirTemp("", "operator-")
	if err != nil {
		t.Fatal(err)
	}
	listener, err := operator.Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	f = &fake{make(chan os.Signal, 8)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- operator.Serve(ctx, listener, f) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		_ = os.RemoveAll(dir)
	})
	return dir, f
}

func TestEnvironment(t *testing.T) {
	dir, _ := serve(t)
	environment, err := operator.Env(dir, "")
	if err != nil || environment.Endpoint != "http://127.0.0.1:4747" || environment.SecretAccessKey != "secret" {
		t.Errorf("%+v, %v", environment, err)
	}
	if _, err := operator.Env(dir, "999999999999"); err == nil || !strings.Contains(err.Error(), "account 999999999999 does not exist") {
		t.Errorf("for an account that does not exist: %v", err)
	}
}

func TestAuthority(t *testing.T) {
	dir, _ := serve(t)
	if got, err := operator.Authority(dir); err != nil || got != "PEM" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestExplain(t *testing.T) {
	dir, _ := serve(t)
	got, err := operator.Explain(dir, operator.Question{From: "i-1", Method: "GET", URL: "http://orders/"})
	if err != nil || got.Reason != "GET http://orders/" || len(got.Gates) != 1 || len(got.Gates[0].Detail) != 100_000 {
		t.Errorf("%.200v, %v", got, err)
	}
	if _, err := operator.Explain(dir, operator.Question{}); err == nil || err.Error() != "from where?" {
		t.Errorf("without a place: %v", err)
	}
}

func TestRun(t *testing.T) {
	dir, _ := serve(t)
	in, feed := pipe(t)
	read, out := pipe(t)
	io.WriteString(feed, "to the program and back")
	feed.Close()
	status, err := operator.Run(dir, operator.Program{Place: "i-1", Args: []string{"copy"}}, operator.Streams{In: in, Out: out, Err: out}, nil)
	if status != 7 || err != nil {
		t.Errorf("status %d, %v", status, err)
	}
	out.Close()
	if got, _ := io.ReadAll(read); string(got) != "to the program and back" {
		t.Errorf("the program wrote %q", got)
	}
}

func TestSignalsReachTheProgram(t *testing.T) {
	dir, _ := serve(t)
	in, feed := pipe(t)
	feed.Close()
	signals := make(chan os.Signal, 1)
	signals <- syscall.SIGTERM
	status, err := operator.Run(dir, operator.Program{Place: "i-1", Args: []string{"wait", "forever"}}, operator.Streams{In: in, Out: os.Stdout, Err: os.Stderr}, signals)
	if status != 128+int(syscall.SIGTERM) || err != nil {
		t.Errorf("status %d, %v", status, err)
	}
}

// TestAProgramEndsWithItsCaller kills the program of a caller that goes away.
func TestAProgramEndsWithItsCaller(t *testing.T) {
	dir, f := serve(t)
	c, err := net.Dial("unix", filepath.Join(dir, "operator.sock"))
	if err != nil {
		t.Fatal(err)
	}
	in, feed := pipe(t)
	feed.Close()
	rights := syscall.UnixRights(int(in.Fd()), int(os.Stdout.Fd()), int(os.Stderr.Fd()))
	if _, _, err := c.(*net.UnixConn).WriteMsgUnix([]byte(`{"program":{"place":"i-1","args":["wait","forever"]}}`+"\n"), rights, nil); err != nil {
		t.Fatal(err)
	}
	c.Close()
	if got := <-f.signals; got != syscall.SIGKILL {
		t.Errorf("the program got %v", got)
	}
	f.signals <- syscall.SIGKILL // it dies of it
}

func TestRefusals(t *testing.T) {
	dir, _ := serve(t)
	if _, err := operator.Run(dir, operator.Program{Place: "i-2"}, operator.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, nil); err == nil || !strings.Contains(err.Error(), "no such instance") {
		t.Errorf("a program in no instance: %v", err)
	}
	if _, err := operator.Listen(dir); err == nil || !strings.Contains(err.Error(), "is running on it already") {
		t.Errorf("a second deployment: %v", err)
	}
	if _, err := operator.Listen(strings.Repeat("/long", 30)); err == nil || !strings.Contains(err.Error(), "too long") {
		t.Errorf("a path that is too long: %v", err)
	}
	if _, err := operator.Env(t.TempDir(), ""); err == nil || !strings.Contains(err.Error(), "pergola serve --data") {
		t.Errorf("no deployment: %v", err)
	}
	for _, said := range []string{"", "nonsense\n", "{}\n", `{"program":{"place":"i-1"}}` + "\n", strings.Repeat("x", 5<<20)} {
		c, err := net.Dial("unix", filepath.Join(dir, "operator.sock"))
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, said)
		c.(*net.UnixConn).CloseWrite()
		answer, _ := io.ReadAll(c)
		if len(answer) > 0 && !strings.Contains(string(answer), `"error"`) {
			t.Errorf("%.20q was answered with %q", said, answer)
		}
		c.Close()
	}
}

func TestASocketLeftBehindIsReplaced(t *testing.T) {
	dir, err := os.MkdirTemp("", "operator-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "operator.sock"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	stale.Close()
	listener, err := operator.Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	info, err := os.Stat(filepath.Join(dir, "operator.sock"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket has mode %v, %v", info.Mode(), err)
	}
}

func pipe(t *testing.T) (read, write *os.File) {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		read.Close()
		write.Close()
	})
	return read, write
}
