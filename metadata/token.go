package metadata

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"strconv"
	"time"
)

// maxTokenLife is the longest life of a token in seconds, six hours (EC2 user guide, "Use the Instance Metadata Service").
const maxTokenLife = 21600

// parseLife reads for how many seconds a token is wanted: a plain number from 1 to maxTokenLife.
func parseLife(s string) (seconds int64, ok bool) {
	n, err := strconv.ParseUint(s, 10, 16)
	return int64(n), err == nil && n >= 1 && n <= maxTokenLife
}

// tokens makes and checks tokens. A token is the second at which it expires, in 8 bytes, and a MAC over that and the
// instance's id, in URL-safe base64.
type tokens struct{ key []byte }

func newTokens(random io.Reader) tokens {
	key := make([]byte, sha256.Size)
	if _, err := io.ReadFull(random, key); err != nil {
		panic(fmt.Sprintf("metadata: no randomness: %v", err)) // crypto/rand does not fail
	}
	return tokens{key}
}

// expirySize is how many bytes of a token say when it expires.
const expirySize = 8

func (t tokens) issue(instance string, expires time.Time) string {
	token := binary.BigEndian.AppendUint64(nil, uint64(expires.Unix()))
	return base64.RawURLEncoding.EncodeToString(append(token, t.mac(instance, token)...))
}

// valid reports whether a token is the instance's and has not expired.
func (t tokens) valid(instance, token string, now time.Time) bool {
	if len(token) != base64.RawURLEncoding.EncodedLen(expirySize+sha256.Size) {
		return false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) != expirySize+sha256.Size {
		return false
	}
	expiry, mac := raw[:expirySize], raw[expirySize:]
	return hmac.Equal(mac, t.mac(instance, expiry)) && now.Unix() < int64(binary.BigEndian.Uint64(expiry))
}

func (t tokens) mac(instance string, expiry []byte) []byte {
	mac := hmac.New(sha256.New, t.key)
	mac.Write(expiry)
	mac.Write([]byte(instance))
	return mac.Sum(nil)
}
