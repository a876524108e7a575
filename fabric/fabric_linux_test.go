package fabric

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// leftovers are what a fabric could leave behind: descriptors, children, and threads in foreign namespaces.
type leftovers struct {
	descriptors, children, spaces int
}

func countLeftovers(t *testing.T) leftovers {
	t.Helper()
	descriptors, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	children := matching(func(p process) bool { return p.netns() != 0 && parentOf(p.pid) == os.Getpid() })
	return leftovers{len(descriptors), len(children), len(foreignSpaces(t))}
}

// foreignSpaces are the network namespaces, other than this process's own, that a thread of it lives in.
func foreignSpaces(t *testing.T) map[string]bool {
	t.Helper()
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	threads, err := filepath.Glob("/proc/self/task/*/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, thread := range threads {
		if ns, err := os.Readlink(thread); err == nil && ns != own {
			found[ns] = true
		}
	}
	return found
}

func parentOf(pid int) int {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "PPid:"); ok {
			parent, _ := strconv.Atoi(strings.TrimSpace(rest))
			return parent
		}
	}
	return 0
}

// Close leaves no namespace, process or descriptor; goroutines are counted when all tests are done.
func TestCloseLeavesNothing(t *testing.T) {
	for _, kind := range []string{Netns, Loopback} {
		t.Run(kind, func(t *testing.T) {
			needs(t, kind)
			settle(t, func() bool { return len(foreignSpaces(t)) == 0 })
			round := func() {
				f, err := Open(Config{Kind: kind, StateDir: t.TempDir()})
				if err != nil {
					t.Fatal(err)
				}
				apply(t, f, testVPC("vpc-a"), testVPC("vpc-b"))
				l := listen(t, f, routerA, "169.254.171.1:80")
				greet(t, l, "a")
				ask(t, f, oneA, "", "169.254.171.1:80")
				startReady(t, f, oneA, Command{Args: []string{self(t)}, Env: testEnv("wait")})
				startReady(t, f, routerB, Command{Args: []string{self(t)}, Env: testEnv("wait")})
				if kind == Netns && len(foreignSpaces(t)) < 7 {
					t.Errorf("%d namespaces for 2 VPCs and 5 instances", len(foreignSpaces(t)))
				}
				if err := f.Close(); err != nil {
					t.Error(err)
				}
			}
			round() // the runtime opens descriptors of its own on first use
			before := countLeftovers(t)
			round()
			var after leftovers
			settle(t, func() bool { after = countLeftovers(t); return after.spaces == 0 && after.children == before.children })
			if after.descriptors > before.descriptors || after.children > before.children || after.spaces != 0 {
				t.Errorf("before %+v, after %+v", before, after)
			}
		})
	}
}

// An instance that takes another's address, as its programs have the power to, is not heard.
func TestSpoofedSource(t *testing.T) {
	needs(t, Netns)
	f := open(t, Config{Kind: Netns})
	apply(t, f, testVPC("vpc-a"))
	s, err := f.seat(oneA)
	if err != nil {
		t.Fatal(err)
	}
	err = s.place.(*spacePlace).space.configure(func(h *netlink.Handle) error {
		link, err := h.LinkByName(instanceDevice)
		if err != nil {
			return err
		}
		return addAddress(h, link, netip.MustParseAddr("10.20.1.11"))
	})
	if err != nil {
		t.Fatal(err)
	}
	packets := func(p Place, at string) net.PacketConn {
		c, err := f.ListenPacket(t.Context(), p, netip.MustParseAddrPort(at))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	resolver := packets(routerA, "10.20.0.2:53")
	for _, source := range []string{"10.20.1.11:5000", "10.20.1.10:5000"} {
		if _, err := packets(oneA, source).WriteTo([]byte(source), resolver.LocalAddr()); err != nil {
			t.Fatal(err)
		}
	}
	b := make([]byte, 64)
	if n, from, err := resolver.ReadFrom(b); err != nil || from.String() != "10.20.1.10:5000" {
		t.Errorf("heard %q from %v (%v)", b[:n], from, err)
	}
}

// settle waits for what the runtime does in its own time: it ends a goroutine's thread after the goroutine.
func settle(t *testing.T, done func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for range 5000 {
		if done() {
			return
		}
		runtime.GC()
		<-tick.C
	}
}

// A terminal's own session gets its signals.
func TestTerminal(t *testing.T) {
	each(t, func(t *testing.T, f *Fabric) {
		master, terminal := openTerminal(t)
		p := start(t, f, oneA, Command{Args: []string{"cat"}, Stdin: terminal, Stdout: terminal, Stderr: terminal, Terminal: true})
		terminal.Close()
		if _, err := master.Write([]byte("ready\n")); err != nil {
			t.Fatal(err)
		}
		for _, writer := range []string{"the terminal", "the program"} {
			if got := strings.TrimSpace(firstLine(t, master)); got != "ready" {
				t.Errorf("%s wrote %q", writer, got)
			}
		}
		if _, err := master.Write([]byte{3}); err != nil { // Ctrl-C
			t.Fatal(err)
		}
		if code, err := p.Wait(); code != 128+2 || err != nil {
			t.Errorf("exit status %d (%v), want that of an interrupt", code, err)
		}
	})
}

func openTerminal(t *testing.T) (master, terminal *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no terminals here: ", err)
	}
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Skip("no terminals here: ", err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Skip("no terminals here: ", err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no terminals here: ", err)
	}
	return master, terminal
}

// Enter leads to a process that may have namespaces; signals reach it, its exit status comes back, and it does not outlive
// the one that entered.
func TestEnter(t *testing.T) {
	needs(t, Netns)
	outer, _ := startEntered(t)
	if err := outer.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if outer.Wait(); outer.ProcessState.ExitCode() != 42 {
		t.Errorf("it ended with %v", outer.ProcessState)
	}
	killed, output := startEntered(t)
	if err := killed.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(output); err != nil || len(rest) > 0 {
		t.Errorf("the inner process wrote %q (%v)", rest, err)
	}
	if killed.Wait(); killed.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("it ended with %v", killed.ProcessState)
	}
}

// startEntered starts the test program "enter" and waits until it is ready. Root has no need to enter, so it does so as nobody.
func startEntered(t *testing.T) (*exec.Cmd, io.Reader) {
	t.Helper()
	c := exec.Command(self(t))
	c.Env, c.Stderr = testEnv("enter"), os.Stderr
	if os.Geteuid() == 0 {
		c.Path, c.Dir = publicSelf(t), "/"
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	output, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Skip("cannot start a program as another user: ", err)
	}
	firstLine(t, output)
	return c, output
}

// publicSelf is this binary where every user may run it.
func publicSelf(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "fabric")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	public := filepath.Join(dir, "fabric.test")
	if err := errors.Join(os.Chmod(dir, 0o755), os.Link(self(t), public)); err != nil {
		t.Skip("cannot show this binary to another user: ", err)
	}
	return public
}

// enter shows that Enter leads to a process that can have namespaces, and that signals and the exit status pass.
func enter() error {
	if err := Enter(Netns); err != nil {
		return err
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	if err := probe(); err != nil {
		return err
	}
	fmt.Println("waiting")
	<-signals
	os.Exit(42)
	return nil
}

func TestParseStat(t *testing.T) {
	const tail = " S 1 2 17 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20"
	for input, want := range map[string]process{
		"42 (sh)" + tail:          {42, 'S', 1, 17, 4711},
		"42 (a (b) c) d)" + tail:  {42, 'S', 1, 17, 4711},
		"42 (sh) S 1 2 3":         {},
		"sh":                      {},
		"x (sh)" + tail:           {},
		"42 (sh) S 1 2 x" + tail:  {},
		"42 (sh" + tail:           {},
		"42 (" + tail:             {},
		"42 ()" + tail + " extra": {42, 'S', 1, 17, 4711},
	} {
		if got, ok := parseStat([]byte(input)); ok && got != want || ok != (want != process{}) {
			t.Errorf("%q: %+v, %v", input, got, ok)
		}
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("42 (a (b) c) S 1 2 17 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20"))
	f.Add([]byte("1 () R"))
	f.Fuzz(func(t *testing.T, b []byte) { parseStat(b) })
}

func BenchmarkApply(b *testing.B) {
	for _, kind := range []string{Netns, Loopback} {
		b.Run(kind, func(b *testing.B) {
			needs(b, kind)
			f := open(b, Config{Kind: kind})
			b.Run("two new VPCs", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					apply(b, f, VPC{ID: "vpc-a", CIDR: testVPC("").CIDR}, VPC{ID: "vpc-b", CIDR: testVPC("").CIDR})
					b.StopTimer()
					apply(b, f)
					b.StartTimer()
				}
			})
			b.Run("two new instances", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					apply(b, f, testVPC("vpc-a"))
					b.StopTimer()
					apply(b, f, VPC{ID: "vpc-a", CIDR: testVPC("").CIDR})
					b.StartTimer()
				}
			})
			b.Run("no change", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					apply(b, f, testVPC("vpc-a"))
				}
			})
		})
	}
}

func BenchmarkSpace(b *testing.B) {
	needs(b, Netns)
	s, err := newSpace()
	if err != nil {
		b.Fatal(err)
	}
	defer s.close()
	b.Run("call", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := s.do(context.Background(), func() error { return nil }); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("socket", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			fd, err := s.socket(context.Background(), unix.AF_INET)
			if err != nil {
				b.Fatal(err)
			}
			unix.Close(fd)
		}
	})
}

func BenchmarkDial(b *testing.B) {
	for _, kind := range []string{Netns, Loopback} {
		b.Run(kind, func(b *testing.B) {
			needs(b, kind)
			f := open(b, Config{Kind: kind})
			apply(b, f, testVPC("vpc-a"))
			greet(b, listen(b, f, oneA, "10.20.1.10:8080"), "a")
			b.ReportAllocs()
			for b.Loop() {
				dial(b, f, routerA, "169.254.171.7", "10.20.1.10:8080").Close()
			}
		})
	}
}

func BenchmarkStart(b *testing.B) {
	for _, kind := range []string{Netns, Loopback} {
		b.Run(kind, func(b *testing.B) {
			needs(b, kind)
			f := open(b, Config{Kind: kind})
			apply(b, f, testVPC("vpc-a"))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := start(b, f, oneA, Command{Args: []string{"true"}}).Wait(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
