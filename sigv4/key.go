package sigv4

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/sha256"
	"hash/maphash"
	"strings"
	"sync/atomic"
)

// signingKey is the key of one day, region and service, in which HMAC's two padded blocks are laid out once.
type signingKey struct{ inner, outer [sha256.BlockSize]byte }

// deriveKey is the chain of four HMACs of Version 4 (IAM user guide, "Create a signed request", step 4).
func deriveKey(secret string, scope Scope) signingKey {
	key := []byte("AWS4" + secret)
	for _, part := range [...]string{scope.Date, scope.Region, scope.Service, terminator} {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	var k signingKey
	copy(k.inner[:], key)
	copy(k.outer[:], key)
	for i := range k.inner {
		k.inner[i] ^= 0x36
		k.outer[i] ^= 0x5c
	}
	return k
}

// sum is HMAC-SHA256 (RFC 2104) without the five allocations of crypto/hmac. The message is hashed from one buffer, which is why the
// caller lends it: buf is overwritten and returned for use again.
func (k *signingKey) sum(buf, message []byte) (mac [sha256.Size]byte, _ []byte) {
	buf = append(append(buf[:0], k.inner[:]...), message...)
	inner := sha256.Sum256(buf)
	var outer [sha256.BlockSize + sha256.Size]byte
	copy(outer[:], k.outer[:])
	copy(outer[sha256.BlockSize:], inner[:])
	return sha256.Sum256(outer[:]), buf
}

// deriveKeyPair makes the P-256 key of Version 4A. The derivation is NIST SP 800-108 in counter mode with HMAC-SHA256: label the algorithm,
// context the access key id and a counter of attempts, 256 bits out. The key is that number plus one. A number too great for the curve's
// order, one in 2^32, calls for the next attempt; ParseRawPrivateKey refuses exactly those, and the zero that an overflow leaves.
func deriveKeyPair(accessKeyID, secret string) *ecdsa.PrivateKey {
	for attempt := byte(1); ; attempt++ {
		mac := hmac.New(sha256.New, []byte("AWS4A"+secret))
		mac.Write([]byte{0, 0, 0, 1})
		mac.Write([]byte(V4A))
		mac.Write([]byte{0})
		mac.Write([]byte(accessKeyID))
		mac.Write([]byte{attempt, 0, 0, 1, 0})
		candidate := mac.Sum(nil)
		carry := uint16(1)
		for i := len(candidate) - 1; i >= 0; i-- {
			carry += uint16(candidate[i])
			candidate[i] = byte(carry)
			carry >>= 8
		}
		if key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), candidate); err == nil {
			return key
		}
	}
}

// verifyingKey is a key derived once and kept. It never changes.
type verifyingKey struct {
	accessKeyID string
	scope       Scope  // of Version 4A only the algorithm: its key depends on nothing else
	secret      string // what it was derived from: a changed secret makes a new key, so that nothing needs to be told to forget the old
	hmac        signingKey
	ecdsa       *ecdsa.PublicKey
}

// keyCache keeps derived keys: a table of fixed size in which each access key has one place for each algorithm, found by hash, and drives
// out what was there, be it its own key of yesterday. Neither reading nor writing takes a lock. Only known access keys on acceptable days
// and regions get this far, so strangers cannot fill it.
type keyCache struct {
	seed  maphash.Seed
	slots []atomic.Pointer[verifyingKey]
}

func newKeyCache(size int) *keyCache {
	return &keyCache{seed: maphash.MakeSeed(), slots: make([]atomic.Pointer[verifyingKey], size)}
}

// get returns the key for a claim whose access key has this secret.
func (k *keyCache) get(c *claim, secret string) *verifyingKey {
	scope := c.scope()
	if c.algorithm == V4A {
		scope = Scope{Algorithm: V4A}
	}
	slot := &k.slots[(maphash.String(k.seed, c.accessKeyID)+uint64(len(scope.Algorithm)))%uint64(len(k.slots))]
	if key := slot.Load(); key != nil && key.scope == scope && key.accessKeyID == c.accessKeyID && key.secret == secret {
		return key
	}
	key := newVerifyingKey(c.accessKeyID, secret, scope)
	slot.Store(key)
	return key
}

// newVerifyingKey copies the strings it keeps: those of a request live in memory that its engine uses again.
func newVerifyingKey(accessKeyID, secret string, scope Scope) *verifyingKey {
	key := &verifyingKey{
		accessKeyID: strings.Clone(accessKeyID),
		secret:      strings.Clone(secret),
		scope: Scope{
			Algorithm: Algorithm(strings.Clone(string(scope.Algorithm))),
			Date:      strings.Clone(scope.Date),
			Region:    strings.Clone(scope.Region),
			Service:   strings.Clone(scope.Service),
		},
	}
	if scope.Algorithm == V4A {
		key.ecdsa = &deriveKeyPair(accessKeyID, secret).PublicKey
	} else {
		key.hmac = deriveKey(secret, scope)
	}
	return key
}
