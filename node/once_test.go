package node_test

import (
	"errors"
	"testing"

	"pergola/aws/ec2"
	"pergola/aws/elbv2"
	"pergola/lattice"
	"pergola/store"
)

// estate is what TestAChangeIsCompiledOnce makes, piece by piece.
type estate struct {
	*world
	network, service, listener, group, serviceAssociation string
	vpc, instance, balancer, balancerGroup                string
	vpcAssociation                                        string
	subnets                                               []string
}

// step is one change, and what its end shows; nil for what has no status.
type step struct {
	what  string
	make  func()
	ended func() bool
}

// latticeSteps make and update resources of VPC Lattice.
func (e *estate) latticeSteps() []step {
	response := lattice.RuleAction{FixedResponse: &lattice.FixedResponseAction{StatusCode: 404}}
	return []step{
		{"service network", func() { e.network = e.world.network("mesh") }, nil},
		{"service", func() {
			e.service = must(e.CreateService(e.ctx, e.caller, &lattice.CreateServiceRequest{Name: "shop"})).ID
		}, func() bool {
			in := &lattice.GetServiceRequest{ServiceIdentifier: e.service}
			return must(e.GetService(e.ctx, e.caller, in)).Status == lattice.StatusActive
		}},
		{"listener", func() {
			e.listener = must(e.CreateListener(e.ctx, e.caller, &lattice.CreateListenerRequest{
				ServiceIdentifier: e.service, Name: "http", Protocol: lattice.ProtocolHTTP, Port: 80, DefaultAction: response,
			})).ID
		}, nil},
		{"rule", func() {
			must(e.CreateRule(e.ctx, e.caller, &lattice.CreateRuleRequest{
				ServiceIdentifier: e.service, ListenerIdentifier: e.listener, Name: "get", Priority: 1, Action: response,
				Match: lattice.RuleMatch{HTTPMatch: &lattice.HTTPMatch{Method: "GET"}},
			}))
		}, nil},
		{"target group", func() {
			e.group = must(e.CreateTargetGroup(e.ctx, e.caller, &lattice.CreateTargetGroupRequest{
				Name: "shop", Type: lattice.TargetInstance, Config: &lattice.TargetGroupConfig{VPCIdentifier: e.vpc,
					Protocol: lattice.TargetHTTP, Port: 80},
			})).ID
		}, func() bool {
			in := &lattice.GetTargetGroupRequest{TargetGroupIdentifier: e.group}
			return must(e.GetTargetGroup(e.ctx, e.caller, in)).Status == lattice.StatusActive
		}},
		{"target", func() {
			must(e.RegisterTargets(e.ctx, e.caller, &lattice.RegisterTargetsRequest{
				TargetGroupIdentifier: e.group, Targets: []lattice.Target{{ID: e.instance}}}))
		}, nil},
		{"association of the service", func() {
			e.serviceAssociation = must(e.CreateServiceNetworkServiceAssociation(e.ctx, e.caller,
				&lattice.CreateServiceNetworkServiceAssociationRequest{ServiceNetworkIdentifier: e.network,
					ServiceIdentifier: e.service})).ID
		}, func() bool {
			in := &lattice.GetServiceNetworkServiceAssociationRequest{Identifier: e.serviceAssociation}
			return must(e.GetServiceNetworkServiceAssociation(e.ctx, e.caller, in)).Status == lattice.StatusActive
		}},
		{"association of the VPC", func() {
			e.vpcAssociation = must(e.CreateServiceNetworkVPCAssociation(e.ctx, e.caller,
				&lattice.CreateServiceNetworkVPCAssociationRequest{ServiceNetworkIdentifier: e.network,
					VPCIdentifier: e.vpc})).ID
		}, e.isAssociated},
		{"update of the association", func() {
			must(e.UpdateServiceNetworkVPCAssociation(e.ctx, e.caller, &lattice.UpdateServiceNetworkVPCAssociationRequest{
				Identifier: e.vpcAssociation, PrivateDNSEnabled: new(true)}))
		}, e.isAssociated},
	}
}

func (e *estate) isAssociated() bool {
	return e.associationOf(place{association: e.vpcAssociation}).Status == lattice.StatusActive
}

// networkSteps make what of EC2 the others stand on.
func (e *estate) networkSteps() []step {
	steps := []step{{"VPC", func() {
		e.vpc = must(e.networks.CreateVPC(e.ctx, e.caller, &ec2.CreateVPCRequest{CIDRBlock: "10.0.0.0/16"})).VPC.ID
	}, nil}}
	for zone, cidr := range map[string]string{"a": "10.0.0.0/24", "b": "10.0.1.0/24"} {
		steps = append(steps, step{"subnet", func() {
			e.subnets = append(e.subnets, must(e.networks.CreateSubnet(e.ctx, e.caller, &ec2.CreateSubnetRequest{
				VPCID: e.vpc, CIDRBlock: cidr, AvailabilityZone: region + zone})).Subnet.ID)
		}, nil})
	}
	return append(steps, step{"launch of three instances", func() {
		e.instance = must(e.networks.RunInstances(e.ctx, e.caller, &ec2.RunInstancesRequest{SubnetID: e.subnets[0],
			MinCount: new(int32(3)), MaxCount: new(int32(3))})).Instances[0].ID
	}, func() bool { return e.state() == ec2.InstanceRunning }})
}

func (e *estate) state() ec2.InstanceState {
	return e.instanceOf(place{instance: e.instance}).State.Name
}

// balancerSteps make a load balancer.
func (e *estate) balancerSteps() []step {
	return []step{
		{"load balancer", func() {
			e.balancer = must(e.balancers.CreateLoadBalancer(e.ctx, e.caller, &elbv2.CreateLoadBalancerRequest{
				Name: "shop", Scheme: "internal", Subnets: e.subnets})).LoadBalancers[0].ARN
		}, func() bool { state, _ := e.balancerState(e.balancer); return state == "active" }},
		{"load balancer's target group", func() {
			e.balancerGroup = must(e.balancers.CreateTargetGroup(e.ctx, e.caller, &elbv2.CreateTargetGroupRequest{
				Name: "shop", Protocol: "HTTP", Port: 80, VPCID: e.vpc})).TargetGroups[0].ARN
		}, nil},
		{"load balancer's listener", func() {
			must(e.balancers.CreateListener(e.ctx, e.caller, &elbv2.CreateListenerRequest{
				LoadBalancerARN: e.balancer, ListenerSettings: elbv2.ListenerSettings{Protocol: "HTTP", Port: 80},
				DefaultActions: []elbv2.ActionDescription{{Type: "forward", TargetGroupARN: e.balancerGroup}}}))
		}, nil},
		{"load balancer's target", func() {
			must(e.balancers.RegisterTargets(e.ctx, e.caller, &elbv2.TargetsRequest{
				ARN: e.balancerGroup, Targets: []elbv2.TargetDescription{{ID: e.instance}}}))
		}, nil},
	}
}

// TestAChangeIsCompiledOnce makes, updates and ends resources, and counts the snapshots that a node compiles and
// applies until the end of each change: one, however statuses move. Nodes are told of it at one revision.
func TestAChangeIsCompiledOnce(t *testing.T) {
	e := &estate{world: newWorld(t)}
	e.start()
	<-e.node.Ready()
	steps := append(e.networkSteps(), e.balancerSteps()...)
	steps = append(append(steps, e.latticeSteps()...), step{"termination of an instance", func() {
		must(e.networks.TerminateInstances(e.ctx, e.caller, &ec2.TerminateInstancesRequest{IDs: []string{e.instance}}))
	}, func() bool { return e.state() == ec2.InstanceTerminated }})
	for _, step := range steps {
		before, since := e.node.Compiled(), must(e.store.Revision(e.ctx))
		step.make()
		e.eventually(step.what+" is compiled", func() bool { return e.node.Compiled() > before })
		if step.ended != nil {
			e.eventually(step.what+" is complete", step.ended)
		}
		if got := e.node.Compiled() - before; got != 1 {
			t.Errorf("%s: %d snapshots were compiled", step.what, got)
		}
		if told := e.toldSince(since); len(told) != 1 {
			t.Errorf("%s: nodes are told at the revisions %v", step.what, told)
		}
	}
}

// toldSince are the revisions after one at which nodes were told of what there is now.
func (w *world) toldSince(revision int64) map[int64]bool {
	told, read := map[int64]bool{}, errors.New("read")
	err := w.store.Follow(w.ctx, "object/", func(batch store.Batch) error {
		for _, change := range batch.Changes {
			if change.Revision > revision {
				told[change.Revision] = true
			}
		}
		return read
	})
	if !errors.Is(err, read) {
		w.t.Fatal(err)
	}
	return told
}
