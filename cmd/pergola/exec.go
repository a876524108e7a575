package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"pergola/operator"
)

func execute(_ context.Context, c *command, args []string) (int, error) {
	set := c.flags()
	data := dataFlag(set)
	if err := c.parse(set, args); err != nil {
		return exitUsage, err
	}
	rest := set.Args()
	if len(rest) >= 2 && rest[1] == "--" {
		rest = append(rest[:1:1], rest[2:]...)
	}
	if len(rest) < 2 {
		return exitUsage, usagef("name an instance or a VPC, and after -- a command")
	}
	dir, err := os.Getwd()
	if err != nil {
		return exitFailure, err
	}
	program := operator.Program{Place: rest[0], Args: rest[1:], Env: os.Environ(), Dir: dir}
	streams := operator.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}
	if isTerminal(os.Stdin) && isTerminal(os.Stdout) {
		return runOnTerminal(*data, program)
	}
	return operator.Run(*data, program, streams, passedOn())
}

// passedOn delivers the signals that belong to the program rather than to us.
func passedOn() <-chan os.Signal {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2)
	return signals
}
