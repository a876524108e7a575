package dns

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"pergola/aws/ec2"
	"pergola/lattice"
	"pergola/snapshot"
	"pergola/snapshot/table"
)

// withResource is a snapshot in which vpc-1 reaches a resource, by its generated name and by db.example.com.
func withResource(t *testing.T) *snapshot.Snapshot {
	t.Helper()
	var changes []snapshot.Change
	for key, object := range map[string]any{
		ec2.KindVPC + "/vpc-1": ec2.VPC{ID: "vpc-1", Account: "1", CIDR: netip.MustParsePrefix("10.0.0.0/16")},
		"servicenetwork/sn-1":  lattice.ServiceNetwork{ID: "sn-1"},
		"servicenetworkvpcassociation/snva-1": lattice.ServiceNetworkVPCAssociation{ID: "snva-1", ServiceNetworkID: "sn-1",
			VPCID:             "vpc-1",
			PrivateDNSEnabled: new(true), DNSOptions: &lattice.DNSOptions{PrivateDNSPreference: lattice.PreferAll}},
		"resourcegateway/rgw-1": lattice.ResourceGateway{ID: "rgw-1", VPCID: "vpc-2"},
		"servicenetworkresourceassociation/snra-1": lattice.ServiceNetworkResourceAssociation{ID: "snra-1",
			ServiceNetworkID: "sn-1", ResourceConfigurationID: "rcfg-1", PrivateDNSEnabled: new(true)},
		"resourceconfiguration/rcfg-1": lattice.ResourceConfiguration{ID: "rcfg-1", Type: lattice.ResourceSingle,
			ResourceGatewayID: "rgw-1",
			CustomDomainName:  "db.example.com", Address: netip.MustParseAddr("129.224.1.1")},
	} {
		value, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		changes = append(changes, snapshot.Change{Key: key, Value: value})
	}
	s, err := snapshot.Compile(region, 1, changes)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestNamesOfResources are answered in the VPCs that reach them, and asked for nowhere else.
func TestNamesOfResources(t *testing.T) {
	now := withResource(t)
	s := New(Config{Region: region, Snapshot: func() *snapshot.Snapshot { return now }, Forward: nowhere})
	generated := lattice.ResourceDomainName("snra-1", "rcfg-1", region)
	for _, test := range []struct {
		vpc, name string
		kind      dnsmessage.Type
		code      dnsmessage.RCode
		want      string // "" for no record, "forward" for a question to others
	}{
		{"vpc-1", generated, dnsmessage.TypeA, dnsmessage.RCodeSuccess, "129.224.1.1"},
		{"vpc-1", strings.ToUpper(generated), dnsmessage.TypeA, dnsmessage.RCodeSuccess, "129.224.1.1"},
		{"vpc-1", generated, dnsmessage.TypeAAAA, dnsmessage.RCodeSuccess, ""},
		{"vpc-2", generated, dnsmessage.TypeA, dnsmessage.RCodeNameError, ""},
		{"vpc-1", "x." + generated, dnsmessage.TypeA, dnsmessage.RCodeNameError, ""},
		{"vpc-1", lattice.ResourceDomainSuffix(region), dnsmessage.TypeA, dnsmessage.RCodeSuccess, ""},
		{"vpc-1", "db.example.com", dnsmessage.TypeA, dnsmessage.RCodeSuccess, "129.224.1.1"},
		{"vpc-1", "db.example.com", dnsmessage.TypeTXT, dnsmessage.RCodeSuccess, ""},
		{"vpc-1", "x.db.example.com", dnsmessage.TypeA, dnsmessage.RCodeNameError, ""},
		{"vpc-1", "example.com", dnsmessage.TypeA, 0, "forward"},
		{"vpc-2", "db.example.com", dnsmessage.TypeA, 0, "forward"},
	} {
		response, forward := s.Answer(nil, test.vpc, query(t, test.name, test.kind, nil))
		if forward != (test.want == "forward") {
			t.Errorf("%s in %s: forward is %t", test.name, test.vpc, forward)
		}
		if forward {
			continue
		}
		var m dnsmessage.Message
		if err := m.Unpack(response); err != nil || m.RCode != test.code || len(m.Answers) != min(1, len(test.want)) {
			t.Fatalf("%s: %v, %+v", test.name, err, m)
		}
		if test.want != "" {
			if got := netip.AddrFrom4(m.Answers[0].Body.(*dnsmessage.AResource).A).String(); got != test.want {
				t.Errorf("%s is at %s", test.name, got)
			}
		}
	}
}

// TestLookup resolves names for the node: as the VPC does, and as a public resolver does.
func TestLookup(t *testing.T) {
	now := withResource(t)
	balanced := *now.VPCs.Get("vpc-1")
	balanced.LoadBalancers = map[string]*snapshot.LoadBalancer{
		"lb.elb.amazonaws.com": {Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.4")}}}
	now.VPCs = table.Of(map[string]*snapshot.VPC{"vpc-1": &balanced})
	outside := func(_ context.Context, asked []byte, network string) ([]byte, error) {
		var m dnsmessage.Message
		if err := m.Unpack(asked); err != nil || network != "udp" || !m.RecursionDesired {
			t.Errorf("asked %+v by %s, %v", m, network, err)
		}
		m.Response = true
		add := func(name string, ttl uint32, body dnsmessage.ResourceBody) {
			m.Answers = append(m.Answers,
				dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(name),
					Class: dnsmessage.ClassINET, TTL: ttl}, Body: body})
		}
		switch name := m.Questions[0].Name.String(); name {
		case "www.example.net.":
			add(name, 300, &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName("Web.example.net.")})
			add("web.example.net.", 30, &dnsmessage.AResource{A: [4]byte{10, 9, 8, 7}})
			add("web.example.net.", 60, &dnsmessage.AResource{A: [4]byte{10, 9, 8, 6}})
			add("other.example.net.", 1, &dnsmessage.AResource{A: [4]byte{6, 6, 6, 6}})
		case "loop.example.net.":
			add(name, 300, &dnsmessage.CNAMEResource{CNAME: m.Questions[0].Name})
		case "db.example.com.":
			add(name, 7, &dnsmessage.AResource{A: [4]byte{10, 1, 1, 1}})
		case "gone.example.net.":
			m.RCode = dnsmessage.RCodeNameError
		case "broken.example.net.":
			return []byte("?"), nil
		case "silent.example.net.":
			return nil, errors.New("nobody answers")
		}
		return m.Pack()
	}
	s := New(Config{Region: region, Snapshot: func() *snapshot.Snapshot { return now }, Forward: outside})
	for _, test := range []struct {
		name    string
		private bool
		ttl     time.Duration
		want    string // addresses, or what the error says
	}{
		{"www.example.net", false, 30 * time.Second, "[10.9.8.7 10.9.8.6]"},
		{"www.example.net", true, 30 * time.Second, "[10.9.8.7 10.9.8.6]"},
		{"db.example.com", false, 7 * time.Second, "[10.1.1.1]"},
		{"db.example.com", true, ttl * time.Second, "[129.224.1.1]"},
		{"LB.elb.amazonaws.com", false, ttl * time.Second, "[10.0.0.4]"},
		{"x.db.example.com", true, 0, "NameError"},
		{"gone.example.net", false, 0, "NameError"},
		{"empty.example.net", false, 0, "no IPv4 address"},
		{"loop.example.net", false, 0, "no IPv4 address"},
		{"broken.example.net", false, 0, "cannot be read"},
		{"silent.example.net", false, 0, "nobody answers"},
		{strings.Repeat("x", 300), false, 0, "look up"},
	} {
		found, err := s.Lookup(t.Context(), "vpc-1", test.name, test.private)
		if err != nil {
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: %v, want %s", test.name, err, test.want)
			}
			continue
		}
		if got := fmt.Sprint(found.All); got != test.want || found.TTL != test.ttl {
			t.Errorf("%s: %s for %v, want %s for %v", test.name, got, found.TTL, test.want, test.ttl)
		}
	}
}

// FuzzAddressesIn reads answers from elsewhere, which may be anything.
func FuzzAddressesIn(f *testing.F) {
	name := dnsmessage.MustNewName("www.example.net.")
	m := dnsmessage.Message{Header: dnsmessage.Header{Response: true}, Answers: []dnsmessage.Resource{
		{Header: dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET, TTL: 1},
			Body: &dnsmessage.CNAMEResource{CNAME: name}},
		{Header: dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET, TTL: 1},
			Body: &dnsmessage.AResource{A: [4]byte{10, 9, 8, 7}}},
	}}
	packed, err := m.Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(packed)
	f.Fuzz(func(t *testing.T, response []byte) {
		found, err := addressesIn(response, name)
		if (err == nil) != (len(found.All) > 0) || found.TTL < 0 {
			t.Errorf("%+v, %v", found, err)
		}
	})
}
