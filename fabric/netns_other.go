//go:build !linux

package fabric

import (
	"errors"
	"log/slog"
	"os"
)

var errLinuxOnly = errors.New("only Linux has network namespaces")

func refusal() error { return errLinuxOnly }

func runProbeStage() int { return 1 }

func openNetns(string, *slog.Logger) (network, error) { return nil, errLinuxOnly }

// showResolver has nothing to do: only programs in a namespace are given a resolv.conf.
func showResolver(string) error { return errLinuxOnly }

// Enter prepares the process for the kind of fabric it wants. On this system there is nothing to prepare.
func Enter(string) error { return nil }

func ownPath() (string, error) { return os.Executable() }
