package node_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pergola/aws/ec2"
	"pergola/aws/elbv2"
	"pergola/containment"
	"pergola/dataplane/explain"
	"pergola/lattice"
	"pergola/store"
)

// TestFault_A1_AVPCThatCannotBeMadeFailsAlone has the network of one VPC fail for good. All that is another's works,
// what was made in the VPC says why it does not, and can be deleted; a node that starts then gets ready.
func TestFault_A1_AVPCThatCannotBeMadeFailsAlone(t *testing.T) {
	w := newWorld(t)
	network := w.network("mesh")
	bad := w.place(network)
	w.set(fail(bad.vpc))
	stop := w.start()
	<-w.node.Ready()
	good, shop := w.place(network), w.service(network, "shop", 80)
	balancer := w.balancer(bad, "bad", 80)
	w.eventually("the good VPC is associated", func() bool {
		return w.associationOf(good).Status == lattice.StatusActive && w.instanceOf(good).State.Name == ec2.InstanceRunning
	})
	w.eventually("the service answers", func() bool {
		status, err := w.call(good, shop, 80)
		return err == nil &&
			status == 500
	})

	w.eventually("what is in the bad VPC has failed", func() bool {
		state, _ := w.balancerState(balancer)
		return w.associationOf(bad).Status == lattice.StatusCreateFailed && w.vpcOf(bad) == "pending" &&
			w.instanceOf(bad).State.Name == ec2.InstanceTerminated && state == "failed"
	})
	_, reason := w.balancerState(balancer)
	for what, got := range map[string]string{
		"association": w.associationOf(bad).FailureMessage, "instance": w.instanceOf(bad).StateReason.Message,
		"load balancer": reason,
	} {
		if !strings.Contains(got, "made to fail") {
			t.Errorf("the %s has failed because %q", what, got)
		}
	}
	if code := w.associationOf(bad).FailureCode; code != lattice.FailureOnNode {
		t.Errorf("the code is %q", code)
	}

	if !w.inForce(func(ctx context.Context) error {
		_, err := w.UpdateService(ctx, w.caller, &lattice.UpdateServiceRequest{ServiceIdentifier: shop.id,
			AuthType: lattice.AuthIAM})
		return err
	}) {
		t.Error("a revocation waits for a VPC of somebody else")
	}
	if status, err := w.call(good, shop, 80); status != http.StatusForbidden {
		t.Errorf("after the revocation: %d, %v", status, err)
	}

	stop()
	w.start()
	select {
	case <-w.node.Ready():
	case <-time.After(patience):
		t.Fatal("a node that starts beside the bad VPC does not get ready")
	}
	w.eventually("the service answers again",
		func() bool { status, _ := w.call(good, shop, 80); return status == http.StatusForbidden })
	w.delete(bad, balancer)
}

// delete deletes a VPC with what is in it.
func (w *world) delete(p place, balancer string) {
	w.t.Helper()
	must(w.balancers.DeleteLoadBalancer(w.ctx, w.caller, &elbv2.LoadBalancerRequest{ARN: balancer}))
	must(w.networks.TerminateInstances(w.ctx, w.caller, &ec2.TerminateInstancesRequest{IDs: []string{p.instance}}))
	must(w.DeleteServiceNetworkVPCAssociation(w.ctx, w.caller,
		&lattice.DeleteServiceNetworkVPCAssociationRequest{Identifier: p.association}))
	w.eventually("the association is gone", func() bool {
		_, err := w.GetServiceNetworkVPCAssociation(w.ctx, w.caller,
			&lattice.GetServiceNetworkVPCAssociationRequest{Identifier: p.association})
		return err != nil
	})
	w.eventually("the instance is terminated", func() bool { return w.instanceOf(p).State.Name == ec2.InstanceTerminated })
	for _, subnet := range p.subnets {
		must(w.networks.DeleteSubnet(w.ctx, w.caller, &ec2.DeleteSubnetRequest{ID: subnet}))
	}
	must(w.networks.DeleteVPC(w.ctx, w.caller, &ec2.DeleteVPCRequest{ID: p.vpc}))
}

// TestFault_A1_EachPartFailsAndHeals takes each part of what a node makes for a place through failure and back.
func TestFault_A1_EachPartFailsAndHeals(t *testing.T) {
	w := newWorld(t)
	network := w.network("mesh")
	shop := w.service(network, "shop", 80, 81)
	w.start()
	<-w.node.Ready()
	for name, of := range map[string]struct {
		fails       func(p place) string
		association lattice.Status
		instance    ec2.InstanceState
		balancer    string
	}{
		"network": {func(p place) string { return p.vpc }, lattice.StatusCreateFailed,
			ec2.InstanceTerminated, "failed"},
		"instance": {func(p place) string { return p.vpc + "/" + p.instance }, lattice.StatusActive,
			ec2.InstanceTerminated, "active"},
		"resolver": {func(p place) string { return p.vpc + " 10.0.0.2:53" }, lattice.StatusCreateFailed,
			ec2.InstanceRunning, "active"},
		"metadata service": {func(p place) string { return p.vpc + " 169.254.169.254:80" }, lattice.StatusCreateFailed,
			ec2.InstanceRunning, "active"},
		"door": {func(p place) string { return p.vpc + " 169.254.171.1:81" }, lattice.StatusCreateFailed,
			ec2.InstanceRunning, "active"},
		"load balancer": {func(p place) string { return p.vpc + "/elb-" }, lattice.StatusActive,
			ec2.InstanceRunning, "failed"},
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			failing := ""
			w.set(func(ctx context.Context, what string) error {
				mu.Lock()
				defer mu.Unlock()
				if failing != "" {
					return fail(failing)(ctx, what)
				}
				return nil
			})
			mu.Lock() // holds the node until it is known what is to fail
			p := w.place(network)
			balancer := w.balancer(p, "lb-"+strings.ReplaceAll(name, " ", "-"), 8000)
			failing = of.fails(p)
			mu.Unlock()
			w.eventually(name+" has failed alone", func() bool {
				state, _ := w.balancerState(balancer)
				return w.associationOf(p).Status == of.association && w.instanceOf(p).State.Name == of.instance &&
					state == of.balancer
			})
			if of.association == lattice.StatusCreateFailed && name == "door" {
				if status, err := w.call(p, shop, 80); err != nil || status != 500 {
					t.Errorf("the other door: %d, %v", status, err)
				}
			}
			w.set(nil)
			w.eventually(name+" is mended", func() bool {
				state, _ := w.balancerState(balancer)
				return w.associationOf(p).Status == lattice.StatusActive && w.associationOf(p).FailureMessage == "" &&
					state == "active" && w.vpcOf(p) == "available"
			})
		})
	}
	if lines := w.log.count("has failed and will be tried again"); lines > 12 {
		t.Errorf("%d lines about failures", lines)
	}
}

// TestFault_A1_WhatWasActiveFailsToo has a port that a service gets later fail in a VPC.
func TestFault_A1_WhatWasActiveFailsToo(t *testing.T) {
	w := newWorld(t)
	network := w.network("mesh")
	shop := w.service(network, "shop", 80)
	w.start()
	p := w.place(network)
	w.eventually("the VPC is associated", func() bool { return w.associationOf(p).Status == lattice.StatusActive })
	w.set(fail(p.vpc + " 169.254.171.1:81"))
	must(w.CreateListener(w.ctx, w.caller, &lattice.CreateListenerRequest{
		ServiceIdentifier: shop.id, Name: "more", Protocol: lattice.ProtocolHTTP, Port: 81,
		DefaultAction: lattice.RuleAction{FixedResponse: &lattice.FixedResponseAction{StatusCode: 500}},
	}))
	w.eventually("the association has failed",
		func() bool { return w.associationOf(p).Status == lattice.StatusUpdateFailed })
	if status, err := w.call(p, shop, 80); err != nil || status != 500 {
		t.Errorf("the port that works: %d, %v", status, err)
	}
	w.set(nil)
	w.eventually("the association is mended", func() bool { return w.associationOf(p).Status == lattice.StatusActive })
	if status, err := w.call(p, shop, 81); err != nil || status != 500 {
		t.Errorf("the port that is mended: %d, %v", status, err)
	}
}

// closes closes a service to callers without a signature, and opens it at every other turn. Both have to be in force,
// as seen from a place, when they are answered. It returns the status that everybody gets then.
func (w *world) closes(turn int, s service, from place) (want int) {
	w.t.Helper()
	auth, want := lattice.AuthIAM, http.StatusForbidden
	if turn%2 == 1 {
		auth, want = lattice.AuthNone, http.StatusInternalServerError
	}
	if !w.inForce(func(ctx context.Context) error {
		_, err := w.UpdateService(ctx, w.caller, &lattice.UpdateServiceRequest{ServiceIdentifier: s.id, AuthType: auth})
		return err
	}) {
		w.t.Errorf("turn %d: a change was not in force in time", turn)
	}
	if status, err := w.call(from, s, 80); err != nil || status != want {
		w.t.Errorf("turn %d: %d, %v, want %d", turn, status, err, want)
	}
	return want
}

// TestFault_A1_WhateverFailsTheRestIsInForce makes an estate while anything of it fails at random, once or for good, by
// an error, a panic or silence. One VPC is spared, and works all the time; a revocation is in force when it is
// answered; and when the failures are over everything heals.
func TestFault_A1_WhateverFailsTheRestIsInForce(t *testing.T) {
	seeds := uint64(4)
	if testing.Short() {
		seeds = 1
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newWorld(t)
			network := w.network("mesh")
			open, closed := w.service(network, "open", 80, 8080), w.service(network, "closed", 80)
			spared := w.place(network)
			w.set(sometimes(seed, spared.vpc))
			w.start()
			w.eventually("the spared VPC works", func() bool { return w.associationOf(spared).Status == lattice.StatusActive })
			var places []place
			var balancers []string
			for i := range 6 {
				p := w.place(network)
				places = append(places, p)
				balancers = append(balancers, w.balancer(p, fmt.Sprint("lb-", i), int32(8000+i)))
			}
			for turn := range 6 {
				want := w.closes(turn, closed, spared)
				if status, err := w.call(spared, open, 8080); err != nil || status != http.StatusInternalServerError {
					t.Errorf("turn %d: %d, %v from another service", turn, status, err)
				}
				for _, p := range places { // where there is a door it opens to what is in force
					p.instance = ""
					if status, err := w.call(p, closed, 80); err == nil && status != want {
						t.Errorf("turn %d: %d from %s, want %d", turn, status, p.vpc, want)
					}
				}
			}
			w.eventually("everything is active or has failed", func() bool {
				for i, p := range places {
					a, instance := w.associationOf(p), w.instanceOf(p)
					state, reason := w.balancerState(balancers[i])
					if a.Status.InProgress() || a.Status.HasFailed() != (a.FailureMessage != "") ||
						instance.State.Name == ec2.InstancePending || instance.State.Name == ec2.InstanceTerminated &&
						instance.StateReason == nil ||
						state == "provisioning" || (state == "active") != (reason == "") {
						return false
					}
				}
				return true
			})
			w.set(nil)
			w.eventually("everything has healed", func() bool {
				for i, p := range places {
					state, _ := w.balancerState(balancers[i])
					if w.associationOf(p).Status != lattice.StatusActive || state != "active" || w.vpcOf(p) != "available" {
						return false
					}
				}
				return true
			})
			for _, p := range places {
				p.instance = ""
				if status, err := w.call(p, open, 8080); err != nil || status != http.StatusInternalServerError {
					t.Errorf("after all: %d, %v from %s", status, err, p.vpc)
				}
			}
		})
	}
}

// TestFault_A1_SlowNetworksDoNotHoldARevocation makes many VPCs on a host where each takes its time.
func TestFault_A1_SlowNetworksDoNotHoldARevocation(t *testing.T) {
	w := newWorld(t)
	network := w.network("mesh")
	shop := w.service(network, "shop", 80)
	w.start()
	p := w.place(network)
	w.eventually("the VPC is associated", func() bool { return w.associationOf(p).Status == lattice.StatusActive })
	w.set(func(ctx context.Context, what string) error {
		if strings.HasPrefix(what, "vpc-") && !strings.ContainsAny(what, " /") {
			<-time.After(100 * time.Millisecond)
		}
		return nil
	})
	var more []string
	for range 20 {
		more = append(more, must(w.networks.CreateVPC(w.ctx, w.caller,
			&ec2.CreateVPCRequest{CIDRBlock: "10.0.0.0/16"})).VPC.ID)
	}
	for turn := range 4 {
		w.closes(turn, shop, p)
	}
	w.eventually("all VPCs are there", func() bool {
		for _, vpc := range more {
			if got, err := w.node.VPCOf(vpc); err != nil || got != vpc {
				return false
			}
		}
		return true
	})
}

// TestFault_A1_AVPCThatWasNotComeToIsPending has what waits for its turn be neither active nor failed.
func TestFault_A1_AVPCThatWasNotComeToIsPending(t *testing.T) {
	w := newWorld(t)
	network := w.network("mesh")
	w.start()
	<-w.node.Ready()
	release := make(chan struct{})
	var once sync.Once
	free := func() { once.Do(func() { close(release) }) }
	t.Cleanup(free)
	w.set(func(ctx context.Context, what string) error {
		select {
		case <-release:
			return nil
		default:
			return fmt.Errorf("made to wait: %w", containment.ErrUntried)
		}
	})
	p := w.place(network)
	shop := w.service(network, "shop", 80)
	w.eventually("the service is active", func() bool {
		return must(w.GetService(w.ctx, w.caller,
			&lattice.GetServiceRequest{ServiceIdentifier: shop.id})).Status == lattice.StatusActive
	})
	if a, i := w.associationOf(p).Status, w.instanceOf(p).State.Name; a != lattice.StatusCreateInProgress ||
		i != ec2.InstancePending {
		t.Errorf("the association is %s and the instance %s", a, i)
	}
	free()
	w.eventually("the VPC works", func() bool {
		return w.associationOf(p).Status == lattice.StatusActive && w.instanceOf(p).State.Name == ec2.InstanceRunning
	})
}

// TestFault_A11_ExplainWhileItsVPCGoes asks about VPCs that come and go.
func TestFault_A11_ExplainWhileItsVPCGoes(t *testing.T) {
	w := newWorld(t)
	w.start()
	<-w.node.Ready()
	before := containment.Panics()
	var current atomic.Pointer[string]
	stop := make(chan struct{})
	var asking sync.WaitGroup
	asked := 0
	asking.Go(func() {
		for ; ; asked++ {
			select {
			case <-stop:
				return
			default:
			}
			if id := current.Load(); id != nil {
				_, err := w.node.Explain(*id, explain.Question{Method: "GET", URL: "http://shop/"})
				if errors.Is(err, containment.ErrPanicked) {
					t.Error(err)
				}
			}
		}
	})
	for range 20 {
		id := must(w.networks.CreateVPC(w.ctx, w.caller, &ec2.CreateVPCRequest{CIDRBlock: "10.0.0.0/16"})).VPC.ID
		current.Store(&id)
		w.eventually("the VPC is there", func() bool { _, err := w.node.VPCOf(id); return err == nil })
		must(w.networks.DeleteVPC(w.ctx, w.caller, &ec2.DeleteVPCRequest{ID: id}))
		w.eventually("the VPC is gone", func() bool { _, err := w.node.VPCOf(id); return err != nil })
	}
	close(stop)
	asking.Wait()
	if asked == 0 {
		t.Error("nothing was asked")
	}
	if containment.Panics() != before {
		t.Error("an explanation panicked")
	}
}

// TestABrokenObjectIsReported puts a service into the store that no node can read.
func TestABrokenObjectIsReported(t *testing.T) {
	w := newWorld(t)
	network := w.network("mesh")
	shop, p, bad := w.service(network, "shop", 80), w.place(network), w.service(network, "bad", 80)
	must(w.store.Update(w.ctx, func(tx *store.Tx) error {
		return store.NewKind[map[string]any](lattice.KindService.Name).Put(tx, bad.id,
			map[string]any{"id": 7, "status": "CREATE_IN_PROGRESS"})
	}))
	w.start()
	w.eventually("its association has failed", func() bool {
		a := must(w.GetServiceNetworkServiceAssociation(w.ctx, w.caller,
			&lattice.GetServiceNetworkServiceAssociationRequest{Identifier: bad.association}))
		return a.Status == lattice.StatusCreateFailed && a.FailureCode == lattice.FailureInside
	})
	w.eventually("the VPC is associated", func() bool { return w.associationOf(p).Status == lattice.StatusActive })
	if status, err := w.call(p, shop, 80); err != nil || status != 500 {
		t.Errorf("the other service: %d, %v", status, err)
	}
	if n := w.log.count("object=object/service/" + bad.id); n > 1 {
		t.Errorf("%d lines about what cannot settle", n)
	}
}
