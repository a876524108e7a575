package authority

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"pergola/aws/iam"
	"pergola/aws/organizations"
	"pergola/lattice"
	"pergola/policy"
	"pergola/store"
)

// The objects that policies come from. They are only read here, in the transaction that relies on them.
var (
	users   = store.NewKind[iam.User](iam.KindUser)
	groups  = store.NewKind[iam.Group](iam.KindGroup)
	roles   = store.NewKind[iam.Role](iam.KindRole)
	managed = store.NewKind[iam.ManagedPolicy](iam.KindPolicy)
)

// standing is a caller as policies see it.
type standing struct {
	principal policy.Principal
	access    policy.Access
	keys      Keys // the condition keys of the caller's tags
	facts     iam.Facts
	member    organizations.Membership // of the caller's account
	exists    bool                     // the user or the role is still there
}

// read finds out how a caller stands.
func (l *library) read(tx *store.Tx, caller *iam.Caller) (*standing, error) {
	r := &reader{library: l, tx: tx, caller: caller}
	member, err := membershipOf(tx, caller.Account)
	if err != nil {
		return nil, err
	}
	s := &standing{principal: principalOf(*caller), keys: Keys{}, facts: factsOf(caller), member: member}
	s.keys.addTags("aws:principaltag/", caller.Tags)
	s.facts.Organization, s.facts.OrganizationPath = member.Organization, member.Path
	for _, level := range member.Levels {
		s.access.ServiceControl = append(s.access.ServiceControl, l.compileAll("service control policy", level, policy.ServiceControl))
	}
	if err := r.identify(s); err != nil {
		return nil, err
	}
	s.access.Session, err = r.session()
	return s, err
}

// principalOf is a caller as policies name it. Who is of no known type is nobody.
func principalOf(caller iam.Caller) policy.Principal {
	types := map[iam.PrincipalType]policy.PrincipalType{
		iam.TypeAccount: policy.Root, iam.TypeUser: policy.User, iam.TypeAssumedRole: policy.AssumedRole,
		iam.TypeFederated: policy.Federated,
	}
	return policy.Principal{
		Type: types[caller.Type], Account: caller.Account, ARN: caller.ARN, RoleARN: caller.RoleARN, ID: caller.UserID,
	}
}

// factsOf are those of a request that follow from its caller.
func factsOf(caller *iam.Caller) (f iam.Facts) {
	if caller.Origin.Address.IsValid() {
		f.Origin = &caller.Origin
	}
	if session := caller.Session; session != nil {
		f.Temporary, f.Issued, f.SourceIdentity, f.Federation = true, session.Issued, session.SourceIdentity,
			session.Federation
	}
	return f
}

// reader reads what policies a caller has.
type reader struct {
	*library
	tx     *store.Tx
	caller *iam.Caller
}

// identify reads the policies of the user or of the role, and its boundary. A session lives as long as whom it is of: a
// later user or role of the same name has another unique id, and of this one nothing is left that could allow.
func (r *reader) identify(s *standing) error {
	switch r.caller.Type {
	case iam.TypeAccount:
		s.exists = true
	case iam.TypeUser:
		user, err := users.Get(r.tx, iam.ID(r.caller.Account, lattice.IDOf(r.caller.ARN)))
		if s.exists = err == nil && user.UniqueID == r.caller.UserID; !s.exists {
			return unlessAbsent(err)
		}
		s.access.Identity, s.principal.Boundary, err = r.permissionsOf(user.ARN(), user.Permissions, user.Groups)
		return err
	case iam.TypeAssumedRole:
		role, err := roles.Get(r.tx, iam.ID(r.caller.Account, lattice.IDOf(r.caller.RoleARN)))
		of, _, _ := strings.Cut(r.caller.UserID, ":")
		if s.exists = err == nil && role.UniqueID == of; !s.exists {
			return unlessAbsent(err)
		}
		s.access.Identity, s.principal.Boundary, err = r.permissionsOf(role.ARN(), role.Permissions, nil)
		return err
	}
	return nil
}

func unlessAbsent(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

func (r *reader) permissionsOf(arn string, p iam.Permissions, memberOf []string) (all []*policy.Policy, boundary *policy.Policy, err error) {
	all, err = r.policiesOf(arn, p)
	for _, name := range memberOf {
		if err != nil {
			return nil, nil, err
		}
		var group iam.Group
		group, err = groups.Get(r.tx, iam.ID(r.caller.Account, name))
		if errors.Is(err, store.ErrNotFound) {
			all, err = append(all, policy.Refusal("group "+name, policy.Identity)), nil
			continue
		}
		var shared []*policy.Policy
		if err == nil {
			shared, err = r.policiesOf(group.ARN(), group.Permissions)
		}
		all = append(all, shared...)
	}
	if err == nil && p.Boundary != "" {
		boundary, err = r.managedPolicy(p.Boundary)
	}
	return all, boundary, err
}

// policiesOf are the inline and the managed policies of a user, a group or a role.
func (r *reader) policiesOf(arn string, p iam.Permissions) ([]*policy.Policy, error) {
	var all []*policy.Policy
	for _, name := range slices.Sorted(maps.Keys(p.Inline)) {
		all = append(all, r.compile("inline policy "+name+" of "+arn, p.Inline[name], policy.Identity))
	}
	for _, attached := range p.Attached {
		compiled, err := r.managedPolicy(attached)
		if err != nil {
			return nil, err
		}
		all = append(all, compiled)
	}
	return all, nil
}

// managedPolicy reads a managed policy that something refers to. Where there is none, it is not known what it would deny,
// and everything is denied.
func (r *reader) managedPolicy(arn string) (*policy.Policy, error) {
	document, err := r.document(arn)
	if errors.Is(err, store.ErrNotFound) {
		return policy.Refusal(arn, policy.Identity), nil
	}
	if err != nil {
		return nil, err
	}
	return r.compile(arn, document, policy.Identity), nil
}

// document is that of a managed policy of the caller's account, or of one that is built in.
func (r *reader) document(arn string) (string, error) {
	if document, ok := r.builtIn[arn]; ok {
		return document, nil
	}
	found, err := managed.Get(r.tx, iam.ID(r.caller.Account, lattice.IDOf(arn)))
	if err == nil && found.ARN() != arn {
		err = store.ErrNotFound
	}
	if err != nil {
		return "", err
	}
	return found.Document(), nil
}

// session reads the policies that were passed when the caller's session began. A managed policy that is gone since then
// allows nothing.
func (r *reader) session() (all []*policy.Policy, err error) {
	session := r.caller.Session
	if session == nil {
		return nil, nil
	}
	if session.Policy != "" {
		all = append(all, r.compile("session policy", session.Policy, policy.Session))
	}
	for _, arn := range session.PolicyARNs {
		document, err := r.document(arn)
		switch {
		case errors.Is(err, store.ErrNotFound):
			all = append(all, &policy.Policy{Name: arn})
		case err != nil:
			return nil, err
		default:
			all = append(all, r.compile(arn, document, policy.Identity))
		}
	}
	return all, nil
}
