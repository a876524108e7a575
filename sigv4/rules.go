package sigv4

import (
	"slices"
	"strings"
	"time"
)

const (
	defaultSkew = 5 * time.Minute
	// maxLifetime is how long a presigned request can be good for (IAM user guide, "Create a signed request").
	maxLifetime = 7 * 24 * time.Hour
	// maxSignedHeaders bounds the work an unauthenticated request can ask for. VPC Lattice takes 100 headers at most.
	maxSignedHeaders = 100
)

// Rules are what a service asks of a signature.
type Rules struct {
	// Service is the name that the scope must have, such as "vpc-lattice-svcs".
	Service string
	// Regions are those the scope may name; a V4A region set must match one of them. Empty accepts any.
	Regions []string
	// Skew is how far the instant of a signature may lie from now, either way. 0 means five minutes. A presigned request that names its
	// own lifetime is held to that instead once its instant has passed.
	Skew time.Duration
	// Payload says how the body must be covered.
	Payload Payload
	// Paths are the ways of writing the path that are accepted, in the order tried; at least one. Each is tried with each
	// QueryForm, as far as they differ.
	Paths []PathForm
}

// ControlPlane is the rules of an API endpoint: the body is hashed and the path is encoded twice, normalised or not, since SDKs differ in
// that.
func ControlPlane(service string, regions ...string) Rules {
	return Rules{Service: service, Regions: regions, Payload: PayloadHashed, Paths: []PathForm{PathEncoded, PathNormalized}}
}

// DataPlane is the rules of a VPC Lattice service: the body is not signed, and the path may be encoded once or twice, since some clients
// are told not to and others cannot be told. The price is that a signature of /a%20b, encoded twice, also fits
// /a%2520b, encoded once. Empty segments may be left out, as the SDKs for Python and JavaScript and the Common Runtime
// do: /a//b stays below each path that is a prefix of /a/b. Dot segments may not, or a signature of /b would fit
// /a/../b, which auth policies and listener rules take for something else.
func DataPlane(regions ...string) Rules {
	return Rules{Service: "vpc-lattice-svcs", Regions: regions, Payload: PayloadUnsigned,
		Paths: []PathForm{PathAsSent, PathEncoded, PathCollapsed, PathCollapsedEncoded}}
}

func (r *Rules) skew() time.Duration {
	if r.Skew == 0 {
		return defaultSkew
	}
	return r.Skew
}

// check holds a claim to the rules, short of the signature itself. signed is how many x-amz- fields it covers.
func (r *Rules) check(request *Request, c *claim, signed int, now time.Time) error {
	if err := checkCoverage(request, c.signedHeaders, signed); err != nil {
		return err
	}
	if err := r.checkPayload(request.Header); err != nil {
		return err
	}
	if err := r.checkScope(c); err != nil {
		return err
	}
	return r.checkTime(c, now)
}

// checkNumber bounds how many headers a claim names.
func checkNumber(signedHeaders string) error {
	if strings.Count(signedHeaders, ";") >= maxSignedHeaders {
		return incomplete("SignedHeaders names more than %d headers.", maxSignedHeaders)
	}
	return nil
}

// checkPayload holds the data plane to unsigned payloads (user guide, "SIGv4 authenticated requests"). Where the body is hashed there is
// nothing to check: the hash that is signed is always that of the body received, and not what the field says.
func (r *Rules) checkPayload(h Fields) error {
	if r.Payload != PayloadUnsigned {
		return nil
	}
	const name = "x-amz-content-sha256"
	value, err := single(h, name)
	switch {
	case err != nil:
		return err
	case value == "": // if it is there, it is signed: checkCoverage has seen to that
		return incomplete("Missing the '%s' in canonical headers", name)
	case value != unsignedPayload:
		return invalid("Signed payloads are not supported")
	}
	return nil
}

// amzPrefix begins the names of the fields that must all be signed.
const amzPrefix = "x-amz-"

// checkCoverage: every x-amz- field that was sent is signed, so that none can be added on the way (IAM user guide, "Create a signed
// request", canonical headers), and the query can be put in canonical form. signed is how many are; which one is not, is only looked for
// when there are more.
func checkCoverage(r *Request, signedHeaders string, signed int) error {
	for i := range r.Header {
		if hasNamePrefix(r.Header[i].Name, amzPrefix) {
			signed--
		}
	}
	for i := range r.Header {
		if name := r.Header[i].Name; signed < 0 && hasNamePrefix(name, amzPrefix) && !covers(signedHeaders, name) {
			return incomplete("Missing the '%s' in canonical headers", shown(strings.ToLower(name)))
		}
	}
	if !wellEncoded(r.RawQuery) {
		return errQueryEncoding()
	}
	return nil
}

// covers reports whether a list of signed headers has the name of a field as sent.
func covers(signedHeaders, name string) bool {
	for signed := range strings.SplitSeq(signedHeaders, ";") {
		if isNamed(name, signed) {
			return true
		}
	}
	return false
}

func (r *Rules) checkScope(c *claim) error {
	switch {
	case c.terminator != terminator:
		return invalid("Credential should be scoped with a valid terminator: '%s'", terminator)
	case c.service != r.Service:
		return invalid("Credential should be scoped to correct service: '%s'", r.Service)
	case c.algorithm == V4A && c.region == "":
		return incomplete("Missing the 'x-amz-region-set' in canonical headers")
	case !r.coversRegion(c):
		return invalid("Credential should be scoped to a valid Region, not '%s'", shown(c.region))
	case c.date != c.timestamp[:len("YYYYMMDD")]:
		return invalid("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP")
	}
	return nil
}

func (r *Rules) coversRegion(c *claim) bool {
	switch {
	case len(r.Regions) == 0:
		return true
	case c.algorithm == V4:
		return slices.Contains(r.Regions, c.region)
	}
	for pattern := range strings.SplitSeq(c.region, ",") {
		pattern = strings.TrimSpace(pattern)
		if slices.ContainsFunc(r.Regions, func(region string) bool { return matchRegion(pattern, region) }) {
			return true
		}
	}
	return false
}

// matchRegion matches a member of a V4A region set, in which an asterisk stands for any characters.
func matchRegion(pattern, region string) bool {
	head, rest, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == region
	}
	if !strings.HasPrefix(region, head) {
		return false
	}
	region = region[len(head):]
	// Each middle piece is taken at its first occurrence, which leaves the most for those after it.
	for {
		piece, after, more := strings.Cut(rest, "*")
		if !more {
			return strings.HasSuffix(region, piece)
		}
		i := strings.Index(region, piece)
		if i < 0 {
			return false
		}
		region, rest = region[i+len(piece):], after
	}
}

// checkTime bounds replay: a signature is good from shortly before its instant, because clocks differ, until shortly after it or for as long
// as a presigned request says.
func (r *Rules) checkTime(c *claim, now time.Time) error {
	skew, age := r.skew(), r.skew()
	if c.lifetime > 0 {
		age = c.lifetime
	}
	if oldest := now.Add(-age); c.at.Before(oldest.Truncate(time.Second)) {
		return invalid("Signature expired: %s is now earlier than %s (%s - %s)",
			c.timestamp, formatTimestamp(oldest), formatTimestamp(now), span(age))
	}
	if newest := now.Add(skew); c.at.After(newest) {
		return invalid("Signature not yet current: %s is still later than %s (%s + %s)",
			c.timestamp, formatTimestamp(newest), formatTimestamp(now), span(skew))
	}
	return nil
}
