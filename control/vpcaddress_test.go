package control

import (
	"errors"
	"testing"

	"pergola/addressing"
	"pergola/lattice"
	"pergola/store"
)

// addressOf is the address that the store has of an association.
func (w *world) addressOf(association string) (address string) {
	w.t.Helper()
	w.write(func(tx *store.Tx) error {
		a, err := vpcAssociations.Objects.Get(tx, association)
		address = a.Address.String()
		return err
	})
	return address
}

// TestAddressesOfVPCAssociations gives each VPC's associations addresses of their own: each is free again when
// its association is gone.
func TestAddressesOfVPCAssociations(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	network, one, two := w.network("retail"), w.vpc("one"), w.vpc("two")
	first := w.associateVPC(network, one)
	if got, other := w.addressOf(first), w.addressOf(w.associateVPC(network, two)); got != "169.254.171.1" ||
		other != got {
		t.Errorf("two VPCs have %s and %s", got, other)
	}
	// Only the API keeps a VPC from having a second association.
	w.write(func(tx *store.Tx) error { claims.Delete(tx, vpcClaim(one)); return nil })
	second := w.associateVPC(w.network("wholesale"), one)
	if got := w.addressOf(second); got != "169.254.171.2" {
		t.Errorf("the second association of a VPC has %s", got)
	}
	w.settleNow()
	must(w.DeleteServiceNetworkVPCAssociation(w.ctx, w.caller,
		&lattice.DeleteServiceNetworkVPCAssociationRequest{Identifier: first}))
	w.settleNow()
	w.write(func(tx *store.Tx) error { claims.Delete(tx, vpcClaim(one)); return nil })
	if got := w.addressOf(w.associateVPC(network, one)); got != "169.254.171.1" {
		t.Errorf("after the first is gone the next has %s", got)
	}
	if got := w.addressOf(second); got != "169.254.171.2" {
		t.Errorf("the second has moved to %s", got)
	}
}

// TestAddressOfAnOlderVPCAssociation avoids the address of one that keeps none, until that one is gone.
func TestAddressOfAnOlderVPCAssociation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	vpc, old := w.vpc("one"), id("snva-", "old")
	w.write(func(tx *store.Tx) error { // before the first operation
		return vpcAssociations.Objects.Put(tx, old, lattice.ServiceNetworkVPCAssociation{
			ID: old, ARN: lattice.Home{Region: region, Account: account}.ARN(lattice.KindServiceNetworkVPCAssociation, old),
			Status: lattice.StatusActive, VPCID: vpc, ServiceNetworkID: id("sn-", "gone"), PrivateDNSEnabled: new(false),
		})
	})
	network := w.network("retail")
	if got := w.addressOf(w.associateVPC(network, vpc)); got != "169.254.171.2" {
		t.Errorf("beside an older one an association has %s", got)
	}
	must(w.UpdateServiceNetworkVPCAssociation(w.ctx, w.caller, &lattice.UpdateServiceNetworkVPCAssociationRequest{
		Identifier: old, SecurityGroupIDs: []string{w.securityGroup("web", vpc)},
	}))
	w.settleNow()
	must(w.DeleteServiceNetworkVPCAssociation(w.ctx, w.caller,
		&lattice.DeleteServiceNetworkVPCAssociationRequest{Identifier: old}))
	w.settleNow()
	w.write(func(tx *store.Tx) error { claims.Delete(tx, vpcClaim(vpc)); return nil })
	if got := w.addressOf(w.associateVPC(w.network("wholesale"), vpc)); got != "169.254.171.1" {
		t.Errorf("after it is gone the next has %s", got)
	}
}

// TestAddressesOfAVPCRunOut refuses an association where the VPC has no address left for it.
func TestAddressesOfAVPCRunOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	network, vpc := w.network("retail"), w.vpc("one")
	w.write(func(tx *store.Tx) (err error) {
		for a := addressing.FirstDoor; a != addressing.Source; a = a.Next() {
			err = errors.Join(err, claims.Put(tx, addressClaim(vpc, a.String()), "another"))
		}
		return err
	})
	in := &lattice.CreateServiceNetworkVPCAssociationRequest{ServiceNetworkIdentifier: network, VPCIdentifier: vpc}
	_, err := w.CreateServiceNetworkVPCAssociation(w.ctx, w.caller, in)
	refused(t, err, lattice.Conflict, "no address left")
	const free = "169.254.171.77"
	w.write(func(tx *store.Tx) error { claims.Delete(tx, addressClaim(vpc, free)); return nil })
	if got := w.addressOf(must(w.CreateServiceNetworkVPCAssociation(w.ctx, w.caller, in)).ID); got != free {
		t.Errorf("it has %s, want %s", got, free)
	}
}
