package node

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"pergola/bound"
	"pergola/containment"
)

// APIAddress is where the deployment's API answers in every VPC, by plain HTTP.
var APIAddress = netip.MustParseAddrPort("169.254.169.252:80")

// maxAPIConnections is how many connections from within VPCs to the API there may be at once, shared out as bound.Pool
// says, and maxClientAPIConnections how many of one client; further ones are closed.
const (
	maxAPIConnections       = 2048
	maxClientAPIConnections = 32
)

// apiIdle is how long such a connection may be silent in both directions.
const apiIdle = 2 * time.Minute

// Origin is where a connection to the API comes from. A node writes it as a line before what the client sends, to a
// socket that only the deployment's user can open: so the API may believe it.
type Origin struct {
	VPC     string
	Address netip.AddrPort
}

// maxOrigin is how long the line of an Origin may be, in bytes.
const maxOrigin = 128

// errOrigin refuses a line that is no Origin.
var errOrigin = errors.New("a connection to the API from a VPC does not begin with a line that says where " +
	"it comes from")

// String is the line, without its end.
func (o Origin) String() string { return "from " + o.VPC + " " + o.Address.String() }

// ParseOrigin reads the line, with its end or without.
func ParseOrigin(line string) (Origin, error) {
	fields := strings.Split(strings.TrimSuffix(line, "\n"), " ")
	if len(fields) != 3 || fields[0] != "from" || fields[1] == "" {
		return Origin{}, errOrigin
	}
	address, err := netip.ParseAddrPort(fields[2])
	if err != nil {
		return Origin{}, errOrigin
	}
	return Origin{fields[1], address}, nil
}

// ReadOrigin reads the line from a connection, and nothing behind it.
func ReadOrigin(r io.Reader) (Origin, error) {
	line, err := bufio.NewReaderSize(byteByByte{io.LimitReader(r, maxOrigin)}, maxOrigin).ReadString('\n')
	if err != nil {
		return Origin{}, err
	}
	return ParseOrigin(line)
}

// byteByByte reads no more than what is asked for.
type byteByByte struct{ io.Reader }

func (r byteByByte) Read(b []byte) (int, error) { return r.Reader.Read(b[:min(1, len(b))]) }

// inward carries connections of VPCs to the API.
type inward struct {
	socket string
	log    *slog.Logger
	open   *bound.Pool
}

func newInward(cfg Config) *inward {
	if cfg.API == "" {
		return nil
	}
	// Each takes two descriptors.
	return &inward{cfg.API, cfg.Logger, bound.NewPool(int64(containment.Portion(maxAPIConnections, 32)),
		maxClientAPIConnections)}
}

// serve carries the connections of one VPC until ctx ends.
func (i *inward) serve(ctx context.Context, vpcID string, listener net.Listener) error {
	var carrying sync.WaitGroup
	defer carrying.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = listener.Close() })()
	return containment.Accept(ctx, i.log, "the API in a VPC", listener.Accept, func(conn net.Conn) {
		from, err := netip.ParseAddrPort(conn.RemoteAddr().String())
		origin := Origin{vpcID, netip.AddrPortFrom(from.Addr().Unmap(), from.Port())}
		if err != nil {
			_ = conn.Close()
			return
		}
		place := i.open.Enter(vpcID, origin.Address.Addr())
		if place == nil {
			_ = conn.Close()
			return
		}
		carrying.Go(func() {
			defer place.Leave()
			_ = containment.Do(i.log, "a connection to the API", func() error { // it is logged there
				i.carry(ctx, conn, origin)
				return nil
			}, "vpc", vpcID)
		})
	})
}

// carry carries one connection until either side ends it or both are silent.
func (i *inward) carry(ctx context.Context, conn net.Conn, origin Origin) {
	defer conn.Close()
	api, err := new(net.Dialer).DialContext(ctx, "unix", i.socket)
	if err != nil {
		if ctx.Err() == nil {
			i.log.Warn("the API cannot be reached from a VPC", "vpc", origin.VPC, "error", err)
		}
		return
	}
	defer api.Close()
	defer context.AfterFunc(ctx, func() { _, _ = conn.Close(), api.Close() })()
	if _, err := io.WriteString(api, origin.String()+"\n"); err != nil {
		return
	}
	quiet := time.AfterFunc(apiIdle, func() { _, _ = conn.Close(), api.Close() })
	defer quiet.Stop()
	var sending sync.WaitGroup
	sending.Go(func() { copyAwake(api, conn, quiet) })
	copyAwake(conn, api, quiet)
	_ = conn.Close() // the API has said all that it will
	sending.Wait()
}

// copyAwake copies until the source ends, and says then that there is no more; each piece puts the timer back.
func copyAwake(to, from net.Conn, quiet *time.Timer) {
	buffer := make([]byte, 16<<10)
	for {
		n, err := from.Read(buffer)
		quiet.Reset(apiIdle)
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				_ = from.Close()
				return
			}
		}
		if err != nil {
			if half, ok := to.(interface{ CloseWrite() error }); ok {
				_ = half.CloseWrite() // the other direction shows what it fails by
			}
			return
		}
	}
}
