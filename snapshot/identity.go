package snapshot

import (
	"cmp"
	"slices"
	"strings"
	"sync/atomic"

	"pergola/aws/iam"
	"pergola/policy"
	"pergola/snapshot/table"
)

// Identities are all callers that a node can recognise, and what their own policies let them do: enough to authenticate
// and to authorise without asking anybody. Like all of a snapshot they never change.
//
// A document that cannot be read denies everything, wherever it stands: what it was meant to deny is not known.
type Identities struct {
	// Keys holds the long-term access keys of users by id.
	Keys table.Table[*Key]
	// Principals holds users and roles by unique id. No unique id is used twice, so a session of a role that was
	// deleted is not taken for one of a later role of the same name.
	Principals table.Table[*Principal]
	// Accounts holds the accounts of the organisation by id.
	Accounts map[string]*Account
	// Strangers is what holds for all other accounts: nothing, unless the organisation cannot be read. Then nobody's
	// bounds are known, and all are denied everything.
	Strangers *Account
	// Policies holds the managed policies by ARN, the built-in ones included.
	Policies table.Table[*policy.Policy]
}

// Key is a long-term access key.
type Key struct {
	ID string
	// Sealed is the secret, sealed with the deployment's key.
	Sealed []byte
	// Inactive keys authenticate nobody.
	Inactive bool
	// Principal is the user whose key it is.
	Principal *Principal

	opened atomic.Pointer[string]
}

// Secret is the secret in clear. The first call opens it with open, later ones remember.
func (k *Key) Secret(open func(id string, sealed []byte) (string, error)) (string, error) {
	if secret := k.opened.Load(); secret != nil {
		return *secret, nil
	}
	secret, err := open(k.ID, k.Sealed)
	if err != nil {
		return "", err
	}
	k.opened.Store(&secret)
	return secret, nil
}

// Principal is a user or a role.
type Principal struct {
	// Type is User for a user and AssumedRole for a role: only its sessions make requests.
	Type     policy.PrincipalType
	Account  string
	Name     string
	ARN      string
	UniqueID string
	Tags     Tags
	// Policies are the inline policies by name, the managed policies in the order in which they were attached, and for
	// a user those of each group in the same order.
	Policies []*policy.Policy
	// Boundary is the permissions boundary, or nil.
	Boundary *policy.Policy
}

// Account is what an account's place in the organisation means for its principals.
type Account struct {
	// Organization is the organisation's id, and Path leads from there to the account's parent, with a slash at its
	// end. Both are "" outside of an organisation.
	Organization, Path string
	// ServiceControl holds the policies of each level from the root to the account; each level must allow. Nil bounds
	// nothing.
	ServiceControl [][]*policy.Policy
}

// Account is what holds for an account; never nil.
func (i *Identities) Account(id string) *Account {
	if a := i.Accounts[id]; a != nil {
		return a
	}
	return i.Strangers
}

// Tag is one tag.
type Tag struct{ Key, Value string }

// Tags are tags in the order of their keys.
type Tags []Tag

// NewTags orders tags.
func NewTags(m map[string]string) Tags {
	if len(m) == 0 {
		return nil
	}
	tags := make(Tags, 0, len(m))
	for key, value := range m {
		tags = append(tags, Tag{key, value})
	}
	slices.SortFunc(tags, func(a, b Tag) int { return cmp.Compare(a.Key, b.Key) })
	return tags
}

// Value is the i-th value of the tags with this key in any case, or false if there are no more. Condition keys do not
// tell cases apart, tags do, so there may be several (IAM user guide, "Condition").
func (t Tags) Value(key string, i int) (string, bool) {
	for _, tag := range t {
		if !strings.EqualFold(tag.Key, key) {
			continue
		}
		if i == 0 {
			return tag.Value, true
		}
		i--
	}
	return "", false
}

// Find is the user or the role that an ARN names, itself or by a session; nil if there is none. It looks at all
// of them.
func (i *Identities) Find(arn string) *Principal {
	for p := range i.Principals.Values() {
		if p.ARN == arn {
			return p
		}
		session := (&iam.Role{Entity: iam.Entity{Account: p.Account, Name: p.Name}}).SessionARN("")
		if p.Type == policy.AssumedRole && strings.HasPrefix(arn, session) && arn != session {
			return p
		}
	}
	return nil
}
