package policy

// Level is one place where policies are attached, and its policies. It allows what any of them allows and none of them
// denies; without policies it allows nothing.
type Level struct {
	// Name is what messages call the level.
	Name string
	// Policies are the policies that are attached.
	Policies []*Policy
}

// The names of the levels on the side of the principal.
const (
	LevelServiceControl = "service control"
	LevelIdentity       = "identity"
	LevelBoundary       = "permissions boundary"
	LevelSession        = "session"
)

// Access is every policy that has a say in one request. All levels must allow it:
//
//   - the levels of the resource, always;
//   - for a principal that belongs to an account, also every level of service control policies above the account, its
//     identity policies, its permissions boundary and its session's policies, as far as there are any.
//
// An identity policy must allow even what a policy of the resource allows, also within one account (user guide, How
// authorization works). That differs from services such as Amazon S3, and leaves no room for IAM's rule by which a
// session that a resource policy names escapes its boundary: the boundary limits the identity policies, which are always
// needed.
//
// Who did not sign has no side of its own, and neither has a service, or somebody for whom an identity provider vouches:
// for them the resource alone decides, and where no level guards it they are refused. So a data plane does not ask about
// a service when neither it nor its network has the auth type AWS_IAM.
type Access struct {
	// Resource holds the levels at which the resource is guarded, in the order in which a refusal is reported: for
	// VPC Lattice the service network, then the service. A level whose auth type is NONE is left out; one that has the
	// auth type AWS_IAM and no policy is there without policies, and so refuses. Leave it empty for an action that
	// only the principal's own policies govern, as in a control plane.
	Resource []Level
	// ServiceControl holds the policies of each level of the organisation, from the root to the account; each level
	// must allow. Leave it empty for the management account and outside of an organisation (AWS Organizations user
	// guide, Service control policies).
	ServiceControl [][]*Policy
	// Identity holds the policies of the user or the role, and of the user's groups. It is not consulted for an
	// account's root user, who may do everything that nothing above or beside it forbids.
	Identity []*Policy
	// Session holds the policies that were passed when the session began. Empty means that none was.
	Session []*Policy
}

// Decision is the outcome of a request: all that the response, the access log and an explanation need.
type Decision struct {
	// Effect is Allow; Deny if a statement denies explicitly; Silent if some level just does not allow.
	Effect Effect
	// Level is the name of the level that refused, "" if none did. An explicit deny is named before what merely was
	// not allowed, and of several of a sort the first in the order: levels of the resource, service control policies,
	// identity policies, boundary, session. The reason in an access log is the level of the resource, or Identity for
	// all levels of the principal's side (user guide, Access logs).
	Level string
	// Policy and Statement say which statement denies explicitly; nil and -1 otherwise. A Policy without a Statement
	// denies because comparing it with the request would take more than MaxWork.
	Policy    *Policy
	Statement int
}

// Allowed reports whether the request may go on.
func (d Decision) Allowed() bool { return d.Effect == Allow }

// Decide combines all policies. It allocates nothing beyond what Evaluate does.
func (a *Access) Decide(r *Request) Decision {
	j := judge{request: r, decision: Decision{Effect: Allow, Statement: -1}}
	a.consult(&j)
	return j.decision
}

// LevelExplanation is what the policies of one level found.
type LevelExplanation struct {
	// Name is the level's name.
	Name string
	// Effect is what the level says: Deny if any policy denies, otherwise Allow if any allows, otherwise Silent.
	Effect Effect
	// Policies holds each policy's findings.
	Policies []Explanation
}

// Explain is Decide with everything that every level found, in the order in which refusals are reported.
func (a *Access) Explain(r *Request) (Decision, []LevelExplanation) {
	j := judge{request: r, decision: Decision{Effect: Allow, Statement: -1}, explains: true}
	a.consult(&j)
	return j.decision, j.levels
}

// consult lets the judge hear every level that has a say in a request of its principal, in the order in which refusals
// are reported.
func (a *Access) consult(j *judge) {
	j.request.work = 0
	for i := range a.Resource {
		j.hear(a.Resource[i].Name, a.Resource[i].Policies...)
	}
	p := &j.request.Principal
	if !p.Type.hasIdentity() {
		if len(a.Resource) == 0 {
			j.hear(LevelIdentity) // nobody is left who could allow it
		}
		return
	}
	for _, policies := range a.ServiceControl {
		j.hear(LevelServiceControl, policies...)
	}
	if p.Type != Root {
		j.hear(LevelIdentity, a.Identity...)
	}
	if p.Boundary != nil {
		j.hear(LevelBoundary, p.Boundary)
	}
	if len(a.Session) > 0 {
		j.hear(LevelSession, a.Session...)
	}
}

// judge hears one level after the other and keeps the decision so far.
type judge struct {
	request  *Request
	decision Decision
	explains bool // keep the findings, and hear all even after an explicit deny
	levels   []LevelExplanation
}

func (j *judge) hear(name string, policies ...*Policy) {
	if j.decision.Effect == Deny && !j.explains {
		return
	}
	strongest := Silent
	var findings []Explanation
	for _, p := range policies {
		var verdict Verdict
		if j.explains {
			if j.request.exhausted() {
				j.request.work = 0 // Decide has stopped here
			}
			findings = append(findings, p.explain(j.request))
			verdict = findings[len(findings)-1].Verdict
		} else {
			verdict = p.evaluate(j.request)
		}
		if verdict.Effect == Deny && j.decision.Effect != Deny {
			j.decision = Decision{Deny, name, p, verdict.Statement}
		}
		strongest = max(strongest, verdict.Effect)
	}
	if strongest == Silent && j.decision.Effect == Allow {
		j.decision.Effect, j.decision.Level = Silent, name
	}
	if j.explains {
		j.levels = append(j.levels, LevelExplanation{name, strongest, findings})
	}
}

// Message is the sentence with which a refused request is answered, without the name of the exception; "" for an
// allowed one. The wording is IAM's (IAM user guide, Troubleshoot access denied messages), with the levels of VPC
// Lattice called network-based and service-based policies.
func (d Decision) Message(r *Request) string {
	if d.Allowed() {
		return ""
	}
	message := "User: " + r.Principal.String() + " is not authorized to perform: " + r.Action + " on resource: " + r.Resource
	article, policy := describeLevel(d.Level)
	switch {
	case d.Effect == Deny && d.Statement < 0:
		return message + " because comparing the request with " + article + " " + policy + " takes too long"
	case d.Effect == Deny:
		return message + " with an explicit deny in " + article + " " + policy
	}
	return message + " because no " + policy + " allows the " + r.Action + " action"
}

// describeLevel is how messages speak of the policies of a level.
func describeLevel(name string) (article, policy string) {
	switch name {
	case LevelServiceControl, LevelSession:
		return "a", name + " policy"
	case LevelBoundary:
		return "a", name
	case LevelIdentity:
		return "an", "identity-based policy"
	}
	return "a", name + "-based policy"
}
