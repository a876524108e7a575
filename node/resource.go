package node

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	"pergola/dns"
	"pergola/fabric"
	"pergola/lattice"
	"pergola/snapshot"
)

// ways are how resources are reached: from a gateway, at the addresses of their names.
type ways struct {
	fabric Fabric
	// names resolves; see dns.Server.Lookup.
	names interface {
		Lookup(ctx context.Context, vpc, name string, private bool) (dns.Addresses, error)
	}

	mu    sync.Mutex
	known map[string]known // by id of the resource
}

// known are the addresses of a name, for as long as they may be kept.
type known struct {
	name      string
	inVPC     bool
	addresses []netip.Addr
	until     time.Time
}

// dial connects to a resource. Connections are spread over the addresses of the gateway, and over those of a name;
// where one of these cannot be reached, the next is tried.
func (w *ways) dial(ctx context.Context, r *snapshot.Resource, port uint16) (net.Conn, error) {
	targets, err := w.targets(ctx, r)
	if err != nil {
		return nil, err
	}
	if len(r.Gateway.Addresses) == 0 {
		return nil, fmt.Errorf("resource gateway %s has no address", r.Gateway.ID)
	}
	i, first := rand.IntN(len(r.Gateway.Addresses)), rand.IntN(len(targets))
	from := fabric.Place{VPC: r.Gateway.VPC, Instance: r.Gateway.NodeID(i)}
	var errs []error
	for n := range targets {
		to := netip.AddrPortFrom(targets[(first+n)%len(targets)], port)
		conn, err := w.fabric.Dial(ctx, from, r.Gateway.Addresses[i], to)
		if err == nil {
			return conn, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// targets are the addresses of a resource in the VPC of its gateway. There is one at least.
func (w *ways) targets(ctx context.Context, r *snapshot.Resource) ([]netip.Addr, error) {
	switch {
	case r.Target.IsValid():
		return []netip.Addr{r.Target}, nil
	case r.Domain == "":
		return nil, fmt.Errorf("resource configuration %s is of a type that no node can reach", r.ID)
	}
	if of, ok := w.recall(r); ok {
		return of, nil
	}
	found, err := w.names.Lookup(ctx, r.Gateway.VPC, r.Domain, r.Gateway.InVPC)
	if err != nil {
		return nil, fmt.Errorf("resource configuration %s: %w", r.ID, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.known == nil {
		w.known = map[string]known{}
	}
	w.known[r.ID] = known{r.Domain, r.Gateway.InVPC, found.All, time.Now().Add(found.TTL)}
	return found.All, nil
}

// recall are the addresses of a resource's name that were found before, unless they are too old.
func (w *ways) recall(r *snapshot.Resource) ([]netip.Addr, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	of, ok := w.known[r.ID]
	return of.addresses, ok && of.name == r.Domain && of.inVPC == r.Gateway.InVPC && time.Now().Before(of.until)
}

// forget forgets the addresses that are too old.
func (w *ways) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, of := range w.known {
		if !time.Now().Before(of.until) {
			delete(w.known, id)
		}
	}
}

// gatewayAt is the gateway of a VPC that has a part for one of its addresses, or "".
func gatewayAt(vpc *snapshot.VPC, of part) string {
	for _, g := range vpc.Gateways {
		for i := range g.Addresses {
			if g.NodeID(i) == of.id {
				return g.ID
			}
		}
	}
	return ""
}

// resourceKeys are the associations that bring resources to the clients of a VPC, by their keys in the store.
func resourceKeys(vpc *snapshot.VPC) (keys []string) {
	for _, r := range vpc.Reached() {
		keys = append(keys, lattice.KindServiceNetworkResourceAssociation.Name+"/"+r.Association)
	}
	return keys
}
