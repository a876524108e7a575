package snapshot

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pergola/lattice"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestGolden compiles the objects of each testdata/*.in.json and compares the dump, and what was left out, with the
// golden file beside it.
func TestGolden(t *testing.T) {
	inputs, err := filepath.Glob("testdata/*.in.json")
	if err != nil || len(inputs) == 0 {
		t.Fatalf("no inputs: %v", err)
	}
	for _, input := range inputs {
		name := strings.TrimSuffix(input, ".in.json")
		t.Run(filepath.Base(name), func(t *testing.T) {
			s, err := Compile(region, 7, readObjects(t, input))
			got := []byte(dump(t, s))
			if err != nil {
				got = append(got, "left out:\n"+err.Error()+"\n"...)
			}
			if *update {
				if err := os.WriteFile(name+".golden", got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(name + ".golden")
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

func readObjects(t *testing.T, path string) []Change {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	objects := map[string]json.RawMessage{}
	if err := json.Unmarshal(raw, &objects); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	var changes []Change
	for _, key := range slices.Sorted(maps.Keys(objects)) {
		changes = append(changes, Change{key, objects[key]})
	}
	return changes
}

func TestOnlyWhatIsServedIsInTheSnapshot(t *testing.T) {
	withStatus := map[string]func(lattice.Status) Change{
		"service": func(status lattice.Status) Change {
			s := service("svc-1")
			s.Status = status
			return put("service/svc-1", s)
		},
		"service association": func(status lattice.Status) Change {
			a := serviceAssociation("snsa-1", "sn-1", "svc-1", 2)
			a.Status = status
			return put("servicenetworkserviceassociation/snsa-1", a)
		},
		"vpc association": func(status lattice.Status) Change {
			a := vpcAssociation("snva-1", "sn-1", "vpc-1", 1)
			a.Status = status
			return put("servicenetworkvpcassociation/snva-1", a)
		},
	}
	served := map[lattice.Status]bool{
		lattice.StatusCreateInProgress: true,
		lattice.StatusActive:           true,
		lattice.StatusUpdateInProgress: true,
		lattice.StatusUpdateFailed:     true,
		lattice.StatusCreateFailed:     true,
		lattice.StatusDeleteInProgress: false,
		lattice.StatusDeleteFailed:     false,
	}
	for what, change := range withStatus {
		for status, want := range served {
			s := build(t, change(status))
			name := lattice.DomainName("nsvc-1", "svc-1", region)
			if door, _ := s.VPCs.Get("vpc-1").DoorTo([]byte(name)); (door != nil) != want {
				t.Errorf("%s with status %s: the name leads to %v, want something %t", what, status, door, want)
			}
		}
	}
}

func TestGroupIsInUseOnceAServiceThatForwardsToItIsAssociated(t *testing.T) {
	listenerless := build(t, gone("listener/svc-1/listener-1"))
	apart := build(t, gone("servicenetworkserviceassociation/snsa-1"))
	withoutVPC := build(t, gone("servicenetworkvpcassociation/snva-1"))
	for _, test := range []struct {
		name string
		s    *Snapshot
		want bool
	}{
		{"associated", build(t), true},
		{"rule without its listener", listenerless, false},
		{"service not associated", apart, false},
		{"no vpc associated", withoutVPC, true},
	} {
		if got := test.s.TargetGroups.Get("tg-1").InUse; got != test.want {
			t.Errorf("%s: in use is %t, want %t", test.name, got, test.want)
		}
	}
}

func TestMissingTargetGroupHasNoShare(t *testing.T) {
	action := func(s *Snapshot) Action {
		return s.VPCs.Get("vpc-1").Doors[0].Network.Ports[80].Listener([]byte("parking.example.com")).Rules[0].Action
	}

	one := action(build(t, aGroup("tg-2", lattice.TargetIP), aRule("svc-1", "listener-1", "rule-1", 1, "/", forward("tg-missing", "tg-2"))))
	if len(one.Forward) != 1 || one.Forward[0].Group.ID != "tg-2" || one.TotalWeight != 2 {
		t.Errorf("one of two groups is missing: %+v", one)
	}
	none := action(build(t, aRule("svc-1", "listener-1", "rule-1", 1, "/", forward("tg-missing"))))
	if none.Forward == nil || len(none.Forward) != 0 || none.TotalWeight != 0 || none.FixedStatus != 0 {
		t.Errorf("the only group is missing: %+v", none)
	}
}

func TestTargetsFollowTheirInstance(t *testing.T) {
	for _, test := range []struct {
		name   string
		change Change
		want   string
	}{
		{"running", anInstance("i-1", "vpc-1", "10.0.0.5", lattice.StatusActive), "10.0.0.5:8080"},
		{"other address", anInstance("i-1", "vpc-1", "10.0.0.9", lattice.StatusActive), "10.0.0.9:8080"},
		{"terminated", anInstance("i-1", "vpc-1", "10.0.0.5", lattice.StatusGone), "invalid AddrPort"},
		{"gone", gone("instance/i-1"), "invalid AddrPort"},
	} {
		s := build(t, test.change)
		if got := s.TargetGroups.Get("tg-1").Targets[0].Address.String(); got != test.want {
			t.Errorf("%s: the target is at %s, want %s", test.name, got, test.want)
		}
	}
}

func TestBrokenObjectCountsAsAbsentAndIsNamed(t *testing.T) {
	c := NewCompiler(region)
	if _, err := c.Apply(1, true, story()); err != nil {
		t.Fatal(err)
	}
	s, err := c.Apply(2, false, []Change{{"service/svc-1", []byte(`{"id":7}`)}})
	if err == nil || !strings.Contains(err.Error(), "service/svc-1") {
		t.Errorf("the error does not name the object: %v", err)
	}
	if n := s.VPCs.Get("vpc-1").Doors[0].Network; n.Names.Len() != 0 || len(n.Ports) != 0 {
		t.Errorf("the broken service is served: %v", n)
	}
	if _, err = c.Apply(3, false, nil); err != nil {
		t.Errorf("the error came back: %v", err)
	}
}

func TestGeneratedNameCannotBeTakenAway(t *testing.T) {
	victim := lattice.DomainName("nsvc-1", "svc-1", region)
	s, err := Compile(region, 1, append(story(),
		namedService("svc-0", victim), aListener("svc-0", "listener-0", 80, fixed(500)), aServiceAssociation("snsa-0", "sn-1", "svc-0", 0)))
	if err == nil {
		t.Error("the conflict is not named")
	}
	n := s.VPCs.Get("vpc-1").Doors[0].Network
	if got := n.Service([]byte(victim)).ID; got != "svc-1" {
		t.Errorf("%s belongs to %s", victim, got)
	}
	if got := n.Ports[80].Listener([]byte(victim)).Service.ID; got != "svc-1" {
		t.Errorf("%s is answered by %s", victim, got)
	}
}

func TestConflictIsReportedOnce(t *testing.T) {
	c := NewCompiler(region)
	_, err := c.Apply(1, true, append(story(),
		namedService("svc-2", "parking.example.com"), aListener("svc-2", "listener-2", 80, fixed(500)), aServiceAssociation("snsa-2", "sn-1", "svc-2", 9)))
	if err == nil || !strings.Contains(err.Error(), "svc-1 and svc-2") {
		t.Fatalf("the conflict is not named: %v", err)
	}
	s, err := c.Apply(2, false, []Change{aRule("svc-1", "listener-1", "rule-2", 1, "/", fixed(500))})
	if err != nil {
		t.Errorf("reported again: %v", err)
	}
	if got := s.VPCs.Get("vpc-1").Doors[0].Network.Service([]byte("parking.example.com")).ID; got != "svc-1" {
		t.Errorf("the name went to %s, want the one associated first", got)
	}
}

func TestListenerByHost(t *testing.T) {
	s := build(t)
	port := s.VPCs.Get("vpc-1").Doors[0].Network.Ports[80]
	long := strings.Repeat("a", 256)
	for host, want := range map[string]bool{
		"parking.example.com":      true,
		"PARKING.example.COM":      true,
		"parking.example.com:80":   true,
		"parking.example.com.:80":  true,
		"parking.example.com.":     true,
		"parking.example.com..":    false,
		".parking.example.com":     false,
		"example.com":              false,
		"":                         false,
		".":                        false,
		":80":                      false,
		"[fd00:ec2:80::a9fe:ab01]": false,
		"169.254.171.1":            false,
		long:                       false,
		lattice.DomainName("nsvc-1", "svc-1", region): true,
	} {
		if got := port.Listener([]byte(host)) != nil; got != want {
			t.Errorf("host %q: %t, want %t", host, got, want)
		}
	}
	if (*Port)(nil).Listener([]byte("parking.example.com")) != nil || (*Network)(nil).Service([]byte("parking.example.com")) != nil {
		t.Error("something answers where nothing is")
	}
}

func TestListenerDoesNotAllocate(t *testing.T) {
	s := build(t)
	port := s.VPCs.Get("vpc-1").Doors[0].Network.Ports[80]
	host := []byte("Parking.Example.com.:80")
	if n := testing.AllocsPerRun(100, func() { port.Listener(host) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
