// Package iam holds the nouns of identity: users, groups and roles with their policies, the keys that prove who calls,
// and the caller that they prove. Requests and responses are as large as their users need, of API version 2010-05-08.
package iam

import (
	"net/netip"
	"time"
)

// PrincipalType is what sort of principal calls. But for TypeFederated, its values are those of the condition key
// aws:PrincipalType.
type PrincipalType string

// The types of principal.
const (
	TypeAccount     PrincipalType = "Account"
	TypeUser        PrincipalType = "User"
	TypeAssumedRole PrincipalType = "AssumedRole"

	// TypeFederated is that of somebody whom an identity provider vouches for, on the way to a session. The ARN is the
	// provider's; policies see no aws:PrincipalType.
	TypeFederated PrincipalType = "Federated"
)

// Caller is an authenticated principal: all that authorisation may ask about it.
type Caller struct {
	// Account is the 12-digit id of the account that the principal belongs to.
	Account string
	// ARN names the principal, such as arn:aws:iam::100000000001:user/admin, or for a session of a role
	// arn:aws:sts::100000000001:assumed-role/ROLE/SESSION, which leaves out the role's path.
	ARN string
	// UserID is the principal's unique id: AIDA… of a user, AROA…:SESSION of a session of a role.
	UserID string
	Type   PrincipalType
	// RoleARN is the ARN of the role, with its path, whose session this is; "" for all but assumed roles.
	RoleARN string
	// Tags are the principal's tags by key. Those of a session are the role's, overlaid by the session's own.
	Tags map[string]string
	// Session is nil for a caller with a long-term key.
	Session *Session
	// Origin is how this one request of the caller came. It is no part of a session.
	Origin Origin
}

// Origin is how a request reached the control plane.
type Origin struct {
	// Address is the client's; the zero value where there is no request, as in a session that is sealed.
	Address netip.Addr
	// VPC is the VPC that Address is in; "" for a client that is in none.
	VPC string
	// Secure says that the request came over TLS.
	Secure bool
	// UserAgent is what the client says that it is; "" if it does not say.
	UserAgent string
}

// PrincipalARN is the value of the condition key aws:PrincipalArn: the role's ARN for a session of a role, the
// principal's own for all others.
func (c *Caller) PrincipalARN() string {
	if c.RoleARN != "" {
		return c.RoleARN
	}
	return c.ARN
}

// Session is what temporary credentials say beyond who holds them.
type Session struct {
	// Name is the role session name; "" for the session of a user.
	Name string
	// TransitiveTags are the keys of the tags that also hold in the sessions of roles that this session assumes.
	TransitiveTags []string
	// Policy is the session policy, a JSON document, and PolicyARNs are managed policies for the same use: what the
	// session may do must be allowed by these too. Both may be empty, and then restrict nothing.
	Policy     string
	PolicyARNs []string
	// SourceIdentity is who stands behind the session; it stays in all sessions of roles assumed from here.
	SourceIdentity string
	// Federation is the identity provider's ARN, where a web identity was the way in, and "" elsewhere.
	Federation string
	// Issued and Expires bound the session. They have whole seconds.
	Issued, Expires time.Time
}
