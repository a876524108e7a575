// Package iam keeps identities: users, groups and roles with their policies, and the access keys of users.
//
// Package api has already enforced the check tags of the requests before an operation here is called. A caller sees and
// changes what its own account owns, and sees the policies that are built in, as far as its own policies let it. Names are found whatever their case. Each
// operation is one transaction of the store.
package iam

import (
	"context"
	"crypto/rand"
	"io"
	"time"

	"pergola/aws"
	"pergola/aws/iam"
	"pergola/control/authority"
	"pergola/lattice"
	"pergola/sealing"
	"pergola/store"
)

// ManagementAccount is the account that owns a deployment until it has an organisation of several.
const ManagementAccount = authority.ManagementAccount

// Config is what the package needs from outside. Store and Box are required.
type Config struct {
	Store *store.Store
	// Box seals the secrets of access keys.
	Box *sealing.Box
	// Now tells the time; nil means time.Now.
	Now func() time.Time
	// Random is the source of ids and secrets, and must be safe for concurrent use; nil means crypto/rand.
	Random io.Reader
	// Quotas replaces the defaults of quotas by their codes, such as "L-FE177D64".
	Quotas map[string]int
	// AllowLocalIssuers lets OpenID Connect issuers be registered that are on this host or in private networks, by which
	// callers can have these looked around in. By default only those can whose keys are given.
	AllowLocalIssuers bool
}

// Control carries out operations. Its methods may be called from any goroutine, and several processes may have one each
// on the same store.
type Control struct {
	store  *store.Store
	box    *sealing.Box
	now    func() time.Time
	random io.Reader
	quotas map[string]int

	allowLocalIssuers bool

	authority *authority.Authority
}

// New makes the service.
func New(cfg Config) *Control {
	c := &Control{store: cfg.Store, box: cfg.Box, now: cfg.Now, random: cfg.Random, quotas: cfg.Quotas,
		allowLocalIssuers: cfg.AllowLocalIssuers}
	if c.now == nil {
		c.now = time.Now
	}
	if c.random == nil {
		c.random = rand.Reader
	}
	c.authority = authority.New(authority.Config{Service: "iam", Region: authority.GlobalRegion, Now: c.now})
	return c
}

// call is one operation under way: for whom, in which transaction, and what it asks about the caller.
type call struct {
	*Control
	*store.Tx
	*authority.Inquiry
	account string
	caller  iam.Caller
}

func (c *Control) call(tx *store.Tx, caller iam.Caller, action string) *call {
	return &call{c, tx, c.authority.Ask(tx, caller, action), caller.Account, caller}
}

// update carries out an operation that writes. f may run more than once, and only its last run counts.
func update[R any](ctx context.Context, c *Control, caller iam.Caller, action string, f func(*call) (*R, error)) (*R, error) {
	answer, err := authority.Update(ctx, c.store, func(tx *store.Tx) *call { return c.call(tx, caller, action) }, f)
	return answer, explained(err)
}

// change is an update that has nothing to tell.
func change(ctx context.Context, c *Control, caller iam.Caller, action string, f func(*call) error) (*iam.Empty, error) {
	return update(ctx, c, caller, action, func(op *call) (*iam.Empty, error) { return &iam.Empty{}, f(op) })
}

// view carries out an operation that only reads.
func view[R any](ctx context.Context, c *Control, caller iam.Caller, action string, f func(*call) (*R, error)) (*R, error) {
	answer, err := authority.View(ctx, c.store, func(tx *store.Tx) *call { return c.call(tx, caller, action) }, f)
	return answer, explained(err)
}

// explained puts refusals, and outages of the store, into the words of the service.
func explained(err error) error {
	return authority.Explained(err, aws.Error{Code: "AccessDenied", Status: 403}, aws.Error{Code: "ServiceUnavailable", Status: 503})
}

// The errors of the API (IAM API reference, the errors of each operation).

func noSuchEntity(format string, args ...any) error {
	return withStatus(404, aws.Errorf("NoSuchEntity", format, args...))
}

func alreadyExists(format string, args ...any) error {
	return withStatus(409, aws.Errorf("EntityAlreadyExists", format, args...))
}

func deleteConflict(format string, args ...any) error {
	return withStatus(409, aws.Errorf("DeleteConflict", format, args...))
}

func limitExceeded(format string, args ...any) error {
	return withStatus(409, aws.Errorf("LimitExceeded", format, args...))
}

// limit is how much of a quota there may be.
func (c *Control) limit(q lattice.Quota) int {
	if limit, ok := c.quotas[q.Code]; ok && q.Code != "" {
		return limit
	}
	return q.Default
}

// room refuses one more of what a quota is about where there are some already.
func (c *Control) room(q lattice.Quota, have int) error {
	if limit := c.limit(q); have >= limit {
		return limitExceeded("Cannot exceed quota for %s: %d", q.Name, limit)
	}
	return nil
}

func withStatus(status int, err *aws.Error) error {
	err.Status = status
	return err
}

// newEntity makes what a new entity has in common with all others.
func (op *call) newEntity(prefix, name, path string, tags []iam.Tag) (iam.Entity, error) {
	if path == "" {
		path = "/"
	}
	e := iam.Entity{
		Account: op.account, Name: name, Path: path, UniqueID: iam.NewUniqueID(prefix, op.random),
		Created: lattice.Time{Time: op.now()},
	}
	return e, addTags(&e, tags)
}
