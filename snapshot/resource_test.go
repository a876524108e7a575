package snapshot

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"pergola/addressing"
	"pergola/lattice"
)

func aGateway(id, vpc string, resolution string, addresses ...string) Change {
	g := lattice.ResourceGateway{ID: id, ARN: arnOf(lattice.KindResourceGateway, id), VPCID: vpc,
		ResourceConfigDNSResolution: resolution, SecurityGroupIDs: []string{"sg-1"}}
	for _, a := range addresses {
		g.Nodes = append(g.Nodes, lattice.GatewayNode{SubnetID: "subnet-1", Address: netip.MustParseAddr(a)})
	}
	return put("resourcegateway/"+id, g)
}

// configuration is a resource of a type at an address of 129.224.1.0/24. A group has none.
func configuration(id, kind, gateway string, n byte) lattice.ResourceConfiguration {
	r := lattice.ResourceConfiguration{ID: id, ARN: arnOf(lattice.KindResourceConfiguration, id), Name: "n" + id,
		Type:              kind,
		ResourceGatewayID: gateway, PortRanges: []string{"5432", "8000-8010"},
		ResourceConfigurationDefinition: &lattice.ResourceConfigurationDefinition{
			IPResource: &lattice.IPResource{IPAddress: "10.0.0.99"}}}
	if kind != lattice.ResourceGroup {
		r.Address = netip.AddrFrom4([4]byte{129, 224, 1, n})
	}
	return r
}

func aConfiguration(r lattice.ResourceConfiguration) Change {
	return put("resourceconfiguration/"+r.ID, r)
}

func aResourceAssociation(id, network, configuration string, private bool, second int) Change {
	return put("servicenetworkresourceassociation/"+id, lattice.ServiceNetworkResourceAssociation{ID: id,
		ServiceNetworkID: network, ResourceConfigurationID: configuration, PrivateDNSEnabled: &private,
		CreatedAt: at(second)})
}

func aVerification(id, domain, status string) Change {
	return put("domainverification/"+id, lattice.DomainVerification{ID: id, DomainName: domain, Status: status})
}

func aPrivateVPCAssociation(id, network, vpc, preference string, specified ...string) Change {
	a := vpcAssociation(id, network, vpc, 0)
	a.PrivateDNSEnabled = new(true)
	a.DNSOptions = &lattice.DNSOptions{PrivateDNSPreference: preference, PrivateDNSSpecifiedDomains: specified}
	return put("servicenetworkvpcassociation/"+id, a)
}

// randomResource is a change about resources.
func randomResource(r *rand.Rand) Change {
	one := func(prefix string, of int) string { return fmt.Sprint(prefix, r.IntN(of)) }
	switch r.IntN(5) {
	case 0:
		return aGateway(one("rgw-", 2), one("vpc-", 3), []string{"PUBLIC", "IN_VPC"}[r.IntN(2)], one("10.0.0.", 9))
	case 1:
		return aVerification(one("dv-", 2), "example.com", []string{"PENDING", "VERIFIED"}[r.IntN(2)])
	case 2:
		return aPrivateVPCAssociation(one("snva-", 4), one("sn-", 3), one("vpc-", 3), "ALL_DOMAINS")
	case 3:
		return aResourceAssociation(one("snra-", 4), one("sn-", 3), one("rcfg-", 6), r.IntN(2) == 0, r.IntN(3))
	}
	n := r.IntN(6)
	c := configuration(fmt.Sprint("rcfg-", n), []string{"SINGLE", "GROUP", "CHILD"}[n/2], one("rgw-", 2), byte(n))
	switch c.Type {
	case "SINGLE":
		c.CustomDomainName, c.DomainVerificationID = one("db", 2)+".example.com", one("dv-", 3)
	case "GROUP":
		c.GroupDomain = []string{"", "example.com"}[r.IntN(2)]
	case "CHILD":
		c.ResourceConfigurationGroupID, c.CustomDomainName = one("rcfg-", 4), one("c", 2)+".example.com"
		c.ResourceConfigurationDefinition = &lattice.ResourceConfigurationDefinition{
			DNSResource: &lattice.DNSResource{DomainName: one("c", 2) + ".example.com"}}
	}
	c.Deleting = r.IntN(8) == 0
	return aConfiguration(c)
}

// world of resources: two networks with a VPC each, a gateway in a third VPC, a single resource and a group.
func resourceWorld() []Change {
	single, group := configuration("rcfg-1", "SINGLE", "rgw-1", 1), configuration("rcfg-2", "GROUP", "rgw-1", 0)
	single.CustomDomainName, single.DomainVerificationID = "db.example.com", "dv-1"
	group.GroupDomain = "group.example.org"
	child := configuration("rcfg-3", "CHILD", "rgw-1", 3)
	child.ResourceConfigurationGroupID, child.CustomDomainName = "rcfg-2", "c.group.example.org"
	child.ResourceConfigurationDefinition = &lattice.ResourceConfigurationDefinition{
		DNSResource: &lattice.DNSResource{DomainName: "C.Group.example.org"}}
	return []Change{
		aVPC("vpc-1"), aVPC("vpc-2"), aVPC("vpc-3"), aNetwork("sn-1"), aNetwork("sn-2"),
		aVPCAssociation("snva-1", "sn-1", "vpc-1", 0), aVPCAssociation("snva-2", "sn-2", "vpc-2", 0),
		aGateway("rgw-1", "vpc-3", "IN_VPC", "10.0.0.4", "10.0.1.4"),
		aConfiguration(single), aConfiguration(group), aConfiguration(child),
		aVerification("dv-1", "example.com", "VERIFIED"),
		aResourceAssociation("snra-1", "sn-1", "rcfg-1", true, 1), aResourceAssociation("snra-2", "sn-1", "rcfg-2", true, 2),
	}
}

func applied(t *testing.T, changes ...Change) *Snapshot {
	t.Helper()
	s, err := Compile(region, 1, append(resourceWorld(), changes...))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestResourcesAreReachedThroughTheirNetwork(t *testing.T) {
	s := applied(t)
	vpc := s.VPCs.Get("vpc-1")
	reach, network := vpc.Reach(netip.MustParseAddr("129.224.1.1"))
	if reach == nil || reach.ID != "rcfg-1" || reach.Association != "snra-1" || network.ID != "sn-1" ||
		reach.Gateway.VPC != "vpc-3" {
		t.Fatalf("at its address there is %+v", reach)
	}
	for port, want := range map[uint16]bool{5432: true, 5433: false, 8000: true, 8010: true, 8011: false, 0: false} {
		if reach.HasPort(port) != want {
			t.Errorf("port %d: %t", port, !want)
		}
	}
	if child, _ := vpc.Reach(netip.MustParseAddr("129.224.1.3")); child == nil || child.Association != "snra-2" ||
		child.Domain != "c.group.example.org" {
		t.Errorf("a child is %+v", child)
	}
	if other, _ := s.VPCs.Get("vpc-2").Reach(reach.Address); other != nil {
		t.Errorf("in another network it is %+v", other)
	}
	want := []DoorPort{{"vpc-1", ResourceDoor, 0}}
	var got []DoorPort
	for at, entries := range vpc.Openings() {
		got = append(got, at)
		if !entries[0].IsRange() || !slices.Equal(vpc.Opening(at), entries) {
			t.Errorf("%v is open at %v", at, entries)
		}
	}
	if !slices.Equal(got, want) || s.VPCs.Get("vpc-2").Opening(DoorPort{"vpc-2", ResourceDoor, 0}) != nil {
		t.Errorf("there are the openings %v, want %v", got, want)
	}
	if g := s.VPCs.Get("vpc-3").Gateways; len(g) != 1 || len(g[0].Addresses) != 2 || g[0].NodeID(1) != "rgw-1-1" {
		t.Errorf("the gateways are %+v", g)
	}
	for _, change := range []Change{gone("resourcegateway/rgw-1"), gone("resourceconfiguration/rcfg-1"),
		gone("servicenetworkresourceassociation/snra-1"), gone("servicenetworkvpcassociation/snva-1")} {
		if reach, _ := applied(t, change).VPCs.Get("vpc-1").Reach(netip.MustParseAddr("129.224.1.1")); reach != nil {
			t.Errorf("without %s it is reached", change.Key)
		}
	}
	if addressing.Resources.Addr() == reach.Address {
		t.Error("a resource has the address of the listener")
	}
}

func TestNamesOfResources(t *testing.T) {
	generated := lattice.ResourceDomainName("snra-1", "rcfg-1", region)
	private := func(preference string, specified ...string) Change {
		return aPrivateVPCAssociation("snva-1", "sn-1", "vpc-1", preference, specified...)
	}
	pending := aVerification("dv-1", "example.com", "PENDING")
	for what, test := range map[string]struct {
		changes []Change
		// want has, for each name, the id of the resource, "none" for a name that does not exist in a private zone, and ""
		// for one that is asked for elsewhere.
		want map[string]string
	}{
		"without private DNS": {nil, map[string]string{generated: "rcfg-1", "db.example.com": ""}},
		"verified": {[]Change{private("VERIFIED_DOMAINS_ONLY")},
			map[string]string{generated: "rcfg-1", "DB.example.com.": "rcfg-1", "x.db.example.com": "none", "example.com": "",
				"c.group.example.org": ""}},
		"not verified yet": {[]Change{private("VERIFIED_DOMAINS_ONLY"), pending},
			map[string]string{"db.example.com": ""}},
		"all": {[]Change{private("ALL_DOMAINS"), pending}, map[string]string{"db.example.com": "rcfg-1",
			"c.group.example.org": "rcfg-3", "d.group.example.org": "none", "group.example.org": "none", "example.org": ""}},
		"specified": {[]Change{private("SPECIFIED_DOMAINS_ONLY", "group.example.org")},
			map[string]string{"db.example.com": "", "c.group.example.org": "rcfg-3"}},
		"specified by a pattern": {[]Change{private("SPECIFIED_DOMAINS_ONLY", "x.test", "*.example.com")},
			map[string]string{"db.example.com": "rcfg-1", "c.group.example.org": ""}},
		"verified and specified": {[]Change{private("VERIFIED_DOMAINS_AND_SPECIFIED_DOMAINS", "group.example.org")},
			map[string]string{"db.example.com": "rcfg-1", "c.group.example.org": "rcfg-3"}},
		"off at the association": {[]Change{private("ALL_DOMAINS"), aResourceAssociation("snra-1", "sn-1", "rcfg-1", false,
			1)}, map[string]string{generated: "rcfg-1", "db.example.com": ""}},
		"a group without a domain": {[]Change{private("ALL_DOMAINS"),
			aConfiguration(configuration("rcfg-2", "GROUP", "rgw-1", 0))}, map[string]string{"c.group.example.org": "",
			lattice.ResourceDomainName("snra-2", "rcfg-3", region): "rcfg-3"}},
	} {
		t.Run(what, func(t *testing.T) {
			vpc := applied(t, test.changes...).VPCs.Get("vpc-1")
			for name, want := range test.want {
				got, isPrivate := vpc.ReachNamed([]byte(name))
				id := ""
				switch {
				case got != nil:
					id = got.ID
				case isPrivate:
					id = "none"
				}
				if id != want {
					t.Errorf("%s is %q, want %q", name, id, want)
				}
			}
		})
	}
	// The gateway's own VPC does not have the zone in which its resolver would find the resource itself.
	s := applied(t, aPrivateVPCAssociation("snva-3", "sn-1", "vpc-3", "ALL_DOMAINS"))
	if r, isPrivate := s.VPCs.Get("vpc-3").ReachNamed([]byte("c.group.example.org")); r != nil || isPrivate {
		t.Error("the name of a resource leads its gateway to itself")
	}
	if r, _ := s.VPCs.Get("vpc-3").ReachNamed([]byte("db.example.com")); r == nil {
		t.Error("a resource at an address has no private name in the gateway's VPC")
	}
	vpc := applied(t, private("ALL_DOMAINS")).VPCs.Get("vpc-1")
	name := []byte("some.name.below.db.example.net")
	if n := testing.AllocsPerRun(100, func() { vpc.ReachNamed(name) }); n > 0 {
		t.Errorf("looking for a name allocates %v times", n)
	}
}
