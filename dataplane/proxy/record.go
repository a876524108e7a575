package proxy

import (
	"time"

	"pergola/dataplane/record"
)

// noteClient takes down who asks, and how.
func (x *exchange) noteClient() {
	r := &x.record
	r.Client, r.ServerName, r.Protocol = x.client.address, x.client.arrival.ServerName, record.HTTP1
	if x.request.HTTP2 {
		r.Protocol = record.HTTP2
	}
}

// note takes down what the request says.
func (x *exchange) note() {
	x.takeRequestID()
	x.noteClient()
	r := &x.record
	r.RequestID = x.id
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
		r.Failure = record.ConnectionDurationExceeded
	}
	r.Duration = now.Sub(r.Start)
	if x.request.Size > 0 { // otherwise it could not be read, and the body is that of the request before
		r.BytesReceived = int64(x.request.Size) + x.client.body.Received()
	}
	r.BytesSent = x.client.out.Sent() - x.before
	x.proxy.config.Record(r)
}
