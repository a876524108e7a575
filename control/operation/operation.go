// Package operation is the frame of every operation of the control plane: one transaction of the store, in which the
// operation asks whether its caller may, and does all of its reading and writing. So all that it has checked (the
// caller may, a name is free, a quota has room) is true of what it has written.
//
// A service is a type with a method for each operation. The methods belong to a call, which is made anew for each
// attempt of the transaction; internal/generate writes what others call.
package operation

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"strings"
	"time"

	"pergola/aws"
	"pergola/aws/iam"
	"pergola/control/authority"
	"pergola/control/ownership"
	"pergola/store"
)

// Config is what every service needs. Store is required, and Region by all but the services that AWS has once.
type Config struct {
	Store *store.Store
	// Region is part of ARNs and of generated names.
	Region string
	// Now tells the time; nil means time.Now.
	Now func() time.Time
	// Random is the source of ids and secrets, and must be safe for concurrent use; nil means crypto/rand.
	Random io.Reader
	// Quotas replaces the defaults of quotas by their codes, such as "L-F678F1CE".
	Quotas aws.Quotas
	// Logger hears of what fails beside the operations; nil is silent.
	Logger *slog.Logger
}

// Description is what tells one service from the others. O is an operation of the service under way.
type Description[O any] struct {
	// Name is the prefix of the service's actions, such as "ec2".
	Name string
	// Global says that AWS has the service once for all regions.
	Global bool
	// Begin makes an operation of a call. An error ends it before it has begun.
	Begin func(*Call) (O, error)
	// Explain puts an error into the words of the service. What it does not know, it returns as it is.
	Explain func(error) error
	// Complete brings the indexes of a store up to date that is older than they are.
	Complete []ownership.Step
}

// Service is one service, whose methods may be called from any goroutine. Several processes may have one each on the
// same store.
type Service[O any] struct {
	Config
	description Description[O]
	authority   *authority.Authority
	completed   ownership.Completion
}

// New makes a service.
func New[O any](cfg Config, d Description[O]) *Service[O] {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Random == nil {
		cfg.Random = rand.Reader
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	region := cfg.Region
	if d.Global {
		region = authority.GlobalRegion
	}
	return &Service[O]{Config: cfg, description: d,
		authority: authority.New(authority.Config{Service: d.Name, Region: region, Now: cfg.Now})}
}

// Call is one attempt of an operation: for whom, in which transaction, and what it asks about its caller.
type Call struct {
	Ctx context.Context
	*store.Tx
	*authority.Inquiry
	Caller  iam.Caller
	Account string     // the caller's
	Quotas  aws.Quotas // of the deployment
}

// Ask begins a call in a transaction.
func (s *Service[O]) Ask(ctx context.Context, tx *store.Tx, r Request) *Call {
	return &Call{ctx, tx, s.authority.Ask(tx, r.Caller, r.Action), r.Caller, r.Caller.Account, s.Quotas}
}

// RoomFor refuses more of something than a quota has room for. count tells how many an account has.
func (c *Call) RoomFor(q aws.Quota, count func(tx *store.Tx, account string) (int, error), more int) error {
	have, err := count(c.Tx, c.Account)
	if err != nil {
		return err
	}
	return c.Quotas.Room(q, have+more)
}

// Within is a call in a transaction that the system makes itself, for an account. It has nobody whose permission could
// be asked for, and cannot ask.
func Within(tx *store.Tx, account string) *Call { return &Call{Tx: tx, Account: account} }

// Explain puts an error into the words of the service, as Do does.
func (s *Service[O]) Explain(err error) error {
	if err == nil {
		return nil
	}
	return s.description.Explain(err)
}

// Prepare brings a store up to date that is older than the indexes of the service. It is done once, by the first
// operation at the latest.
func (s *Service[O]) Prepare(ctx context.Context) error {
	return s.completed.Ensure(ctx, s.Store, s.description.Complete...)
}

// Request is who asks for which action, such as "CreateVpc".
type Request struct {
	Caller iam.Caller
	Action string
}

// reads reports whether an action changes nothing, which its name tells.
func (r Request) reads() bool {
	for _, verb := range []string{"Get", "List", "Describe"} {
		if strings.HasPrefix(r.Action, verb) {
			return true
		}
	}
	return false
}

// Do carries out an operation in one transaction. do may run more than once, and only its last run counts; it leaves in
// as it is. There is no answer beside an error.
func Do[O, In, Out any](ctx context.Context, s *Service[O], r Request, do func(O, *In) (*Out, error),
	in *In) (*Out, error) {
	var answer *Out
	attempt := func(tx *store.Tx) error {
		call := s.Ask(ctx, tx, r)
		op, err := s.description.Begin(call)
		if err == nil {
			answer, err = do(op, in)
		}
		return call.Conclude(err)
	}
	err := s.Prepare(ctx)
	switch {
	case err != nil:
	case r.reads():
		err = s.Store.View(ctx, attempt)
	default:
		_, err = s.Store.Update(ctx, attempt)
	}
	if err != nil {
		return nil, s.Explain(err)
	}
	return answer, nil
}

// Silent makes an operation that has nothing to tell answer with what the service has for that, the zero Out.
func Silent[O, In, Out any](do func(O, *In) error) func(O, *In) (*Out, error) {
	return func(op O, in *In) (*Out, error) { return new(Out), do(op, in) }
}
