package bound

import (
	"bytes"
	"math"
	"os"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
)

// unknownMemory is taken for the memory of a machine that does not tell.
const unknownMemory = 2 << 30

// Memory is how much memory this process may use, in bytes: the least of Go's own limit (GOMEMLIMIT), of those of its
// control groups (cgroups(7)) and of what the machine has.
func Memory() int64 {
	most := memoryOf(os.ReadFile)
	if own := debug.SetMemoryLimit(-1); own > 0 {
		most = min(most, own)
	}
	return most
}

// memoryOf is what the system grants, by the files in which Linux says so.
func memoryOf(read func(name string) ([]byte, error)) int64 {
	most := int64(math.MaxInt64)
	if text, err := read("/proc/meminfo"); err == nil {
		most = min(most, totalOf(text))
	}
	groups, err := read("/proc/self/cgroup")
	if err != nil {
		groups = nil // as where there are none
	}
	for _, name := range limitFiles(groups) {
		if text, err := read(name); err == nil {
			most = min(most, limitOf(text))
		}
	}
	if most == math.MaxInt64 {
		return unknownMemory
	}
	return most
}

// totalOf is MemTotal of proc_meminfo(5) in bytes; without limit if it is not there.
func totalOf(text []byte) int64 {
	for line := range bytes.Lines(text) {
		fields := bytes.Fields(line)
		if len(fields) < 2 || string(fields[0]) != "MemTotal:" {
			continue
		}
		if n, err := strconv.ParseInt(string(fields[1]), 10, 64); err == nil && n > 0 && n < math.MaxInt64>>10 {
			return n << 10
		}
	}
	return math.MaxInt64
}

// limitFiles are the files that may limit a process whose control groups are listed: its own and all above, since each
// binds those below. In a container the innermost that it sees may be at the root.
func limitFiles(groups []byte) (names []string) {
	const root = "/sys/fs/cgroup"
	for line := range bytes.Lines(groups) {
		parts := strings.SplitN(strings.TrimSpace(string(line)), ":", 3)
		if len(parts) != 3 {
			continue
		}
		at, file := root, "memory.max"
		switch {
		case parts[0] == "0" && parts[1] == "":
		case strings.Contains(","+parts[1]+",", ",memory,"):
			at, file = root+"/memory", "memory.limit_in_bytes"
		default:
			continue
		}
		for in := path.Clean("/" + parts[2]); ; in = path.Dir(in) {
			names = append(names, path.Join(at, in, file))
			if in == "/" {
				break
			}
		}
	}
	return names
}

// limitOf is the number in a limit's file, which may be the word max.
func limitOf(text []byte) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil || n <= 0 {
		return math.MaxInt64
	}
	return n
}
