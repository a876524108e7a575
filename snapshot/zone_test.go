package snapshot

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pergola/aws/organizations"
	"pergola/aws/route53"
)

// TestZonesOf finds the zone with the longest name, by whole labels.
func TestZonesOf(t *testing.T) {
	s := build(t, aDNSVPC("vpc-1", true, true), aZone("ZA", "example.com", 1, "vpc-1"),
		aZone("ZB", "b.example.com", 1, "vpc-1"),
		aZone("ZC", "example.com", 1), aZone("ZD", "d.test", 2), aZone("ZE", "d.test", 1))
	for name, want := range map[string]string{
		"example.com": "ZA ZC", "WWW.Example.COM.": "ZA ZC", "b.example.com.": "ZB ZC", "x.y.b.example.com.": "ZB ZC",
		"xb.example.com.": "ZA ZC", "xexample.com.": "- -", "com.": "- -", ".": "- -", "": "- -", "d.test": "- ZE",
		strings.Repeat("a", 300): "- -",
	} {
		id := func(z *Zone) string {
			if z == nil {
				return "-"
			}
			return z.ID
		}
		private, public := s.PrivateZones.Get("vpc-1").Of([]byte(name)), s.PublicZones.Get("111122223333").Of([]byte(name))
		if got := id(private) + " " + id(public); got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
	if s.PrivateZones.Get("vpc-2").Of([]byte("example.com")) != nil {
		t.Error("a VPC without zones has one")
	}
}

// TestZonesNeedTheAttributes of the VPC.
func TestZonesNeedTheAttributes(t *testing.T) {
	for _, c := range []struct{ support, hostnames bool }{{true, true}, {true, false}, {false, true}, {false, false}} {
		s := build(t, aDNSVPC("vpc-1", c.support, c.hostnames), aZone("ZA", "example.com", 1, "vpc-1"))
		if got := s.PrivateZones.Get("vpc-1").Of([]byte("example.com")) != nil; got != (c.support && c.hostnames) {
			t.Errorf("%+v: answered from the zone: %v", c, got)
		}
	}
}

// TestLookupAgainstAModel asks for random names of random zones what RFC 4592 §3.3 and §4.3.2 of RFC 1034 say.
func TestLookupAgainstAModel(t *testing.T) {
	labels := []string{"a", "b", "*", "c"}
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 2))
		name := func(most int) string {
			n := "example.com"
			for range r.IntN(most + 1) {
				n = labels[r.IntN(len(labels))] + "." + n
			}
			return n
		}
		objects, have := []Change{aZone("Z1", "example.com", 1)}, map[string]bool{}
		for range r.IntN(6) {
			n := name(3)
			have[n] = true
			objects = append(objects, aRecord("Z1", n, "TXT", `"`+n+`"`))
		}
		zone := build(t, objects...).PublicZones.Get("111122223333").Of([]byte("example.com"))
		for range 50 {
			asked := name(4)
			got, want := tell(zone.Lookup([]byte(strings.ToUpper(asked)+"."))), modelled(have, asked)
			if got != want {
				t.Fatalf("seed %d: %s of %v: %s, want %s", seed, asked, have, got, want)
			}
		}
	}
}

// tell is what was found: the name whose records they are, or how there are none.
func tell(n *Name) string {
	switch set := n.Set(16); {
	case n == nil:
		return "NXDOMAIN"
	case set == nil:
		return "NODATA"
	default:
		return string(set.Alternatives[0].Data[0][1:])
	}
}

func modelled(have map[string]bool, asked string) string {
	exists := func(name string) bool {
		for known := range have {
			if known == name || strings.HasSuffix(known, "."+name) {
				return true
			}
		}
		return false
	}
	at := asked
	for !exists(at) {
		_, rest, more := strings.Cut(at, ".")
		if !more {
			return "NXDOMAIN"
		}
		if exists(rest) {
			if at = "*." + rest; !exists(at) {
				return "NXDOMAIN"
			}
			break
		}
		if at = rest; at == "com" {
			return "NXDOMAIN"
		}
	}
	if have[at] {
		return at
	}
	return "NODATA"
}

// TestChoose chooses by weight.
func TestChoose(t *testing.T) {
	s := build(t, aZone("Z1", "example.com", 1), aWeightedRecord("Z1", "w.example.com", "A", "192.0.2.1", "a", 0),
		aWeightedRecord("Z1", "w.example.com", "A", "192.0.2.2", "b", 3),
		aWeightedRecord("Z1", "w.example.com", "A", "192.0.2.3", "c", 1),
		aWeightedRecord("Z1", "zero.example.com", "A", "192.0.2.1", "a", 0),
		aWeightedRecord("Z1", "zero.example.com", "A", "192.0.2.2", "b", 0))
	for name, want := range map[string]string{"w": "bbbc", "zero": "ab"} {
		set := s.PublicZones.Get("111122223333").Of([]byte("example.com")).Lookup([]byte(name + ".example.com")).Set(1)
		var got []string
		for i := range len(want) {
			got = append(got, set.Choose(func(below int) int {
				if below != len(want) {
					t.Errorf("%s: a number below %d", name, below)
				}
				return i
			}).Identifier)
		}
		if !slices.Equal(got, strings.Split(want, "")) {
			t.Errorf("%s: %v, want %s", name, got, want)
		}
	}
}

// TestAuthority tells the start of authority of a zone, and how long a denial may be kept.
func TestAuthority(t *testing.T) {
	for _, c := range []struct {
		minimum string
		want    uint32
	}{{"5", 5}, {"86400", 60}} {
		s := build(t, aZone("Z1", "example.com", 1), aRecord("Z1", "example.com", "SOA", "n. h. 1 2 3 4 "+c.minimum))
		if data, ttl := s.PublicZones.Get("111122223333").Of([]byte("example.com")).Authority(); ttl != c.want ||
			len(data) == 0 {
			t.Errorf("minimum %s: %d", c.minimum, ttl)
		}
	}
	if data, _ := build(t, aZone("Z1", "example.com", 1)).PublicZones.Get("111122223333").Of(
		[]byte("example.com")).Authority(); data != nil {
		t.Error("there is one without a record")
	}
}

// TestAChangeOfOneRecordSharesTheRest holds that a change costs what it changes.
func TestAChangeOfOneRecordSharesTheRest(t *testing.T) {
	c := NewCompiler(region)
	var objects []Change
	for i := range 100 {
		objects = append(objects, aRecord("Z1", fmt.Sprintf("n%d.example.com", i), "A", "192.0.2.1"))
	}
	was, _ := c.Apply(1, true, append(objects, aZone("Z1", "example.com", 1), aZone("Z2", "other.test", 1)))
	is, err := c.Apply(2, false, []Change{aRecord("Z1", "n7.example.com", "A", "192.0.2.2")})
	if err != nil {
		t.Fatal(err)
	}
	if was.PublicZones.Get("111122223333").Of([]byte("other.test")) != is.PublicZones.Get("111122223333").Of(
		[]byte("other.test")) {
		t.Error("another zone was compiled anew")
	}
	for i := range 100 {
		name := fmt.Appendf(nil, "n%d.example.com", i)
		before, after := was.PublicZones.Get("111122223333").Of(name).Lookup(name),
			is.PublicZones.Get("111122223333").Of(name).Lookup(name)
		if (before == after) != (i != 7) {
			t.Errorf("%s is the same: %v", name, before == after)
		}
	}
}

// TestPublicZonesOfStrangersCountForNothing has zones of one name in three accounts: a VPC is answered from that of its
// own account, or else of the management account.
func TestPublicZonesOfStrangersCountForNothing(t *testing.T) {
	zone := func(id, account, name string) Change {
		return put("hostedzone/"+id, route53.HostedZone{ID: id, Account: account, Name: route53.Name(name + "."),
			Created: at(1).Time})
	}
	const own, stranger = "111122223333", "444455556666"
	s := build(t, zone("Z1", stranger, "com"), zone("Z2", stranger, "pay.example.com"), zone("Z3", own, "example.com"),
		zone("Z4", organizations.ManagementAccount, "example.com"), zone("Z5", organizations.ManagementAccount,
			"in.example.com"),
		zone("Z6", organizations.ManagementAccount, "example.org"))
	for name, want := range map[string]string{"pay.example.com": "Z3", "x.in.example.com": "Z5", "www.example.org": "Z6",
		"other.com": ""} {
		got := ""
		if found := s.PublicZone(s.VPCs.Get("vpc-1"), []byte(name)); found != nil {
			got = found.ID
		}
		if got != want {
			t.Errorf("%s is in zone %q, want %q", name, got, want)
		}
	}
	if found := s.PublicZone(nil, []byte("pay.example.com")); found == nil || found.ID != "Z4" {
		t.Errorf("from nowhere: %+v", found)
	}
}
