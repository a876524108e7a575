package sts

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"pergola/aws/iam"
	"pergola/containment"
)

// The bounds of what is fetched from issuers, and how often. Anybody can make us ask a registered issuer, with a token
// that names an unknown key, so fetches are rare, failed ones too.
const (
	keysGoodFor    = time.Hour
	betweenFetches = 10 * time.Second
	// maxFetches is how many issuers are asked at once, and maxAccountFetches for one account. Who comes then is told to
	// try again, and waits for nobody.
	maxFetches        = 64
	maxAccountFetches = 8
	// maxWaiting is how many requests wait for the keys of one issuer.
	maxWaiting = 128
	// maxIssuers is how many issuers' keys are remembered, and maxAccountIssuers those of one account.
	maxIssuers        = 1024
	maxAccountIssuers = 128
)

// Why there is no key. What has kept an issuer from answering is for the log alone: callers who have proved nothing
// could tell from it what there is in our networks.
var (
	errNoKey   = errors.New("the issuer publishes no key that the token names")
	errNoReply = errors.New("the issuer could not be reached, or did not answer as it should")
)

// issuers remember the keys of OpenID Connect issuers.
type issuers struct {
	fetcher
	now func() time.Time
	log *slog.Logger

	mu       sync.Mutex // guards what follows, and all issuers
	known    map[registration]*issuer
	fetching map[string]int // fetches under way by account
	total    int            // and all of them
}

// registration is what decides which keys an issuer has: another account may trust another certificate.
type registration struct{ account, url, thumbprints string }

// issuer is what is known of one issuer.
type issuer struct {
	keys    []iam.PublicKey
	fetched time.Time // when keys were read
	tried   time.Time // when the last fetch ended
	failed  bool      // the last fetch did

	fetch   chan struct{} // closed when the fetch that is under way ends; nil if none is
	waiting int           // for it
}

func newIssuers(f fetcher, now func() time.Time, log *slog.Logger) *issuers {
	return &issuers{fetcher: f, now: now, log: log, known: map[registration]*issuer{}, fetching: map[string]int{}}
}

// key finds the key of a provider's issuer that a token names. Keys that were given are never fetched. Others are
// fetched once an hour, and when an unknown one is named; those who need them meanwhile wait for the same fetch. Where
// that fails, those that are known stay good for their hour. The error is errNoKey, errNoReply or that of ctx.
func (i *issuers) key(ctx context.Context, provider *iam.Provider, id, algorithm string) (iam.PublicKey, error) {
	if provider.Keys != "" {
		keys, _ := iam.ReadKeys([]byte(provider.Keys)) // which has been read before it was kept
		if key, ok := iam.FindKey(keys, id, algorithm); ok {
			return key, nil
		}
		return iam.PublicKey{}, errNoKey
	}
	for {
		key, done, err := i.look(provider, id, algorithm)
		if done == nil {
			return key, err
		}
		select {
		case <-done:
		case <-ctx.Done():
			err = ctx.Err()
		}
		i.leave(provider)
		if err != nil {
			return iam.PublicKey{}, err
		}
	}
}

// look looks for a key among those that are known. Where a fetch may bring it, that is begun unless it is under way,
// and the channel is closed when it ends: the caller is waiting, and must leave.
func (i *issuers) look(provider *iam.Provider, id, algorithm string) (iam.PublicKey, <-chan struct{}, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	known, now := i.issuer(provider), i.now()
	key, ok := iam.FindKey(known.keys, id, algorithm)
	fresh := now.Sub(known.fetched) < keysGoodFor
	switch {
	case ok && fresh:
		return key, nil, nil
	case known.fetch == nil && !known.tried.IsZero() && now.Sub(known.tried) < betweenFetches:
		if known.failed {
			return iam.PublicKey{}, nil, errNoReply
		}
		return iam.PublicKey{}, nil, errNoKey
	case known.waiting >= maxWaiting:
		return iam.PublicKey{}, nil, errNoReply
	case known.fetch == nil && (i.total >= maxFetches || i.fetching[provider.Account] >= maxAccountFetches):
		return iam.PublicKey{}, nil, errNoReply
	case known.fetch == nil:
		i.begin(known, provider)
	}
	known.waiting++
	return iam.PublicKey{}, known.fetch, nil
}

// leave ends the waiting of one caller.
func (i *issuers) leave(provider *iam.Provider) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.issuer(provider).waiting--
}

// begin begins a fetch. Others wait for its outcome, so it does not hang on whether the first who asked still does.
func (i *issuers) begin(known *issuer, provider *iam.Provider) {
	known.fetch = make(chan struct{})
	i.total++
	i.fetching[provider.Account]++
	go func() {
		var keys []iam.PublicKey
		err := containment.Do(i.log, "a fetch of an issuer's keys", func() (err error) {
			keys, err = i.fetchKeys(provider)
			return err
		}, "issuer", provider.URL)
		if err != nil {
			i.log.Warn("the keys of an issuer of web identities could not be fetched", "issuer", provider.URL, "account",
				provider.Account, "error", err)
		}
		i.mu.Lock()
		defer i.mu.Unlock()
		known.tried, known.failed = i.now(), err != nil
		if err == nil {
			known.keys, known.fetched = keys, known.tried
		}
		close(known.fetch)
		known.fetch = nil
		i.total--
		if i.fetching[provider.Account]--; i.fetching[provider.Account] == 0 {
			delete(i.fetching, provider.Account)
		}
	}()
}

// issuer is what is known of a provider's issuer.
func (i *issuers) issuer(provider *iam.Provider) *issuer {
	r := registration{provider.Account, provider.URL,
		strings.Join(slices.Sorted(slices.Values(provider.Thumbprints)), " ")}
	if known := i.known[r]; known != nil {
		return known
	}
	i.forget(provider.Account)
	i.known[r] = &issuer{}
	return i.known[r]
}

// forget makes room for one more issuer of an account. Nobody waits for those that are forgotten.
func (i *issuers) forget(account string) {
	own := 0
	for r := range i.known {
		if r.account == account {
			own++
		}
	}
	if own < maxAccountIssuers && len(i.known) < maxIssuers {
		return
	}
	for r, known := range i.known {
		if known.fetch == nil && known.waiting == 0 && (r.account == account || len(i.known) >= maxIssuers) {
			delete(i.known, r)
		}
	}
}
