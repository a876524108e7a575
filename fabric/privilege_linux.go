package fabric

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"unsafe"

	"github.com/landlock-lsm/go-landlock/landlock"
	"golang.org/x/sys/unix"
)

// instanceCapabilities are what a program in an instance keeps of the powers that this process has: those over its own
// files and processes and over its instance's network. It has none by which it could undo its view of files, look into
// other processes, or reach devices.
var instanceCapabilities = setOf(
	unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_FOWNER, unix.CAP_FSETID, unix.CAP_KILL, unix.CAP_SETGID,
	unix.CAP_SETUID,
	unix.CAP_SETPCAP, unix.CAP_SETFCAP, unix.CAP_NET_BIND_SERVICE, unix.CAP_NET_BROADCAST, unix.CAP_NET_ADMIN,
	unix.CAP_NET_RAW,
	unix.CAP_IPC_LOCK, unix.CAP_SYS_CHROOT, unix.CAP_SYS_NICE, unix.CAP_SYS_RESOURCE, unix.CAP_AUDIT_WRITE,
)

// capabilities is a set of them, as a bit each.
type capabilities uint64

func setOf(each ...int) (set capabilities) {
	for _, c := range each {
		set |= 1 << c
	}
	return set
}

// giveUp takes from this thread what the command is not to have.
func (s *stage) giveUp() error {
	if s.Confined == nil {
		if s.Means == ByLandlock && s.Private.Dir != "" {
			return restrict(landlock.V3, besides(s.Private))
		}
		if s.Means != ByNamespaces {
			return nil
		}
		return keep(instanceCapabilities)
	}
	if s.Means == ByLandlock {
		if err := denyUnixSockets(); err != nil {
			return err
		}
		if err := restrict(landlock.V6, slices.Concat(s.Confined.files(), s.Confined.connections())); err != nil {
			return err
		}
	}
	if s.Means == ByNamespaces && len(s.Confined.Ports) > 0 {
		network := landlock.V6
		network.HandledAccessFS = 0
		_ = restrict(network, s.Confined.connections()) // as far as the kernel can tell
	}
	if err := gainNothing(); err != nil {
		return err
	}
	return keep(0)
}

// gainNothing keeps programs with set-user-ID bits and the like from having more than who starts them.
func gainNothing() error {
	return os.NewSyscallError("prctl", unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
}

// keep drops all capabilities outside a set, from this thread and from what it starts.
func keep(set capabilities) error {
	for c := uintptr(0); ; c++ {
		held, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, c, 0, 0, 0)
		if err != nil {
			break // there are no more
		}
		if held == 0 || set&(1<<c) != 0 {
			continue
		}
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil && !errors.Is(err, unix.EPERM) {
			return os.NewSyscallError("prctl", err)
		} // without the power to drop it, there is none to lose but by set-user-ID programs
	}
	_ = unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) // kernels before 4.3 have none
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return os.NewSyscallError("capget", err)
	}
	for half := range data {
		mask := uint32(set >> (32 * half))
		data[half].Effective &= mask
		data[half].Permitted &= mask
		data[half].Inheritable = 0
	}
	return os.NewSyscallError("capset", unix.Capset(&header, &data[0]))
}

// hasCapability reports whether this process may use a capability.
func hasCapability(c int) bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	err := unix.Capget(&header, &data[0])
	return err == nil && data[c/32].Effective&(1<<(c%32)) != 0
}

// limit sets the limits of this process, which the command inherits.
func (c *Confinement) limit() error {
	limits := map[int]uint64{unix.RLIMIT_CORE: 0}
	set := func(resource int, value uint64) {
		if value > 0 {
			limits[resource] = value
		}
	}
	set(unix.RLIMIT_FSIZE, uint64(c.TemporarySize))
	set(unix.RLIMIT_DATA, c.Data)
	set(unix.RLIMIT_NOFILE, c.Descriptors)
	if c.Means == ByNamespaces {
		set(unix.RLIMIT_NPROC, c.Processes)
	}
	for resource, value := range limits {
		var now syscall.Rlimit
		if err := syscall.Getrlimit(resource, &now); err != nil {
			return os.NewSyscallError("getrlimit", err)
		}
		value = min(value, now.Max)
		if err := syscall.Setrlimit(resource, &syscall.Rlimit{Cur: value, Max: value}); err != nil {
			return os.NewSyscallError("setrlimit", err)
		}
	}
	return nil
}

// files are what Landlock lets a confined program open.
func (c *Confinement) files() []landlock.Rule {
	return []landlock.Rule{
		landlock.RODirs(c.Code), landlock.RWDirs(c.Temporary),
		landlock.RODirs(systemDirs...).IgnoreIfMissing(), landlock.RODirs("/proc"),
		landlock.ROFiles(prefixed("/etc/", systemFiles)...).IgnoreIfMissing(),
		landlock.RODirs(prefixed("/etc/", systemSettings)...).IgnoreIfMissing(),
		landlock.RWFiles(prefixed("/dev/", devices)...).IgnoreIfMissing(),
	}
}

// connections are those that Landlock lets a confined program open.
func (c *Confinement) connections() (rules []landlock.Rule) {
	for _, port := range c.Ports {
		rules = append(rules, landlock.ConnectTCP(port))
	}
	return rules
}

func prefixed(prefix string, names []string) []string {
	paths := make([]string, len(names))
	for i, name := range names {
		paths[i] = prefix + name
	}
	return paths
}

// besides lets a program open everything but what is in a private directory. Landlock only allows, and what it allows
// of a directory holds for all that is in it: so each neighbour of the directory, and of the directories above it, is
// allowed by its own. In those directories themselves nothing can be made.
func besides(p Private) (rules []landlock.Rule) {
	for dir := p.Dir; dir != "/"; {
		above := filepath.Dir(dir)
		entries, err := os.ReadDir(above)
		if err != nil {
			entries = nil // what cannot be listed is not allowed
		}
		for _, entry := range entries {
			path := filepath.Join(above, entry.Name())
			if path != dir {
				rules = append(rules, everything(path))
			}
		}
		dir = above
	}
	for _, file := range p.Shown {
		rules = append(rules, landlock.ROFiles(file).IgnoreIfMissing())
	}
	return rules
}

func everything(path string) landlock.Rule {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return landlock.RWDirs(path).WithRefer().IgnoreIfMissing()
	}
	return landlock.RWFiles(path).IgnoreIfMissing()
}

// restrict has Landlock hold this thread, and what it starts, to rules. The kernel takes as much of the configuration
// as it knows; a kernel that knows nothing is an error.
func restrict(config landlock.Config, rules []landlock.Rule) error {
	version, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 || version == 0 {
		return fmt.Errorf("this kernel has no Landlock, or it is turned off: %w", errno)
	}
	if err := gainNothing(); err != nil {
		return err
	}
	set, flags, err := config.BestEffort().NewRulesetFD(rules...)
	if err != nil {
		return err
	}
	defer unix.Close(set)
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(set), uintptr(flags), 0); errno != 0 {
		return os.NewSyscallError("landlock_restrict_self", errno)
	}
	return nil
}

// denyUnixSockets keeps this thread, and what it starts, from making Unix sockets, since Landlock lets them connect
// everywhere; pairs of them can be made. System calls by a foreign architecture's numbers are refused altogether.
func denyUnixSockets() error {
	architectures := map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64}
	architecture, known := architectures[runtime.GOARCH]
	if !known {
		return fmt.Errorf("sockets of Unix cannot be denied on %s", runtime.GOARCH)
	}
	// Where struct seccomp_data of linux/seccomp.h has the number of the call, the architecture, and the half of the first
	// argument that counts.
	const number, arch, family = 0, 4, 16
	const foreign = 0x40000000 // __X32_SYSCALL_BIT of asm/unistd.h
	load := func(at uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: at}
	}
	jump := func(test uint16, value uint32, yes, no uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | test | unix.BPF_K, K: value, Jt: yes, Jf: no}
	}
	answer := func(value uint32) unix.SockFilter { return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: value} }
	refuse := answer(unix.SECCOMP_RET_ERRNO | uint32(unix.EACCES))
	program := []unix.SockFilter{
		load(arch), jump(unix.BPF_JEQ, architecture, 1, 0), refuse,
		load(number), jump(unix.BPF_JGE, foreign, 0, 1), refuse,
		jump(unix.BPF_JEQ, unix.SYS_IO_URING_SETUP, 0, 1), refuse, // it makes sockets, too
		jump(unix.BPF_JEQ, unix.SYS_SOCKET, 0, 3),
		load(family), jump(unix.BPF_JEQ, unix.AF_UNIX, 0, 1), refuse,
		answer(unix.SECCOMP_RET_ALLOW),
	}
	if err := gainNothing(); err != nil {
		return err
	}
	filter := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	return os.NewSyscallError("prctl", unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER,
		uintptr(unsafe.Pointer(&filter)), 0, 0))
}

// isBelow reports whether a path is a directory's, or in it.
func isBelow(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}
