// Package iam keeps identities: users, groups and roles with their policies, and the access keys of users.
//
// Package api has already enforced the check tags of the requests before an operation here is called. A caller sees and
// changes what its own account owns, and sees the policies that are built in, as far as its own policies let it. Names are found whatever their case. Each
// operation is one transaction of the store.
package iam

import (
	"context"

	"pergola/aws"
	"pergola/aws/iam"
	"pergola/control/authority"
	"pergola/control/operation"
	"pergola/lattice"
	"pergola/sealing"
)

// ManagementAccount is the account that owns a deployment until it has an organisation of several.
const ManagementAccount = authority.ManagementAccount

//go:generate go run pergola/internal/operations . ../../api/testdata/models/iam.json

// Config is what the package needs from outside.
type Config struct {
	operation.Config
	// Box seals the secrets of access keys. It is required.
	Box *sealing.Box
	// AllowLocalIssuers lets OpenID Connect issuers be registered that are on this host or in private networks, by which
	// callers can have these looked around in. By default only those can whose keys are given.
	AllowLocalIssuers bool
}

// Control carries out operations. Its methods may be called from any goroutine, and several processes may have one each
// on the same store.
type Control struct {
	*operation.Service[*call]
	box               *sealing.Box
	allowLocalIssuers bool
}

// New makes the service.
func New(cfg Config) *Control {
	c := &Control{box: cfg.Box, allowLocalIssuers: cfg.AllowLocalIssuers}
	c.Service = operation.New(cfg.Config, operation.Description[*call]{
		Name:    "iam",
		Global:  true,
		Begin:   func(of *operation.Call) (*call, error) { return &call{of, c}, nil },
		Explain: explain,
	})
	return c
}

// call is one operation under way.
type call struct {
	*operation.Call
	*Control
}

// do carries out an operation that several kinds of entities have.
func do[R any](ctx context.Context, c *Control, r operation.Request, f func(*call) (*R, error)) (*R, error) {
	return operation.Do(ctx, c.Service, r, func(op *call, _ *iam.Empty) (*R, error) { return f(op) }, &iam.Empty{})
}

// explain puts refusals, and outages of the store, into the words of the service.
func explain(err error) error {
	return authority.Explained(err, aws.Error{Code: "AccessDenied", Status: 403},
		aws.Error{Code: "ServiceUnavailable", Status: 503})
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
	if limit, ok := c.Quotas[q.Code]; ok && q.Code != "" {
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
		Account: op.Account, Name: name, Path: path, UniqueID: iam.NewUniqueID(prefix, op.Random),
		Created: lattice.Time{Time: op.Now()},
	}
	return e, addTags(&e, tags)
}
