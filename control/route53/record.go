package route53

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"pergola/aws"
	"pergola/aws/elbv2"
	"pergola/aws/route53"
	"pergola/lattice"
	"pergola/store"
)

// maxValues is how many values a record set has at most (developer guide, "Quotas").
const maxValues = 400

// setOf is the record set of a change. It is nil where something is noted that is wrong with it, and where there is an
// error, of a change that means nothing.
func (b *batch) setOf(c *route53.RecordChange) (*route53.RecordSet, error) {
	in := &c.ResourceRecordSet
	if err := checkMembers(c); err != nil {
		return nil, err
	}
	name, err := route53.ParseName(in.Name)
	if err != nil {
		b.note("%v", err)
		return nil, nil
	}
	set := &route53.RecordSet{Zone: b.zone.ID, Name: name, Type: in.Type, Identifier: in.SetIdentifier, Weight: in.Weight}
	if fault := b.misplaced(set); fault != "" {
		b.note("%s", fault)
		return nil, nil
	}
	if in.Alias != nil {
		return b.aliasOf(set, in.Alias), nil
	}
	set.TTL = *in.TTL
	for _, record := range in.Records {
		set.Values = append(set.Values, record.Value)
	}
	if fault := faultOf(set); fault != "" {
		b.note("%s", fault)
		return nil, nil
	}
	return set, nil
}

// checkMembers refuses a change whose members do not go together.
func checkMembers(c *route53.RecordChange) error {
	in := &c.ResourceRecordSet
	where := fmt.Sprintf("in Change with [Action=%s, Name=%s, Type=%s, SetIdentifier=%s]", c.Action, in.Name, in.Type,
		cmp.Or(in.SetIdentifier, "null"))
	plain := in.TTL != nil && len(in.Records) > 0
	const one = "Invalid request: Expected exactly one of [AliasTarget, all of [TTL, and ResourceRecords], or " +
		"TrafficPolicyInstanceId], but found %s %s"
	switch {
	case in.Alias == nil && !plain:
		return invalidInput(one, "none", where)
	case in.Alias != nil && (in.TTL != nil || len(in.Records) > 0):
		return invalidInput(one, "more than one", where)
	case in.Weight != nil && in.SetIdentifier == "":
		return invalidInput("Invalid request: Missing field 'SetIdentifier' %s", where)
	case in.Weight == nil && in.SetIdentifier != "":
		return invalidInput("Invalid request: Missing field 'Weight' %s: of what a set identifier is for, weights alone are "+
			"served here", where)
	}
	return nil
}

// misplaced says why a record set of a type cannot have its name, or "".
func (b *batch) misplaced(r *route53.RecordSet) string {
	_, served := route53.TypeNumber(r.Type)
	apex := r.Name == b.zone.Name
	switch {
	case !served:
		return fmt.Sprintf("RRSet of type %s with DNS name %s is not permitted: the type is not served here", r.Type, r.Name)
	case !r.Name.In(b.zone.Name):
		return fmt.Sprintf("RRSet with DNS name %s is not permitted in zone %s", r.Name, b.zone.Name)
	case apex && r.Type == "CNAME":
		return fmt.Sprintf("RRSet of type CNAME with DNS name %s is not permitted at apex in zone %s", r.Name, b.zone.Name)
	case !apex && r.Type == "SOA":
		return fmt.Sprintf("RRSet of type SOA with DNS name %s is not permitted in zone %s, but at its apex", r.Name,
			b.zone.Name)
	}
	return ""
}

// faultOf names a fault of the values of a record set, or is "".
func faultOf(r *route53.RecordSet) string {
	var known []string
	for _, value := range r.Values {
		data, err := route53.RData(r.Type, value)
		if err != nil {
			return fmt.Sprintf("Invalid Resource Record: '%v'", err)
		}
		if slices.Contains(known, string(data)) {
			return fmt.Sprintf("Duplicate Resource Record: '%s'", value)
		}
		known = append(known, string(data))
	}
	switch single := r.Type == "CNAME" || r.Type == "SOA"; {
	case single && len(r.Values) > 1:
		return fmt.Sprintf("RRSet of type %s with DNS name %s must have one value, has %d", r.Type, r.Name, len(r.Values))
	case len(r.Values) > maxValues:
		return fmt.Sprintf("RRSet of type %s with DNS name %s may have %d values at most, has %d", r.Type, r.Name, maxValues,
			len(r.Values))
	}
	return ""
}

// aliasOf completes an alias record set; nil where something is noted that is wrong with it.
func (b *batch) aliasOf(set *route53.RecordSet, in *route53.AliasTarget) *route53.RecordSet {
	target, err := route53.ParseName(in.DNSName)
	if err != nil {
		b.note("%v", err)
		return nil
	}
	zone := route53.ID(in.HostedZoneID, route53.ZonePrefix)
	set.Alias = &route53.Alias{Zone: zone, Name: target, EvaluateHealth: in.EvaluateTargetHealth}
	within := map[string]string{
		b.zone.ID: string(b.zone.Name),
		lattice.HostedZoneID(lattice.DomainSuffix(b.Region)): lattice.DomainSuffix(b.Region) + ".",
		elbv2.HostedZone: elbv2.DomainSuffix(b.Region) + ".",
	}[zone]
	address := set.Type == "A" || set.Type == "AAAA"
	switch {
	case within == "":
		b.note("Tried to create an alias that targets %s, type %s in zone %s, which is not served here: an alias leads to a "+
			"name of its own zone, of a service of VPC Lattice, or of a load balancer", target, set.Type, zone)
	case !target.In(route53.Name(within)):
		b.note("Tried to create an alias that targets %s, type %s in zone %s, but the alias target name does not lie within "+
			"the target zone", target, set.Type, zone)
	case set.Type == "NS" || set.Type == "SOA" || zone != b.zone.ID && !address:
		b.note("RRSet of type %s with DNS name %s cannot be an alias that targets %s", set.Type, set.Name, target)
	case target == set.Name && zone == b.zone.ID:
		b.note("RRSet of type %s with DNS name %s cannot be an alias of itself", set.Type, set.Name)
	default:
		return set
	}
	return nil
}

// maxRecordsOfPage is how many record sets a page has at most.
const maxRecordsOfPage = 300

// ListResourceRecordSets lists the record sets of a zone by the labels of their names, from the last, then by their
// types and identifiers.
func (op *call) ListResourceRecordSets(
	in *route53.ListResourceRecordSetsRequest) (*route53.ListResourceRecordSetsResponse, error) {
	zone, err := op.find(in.HostedZoneID)
	if err != nil {
		return nil, err
	}
	size, err := sizeOf(in.MaxItems, maxRecordsOfPage)
	if err != nil {
		return nil, err
	}
	all, err := op.recordsFrom(zone, in, size+1)
	if err != nil {
		return nil, err
	}
	answer := &route53.ListResourceRecordSetsResponse{ResourceRecordSets: []route53.ResourceRecordSet{},
		MaxItems: strconv.Itoa(size), IsTruncated: len(all) > size}
	for i := range all[:min(len(all), size)] {
		answer.ResourceRecordSets = append(answer.ResourceRecordSets, describeRecords(&all[i].Value))
	}
	if answer.IsTruncated {
		next := &all[size].Value
		answer.NextRecordName, answer.NextRecordType = string(next.Name), next.Type
		answer.NextRecordIdentifier = next.Identifier
	}
	return answer, nil
}

// recordsFrom are the record sets of a zone, so many at most, from the one that a request begins with.
func (op *call) recordsFrom(zone *route53.HostedZone, in *route53.ListResourceRecordSetsRequest,
	limit int) (all []store.Entry[route53.RecordSet], err error) {
	after := ""
	switch {
	case in.StartRecordName == "" && (in.StartRecordType != "" || in.StartRecordIdentifier != ""),
		in.StartRecordType == "" && in.StartRecordIdentifier != "":
		return nil, invalidInput("A page begins with a name, a name and a type, or these and an identifier")
	case in.StartRecordName != "":
		name, err := route53.ParseName(in.StartRecordName)
		if err != nil {
			return nil, aws.Errorf("InvalidInput", "%v", err)
		}
		// Keys come after this one; no record set has it, unless the request names that.
		after = zone.ID + "/" + strings.TrimSuffix(route53.PlacesOf(name)+in.StartRecordType, ",")
		if in.StartRecordIdentifier != "" {
			after = zone.ID + "/" + route53.Place(name, in.StartRecordType, in.StartRecordIdentifier)
			first, err := recordSets.Get(op.Tx, after)
			switch {
			case err == nil:
				all = append(all, store.Entry[route53.RecordSet]{ID: after, Value: first})
			case !errors.Is(err, store.ErrNotFound):
				return nil, err
			}
		}
	}
	entries, _, err := recordSets.List(op.Tx, zone.ID+"/", after, limit)
	return append(all, entries...), err
}

// describeRecords is a record set as answers have it.
func describeRecords(r *route53.RecordSet) route53.ResourceRecordSet {
	d := route53.ResourceRecordSet{Name: string(r.Name), Type: r.Type, SetIdentifier: r.Identifier, Weight: r.Weight}
	if r.Alias != nil {
		d.Alias = &route53.AliasTarget{HostedZoneID: r.Alias.Zone, DNSName: string(r.Alias.Name),
			EvaluateTargetHealth: r.Alias.EvaluateHealth}
		return d
	}
	d.TTL = &r.TTL
	for _, value := range r.Values {
		d.Records = append(d.Records, route53.ResourceRecord{Value: value})
	}
	return d
}
