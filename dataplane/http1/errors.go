package http1

import "errors"

// MalformedError says which rule a message broke. On the server side it is answered with 400 and the connection closed;
// from a target it becomes a 502. Its values are the Err variables below, so both errors.Is and errors.As work.
type MalformedError struct {
	// Problem says what is wrong, in a few words.
	Problem string
	// Source is the rule's place: a section of an RFC, or the user guide.
	Source string
}

// Error says what is malformed.
func (e *MalformedError) Error() string {
	return "malformed message: " + e.Problem + " (" + e.Source + ")"
}

func malformed(problem, source string) *MalformedError { return &MalformedError{problem, source} }

// What can be wrong with the first line.
var (
	ErrRequestLine = malformed("the request line is not METHOD SP TARGET SP VERSION", "RFC 9112 §3")
	ErrMethod      = malformed("the method is not a token", "RFC 9110 §9.1")
	ErrConnect     = malformed("CONNECT is not supported", "RFC 9112 §3.2.3")
	ErrTarget      = malformed("the request target is not origin-form, absolute-form or, for OPTIONS, *", "RFC 9112 §3.2")
	ErrTargetByte  = malformed("the request target holds a control, a non-ASCII byte, a fragment or a bad escape", "RFC 9112 §3.2")
	ErrVersion     = malformed("the version is neither HTTP/1.1 nor HTTP/1.0", "RFC 9112 §2.3")
	ErrStatusLine  = malformed("the status line is not VERSION SP STATUS SP REASON", "RFC 9112 §4")
	ErrStatus      = malformed("the status code is not between 100 and 599", "RFC 9110 §15")
	ErrUpgraded    = malformed("the target switched protocols although it was not asked to", "RFC 9110 §15.2.2")
)

// What can be wrong with header fields.
var (
	ErrBareLF        = malformed("a line ends in LF without CR", "RFC 9112 §2.2")
	ErrHeadTooLarge  = malformed("the head is too large", "user guide, access logs")
	ErrTooManyFields = malformed("the head has too many fields", "user guide, access logs")
	ErrObsFold       = malformed("a field is folded over lines", "RFC 9112 §5.2")
	ErrSpaceInName   = malformed("whitespace stands between a field name and its colon", "RFC 9112 §5.1")
	ErrFieldName     = malformed("a field name is empty or not a token", "RFC 9110 §5.1")
	ErrFieldValue    = malformed("a field value holds a control byte", "RFC 9110 §5.5")
	ErrNoHost        = malformed("the Host field is missing", "RFC 9112 §3.2")
	ErrManyHosts     = malformed("the Host field is repeated", "RFC 9112 §3.2")
	ErrHost          = malformed("the host is not a name or address with an optional port", "RFC 9110 §7.2")
	ErrConnection    = malformed("Connection names too many fields", "RFC 9110 §7.6.1")
	ErrExpect        = malformed("the expectation is not 100-continue", "RFC 9110 §10.1.1")
)

// What can be wrong with the framing of a body.
var (
	ErrContentLength      = malformed("Content-Length is not a decimal number that fits", "RFC 9110 §8.6")
	ErrManyContentLengths = malformed("Content-Length is repeated", "RFC 9112 §6.3")
	ErrTransferEncoding   = malformed("Transfer-Encoding is not exactly chunked, once", "RFC 9112 §6.1")
	ErrTransferIn10       = malformed("Transfer-Encoding in an HTTP/1.0 message", "RFC 9112 §6.1")
	ErrTwoFramings        = malformed("both Content-Length and Transfer-Encoding", "RFC 9112 §6.3")
	ErrChunkSize          = malformed("a chunk size is not hexadecimal or does not fit", "RFC 9112 §7.1")
	ErrChunkExtension     = malformed("a chunk extension holds a control byte", "RFC 9112 §7.1.1")
	ErrChunkLine          = malformed("chunk extensions are too long", "RFC 9112 §7.1.1")
	ErrChunkEnd           = malformed("a chunk does not end in CR LF", "RFC 9112 §7.1")
	ErrTrailers           = malformed("the trailer section is too large", "RFC 9112 §7.1.2")
)

var (
	// ErrStale is what Probe and SendAndWait return when the peer closed a kept connection, or spoke on it although
	// nothing was asked. Nothing was sent.
	ErrStale = errors.New("http1: the connection was closed or spoken on while idle")
	// ErrNoRoom is what reading returns when the connection would hold more than it may.
	ErrNoRoom = errors.New("http1: as much is held for the peer as may be")
	// ErrQuiet is what AwaitFor returns when nothing has come.
	ErrQuiet = errors.New("http1: nothing has come for a while")
	// ErrTooMuch is what Discard returns when the body goes on past its bound.
	ErrTooMuch = errors.New("http1: the body is longer than may be discarded")
	// ErrWrongLength is what a Writer returns when a body is longer or shorter than its head announced.
	ErrWrongLength = errors.New("http1: the body is not as long as its head announced")
)
