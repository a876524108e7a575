package fabric

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"pergola/addressing"
	"pergola/fabric/packetfilter"
)

// controlPlane is where a deployment's API answers in each VPC. AWS keeps the range for itself and has no use for this
// address that it documents (169.254.169.123, .250, .251, .253 and .254 are taken).
var controlPlane = netip.MustParseAddr("169.254.169.252")

// Router is how a packet filter sees the router of a VPC: its own addresses are never filtered, and the IPv6 addresses
// that stand for IPv4 ones are judged as these.
func Router(cidr netip.Prefix) packetfilter.Router {
	return packetfilter.Router{
		Unfiltered: []netip.Addr{addressing.Router(cidr), addressing.Resolver(cidr), resolverLink, metadata, controlPlane},
		Embedded: []netip.Prefix{netip.PrefixFrom(addressing.ServiceNetworks6.Addr(), embeddedBits),
			netip.PrefixFrom(instances6.Addr(), embeddedBits)},
	}
}

// embeddedBits is how many bits of an address come before the IPv4 address in it.
const embeddedBits = 96

// filtering is a VPC's filter: as declared, and with the short-lived instances, which nobody declares.
type filtering struct {
	declared *packetfilter.Filter
	whole    *packetfilter.Filter
	extra    []Instance
}

// filterOf is what a VPC's filter should be, with its short-lived instances and those about to be made.
func (f *Fabric) filterOf(v *vpc, declared *packetfilter.Filter, more ...Instance) filtering {
	if declared == nil {
		return filtering{}
	}
	extra := more
	for _, i := range f.instancesOf(v) {
		if i.shortLived {
			extra = append(extra, i.Instance)
		}
	}
	slices.SortFunc(extra, func(a, b Instance) int { return a.Address.Compare(b.Address) })
	if declared == v.filter.declared && slices.Equal(extra, v.filter.extra) {
		return v.filter
	}
	whole := *declared
	whole.Interfaces = slices.Clip(declared.Interfaces)
	for _, i := range extra {
		whole.Interfaces = append(whole.Interfaces, packetfilter.Interface{ID: i.ID, Addresses: []netip.Addr{i.Address},
			Groups: declared.ShortLived})
	}
	return filtering{declared, &whole, extra}
}

// enforce makes a VPC's filter hold. The caller holds changing.
func (f *Fabric) enforce(v *vpc, next filtering) error {
	if next.whole == v.filter.whole {
		return nil
	}
	if err := v.gate.enforce(next.whole); err != nil {
		return fmt.Errorf("fabric: filter the packets of %s: %w", v.ID, err)
	}
	v.filter = next
	return nil
}

// Judge tells, gate by gate, what becomes in a VPC of a client's connecting from an address to a TCP port; nil where
// nothing is filtered. The last step may be that the packet, or its answer, is dropped.
func (f *Fabric) Judge(vpc string, from netip.Addr, to netip.AddrPort) []packetfilter.Step {
	v := f.vpc(vpc)
	if v == nil {
		return nil
	}
	return v.gate.judge(connecting(from, to))
}

func connecting(from netip.Addr, to netip.AddrPort) packetfilter.Flow {
	return packetfilter.Flow{Protocol: syscall.IPPROTO_TCP, From: netip.AddrPortFrom(from, anyPort), To: to}
}

// blame gives an error of connecting the step that is to blame for it, if it is that nobody answered.
func (f *Fabric) blame(err error, p Place, local netip.Addr, remote netip.AddrPort) error {
	if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, syscall.ETIMEDOUT) {
		return err
	}
	if !local.IsValid() {
		local = f.addressOf(p)
	}
	if steps := f.Judge(p.VPC, local, remote); !packetfilter.Passed(steps) {
		return &packetfilter.DroppedError{Step: steps[len(steps)-1], Err: err}
	}
	return err
}

// Drops are the packets that a VPC's filter dropped, by gate and rule. On loopback they are connections.
func (f *Fabric) Drops(vpc string) ([]packetfilter.Drop, error) {
	f.changing.Lock()
	defer f.changing.Unlock()
	v := f.vpc(vpc)
	if v == nil {
		return nil, fmt.Errorf("fabric: read the dropped packets of %s: %w", vpc, ErrNoPlace)
	}
	drops, err := v.gate.drops()
	if err != nil {
		return nil, fmt.Errorf("fabric: read the dropped packets of %s: %w", vpc, err)
	}
	return drops, nil
}

// silence is how long a connection is held that the filter of a loopback fabric drops, if nobody ends it before.
const silence = 127 * time.Second

// anyPort stands for the port that a client will have.
const anyPort = 49152

// errDropped is what the proxy is told about a connection that is to be held.
var errDropped = errors.New("dropped by the packet filter")

// loopbackFilter judges the connections of a VPC in a loopback fabric, where there are no packets.
type loopbackFilter struct {
	mu     sync.Mutex // guards what follows
	model  *packetfilter.Model
	counts packetfilter.Counts
}

func (r *loopbackRouter) enforce(f *packetfilter.Filter) error {
	model, err := packetfilter.NewModel(f, Router(r.vpc.CIDR))
	if err != nil {
		return err
	}
	r.filter.mu.Lock()
	defer r.filter.mu.Unlock()
	r.filter.model = model
	return nil
}

func (r *loopbackRouter) judge(f packetfilter.Flow) []packetfilter.Step { return r.filter.judge(f) }

func (l *loopbackFilter) judge(f packetfilter.Flow) []packetfilter.Step {
	l.mu.Lock()
	model := l.model
	l.mu.Unlock()
	return model.Connection(f)
}

func (r *loopbackRouter) drops() ([]packetfilter.Drop, error) {
	r.filter.mu.Lock()
	defer r.filter.mu.Unlock()
	return r.filter.counts.Drops(), nil
}

// drops reports whether a connection would not come about, and counts it then.
func (l *loopbackFilter) drops(from netip.Addr, to netip.AddrPort) bool {
	steps := l.judge(connecting(from, to))
	if packetfilter.Passed(steps) {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts.Add(steps[len(steps)-1], 1)
	return true
}

// keepSilent waits as one does for an answer that does not come.
func keepSilent(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(silence):
		return syscall.ETIMEDOUT
	}
}

// hush says nothing to a client until it gives up.
func hush(c net.Conn, r io.Reader) {
	c.SetDeadline(time.Now().Add(silence))
	io.Copy(io.Discard, r)
}
