// Package record has what is known of a request, or of a connection whose TLS ends at the target, once it is over.
// Access logs, metrics and traces are made from it; dataplane/proxy and dataplane/passthrough fill it on their way.
package record

import (
	"net/netip"
	"time"

	"pergola/dataplane/access"
	"pergola/snapshot"
)

// Failure says why a request was not answered by its target, or why a connection did not end in good order, in the
// words of the access log; "" where nothing failed.
type Failure string

// The reasons that there are (user guide, "Access logs").
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

// Protocol is what a client spoke, in the words of the access log.
type Protocol string

// The protocols. TLS is that of a connection that is passed through, TCP that of one to a resource.
const (
	HTTP1 Protocol = "HTTP/1.1"
	HTTP2 Protocol = "HTTP/2"
	TLS   Protocol = "TLS"
	TCP   Protocol = "tcp"
)

// Resource is the part of a Record that connections to resources alone have.
type Resource struct {
	// Reach is the resource, with what brought it into the network.
	Reach *snapshot.Reach
	// Destination is what the client connected to, and Gateway from where the resource was reached; that is invalid where
	// it was not.
	Destination, Gateway netip.AddrPort
}

// Record is what is known of a request or connection at its end. It is the memory of the code that carried it: a
// function that is handed a Record takes what it needs before it returns.
type Record struct {
	Protocol Protocol
	// Start is when the head of the request began to be read, or the ClientHello had been.
	Start time.Time
	// Duration is from Start to the last byte sent, or to the end of the connection.
	Duration time.Duration
	// RequestToTarget is from Start until the last byte of the request, or of the connection, was sent to the target; 0 if
	// none was.
	RequestToTarget time.Duration
	// ResponseFromTarget is from the first byte that the target sent to the last that the client was sent; 0 if there was
	// none.
	ResponseFromTarget time.Duration

	// Client is the address that the connection came from.
	Client netip.AddrPort
	// What the request met, as far as it came; the rest is nil. The service is the listener's.
	VPC         *snapshot.VPC
	Network     *snapshot.Network
	Listener    *snapshot.Listener
	Rule        *snapshot.Rule
	TargetGroup *snapshot.TargetGroup
	// Target is the address of the target that was tried last; invalid if none was.
	Target netip.AddrPort
	// ServerName is the name that a client of TLS asked for, "" without TLS.
	ServerName string
	// Resource is nil but for a connection to one.
	Resource *Resource

	// What the request said; empty where it could not be read, and for a connection.
	Method, Path, Host, UserAgent []byte
	RequestID                     []byte
	// Status is the status of the final response; 0 if the client was not answered.
	Status int

	// BytesReceived counts the request's head and the data of its body, 0 if the head could not be read, or all that was
	// read from the client of a connection, its ClientHello included. BytesSent counts all that the client was sent.
	BytesReceived, BytesSent int64
	// Caller is who signed the request; nobody where no signature was asked for or none was good.
	Caller access.Caller
	// DeniedBy is empty unless the request or connection was denied.
	DeniedBy access.DeniedBy
	// Failure is empty unless something failed. An idle connection that is ended is no failure, unless the target had said
	// nothing at all.
	Failure Failure
}
