package sts

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"pergola/aws"
	"pergola/aws/iam"
	"pergola/aws/sts"
	"pergola/lattice"
	"pergola/store"
)

// maxSkew is how far the clock of an issuer may be ahead.
const maxSkew = 5 * time.Minute

// AssumeRoleWithWebIdentity hands out a session of a role to whom an OpenID Connect issuer vouches for. The role's
// account must have registered the issuer, and its trust policy must allow the provider. Nobody signs this request: the
// token is the proof. It is verified as a JSON Web Token (RFC 7519) with the keys that the issuer publishes.
func (c *Control) AssumeRoleWithWebIdentity(ctx context.Context, caller iam.Caller, in *sts.AssumeRoleWithWebIdentityRequest) (*sts.AssumeRoleWithWebIdentityResponse, error) {
	if in.Provider != "" {
		return nil, aws.Errorf("ValidationError", "ProviderId is for OAuth 2.0 access tokens; leave it out with an OpenID Connect token")
	}
	if utf8.RuneCountInString(in.Policy) > sts.MaxSessionPolicy {
		return nil, aws.Errorf("ValidationError", "1 validation error detected: Value at 'policy' failed to satisfy "+
			"constraint: Member must have length less than or equal to %d", sts.MaxSessionPolicy)
	}
	session, err := restricted(&in.RoleSession)
	if err != nil {
		return nil, err
	}
	token, err := parseToken(in.Token)
	if err != nil {
		return nil, aws.Errorf("InvalidIdentityToken", "The web identity token is malformed: %v", err)
	}
	provider, err := c.provider(ctx, lattice.AccountOf(in.RoleARN), token.issuer)
	if err != nil {
		return nil, err
	}
	if err := session.adopt(provider, token); err != nil {
		return nil, err
	}
	vouched := iam.Caller{Type: iam.TypeFederated, ARN: provider.ARN(), Origin: caller.Origin}
	// Before the issuer is asked for its keys, whose token it says this is must be let in: so nobody has it asked for
	// nothing. Afterwards the question is put again, since the answer may have taken a while.
	if _, err := c.roleFor(ctx, vouched, in, session); err != nil {
		return nil, err
	}
	if err := c.verify(ctx, provider, token); err != nil {
		return nil, err
	}
	role, err := c.roleFor(ctx, vouched, in, session)
	if err != nil {
		return nil, err
	}
	duration, err := sessionDuration(role, in.Seconds, false)
	if err != nil {
		return nil, err
	}
	if err := c.policiesExist(ctx, role.Account, in.PolicyARNs); err != nil {
		return nil, err
	}
	assumed := session.of(role)
	credentials, packed, err := c.issue(assumed, duration)
	return &sts.AssumeRoleWithWebIdentityResponse{
		Credentials: credentials, AssumedRole: sts.AssumedRole{ID: assumed.UserID, ARN: assumed.ARN}, PackedSize: packed,
		Subject: token.subject, Provider: provider.ARN(), Audience: token.audience(), SourceIdentity: session.sourceIdentity,
	}, err
}

// roleFor is the role that a request names, if it lets in whom the issuer vouches for. The same is said of one that
// does not exist.
func (c *Control) roleFor(ctx context.Context, vouched iam.Caller, in *sts.AssumeRoleWithWebIdentityRequest,
	session *roleSession) (*iam.Role, error) {
	role, err := c.role(ctx, &in.RoleSession)
	if err != nil {
		return nil, err
	}
	allowed, err := c.mayAssume(ctx, vouched, role, "AssumeRoleWithWebIdentity", session)
	if err == nil && !allowed {
		err = accessDenied("Not authorized to perform sts:AssumeRoleWithWebIdentity")
	}
	return role, err
}

// verify checks that a token is the issuer's, for one of its audiences, and valid at present.
func (c *Control) verify(ctx context.Context, provider *iam.Provider, t *webToken) error {
	key, err := c.issuers.key(ctx, provider, t.keyID, t.algorithm)
	switch {
	case errors.Is(err, errNoKey):
		return aws.Errorf("InvalidIdentityToken", "Couldn't retrieve verification key from your identity provider: %v", err)
	case err != nil:
		return aws.Errorf("IDPCommunicationError",
			"Couldn't retrieve verification key from your identity provider: %v; try again", errNoReply)
	}
	now := c.Now()
	switch {
	case !key.Verify(t.signed, t.signature):
		return aws.Errorf("InvalidIdentityToken", "The ID Token provided is not a valid JWT. Its signature does not fit.")
	case !now.Before(t.expires):
		return aws.Errorf("ExpiredTokenException",
			"Token expired: current date/time %d must be before the expiration date/time %d", now.Unix(), t.expires.Unix())
	case now.Add(maxSkew).Before(t.notBefore):
		return aws.Errorf("InvalidIdentityToken", "The web identity token is not good yet")
	case !slices.ContainsFunc(t.audiences, func(a string) bool { return slices.Contains(provider.ClientIDs, a) }):
		return aws.Errorf("InvalidIdentityToken", "Incorrect token audience")
	}
	return nil
}

// provider finds the provider that an account has registered for an issuer.
func (c *Control) provider(ctx context.Context, account, issuer string) (*iam.Provider, error) {
	var provider iam.Provider
	_, name, _ := strings.Cut(issuer, "://")
	err := c.view(ctx, func(tx *store.Tx) (err error) {
		provider, err = providers.Get(tx, iam.ID(account, name))
		return err
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	if err != nil || provider.URL != issuer {
		return nil, aws.Errorf("InvalidIdentityToken", "No OpenIDConnect provider found in your account for %s", issuer)
	}
	return &provider, nil
}

// adopt takes over what the issuer says about the session: its tags and its source identity. What it says about the
// subject are condition keys that begin with the issuer's name (IAM user guide, "Available keys for AWS web identity
// federation").
func (s *roleSession) adopt(provider *iam.Provider, t *webToken) error {
	s.federation, s.sourceIdentity = provider.ARN(), t.sourceIdentity
	s.proof.Set(provider.Name+":aud", t.audience())
	s.proof.Set(provider.Name+":sub", t.subject)
	s.proof.Set(provider.Name+":amr", t.methods...)
	s.proof.Set("aws:FederatedProvider", provider.ARN())
	return s.addTags(t.tags, t.transitiveTags)
}
