//go:build !linux

package fabric

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"syscall"
)

var errLinuxOnly = errors.New("only Linux has network namespaces")

func refusal() error { return errLinuxOnly }

func runProbeStage() int { return 1 }

func openNetns(string, *slog.Logger) (network, error) { return nil, errLinuxOnly }

// run turns this process into the command: here nothing can be shown or hidden, and the command is its own session's
// leader.
func (s *stage) run(_, report *os.File) int {
	path, err := s.lookup()
	if err == nil {
		if err = os.Chdir(s.Dir); err == nil {
			err = syscall.Exec(path, s.Args, s.Env)
		}
	}
	errno := syscall.ENOENT
	errors.As(err, &errno)
	fmt.Fprintln(report, reportExec, int(errno))
	return 127
}

// try refuses all means: there are none.
func (s *stage) try() error { return errLinuxOnly }

// attributes are how the stage's process must be started.
func (s *stage) attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Setctty: s.Terminal, Ctty: 0}
}

func (f *Fabric) newCell() (place, error) { return nil, errLinuxOnly }

func (c *Cell) lead(uint16) error { return errLinuxOnly }

func originalTarget(net.Conn) (netip.AddrPort, error) { return netip.AddrPort{}, errLinuxOnly }

// Enter prepares the process for the kind of fabric it wants. On this system there is nothing to prepare.
func Enter(string) error { return nil }

func ownPath() (string, error) { return os.Executable() }
