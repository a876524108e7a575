package fabric

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// programVariable makes this test binary one of the programs that tests run in instances.
const programVariable = "FABRIC_TEST_PROGRAM"

func TestMain(m *testing.M) {
	Main()
	if name := os.Getenv(programVariable); name != "" {
		os.Exit(testProgram(name, os.Args[1:]))
	}
	if err := Enter(Auto); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

func testProgram(name string, args []string) int {
	var err error
	switch name {
	case "get":
		err = get(args[0])
	case "wait":
		fmt.Println("waiting")
		select {}
	case "trap":
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, syscall.SIGUSR1)
		fmt.Println("waiting")
		<-signals
		return 7
	case "serve":
		err = serve()
	case "crash":
		err = crash(args[0], args[1])
	case "enter":
		err = enter()
	case "flush":
		err = flush(args[0])
	case "attempt":
		attempt(args)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// get prints what a URL answers, through the proxy that the environment names.
func get(url string) error {
	response, err := http.Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(os.Stdout, response.Body)
	return err
}

// attempt tries what it is told and prints what came of each: "could", or the error. The words are read PATH, write
// PATH, list PATH, fill DIR (up to 8 MiB), dial NETWORK ADDRESS, ask ADDRESS (which must say something), question
// ADDRESS (by UDP) and remount PATH.
func attempt(words []string) {
	for len(words) > 0 {
		var err error
		used := 2
		switch words[0] {
		case "read":
			_, err = os.ReadFile(words[1])
		case "list":
			_, err = os.ReadDir(words[1])
		case "write":
			err = os.WriteFile(words[1], []byte("written"), 0o600)
		case "fill":
			for n := 0; n < 8 && err == nil; n++ {
				err = os.WriteFile(fmt.Sprintf("%s/%d", words[1], n), make([]byte, 1<<20), 0o600)
			}
		case "dial":
			used = 3
			var c net.Conn
			if c, err = net.DialTimeout(words[1], words[2], time.Second); err == nil {
				c.Close()
			}
		case "ask": // a connection may open on the way, and be reset at its end
			var c net.Conn
			if c, err = net.DialTimeout("tcp", words[1], time.Second); err == nil {
				var b []byte
				if b, err = io.ReadAll(c); err == nil && len(b) == 0 {
					err = io.ErrUnexpectedEOF
				}
				c.Close()
			}
		case "question":
			var c net.Conn
			if c, err = net.Dial("udp", words[1]); err == nil {
				b := make([]byte, 512)
				fmt.Fprint(c, "question")
				c.SetDeadline(time.Now().Add(5 * time.Second))
				var n int
				if n, err = c.Read(b); err == nil {
					fmt.Println(string(b[:n]))
				}
				c.Close()
			}
		case "remount":
			err = remount(words[1])
		}
		if err == nil {
			fmt.Println("could")
		} else {
			fmt.Println(err)
		}
		words = words[used:]
	}
}

// serve answers one connection at the instance's own address with the client's.
func serve() error {
	l, err := net.Listen("tcp4", net.JoinHostPort(os.Getenv("PERGOLA_ADDRESS"), "8080"))
	if err != nil {
		return err
	}
	fmt.Println("waiting")
	c, err := l.Accept()
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = fmt.Fprintf(c, "%v", c.RemoteAddr())
	return err
}

// crash starts a program with a child and waits to be killed.
func crash(kind, dir string) error {
	f, err := Open(Config{Kind: kind, StateDir: dir})
	if err != nil {
		return err
	}
	if err := f.Apply(context.Background(), []VPC{testVPC("vpc-a")}); err != nil {
		return err
	}
	p, err := f.Start(context.Background(), Place{"vpc-a", "i-1"}, Command{
		Args: []string{"/bin/sh", "-c", "sleep 1000 & echo $! ; wait"}, Stdout: os.Stdout,
	})
	if err != nil {
		return err
	}
	fmt.Println(p.Pid())
	select {}
}

func testVPC(id string) VPC {
	return VPC{ID: id, CIDR: netip.MustParsePrefix("10.20.0.0/16"), Instances: []Instance{
		{ID: "i-1", Address: netip.MustParseAddr("10.20.1.10")},
		{ID: "i-2", Address: netip.MustParseAddr("10.20.1.11")},
	}}
}

// each runs a test against both kinds, in a fabric with two VPCs of the same addresses.
func each(t *testing.T, test func(t *testing.T, f *Fabric)) {
	for _, kind := range []string{Netns, Loopback} {
		t.Run(kind, func(t *testing.T) {
			needs(t, kind)
			f := open(t, Config{Kind: kind})
			apply(t, f, testVPC("vpc-a"), testVPC("vpc-b"))
			test(t, f)
		})
	}
}

func needs(t testing.TB, kind string) {
	t.Helper()
	if kind == Netns {
		if err := refusal(); err != nil {
			t.Skip("no network namespaces here: ", err)
		}
	}
}

func open(t testing.TB, c Config) *Fabric {
	t.Helper()
	if c.StateDir == "" {
		c.StateDir = t.TempDir()
	}
	f, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error("close: ", err)
		}
	})
	return f
}

func apply(t testing.TB, f *Fabric, vpcs ...VPC) {
	t.Helper()
	if err := f.Apply(t.Context(), vpcs); err != nil {
		t.Fatal(err)
	}
}

func listen(t testing.TB, f *Fabric, p Place, at string) net.Listener {
	t.Helper()
	a := netip.MustParseAddrPort(at)
	network := "tcp4"
	if a.Addr().Is6() {
		network = "tcp6"
	}
	l, err := f.Listen(t.Context(), p, network, a)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// greet answers every connection with a name and the client's address.
func greet(t testing.TB, l net.Listener, name string) {
	done := make(chan struct{})
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprintf(c, "%s %v", name, c.RemoteAddr().(*net.TCPAddr).IP)
			c.Close()
		}
	}()
}

func dial(t testing.TB, f *Fabric, p Place, local, remote string) net.Conn {
	t.Helper()
	var from netip.Addr
	if local != "" {
		from = netip.MustParseAddr(local)
	}
	c, err := f.Dial(t.Context(), p, from, netip.MustParseAddrPort(remote))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// ask is what a greeter answers.
func ask(t testing.TB, f *Fabric, p Place, local, remote string) string {
	t.Helper()
	c := dial(t, f, p, local, remote)
	defer c.Close()
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// firstLine reads a program's first line, which it writes when it is ready.
func firstLine(t testing.TB, r io.Reader) string {
	t.Helper()
	var line strings.Builder
	for b := make([]byte, 1); ; {
		if _, err := r.Read(b); err != nil {
			t.Fatalf("after %q: %v", line.String(), err)
		}
		if b[0] == '\n' {
			return line.String()
		}
		line.Write(b)
	}
}
