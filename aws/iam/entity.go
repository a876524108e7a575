package iam

import (
	"strings"

	"pergola/lattice"
)

// The kinds under which the store keeps the nouns. Access keys are kept by their ids, all others by ID.
const (
	KindUser            = "user"
	KindGroup           = "group"
	KindRole            = "role"
	KindPolicy          = "managedpolicy"
	KindInstanceProfile = "instanceprofile"
	KindProvider        = "oidcprovider"
	KindAccessKey       = "accesskey"
)

// ID is where the store keeps an entity. Names are unique in their account without regard to case, and are found so
// (IAM user guide, "IAM and AWS STS quotas").
func ID(account, name string) string { return account + "/" + strings.ToLower(name) }

// Entity is what all nouns have in common.
type Entity struct {
	Account string `json:"account"`
	Name    string `json:"name"`
	// Path begins and ends with a slash.
	Path string `json:"path"`
	// UniqueID is never used again: an entity that is deleted and made anew has another.
	UniqueID string            `json:"uniqueId"`
	Created  lattice.Time      `json:"created"`
	Tags     map[string]string `json:"tags,omitempty"`
}

func (e *Entity) arn(resourceType string) string {
	return lattice.ARN{Service: "iam", Account: e.Account, Resource: resourceType + e.Path + e.Name}.String()
}

// Permissions are the policies of a user, a group or a role.
type Permissions struct {
	// Inline are the documents of the inline policies by name.
	Inline map[string]string `json:"inline,omitempty"`
	// Attached are the ARNs of the managed policies, in the order in which they were attached.
	Attached []string `json:"attached,omitempty"`
	// Boundary is the ARN of the managed policy that bounds what the others allow, or "". Groups have none.
	Boundary string `json:"boundary,omitempty"`
}

// User is a principal with long-term keys.
type User struct {
	Entity
	Permissions
	// Groups are the names of the groups that the user is in, in order.
	Groups []string `json:"groups,omitempty"`
}

// ARN names the user.
func (u *User) ARN() string { return u.arn("user") }

// Group is a set of users that share policies.
type Group struct {
	Entity
	Permissions
}

// ARN names the group.
func (g *Group) ARN() string { return g.arn("group") }

// Role is a principal whose sessions others may assume, if its trust policy lets them.
type Role struct {
	Entity
	Permissions
	// Trust is the trust policy, a JSON document.
	Trust string `json:"trust"`
	// Trusted has, by their ARNs, the unique ids of the users and roles that the trust policy named when it was written.
	// Another that has come to have the ARN is not trusted.
	Trusted     map[string]string `json:"trusted,omitempty"`
	Description string            `json:"description,omitempty"`
	// MaxSession is the longest session, in seconds.
	MaxSession int32 `json:"maxSession"`
}

// ARN names the role.
func (r *Role) ARN() string { return r.arn("role") }

// SessionARN names a session of the role. It leaves the role's path out, as AWS does.
func (r *Role) SessionARN(session string) string {
	return lattice.ARN{Service: "sts", Account: r.Account, Resource: "assumed-role/" + r.Name + "/" + session}.String()
}

// InstanceProfile gives the instances that have it the sessions of a role.
type InstanceProfile struct {
	Entity
	// Role is the name of the role, or "".
	Role string `json:"role,omitempty"`
}

// ARN names the instance profile.
func (p *InstanceProfile) ARN() string { return p.arn("instance-profile") }

// Provider is an OpenID Connect issuer whose tokens may be exchanged for sessions of roles. Its name is the issuer's URL
// without the scheme, and its path a slash.
type Provider struct {
	Entity
	// URL is the issuer as its tokens name it.
	URL string `json:"url"`
	// ClientIDs are the audiences that tokens may be for.
	ClientIDs []string `json:"clientIds,omitempty"`
	// Thumbprints are the SHA-1 sums, in hexadecimal digits, of certificates that vouch for the issuer's where no public
	// authority does.
	Thumbprints []string `json:"thumbprints,omitempty"`
	// Keys is the issuer's JSON Web Key Set, if the operator gave it; then nothing is fetched. "" is for
	// all other issuers.
	Keys string `json:"keys,omitempty"`
}

// ARN names the provider.
func (p *Provider) ARN() string { return p.arn("oidc-provider") }

// ManagedPolicy is a policy with an ARN of its own, which users, groups and roles may share.
type ManagedPolicy struct {
	Entity
	Description string       `json:"description,omitempty"`
	Updated     lattice.Time `json:"updated"`
	// Versions are in the order in which they were made; DefaultVersion is the one in force.
	Versions       []PolicyVersion `json:"versions"`
	DefaultVersion string          `json:"defaultVersion"`
	// LastVersion is the highest number that a version has had.
	LastVersion int `json:"lastVersion"`
}

// PolicyVersion is one document of a managed policy.
type PolicyVersion struct {
	ID       string       `json:"id"`
	Document string       `json:"document"`
	Created  lattice.Time `json:"created"`
}

// ARN names the policy.
func (p *ManagedPolicy) ARN() string { return p.arn("policy") }

// Version finds a version of the policy by its id.
func (p *ManagedPolicy) Version(id string) (PolicyVersion, bool) {
	for _, version := range p.Versions {
		if version.ID == id {
			return version, true
		}
	}
	return PolicyVersion{}, false
}

// Document is the document in force.
func (p *ManagedPolicy) Document() string {
	version, _ := p.Version(p.DefaultVersion) // always there
	return version.Document
}
