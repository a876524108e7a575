package ec2

import (
	"pergola/control/ownership"
	"pergola/lattice"
	"pergola/store"
)

// latticeReferences is the referrer that stands in references for that all of VPC Lattice's are there. Nothing has its
// id.
const latticeReferences = "vpc-lattice/complete"

// completeLattice writes the references of VPC Lattice, unless it has been done. What joins VPCs to service networks
// belongs to VPC Lattice, which says itself what of EC2 it refers to. Older references are read here, once.
var completeLattice = ownership.Once(references, latticeReferences,
	ownership.Each(store.NewKind[lattice.ServiceNetworkVPCAssociation](lattice.KindServiceNetworkVPCAssociation.Name),
		func(tx *store.Tx, a *lattice.ServiceNetworkVPCAssociation) error {
			return refer(tx, a.ID, append(a.SecurityGroupIDs, a.VPCID)...)
		}),
	ownership.Each(store.NewKind[lattice.TargetGroup](lattice.KindTargetGroup.Name),
		func(tx *store.Tx, g *lattice.TargetGroup) error {
			if g.Config == nil || g.Config.VPCIdentifier == "" {
				return nil
			}
			return refer(tx, g.ID, g.Config.VPCIdentifier)
		}))
