// Package ec2 keeps the networks that service networks join: VPCs, subnets, security groups and instances. It is an
// inventory, as large as VPC Lattice and the tools around it need; the nodes make what it lists.
//
// Package api has already enforced the check tags of the requests before an operation here is called. A caller sees
// and changes what its own account owns, as far as its policies let it: what others own does not exist for it.
// Describing needs permission on all resources; any other operation on each of those that it names or makes.
//
// # Statuses
//
// An instance is pending until every live node has applied the revision at which it was launched, and shutting-down
// until every live node has forgotten it. A settling.Settler with Rows, which runs beside the operations, moves it on.
// A terminated instance is described for a minute more, because clients wait to see it.
package ec2

import (
	"cmp"

	"pergola/aws"
	"pergola/aws/ec2"
	"pergola/control/authority"
	"pergola/control/operation"
	"pergola/control/ownership"
	"pergola/lattice"
	"pergola/store"
)

//go:generate go run pergola/internal/generate operations ../../aws/ec2/model.json

// Control carries out operations. Its methods may be called from any goroutine, and several processes may have one each
// on the same store.
type Control struct{ *operation.Service[*call] }

// New makes the service. States of instances move only while they are settled, here or in another process.
func New(cfg operation.Config) *Control {
	c := &Control{}
	c.Service = operation.New(cfg, operation.Description[*call]{
		Name:    "ec2",
		Begin:   func(of *operation.Call) (*call, error) { return &call{of, c}, nil },
		Explain: explain,
		Complete: []ownership.Step{vpcs.Complete(nil), subnets.Complete(nil), groups.Complete(nil), instances.Complete(nil),
			acls.Complete(nil), prefixLists.Complete(nil), completeLattice, completeReservations, completeACLs},
	})
	return c
}

// call is one operation under way.
type call struct {
	*operation.Call
	*Control
}

// explain puts refusals, and outages of the store, into the words of the service.
func explain(err error) error {
	const refused = "You are not authorized to perform this operation. "
	return authority.Explained(err, aws.Error{Code: "UnauthorizedOperation", Message: refused, Status: 403},
		aws.Error{Code: "Unavailable", Status: 503})
}

// roomFor refuses more of something than a quota has room for. count tells how many the caller's account has.
func (op *call) roomFor(q aws.Quota, count func(tx *store.Tx, account string) (int, error), more int) error {
	have, err := count(op.Tx, op.Account)
	return cmp.Or(err, op.Quotas.Room(q, have+more))
}

// done is the answer of operations that have nothing to tell.
func done() *ec2.Done { return &ec2.Done{Return: true} }

// newID makes an id: a prefix and 17 hexadecimal digits.
func (c *Control) newID(prefix string) string { return prefix + lattice.NewSuffix(c.Random) }

// arn names a resource such as "subnet/subnet-…".
func (op *call) arn(resource string) string {
	return lattice.ARN{Service: "ec2", Region: op.Region, Account: op.Account, Resource: resource}.String()
}
