package supervisor

import "syscall"

// attributes make a process a group of its own, so that a terminal's Ctrl-C reaches the supervisor alone, and end it
// with the supervisor.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// ownPath is this very program, also when its file has been replaced since it started.
func ownPath() (string, error) { return "/proc/self/exe", nil }
