package lambda

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"pergola/lattice"
	"pergola/policy"
)

// LatticeService is the principal in whose name VPC Lattice invokes functions.
const LatticeService = "vpc-lattice.amazonaws.com"

// InvokeAction is the action that invoking a function needs.
const InvokeAction = "lambda:InvokeFunction"

// Policy says who may do something with a function, besides those whom their own policies let.
type Policy struct {
	Statements []Statement `json:"statements"`
	Revision   string      `json:"revision"`
}

// Statement is what one AddPermission allowed.
type Statement struct {
	SID       string `json:"sid"`
	Principal string `json:"principal"` // an account, an ARN, a service or *
	Action    string `json:"action"`
	Resource  string `json:"resource"`
	// SourceARN, SourceAccount, Organization and EventSourceToken narrow it where they are not empty.
	SourceARN        string `json:"sourceArn,omitempty"`
	SourceAccount    string `json:"sourceAccount,omitempty"`
	Organization     string `json:"organization,omitempty"`
	EventSourceToken string `json:"eventSourceToken,omitempty"`
}

// document is a policy as JSON.
type document struct {
	Version   string
	ID        string `json:"Id"`
	Statement []statementDocument
}

type statementDocument struct {
	SID       string `json:"Sid"`
	Effect    string
	Principal any
	Action    string
	Resource  string
	Condition map[string]map[string]string `json:",omitempty"`
}

// Document is the statement as a part of a policy document.
func (s *Statement) Document() string { return encode(s.document()) }

func (s *Statement) document() statementDocument {
	d := statementDocument{SID: s.SID, Effect: "Allow", Action: s.Action, Resource: s.Resource}
	switch {
	case s.Principal == "*":
		d.Principal = "*"
	case strings.HasPrefix(s.Principal, "arn:"):
		d.Principal = map[string]string{"AWS": s.Principal}
	case strings.Trim(s.Principal, "0123456789") == "":
		d.Principal = map[string]string{"AWS": "arn:aws:iam::" + s.Principal + ":root"}
	default:
		d.Principal = map[string]string{"Service": s.Principal}
	}
	condition := func(operator, key, value string) {
		if value == "" {
			return
		}
		if d.Condition == nil {
			d.Condition = map[string]map[string]string{}
		}
		if d.Condition[operator] == nil {
			d.Condition[operator] = map[string]string{}
		}
		d.Condition[operator][key] = value
	}
	condition("StringEquals", "AWS:SourceAccount", s.SourceAccount)
	condition("StringEquals", "aws:PrincipalOrgID", s.Organization)
	condition("StringEquals", "lambda:EventSourceToken", s.EventSourceToken)
	condition("ArnLike", "AWS:SourceArn", s.SourceARN)
	return d
}

// Document is the policy as JSON.
func (p *Policy) Document() string {
	d := document{Version: "2012-10-17", ID: "default"}
	for i := range p.Statements {
		d.Statement = append(d.Statement, p.Statements[i].document())
	}
	return encode(d)
}

func encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("lambda: a policy cannot be encoded: %v", err)) // it has nothing but strings
	}
	return string(b)
}

// Check says what is wrong with the policy, if anything is.
func (p *Policy) Check() error {
	_, err := policy.Parse([]byte(p.Document()), policy.Resource, 0)
	return err
}

// Guard is the policy that belongs to a qualifier of the function, nil where there is none. One that cannot be read
// denies everything.
func (f *Function) Guard(qualifier string) *policy.Policy {
	p, ok := f.Policies[qualifier]
	if !ok {
		return nil
	}
	guard, _ := policy.ReadStored("policy of function "+f.Name, p.Document(), policy.Resource)
	return guard
}

// Evaluate asks the policy that belongs to a qualifier of the function. Where there is none, it is silent; one that cannot
// be read denies.
func (f *Function) Evaluate(qualifier string, request *policy.Request) policy.Effect {
	guard := f.Guard(qualifier)
	if guard == nil {
		return policy.Silent
	}
	return guard.Evaluate(request).Effect
}

// LetsLattice reports whether the function, named by its ARN, lets VPC Lattice invoke it for a target group. A permission
// holds for exactly the qualifier that it was given for (Lambda developer guide, "Viewing resource-based policies").
func (f *Function) LetsLattice(name Name, targetGroup, account string) bool {
	return f.Evaluate(name.Qualifier, &policy.Request{
		Principal: policy.Principal{Type: policy.Service, ARN: LatticeService},
		Action:    InvokeAction, Resource: name.ARN(),
		Context: policy.Values{"aws:sourcearn": {targetGroup}, "aws:sourceaccount": {account}},
	}) == policy.Allow
}

// LetLattice adds the permission for VPC Lattice to invoke the function, named by its ARN, for a target group: to the policy
// of the qualifier, which gets a new revision. The error says what is in the way.
func (f *Function) LetLattice(name Name, targetGroup, revision string) error {
	s := Statement{
		SID: "vpc-lattice-" + lattice.IDOf(targetGroup), Principal: LatticeService, Action: InvokeAction, Resource: name.ARN(), SourceARN: targetGroup,
	}
	p := f.Policies[name.Qualifier]
	switch {
	case name.Qualifier == Latest:
		return fmt.Errorf("%s has no policy; leave it out, or name an alias", Latest)
	case slices.ContainsFunc(p.Statements, func(known Statement) bool { return known.SID == s.SID }):
		return fmt.Errorf("its policy has another statement %s; remove that (aws lambda remove-permission)", s.SID)
	}
	p.Statements, p.Revision = append(slices.Clone(p.Statements), s), revision
	if n := len(p.Document()); n > MaxPolicy {
		return fmt.Errorf("its policy would have %d bytes, and may have %d; remove a statement (aws lambda remove-permission)", n, MaxPolicy)
	}
	if f.Policies == nil {
		f.Policies = map[string]Policy{}
	}
	f.Policies[name.Qualifier] = p
	return nil
}
