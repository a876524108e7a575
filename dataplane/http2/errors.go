package http2

import (
	"errors"
	"fmt"
	"io"

	"pergola/dataplane/http1"
)

// Code is an error code of RST_STREAM and GOAWAY (RFC 9113 §7).
type Code uint32

// The codes.
const (
	NoError Code = iota
	ProtocolError
	InternalError
	FlowControlError
	SettingsTimeout
	StreamClosed
	FrameSizeError
	RefusedStream
	Cancel
	CompressionError
	ConnectError
	EnhanceYourCalm
	InadequateSecurity
	HTTP11Required
)

// String returns the name that RFC 9113 gives the code.
func (c Code) String() string {
	names := [...]string{
		"NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
		"FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
		"INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
	}
	if int(c) < len(names) {
		return names[c]
	}
	return fmt.Sprintf("error code %d", uint32(c))
}

// ConnError says why a connection was ended with an error: by this side, because the peer broke a rule, or by the peer.
type ConnError struct {
	// Code is what was sent, or received, in GOAWAY.
	Code Code
	// Problem says what is wrong, in a few words.
	Problem string
}

// Error says what ended the connection.
func (e *ConnError) Error() string { return "http2: " + e.Code.String() + ": " + e.Problem }

// Unwrap makes it the unexpected end of all that was under way.
func (e *ConnError) Unwrap() error { return io.ErrUnexpectedEOF }

func connError(code Code, problem string) *ConnError { return &ConnError{code, problem} }

// ResetError says that the peer reset a stream.
type ResetError struct {
	// Code is what the peer sent.
	Code Code
}

// Error says how the stream was reset.
func (e *ResetError) Error() string { return "http2: the peer reset the stream: " + e.Code.String() }

// Unwrap makes it http1.ErrStale if the peer promises that it did nothing (RFC 9113 §8.7), otherwise an unexpected end.
func (e *ResetError) Unwrap() error {
	if e.Code == RefusedStream {
		return http1.ErrStale
	}
	return io.ErrUnexpectedEOF
}

var (
	// ErrFull is what Open returns while the connection carries as many streams as the peer allows.
	ErrFull = errors.New("http2: the connection has no room for another stream")
	// ErrClosed is what Open returns when the connection has ended or is about to, and what a Stream returns once it was
	// ended by its own user.
	ErrClosed = errors.New("http2: the connection or the stream is closed")
	// ErrPanicked is what a connection ends with, and all its streams, when serving it panics. It was logged.
	ErrPanicked = errors.New("http2: the connection was given up")
)

// What can be wrong with a message, beside what http1 refuses.
var (
	ErrUpperCase    = malformed("a field name holds an upper-case letter", "RFC 9113 §8.2.1")
	ErrPseudoField  = malformed("a pseudo-header field is unknown, repeated, out of place or missing", "RFC 9113 §8.3")
	ErrScheme       = malformed("the scheme is neither http nor https", "RFC 9113 §8.3.1")
	ErrConnection   = malformed("a field is about the connection, which has other means in HTTP/2", "RFC 9113 §8.2.2")
	ErrLength       = malformed("the body is not as long as Content-Length says", "RFC 9113 §8.1.1")
	ErrTrailers     = malformed("the trailers do not end the stream", "RFC 9113 §8.1")
	ErrNoHead       = malformed("the body comes before the head", "RFC 9113 §8.1")
	ErrManyHeads    = malformed("too many informational responses", "RFC 9110 §15.2")
	ErrEndsTooEarly = malformed("an informational response ends the stream", "RFC 9113 §8.1")
)

func malformed(problem, source string) *http1.MalformedError {
	return &http1.MalformedError{Problem: problem, Source: source}
}
