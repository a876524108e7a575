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
)

// localhost is where everything listens, but for a deployment's VPCs.
var localhost = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// place is where a subject stands between clients and target.
type place struct {
	// Front is where clients connect to, and From the address that they connect from.
	Front netip.AddrPort `json:"front"`
	From  netip.Addr     `json:"from"`
	// Host is the name that they ask for.
	Host string `json:"host"`
	// Target is where the target has to listen.
	Target netip.AddrPort `json:"target"`
}

// subject is what is compared: a program that forwards requests.
type subject struct {
	name    string
	version string
	// start starts it on its core, to forward to a target.
	start func(at cores, target netip.AddrPort) (*process, place, error)
}

// findSubject finds a subject by name. A peer that is not installed is an error of kind exec.ErrNotFound.
func findSubject(name, profile string) (subject, error) {
	switch name {
	case subjectNginx:
		return installed(name, nginxConfig, []string{"-e", "stderr", "-c"}, "-v")
	case subjectHAProxy:
		return installed(name, haproxyConfig, []string{"-db", "-f"}, "-v")
	case subjectPergola, subjectDeployment, subjectReverseProxy:
		return ownSubject(name, profile)
	}
	return subject{}, fmt.Errorf("there is no subject %q; there are %s", name, allSubjects)
}

// ownSubject is a subject that this program itself is, in another process.
func ownSubject(name, profile string) (subject, error) {
	self, err := os.Executable()
	if err != nil {
		return subject{}, err
	}
	start := func(at cores, target netip.AddrPort) (*process, place, error) {
		p, err := startOn(at, self, childCommand, name, target.String(), profile)
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
	return subject{name: name, start: start}, nil
}

// installed is a peer that is found on the PATH. The file that config makes is its last argument.
func installed(name string, config func(dir string, front, target netip.AddrPort) string, args []string, version string) (subject, error) {
	program, err := exec.LookPath(name)
	if err != nil {
		return subject{}, err
	}
	said, err := exec.Command(program, version).CombinedOutput()
	if err != nil {
		return subject{}, fmt.Errorf("%s %s: %w", name, version, err)
	}
	firstLine, _, _ := strings.Cut(string(said), "\n")
	start := func(at cores, target netip.AddrPort) (*process, place, error) {
		dir, err := os.MkdirTemp("", "pergola-bench-")
		if err != nil {
			return nil, place{}, err
		}
		defer os.RemoveAll(dir) // it has read its configuration by then
		front, err := freePort()
		if err != nil {
			return nil, place{}, err
		}
		file := filepath.Join(dir, "config")
		if err := os.WriteFile(file, []byte(config(dir, front, target)), 0o600); err != nil {
			return nil, place{}, err
		}
		p, err := startOn(at, program, append(args[:len(args):len(args)], file)...)
		if err != nil {
			return nil, place{}, err
		}
		if err := p.awaitListener(front); err != nil {
			return nil, place{}, p.failure(err)
		}
		return p, place{front, localhost, "bench.example", target}, nil
	}
	return subject{name, firstLine, start}, nil
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

// nginxConfig gives nginx one worker, connections that stay open on both sides, room for the longest answer in memory,
// and the forwarding headers that Pergola adds.
func nginxConfig(dir string, front, target netip.AddrPort) string {
	var temporary strings.Builder
	for _, what := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&temporary, "%s_temp_path %s/%s; ", what, dir, what)
	}
	return fmt.Sprintf(`
daemon off;
worker_processes 1;
pid %[1]s/pid;
error_log stderr error;
events { worker_connections 4096; }
http {
  %[2]s
  access_log off;
  keepalive_requests 1000000000;
  upstream target {
    server %[4]s;
    keepalive 256;
    keepalive_requests 1000000000;
  }
  server {
    listen %[3]s;
    location / {
      proxy_pass http://target;
      proxy_http_version 1.1;
      proxy_buffer_size 16k;
      proxy_buffers 8 16k;
      proxy_max_temp_file_size 0;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Port $server_port;
      proxy_set_header X-Forwarded-Proto $scheme;
    }
  }
}
`, dir, temporary.String(), front, target)
}

// haproxyConfig gives HAProxy one thread, and the same otherwise.
func haproxyConfig(_ string, front, target netip.AddrPort) string {
	return fmt.Sprintf(`
global
  nbthread 1
  maxconn 4096
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend clients
  bind %v
  option forwardfor
  http-request set-header X-Forwarded-Port %%[dst_port]
  http-request set-header X-Forwarded-Proto http
  default_backend targets
backend targets
  server target %v
`, front, target)
}
