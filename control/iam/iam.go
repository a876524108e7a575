// Package iam keeps identities: users, groups and roles with their policies, and the access keys of users.
//
// Package api has already enforced the check tags of the requests before an operation here is called. A caller sees and
// changes what its own account owns, and sees the policies that are built in, as far as its own policies let it. Names
// are found in any case. Each operation is one transaction of the store.
package iam

import (
	"pergola/aws"
	"pergola/control/authority"
	"pergola/control/operation"
	"pergola/lattice"
	"pergola/sealing"
	"pergola/store"
)

// ManagementAccount is the account that owns a deployment until it has an organisation of several.
const ManagementAccount = authority.ManagementAccount

//go:generate go run pergola/internal/generate operations ../../aws/iam/model.json

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

// inside is an operation that the system carries out itself for an account. It may ask for no permission.
func (c *Control) inside(tx *store.Tx, account string) *call {
	op := &call{operation.Within(tx, account), c}
	op.Call.Quotas = c.Service.Quotas
	return op
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

// exceeded refuses more of what a quota is about than there may be.
func exceeded(q lattice.Quota, limit int) error {
	return limitExceeded("Cannot exceed quota for %s: %d", q.Name, limit)
}

// limit is how much of a quota there may be.
func (op *call) limit(q lattice.Quota) int { return op.Quotas.LimitOf(q.Code, q.Default) }

// room refuses one more of what a quota is about where there are some already.
func (op *call) room(q lattice.Quota, have int) error {
	if limit := op.limit(q); have >= limit {
		return exceeded(q, limit)
	}
	return nil
}

func withStatus(status int, err *aws.Error) error {
	err.Status = status
	return err
}
