package dns

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/net/dns/dnsmessage"

	"pergola/snapshot"
)

// maxChain is how many names a question leads through at most, from one CNAME record or alias of a hosted zone to the
// next. A question that leads further is refused with SERVFAIL.
const maxChain = 8

// outcome is how a question ends.
type outcome uint8

const (
	outside outcome = iota // the deployment knows nothing of the name
	known                  // there are records, or the name exists without any of the type
	missing                // the name does not exist
	endless                // it leads through too many names
)

// finding is what the deployment says of a name, in a VPC.
type finding struct {
	outcome outcome
	// chain are the CNAME records on the way, and links their number.
	chain [maxChain]link
	links int
	// owner is the name whose records are at the end of the way, and at the name where they are: another one behind an
	// alias.
	owner, at dnsmessage.Name
	// What is at the end: one of them, or none.
	door     *snapshot.Door
	balancer *snapshot.LoadBalancer
	reach    *snapshot.Reach
	records  *snapshot.Alternative
	// denies is the hosted zone that says that there is nothing else; nil for names that are in none. aliased is that of
	// the alias that was followed last.
	denies, aliased *snapshot.Zone
}

// link is one CNAME record.
type link struct {
	owner dnsmessage.Name
	ttl   uint32
	data  []byte
}

// find finds what a question is about: in the private zones of the VPC, then among services, load balancers and
// resources, then in public zones. CNAME records and aliases of zones are followed.
func (s *Server) find(vpcID string, q *question, f *finding) {
	f.owner, f.at = q.Name, q.Name
	now := s.snapshot()
	for range maxChain {
		if s.step(now, vpcID, q.Type, f) {
			f.settle(q.Type)
			return
		}
	}
	f.outcome = endless
}

// step looks at the name that was come to, and reports whether the way ends there.
func (s *Server) step(now *snapshot.Snapshot, vpcID string, asked dnsmessage.Type, f *finding) (ends bool) {
	name := text(&f.at)
	if zone := now.PrivateZones.Get(vpcID).Of(name); zone != nil {
		return s.inHosted(zone, asked, f)
	}
	vpc := now.VPCs.Get(vpcID)
	if f.balancer = vpc.LoadBalancer(name); f.balancer != nil {
		f.outcome = known
		return true
	}
	if f.door, _ = vpc.DoorTo(name); f.door != nil {
		f.outcome = known
		return true
	}
	switch reach, isPrivate := vpc.ReachNamed(name); {
	case reach != nil:
		f.reach, f.outcome = reach, known
		return true
	case isPrivate:
		f.outcome = missing
		return true
	}
	switch own := s.ownZone(&f.at); {
	case own != nil && own.is(&f.at):
		f.outcome = known
		return true
	case own != nil:
		f.outcome = missing
		return true
	}
	if zone := now.PublicZone(vpc, name); zone != nil {
		return s.inHosted(zone, asked, f)
	}
	f.outcome = outside
	return true
}

// inHosted looks at a name that is in a hosted zone.
func (s *Server) inHosted(zone *snapshot.Zone, asked dnsmessage.Type, f *finding) (ends bool) {
	f.denies, f.outcome = zone, known
	there := zone.Lookup(text(&f.at))
	if there == nil {
		f.outcome = missing
		return true
	}
	set := there.Set(uint16(asked))
	if cname := there.Set(uint16(dnsmessage.TypeCNAME)); set == nil {
		set = cname
	}
	if set == nil {
		return true
	}
	chosen := set.Choose(s.random)
	switch {
	case chosen.IsAlias():
		f.aliased = zone
	case set.Type == uint16(asked):
		f.records = chosen
		return true
	default:
		f.chain[f.links] = link{f.owner, chosen.TTL, chosen.Data[0]} // each step makes one at most
		f.links++
	}
	leadTo(&f.at, chosen.Target)
	if !chosen.IsAlias() {
		f.owner, f.aliased = f.at, nil
	}
	f.denies = nil
	return false
}

// leadTo sets a name from one without its final dot.
func leadTo(name *dnsmessage.Name, target string) {
	n := copy(name.Data[:len(name.Data)-1], target)
	name.Data[n] = '.'
	name.Length = uint8(n + 1)
}

// settle says what an alias makes of the end of its way: where it has no records of the type, the name has none.
func (f *finding) settle(asked dnsmessage.Type) {
	if f.aliased != nil && !f.has(asked) {
		f.outcome, f.door, f.balancer, f.denies = known, nil, nil, f.aliased
		f.reach = nil
	}
}

// has reports whether there are records of a type at the end.
func (f *finding) has(asked dnsmessage.Type) bool {
	for address := range f.addresses {
		if isAsked(address, asked) {
			return true
		}
	}
	return f.records != nil
}

// isAsked reports whether an address is in a record of a type.
func isAsked(a netip.Addr, asked dnsmessage.Type) bool {
	return a.Is4() && asked == dnsmessage.TypeA || a.Is6() && asked == dnsmessage.TypeAAAA
}

// addresses are those of the service, the load balancer or the resource at the end.
func (f *finding) addresses(yield func(netip.Addr) bool) {
	if f.door != nil {
		for i := range f.door.Entries {
			if !yield(f.door.Entries[i].Address) {
				return
			}
		}
	}
	if f.balancer != nil {
		for _, address := range f.balancer.Addresses {
			if !yield(address) {
				return
			}
		}
	}
	if f.reach != nil {
		yield(f.reach.Address)
	}
}

// respond appends the response that tells what was found.
func (s *Server) respond(dst []byte, q *question, f *finding) []byte {
	code := dnsmessage.RCodeSuccess
	if f.outcome != known {
		code = dnsmessage.RCodeNameError
	}
	b := q.begin(dst, code, f.outcome != outside)
	must(b.StartAnswers())
	for i := range f.links {
		link := &f.chain[i]
		must(b.UnknownResource(header(&link.owner, link.ttl),
			dnsmessage.UnknownResource{Type: dnsmessage.TypeCNAME, Data: link.data}))
	}
	if f.has(q.Type) {
		f.tell(&b, q.Type)
	} else if f.outcome != outside {
		must(b.StartAuthorities())
		s.deny(&b, f)
	}
	return q.end(&b, code)
}

func header(owner *dnsmessage.Name, ttl uint32) dnsmessage.ResourceHeader {
	return dnsmessage.ResourceHeader{Name: *owner, Class: dnsmessage.ClassINET, TTL: ttl}
}

// tell appends the records at the end.
func (f *finding) tell(b *dnsmessage.Builder, asked dnsmessage.Type) {
	for address := range f.addresses {
		switch {
		case !isAsked(address, asked):
		case address.Is4():
			must(b.AResource(header(&f.owner, ttl), dnsmessage.AResource{A: address.As4()}))
		default:
			must(b.AAAAResource(header(&f.owner, ttl), dnsmessage.AAAAResource{AAAA: address.As16()}))
		}
	}
	if f.records != nil {
		for _, data := range f.records.Data {
			must(b.UnknownResource(header(&f.owner, f.records.TTL), dnsmessage.UnknownResource{Type: asked, Data: data}))
		}
	}
}

// deny appends the SOA record that lets resolvers remember that there is no such name, or that it has no records of the
// type asked for (RFC 2308 §3).
func (s *Server) deny(b *dnsmessage.Builder, f *finding) {
	if f.denies != nil {
		if data, keep := f.denies.Authority(); data != nil {
			var zone dnsmessage.Name
			leadTo(&zone, f.denies.Name)
			must(b.UnknownResource(header(&zone, keep), dnsmessage.UnknownResource{Type: dnsmessage.TypeSOA, Data: data}))
			return
		}
	}
	zone := s.authority(&f.at)
	must(b.SOAResource(header(zone, negativeTTL), dnsmessage.SOAResource{NS: *zone, MBox: *zone, Serial: 1, Refresh: ttl,
		Retry: ttl, Expire: ttl, MinTTL: negativeTTL}))
}

// Addresses are the IPv4 addresses that a name has for clients of the VPC; none where the deployment does not know it.
func (s *Server) Addresses(vpcID, name string) (all []netip.Addr) {
	asked, err := dnsmessage.NewName(strings.TrimSuffix(name, ".") + ".")
	if err != nil {
		return nil
	}
	q := question{Question: dnsmessage.Question{Name: asked, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}}
	var f finding
	s.find(vpcID, &q, &f)
	for address := range f.addresses {
		if address.Is4() {
			all = append(all, address)
		}
	}
	if f.records != nil {
		for _, data := range f.records.Data {
			if address, ok := netip.AddrFromSlice(data); ok {
				all = append(all, address)
			}
		}
	}
	return all
}

// ask has the forwarder answer a query: as it is, or where CNAME records of the deployment lead outside, for the name
// that they lead to. The response to that is told with the records in front.
func (s *Server) ask(ctx context.Context, query []byte, from origin) ([]byte, error) {
	q := reparse(query)
	var f finding
	if s.find(from.vpc, &q, &f); f.outcome != outside || f.links == 0 {
		return s.forward(ctx, query, from.network)
	}
	asked := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: q.header.ID, RecursionDesired: q.header.RecursionDesired},
		Questions: []dnsmessage.Question{{Name: f.at, Type: q.Type, Class: q.Class}},
	}
	if q.edns.present {
		var h dnsmessage.ResourceHeader
		must(h.SetEDNS0(ourUDPSize, 0, q.edns.dnssecOK))
		asked.Additionals = []dnsmessage.Resource{{Header: h, Body: &dnsmessage.OPTResource{}}}
	}
	further, err := asked.Pack()
	if err != nil {
		return nil, err
	}
	response, err := s.forward(ctx, further, from.network)
	if err != nil {
		return nil, err
	}
	var m dnsmessage.Message
	if err := m.Unpack(response); err != nil {
		return nil, fmt.Errorf("the response about %s cannot be read: %w", f.at.String(), err)
	}
	var chain []dnsmessage.Resource
	for _, link := range f.chain[:f.links] {
		chain = append(chain, dnsmessage.Resource{Header: header(&link.owner, link.ttl),
			Body: &dnsmessage.UnknownResource{Type: dnsmessage.TypeCNAME, Data: link.data}})
	}
	m.Questions, m.Answers, m.Authoritative = []dnsmessage.Question{q.Question}, append(chain, m.Answers...), false
	return m.Pack()
}
