package api

import (
	"context"
	"errors"
	"strings"
	"time"

	"pergola/aws/iam"
	"pergola/sealing"
	"pergola/sigv4"
)

// Keys finds the secret and the holder of a long-term access key, or sigv4.ErrUnknownKey.
type Keys interface {
	Find(ctx context.Context, accessKeyID string) (secret string, holder iam.Caller, err error)
}

// lookupTimeout bounds how long the search for an access key may take.
const lookupTimeout = 10 * time.Second

// credentials lets signatures be verified against long-term keys and against sessions.
type credentials struct {
	keys Keys
	box  *sealing.Box
}

// Lookup finds the holder of an access key. A session is all in its token, which therefore must be there; with a
// long-term key none may come.
func (c credentials) Lookup(accessKeyID, sessionToken string, now time.Time) (string, iam.Caller, error) {
	if strings.HasPrefix(accessKeyID, iam.PrefixSessionKey) {
		return c.session(accessKeyID, sessionToken, now)
	}
	if sessionToken != "" {
		return "", iam.Caller{}, sigv4.ErrUnknownKey
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	return c.keys.Find(ctx, accessKeyID)
}

func (c credentials) session(accessKeyID, token string, now time.Time) (string, iam.Caller, error) {
	secret, caller, err := c.box.OpenSession(accessKeyID, token, now)
	switch {
	case errors.Is(err, sealing.ErrExpired):
		return "", iam.Caller{}, sigv4.ErrExpiredToken
	case err != nil:
		return "", iam.Caller{}, sigv4.ErrUnknownKey
	}
	return secret, caller, nil
}
