// Package acm keeps the certificates of accounts, and the built-in authority that issues those that are requested and
// certifies the generated names of services. The rules about certificates are those of package certificate.
//
// Package api has already enforced the check tags of the requests before an operation here is called. Every change is
// one transaction that reads what it relies on: of a service that begins to use a certificate and a call that deletes
// it, one comes first. Private keys are sealed before they are written, and no operation returns one.
//
// # Choices where the documentation is silent
//
//   - What is requested is issued at once by the built-in authority: nobody is asked to prove that a name is theirs.
//     What a proof would ask for is described all the same, since tools wait for it.
//   - Only RSA keys are issued and imported: RSA_2048, which services take, and up to 4096 bits on import, which load
//     balancers take too.
//   - What was issued lasts 90 days and is renewed, with the same key, 30 days before its end, in use or not.
//   - A certificate that its owner imported once more serves from then on, whatever names it has now.
//   - There is no quota, no private authority, and no export of keys.
//   - An idempotency token counts for an hour, whatever else the second request says, and while its certificate exists.
package acm

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"time"

	"pergola/aws"
	"pergola/aws/acm"
	"pergola/aws/elbv2"
	"pergola/aws/iam"
	"pergola/control/authority"
	"pergola/lattice"
	"pergola/sealing"
	"pergola/store"
)

// Config is what the package needs from outside. Store, Region and Box are required.
type Config struct {
	Store  *store.Store
	Region string
	// Box seals private keys.
	Box *sealing.Box
	// Now tells the time; nil means time.Now.
	Now func() time.Time
	// Random is the source of ids, and must be safe for concurrent use; nil means crypto/rand. Keys never come from it.
	Random io.Reader
	// Logger hears of certificates that could not be renewed; nil is silent.
	Logger *slog.Logger
	// Quotas replaces the defaults of quotas by their codes, such as "L-F141DD1D".
	Quotas map[string]int
}

// Control carries out operations. Its methods may be called from any goroutine, and several processes may have one each
// on the same store.
type Control struct {
	store  *store.Store
	region string
	box    *sealing.Box
	now    func() time.Time
	random io.Reader
	log    *slog.Logger

	authority *authority.Authority
	quotas    aws.Quotas
}

// New makes the service. Certificates are renewed only while Renew runs, here or in another process.
func New(cfg Config) *Control {
	c := &Control{quotas: cfg.Quotas, store: cfg.Store, region: cfg.Region, box: cfg.Box, now: cfg.Now, random: cfg.Random,
		log: cfg.Logger}
	if c.now == nil {
		c.now = time.Now
	}
	if c.random == nil {
		c.random = rand.Reader
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.authority = authority.New(authority.Config{Service: "acm", Region: c.region, Now: c.now})
	return c
}

// The nouns, and the services and load balancers that use certificates, which are only read here.
var (
	certificateObjects = store.NewKind[acm.Certificate](acm.KindCertificate)
	authorityObjects   = store.NewKind[acm.Authority](acm.KindAuthority)
	serviceObjects     = store.NewKind[lattice.Service](lattice.KindService.Name)
	balancerObjects    = store.NewKind[elbv2.LoadBalancer](elbv2.KindLoadBalancer)
)

// call is one operation under way, in one transaction, with what it asks about the caller.
type call struct {
	*Control
	*store.Tx
	*authority.Inquiry
	account string
}

// update carries out an operation that writes. f may run more than once, and only its last run counts.
func update[R any](ctx context.Context, c *Control, caller iam.Caller, action string, f func(*call) (*R, error)) (*R, error) {
	answer, err := authority.Update(ctx, c.store, func(tx *store.Tx) *call { return c.call(tx, caller, action) }, f)
	return answer, explained(err)
}

// view carries out an operation that only reads.
func view[R any](ctx context.Context, c *Control, caller iam.Caller, action string, f func(*call) (*R, error)) (*R, error) {
	answer, err := authority.View(ctx, c.store, func(tx *store.Tx) *call { return c.call(tx, caller, action) }, f)
	return answer, explained(err)
}

func (c *Control) call(tx *store.Tx, caller iam.Caller, action string) *call {
	return &call{c, tx, c.authority.Ask(tx, caller, action), caller.Account}
}

// explained puts refusals, and outages of the store, into the words of the service.
func explained(err error) error {
	return authority.Explained(err, aws.Error{Code: "AccessDeniedException"}, aws.Error{Code: "InternalFailure", Status: 500})
}

// arn names a certificate of the caller's account.
func (op *call) arn(uuid string) string {
	return lattice.ARN{Service: "acm", Region: op.region, Account: op.account, Resource: acm.Resource(uuid)}.String()
}

// find reads the certificate that an operation is about, if the caller may perform it on that.
func (op *call) find(arn string) (*acm.Certificate, error) {
	id, ok := acm.ID(arn, op.region)
	if !ok {
		op.About(arn)
		return nil, aws.Errorf("InvalidArnException", "%q is not the ARN of a certificate in %s", arn, op.region)
	}
	if err := op.Owns(arn); err != nil {
		return nil, err
	}
	found, err := certificateObjects.Get(op.Tx, id)
	if errors.Is(err, store.ErrNotFound) {
		err = aws.Errorf("ResourceNotFoundException", "Could not find certificate %s", arn)
	}
	if err != nil {
		return nil, cmp.Or(op.May(arn, nil), err)
	}
	return &found, op.May(arn, found.Tags)
}

// put writes a certificate.
func (op *call) put(c *acm.Certificate) error {
	id, _ := acm.ID(c.ARN, op.region)
	return certificateObjects.Put(op.Tx, id, *c)
}

// done is the answer of operations that have nothing to tell.
func done(err error) (*lattice.Empty, error) { return &lattice.Empty{}, err }
