package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// PrincipalType is what kind of caller a principal is.
type PrincipalType uint8

const (
	// Anonymous sent no signature. It is the zero value.
	Anonymous PrincipalType = iota
	// Root is an account's root user.
	Root
	// User is an IAM user.
	User
	// AssumedRole is a session of a role.
	AssumedRole
	// FederatedUser is a session that GetFederationToken made.
	FederatedUser
	// Service is a service that calls in its own name.
	Service
	// Federated is somebody whom an identity provider vouches for, on the way to assume a role.
	Federated
)

// hasIdentity reports whether the principal belongs to an account, and so has policies of its own side.
func (t PrincipalType) hasIdentity() bool { return t >= Root && t <= FederatedUser }

// Principal is who makes a request. These condition keys follow from it and are never asked of a Context:
// aws:PrincipalArn, aws:PrincipalAccount, aws:PrincipalType, aws:PrincipalIsAWSService, aws:userid and aws:username.
type Principal struct {
	// Type says which of the other fields have a meaning.
	Type PrincipalType
	// Account is the id of the account that it belongs to; empty for Anonymous, Service and Federated.
	Account string
	// ARN names it in messages and in a Principal element: the user's, the root's or the session's ARN; for Service
	// its name, such as "ecs.amazonaws.com"; for Federated the provider's ARN or host name.
	ARN string
	// RoleARN is the ARN, with its path, of the role that an AssumedRole is a session of.
	RoleARN string
	// ID is the value of aws:userid; empty when there is none.
	ID string
	// CanonicalID is the canonical user id of its account; empty when it has none.
	CanonicalID string
	// Boundary is the permissions boundary that is attached to it, or nil.
	Boundary *Policy
}

// String is the principal as messages name it.
func (p *Principal) String() string {
	if p.Type == Anonymous {
		return "anonymous"
	}
	return p.ARN
}

// names are the texts by which a Principal element can mean the principal itself.
func (p *Principal) names() []string {
	if p.Type == AssumedRole {
		return []string{p.ARN, p.RoleARN}
	}
	return []string{p.String()}
}

// principalKey is a condition key that follows from the principal; 0 is any other.
type principalKey uint8

const (
	keyPrincipalARN principalKey = iota + 1
	keyPrincipalAccount
	keyPrincipalType
	keyPrincipalIsAWSService
	keyUserID
	keyUsername
)

// principalKeys holds their names, in the order of the constants.
var principalKeys = [...]string{"aws:principalarn", "aws:principalaccount", "aws:principaltype",
	"aws:principalisawsservice", "aws:userid", "aws:username"}

// principalTypes holds the values of aws:PrincipalType (IAM user guide, Variables, Principal key values).
var principalTypes = [...]string{"Anonymous", "Account", "User", "AssumedRole", "FederatedUser", "", ""}

// value answers a key of the principal. All of them have one value at most, and none of them is empty.
func (p *Principal) value(key principalKey, i int) (value string, ok bool) {
	if i > 0 {
		return "", false
	}
	switch key {
	case keyPrincipalARN:
		value = p.identityARN()
	case keyPrincipalAccount:
		value = p.Account
	case keyPrincipalType:
		value = principalTypes[p.Type]
	case keyPrincipalIsAWSService:
		value = p.isService()
	case keyUserID:
		value = p.ID
	case keyUsername:
		value = p.username()
	}
	return value, value != ""
}

// identityARN is the value of aws:PrincipalArn: for a session of a role it is the role, so that one condition covers
// all its sessions (IAM user guide, Global condition keys).
func (p *Principal) identityARN() string {
	switch {
	case p.Type == AssumedRole:
		return p.RoleARN
	case p.Type.hasIdentity():
		return p.ARN
	}
	return ""
}

// isService is the value of aws:PrincipalIsAWSService, which every signed request has.
func (p *Principal) isService() string {
	switch {
	case p.Type == Service:
		return "true"
	case p.Type.hasIdentity():
		return "false"
	}
	return ""
}

// username is the value of aws:username, which users alone have: the last part of the ARN, after the path.
func (p *Principal) username() string {
	if p.Type != User {
		return ""
	}
	return p.ARN[strings.LastIndexByte(p.ARN, '/')+1:]
}

// principalSet is a Principal or NotPrincipal element.
type principalSet struct {
	not       bool
	everyone  bool     // "*"
	anyAWS    bool     // {"AWS": "*"}
	accounts  []string // 12 digits
	arns      []string // users, roles and sessions
	ids       []string // unique ids of users and roles
	services  []string
	federated []string
	canonical []string
	written   []string // all of them, for explanations
}

// covers reports whether the statement is about p.
func (s *principalSet) covers(p *Principal) bool {
	if s.not {
		return !s.exempts(p)
	}
	return s.everyone || s.names(p) || p.Type.hasIdentity() && slices.Contains(s.accounts, p.Account)
}

// names reports whether p itself is listed. An account in the list names all that is in it, which covers adds.
func (s *principalSet) names(p *Principal) bool {
	switch p.Type {
	case Anonymous:
		return s.anyAWS // for those who did not sign, {"AWS": "*"} is as good as "*" (IAM user guide, Principal)
	case Service:
		return slices.Contains(s.services, p.ARN)
	case Federated:
		return slices.Contains(s.federated, p.ARN)
	case AssumedRole:
		// A role in the list stands for all its sessions; a session's ARN for itself alone.
		if slices.Contains(s.arns, p.RoleARN) {
			return true
		}
	}
	id, _, _ := strings.Cut(p.ID, ":") // that of a session begins with its role's
	return s.anyAWS || slices.Contains(s.arns, p.ARN) || slices.Contains(s.ids, id) || slices.Contains(s.canonical, p.CanonicalID)
}

// exempts reports whether NotPrincipal spares p. A principal with a permissions boundary is never spared. Somebody of
// an account is spared when both the account and they are listed; the account alone spares its root user only (IAM user
// guide, NotPrincipal, Key points).
func (s *principalSet) exempts(p *Principal) bool {
	switch {
	case p.Boundary != nil:
		return false
	case !p.Type.hasIdentity():
		return s.names(p)
	}
	return slices.Contains(s.accounts, p.Account) && (p.Type == Root || s.names(p))
}

// add puts one principal into the set. kind is the key above it: AWS, Service, Federated or CanonicalUser.
func (s *principalSet) add(kind, value string) error {
	s.written = append(s.written, kind+" "+value)
	switch {
	case kind == "AWS":
		return s.addAWS(value)
	case value == "" || strings.ContainsAny(value, "*? "):
		return fmt.Errorf("%q names no %s principal; wildcards stand only in \"*\" and {\"AWS\": \"*\"}", value, kind)
	case kind == "Service":
		s.services = append(s.services, value)
	case kind == "Federated":
		s.federated = append(s.federated, value)
	default:
		s.canonical = append(s.canonical, value)
	}
	return nil
}

func (s *principalSet) addAWS(value string) error {
	if value == "*" {
		s.anyAWS = true
		return nil
	}
	if isAccount(value) {
		s.accounts = append(s.accounts, value)
		return nil
	}
	account, name, err := splitPrincipal(value)
	switch {
	case err != nil:
		return err
	case name == "root":
		s.accounts = append(s.accounts, account)
	default:
		s.arns = append(s.arns, value)
	}
	return nil
}

// splitPrincipal checks the ARN of a principal, and returns its account and its resource part.
func splitPrincipal(value string) (account, name string, err error) {
	if strings.ContainsAny(value, "*?") {
		return "", "", fmt.Errorf("%q has a wildcard, which cannot stand for a part of a principal; "+
			"use \"*\" with a condition ArnLike on aws:PrincipalArn", value)
	}
	parts := strings.SplitN(value, ":", 6)
	if len(parts) < 6 || parts[0] != "arn" || parts[1] == "" || parts[3] != "" || !isAccount(parts[4]) {
		return "", "", fmt.Errorf("%q is no principal; give an account id of 12 digits, or the ARN of an account's root, "+
			"a user, a role or a session", value)
	}
	account, name = parts[4], parts[5]
	form, rest, _ := strings.Cut(name, "/")
	switch parts[2] + " " + form {
	case "iam user", "iam role", "sts federated-user":
		if rest != "" && !strings.HasSuffix(rest, "/") {
			return account, name, nil
		}
	case "sts assumed-role":
		if role, session, ok := strings.Cut(rest, "/"); ok && role != "" && session != "" {
			return account, name, nil
		}
	case "iam root":
		if name == "root" {
			return account, name, nil
		}
	case "iam group":
		return "", "", errors.New("a group cannot be a principal; name its users or a role")
	}
	return "", "", fmt.Errorf("%q is not the ARN of an account's root, a user, a role or a session", value)
}

// isAccount reports whether s is an account id: 12 digits.
func isAccount(s string) bool {
	return len(s) == 12 && strings.Trim(s, "0123456789") == ""
}
