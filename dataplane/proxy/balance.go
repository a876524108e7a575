package proxy

import (
	"io"
	"net/netip"
	"time"

	"pergola/dataplane/http1"
	"pergola/dataplane/record"
	"pergola/sigv4"
	"pergola/snapshot"
)

// Terms are what a load balancer does with a request: exactly one of Fixed and Group is set, or neither where there is
// nowhere to go.
type Terms struct {
	// Fixed is how the request is answered on the spot.
	Fixed *Fixed
	// Group is where the request goes.
	Group *snapshot.TargetGroup
	// Header is all that the target gets, but for what is about the connection to it.
	Header sigv4.Fields
	// Patience is how long the target may be silent. The client may be for a minute, or for as long as that.
	Patience time.Duration
}

// Fixed is an answer that is always the same.
type Fixed struct {
	Status            int
	ContentType, Body string
}

// Asked is a request as a load balancer is asked about it. It holds until the answer.
type Asked struct {
	*http1.Request
	Arrival Arrival
	Client  netip.AddrPort
}

// balance serves a request of a load balancer.
func (x *exchange) balance() (keep bool) {
	x.noteClient()
	terms := x.proxy.config.Balance(Asked{&x.request, x.client.arrival, x.client.address})
	x.header.Fields = append(x.header.Fields[:0], terms.Header...)
	x.patience = terms.Patience
	x.client.SetIdleTimeout(max(terms.Patience, http1.DefaultIdleTimeout))
	switch {
	case terms.Fixed != nil:
		return x.answerFixed(terms.Fixed)
	case terms.Group == nil:
		return x.answer(503, reason(503))
	}
	x.record.TargetGroup = terms.Group
	if !x.suits(terms.Group) {
		return x.fail(502, record.TargetProtocolError, nil)
	}
	return x.forward(terms.Group)
}

// answerFixed gives an answer that is always the same.
func (x *exchange) answerFixed(fixed *Fixed) (keep bool) {
	return x.answerBy(func(keep bool) error {
		x.record.Status = fixed.Status
		out := x.client.out
		out.StartResponse(fixed.Status, []byte(reason(fixed.Status)))
		if fixed.ContentType != "" {
			out.Field("content-type", fixed.ContentType)
		}
		x.writeConnection(keep)
		x.writeBody(fixed.Status, fixed.Body)
		return out.End()
	})
}

// writeBody ends the head of an answer that the proxy gives itself, and writes its body, where the request and the
// status allow one (RFC 9110 §6.4.1).
func (x *exchange) writeBody(status int, body string) {
	out := x.client.out
	switch {
	case status == 204 || status == 304:
		out.EndHead(http1.Bodiless)
	case x.request.IsHead():
		out.FieldInt("content-length", int64(len(body)))
		out.EndHead(http1.Bodiless)
	default:
		out.EndHead(http1.Sized(int64(len(body))))
		io.WriteString(out, body) // an error stays with the writer, and End returns it
	}
}

// balancedStatus is the status by which a load balancer answers for a failure of its targets (user guide for
// Application Load Balancers, "Troubleshoot").
func balancedStatus(status int, failure record.Failure) int {
	switch failure {
	case record.TargetConnectionError:
		return 502
	case record.TargetDataTimeout:
		return 504
	}
	return status
}
