package control

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"pergola/control/operation"
	"pergola/lattice"
	"pergola/store"
)

// Names looks up TXT records: their texts, or an error if there are none.
type Names interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
}

// The waits between two looks for the record of a domain. They double from the shortest to the longest.
const (
	shortestLook = 5 * time.Second
	longestLook  = 15 * time.Minute
)

// verificationTime is how long a domain may remain without its record before its verification has timed out.
const verificationTime = 72 * time.Hour

// lookupTime is how long one look may take, and maxLookups how many are under way at once.
const (
	lookupTime = 10 * time.Second
	maxLookups = 8
)

// look is a domain whose record is looked for.
type look struct {
	lattice.DomainVerification
	next time.Time
	wait time.Duration
	busy bool
}

// looked is what came of a look.
type looked struct {
	id    string
	found bool
}

// Verify looks for the records of the domains that are to be verified, until ctx ends. Each is looked for at once, and
// then ever less often, for three days. It returns an error when the store is closed.
func (c *Control) Verify(ctx context.Context) error {
	running, end := context.WithCancelCause(ctx)
	batches := make(chan store.Batch)
	var following sync.WaitGroup
	defer following.Wait()
	defer end(nil)
	following.Go(func() {
		prefix := "object/" + lattice.KindDomainVerification.Name + "/"
		end(c.Store.Follow(running, prefix, func(batch store.Batch) error {
			select {
			case batches <- batch:
			case <-running.Done():
			}
			return nil
		}))
	})
	v := newVerifier(c.names, c.Config, c.writeLooked)
	v.run(running, batches)
	if ctx.Err() != nil {
		return nil
	}
	return context.Cause(running)
}

// verifier is Verify under way.
type verifier struct {
	operation.Config
	names   Names
	write   func(context.Context, looked) error
	pending map[string]*look // by id
	busy    int
	done    chan looked
}

func newVerifier(names Names, cfg operation.Config, write func(context.Context, looked) error) *verifier {
	return &verifier{Config: cfg, names: names, write: write, pending: map[string]*look{}, done: make(chan looked)}
}

func (v *verifier) run(ctx context.Context, batches <-chan store.Batch) {
	alarm := time.NewTimer(0)
	defer alarm.Stop()
	for {
		select {
		case batch := <-batches:
			v.note(batch)
		case result := <-v.done:
			v.busy--
			v.conclude(ctx, result)
		case <-alarm.C:
		case <-ctx.Done():
			for ; v.busy > 0; v.busy-- {
				<-v.done
			}
			return
		}
		alarm.Reset(v.lookAtDue(ctx))
	}
}

// note learns which domains are to be verified.
func (v *verifier) note(batch store.Batch) {
	if batch.Reset {
		clear(v.pending)
	}
	for _, change := range batch.Changes {
		id := lattice.IDOf(change.Key)
		var verification lattice.DomainVerification
		if change.Value != nil {
			if err := json.Unmarshal(change.Value, &verification); err != nil {
				v.Logger.Error("a domain verification cannot be read", "id", id, "error", err)
				continue
			}
		}
		known := v.pending[id]
		switch {
		case verification.Status != lattice.VerificationPending:
			delete(v.pending, id)
		case known == nil:
			v.pending[id] = &look{DomainVerification: verification, next: v.Now(), wait: shortestLook}
		default:
			known.DomainVerification = verification
		}
	}
}

// lookAtDue begins the looks that are due, as far as there is room, and returns the time until the next one is.
func (v *verifier) lookAtDue(ctx context.Context) time.Duration {
	wait := longestLook
	for id, l := range v.pending {
		due := l.next.Sub(v.Now())
		switch {
		case l.busy:
		case due > 0:
			wait = min(wait, due)
		case v.busy < maxLookups:
			l.busy = true
			v.busy++
			go v.look(ctx, id, l.DomainVerification)
		}
	}
	return wait
}

// look looks for the record of a domain.
func (v *verifier) look(ctx context.Context, id string, of lattice.DomainVerification) {
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	texts, err := v.names.LookupTXT(ctx, of.TxtMethodConfig.Name+"."+of.DomainName+".")
	if err != nil {
		v.Logger.Debug("the record of a domain was not found", "id", id, "domain", of.DomainName, "error", err)
	}
	v.done <- looked{id, slices.ContainsFunc(texts, func(text string) bool {
		return strings.TrimSpace(text) == of.TxtMethodConfig.Value
	})}
}

// conclude writes what came of a look, and sets the time of the next.
func (v *verifier) conclude(ctx context.Context, result looked) {
	l := v.pending[result.id]
	if l == nil {
		return // deleted meanwhile
	}
	l.busy = false
	l.next, l.wait = v.Now().Add(l.wait), min(2*l.wait, longestLook)
	timedOut := !v.Now().Before(l.CreatedAt.Add(verificationTime))
	if !result.found && !timedOut {
		if end := l.CreatedAt.Add(verificationTime); end.Before(l.next) {
			l.next = end
		}
		return
	}
	if err := v.write(ctx, result); err != nil && ctx.Err() == nil {
		v.Logger.Warn("what is known of a domain could not be written yet", "id", result.id, "error", err)
		return
	}
	delete(v.pending, result.id)
}

// writeLooked writes that a domain is verified, or that its time is over, unless somebody else has.
func (c *Control) writeLooked(ctx context.Context, result looked) error {
	_, err := c.Store.Update(ctx, func(tx *store.Tx) error {
		verification, err := domainVerifications.Objects.Get(tx, result.id)
		if errors.Is(err, store.ErrNotFound) || err == nil && verification.Status != lattice.VerificationPending {
			return nil
		}
		if err != nil {
			return err
		}
		verification.Status = lattice.VerificationTimedOut
		if result.found {
			verification.Status, verification.LastVerifiedTime = lattice.VerificationVerified, c.time()
		}
		return domainVerifications.Put(operation.Within(tx, ""), &verification)
	})
	return err
}
