// Package sts is the security token service: it tells callers who they are.
package sts

import (
	"context"

	"pergola/aws/iam"
	"pergola/aws/sts"
)

// Control is the service. It keeps nothing.
type Control struct{}

// New makes the service.
func New() *Control { return &Control{} }

// GetCallerIdentity tells a caller who it is. Nobody is refused this.
func (*Control) GetCallerIdentity(_ context.Context, caller iam.Caller, _ *sts.GetCallerIdentityRequest) (*sts.GetCallerIdentityResponse, error) {
	return &sts.GetCallerIdentityResponse{Account: caller.Account, ARN: caller.ARN, UserID: caller.UserID}, nil
}
