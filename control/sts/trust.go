package sts

import (
	"context"
	"errors"
	"maps"

	"pergola/aws/iam"
	"pergola/control/authority"
	"pergola/control/operation"
	"pergola/store"
)

// mayAssume reports whether the role trusts the caller, and the caller's own policies let it assume the role, with an
// action such as "AssumeRole". The caller is told no reason, from which it could tell whether there is such a role.
func (c *Control) mayAssume(ctx context.Context, caller iam.Caller, role *iam.Role, action string, session *roleSession) (bool, error) {
	if role == nil {
		return false, nil
	}
	err := c.Store.View(ctx, func(tx *store.Tx) error {
		inquiry := c.Ask(ctx, tx, operation.Request{Caller: caller, Action: action})
		maps.Copy(inquiry.Keys, session.keys())
		for _, action := range session.actions("sts:" + action) {
			if err := inquiry.MayAssume(action, role); err != nil {
				return err
			}
		}
		return nil
	})
	var denied *authority.Denied
	if errors.As(err, &denied) {
		return false, nil
	}
	return err == nil, err
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

// keys are the condition keys of a request for a session (IAM user guide, "IAM and AWS STS condition context keys").
func (s *roleSession) keys() authority.Keys {
	k := authority.Keys{}
	maps.Copy(k, s.proof)
	k.Set("sts:RoleSessionName", s.name)
	k.Set("sts:SourceIdentity", s.sourceIdentity)
	k.Set("sts:TransitiveTagKeys", s.transitive...)
	k.SetTags(s.requested)
	return k
}
