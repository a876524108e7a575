package proxy

import (
	"errors"
	"net/http"
	"os"
	"time"

	"pergola/dataplane/access"
	"pergola/dataplane/http1"
	"pergola/dataplane/record"
)

// clientError is a failure on the client's side of a request that a target was already taking.
type clientError struct{ err error }

func (e *clientError) Error() string { return "client: " + e.err.Error() }
func (e *clientError) Unwrap() error { return e.err }

// reason is the phrase of a status that the proxy answers with itself.
func reason(status int) string {
	switch status {
	case 400:
		return "Bad Request"
	case 403:
		return "Forbidden"
	case 404:
		return "Not Found"
	case 413:
		return "Content Too Large"
	case 421:
		return "Misdirected Request"
	case 429:
		return "Too Many Requests"
	case 500:
		return "Internal Server Error"
	case 502:
		return "Bad Gateway"
	}
	return http.StatusText(status)
}

// answer answers the request without a target, and reports whether the connection goes on. A body that the client may
// still be sending is read and dropped up to a bound.
func (x *exchange) answer(status int, body string) (keep bool) {
	return x.answerBy(func(keep bool) error { return x.writeAnswer(status, body, keep) })
}

func (x *exchange) answerBy(write func(keep bool) error) (keep bool) {
	framing := x.request.Framing()
	keep = x.mayKeep() && !x.unansweredExpectation() && framing <= maxDiscard && x.upload == nil
	err := write(keep)
	if err != nil {
		x.record.Failure = record.ClientConnectionClosed
	}
	x.finish(time.Now())
	switch {
	case err != nil:
		x.client.Close()
		return false
	case keep && x.client.body.Discard(maxDiscard) == nil:
		return true
	}
	x.client.Linger(maxLinger, lingerTime)
	return false
}

func (x *exchange) writeAnswer(status int, body string, keep bool) error {
	if x.isGRPC() {
		return x.writeGRPCAnswer(status, body)
	}
	x.record.Status = status
	out := x.client.out
	out.StartResponse(status, []byte(reason(status)))
	if body != "" {
		out.Field("content-type", "text/plain")
	}
	x.writeRequestID()
	x.writeConnection(keep)
	x.writeBody(status, body)
	return out.End()
}

// answerDenied answers a request that may not pass, in the words of the service.
func (x *exchange) answerDenied(d access.Decision) bool {
	if d.Err != nil {
		x.proxy.config.Log.Error("a request could not be authorised", "service", x.record.Listener.Service.ID, "error", d.Err)
		x.record.Failure = record.InternalError
		return x.answer(500, reason(500))
	}
	x.record.Failure = record.ClientAccessDenied
	return x.answer(403, d.Refusal)
}

// answerUnreadable ends a connection whose next request cannot be read: with 400 if it is malformed or too large, with
// 503 if there is no room for its head, in silence if the client left or let its time pass.
func (x *exchange) answerUnreadable(err error) bool {
	var malformed *http1.MalformedError
	status, failure := 400, record.ClientProtocolError
	switch {
	case errors.Is(err, http1.ErrNoRoom):
		status, failure = 503, record.ClientRateLimited
	case !errors.As(err, &malformed):
		x.client.Close()
		return false
	}
	x.noteClient()
	x.request = http1.Request{}
	x.id = appendUUID(x.id[:0], x.proxy.config.Random(), x.proxy.config.Random())
	x.record.RequestID, x.record.Failure = x.id, failure
	if x.writeAnswer(status, reason(status), false) != nil {
		x.record.Failure = record.ClientConnectionClosed
	}
	x.finish(time.Now())
	x.client.Linger(maxLinger, lingerTime)
	return false
}

// fail answers the request with an error that is not the client's. err is logged, not shown; it may be nil.
func (x *exchange) fail(status int, failure record.Failure, err error) bool {
	x.record.Failure = failure
	if x.balanced {
		status = balancedStatus(status, failure)
	}
	if err != nil && failure != record.ClientConnectionClosed {
		x.proxy.config.Log.Warn("a request failed at its target", "targetGroup", x.record.TargetGroup.ID, "target", x.record.Target, "failure", failure, "error", err)
	}
	return x.answer(status, reason(status))
}

// failTarget ends a request whose target was sent something and gave no final response.
func (x *exchange) failTarget(err error) bool {
	uploadErr := x.abandonUpload()
	x.noteSent()
	x.leave()
	var client *clientError
	if uploadErr != nil {
		client = &clientError{uploadErr}
	}
	if client == nil && !errors.As(err, &client) {
		return x.fail(502, x.targetFailure(err), err)
	}
	return x.failClient(client.err)
}

// failClient ends a request whose body cannot be read, or whose sender cannot be written to.
func (x *exchange) failClient(err error) bool {
	x.record.Failure = record.ClientConnectionClosed
	var malformed *http1.MalformedError
	if errors.As(err, &malformed) {
		x.record.Failure = record.ClientProtocolError
	}
	x.writeAnswer(400, reason(400), false) // it may well be that nobody listens
	x.finish(time.Now())
	x.client.Linger(maxLinger, lingerTime)
	return false
}

// targetFailure says what an error from a target means. A target that was cut off because the client had gone did nothing
// wrong.
func (x *exchange) targetFailure(err error) record.Failure {
	var malformed *http1.MalformedError
	switch {
	case x.client.wasCut():
		return record.ClientConnectionClosed
	case errors.As(err, &malformed), errors.Is(err, errTooManyInformational), errors.Is(err, http1.ErrStale):
		return record.TargetProtocolError
	case errors.Is(err, os.ErrDeadlineExceeded):
		return record.TargetDataTimeout
	}
	return record.TargetConnectionClosed
}
