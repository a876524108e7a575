package bound

import (
	"os"
	"runtime/debug"
	"testing"
)

func TestMemoryIsTheLeastOfAllLimits(t *testing.T) {
	const total = "MemFree: 1 kB\nMemTotal:       4194304 kB\n"
	for name, c := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"nothing is told": {nil, unknownMemory},
		"the machine's":   {map[string]string{"/proc/meminfo": total}, 4 << 30},
		"its own group's": {map[string]string{"/proc/meminfo": total, "/proc/self/cgroup": "0::/a/b\n",
			"/sys/fs/cgroup/a/b/memory.max": "1000000\n", "/sys/fs/cgroup/a/memory.max": "max\n"}, 1000000},
		"a group's above": {map[string]string{"/proc/meminfo": total, "/proc/self/cgroup": "0::/a/b\n",
			"/sys/fs/cgroup/a/memory.max": "2000000\n"}, 2000000},
		"a container's": {map[string]string{"/proc/meminfo": total, "/proc/self/cgroup": "0::/\n",
			"/sys/fs/cgroup/memory.max": "3000000\n"}, 3000000},
		"the first kind's": {map[string]string{"/proc/meminfo": total, "/proc/self/cgroup": "3:cpu:/x\n4:hugetlb,memory:/x\n",
			"/sys/fs/cgroup/memory/x/memory.limit_in_bytes": "4000000\n"}, 4000000},
		"nonsense": {map[string]string{"/proc/meminfo": "MemTotal: -5 kB\n", "/proc/self/cgroup": "::::\n\n0::../..\n"},
			unknownMemory},
	} {
		got := memoryOf(func(name string) ([]byte, error) {
			if text, ok := c.files[name]; ok {
				return []byte(text), nil
			}
			return nil, os.ErrNotExist
		})
		if got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func TestMemoryFollowsGoMemoryLimit(t *testing.T) {
	before := debug.SetMemoryLimit(123 << 20)
	defer debug.SetMemoryLimit(before)
	if got := Memory(); got > 123<<20 || got <= 0 {
		t.Errorf("%d, want at most Go's own limit", got)
	}
}
