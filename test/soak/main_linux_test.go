// Package soak tries everything at once: load, changes, floods, abandoned requests, a full disk, a stopped store, few
// descriptors and an account that makes all that it can. Clients that do nothing wrong must not notice, and nothing may
// be left behind. PERGOLA_SOAK says for how long, such as 30m; the short form takes half a minute.
package soak

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// roleVariable tells the test's own program which part to play inside an instance.
const roleVariable = "PERGOLA_SOAK_ROLE"

// enteredVariable says that the process has a mount namespace of its own, in which it can have a small disk.
const enteredVariable = "PERGOLA_SOAK_ENTERED"

// program is the built program.
var program string

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		os.Exit(play(role, os.Args[1:]))
	}
	if os.Getenv(enteredVariable) == "" {
		if status, ok := enter(); ok {
			os.Exit(status)
		}
	}
	os.Exit(run(m))
}

// enter runs the tests again where they may mount a small disk, in namespaces of their own. It is not ok where the host
// refuses that; the tests then do without a full disk.
func enter() (status int, ok bool) {
	attributes := &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if os.Getuid() != 0 {
		attributes.Cloneflags = syscall.CLONE_NEWUSER
		attributes.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		attributes.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), enteredVariable+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = attributes
	if err := cmd.Start(); err != nil {
		return 0, false
	}
	_ = cmd.Wait()
	return cmd.ProcessState.ExitCode(), true
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "pergola-soak-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "pergola")
	build := exec.Command("go", "build", "-o", program, "../../cmd/pergola")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build the program:", err)
		return 1
	}
	return m.Run()
}
