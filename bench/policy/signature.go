package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"strings"
	"time"

	"pergola/sigv4"
)

// signatures compares, for both versions of the signature, its verification with the cryptography in it that no
// implementation can leave out.
func signatures() ([]comparison, error) {
	v4, err := newSigned(sigv4.V4, "us-west-2", "")
	temporary, temporaryErr := newSigned(sigv4.V4, "us-west-2", strings.Repeat("token+/=", 100))
	v4a, v4aErr := newSigned(sigv4.V4A, "*", "")
	if err := errors.Join(err, temporaryErr, v4aErr); err != nil {
		return nil, err
	}
	curve, err := v4a.curve()
	return []comparison{
		{"SigV4", []contender{{"pergola", v4.verify}, {"SHA-256 and HMAC alone", v4.hashes()}}},
		{"SigV4, token of 800 bytes", []contender{{"pergola", temporary.verify}, {"SHA-256 and HMAC alone", temporary.hashes()}}},
		{"SigV4A", []contender{{"pergola", v4a.verify}, {"ecdsa.VerifyASN1 alone", curve}}},
	}, err
}

// signed is a request with a signature, and what verifies it.
type signed struct {
	request  *sigv4.Request
	verifier *sigv4.Verifier[string]
	attempt  sigv4.Attempt // what is hashed, and what is signed
}

// newSigned signs a request as the data plane takes it: the body is not covered, and some fields were added on the way.
func newSigned(algorithm sigv4.Algorithm, region, token string) (*signed, error) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	r := &sigv4.Request{
		Method: "GET", Path: "/parking/rates", RawQuery: "day=1&zone=3", Host: "parking.example.com",
		Header: sigv4.Fields{{Name: "Content-Type", Value: "application/json"}, {Name: "Accept", Value: "*/*"}},
	}
	signer := &sigv4.Signer{
		AccessKeyID: keyID, SecretAccessKey: secret, SessionToken: token,
		Algorithm: algorithm, Region: region, Service: "vpc-lattice-svcs",
		Payload: sigv4.PayloadUnsigned, Path: sigv4.PathAsSent,
	}
	added, err := signer.Sign(r, at)
	if err != nil {
		return nil, err
	}
	r.Header = append(append(r.Header, added...),
		sigv4.Field{Name: "User-Agent", Value: "bench"}, sigv4.Field{Name: "Accept-Encoding", Value: "gzip"},
		sigv4.Field{Name: "Connection", Value: "keep-alive"}, sigv4.Field{Name: "Content-Length", Value: "2"},
		sigv4.Field{Name: "X-Forwarded-For", Value: "10.0.0.1"}, sigv4.Field{Name: "X-Request-Id", Value: "0123456789abcdef"})
	verifier := sigv4.New(sigv4.Config[string]{
		Rules:       sigv4.DataPlane("us-west-2"),
		Credentials: holder{token},
		Now:         func() time.Time { return at },
	})
	explanation := verifier.Explain(r) // also derives the key
	if explanation.Err != nil {
		return nil, explanation.Err
	}
	return &signed{r, verifier, explanation.Attempts[len(explanation.Attempts)-1]}, nil
}

// verify is the whole verification, which finds the key derived.
func (s *signed) verify() error {
	_, err := s.verifier.Verify(s.request)
	return err
}

// hashes hashes the canonical request and makes the HMAC of the string to sign, with a key that is laid out beforehand.
func (s *signed) hashes() func() error {
	canonical, toSign := []byte(s.attempt.CanonicalRequest), []byte(s.attempt.StringToSign)
	mac := hmac.New(sha256.New, make([]byte, sha256.Size))
	sum := make([]byte, 0, sha256.Size)
	return func() error {
		digest := sha256.Sum256(canonical)
		sum = append(sum[:0], digest[:]...)
		mac.Reset()
		mac.Write(toSign)
		sum = mac.Sum(sum[:0])
		return nil
	}
}

// curve checks a signature of the string to sign, already hashed.
func (s *signed) curve() (func() error, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256([]byte(s.attempt.StringToSign))
	signature, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	return func() error {
		if !ecdsa.VerifyASN1(&key.PublicKey, digest[:], signature) {
			return errors.New("a signature of the curve does not verify")
		}
		return nil
	}, err
}

// The access key of the requests; it exists nowhere else.
const (
	keyID  = "ASIAEXAMPLEEXAMPLE00"
	secret = "example/secret/of/no/use/anywhere/0000000"
)

// holder holds the one access key, which goes with a session token or with none.
type holder struct{ token string }

// Lookup finds it.
func (h holder) Lookup(accessKeyID, sessionToken string, _ time.Time) (string, string, error) {
	if accessKeyID != keyID || sessionToken != h.token {
		return "", "", sigv4.ErrUnknownKey
	}
	return secret, session, nil
}
