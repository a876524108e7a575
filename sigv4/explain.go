package sigv4

import (
	"fmt"
	"slices"
	"strings"
)

// Explanation is how a verifier saw a request. It holds neither secret nor signing key, nor the signature that would have fitted, so showing it
// gives nothing away that the request did not contain; a session token in the request is shown as sent.
type Explanation struct {
	// Err is what Verify returns for the request; nil if it is authenticated.
	Err error
	// AccessKeyID, Scope, Timestamp and SignedHeaders are what the request claims. They are empty if the claim could not be read.
	AccessKeyID   string
	Scope         Scope
	Timestamp     string
	SignedHeaders string
	// Attempts is what was computed, one for each form of query and path that makes a difference, in the order tried.
	Attempts []Attempt
}

// Attempt is the computation for one form of the query and one of the path. A client whose own canonical request
// differs in a line is wrong in that line.
type Attempt struct {
	Path             PathForm
	CanonicalRequest string
	StringToSign     string
	Query            QueryForm
}

// Explain verifies a request and tells what was computed on the way, whether or not the signature fits.
func (v *Verifier[P]) Explain(r *Request) Explanation {
	c, err := readClaim(r)
	if err != nil {
		return Explanation{Err: err}
	}
	e := Explanation{AccessKeyID: c.accessKeyID, Scope: c.scope(), Timestamp: c.timestamp, SignedHeaders: c.signedHeaders}
	_, e.Err = v.verify(r, &c)
	var s canonicalizer
	if _, err := s.readHeaders(r, c.signedHeaders); err != nil || checkNumber(c.signedHeaders) != nil || !wellEncoded(r.RawQuery) {
		return e
	}
	s.presigned = c.presigned
	for s.queryForm = range queryForms {
		for _, form := range v.rules.Paths {
			canonical := s.canonicalRequest(r, c.signedHeaders, form, v.rules.Payload)
			a := Attempt{form, string(canonical), string(s.stringToSign(&c, canonical)), s.queryForm}
			if !slices.ContainsFunc(e.Attempts, func(b Attempt) bool { return a.CanonicalRequest == b.CanonicalRequest }) {
				e.Attempts = append(e.Attempts, a)
			}
		}
	}
	return e
}

// String describes the form in the words of SDK options.
func (f PathForm) String() string {
	return [...]string{
		PathEncoded:    "path encoded twice",
		PathNormalized: "path normalised and encoded twice",
		PathAsSent:     "path encoded once",

		PathCollapsed:        "path without empty segments encoded once",
		PathCollapsedEncoded: "path without empty segments encoded twice",
	}[f]
}

// String describes the form; nothing needs to be said of the first.
func (f QueryForm) String() string {
	return [...]string{QueryDecoded: "", QueryPlus: ", plus signs kept", QueryAsSent: ", query as sent"}[f]
}

// String writes the explanation line by line. Each line of a canonical request is indented by two spaces.
func (e Explanation) String() string {
	var b strings.Builder
	if e.Err == nil {
		b.WriteString("authenticated\n")
	} else {
		fmt.Fprintf(&b, "refused: %v\n", e.Err)
	}
	if e.AccessKeyID != "" {
		fmt.Fprintf(&b, "access key %s, %s, signed for %s in %s at %s\n",
			shown(e.AccessKeyID), e.Scope.Algorithm, shown(e.Scope.Service), shown(e.Scope.Region), e.Timestamp)
	}
	for _, a := range e.Attempts {
		fmt.Fprintf(&b, "canonical request, %v%v:\n%sstring to sign:\n%s", a.Path, a.Query, indented(a.CanonicalRequest),
			indented(a.StringToSign))
	}
	return b.String()
}

func indented(text string) string {
	return "  " + strings.ReplaceAll(text, "\n", "\n  ") + "\n"
}
