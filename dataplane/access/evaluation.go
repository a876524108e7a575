package access

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
	"unsafe"

	"pergola/aws/iam"
	"pergola/lattice"
	"pergola/policy"
	"pergola/snapshot"
)

// The actions of requests, and of connections that are passed through (service authorization reference, "Amazon VPC
// Lattice Services").
const (
	Invoke  = "vpc-lattice-svcs:Invoke"
	Connect = "vpc-lattice-svcs:Connect"
)

// What messages call the levels of the resource.
const (
	levelNetwork = "network"
	levelService = "service"
)

// evaluation is one request put to the policies, which it answers as their Context. It is used again, with all the
// memory that it has gathered.
type evaluation struct {
	guard    *Guard
	request  *Request
	signer   signer
	account  *snapshot.Account // of the signer; nil for nobody
	tags     snapshot.Tags     // of the signer
	question policy.Request
	access   policy.Access
	facts    iam.Facts // without a time until asked for
	origin   iam.Origin

	levels   [2]policy.Level
	attached [2]*policy.Policy
	session  []*policy.Policy
	text     []byte // what strings made for this request are made of
	query    query
	// The field that was found last.
	askedField string
	foundField occurrence
}

// maxText is how much memory for text is kept, in bytes.
const maxText = 16 << 10

// reset forgets the request.
func (e *evaluation) reset() {
	session, text := e.session[:0], e.text[:0]
	if cap(text) > maxText {
		text = nil
	}
	clear(session[:cap(session)])
	e.query.reset()
	*e = evaluation{guard: e.guard, session: session, text: text, query: e.query}
}

// prepare puts the question, and gathers whom to ask.
func (e *evaluation) prepare(r *Request, s signer) {
	e.request, e.signer = r, s
	e.access.Resource = e.levels[:0]
	e.attach(levelNetwork, r.Network.AuthType, r.Network.Policy)
	e.attach(levelService, r.Listener.Service.AuthType, r.Listener.Service.Policy)
	e.question.Action, e.question.Resource, e.question.Context = Connect, r.Listener.Service.ARN, e
	if !r.opaque {
		e.text = append(append(e.text, r.Listener.Service.ARN...), r.HTTP.Path...)
		e.question.Action, e.question.Resource = Invoke, e.written(0)
	}
	if s.principal == nil {
		return
	}
	e.account = s.identities.Account(s.principal.Account)
	e.tags = s.principal.Tags
	e.question.Principal = policy.Principal{
		Type: s.principal.Type, Account: s.principal.Account, ARN: s.principal.ARN, ID: s.principal.UniqueID,
		Boundary: s.principal.Boundary,
	}
	e.access.ServiceControl, e.access.Identity = e.account.ServiceControl, s.principal.Policies
	if s.session != nil {
		e.prepareSession()
	}
}

// attach adds a level of the resource, unless its auth type is NONE. Without a policy it allows nothing.
func (e *evaluation) attach(name string, auth lattice.AuthType, attached *policy.Policy) {
	if auth != lattice.AuthIAM {
		return
	}
	n := len(e.access.Resource)
	level := policy.Level{Name: name}
	if attached != nil {
		e.attached[n] = attached
		level.Policies = e.attached[n : n+1]
	}
	e.access.Resource = append(e.access.Resource, level)
}

func (e *evaluation) prepareSession() {
	s := e.signer.session
	e.tags = s.tags
	if e.signer.principal.Type == policy.AssumedRole {
		p := &e.question.Principal
		p.ARN, p.RoleARN, p.ID = s.arn, e.signer.principal.ARN, s.id
	}
	if s.inline != nil {
		e.session = append(e.session, s.inline)
	}
	for _, arn := range s.managed {
		p := e.signer.identities.Policies.Get(arn)
		if p == nil {
			p = &policy.Policy{Name: arn} // it is gone, and so allows nothing
		}
		e.session = append(e.session, p)
	}
	e.access.Session = e.session
}

// decision is what the policies decided, with all that depends on it.
func (e *evaluation) decision(decided policy.Decision) Decision {
	d := Decision{Allowed: decided.Allowed(), Policy: decided, Caller: e.caller()}
	if d.Allowed {
		return d
	}
	d.Refusal = "AccessDeniedException: " + decided.Message(&e.question)
	switch decided.Level {
	case levelNetwork:
		d.DeniedBy = DeniedByNetwork
	case levelService:
		d.DeniedBy = DeniedByService
	default:
		d.DeniedBy = DeniedByIdentity
	}
	return d
}

// caller is the signer as targets and logs see it. None of its text is the request's.
func (e *evaluation) caller() Caller {
	if e.signer.principal == nil {
		return Caller{}
	}
	c := Caller{
		Principal:    e.question.Principal.ARN,
		Organization: e.account.Organization, OrganizationPath: e.account.Path,
		Tags: e.tags,
	}
	if e.signer.session != nil {
		c.SessionName = e.signer.session.name
	}
	return c
}

// keys are the condition keys that can have a value here, in lower case; those that end in a slash have a part of the
// request after that.
var keys = []string{
	"aws:principaltag/", "aws:resourcetag/", "vpc-lattice-svcs:requestheader/", "vpc-lattice-svcs:requestquerystring/",
	"vpc-lattice-svcs:port", "vpc-lattice-svcs:requestmethod", "vpc-lattice-svcs:requestpath",
	"vpc-lattice-svcs:servicearn", "vpc-lattice-svcs:servicenetworkarn", "vpc-lattice-svcs:sourcevpc",
	"vpc-lattice-svcs:sourcevpcowneraccount",
	"aws:currenttime", "aws:epochtime", "aws:federatedprovider", "aws:multifactorauthpresent", "aws:principalaccount",
	"aws:principalarn", "aws:principalisawsservice", "aws:principalorgid", "aws:principalorgpaths", "aws:principaltype",
	"aws:referer", "aws:requestedregion", "aws:resourceaccount", "aws:resourceorgid", "aws:resourceorgpaths",
	"aws:securetransport", "aws:sourceidentity", "aws:sourceip", "aws:tokenissuetime", "aws:useragent", "aws:userid",
	"aws:username", "aws:viaawsservice",
}

// HasKey reports whether a condition key of an auth policy, as written, can have a value in some request.
func HasKey(written string) bool {
	lower := strings.ToLower(written)
	return slices.ContainsFunc(keys, func(key string) bool {
		return key == lower || strings.HasSuffix(key, "/") && strings.HasPrefix(lower, key)
	})
}

// Value implements policy.Context. The keys are those of the service authorization reference, and of the IAM user
// guide, "AWS global condition context keys".
func (e *evaluation) Value(key policy.Key, i int) (string, bool) {
	switch key.Name() {
	case "aws:principaltag":
		return e.tags.Value(key.Part(), i)
	case "aws:resourcetag":
		return e.request.Listener.Service.Tags.Value(key.Part(), i)
	}
	if !e.request.opaque {
		switch key.Name() {
		case "vpc-lattice-svcs:requestheader":
			return e.header(key.Part(), i)
		case "vpc-lattice-svcs:requestquerystring":
			return e.parameter(key.Part(), i)
		case "aws:useragent":
			return e.header("user-agent", i)
		case "aws:referer":
			return e.header("referer", i)
		}
	}
	if i > 0 {
		return "", false
	}
	value := e.single(key.Name())
	return value, value != ""
}

// single answers the keys that have one value; "" stands for none.
func (e *evaluation) single(name string) string {
	r := e.request
	switch name {
	case "vpc-lattice-svcs:port":
		return e.number(int64(r.Listener.Port))
	case "vpc-lattice-svcs:requestmethod":
		return r.HTTP.Method
	case "vpc-lattice-svcs:requestpath":
		return r.HTTP.Path
	case "vpc-lattice-svcs:servicearn":
		return r.Listener.Service.ARN
	case "vpc-lattice-svcs:servicenetworkarn":
		return r.Network.ARN
	case "vpc-lattice-svcs:sourcevpc":
		return r.VPC.ID
	case "vpc-lattice-svcs:sourcevpcowneraccount":
		return r.VPC.Account
	}
	start := len(e.text)
	e.text = e.circumstances().AppendValue(e.text, name)
	return e.written(start)
}

// circumstances are what the global condition keys are answered from, gathered when the first of them is asked for.
func (e *evaluation) circumstances() *iam.Facts {
	f := &e.facts
	if !f.Time.IsZero() {
		return f
	}
	r := e.request
	e.origin = iam.Origin{Address: r.Client, Secure: r.Secure}
	*f = iam.Facts{
		Time: e.guard.now(), Region: e.guard.region, Origin: &e.origin,
		ResourceAccount: lattice.AccountOf(r.Listener.Service.ARN),
	}
	if known := e.guard.credentials.snapshot().Identities; known != nil {
		of := known.Account(f.ResourceAccount)
		f.ResourceOrganization, f.ResourceOrganizationPath = of.Organization, of.Path
	}
	if e.account != nil {
		f.Organization, f.OrganizationPath = e.account.Organization, e.account.Path
	}
	if s := e.signer.session; s != nil {
		f.Temporary, f.Issued, f.SourceIdentity, f.Federation = true, s.issued, s.sourceIdentity, s.federation
	}
	return f
}

// header is the i-th value of a field, as the target gets it. Each field line of a repeated field is a value, and so is
// one whose name has underscores for hyphens, which some targets take for the same. Values that are asked for one after
// the other are answered from where the last was found.
func (e *evaluation) header(name string, i int) (string, bool) {
	if name == "host" {
		return e.request.HTTP.Host, i == 0
	}
	fields, at, skip := e.request.passed(), 0, i
	if i > 0 && e.askedField == name && e.foundField.i == i-1 {
		at, skip = e.foundField.at+1, 0
	}
	for ; at < len(fields); at++ {
		if !sameName(fields[at].Name, name) {
			continue
		}
		if skip == 0 {
			e.askedField, e.foundField = name, occurrence{i, at}
			return fields[at].Value, true
		}
		skip--
	}
	return "", false
}

// parameter is the i-th value of a parameter of the query, decoded. Names, like all of a condition key, are compared
// regardless of case.
func (e *evaluation) parameter(name string, i int) (string, bool) {
	if !e.query.isRead {
		e.query.read(e.request.HTTP.RawQuery)
	}
	if strings.IndexFunc(name, func(c rune) bool { return c >= utf8.RuneSelf }) >= 0 {
		start := len(e.text)
		e.text = foldName(append(e.text, name...), start)
		name = e.written(start)
	}
	return e.query.value(name, i)
}

func (e *evaluation) number(n int64) string {
	start := len(e.text)
	e.text = strconv.AppendInt(e.text, n, 10)
	return e.written(start)
}

// written is the text from start on as a string. It shares the memory, which is not written again until the evaluation
// is used for another request.
func (e *evaluation) written(start int) string {
	return unsafe.String(unsafe.SliceData(e.text[start:]), len(e.text)-start)
}
