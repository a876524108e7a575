package snapshot

import (
	"testing"

	"pergola/lattice"
)

func TestLoadBalancersAreFoundByNameInTheirVPC(t *testing.T) {
	s := build(t, aVPC("vpc-2"), aBalancer("elb-1", "vpc-1", "group-1"))
	here, there := s.VPCs.Get("vpc-1"), s.VPCs.Get("vpc-2")
	for name, want := range map[string]bool{
		"internal-elb-1.elb.amazonaws.com":  true,
		"INTERNAL-elb-1.ELB.amazonaws.com.": true,
		"internal-elb-2.elb.amazonaws.com":  false,
		"":                                  false,
	} {
		if got := here.LoadBalancer([]byte(name)) != nil; got != want {
			t.Errorf("%q: %t, want %t", name, got, want)
		}
	}
	if there.LoadBalancer([]byte("internal-elb-1.elb.amazonaws.com")) != nil || (*VPC)(nil).LoadBalancer([]byte("x")) != nil {
		t.Error("a load balancer is found where it is not")
	}
	name := []byte("Internal-elb-1.elb.amazonaws.com.")
	if n := testing.AllocsPerRun(100, func() { here.LoadBalancer(name) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestATargetIsAtAllAddressesOfItsLoadBalancer(t *testing.T) {
	group := aGroup("tg-1", lattice.TargetALB)
	target := aTarget("tg-1", balancerARN("elb-1"), 80)
	there := build(t, group, target, aBalancer("elb-1", "vpc-1")).TargetGroups.Get("tg-1").Targets
	at := there[0]
	if at.Key != balancerARN("elb-1")+":80" {
		at = there[1]
	}
	if at.Address.String() != "10.0.1.4:80" || len(at.More) != 1 || at.More[0].String() != "10.0.2.4:80" {
		t.Errorf("the target is at %v and %v", at.Address, at.More)
	}
	gone := build(t, group, target, aBalancer("elb-1", "vpc-1"),
		gone("loadbalancer/elb-1")).TargetGroups.Get("tg-1").Targets
	for _, at := range gone {
		if at.Key == balancerARN("elb-1")+":80" && (at.Address.IsValid() || at.More != nil) {
			t.Errorf("the target of a load balancer that is gone is at %v", at)
		}
	}
}

func TestLoadBalancersFollowTheirInstances(t *testing.T) {
	s := build(t, aBalancer("elb-1", "vpc-1", "group-1", "group-missing"), aBalancerGroup("group-1", "i-1"))
	l := s.LoadBalancers.Get("elb-1")
	if got := l.TargetGroups.Get("group-1").Targets[0].Address.String(); got != "10.0.0.5:8080" {
		t.Errorf("the target is at %s", got)
	}
	if forward := l.Listeners[0].Forward; len(forward) != 1 || l.Listeners[0].TotalWeight != 1 ||
		forward[0].Group != l.TargetGroups.Get("group-1") {
		t.Errorf("the listener forwards to %v", forward)
	}
	moved := build(t, aBalancer("elb-1", "vpc-1", "group-1"), aBalancerGroup("group-1", "i-1"),
		anInstance("i-1", "vpc-1", "10.0.0.5", lattice.StatusGone))
	if moved.LoadBalancers.Get("elb-1").TargetGroups.Get("group-1").Targets[0].Address.IsValid() {
		t.Error("a terminated instance has an address")
	}
}

func TestListenersOfLoadBalancersFollowTheirCertificate(t *testing.T) {
	c := NewCompiler(region)
	for i, test := range []struct {
		change Change
		want   string
	}{
		{aBalancer("elb-1", "vpc-1"), ""},
		{aCertificate("1", "first"), "leaf first"},
		{aCertificate("1", "second"), "leaf second"},
		{gone("certificate/111122223333/1"), ""},
	} {
		s, err := c.Apply(int64(i+1), false, []Change{test.change})
		if err != nil {
			t.Fatal(err)
		}
		listeners := s.LoadBalancers.Get("elb-1").Listeners
		if got := listeners[1].Certificate; (got != nil) != (test.want != "") || got != nil && string(got.Chain[0]) != test.want {
			t.Errorf("after %s the certificate is %v, want %q", test.change.Key, got, test.want)
		}
		if listeners[0].Certificate != nil {
			t.Error("a listener for HTTP has a certificate")
		}
	}
}
