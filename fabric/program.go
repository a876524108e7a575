package fabric

import (
	"bytes"
	"context"
	"encoding/gob"
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
	// Confined keeps the program in narrow bounds; nil lets it see this host's files, but for Config.Private.
	Confined *Confinement
}

// Process is a program running in an instance, the leader of a session of its own. What it starts ends with it.
type Process struct {
	process *os.Process // the program's init; on systems without one, the program
	means   Means
	life    *os.File      // closing it ends the program, as the end of this process does
	exited  chan struct{} // closed when the program has ended
	done    chan struct{} // closed when what it leaves is cleared up too; guards code and err
	code    int
	err     error
}

// Pid is the id of the program's init as this process sees it. The program is its child, and orphans of the program
// are.
func (p *Process) Pid() int { return p.process.Pid }

// Signal sends a signal to the program itself. SIGKILL ends all that it has started, too.
func (p *Process) Signal(s os.Signal) error {
	if s == syscall.SIGKILL && p.means != ByNamespaces && p.life != nil {
		return p.life.Close() // the init ends them, and itself
	}
	return p.process.Signal(s)
}

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
	return f.counted(c, p.String(), func() (*Process, error) { return f.startAt(ctx, p, c) })
}

// startIn runs a program at a seat that is no Place's.
func (f *Fabric) startIn(ctx context.Context, s *seat, c Command) (*Process, error) {
	return f.counted(c, "a network of its own", func() (*Process, error) {
		return f.start(ctx, s, c, func() error { return nil })
	})
}

// counted starts a program as one of those that Close waits for.
func (f *Fabric) counted(c Command, where string, start func() (*Process, error)) (*Process, error) {
	if len(c.Args) == 0 {
		return nil, errors.New("fabric: start: no command given")
	}
	if err := f.begin(); err != nil {
		return nil, err
	}
	started, err := start()
	if err != nil {
		f.watch.Done()
		return nil, fmt.Errorf("fabric: start %q in %s: %w", c.Args[0], where, err)
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
	p, err := f.launch(ctx, s.place, c)
	if err != nil {
		return nil, err
	}
	go p.await()
	if !s.adopt(p, func() { f.end(p) }) {
		f.end(p)
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

// end ends a program and waits for that.
func (f *Fabric) end(p *Process) {
	_ = p.life.Close() // it may be closed already
	if p.means == ByNamespaces {
		p.process.Kill() // after its end this does nothing
	}
	f.records.kill(p.Pid())
	p.process.Kill() // should its record be lost
	<-p.exited
}

// await waits for the program's end.
func (p *Process) await() {
	defer close(p.exited)
	state, err := p.process.Wait()
	_ = p.life.Close() // nothing was written that could fail
	if err != nil {
		p.err = err
		return
	}
	p.code = state.ExitCode()
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		p.code = 128 + int(status.Signal())
	}
}

// spawning is what a place needs to start the program stage, see Main. A place adds to what the stage is told.
type spawning struct {
	ctx   context.Context
	path  string
	attr  *os.ProcAttr
	stage *stage
}

// launch starts the program stage at a place, records it, lets it go on and waits until the command runs.
func (f *Fabric) launch(ctx context.Context, at place, c Command) (*Process, error) {
	s := &stage{
		Args: c.Args, Env: slices.Clone(c.Env), Dir: c.Dir, Terminal: c.Terminal, Means: f.means, Private: f.private,
		Confined: c.Confined,
	}
	if c.Confined != nil {
		s.Means = c.Confined.Means
		if s.Means == ByNothing {
			s.Private = Private{}
		}
	}
	if s.Dir == "" {
		var err error
		if s.Dir, err = os.Getwd(); err != nil {
			return nil, err
		}
	}
	launched, err := launchStage(s, []*os.File{c.Stdin, c.Stdout, c.Stderr},
		func(path string, attr *os.ProcAttr) (*os.Process, error) {
			return at.spawn(&spawning{ctx, path, attr, s})
		})
	if err != nil {
		return nil, err
	}
	p := &Process{process: launched.process, means: s.Means, life: launched.life, exited: make(chan struct{}),
		done: make(chan struct{})}
	if err = f.records.add(p.Pid()); err == nil { // so that a crash from here on leaves a trace
		err = launched.begin(s, func(detail string) {
			f.warn.Do(func() {
				f.log.Warn("programs keep the host's /etc/resolv.conf: it cannot be replaced here", "err", detail)
			})
		})
	}
	if err != nil {
		launched.life.Close()
		launched.process.Kill()
		launched.process.Wait()
		return nil, errors.Join(err, f.records.remove(p.Pid()))
	}
	return p, nil
}

// launched is a program stage that waits to be told what to do.
type launched struct {
	process      *os.Process
	life, report *os.File
}

// launchStage starts a stage. Streams that are nil, or not given, are /dev/null.
func launchStage(s *stage, streams []*os.File,
	spawn func(path string, attr *os.ProcAttr) (*os.Process, error)) (*launched, error) {
	self, err := ownPath()
	if err != nil {
		return nil, err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	lifeRead, lifeWrite, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer lifeRead.Close()
	reportRead, reportWrite, err := os.Pipe()
	if err != nil {
		lifeWrite.Close()
		return nil, err
	}
	defer reportWrite.Close()
	files := []*os.File{null, null, null, lifeRead, reportWrite}
	for i, stream := range streams {
		if stream != nil {
			files[i] = stream
		}
	}
	process, err := spawn(self, &os.ProcAttr{Dir: "/", Env: []string{}, Files: files, Sys: s.attributes()})
	if err != nil {
		lifeWrite.Close()
		reportRead.Close()
		return nil, err
	}
	return &launched{process, lifeWrite, reportRead}, nil
}

// begin lets the stage begin and hears what it reports; resolver hears why the resolver's file could not be shown.
func (l *launched) begin(s *stage, resolver func(detail string)) error {
	defer l.report.Close()
	if err := gob.NewEncoder(l.life).Encode(s); err != nil {
		return err
	}
	report, err := io.ReadAll(l.report)
	if err != nil {
		return err
	}
	for line := range bytes.Lines(report) {
		what, detail, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
		switch what {
		case reportResolver:
			resolver(detail)
		case reportSetup:
			return fmt.Errorf("%w: %s", errSetup, detail)
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
