package fabric

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// process is one row of /proc.
type process struct {
	pid     int
	state   byte
	session int
	start   uint64 // clock ticks since the host started
}

// parseStat reads /proc/PID/stat (proc_pid_stat(5)). The second field is a name in parentheses that may itself hold spaces
// and parentheses; the fields after its last one are numbered from 3.
func parseStat(b []byte) (process, bool) {
	head, _, ok := bytes.Cut(b, []byte(" ("))
	end := bytes.LastIndexByte(b, ')')
	if !ok || end < len(head) {
		return process{}, false
	}
	fields := bytes.Fields(b[end+1:])
	if len(fields) < 20 || len(fields[0]) != 1 {
		return process{}, false
	}
	pid, err1 := strconv.Atoi(string(head))
	session, err2 := strconv.Atoi(string(fields[6-3]))
	start, err3 := strconv.ParseUint(string(fields[22-3]), 10, 64)
	return process{pid, fields[0][0], session, start}, err1 == nil && err2 == nil && err3 == nil
}

func readProcess(pid string) (process, bool) {
	b, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	if err != nil {
		return process{}, false
	}
	return parseStat(b)
}

// netns is the number of the process's network namespace, 0 where that is none of our business.
func (p process) netns() uint64 {
	var stat unix.Stat_t
	if err := unix.Stat(fmt.Sprintf("/proc/%d/ns/net", p.pid), &stat); err != nil {
		return 0
	}
	return stat.Ino
}

// startOf names the moment a process started, also that of a zombie.
func startOf(pid int) (string, bool) {
	p, ok := readProcess(strconv.Itoa(pid))
	return strconv.FormatUint(p.start, 10), ok
}

// killSession ends the processes of a session.
func killSession(leader int) {
	killWhere(func(p process) bool { return p.session == leader })
}

// endSession waits for the end of a session's leader and ends what is left of its session. The leader is not reaped
// meanwhile, so its id is nobody else's.
func endSession(leader int) {
	for unix.Waitid(unix.P_PID, leader, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
	killSession(leader)
}

// killWhere ends all processes that match. It looks again until there are none, since they may fork meanwhile; the bound is
// for processes that fork without end. It gives up when none of those it finds can be ended.
func killWhere(match func(process) bool) {
	for range 100 {
		ended := false
		for _, p := range matching(match) {
			ended = p.kill() || ended
		}
		if !ended {
			return
		}
	}
}

func matching(match func(process) bool) []process {
	names, err := filepath.Glob("/proc/[1-9]*")
	if err != nil {
		return nil
	}
	var found []process
	for _, name := range names {
		p, ok := readProcess(filepath.Base(name))
		if ok && p.state != 'Z' && p.state != 'X' && match(p) {
			found = append(found, p)
		}
	}
	return found
}

// killPatience is how long a killed process may take to end, in milliseconds. Only one stuck in the kernel takes any time.
const killPatience = 5000

// kill ends a process and reports whether it has ended. It holds the process by descriptor while it looks a second time, so
// that a process that took over the id is not hit.
func (p process) kill() bool {
	fd, err := unix.PidfdOpen(p.pid, 0)
	if err != nil {
		return errors.Is(err, unix.ESRCH)
	}
	defer unix.Close(fd)
	if now, ok := readProcess(strconv.Itoa(p.pid)); !ok || now.start != p.start {
		return true
	}
	if err := unix.PidfdSendSignal(fd, syscall.SIGKILL, nil, 0); err != nil {
		return errors.Is(err, unix.ESRCH)
	}
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, killPatience)
		if err != unix.EINTR {
			return n == 1
		}
	}
}
