package sts

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"
)

// The bounds of what is fetched from issuers, and how often. Anybody can make us ask a registered issuer, with a token
// that names an unknown key, so that is done seldom.
const (
	fetchTimeout   = 10 * time.Second
	maxDocument    = 256 << 10
	keysGoodFor    = time.Hour
	betweenFetches = 10 * time.Second
)

// errNoKey: the issuer has answered, and publishes no such key.
var errNoKey = errors.New("the issuer publishes no key that the token names")

// issuers remember the keys of OpenID Connect issuers.
type issuers struct {
	client http.Client
	now    func() time.Time

	mu    sync.Mutex // guards known
	known map[string]*issuer
}

// issuer is what is known of one issuer.
type issuer struct {
	mu      sync.Mutex // guards the rest; held while fetching, so that all who need the keys wait for the same fetch
	keys    []publicKey
	fetched time.Time // when keys were read
	tried   time.Time // when they were last asked for
	err     error     // of that try
}

func newIssuers(client *http.Client, now func() time.Time) *issuers {
	i := &issuers{now: now, known: map[string]*issuer{}}
	if client != nil {
		i.client = *client
	}
	i.client.Timeout = fetchTimeout
	i.client.CheckRedirect = func(*http.Request, []*http.Request) error { return errors.New("redirects are not followed") }
	return i
}

// key finds the key of an issuer that a token names. Keys are fetched once an hour, and when an unknown one is named.
// Where that fails, those that are known stay good for their hour. The error is errNoKey, or that of the fetch.
func (i *issuers) key(ctx context.Context, url, id, algorithm string) (publicKey, error) {
	known := i.issuer(url)
	known.mu.Lock()
	defer known.mu.Unlock()
	now := i.now()
	if key, ok := find(known.keys, id, algorithm); ok && now.Sub(known.fetched) < keysGoodFor {
		return key, nil
	}
	if now.Sub(known.tried) >= betweenFetches {
		// Others wait for the outcome, so it does not hang on whether this caller does.
		keys, err := i.fetchKeys(context.WithoutCancel(ctx), url)
		if known.tried, known.err = now, err; err == nil {
			known.keys, known.fetched = keys, now
		}
	}
	if known.err != nil {
		return publicKey{}, known.err
	}
	key, ok := find(known.keys, id, algorithm)
	if !ok {
		return publicKey{}, errNoKey
	}
	return key, nil
}

func (i *issuers) issuer(url string) *issuer {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.known[url] == nil {
		i.known[url] = &issuer{}
	}
	return i.known[url]
}

// fetchKeys reads the keys of an issuer by way of its discovery document (OpenID Connect Discovery §4).
func (i *issuers) fetchKeys(ctx context.Context, issuer string) ([]publicKey, error) {
	var discovery struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if err := i.fetch(ctx, strings.TrimSuffix(issuer, "/")+"/.well-known/openid-configuration", &discovery); err != nil {
		return nil, err
	}
	if discovery.Issuer != issuer {
		return nil, fmt.Errorf("the discovery document of %s is that of %q", issuer, discovery.Issuer)
	}
	if !mayFetch(discovery.Keys, issuer) {
		return nil, fmt.Errorf("the jwks_uri of %s is not https", issuer)
	}
	var set struct {
		Keys []jsonKey `json:"keys"`
	}
	if err := i.fetch(ctx, discovery.Keys, &set); err != nil {
		return nil, err
	}
	var keys []publicKey
	for _, k := range set.Keys {
		if key, ok := k.public(); ok {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// mayFetch reports whether keys may be where an issuer says: on https, or on a loopback address if the issuer itself
// was registered with one. So an issuer elsewhere cannot have us look around here.
func mayFetch(keys, issuer string) bool {
	u, err := url.Parse(keys)
	return err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http" && isLoopback(u) && strings.HasPrefix(issuer, "http://"))
}

func isLoopback(u *url.URL) bool {
	address, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() == "localhost" || err == nil && address.IsLoopback()
}

// fetch reads a JSON document.
func (i *issuers) fetch(ctx context.Context, url string, to any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Accept", "application/json")
	response, err := i.client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, response.Status)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxDocument+1))
	switch {
	case err != nil:
		return err
	case len(body) > maxDocument:
		return fmt.Errorf("%s is longer than %d bytes", url, maxDocument)
	}
	if err := json.Unmarshal(body, to); err != nil {
		return fmt.Errorf("%s: %w", url, err)
	}
	return nil
}

// The signature algorithms that are understood (RFC 7518 §3.1).
const (
	rs256 = "RS256"
	es256 = "ES256"
)

// publicKey is a key that an issuer signs with. One of rsa and ecdsa is set, as its algorithm says.
type publicKey struct {
	id, algorithm string
	rsa           *rsa.PublicKey
	ecdsa         *ecdsa.PublicKey
}

// find finds the key with an id. A token that names none is for an issuer that has a single key of the algorithm.
func find(keys []publicKey, id, algorithm string) (publicKey, bool) {
	var found []publicKey
	for _, key := range keys {
		if key.algorithm == algorithm && (id == "" || key.id == id) {
			found = append(found, key)
		}
	}
	if len(found) == 0 || id == "" && len(found) > 1 {
		return publicKey{}, false
	}
	return found[0], true
}

// verify reports whether the key has signed a token (RFC 7518 §3.3 and §3.4).
func (k publicKey) verify(t *webToken) bool {
	sum := sha256.Sum256([]byte(t.signed))
	if k.rsa != nil {
		return rsa.VerifyPKCS1v15(k.rsa, crypto.SHA256, sum[:], t.signature) == nil
	}
	const half = 32
	if len(t.signature) != 2*half {
		return false
	}
	r, s := new(big.Int).SetBytes(t.signature[:half]), new(big.Int).SetBytes(t.signature[half:])
	return ecdsa.Verify(k.ecdsa, sum[:], r, s)
}

// jsonKey is a JSON Web Key (RFC 7517 §4; RFC 7518 §6).
type jsonKey struct {
	Type      string `json:"kty"`
	Use       string `json:"use"`
	ID        string `json:"kid"`
	Algorithm string `json:"alg"`
	Modulus   string `json:"n"`
	Exponent  string `json:"e"`
	Curve     string `json:"crv"`
	X         string `json:"x"`
	Y         string `json:"y"`
}

// public is the key, if it is one to verify signatures with that is understood and strong enough. Others may be in the
// same set and are passed over.
func (k jsonKey) public() (publicKey, bool) {
	if k.Use != "" && k.Use != "sig" {
		return publicKey{}, false
	}
	switch {
	case k.Type == "RSA" && (k.Algorithm == "" || k.Algorithm == rs256):
		key, ok := rsaKey(number(k.Modulus), number(k.Exponent))
		return publicKey{id: k.ID, algorithm: rs256, rsa: key}, ok
	case k.Type == "EC" && k.Curve == "P-256" && (k.Algorithm == "" || k.Algorithm == es256):
		key, ok := ecdsaKey(number(k.X), number(k.Y))
		return publicKey{id: k.ID, algorithm: es256, ecdsa: key}, ok
	}
	return publicKey{}, false
}

// The sizes of RSA keys that are taken (RFC 7518 §3.3 asks for 2048 bits). The limit spares us the arithmetic of giants.
const (
	minRSABits = 2048
	maxRSABits = 8192
)

func rsaKey(modulus, exponent *big.Int) (*rsa.PublicKey, bool) {
	if bits := modulus.BitLen(); bits < minRSABits || bits > maxRSABits || exponent.BitLen() > 31 || exponent.Int64() < 3 {
		return nil, false
	}
	return &rsa.PublicKey{N: modulus, E: int(exponent.Int64())}, true
}

func ecdsaKey(x, y *big.Int) (*ecdsa.PublicKey, bool) {
	const half = 32
	if x.BitLen() > 8*half || y.BitLen() > 8*half {
		return nil, false
	}
	point := make([]byte, 1+2*half)
	point[0] = 4 // uncompressed (SEC 1 §2.3.3)
	x.FillBytes(point[1 : 1+half])
	y.FillBytes(point[1+half:])
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	return key, err == nil
}

// number reads a big-endian number (RFC 7518 §2, Base64urlUInt). What is none is 0, which no key has.
func number(s string) *big.Int {
	raw, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return new(big.Int)
	}
	return new(big.Int).SetBytes(raw)
}
