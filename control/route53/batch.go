package route53

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"pergola/aws"
	"pergola/aws/route53"
	"pergola/store"
)

// The bounds of one batch (developer guide, "Quotas"): record sets, where one that is made or replaced counts twice,
// and characters of values.
const (
	maxBatch      = 1000
	maxBatchValue = 32_000
)

// ChangeResourceRecordSets makes, replaces and deletes record sets of a zone, all or none.
func (op *call) ChangeResourceRecordSets(in *route53.ChangeResourceRecordSetsRequest) (*route53.ChangeResponse, error) {
	op.describeBatch(in.ChangeBatch.Changes)
	zone, err := op.find(in.HostedZoneID)
	if err != nil {
		return nil, err
	}
	if err := checkSize(in.ChangeBatch.Changes); err != nil {
		return nil, err
	}
	b := &batch{call: op, zone: zone, touched: map[route53.Name][]*route53.RecordSet{}}
	for i := range in.ChangeBatch.Changes {
		if err := b.change(&in.ChangeBatch.Changes[i]); err != nil {
			return nil, err
		}
	}
	if err := b.judge(); err != nil {
		return nil, err
	}
	return op.answered(in.ChangeBatch.Comment)
}

// describeBatch sets the condition keys of a batch (Service Authorization Reference, "Amazon Route 53"): what all
// changes are about.
func (op *call) describeBatch(changes []route53.RecordChange) {
	names, types, actions := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, c := range changes {
		name, err := route53.ParseName(c.ResourceRecordSet.Name)
		if err != nil {
			name = route53.Name(c.ResourceRecordSet.Name)
		}
		names[strings.TrimSuffix(string(name), ".")] = true
		types[c.ResourceRecordSet.Type], actions[c.Action] = true, true
	}
	const prefix = "route53:ChangeResourceRecordSets"
	op.Set(prefix+"NormalizedRecordNames", slices.Sorted(maps.Keys(names))...)
	op.Set(prefix+"RecordTypes", slices.Sorted(maps.Keys(types))...)
	op.Set(prefix+"Actions", slices.Sorted(maps.Keys(actions))...)
}

func checkSize(changes []route53.RecordChange) error {
	sets, characters := 0, 0
	for _, c := range changes {
		times := 1
		if c.Action == "UPSERT" {
			times = 2
		}
		sets += times
		for _, r := range c.ResourceRecordSet.Records {
			characters += times * len(r.Value)
		}
	}
	switch {
	case sets > maxBatch:
		return refusedBatch(fmt.Sprintf("Number of records limit of %d exceeded.", maxBatch))
	case characters > maxBatchValue:
		return refusedBatch(fmt.Sprintf("Number of characters limit of %d exceeded.", maxBatchValue))
	}
	return nil
}

// refusedBatch refuses a batch for all that is wrong with it.
func refusedBatch(messages ...string) error {
	return aws.Errorf("InvalidChangeBatch", "[%s]", strings.Join(messages, ", "))
}

// batch is the changes of a batch, as far as they are made in the transaction.
type batch struct {
	*call
	zone     *route53.HostedZone
	messages []string
	// touched are the names whose record sets have changed, with those that were put.
	touched map[route53.Name][]*route53.RecordSet
}

// note notes a fault of the batch.
func (b *batch) note(format string, args ...any) {
	b.messages = append(b.messages, fmt.Sprintf(format, args...))
}

// change makes one change, or notes why it cannot be made. An error is of one that means nothing, or of the store.
func (b *batch) change(c *route53.RecordChange) error {
	set, err := b.setOf(c)
	if set == nil {
		return err
	}
	known, err := recordSets.Get(b.Tx, set.Path())
	exists := err == nil
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	switch {
	case c.Action == "CREATE" && exists:
		b.note("Tried to create resource record set %s but it already exists", naming(set))
	case c.Action == "DELETE" && !exists:
		b.note("Tried to delete resource record set %s but it was not found", naming(set))
	case c.Action == "DELETE" && !same(set, &known):
		b.note("Tried to delete resource record set %s but the values provided do not match the current values", naming(set))
	case c.Action == "DELETE":
		recordSets.Delete(b.Tx, set.Path())
		b.touched[set.Name] = append(b.touched[set.Name], nil)
	default:
		b.touched[set.Name] = append(b.touched[set.Name], set)
		return recordSets.Put(b.Tx, set.Path(), *set)
	}
	return nil
}

// naming names a record set as errors do.
func naming(r *route53.RecordSet) string {
	identifier := ""
	if r.Identifier != "" {
		identifier = fmt.Sprintf(", set-identifier='%s'", r.Identifier)
	}
	return fmt.Sprintf("[name='%s', type='%s'%s]", r.Name, r.Type, identifier)
}

// same reports whether two record sets mean the same.
func same(a, b *route53.RecordSet) bool {
	if (a.Alias == nil) != (b.Alias == nil) || (a.Weight == nil) != (b.Weight == nil) ||
		a.Alias != nil && *a.Alias != *b.Alias || a.Weight != nil && *a.Weight != *b.Weight {
		return false
	}
	return a.TTL == b.TTL && slices.Equal(meanings(a), meanings(b))
}

// meanings are the records of a set as messages have them, in an order of their own.
func meanings(r *route53.RecordSet) []string {
	var all []string
	for _, value := range r.Values {
		data, err := route53.RData(r.Type, value)
		if err != nil {
			data = []byte(value)
		}
		all = append(all, string(data))
	}
	slices.Sort(all)
	return all
}

// judge looks at the names that have changed, and refuses the batch if one of them cannot be so.
func (b *batch) judge() error {
	for _, name := range slices.Sorted(maps.Keys(b.touched)) {
		entries, _, err := recordSets.List(b.Tx, b.zone.ID+"/"+route53.PlacesOf(name), "", 0)
		if err != nil {
			return err
		}
		for _, put := range b.touched[name] {
			if put == nil {
				continue
			}
			for i := range entries {
				b.meet(put, &entries[i].Value)
			}
			if err := b.judgeAlias(put); err != nil {
				return err
			}
		}
		if name == b.zone.Name {
			b.judgeApex(entries)
		}
	}
	have, err := recordSets.Count(b.Tx, b.zone.ID+"/")
	if err != nil {
		return err
	}
	limit := b.Quotas.Limit(route53.QuotaRecords)
	if have > limit {
		b.note("Number of resource record sets limit of %d of hosted zone %s exceeded (quota %s).", limit, b.zone.ID,
			route53.QuotaRecords.Code)
	}
	if len(b.messages) > 0 {
		return refusedBatch(slices.Compact(b.messages)...)
	}
	return nil
}

// meet notes why a record set that was put cannot stand beside another one of the name.
func (b *batch) meet(put, other *route53.RecordSet) {
	switch {
	case put.Type == other.Type && (put.Identifier == "") != (other.Identifier == ""):
		b.note("RRSet with DNS name %s, type %s cannot stand beside another one of that name and type: all or none of "+
			"them must have a set identifier.", put.Name, put.Type)
	case put.Type == other.Type:
	case put.Type == "CNAME":
		b.note("RRSet of type CNAME with DNS name %s is not permitted as it conflicts with other records with the same DNS "+
			"name in zone %s", put.Name, b.zone.Name)
	case other.Type == "CNAME":
		b.note("RRSet of type %s with DNS name %s is not permitted because a conflicting RRSet of type CNAME with the same "+
			"DNS name already exists in zone %s", put.Type, put.Name, b.zone.Name)
	}
}

// judgeAlias notes that an alias to a name of the zone leads nowhere.
func (b *batch) judgeAlias(put *route53.RecordSet) error {
	if put.Alias == nil || put.Alias.Zone != b.zone.ID {
		return nil
	}
	prefix := b.zone.ID + "/" + strings.TrimSuffix(route53.Place(put.Alias.Name, put.Type, ""), ",") + ","
	n, err := recordSets.Count(b.Tx, prefix)
	if err == nil && n == 0 {
		b.note("Tried to create an alias that targets %s, type %s in zone %s, but that target was not found", put.Alias.Name,
			put.Type, b.zone.ID)
	}
	return err
}

// judgeApex notes that a zone would lack what every zone has.
func (b *batch) judgeApex(entries []store.Entry[route53.RecordSet]) {
	has := func(typ string) bool {
		return slices.ContainsFunc(entries, func(e store.Entry[route53.RecordSet]) bool {
			return e.Value.Type == typ && e.Value.Identifier == "" && e.Value.Alias == nil
		})
	}
	if !has("SOA") {
		b.note("A HostedZone must contain exactly one SOA record.")
	}
	if !has("NS") {
		b.note("A HostedZone must contain at least one NS record for the zone itself.")
	}
}
