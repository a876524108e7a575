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
	"errors"
	"regexp"
	"strings"

	"pergola/aws"
	"pergola/aws/elbv2"
	"pergola/control/authority"
	"pergola/control/operation"
	"pergola/control/ownership"
	"pergola/lattice"
)

//go:generate go run pergola/internal/generate operations ../../aws/elbv2/model.json

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
		Complete: []ownership.Step{loadBalancers.Complete(nil), targetGroups.Complete(nil)},
	})
	return c
}

// call is one operation under way.
type call struct {
	*operation.Call
	*Control
	// balancers are the load balancers of the account, once usersOf has read them.
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

	codeNoLoadBalancer = "LoadBalancerNotFound"
	codeNoTargetGroup  = "TargetGroupNotFound"
	codeNoListener     = "ListenerNotFound"
)

func isCode(err error, code string) bool {
	var refusal *aws.Error
	return errors.As(err, &refusal) && refusal.Code == code
}

// recoded is a refusal of EC2 with the code that it has here.
func recoded(err error, code string) error {
	if refusal := new(aws.Error); errors.As(err, &refusal) {
		return aws.Errorf(code, "%s", refusal.Message)
	}
	return err
}

// idDigits is the number of hexadecimal digits in an id.
const idDigits = 16

func (c *Control) newID() string { return lattice.NewSuffix(c.Random)[:idDigits] }

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

// each is what f makes of all items, unless it fails for one.
func each[T, S any](items []T, f func(T) (S, error)) ([]S, error) {
	all := make([]S, len(items))
	for i, item := range items {
		var err error
		if all[i], err = f(item); err != nil {
			return nil, err
		}
	}
	return all, nil
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
