package functions

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// memoryOf is how much memory the descendants of a process have in use, in bytes, shared pages included; 0 when that
// cannot be told. Of a function's init these are all of the function's processes, since orphans come to it.
func memoryOf(pid int) int64 {
	total := int64(0)
	threads, _ := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/children") // the pattern is good
	for _, thread := range threads {
		children, _ := os.ReadFile(thread) // a thread that has ended has none
		for _, child := range strings.Fields(string(children)) {
			if id, err := strconv.Atoi(child); err == nil {
				total += residentOf(id) + memoryOf(id)
			}
		}
	}
	return total
}

// residentOf is how much memory one process has in use.
func residentOf(pid int) int64 {
	statm, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(statm))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}
