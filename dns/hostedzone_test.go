package dns

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"pergola/aws/ec2"
	"pergola/aws/elbv2"
	"pergola/aws/organizations"
	"pergola/aws/route53"
	"pergola/lattice"
	"pergola/snapshot"
)

// estate are objects of a deployment.
type estate struct {
	t       testing.TB
	changes []snapshot.Change
}

func (e *estate) put(key string, object any) {
	value, err := json.Marshal(object)
	if err != nil {
		e.t.Fatal(err)
	}
	e.changes = append(e.changes, snapshot.Change{Key: key, Value: value})
}

// zone makes a hosted zone with its first records, private where it is given a VPC, and with records as lines of a zone
// file: a name, a TTL, a type and a value, or → and the name that it is an alias of. With TTL/weight, it is an
// alternative.
func (e *estate) zone(id, name, vpc string, lines ...string) {
	z := route53.HostedZone{ID: id, Account: organizations.ManagementAccount, Name: route53.Name(name + "."),
		Created: time.Unix(1, 0)}
	if vpc != "" {
		z.Private, z.VPCs = true, []string{vpc}
	}
	e.put("hostedzone/"+id, z)
	for _, first := range z.FirstRecords() {
		e.put("recordset/"+first.Path(), first)
	}
	for _, line := range lines {
		fields := strings.SplitN(line, " ", 4)
		at, err := route53.ParseName(fields[0])
		if err != nil {
			e.t.Fatal(err)
		}
		r := route53.RecordSet{Zone: id, Name: at, Type: fields[2], Values: strings.Split(fields[3], ";")}
		seconds, weight, weighted := strings.Cut(fields[1], "/")
		fmt.Sscan(seconds, &r.TTL)
		if weighted {
			r.Identifier, r.Weight = fields[3], new(int64)
			fmt.Sscan(weight, r.Weight)
		}
		if target, ok := strings.CutPrefix(fields[3], "→"); ok {
			r.TTL, r.Values, r.Alias = 0, nil, &route53.Alias{Zone: id, Name: route53.Name(target + ".")}
		}
		e.put("recordset/"+r.Path(), r)
	}
}

// hosted is a deployment with two VPCs, a service that vpc-1 reaches, a load balancer in it, and hosted zones.
func hosted(t testing.TB) *snapshot.Snapshot {
	e := &estate{t: t}
	for _, id := range []string{"vpc-1", "vpc-2"} {
		e.put("vpc/"+id, ec2.VPC{ID: id, Account: "1", CIDR: netip.MustParsePrefix("10.0.0.0/16"), DNSSupport: true,
			DNSHostnames: true})
	}
	e.put("servicenetwork/sn-1", lattice.ServiceNetwork{ID: "sn-1"})
	e.put("service/svc-1", lattice.Service{ID: "svc-1", DNSEntry: lattice.DNSEntry{DomainName: parking},
		CustomDomainName: custom})
	e.put("listener/svc-1/l", lattice.Listener{ID: "l", Port: 80, Protocol: lattice.ProtocolHTTP,
		DefaultAction: lattice.RuleAction{FixedResponse: &lattice.FixedResponseAction{StatusCode: 404}}})
	e.put("servicenetworkserviceassociation/a", lattice.ServiceNetworkServiceAssociation{ID: "a", ServiceID: "svc-1",
		ServiceNetworkID: "sn-1"})
	e.put("servicenetworkvpcassociation/a", lattice.ServiceNetworkVPCAssociation{ID: "a", VPCID: "vpc-1",
		ServiceNetworkID: "sn-1", Address: service4})
	e.put("loadbalancer/b", elbv2.LoadBalancer{ID: "b", ARN: "arn:aws:elasticloadbalancing:us-west-2:1:loadbalancer/b",
		VPC: "vpc-1", DNSName: balancer, Nodes: []elbv2.Node{{Address: netip.MustParseAddr("10.0.0.9")}}})
	e.zone("ZPRIVATE", "corp.test", "vpc-1", "a.corp.test 30 A 192.0.2.1;192.0.2.2", "a.corp.test 30 TXT \"x\" \"y\"",
		"*.w.corp.test 30 A 192.0.2.3", "*.w.corp.test 30 TXT \"star\"", "no.w.corp.test 30 TXT \"no\"",
		"c.corp.test 20 CNAME d.corp.test", "d.corp.test 10 CNAME a.corp.test", "loop.corp.test 1 CNAME loop.corp.test",
		"gone.corp.test 1 CNAME nowhere.corp.test", "out.corp.test 7 CNAME WWW.outside.test",
		"pub.corp.test 1 CNAME p.public.test",
		"svc.corp.test 0 A →"+parking, "svc.corp.test 0 AAAA →"+parking, "name.corp.test 5 CNAME "+parking,
		"lb.corp.test 0 A →"+balancer, "same.corp.test 0 A →a.corp.test", "self.corp.test 0 A →self.corp.test",
		"dangling.corp.test 0 A →none.corp.test", "other.corp.test 0 A →"+elsewhere, "mx.corp.test 9 MX 10 a.corp.test",
		"srv.corp.test 9 SRV 1 2 80 a.corp.test", "caa.corp.test 9 CAA 0 issue \"ca.test\"",
		`\101\057.corp.test 9 A 192.0.2.7`,
		"wt.corp.test 3/1 A 192.0.2.31", "wt.corp.test 4/1 A 192.0.2.32")
	e.zone("ZINNER", "inner.corp.test", "vpc-1", "x.inner.corp.test 9 A 192.0.2.8")
	e.zone("ZSHADOW", "public.test", "vpc-2", "only.public.test 9 A 192.0.2.44")
	e.zone("ZPUBLIC", "public.test", "", "p.public.test 9 A 192.0.2.9", "only.public.test 9 A 192.0.2.10")
	e.zone("ZDEEP", "deep.test", "", "0.deep.test 1 CNAME 1.deep.test", "1.deep.test 1 CNAME 2.deep.test",
		"2.deep.test 1 CNAME 3.deep.test", "3.deep.test 1 CNAME 4.deep.test", "4.deep.test 1 CNAME 5.deep.test",
		"5.deep.test 1 CNAME 6.deep.test", "6.deep.test 1 CNAME 7.deep.test", "7.deep.test 1 CNAME 8.deep.test",
		"8.deep.test 1 A 192.0.2.88")
	s, err := snapshot.Compile(region, 1, e.changes)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const balancer = "internal-shop-1.us-west-2.elb.amazonaws.com"

func hostedServer(t testing.TB, forward func(context.Context, []byte, string) ([]byte, error)) *Server {
	s := hosted(t)
	return New(Config{Region: region, Snapshot: func() *snapshot.Snapshot { return s }, Forward: forward,
		Random: func(below int) int { return below - 1 }})
}

// told is a response in words: its code unless it is success, its answers, and who denies the rest.
func told(m dnsmessage.Message) string {
	var words []string
	if m.RCode != dnsmessage.RCodeSuccess {
		words = append(words, strings.TrimPrefix(m.RCode.String(), "RCode"))
	}
	for _, r := range slices.Concat(m.Answers, m.Authorities) {
		var value string
		switch body := r.Body.(type) {
		case *dnsmessage.AResource:
			value = netip.AddrFrom4(body.A).String()
		case *dnsmessage.AAAAResource:
			value = netip.AddrFrom16(body.AAAA).String()
		case *dnsmessage.CNAMEResource:
			value = "→" + body.CNAME.String()
		case *dnsmessage.TXTResource:
			value = strings.Join(body.TXT, "|")
		case *dnsmessage.MXResource:
			value = fmt.Sprint(body.Pref, body.MX)
		case *dnsmessage.SRVResource:
			value = fmt.Sprint(body.Priority, body.Weight, body.Port, body.Target)
		case *dnsmessage.SOAResource:
			value = "denies"
		case *dnsmessage.NSResource:
			value = body.NS.String()
		case *dnsmessage.UnknownResource:
			value = string(body.Data)
		}
		words = append(words, fmt.Sprintf("%s %d %s", strings.TrimSuffix(r.Header.Name.String(), "."), r.Header.TTL, value))
	}
	return strings.Join(words, ", ")
}

// TestHostedZones asks for what is in hosted zones, and beside it.
func TestHostedZones(t *testing.T) {
	s := hostedServer(t, nowhere)
	const a, aaaa, txt = dnsmessage.TypeA, dnsmessage.TypeAAAA, dnsmessage.TypeTXT
	const denies, forwarded = "corp.test 900 denies", "forwarded"
	for _, c := range []struct {
		vpc, name string
		asked     dnsmessage.Type
		want      string
	}{
		{"vpc-1", "a.corp.test", a, "a.corp.test 30 192.0.2.1, a.corp.test 30 192.0.2.2"},
		{"vpc-1", "A.Corp.Test", txt, "A.Corp.Test 30 x|y"},
		{"vpc-1", "a.corp.test", aaaa, denies},
		{"vpc-1", "corp.test", a, denies},
		{"vpc-1", "corp.test", dnsmessage.TypeSOA, "corp.test 900 denies"},
		{"vpc-1", "nope.corp.test", a, "NameError, " + denies},
		{"vpc-2", "a.corp.test", a, forwarded},
		{"vpc-3", "a.corp.test", a, forwarded},
		{"vpc-1", "x.w.corp.test", a, "x.w.corp.test 30 192.0.2.3"},
		{"vpc-1", "x.y.w.corp.test", a, "x.y.w.corp.test 30 192.0.2.3"},
		{"vpc-1", "x.w.corp.test", aaaa, denies},
		{"vpc-1", "no.w.corp.test", a, denies},
		{"vpc-1", "x.no.w.corp.test", a, "NameError, " + denies},
		{"vpc-1", "w.corp.test", a, denies},
		{"vpc-1", "*.w.corp.test", txt, "*.w.corp.test 30 star"},
		{"vpc-1", "c.corp.test", a, "c.corp.test 20 →d.corp.test., d.corp.test 10 →a.corp.test., a.corp.test 30 192.0.2.1, " +
			"a.corp.test 30 192.0.2.2"},
		{"vpc-1", "c.corp.test", dnsmessage.TypeCNAME, "c.corp.test 20 →d.corp.test."},
		{"vpc-1", "c.corp.test", aaaa, "c.corp.test 20 →d.corp.test., d.corp.test 10 →a.corp.test., " + denies},
		{"vpc-1", "gone.corp.test", a, "NameError, gone.corp.test 1 →nowhere.corp.test., " + denies},
		{"vpc-1", "loop.corp.test", a, "ServerFailure"},
		{"vpc-1", "0.deep.test", a, "ServerFailure"},
		{"vpc-1", "self.corp.test", a, "ServerFailure"},
		{"vpc-1", "pub.corp.test", a, "pub.corp.test 1 →p.public.test., p.public.test 9 192.0.2.9"},
		{"vpc-1", "out.corp.test", a, forwarded},
		{"vpc-1", "svc.corp.test", a, "svc.corp.test 60 169.254.171.1"},
		{"vpc-1", "svc.corp.test", aaaa, "svc.corp.test 60 fd00:ec2:80::a9fe:ab01"},
		{"vpc-1", "svc.corp.test", txt, denies},
		{"vpc-1", "name.corp.test", a, "name.corp.test 5 →" + parking + "., " + parking + " 60 169.254.171.1"},
		{"vpc-1", "lb.corp.test", a, "lb.corp.test 60 10.0.0.9"},
		{"vpc-1", "same.corp.test", a, "same.corp.test 30 192.0.2.1, same.corp.test 30 192.0.2.2"},
		{"vpc-1", "dangling.corp.test", a, denies},
		{"vpc-1", "other.corp.test", a, denies},
		{"vpc-1", "mx.corp.test", dnsmessage.TypeMX, "mx.corp.test 9 10 a.corp.test."},
		{"vpc-1", "srv.corp.test", dnsmessage.TypeSRV, "srv.corp.test 9 1 2 80 a.corp.test."},
		{"vpc-1", "caa.corp.test", 257, "caa.corp.test 9 \x00\x05issueca.test"},
		{"vpc-1", "a/.corp.test", a, "a/.corp.test 9 192.0.2.7"},
		{"vpc-1", "wt.corp.test", a, "wt.corp.test 4 192.0.2.32"},
		{"vpc-1", "x.inner.corp.test", a, "x.inner.corp.test 9 192.0.2.8"},
		{"vpc-1", "a.inner.corp.test", a, "NameError, inner.corp.test 900 denies"},
		{"vpc-1", "only.public.test", a, "only.public.test 9 192.0.2.10"},
		{"vpc-2", "only.public.test", a, "only.public.test 9 192.0.2.44"},
		{"vpc-2", "p.public.test", a, "NameError, public.test 900 denies"},
		{"vpc-3", "p.public.test", a, "p.public.test 9 192.0.2.9"},
		{"vpc-1", parking, a, parking + " 60 169.254.171.1"},
		{"vpc-1", custom, a, custom + " 60 169.254.171.1"},
	} {
		response, forward := s.Answer(nil, c.vpc, query(t, c.name, c.asked, nil))
		got := forwarded
		if !forward {
			got = told(unpack(t, response))
		}
		if got != c.want {
			t.Errorf("%s %s %s:\n%s, want\n%s", c.vpc, c.name, c.asked, got, c.want)
		}
	}
}

// TestChainsThatLeadOutside are told with what the forwarder says of their last name, however they come.
func TestChainsThatLeadOutside(t *testing.T) {
	var asked []string
	s := hostedServer(t, func(ctx context.Context, query []byte, network string) ([]byte, error) {
		m := unpack(t, query)
		asked = append(asked, m.Questions[0].Name.String()+" "+network)
		if strings.HasPrefix(m.Questions[0].Name.String(), "err.") {
			return nil, errors.New("no way")
		}
		return one(ctx, query, network)
	})
	udp := serveUDP(t, s)
	for _, change := range []func(*dnsmessage.Message){nil, withEDNS(4096, nil)} {
		m := exchangeUDP(t, udp, query(t, "out.corp.test", dnsmessage.TypeA, change))
		if got := told(m); got != "out.corp.test 7 →www.outside.test., www.outside.test 1 192.0.2.1" || m.ID != 4711 ||
			m.Questions[0].Name.String() != "out.corp.test." {
			t.Errorf("%v %s", m.Header, got)
		}
	}
	conn, _ := servePipes(t, s).dial(t.Context(), "", "")
	defer conn.Close()
	writeFrame(t, conn, query(t, "out.corp.test", dnsmessage.TypeA, nil))
	if got := told(readNext(t, conn)); got != "out.corp.test 7 →www.outside.test., www.outside.test 1 192.0.2.1" {
		t.Errorf("over a stream: %s", got)
	}
	if want := []string{"www.outside.test. udp", "www.outside.test. udp", "www.outside.test. tcp"}; !slices.Equal(asked,
		want) {
		t.Errorf("asked was for %q, want %q", asked, want)
	}
	response, forward := hostedServer(t, nil).Answer(nil, "vpc-1", query(t, "out.corp.test", dnsmessage.TypeA, nil))
	if got := told(unpack(t, response)); forward || got != "NameError, out.corp.test 7 →www.outside.test." {
		t.Errorf("without a forwarder: %s", got)
	}
}

// TestAddresses are what clients are told that cannot ask the resolver.
func TestAddresses(t *testing.T) {
	s := hostedServer(t, nowhere)
	for name, want := range map[string]string{
		"a.corp.test": "[192.0.2.1 192.0.2.2]", "svc.corp.test.": "[169.254.171.1]", "lb.corp.test": "[10.0.0.9]",
		"nope.corp.test": "[]", "outside.test": "[]", parking: "[169.254.171.1]", "c.corp.test": "[192.0.2.1 192.0.2.2]",
		strings.Repeat("a", 300): "[]",
	} {
		if got := fmt.Sprint(s.Addresses("vpc-1", name)); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// TestHostedAnswersDoNotAllocate, as others.
func TestHostedAnswersDoNotAllocate(t *testing.T) {
	s := hostedServer(t, nowhere)
	dst := make([]byte, 0, 1232)
	for _, name := range []string{"a.corp.test", "c.corp.test", "x.w.corp.test", "svc.corp.test", "nope.corp.test",
		"wt.corp.test"} {
		q := query(t, name, dnsmessage.TypeA, nil)
		if n := testing.AllocsPerRun(100, func() { s.Answer(dst, "vpc-1", q) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
