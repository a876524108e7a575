package fabric

import (
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// startOf names the moment a process started.
func startOf(pid int) (string, bool) {
	p, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if err != nil {
		return "", false
	}
	t := p.Proc.P_starttime
	return strconv.FormatInt(t.Sec, 10) + "." + strconv.Itoa(int(t.Usec)), true
}

// killSession ends the session leader's process group. Other groups of the session are out of reach here.
func killSession(leader int) {
	_ = syscall.Kill(-leader, syscall.SIGKILL) // it fails only when the group has ended
}

// endSession leaves what a leader leaves: here nothing can wait for its end without giving up its id.
func endSession(int) {}
