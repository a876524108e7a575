package soak

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"pergola/internal/apiclient"
	"pergola/operator"
)

// patience bounds what a test waits for that should come at once, on a machine with much to do.
const patience = time.Minute

// descriptors is how many descriptors each process of the deployment may have.
const descriptors = 512

// diskSize is the size of the deployment's disk, where it has one of its own.
const diskSize = 192 << 20

// world is a deployment with few descriptors and, where the host allows, a small disk.
type world struct {
	t       *testing.T
	dir     string // of the data
	serve   *exec.Cmd
	api     *apiclient.Client
	hasDisk bool
	// loopback says that instances reach services through a proxy alone.
	loopback bool
	log      *bytes.Buffer
}

func newWorld(t *testing.T) *world {
	t.Helper()
	base, err := os.MkdirTemp("", "pergola-")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, dir: filepath.Join(base, "data"), log: &bytes.Buffer{}}
	t.Cleanup(func() { _ = os.RemoveAll(base) })
	w.must(os.Mkdir(w.dir, 0o700))
	w.mount()
	w.start()
	w.api = w.client("")
	return w
}

// mount gives the data a small disk of their own.
func (w *world) mount() {
	if os.Getenv(enteredVariable) == "" {
		return
	}
	if err := syscall.Mount("tmpfs", w.dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0700", diskSize)); err != nil {
		w.t.Logf("no small disk: %v", err)
		return
	}
	w.hasDisk = true
	w.t.Cleanup(func() { _ = syscall.Unmount(w.dir, syscall.MNT_DETACH) })
}

// start starts the deployment and waits until it is ready.
func (w *world) start() {
	w.t.Helper()
	w.serve = exec.Command("sh", "-c", fmt.Sprintf("ulimit -n %d && exec %s serve --data %s --listen 127.0.0.1:0",
		descriptors, program, w.dir))
	w.serve.Stderr = w.log
	stdout, err := w.serve.StdoutPipe()
	w.must(err)
	w.must(w.serve.Start())
	w.t.Cleanup(func() {
		_ = w.serve.Process.Signal(syscall.SIGTERM)
		if err := w.serve.Wait(); err != nil {
			w.t.Errorf("pergola serve did not stop cleanly: %v", err)
		}
		if w.t.Failed() {
			w.t.Logf("the log of pergola serve:\n%s", w.log)
		}
	})
	ready, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		w.t.Fatalf("pergola serve did not start: %v\n%s", err, w.log)
	}
	w.loopback = strings.Contains(ready, "(loopback")
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// client calls as the administrator of an account.
func (w *world) client(account string) *apiclient.Client {
	w.t.Helper()
	out, err := exec.Command(program, "env", "--data", w.dir, "--account", account, "--format", "json").Output()
	w.must(err)
	var environment operator.Environment
	w.must(json.Unmarshal(out, &environment))
	return &apiclient.Client{Environment: environment}
}

// role runs a part in an instance until stop is called, which returns what it printed.
func (w *world) role(instance, role, service string) (stop func() []byte) {
	w.t.Helper()
	self, err := os.Executable()
	w.must(err)
	cmd := exec.Command(program, "exec", "--data", w.dir, instance, "--", "env", roleVariable+"="+role, self, service)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	w.must(cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	stopped := false
	stop = func() []byte {
		if stopped {
			return out.Bytes()
		}
		stopped = true
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(patience):
			_ = cmd.Process.Kill()
			w.t.Errorf("%s did not stop", role)
		}
		return out.Bytes()
	}
	w.t.Cleanup(func() { stop() })
	return stop
}

// eventually waits until something holds.
func (w *world) eventually(what string, holds func() bool) {
	w.t.Helper()
	deadline := time.Now().Add(patience)
	for !holds() {
		if time.Now().After(deadline) {
			w.t.Fatalf("it did not happen within %v: %s", patience, what)
		}
		wait(w.t.Context(), 20*time.Millisecond)
	}
}

func (w *world) ec2(api *apiclient.Client, action string, parameters url.Values, out any) error {
	return api.Query(w.t.Context(), "ec2", action, parameters, out)
}

// vpc makes a VPC with one subnet, and instances in it at .10, .11 and so on.
func (w *world) vpc(cidr, prefix string, count int) (vpc string, instances []string) {
	w.t.Helper()
	var made struct {
		ID string `xml:"vpc>vpcId"`
	}
	w.must(w.ec2(w.api, "CreateVpc", url.Values{"CidrBlock": {cidr}}, &made))
	var subnet struct {
		ID string `xml:"subnet>subnetId"`
	}
	w.must(w.ec2(w.api, "CreateSubnet", url.Values{"VpcId": {made.ID}, "CidrBlock": {cidr}}, &subnet))
	_, _, err := w.api.AdmitLattice(w.t.Context(), made.ID)
	w.must(err)
	for i := range count {
		var run struct {
			ID string `xml:"instancesSet>item>instanceId"`
		}
		w.must(w.ec2(w.api, "RunInstances", url.Values{
			"SubnetId": {subnet.ID}, "PrivateIpAddress": {prefix + strconv.Itoa(10+i)}, "MinCount": {"1"}, "MaxCount": {"1"},
		}, &run))
		instances = append(instances, run.ID)
	}
	for _, id := range instances {
		w.eventually(id+" runs", func() bool {
			var described struct {
				State string `xml:"reservationSet>item>instancesSet>item>instanceState>name"`
			}
			w.must(w.ec2(w.api, "DescribeInstances", url.Values{"InstanceId.1": {id}}, &described))
			return described.State == "running"
		})
	}
	return made.ID, instances
}

// process is one process of the deployment.
type process struct {
	pid  int
	name string // the part that it runs
}

// processes are the deployment's own processes: the supervisor and its parts, without what runs in instances.
func (w *world) processes() []process {
	w.t.Helper()
	all := []process{{w.serve.Process.Pid, "supervisor"}}
	for i := 0; i < len(all); i++ {
		threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", all[i].pid))
		for _, thread := range threads {
			children, _ := os.ReadFile(thread)
			for _, field := range strings.Fields(string(children)) {
				pid, _ := strconv.Atoi(field)
				if name := partOf(pid); name != "" {
					all = append(all, process{pid, name})
				}
			}
		}
	}
	return all
}

// figures are what a process holds.
type figures struct {
	memory, descriptors int // memory of its own, in KiB: files that it has mapped are not counted
}

func figuresOf(pid int) (f figures) {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		number, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
		switch name {
		case "RssAnon":
			f.memory = number
		}
	}
	entries, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	f.descriptors = len(entries)
	return f
}

// partOf is the part of the deployment that a process runs, "" if it is another program.
func partOf(pid int) string {
	arguments, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	for _, part := range []string{"control", "node", "functions"} {
		if string(bytes.TrimRight(arguments, "\x00")) == "pergola: "+part {
			return part
		}
	}
	return ""
}

// during runs f until d has passed or ctx ends.
func during(ctx context.Context, d time.Duration, f func(ctx context.Context)) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	f(ctx)
}
