package dns

import (
	"net/netip"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"pergola/snapshot"
	"pergola/snapshot/table"
)

// TestNamesOfSeveralNetworks are answered with the addresses of the oldest door that has them, all of its family.
func TestNamesOfSeveralNetworks(t *testing.T) {
	of := func(names ...string) *snapshot.Network {
		n := &snapshot.Network{}
		for _, name := range names {
			n.Names = n.Names.With(name, &snapshot.Service{DomainName: name})
		}
		return n
	}
	vpc := &snapshot.VPC{ID: "vpc-1", Doors: []snapshot.Door{doorTo(of(custom), service4),
		doorTo(of(custom, parking), netip.MustParseAddr("10.0.0.7"), netip.MustParseAddr("10.0.1.7"))}}
	now := &snapshot.Snapshot{VPCs: table.Of(map[string]*snapshot.VPC{"vpc-1": vpc})}
	s := New(Config{Region: region, Snapshot: func() *snapshot.Snapshot { return now }, Forward: nowhere})
	for _, test := range []struct {
		name string
		kind dnsmessage.Type
		want []string
	}{
		{custom, dnsmessage.TypeA, []string{"169.254.171.1"}},
		{parking, dnsmessage.TypeA, []string{"10.0.0.7", "10.0.1.7"}},
		{parking, dnsmessage.TypeAAAA, nil},
	} {
		response, _ := s.Answer(nil, "vpc-1", query(t, test.name, test.kind, nil))
		var m dnsmessage.Message
		if err := m.Unpack(response); err != nil || m.RCode != dnsmessage.RCodeSuccess || len(m.Answers) != len(test.want) {
			t.Fatalf("%s: %v, %+v", test.name, err, m)
		}
		for i, answer := range m.Answers {
			if got := netip.AddrFrom4(answer.Body.(*dnsmessage.AResource).A).String(); got != test.want[i] {
				t.Errorf("%s is at %s, want %s", test.name, got, test.want[i])
			}
		}
	}
}
