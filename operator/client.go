package operator

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// dial reaches the deployment that runs on a data directory.
func dial(dir string) (*conn, error) {
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: filepath.Join(dir, socketName), Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("no deployment is running on %s; start one with: pergola serve --data %s", dir, dir)
	}
	return newConn(c), nil
}

// errOtherVersion says that the deployment has answered something else than it was asked.
var errOtherVersion = errors.New("the deployment's answer does not fit the question; are both of the same version?")

// ask holds a conversation of one question and one answer.
func ask(dir string, question request) (answer, error) {
	c, err := dial(dir)
	if err != nil {
		return answer{}, err
	}
	defer c.Close()
	if err := c.send(question); err != nil {
		return answer{}, err
	}
	return c.answer()
}

// Env asks the deployment on a data directory for the environment of an account's administrator. An empty account
// means the management account.
func Env(dir, account string) (Environment, error) {
	reply, err := ask(dir, request{Environment: &environmentRequest{account}})
	if err != nil {
		return Environment{}, err
	}
	if reply.Environment == nil {
		return Environment{}, errOtherVersion
	}
	return *reply.Environment, nil
}

// Authority asks the deployment on a data directory for the certificate of its built-in authority, as PEM.
func Authority(dir string) (string, error) {
	reply, err := ask(dir, request{Authority: &authorityRequest{}})
	if err != nil {
		return "", err
	}
	if reply.Authority == nil {
		return "", errOtherVersion
	}
	return *reply.Authority, nil
}

// Explain asks the deployment on a data directory what would become of a request.
func Explain(dir string, question Question) (Explanation, error) {
	reply, err := ask(dir, request{Explain: &question})
	if err != nil {
		return Explanation{}, err
	}
	if reply.Explanation == nil {
		return Explanation{}, errOtherVersion
	}
	return *reply.Explanation, nil
}

// Streams are the standard streams of a program.
type Streams struct{ In, Out, Err *os.File }

// Run runs a program in an instance of the deployment on a data directory and returns its exit status. Signals that
// arrive while it runs are passed on to it.
func Run(dir string, program Program, streams Streams, signals <-chan os.Signal) (status int, err error) {
	c, err := dial(dir)
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
