// Package fabric runs VPC networks on this host.
//
// A VPC is an address range with a router and instances. The router answers for the addresses that AWS keeps for itself in
// every VPC: the first address of the range, the resolver at the second, 169.254.169.253 and .254, the service
// network's 169.254.171.0/24 with its IPv6 form, and 129.224.0.0/17, where resources are reached (Intercept). A node
// opens its own sockets at the router of each VPC (Listen, Dial) and programs run in instances (Start). Two VPCs may
// have the very same addresses.
//
// There are two kinds. In "netns" every router and every instance is a Linux network namespace, so addresses, ports, resolvers
// and silence are real; no root is needed, see Enter. In "loopback", for every other system, a VPC is a slice of 127.0.0.0/8
// with an HTTP and SOCKS5 proxy through which its programs reach the service network; addresses are translated in this process.
//
// A program that uses a fabric calls Main first, because instances are started by running that program again.
package fabric

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"

	"pergola/fabric/packetfilter"
)

// The kinds of fabric.
const (
	Auto     = "auto"     // netns where it works, otherwise loopback
	Netns    = "netns"    // Linux network namespaces
	Loopback = "loopback" // addresses of 127.0.0.0/8 and a proxy
)

// ErrNoPlace is wrapped by errors about a VPC or instance that the fabric does not have.
var ErrNoPlace = errors.New("no such place in the fabric")

// ErrInUse is wrapped when another process runs a fabric with the same state directory.
var ErrInUse = errors.New("in use by another process")

// VPC is a network that should exist.
type VPC struct {
	ID        string       // as addressing.CheckID has it, such as vpc-0123456789abcdef0
	CIDR      netip.Prefix // as addressing.CheckVPC has it
	Instances []Instance
	// Filter is which packets pass. Nil lets all pass. It names the instances' addresses by its interfaces.
	Filter *packetfilter.Filter
}

// Instance is a machine that should exist in a VPC.
type Instance struct {
	ID      string     // unique in its VPC; like a VPC's
	Address netip.Addr // as addressing.CheckInstance has it
}

// Place is where a socket is opened or a program runs. An empty Instance is the VPC's router; a program started there gets a
// short-lived instance of its own.
type Place struct {
	VPC      string
	Instance string
}

// String is the VPC's id, or the VPC's and the instance's.
func (p Place) String() string {
	if p.Instance == "" {
		return p.VPC
	}
	return p.VPC + "/" + p.Instance
}

// Config says how to open a fabric.
type Config struct {
	// Kind is Auto (the default when empty), Netns or Loopback.
	Kind string
	// StateDir is a directory of this fabric's own, created with mode 0700. It remembers running programs, so that those
	// of a process that crashed are ended by the next Open. Required.
	StateDir string
	// Logger receives what the fabric handles itself. Nil discards it.
	Logger *slog.Logger
	// Resolve answers a name as the VPC's resolver would. Only the loopback proxy asks. Nil knows no name.
	Resolve func(ctx context.Context, vpc, name string) ([]netip.Addr, error)
	// Private is what programs in instances do not see, where this host has a means for that.
	Private Private
	// Rand is the source of the loopback proxy's passwords. Nil is crypto/rand.
	Rand io.Reader
}

// Fabric is the set of VPC networks of one process. Its methods may be called at the same time.
type Fabric struct {
	kind     string
	reason   string
	network  network
	records  *records
	log      *slog.Logger
	host     *seat // for programs outside of all VPCs
	stateDir string
	// resolvers are this host's, for cells.
	resolvers func() []netip.AddrPort
	means     Means // by which programs of instances do not see what is private
	private   Private
	watch     sync.WaitGroup // counts the programs that start or run
	warn      sync.Once      // says once that resolv.conf cannot be replaced

	changing sync.Mutex // held while the set of places changes: Apply, a short-lived instance, Close

	mu     sync.RWMutex // guards what follows, never held across a system call
	vpcs   map[string]*vpc
	closed bool
}

// network is the half in which the kinds differ.
type network interface {
	addRouter(VPC) (router, error)
	addInstance(r router, v VPC, i Instance) (place, error)
}

// place is one router or instance that exists. Both kinds implement all of it, and nothing else does.
type place interface {
	listen(ctx context.Context, network string, at netip.AddrPort) (net.Listener, error)
	listenPacket(ctx context.Context, at netip.AddrPort) (net.PacketConn, error)
	dial(ctx context.Context, local netip.Addr, remote netip.AddrPort) (net.Conn, error)
	spawn(s *spawning) (*os.Process, error)
	remove() error
}

// router is the place of a VPC's router, where its packets are filtered.
type router interface {
	place
	// enforce lets pass what a filter lets pass, from now on; nil is all. After an error the filter before holds.
	enforce(*packetfilter.Filter) error
	judge(packetfilter.Flow) []packetfilter.Step
	drops() ([]packetfilter.Drop, error)
	// intercept listens on every port of every address of a range of the router's own.
	intercept(ctx context.Context, of netip.Prefix) (net.Listener, error)
}

// Open makes an empty fabric and ends the programs that an earlier process left behind in the same StateDir.
func Open(c Config) (*Fabric, error) {
	if c.StateDir == "" {
		return nil, errors.New("fabric: no StateDir given; name a directory of its own")
	}
	if !isMainCalled.Load() {
		return nil, errors.New("fabric: this program does not call fabric.Main; call it first in main and in TestMain")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Resolve == nil {
		c.Resolve = func(context.Context, string, string) ([]netip.Addr, error) { return nil, nil }
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	kind, reason, err := choose(c.Kind)
	if err != nil {
		return nil, err
	}
	if c.StateDir, err = filepath.Abs(c.StateDir); err != nil { // programs start elsewhere
		return nil, fmt.Errorf("fabric: %w", err)
	}
	records, err := openRecords(c.StateDir)
	if err != nil {
		return nil, err
	}
	f := &Fabric{kind: kind, reason: reason, stateDir: c.StateDir, records: records, log: c.Logger,
		host: newSeat(hostPlace{}), vpcs: map[string]*vpc{}}
	f.resolvers = func() []netip.AddrPort {
		servers, _ := readResolv(hostResolv)
		return servers
	}
	if err := f.hide(c.Private); err != nil {
		return nil, errors.Join(err, records.close())
	}
	if kind == Netns {
		f.network, err = openNetns(filepath.Join(c.StateDir, "resolv"), c.Logger)
	} else {
		f.network = openLoopback(c)
	}
	if err != nil {
		return nil, errors.Join(err, records.close())
	}
	return f, nil
}

// hide finds out how programs of instances are kept from seeing what is private.
func (f *Fabric) hide(private Private) (err error) {
	if private.Dir != "" {
		if private.Dir, err = realPath(private.Dir); err != nil {
			return fmt.Errorf("fabric: %w", err)
		}
		for i, file := range private.Shown {
			private.Shown[i] = filepath.Join(private.Dir, filepath.Base(file))
		}
	}
	var reason string
	f.private = private
	f.means, reason = confines(private, false)
	if private.Dir == "" {
		return nil
	}
	if f.means == ByNothing {
		f.log.Warn("programs in instances can read the private directory: nothing here hides it", "directory", private.Dir,
			"reason", reason)
		return nil
	}
	f.log.Info("programs in instances do not see the private directory", "directory", private.Dir, "means", f.means,
		"reason", reason)
	return nil
}

// realPath is a directory's path without links, as mounts have it.
func realPath(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(dir)
}

// Confines is the strongest means by which this host can confine programs, and why not by a stronger one.
func (f *Fabric) Confines() (means Means, reason string) { return confines(f.private, true) }

// choose turns a configured kind into Netns or Loopback, and says why Auto came to Loopback.
func choose(kind string) (chosen, reason string, err error) {
	switch kind {
	case Loopback:
		return Loopback, "", nil
	case Netns:
		if err := refusal(); err != nil {
			return "", "", fmt.Errorf("fabric: network namespaces are not available: %w; use loopback", err)
		}
		return Netns, "", nil
	case Auto, "":
		if err := refusal(); err != nil {
			return Loopback, err.Error(), nil
		}
		return Netns, "", nil
	}
	return "", "", CheckKind(kind)
}

// CheckKind refuses what is no kind of fabric.
func CheckKind(kind string) error {
	switch kind {
	case Auto, Netns, Loopback, "":
		return nil
	}
	return fmt.Errorf("fabric: unknown kind %q; use auto, netns or loopback", kind)
}

// Name is Netns or Loopback.
func (f *Fabric) Name() string { return f.kind }

// Reason says why Auto became Loopback; it is empty otherwise.
func (f *Fabric) Reason() string { return f.reason }

// Listen opens a TCP listener ("tcp4" or "tcp6") at a place. It ends with the place. In a loopback fabric a router's listener
// is real on another port, and reached through the fabric only; an unspecified address means the place's own.
func (f *Fabric) Listen(ctx context.Context, p Place, network string, at netip.AddrPort) (net.Listener, error) {
	s, err := f.seat(p)
	if err != nil {
		return nil, fmt.Errorf("fabric: listen: %w", err)
	}
	l, err := s.place.listen(ctx, network, at)
	if err != nil {
		return nil, fmt.Errorf("fabric: listen on %v in %v: %w", at, p, err)
	}
	held := &listener{Listener: l, seat: s}
	if !s.adopt(held, func() { l.Close() }) {
		return nil, errors.Join(fmt.Errorf("fabric: listen in %v: %w", p, ErrNoPlace), l.Close())
	}
	return held, nil
}

// ListenPacket opens a UDP socket at a place. It ends with the place.
func (f *Fabric) ListenPacket(ctx context.Context, p Place, at netip.AddrPort) (net.PacketConn, error) {
	s, err := f.seat(p)
	if err != nil {
		return nil, fmt.Errorf("fabric: listen: %w", err)
	}
	c, err := s.place.listenPacket(ctx, at)
	if err != nil {
		return nil, fmt.Errorf("fabric: listen on %v in %v: %w", at, p, err)
	}
	held := &packetConn{PacketConn: c, seat: s}
	if !s.adopt(held, func() { c.Close() }) {
		return nil, errors.Join(fmt.Errorf("fabric: listen in %v: %w", p, ErrNoPlace), c.Close())
	}
	return held, nil
}

// Dial opens a TCP connection from a place. An invalid local address leaves the choice to the place: an instance's own
// address, a router's first address of the range. The error is a *net.OpError, and wraps a *packetfilter.DroppedError
// where nobody answers because the VPC's filter drops the packets.
func (f *Fabric) Dial(ctx context.Context, p Place, local netip.Addr, remote netip.AddrPort) (net.Conn, error) {
	s, err := f.seat(p)
	if err == nil {
		var c net.Conn
		if c, err = s.place.dial(ctx, local, remote); err == nil {
			return c, nil
		}
		err = f.blame(err, p, local, remote)
	}
	return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: net.TCPAddrFromAddrPort(remote), Err: err}
}

// Close ends all programs and removes all that the fabric made. Connections that callers hold remain theirs to close. Closing
// twice is no error.
func (f *Fabric) Close() error {
	if !f.shut() {
		return nil
	}
	err := f.removeAll()
	f.watch.Wait()
	return errors.Join(err, f.records.close())
}

// shut marks the fabric closed, and reports whether this call did.
func (f *Fabric) shut() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	first := !f.closed
	f.closed = true
	return first
}

// begin counts a program that is about to start among those that Close waits for, unless Close has begun.
func (f *Fabric) begin() error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.closed {
		return fmt.Errorf("fabric: start: %w", net.ErrClosed)
	}
	f.watch.Add(1)
	return nil
}

func (f *Fabric) removeAll() error {
	f.changing.Lock()
	defer f.changing.Unlock()
	var errs []error
	for _, v := range f.all() {
		errs = append(errs, f.removeVPC(v))
	}
	errs = append(errs, f.host.remove())
	return errors.Join(errs...)
}
