package route53

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"pergola/aws/organizations"
	"pergola/aws/route53"
	"pergola/store"
)

// maxAliases is how many names TXT goes through at most, from one CNAME record or alias to the next.
const maxAliases = 8

// TXT is the texts of the TXT records that a name has in the public zones of the management account, as the resolvers
// of all VPCs answer them; none where the name or its zone does not exist. They prove who has a name: zones of other
// accounts prove nothing, for any account can make one of any name.
func TXT(tx *store.Tx, name string) ([]string, error) {
	at, err := route53.ParseName(name)
	if err != nil {
		return nil, err
	}
	for range maxAliases {
		set, next, err := lookUp(tx, at, "TXT")
		if err != nil || set == nil && next == "" {
			return nil, err
		}
		if set != nil {
			return textsOf(set)
		}
		at = next
	}
	return nil, fmt.Errorf("route53: %s leads through more than %d names", name, maxAliases)
}

// Names looks up TXT records as TXT does, and asks Further about names that this knows no texts of.
type Names struct {
	Store   *store.Store
	Further interface {
		LookupTXT(ctx context.Context, name string) ([]string, error)
	}
}

// LookupTXT returns the texts of a name.
func (n Names) LookupTXT(ctx context.Context, name string) (texts []string, err error) {
	err = n.Store.View(ctx, func(tx *store.Tx) error {
		texts, err = TXT(tx, name)
		return err
	})
	if err != nil || len(texts) > 0 {
		return texts, err
	}
	return n.Further.LookupTXT(ctx, name)
}

func textsOf(set *route53.RecordSet) (texts []string, err error) {
	for _, value := range set.Values {
		text, err := route53.Text(value)
		if err != nil {
			return nil, err
		}
		texts = append(texts, text)
	}
	return texts, nil
}

// lookUp finds the first record set of a type that a name has in the public zones, or the name to which it leads on.
// Both are empty where there is neither.
func lookUp(tx *store.Tx, name route53.Name, typ string) (set *route53.RecordSet, next route53.Name, err error) {
	zone, err := publicZone(tx, name)
	if zone == nil {
		return nil, "", err
	}
	at := name
	for exists := false; at != ""; at = at.Parent() { // to the closest encloser (RFC 4592 §3.3.1)
		if exists, err = hasName(tx, zone, at); err != nil {
			return nil, "", err
		}
		if exists {
			break
		}
	}
	if at != name {
		at = at.Wildcard()
	}
	for _, typ := range []string{typ, "CNAME"} {
		entries, _, err := recordSets.List(tx, zone.ID+"/"+route53.PlacesOf(at)+typ+",", "", 1)
		switch {
		case err != nil:
			return nil, "", err
		case len(entries) == 0:
			continue
		}
		found := &entries[0].Value
		switch {
		case found.Alias != nil:
			return nil, found.Alias.Name, nil
		case typ == "CNAME":
			next, err := route53.ParseName(found.Values[0])
			return nil, next, err
		}
		return found, "", nil
	}
	return nil, "", nil
}

// hasName reports whether a name exists in a zone: it has record sets, or one below it has.
func hasName(tx *store.Tx, zone *route53.HostedZone, name route53.Name) (bool, error) {
	entries, _, err := recordSets.List(tx, zone.ID+"/"+name.Reversed(), "", 1)
	return len(entries) > 0, err
}

// publicZone is the public zone of the management account that a name is in: of those with the longest name the oldest;
// nil if there is none.
func publicZone(tx *store.Tx, name route53.Name) (*route53.HostedZone, error) {
	for ; name != ""; name = name.Parent() {
		keys, _, err := byName.List(tx, string(name)+"/", "", 0)
		if err != nil {
			return nil, err
		}
		var all []*route53.HostedZone
		for _, key := range keys {
			zone, err := zones.Objects.Get(tx, key.Value)
			if err != nil {
				return nil, err
			}
			if zone.Account == organizations.ManagementAccount {
				all = append(all, &zone)
			}
		}
		if len(all) > 0 {
			return slices.MinFunc(all, func(a, b *route53.HostedZone) int {
				return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
			}), nil
		}
	}
	return nil, nil
}
