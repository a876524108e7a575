package operator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
)

// Process is a program that runs in an instance.
type Process interface {
	// Wait returns the program's exit status once it has ended.
	Wait() (status int, err error)
	Signal(os.Signal) error
}

// Deployment is what stands behind the door.
type Deployment interface {
	// Environment returns the environment of an account's administrator; an empty account means the management account.
	Environment(ctx context.Context, account string) (Environment, error)
	// Start runs a program on the caller's streams.
	Start(ctx context.Context, program Program, streams Streams) (Process, error)
	// Authority returns the certificate of the built-in authority as PEM.
	Authority(ctx context.Context) (string, error)
	// Explain tells what would become of a request.
	Explain(ctx context.Context, question Question) (Explanation, error)
}

// Serve answers the commands that come through the listener, until the context ends; then it closes the listener and
// waits for the conversations to end.
func Serve(ctx context.Context, listener *net.UnixListener, deployment Deployment) error {
	var conversations sync.WaitGroup
	defer conversations.Wait()
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer stop()
	for {
		c, err := listener.AcceptUnix()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("operator socket: %w", err)
		}
		conversations.Go(func() { converse(ctx, newConn(c), deployment) })
	}
}

// converse holds one conversation. Its errors are the caller's to read, and end with it.
func converse(ctx context.Context, c *conn, deployment Deployment) {
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	req, files, err := c.receiveRequest()
	defer closeAll(files)
	var reply answer
	switch {
	case err != nil:
	case req.Environment != nil:
		var env Environment
		env, err = deployment.Environment(ctx, req.Environment.Account)
		reply.Environment = &env
	case req.Explain != nil:
		var explanation Explanation
		explanation, err = deployment.Explain(ctx, *req.Explain)
		reply.Explanation = &explanation
	case req.Authority != nil:
		var authority string
		authority, err = deployment.Authority(ctx)
		reply.Authority = &authority
	case req.Program != nil && len(files) == 3:
		var status int
		status, err = c.run(ctx, *req.Program, files, deployment)
		reply.ExitStatus = &status
	default:
		err = errors.New("the request asks for nothing this deployment knows; are both of the same version?")
	}
	if err != nil {
		reply = answer{Error: err.Error()}
	}
	_ = c.send(reply)
}

// run starts a program, passes on the signals that the caller sends, and kills the program when the caller goes away.
func (c *conn) run(ctx context.Context, program Program, files []*os.File, deployment Deployment) (int, error) {
	process, err := deployment.Start(ctx, program, Streams{files[0], files[1], files[2]})
	if err != nil {
		return 0, err
	}
	closeAll(files) // the program has them now; ours would keep a pipe open that its other end waits to see closed
	ended := make(chan struct{})
	go func() {
		for {
			var s signal
			if err := c.receive(&s); err != nil {
				select {
				case <-ended:
				default:
					_ = process.Signal(syscall.SIGKILL)
				}
				return
			}
			_ = process.Signal(syscall.Signal(s.Number))
		}
	}()
	status, err := process.Wait()
	close(ended)
	return status, err
}

func closeAll(files []*os.File) {
	for _, file := range files {
		_ = file.Close()
	}
}
