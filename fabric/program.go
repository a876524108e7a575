package fabric

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Command is a program to run in an instance.
type Command struct {
	// Args are its words. Args[0] is looked up in Env's PATH when it has no slash.
	Args []string
	// Env is its whole environment, as KEY=value; nothing of this process's is inherited. The fabric sets PERGOLA_ADDRESS to
	// the address to listen on and, in a loopback fabric, the proxy variables.
	Env []string
	// Dir is its working directory; empty is this process's.
	Dir string
	// Stdin, Stdout and Stderr are its streams; nil is /dev/null. The caller closes them.
	Stdin, Stdout, Stderr *os.File
	// Terminal makes Stdin its controlling terminal.
	Terminal bool
}

// Process is a program running in an instance, the leader of a session of its own.
type Process struct {
	process *os.Process
	exited  chan struct{} // closed when the program has ended
	done    chan struct{} // closed when what it leaves is cleared up too; guards code and err
	code    int
	err     error
}

// Pid is its process id as this process sees it.
func (p *Process) Pid() int { return p.process.Pid }

// Signal sends a signal to the program itself.
func (p *Process) Signal(s os.Signal) error { return p.process.Signal(s) }

// Wait waits for the program to end and gives its exit status: 128 and the signal's number when a signal ended it, as a shell
// reports it. A short-lived instance is gone when Wait returns.
func (p *Process) Wait() (int, error) {
	<-p.done
	return p.code, p.err
}

// Start runs a program in an instance, in a short-lived instance of the VPC when the place is its router, or outside of all
// VPCs, on this host's own network, when the place is the zero Place. When Start returns the program runs: a program that
// cannot be executed is an error here. The context covers the start only.
func (f *Fabric) Start(ctx context.Context, p Place, c Command) (*Process, error) {
	if len(c.Args) == 0 {
		return nil, errors.New("fabric: start: no command given")
	}
	if err := f.begin(); err != nil {
		return nil, err
	}
	started, err := f.startAt(ctx, p, c)
	if err != nil {
		f.watch.Done()
		return nil, fmt.Errorf("fabric: start %q in %v: %w", c.Args[0], p, err)
	}
	return started, nil
}

func (f *Fabric) startAt(ctx context.Context, p Place, c Command) (*Process, error) {
	if p == (Place{}) {
		return f.start(ctx, f.host, c, func() error { return nil })
	}
	if p.Instance != "" {
		s, err := f.seat(p)
		if err != nil {
			return nil, err
		}
		return f.start(ctx, s, c, func() error { return nil })
	}
	v, i, err := f.addShortLived(p.VPC)
	if err != nil {
		return nil, err
	}
	drop := func() error { return f.dropShortLived(v, i) }
	started, err := f.start(ctx, i.seat, c, drop)
	if err != nil {
		return nil, errors.Join(err, drop())
	}
	return started, nil
}

// start runs a program at a seat and watches over it; after runs when it has ended.
func (f *Fabric) start(ctx context.Context, s *seat, c Command, after func() error) (*Process, error) {
	launched, err := f.launch(ctx, s.place, c)
	if err != nil {
		return nil, err
	}
	p := &Process{process: launched, exited: make(chan struct{}), done: make(chan struct{})}
	go p.await()
	kill := func() {
		f.records.kill(p.Pid())
		p.process.Kill() // should its record be lost; after its end this does nothing
		<-p.exited
	}
	if !s.adopt(p, kill) {
		kill()
		return nil, errors.Join(ErrNoPlace, f.records.remove(p.Pid()))
	}
	go func() {
		defer f.watch.Done()
		<-p.exited
		s.release(p)
		p.err = errors.Join(p.err, f.records.remove(p.Pid()), after())
		close(p.done)
	}()
	return p, nil
}

// await waits for the program's end. What it left running in its session ends with it, so that nothing outlives the
// deployment whose instance it ran in.
func (p *Process) await() {
	defer close(p.exited)
	endSession(p.process.Pid)
	state, err := p.process.Wait()
	if err != nil {
		p.err = err
		return
	}
	p.code = state.ExitCode()
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		p.code = 128 + int(status.Signal())
	}
}

// spawning is what a place needs to start the program stage, see Main.
type spawning struct {
	ctx  context.Context
	path string
	args []string // the stage's name, the resolv.conf to show, the command; a place fills in the second
	attr *os.ProcAttr
}

// launch starts the program stage at a place, records it, lets it go on and waits until it has become the command.
func (f *Fabric) launch(ctx context.Context, at place, c Command) (*os.Process, error) {
	self, err := ownPath()
	if err != nil {
		return nil, err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	goRead, goWrite, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer goWrite.Close()
	reportRead, reportWrite, err := os.Pipe()
	if err != nil {
		goRead.Close()
		return nil, err
	}
	defer reportRead.Close()
	files := []*os.File{c.Stdin, c.Stdout, c.Stderr, goRead, reportWrite}
	for i := range 3 {
		if files[i] == nil {
			files[i] = null
		}
	}
	process, err := at.spawn(&spawning{ctx: ctx, path: self, args: slices.Concat([]string{programStage, ""}, c.Args), attr: &os.ProcAttr{
		Dir: c.Dir, Env: slices.Clone(c.Env), Files: files,
		Sys: &syscall.SysProcAttr{Setsid: true, Setctty: c.Terminal, Ctty: 0},
	}})
	goRead.Close()
	reportWrite.Close()
	if err != nil {
		return nil, err
	}
	if err := f.release(process, goWrite, reportRead); err != nil {
		process.Kill()
		process.Wait()
		return nil, errors.Join(err, f.records.remove(process.Pid))
	}
	return process, nil
}

// release records a program that waits in its stage, so that a crash from here on leaves a trace, and lets it run.
func (f *Fabric) release(process *os.Process, goWrite, reportRead *os.File) error {
	if err := f.records.add(process.Pid); err != nil {
		return err
	}
	if _, err := goWrite.Write([]byte{1}); err != nil {
		return err
	}
	report, err := io.ReadAll(reportRead)
	if err != nil {
		return err
	}
	for line := range bytes.Lines(report) {
		what, detail, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
		switch what {
		case reportResolver:
			f.warn.Do(func() {
				f.log.Warn("programs keep the host's /etc/resolv.conf: it cannot be replaced here", "err", detail)
			})
		case reportExec:
			errno, err := strconv.Atoi(detail)
			if err != nil {
				return fmt.Errorf("unreadable report %q", line)
			}
			return syscall.Errno(errno)
		}
	}
	return nil
}

// withEnv is an environment in which each of the given variables has exactly one value.
func withEnv(env []string, vars ...string) []string {
	for _, v := range vars {
		name, _, _ := strings.Cut(v, "=")
		env = slices.DeleteFunc(env, func(e string) bool { return strings.HasPrefix(e, name+"=") })
	}
	return append(env, vars...)
}
