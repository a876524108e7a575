package snapshot

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"pergola/aws/route53"
	"pergola/snapshot/table"
)

// zones is what a Compiler knows of hosted zones.
type zones struct {
	states map[string]*zoneState
	// byVPC are the private zones by the VPCs that they are associated with, and byName the public ones by account and
	// name, with a slash between them.
	byVPC, byName map[string]map[*zoneState]bool
	// What the Apply under way has to look at.
	stale                 marks[zoneState]
	staleVPCs, staleNames map[string]bool
}

func newZones() zones {
	return zones{map[string]*zoneState{}, map[string]map[*zoneState]bool{}, map[string]map[*zoneState]bool{},
		marks[zoneState]{}, map[string]bool{}, map[string]bool{}}
}

// zoneState is a hosted zone with its record sets.
type zoneState struct {
	id      string
	object  *route53.HostedZone
	records map[string]*recordState // by place
	// names are those that have record sets, and those above them; staleNames have to be entered anew.
	names      map[string]*nameState
	staleNames map[string]bool
	compiled   *Zone
}

func (s *zoneState) name() string { return s.id }
func (s *zoneState) unused() bool { return s.object == nil && len(s.records) == 0 }

// recordState is a record set, compiled.
type recordState struct {
	name string
	typ  uint16
	Alternative
}

// nameState is a name with its record sets by their places. below counts the names below it that have some.
type nameState struct {
	records map[string]*recordState
	below   int
}

func (c *Compiler) zone(id string) *zoneState {
	s := c.zones.states[id]
	if s == nil {
		s = &zoneState{id: id, records: map[string]*recordState{}, names: map[string]*nameState{},
			staleNames: map[string]bool{}}
		c.zones.states[id] = s
	}
	return s
}

func (c *Compiler) takeZone(change Change, id string) error {
	object, err := decode[route53.HostedZone](change)
	if object != nil {
		if err = checkName(object.Name); err != nil {
			object, err = nil, &broken{change.Key, err}
		} else if object.ID != id {
			object, err = nil, errMisplaced(change)
		}
	}
	s := c.zone(id)
	c.zones.leave(s)
	s.object = object
	c.zones.enter(s)
	c.zones.stale.compile(s)
	return err
}

// checkName says why a name is none that the control plane writes.
func checkName(name route53.Name) error {
	parsed, err := route53.ParseName(string(name))
	if err == nil && parsed != name {
		err = fmt.Errorf("its name %q is not in the form in which zones have names", name)
	}
	return err
}

// keys are the sets in which a zone is, and what marks them stale, with the keys of the zone there.
func (z *zones) keys(s *zoneState) (in map[string]map[*zoneState]bool, stale map[string]bool, keys []string) {
	switch {
	case s.object == nil:
		return nil, nil, nil
	case s.object.Private:
		return z.byVPC, z.staleVPCs, s.object.VPCs
	}
	return z.byName, z.staleNames, []string{s.object.Account + "/" + s.object.Name.Raw()}
}

// mark marks all that is answered from a zone.
func (z *zones) mark(s *zoneState) {
	_, stale, keys := z.keys(s)
	for _, key := range keys {
		stale[key] = true
	}
}

func (z *zones) enter(s *zoneState) {
	in, _, keys := z.keys(s)
	for _, key := range keys {
		if in[key] == nil {
			in[key] = map[*zoneState]bool{}
		}
		in[key][s] = true
	}
	z.mark(s)
}

func (z *zones) leave(s *zoneState) {
	z.mark(s)
	in, _, keys := z.keys(s)
	for _, key := range keys {
		if delete(in[key], s); len(in[key]) == 0 {
			delete(in, key)
		}
	}
}

func (c *Compiler) takeRecordSet(change Change, zone, place string) error {
	object, err := decode[route53.RecordSet](change)
	if object != nil && (object.Zone != zone || object.Place() != place) {
		object, err = nil, errMisplaced(change)
	}
	s := c.zone(zone)
	c.zones.stale.compile(s)
	s.drop(place)
	if object == nil {
		return err
	}
	record, problem := compileRecordSet(object)
	if problem != nil {
		return &broken{change.Key, problem}
	}
	s.put(place, record)
	return err
}

// typeCNAME is the number of the type of records that lead to another name (RFC 1035 §3.2.2).
const typeCNAME = 5

// compileRecordSet has the values of a record set as messages have them.
func compileRecordSet(object *route53.RecordSet) (*recordState, error) {
	number, served := route53.TypeNumber(object.Type)
	if err := checkName(object.Name); err != nil {
		return nil, err
	}
	r := &recordState{name: object.Name.Raw(), typ: number}
	r.Identifier, r.TTL = object.Identifier, uint32(min(max(object.TTL, 0), 1<<31-1))
	if object.Weight != nil {
		r.Weight = int(min(max(*object.Weight, 0), 255))
	}
	switch {
	case !served:
		return nil, fmt.Errorf("the type %q is not served", object.Type)
	case object.Alias != nil:
		if err := checkName(object.Alias.Name); err != nil {
			return nil, err
		}
		r.Target = object.Alias.Name.Raw()
		return r, nil
	case len(object.Values) == 0:
		return nil, errors.New("it has no values")
	}
	for _, value := range object.Values {
		data, err := route53.RData(object.Type, value)
		if err != nil {
			return nil, err
		}
		r.Data = append(r.Data, data)
	}
	if number == typeCNAME {
		target, err := route53.ParseName(object.Values[0])
		if err != nil {
			return nil, err
		}
		r.Target = target.Raw()
	}
	return r, nil
}

// above are the names above a name, one after the other.
func above(name string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for {
			_, rest, more := strings.Cut(name, ".")
			if !more || !yield(rest) {
				return
			}
			name = rest
		}
	}
}

func (s *zoneState) at(name string) *nameState {
	n := s.names[name]
	if n == nil {
		n = &nameState{records: map[string]*recordState{}}
		s.names[name] = n
	}
	return n
}

// count counts a name among those below the ones above it, or no more.
func (s *zoneState) count(name string, by int) {
	for upper := range above(name) {
		n := s.at(upper)
		n.below += by
		s.tidy(upper, n)
		s.staleNames[upper] = true
	}
}

// tidy forgets a name that does not exist.
func (s *zoneState) tidy(name string, n *nameState) {
	if len(n.records) == 0 && n.below == 0 {
		delete(s.names, name)
	}
}

func (s *zoneState) put(place string, r *recordState) {
	n := s.at(r.name)
	if len(n.records) == 0 {
		s.count(r.name, 1)
	}
	n.records[place], s.records[place], s.staleNames[r.name] = r, r, true
}

func (s *zoneState) drop(place string) {
	r := s.records[place]
	if r == nil {
		return
	}
	n := s.names[r.name]
	delete(s.records, place)
	if delete(n.records, place); len(n.records) == 0 {
		s.count(r.name, -1)
	}
	s.tidy(r.name, n)
	s.staleNames[r.name] = true
}

// compile makes the Zone anew from the one before: the names that changed are entered again, and all else is shared.
func (s *zoneState) compile() *Zone {
	was := s.compiled
	s.compiled = nil // until it is made
	if s.object == nil {
		clear(s.staleNames)
		return nil
	}
	zone := &Zone{ID: s.id, Name: s.object.Name.Raw()}
	if was != nil && was.Name == zone.Name {
		zone.names = was.names
	} else {
		for name := range s.names {
			s.staleNames[name] = true
		}
	}
	for name := range s.staleNames {
		if name == zone.Name || strings.HasSuffix(name, "."+zone.Name) {
			zone.names = entered(zone.names, name, s.names[name].compile())
		}
	}
	clear(s.staleNames)
	return zone
}

// compile is the Name; nil for one that does not exist.
func (n *nameState) compile() *Name {
	if n == nil {
		return nil
	}
	name := &Name{}
	for _, place := range slices.Sorted(maps.Keys(n.records)) { // those of a type follow each other
		r := n.records[place]
		last := len(name.Sets) - 1
		if last < 0 || name.Sets[last].Type != r.typ {
			name.Sets = append(name.Sets, RecordSet{Type: r.typ})
			last++
		}
		set := &name.Sets[last]
		set.Alternatives = append(set.Alternatives, r.Alternative)
		set.TotalWeight += r.Weight
	}
	slices.SortFunc(name.Sets, func(a, b RecordSet) int { return cmp.Compare(a.Type, b.Type) })
	return name
}

// compileZones compiles the zones that changed, and then which ones the VPCs and the public are answered from.
func (c *Compiler) compileZones(was *Snapshot) {
	z := &c.zones
	for s, stale := range z.stale {
		if stale {
			s.compiled = compiled(c.faults, route53.KindHostedZone, s.id, s.compile)
			z.mark(s)
		}
	}
	for v, stale := range c.staleVPCs {
		if stale && z.byVPC[v.id] != nil {
			z.staleVPCs[v.id] = true
		}
	}
	c.current.PrivateZones = was.PrivateZones
	for vpc := range z.staleVPCs {
		c.current.PrivateZones = entered(c.current.PrivateZones, vpc, c.zonesOf(vpc))
	}
	c.current.PublicZones = was.PublicZones
	for key := range z.staleNames {
		account, name, _ := strings.Cut(key, "/")
		var of Zones
		if known := c.current.PublicZones.Get(account); known != nil {
			of = *known
		}
		of.byName = entered(of.byName, name, oldest(z.byName[key], name))
		if of.byName.Len() == 0 {
			c.current.PublicZones = c.current.PublicZones.Without(account)
		} else {
			c.current.PublicZones = c.current.PublicZones.With(account, &of)
		}
	}
	clear(z.staleVPCs)
	clear(z.staleNames)
	sweep(z.states, z.stale)
}

// zonesOf are the private zones of a VPC, nil for none. They are answered from where the VPC has both DNS attributes
// (Route 53 developer guide, "Considerations when working with a private hosted zone").
func (c *Compiler) zonesOf(vpc string) *Zones {
	v := c.vpcs[vpc]
	if v == nil || v.object == nil || !v.object.DNSSupport || !v.object.DNSHostnames {
		return nil
	}
	var all table.Table[*Zone]
	for s := range c.zones.byVPC[vpc] {
		name := s.object.Name.Raw()
		all = entered(all, name, oldest(c.zones.byVPC[vpc], name))
	}
	if all.Len() == 0 {
		return nil
	}
	return &Zones{all}
}

// oldest is the zone of a name that was made first among some; nil if there is none.
func oldest(among map[*zoneState]bool, name string) *Zone {
	var first *zoneState
	for s := range among {
		if s.compiled != nil && s.compiled.Name == name && (first == nil || s.isOlder(first)) {
			first = s
		}
	}
	if first == nil {
		return nil
	}
	return first.compiled
}

func (s *zoneState) isOlder(than *zoneState) bool {
	return cmp.Or(s.object.Created.Compare(than.object.Created), cmp.Compare(s.id, than.id)) < 0
}
