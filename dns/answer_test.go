package dns

import (
	"bytes"
	"context"
	"net/netip"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/net/dns/dnsmessage"

	"pergola/lattice"
	"pergola/snapshot"
	"pergola/snapshot/table"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const region = "us-west-2"

var (
	parking   = lattice.DomainName("parking", "svc-0123456789abcdef0", region)
	elsewhere = lattice.DomainName("elsewhere", "svc-0123456789abcdef1", region)
	custom    = "www.example.com"
)

// The addresses of the door of vpc-1.
var (
	service4 = netip.MustParseAddr("169.254.171.1")
	service6 = netip.MustParseAddr("fd00:ec2:80::a9fe:ab01")
)

// doorTo is a door at some addresses.
func doorTo(n *snapshot.Network, at ...netip.Addr) snapshot.Door {
	door := snapshot.Door{Key: "servicenetworkvpcassociation/" + at[0].String(), Network: n}
	for _, a := range at {
		door.Entries = append(door.Entries, snapshot.Entry{Address: a})
	}
	return door
}

// twoVPCs is a snapshot in which vpc-1 has a service network with one service, and vpc-2 has none.
func twoVPCs() *snapshot.Snapshot {
	service := &snapshot.Service{DomainName: parking, CustomDomainName: custom}
	network := &snapshot.Network{Names: table.Of(map[string]*snapshot.Service{parking: service, custom: service})}
	return &snapshot.Snapshot{VPCs: table.Of(map[string]*snapshot.VPC{
		"vpc-1": {ID: "vpc-1", Doors: []snapshot.Door{doorTo(network, service4, service6)}}, "vpc-2": {ID: "vpc-2"},
	})}
}

func newServer(forward func(context.Context, []byte, string) ([]byte, error)) *Server {
	s := twoVPCs()
	return New(Config{Region: region, Snapshot: func() *snapshot.Snapshot { return s }, Forward: forward})
}

// nowhere is a Forward for tests that must not get there.
func nowhere(context.Context, []byte, string) ([]byte, error) { panic("forwarded") }

// query is a query as resolvers send it, with changes.
func query(t testing.TB, name string, kind dnsmessage.Type, change func(*dnsmessage.Message)) []byte {
	t.Helper()
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: 4711, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name + "."), Type: kind, Class: dnsmessage.ClassINET}},
	}
	if change != nil {
		change(&m)
	}
	packed, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

// withEDNS adds an OPT record.
func withEDNS(size int, change func(*dnsmessage.ResourceHeader)) func(*dnsmessage.Message) {
	return func(m *dnsmessage.Message) {
		var h dnsmessage.ResourceHeader
		must(h.SetEDNS0(size, 0, true))
		if change != nil {
			change(&h)
		}
		m.Additionals = append(m.Additionals, dnsmessage.Resource{Header: h, Body: &dnsmessage.OPTResource{}})
	}
}

func unpack(t testing.TB, message []byte) dnsmessage.Message {
	t.Helper()
	var m dnsmessage.Message
	if err := m.Unpack(message); err != nil {
		t.Errorf("%x: %v", message, err)
	}
	return m
}

func TestAnswer(t *testing.T) {
	s := newServer(nowhere)
	zone := lattice.DomainSuffix(region)
	const forwarded = dnsmessage.RCode(255)
	for _, test := range []struct {
		vpc, name string
		kind      dnsmessage.Type
		code      dnsmessage.RCode
		address   string // of the answer
		zone      string // of the SOA record
	}{
		{"vpc-1", parking, dnsmessage.TypeA, 0, "169.254.171.1", ""},
		{"vpc-1", parking, dnsmessage.TypeAAAA, 0, "fd00:ec2:80::a9fe:ab01", ""},
		{"vpc-1", strings.ToUpper(parking), dnsmessage.TypeA, 0, "169.254.171.1", ""},
		{"vpc-1", parking, dnsmessage.TypeMX, 0, "", zone},
		{"vpc-1", parking, dnsmessage.TypeALL, 0, "", zone},
		{"vpc-1", custom, dnsmessage.TypeA, 0, "169.254.171.1", ""},
		{"vpc-1", custom, dnsmessage.TypeTXT, 0, "", custom},
		{"vpc-1", parking, dnsmessage.TypeAXFR, dnsmessage.RCodeRefused, "", ""},
		{"vpc-1", elsewhere, dnsmessage.TypeA, dnsmessage.RCodeNameError, "", zone},
		{"vpc-1", "below." + parking, dnsmessage.TypeA, dnsmessage.RCodeNameError, "", zone},
		{"vpc-1", zone, dnsmessage.TypeNS, 0, "", zone},
		{"vpc-1", "x" + zone, dnsmessage.TypeA, forwarded, "", ""},
		{"vpc-1", "below." + custom, dnsmessage.TypeA, forwarded, "", ""},
		{"vpc-1", "example.com", dnsmessage.TypeA, forwarded, "", ""},
		{"vpc-2", parking, dnsmessage.TypeA, dnsmessage.RCodeNameError, "", zone},
		{"vpc-2", custom, dnsmessage.TypeA, forwarded, "", ""},
		{"vpc-unknown", parking, dnsmessage.TypeA, dnsmessage.RCodeNameError, "", zone},
	} {
		what := test.vpc + " " + test.name + " " + test.kind.String()
		response, forward := s.Answer(nil, test.vpc, query(t, test.name, test.kind, nil))
		if forward != (test.code == forwarded) || forward != (response == nil) {
			t.Errorf("%s: forward is %t, response %x", what, forward, response)
		}
		if forward || response == nil {
			continue
		}
		m := unpack(t, response)
		if m.ID != 4711 || !m.Response || !m.RecursionDesired || !m.RecursionAvailable || m.Truncated || len(m.Additionals) != 0 {
			t.Errorf("%s: header %v, additionals %v", what, m.Header, m.Additionals)
		}
		if m.RCode != test.code || m.Authoritative != (test.code != dnsmessage.RCodeRefused) {
			t.Errorf("%s: code %s, authoritative %t", what, m.RCode, m.Authoritative)
		}
		if len(m.Questions) != 1 || m.Questions[0].Name.String() != test.name+"." {
			t.Errorf("%s: the question came back as %v", what, m.Questions)
		}
		if got := address(m); got != test.address {
			t.Errorf("%s: answer %q, want %q", what, got, test.address)
		}
		if got := authority(m); got != test.zone {
			t.Errorf("%s: authority %q, want %q", what, got, test.zone)
		}
	}
}

// address is the address in the only answer of a message, or "".
func address(m dnsmessage.Message) string {
	if len(m.Answers) != 1 || m.Answers[0].Header.TTL != ttl {
		return ""
	}
	switch body := m.Answers[0].Body.(type) {
	case *dnsmessage.AResource:
		return netip.AddrFrom4(body.A).String()
	case *dnsmessage.AAAAResource:
		return netip.AddrFrom16(body.AAAA).String()
	}
	return "another"
}

// authority is the owner of the only SOA record of a message, or "".
func authority(m dnsmessage.Message) string {
	if len(m.Authorities) != 1 || m.Authorities[0].Header.TTL != negativeTTL {
		return ""
	}
	return strings.TrimSuffix(m.Authorities[0].Header.Name.String(), ".")
}

func TestAnswerRefusesWhatIsNoPlainQuestion(t *testing.T) {
	s := newServer(nowhere)
	a := dnsmessage.TypeA
	twice := func(m *dnsmessage.Message) { m.Questions = append(m.Questions, m.Questions[0]) }
	cut := query(t, parking, a, nil)
	for _, test := range []struct {
		name  string
		query []byte
		code  dnsmessage.RCode
	}{
		{"opcode STATUS", query(t, parking, a, func(m *dnsmessage.Message) { m.OpCode = 2 }), dnsmessage.RCodeNotImplemented},
		{"two questions", query(t, parking, a, twice), dnsmessage.RCodeFormatError},
		{"no question", query(t, parking, a, func(m *dnsmessage.Message) { m.Questions = nil }), dnsmessage.RCodeFormatError},
		{"cut short", cut[:len(cut)-1], dnsmessage.RCodeFormatError},
		{"header alone", cut[:12], dnsmessage.RCodeFormatError},
		{"an answer", query(t, parking, a, func(m *dnsmessage.Message) {
			m.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Class: 1}, Body: &dnsmessage.AResource{}}}
		}), dnsmessage.RCodeFormatError},
		{"class CHAOS", query(t, parking, a, func(m *dnsmessage.Message) { m.Questions[0].Class = dnsmessage.ClassCHAOS }), dnsmessage.RCodeRefused},
		{"class ANY", query(t, "example.com", a, func(m *dnsmessage.Message) { m.Questions[0].Class = dnsmessage.ClassANY }), dnsmessage.RCodeRefused},
		{"two OPT", query(t, parking, a, func(m *dnsmessage.Message) { withEDNS(512, nil)(m); withEDNS(512, nil)(m) }), dnsmessage.RCodeFormatError},
		{"OPT not at the root", query(t, parking, a, withEDNS(512, func(h *dnsmessage.ResourceHeader) { h.Name = dnsmessage.MustNewName("a.") })), dnsmessage.RCodeFormatError},
	} {
		response, forward := s.Answer(nil, "vpc-1", test.query)
		if forward || response == nil {
			t.Errorf("%s: forward %t, response %x", test.name, forward, response)
			continue
		}
		if m := unpack(t, response); m.RCode != test.code || m.ID != 4711 || len(m.Answers) != 0 {
			t.Errorf("%s: %v", test.name, m)
		}
	}
}

func TestAnswerIgnoresWhatDeservesNone(t *testing.T) {
	s := newServer(nowhere)
	for name, message := range map[string][]byte{
		"empty":    nil,
		"short":    make([]byte, 11),
		"response": query(t, parking, dnsmessage.TypeA, func(m *dnsmessage.Message) { m.Response = true }),
	} {
		if response, forward := s.Answer(make([]byte, 0, 512), "vpc-1", message); response != nil || forward {
			t.Errorf("%s: %x, %t", name, response, forward)
		}
	}
}

func TestAnswerSpeaksEDNS(t *testing.T) {
	s := newServer(nowhere)
	response, _ := s.Answer(nil, "vpc-1", query(t, parking, dnsmessage.TypeA, withEDNS(4096, nil)))
	m := unpack(t, response)
	if len(m.Additionals) != 1 || m.Additionals[0].Header.Class != ourUDPSize || !m.Additionals[0].Header.DNSSECAllowed() || address(m) == "" {
		t.Errorf("response %v", m)
	}
	version1 := func(h *dnsmessage.ResourceHeader) { h.TTL |= 1 << 16 }
	response, _ = s.Answer(nil, "vpc-1", query(t, parking, dnsmessage.TypeA, withEDNS(4096, version1)))
	m = unpack(t, response)
	if len(m.Additionals) != 1 || m.Additionals[0].Header.ExtendedRCode(m.RCode) != badVersion || len(m.Answers) != 0 {
		t.Errorf("response to version 1: %v", m)
	}
}

func TestAnswerWithoutForwarder(t *testing.T) {
	response, forward := newServer(nil).Answer(nil, "vpc-1", query(t, "example.com", dnsmessage.TypeA, nil))
	if m := unpack(t, response); forward || m.RCode != dnsmessage.RCodeNameError || m.Authoritative {
		t.Errorf("forward %t, response %v", forward, m)
	}
}

func TestAnswerAppends(t *testing.T) {
	s := newServer(nowhere)
	q := query(t, parking, dnsmessage.TypeA, nil)
	alone, _ := s.Answer(nil, "vpc-1", q)
	behind, _ := s.Answer([]byte("ab"), "vpc-1", q)
	if !bytes.Equal(behind, append([]byte("ab"), alone...)) {
		t.Errorf("got %x, want ab and then %x", behind, alone)
	}
}

func TestAnswerDoesNotAllocate(t *testing.T) {
	s := newServer(nowhere)
	dst := make([]byte, 0, ourUDPSize)
	for name, q := range map[string][]byte{
		"A":        query(t, parking, dnsmessage.TypeA, nil),
		"AAAA":     query(t, strings.ToUpper(parking), dnsmessage.TypeAAAA, withEDNS(1232, nil)),
		"NODATA":   query(t, parking, dnsmessage.TypeMX, nil),
		"NXDOMAIN": query(t, elsewhere, dnsmessage.TypeA, nil),
		"forward":  query(t, "example.com", dnsmessage.TypeA, nil),
	} {
		if n := testing.AllocsPerRun(100, func() { s.Answer(dst, "vpc-1", q) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// FuzzAnswer holds what is true of every query: the response is well-formed, belongs to it and fits a buffer, and no
// name of the deployment's own leaves the house.
func FuzzAnswer(f *testing.F) {
	f.Add(query(f, parking, dnsmessage.TypeA, nil))
	f.Add(query(f, elsewhere, dnsmessage.TypeAAAA, withEDNS(512, nil)))
	f.Add(query(f, custom, dnsmessage.TypeTXT, nil))
	f.Add(query(f, "example.com", dnsmessage.TypeA, nil))
	f.Add(query(f, parking, dnsmessage.TypeA, withEDNS(4096, func(h *dnsmessage.ResourceHeader) { h.TTL |= 1 << 16 })))
	f.Add([]byte{0, 1, 0x28, 0, 0, 1})
	f.Add(query(f, "c.corp.test", dnsmessage.TypeA, withEDNS(512, nil)))
	f.Add(query(f, "x.y.w.corp.test", dnsmessage.TypeTXT, nil))
	f.Add(query(f, "svc.corp.test", dnsmessage.TypeAAAA, nil))
	s := hostedServer(f, nowhere)
	f.Fuzz(func(t *testing.T, message []byte) {
		response, forward := s.Answer(nil, "vpc-1", message)
		var p dnsmessage.Parser
		if forward {
			_, err := p.Start(message)
			must(err)
			q, err := p.Question()
			if err != nil || strings.HasSuffix(strings.ToLower("."+q.Name.String()), "."+lattice.DomainSuffix(region)+".") {
				t.Errorf("forwarded %v, %v", q, err)
			}
		}
		if response == nil {
			return
		}
		m := unpack(t, response)
		if !m.Response || m.ID != uint16(message[0])<<8|uint16(message[1]) || len(response) > ourUDPSize {
			t.Errorf("response %v to %x", m, message)
		}
		if len(m.Questions) == 1 {
			_, err := p.Start(message)
			must(err)
			if q, err := p.Question(); err != nil || q != m.Questions[0] {
				t.Errorf("asked %v, answered %v", q, m.Questions[0])
			}
		}
	})
}

func BenchmarkAnswer(b *testing.B) {
	s := newServer(nowhere)
	q := query(b, parking, dnsmessage.TypeA, nil)
	dst := make([]byte, 0, ourUDPSize)
	b.ReportAllocs()
	for b.Loop() {
		s.Answer(dst, "vpc-1", q)
	}
}

func TestAnswerNamesTheAddressesOfALoadBalancer(t *testing.T) {
	const name = "internal-shop-1.us-west-2.elb.amazonaws.com"
	balancer := &snapshot.LoadBalancer{DNSName: name, Addresses: []netip.Addr{netip.MustParseAddr("10.0.1.4"), netip.MustParseAddr("10.0.2.4")}}
	snap := twoVPCs()
	snap.VPCs.Get("vpc-2").LoadBalancers = map[string]*snapshot.LoadBalancer{name: balancer}
	s := New(Config{Region: region, Snapshot: func() *snapshot.Snapshot { return snap }, Forward: nowhere})
	response, forward := s.Answer(nil, "vpc-2", query(t, strings.ToUpper(name), dnsmessage.TypeA, nil))
	m := unpack(t, response)
	if forward || m.RCode != 0 || len(m.Answers) != 2 {
		t.Fatalf("%+v", m)
	}
	for i, answer := range m.Answers {
		if got := netip.AddrFrom4(answer.Body.(*dnsmessage.AResource).A); got != balancer.Addresses[i] {
			t.Errorf("address %d is %v", i, got)
		}
	}
	if m := unpack(t, first(s.Answer(nil, "vpc-2", query(t, name, dnsmessage.TypeAAAA, nil)))); m.RCode != 0 || len(m.Answers) != 0 || authority(m) != name {
		t.Errorf("AAAA: %+v", m)
	}
	if _, forward := s.Answer(nil, "vpc-1", query(t, name, dnsmessage.TypeA, nil)); !forward {
		t.Error("another VPC knows the name")
	}
}

func first(response []byte, _ bool) []byte { return response }
