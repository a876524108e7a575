// Package sts is the security token service: it tells callers who they are, and hands out temporary credentials. It
// reads roles and providers from the store and writes nothing: a session is sealed into its token.
//
// Package api has already enforced the check tags of the requests before an operation here is called.
package sts

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"pergola/aws"
	"pergola/aws/iam"
	"pergola/aws/sts"
	"pergola/control/authority"
	"pergola/sealing"
	"pergola/store"
)

// Config is what the package needs from outside. Store and Box are required.
type Config struct {
	Store *store.Store
	// Region is the region of the service, which policies may ask for; "" is none.
	Region string
	// Box seals sessions.
	Box *sealing.Box
	// Now tells the time; nil means time.Now.
	Now func() time.Time
	// Roots are the authorities that certify OpenID Connect issuers; nil means those of the system.
	Roots *x509.CertPool
	// AllowLocalIssuers lets the keys of issuers be fetched from this host and from private networks, which anybody who
	// reaches the API can cause. By default they are not.
	AllowLocalIssuers bool
	// Logger hears why an issuer's keys could not be fetched, which callers are not told; nil is silent.
	Logger *slog.Logger
}

// Control carries out operations. Its methods may be called from any goroutine.
type Control struct {
	store   *store.Store
	box     *sealing.Box
	now     func() time.Time
	issuers *issuers

	authority *authority.Authority
}

// New makes the service.
func New(cfg Config) *Control {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	fetching := fetcher{roots: cfg.Roots, allowInternal: cfg.AllowLocalIssuers}
	return &Control{
		store: cfg.Store, box: cfg.Box, now: cfg.Now, issuers: newIssuers(fetching, cfg.Now, cfg.Logger),
		authority: authority.New(authority.Config{Service: "sts", Region: cfg.Region, Now: cfg.Now}),
	}
}

// The nouns that this package reads.
var (
	roles      = store.NewKind[iam.Role](iam.KindRole)
	providers  = store.NewKind[iam.Provider](iam.KindProvider)
	policies   = store.NewKind[iam.ManagedPolicy](iam.KindPolicy)
	accessKeys = store.NewKind[iam.AccessKey](iam.KindAccessKey)
)

// view reads the store, and puts refusals, and outages of the store, into the words of the service.
func (c *Control) view(ctx context.Context, f func(*store.Tx) error) error {
	return authority.Explained(c.store.View(ctx, f), aws.Error{Code: "AccessDenied", Status: http.StatusForbidden},
		aws.Error{Code: "ServiceUnavailable", Status: http.StatusServiceUnavailable})
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
func (c *Control) GetAccessKeyInfo(ctx context.Context, caller iam.Caller, in *sts.GetAccessKeyInfoRequest) (answer *sts.GetAccessKeyInfoResponse, err error) {
	err = c.view(ctx, func(tx *store.Tx) error {
		account, err := accountOf(tx, in.ID)
		answer = &sts.GetAccessKeyInfoResponse{Account: account}
		return c.authority.Ask(tx, caller, "GetAccessKeyInfo").Conclude(err)
	})
	return answer, err
}

func accountOf(tx *store.Tx, key string) (string, error) {
	account, ok := iam.AccountOfKey(key)
	if ok && strings.HasPrefix(key, iam.PrefixAccessKey) {
		_, err := accessKeys.Get(tx, key)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return "", err
		}
		ok = err == nil
	}
	if !ok {
		return "", aws.Errorf("ValidationError", "Invalid access key: %s", key)
	}
	return account, nil
}

// defaultUserSession is how long the session of a user lasts unless the request says otherwise.
const defaultUserSession = 12 * time.Hour

// GetSessionToken hands a user a session of its own, for which it needs no permission. There are no MFA devices, so no code of one is right.
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
