package sts

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"pergola/aws"
	"pergola/aws/iam"
	"pergola/aws/sts"
	"pergola/control/authority"
	"pergola/lattice"
	"pergola/policy"
	"pergola/store"
)

// The limits of a session of a role (IAM user guide, "Methods to assume a role").
const (
	defaultRoleSession = time.Hour
	// maxChained bounds a session that a session of another role has assumed.
	maxChained    = time.Hour
	maxPolicyARNs = 10
)

// AssumeRole hands out a session of a role to a principal that the role's trust policy names. Its sessions do not
// outlive their tokens, and the role may be deleted meanwhile.
func (c *Control) AssumeRole(ctx context.Context, caller iam.Caller, in *sts.AssumeRoleRequest) (*sts.AssumeRoleResponse, error) {
	switch {
	case caller.Type == iam.TypeAccount:
		return nil, accessDenied("Roles may not be assumed by root accounts.")
	case in.SerialNumber != "" || in.TokenCode != "":
		return nil, accessDenied("MultiFactorAuthentication failed with invalid MFA one time pass code.")
	}
	session, err := newRoleSession(caller, in)
	if err != nil {
		return nil, err
	}
	role, err := c.role(ctx, &in.RoleSession)
	if err != nil {
		return nil, err
	}
	allowed, err := c.mayAssume(ctx, caller, role, "AssumeRole", session)
	if err != nil {
		return nil, err
	}
	if !allowed {
		return nil, accessDenied("User: %s is not authorized to perform: sts:AssumeRole on resource: %s", caller.ARN, in.RoleARN)
	}
	duration, err := sessionDuration(role, in.Seconds, caller.Type == iam.TypeAssumedRole)
	if err != nil {
		return nil, err
	}
	if err := c.policiesExist(ctx, role.Account, in.PolicyARNs); err != nil {
		return nil, err
	}
	principal := session.of(role)
	credentials, packed, err := c.issue(principal, duration)
	return &sts.AssumeRoleResponse{
		Credentials: credentials, AssumedRole: sts.AssumedRole{ID: principal.UserID, ARN: principal.ARN},
		PackedSize: packed, SourceIdentity: session.sourceIdentity,
	}, err
}

// role reads the role that a request names. It is nil if there is no such role, which callers must not be able to tell
// from one that does not trust them.
func (c *Control) role(ctx context.Context, in *sts.RoleSession) (role *iam.Role, err error) {
	arn, err := lattice.ParseARN(in.RoleARN)
	if err != nil || arn.Service != "iam" || !strings.HasPrefix(arn.Resource, "role/") {
		return nil, aws.Errorf("ValidationError", "%s is invalid", in.RoleARN)
	}
	err = c.view(ctx, func(tx *store.Tx) error {
		found, err := roles.Get(tx, iam.ID(arn.Account, lattice.IDOf(arn.Resource)))
		if err == nil && found.ARN() == in.RoleARN {
			role = &found
		}
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		return err
	})
	return role, err
}

// policiesExist checks that the managed policies exist that shall restrict a session.
func (c *Control) policiesExist(ctx context.Context, account string, descriptors []sts.PolicyDescriptor) error {
	return c.view(ctx, func(tx *store.Tx) error {
		for _, d := range descriptors {
			if _, ok := iam.AWSManagedPolicy(d.ARN); ok {
				continue
			}
			found, err := policies.Get(tx, iam.ID(account, lattice.IDOf(d.ARN)))
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
			if err != nil || found.ARN() != d.ARN {
				return aws.Errorf("ValidationError", "Policy %s does not exist in the account of the role", d.ARN)
			}
		}
		return nil
	})
}

// sessionDuration is how long a session of a role lasts.
func sessionDuration(role *iam.Role, seconds int32, chained bool) (time.Duration, error) {
	duration := time.Duration(seconds) * time.Second
	switch {
	case seconds == 0:
		return defaultRoleSession, nil
	case chained && duration > maxChained:
		return 0, aws.Errorf("ValidationError", "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining")
	case seconds > role.MaxSession:
		return 0, aws.Errorf("ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	}
	return duration, nil
}

// roleSession is a session of a role before it is known whether the role may be assumed.
type roleSession struct {
	name       string
	policy     string
	policyARNs []string
	// requested are the tags that the request gives, inherited those that the caller's session passes on.
	requested, inherited map[string]string
	transitive           []string
	sourceIdentity       string
	federation           string
	// proof are the condition keys of what the request proves itself with, such as an external id.
	proof authority.Keys
}

func newRoleSession(caller iam.Caller, in *sts.AssumeRoleRequest) (*roleSession, error) {
	s, err := restricted(&in.RoleSession)
	if err != nil {
		return nil, err
	}
	if err := s.addTags(in.Tags, in.TransitiveTags); err != nil {
		return nil, err
	}
	s.sourceIdentity = in.SourceIdentity
	s.proof.Set("sts:ExternalId", in.ExternalID)
	if caller.Session != nil {
		return s, s.inherit(&caller)
	}
	return s, nil
}

// restricted is a session with its session policies. Nothing that is too long is read.
func restricted(in *sts.RoleSession) (*roleSession, error) {
	if len(in.PolicyARNs) > maxPolicyARNs {
		return nil, aws.Errorf("ValidationError", "The value at 'policyArns' must have %d entries at most", maxPolicyARNs)
	}
	size := utf8.RuneCountInString(in.Policy)
	for _, d := range in.PolicyARNs {
		size += utf8.RuneCountInString(d.ARN)
	}
	if size > sts.MaxSessionPolicy {
		return nil, aws.Errorf("PackedPolicyTooLarge", "The session policies have %d characters together, and may have %d; "+
			"shorten them, or attach policies to the role", size, sts.MaxSessionPolicy)
	}
	s := &roleSession{name: in.Name, proof: authority.Keys{}}
	if in.Policy != "" {
		if _, err := policy.Parse([]byte(in.Policy), policy.Session, 0); err != nil {
			return nil, aws.Errorf("MalformedPolicyDocument", "%v", err)
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, []byte(in.Policy)); err != nil {
			return nil, aws.Errorf("MalformedPolicyDocument", "%v", err)
		}
		s.policy = compact.String()
	}
	for _, d := range in.PolicyARNs {
		s.policyARNs = append(s.policyARNs, d.ARN)
	}
	return s, nil
}

// addTags adds the session tags of the request. Keys that differ only in case are one key.
func (s *roleSession) addTags(tags []iam.Tag, transitive []string) error {
	s.requested = map[string]string{}
	for _, tag := range tags {
		if strings.HasPrefix(strings.ToLower(tag.Key), "aws:") {
			return aws.Errorf("InvalidParameterValue", "The tag key %s begins with aws:, which is reserved", tag.Key)
		}
		if _, ok := foldedKey(s.requested, tag.Key); ok {
			return aws.Errorf("InvalidParameterValue", "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		}
		s.requested[tag.Key] = tag.Value
	}
	for _, key := range transitive {
		own, ok := foldedKey(s.requested, key)
		if !ok {
			return aws.Errorf("InvalidParameterValue", "The specified transitive tag key must be included in the requested tags.")
		}
		s.transitive = append(s.transitive, own)
	}
	return nil
}

// inherit takes over what the caller's session passes on: its transitive tags, which the request cannot replace, and
// its source identity, which stays.
func (s *roleSession) inherit(caller *iam.Caller) error {
	s.inherited = map[string]string{}
	for _, key := range caller.Session.TransitiveTags {
		if _, ok := foldedKey(s.requested, key); ok {
			return aws.Errorf("InvalidParameterValue", "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session.")
		}
		s.inherited[key] = caller.Tags[key]
		s.transitive = append(s.transitive, key)
	}
	standing := caller.Session.SourceIdentity
	if standing != "" && s.sourceIdentity != "" && s.sourceIdentity != standing {
		return accessDenied("The source identity of a session is %s and cannot be changed", standing)
	}
	if standing != "" {
		s.sourceIdentity = standing
	}
	return nil
}

// foldedKey finds a key that differs at most in case.
func foldedKey(tags map[string]string, key string) (string, bool) {
	for own := range tags {
		if strings.EqualFold(own, key) {
			return own, true
		}
	}
	return "", false
}

// of is the principal of the session once its role is known. The session's tags hide those of the role.
func (s *roleSession) of(role *iam.Role) iam.Caller {
	tags := map[string]string{}
	for _, layer := range []map[string]string{role.Tags, s.inherited, s.requested} {
		for key, value := range layer {
			if hidden, ok := foldedKey(tags, key); ok {
				delete(tags, hidden)
			}
			tags[key] = value
		}
	}
	return iam.Caller{
		Account: role.Account, ARN: role.SessionARN(s.name), UserID: role.UniqueID + ":" + s.name, Type: iam.TypeAssumedRole,
		RoleARN: role.ARN(), Tags: tags,
		Session: &iam.Session{
			Name: s.name, TransitiveTags: s.transitive, Policy: s.policy, PolicyARNs: s.policyARNs,
			SourceIdentity: s.sourceIdentity, Federation: s.federation,
		},
	}
}
