package passthrough

import (
	"net/netip"
	"time"

	"pergola/dataplane/access"
	"pergola/snapshot"
)

// Failure says why a connection did not end in good order, in the words of the access log.
type Failure string

// The reasons that a Relay can give (user guide, "Access logs").
const (
	TargetConnectionError      Failure = "TargetConnectionError"
	TargetDataTimeout          Failure = "TargetDataTimeout"
	TargetConnectionClosed     Failure = "TargetConnectionClosed"
	ClientConnectionClosed     Failure = "ClientConnectionClosed"
	ClientAccessDenied         Failure = "ClientAccessDenied"
	ConnectionDurationExceeded Failure = "ConnectionDurationExceeded"
	InternalError              Failure = "InternalError"
)

// Record is what is known of a connection at its end. Whoever receives one may keep it.
type Record struct {
	// Start is when the ClientHello had been read.
	Start time.Time
	// Duration is from Start to the end of the connection.
	Duration time.Duration
	// RequestToTarget is from Start to the last byte sent to the target; 0 if there was none.
	RequestToTarget time.Duration
	// ResponseFromTarget is from the first byte read from the target to the last sent to the client; 0 if there was none.
	ResponseFromTarget time.Duration

	// Client is the address that the connection came from.
	Client netip.AddrPort
	// What the connection met, as far as it came; the rest is nil. The service is the listener's.
	VPC         *snapshot.VPC
	Network     *snapshot.Network
	Listener    *snapshot.Listener
	Rule        *snapshot.Rule
	TargetGroup *snapshot.TargetGroup
	// Target is the address of the target that was tried last; invalid if none was.
	Target netip.AddrPort
	// ServerName is the name that the client asked for.
	ServerName string

	// BytesReceived counts what was read from the client, its ClientHello included; BytesSent what was sent to it.
	BytesReceived, BytesSent int64
	// DeniedBy is empty unless the connection was denied.
	DeniedBy access.DeniedBy
	// Failure is empty unless something failed. An idle connection that is ended is no failure, unless the target had
	// said nothing at all.
	Failure Failure
}

// note takes down how a connection went that was carried, once neither direction is.
func (r *Record) note(there, back *flow, l *link) {
	r.BytesReceived, r.BytesSent = there.read, back.written
	r.RequestToTarget = there.last
	r.ResponseFromTarget = max(0, back.last-back.first)
	r.Failure = l.failed()
}

// finish completes the record and hands it over.
func (c *connection) finish() {
	if c.relay.config.Record != nil {
		c.record.Duration = time.Since(c.record.Start)
		c.relay.config.Record(&c.record)
	}
}
