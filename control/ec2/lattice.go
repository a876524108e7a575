package ec2

import (
	"context"
	"errors"

	"pergola/lattice"
	"pergola/store"
)

// What joins VPCs to service networks belongs to VPC Lattice, which says itself what of EC2 it refers to. What is older
// than that is read here, once.
var (
	vpcAssociations = store.NewKind[lattice.ServiceNetworkVPCAssociation](lattice.KindServiceNetworkVPCAssociation.Name)
	targetGroups    = store.NewKind[lattice.TargetGroup](lattice.KindTargetGroup.Name)
)

// latticeReferences is the referrer that stands in references for that all of VPC Lattice's are there. Nothing has its
// id.
const latticeReferences = "vpc-lattice/complete"

// completeLattice writes the references of VPC Lattice, unless it has been done.
func completeLattice(ctx context.Context, s *store.Store) error {
	done := false
	err := s.View(ctx, func(tx *store.Tx) error {
		_, err := references.Get(tx, latticeReferences)
		done = err == nil
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		return err
	})
	if err != nil || done {
		return err
	}
	if err := eachInBatches(ctx, s, vpcAssociations, func(op *call, a *lattice.ServiceNetworkVPCAssociation) error {
		return op.refer(a.ID, append(a.SecurityGroupIDs, a.VPCID)...)
	}); err != nil {
		return err
	}
	if err := eachInBatches(ctx, s, targetGroups, func(op *call, g *lattice.TargetGroup) error {
		if g.Config == nil || g.Config.VPCIdentifier == "" {
			return nil
		}
		return op.refer(g.ID, g.Config.VPCIdentifier)
	}); err != nil {
		return err
	}
	_, err = s.Update(ctx, func(tx *store.Tx) error { return references.Put(tx, latticeReferences, "") })
	return err
}

// batch is how many objects one transaction of eachInBatches sees.
const batch = 20

func eachInBatches[T any](ctx context.Context, s *store.Store, kind store.Kind[T], f func(*call, *T) error) error {
	for after, more := "", true; more; {
		from := after
		_, err := s.Update(ctx, func(tx *store.Tx) error {
			var entries []store.Entry[T]
			var err error
			if entries, more, err = kind.List(tx, "", from, batch); err != nil {
				return err
			}
			for i := range entries {
				after = entries[i].ID
				if err := f(within(tx, ""), &entries[i].Value); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
