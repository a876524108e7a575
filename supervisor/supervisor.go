// Package supervisor runs the processes of one program: this program again, once for each part of it. A process that
// ends is started again, after a pause that grows; the others go on meanwhile. When the supervisor ends, however it
// does, its processes end.
//
// A process reads its configuration from a pipe, whose end tells it that the supervisor is gone, and says by another
// how it is. Neither arguments nor the environment carry anything.
package supervisor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// namePrefix begins the name of a process, where a program's own name stands.
const namePrefix = "pergola: "

// Part is a part of the program that runs in a process of its own.
type Part struct {
	// Name says which part it is, to the process and to the log.
	Name string
	// Config is what the process is told.
	Config []byte
	// Files are descriptors that it inherits.
	Files []*os.File
}

// ErrCrashed is wrapped by the end of a process that crashed.
var ErrCrashed = errors.New("it crashed")

// State is what a process says of itself.
type State struct {
	// Ready says that it does its work, and Detail is a word about it.
	Ready  bool   `json:"ready,omitempty"`
	Detail string `json:"detail,omitempty"`
	// Failed is why it ends, and Passing that this may go by itself.
	Failed  string `json:"failed,omitempty"`
	Passing bool   `json:"passing,omitempty"`
}

// The pauses before a process is started again. They double from the shortest to the longest, and vary by a quarter. A
// process that has been ready for as long as the longest begins anew.
const (
	shortestPause = 100 * time.Millisecond
	longestPause  = 15 * time.Second
)

// stopPatience is how long a process may take to end when it is asked to.
const stopPatience = 15 * time.Second

// Process keeps one part running.
type Process struct {
	part Part
	dir  string
	log  *slog.Logger

	ready   chan State // of the first time
	fatal   chan error
	changed func(ready bool)
	cancel  context.CancelFunc
	done    chan struct{}
	once    sync.Once
}

// Config says how processes are kept.
type Config struct {
	// Dir takes what a process has written when it crashed.
	Dir    string
	Logger *slog.Logger
	// Changed, if set, hears whether the process does its work.
	Changed func(ready bool)
}

// Start starts a part, and starts it again when it ends, until Stop.
func Start(part Part, cfg Config) *Process {
	p := &Process{
		part: part, dir: cfg.Dir, log: cfg.Logger.With("process", part.Name), changed: cfg.Changed,
		ready: make(chan State, 1), fatal: make(chan error, 1), done: make(chan struct{}),
	}
	if p.changed == nil {
		p.changed = func(bool) {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	go p.keep(ctx)
	return p
}

// Ready delivers what the process says when it does its work for the first time.
func (p *Process) Ready() <-chan State { return p.ready }

// Fatal delivers why the process cannot be started, if no further attempt would help. It is not started again then.
func (p *Process) Fatal() <-chan error { return p.fatal }

// Stop asks the process to end, and returns when it has.
func (p *Process) Stop() {
	p.cancel()
	<-p.done
}

// keep starts the process again and again. The kernel ends a process with the thread that started it, which therefore
// is this goroutine's own.
func (p *Process) keep(ctx context.Context) {
	defer close(p.done)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	pause, served := shortestPause, false
	for {
		r := &run{process: p, again: served}
		started := time.Now()
		err := r.run(ctx)
		p.changed(false)
		if ctx.Err() != nil {
			return
		}
		served = served || r.ready
		if !served && !r.passing {
			p.fatal <- err
			return
		}
		if r.ready && time.Since(started) > longestPause {
			pause = shortestPause
		}
		wait := pause*3/4 + rand.N(pause/2)
		pause = min(2*pause, longestPause)
		p.log.Error("a process has ended and is started again", "cause", err, "in", wait.Round(time.Millisecond))
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

// run is one run of a process.
type run struct {
	process *Process
	again   bool // another has been ready before
	ready   bool
	passing bool
	failed  string
}

// run runs the process until it ends, and returns why.
func (r *run) run(ctx context.Context) error {
	p := r.process
	self, err := ownPath()
	if err != nil {
		return err
	}
	config, tell, err := os.Pipe()
	if err != nil {
		r.passing = true
		return err
	}
	defer tell.Close()
	hear, state, err := os.Pipe()
	if err != nil {
		r.passing = true
		return errors.Join(err, config.Close())
	}
	defer hear.Close()
	errs := &crashes{to: os.Stderr, path: filepath.Join(p.dir, "crash-"+p.part.Name+".txt")}
	cmd := &exec.Cmd{
		Path: self, Args: []string{namePrefix + p.part.Name}, Stdout: os.Stdout, Stderr: errs,
		ExtraFiles: append([]*os.File{config, state}, p.part.Files...), SysProcAttr: attributes(), WaitDelay: time.Second,
	}
	err = cmd.Start()
	_, _ = config.Close(), state.Close()
	if err != nil {
		r.passing = true
		return err
	}
	go func() { _, _ = tell.Write(append(p.part.Config, '\n')) }() // a process that does not read it ends
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		r.hear(hear)
	}()
	err = p.wait(ctx, cmd)
	_ = hear.SetReadDeadline(time.Now().Add(time.Second)) // a program of an instance may hold the other end
	<-heard
	return r.cause(err, errs)
}

// hear takes in what the process says.
func (r *run) hear(from *os.File) {
	said := json.NewDecoder(from)
	for {
		var s State
		if said.Decode(&s) != nil {
			return
		}
		if s.Ready {
			if r.again {
				r.process.log.Info("the process does its work again")
			}
			r.ready = true
			r.process.changed(true)
			r.process.once.Do(func() { r.process.ready <- s })
		}
		if s.Failed != "" {
			r.failed, r.passing = s.Failed, s.Passing
		}
	}
}

// wait waits for the end of the process, which it asks for when the context ends.
func (p *Process) wait(ctx context.Context, cmd *exec.Cmd) error {
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case err := <-ended:
		return err
	case <-time.After(stopPatience):
		p.log.Error("a process did not stop in time and is killed")
		_ = cmd.Process.Kill()
		return <-ended
	}
}

// cause is why a process has ended: what it said itself, or the first line of its crash, or its status.
func (r *run) cause(err error, errs *crashes) error {
	crash := errs.close()
	switch {
	case r.failed != "":
		return errors.New(r.failed)
	case crash != "":
		return fmt.Errorf("%w: %s; %s has the rest", ErrCrashed, crash, errs.path)
	case err != nil:
		return err
	}
	return errors.New("it ended by itself")
}

// Name returns which part this process is, "" if it was not started by Start.
func Name() string {
	name, ok := strings.CutPrefix(os.Args[0], namePrefix)
	if !ok || len(os.Args) != 1 {
		return ""
	}
	return name
}

// The descriptors of a process, after the standard ones.
const (
	configDescriptor = 3
	stateDescriptor  = 4
	firstFile        = 5
)

// Attach returns what the process was told, and what tells the supervisor how it is. When the supervisor ends, so does
// the process.
func Attach() (config []byte, tell func(State), err error) {
	syscall.CloseOnExec(configDescriptor)
	syscall.CloseOnExec(stateDescriptor)
	from, to := os.NewFile(configDescriptor, "configuration"), os.NewFile(stateDescriptor, "state")
	said := json.NewDecoder(from)
	var raw json.RawMessage
	if err := said.Decode(&raw); err != nil {
		return nil, nil, fmt.Errorf("the supervisor does not say what to do: %w", err)
	}
	go func() {
		var more json.RawMessage
		_ = said.Decode(&more) // it says no more, so this is its end
		os.Exit(1)
	}()
	encoder := json.NewEncoder(to)
	return raw, func(s State) { _ = encoder.Encode(s) }, nil // without a supervisor the process is about to end
}

// File is a descriptor that the process has inherited, by its place in Part.Files.
func File(i int) *os.File {
	fd := firstFile + i
	syscall.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), "inherited")
}
