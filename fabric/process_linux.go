package fabric

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// process is one row of /proc.
type process struct {
	pid     int
	state   byte
	parent  int
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
	parent, err2 := strconv.Atoi(string(fields[4-3]))
	session, err3 := strconv.Atoi(string(fields[6-3]))
	start, err4 := strconv.ParseUint(string(fields[22-3]), 10, 64)
	return process{pid, fields[0][0], parent, session, start}, errors.Join(err1, err2, err3, err4) == nil
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

// endInit ends the init of a program with everything that the program has started. It lets the init do that by itself
// for a moment, which it does once its fabric is gone.
func endInit(pid int, start string) {
	p, ok := readProcess(strconv.Itoa(pid))
	if !ok || strconv.FormatUint(p.start, 10) != start || p.ends(killPatience) {
		return
	}
	killDescendants(pid)
	p.kill()
}

// killDescendants ends the processes below one, to which their orphans come.
func killDescendants(pid int) {
	killAll(func() []process {
		parents := map[int]int{}
		found := matching(func(p process) bool {
			parents[p.pid] = p.parent
			return p.pid != pid
		})
		return slices.DeleteFunc(found, func(p process) bool {
			above := p.parent
			for above > 1 && above != pid {
				above = parents[above]
			}
			return above != pid
		})
	})
}

// killWhere ends all processes that match.
func killWhere(match func(process) bool) { killAll(func() []process { return matching(match) }) }

// killAll ends all processes that it finds. It looks again until there are none, since they may fork meanwhile; the
// bound is for processes that fork without end. It gives up when none of those it finds can be ended.
func killAll(find func() []process) {
	for range 100 {
		ended := false
		for _, p := range find() {
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

// kill ends a process and reports whether it has ended.
func (p process) kill() bool {
	return p.hold(func(fd int) bool {
		if err := unix.PidfdSendSignal(fd, syscall.SIGKILL, nil, 0); err != nil {
			return errors.Is(err, unix.ESRCH)
		}
		return awaitEnd(fd, killPatience)
	})
}

// ends reports whether a process ends by itself within so many milliseconds.
func (p process) ends(within int) bool {
	return p.hold(func(fd int) bool { return awaitEnd(fd, within) })
}

// hold holds a process by descriptor and looks a second time, so that a process that took over the id is not hit. One
// that is gone has ended.
func (p process) hold(then func(fd int) bool) bool {
	fd, err := unix.PidfdOpen(p.pid, 0)
	if err != nil {
		return errors.Is(err, unix.ESRCH)
	}
	defer unix.Close(fd)
	if now, ok := readProcess(strconv.Itoa(p.pid)); !ok || now.start != p.start {
		return true
	}
	return then(fd)
}

func awaitEnd(fd, within int) bool {
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, within)
		if err != unix.EINTR {
			return n == 1
		}
	}
}
