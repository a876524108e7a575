package route53

import (
	"slices"
	"strings"
	"time"

	"pergola/aws"
	"pergola/lattice"
)

// The kinds under which the store keeps these nouns.
const (
	// KindHostedZone is kept by id.
	KindHostedZone = "hostedzone"
	// KindRecordSet is kept by RecordSet.Path.
	KindRecordSet = "recordset"
	// KindChange is kept by account and id. Its status is apart from it.
	KindChange = "recordchange"
)

// HostedZone is the names at and below one name.
type HostedZone struct {
	ID      string `json:"id"`
	Account string `json:"account"`
	Name    Name   `json:"name"`
	// Reference is the caller reference that the zone was made with.
	Reference string `json:"reference"`
	Comment   string `json:"comment,omitempty"`
	// Private zones answer in their VPCs alone, public ones in those of the account; see snapshot.PublicZone.
	Private bool `json:"private,omitempty"`
	// VPCs are the ids of the VPCs that a private zone is associated with, in the order in which that was done. Authorized
	// are those of other accounts with which it may be.
	VPCs       []string          `json:"vpcs,omitempty"`
	Authorized []string          `json:"authorized,omitempty"`
	Tags       map[string]string `json:"tags,omitempty"`
	Created    time.Time         `json:"created"`
}

// RecordSet is the records of one type that a name has, or one of several alternatives for that.
type RecordSet struct {
	// Zone is the id of the hosted zone.
	Zone string `json:"zone"`
	Name Name   `json:"name"`
	Type string `json:"type"`
	// Identifier tells alternatives apart, and Weight is the share of this one; "" and nil where there are none.
	Identifier string `json:"identifier,omitempty"`
	Weight     *int64 `json:"weight,omitempty"`
	// TTL and Values are those of the records, as the caller wrote them; none where there is an Alias.
	TTL    int64    `json:"ttl,omitempty"`
	Values []string `json:"values,omitempty"`
	Alias  *Alias   `json:"alias,omitempty"`
}

// Alias has a record set answer with the records of another name.
type Alias struct {
	// Zone is the id of the zone of the name: that of the record set, of the names of services, or of load balancers.
	Zone string `json:"zone"`
	Name Name   `json:"name"`
	// EvaluateHealth is kept and changes nothing.
	EvaluateHealth bool `json:"evaluateHealth,omitempty"`
}

// Path is where the store keeps the record set: those of a zone are in the order of the labels of their names, from the
// last, then of their types, then of their identifiers.
func (r *RecordSet) Path() string { return r.Zone + "/" + r.Place() }

// Place is the path within the zone. A comma comes before every character of a name.
func (r *RecordSet) Place() string { return Place(r.Name, r.Type, r.Identifier) }

// Place is the place of a record set within its zone. It has no slash.
func Place(name Name, typ, identifier string) string {
	return PlacesOf(name) + typ + "," + slashless.Replace(identifier)
}

var slashless = strings.NewReplacer("%", "%25", "/", "%2F")

// PlacesOf begins the places of all record sets of a name.
func PlacesOf(name Name) string { return name.Reversed() + "," }

// Change is a change of a hosted zone, which is in sync once every node serves it.
type Change struct {
	ID        string    `json:"id"`
	Account   string    `json:"account"`
	Comment   string    `json:"comment,omitempty"`
	Submitted time.Time `json:"submitted"`
	// Status and Failure are what package resource keeps apart.
	Status  lattice.Status  `json:"status,omitempty"`
	Failure lattice.Failure `json:"failure,omitzero"`
}

// The prefixes of ids as answers have them. Requests may leave them out.
const (
	ZonePrefix   = "/hostedzone/"
	ChangePrefix = "/change/"
)

// ID is the id in what a request names something by, with or without its prefix.
func ID(named, prefix string) string { return strings.TrimPrefix(named, prefix) }

// ARN names a zone or a change: it is hostedzone/ and its id, or change/ and its id. It has neither region nor account.
func ARN(resource string) string { return "arn:aws:route53:::" + resource }

// The statuses of changes.
const (
	Pending = "PENDING"
	InSync  = "INSYNC"
)

// The quotas of Route 53 (developer guide, "Quotas").
var (
	QuotaZones   = aws.Quota{Code: "L-4EA4796A", Name: "Hosted zones", Default: 500, Exceeded: "TooManyHostedZones"}
	QuotaRecords = aws.Quota{Code: "L-E209CC9F", Name: "Records per hosted zone", Default: 10_000,
		Exceeded: "InvalidChangeBatch"}
	QuotaVPCs = aws.Quota{Code: "L-84B40094", Name: "Amazon VPCs per private hosted zone", Default: 300,
		Exceeded: "LimitsExceeded"}
)

// NameServers are the name servers of every hosted zone. There are none: the resolvers of the VPCs answer. Their names
// are in a domain that nobody outside can have, so that a domain that is delegated to them by mistake is nobody's.
func NameServers() []string {
	return []string{"ns-1.route53.internal", "ns-2.route53.internal", "ns-3.route53.internal", "ns-4.route53.internal"}
}

// FirstRecords are the record sets that a zone begins with: its name servers and its start of authority.
func (z *HostedZone) FirstRecords() []RecordSet {
	var servers []string
	for _, server := range NameServers() {
		servers = append(servers, server+".")
	}
	return []RecordSet{
		{Zone: z.ID, Name: z.Name, Type: "NS", TTL: 172_800, Values: servers},
		{Zone: z.ID, Name: z.Name, Type: "SOA", TTL: 900,
			Values: []string{servers[0] + " hostmaster.route53.internal. 1 7200 900 1209600 86400"}},
	}
}

// IsFirst reports whether a record set is one of the two that every zone has.
func (z *HostedZone) IsFirst(r *RecordSet) bool {
	return r.Name == z.Name && (r.Type == "NS" || r.Type == "SOA")
}

// Uses reports whether the zone is associated with a VPC.
func (z *HostedZone) Uses(vpc string) bool { return slices.Contains(z.VPCs, vpc) }
