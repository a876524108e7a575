package operator_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
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
type fake struct {
	// sent are the signals that programs have been sent, for a test to read. What a program itself gets is another channel,
	// since of two that wait for one signal only one has it.
	sent chan os.Signal
}

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
	p := &process{sent: f.sent, signals: make(chan os.Signal, 8), ended: make(chan int, 1)}
	go func() {
		defer in.Close()
		defer out.Close()
		io.Copy(out, in)
		if len(program.Args) > 1 {
			s := <-p.signals
			p.ended <- 128 + int(s.(syscall.Signal))
			return
		}
		p.ended <- 7
	}()
	return p, nil
}

func (f *fake) Examine(context.Context) ([]operator.Finding, error) {
	return []operator.Finding{{About: "tg-1", Problem: "it has no target", Cures: []string{"register one"}}}, nil
}

func (f *fake) Explain(_ context.Context, q operator.Question) (operator.Explanation, error) {
	if q.From == "panic" {
		panic("a question that nobody expects")
	}
	if q.From == "" {
		return operator.Explanation{}, errors.New("from where?")
	}
	return operator.Explanation{Reason: q.Method + " " + q.URL, Gates: []operator.Gate{{Name: "gate", Verdict: "ok", Detail: strings.Repeat("x", 100_000)}}}, nil
}

func (f *fake) Authority(context.Context) (string, error) { return "PEM", nil }

func (f *fake) RegisterIssuer(_ context.Context, issuer operator.Issuer) (string, error) {
	return "arn of " + issuer.URL, nil
}

func dup(file *os.File) *os.File {
	fd, err := syscall.Dup(int(file.Fd()))
	if err != nil {
		panic(err)
	}
	return os.NewFile(uintptr(fd), file.Name())
}

type process struct {
	sent, signals chan os.Signal
	ended         chan int
}

func (p *process) Wait() (int, error) { return <-p.ended, nil }

func (p *process) Signal(s os.Signal) error {
	p.sent <- s
	p.signals <- s
	return nil
}

// serve opens the door of a fake deployment in a directory of the test's own.
func serve(t *testing.T) (dir string, f *fake) {
	t.Helper()
	dir, err := os.MkdirTemp("", "operator-")
	if err != nil {
		t.Fatal(err)
	}
	f = &fake{make(chan os.Signal, 8)}
	ctx, cancel := context.WithCancel(t.Context())
	doors := []operator.Part{operator.Control, operator.Node}
	done := make(chan error, len(doors))
	for _, part := range doors {
		listener, err := operator.Listen(dir, part)
		if err != nil {
			t.Fatal(err)
		}
		answers := operator.Answers{Logger: slog.New(slog.DiscardHandler)}
		if part == operator.Control {
			answers.Control = f
		} else {
			answers.Node = f
		}
		go func() { done <- operator.Serve(ctx, listener, answers) }()
	}
	t.Cleanup(func() {
		cancel()
		for range doors {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		_ = os.RemoveAll(dir)
	})
	return dir, f
}

func TestEnvironment(t *testing.T) {
	dir, _ := serve(t)
	environment, err := operator.Env(t.Context(), dir, "")
	if err != nil || environment.Endpoint != "http://127.0.0.1:4747" || environment.SecretAccessKey != "secret" {
		t.Errorf("%+v, %v", environment, err)
	}
	if _, err := operator.Env(t.Context(), dir, "999999999999"); err == nil ||
		!strings.Contains(err.Error(), "account 999999999999 does not exist") {
		t.Errorf("for an account that does not exist: %v", err)
	}
}

func TestAuthority(t *testing.T) {
	dir, _ := serve(t)
	if got, err := operator.Authority(t.Context(), dir); err != nil || got != "PEM" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestExamine(t *testing.T) {
	dir, _ := serve(t)
	got, err := operator.Examine(t.Context(), dir)
	if err != nil || len(got) != 1 || got[0].About != "tg-1" || len(got[0].Cures) != 1 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestExplain(t *testing.T) {
	dir, _ := serve(t)
	got, err := operator.Explain(t.Context(), dir, operator.Question{From: "i-1", Method: "GET", URL: "http://orders/"})
	if err != nil || got.Reason != "GET http://orders/" || len(got.Gates) != 1 || len(got.Gates[0].Detail) != 100_000 {
		t.Errorf("%.200v, %v", got, err)
	}
	if _, err := operator.Explain(t.Context(), dir, operator.Question{}); err == nil || err.Error() != "from where?" {
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
	c, err := net.Dial("unix", filepath.Join(dir, "node.sock"))
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
	if got := <-f.sent; got != syscall.SIGKILL {
		t.Errorf("the program got %v", got)
	}
}

func TestRefusals(t *testing.T) {
	dir, _ := serve(t)
	if _, err := operator.Run(dir, operator.Program{Place: "i-2"}, operator.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, nil); err == nil || !strings.Contains(err.Error(), "no such instance") {
		t.Errorf("a program in no instance: %v", err)
	}
	if _, err := operator.Listen(dir, operator.Control); err == nil ||
		!strings.Contains(err.Error(), "is running on it already") {
		t.Errorf("a second deployment: %v", err)
	}
	if _, err := operator.Listen(strings.Repeat("/long", 30), operator.Control); err == nil ||
		!strings.Contains(err.Error(), "too long") {
		t.Errorf("a path that is too long: %v", err)
	}
	if _, err := operator.Env(t.Context(), t.TempDir(), ""); err == nil ||
		!strings.Contains(err.Error(), "pergola serve --data") {
		t.Errorf("no deployment: %v", err)
	}
	if _, err := operator.Listen(dir, operator.Node); err == nil ||
		!strings.Contains(err.Error(), "is running on it already") {
		t.Errorf("a second node: %v", err)
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
	listener, err := operator.Listen(dir, operator.Control)
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

// TestFault_D3_AConversationThatHangsCanBeInterrupted asks a deployment that says nothing.
func TestFault_D3_AConversationThatHangsCanBeInterrupted(t *testing.T) {
	dir, err := os.MkdirTemp("", "operator-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	listener, err := operator.Listen(dir, operator.Control)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := operator.Env(ctx, dir, "")
		ended <- err
	}()
	c, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	interrupted := errors.New("interrupted")
	cancel(interrupted)
	if err := <-ended; !errors.Is(err, interrupted) {
		t.Errorf("got %v", err)
	}
	if _, err := operator.Explain(t.Context(), dir, operator.Question{}); err == nil ||
		!strings.Contains(err.Error(), "its node does not") {
		t.Errorf("a question to the part that is not there: %v", err)
	}
}

// TestFault_A11_APanicEndsOneConversation asks a question under which the deployment panics.
func TestFault_A11_APanicEndsOneConversation(t *testing.T) {
	dir, _ := serve(t)
	if _, err := operator.Explain(t.Context(), dir, operator.Question{From: "panic"}); err == nil ||
		!strings.Contains(err.Error(), "a fault inside") {
		t.Errorf("got %v", err)
	}
	if _, err := operator.Explain(t.Context(), dir, operator.Question{From: "i-1"}); err != nil {
		t.Errorf("the next question: %v", err)
	}
}

// TestFault_A2_SilentCallersKeepNobodyOut opens more conversations than there may be, and says nothing in them.
func TestFault_A2_SilentCallersKeepNobodyOut(t *testing.T) {
	dir, _ := serve(t)
	for range 300 {
		c, err := net.Dial("unix", filepath.Join(dir, "operator.sock"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	if _, err := operator.Env(t.Context(), dir, ""); err != nil {
		t.Error(err)
	}
}
