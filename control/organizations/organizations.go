// Package organizations keeps the organisation of a deployment: its accounts, the tree of units that they are in, and
// the service control policies that bound them. What the policies mean for an account is for package
// aws/organizations to say, from the objects that this one writes.
//
// Package api has already enforced the check tags of the requests before an operation here is called. Every change is
// one transaction that reads what it relies on, so of two racing calls only one can win.
//
// # Choices where the documentation is silent
//
//   - A deployment has one organisation at most. Only the deployment's first account can make it and manage it.
//   - As in AWS, a member may describe its organisation and nothing else.
//   - Accounts count upwards from the management account, and no number is used twice. An account is there when
//     CreateAccount answers. An account whose email address is taken fails, as in AWS, in its status.
//   - CreateAccount makes no role in the account: pergola env gives the credentials of its administrator.
//   - An account that is removed stands alone: what it owns stays, and its credentials go on working. It can be
//     removed at once, and cannot come back.
//   - An account that has left counts towards the quota of accounts, as what it owns stays.
//   - Of the requests to make accounts, the last thousand are remembered.
//   - Permission is asked for the accounts, units, roots and policies that an operation names; for CreateAccount,
//     listings of everything, and what is about the organisation as a whole, on all resources.
package organizations

import (
	"cmp"
	"errors"
	"strings"

	"pergola/aws"
	"pergola/aws/organizations"
	"pergola/control/authority"
	"pergola/control/operation"
	"pergola/control/resource"
	"pergola/lattice"
	"pergola/store"
)

//go:generate go run pergola/internal/generate operations ../../aws/organizations/model.json

// Config is what the package needs from outside.
type Config struct {
	operation.Config
	// FirstAccount is the account that a deployment begins with: it manages the organisation. It is required.
	FirstAccount string
}

// Control carries out operations. Its methods may be called from any goroutine, and several processes may have one each
// on the same store.
type Control struct {
	*operation.Service[*call]
	first string
}

// New makes the service.
func New(cfg Config) *Control {
	c := &Control{first: cfg.FirstAccount}
	c.Service = operation.New(cfg.Config, operation.Description[*call]{
		Name:    "organizations",
		Global:  true,
		Begin:   c.begin,
		Explain: explain,
	})
	return c
}

// The nouns, each by its id. Those of the organisation do not know its id, and so not their ARNs.
var (
	organizationObjects = store.NewKind[organizations.Organization](organizations.KindOrganization)
	creationObjects     = store.NewKind[organizations.AccountCreation](organizations.KindAccountCreation)

	units = resource.New(resource.Definition[organizations.Unit]{
		Name: organizations.KindUnit, Global: true, Missing: absent,
		Head: func(u *organizations.Unit) resource.Head { return resource.Head{Path: u.ID, Tags: &u.Tags} },
	})
	accounts = resource.New(resource.Definition[organizations.Account]{
		Name: organizations.KindAccount, Global: true, Missing: absent,
		Head: func(a *organizations.Account) resource.Head { return resource.Head{Path: a.ID, Tags: &a.Tags} },
		Room: &resource.Room{Code: accountsQuota, Default: maxAccounts, Exceeded: func(limit int) error {
			return exceeded(limit, "ACCOUNT_NUMBER_LIMIT_EXCEEDED", "accounts (quota "+accountsQuota+")")
		}},
	})
	policies = resource.New(resource.Definition[organizations.Policy]{
		Name: organizations.KindPolicy, Global: true, Missing: absent, Tagging: "TagResource",
		Head: func(p *organizations.Policy) resource.Head { return resource.Head{Path: p.ID, Tags: &p.Tags} },
		Holds: func(p *organizations.Policy) []resource.Hold {
			return []resource.Hold{{Index: policyNames, Key: p.Name, Value: p.ID, Taken: nameTaken}}
		},
	})
)

// errAbsent is that there is no such object, for find to put into words.
var errAbsent = errors.New("absent")

func absent(resource.Ref) error { return errAbsent }

// find reads the object that an operation is about, if the caller may perform the operation on it. none is the error if
// there is none.
func find[T any](op *call, kind *resource.Kind[T], id string, none error) (*T, error) {
	object, err := kind.Find(op.Call, resource.Ref{Path: id, ARN: op.named(id)})
	if errors.Is(err, errAbsent) {
		return nil, none
	}
	return object, err
}

// allOf lists all objects of a kind.
func allOf[T any](op *call, kind store.Kind[T]) ([]T, error) {
	entries, _, err := kind.List(op.Tx, "", "", 0)
	return each(entries, func(e store.Entry[T]) T { return e.Value }), err
}

// call is one operation under way.
type call struct {
	*operation.Call
	*Control
	// organization is that of the caller, who manages it; nil for an operation that is for everybody.
	organization *organizations.Organization
}

// begin refuses what only the management account may do.
func (c *Control) begin(of *operation.Call) (*call, error) {
	op := &call{Call: of, Control: c}
	if of.Action == "CreateOrganization" || of.Action == "DescribeOrganization" {
		return op, nil
	}
	organization, err := membership(of.Tx, of.Account)
	if err != nil {
		return nil, err
	}
	if of.Account != organization.Management {
		return nil, aws.Errorf("AccessDeniedException",
			"You don't have permissions to access this resource: only account %s, which manages the organization, has",
			organization.Management)
	}
	op.organization = organization
	return op, nil
}

// explain puts refusals, and outages of the store, into the words of the service.
func explain(err error) error {
	return authority.Explained(err, aws.Error{Code: "AccessDeniedException"}, aws.Error{Code: "ServiceException", Status: 500})
}

// missing puts the absence of an object into the words of the service.
func missing(err error, code, format string, args ...any) error {
	if errors.Is(err, store.ErrNotFound) {
		return aws.Errorf(code, format, args...)
	}
	return err
}

// violation says which constraint a change would violate.
func violation(reason, format string, args ...any) error {
	return reasoned("ConstraintViolationException", reason, format, args...)
}

// accountsQuota is the code of the quota of accounts.
const accountsQuota = "L-E619E033"

// How many of each an organisation may have (Organizations user guide, "Quotas").
const (
	maxAccounts = 10 // unless the quota is changed
	maxPolicies = 10_000
)

// exceeded refuses more of what an organisation has as many of as it may.
func exceeded(limit int, reason, what string) error {
	return violation(reason, "An organization may have %d %s at most", limit, what)
}

// invalid says what is wrong with a request.
func invalid(reason, format string, args ...any) error {
	return reasoned("InvalidInputException", reason, format, args...)
}

func reasoned(code, reason, format string, args ...any) error {
	err := aws.Errorf(code, format, args...)
	err.Reason = reason
	return err
}

// arn names something of the organisation, such as the root "r-…" of type "root".
func (op *call) arn(resourceType, id string) string { return arn(op.organization, resourceType, id) }

func arn(o *organizations.Organization, resourceType, id string) string {
	return lattice.ARN{Service: "organizations", Account: o.Management, Resource: resourceType + "/" + o.ID + "/" + id}.String()
}

// named is the ARN of what an id stands for, whether there is one or not.
func (op *call) named(id string) string {
	switch {
	case id == organizations.FullAccessID:
		return lattice.ARN{Service: "organizations", Account: "aws", Resource: "policy/service_control_policy/" + id}.String()
	case strings.HasPrefix(id, organizations.PolicyPrefix):
		return op.arn("policy", "service_control_policy/"+id)
	case strings.HasPrefix(id, organizations.RootPrefix):
		return op.arn("root", id)
	case strings.HasPrefix(id, organizations.UnitPrefix):
		return op.arn("ou", id)
	}
	return op.arn("account", id)
}

// may asks whether the caller may perform the operation on what an id stands for. err is how reading it went, which the
// caller learns only if it may.
func (op *call) may(id string, tags map[string]string, err error) error {
	return cmp.Or(op.May(op.named(id), tags), err)
}

// done is the answer of operations that have nothing to tell.
func done(err error) (*lattice.Empty, error) { return &lattice.Empty{}, err }
