package control

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pergola/aws/ec2"
	"pergola/lattice"
	"pergola/store"
)

func (w *world) register(group string, targets ...lattice.Target) *lattice.RegisterTargetsResponse {
	return must(w.RegisterTargets(w.ctx, w.caller, &lattice.RegisterTargetsRequest{TargetGroupIdentifier: group, Targets: targets}))
}

func (w *world) deregister(group string, targets ...lattice.Target) *lattice.DeregisterTargetsResponse {
	return must(w.DeregisterTargets(w.ctx, w.caller, &lattice.DeregisterTargetsRequest{TargetGroupIdentifier: group, Targets: targets}))
}

// health is the listed status and reason of each target of a group, by id and port.
func (w *world) health(group string, filter ...lattice.Target) map[string]string {
	w.t.Helper()
	health := map[string]string{}
	for _, target := range must(w.ListTargets(w.ctx, w.caller, &lattice.ListTargetsRequest{TargetGroupIdentifier: group, Targets: filter})).Items {
		health[lattice.TargetKey(target.ID, target.Port)] = string(target.Status) + " " + target.ReasonCode
	}
	return health
}

func TestRegisterTargetsByAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	group := w.group("fleet", w.vpc("fleet"))
	_, err := w.RegisterTargets(w.ctx, w.caller, &lattice.RegisterTargetsRequest{TargetGroupIdentifier: group, Targets: []lattice.Target{{ID: "10.0.1.10"}}})
	refused(t, err, lattice.Conflict, "Invalid resource status for this operation, resource id "+group+", status: CREATE_IN_PROGRESS")
	w.settleNow()
	for target, says := range map[lattice.Target]string{
		{ID: "10.0.1.10"}:             "",
		{ID: "10.0.1.10", Port: 8080}: "",
		{ID: "10.0.1.254"}:            "",
		{ID: "10.0.1.0"}:              "reserved",
		{ID: "10.0.1.3"}:              "reserved",
		{ID: "10.0.1.4"}:              "",
		{ID: "10.0.1.255"}:            "reserved",
		{ID: "10.0.2.10"}:             "in no subnet",
		{ID: "10.1.1.10"}:             "not in 10.0.0.0/16",
		{ID: "8.8.8.8"}:               "not in 10.0.0.0/16",
		{ID: "fd00::1"}:               "IPV4",
		{ID: "::ffff:10.0.1.20"}:      "not an IP address",
		{ID: "10.0.1.010"}:            "not an IP address",
		{ID: "i-0123456789abcdef0"}:   "not an IP address",
	} {
		answer := w.register(group, target)
		switch {
		case says == "" && (len(answer.Successful) != 1 || answer.Unsuccessful == nil):
			t.Errorf("%v: %+v", target, answer)
		case says != "" && (len(answer.Unsuccessful) != 1 || answer.Successful == nil):
			t.Errorf("%v: %+v", target, answer)
		case says != "":
			failure := answer.Unsuccessful[0]
			if failure.FailureCode != "InvalidTarget" || !strings.Contains(failure.FailureMessage, says) {
				t.Errorf("%v: %+v, want %q", target, failure, says)
			}
		}
	}
	mixed := w.register(group, lattice.Target{ID: "10.0.1.30"}, lattice.Target{ID: "10.9.9.9"}, lattice.Target{ID: "10.0.1.30", Port: 80})
	if len(mixed.Successful) != 1 || mixed.Successful[0].Port != 80 || len(mixed.Unsuccessful) != 2 || !strings.Contains(mixed.Unsuccessful[1].FailureMessage, "twice") {
		t.Errorf("mixed: %+v", mixed)
	}
}

func TestIPv6Targets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	vpc := id("vpc-", "six")
	w.write(func(tx *store.Tx) error {
		if err := vpcs.Put(tx, vpc, ec2.VPC{ID: vpc, Account: account, CIDR: netip.MustParsePrefix("fd00:1::/56")}); err != nil {
			return err
		}
		if err := references.Put(tx, vpc+"/"+id("subnet-", "six"), ""); err != nil {
			return err
		}
		return subnets.Put(tx, id("subnet-", "six"), ec2.Subnet{VPC: vpc, CIDR: netip.MustParsePrefix("fd00:1::/64")})
	})
	group := w.groupOf("six", lattice.TargetIP, lattice.TargetGroupConfig{VPCIdentifier: vpc, IPAddressType: "IPV6"})
	w.settleNow()
	answer := w.register(group, lattice.Target{ID: "fd00:1:0:0::0A"}, lattice.Target{ID: "fd00:1::3"}, lattice.Target{ID: "10.0.1.10"}, lattice.Target{ID: "fd00:1::b%eth0"})
	if len(answer.Successful) != 1 || answer.Successful[0].ID != "fd00:1::a" || len(answer.Unsuccessful) != 3 {
		t.Errorf("got %+v", answer)
	}
	if gone := w.deregister(group, lattice.Target{ID: "FD00:1::a"}); len(gone.Successful) != 1 {
		t.Errorf("another spelling is another target: %+v", gone)
	}
}

func TestRegisterTargetsByInstance(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	vpc, elsewhere := w.vpc("fleet"), w.vpc("elsewhere")
	group := w.groupOf("fleet", lattice.TargetInstance, lattice.TargetGroupConfig{VPCIdentifier: vpc, Protocol: lattice.TargetHTTP})
	w.settleNow()
	w.caller = callerOf(other)
	foreign := w.instance("foreign", vpc, lattice.StatusActive)
	w.caller = callerOf(account)
	for target, says := range map[string]string{
		w.instance("good", vpc, lattice.StatusActive):          "",
		w.instance("new", vpc, lattice.StatusCreateInProgress): "pending",
		w.instance("old", vpc, lattice.StatusGone):             "terminated",
		w.instance("far", elsewhere, lattice.StatusActive):     "not in " + vpc,
		foreign:             "not in the account",
		id("i-", "unknown"): "does not exist",
	} {
		answer := w.register(group, lattice.Target{ID: target, Port: 8080})
		if says == "" && len(answer.Successful) != 1 || says != "" && !strings.Contains(answer.Unsuccessful[0].FailureMessage, says) {
			t.Errorf("%s: %+v, want %q", target, answer, says)
		}
	}
}

func TestLoadBalancersCannotBeRegisteredYet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	balancer := w.groupOf("balancer", lattice.TargetALB, lattice.TargetGroupConfig{VPCIdentifier: w.vpc("fleet")})
	w.settleNow()
	answer := w.register(balancer, lattice.Target{ID: "arn:aws:elasticloadbalancing:us-west-2:100000000001:loadbalancer/app/a/0123456789abcdef"})
	if len(answer.Unsuccessful) != 1 || answer.Unsuccessful[0].FailureCode != "InvalidTarget" || !strings.Contains(answer.Unsuccessful[0].FailureMessage, "no Application Load Balancer") {
		t.Errorf("got %+v", answer)
	}
}

func TestDrainingAndRevival(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	group := w.group("fleet", w.vpc("fleet"))
	w.settleNow()
	target := lattice.Target{ID: "10.0.1.10"}
	w.register(group, target)
	w.register(group, target) // again: no harm
	gone := w.deregister(group, target, lattice.Target{ID: "10.0.1.11"})
	if len(gone.Successful) != 1 || len(gone.Unsuccessful) != 1 || gone.Unsuccessful[0].FailureCode != "TargetNotFound" {
		t.Errorf("deregistered %+v", gone)
	}
	if got := w.health(group)["10.0.1.10:80"]; got != "DRAINING DeregistrationInProgress" {
		t.Errorf("a deregistered target is %s", got)
	}
	w.clock = w.clock.Add(time.Second)
	w.deregister(group, target) // again: it keeps draining, not longer
	for _, change := range w.waiting() {
		if wait := must(drains(change.Value)); !wait.Until.Equal(w.clock.Add(drainTime - time.Second)) {
			t.Errorf("it drains until %v", wait.Until)
		}
	}
	w.register(group, target)
	if got := w.health(group)["10.0.1.10:80"]; got != "UNUSED TargetGroupNotInUse" {
		t.Errorf("a revived target is %s", got)
	}
	w.settleNow()
	if len(w.health(group)) != 1 {
		t.Error("a revived target was removed")
	}
}

func TestQuotaOfTargets(t *testing.T) {
	t.Parallel()
	w := newWorld(t, quotaOf{lattice.QuotaTargets, 3})
	group := w.group("fleet", w.vpc("fleet"))
	w.settleNow()
	w.register(group, lattice.Target{ID: "10.0.1.10"}, lattice.Target{ID: "10.0.1.11"}, lattice.Target{ID: "10.0.1.12"})
	_, err := w.RegisterTargets(w.ctx, w.caller, &lattice.RegisterTargetsRequest{TargetGroupIdentifier: group, Targets: []lattice.Target{{ID: "10.0.1.13"}}})
	refused(t, err, lattice.QuotaExceeded, "L-D71303F3")
	w.register(group, lattice.Target{ID: "10.0.1.10"}) // one of the three
	w.deregister(group, lattice.Target{ID: "10.0.1.10"})
	w.register(group, lattice.Target{ID: "10.0.1.13"}) // draining targets do not count
	failed := race(4, func(int) error {
		_, err := w.RegisterTargets(w.ctx, w.caller, &lattice.RegisterTargetsRequest{TargetGroupIdentifier: group, Targets: []lattice.Target{{ID: "10.0.1.10"}}})
		return err
	})
	if len(failed) != 4 {
		t.Error("a draining target came back beyond the quota")
	}
}

// report says what a node sees of the targets of a group, until the test ends.
func (w *world) report(node, group string, report lattice.TargetReport) *store.Lease {
	w.t.Helper()
	lease := must(w.Store.Lease(w.ctx, time.Minute))
	if err := lease.Put(w.ctx, lattice.TargetReportKey(group, node), must(json.Marshal(report))); err != nil {
		w.t.Fatal(err)
	}
	return lease
}

func TestListTargetsMergesWhatNodesSay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	network, service, group := w.network("retail"), w.service("parking"), w.group("fleet", w.vpc("fleet"))
	w.listener(service, "web", 80, forward(group))
	w.settleNow()
	var all []lattice.Target
	for i := range 5 {
		all = append(all, lattice.Target{ID: fmt.Sprintf("10.0.1.%d", 10+i)})
	}
	w.register(group, all...)
	if got := w.health(group)["10.0.1.10:80"]; got != "UNUSED TargetGroupNotInUse" {
		t.Errorf("without a service network a target is %s", got)
	}
	association := w.associate(network, service)
	if got := w.health(group)["10.0.1.10:80"]; got != "INITIAL HealthCheckInProgress" {
		t.Errorf("before any report a target is %s", got)
	}
	healthy := lattice.TargetHealth{Status: lattice.TargetHealthy}
	failing := lattice.TargetHealth{Status: lattice.TargetUnhealthy, ReasonCode: lattice.ReasonHealthCheckFailed}
	unused := lattice.TargetHealth{Status: lattice.TargetUnused, ReasonCode: lattice.ReasonTargetGroupNotInUse}
	w.report("one", group, lattice.TargetReport{"10.0.1.10:80": healthy, "10.0.1.11:80": healthy, "10.0.1.12:80": unused, "10.0.1.13:80": unused})
	second := w.report("two", group, lattice.TargetReport{"10.0.1.10:80": healthy, "10.0.1.11:80": failing, "10.0.1.12:80": healthy})
	for key, want := range map[string]string{
		"10.0.1.10:80": "HEALTHY ", "10.0.1.11:80": "UNHEALTHY HealthCheckFailed", "10.0.1.12:80": "HEALTHY ",
		"10.0.1.13:80": "UNUSED TargetGroupNotInUse", "10.0.1.14:80": "INITIAL HealthCheckInProgress",
	} {
		if got := w.health(group)[key]; got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	if got := w.health(group, all[1], lattice.Target{ID: "10.0.1.12", Port: 80}, lattice.Target{ID: "10.0.1.99"}); len(got) != 2 {
		t.Errorf("filtered: %v", got)
	}
	if err := second.Close(w.ctx); err != nil {
		t.Fatal(err)
	}
	if got := w.health(group)["10.0.1.11:80"]; got != "HEALTHY " {
		t.Errorf("the report of a node that is gone still counts: %s", got)
	}
	w.settleNow()
	must(w.DeleteServiceNetworkServiceAssociation(w.ctx, w.caller, &lattice.DeleteServiceNetworkServiceAssociationRequest{Identifier: association}))
	w.settleNow()
	if got := w.health(group)["10.0.1.10:80"]; got != "UNUSED TargetGroupNotInUse" {
		t.Errorf("after the association a target is %s", got)
	}
}

func TestListTargetsWithoutHealthChecks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	service := w.service("parking")
	group := w.groupOf("fleet", lattice.TargetIP, lattice.TargetGroupConfig{
		VPCIdentifier: w.vpc("fleet"), Protocol: lattice.TargetHTTP, HealthCheck: &lattice.HealthCheckConfig{Enabled: new(false)},
	})
	w.listener(service, "web", 80, forward(group))
	w.associate(w.network("retail"), service)
	w.settleNow()
	w.register(group, lattice.Target{ID: "10.0.1.10"})
	if got := w.health(group)["10.0.1.10:80"]; got != "UNAVAILABLE HealthCheckNotSupported" {
		t.Errorf("got %s", got)
	}
}

func TestListTargetsPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	group := w.group("fleet", w.vpc("fleet"))
	w.settleNow()
	for i := range 5 {
		w.register(group, lattice.Target{ID: fmt.Sprintf("10.0.1.%d", 10+i)})
	}
	in := &lattice.ListTargetsRequest{TargetGroupIdentifier: group, Page: lattice.Page{MaxResults: 2}}
	var sizes []int
	for {
		page := must(w.ListTargets(w.ctx, w.caller, in))
		sizes = append(sizes, len(page.Items))
		if in.NextToken = page.NextToken; in.NextToken == "" {
			break
		}
	}
	if got := fmt.Sprint(sizes); got != "[2 2 1]" {
		t.Errorf("pages of %s", got)
	}
}
