// Package control is what each operation of the VPC Lattice API means. An operation validates what the published
// constraints cannot say, and then authorises and does all of its reading and writing in one store transaction, so that
// all that it checked (the caller may, a name is free, a quota has room, a target group exists) is true of what it
// wrote.
//
// Package api has already enforced the check tags of the requests before a method here is called. An error that is no
// *lattice.Error is a failure of ours or of the store.
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
	"errors"
	"net"
	"time"

	"pergola/control/authority"
	"pergola/control/operation"
	"pergola/control/ownership"
	"pergola/lattice"
	"pergola/store"
)

//go:generate go run pergola/internal/generate operations ../lattice/model.json

// Config is what the control plane needs.
type Config struct {
	operation.Config
	// ForeignFunctions says that the data plane also reaches Lambda functions that this deployment does not have, so that
	// they can be targets.
	ForeignFunctions bool
	// Names knows the TXT records that prove domains; nil is the resolvers of the host.
	Names Names
}

// Control carries out operations. Its methods may be called from any goroutine, and several processes may have one
// each on the same store.
type Control struct {
	*operation.Service[*call]
	foreignFunctions bool
	names            Names
}

// New makes a control plane. Its statuses move only while they are settled, here or in another process.
func New(cfg Config) *Control {
	c := &Control{foreignFunctions: cfg.ForeignFunctions, names: cfg.Names}
	if c.names == nil {
		c.names = net.DefaultResolver
	}
	c.Service = operation.New(cfg.Config, operation.Description[*call]{
		Name:    "vpc-lattice",
		Begin:   func(of *operation.Call) (*call, error) { return &call{of, c}, nil },
		Explain: explain,
		Complete: []ownership.Step{serviceNetworks.Complete(nil), services.Complete(nil),
			targetGroups.Complete(nil), serviceAssociations.Complete(nil), vpcAssociations.Complete(nil),
			completeAddresses, resourceGateways.Complete(nil), resourceConfigurations.Complete(nil),
			resourceAssociations.Complete(nil), domainVerifications.Complete(nil)},
	})
	return c
}

// call is one operation under way.
type call struct {
	*operation.Call
	*Control
}

// time is the present as the API writes it, in whole milliseconds.
func (c *Control) time() lattice.Time {
	return lattice.Time{Time: c.Now().UTC().Truncate(time.Millisecond)}
}

// limit is how much of a quota an account may use.
func (c *Control) limit(q lattice.Quota) int {
	if limit, ok := c.Quotas[q.Code]; ok {
		return limit
	}
	return q.Default
}

// home is where a resource of an account lives.
func (c *Control) home(account string) lattice.Home {
	return lattice.Home{Region: c.Region, Account: account}
}

// explain puts refusals into the words of the API.
func explain(err error) error {
	var denied *authority.Denied
	switch {
	case errors.As(err, &denied):
		return &lattice.Error{Kind: lattice.AccessDenied, Message: denied.Message}
	case errors.Is(err, store.ErrTooManyOps), errors.Is(err, store.ErrTooLarge):
		return &lattice.Error{Kind: lattice.Validation, Message: authority.TooMuch, Reason: lattice.ReasonOther}
	}
	return err
}
