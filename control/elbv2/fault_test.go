package elbv2_test

import (
	"fmt"
	"testing"

	nouns "pergola/aws/elbv2"
	"pergola/control/elbv2"
	"pergola/control/operation"
	"pergola/store"
)

// TestFault_A10_LoadBalancersHaveQuotas goes to each quota and one beyond.
func TestFault_A10_LoadBalancersHaveQuotas(t *testing.T) {
	w := newWorld(t)
	p := w.place()
	w.Control = elbv2.New(operation.Config{Store: w.store, Region: "us-west-2", Quotas: map[string]int{
		nouns.QuotaLoadBalancers.Code: 1, nouns.QuotaTargetGroups.Code: 1, nouns.QuotaListeners.Code: 1,
	}})
	l := w.balancer(p, "one")
	w.balancer(p, "one") // which is the same one
	refused(w, w.CreateLoadBalancer, nouns.CreateLoadBalancerRequest{Name: "two", Scheme: "internal", Subnets: p.subnets},
		"TooManyLoadBalancers")
	g := w.group(p, "one")
	refused(w, w.CreateTargetGroup, nouns.CreateTargetGroupRequest{Name: "two", Protocol: "HTTP", Port: 80, VPCID: p.vpc},
		"TooManyTargetGroups")
	listener := func(port int32) nouns.CreateListenerRequest {
		return nouns.CreateListenerRequest{LoadBalancerARN: l.ARN, ListenerSettings: nouns.ListenerSettings{Protocol: "HTTP",
			Port: port}, DefaultActions: forwardTo(g)}
	}
	must(w, w.CreateListener, listener(80))
	refused(w, w.CreateListener, listener(81), "TooManyListeners")
}

// TestFault_D4_OthersTargetGroupsCostNothing counts what descriptions read while another account has a lot.
func TestFault_D4_OthersTargetGroupsCostNothing(t *testing.T) {
	w := newWorld(t)
	w.group(w.place(), "mine")
	cost := func() store.Reads {
		before := w.store.Reads()
		if got := must(w, w.DescribeTargetGroups, nouns.DescribeTargetGroupsRequest{}).TargetGroups; len(got) != 1 {
			t.Errorf("described %+v", got)
		}
		must(w, w.DescribeLoadBalancers, nouns.DescribeLoadBalancersRequest{})
		after := w.store.Reads()
		return store.Reads{Requests: after.Requests - before.Requests, Keys: after.Keys - before.Keys}
	}
	alone := cost()
	w.caller = root(other)
	p := w.place()
	for i := range 20 {
		w.group(p, fmt.Sprint("theirs-", i))
	}
	w.caller = root(account)
	if got := cost(); got != alone {
		t.Errorf("with another account's target groups it reads %+v, before %+v", got, alone)
	}
}
