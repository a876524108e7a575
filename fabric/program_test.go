package fabric

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"pergola/addressing"
)

// testEnv makes a command one of this binary's test programs.
func testEnv(name string) []string {
	return []string{"PATH=" + os.Getenv("PATH"), programVariable + "=" + name}
}

func start(t testing.TB, f *Fabric, p Place, c Command) *Process {
	t.Helper()
	if c.Env == nil {
		c.Env = testEnv("")
	}
	started, err := f.Start(t.Context(), p, c)
	if err != nil {
		t.Fatal(err)
	}
	return started
}

// run is a command's exit status and what it wrote.
func run(t testing.TB, f *Fabric, p Place, c Command) (int, string) {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	c.Stdout, c.Stderr = write, write
	started := start(t, f, p, c)
	write.Close()
	output, err := io.ReadAll(read)
	if err != nil {
		t.Fatal(err)
	}
	code, err := started.Wait()
	if err != nil {
		t.Fatal(err)
	}
	return code, string(output)
}

// startReady starts a program and waits for its first line.
func startReady(t testing.TB, f *Fabric, p Place, c Command) (*Process, string) {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	defer write.Close()
	c.Stdout = write
	started := start(t, f, p, c)
	return started, firstLine(t, read)
}

func self(t testing.TB) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func shell(script string) Command { return Command{Args: []string{"sh", "-c", script}} }

func TestStartStreamsAndStatus(t *testing.T) {
	each(t, func(t *testing.T, f *Fabric) {
		read, write, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(write, "typed")
		write.Close()
		defer read.Close()
		c := shell(`cat; echo " $1 $COLOUR $(pwd)"; echo "to stderr" >&2; exit 3`)
		c.Args, c.Env, c.Dir, c.Stdin = append(c.Args, "sh", "o\xffe"), append(testEnv(""), "COLOUR=green"), "/", read
		code, output := run(t, f, oneA, c)
		if want := "typed o\xffe green /\nto stderr\n"; code != 3 || output != want {
			t.Errorf("exit status %d, %q; want 3, %q", code, output, want)
		}
	})
}

func TestStartRefuses(t *testing.T) {
	each(t, func(t *testing.T, f *Fabric) {
		notExecutable := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(notExecutable, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			args []string
			want error
		}{
			{[]string{"no-such-program"}, syscall.ENOENT},
			{[]string{"/no/such/program"}, syscall.ENOENT},
			{[]string{notExecutable}, syscall.EACCES},
		} {
			for _, p := range []Place{oneA, routerA} {
				if _, err := f.Start(t.Context(), p, Command{Args: c.args, Env: testEnv("")}); !errors.Is(err, c.want) {
					t.Errorf("%v in %v: %v, want %v", c.args, p, err, c.want)
				}
			}
		}
		if _, err := f.Start(t.Context(), oneA, Command{}); err == nil {
			t.Error("a command without words is started")
		}
		if n := len(f.instancesOf(f.vpc("vpc-a"))); n != 2 {
			t.Errorf("%d instances are left, want 2", n)
		}
	})
}

func TestSignal(t *testing.T) {
	each(t, func(t *testing.T, f *Fabric) {
		for _, c := range []struct {
			program string
			signal  os.Signal
			want    int
		}{{"trap", syscall.SIGUSR1, 7}, {"wait", syscall.SIGTERM, 128 + 15}, {"wait", syscall.SIGKILL, 128 + 9}} {
			p, _ := startReady(t, f, oneA, Command{Args: []string{self(t)}, Env: testEnv(c.program)})
			if err := p.Signal(c.signal); err != nil {
				t.Error(err)
			}
			code, err := p.Wait()
			if c.program == "wait" && c.signal == syscall.SIGTERM && code == 2 {
				continue // the Go runtime of the program turned the signal into its own exit
			}
			if code != c.want || err != nil {
				t.Errorf("%s after %v: exit status %d (%v), want %d", c.program, c.signal, code, err, c.want)
			}
		}
	})
}

// A program listens at the address it is told, and others reach it at the instance's.
func TestProgramServes(t *testing.T) {
	each(t, func(t *testing.T, f *Fabric) {
		p, _ := startReady(t, f, oneA, Command{Args: []string{self(t)}, Env: testEnv("serve")})
		c := dial(t, f, routerA, "169.254.171.7", "10.20.1.10:8080")
		defer c.Close()
		seen, err := io.ReadAll(c)
		if err != nil || f.Name() == Netns && !strings.HasPrefix(string(seen), "169.254.171.7:") {
			t.Errorf("the program saw %q (%v)", seen, err)
		}
		if code, err := p.Wait(); code != 0 || err != nil {
			t.Errorf("exit status %d (%v)", code, err)
		}
	})
}

func TestResolvConf(t *testing.T) {
	needs(t, Netns)
	f := open(t, Config{Kind: Netns})
	apply(t, f, testVPC("vpc-a"))
	before, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		t.Skip("this host has no resolv.conf to replace: ", err)
	}
	if _, output := run(t, f, oneA, shell("cat /etc/resolv.conf")); output != "nameserver 10.20.0.2\n" {
		t.Errorf("a program sees %q", output)
	}
	if after, err := os.ReadFile("/etc/resolv.conf"); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the host's own changed to %q (%v)", after, err)
	}
}

// A program in a VPC gets the highest free address for as long as it runs.
func TestShortLivedInstance(t *testing.T) {
	each(t, func(t *testing.T, f *Fabric) {
		v := testVPC("vpc-a")
		_, output := run(t, f, routerA, shell("echo $PERGOLA_ADDRESS"))
		if got := strings.TrimSpace(output); !strings.HasSuffix(got, ".255.254") {
			t.Errorf("the first one has %v", got)
		}
		first, _ := startReady(t, f, routerA, Command{Args: []string{self(t)}, Env: testEnv("wait")})
		if _, output := run(t, f, routerA, shell("echo $PERGOLA_ADDRESS")); !strings.HasSuffix(strings.TrimSpace(output), ".255.253") {
			t.Errorf("the second one has %v", output)
		}
		apply(t, f, v)
		if len(f.instancesOf(f.vpc("vpc-a"))) != 3 {
			t.Error("Apply ended a short-lived instance that was in nobody's way")
		}
		v.Instances = append(v.Instances, Instance{"i-3", addressing.Nth(v.CIDR, addressing.Size(v.CIDR)-2)})
		apply(t, f, v)
		if code, err := first.Wait(); code != 128+9 || err != nil {
			t.Errorf("the program at an address that is wanted: exit status %d (%v)", code, err)
		}
		if len(f.instancesOf(f.vpc("vpc-a"))) != 3 {
			t.Error("the short-lived instance is still there")
		}
	})
}

// A full VPC says so.
func TestNoFreeAddress(t *testing.T) {
	f := open(t, Config{Kind: Loopback})
	v := VPC{ID: "vpc-a"}
	v.CIDR = netip.MustParsePrefix("10.20.0.0/28")
	for n := uint32(addressing.ReservedHead); n < addressing.Size(v.CIDR)-1; n++ {
		v.Instances = append(v.Instances, Instance{fmt.Sprintf("i-%d", n), addressing.Nth(v.CIDR, n)})
	}
	apply(t, f, v)
	if _, err := f.Start(t.Context(), routerA, shell("true")); err == nil {
		t.Error("a program got an address in a full VPC")
	}
}

// Removing an instance ends its programs and their children, also those that left the session where that can be told.
func TestRemoveEndsPrograms(t *testing.T) {
	each(t, func(t *testing.T, f *Fabric) {
		script := "sleep 1000 & echo $!; wait"
		if f.Name() == Netns {
			script = "setsid sleep 1000 & echo $!; wait"
		}
		read, write, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer read.Close()
		c := shell(script)
		c.Stdout = write
		p := start(t, f, oneA, c)
		write.Close()
		firstLine(t, read)
		apply(t, f)
		if code, err := p.Wait(); code != 128+9 || err != nil {
			t.Errorf("exit status %d (%v)", code, err)
		}
		if _, err := read.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("a child still holds the pipe: %v", err)
		}
	})
}

// A program outside of all VPCs is on the host's network, and ends with the fabric.
func TestProgramOnTheHost(t *testing.T) {
	each(t, func(t *testing.T, f *Fabric) {
		read, write, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer read.Close()
		c := shell("readlink /proc/self/ns/net || echo none; sleep 1000")
		c.Stdout = write
		p := start(t, f, Place{}, c)
		write.Close()
		if own, err := os.Readlink("/proc/self/ns/net"); err == nil {
			if got := firstLine(t, read); got != own {
				t.Errorf("it is in %s, the host is in %s", got, own)
			}
		}
		apply(t, f) // it does not depend on any VPC
		if err := p.Signal(syscall.Signal(0)); err != nil {
			t.Errorf("it ended with the VPCs: %v", err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if code, err := p.Wait(); code != 128+9 || err != nil {
			t.Errorf("exit status %d (%v)", code, err)
		}
		if _, err := io.ReadAll(read); err != nil {
			t.Errorf("a child still holds the pipe: %v", err)
		}
	})
}

// After a crash the programs go on without their fabric, until the next one opens.
func TestCrash(t *testing.T) {
	for _, kind := range []string{Netns, Loopback} {
		t.Run(kind, func(t *testing.T) {
			needs(t, kind)
			dir := t.TempDir()
			crashing := exec.Command(self(t), kind, dir)
			crashing.Env = testEnv("crash")
			crashing.Stderr = os.Stderr
			output, err := crashing.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := crashing.Start(); err != nil {
				t.Fatal(err)
			}
			firstLine(t, output)
			firstLine(t, output)
			if _, err := Open(Config{Kind: kind, StateDir: dir}); !errors.Is(err, ErrInUse) {
				t.Errorf("a living fabric's directory: %v", err)
			}
			if err := crashing.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			if _, err := crashing.Process.Wait(); err != nil {
				t.Fatal(err)
			}
			open(t, Config{Kind: kind, StateDir: dir})
			if _, err := output.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("a program of the crashed fabric still holds its output: %v", err)
			}
			if left, err := os.ReadDir(filepath.Join(dir, "programs")); err != nil || len(left) != 0 {
				t.Errorf("records are left: %v (%v)", left, err)
			}
		})
	}
}

// A record whose process id means another process by now kills nobody.
func TestCrashSparesOthers(t *testing.T) {
	dir := t.TempDir()
	other := exec.Command("sleep", "1000")
	other.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "programs"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "programs", fmt.Sprint(other.Process.Pid)), []byte("1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, Config{Kind: Loopback, StateDir: dir})
	if err := other.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error("another process was ended: ", err)
	}
	if err := other.Wait(); err == nil || other.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
		t.Errorf("another process ended by %v", other.ProcessState)
	}
}

// Start and Apply and Close at once end in nothing left.
func TestStartAgainstClose(t *testing.T) {
	each(t, func(t *testing.T, f *Fabric) {
		results := make(chan error)
		for range 4 {
			go func() {
				p, err := f.Start(context.Background(), routerA, Command{Args: []string{self(t)}, Env: testEnv("wait")})
				if err == nil {
					_, err = p.Wait()
				}
				results <- err
			}()
		}
		apply(t, f, testVPC("vpc-a"))
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		for range 4 {
			<-results
		}
	})
}

func TestWithEnv(t *testing.T) {
	got := withEnv([]string{"A=1", "B=2", "A=3"}, "A=4", "C=5")
	if fmt.Sprint(got) != "[B=2 A=4 C=5]" {
		t.Errorf("got %v", got)
	}
}
