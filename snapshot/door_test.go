package snapshot

import (
	"net/netip"
	"slices"
	"testing"

	"pergola/lattice"
)

// twoDoors is the story with a second service network in its VPC, the younger one, where a service of its own answers,
// and one that has the custom domain name of the story's. The first door's association keeps no address.
func twoDoors() []Change {
	second := vpcAssociation("snva-2", "sn-2", "vpc-1", 9)
	second.Address = netip.MustParseAddr("169.254.171.2")
	return append(story(), aNetwork("sn-2"), put("servicenetworkvpcassociation/snva-2", second),
		aService("svc-2"), aServiceAssociation("snsa-2", "sn-2", "svc-2", 3),
		aListener("svc-2", "listener-2", 80, fixed(404)),
		namedService("svc-3", "parking.example.com"), aServiceAssociation("snsa-3", "sn-2", "svc-3", 4),
		aListener("svc-3", "listener-3", 8080, fixed(404)))
}

// reached says which doors and which service a name leads to in the VPC.
func reached(s *Snapshot, name string) string {
	door, service := s.VPCs.Get("vpc-1").DoorTo([]byte(name))
	if door == nil {
		return "nothing"
	}
	return door.Key + " " + service.ID
}

// TestAVPCReachesSeveralNetworks leads each name to the oldest door that has it.
func TestAVPCReachesSeveralNetworks(t *testing.T) {
	s, err := Compile(region, 1, twoDoors())
	if err != nil {
		t.Fatal(err)
	}
	first, second := "servicenetworkvpcassociation/snva-1", "servicenetworkvpcassociation/snva-2"
	for name, want := range map[string]string{
		service("svc-1").DNSEntry.DomainName: first + " svc-1",
		service("svc-2").DNSEntry.DomainName: second + " svc-2",
		service("svc-3").DNSEntry.DomainName: second + " svc-3",
		"Parking.Example.com.":               first + " svc-1",
		"elsewhere.example.com":              "nothing",
		"":                                   "nothing",
	} {
		if got := reached(s, name); got != want {
			t.Errorf("%q leads to %s, want %s", name, got, want)
		}
	}
	vpc := s.VPCs.Get("vpc-1")
	for key, want := range map[string][]Entry{
		first:  {{"", netip.MustParseAddr("169.254.171.1")}, {"", netip.MustParseAddr("fd00:ec2:80::a9fe:ab01")}},
		second: {{"", netip.MustParseAddr("169.254.171.2")}, {"", netip.MustParseAddr("fd00:ec2:80::a9fe:ab02")}},
	} {
		if got := vpc.Door(key); got == nil || !slices.Equal(got.Entries, want) || got.Port(80) == nil ||
			got.Port(81) != nil ||
			!slices.Equal(got.IPv4(), []netip.Addr{want[0].Address}) {
			t.Errorf("the door %s is %+v", key, got)
		}
	}
	if vpc.Door("servicenetworkvpcassociation/snva-9") != nil || (*VPC)(nil).Door(first) != nil ||
		vpc.Door("x").Port(80) != nil {
		t.Error("there are doors that nothing makes")
	}
	if door, _ := (*VPC)(nil).DoorTo([]byte("parking.example.com")); door != nil {
		t.Error("no VPC has doors")
	}
}

// TestDoorsComeAndGo removes and adds the makers of doors, one by one, which leaves the other door as it is.
func TestDoorsComeAndGo(t *testing.T) {
	const name = "parking.example.com"
	first, second := "servicenetworkvpcassociation/snva-1", "servicenetworkvpcassociation/snva-2"
	deleting := vpcAssociation("snva-1", "sn-1", "vpc-1", 1)
	deleting.Intent = lattice.Intent{Deleting: true}
	for _, test := range []struct {
		what   string
		change Change
		want   string
	}{
		{"the older association", gone(first), second + " svc-3"},
		{"the older association's deletion begun", put(first, deleting), second + " svc-3"},
		{"the younger association", gone(second), first + " svc-1"},
		{"the older network", gone("servicenetwork/sn-1"), second + " svc-3"},
		{"the service of the older", gone("servicenetworkserviceassociation/snsa-1"), second + " svc-3"},
		{"an older one yet", aVPCAssociation("snva-0", "sn-2", "vpc-1", 0), "servicenetworkvpcassociation/snva-0 svc-3"},
		{"a VPC of another", aVPC("vpc-2"), first + " svc-1"},
	} {
		c := NewCompiler(region)
		before, err := c.Apply(1, true, twoDoors())
		if err != nil {
			t.Fatal(err)
		}
		after, err := c.Apply(2, false, []Change{test.change})
		if err != nil {
			t.Fatal(err)
		}
		if got := reached(after, name); got != test.want {
			t.Errorf("%s: the name leads to %s, want %s", test.what, got, test.want)
		}
		if got := reached(before, name); got != first+" svc-1" {
			t.Errorf("%s: in the snapshot before it leads to %s", test.what, got)
		}
	}
}

// TestFindingADoorIsFree is for the path of requests.
func TestFindingADoorIsFree(t *testing.T) {
	s, err := Compile(region, 1, twoDoors())
	if err != nil {
		t.Fatal(err)
	}
	at, name := DoorPort{"vpc-1", "servicenetworkvpcassociation/snva-2", 8080}, []byte("Parking.example.com")
	if n := testing.AllocsPerRun(100, func() {
		vpc := s.VPCs.Get(at.VPC)
		if door, _ := vpc.DoorTo(name); door == nil || vpc.Door(at.Door).Port(at.Port).Listener(name) == nil {
			t.Fatal("nothing is there")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
