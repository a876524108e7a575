// Package test looks at Pergola from the outside: the built program, the AWS CLI, the README's own commands.
package test

import (
	"bufio"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// program is the built program.
var program string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "pergola-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "pergola")
	build := exec.Command("go", "build", "-o", program, "../cmd/pergola")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build the program:", err)
		return 1
	}
	return m.Run()
}

// patience bounds everything a test waits for: what takes so long hangs, on a busy machine too, where a script of some
// fifty calls of the AWS CLI has needed more than 90 seconds.
const patience = 5 * time.Minute

// workplace is a folder with the program in it and a home of its own, as a new user has.
type workplace struct {
	dir string
	env []string
	t   *testing.T
}

func newWorkplace(t *testing.T) *workplace {
	t.Helper()
	// Not t.TempDir, whose path can be too long for a socket.
	dir, err := os.MkdirTemp("", "pergola-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Symlink(program, filepath.Join(dir, "pergola")); err != nil {
		t.Fatal(err)
	}
	w := &workplace{dir: dir, t: t}
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); !strings.HasPrefix(name, "AWS_") && name != "HOME" && name != "XDG_STATE_HOME" {
			w.env = append(w.env, variable)
		}
	}
	w.env = append(w.env, "HOME="+dir, "AWS_PAGER=", "AWS_EC2_METADATA_DISABLED=true")
	return w
}

func (w *workplace) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = w.dir, w.env
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// anyPort has the API listen on a port that is free. Clients learn it from pergola env.
var anyPort = []string{"serve", "--listen", "127.0.0.1:0"}

// serve runs pergola serve until the test ends, and returns the line with which it says that it is ready.
func (w *workplace) serve(args ...string) string {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := w.command(ctx, program, slices.Concat(anyPort, args)...)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			w.t.Errorf("pergola serve did not stop cleanly: %v", err)
		}
		cancel()
	})
	ready, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		w.t.Fatalf("pergola serve ended before it was ready: %v", err)
	}
	return ready
}

// admit is a function of scripts: it lets VPC Lattice in to the members of a VPC's default security group.
const admit = `
admit() {
	aws ec2 authorize-security-group-ingress --protocol tcp --port 8080 --cidr 169.254.171.0/24 >/dev/null \
		--group-id $(aws ec2 describe-security-groups --query 'SecurityGroups[0].GroupId' --output text \
			--filters Name=vpc-id,Values=$1 Name=group-name,Values=default)
}
`

// shell runs a script that stops at its first error and returns its output.
func (w *workplace) shell(script string) string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	cmd := w.command(ctx, "bash", "-euo", "pipefail", "-c", admit+script)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		w.t.Fatalf("%v\nscript: %s\noutput: %s\nerrors: %s", err, script, out, stderr.String())
	}
	return string(out)
}

// need skips a test where a program that it calls is missing.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("%s is not installed", name)
		}
	}
}

// TestFault_D12_TestsNeedOnlyTheProject finds no test that listens on a port of its own choice, beside which no other
// deployment can run, and none that reads what an ordinary clone does not have.
func TestFault_D12_TestsNeedOnlyTheProject(t *testing.T) {
	foreign := regexp.MustCompile(`--listen[", ]+127\.0\.0\.1:[1-9]|"(\.\./)+shared/`)
	err := filepath.WalkDir("..", func(name string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, "_test.go") {
			return err
		}
		content, err := os.ReadFile(name)
		for _, found := range foreign.FindAll(content, -1) {
			t.Errorf("%s has %q", name, found)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
