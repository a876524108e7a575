// Package lattice holds the nouns of the application network: service networks, services, listeners, rules, target
// groups, targets, the associations between them, their identifiers, ARNs, errors and quotas, and the shape of every
// request and response of the API (version 2022-11-30).
//
// It is a leaf: it imports the standard library only, and most other packages import it.
//
// A noun (Service, Rule, …) is what the store keeps, one JSON value each. A request or response (CreateServiceRequest,
// ServiceSummary, …) is what crosses the wire. Both are plain data. The latter are in shapes.go, which is generated
// from model.json, here and in the packages of the neighbours. Their field tags carry the constraints; package api
// enforces them:
//
//	uri:"name"      the member is a label of the request path
//	query:"name"    the member is a query-string parameter
//	json:"name"     the member is part of the JSON body, or of a nested structure
//	header:"name"   the member is a header field
//	payload:"name"  the member is the body; status:"name" the status of an answer
//	xml:"name"      the member is an element of an answer in XML
//	check:"…"       comma-separated constraints:
//	    required          must be present
//	    len=a..b          length in characters; on a list or a map, number of entries; either end may be left out
//	    range=a..b        inclusive range of a number
//	    enum=A|B          one of these values
//	    pattern=NAME      a named pattern of package api
//	    match=PATTERN     a regular expression for the whole text, its commas, brackets and quotes percent-encoded
//	    name or name=svc- a resource name: [a-z0-9-]+, no leading, trailing or double hyphen, not beginning with the prefix
//	    id=KIND           an id of that kind or its ARN
//	    each=(…)          constraints on every element of a list (no nested commas)
//	    union             on a structure: exactly one member must be set
package lattice

import "time"

//go:generate go run pergola/internal/generate shapes model.json

// APIVersion is the version of the API whose shapes this package holds.
const APIVersion = "2022-11-30"

// Time is an instant as the API writes it: UTC, milliseconds, RFC 3339 (the model's iso8601 format; the Go SDK
// refuses epoch numbers).
type Time struct{ time.Time }

// timeLayout always prints three digits of milliseconds and Z.
const timeLayout = "2006-01-02T15:04:05.000Z"

// MarshalJSON writes the instant in UTC with milliseconds.
func (t Time) MarshalJSON() ([]byte, error) {
	return []byte(`"` + t.UTC().Format(timeLayout) + `"`), nil
}

// UnmarshalJSON reads what MarshalJSON writes, and any other RFC 3339 time.
func (t *Time) UnmarshalJSON(data []byte) error { return t.Time.UnmarshalJSON(data) }

// AuthType says who decides whether a request may pass a service network or a service.
type AuthType string

const (
	// AuthNone lets every client of the network pass this level.
	AuthNone AuthType = "NONE"
	// AuthIAM passes only what the auth policy and the caller's identity policies allow.
	AuthIAM AuthType = "AWS_IAM"
)

// Status is where a resource stands in its life. The states in progress are true: a resource is ACTIVE only when the
// nodes that serve it have applied it, and is gone only when they have forgotten it.
type Status string

const (
	StatusCreateInProgress Status = "CREATE_IN_PROGRESS"
	StatusActive           Status = "ACTIVE"
	StatusUpdateInProgress Status = "UPDATE_IN_PROGRESS"
	StatusDeleteInProgress Status = "DELETE_IN_PROGRESS"
	StatusCreateFailed     Status = "CREATE_FAILED"
	StatusUpdateFailed     Status = "UPDATE_FAILED"
	StatusDeleteFailed     Status = "DELETE_FAILED"
)

// InProgress reports whether the nodes have still to apply the resource's last change.
func (s Status) InProgress() bool {
	return s == StatusCreateInProgress || s == StatusUpdateInProgress || s == StatusDeleteInProgress
}

// HasFailed reports whether the resource's last change could not be applied.
func (s Status) HasFailed() bool {
	return s == StatusCreateFailed || s == StatusUpdateFailed || s == StatusDeleteFailed
}

// Tags are a resource's tags. A key has 1 to 128 characters, a value 0 to 256.
type Tags map[string]string

// List is one page of a listing. NextToken is empty on the last page.
type List[T any] struct {
	Items     []T    `json:"items"`
	NextToken string `json:"nextToken,omitempty"`
}

// Empty is the response of operations that answer without a body, or with an empty object.
type Empty struct{}
