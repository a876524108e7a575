// Package authority decides what callers of the control plane may do. A caller needs the permission of their own
// side: identity policies within a permissions boundary, a session's own policies, and the service control policies above
// their account (IAM user guide, "Policy evaluation logic"). Of resources only roles and functions have policies of
// their own; what else another account owns is out of reach.
//
// An Inquiry belongs to one transaction of the store and reads the caller's policies in it. So a decision is as fresh as
// what the operation itself reads, and of an operation and a change of its caller's policies that race, one comes first: a
// policy that is detached allows nothing that commits later. Package snapshot compiles the same policies for the data
// plane, which cannot ask the store about every request; a copy that follows the store could only be as fresh by waiting
// for it.
package authority

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"pergola/aws"
	"pergola/aws/iam"
	"pergola/lattice"
	"pergola/policy"
	"pergola/store"
)

// GlobalRegion is the region of the services that AWS has once for all regions.
const GlobalRegion = "us-east-1"

// everything is the resource of actions that are about no resource in particular.
const everything = "*"

// Config is what an Authority needs.
type Config struct {
	// Service is the prefix of the service's actions, such as "ec2".
	Service string
	// Region is the region of the service, the value of aws:RequestedRegion; "" leaves that out.
	Region string
	// Now tells the time; nil means time.Now.
	Now func() time.Time
}

// Authority decides for one service. It is safe for concurrent use.
type Authority struct {
	service, region string
	now             func() time.Time
	library         *library
}

// New makes an Authority.
func New(cfg Config) *Authority {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Authority{cfg.Service, cfg.Region, cfg.Now, newLibrary()}
}

// Denied is the refusal of a caller who has no permission.
type Denied struct {
	// Message is the sentence with which IAM tells the caller so.
	Message string
}

// Error is the message.
func (d *Denied) Error() string { return d.Message }

// Keys are condition keys of a request with their values.
type Keys policy.Values

// Set gives a key its values. Without any, or with an empty one alone, the key is absent.
func (k Keys) Set(key string, values ...string) {
	key = strings.ToLower(key)
	if len(values) == 0 || len(values) == 1 && values[0] == "" {
		delete(k, key)
		return
	}
	k[key] = values
}

// Has reports whether a key has values.
func (k Keys) Has(key string) bool { return len(k[strings.ToLower(key)]) > 0 }

// SetTags sets the keys about tags in the request: aws:RequestTag and aws:TagKeys.
func (k Keys) SetTags(tags map[string]string) {
	k.Set("aws:TagKeys", slices.Sorted(maps.Keys(tags))...)
	k.addTags("aws:requesttag/", tags)
}

// addTags adds the keys of a family for tags. The case of keys does not count, so one may have several values.
func (k Keys) addTags(family string, tags map[string]string) {
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		name := family + strings.ToLower(key)
		k[name] = append(k[name], tags[key])
	}
}

// Inquiry is what one operation asks about its caller, in one transaction. Its keys are those of the request; what
// follows from the caller, from the time and from a resource is added to each question.
type Inquiry struct {
	Keys
	// Action is what the caller wants to perform, without the service's prefix. An operation that is part of another
	// action says so by changing it.
	Action    string
	authority *Authority
	tx        *store.Tx
	caller    iam.Caller
	about     string    // what Conclude asks about
	known     *standing // of the caller, once it is known
	asked     bool
}

// Ask begins an inquiry about a caller who wants to perform an action, such as "CreateVpc".
func (a *Authority) Ask(tx *store.Tx, caller iam.Caller, action string) *Inquiry {
	return &Inquiry{Keys: Keys{}, authority: a, tx: tx, caller: caller, Action: action, about: everything}
}

// May asks whether the caller may perform the action on a resource, which has some tags. The error is a *Denied if not.
func (q *Inquiry) May(resource string, tags map[string]string) error {
	q.asked = true
	return q.ask(q.authority.service+":"+q.Action, resource, tags)
}

// MayCreate asks whether the caller may create a resource with tags.
func (q *Inquiry) MayCreate(resource string, tags map[string]string, tagging string) error {
	q.SetTags(tags)
	if err := q.May(resource, nil); err != nil {
		return err
	}
	return q.MayTag(resource, tags, tagging)
}

// MayTag asks whether the caller may give a new resource tags. It needs the permission for tagging, an action such as
// "TagResource", which sees in the condition key CreateAction what it is part of.
func (q *Inquiry) MayTag(resource string, tags map[string]string, tagging string) error {
	if len(tags) == 0 {
		return nil
	}
	createAction := q.authority.service + ":CreateAction"
	q.Set(createAction, q.Action)
	defer q.Set(createAction) // of tagging alone
	return q.ask(q.authority.service+":"+tagging, resource, nil)
}

// MayAlso asks whether the caller may perform another action, which the operation needs too, such as "iam:PassRole".
func (q *Inquiry) MayAlso(action, resource string, tags map[string]string) error {
	return q.ask(action, resource, tags)
}

// About says which resource the operation will ask about, before it is known whether that exists.
func (q *Inquiry) About(resource string) { q.about = resource }

// Conclude returns the outcome of the operation, for the caller to see. If May was never asked, it is asked now: about
// the resource that About named, or else about all resources, as for actions that are about none in particular. So no
// operation can forget to, and nobody learns what exists without permission to ask. What refuses a request for what is
// in it, before anything was read, tells nothing and stays.
func (q *Inquiry) Conclude(outcome error) error {
	if q.asked || outcome != nil && !q.tx.HasRead() {
		return outcome
	}
	if err := q.May(q.about, nil); err != nil {
		return err
	}
	return outcome
}

func (q *Inquiry) ask(action, resource string, tags map[string]string) error {
	if err := q.owns(action, resource); err != nil {
		return err
	}
	return q.put(question{action, resource, tags}, nil)
}

// MayAssume asks whether the caller may perform an action such as "sts:AssumeRole" on a role of any account. The role's
// trust policy must allow it, and so must the caller's own policies, unless the trust policy names the caller itself
// within one account.
func (q *Inquiry) MayAssume(action string, role *iam.Role) error {
	trust := q.authority.library.compileTrust(role)
	return q.put(question{action, role.ARN(), role.Tags}, &policy.Guard{Policy: trust, Account: role.Account,
		Required: true})
}

// MayBy asks whether the caller may perform another action on a resource of any account that may have a policy of its
// own; nil is none. Within an account either side suffices: the caller's own policies, or that of the resource where it
// names the caller itself. A caller of another account needs both.
func (q *Inquiry) MayBy(own *policy.Policy, action, resource string, tags map[string]string) error {
	return q.put(question{action, resource, tags}, &policy.Guard{Policy: own, Account: lattice.AccountOf(resource)})
}

// question is what is asked of policies.
type question struct {
	action, resource string
	tags             map[string]string // of the resource
}

// put asks one question, once and as a whole, of all policies that have a say: those of the caller's side, and that of
// the resource where it is of a kind that has one.
func (q *Inquiry) put(asked question, guard *policy.Guard) error {
	if err := q.fits(); err != nil {
		return err
	}
	s, err := q.standing()
	if err != nil {
		return err
	}
	keys, err := q.conditions(s, asked)
	if err != nil {
		return err
	}
	request := &policy.Request{
		Principal: s.principal, Action: asked.action, Resource: asked.resource, Context: policy.Values(keys),
	}
	var decision policy.Decision
	if guard == nil {
		decision = s.access.Decide(request)
	} else {
		if guard.Name = "resource"; !s.exists {
			guard.Account = "" // who is gone is not whom the policy names
		}
		decision = s.access.DecideGuarded(request, *guard)
	}
	if decision.Allowed() {
		return nil
	}
	return &Denied{decision.Message(request)}
}

// fits refuses the sessions that users have of themselves where AWS does: they may call nothing of IAM, since no device
// has proved who is there, and of STS only what tells who they are or makes them a role (IAM user guide, "Compare AWS
// STS credentials"). So what is temporary cannot make itself last. The errors are as AWS answers.
func (q *Inquiry) fits() error {
	if q.caller.Session == nil || q.caller.Type == iam.TypeAssumedRole {
		return nil
	}
	var err *aws.Error
	switch {
	case q.authority.service == "iam":
		err = aws.Errorf("InvalidClientTokenId", "The security token included in the request is invalid")
	case q.authority.service == "sts" && q.Action != "AssumeRole" && q.Action != "GetCallerIdentity":
		err = aws.Errorf("AccessDenied", "Cannot call %s with session credentials", q.Action)
	default:
		return nil
	}
	err.Status = http.StatusForbidden
	return err
}

// Owns asks whether a resource that the operation merely refers to, or has yet to look for, is the caller's account's
// own, or AWS's.
func (q *Inquiry) Owns(resource string) error {
	return q.owns(q.authority.service+":"+q.Action, resource)
}

func (q *Inquiry) owns(action, resource string) error {
	switch lattice.AccountOf(resource) {
	case "", q.caller.Account, iam.AWSAccount:
		return nil
	}
	refused := &policy.Request{Principal: principalOf(q.caller), Action: action, Resource: resource}
	return &Denied{policy.Decision{Level: "resource"}.Message(refused)}
}

// standing is what is known of the caller; it is read once.
func (q *Inquiry) standing() (*standing, error) {
	if q.known != nil {
		return q.known, nil
	}
	s, err := q.authority.library.read(q.tx, &q.caller)
	if err == nil {
		q.known = s
	}
	return s, err
}

// conditions are the condition keys of one question: the global ones, those of tags and those of the request.
func (q *Inquiry) conditions(s *standing, asked question) (Keys, error) {
	facts := s.facts
	facts.Time, facts.Region = q.authority.now(), q.authority.region
	facts.ResourceAccount = cmp.Or(lattice.AccountOf(asked.resource), q.caller.Account)
	of := s.member
	if facts.ResourceAccount != q.caller.Account {
		var err error
		if of, err = membershipOf(q.tx, facts.ResourceAccount); err != nil {
			return nil, err
		}
	}
	facts.ResourceOrganization, facts.ResourceOrganizationPath = of.Organization, of.Path
	v := maps.Clone(q.Keys)
	maps.Copy(v, s.keys)
	for _, key := range iam.GlobalKeys {
		v.Set(key, string(facts.AppendValue(nil, key)))
	}
	v.addTags("aws:resourcetag/", asked.tags)
	if of, err := lattice.ParseARN(asked.resource); err == nil {
		v.addTags(of.Service+":resourcetag/", asked.tags)
	}
	return v, nil
}
