//go:build !linux

package supervisor

import (
	"os"
	"syscall"
)

// attributes make a process a group of its own, so that a terminal's Ctrl-C reaches the supervisor alone.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func ownPath() (string, error) { return os.Executable() }
