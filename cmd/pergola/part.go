package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"pergola/deployment"
	"pergola/supervisor"
)

// startTimeout is how long the embedded store may take to open.
const startTimeout = time.Minute

// runningPart is a part of a deployment, as it runs in a process of its own.
type runningPart interface {
	Failed() <-chan error
	Close() error
}

// runPart runs a part of a deployment for the supervisor, until SIGTERM.
func runPart(name string) (status int) {
	told, tell, err := supervisor.Attach()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitFailure
	}
	held := supervisor.File(0) // says that this process has the data directory
	defer held.Close()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	err = servePart(ctx, name, told, tell)
	if err == nil || ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return exitSuccess
	}
	tell(supervisor.State{Failed: oneLine(err), Passing: deployment.Passing(err)})
	return exitFailure
}

func servePart(ctx context.Context, name string, told []byte, tell func(supervisor.State)) error {
	cfg, err := deployment.Decode(told)
	if err != nil {
		return err
	}
	cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	cfg.Failed = func(err error) {
		tell(supervisor.State{Failed: oneLine(err), Passing: true})
		os.Exit(exitFailure)
	}
	running, detail, err := startPart(ctx, name, cfg)
	if err != nil {
		return err
	}
	tell(supervisor.State{Ready: true, Detail: detail})
	select {
	case <-ctx.Done():
		return running.Close()
	case err := <-running.Failed():
		_ = running.Close() // its first failure says more than what follows from it
		return err
	}
}

// startPart starts a part, and returns when it does its work, with a word about it.
func startPart(ctx context.Context, name string, cfg deployment.Config) (runningPart, string, error) {
	switch name {
	case partControl:
		file := supervisor.File(1)
		var err error
		cfg.Listener, err = net.FileListener(file)
		if err := errors.Join(err, file.Close()); err != nil {
			return nil, "", err
		}
		if len(cfg.Etcd) == 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, startTimeout)
			defer cancel()
		}
		c, err := deployment.StartControl(ctx, cfg)
		return c, "", err
	case partFunctions:
		f, err := deployment.StartFunctions(cfg)
		return f, "", err
	case partNode:
		n, err := deployment.StartNode(ctx, cfg)
		if err != nil {
			return nil, "", err
		}
		if err := n.Await(ctx); err != nil {
			return nil, "", errors.Join(err, n.Close())
		}
		return n, fabricName(n.Fabric()), nil
	}
	return nil, "", fmt.Errorf("there is no part %q of a deployment", name)
}
