package fabric

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// ownPath is this very program, also when its file has been replaced since it started.
func ownPath() (string, error) { return "/proc/self/exe", nil }

// killedStatus is the exit status of a program that SIGKILL has ended.
const killedStatus = 128 + int(syscall.SIGKILL)

// failedStatus is the exit status of a stage whose report tells what went wrong.
const failedStatus = 127

// run starts the command and is its init: it passes signals on, reaps what is left to it, and ends with the command or
// when the fabric is gone, and everything that the command has started ends with it. With ByNamespaces it is the first
// process of a namespace, and the kernel sees to that; otherwise orphans come to it, and it ends them.
func (s *stage) run(life, report *os.File) int {
	inheritNothing()
	runtime.LockOSThread() // the thread that gives its powers up is the one that starts the command
	if err := s.prepare(report); err != nil {
		fmt.Fprintln(report, reportSetup, strings.ReplaceAll(err.Error(), "\n", "; "))
		return failedStatus
	}
	if s.Probe {
		return 0
	}
	signals := make(chan os.Signal, 64)
	signal.Notify(signals, unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2, unix.SIGCONT,
		unix.SIGWINCH)
	command, err := s.start()
	if err != nil {
		errno := syscall.ENOENT
		errors.As(err, &errno)
		fmt.Fprintln(report, reportExec, int(errno))
		return failedStatus
	}
	letGo()
	report.Close()
	return s.attend(command, life, signals)
}

// prepare makes what the command will see, and then gives up what it is not to have.
func (s *stage) prepare(report io.Writer) error {
	if s.Means != ByNamespaces {
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
			return os.NewSyscallError("prctl", err)
		}
	}
	if err := s.mount(report); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil { // nobody looks into this process
		return os.NewSyscallError("prctl", err)
	}
	if _, err := os.Stat(s.Dir); err != nil {
		return fmt.Errorf("the working directory is not to be seen: %w", err)
	}
	if s.Confined != nil {
		if err := s.Confined.limit(); err != nil {
			return err
		}
	}
	return s.giveUp()
}

// inheritNothing keeps descriptors from the command that this deployment's own parent has left open.
func inheritNothing() {
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return // without /proc there is no fabric to have started this
	}
	for _, entry := range open {
		if fd, err := strconv.Atoi(entry.Name()); err == nil && fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
}

// start starts the command as the leader of a session of its own.
func (s *stage) start() (pid int, err error) {
	path, err := s.lookup()
	if err != nil {
		return 0, err
	}
	return syscall.ForkExec(path, s.Args, &syscall.ProcAttr{
		Dir: s.Dir, Env: s.Env, Files: []uintptr{0, 1, 2},
		Sys: &syscall.SysProcAttr{Setsid: true, Setctty: s.Terminal, Ctty: 0},
	})
}

// letGo lets the standard streams go, which are the command's alone: who reads from them waits for the command's end.
func letGo() {
	null, err := unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0)
	for stream := range 3 {
		if err != nil {
			unix.Close(stream)
		} else if null != stream {
			_ = unix.Dup3(null, stream, 0) // both are open
		}
	}
}

// attend waits for the end of the command, or for that of the fabric's interest, and returns the exit status.
func (s *stage) attend(command int, life io.Reader, signals <-chan os.Signal) int {
	ended, gone := make(chan syscall.WaitStatus, 1), make(chan struct{})
	go reap(command, ended)
	go func() {
		defer close(gone)
		_, _ = io.Copy(io.Discard, life) // however it ends, it has ended
	}()
	status := killedStatus
	for waiting := true; waiting; {
		select {
		case s := <-signals:
			_ = syscall.Kill(command, s.(syscall.Signal)) // it fails only when the command has ended
		case of := <-ended:
			if status = of.ExitStatus(); of.Signaled() {
				status = 128 + int(of.Signal())
			}
			waiting = false
		case <-gone:
			waiting = false
		}
	}
	if s.Means != ByNamespaces {
		killDescendants(os.Getpid())
	}
	return status
}

// reap takes in all children that end, also those that others have left behind, and tells how the command has ended.
func reap(command int, ended chan<- syscall.WaitStatus) {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return
		case pid == command:
			ended <- status
		}
	}
}

// try starts the stage as a probe, and returns what it reports.
func (s *stage) try() error {
	launched, err := launchStage(s, nil, func(path string, attr *os.ProcAttr) (*os.Process, error) {
		return os.StartProcess(path, []string{programStage}, attr)
	})
	if err != nil {
		return explain(err)
	}
	defer launched.life.Close()
	defer launched.process.Wait()
	return launched.begin(s, func(string) {})
}

// attributes are how the stage's process must be started.
func (s *stage) attributes() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setsid: true}
	if s.Means != ByNamespaces {
		return attr
	}
	attr.Cloneflags = unix.CLONE_NEWNS | unix.CLONE_NEWPID
	if s.Confined == nil && hasCapability(unix.CAP_SYS_ADMIN) {
		return attr // programs keep their powers over the network of their instance
	}
	// The user stays the same, and has all powers inside, until giveUp.
	attr.Cloneflags |= unix.CLONE_NEWUSER | unix.CLONE_NEWIPC
	attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Geteuid(), HostID: os.Geteuid(), Size: 1}}
	attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getegid(), HostID: os.Getegid(), Size: 1}}
	attr.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_SETPCAP, unix.CAP_DAC_OVERRIDE}
	return attr
}
