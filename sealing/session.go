package sealing

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"pergola/aws/iam"
)

// MaxToken is the length of the longest session token, in characters. It has room for a session policy of the longest
// kind and some tags, and leaves room in the head of a request.
const MaxToken = 4096

// Why a session is refused.
var (
	// ErrInvalid: the token was not issued here, has been altered, or does not belong to the access key.
	ErrInvalid = errors.New("sealing: not a session token of this deployment, or not of this access key")
	// ErrExpired: the session was good once.
	ErrExpired = errors.New("sealing: the session has expired")
	// ErrTooLarge: what the session must carry does not fit into a token.
	ErrTooLarge = errors.New("sealing: the session does not fit into a token")
)

// Credential is what a principal signs with. It must not be logged. Token is empty for a long-term key.
type Credential struct{ AccessKeyID, Secret, Token string }

// version is the first byte of every token.
const version = 1

// SealSession makes the temporary credential of a caller, whose Session must be set. The error is ErrTooLarge.
func (b *Box) SealSession(caller iam.Caller) (Credential, error) {
	id := iam.NewKeyID(iam.PrefixSessionKey, caller.Account, rand.Reader)
	sealed := b.sessions.Seal([]byte{version}, nil, encode(&caller), []byte(id))
	if size := base64.RawURLEncoding.EncodedLen(len(sealed)); size > MaxToken {
		return Credential{}, fmt.Errorf("%w: it would have %d characters, %d at most are allowed", ErrTooLarge, size, MaxToken)
	}
	return Credential{id, b.secretOf(id, sealed), base64.RawURLEncoding.EncodeToString(sealed)}, nil
}

// OpenSession opens a token and returns the secret of its session and the principal that holds it. The error is
// ErrInvalid or ErrExpired.
func (b *Box) OpenSession(accessKeyID, token string, now time.Time) (secret string, caller iam.Caller, err error) {
	if len(token) > MaxToken || strings.ContainsAny(token, "\r\n") { // which the decoder would pass over
		return "", iam.Caller{}, ErrInvalid
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(sealed) == 0 || sealed[0] != version {
		return "", iam.Caller{}, ErrInvalid
	}
	plain, err := b.sessions.Open(nil, nil, sealed[1:], []byte(accessKeyID))
	if err != nil {
		return "", iam.Caller{}, ErrInvalid
	}
	if caller, err = decode(plain); err != nil {
		return "", iam.Caller{}, err
	}
	if !now.Before(caller.Session.Expires) {
		return "", iam.Caller{}, ErrExpired
	}
	return b.secretOf(accessKeyID, sealed), caller, nil
}

// secretLetters is the length of the secrets of AWS. In base64 it holds 240 bits.
const secretLetters = 40

// secretOf derives the secret of a session.
func (b *Box) secretOf(accessKeyID string, sealed []byte) string {
	mac := hmac.New(sha256.New, b.derive)
	mac.Write([]byte(accessKeyID))
	mac.Write(sealed)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))[:secretLetters]
}
