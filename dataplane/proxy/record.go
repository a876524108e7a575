package proxy

import (
	"net/netip"
	"time"

	"pergola/dataplane/access"
	"pergola/snapshot"
)

// Failure says why a request was not answered by its target, in the words of the access log.
type Failure string

// The reasons that the proxy can give (user guide, "Access logs").
const (
	TargetConnectionError  Failure = "TargetConnectionError"
	TargetProtocolError    Failure = "TargetProtocolError"
	TargetDataTimeout      Failure = "TargetDataTimeout"
	TargetConnectionClosed Failure = "TargetConnectionClosed"
	ClientConnectionClosed Failure = "ClientConnectionClosed"
	ClientRateLimited      Failure = "ClientRateLimited"
	ClientAccessDenied     Failure = "ClientAccessDenied"
	ClientProtocolError    Failure = "ClientProtocolError"
	InternalError          Failure = "InternalError"

	ConnectionDurationExceeded Failure = "ConnectionDurationExceeded"
)

// Record is what is known of a request at its end. It is the proxy's memory: whoever receives one takes what it needs
// before it returns.
type Record struct {
	// Start is when the head of the request began to be read.
	Start time.Time
	// Duration is from Start to the last byte sent.
	Duration time.Duration
	// RequestToTarget is from Start until the request was sent to the target; 0 if it was not.
	RequestToTarget time.Duration
	// ResponseFromTarget is from the first byte of the response to the last byte sent.
	ResponseFromTarget time.Duration

	// Arrival is where the request came in, and Client the address that it came from.
	Arrival Arrival
	Client  netip.AddrPort
	// What the request met, as far as it came; the rest is nil. The service is the listener's.
	VPC         *snapshot.VPC
	Network     *snapshot.Network
	Listener    *snapshot.Listener
	Rule        *snapshot.Rule
	TargetGroup *snapshot.TargetGroup
	// Target is the address of the target that was tried last; invalid if none was.
	Target netip.AddrPort

	// What the request said; empty where it could not be read.
	Method, Path, Host, UserAgent []byte
	RequestID                     []byte

	// Status is the status of the final response; 0 if the client was not answered.
	Status int
	// BytesReceived counts the request's head and the data of its body, 0 if the head could not be read; BytesSent all that
	// was sent to the client.
	BytesReceived, BytesSent int64
	// Caller is who signed the request; nobody where no signature was asked for or none was good.
	Caller access.Caller
	// DeniedBy is empty unless the request was denied.
	DeniedBy access.DeniedBy
	// Failure is empty unless something failed.
	Failure Failure
}

// note takes down what the request says.
func (x *exchange) note() {
	x.takeRequestID()
	r := &x.record
	r.Arrival, r.Client, r.RequestID = x.client.arrival, x.client.address, x.id
	r.Method, r.Path, r.Host = x.request.Method, x.request.Path, x.request.Host
	r.UserAgent = x.request.Get("user-agent")
}

// noteSent notes when the target had been sent the request, as far as it was. No upload may be going on.
func (x *exchange) noteSent() {
	x.record.RequestToTarget = max(0, x.to.out.LastWrite().Sub(x.record.Start))
}

// finish completes the record, at the given time, and hands it over. The client's buffer still holds the head of the request then.
func (x *exchange) finish(now time.Time) {
	if x.proxy.config.Record == nil {
		return
	}
	r := &x.record
	if r.Failure != "" && x.client.expired.Load() {
		r.Failure = ConnectionDurationExceeded
	}
	r.Duration = now.Sub(r.Start)
	if x.request.Size > 0 { // otherwise it could not be read, and the body is that of the request before
		r.BytesReceived = int64(x.request.Size) + x.client.body.Received()
	}
	r.BytesSent = x.client.out.Sent() - x.before
	x.proxy.config.Record(r)
}
