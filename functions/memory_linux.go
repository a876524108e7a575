package functions

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// dataFactor and dataBase make the hard limit out of a function's memory: what a process may allocate at all. It is wide,
// because programs reserve much that they never use; within it, the memory in use is watched.
const (
	dataFactor = 4
	dataBase   = 512 << 20
)

// limitMemory sets the hard limit of a process and of those that it will start. A process that has ended needs none.
func limitMemory(pid, mebibytes int) {
	limit := uint64(mebibytes)<<20*dataFactor + dataBase
	_ = unix.Prlimit(pid, unix.RLIMIT_DATA, &unix.Rlimit{Cur: limit, Max: limit}, nil)
}

// memoryOf is how much memory a process and its descendants have in use, in bytes, shared pages included; 0 when that
// cannot be told.
func memoryOf(pid int) int64 {
	process := "/proc/" + strconv.Itoa(pid)
	total := int64(0)
	if statm, err := os.ReadFile(process + "/statm"); err == nil {
		if fields := strings.Fields(string(statm)); len(fields) > 1 {
			pages, _ := strconv.ParseInt(fields[1], 10, 64)
			total = pages * int64(os.Getpagesize())
		}
	}
	threads, _ := filepath.Glob(process + "/task/*/children") // the pattern is good
	for _, thread := range threads {
		children, _ := os.ReadFile(thread) // a thread that has ended has none
		for _, child := range strings.Fields(string(children)) {
			if id, err := strconv.Atoi(child); err == nil {
				total += memoryOf(id)
			}
		}
	}
	return total
}
