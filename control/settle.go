package control

import (
	"encoding/json"
	"time"

	"pergola/control/resource"
	"pergola/control/settling"
	"pergola/lattice"
	"pergola/store"
)

// drainTime is how long a draining target is kept at most, even if nodes still use it.
const drainTime = time.Minute

// Rows are the kinds of VPC Lattice that are settled. In creation or update a resource becomes ACTIVE when every live
// node has applied its last change, and one in deletion is gone, with all that was its own. A draining target is gone
// when no node has requests with it any more, or a minute after its deregistration.
func Rows() []settling.Row {
	return []settling.Row{
		services.Row(resource.Course[lattice.Service]{Drop: dropService}),
		targetGroups.Row(resource.Course[lattice.TargetGroup]{Drop: dropTargetGroup}),
		serviceAssociations.Row(
			resource.Course[lattice.ServiceNetworkServiceAssociation]{Drop: dropServiceAssociation}),
		vpcAssociations.Row(
			resource.Course[lattice.ServiceNetworkVPCAssociation]{Updates: true, Drop: dropVPCAssociation}),
		resourceGateways.Row(resource.Course[lattice.ResourceGateway]{Updates: true, Drop: dropGateway}),
		resourceConfigurations.Row(resource.Course[lattice.ResourceConfiguration]{Updates: true, Drop: dropConfiguration}),
		resourceAssociations.Row(
			resource.Course[lattice.ServiceNetworkResourceAssociation]{Drop: dropResourceAssociation}),
		{Kind: lattice.KindTarget.Name, Waits: drains, Settle: dropTarget},
	}
}

// drains tells until when a target drains, if it does.
func drains(object []byte) (settling.Wait, error) {
	var target struct {
		DeregisteredAt *lattice.Time `json:"deregisteredAt"`
	}
	if err := json.Unmarshal(object, &target); err != nil || target.DeregisteredAt == nil {
		return settling.Wait{}, err
	}
	return settling.Wait{Nodes: true, Drains: true, Until: target.DeregisteredAt.Add(drainTime)}, nil
}

// dropTarget removes a target that has drained.
func dropTarget(tx *store.Tx, path string, verdict settling.Verdict) error {
	target, err := settling.Read(tx, targets, path, verdict, func(*lattice.RegisteredTarget) bool { return true })
	if target != nil {
		targets.Delete(tx, path)
	}
	return err
}
