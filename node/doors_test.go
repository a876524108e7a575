package node_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"pergola/addressing"
	"pergola/fabric"
	"pergola/lattice"
	"pergola/store"
)

// TestAVPCReachesTwoNetworks has two doors in one VPC, on each fabric: each leads to its own network, the older one is
// told for a service that is in both, and the other one when that has gone.
func TestAVPCReachesTwoNetworks(t *testing.T) {
	for _, kind := range []string{fabric.Loopback, fabric.Netns} {
		t.Run(kind, func(t *testing.T) {
			w := newWorldOn(t, kind)
			first, second := w.network("first"), w.network("second")
			p := w.place(first)
			inFirst, inSecond, inBoth := w.service(first, "in-first", 80), w.service(second, "in-second", 80, 81),
				w.service(first, "in-both", 80)
			must(w.CreateServiceNetworkServiceAssociation(w.ctx, w.caller,
				&lattice.CreateServiceNetworkServiceAssociationRequest{
					ServiceIdentifier: inBoth.id, ServiceNetworkIdentifier: second,
				}))
			older, newer := addressing.FirstDoor, addressing.FirstDoor.Next()
			w.associateToo(p, second, newer)
			w.start()
			w.eventually("the VPC reaches both networks", func() bool {
				return w.resolves(p, inFirst, older) && w.resolves(p, inSecond, newer) && w.resolves(p, inBoth, older)
			})
			for _, c := range []struct {
				name   string
				door   netip.Addr
				s      service
				port   uint16
				status int // of no answer, 0
			}{
				{"the first by its door", older, inFirst, 80, 500},
				{"the second by its door", newer, inSecond, 80, 500},
				{"a port that only the second has", newer, inSecond, 81, 500},
				{"a port that the first has not", older, inSecond, 81, 0},
				{"the first by the other door", newer, inFirst, 80, 404},
				{"the second by the other door", older, inSecond, 80, 404},
				{"both by one door", older, inBoth, 80, 500},
				{"both by the other", newer, inBoth, 80, 500},
			} {
				if got, err := w.callAt(p, c.door, c.s, c.port); got != c.status || (err == nil) != (c.status != 0) {
					t.Errorf("%s: got %d and %v, want %d", c.name, got, err, c.status)
				}
			}

			w.eventually("the older association is active", func() bool {
				return w.associationOf(p).Status == lattice.StatusActive
			})
			must(w.DeleteServiceNetworkVPCAssociation(w.ctx, w.caller,
				&lattice.DeleteServiceNetworkVPCAssociationRequest{Identifier: p.association}))
			w.eventually("the newer door has the service that was in both", func() bool { return w.resolves(p, inBoth, newer) })
			if got, err := w.callAt(p, newer, inBoth, 80); got != 500 {
				t.Errorf("by the door that is left: %d and %v", got, err)
			}
			if _, err := w.node.Resolve(w.ctx, p.vpc, inFirst.name); err == nil {
				t.Error("the service of the network that has gone is still found")
			}
			w.eventually("the door that has gone is closed", func() bool {
				_, err := w.callAt(p, older, inFirst, 80)
				return err != nil
			})
		})
	}
}

// associateToo associates a VPC with one more network, which the API does not.
func (w *world) associateToo(p place, network string, door netip.Addr) {
	w.t.Helper()
	id := "snva-0123456789abcdef0"
	of := lattice.ServiceNetworkVPCAssociation{ID: id, VPCID: p.vpc, ServiceNetworkID: network, Address: door,
		ARN: lattice.Home{Region: region, Account: account}.ARN(lattice.KindServiceNetworkVPCAssociation, id)}
	of.CreatedAt = w.associationOf(p).CreatedAt
	of.CreatedAt.Time = of.CreatedAt.Add(time.Second)
	kind := store.NewKind[lattice.ServiceNetworkVPCAssociation](lattice.KindServiceNetworkVPCAssociation.Name)
	must(w.store.Update(w.ctx, func(tx *store.Tx) error { return kind.Put(tx, id, of) }))
}

// resolves reports whether a service is found at one address.
func (w *world) resolves(p place, s service, at netip.Addr) bool {
	found, err := w.node.Resolve(w.ctx, p.vpc, s.name)
	return err == nil && slices.Equal(found, []netip.Addr{at})
}
