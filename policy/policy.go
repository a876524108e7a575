// Package policy is the IAM policy language: it reads a document, says what is wrong with it and where, compiles it,
// decides with it, and explains the decision.
//
// The life of a document is a pipeline. [Parse] turns JSON into a [Document] or into an [Error] that names every
// problem with its place. [Compile] turns the document into a [Policy], in which patterns are split, and numbers, dates
// and address ranges are parsed. [Policy.Evaluate] answers a [Request] on the request path: it allocates nothing and
// stops as soon as the answer is certain. [Policy.Explain] answers the same request with every statement, every element
// and every value that was compared. [Access.Decide] combines all policies that have a say in one request: those of the
// principal, those above it in its organisation, and those of what it calls.
//
// The package knows no service: actions, resources and condition keys are text that the caller supplies. Of the
// condition keys it answers only those that follow from the principal itself (see [Principal]).
//
// Rules come from the IAM user guide; comments name the page. Where the guide leaves a case open, the reading that
// grants less is taken, and the comment says so.
package policy

// Effect is what a statement, a policy or a whole decision says about a request. The order is the order of strength: a
// Deny overrides an Allow, which overrides silence (IAM user guide, Policy evaluation logic).
type Effect uint8

const (
	// Silent means that nothing matched. Silence alone is a denial: the implicit deny.
	Silent Effect = iota
	// Allow is an explicit allow.
	Allow
	// Deny is an explicit deny.
	Deny
)

// String is the effect as a policy spells it, or "Silent".
func (e Effect) String() string { return [...]string{"Silent", "Allow", "Deny"}[e] }

// Kind is what a policy is attached to. It decides which elements the document may have.
type Kind uint8

const (
	// Identity is attached to a user, a group or a role. The principal is implied.
	Identity Kind = iota
	// Resource is attached to a resource and names principals. An auth policy is one.
	Resource
	// Trust is attached to a role and says who may assume it. The resource is implied.
	Trust
	// ServiceControl is attached to an organisation's root, unit or account, and limits what is inside.
	ServiceControl
	// Boundary limits what the identity policies of a user or a role can grant.
	Boundary
	// Session limits what one session of a role can do.
	Session
)

// String is the kind as messages name it, with its article.
func (k Kind) String() string {
	return [...]string{"an identity-based policy", "a resource-based policy", "a trust policy", "a service control policy",
		"a permissions boundary", "a session policy"}[k]
}

// namesPrincipals reports whether statements of the kind say whom they are about.
func (k Kind) namesPrincipals() bool { return k == Resource || k == Trust }

// completesARNs reports whether an ARN with fewer than six parts stands for all that begin so. IAM does this for the
// policies of identities, and refuses it in session policies (IAM user guide, Grammar, resource_string).
func (k Kind) completesARNs() bool { return k == Identity || k == Boundary || k == ServiceControl }

// The versions of the language. Variables exist since the second; in a document of the first, which is also what a
// document without Version is, they are plain text (IAM user guide, Variables).
const (
	version2008 = "2008-10-17"
	version2012 = "2012-10-17"
)

// Document is a well-formed policy. Only Parse makes one, so each Document can be compiled.
type Document struct {
	// Name is what explanations and decisions call the policy, such as its ARN. Parse leaves it empty; set it before
	// Compile.
	Name string
	// Kind is the kind that the document was parsed as.
	Kind Kind
	// Version is the version of the language; 2008-10-17 when the document gives none.
	Version string
	// ID is the document's own identifier, or "".
	ID string

	statements []statementText
}

// statementText is a statement as written, every part of it known to be valid.
type statementText struct {
	sid        string
	effect     Effect
	principal  *principalSet // nil when the kind implies the principal
	action     element
	resource   *element // nil when the kind implies the resource
	conditions []conditionText
}

// element is Action or Resource, or its complement NotAction or NotResource.
type element struct {
	not    bool
	values []string
}

// conditionText is one key of a condition block with the operator above it and the values below it.
type conditionText struct {
	operator string
	key      string
	values   []string
}
