package fabric

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// remount tries to undo a mount, and to make it one for writing.
func remount(path string) error {
	return errors.Join(unix.Unmount(path, unix.MNT_DETACH), unix.Mount("", path, "", unix.MS_REMOUNT|unix.MS_BIND, ""))
}

// eachMeans runs a test with every means that this host has, and skips the others by name.
func eachMeans(t *testing.T, confined bool, test func(t *testing.T, means Means)) {
	for _, means := range []Means{ByNamespaces, ByLandlock, ByNothing} {
		t.Run(string(means), func(t *testing.T) {
			if means != ByNothing {
				if err := tryMeans(means, Private{}, confined); err != nil {
					t.Skip("not here: ", err)
				}
			}
			test(t, means)
		})
	}
}

var marks atomic.Int64

// mark is an argument that no other process of the host has.
func mark() string { return fmt.Sprintf("1000.%d%04d", os.Getpid(), marks.Add(1)) }

// marked are the processes that have it.
func marked(mark string) []process {
	return matching(func(p process) bool {
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.pid))
		return strings.Contains(string(line), mark)
	})
}

// escapes are ways to leave a process behind.
var escapes = map[string]string{
	"background":  "sleep %s >/dev/null 2>&1 & ",
	"session":     "setsid sleep %s >/dev/null 2>&1 & ",
	"double fork": "( setsid sh -c '( setsid sleep %s & ) & ' & ) >/dev/null 2>&1; sleep 0.05; ",
	"many":        "for i in 1 2 3 4 5 6 7 8; do ( setsid sleep %[1]s & ) >/dev/null 2>&1; done; ",
}

// What a program has started ends with it, also in another session; with its instance; and by SIGKILL.
func TestFault_C9_WhatAProgramStartsEndsWithIt(t *testing.T) {
	each(t, func(t *testing.T, f *Fabric) {
		eachMeans(t, false, func(t *testing.T, means Means) {
			f.means = means
			for name, escape := range escapes {
				id := mark()
				if code, output := run(t, f, oneA, shell(fmt.Sprintf(escape, id)+"exit 3")); code != 3 {
					t.Errorf("%s: status %d, %q", name, code, output)
				}
				if left := marked(id); len(left) > 0 {
					t.Errorf("%s: after the program, %d processes are left", name, len(left))
				}
				id = mark()
				c := shell(fmt.Sprintf(escape, id) + "echo ready; sleep 1000")
				p, _ := startReady(t, f, oneA, c)
				if len(marked(id)) == 0 {
					t.Errorf("%s: nothing was started", name)
				}
				if err := p.Signal(unix.SIGKILL); err != nil {
					t.Error(err)
				}
				if code, err := p.Wait(); code != killedStatus || err != nil {
					t.Errorf("%s: killed, it has status %d, %v", name, code, err)
				}
				if left := marked(id); len(left) > 0 {
					t.Errorf("%s: after SIGKILL, %d processes are left", name, len(left))
				}
			}
			id := mark()
			p, _ := startReady(t, f, oneB, shell(fmt.Sprintf(escapes["double fork"], id)+"echo ready; sleep 1000"))
			apply(t, f, testVPC("vpc-a"))
			if code, err := p.Wait(); code != killedStatus || err != nil {
				t.Errorf("without its instance: status %d, %v", code, err)
			}
			if left := marked(id); len(left) > 0 {
				t.Errorf("after the instance, %d processes are left", len(left))
			}
			apply(t, f, testVPC("vpc-a"), testVPC("vpc-b"))
		})
	})
}

// A program ends with the process whose fabric it runs in, also when that is killed.
func TestFault_C9_NothingOutlivesACrash(t *testing.T) {
	for _, kind := range []string{Netns, Loopback} {
		t.Run(kind, func(t *testing.T) {
			needs(t, kind)
			crashing := exec.Command(self(t), kind, t.TempDir())
			crashing.Env = testEnv("crash")
			output, err := crashing.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := crashing.Start(); err != nil {
				t.Fatal(err)
			}
			firstLine(t, output)
			firstLine(t, output)
			if err := crashing.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadAll(output); err != nil { // its end is that of all that hold it
				t.Error(err)
			}
			_ = crashing.Wait() // it was killed
		})
	}
}

// attempts runs the test program of that name and returns a line for each attempt.
func attempts(t *testing.T, f *Fabric, p Place, c Command, words ...string) []string {
	t.Helper()
	program := self(t)
	if c.Confined != nil {
		program = "bootstrap"
		if c.Confined.Means == ByNamespaces {
			program = CodeDir + "/bootstrap"
		} else {
			program = c.Confined.Code + "/bootstrap"
		}
	}
	c.Args, c.Env, c.Dir = append([]string{program}, words...), testEnv("attempt"), "/"
	code, output := run(t, f, p, c)
	if code != 0 {
		t.Fatalf("status %d: %s", code, output)
	}
	return strings.Split(strings.TrimSuffix(output, "\n"), "\n")
}

// secrets is a private directory with a secret, a socket that is served, and a file to be shown.
func secrets(t *testing.T) Private {
	t.Helper()
	dir, err := os.MkdirTemp("", "private-") // its path is short enough for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for _, name := range []string{"sealing.key", "bundle.pem"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("unix", filepath.Join(dir, "door.sock"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return Private{Dir: dir, Shown: []string{filepath.Join(dir, "bundle.pem")}}
}

// What is private is not to be seen in an instance, but for what is shown.
func TestFault_C8_InstancesDoNotSeeWhatIsPrivate(t *testing.T) {
	private := secrets(t)
	inside := func(name string) string { return filepath.Join(private.Dir, name) }
	for _, kind := range []string{Netns, Loopback} {
		t.Run(kind, func(t *testing.T) {
			needs(t, kind)
			f := open(t, Config{Kind: kind, Private: private})
			apply(t, f, testVPC("vpc-a"))
			eachMeans(t, false, func(t *testing.T, means Means) {
				if means == ByNothing {
					t.Skip("nothing hides it then; the fabric's log says so")
				}
				f.means = means
				ours := fmt.Sprintf("/proc/%d/root", os.Getpid())
				got := attempts(t, f, oneA, Command{}, "read", inside("sealing.key"), "write", inside("sealing.key"), "write",
					inside("new"),
					"read", inside("bundle.pem"), "read", ours+inside("sealing.key"), "remount", private.Dir, "read", "/proc/1/root"+
						inside("sealing.key"))
				for i, line := range got {
					if want := i == 3; want != (line == "could") {
						t.Errorf("attempt %d: %s", i, line)
					}
				}
				if got := attempts(t, f, oneA, Command{}, "dial", "unix", inside("door.sock")); means == ByNamespaces &&
					got[0] == "could" {
					t.Error("a program connects to a socket in the private directory")
				}
			})
		})
	}
}

// The loopback interface of the host is none of an instance's.
func TestFault_C8_InstancesDoNotReachTheHostsLoopback(t *testing.T) {
	needs(t, Netns)
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	greet(t, l, "host")
	abstract, err := net.Listen("unix", "@pergola-"+mark())
	if err != nil {
		t.Fatal(err)
	}
	defer abstract.Close()
	f := open(t, Config{Kind: Netns})
	apply(t, f, testVPC("vpc-a"))
	for _, line := range attempts(t, f, oneA, Command{}, "dial", "tcp", l.Addr().String(), "dial", "unix",
		abstract.Addr().String()) {
		if line == "could" {
			t.Error("a program reaches a socket of the host")
		}
	}
}

// confined is a confinement with the test program as its code.
func confined(t *testing.T, means Means) *Confinement {
	t.Helper()
	code := t.TempDir()
	content, err := os.ReadFile(self(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(code, "bootstrap"), content, 0o700); err != nil {
		t.Fatal(err)
	}
	return &Confinement{Means: means, Code: code, Temporary: t.TempDir(), TemporarySize: 4 << 20, Descriptors: 100,
		Processes: 64}
}

// A confined program sees its code and the system, and nothing else.
func TestFault_C8_AConfinedProgramSeesLittle(t *testing.T) {
	private := secrets(t)
	inside := func(name string) string { return filepath.Join(private.Dir, name) }
	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	f := open(t, Config{Kind: Loopback, Private: private})
	eachMeans(t, true, func(t *testing.T, means Means) {
		if means == ByNothing {
			t.Skip("nothing is kept from it then")
		}
		c := confined(t, means)
		code, temporary := c.Code, c.Temporary
		if means == ByNamespaces {
			code, temporary = CodeDir, TemporaryDir
		}
		ours := fmt.Sprintf("/proc/%d/", os.Getpid())
		for _, a := range []struct {
			could bool
			words []string
		}{
			{true, []string{"read", code + "/bootstrap"}},
			{false, []string{"write", code + "/new"}},
			{true, []string{"write", temporary + "/new"}},
			{true, []string{"read", "/etc/passwd"}},
			{true, []string{"list", "/usr/bin"}},
			{true, []string{"write", "/dev/null"}},
			{true, []string{"read", "/proc/self/status"}},
			{false, []string{"write", "/usr/new"}},
			{false, []string{"write", "/new"}},
			{false, []string{"read", "/etc/shadow"}},
			{false, []string{"list", "/root"}},
			{false, []string{"list", "/home"}},
			{false, []string{"read", filepath.Join(other, "file")}},
			{false, []string{"read", inside("sealing.key")}},
			{false, []string{"read", inside("bundle.pem")}},
			{false, []string{"dial", "unix", inside("door.sock")}},
			{false, []string{"read", ours + "environ"}},
			{false, []string{"read", ours + "root" + inside("sealing.key")}},
			{false, []string{"read", "/proc/1/environ"}},
			{false, []string{"write", "/proc/sys/kernel/core_pattern"}},
			{false, []string{"remount", "/usr"}},
			{false, []string{"list", "/sys/kernel"}},
			{false, []string{"read", "/dev/kmsg"}},
		} {
			if got := attempts(t, f, Place{}, Command{Confined: c}, a.words...); a.could != (got[0] == "could") {
				t.Errorf("%s: %s", strings.Join(a.words, " "), got[0])
			}
		}
		if left, err := os.ReadDir(c.Temporary); err != nil || means == ByNamespaces && len(left) > 0 {
			t.Errorf("of the temporary directory, %d files are on disk (%v)", len(left), err)
		}
	})
}

// A temporary directory in memory is as large as it may be.
func TestFault_A5_ATemporaryDirectoryIsBounded(t *testing.T) {
	f := open(t, Config{Kind: Loopback})
	if err := tryMeans(ByNamespaces, Private{}, true); err != nil {
		t.Skip("no namespaces here: ", err)
	}
	got := attempts(t, f, Place{}, Command{Confined: confined(t, ByNamespaces)}, "fill", TemporaryDir)
	if !strings.Contains(got[0], unix.ENOSPC.Error()) {
		t.Errorf("8 MiB fit where 4 MiB should: %s", got[0])
	}
}

// A confined program has no privileges, and none of this process's descriptors or variables.
func TestFault_C8_AConfinedProgramInheritsNothing(t *testing.T) {
	t.Setenv("PERGOLA_TEST_SECRET", "secret")
	f := open(t, Config{Kind: Loopback})
	inheritable, err := unix.Dup(2) // as a parent of the deployment may leave one open
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(inheritable)
	eachMeans(t, true, func(t *testing.T, means Means) {
		c := confined(t, means)
		script := `grep -E '^(CapEff|CapPrm|CapInh|CapBnd|CapAmb|NoNewPrivs)' /proc/self/status
			ls /proc/self/fd | tr '\n' ' '; env; ulimit -n; ulimit -c`
		code, output := run(t, f, Place{}, Command{Args: []string{"/bin/sh", "-c", script},
			Env: []string{"PATH=/usr/bin:/bin"}, Dir: "/", Confined: c})
		if code != 0 || strings.Contains(output, "secret") {
			t.Fatalf("status %d: %s", code, output)
		}
		for _, name := range []string{"CapEff", "CapPrm", "CapInh", "CapAmb"} {
			if !strings.Contains(output, name+":\t0000000000000000\n") {
				t.Errorf("%s is not empty: %s", name, output)
			}
		}
		if !strings.Contains(output, "NoNewPrivs:\t1\n") || !strings.Contains(output, "\n0 1 2 3 PATH") {
			t.Errorf("it has %s", output)
		}
		if !strings.HasSuffix(output, "\n100\n0\n") {
			t.Errorf("its limits are %s", output)
		}
	})
}

// A cell's program has a loopback interface of its own, reaches what it may of this host, and the outside by this
// process.
func TestFault_C8_ACellReachesTheOutsideAndNotTheHost(t *testing.T) {
	f := open(t, Config{Kind: Loopback})
	listenHost := func(at string) string {
		l, err := net.Listen("tcp4", at)
		if err != nil {
			t.Fatal(err)
		}
		greet(t, l, "host")
		return l.Addr().String()
	}
	allowed, forbidden := listenHost("127.0.0.1:0"), listenHost("127.0.0.1:0")
	reach := []netip.AddrPort{netip.MustParseAddrPort(allowed)}
	own := ownAddress(t)
	ownAllowed, ownForbidden := listenHost(own+":0"),
		listenHost(own+":0") // which take the way that connections to the outside take
	reach = append(reach, netip.MustParseAddrPort(ownAllowed))
	c, err := f.MakeCell(t.Context(), reach...)
	if err != nil {
		t.Skip("no cells here: ", err)
	}
	defer c.Close()
	abstract, err := net.Listen("unix", "@pergola-"+mark())
	if err != nil {
		t.Fatal(err)
	}
	defer abstract.Close()
	program := confined(t, ByNamespaces)
	for _, a := range []struct {
		could bool
		words []string
	}{
		{true, []string{"dial", "tcp", allowed}},
		{false, []string{"dial", "tcp", forbidden}},
		{false, []string{"dial", "unix", abstract.Addr().String()}},
		{false, []string{"dial", "tcp", "[::1]:22"}},
		{true, []string{"ask", ownAllowed}},
		{false, []string{"ask", ownForbidden}},
		{false, []string{"ask", "169.254.169.254:80"}},
	} {
		p := startReadyIn(t, c, program, a.words...)
		if a.could != (p == "could") {
			t.Errorf("%s: %s", strings.Join(a.words, " "), p)
		}
	}
}

// ownAddress is an address of this host beside its loopback interface's.
func ownAddress(t *testing.T) string {
	t.Helper()
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if host, _ := netip.AddrFromSlice(a.(*net.IPNet).IP); host.Is4() && !host.IsLoopback() && !host.IsLinkLocalUnicast() {
			return host.String()
		}
	}
	t.Skip("this host has no address but those of its loopback interface")
	return ""
}

// A cell's resolver passes questions on to this host's, by UDP and by TCP.
func TestACellsResolverIsTheHosts(t *testing.T) {
	f := open(t, Config{Kind: Loopback})
	packets, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer packets.Close()
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		b := make([]byte, 512)
		for {
			n, from, err := packets.ReadFrom(b)
			if err != nil {
				return
			}
			packets.WriteTo(append([]byte("answer to "), b[:n]...), from)
		}
	}()
	l, err := net.Listen("tcp4", packets.LocalAddr().String())
	if err != nil {
		t.Skip("the port is taken for TCP: ", err)
	}
	greet(t, l, "by TCP")
	f.resolvers = func() []netip.AddrPort { return []netip.AddrPort{addrPort(packets.LocalAddr())} }
	c, err := f.MakeCell(t.Context())
	if err != nil {
		t.Skip("no cells here: ", err)
	}
	program := confined(t, ByNamespaces)
	for want, words := range map[string][]string{
		"answer to question": {"question", "127.0.0.1:53"}, "could": {"ask", "127.0.0.1:53"},
	} {
		if got := startReadyIn(t, c, program, words...); got != want {
			t.Errorf("%s: %s", words, got)
		}
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	packets.Close()
	<-answered
}

// startReadyIn runs the attempting program in a cell and returns its first line.
func startReadyIn(t *testing.T, c *Cell, confinement *Confinement, words ...string) string {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	p, err := c.Start(t.Context(), Command{
		Args: append([]string{CodeDir + "/bootstrap"}, words...), Env: testEnv("attempt"), Dir: "/", Confined: confinement,
		Stdout: write, Stderr: write,
	})
	write.Close()
	if err != nil {
		t.Fatal(err)
	}
	line := firstLine(t, read)
	if _, err := p.Wait(); err != nil {
		t.Error(err)
	}
	return line
}

// What is outside is told from what is of this host, by any form of address.
func TestIsOutside(t *testing.T) {
	for a, want := range map[string]bool{
		"8.8.8.8": true, "10.99.98.97": true, "127.0.0.1": false, "127.1.2.3": false, "0.0.0.0": false, "0.1.2.3": false,
		"169.254.169.254": false, "224.0.0.1": false, "255.255.255.255": false, "240.0.0.1": false, "::1": false,
		"fe80::1":          false,
		"::ffff:127.0.0.1": false, "2001:db8::1": true,
	} {
		if got := isOutside(netip.MustParseAddr(a)); got != want {
			t.Errorf("%s: %v", a, got)
		}
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range own {
		if host, _ := netip.AddrFromSlice(a.(*net.IPNet).IP); isOutside(host) {
			t.Errorf("%v, an address of this host, is outside", a)
		}
	}
}

// A connection that a cell's program opens to any address comes to this process with that address.
func TestACellsConnectionsAreRedirected(t *testing.T) {
	f := open(t, Config{Kind: Loopback})
	made, err := f.newCell()
	if err != nil {
		t.Skip("no cells here: ", err)
	}
	c := &Cell{fabric: f, seat: newSeat(made)}
	defer c.seat.remove()
	l, err := c.Listen(t.Context(), netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.lead(addrPort(l.Addr()).Port()); err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"8.8.8.8:443", "192.0.2.1:1", "10.0.0.1:65535"} {
		conn, err := made.dial(t.Context(), netip.Addr{}, netip.MustParseAddrPort(to))
		if err != nil {
			t.Fatal(err)
		}
		accepted, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := originalTarget(accepted); got.String() != to || err != nil {
			t.Errorf("%s came as %v, %v", to, got, err)
		}
		conn.Close()
		accepted.Close()
	}
}

func BenchmarkCell(b *testing.B) {
	f := open(b, Config{Kind: Loopback})
	for b.Loop() {
		c, err := f.MakeCell(b.Context())
		if err != nil {
			b.Skip(err)
		}
		if err := c.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
