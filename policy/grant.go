package policy

import "slices"

// Guard is the policy of one resource, as services other than VPC Lattice combine it with the policies of who asks (IAM
// user guide, "Policy evaluation for requests within a single account" and "Cross-account policy evaluation logic").
//
// An explicit deny counts in any policy. Beyond that, within the resource's own account either side suffices: the
// principal's identity policies within what limits them, or the guard where it names the principal itself. A principal
// of another account, or of none, needs the guard in any case, and the policies of its own side too if it has some.
type Guard struct {
	// Name is what messages call the level.
	Name string
	// Policy is the policy, nil for a resource that has none.
	Policy *Policy
	// Account is the account that the resource belongs to. Leave it empty to ask of everybody what is asked of strangers:
	// that the guard and the policies of their own side allow.
	Account string
	// Required says that nothing passes that the guard does not allow, within the account too: a role's trust policy.
	Required bool
}

// DecideGuarded combines the policies of who asks with the guard of one resource; a.Resource is not consulted. The
// request is put to every policy as it is.
func (a *Access) DecideGuarded(r *Request, g Guard) Decision {
	j := judge{request: r, decision: Decision{Effect: Allow, Statement: -1}}
	g.consult(a, &j)
	return j.decision
}

func (g *Guard) consult(a *Access, j *judge) {
	p := &j.request.Principal
	within := p.Type.hasIdentity() && p.Account == g.Account
	j.request.work = 0
	verdict, named := g.Policy.grant(j.request)
	switch {
	case verdict.Effect == Deny:
		j.decision = Decision{Deny, g.Name, g.Policy, verdict.Statement}
	case verdict.Effect == Silent && (g.Required || !within):
		j.decision = Decision{Silent, g.Name, nil, -1}
	}
	if !p.Type.hasIdentity() {
		return
	}
	identity, limits := (*judge).hear, (*judge).hear
	if within && named >= namedRole {
		identity = (*judge).hearDenials
	}
	if within && named >= namedItself {
		limits = (*judge).hearDenials
	}
	for _, level := range a.ServiceControl {
		j.hear(LevelServiceControl, level...)
	}
	if p.Type != Root {
		identity(j, LevelIdentity, a.Identity...)
	}
	if p.Boundary != nil {
		limits(j, LevelBoundary, p.Boundary)
	}
	if len(a.Session) > 0 {
		limits(j, LevelSession, a.Session...)
	}
}

// hearDenials hears a level that need not allow.
func (j *judge) hearDenials(name string, policies ...*Policy) {
	before := j.decision
	if j.hear(name, policies...); j.decision.Effect != Deny {
		j.decision = before
	}
}

// naming is how a policy that allows a request names its principal, from the weakest to the strongest.
type naming uint8

const (
	// notNamed: no statement allows.
	notNamed naming = iota
	// namedAccount: the account is named, whose own policies decide.
	namedAccount
	// namedRole: the role of the session is named. Its boundary and the session's policies still limit (IAM user guide,
	// "AWS JSON policy elements: Principal", IAM role principals).
	namedRole
	// namedItself: the user or the session is named, or everyone. Only a deny, or the organisation, stands against it (the
	// same, Role session principals and IAM user principals).
	namedItself
)

// grant is what a policy says about a request, and the strongest naming of all statements that allow it. No policy is
// silent.
func (p *Policy) grant(r *Request) (v Verdict, strongest naming) {
	v = Verdict{Silent, -1}
	if p == nil {
		return v, notNamed
	}
	for i := range p.statements {
		s := &p.statements[i]
		applies := s.applies(r)
		switch {
		case r.exhausted():
			return Verdict{Deny, -1}, notNamed
		case !applies:
		case s.effect == Deny:
			return Verdict{Deny, i}, notNamed
		default:
			if v.Effect == Silent {
				v = Verdict{Allow, i}
			}
			strongest = max(strongest, s.principal.naming(&r.Principal))
		}
	}
	return v, strongest
}

// naming is how a set that covers a principal of an account names it.
func (s *principalSet) naming(p *Principal) naming {
	switch {
	case s == nil:
		return namedAccount // the kind of policy implies the principal, so this one names nobody
	case s.everyone || s.anyAWS || slices.Contains(s.arns, p.ARN):
		return namedItself
	case p.Type == AssumedRole && s.names(p):
		return namedRole
	case p.Type != Root && s.names(p):
		return namedItself
	}
	return namedAccount
}
