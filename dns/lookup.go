package dns

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// Addresses are the IPv4 addresses of a name, and for how long they may be kept.
type Addresses struct {
	All []netip.Addr
	TTL time.Duration
}

// maxAliases is how many aliases may lead from a name to its addresses in one answer.
const maxAliases = 16

// Lookup resolves a name for the node itself. Privately, it does so as the resolver of a VPC does; else as a public one
// would, by asking elsewhere, but for the names of load balancers, which are public: those of the VPC it knows.
func (s *Server) Lookup(ctx context.Context, vpcID, name string, private bool) (Addresses, error) {
	full, err := dnsmessage.NewName(strings.TrimSuffix(name, ".") + ".")
	if err != nil {
		return Addresses{}, fmt.Errorf("look up %s: %w", name, err)
	}
	if balancer := s.snapshot().VPCs.Get(vpcID).LoadBalancer([]byte(name)); balancer != nil {
		return Addresses{balancer.Addresses, ttl * time.Second}, nil
	}
	query, err := queryFor(full)
	if err != nil {
		return Addresses{}, fmt.Errorf("look up %s: %w", name, err)
	}
	var response []byte
	forward := true
	if private {
		response, forward = s.Answer(nil, vpcID, query)
	}
	if forward {
		if s.forward == nil {
			return Addresses{}, fmt.Errorf("look up %s: there is nobody to ask", name)
		}
		if response, err = s.forward(ctx, query, "udp"); err != nil {
			return Addresses{}, fmt.Errorf("look up %s: %w", name, err)
		}
	}
	found, err := addressesIn(response, full)
	if err != nil {
		return Addresses{}, fmt.Errorf("look up %s: %w", name, err)
	}
	return found, nil
}

// queryFor is a query for the IPv4 addresses of a name.
func queryFor(name dnsmessage.Name) ([]byte, error) {
	var id [2]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, err
	}
	query := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: binary.BigEndian.Uint16(id[:]), RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}},
	}
	return query.Pack()
}

// addressesIn reads the addresses of a name out of a response, by way of its aliases.
func addressesIn(response []byte, name dnsmessage.Name) (Addresses, error) {
	var p dnsmessage.Parser
	header, err := p.Start(response)
	if err != nil {
		return Addresses{}, fmt.Errorf("the answer cannot be read: %w", err)
	}
	if header.RCode != dnsmessage.RCodeSuccess {
		return Addresses{}, fmt.Errorf("the answer is %v", header.RCode)
	}
	if err := p.SkipAllQuestions(); err != nil {
		return Addresses{}, fmt.Errorf("the answer cannot be read: %w", err)
	}
	records, err := p.AllAnswers()
	if err != nil {
		return Addresses{}, fmt.Errorf("the answer cannot be read: %w", err)
	}
	found, least := Addresses{}, ^uint32(0)
	for range maxAliases {
		alias := ""
		for _, r := range records {
			if !strings.EqualFold(r.Header.Name.String(), name.String()) {
				continue
			}
			switch body := r.Body.(type) {
			case *dnsmessage.AResource:
				found.All, least = append(found.All, netip.AddrFrom4(body.A)), min(least, r.Header.TTL)
			case *dnsmessage.CNAMEResource:
				alias, least = body.CNAME.String(), min(least, r.Header.TTL)
			}
		}
		if len(found.All) > 0 {
			found.TTL = time.Duration(least) * time.Second
			return found, nil
		}
		if alias == "" {
			break
		}
		if name, err = dnsmessage.NewName(alias); err != nil {
			return Addresses{}, err
		}
	}
	return Addresses{}, fmt.Errorf("it has no IPv4 address")
}
