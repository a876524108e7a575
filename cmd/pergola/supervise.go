package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"

	"pergola/deployment"
	"pergola/supervisor"
)

// The parts of a deployment that pergola serve runs, each in a process of its own.
const (
	partControl   = "control"
	partNode      = "node"
	partFunctions = "functions"
)

// supervise runs a deployment until the context ends: the control plane first, and what follows it when it answers.
// What cannot be started for a reason that no restart mends ends it.
func supervise(ctx context.Context, cfg deployment.Config, log *slog.Logger) (int, error) {
	lock, err := deployment.LockDir(ctx, cfg.Dir)
	if err != nil {
		return exitFailure, err
	}
	defer lock.Close()
	listener, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return exitFailure, fmt.Errorf("API: %w; choose another address with --listen", err)
	}
	inherited, err := inheritable(listener.(*net.TCPListener))
	if err != nil {
		return exitFailure, errors.Join(err, listener.Close())
	}
	defer inherited.Close()
	away := serveAway(listener.(*net.TCPListener), cfg.Region, log)
	defer away.close()
	cfg.Endpoint = deployment.EndpointOf(listener)
	told, err := cfg.Encode()
	if err != nil {
		return exitFailure, err
	}
	keep := func(name string, changed func(bool), files ...*os.File) *supervisor.Process {
		part := supervisor.Part{Name: name, Config: told, Files: append([]*os.File{lock.Parts()}, files...)}
		return supervisor.Start(part, supervisor.Config{Dir: cfg.Dir, Logger: log, Changed: changed})
	}
	control := keep(partControl, away.present, inherited)
	defer control.Stop()
	if _, err := awaitReady(ctx, control); err != nil || ctx.Err() != nil {
		if errors.Is(err, supervisor.ErrCrashed) && len(cfg.Etcd) == 0 {
			err = fmt.Errorf("the control plane does not start: %w; if the data in %s is damaged, restore a backup, or move "+
				"the directory away to start empty", err, deployment.StoreDir(cfg.Dir))
		}
		return statusOf(err), err
	}
	runner := keep(partFunctions, nil)
	defer runner.Stop()
	node := keep(partNode, nil)
	defer node.Stop()
	kind, err := awaitReady(ctx, node, runner)
	if err != nil || ctx.Err() != nil {
		return statusOf(err), err
	}
	fmt.Printf("pergola is ready on %s (%s fabric); in another shell: eval \"$(pergola env --data %s)\"\n", cfg.Endpoint,
		kind, cfg.Dir)
	<-ctx.Done()
	return exitSuccess, nil
}

// awaitReady waits until processes do their work, and returns what the first of them says. An error is one that no
// restart mends.
func awaitReady(ctx context.Context, processes ...*supervisor.Process) (detail string, err error) {
	for i, p := range processes {
		select {
		case state := <-p.Ready():
			if i == 0 {
				detail = state.Detail
			}
		case err := <-p.Fatal():
			return "", err
		case <-ctx.Done():
			return "", nil
		}
	}
	return detail, nil
}

func statusOf(err error) int {
	if err != nil {
		return exitFailure
	}
	return exitSuccess
}
