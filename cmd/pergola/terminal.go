package main

import (
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/creack/pty"
	"golang.org/x/term"

	"pergola/operator"
)

func isTerminal(file *os.File) bool { return term.IsTerminal(int(file.Fd())) }

// runOnTerminal runs a program on a terminal of its own and joins that to ours, so that shells, editors and job control
// work in an instance as they do here. A terminal cannot be shared: it belongs to one session, and ours has it.
func runOnTerminal(data string, program operator.Program) (int, error) {
	master, slave, err := pty.Open()
	if err != nil {
		return exitFailure, err
	}
	defer master.Close()
	ours, err := term.MakeRaw(int(os.Stdin.Fd()))
	if err != nil {
		return exitFailure, err
	}
	defer term.Restore(int(os.Stdin.Fd()), ours)
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, syscall.SIGWINCH)
	resized <- syscall.SIGWINCH // takes over the size that our terminal has now
	go func() {
		for range resized {
			_ = pty.InheritSize(os.Stdin, master)
		}
	}()
	go io.Copy(master, os.Stdin)
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		io.Copy(os.Stdout, master) // ends when the last program has closed the terminal
	}()
	program.Terminal = true
	status, err := operator.Run(data, program, operator.Streams{In: slave, Out: slave, Err: slave}, nil)
	_ = slave.Close()
	<-shown
	return status, err
}
