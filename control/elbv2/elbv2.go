// Package elbv2 keeps internal Application Load Balancers with their listeners and target groups: a small Elastic Load
// Balancing, as large as VPC Lattice's targets of type ALB need. The nodes make what it lists.
//
// Package api has already enforced the check tags of the requests before an operation here is called. A caller sees and
// changes what its own account owns, as far as its policies let it.
//
// A load balancer is provisioning until every live node serves it; a settling.Settler with Rows, which runs beside the
// operations, moves it on. Deleting takes effect at once: the next snapshot is without it.
package elbv2

import (
	"context"
	"crypto/rand"
	"io"
	"regexp"
	"strings"
	"time"

	"pergola/aws"
	"pergola/aws/elbv2"
	"pergola/aws/iam"
	"pergola/control/authority"
	"pergola/control/ownership"
	"pergola/lattice"
	"pergola/store"
)

// Config is what the package needs from outside. Store and Region are required.
type Config struct {
	Store *store.Store
	// Region is part of ARNs and of the names of load balancers.
	Region string
	// Now tells the time; nil means time.Now.
	Now func() time.Time
	// Random is the source of ids, and must be safe for concurrent use; nil means crypto/rand.
	Random io.Reader
	// Quotas replaces the defaults of quotas by their codes, such as "L-53DA6B97".
	Quotas map[string]int
}

// Control carries out operations. Its methods may be called from any goroutine, and several processes may have one each
// on the same store.
type Control struct {
	store  *store.Store
	region string
	now    func() time.Time
	random io.Reader

	authority *authority.Authority
	completed ownership.Completion
	quotas    aws.Quotas
}

// New makes the service.
func New(cfg Config) *Control {
	c := &Control{quotas: cfg.Quotas, store: cfg.Store, region: cfg.Region, now: cfg.Now, random: cfg.Random}
	if c.now == nil {
		c.now = time.Now
	}
	if c.random == nil {
		c.random = rand.Reader
	}
	c.authority = authority.New(authority.Config{Service: elbv2.Service, Region: c.region, Now: c.now})
	return c
}

// prepare brings a store up to date that is older than the index of what accounts own.
func (c *Control) prepare(ctx context.Context) error {
	return c.completed.Ensure(ctx, c.store, ownedBalancers.Complete(nil), ownedGroups.Complete(nil))
}

// call is one operation under way: for whom, in which transaction, and what it asks about the caller.
type call struct {
	*Control
	*store.Tx
	*authority.Inquiry
	account string
	// balancers are the load balancers of the account, once they were read.
	balancers []*elbv2.LoadBalancer
}

func (c *Control) call(tx *store.Tx, caller iam.Caller, action string) *call {
	return &call{c, tx, c.authority.Ask(tx, caller, action), caller.Account, nil}
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
	return authority.Explained(err, aws.Error{Code: "AccessDenied", Status: 403}, aws.Error{Code: "ServiceUnavailable", Status: 503})
}

// The codes of errors that several operations have (API reference, the errors of each operation).
const (
	codeValidation    = "ValidationError"
	codeConfiguration = "InvalidConfigurationRequest"
	codeNotPermitted  = "OperationNotPermitted"
	codeNoCertificate = "CertificateNotFound"
)

// idDigits is the number of hexadecimal digits in an id.
const idDigits = 16

func (c *Control) newID() string { return lattice.NewSuffix(c.random)[:idDigits] }

// arn names a resource such as "targetgroup/NAME/ID".
func (op *call) arn(resource string) string {
	return lattice.ARN{Service: elbv2.Service, Region: op.region, Account: op.account, Resource: resource}.String()
}

// parts takes the ARN of a resource apart: what follows its type. It reports false for an ARN of another type, or with
// another number of parts.
func parts(arn, kind string, number int) ([]string, bool) {
	parsed, err := lattice.ParseARN(arn)
	if err != nil || parsed.Service != elbv2.Service {
		return nil, false
	}
	below, ok := strings.CutPrefix(parsed.Resource, kind+"/")
	of := strings.Split(below, "/")
	return of, ok && len(of) == number
}

// namePattern is what the names of load balancers and target groups look like (API reference, CreateLoadBalancer).
var namePattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?$`)

func checkName(what, name string) error {
	switch {
	case !namePattern.MatchString(name):
		return aws.Errorf(codeValidation, "The %s name '%s' must have 1 to 32 letters, digits and hyphens, with no hyphen at either end", what, name)
	case what == "load balancer" && strings.HasPrefix(name, "internal-"):
		return aws.Errorf(codeValidation, "The load balancer name '%s' cannot begin with 'internal-'", name)
	}
	return nil
}

// page is one page of a listing that is ordered by id, and the marker of the next.
func page[T any](all []T, id func(T) string, p elbv2.Page) (listed []T, next string) {
	for _, item := range all {
		switch {
		case id(item) <= p.Marker:
		case p.PageSize > 0 && len(listed) == int(p.PageSize):
			return listed, id(listed[len(listed)-1])
		default:
			listed = append(listed, item)
		}
	}
	return listed, ""
}
