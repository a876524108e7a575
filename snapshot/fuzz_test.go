package snapshot

import (
	"io"
	"slices"
	"strings"
	"testing"

	"pergola/snapshot/table"
)

// FuzzApply changes one object of a small world to anything at all: a snapshot comes out that can be dumped, and that
// is the one compiled from nothing.
func FuzzApply(f *testing.F) {
	base := slices.Concat(story(), people(), []Change{
		anAuthority("first"), aCertificate("1", "first"), certifiedService("svc-2", "own.example.com", "1"), aServiceAssociation("snsa-2", "sn-1", "svc-2", 3),
		aDNSVPC("vpc-2", true, true), aZone("Z1", "example.com", 1, "vpc-2"), aZone("Z2", "example.com", 1),
		aRecord("Z1", "*.example.com", "A", "→example.com"), aWeightedRecord("Z2", "a.example.com", "CNAME",
			"x.test", "a", 1),
	})
	for _, change := range base {
		f.Add(change.Key, change.Value)
		f.Add(change.Key, []byte("null"))
	}
	f.Add("rule/svc-1", []byte(`{"match":{"httpMatch":{"pathMatch":{"match":{}},"headerMatches":[{}]}}}`))
	f.Add("target//", []byte(`{"id":"10.0.0.1","port":-1}`))
	f.Add("", []byte{})
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		change := Change{key, value}
		c := NewCompiler(region)
		if _, err := c.Apply(1, true, base); err != nil {
			t.Fatal(err)
		}
		s, _ := c.Apply(2, false, []Change{change})
		if err := s.Dump(io.Discard); err != nil {
			t.Fatal(err)
		}
		whole, _ := Compile(region, 2, append(slices.Clip(base), change))
		if got, want := dump(t, s)+findings(s), dump(t, whole)+findings(whole); got != want {
			t.Errorf("after %s %s:\n%s\nwant:\n%s", key, value, got, want)
		}
	})
}

// FuzzHost compares the lookup by host with one that takes the host apart as text.
func FuzzHost(f *testing.F) {
	for _, host := range []string{"parking.example.com", "PARKING.example.com.:80", "[::1]:80", ":", "..", "parking.example.com:80:80"} {
		f.Add(host)
	}
	l := &Listener{}
	port := &Port{Listeners: table.Of(map[string]*Listener{"parking.example.com": l})}
	f.Fuzz(func(t *testing.T, host string) {
		name := host
		if i := strings.LastIndex(name, ":"); i >= 0 {
			name = name[:i]
		}
		want := foldASCII(strings.TrimSuffix(name, ".")) == "parking.example.com"
		if got := port.Listener([]byte(host)) == l; got != want {
			t.Errorf("host %q: %t, want %t", host, got, want)
		}
	})
}
