package fabric

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"pergola/addressing"
	"pergola/fabric/packetfilter"
)

// enteredVariable tells a process that it runs in the user namespace that Enter made for it.
const enteredVariable = "PERGOLA_USER_NAMESPACE"

// Enter prepares the process for the kind of fabric it wants; call it after Main and before anything else starts. A process
// that may make network namespaces, or wants a loopback fabric, goes on at once. Another is started again in a user namespace
// of its own, in which it may: the first process then passes signals on, ends with the second's exit status, and never
// returns from here. Where user namespaces are refused, Enter returns an error for Netns and nil for Auto, whose Open then
// gives the reason.
func Enter(kind string) error {
	entered := os.Getenv(enteredVariable) != ""
	os.Unsetenv(enteredVariable)
	if kind == Loopback || entered || probe() == nil {
		return nil
	}
	if err := probeUserNamespace(); err != nil {
		if kind == Netns {
			return fmt.Errorf("fabric: network namespaces are not available: %w; use loopback", err)
		}
		return nil
	}
	code, err := runEntered()
	if err != nil {
		return fmt.Errorf("fabric: enter a user namespace: %w", err)
	}
	os.Exit(code)
	return nil
}

// refusal says why this process cannot have a netns fabric, nil if it can.
func refusal() error {
	err := probe()
	if err == nil {
		return nil
	}
	if own := probeUserNamespace(); own != nil {
		return fmt.Errorf("%w; and in a user namespace of its own: %w", err, own)
	}
	return fmt.Errorf("%w; a user namespace of its own would do, see Enter", err)
}

// probe makes a VPC of one instance, filters its packets, and takes it down again.
func probe() error {
	router, err := newSpace()
	if err != nil {
		return explain(err)
	}
	defer router.close()
	instance, err := newSpace()
	if err != nil {
		return explain(err)
	}
	defer instance.close()
	cidr := netip.MustParsePrefix("10.0.0.0/28")
	if err := wireRouter(router, cidr); err != nil {
		return explain(err)
	}
	if err := wireInstance(router, instance, "i0", cidr, addressing.Nth(cidr, addressing.ReservedHead)); err != nil {
		return explain(err)
	}
	if err := probeFilter(router, cidr); err != nil {
		return fmt.Errorf("filter packets: %w (the kernel needs nf_tables, nft_ct and nf_conntrack)", explain(err))
	}
	return nil
}

// probeFilter has the kernel enforce a filter with something of each kind.
func probeFilter(router *space, cidr netip.Prefix) (err error) {
	e, err := packetfilter.NewEnforcer(func(do func() error) error { return router.do(context.Background(), do) },
		Router(cidr))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	const list = "list"
	tcp := packetfilter.Traffic{Protocol: unix.IPPROTO_TCP, From: 80, To: 80}
	return e.Apply(&packetfilter.Filter{
		Groups: []*packetfilter.Group{{ID: "group", Rules: []packetfilter.Rule{
			{ID: "1", Traffic: tcp, Peer: packetfilter.Peer{List: list}},
			{ID: "2", Traffic: tcp, Peer: packetfilter.Peer{Group: "group"}, Egress: true}}}},
		Lists:   []*packetfilter.List{{ID: list, Prefixes: []netip.Prefix{cidr}}},
		ACLs:    []*packetfilter.ACL{{ID: "acl", Rules: []packetfilter.ACLRule{{Number: 1, Traffic: tcp, Prefix: cidr}}}},
		Subnets: []packetfilter.Subnet{{ID: "subnet", Prefixes: []netip.Prefix{cidr}, ACL: "acl"}},
		Interfaces: []packetfilter.Interface{{ID: "interface", Groups: []string{"group"},
			Addresses: []netip.Addr{addressing.Nth(cidr, addressing.ReservedHead)}}},
	})
}

// explain adds the way out to the errors that have one.
func explain(err error) error {
	switch {
	case errors.Is(err, unix.ENOSPC):
		return fmt.Errorf("%w (see the sysctls user.max_net_namespaces and user.max_user_namespaces)", err)
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return fmt.Errorf("%w (the process lacks CAP_SYS_ADMIN or CAP_NET_ADMIN; a container, kernel.unprivileged_userns_clone or kernel.apparmor_restrict_unprivileged_userns may refuse them)", err)
	}
	return err
}

// probeUserNamespace tries the same as probe in a user namespace, by running this program for it.
func probeUserNamespace() error {
	self, err := ownPath()
	if err != nil {
		return err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer read.Close()
	process, err := os.StartProcess(self, []string{probeStage}, &os.ProcAttr{
		Env: os.Environ(), Files: []*os.File{nil, write, nil}, Sys: userNamespace(),
	})
	write.Close()
	if err != nil {
		return explain(fmt.Errorf("make a user namespace: %w", err))
	}
	report, readErr := io.ReadAll(read)
	state, err := process.Wait()
	if err := errors.Join(readErr, err); err != nil {
		return err
	}
	if !state.Success() {
		return fmt.Errorf("%s", report)
	}
	return nil
}

// runProbeStage is the other half of probeUserNamespace.
func runProbeStage() int {
	if err := probe(); err != nil {
		fmt.Print(err)
		return 1
	}
	return 0
}

// userNamespace maps the user to root inside, which gives no power over anything outside.
func userNamespace() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
	}
}

// runEntered runs this program again in a user namespace and gives its exit status. The inner process has a process group of
// its own, so that a terminal's Ctrl-C reaches it once, by way of this one, and dies with this one: the kernel watches the
// thread that started it, which therefore stays.
func runEntered() (int, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2)
	defer signal.Stop(signals)
	self, err := os.Executable() // by its file's name, which is what ps then shows
	if err != nil {
		return 0, err
	}
	attr := userNamespace()
	attr.Setpgid, attr.Pdeathsig = true, unix.SIGKILL
	process, err := os.StartProcess(self, os.Args, &os.ProcAttr{
		Env: append(os.Environ(), enteredVariable+"=1"), Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}, Sys: attr,
	})
	if err != nil {
		return 0, err
	}
	inner := &Process{process: process, exited: make(chan struct{})}
	go inner.await()
	for {
		select {
		case s := <-signals:
			_ = process.Signal(s) // it fails only when the process has ended, which comes next
		case <-inner.exited:
			return inner.code, inner.err
		}
	}
}
