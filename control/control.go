// Package control is what each operation of the VPC Lattice API means. An operation validates what the published
// constraints cannot say, and then authorises and does all of its reading and writing in one store transaction, so that
// whatever it checked (the caller may, a name is free, a quota has room, a target group exists) is true of what it wrote.
//
// Package api has already enforced the check tags of the requests before a method here is called. Every error that
// leaves this package is a *lattice.Error.
//
// # Statuses
//
// Operations leave what they change in progress. A settling.Settler with Rows, which runs beside them, moves it on when
// every node has applied the change: a resource that says ACTIVE is served, and one that is gone is forgotten.
//
// # Choices where the documentation is silent
//
//   - A repeated DeleteService or DeleteTargetGroup answers like the first. A repeated deletion of an association is
//     a conflict, as is any change to an association in progress.
//   - The healthCheck of UpdateTargetGroup replaces the former one whole; what it leaves out gets its default.
//   - ListRules is in order of priority with the default rule last; all other listings are in order of id.
//   - The hosted zone id of generated names depends on the region only.
//   - Nothing settles while no node is alive, deletions included: a node that cannot be reached may still serve.
package control

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"maps"
	"time"

	"pergola/aws/iam"
	"pergola/control/authority"
	"pergola/control/ownership"
	"pergola/lattice"
	"pergola/store"
)

// Config is what the control plane needs. Store and Region are required.
type Config struct {
	Store *store.Store
	// Region is part of ARNs and of generated domain names.
	Region string
	// ForeignFunctions says that the data plane also reaches Lambda functions that this deployment does not have, so that
	// they can be targets.
	ForeignFunctions bool
	// Now tells the time; nil means time.Now.
	Now func() time.Time
	// Random is the source of ids, and must be safe for concurrent use; nil means crypto/rand.
	Random io.Reader
	// Quotas replaces the defaults of quotas by their codes, such as "L-620C821E".
	Quotas map[string]int
	// Logger hears of failures that callers see as InternalServerException; nil is silent.
	Logger *slog.Logger
}

// Control carries out operations. Its methods may be called from any goroutine, and several processes may have one
// each on the same store.
type Control struct {
	store  *store.Store
	region string
	now    func() time.Time
	random io.Reader
	quotas map[string]int
	log    *slog.Logger

	foreignFunctions bool

	authority *authority.Authority
	completed ownership.Completion
}

// New makes a control plane. Its statuses move only while they are settled, here or in another process.
func New(cfg Config) *Control {
	c := &Control{
		store: cfg.Store, region: cfg.Region, now: cfg.Now, random: cfg.Random, quotas: cfg.Quotas, log: cfg.Logger,
		foreignFunctions: cfg.ForeignFunctions,
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.random == nil {
		c.random = rand.Reader
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.authority = authority.New(authority.Config{Service: "vpc-lattice", Region: c.region, Now: c.now})
	return c
}

// time is the present as the API writes it, in whole milliseconds.
func (c *Control) time() lattice.Time {
	return lattice.Time{Time: c.now().UTC().Truncate(time.Millisecond)}
}

// limit is how much of a quota an account may use.
func (c *Control) limit(q lattice.Quota) int {
	if limit, ok := c.quotas[q.Code]; ok {
		return limit
	}
	return q.Default
}

// place is where a resource of an account lives.
func (c *Control) place(account string) lattice.Place {
	return lattice.Place{Region: c.region, Account: account}
}

// call is one operation under way: who asks for what, and in which transaction.
type call struct {
	*Control
	ctx    context.Context
	caller iam.Caller
	action string         // the IAM action, such as "CreateService"
	keys   authority.Keys // the condition keys of the request

	// These belong to the present attempt.
	tx *store.Tx
	*authority.Inquiry
}

func (c *Control) call(ctx context.Context, caller iam.Caller, action string) *call {
	return &call{Control: c, ctx: ctx, caller: caller, action: action, keys: authority.Keys{}}
}

// inquire begins to ask for permission, in the present attempt.
func (op *call) inquire(tx *store.Tx) {
	op.tx, op.Inquiry = tx, op.authority.Ask(tx, op.caller, op.action)
	maps.Copy(op.Keys, op.keys)
}

// prepare brings a store up to date that is older than the index of what accounts own.
func (op *call) prepare() error {
	return op.completed.Ensure(op.ctx, op.store, serviceNetworks.owned.Complete(nil), services.owned.Complete(nil),
		targetGroups.owned.Complete(nil), serviceAssociations.owned.Complete(nil), vpcAssociations.owned.Complete(nil))
}

// update carries out an operation that writes. f may run more than once, and only its last run counts.
func update[R any](op *call, f func() (*R, error)) (*R, error) {
	if err := op.prepare(); err != nil {
		return nil, op.explain(err)
	}
	var answer *R
	_, err := op.store.Update(op.ctx, func(tx *store.Tx) (err error) {
		op.inquire(tx)
		answer, err = f()
		return op.Conclude(err)
	})
	if err != nil {
		return nil, op.explain(err)
	}
	return answer, nil
}

// view carries out an operation that only reads.
func view[R any](op *call, f func() (*R, error)) (*R, error) {
	if err := op.prepare(); err != nil {
		return nil, op.explain(err)
	}
	var answer *R
	err := op.store.View(op.ctx, func(tx *store.Tx) (err error) {
		op.inquire(tx)
		answer, err = f()
		return op.Conclude(err)
	})
	if err != nil {
		return nil, op.explain(err)
	}
	return answer, nil
}

// explain leaves the errors of the API as they are. Any other is a failure of ours, which is logged here and which
// the caller need not understand.
func (op *call) explain(err error) error {
	var known *lattice.Error
	var denied *authority.Denied
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &denied):
		return &lattice.Error{Kind: lattice.AccessDenied, Message: denied.Message}
	case store.IsOutage(err):
		return err
	case errors.Is(err, store.ErrTooManyOps), errors.Is(err, store.ErrTooLarge):
		return &lattice.Error{Kind: lattice.Validation, Message: authority.TooMuch, Reason: lattice.ReasonOther}
	}
	if op.ctx.Err() == nil {
		op.log.Error("an operation failed", "action", "vpc-lattice:"+op.action, "error", err)
	}
	return &lattice.Error{
		Kind: lattice.Internal, Message: "The request could not be completed; try again", RetryAfterSeconds: 1,
	}
}
