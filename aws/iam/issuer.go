package iam

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/netip"
	"strings"
)

// internal are the networks that no issuer for everybody is in: the host's own, those of an organisation, and those
// that lead into such by translation (IANA, special-purpose address registries).
var internal = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
	"192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/3",
	"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/32", "2002::/16", "fc00::/7", "fe80::/9", "ff00::/8",
)

func prefixes(written ...string) []netip.Prefix {
	all := make([]netip.Prefix, len(written))
	for i, w := range written {
		all[i] = netip.MustParsePrefix(w)
	}
	return all
}

// IsInternal reports whether an address is one of the host's own, of a link, or of a private network.
func IsInternal(address netip.Addr) bool {
	address = address.Unmap().WithZone("")
	for _, p := range internal {
		if p.Contains(address) {
			return true
		}
	}
	return !address.IsValid()
}

// IsInternalHost reports whether a host of a URL is such an address, or a name of this host. Of other names, only their
// addresses tell.
func IsInternalHost(host string) bool {
	if address, err := netip.ParseAddr(host); err == nil {
		return IsInternal(address)
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// The signature algorithms that are understood (RFC 7518 §3.1).
const (
	RS256 = "RS256"
	ES256 = "ES256"
)

// PublicKey is a key that an issuer signs with.
type PublicKey struct {
	// ID is the name by which tokens refer to the key; it may be "".
	ID string
	// Algorithm is RS256 or ES256.
	Algorithm string

	rsa   *rsa.PublicKey
	ecdsa *ecdsa.PublicKey
}

// MaxKeys is how many keys of an issuer are kept; further ones are passed over.
const MaxKeys = 64

// ReadKeys reads a JSON Web Key Set (RFC 7517 §5). Keys that are of another kind, or too weak, are passed over.
func ReadKeys(document []byte) ([]PublicKey, error) {
	var set struct {
		Keys []jsonKey `json:"keys"`
	}
	if err := json.Unmarshal(document, &set); err != nil {
		return nil, err
	}
	var keys []PublicKey
	for _, k := range set.Keys {
		if key, ok := k.public(); ok && len(keys) < MaxKeys {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// FindKey finds the key with an id. A token that names none is for an issuer that has a single key of the algorithm.
func FindKey(keys []PublicKey, id, algorithm string) (PublicKey, bool) {
	var found []PublicKey
	for _, key := range keys {
		if key.Algorithm == algorithm && (id == "" || key.ID == id) {
			found = append(found, key)
		}
	}
	if len(found) == 0 || id == "" && len(found) > 1 {
		return PublicKey{}, false
	}
	return found[0], true
}

// Verify reports whether the key has made a signature of a text (RFC 7518 §3.3 and §3.4).
func (k PublicKey) Verify(signed string, signature []byte) bool {
	sum := sha256.Sum256([]byte(signed))
	if k.rsa != nil {
		return rsa.VerifyPKCS1v15(k.rsa, crypto.SHA256, sum[:], signature) == nil
	}
	const half = 32
	if len(signature) != 2*half {
		return false
	}
	r, s := new(big.Int).SetBytes(signature[:half]), new(big.Int).SetBytes(signature[half:])
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
func (k jsonKey) public() (PublicKey, bool) {
	if k.Use != "" && k.Use != "sig" {
		return PublicKey{}, false
	}
	switch {
	case k.Type == "RSA" && (k.Algorithm == "" || k.Algorithm == RS256):
		key, ok := rsaKey(number(k.Modulus), number(k.Exponent))
		return PublicKey{ID: k.ID, Algorithm: RS256, rsa: key}, ok
	case k.Type == "EC" && k.Curve == "P-256" && (k.Algorithm == "" || k.Algorithm == ES256):
		key, ok := ecdsaKey(number(k.X), number(k.Y))
		return PublicKey{ID: k.ID, Algorithm: ES256, ecdsa: key}, ok
	}
	return PublicKey{}, false
}

// The sizes of RSA keys that are taken (RFC 7518 §3.3 asks for 2048 bits). The limit spares us the arithmetic of
// giants.
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
