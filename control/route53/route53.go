// Package route53 keeps hosted zones with their record sets, and the changes of them. Package snapshot compiles them
// for the resolvers of the VPCs.
//
// Package api has already enforced the check tags of the requests before an operation here is called. A batch of
// changes is one transaction that reads what it relies on, and writes a Change too, at the same revision: once all
// nodes serve that, the change is in sync, and so is all that it has brought.
//
// # Choices where the documentation is silent
//
//   - A public zone answers in the VPCs of its account, and one of the management account in every VPC, without anybody
//     delegating to it. Of several with one name the oldest does.
//   - A caller reference is free again when its zone is deleted.
//   - A record set may be told by other spellings of the same records: the records that it means count.
//   - Whether a CNAME record stands beside others is judged at the end of a batch, and the order of its changes does not count.
//   - The last thousand changes of an account are remembered.
package route53

import (
	"encoding/base32"
	"io"

	"pergola/aws"
	"pergola/aws/ec2"
	"pergola/aws/route53"
	"pergola/control/authority"
	"pergola/control/operation"
	"pergola/control/resource"
	"pergola/control/settling"
	"pergola/store"
)

//go:generate go run pergola/internal/generate operations ../../aws/route53/model.json

// Control carries out operations. Its methods may be called from any goroutine, and several processes may have one each
// on the same store.
type Control struct {
	*operation.Service[*call]
}

// New makes the service. Changes become in sync only while a settling.Settler runs with Rows.
func New(cfg operation.Config) *Control {
	c := &Control{}
	c.Service = operation.New(cfg, operation.Description[*call]{
		Name:    "route53",
		Global:  true,
		Begin:   func(of *operation.Call) (*call, error) { return &call{of, c}, nil },
		Explain: explain,
	})
	return c
}

// Rows are how changes become in sync.
func Rows() []settling.Row { return []settling.Row{changes.Row(resource.Course[route53.Change]{})} }

var (
	zones = resource.New(resource.Definition[route53.HostedZone]{
		Name:   route53.KindHostedZone,
		Hidden: true,
		Head: func(z *route53.HostedZone) resource.Head {
			return resource.Head{Path: z.ID, Account: z.Account, Tags: &z.Tags}
		},
		Missing: func(ref resource.Ref) error {
			return withStatus(404, aws.Errorf("NoSuchHostedZone", "No hosted zone found with ID: %s", ref.Named))
		},
		Holds: holdsOf,
	})
	changes = resource.New(resource.Definition[route53.Change]{
		Name:      route53.KindChange,
		Hidden:    true,
		ByAccount: true,
		Head: func(c *route53.Change) resource.Head {
			return resource.Head{Path: c.Account + "/" + c.ID, Account: c.Account}
		},
		Missing: func(ref resource.Ref) error {
			return withStatus(404, aws.Errorf("NoSuchChange", "Could not find resource with ID: %s", ref.Named))
		},
		Progress: func(c *route53.Change) resource.Progress {
			return resource.Progress{Status: &c.Status, Failure: &c.Failure}
		},
	})
	// recordSets are counted by zone.
	recordSets = store.NewKind[route53.RecordSet](route53.KindRecordSet).Counted()
	vpcs       = store.NewKind[ec2.VPC](ec2.KindVPC)
)

// The indexes of zones: by the account and the caller reference that they were made with; of private zones by VPC and
// name; and of public ones by name and id.
var (
	byReference = store.NewIndex("hostedzone-reference")
	byVPC       = store.NewIndex("hostedzone-vpc")
	byName      = store.NewIndex("hostedzone-public")
)

// holdsOf are the keys of a zone. A VPC has one private zone of a name at most.
func holdsOf(z *route53.HostedZone) []resource.Hold {
	holds := []resource.Hold{{Index: byReference, Key: z.Account + "/" + z.Reference, Value: z.ID,
		Taken: func(string) error {
			return withStatus(409, aws.Errorf("HostedZoneAlreadyExists",
				"A hosted zone has already been created with the specified caller reference %s", z.Reference))
		}}}
	if !z.Private {
		return append(holds, resource.Hold{Index: byName, Key: string(z.Name) + "/" + z.ID, Value: z.ID})
	}
	for _, vpc := range z.VPCs {
		holds = append(holds, resource.Hold{Index: byVPC, Key: vpc + "/" + string(z.Name), Value: z.ID,
			Taken: func(holder string) error {
				return aws.Errorf("ConflictingDomainExists",
					"The VPC %s has already been associated with the hosted zone %s with the same domain name.", vpc, holder)
			}})
	}
	return holds
}

// call is one operation under way.
type call struct {
	*operation.Call
	*Control
}

// explain puts refusals, and outages of the store, into the words of the service.
func explain(err error) error {
	return authority.Explained(err, aws.Error{Code: "AccessDenied", Status: 403},
		aws.Error{Code: "ServiceUnavailable", Status: 503})
}

func withStatus(status int, err *aws.Error) error {
	err.Status = status
	return err
}

// invalidInput refuses a request for a member of it.
func invalidInput(format string, args ...any) error {
	return aws.Errorf("InvalidInput", format, args...)
}

// find reads the zone that an operation is about, if the caller may perform it on that.
func (op *call) find(named string) (*route53.HostedZone, error) {
	id := route53.ID(named, route53.ZonePrefix)
	return zones.Find(op.Call, resource.Ref{Path: id, ARN: zoneARN(id), Named: id})
}

func zoneARN(id string) string { return route53.ARN("hostedzone/" + id) }

// newID makes an id: a letter, then the time if it is given, so that ids are in its order, then what is random.
func newID(letter string, time []byte, random io.Reader) string {
	octets := append(time, make([]byte, 15-len(time))...)
	if _, err := io.ReadFull(random, octets[len(time):]); err != nil {
		panic("route53: no randomness: " + err.Error())
	}
	return letter + base32.HexEncoding.EncodeToString(octets)
}
