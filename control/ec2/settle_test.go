package ec2_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	nouns "pergola/aws/ec2"
	"pergola/control/settling"
	"pergola/lattice"
	"pergola/store"
)

func (w *world) node(name string) node {
	w.t.Helper()
	lease, err := w.Store.Lease(w.ctx, time.Minute)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = lease.Close(context.Background()) })
	return node{w, name, lease}
}

// applies says that the node has applied all that there is.
func (n node) applies() {
	n.w.t.Helper()
	revision, err := n.w.Store.Revision(n.w.ctx)
	if err != nil {
		n.w.t.Fatal(err)
	}
	n.says(revision)
}

func (n node) says(revision int64) {
	n.w.t.Helper()
	report, err := json.Marshal(lattice.NodeReport{Applied: revision})
	if err == nil {
		err = n.lease.Put(n.w.ctx, lattice.NodeReportKey(n.name), report)
	}
	if err != nil {
		n.w.t.Fatal(err)
	}
}

// until waits until an instance is in a state; "" waits until it is gone.
func (w *world) until(id string, state nouns.InstanceState) {
	w.t.Helper()
	reached := errors.New("reached")
	err := w.Store.Follow(w.ctx, "status/instance/"+id, func(store.Batch) error {
		answer, err := w.DescribeInstances(w.ctx, w.caller, &nouns.DescribeInstancesRequest{IDs: []string{id}})
		switch {
		case state == "" && codeOf(err) == "InvalidInstanceID.NotFound":
			return reached
		case err != nil:
			return err
		case answer.Reservations[0].Instances[0].State.Name == state:
			return reached
		}
		return nil
	})
	if !errors.Is(err, reached) {
		w.t.Fatalf("%s does not become %q: %v", id, state, err)
	}
}

func (w *world) state(id string) nouns.InstanceState {
	w.t.Helper()
	return must(w, w.DescribeInstances,
		nouns.DescribeInstancesRequest{IDs: []string{id}}).Reservations[0].Instances[0].State.Name
}

func (w *world) settle() {
	ctx, cancel := context.WithCancel(w.ctx)
	var running sync.WaitGroup
	running.Go(func() {
		settler := settling.New(settling.Config{Store: w.Store, Rows: w.Rows(), Now: w.now,
			Logger: slog.New(slog.NewTextHandler(w.t.Output(), nil))})
		if err := settler.Run(ctx); err != nil {
			w.t.Error(err)
		}
	})
	w.t.Cleanup(func() { cancel(); running.Wait() })
}

func TestInstancesSettle(t *testing.T) {
	w := newWorld(t)
	w.settle()
	vpc := w.vpc("10.0.0.0/16")
	subnet, group := w.subnet(vpc, "10.0.0.0/24"), w.group(vpc, "web")
	in := nouns.RunInstancesRequest{SubnetID: subnet, SecurityGroupIDs: []string{group}, PrivateAddress: "10.0.0.9",
		ClientToken: "token"}
	instance := must(w, w.RunInstances, in).Instances[0].ID

	first, second := w.node("one"), w.node("two")
	second.says(0)
	first.applies()
	canary := must(w, w.RunInstances, nouns.RunInstancesRequest{SubnetID: subnet}).Instances[0].ID
	if w.state(instance) != nouns.InstancePending || w.state(canary) != nouns.InstancePending {
		t.Error("an instance is running before every node has made it")
	}
	first.applies()
	second.applies()
	w.until(instance, nouns.InstanceRunning)
	w.until(canary, nouns.InstanceRunning)

	change := must(w, w.TerminateInstances, nouns.TerminateInstancesRequest{IDs: []string{instance}}).Instances[0]
	if change.Previous.Code != 16 || change.Current.Code != 32 {
		t.Errorf("%+v", change)
	}
	refused(w, w.RunInstances, nouns.RunInstancesRequest{SubnetID: subnet, PrivateAddress: "10.0.0.9"},
		"InvalidIPAddress.InUse")
	first.applies()
	second.applies()
	w.until(instance, nouns.InstanceTerminated)
	if again := must(w, w.TerminateInstances,
		nouns.TerminateInstancesRequest{IDs: []string{instance}}).Instances[0]; again.Current.Code != 48 {
		t.Errorf("%+v", again)
	}
	must(w, w.DeleteSecurityGroup, nouns.DeleteSecurityGroupRequest{ID: group})
	must(w, w.RunInstances, nouns.RunInstancesRequest{SubnetID: subnet, PrivateAddress: "10.0.0.9"})
	if found := must(w, w.DescribeInstances,
		nouns.DescribeInstancesRequest{Filters: []nouns.Filter{{Name: "vpc-id", Values: []string{vpc}}}}); len(
		found.Reservations) != 2 {
		t.Errorf("%d reservations are in the VPC, want 2", len(found.Reservations))
	}
	w.seconds.Add(61)
	first.applies()
	w.until(instance, "")
	in.SecurityGroupIDs, in.PrivateAddress = nil, "10.0.0.10"
	must(w, w.RunInstances, in) // the token is free again
}

func TestNothingSettlesWithoutNodes(t *testing.T) {
	w := newWorld(t)
	instance := w.run(w.subnet(w.vpc("10.0.0.0/16"), "10.0.0.0/24")).ID
	late := w.node("late")
	w.settle()
	if w.state(instance) != nouns.InstancePending {
		t.Error("an instance is running and nobody has made it")
	}
	late.applies()
	w.until(instance, nouns.InstanceRunning)
	address := must(w, w.DescribeInstances,
		nouns.DescribeInstancesRequest{IDs: []string{instance}}).Reservations[0].Instances[0].PrivateAddress
	if _, err := netip.ParseAddr(address); err != nil {
		t.Error(err)
	}
}

// What no fabric can make is refused, in the words of AWS.
func TestFault_A1_RangesThatNoHostCanGiveAreRefused(t *testing.T) {
	w := newWorld(t)
	for _, cidr := range []string{
		"127.0.0.0/16", "127.0.0.1/28", "169.254.0.0/16", "169.254.171.0/24", "224.0.0.0/16", "239.255.255.0/24",
		"240.0.0.0/16", "255.255.0.0/16", "0.0.0.0/16", "10.0.0.0/15", "10.0.0.0/29",
	} {
		refused(w, w.CreateVPC, nouns.CreateVPCRequest{CIDRBlock: cidr}, "InvalidVpc.Range")
	}
	for _, cidr := range []string{"", "10.0.0.0", "fd00::/16", "10.0.0.0/33", "::ffff:10.0.0.0/112"} {
		refused(w, w.CreateVPC, nouns.CreateVPCRequest{CIDRBlock: cidr}, "InvalidParameterValue")
	}
	vpc := w.vpc("100.64.0.0/20")
	for _, cidr := range []string{"100.64.0.0/19", "100.64.16.0/24", "100.64.0.0/29", "127.0.0.0/24"} {
		refused(w, w.CreateSubnet, nouns.CreateSubnetRequest{VPCID: vpc, CIDRBlock: cidr}, "InvalidSubnet.Range")
	}
	subnet := w.subnet(vpc, "100.64.1.0/28")
	for _, address := range []string{"100.64.1.3", "100.64.1.15", "100.64.1.16", "127.0.0.5", "fd00::5"} {
		refused(w, w.RunInstances, nouns.RunInstancesRequest{SubnetID: subnet, PrivateAddress: address},
			"InvalidParameterValue")
	}
}

// fails says that a node cannot make an object, or that it can.
func (n node) fails(object, reason string) {
	n.w.t.Helper()
	key, err := lattice.FailureReportKey(n.name, object), error(nil)
	if reason == "" {
		err = n.lease.Delete(n.w.ctx, key)
	} else {
		err = n.lease.Put(n.w.ctx, key, fmt.Appendf(nil, `{"failureMessage":%q}`, reason))
	}
	if err != nil {
		n.w.t.Fatal(err)
	}
}

func TestFault_A1_InstancesThatCannotBeMadeAreTerminated(t *testing.T) {
	w := newWorld(t)
	w.settle()
	vpc := w.vpc("10.0.0.0/16")
	subnet := w.subnet(vpc, "10.0.0.0/24")
	node := w.node("one")
	good, bad := w.run(subnet).ID, w.run(subnet).ID
	node.fails("instance/"+bad, "no room")
	node.applies()
	w.until(good, nouns.InstanceRunning)
	w.until(bad, nouns.InstanceTerminated)
	described := must(w, w.DescribeInstances,
		nouns.DescribeInstancesRequest{IDs: []string{bad}}).Reservations[0].Instances[0]
	if described.StateReason == nil || described.StateReason.Code != "Server.InternalError" ||
		!strings.Contains(described.StateReason.Message, "no room") {
		t.Errorf("the reason is %+v", described.StateReason)
	}
	must(w, w.TerminateInstances, nouns.TerminateInstancesRequest{IDs: []string{bad}})

	// One that runs is not terminated: it may be made again.
	reason := func(id string) string {
		d := must(w, w.DescribeInstances, nouns.DescribeInstancesRequest{IDs: []string{id}}).Reservations[0].Instances[0]
		if d.StateReason == nil {
			return ""
		}
		return d.StateReason.Message
	}
	node.fails("instance/"+good, "the host is full")
	w.untilSo("status/instance/", func() bool { return strings.Contains(reason(good), "the host is full") })
	if got := w.state(good); got != nouns.InstanceRunning {
		t.Errorf("it is %s", got)
	}
	node.fails("instance/"+good, "")
	node.applies()
	w.untilSo("status/instance/", func() bool { return reason(good) == "" })

	node.fails("vpc/"+vpc, "no slot")
	state := func() string {
		return must(w, w.DescribeVPCs, nouns.DescribeVPCsRequest{IDs: []string{vpc}}).VPCs[0].State
	}
	w.untilSo("status/vpc/", func() bool { return state() == "pending" })
	node.fails("vpc/"+vpc, "")
	node.applies()
	w.untilSo("status/vpc/", func() bool { return state() == "available" })
}

// untilSo waits until something is so that changes with the objects under a prefix.
func (w *world) untilSo(prefix string, holds func() bool) {
	w.t.Helper()
	reached := errors.New("reached")
	err := w.Store.Follow(w.ctx, prefix, func(store.Batch) error {
		if holds() {
			return reached
		}
		return nil
	})
	if !errors.Is(err, reached) {
		w.t.Fatal(err)
	}
}
