package api

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"pergola/aws"
	"pergola/sigv4"
	"pergola/store"
)

// retryAfter is when a client may try again that met an outage, in seconds.
const retryAfter = 2

// unavailable is an answer for a while in which the service cannot do its work. Clients of AWS try again by the status.
func unavailable(message string) *aws.Error {
	return &aws.Error{Code: "ServiceUnavailable", Status: http.StatusServiceUnavailable, Message: message}
}

// outage explains the errors of the store that are nobody's fault and pass, nil for others.
func outage(err error) *aws.Error {
	switch {
	case errors.Is(err, store.ErrDiskFull), errors.Is(err, store.ErrNoSpace):
		return unavailable(err.Error())
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return unavailable(store.ErrDiskFull.Error() + ": remove what is not needed there, or enlarge the disk; " +
			err.Error())
	case errors.Is(err, store.ErrUncertain):
		return unavailable("The store did not answer, and the change may have been made or not: look before you try again")
	case store.IsOutage(err), errors.Is(err, store.ErrClosed):
		return unavailable("The store does not answer; try again in a moment")
	}
	return nil
}

// freeing begins the names of operations that take something away. They are carried out on a full disk too.
var freeing = []string{
	"Delete", "Deregister", "Terminate", "Remove", "Detach", "Untag", "Revoke", "Disassociate", "Release", "Deactivate",
}

// admitted is the context for an operation.
func admitted(ctx context.Context, op *operation) context.Context {
	if slices.ContainsFunc(freeing, func(verb string) bool { return strings.HasPrefix(op.name, verb) }) {
		return store.MakingRoom(ctx)
	}
	return ctx
}

// retryLater says when to try again what met an outage.
func retryLater(w http.ResponseWriter, err error) {
	var named *aws.Error
	if errors.As(err, &named) && named.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
	}
}

// Away answers every request in place of an API that is not there, in the form of the service that it is for: that it
// is unavailable, with a message, and to be asked again.
func Away(region, message string) http.Handler {
	d := newDoor(Config{Region: region, Random: rand.Reader, Logger: slog.New(slog.DiscardHandler)}, map[string]protocol{
		"vpc-lattice": newRESTJSON(nil), "lambda": newRESTJSON(nil),
		"ec2": newQuery(ec2Style, nil), "iam": newQuery(iamStyle, nil), "sts": newQuery(stsStyle, nil),
		"elasticloadbalancing": newQuery(elbv2Style, nil),
		"acm":                  newAWSJSON(acmStyle, nil), "organizations": newAWSJSON(organizationsStyle, nil),
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requestID := aws.NewUUID(d.random)
		w.Header().Set("X-Amzn-Requestid", requestID)
		err := unavailable(message)
		retryLater(w, err)
		if service, known := d.serviceOf(r, sigv4.FromHTTP(r, nil)); known == nil {
			service.protocol.refuse(w, err, requestID)
		} else {
			refuseForeign(w, r, err, requestID)
		}
	})
}
