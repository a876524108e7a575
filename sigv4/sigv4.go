// Package sigv4 signs and verifies HTTP requests with AWS Signature Version 4 and Version 4A, in the header form and in the
// query (presigned) form.
//
// A signature covers a canonical request: method, path, query, the headers that the client names, and a hash of the payload. Version 4
// keys an HMAC with a key derived from the secret, the day, the region and the service. Version 4A signs with a P-256 key derived from the
// secret alone and names a set of regions instead of one. The rules are those of the IAM user guide, "AWS Signature Version 4 for API
// requests"; what VPC Lattice adds is in its user guide, "SIGv4 authenticated requests".
//
// The package knows no service and no store: a [Verifier] is given [Rules] for one service and [Credentials] that find a secret.
// [ControlPlane] and [DataPlane] are the two sets of rules in use. It depends on the standard library alone.
package sigv4

import (
	"crypto/sha256"
	"net/http"
	"strconv"
	"time"
)

// Algorithm names a version of the signature, spelled as it is sent.
type Algorithm string

// The two versions.
const (
	V4  Algorithm = "AWS4-HMAC-SHA256"
	V4A Algorithm = "AWS4-ECDSA-P256-SHA256"
)

const (
	terminator      = "aws4_request"
	timestampLayout = "20060102T150405Z"
	unsignedPayload = "UNSIGNED-PAYLOAD"
)

// Field is one header field. An HTTP engine can lend its own memory: the strings need only hold for as long as the results that share it,
// such as an Identity, are in use.
type Field struct{ Name, Value string }

// Fields is the header of a request: its fields in the order they were received, repeated names included.
type Fields []Field

// Request is what a signature can cover. Nothing in it is decoded or normalised.
type Request struct {
	Method string
	// Path is the path as sent, still percent-encoded. Empty means "/".
	Path string
	// RawQuery is the query as sent, without the question mark.
	RawQuery string
	// Host is the Host field or the :authority pseudo-header, with its port if it was sent with one. A field named "host" in Header
	// is ignored in its favour.
	Host   string
	Header Fields
	// BodyHash is the SHA-256 of the body. It is read only under PayloadHashed.
	BodyHash [sha256.Size]byte
}

// FromHTTP describes r, received or about to be sent, whose body is body. The body is only hashed: pass nil where the payload is unsigned.
func FromHTTP(r *http.Request, body []byte) *Request {
	n := 1
	for _, values := range r.Header {
		n += len(values)
	}
	fields := make(Fields, 0, n)
	for name, values := range r.Header {
		for _, value := range values {
			fields = append(fields, Field{name, value})
		}
	}
	// The standard client keeps the length outside its header map until it writes the request.
	if r.ContentLength > 0 && r.Header.Get("Content-Length") == "" {
		fields = append(fields, Field{"Content-Length", strconv.FormatInt(r.ContentLength, 10)})
	}
	host := r.Host
	if host == "" {
		host = r.URL.Host
	}
	return &Request{
		Method:   r.Method,
		Path:     r.URL.EscapedPath(),
		RawQuery: r.URL.RawQuery,
		Host:     host,
		Header:   fields,
		BodyHash: sha256.Sum256(body),
	}
}

// Scope is what a signature says it is for.
type Scope struct {
	Algorithm Algorithm
	// Date is the UTC day, YYYYMMDD.
	Date string
	// Region is one region for V4 and the region set as sent, such as "us-west-2,eu-*", for V4A.
	Region  string
	Service string
}

// Payload says how a signature covers the body.
type Payload uint8

const (
	// PayloadHashed covers the body by its SHA-256, whether or not an x-amz-content-sha256 field repeats it.
	PayloadHashed Payload = iota
	// PayloadUnsigned leaves the body out and says so in a signed field, x-amz-content-sha256: UNSIGNED-PAYLOAD.
	PayloadUnsigned
)

// PathForm is one of the ways in which clients write the path into the canonical request.
type PathForm uint8

const (
	// PathEncoded percent-encodes the path as sent a second time. SDKs do this for every service but Amazon S3.
	PathEncoded PathForm = iota
	// PathNormalized first drops empty and dot segments (RFC 3986 §5.2.4 and doubled slashes), then does as PathEncoded.
	PathNormalized
	// PathAsSent is the path as sent. The user guide's Go and Java samples for VPC Lattice ask their SDK for this.
	PathAsSent
	// PathCollapsed is the path as sent with one slash for each run of them. A path with dot segments is left as it is.
	PathCollapsed
	// PathCollapsedEncoded is PathCollapsed, percent-encoded a second time.
	PathCollapsedEncoded
)

// QueryForm is one of the ways in which clients write the query into the canonical request.
type QueryForm uint8

const (
	// QueryDecoded decodes names and values and encodes them again, a plus sign being a space, as in HTML forms.
	QueryDecoded QueryForm = iota
	// QueryPlus does the same, a plus sign being itself.
	QueryPlus
	// QueryAsSent only sorts the parameters.
	QueryAsSent
	queryForms
)

// formatTimestamp writes t as the signature spells instants: ISO 8601 basic format, UTC, whole seconds.
func formatTimestamp(t time.Time) string { return t.UTC().Format(timestampLayout) }
