// Package operator is the door for commands on the deployment's own machine: pergola env, ca, exec and explain
// reach a running deployment through Unix sockets in its data directory, which only the user who started it may open.
// There is one for each part of the deployment that answers: the control plane knows accounts, and the node knows
// instances.
//
// A conversation is one request, sent as a line of JSON, and lines of JSON in answer. A request to run a program
// carries the caller's standard streams as descriptors beside the line, so that the program reads and writes them
// without a relay; after it, the caller may send signals, and the last answer is the program's exit status.
package operator

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// Part is a part of a deployment that answers, by the name of its socket in the data directory.
type Part string

// The parts that answer.
const (
	Control Part = "operator.sock" // env and ca
	Node    Part = "node.sock"     // exec and explain
)

// maxSocketPath is the longest path that both Linux and macOS accept for a Unix socket.
const maxSocketPath = 103

// Environment is what a client of the API needs to know.
type Environment struct {
	Endpoint        string `json:"AWS_ENDPOINT_URL"`
	Region          string `json:"AWS_REGION"`
	AccessKeyID     string `json:"AWS_ACCESS_KEY_ID"`
	SecretAccessKey string `json:"AWS_SECRET_ACCESS_KEY"`
	SessionToken    string `json:"AWS_SESSION_TOKEN"`
	// Bundle is the file with the certificates to trust: the system's, and that of the built-in authority.
	Bundle string `json:"SSL_CERT_FILE"`
}

// Variable is one variable of an environment.
type Variable struct{ Name, Value string }

// Variables are the variables that AWS tools read, in the order of the fields. The session token is there even when
// it is empty, so that it replaces one left over from elsewhere.
func (e Environment) Variables() []Variable {
	return []Variable{
		{"AWS_ENDPOINT_URL", e.Endpoint},
		{"AWS_REGION", e.Region},
		{"AWS_DEFAULT_REGION", e.Region}, // what botocore and version 1 of the AWS CLI read
		{"AWS_ACCESS_KEY_ID", e.AccessKeyID},
		{"AWS_SECRET_ACCESS_KEY", e.SecretAccessKey},
		{"AWS_SESSION_TOKEN", e.SessionToken},
	}
}

// Program is a program to run in an instance.
type Program struct {
	// Place is an instance id, or the id of a VPC for an instance that lives as long as the program.
	Place string   `json:"place"`
	Args  []string `json:"args"`
	Env   []string `json:"env"`
	Dir   string   `json:"dir"`
	// Terminal is true when the standard streams are a terminal of the program's own.
	Terminal bool `json:"terminal,omitempty"`
}

// request is what a caller says first: one of its members is set.
type request struct {
	Environment *environmentRequest `json:"environment,omitempty"`
	Program     *Program            `json:"program,omitempty"`
	Explain     *Question           `json:"explain,omitempty"`
	Examine     *examineRequest     `json:"examine,omitempty"`
	Authority   *authorityRequest   `json:"authority,omitempty"`
	Issuer      *Issuer             `json:"issuer,omitempty"`
}

// Issuer is an issuer of web identities whose keys are given rather than fetched.
type Issuer struct {
	// Account is whose roles may trust it; "" means the management account.
	Account string `json:"account"`
	// URL is the issuer as its tokens name it. It need not be one that can be reached.
	URL string `json:"url"`
	// Audiences are whom its tokens are for; none, for a new issuer, means sts.amazonaws.com.
	Audiences []string `json:"audiences,omitempty"`
	// Keys is a JSON Web Key Set (RFC 7517).
	Keys []byte `json:"keys"`
}

// authorityRequest asks for the certificate of the built-in authority.
type authorityRequest struct{}

// Question is a request whose fate is to be explained.
type Question struct {
	// From is the instance or the VPC that it comes from.
	From string `json:"from"`
	// As is the ARN of the user, the role or the session that is taken to have signed; "" for nobody.
	As     string   `json:"as,omitempty"`
	Method string   `json:"method"`
	URL    string   `json:"url"`
	Header []string `json:"header,omitempty"`
}

// examineRequest asks what is wrong with the deployment.
type examineRequest struct{}

// Finding is something that stops requests, or lets pass what nobody may have meant to.
type Finding struct {
	// About is the id of a resource, and Cures are commands and advice, a line each.
	About   string   `json:"about"`
	Problem string   `json:"problem"`
	Cures   []string `json:"cures"`
}

// Explanation is the fate of a request.
type Explanation struct {
	Gates []Gate `json:"gates"`
	// Reason is the outcome in one line.
	Reason string `json:"reason"`
	// Cures are what to do about it, or to look at, a line each.
	Cures []string `json:"cures,omitempty"`
}

// Gate is one gate on the way of a request.
type Gate struct {
	Name    string   `json:"name"`
	Verdict string   `json:"verdict"`
	Detail  string   `json:"detail"`
	More    []string `json:"more,omitempty"`
}

type environmentRequest struct {
	// Account is the account whose credentials are wanted; empty means the management account.
	Account string `json:"account"`
}

// signal is what a caller of a program may say later.
type signal struct {
	Number int `json:"signal"`
}

// answer is what the deployment says.
type answer struct {
	Error       string       `json:"error,omitempty"`
	Environment *Environment `json:"environment,omitempty"`
	ExitStatus  *int         `json:"exitStatus,omitempty"`
	Explanation *Explanation `json:"explanation,omitempty"`
	Findings    *[]Finding   `json:"findings,omitempty"`
	Authority   *string      `json:"authority,omitempty"`
	Issuer      *string      `json:"issuer,omitempty"`
}

// conn speaks lines of JSON over a Unix socket, with descriptors beside the first line.
type conn struct {
	*net.UnixConn
	lines *bufio.Reader
}

func newConn(c *net.UnixConn) *conn { return &conn{UnixConn: c, lines: bufio.NewReader(c)} }

// send writes one line.
func (c *conn) send(message any, files ...*os.File) error {
	line, err := json.Marshal(message)
	if err != nil {
		return err
	}
	var rights []byte
	if len(files) > 0 {
		descriptors := make([]int, len(files))
		for i, file := range files {
			descriptors[i] = int(file.Fd())
		}
		rights = syscall.UnixRights(descriptors...)
	}
	_, _, err = c.WriteMsgUnix(append(line, '\n'), rights, nil)
	return err
}

// receive reads one line.
func (c *conn) receive(message any) error {
	line, err := c.lines.ReadBytes('\n')
	if err != nil {
		return err
	}
	return json.Unmarshal(line, message)
}

// maxRequest bounds a request: a program's environment is most of it.
const maxRequest = 4 << 20

// receiveRequest reads the first line of a conversation and the descriptors that came with it.
func (c *conn) receiveRequest() (req request, files []*os.File, err error) {
	var line []byte
	buffer, rights := make([]byte, 64<<10), make([]byte, syscall.CmsgSpace(3*4))
	for len(line) == 0 || line[len(line)-1] != '\n' {
		n, rightsLen, _, _, err := c.ReadMsgUnix(buffer, rights)
		if err != nil {
			return req, files, err
		}
		files = append(files, received(rights[:rightsLen])...)
		line = append(line, buffer[:n]...)
		if n == 0 || len(line) > maxRequest {
			return req, files, fmt.Errorf("a request ends with a newline and has at most %d bytes", maxRequest)
		}
	}
	return req, files, json.Unmarshal(line, &req)
}

// received opens the descriptors in a control message.
func received(rights []byte) (files []*os.File) {
	messages, err := syscall.ParseSocketControlMessage(rights)
	if err != nil {
		return nil
	}
	for _, message := range messages {
		descriptors, err := syscall.ParseUnixRights(&message)
		if err != nil {
			continue
		}
		for _, fd := range descriptors {
			syscall.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "caller's stream"))
		}
	}
	return files
}

// Listen opens the socket of a part in a data directory. A socket that a dead deployment left behind is replaced; a
// living one is an error.
func Listen(dir string, part Part) (*net.UnixListener, error) {
	path := filepath.Join(dir, string(part))
	if err := CheckPath(dir); err != nil {
		return nil, err
	}
	if c, err := net.Dial("unix", path); err == nil {
		_ = c.Close()
		return nil, fmt.Errorf("data directory %s: a deployment is running on it already; stop it or choose another one with --data", dir)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("data directory %s: remove the socket of an earlier deployment: %w", dir, err)
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("data directory %s: %w", dir, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		_ = listener.Close()
		return nil, err
	}
	return listener, nil
}

// CheckPath says whether the path of a data directory is short enough for the sockets in it.
func CheckPath(dir string) error {
	if n := len(filepath.Join(dir, string(Control))); n > maxSocketPath {
		return fmt.Errorf("data directory %s: its path is too long for a socket (%d bytes, at most %d); choose a shorter "+
			"one with --data",
			dir, n, maxSocketPath)
	}
	return nil
}
