package sigv4

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// claim is what a request says about its own signature, read and checked for form only.
type claim struct {
	algorithm     Algorithm
	accessKeyID   string
	date          string // of the credential scope, YYYYMMDD
	region        string // V4: of the credential scope; V4A: the region set
	service       string
	terminator    string
	signedHeaders string
	signature     string // hexadecimal
	token         string
	timestamp     string // ISO 8601 basic format, as signed
	at            time.Time
	presigned     bool
	lifetime      time.Duration // presigned only; 0 when X-Amz-Expires is absent
}

// Signed reports whether the request carries a signature, good or bad: an Authorization field of the AWS4 schemes, or the query parameters of a
// presigned request. VPC Lattice authenticates every signed request, even where an anonymous one would do (user guide, "SIGv4
// authenticated requests"). Other Authorization schemes belong to the application.
func Signed(r *Request) bool {
	_, fields := authorization(r.Header)
	return fields > 0 || signedInQuery(r.RawQuery)
}

// ScopeOf reads the scope of a request's signature and verifies nothing. A front door that serves many services picks one by it. The
// strings share memory with the request. The error is a *Refusal.
func ScopeOf(r *Request) (Scope, error) {
	c, err := readSignature(r)
	if err != nil {
		return Scope{}, err
	}
	return c.scope(), nil
}

func (c *claim) scope() Scope { return Scope{c.algorithm, c.date, c.region, c.service} }

// credentialScope is the scope as the string to sign contains it.
func (c *claim) credentialScope() string {
	if c.algorithm == V4A {
		return c.date + "/" + c.service + "/" + c.terminator
	}
	return c.date + "/" + c.region + "/" + c.service + "/" + c.terminator
}

// readClaim reads the whole claim: signature, instant and token.
func readClaim(r *Request) (claim, error) {
	c, err := readSignature(r)
	if err != nil {
		return claim{}, err
	}
	if !c.presigned {
		if c.token, err = single(r.Header, "x-amz-security-token"); err != nil {
			return claim{}, err
		}
		if err := c.readInstant(r.Header); err != nil {
			return claim{}, err
		}
		return c, nil
	}
	// A token belongs with its signature. A second one in the header would leave open which of them was meant.
	if _, n := lookup(r.Header, "x-amz-security-token"); n > 0 {
		return claim{}, incomplete("A presigned request carries its token in the query: remove the 'x-amz-security-token' header.")
	}
	if c.at, err = parseTimestamp(c.timestamp); err != nil {
		return claim{}, err
	}
	return c, nil
}

// readSignature reads the form that is present. Both at once are refused: they could disagree.
func readSignature(r *Request) (claim, error) {
	value, fields := authorization(r.Header)
	inQuery := signedInQuery(r.RawQuery)
	switch {
	case fields == 0 && !inQuery:
		return claim{}, &Refusal{MissingToken, "Missing Authentication Token"}
	case fields > 0 && inQuery:
		return claim{}, incomplete("The request is signed twice: use the 'Authorization' header or the query-string parameters, not both.")
	case fields > 1:
		return claim{}, incomplete("The request has more than one 'Authorization' header.")
	case inQuery:
		return readQueryForm(r.RawQuery)
	}
	return readHeaderForm(value, r.Header)
}

// authorization returns the Authorization value of an AWS4 scheme and the number of all Authorization fields, or 0 if none is of such a
// scheme.
func authorization(h Fields) (value string, fields int) {
	aws := false
	for i := range h {
		if !isNamed(h[i].Name, "authorization") {
			continue
		}
		fields++
		if v := strings.TrimSpace(h[i].Value); strings.HasPrefix(v, "AWS4-") {
			value, aws = v, true
		}
	}
	if !aws {
		return "", 0
	}
	return value, fields
}

// signedInQuery reports whether a query has a parameter that only presigned requests have.
func signedInQuery(rawQuery string) bool {
	if !strings.Contains(rawQuery, "X-Amz-") && strings.IndexByte(rawQuery, '%') < 0 {
		return false // like nearly every query
	}
	for pair := range strings.SplitSeq(rawQuery, "&") {
		name, _, _ := strings.Cut(pair, "=")
		if spells(name, "X-Amz-Algorithm") || spells(name, "X-Amz-Credential") || spells(name, "X-Amz-Signature") {
			return true
		}
	}
	return false
}

// readHeaderForm reads "ALGORITHM Credential=…, SignedHeaders=…, Signature=…": the three in any order, each exactly once, nothing else.
func readHeaderForm(value string, h Fields) (claim, error) {
	var c claim
	algorithm, rest, _ := strings.Cut(value, " ")
	var credential string
	for part := range strings.SplitSeq(rest, ",") {
		part = strings.TrimSpace(part)
		name, v, found := strings.Cut(part, "=")
		if !found {
			return claim{}, incomplete("'%s' not a valid key=value pair (missing equal-sign) in Authorization header.", shown(part))
		}
		var to *string
		switch name {
		case "Credential":
			to = &credential
		case "SignedHeaders":
			to = &c.signedHeaders
		case "Signature":
			to = &c.signature
		default:
			return claim{}, incomplete("'%s' is not a parameter of the Authorization header.", shown(name))
		}
		if *to != "" {
			return claim{}, incomplete("Authorization header has more than one '%s' parameter.", name)
		}
		if v == "" {
			return claim{}, incomplete("Authorization header requires '%s' parameter.", name)
		}
		*to = v
	}
	if missing := missingParameters(credential, c.signedHeaders, c.signature); missing != "" {
		return claim{}, incomplete("%s", missing)
	}
	if err := c.setCredential(algorithm, credential); err != nil {
		return claim{}, err
	}
	if c.algorithm == V4A {
		var err error
		if c.region, err = single(h, "x-amz-region-set"); err != nil {
			return claim{}, err
		}
	}
	return c, nil
}

func missingParameters(credential, signedHeaders, signature string) string {
	var missing []string
	for _, p := range [...]struct{ name, value string }{
		{"Credential", credential}, {"Signature", signature}, {"SignedHeaders", signedHeaders},
	} {
		if p.value == "" {
			missing = append(missing, "Authorization header requires '"+p.name+"' parameter.")
		}
	}
	return strings.Join(missing, " ")
}

// setCredential takes apart keyid/date/region/service/terminator; a V4A credential has no region.
func (c *claim) setCredential(algorithm, credential string) error {
	c.algorithm = Algorithm(algorithm)
	form, elements := "keyid/date/region/service/term", 5
	switch c.algorithm {
	case V4:
	case V4A:
		form, elements = "keyid/date/service/term", 4
	default:
		return incomplete("Unsupported AWS 'algorithm': '%s'.", shown(algorithm))
	}
	if strings.Count(credential, "/") != elements-1 {
		return incomplete("Credential must have exactly %d slash-delimited elements, e.g. %s, got '%s'", elements, form, shown(credential))
	}
	rest := credential
	c.accessKeyID, rest, _ = strings.Cut(rest, "/")
	c.date, rest, _ = strings.Cut(rest, "/")
	if c.algorithm == V4 {
		c.region, rest, _ = strings.Cut(rest, "/")
	}
	c.service, c.terminator, _ = strings.Cut(rest, "/")
	return nil
}

// readInstant takes the instant of a header-form signature from X-Amz-Date, or else from Date, which may be in any HTTP format.
func (c *claim) readInstant(h Fields) error {
	value, err := single(h, "x-amz-date")
	if err != nil {
		return err
	}
	if value == "" {
		if value, err = single(h, "date"); err != nil {
			return err
		}
		if at, err := http.ParseTime(value); err == nil {
			c.at, c.timestamp = at.UTC(), formatTimestamp(at)
			return nil
		}
	}
	if value == "" {
		return incomplete("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
	}
	c.timestamp = value
	c.at, err = parseTimestamp(value)
	return err
}

// parseTimestamp reads ISO 8601 basic format, and that alone: fourteen digits, T and Z. It is every request's, and reads them itself
// because time.Parse takes a tenth of what a verification takes.
func parseTimestamp(s string) (time.Time, error) {
	var n [14]int
	digits := 0
	for i := range min(len(s), len(timestampLayout)) {
		if '0' <= s[i] && s[i] <= '9' && digits < len(n) && i != len("YYYYMMDD") {
			n[digits] = int(s[i] - '0')
			digits++
		}
	}
	two := func(i int) int { return n[i]*10 + n[i+1] }
	year, month, day := two(0)*100+two(2), two(4), two(6)
	hour, minute, second := two(8), two(10), two(12)
	at := time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC)
	whole := len(s) == len(timestampLayout) && digits == len(n) && s[8] == 'T' && s[15] == 'Z'
	// What is out of its range has been carried into what comes before it.
	if !whole || at.Month() != time.Month(month) || at.Day() != day || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, incomplete("Date must be in ISO-8601 'basic format'. Got '%s'.", shown(s))
	}
	return at, nil
}

// queryForm is the parameters of a presigned request, decoded.
type queryForm struct {
	algorithm, credential, date, expires, signedHeaders, signature, token, regionSet string
}

// at returns where the parameter of that name is kept, or nil if it is none of the signature's own.
func (q *queryForm) at(name string) *string {
	switch name {
	case "X-Amz-Algorithm":
		return &q.algorithm
	case "X-Amz-Credential":
		return &q.credential
	case "X-Amz-Date":
		return &q.date
	case "X-Amz-Expires":
		return &q.expires
	case "X-Amz-SignedHeaders":
		return &q.signedHeaders
	case "X-Amz-Signature":
		return &q.signature
	case "X-Amz-Security-Token":
		return &q.token
	case "X-Amz-Region-Set":
		return &q.regionSet
	}
	return nil
}

// missing returns the name of the first required parameter that is absent.
func (q *queryForm) missing() string {
	for _, name := range [...]string{
		"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date",
	} {
		if *q.at(name) == "" {
			return name
		}
	}
	return ""
}

func readQueryForm(rawQuery string) (claim, error) {
	var q queryForm
	for pair := range strings.SplitSeq(rawQuery, "&") {
		rawName, rawValue, _ := strings.Cut(pair, "=")
		name, ok1 := unescape(rawName)
		value, ok2 := unescape(rawValue)
		if !ok1 || !ok2 {
			return claim{}, errQueryEncoding()
		}
		to := q.at(name)
		if to == nil {
			continue
		}
		if *to != "" {
			return claim{}, incomplete("AWS query-string parameters must include '%s' only once. Re-examine the query-string parameters.", name)
		}
		if value == "" {
			return claim{}, errParameterMissing(name)
		}
		*to = value
	}
	if name := q.missing(); name != "" {
		return claim{}, errParameterMissing(name)
	}
	return q.claim()
}

func errParameterMissing(name string) *Refusal {
	return incomplete("AWS query-string parameters must include '%s'. Re-examine the query-string parameters.", name)
}

func (q *queryForm) claim() (claim, error) {
	c := claim{
		presigned: true, timestamp: q.date, signedHeaders: q.signedHeaders, signature: q.signature, token: q.token,
	}
	if err := c.setCredential(q.algorithm, q.credential); err != nil {
		return claim{}, err
	}
	if c.algorithm == V4A {
		c.region = q.regionSet
	}
	if q.expires == "" {
		return c, nil
	}
	seconds, err := strconv.ParseUint(q.expires, 10, 32)
	c.lifetime = time.Duration(seconds) * time.Second
	if err != nil || c.lifetime < time.Second || c.lifetime > maxLifetime {
		return claim{}, incomplete("X-Amz-Expires must be a number of seconds from 1 to 604800, got '%s'.", shown(q.expires))
	}
	return c, nil
}

// lookup returns the first value of a header, trimmed, and the number of fields with its name, which is given in lower case.
func lookup(h Fields, name string) (value string, fields int) {
	for i := range h {
		if !isNamed(h[i].Name, name) {
			continue
		}
		if fields == 0 {
			value = strings.TrimSpace(h[i].Value)
		}
		fields++
	}
	return value, fields
}

// single is lookup for a header that must not be repeated.
func single(h Fields, name string) (string, error) {
	value, fields := lookup(h, name)
	if fields > 1 {
		return "", incomplete("The request has more than one '%s' header.", name)
	}
	return value, nil
}

// isNamed compares a field name as sent with a name in lower case. Only ASCII letters fold (RFC 9110 §5.1).
func isNamed(sent, lower string) bool {
	return len(sent) == len(lower) && hasNamePrefix(sent, lower)
}

// hasNamePrefix reports whether a field name as sent begins with a prefix in lower case.
func hasNamePrefix(sent, lower string) bool {
	if len(sent) < len(lower) {
		return false
	}
	for i := range len(lower) {
		c := sent[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
