package fabric

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// showResolver gives this process a mount namespace of its own in which /etc/resolv.conf is the given file. The thread stays
// locked: it is the one that becomes the command.
func showResolver(file string) error {
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return os.NewSyscallError("unshare", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make the mounts private: %w", err)
	}
	if err := unix.Mount(file, "/etc/resolv.conf", "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount over /etc/resolv.conf: %w", err)
	}
	return nil
}

// ownPath is this very program, also when its file has been replaced since it started.
func ownPath() (string, error) { return "/proc/self/exe", nil }
