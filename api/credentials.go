package api

import (
	"context"
	"time"

	"pergola/aws/iam"
	control "pergola/control/iam"
	"pergola/sigv4"
)

// Keys finds the credential and the holder of an access key, or sigv4.ErrUnknownKey.
type Keys interface {
	Find(ctx context.Context, accessKeyID string) (control.Credential, iam.Caller, error)
}

// lookupTimeout bounds how long the search for an access key may take.
const lookupTimeout = 10 * time.Second

// credentials lets signatures be verified against Keys.
type credentials struct{ keys Keys }

// Lookup finds an access key. All keys are long-term ones, with which no session token may come.
func (c credentials) Lookup(accessKeyID, sessionToken string, _ time.Time) (string, iam.Caller, error) {
	if sessionToken != "" {
		return "", iam.Caller{}, sigv4.ErrUnknownKey
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	credential, caller, err := c.keys.Find(ctx, accessKeyID)
	return credential.Secret, caller, err
}
