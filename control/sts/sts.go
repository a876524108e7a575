// Package sts is the security token service: it tells callers who they are, and hands out temporary credentials. It
// reads roles and providers from the store and writes nothing: a session is sealed into its token.
//
// Package api has already enforced the check tags of the requests before an operation here is called.
package sts

import (
	"context"
	"crypto/x509"
	"errors"
	"net/http"
	"strings"
	"time"

	"pergola/aws"
	"pergola/aws/iam"
	"pergola/aws/sts"
	"pergola/control/authority"
	"pergola/control/operation"
	"pergola/sealing"
	"pergola/store"
)

//go:generate go run pergola/internal/generate operations ../../aws/sts/model.json

// Config is what the package needs from outside. Its region is what policies may ask for; "" is none.
type Config struct {
	operation.Config
	// Box seals sessions. It is required.
	Box *sealing.Box
	// Roots are the authorities that certify OpenID Connect issuers; nil means those of the system.
	Roots *x509.CertPool
	// AllowLocalIssuers lets the keys of issuers be fetched from this host and from private networks, which anybody who
	// reaches the API can cause. By default they are not.
	AllowLocalIssuers bool
}

// Control carries out operations. Its methods may be called from any goroutine.
type Control struct {
	*operation.Service[*call]
	box     *sealing.Box
	issuers *issuers
}

// New makes the service.
func New(cfg Config) *Control {
	c := &Control{box: cfg.Box}
	c.Service = operation.New(cfg.Config, operation.Description[*call]{
		Name:    "sts",
		Begin:   func(of *operation.Call) (*call, error) { return &call{of, c}, nil },
		Explain: explain,
	})
	fetching := fetcher{roots: cfg.Roots, allowInternal: cfg.AllowLocalIssuers}
	c.issuers = newIssuers(fetching, c.Now, c.Logger)
	return c
}

// call is one operation under way.
type call struct {
	*operation.Call
	*Control
}

// The nouns that this package reads.
var (
	roles      = store.NewKind[iam.Role](iam.KindRole)
	providers  = store.NewKind[iam.Provider](iam.KindProvider)
	policies   = store.NewKind[iam.ManagedPolicy](iam.KindPolicy)
	accessKeys = store.NewKind[iam.AccessKey](iam.KindAccessKey)
)

// view reads the store.
func (c *Control) view(ctx context.Context, f func(*store.Tx) error) error {
	return c.Explain(c.Store.View(ctx, f))
}

// explain puts refusals, and outages of the store, into the words of the service.
func explain(err error) error {
	return authority.Explained(err, aws.Error{Code: "AccessDenied", Status: http.StatusForbidden},
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
func (op *call) GetAccessKeyInfo(in *sts.GetAccessKeyInfoRequest) (*sts.GetAccessKeyInfoResponse, error) {
	if err := op.May("*", nil); err != nil {
		return nil, err
	}
	account, err := accountOf(op.Tx, in.ID)
	return &sts.GetAccessKeyInfoResponse{Account: account}, err
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
	caller.Session.Issued = c.Now().UTC().Truncate(time.Second)
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
