package snapshot

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"

	"pergola/aws/iam"
	"pergola/policy"
	"pergola/snapshot/table"
)

// Dump writes everything in the snapshot as text for people: indented, sorted, each thing once. Equal snapshots give
// equal texts.
func (s *Snapshot) Dump(w io.Writer) error {
	d := dumper{bufio.NewWriter(w)}
	d.line(0, "revision %d", s.Revision)
	networks := map[string]*Network{}
	for _, v := range ordered(maps.Collect(s.VPCs.All())) {
		d.vpc(v)
		for _, door := range v.Doors {
			networks[door.Network.ID] = door.Network
		}
	}
	for _, n := range ordered(networks) {
		d.network(n)
	}
	for _, service := range ordered(maps.Collect(s.Services.All())) {
		d.service(service)
	}
	for _, g := range ordered(maps.Collect(s.TargetGroups.All())) {
		d.group(g)
	}
	for _, l := range ordered(maps.Collect(s.LoadBalancers.All())) {
		d.loadBalancer(l)
	}
	d.zones(s)
	d.identities(s.Identities)
	d.certificate(0, "authority", s.Authority)
	return d.w.Flush()
}

// ordered are the values of a map in the order of their keys.
func ordered[K cmp.Ordered, V any](m map[K]V) []V {
	values := make([]V, 0, len(m))
	for _, key := range slices.Sorted(maps.Keys(m)) {
		values = append(values, m[key])
	}
	return values
}

// dumper writes lines. A failure to write stays in the writer and comes out of its Flush.
type dumper struct{ w *bufio.Writer }

func (d dumper) line(depth int, format string, args ...any) {
	fmt.Fprintf(d.w, "%*s"+format+"\n", append([]any{2 * depth, ""}, args...)...)
}

func (d dumper) vpc(v *VPC) {
	d.line(0, "vpc %s %s cidr %s account %s", v.ID, v.ARN, v.CIDR, v.Account)
	for _, door := range v.Doors {
		d.line(1, "door %s leads to %s", door.Key, door.Network.ID)
		if door.PrivateDNS.Enabled {
			d.line(2, "private names %s %s", door.PrivateDNS.Preference, door.PrivateDNS.Specified)
		}
		for _, e := range door.Entries {
			d.line(2, "at %q %s", e.Interface, e.Address)
		}
	}
	for _, g := range v.Gateways {
		d.line(1, "gateway %s %s at %v in %v by resolver of the VPC %t", g.ID, g.ARN, g.Addresses, g.SecurityGroups, g.InVPC)
	}
	for _, i := range v.Instances {
		d.line(1, "instance %s %s", i.ID, i.Address)
	}
	d.filter(v.Filter)
}

// network writes a service network.
func (d dumper) network(n *Network) {
	d.line(0, "network %s %s auth %s", n.ID, n.ARN, n.AuthType)
	d.policies(n.Policy)
	names := maps.Collect(n.Names.All())
	for _, name := range slices.Sorted(maps.Keys(names)) {
		d.line(1, "name %s is %s", name, names[name].ID)
	}
	d.resources(n.resources)
	for _, number := range slices.Sorted(maps.Keys(n.Ports)) {
		d.line(1, "port %d", number)
		listeners := maps.Collect(n.Ports[number].Listeners.All())
		for _, name := range slices.Sorted(maps.Keys(listeners)) {
			service := listeners[name].Service
			d.line(2, "%s meets %s of %s", name, listeners[name].ID, service.ID)
		}
	}
}

// resources writes what a service network has of resources.
func (d dumper) resources(r resources) {
	for _, reach := range slices.SortedFunc(maps.Values(r.by),
		func(a, b *Reach) int { return a.Address.Compare(b.Address) }) {
		d.line(1, "resource %s %s name %s at %s ports %v by %s behind %s is %q %q", reach.ID, reach.ARN, reach.Name,
			reach.Address, reach.Ports, reach.Association, reach.Gateway.ID, reach.Target, reach.Domain)
	}
	for _, name := range slices.Sorted(maps.Keys(r.named)) {
		d.line(1, "name %s is %s", name, r.named[name].ID)
	}
	for _, name := range slices.Sorted(maps.Keys(r.zones)) {
		for _, z := range r.zones[name] {
			d.line(1, "zone %s verified %t not in %q", name, z.verified, z.notIn)
			for _, of := range slices.Sorted(maps.Keys(z.names)) {
				d.line(2, "name %s is %s", of, z.names[of].ID)
			}
		}
	}
}

func (d dumper) service(s *Service) {
	d.line(0, "service %s %s name %s auth %s idle %s", s.ID, s.ARN, s.Name, s.AuthType, s.IdleTimeout)
	d.line(1, "domain %q custom %q", s.DomainName, s.CustomDomainName)
	d.certificate(1, "certificate", s.Certificate)
	d.policies(s.Policy)
	d.tags(s.Tags)
	for _, l := range s.Listeners {
		d.line(1, "listener %s %s port %d", l.ID, l.Protocol, l.Port)
		for i := range l.Rules {
			d.rule(&l.Rules[i])
		}
	}
}

// certificate writes a certificate, if there is one, and no key: of that only a digest, which tells keys apart.
func (d dumper) certificate(depth int, what string, c *Certificate) {
	if c == nil {
		return
	}
	d.line(depth, "%s %q of %d, %x with key %x", what, c.ARN, len(c.Chain), digest(c.Chain...), digest(c.SealedKey))
}

// digest tells contents apart, for people.
func digest(parts ...[]byte) []byte {
	sum := sha256.Sum256(bytes.Join(parts, nil))
	return sum[:4]
}

func (d dumper) rule(r *Rule) {
	d.line(2, "rule %s priority %d", r.ID, r.Priority)
	if r.match != nil {
		d.match(r.match)
	}
	if r.Action.FixedStatus != 0 {
		d.line(3, "answer %d", r.Action.FixedStatus)
		return
	}
	for _, f := range r.Action.Forward {
		d.line(3, "forward %d of %d to %s", f.Weight, r.Action.TotalWeight, f.Group.ID)
	}
	if len(r.Action.Forward) == 0 {
		d.line(3, "forward to nothing")
	}
}

func (d dumper) match(m *match) {
	if m.method != "" {
		d.line(3, "if method is %s", m.method)
	}
	if m.path.comparison != anything {
		d.line(3, "if path %s", m.path)
	}
	for _, h := range m.headers {
		d.line(3, "if header %s %s", h.name, h.pattern)
	}
}

// String is the pattern in words.
func (p pattern) String() string {
	words := [...]string{anything: "is anything like", exact: "is", prefix: "begins with", contains: "contains"}[p.comparison]
	letters := "case-sensitive"
	if p.fold {
		letters = "any case"
	}
	return fmt.Sprintf("%s %q (%s)", words, p.text, letters)
}

func (d dumper) group(g *TargetGroup) {
	d.line(0, "targetgroup %s %s type %s speaks %q %q in %q in use %t", g.ID, g.ARN, g.Type, g.Protocol, g.ProtocolVersion, g.VPC, g.InUse)
	if g.EventVersion != "" {
		d.line(1, "events %s", g.EventVersion)
	}
	if h := g.HealthCheck; h != nil {
		d.line(1, "check %s %s %s port %d every %s within %s up after %d down after %d codes %v",
			h.Protocol, h.ProtocolVersion, h.Path, h.Port, h.Interval, h.Timeout, h.HealthyThreshold, h.UnhealthyThreshold, h.Codes)
	}
	for _, t := range g.Targets {
		d.target(t)
	}
}

func (d dumper) loadBalancer(l *LoadBalancer) {
	d.line(0, "loadbalancer %s %s name %s in %s at %v", l.ID, l.ARN, l.DNSName, l.VPC, l.Addresses)
	d.line(1, "x-forwarded-for %s client port %t idle %s", l.ForwardedFor, l.ForwardedClientPort, l.IdleTimeout)
	for _, listener := range l.Listeners {
		d.line(1, "listener %s port %d", listener.Protocol, listener.Port)
		d.certificate(2, "certificate", listener.Certificate)
		if fixed := listener.Fixed; fixed != nil {
			d.line(2, "answer %d %q %q", fixed.Status, fixed.ContentType, fixed.Body)
		}
		for _, f := range listener.Forward {
			d.line(2, "forward %d of %d to %s", f.Weight, listener.TotalWeight, f.Group.ID)
		}
	}
	for _, g := range ordered(maps.Collect(l.TargetGroups.All())) {
		d.group(g)
	}
}

// zones writes which hosted zones there are, and each of them once.
func (d dumper) zones(s *Snapshot) {
	all := map[string]*Zone{}
	tell := func(whose string, zones *Zones) {
		for name, zone := range sorted(zones.byName) {
			d.line(0, "%s has %s of zone %s", whose, name, zone.ID)
			all[zone.ID] = zone
		}
	}
	for vpc, zones := range sorted(s.PrivateZones) {
		tell("vpc "+vpc, zones)
	}
	for account, zones := range sorted(s.PublicZones) {
		tell("account "+account, zones)
	}
	for _, zone := range ordered(all) {
		d.line(0, "zone %s of %s", zone.ID, zone.Name)
		for name, at := range sorted(zone.names) {
			d.line(1, "name %q", name)
			for _, set := range at.Sets {
				d.recordSet(&set)
			}
		}
	}
}

func (d dumper) recordSet(set *RecordSet) {
	d.line(2, "type %d of weight %d", set.Type, set.TotalWeight)
	for _, a := range set.Alternatives {
		d.line(3, "alternative %q weight %d ttl %d leads to %q data %q", a.Identifier, a.Weight, a.TTL, a.Target, a.Data)
	}
}

// sorted are the entries of a table in the order of their keys.
func sorted[V comparable](in table.Table[V]) iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		all := maps.Collect(in.All())
		for _, key := range slices.Sorted(maps.Keys(all)) {
			if !yield(key, all[key]) {
				return
			}
		}
	}
}

func (d dumper) target(t Target) {
	address, draining := "nowhere", ""
	if t.Address.IsValid() {
		address = t.Address.String()
	}
	for _, more := range t.More {
		address += " and " + more.String()
	}
	if t.Function != "" {
		address = "function"
	}
	if t.Draining {
		draining = " draining"
	}
	d.line(1, "target %s at %s%s", t.Key, address, draining)
}

// identities writes who can be recognised, and no secret. The managed policies that are built in go without saying.
func (d dumper) identities(i *Identities) {
	for _, p := range ordered(maps.Collect(i.Principals.All())) {
		d.line(0, "principal %s %s", p.ARN, p.UniqueID)
		d.tags(p.Tags)
		d.policies(p.Policies...)
		if p.Boundary != nil {
			d.line(1, "boundary %q", p.Boundary.Name)
		}
	}
	for _, k := range ordered(maps.Collect(i.Keys.All())) {
		d.line(0, "key %s of %s inactive %t", k.ID, k.Principal.ARN, k.Inactive)
	}
	for _, id := range slices.Sorted(maps.Keys(i.Accounts)) {
		d.account(id, i.Accounts[id])
	}
	if i.Strangers.ServiceControl != nil {
		d.account("of everybody", i.Strangers)
	}
	for _, arn := range slices.Sorted(maps.Keys(maps.Collect(i.Policies.All()))) {
		if !strings.HasPrefix(arn, "arn:aws:iam::"+iam.AWSAccount+":") {
			d.line(0, "managed policy %s", arn)
		}
	}
}

func (d dumper) account(id string, a *Account) {
	d.line(0, "account %s in %q at %q", id, a.Organization, a.Path)
	for _, level := range a.ServiceControl {
		d.line(1, "level")
		for _, p := range level {
			d.line(2, "policy %q", p.Name)
		}
	}
}

// policies writes the names of those that are not nil.
func (d dumper) policies(policies ...*policy.Policy) {
	for _, p := range policies {
		if p != nil {
			d.line(1, "policy %q", p.Name)
		}
	}
}

func (d dumper) tags(tags Tags) {
	for _, tag := range tags {
		d.line(1, "tag %q is %q", tag.Key, tag.Value)
	}
}
