package fabric

import (
	"encoding/gob"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
)

// The names under which this program runs itself again. They stand where a program's own name stands, so no flag and no
// environment variable of the user's can ask for a stage by accident.
const (
	programStage = "pergola: running a program"
	probeStage   = "pergola: trying a network namespace"
)

// The stages' first words on the report pipe.
const (
	reportResolver = "resolver"
	reportSetup    = "setup"
	reportExec     = "exec"
)

// The descriptors of the program stage, after the standard ones.
const (
	lifeDescriptor   = 3 // read: the stage comes first, and the end means that the program's has come
	reportDescriptor = 4 // write: what went wrong; it closes when the command runs
)

// isMainCalled says that this program carries out stages. One that does not would begin anew for each of them, and each
// of these would begin its own.
var isMainCalled atomic.Bool

// Main must be the first statement of main, and of TestMain, of every program that opens a fabric. It carries out the stages
// for which this package runs the program again, and then does not return; otherwise it does nothing.
func Main() {
	isMainCalled.Store(true)
	switch os.Args[0] {
	case programStage:
		os.Exit(runProgramStage())
	case probeStage:
		os.Exit(runProbeStage())
	}
}

// runProgramStage runs a command in this process, or in the place of it. The process is already in its instance.
func runProgramStage() int {
	syscall.CloseOnExec(lifeDescriptor)
	syscall.CloseOnExec(reportDescriptor)
	var s stage
	life := os.NewFile(lifeDescriptor, "life")
	if err := gob.NewDecoder(life).Decode(&s); err != nil {
		return 1 // the fabric is gone
	}
	return s.run(life, os.NewFile(reportDescriptor, "report"))
}

// lookup finds the command's file, by the PATH that the command has.
func (s *stage) lookup() (string, error) {
	for _, set := range s.Env {
		if path, ok := strings.CutPrefix(set, "PATH="); ok {
			os.Setenv("PATH", path)
		}
	}
	path, err := exec.LookPath(s.Args[0])
	if errors.Is(err, exec.ErrDot) {
		err = nil
	}
	return path, err
}
