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
	"regexp"
	"strings"

	"pergola/aws"
	"pergola/aws/elbv2"
	"pergola/control/authority"
	"pergola/control/operation"
	"pergola/control/ownership"
	"pergola/lattice"
)

//go:generate go run pergola/internal/operations . ../../api/testdata/models/elbv2.json

// Control carries out operations. Its methods may be called from any goroutine, and several processes may have one each
// on the same store.
type Control struct{ *operation.Service[*call] }

// New makes the service.
func New(cfg operation.Config) *Control {
	c := &Control{}
	c.Service = operation.New(cfg, operation.Description[*call]{
		Name:     elbv2.Service,
		Begin:    func(of *operation.Call) (*call, error) { return &call{Call: of, Control: c}, nil },
		Explain:  explain,
		Complete: []ownership.Step{ownedBalancers.Complete(nil), ownedGroups.Complete(nil)},
	})
	return c
}

// call is one operation under way.
type call struct {
	*operation.Call
	*Control
	// balancers are the load balancers of the account, once they were read.
	balancers []*elbv2.LoadBalancer
}

// explain puts refusals, and outages of the store, into the words of the service.
func explain(err error) error {
	return authority.Explained(err, aws.Error{Code: "AccessDenied", Status: 403},
		aws.Error{Code: "ServiceUnavailable", Status: 503})
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

func (c *Control) newID() string { return lattice.NewSuffix(c.Random)[:idDigits] }

// arn names a resource such as "targetgroup/NAME/ID".
func (op *call) arn(resource string) string {
	return lattice.ARN{Service: elbv2.Service, Region: op.Region, Account: op.Account, Resource: resource}.String()
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
