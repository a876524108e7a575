package ec2

import (
	"slices"

	"pergola/lattice"
	"pergola/store"
)

// What joins VPCs to service networks belongs to VPC Lattice. It is only read here, in the transaction that relies on
// it, so that no VPC or security group is deleted while something new begins to use it.
var (
	vpcAssociations = store.NewKind[lattice.ServiceNetworkVPCAssociation](lattice.KindServiceNetworkVPCAssociation.Name)
	targetGroups    = store.NewKind[lattice.TargetGroup](lattice.KindTargetGroup.Name)
)

// userInLattice finds a resource of VPC Lattice that uses a VPC or a security group: its id, or "".
func (op *call) userInLattice(id string) (string, error) {
	associations, _, err := vpcAssociations.List(op.Tx, "", "", 0)
	if err != nil {
		return "", err
	}
	for _, a := range associations {
		if a.Value.VPCID == id || slices.Contains(a.Value.SecurityGroupIDs, id) {
			return a.ID, nil
		}
	}
	groups, _, err := targetGroups.List(op.Tx, "", "", 0)
	for _, g := range groups {
		if g.Value.Config != nil && g.Value.Config.VPCIdentifier == id {
			return g.ID, err
		}
	}
	return "", err
}
