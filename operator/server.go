package operator

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"pergola/containment"
)

// Process is a program that runs in an instance.
type Process interface {
	// Wait returns the program's exit status once it has ended.
	Wait() (status int, err error)
	Signal(os.Signal) error
}

// ControlPart is what stands behind the door of the control plane.
type ControlPart interface {
	// Environment returns the environment of an account's administrator; an empty account means the management account.
	Environment(ctx context.Context, account string) (Environment, error)
	// Authority returns the certificate of the built-in authority as PEM.
	Authority(ctx context.Context) (string, error)
	// RegisterIssuer makes an issuer of web identities known to an account, or gives it other keys, and returns its ARN.
	RegisterIssuer(ctx context.Context, issuer Issuer) (arn string, err error)
}

// NodePart is what stands behind the door of the node.
type NodePart interface {
	// Start runs a program on the caller's streams.
	Start(ctx context.Context, program Program, streams Streams) (Process, error)
	// Explain tells what would become of a request.
	Explain(ctx context.Context, question Question) (Explanation, error)
	// Examine looks for what is wrong with the deployment.
	Examine(ctx context.Context) ([]Finding, error)
}

// Answers are those who answer at a door: one of them, or both.
type Answers struct {
	Control ControlPart
	Node    NodePart
	Logger  *slog.Logger
}

// maxConversations is how many callers a door has at once. A program that runs in an instance is one of them. Of those
// who say nothing, the one that came first gives way.
const maxConversations = 64

// Serve answers the commands that come through the listener, until the context ends; then it closes the listener and
// waits for the conversations to end.
func Serve(ctx context.Context, listener *net.UnixListener, answers Answers) error {
	var conversations sync.WaitGroup
	defer conversations.Wait()
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer stop()
	crowd := containment.NewCrowd(maxConversations)
	return containment.Accept(ctx, answers.Logger, "the operator's socket", listener.AcceptUnix, func(c *net.UnixConn) {
		crowd.Quiet(c)
		conversations.Go(func() {
			defer crowd.Gone(c)
			converse(ctx, newConn(c), answers, func() { crowd.Busy(c) })
		})
	})
}

// firstWord is how long a caller may take to say what it wants.
const firstWord = 5 * time.Second

// converse holds one conversation, and says when the caller has said what it wants. Its errors are the caller's to
// read, and end with it.
func converse(ctx context.Context, c *conn, answers Answers, asked func()) {
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	var reply answer
	err := containment.Do(answers.Logger, "an operator's question", func() (err error) {
		_ = c.SetReadDeadline(time.Now().Add(firstWord)) // it is a socket
		req, files, err := c.receiveRequest()
		defer closeAll(files)
		if err != nil {
			return err
		}
		_ = c.SetReadDeadline(time.Time{})
		asked()
		reply, err = c.reply(ctx, req, files, answers)
		return err
	})
	if err != nil {
		reply = answer{Error: err.Error()}
	}
	_ = c.send(reply)
}

func (c *conn) reply(ctx context.Context, req request, files []*os.File, answers Answers) (reply answer, err error) {
	switch {
	case req.Environment != nil && answers.Control != nil:
		reply.Environment = new(Environment)
		*reply.Environment, err = answers.Control.Environment(ctx, req.Environment.Account)
	case req.Authority != nil && answers.Control != nil:
		reply.Authority = new(string)
		*reply.Authority, err = answers.Control.Authority(ctx)
	case req.Issuer != nil && answers.Control != nil:
		reply.Issuer = new(string)
		*reply.Issuer, err = answers.Control.RegisterIssuer(ctx, *req.Issuer)
	case req.Explain != nil && answers.Node != nil:
		reply.Explanation = new(Explanation)
		*reply.Explanation, err = answers.Node.Explain(ctx, *req.Explain)
	case req.Examine != nil && answers.Node != nil:
		reply.Findings = new([]Finding)
		*reply.Findings, err = answers.Node.Examine(ctx)
	case req.Program != nil && answers.Node != nil && len(files) == 3:
		reply.ExitStatus = new(int)
		*reply.ExitStatus, err = c.run(ctx, *req.Program, files, answers.Node)
	default:
		err = errors.New("the request asks for nothing this part of the deployment knows; are both of the same version?")
	}
	return reply, err
}

// run starts a program, passes on the signals that the caller sends, and kills the program when the caller goes away.
func (c *conn) run(ctx context.Context, program Program, files []*os.File, node NodePart) (int, error) {
	process, err := node.Start(ctx, program, Streams{files[0], files[1], files[2]})
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
