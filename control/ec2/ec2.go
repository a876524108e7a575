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
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"time"

	"pergola/aws"
	"pergola/aws/ec2"
	"pergola/aws/iam"
	"pergola/control/authority"
	"pergola/control/ownership"
	"pergola/lattice"
	"pergola/store"
)

// Config is what the package needs from outside. Store and Region are required.
type Config struct {
	Store *store.Store
	// Region is part of ARNs and of the names of availability zones.
	Region string
	// Now tells the time; nil means time.Now.
	Now func() time.Time
	// Random is the source of ids, and must be safe for concurrent use; nil means crypto/rand.
	Random io.Reader
	// Logger hears of statuses that could not be settled; nil is silent.
	Logger *slog.Logger
	// Quotas replaces the defaults of quotas by their codes, such as "L-F678F1CE".
	Quotas map[string]int
}

// Control carries out operations. Its methods may be called from any goroutine, and several processes may have one each
// on the same store.
type Control struct {
	store  *store.Store
	region string
	now    func() time.Time
	random io.Reader
	log    *slog.Logger

	authority *authority.Authority
	completed ownership.Completion
	quotas    aws.Quotas
}

// New makes the service. States of instances move only while they are settled, here or in another process.
func New(cfg Config) *Control {
	c := &Control{quotas: cfg.Quotas, store: cfg.Store, region: cfg.Region, now: cfg.Now, random: cfg.Random,
		log: cfg.Logger}
	if c.now == nil {
		c.now = time.Now
	}
	if c.random == nil {
		c.random = rand.Reader
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.authority = authority.New(authority.Config{Service: "ec2", Region: c.region, Now: c.now})
	return c
}

// prepare brings a store up to date that is older than some index.
func (c *Control) prepare(ctx context.Context) error {
	return c.completed.Ensure(ctx, c.store,
		vpcs.owned.Complete(nil), subnets.owned.Complete(nil), groups.owned.Complete(nil), instances.owned.Complete(nil),
		c.completeLattice)
}

// call is one operation under way: for whom, in which transaction, and what it asks about the caller.
type call struct {
	*Control
	*store.Tx
	*authority.Inquiry
	account string
}

func (c *Control) call(tx *store.Tx, caller iam.Caller, action string) *call {
	return &call{c, tx, c.authority.Ask(tx, caller, action), caller.Account}
}

// update carries out an operation that writes. f may run more than once, and only its last run counts.
func update[R any](ctx context.Context, c *Control, caller iam.Caller, action string, f func(*call) (*R, error)) (*R, error) {
	if err := c.prepare(ctx); err != nil {
		return nil, explained(err)
	}
	answer, err := authority.Update(ctx, c.store, func(tx *store.Tx) *call { return c.call(tx, caller, action) }, f)
	return answer, explained(err)
}

// view carries out an operation that only reads.
func view[R any](ctx context.Context, c *Control, caller iam.Caller, action string, f func(*call) (*R, error)) (*R, error) {
	if err := c.prepare(ctx); err != nil {
		return nil, explained(err)
	}
	answer, err := authority.View(ctx, c.store, func(tx *store.Tx) *call { return c.call(tx, caller, action) }, f)
	return answer, explained(err)
}

// explained puts refusals, and outages of the store, into the words of the service.
func explained(err error) error {
	const refused = "You are not authorized to perform this operation. "
	return authority.Explained(err, aws.Error{Code: "UnauthorizedOperation", Message: refused, Status: 403}, aws.Error{Code: "Unavailable", Status: 503})
}

// roomFor refuses more of something than a quota has room for. count tells how many the caller's account has.
func (op *call) roomFor(q aws.Quota, count func(tx *store.Tx, account string) (int, error), more int) error {
	have, err := count(op.Tx, op.account)
	if err != nil {
		return err
	}
	return op.quotas.Room(q, have+more)
}

// done is the answer of operations that have nothing to tell.
func done() *ec2.Done { return &ec2.Done{Return: true} }

// newID makes an id: a prefix and 17 hexadecimal digits.
func (c *Control) newID(prefix string) string { return prefix + lattice.NewSuffix(c.random) }

// arn names a resource such as "subnet/subnet-…".
func (op *call) arn(resource string) string {
	return lattice.ARN{Service: "ec2", Region: op.region, Account: op.account, Resource: resource}.String()
}

// references say what refers to what: "<referenced id>/<referrer id>". Other services write there too, in whose words
// something of EC2 is used.
var references = store.NewIndex(ec2.ReferenceIndex)

// refer records that each of some resources is referred to.
func (op *call) refer(referrer string, to ...string) error {
	for _, id := range to {
		if err := references.Put(op.Tx, id+"/"+referrer, ""); err != nil {
			return err
		}
	}
	return nil
}

func (op *call) forget(referrer string, to ...string) {
	for _, id := range to {
		references.Delete(op.Tx, id+"/"+referrer)
	}
}

// unreferenced refuses to delete what something refers to.
func (op *call) unreferenced(what, id string) error {
	entries, _, err := references.List(op.Tx, id+"/", "", 1)
	if err != nil {
		return err
	}
	if len(entries) == 0 {
		return nil
	}
	referrer := lattice.IDOf(entries[0].ID)
	return aws.Errorf("DependencyViolation", "The %s '%s' has dependencies and cannot be deleted: %s refers to it", what, id, referrer)
}
