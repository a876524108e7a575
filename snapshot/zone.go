package snapshot

import (
	"bytes"
	"encoding/binary"

	"pergola/aws/organizations"
	"pergola/snapshot/table"
)

// Zones are hosted zones from which questions are answered, by their names. The zero value has none.
type Zones struct{ byName table.Table[*Zone] }

// Of is the zone with the longest name that a name is, or is below; nil if there is none. Neither the case of letters
// nor one trailing dot counts. It does not allocate. Nil Zones have none.
func (z *Zones) Of(name []byte) *Zone {
	if z == nil || z.byName.Len() == 0 {
		return nil
	}
	var folded [maxName]byte
	for name = foldName(&folded, name); len(name) > 0; name = parent(name) {
		if zone := z.byName.GetBytes(name); zone != nil {
			return zone
		}
	}
	return nil
}

// PublicZone is the public zone that clients of a VPC are answered from about a name: one of the account of the VPC, or
// of the management account, whose names are the deployment's. The longer name counts, and of the same the account's
// own. Zones of other accounts count for nothing, for any account can make one of any name. It does not allocate.
func (s *Snapshot) PublicZone(vpc *VPC, name []byte) *Zone {
	zone := s.PublicZones.Get(organizations.ManagementAccount).Of(name)
	if vpc == nil {
		return zone
	}
	if own := s.PublicZones.Get(vpc.Account).Of(name); own != nil && (zone == nil || len(own.Name) >= len(zone.Name)) {
		return own
	}
	return zone
}

// parent is a name without its first label.
func parent(name []byte) []byte {
	_, above, _ := bytes.Cut(name, []byte("."))
	return above
}

// Zone is a hosted zone as resolvers answer from it.
type Zone struct {
	ID string
	// Name is in lower case and without a trailing dot.
	Name string
	// names holds every name that exists in the zone: with records, or with a name below it that has some.
	names table.Table[*Name]
}

// Name is a name of a zone with its records.
type Name struct {
	// Sets are in order of type.
	Sets []RecordSet
}

// RecordSet is the records of one type that a name has.
type RecordSet struct {
	Type uint16
	// Alternatives are those that one is chosen of for each answer, by weight. There is always one.
	Alternatives []Alternative
	// TotalWeight is the sum of the weights; where it is 0, all alternatives are as likely.
	TotalWeight int
}

// Alternative is records that are answered together.
type Alternative struct {
	Identifier string
	Weight     int
	TTL        uint32
	// Data are the records as messages have them, without compression; none for an alias.
	Data [][]byte
	// Target is the name that an alias or a CNAME record leads to, in lower case and without a trailing dot.
	Target string
}

// IsAlias reports whether the records are those of another name.
func (a *Alternative) IsAlias() bool { return len(a.Data) == 0 }

// Lookup is what the zone has at a name that is in it, nil where the name does not exist: the name's own records, or
// those of the wildcard below the closest name above it that exists (RFC 4592 §3.3.1). Neither the case of letters nor
// one trailing dot counts. It does not allocate.
func (z *Zone) Lookup(name []byte) *Name {
	var folded [maxName]byte
	name = foldName(&folded, name)
	if found := z.names.GetBytes(name); found != nil {
		return found
	}
	for rest := name; len(rest) > len(z.Name); {
		rest = parent(rest)
		if z.names.GetBytes(rest) == nil {
			continue
		}
		wildcard := name[len(name)-len(rest)-2:] // the label before the rest, with its dot, has room
		wildcard[0] = '*'
		return z.names.GetBytes(wildcard)
	}
	return nil
}

// Set is the record set of a type, or nil. A nil Name has none.
func (n *Name) Set(typ uint16) *RecordSet {
	if n == nil {
		return nil
	}
	for i := range n.Sets {
		if n.Sets[i].Type == typ {
			return &n.Sets[i]
		}
	}
	return nil
}

// typeSOA is the number of the type of records that say who has a zone (RFC 1035 §3.2.2).
const typeSOA = 6

// Authority is the start of authority of the zone, with the time for which it may be remembered that a name does not
// exist (RFC 2308 §5); nil where there is none.
func (z *Zone) Authority() (data []byte, ttl uint32) {
	set := z.names.Get(z.Name).Set(typeSOA)
	if set == nil || set.Alternatives[0].IsAlias() {
		return nil, 0
	}
	soa := &set.Alternatives[0]
	data = soa.Data[0]
	return data, min(soa.TTL, binary.BigEndian.Uint32(data[len(data)-4:]))
}

// Choose is one of the alternatives: by a number below the total weight, or below their number where that is 0.
func (s *RecordSet) Choose(random func(below int) int) *Alternative {
	switch {
	case len(s.Alternatives) == 1:
		return &s.Alternatives[0]
	case s.TotalWeight == 0:
		return &s.Alternatives[random(len(s.Alternatives))]
	}
	at := random(s.TotalWeight)
	for i := range s.Alternatives {
		if at -= s.Alternatives[i].Weight; at < 0 {
			return &s.Alternatives[i]
		}
	}
	return &s.Alternatives[0]
}
