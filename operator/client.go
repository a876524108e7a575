package operator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// dial reaches a part of the deployment that runs on a data directory.
func dial(ctx context.Context, dir string, part Part) (*conn, error) {
	c, err := connect(ctx, dir, part)
	if err == nil {
		return newConn(c), nil
	}
	if ctx.Err() != nil { // which says nothing of the deployment
		return nil, context.Cause(ctx)
	}
	other, name := Node, "control plane"
	if part == Node {
		other, name = Control, "node"
	}
	if c, err := connect(ctx, dir, other); err == nil {
		_ = c.Close()
		return nil, fmt.Errorf("the deployment on %s runs, but its %s does not: it is being started again, and the log of "+
			"pergola serve says why; try again in a moment", dir, name)
	}
	return nil, fmt.Errorf("no deployment is running on %s; start one with: pergola serve --data %s", dir, dir)
}

func connect(ctx context.Context, dir string, part Part) (*net.UnixConn, error) {
	var dialer net.Dialer
	c, err := dialer.DialContext(ctx, "unix", filepath.Join(dir, string(part)))
	if err != nil {
		return nil, err
	}
	return c.(*net.UnixConn), nil
}

// errOtherVersion says that the deployment has answered something else than it was asked.
var errOtherVersion = errors.New("the deployment's answer does not fit the question; are both of the same version?")

// patience is how long an answer may take to a question that needs nobody else to do something.
const patience = 20 * time.Second

// ask holds a conversation of one question and one answer.
func ask(ctx context.Context, dir string, part Part, question request) (answer, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("the deployment on %s does not answer; its "+
		"log says more", dir))
	defer cancel()
	c, err := dial(ctx, dir, part)
	if err != nil {
		return answer{}, err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	var reply answer
	if err = c.send(question); err == nil {
		reply, err = c.answer()
	}
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return reply, err
}

// Env asks the deployment on a data directory for the environment of an account's administrator. An empty account
// means the management account.
func Env(ctx context.Context, dir, account string) (Environment, error) {
	reply, err := ask(ctx, dir, Control, request{Environment: &environmentRequest{account}})
	if err != nil {
		return Environment{}, err
	}
	if reply.Environment == nil {
		return Environment{}, errOtherVersion
	}
	return *reply.Environment, nil
}

// Authority asks the deployment on a data directory for the certificate of its built-in authority, as PEM.
func Authority(ctx context.Context, dir string) (string, error) {
	reply, err := ask(ctx, dir, Control, request{Authority: &authorityRequest{}})
	if err != nil {
		return "", err
	}
	if reply.Authority == nil {
		return "", errOtherVersion
	}
	return *reply.Authority, nil
}

// Explain asks the deployment on a data directory what would become of a request.
func Explain(ctx context.Context, dir string, question Question) (Explanation, error) {
	reply, err := ask(ctx, dir, Node, request{Explain: &question})
	if err != nil {
		return Explanation{}, err
	}
	if reply.Explanation == nil {
		return Explanation{}, errOtherVersion
	}
	return *reply.Explanation, nil
}

// Examine asks the deployment on a data directory what is wrong with it.
func Examine(ctx context.Context, dir string) ([]Finding, error) {
	reply, err := ask(ctx, dir, Node, request{Examine: &examineRequest{}})
	if err != nil {
		return nil, err
	}
	if reply.Findings == nil {
		return nil, errOtherVersion
	}
	return *reply.Findings, nil
}

// RegisterIssuer makes an issuer of web identities known to the deployment on a data directory, and returns its ARN.
func RegisterIssuer(ctx context.Context, dir string, issuer Issuer) (arn string, err error) {
	reply, err := ask(ctx, dir, Control, request{Issuer: &issuer})
	if err != nil {
		return "", err
	}
	if reply.Issuer == nil {
		return "", errOtherVersion
	}
	return *reply.Issuer, nil
}

// Streams are the standard streams of a program.
type Streams struct{ In, Out, Err *os.File }

// Run runs a program in an instance of the deployment on a data directory and returns its exit status. Signals that
// arrive while it runs are passed on to it.
func Run(dir string, program Program, streams Streams, signals <-chan os.Signal) (status int, err error) {
	// Signals are the program's; a caller that must not wait is killed, and its program with it.
	c, err := dial(context.Background(), dir, Node)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	if err := c.send(request{Program: &program}, streams.In, streams.Out, streams.Err); err != nil {
		return 0, err
	}
	done := make(chan struct{})
	defer close(done)
	go c.relay(signals, done)
	reply, err := c.answer()
	if err != nil {
		return 0, err
	}
	if reply.ExitStatus == nil {
		return 0, errOtherVersion
	}
	return *reply.ExitStatus, nil
}

// relay passes signals on until the conversation is done.
func (c *conn) relay(signals <-chan os.Signal, done <-chan struct{}) {
	for {
		select {
		case s := <-signals:
			if number, ok := s.(syscall.Signal); ok && c.send(signal{int(number)}) != nil {
				return
			}
		case <-done:
			return
		}
	}
}

// answer reads one answer, and makes an error of one that carries an error.
func (c *conn) answer() (answer, error) {
	var reply answer
	if err := c.receive(&reply); err != nil {
		return reply, fmt.Errorf("the deployment ended the conversation: %w", err)
	}
	if reply.Error != "" {
		return reply, errors.New(reply.Error)
	}
	return reply, nil
}
