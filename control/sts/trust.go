package sts

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"pergola/aws/iam"
	"pergola/aws/sts"
	"pergola/policy"
)

// trusts reports whether a role's trust policy allows a principal every one of some actions.
func trusts(role *iam.Role, principal policy.Principal, actions []string, conditions policy.Values) bool {
	document, err := policy.Parse([]byte(role.Trust), policy.Trust, 0)
	if err != nil {
		return false // an earlier release took what this one does not understand
	}
	trust := policy.Compile(document)
	return !slices.ContainsFunc(actions, func(action string) bool {
		request := &policy.Request{Principal: principal, Action: action, Resource: role.ARN(), Context: conditions}
		return trust.Evaluate(request).Effect != policy.Allow
	})
}

// actions are what the trust policy must allow, beside the action itself, for what the session carries (IAM user guide,
// "Pass session tags in AWS STS" and "Monitor and control actions taken with assumed roles").
func (s *roleSession) actions(action string) []string {
	actions := []string{action}
	if len(s.requested)+len(s.inherited) > 0 {
		actions = append(actions, "sts:TagSession")
	}
	if s.sourceIdentity != "" {
		actions = append(actions, "sts:SetSourceIdentity")
	}
	return actions
}

// conditions are the condition keys of a request for a session (IAM user guide, "AWS global condition context keys" and
// "IAM and AWS STS condition context keys").
func (s *roleSession) conditions(caller iam.Caller, in *sts.AssumeRoleRequest, now time.Time) policy.Values {
	v := s.commonConditions(now)
	set(v, "sts:ExternalId", in.ExternalID)
	for key, value := range caller.Tags {
		v[strings.ToLower("aws:PrincipalTag/"+key)] = []string{value}
	}
	if session := caller.Session; session != nil {
		set(v, "aws:TokenIssueTime", session.Issued.UTC().Format(time.RFC3339))
		set(v, "aws:MultiFactorAuthPresent", "false")
		set(v, "aws:SourceIdentity", session.SourceIdentity)
	}
	return v
}

// commonConditions are those that do not depend on who asks.
func (s *roleSession) commonConditions(now time.Time) policy.Values {
	v := policy.Values{}
	set(v, "aws:CurrentTime", now.UTC().Format(time.RFC3339))
	set(v, "aws:EpochTime", strconv.FormatInt(now.Unix(), 10))
	set(v, "sts:RoleSessionName", s.name)
	set(v, "sts:SourceIdentity", s.sourceIdentity)
	set(v, "sts:TransitiveTagKeys", s.transitive...)
	set(v, "aws:TagKeys", slices.Sorted(maps.Keys(s.requested))...)
	for key, value := range s.requested {
		v[strings.ToLower("aws:RequestTag/"+key)] = []string{value}
	}
	return v
}

// set gives a condition key its values. Without any, or with an empty one alone, the key is absent.
func set(v policy.Values, key string, values ...string) {
	if len(values) > 0 && values[0] != "" {
		v[strings.ToLower(key)] = values
	}
}
