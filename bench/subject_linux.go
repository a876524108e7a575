package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"pergola/sigv4"
)

// localhost is where everything listens, but for a deployment's VPCs.
var localhost = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// setup is what a subject is told.
type setup struct {
	// Target is where it finds the target, which speaks HTTP/1.1, or with GRPC HTTP/2 without TLS.
	Target netip.AddrPort `json:"target"`
	GRPC   bool           `json:"grpc"`
	// TLS says that clients speak TLS, and Pairs are the certificates for it.
	TLS   bool  `json:"tls"`
	Pairs pairs `json:"pairs"`
	// Profile is the file for a CPU profile, "" for none.
	Profile string `json:"profile"`
}

// place is where a subject stands between clients and target.
type place struct {
	// Front is where clients connect to, and From the address that they connect from.
	Front netip.AddrPort `json:"front"`
	From  netip.Addr     `json:"from"`
	// Host is the name that they ask for.
	Host string `json:"host"`
	// Target is where the target has to listen.
	Target netip.AddrPort `json:"target"`
	// Signing is whom clients sign as.
	Signing signing `json:"signing"`
}

// signing is an access key for the data plane; the zero value does not sign.
type signing struct {
	KeyID  string `json:"keyId"`
	Secret string `json:"secret"`
}

// sign signs a request. A signature is good for minutes, longer than any load.
func (s signing) sign(r *request) error {
	if s.KeyID == "" {
		return nil
	}
	signer := &sigv4.Signer{
		AccessKeyID: s.KeyID, SecretAccessKey: s.Secret, Region: region, Service: "vpc-lattice-svcs",
		Payload: sigv4.PayloadUnsigned, Path: sigv4.PathAsSent,
	}
	added, err := signer.Sign(&sigv4.Request{Method: r.method, Path: r.path, Host: r.host, Header: sigv4.Fields{}}, time.Now())
	for _, field := range added {
		r.fields = append(r.fields, [2]string{strings.ToLower(field.Name), field.Value})
	}
	return err
}

// subject is what is compared: a program that forwards requests.
type subject struct {
	name    string
	version string
	// can says whether it can take part in a scenario; nil if it can in all of them.
	can func(*scenario) bool
	// start starts it on its core, to forward to a target.
	start func(cores, setup) (*process, place, error)
}

// isFirst says that a scenario is the first in the table, the smallest request.
func isFirst(s *scenario) bool { return s.name == scenarios[0].name }

// findSubject finds a subject by name. A peer that is not installed is an error of kind exec.ErrNotFound.
func findSubject(name string) (subject, error) {
	switch name {
	case subjectNginx:
		return installed(name, nginxConfig, []string{"-e", "stderr", "-c"}, "-v")
	case subjectHAProxy:
		return installed(name, haproxyConfig, []string{"-db", "-f"}, "-v")
	case subjectCaddy:
		return installed(name, caddyConfig, []string{"run", "--adapter", "caddyfile", "--config"}, "version")
	case subjectPergola, subjectReverseProxy:
		return ownSubject(name, nil)
	case subjectSigned:
		return ownSubject(name, func(s *scenario) bool { return s.use == useKept })
	case subjectDeployment:
		return ownSubject(name, isFirst)
	}
	if strings.HasPrefix(name, subjectRules) {
		return ownSubject(name, isFirst)
	}
	return subject{}, fmt.Errorf("there is no subject %q; there are %s", name, allSubjects)
}

// ownSubject is a subject that this program itself is, in another process.
func ownSubject(name string, can func(*scenario) bool) (subject, error) {
	self, err := os.Executable()
	if err != nil {
		return subject{}, err
	}
	start := func(at cores, s setup) (*process, place, error) {
		told, err := json.Marshal(s)
		if err != nil {
			return nil, place{}, err
		}
		p, err := startOn(at, exec.Command(self, childCommand, name, string(told)))
		if err != nil {
			return nil, place{}, err
		}
		var where place
		p.out.(*os.File).SetReadDeadline(time.Now().Add(startTime))
		if err := json.NewDecoder(p.out).Decode(&where); err != nil {
			return nil, place{}, p.failure(err)
		}
		return p, where, nil
	}
	return subject{name: name, can: can, start: start}, nil
}

// installed is a peer that is found on the PATH. The file that config makes is its last argument.
func installed(name string, config func(dir string, front netip.AddrPort, s setup) string, args []string, version string) (subject, error) {
	program, err := exec.LookPath(name)
	if err != nil {
		return subject{}, err
	}
	said, err := exec.Command(program, version).CombinedOutput()
	if err != nil {
		return subject{}, fmt.Errorf("%s %s: %w", name, version, err)
	}
	firstLine, _, _ := strings.Cut(string(said), "\n")
	if !strings.Contains(strings.ToLower(firstLine), name) {
		firstLine = name + " " + firstLine
	}
	start := func(at cores, s setup) (*process, place, error) {
		dir, err := os.MkdirTemp("", "pergola-bench-")
		if err != nil {
			return nil, place{}, err
		}
		front, err := freePort()
		if err != nil {
			return nil, place{}, err
		}
		file := filepath.Join(dir, "config")
		if err := os.WriteFile(file, []byte(config(dir, front, s)), 0o600); err != nil {
			return nil, place{}, err
		}
		cmd := exec.Command(program, append(args[:len(args):len(args)], file)...)
		cmd.Env = append(os.Environ(), "HOME="+dir)
		p, err := startOn(at, cmd)
		if err != nil {
			return nil, place{}, err
		}
		p.dir = dir
		if err := p.awaitListener(front); err != nil {
			return nil, place{}, p.failure(err)
		}
		return p, place{Front: front, From: localhost, Host: hostName, Target: s.Target}, nil
	}
	return subject{name: name, version: firstLine, start: start}, nil
}

// startTime is how long a subject may take to start.
const startTime = 30 * time.Second

// awaitListener waits until a process listens.
func (p *process) awaitListener(at netip.AddrPort) error {
	for deadline := time.Now().Add(startTime); time.Now().Before(deadline); {
		if conn, err := net.Dial("tcp", at.String()); err == nil {
			return conn.Close()
		}
		select {
		case <-p.done:
			return errors.New("it ended at once")
		case <-time.After(10 * time.Millisecond):
		}
	}
	return fmt.Errorf("it does not listen at %v within %v", at, startTime)
}

// freePort is a port that was free a moment ago, for programs that must be told.
func freePort() (netip.AddrPort, error) {
	listener, err := net.Listen("tcp", netip.AddrPortFrom(localhost, 0).String())
	if err != nil {
		return netip.AddrPort{}, err
	}
	return listener.Addr().(*net.TCPAddr).AddrPort(), listener.Close()
}
