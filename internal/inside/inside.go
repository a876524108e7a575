// Package inside lets our own programs act from within a VPC, as programs in an instance do: listen on the instance's
// address, ask its resolver, call from its address. It serves the demo, the test environment and the benchmarks.
package inside

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"pergola/fabric"
)

// Instance is an instance to act from.
type Instance struct {
	Fabric  *fabric.Fabric
	VPC, ID string
	Address netip.Addr
	// Resolver is the VPC's resolver: base plus two.
	Resolver netip.Addr
}

func (i Instance) place() fabric.Place { return fabric.Place{VPC: i.VPC, Instance: i.ID} }

// Listen listens on a TCP port of the instance.
func (i Instance) Listen(ctx context.Context, port uint16) (net.Listener, error) {
	return i.Fabric.Listen(ctx, i.place(), "tcp", netip.AddrPortFrom(i.Address, port))
}

// Dial connects from the instance to an address of its VPC's world.
func (i Instance) Dial(ctx context.Context, remote netip.AddrPort) (net.Conn, error) {
	return i.Fabric.Dial(ctx, i.place(), netip.Addr{}, remote)
}

// Lookup asks the VPC's resolver for the IPv4 addresses of a name.
func (i Instance) Lookup(ctx context.Context, name string) ([]netip.Addr, error) {
	resolver := net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return i.Dial(ctx, netip.AddrPortFrom(i.Resolver, 53))
		},
	}
	// A trailing dot keeps the host's own search domains out of it.
	return resolver.LookupNetIP(ctx, "ip4", strings.TrimSuffix(name, ".")+".")
}

// Client is an HTTP client that resolves and connects as the instance would. Each has connections of its own.
func (i Instance) Client() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			host, port, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			number, err := net.LookupPort("tcp", port)
			if err != nil {
				return nil, err
			}
			addresses, err := i.addressesOf(ctx, host)
			if err != nil {
				return nil, fmt.Errorf("from %s: %w", i.ID, err)
			}
			return i.Dial(ctx, netip.AddrPortFrom(addresses[0], uint16(number)))
		},
		MaxIdleConnsPerHost: 64,
	}}
}

func (i Instance) addressesOf(ctx context.Context, host string) ([]netip.Addr, error) {
	if address, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{address}, nil
	}
	return i.Lookup(ctx, host)
}
