package fabric

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// The names under which this program runs itself again. They stand where a program's own name stands, so no flag and no
// environment variable of the user's can ask for a stage by accident.
const (
	programStage = "pergola: starting a program"
	probeStage   = "pergola: trying a network namespace"
)

// The stages' first words on the report pipe.
const (
	reportResolver = "resolver"
	reportExec     = "exec"
)

// The descriptors of the program stage, after the standard ones.
const (
	goDescriptor     = 3 // read: one byte means go on, the end means that the fabric is gone
	reportDescriptor = 4 // write: what went wrong; it closes when the command runs
)

// Main must be the first statement of main, and of TestMain, of every program that opens a fabric. It carries out the stages
// for which this package runs the program again, and then does not return; otherwise it does nothing.
func Main() {
	switch os.Args[0] {
	case programStage:
		os.Exit(runProgramStage(os.Args[1], os.Args[2:]))
	case probeStage:
		os.Exit(runProbeStage())
	}
}

// runProgramStage turns this process, already in its instance and session, into the command.
func runProgramStage(resolv string, args []string) int {
	syscall.CloseOnExec(goDescriptor)
	syscall.CloseOnExec(reportDescriptor)
	if n, _ := os.NewFile(goDescriptor, "go").Read(make([]byte, 1)); n == 0 {
		return 1
	}
	report := os.NewFile(reportDescriptor, "report")
	if resolv != "" {
		if err := showResolver(resolv); err != nil {
			fmt.Fprintln(report, reportResolver, err)
		}
	}
	path, err := exec.LookPath(args[0])
	if err == nil || errors.Is(err, exec.ErrDot) {
		err = syscall.Exec(path, args, os.Environ())
	}
	errno := syscall.ENOENT
	errors.As(err, &errno)
	fmt.Fprintln(report, reportExec, int(errno))
	return 127
}
