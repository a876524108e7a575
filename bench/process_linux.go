package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// cores are the two cores of a comparison. They are the same one where there is no other.
type cores struct {
	subject, world int
	all            unix.CPUSet // what this process may use
}

// pickCores takes the first two cores that this process may use.
func pickCores() (cores, error) {
	var allowed unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		return cores{}, fmt.Errorf("ask for the cores of this process: %w", err)
	}
	var usable []int
	for core := 0; len(usable) < min(2, allowed.Count()); core++ {
		if allowed.IsSet(core) {
			usable = append(usable, core)
		}
	}
	return cores{usable[0], usable[len(usable)-1], allowed}, nil
}

// pin binds the calling thread, and all that it starts from now on, to a core. The goroutine must be locked to it.
func pin(core int) error {
	var set unix.CPUSet
	set.Set(core)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("bind a thread to core %d: %w", core, err)
	}
	return nil
}

// pinAll binds all threads of this process to a core, and with them those that they start.
func pinAll(core int) error {
	var set unix.CPUSet
	set.Set(core)
	return eachThread(func(thread int) error { return unix.SchedSetaffinity(thread, &set) })
}

// eachThread does something with each thread of this process, by its id.
func eachThread(do func(thread int) error) error {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, entry := range threads {
		thread, err := strconv.Atoi(entry.Name())
		if err != nil {
			return err
		}
		if err := do(thread); err != nil && err != unix.ESRCH {
			return fmt.Errorf("bind thread %d to its cores: %w", thread, err)
		}
	}
	return nil
}

// process is a process under measurement, with its children.
type process struct {
	cmd     *exec.Cmd
	out     io.ReadCloser
	errors  bytes.Buffer // complete once done is closed
	dir     string       // its own, removed when it ends; "" for none
	done    chan struct{}
	stopped bool
}

// startOn starts a program on a core. The calling goroutine must be locked to its thread, which comes back to its own
// core. The program is killed if this thread ends first.
func startOn(at cores, cmd *exec.Cmd) (*process, error) {
	if err := pin(at.subject); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	p.cmd.Env = append(p.cmd.Environ(), "GOMAXPROCS=1")
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	p.cmd.Stderr = &p.errors
	read, write, err := os.Pipe() // not StdoutPipe, which must have been read before Wait
	if err != nil {
		return nil, err
	}
	p.out, p.cmd.Stdout = read, write
	err = p.cmd.Start()
	write.Close()
	if err := pin(at.world); err != nil {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // how it ended is told by what it wrote
	}()
	return p, nil
}

// stopTime is how long a process may take to end.
const stopTime = 10 * time.Second

// stop ends the process and its children. It may be called again.
func (p *process) stop() {
	if p.stopped {
		return
	}
	p.stopped = true
	p.out.Close()
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-p.done:
	case <-time.After(stopTime):
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // those that are left of the group
	<-p.done
	if p.dir != "" {
		_ = os.RemoveAll(p.dir)
	}
}

// failure explains an error by what the process has written. It ends the process.
func (p *process) failure(err error) error {
	p.stop()
	if said := strings.TrimSpace(p.errors.String()); said != "" {
		return fmt.Errorf("%s: %w; it wrote: %s", filepath.Base(p.cmd.Path), err, said)
	}
	return fmt.Errorf("%s: %w", filepath.Base(p.cmd.Path), err)
}

// members are the processes of the group.
func (p *process) members() ([]int, error) {
	names, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	var members []int
	for _, name := range names {
		id, group, err := readStat(name)
		if err == nil && group == p.cmd.Process.Pid {
			members = append(members, id)
		}
	}
	return members, nil
}

// readStat is what /proc says of a process: its id and its group.
func readStat(name string) (id, group int, err error) {
	content, err := os.ReadFile(name)
	if err != nil {
		return 0, 0, err
	}
	first, rest, found := strings.Cut(string(content), " (")
	// The name of the program may contain anything, so the fields are counted from its end.
	end := strings.LastIndex(rest, ") ")
	if !found || end < 0 {
		return 0, 0, fmt.Errorf("%s is not understood", name)
	}
	fields := strings.Fields(rest[end+2:]) // the first is the third of proc_pid_stat(5)
	if len(fields) < 3 {
		return 0, 0, fmt.Errorf("%s is too short", name)
	}
	id, err1 := strconv.Atoi(first)
	group, err2 := strconv.Atoi(fields[2])
	return id, group, errors.Join(err1, err2)
}

// cpuTime is what processes have taken, in their own code and in the kernel's on their behalf.
func cpuTime(members []int) (total time.Duration, err error) {
	for _, id := range members {
		var now unix.Timespec
		// The number of the clock of a process, as clock_getcpuclockid(3) makes it.
		if err := unix.ClockGettime(int32(^id)<<3|2, &now); err != nil {
			return 0, fmt.Errorf("ask for the CPU time of process %d: %w", id, err)
		}
		total += time.Duration(now.Nano())
	}
	return total, nil
}

// memory is what processes hold, in bytes.
type memory struct{ anonymous, resident int }

// memoryOf adds up what processes hold.
func memoryOf(members []int) (total memory, err error) {
	for _, id := range members {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", id))
		if err != nil {
			return total, err
		}
		total.anonymous += statusBytes(string(status), "RssAnon:")
		total.resident += statusBytes(string(status), "VmRSS:")
	}
	return total, nil
}

// statusBytes is a length in the status of a process, which is told in KiB; 0 if it is not told.
func statusBytes(status, name string) int {
	_, rest, _ := strings.Cut(status, name)
	line, _, _ := strings.Cut(rest, "\n")
	kibibytes, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(line), " kB"))
	return kibibytes << 10
}

// descriptors is how many files a process may have open, as far as this one may allow it.
func descriptors() uint64 {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 1024
	}
	return limit.Max
}
