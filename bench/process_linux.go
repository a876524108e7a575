package main

import (
	"bytes"
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

// process is a process under measurement, with its children.
type process struct {
	cmd     *exec.Cmd
	out     io.ReadCloser
	errors  bytes.Buffer // complete once done is closed
	done    chan struct{}
	stopped bool
}

// startOn starts a program on a core. The calling goroutine must be locked to its thread, which comes back to its own
// core. The program is killed if this thread ends first.
func startOn(at cores, name string, args ...string) (*process, error) {
	if err := pin(at.subject); err != nil {
		return nil, err
	}
	p := &process{cmd: exec.Command(name, args...), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
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
		return nil, fmt.Errorf("start %s: %w", name, err)
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
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // whoever is left of the group
	<-p.done
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
		stat, err := readStat(name)
		if err == nil && stat.group == p.cmd.Process.Pid {
			members = append(members, stat.id)
		}
	}
	return members, nil
}

// processStat is what /proc says of a process.
type processStat struct {
	id, group int
	cpu       time.Duration
}

// tick is the unit of processor times in /proc, on every architecture.
const tick = 10 * time.Millisecond

func readStat(name string) (processStat, error) {
	content, err := os.ReadFile(name)
	if err != nil {
		return processStat{}, err
	}
	id, rest, found := strings.Cut(string(content), " (")
	// The name of the program may contain anything, so the fields are counted from its end.
	end := strings.LastIndex(rest, ") ")
	if !found || end < 0 {
		return processStat{}, fmt.Errorf("%s is not understood", name)
	}
	fields := strings.Fields(rest[end+2:]) // the first is the third of proc_pid_stat(5)
	if len(fields) < 13 {
		return processStat{}, fmt.Errorf("%s is too short", name)
	}
	var numbers [4]int
	for i, field := range []string{id, fields[2], fields[11], fields[12]} {
		if numbers[i], err = strconv.Atoi(field); err != nil {
			return processStat{}, fmt.Errorf("%s: %w", name, err)
		}
	}
	return processStat{numbers[0], numbers[1], time.Duration(numbers[2]+numbers[3]) * tick}, nil
}

// cpuTime is what processes have taken, in their own code and in the kernel's on their behalf.
func cpuTime(members []int) (total time.Duration, err error) {
	for _, id := range members {
		stat, err := readStat(fmt.Sprintf("/proc/%d/stat", id))
		if err != nil {
			return 0, err
		}
		total += stat.cpu
	}
	return total, nil
}
