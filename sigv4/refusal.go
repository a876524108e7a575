package sigv4

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Errors that Credentials return to have a request refused. Any other error from them is a failure of the lookup itself.
var (
	// ErrUnknownKey: there is no such access key, or the session token does not belong to it or was not issued here.
	ErrUnknownKey = errors.New("sigv4: unknown access key or session token")
	// ErrExpiredToken: the session token was good once.
	ErrExpiredToken = errors.New("sigv4: session token has expired")
)

// Code is the kind of a refusal. The set is closed.
type Code uint8

const (
	// MissingToken: the request carries no signature at all.
	MissingToken Code = iota
	// Incomplete: the signature is malformed, ambiguous or leaves out what it must cover.
	Incomplete
	// Invalid: the signature is well formed and wrong, out of date or meant for something else.
	Invalid
	// UnknownKey: nobody holds this access key.
	UnknownKey
	// Expired: the session token is past its end.
	Expired
)

// Exception is the code and HTTP status as the JSON protocols and the data plane spell them. The names are those that VPC Lattice was
// seen to answer with and the "common errors" of its API reference.
func (c Code) Exception() (name string, status int) {
	return [...]string{
		MissingToken: "MissingAuthenticationTokenException",
		Incomplete:   "IncompleteSignatureException",
		Invalid:      "InvalidSignatureException",
		UnknownKey:   "UnrecognizedClientException",
		Expired:      "ExpiredTokenException",
	}[c], http.StatusForbidden
}

// QueryError is the code and HTTP status as the query protocol spells them ("common errors" of the STS and IAM API references).
func (c Code) QueryError() (name string, status int) {
	status = http.StatusForbidden
	if c == Incomplete {
		status = http.StatusBadRequest
	}
	return [...]string{
		MissingToken: "MissingAuthenticationToken",
		Incomplete:   "IncompleteSignature",
		Invalid:      "SignatureDoesNotMatch",
		UnknownKey:   "InvalidClientTokenId",
		Expired:      "ExpiredToken",
	}[c], status
}

// Refusal is the reason why a request is not authenticated. It holds no secret and may be shown to the caller.
type Refusal struct {
	Code Code
	// Text is the message for the caller, in the words AWS uses where they are known.
	Text string
}

// Error is the one-line body that the data plane answers with: the exception's name, a colon, the text.
func (r *Refusal) Error() string {
	name, _ := r.Code.Exception()
	return name + ": " + r.Text
}

const textMismatch = "The request signature we calculated does not match the signature you provided. " +
	"Check your AWS Secret Access Key and signing method. Consult the service documentation for details."

func incomplete(format string, args ...any) *Refusal {
	return &Refusal{Incomplete, fmt.Sprintf(format, args...)}
}

func invalid(format string, args ...any) *Refusal {
	return &Refusal{Invalid, fmt.Sprintf(format, args...)}
}

// lookupRefusal turns the error of a credentials lookup into the answer for the caller.
func lookupRefusal(accessKeyID string, err error) error {
	switch {
	case errors.Is(err, ErrUnknownKey):
		return &Refusal{UnknownKey, "The security token included in the request is invalid."}
	case errors.Is(err, ErrExpiredToken):
		return &Refusal{Expired, "The security token included in the request is expired"}
	}
	return fmt.Errorf("sigv4: look up access key %s: %w", shown(accessKeyID), err)
}

// shown makes a piece of the request fit to appear in a message: short, and without control characters.
func shown(s string) string {
	const limit = 128
	if len(s) > limit {
		s = s[:limit] + "..."
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, s)
}

// span writes a duration the way AWS does in its expiry messages: in minutes, or in seconds where minutes do not fit.
func span(d time.Duration) string {
	if d%time.Minute == 0 {
		return fmt.Sprintf("%d min.", d/time.Minute)
	}
	return fmt.Sprintf("%d sec.", d/time.Second)
}
