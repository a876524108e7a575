// Package sts is the security token service: it tells callers who they are, and hands out temporary credentials. It
// reads roles and providers from the store and writes nothing: a session is sealed into its token.
//
// Package api has already enforced the check tags of the requests before an operation here is called.
package sts

import (
	"context"
	"errors"
	"net/http"
	"time"

	"pergola/aws"
	"pergola/aws/iam"
	"pergola/aws/sts"
	"pergola/sealing"
	"pergola/store"
)

// Config is what the package needs from outside. Store and Box are required.
type Config struct {
	Store *store.Store
	// Box seals sessions.
	Box *sealing.Box
	// Now tells the time; nil means time.Now.
	Now func() time.Time
	// Client fetches the keys of OpenID Connect issuers; nil means one of the standard library. In either case a fetch
	// has ten seconds and follows no redirects.
	Client *http.Client
}

// Control carries out operations. Its methods may be called from any goroutine.
type Control struct {
	store   *store.Store
	box     *sealing.Box
	now     func() time.Time
	issuers *issuers
}

// New makes the service.
func New(cfg Config) *Control {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Control{store: cfg.Store, box: cfg.Box, now: cfg.Now, issuers: newIssuers(cfg.Client, cfg.Now)}
}

// The nouns that this package reads.
var (
	roles      = store.NewKind[iam.Role](iam.KindRole)
	providers  = store.NewKind[iam.Provider](iam.KindProvider)
	policies   = store.NewKind[iam.ManagedPolicy](iam.KindPolicy)
	accessKeys = store.NewKind[iam.AccessKey](iam.KindAccessKey)
)

// view reads the store, and puts an outage of it into words that clients try again for.
func (c *Control) view(ctx context.Context, f func(*store.Tx) error) error {
	err := c.store.View(ctx, f)
	if errors.Is(err, store.ErrUnavailable) {
		return &aws.Error{Code: "ServiceUnavailable", Message: "The store does not answer; try again", Status: http.StatusServiceUnavailable}
	}
	return err
}

// accessDenied is the error of callers that may not do what they ask for.
func accessDenied(format string, args ...any) error {
	err := aws.Errorf("AccessDenied", format, args...)
	err.Status = http.StatusForbidden
	return err
}

// GetCallerIdentity tells a caller who it is. Nobody is refused this.
func (*Control) GetCallerIdentity(_ context.Context, caller iam.Caller, _ *sts.GetCallerIdentityRequest) (*sts.GetCallerIdentityResponse, error) {
	return &sts.GetCallerIdentityResponse{Account: caller.Account, ARN: caller.ARN, UserID: caller.UserID}, nil
}

// GetAccessKeyInfo tells the account of an access key. A long-term key must exist; that of a session tells its account
// itself, and nothing more is known of it here.
func (c *Control) GetAccessKeyInfo(ctx context.Context, _ iam.Caller, in *sts.GetAccessKeyInfoRequest) (*sts.GetAccessKeyInfoResponse, error) {
	account, ok := iam.AccountOfKey(in.ID)
	if !ok {
		return nil, aws.Errorf("ValidationError", "Invalid access key: %s", in.ID)
	}
	if in.ID[:len(iam.PrefixAccessKey)] == iam.PrefixAccessKey {
		err := c.view(ctx, func(tx *store.Tx) error {
			_, err := accessKeys.Get(tx, in.ID)
			return err
		})
		if errors.Is(err, store.ErrNotFound) {
			return nil, aws.Errorf("ValidationError", "Invalid access key: %s", in.ID)
		}
		if err != nil {
			return nil, err
		}
	}
	return &sts.GetAccessKeyInfoResponse{Account: account}, nil
}

// defaultUserSession is how long the session of a user lasts unless the request says otherwise.
const defaultUserSession = 12 * time.Hour

// GetSessionToken hands a user a session of its own. There are no MFA devices, so no code of one is right.
func (c *Control) GetSessionToken(_ context.Context, caller iam.Caller, in *sts.GetSessionTokenRequest) (*sts.GetSessionTokenResponse, error) {
	switch {
	case caller.Session != nil:
		return nil, accessDenied("Cannot call GetSessionToken with session credentials")
	case in.SerialNumber != "" || in.TokenCode != "":
		return nil, accessDenied("MultiFactorAuthentication failed with invalid MFA one time pass code.")
	}
	duration := defaultUserSession
	if in.Seconds != 0 {
		duration = time.Duration(in.Seconds) * time.Second
	}
	caller.Session = &iam.Session{}
	credentials, _, err := c.issue(caller, duration)
	return &sts.GetSessionTokenResponse{Credentials: credentials}, err
}

// issue seals a session that begins now. packed is how much of the room in a token it takes, in percent.
func (c *Control) issue(caller iam.Caller, duration time.Duration) (credentials sts.Credentials, packed int, err error) {
	caller.Session.Issued = c.now().UTC().Truncate(time.Second)
	caller.Session.Expires = caller.Session.Issued.Add(duration)
	sealed, err := c.box.SealSession(caller)
	if errors.Is(err, sealing.ErrTooLarge) {
		return sts.Credentials{}, 0, aws.Errorf("PackedPolicyTooLarge", "The session policies and tags do not fit into a session token: %v", err)
	}
	return sts.Credentials{
		AccessKeyID: sealed.AccessKeyID, Secret: sealed.Secret, Token: sealed.Token,
		Expires: aws.Instant{Time: caller.Session.Expires},
	}, len(sealed.Token) * 100 / sealing.MaxToken, err
}
