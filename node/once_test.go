package node_test

import (
	"testing"

	"pergola/lattice"
)

// TestAChangeIsCompiledOnce makes and updates resources, and counts the snapshots that a node compiles and applies
// until the last of them is ACTIVE: one for each change, however their statuses move.
func TestAChangeIsCompiledOnce(t *testing.T) {
	w := newWorld(t)
	w.start()
	<-w.node.Ready()
	network := w.network("mesh")
	p := w.place(network)
	w.eventually("the association is active", func() bool { return w.associationOf(p).Status == lattice.StatusActive })
	w.eventually("the instance runs", func() bool { return w.instanceOf(p).State.Name == "running" })
	before := w.node.Compiled()
	changes := int64(0)

	service := must(w.CreateService(w.ctx, w.caller, &lattice.CreateServiceRequest{Name: "shop"})).ID
	changes++
	w.eventually("the service is active", func() bool {
		in := &lattice.GetServiceRequest{ServiceIdentifier: service}
		return must(w.GetService(w.ctx, w.caller, in)).Status == lattice.StatusActive
	})
	group := must(w.CreateTargetGroup(w.ctx, w.caller, &lattice.CreateTargetGroupRequest{Name: "shop",
		Type:   lattice.TargetIP,
		Config: &lattice.TargetGroupConfig{VPCIdentifier: p.vpc}})).ID
	changes++
	w.eventually("the target group is active", func() bool {
		in := &lattice.GetTargetGroupRequest{TargetGroupIdentifier: group}
		return must(w.GetTargetGroup(w.ctx, w.caller, in)).Status == lattice.StatusActive
	})
	association := must(w.CreateServiceNetworkServiceAssociation(w.ctx, w.caller,
		&lattice.CreateServiceNetworkServiceAssociationRequest{ServiceNetworkIdentifier: network,
			ServiceIdentifier: service})).ID
	changes++
	w.eventually("the service is in the network", func() bool {
		in := &lattice.GetServiceNetworkServiceAssociationRequest{Identifier: association}
		return must(w.GetServiceNetworkServiceAssociation(w.ctx, w.caller, in)).Status == lattice.StatusActive
	})
	must(w.UpdateServiceNetworkVPCAssociation(w.ctx, w.caller, &lattice.UpdateServiceNetworkVPCAssociationRequest{
		Identifier: p.association, PrivateDNSEnabled: new(true),
	}))
	changes++
	w.eventually("the update is complete", func() bool { return w.associationOf(p).Status == lattice.StatusActive })

	if got := w.node.Compiled() - before; got != changes {
		t.Errorf("%d snapshots were compiled for %d changes", got, changes)
	}
}
