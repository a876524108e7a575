package termination

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
)

// Cause is why a handshake failed.
type Cause int

const (
	// OtherCause is a client that does not follow the protocol, or wants what is in none of the other causes.
	OtherCause Cause = iota
	// NoCertificate is a custom domain name whose service has no certificate.
	NoCertificate
	// BadCertificate is a certificate whose key cannot be opened. The log says why.
	BadCertificate
	// NoName is a client that names no service: it sends no Server Name Indication.
	NoName
	// WrongName is a client that names another service than the one it was taken to name.
	WrongName
	// NoVersion is a client without TLS 1.2 and 1.3.
	NoVersion
	// NoSuite is a client without a cipher suite of the security policy.
	NoSuite
	// RefusedByClient is a client that sent an alert, most often since it does not trust the certificate.
	RefusedByClient
	// Closed is a client that went away.
	Closed
	// TimedOut is a client that took too long, or a node that stops.
	TimedOut

	causes = iota
)

// String is the cause as metrics have it.
func (c Cause) String() string {
	return [...]string{
		OtherCause: "protocol", NoCertificate: "no-certificate", BadCertificate: "bad-certificate", NoName: "no-server-name",
		WrongName: "wrong-server-name", NoVersion: "protocol-version", NoSuite: "cipher-suite", RefusedByClient: "refused-by-client",
		Closed: "closed", TimedOut: "timed-out",
	}[c]
}

// Failure is a handshake that failed.
type Failure struct {
	Cause Cause
	// Name is the name of the service that the client wanted.
	Name string
	Err  error
}

// Error names the service and what went wrong.
func (f *Failure) Error() string {
	return fmt.Sprintf("TLS handshake for %s: %s: %v", f.Name, f.Cause, f.Err)
}

// Unwrap is the error behind.
func (f *Failure) Unwrap() error { return f.Err }

// failures counts failures by cause.
type failures [causes]atomic.Uint64

// Errors are the numbers of handshakes that have failed since the start, by cause. Every cause is there.
func (t *Terminator) Errors() map[string]uint64 {
	counts := make(map[string]uint64, causes)
	for cause := range t.fail {
		counts[Cause(cause).String()] = t.fail[cause].Load()
	}
	return counts
}

// failed counts a failure.
func (t *Terminator) failed(ctx context.Context, a *attempt, name string, err error) error {
	cause := a.cause
	if cause == OtherCause {
		cause = causeOf(ctx, err)
	}
	t.fail[cause].Add(1)
	if a.err != nil {
		err = a.err
	}
	return &Failure{cause, name, err}
}

// causeOf tells causes apart by the error of crypto/tls.
func causeOf(ctx context.Context, err error) Cause {
	var remote *net.OpError
	var header tls.RecordHeaderError
	switch {
	case ctx.Err() != nil, errors.Is(err, os.ErrDeadlineExceeded):
		return TimedOut
	case errors.As(err, &remote) && remote.Op == "remote error": // an alert (crypto/tls, Conn.readRecord)
		return RefusedByClient
	case errors.As(err, &header):
		return OtherCause
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.ErrClosedPipe), errors.Is(err, net.ErrClosed),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return Closed
	}
	return OtherCause
}
