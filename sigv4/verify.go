package sigv4

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"strings"
	"sync"
	"time"
)

const defaultCacheSize = 4096

// Credentials find the holder of an access key. P is what the caller knows about a holder: its principal.
type Credentials[P any] interface {
	// Lookup returns the secret of an access key and its holder. sessionToken is as sent, empty if none was; a key that was issued with
	// a token must be refused without it, and a token must be refused with another key. Return ErrUnknownKey or ErrExpiredToken,
	// wrapped or not, to refuse; an empty secret refuses too. Verify returns any other error wrapped. It is called before the signature
	// is checked, once for each request whose claim is well formed and current. The strings share memory with the request: copy what
	// is kept.
	Lookup(accessKeyID, sessionToken string, now time.Time) (secret string, principal P, err error)
}

// Config is how a Verifier is made.
type Config[P any] struct {
	Rules Rules
	// Credentials must not be nil.
	Credentials Credentials[P]
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// CacheSize is how many derived keys are kept, about 400 bytes each; 0 means 4096.
	CacheSize int
}

// Verifier authenticates the requests of one service. It is safe for concurrent use.
type Verifier[P any] struct {
	rules       Rules
	credentials Credentials[P]
	now         func() time.Time
	keys        *keyCache
	scratch     sync.Pool // of *scratch
}

// scratch is the memory of one verification.
type scratch struct {
	canonicalizer
	mac []byte
}

// Identity is who signed a request, and how. Its strings share memory with the request.
type Identity[P any] struct {
	Principal   P
	AccessKeyID string
	Scope       Scope
	// SignedHeaders are the names covered, in lower case, in order, separated by semicolons.
	SignedHeaders string
	// Time is the instant of the signature.
	Time time.Time
	// Presigned is true for the query form.
	Presigned bool
}

// New makes a Verifier.
func New[P any](config Config[P]) *Verifier[P] {
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.CacheSize == 0 {
		config.CacheSize = defaultCacheSize
	}
	return &Verifier[P]{
		rules:       config.Rules,
		credentials: config.Credentials,
		now:         config.Now,
		keys:        newKeyCache(config.CacheSize),
		scratch:     sync.Pool{New: func() any { return new(scratch) }},
	}
}

// Verify authenticates a request. The error is a *Refusal, for the caller, or else what the credentials failed with.
func (v *Verifier[P]) Verify(r *Request) (Identity[P], error) {
	c, err := readClaim(r)
	if err != nil {
		return Identity[P]{}, err
	}
	return v.verify(r, &c)
}

func (v *Verifier[P]) verify(r *Request, c *claim) (Identity[P], error) {
	if err := checkNumber(c.signedHeaders); err != nil {
		return Identity[P]{}, err
	}
	s := v.scratch.Get().(*scratch)
	defer v.scratch.Put(s)
	s.presigned = c.presigned
	signed, err := s.readHeaders(r, c.signedHeaders)
	if err != nil {
		return Identity[P]{}, err
	}
	now := v.now()
	if err := v.rules.check(r, c, signed, now); err != nil {
		return Identity[P]{}, err
	}
	secret, principal, err := v.credentials.Lookup(c.accessKeyID, c.token, now)
	if err == nil && secret == "" {
		err = ErrUnknownKey // anyone could sign with it
	}
	if err != nil {
		return Identity[P]{}, lookupRefusal(c.accessKeyID, err)
	}
	if !v.matches(s, r, c, v.keys.get(c, secret)) {
		return Identity[P]{}, &Refusal{Invalid, textMismatch}
	}
	return Identity[P]{
		Principal:     principal,
		AccessKeyID:   c.accessKeyID,
		Scope:         c.scope(),
		SignedHeaders: c.signedHeaders,
		Time:          c.at,
		Presigned:     c.presigned,
	}, nil
}

// matches tries the accepted forms of query and path until the signature fits one. Nearly every request is the same in
// all of them.
func (v *Verifier[P]) matches(s *scratch, r *Request, c *claim, key *verifyingKey) bool {
	for s.queryForm = range queryForms {
		if s.queryForm == QueryPlus && strings.IndexByte(r.RawQuery, '+') < 0 {
			continue
		}
		for _, form := range v.rules.Paths {
			canonical := s.canonicalRequest(r, c.signedHeaders, form, v.rules.Payload)
			if s.fits(key, s.stringToSign(c, canonical), c.signature) {
				return true
			}
			if samePath(r.Path) {
				break
			}
		}
		if r.RawQuery == "" {
			break
		}
	}
	return false
}

// fits reports whether a signature, in hexadecimal, is that of the string to sign.
func (s *scratch) fits(key *verifyingKey, toSign []byte, signature string) bool {
	if key.ecdsa != nil {
		var der [80]byte // a P-256 signature takes at most 72
		if len(signature) > hex.EncodedLen(len(der)) {
			return false
		}
		n, err := hex.Decode(der[:], []byte(signature))
		hash := sha256.Sum256(toSign)
		return err == nil && ecdsa.VerifyASN1(key.ecdsa, hash[:], der[:n])
	}
	var mac [sha256.Size]byte
	mac, s.mac = key.hmac.sum(s.mac, toSign)
	var expected [2 * sha256.Size]byte
	hex.Encode(expected[:], mac[:])
	return subtle.ConstantTimeCompare(expected[:], []byte(signature)) == 1
}
