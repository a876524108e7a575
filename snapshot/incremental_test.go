package snapshot

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"pergola/addressing"
	"pergola/aws/ec2"
	"pergola/aws/iam"
	"pergola/lattice"
)

// TestIncrementalEqualsCompile applies random changes, and after each batch compares the snapshot with one compiled
// from nothing.
func TestIncrementalEqualsCompile(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 1))
			objects := map[string]Change{}
			c := NewCompiler(region)
			for revision := int64(1); revision <= 60; revision++ {
				var batch []Change
				for range 1 + r.IntN(4) {
					change := randomChange(r)
					batch = append(batch, change)
					objects[change.Key] = change
				}
				got, _ := c.Apply(revision, false, batch)
				want, _ := Compile(region, revision, slices.Collect(maps.Values(objects)))
				if got, want := dump(t, got)+findings(got), dump(t, want)+findings(want); got != want {
					t.Fatalf("after %s:\n%s\nwant:\n%s", batch, got, want)
				}
				checkCoherent(t, got)
			}
			checkForgets(t, c, objects)
		})
	}
}

// checkCoherent checks that there is one of each thing in a snapshot, whichever way leads to it.
func checkCoherent(t *testing.T, s *Snapshot) {
	t.Helper()
	networks := map[string]*Network{}
	services := map[string]*Service{}
	see := func(service *Service) {
		if known := services[service.ID]; known != nil && known != service {
			t.Fatalf("two of service %s", service.ID)
		}
		services[service.ID] = service
	}
	for v := range s.VPCs.Values() {
		for _, door := range v.Doors {
			n := door.Network
			if known := networks[n.ID]; known != nil && known != n {
				t.Fatalf("two of network %s", n.ID)
			}
			networks[n.ID] = n
			for service := range n.Names.Values() {
				see(service)
			}
			for _, port := range n.Ports {
				for l := range port.Listeners.Values() {
					see(l.Service)
				}
			}
		}
	}
	certificates := map[string]*Certificate{}
	for _, service := range services {
		if c := service.Certificate; c != nil {
			if known := certificates[c.ARN]; known != nil && known != c {
				t.Fatalf("two of certificate %s", c.ARN)
			}
			certificates[c.ARN] = c
		}
		for _, l := range service.Listeners {
			for _, rule := range l.Rules {
				for _, f := range rule.Action.Forward {
					if f.Group != s.TargetGroups.Get(f.Group.ID) {
						t.Fatalf("rule %s forwards to another %s", rule.ID, f.Group.ID)
					}
				}
			}
		}
	}
}

// checkForgets deletes everything and checks that nothing is left.
func checkForgets(t *testing.T, c *Compiler, objects map[string]Change) {
	t.Helper()
	for key := range objects {
		_, _ = c.Apply(99, false, []Change{gone(key)}) // what refers to it still is a problem
	}
	for _, p := range iam.AWSManaged() { // those are always there
		delete(c.callers.managed, iam.ID(p.Account, p.Name))
	}
	bounds := &c.callers.bounds
	left := len(c.callers.managed) + len(c.callers.holders) + len(c.callers.keys) +
		len(bounds.organizations) + len(bounds.units) + len(bounds.accounts) + len(bounds.policies) + len(bounds.broken) + len(bounds.compiled)
	if c.authority != nil {
		left++
	}
	left += len(c.certificates) + len(c.services) + len(c.networks) + len(c.groups) + len(c.vpcs) + len(c.serviceLinks) + len(c.vpcLinks) + len(c.instances) + len(c.placements)
	left += len(c.filters.homes) + len(c.filters.lists) - len(ec2.LatticePrefixLists(region))
	left += len(c.zones.states) + len(c.zones.byVPC) + len(c.zones.byName) + len(c.zones.stale) + len(c.zones.staleVPCs) +
		len(c.zones.staleNames)
	left += len(c.resources.gateways) + len(c.resources.configurations) + len(c.resources.associations) +
		len(c.resources.verifications) + len(c.resources.children) + len(c.resources.within) + len(c.resources.reached) +
		len(c.resources.stale) + len(c.resources.staleGateways) + c.resources.compiled.Len()
	left += len(c.balancers.objects) + len(c.balancers.groups) + len(c.balancers.stale)
	if left != 0 || dump(t, c.current) != "revision 99\n" {
		t.Errorf("%d things are left after all was deleted: %+v\n%s", left, c, dump(t, c.current))
	}
}

// randomChange puts, breaks or deletes one object of a small world, so that objects meet often.
func randomChange(r *rand.Rand) Change {
	change := randomPut(r)
	switch r.IntN(8) {
	case 0, 1:
		return gone(change.Key)
	case 2:
		return Change{change.Key, []byte(`{"id":0}`)}
	}
	return change
}

func randomPut(r *rand.Rand) Change {
	one := func(prefix string, of int) string { return fmt.Sprint(prefix, r.IntN(of)) }
	statuses := []lattice.Status{lattice.StatusActive, lattice.StatusActive, lattice.StatusCreateInProgress, lattice.StatusDeleteInProgress}
	status := statuses[r.IntN(len(statuses))]
	action := func() lattice.RuleAction {
		switch r.IntN(4) {
		case 0:
			return fixed(404)
		case 1:
			return forward(one("tg-", 3), one("tg-", 3))
		}
		return forward(one("tg-", 3))
	}
	svc, l := one("svc-", 4), one("listener-", 2)
	attached := []*lattice.AuthPolicy{nil, guarding("a"), guarding("b"), {Policy: "{}"}}[r.IntN(4)]
	switch r.IntN(39) {
	case 29:
		return aDNSVPC(one("vpc-", 3), r.IntN(4) > 0, r.IntN(4) > 0)
	case 30:
		name := []string{"example.com", "www.example.com"}[r.IntN(2)]
		return aZone(one("Z", 3), name, r.IntN(2), []string{one("vpc-", 3), one("vpc-", 3)}[:r.IntN(3)]...)
	case 31, 32:
		return randomRecord(r)
	case 33, 34, 35, 36, 37, 38:
		return randomResource(r)
	case 0:
		return aVPC(one("vpc-", 3))
	case 1:
		states := []lattice.Status{lattice.StatusActive, lattice.StatusGone}
		if r.IntN(2) == 0 {
			return aGroupedInstance(one("i-", 3), one("vpc-", 3), one("10.0.0.", 9), one("sg-", 3), one("sg-", 3))
		}
		return anInstance(one("i-", 3), one("vpc-", 3), one("10.0.0.", 9), states[r.IntN(2)])
	case 2:
		id := one("sn-", 3)
		return put("servicenetwork/"+id, lattice.ServiceNetwork{ID: id, ARN: arnOf(lattice.KindServiceNetwork, id), AuthType: lattice.AuthIAM, AuthPolicy: attached})
	case 3:
		id := one("snva-", 4)
		a := vpcAssociation(id, one("sn-", 3), one("vpc-", 3), r.IntN(3))
		a.Status = status
		a.SecurityGroupIDs = [][]string{nil, {one("sg-", 3)}, {"sg-0", "sg-1"}}[r.IntN(3)]
		if n := r.IntN(3); n > 0 {
			a.Address = addressing.Nth(addressing.ServiceNetworks, uint32(n))
		}
		return put("servicenetworkvpcassociation/"+id, a)
	case 4:
		id := one("snsa-", 6)
		a := serviceAssociation(id, one("sn-", 3), svc, r.IntN(3))
		a.Status = status
		return put("servicenetworkserviceassociation/"+id, a)
	case 5, 6:
		s := service(svc)
		s.Status, s.AuthPolicy = status, attached
		if r.IntN(2) == 0 {
			s.CustomDomainName = one("www", 2) + ".example.com"
			s.CertificateARN = certificateARN(one("", 3))
		}
		return put("service/"+svc, s)
	case 7:
		o := listener(svc, l, int32(80+r.IntN(2)), action())
		o.Protocol = []lattice.Protocol{lattice.ProtocolHTTP, lattice.ProtocolHTTP, lattice.ProtocolHTTPS, lattice.ProtocolTLSPassthrough}[r.IntN(4)]
		return put("listener/"+svc+"/"+l, o)
	case 8:
		return aRule(svc, l, one("rule-", 3), int32(1+r.IntN(3)), one("/", 5), action())
	case 9:
		kinds := []lattice.TargetGroupType{lattice.TargetInstance, lattice.TargetIP}
		return aGroup(one("tg-", 3), append(kinds, lattice.TargetALB)[r.IntN(3)])
	case 18:
		return aBalancer(one("elb-", 2), one("vpc-", 3), one("group-", 2), one("group-", 2))
	case 19:
		return aBalancerGroup(one("group-", 2), one("i-", 3), one("i-", 3))
	case 20:
		return aTarget(one("tg-", 3), balancerARN(one("elb-", 2)), int32(80+r.IntN(2)))
	case 10, 11, 12, 13, 14, 15, 16:
		return randomIdentity(r)
	case 17:
		return aCertificate(one("", 3), one("v", 3))
	case 21:
		return anAuthority(one("v", 3))
	case 24, 25:
		return aSecurityGroup(one("sg-", 3), one("vpc-", 3), one("pl-", 2), one("sg-", 3))
	case 26:
		return aPrefixList(one("pl-", 2), one("10.", 4)+".0.0/16")
	case 27:
		return anACL(one("acl-", 3), one("vpc-", 3), int32(r.IntN(3)))
	case 28:
		return aSubnet(one("subnet-", 2), one("vpc-", 3), one("acl-", 3))
	}
	return aTarget(one("tg-", 3), one("i-", 3), int32(80+r.IntN(2)))
}

// randomRecord is a record set of a small zone.
func randomRecord(r *rand.Rand) Change {
	one := func(of ...string) string { return of[r.IntN(len(of))] }
	zone, name := one("Z0", "Z1", "Z2"), one("example.com", "www.example.com", "*.example.com", "a.b.www.example.com")
	switch r.IntN(4) {
	case 0:
		return aRecord(zone, name, "CNAME", one("example.com", "x.test"))
	case 1:
		return aRecord(zone, name, "A", one("→www.example.com", "192.0.2", "192.0.2.9"))
	}
	return aWeightedRecord(zone, name, "A", one("192.0.2.1", "192.0.2.2"), one("a", "b"), int64(r.IntN(3)))
}

// TestUnchangedIsShared holds what an Apply may not replace: everything that the change does not concern.
func TestUnchangedIsShared(t *testing.T) {
	everything := append(story(),
		aVPC("vpc-2"), aNetwork("sn-2"), aVPCAssociation("snva-2", "sn-2", "vpc-2", 1),
		aService("svc-2"), aServiceAssociation("snsa-2", "sn-2", "svc-2", 2),
		aListener("svc-2", "listener-2", 80, forward("tg-2")), aGroup("tg-2", lattice.TargetALB),
		aBalancer("elb-1", "vpc-2", "group-1"), aBalancerGroup("group-1", "i-7"), aTarget("tg-2", balancerARN("elb-1"), 80),
		aService("svc-3"), aServiceAssociation("snsa-3", "sn-1", "svc-3", 3),
		aListener("svc-3", "listener-3", 80, fixed(404)),
		anAuthority("first"), aCertificate("1", "first"), aCertificate("2", "first"),
		aSecurityGroup("sg-2", "vpc-2", "pl-2", "sg-2"),
		certifiedService("svc-4", "own.example.com", "1"), aServiceAssociation("snsa-4", "sn-1", "svc-4", 4))
	for _, test := range []struct {
		name   string
		change Change
		// replaced are all of the things that may be new.
		replaced []string
	}{
		{"rule", aRule("svc-1", "listener-1", "rule-9", 9, "/x", fixed(500)), []string{"svc-1", "sn-1", "vpc-1"}},
		{"rule that brings a group into use", aRule("svc-3", "listener-3", "rule-9", 9, "/x", forward("tg-1")), []string{"svc-3", "sn-1", "vpc-1"}},
		{"service association", aServiceAssociation("snsa-9", "sn-2", "svc-3", 9), []string{"sn-2", "vpc-2"}},
		{"vpc association", aVPCAssociation("snva-9", "sn-2", "vpc-1", 0), []string{"vpc-1"}},
		{"target", aTarget("tg-2", balancerARN("elb-2"), 80), []string{"tg-2", "svc-2", "sn-2", "vpc-2"}},
		{"instance that is no target", anInstance("i-9", "vpc-2", "10.0.0.7", lattice.StatusActive), []string{"vpc-2"}},
		{"instance that is a target", gone("instance/i-1"), []string{"tg-1", "svc-1", "sn-1", "vpc-1"}},
		{"vpc", aVPC("vpc-3"), []string{"vpc-3"}},
		{"auth type of a network", aNetwork("sn-2"), []string{"sn-2", "vpc-2"}},
		{"certificate", aCertificate("1", "second"), []string{"svc-4", "sn-1", "vpc-1", "elb-1", "vpc-2"}},
		{"certificate that nobody uses", aCertificate("2", "second"), nil},
		{"authority", anAuthority("second"), nil},
		{"load balancer", aBalancer("elb-9", "vpc-3", "group-1"), []string{"elb-9"}},
		{"load balancer that is a target", gone("loadbalancer/elb-1"), []string{"elb-1", "tg-2", "svc-2", "sn-2", "vpc-2"}},
		{"load balancer's target group", aBalancerGroup("group-1", "i-1"), []string{"elb-1", "vpc-2"}},
		{"load balancer's target", anInstance("i-7", "vpc-2", "10.0.0.8", lattice.StatusActive), []string{"elb-1", "vpc-2"}},
		{"security group", aSecurityGroup("sg-1", "vpc-1", "pl-1", "sg-1"), []string{"vpc-1"}},
		{"prefix list", aPrefixList("pl-2", "10.0.0.0/8"), []string{"vpc-2"}},
		{"prefix list that nobody uses", aPrefixList("pl-9", "10.0.0.0/8"), nil},
		{"network acl", anACL("acl-1", "vpc-2", 1), []string{"vpc-2"}},
		{"subnet", aSubnet("subnet-1", "vpc-1", "acl-1"), []string{"vpc-1"}},
		{"kind of no concern", Change{"routetable/rtb-1", []byte("{}")}, nil},
	} {
		c := NewCompiler(region)
		before, err := c.Apply(1, true, everything)
		if err != nil {
			t.Fatal(err)
		}
		after, err := c.Apply(2, false, []Change{test.change})
		if err != nil {
			t.Fatal(err)
		}
		was, is := things(before), things(after)
		for id := range is {
			if was[id] != is[id] && !slices.Contains(test.replaced, id) {
				t.Errorf("%s: %s was replaced", test.name, id)
			}
		}
		for _, id := range test.replaced {
			if was[id] == is[id] {
				t.Errorf("%s: %s was not replaced", test.name, id)
			}
		}
	}
}

// things are pointers to all that a snapshot is made of, by id.
func things(s *Snapshot) map[string]any {
	all := map[string]any{}
	for id, g := range s.TargetGroups.All() {
		all[id] = g
	}
	for id, l := range s.LoadBalancers.All() {
		all[id] = l
	}
	for id, v := range s.VPCs.All() {
		all[id] = v
		for _, door := range v.Doors {
			all[door.Network.ID] = door.Network
			for service := range door.Network.Names.Values() {
				all[service.ID] = service
			}
		}
	}
	return all
}

func TestApplyLeavesTheOldSnapshotAlone(t *testing.T) {
	c := NewCompiler(region)
	s, err := c.Apply(1, true, story())
	if err != nil {
		t.Fatal(err)
	}
	before := dump(t, s)
	for _, change := range story() {
		if _, err := c.Apply(2, false, []Change{gone(change.Key)}); err != nil {
			t.Fatal(err)
		}
	}
	if after := dump(t, s); after != before {
		t.Errorf("was:\n%s\nbecame:\n%s", before, after)
	}
}

func TestResetForgets(t *testing.T) {
	c := NewCompiler(region)
	if _, err := c.Apply(1, true, story()); err != nil {
		t.Fatal(err)
	}
	s, err := c.Apply(2, true, []Change{aVPC("vpc-9")})
	if err != nil {
		t.Fatal(err)
	}
	if s.VPCs.Len() != 1 || s.VPCs.Get("vpc-9") == nil || s.TargetGroups.Len() != 0 {
		t.Errorf("more than the reset is left:\n%s", dump(t, s))
	}
}
