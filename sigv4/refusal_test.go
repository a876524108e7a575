package sigv4

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestHeaderRefusals edits a good request in one place. The texts are the interface: clients and people read them.
func TestHeaderRefusals(t *testing.T) {
	v := verifierAt(DataPlane("us-west-2"), testTime)
	good := sign(t, dataPlaneSigner(), get("/", "q=1"))
	if _, err := v.Verify(good); err != nil {
		t.Fatal(err)
	}
	authorization := func(old, new string) *Request {
		return replaced(good, "authorization", func(s string) string { return strings.Replace(s, old, new, 1) })
	}
	set := func(name, value string) *Request { return replaced(good, name, func(string) string { return value }) }
	query := func(rawQuery string) *Request { r := *good; r.RawQuery = rawQuery; return &r }
	noHost := *good
	noHost.Host = ""
	long := strings.Repeat("x", 200)
	const names = "host;x-amz-content-sha256;x-amz-date"
	tests := []struct {
		name    string
		request *Request
		code    Code
		text    string
	}{
		{"signed payload", set("x-amz-content-sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"), Invalid,
			"Signed payloads are not supported"},
		{"streaming payload", set("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"), Invalid,
			"Signed payloads are not supported"},
		{"no payload header", without(authorization(names, "host;x-amz-date"), "x-amz-content-sha256"), Incomplete,
			"Missing the 'x-amz-content-sha256' in canonical headers"},
		{"payload header not signed", authorization(names, "host;x-amz-date"), Incomplete,
			"Missing the 'x-amz-content-sha256' in canonical headers"},
		{"payload header repeated", plus(good, Field{"X-Amz-Content-SHA256", unsignedPayload}), Incomplete,
			"The request has more than one 'x-amz-content-sha256' header."},
		{"signed header not sent", authorization(names, names+";x-amz-security-token"), Incomplete,
			"'x-amz-security-token' is named as a SignedHeader, but it does not exist in the HTTP request."},
		{"signed header in upper case", plus(authorization(names, "Via;"+names), Field{"Via", "1"}), Incomplete,
			"'Via' is named as a SignedHeader, but it does not exist in the HTTP request."},
		{"host not signed", authorization(names, "x-amz-content-sha256;x-amz-date"), Incomplete,
			"'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."},
		{"no host", &noHost, Incomplete, "'host' is named as a SignedHeader, but it does not exist in the HTTP request."},
		{"signed headers out of order", authorization(names, "host;x-amz-date;x-amz-content-sha256"), Incomplete,
			"SignedHeaders must be in order without repetition: 'x-amz-content-sha256' comes after 'x-amz-date'."},
		{"signed header repeated", authorization(names, "host;"+names), Incomplete,
			"SignedHeaders must be in order without repetition: 'host' comes after 'host'."},
		{"too many signed headers", authorization(names, strings.Repeat("x;", 100)+"x"), Incomplete,
			"SignedHeaders names more than 100 headers."},
		{"unsigned x-amz header", plus(good, Field{"X-AMZ-Added", "1"}), Incomplete, "Missing the 'x-amz-added' in canonical headers"},
		{"query not encoded", query("q=%zz"), Incomplete,
			"The query string has a percent sign that begins no escape. Write it as '%25'."},
		{"wrong terminator", authorization("aws4_request", "aws4_\x00"), Invalid,
			"Credential should be scoped with a valid terminator: 'aws4_request'"},
		{"wrong service", authorization("/vpc-lattice-svcs/", "/vpc-lattice/"), Invalid,
			"Credential should be scoped to correct service: 'vpc-lattice-svcs'"},
		{"wrong region", authorization("/us-west-2/", "/us-\x01-1/"), Invalid,
			"Credential should be scoped to a valid Region, not 'us-?-1'"},
		{"wrong date", authorization("/20260102/", "/20260101/"), Invalid,
			"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP"},
		{"wrong signature", authorization("Signature=", "Signature=0"), Invalid, textMismatch},
		{"unknown key", authorization("Credential=AKID", "Credential=BKID"), UnknownKey,
			"The security token included in the request is invalid."},
		{"token of nobody", plus(authorization(names, names+";x-amz-security-token"), Field{"X-Amz-Security-Token", "t"}), UnknownKey,
			"The security token included in the request is invalid."},
		{"two tokens", plus(good, Field{"X-Amz-Security-Token", "t"}, Field{"X-Amz-Security-Token", "t"}), Incomplete,
			"The request has more than one 'x-amz-security-token' header."},
		{"two dates", plus(good, Field{"X-Amz-Date", "20260102T030405Z"}), Incomplete, "The request has more than one 'x-amz-date' header."},
		{"two fallback dates", plus(without(good, "x-amz-date"), Field{"Date", "x"}, Field{"Date", "x"}), Incomplete,
			"The request has more than one 'date' header."},
		{"no date", without(good, "x-amz-date"), Incomplete,
			"Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."},
		{"bad date", set("x-amz-date", "2026-01-02T03:04:05Z"), Incomplete,
			"Date must be in ISO-8601 'basic format'. Got '2026-01-02T03:04:05Z'."},
		{"date with a fraction", set("x-amz-date", "20260102T030405.5Z"), Incomplete,
			"Date must be in ISO-8601 'basic format'. Got '20260102T030405.5Z'."},
		{"expired", set("x-amz-date", "20260102T025904Z"), Invalid,
			"Signature expired: 20260102T025904Z is now earlier than 20260102T025905Z (20260102T030405Z - 5 min.)"},
		{"not yet current", set("x-amz-date", "20260102T030906Z"), Invalid,
			"Signature not yet current: 20260102T030906Z is still later than 20260102T030905Z (20260102T030405Z + 5 min.)"},
		{"two authorizations", plus(good, Field{"Authorization", "Bearer x"}), Incomplete,
			"The request has more than one 'Authorization' header."},
		{"signed twice", query("X-Amz-Signature=1"), Incomplete,
			"The request is signed twice: use the 'Authorization' header or the query-string parameters, not both."},
		{"unknown algorithm", authorization("AWS4-HMAC-SHA256", "AWS4-HMAC-MD5"), Incomplete, "Unsupported AWS 'algorithm': 'AWS4-HMAC-MD5'."},
		{"algorithm alone", set("authorization", "AWS4-HMAC-SHA256"), Incomplete,
			"'' not a valid key=value pair (missing equal-sign) in Authorization header."},
		{"no equal sign", authorization("Signature=", "Signature"+long), Incomplete,
			"'" + ("Signature" + long)[:128] + "...' not a valid key=value pair (missing equal-sign) in Authorization header."},
		{"unknown parameter", authorization("Signature=", "Extra=1, Signature="), Incomplete,
			"'Extra' is not a parameter of the Authorization header."},
		{"repeated parameter", authorization("Signature=", "Signature=1, Signature="), Incomplete,
			"Authorization header has more than one 'Signature' parameter."},
		{"empty parameter", authorization("Signature=", "Signature=, Signature="), Incomplete,
			"Authorization header requires 'Signature' parameter."},
		{"missing parameters", set("authorization", "AWS4-HMAC-SHA256 SignedHeaders=host"), Incomplete,
			"Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter."},
		{"short credential", authorization("/aws4_request", ""), Incomplete,
			"Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got 'AKIDPERGOLA/20260102/us-west-2/vpc-lattice-svcs'"},
		{"long credential", authorization("/aws4_request", "/aws4_request/"), Incomplete,
			"Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got 'AKIDPERGOLA/20260102/us-west-2/vpc-lattice-svcs/aws4_request/'"},
		{"credential of the other version", authorization("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), Incomplete,
			"Credential must have exactly 4 slash-delimited elements, e.g. keyid/date/service/term, got 'AKIDPERGOLA/20260102/us-west-2/vpc-lattice-svcs/aws4_request'"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { wantRefusal(t, v, tt.request, tt.code, tt.text) })
	}
}

func TestQueryRefusals(t *testing.T) {
	v := verifierAt(DataPlane("us-west-2"), testTime)
	good := presign(t, dataPlaneSigner(), get("/", "q=1"), time.Hour)
	if _, err := v.Verify(good); err != nil {
		t.Fatal(err)
	}
	query := func(old, new string) *Request {
		r := *good
		r.RawQuery = strings.Replace(r.RawQuery, old, new, 1)
		return &r
	}
	const expires = "X-Amz-Expires must be a number of seconds from 1 to 604800, got '%s'."
	tests := []struct {
		name    string
		request *Request
		code    Code
		text    string
	}{
		{"no algorithm", query("X-Amz-Algorithm", "A"), Incomplete,
			"AWS query-string parameters must include 'X-Amz-Algorithm'. Re-examine the query-string parameters."},
		{"empty date", query("X-Amz-Date=", "X-Amz-Date=&D="), Incomplete,
			"AWS query-string parameters must include 'X-Amz-Date'. Re-examine the query-string parameters."},
		{"bad date", query("T030405Z", "T030405"), Incomplete, "Date must be in ISO-8601 'basic format'. Got '20260102T030405'."},
		{"repeated", query("q=1", "X%2damz-Date=1&X%2DAmz-Date=1"), Incomplete,
			"AWS query-string parameters must include 'X-Amz-Date' only once. Re-examine the query-string parameters."},
		{"bad escape in a name", query("q=1", "%g0"), Incomplete,
			"The query string has a percent sign that begins no escape. Write it as '%25'."},
		{"bad escape in a value", query("q=1", "q=%0g"), Incomplete,
			"The query string has a percent sign that begins no escape. Write it as '%25'."},
		{"bad credential", query("%2Faws4_request", ""), Incomplete,
			"Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got 'AKIDPERGOLA/20260102/us-west-2/vpc-lattice-svcs'"},
		{"lifetime 0", query("Expires=3600", "Expires=0"), Incomplete, fmt.Sprintf(expires, "0")},
		{"lifetime too long", query("Expires=3600", "Expires=604801"), Incomplete, fmt.Sprintf(expires, "604801")},
		{"lifetime negative", query("Expires=3600", "Expires=-1"), Incomplete, fmt.Sprintf(expires, "-1")},
		{"lifetime not a number", query("Expires=3600", "Expires=1e3"), Incomplete, fmt.Sprintf(expires, "1e3")},
		{"lifetime changed", query("Expires=3600", "Expires=3601"), Invalid, textMismatch},
		{"parameter added", query("q=1", "q=1&r=2"), Invalid, textMismatch},
		{"token in the header", plus(good, Field{"X-Amz-Security-Token", "t"}), Incomplete,
			"A presigned request carries its token in the query: remove the 'x-amz-security-token' header."},
		{"payload header left out", without(good, "x-amz-content-sha256"), Incomplete,
			"'x-amz-content-sha256' is named as a SignedHeader, but it does not exist in the HTTP request."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { wantRefusal(t, v, tt.request, tt.code, tt.text) })
	}
}

// TestLifetime walks a presigned request through its life.
func TestLifetime(t *testing.T) {
	hour := presign(t, dataPlaneSigner(), get("/", ""), time.Hour)
	odd := presign(t, dataPlaneSigner(), get("/", ""), 90*time.Second)
	unlimited := presign(t, dataPlaneSigner(), get("/", ""), time.Second)
	unlimited.RawQuery = strings.Replace(unlimited.RawQuery, "&X-Amz-Expires=1", "", 1)
	tests := []struct {
		name    string
		request *Request
		after   time.Duration
		text    string
	}{
		{"clock behind", hour, -5 * time.Minute, ""},
		{"too early", hour, -5*time.Minute - time.Second,
			"Signature not yet current: 20260102T030405Z is still later than 20260102T030404Z (20260102T025904Z + 5 min.)"},
		{"last moment", hour, time.Hour, ""},
		{"within the last second", hour, time.Hour + 999*time.Millisecond, ""},
		{"too late", hour, time.Hour + time.Second,
			"Signature expired: 20260102T030405Z is now earlier than 20260102T030406Z (20260102T040406Z - 60 min.)"},
		{"seconds", odd, 91 * time.Second,
			"Signature expired: 20260102T030405Z is now earlier than 20260102T030406Z (20260102T030536Z - 90 sec.)"},
		{"no lifetime named: as the header form", unlimited, 5*time.Minute + time.Second,
			"Signature expired: 20260102T030405Z is now earlier than 20260102T030406Z (20260102T030906Z - 5 min.)"},
		{"no lifetime named: in time", unlimited, 5 * time.Minute, textMismatch}, // for it was signed with one
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := verifierAt(DataPlane(), testTime.Add(tt.after))
			if tt.text != "" {
				wantRefusal(t, v, tt.request, Invalid, tt.text)
			} else if _, err := v.Verify(tt.request); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestOwnSkew(t *testing.T) {
	rules := DataPlane()
	rules.Skew = time.Minute
	r := sign(t, dataPlaneSigner(), get("/", ""))
	if _, err := verifierAt(rules, testTime.Add(time.Minute)).Verify(r); err != nil {
		t.Error(err)
	}
	wantRefusal(t, verifierAt(rules, testTime.Add(61*time.Second)), r, Invalid,
		"Signature expired: 20260102T030405Z is now earlier than 20260102T030406Z (20260102T030506Z - 1 min.)")
}

func TestRegionSets(t *testing.T) {
	tests := []struct {
		set  string
		good bool
	}{
		{"*", true}, {"us-west-2", true}, {"us-*", true}, {"eu-*, us-west-2", true}, {"eu-*,us-west-*", true}, {"*-2", true}, {"us*2", true},
		{"u*-*2", true}, {"*west*", true}, {"**", true}, {"us-west-2*", true},
		{"eu-*", false}, {"us-west", false}, {"us-west-2?", false}, {"*-3", false}, {"*east*", false}, {"us-west-2*2", false}, {"", false}, {",", false},
	}
	rules := DataPlane("us-west-2")
	for _, tt := range tests {
		if got := rules.coversRegion(&claim{algorithm: V4A, region: tt.set}); got != tt.good {
			t.Errorf("region set %q covers us-west-2: %v, want %v", tt.set, got, tt.good)
		}
	}
}

func TestV4ARefusals(t *testing.T) {
	s := dataPlaneSigner()
	s.Algorithm, s.Region = V4A, "us-*"
	v := verifierAt(DataPlane("us-west-2"), testTime)
	header, query := sign(t, s, get("/", "")), presign(t, s, get("/", ""), time.Hour)
	for _, good := range []*Request{header, query} {
		if _, err := v.Verify(good); err != nil {
			t.Fatal(err)
		}
		wantRefusal(t, verifierAt(DataPlane("eu-west-1"), testTime), good, Invalid, "Credential should be scoped to a valid Region, not 'us-*'")
	}
	const missing = "Missing the 'x-amz-region-set' in canonical headers"
	unnamed := replaced(header, "authorization", func(a string) string { return strings.Replace(a, ";x-amz-region-set", "", 1) })
	wantRefusal(t, v, unnamed, Incomplete, missing)
	wantRefusal(t, v, without(unnamed, "x-amz-region-set"), Incomplete, missing)
	wantRefusal(t, v, plus(header, Field{"X-Amz-Region-Set", "*"}), Incomplete, "The request has more than one 'x-amz-region-set' header.")
	noSet := *query
	noSet.RawQuery = strings.Replace(query.RawQuery, "X-Amz-Region-Set", "X", 1)
	wantRefusal(t, v, &noSet, Incomplete, missing)
	wantRefusal(t, v, replaced(header, "x-amz-region-set", func(string) string { return "*" }), Invalid, textMismatch)
	for _, signature := range []string{"00", "xx", "0", strings.Repeat("30", 100)} {
		wantRefusal(t, v, replaced(header, "authorization", func(a string) string {
			before, _, _ := strings.Cut(a, "Signature=")
			return before + "Signature=" + signature
		}), Invalid, textMismatch)
	}
}

// failing is Credentials that never find a secret.
type failing struct{ err error }

func (f failing) Lookup(string, string, time.Time) (string, string, error) { return "", "", f.err }

func TestLookupErrors(t *testing.T) {
	r := sign(t, dataPlaneSigner(), get("/", ""))
	verifier := func(err error) *Verifier[string] {
		return New(Config[string]{Rules: DataPlane(), Credentials: failing{err}, Now: func() time.Time { return testTime }})
	}
	wantRefusal(t, verifier(fmt.Errorf("look up: %w", ErrUnknownKey)), r, UnknownKey, "The security token included in the request is invalid.")
	wantRefusal(t, verifier(nil), r, UnknownKey, "The security token included in the request is invalid.") // for its secret is empty
	wantRefusal(t, verifier(ErrExpiredToken), r, Expired, "The security token included in the request is expired")
	broken := errors.New("store is gone")
	_, err := verifier(broken).Verify(r)
	if _, refused := errors.AsType[*Refusal](err); refused || !errors.Is(err, broken) {
		t.Errorf("error is %v, want the failure of the lookup", err)
	}
}

func TestCodes(t *testing.T) {
	tests := []struct {
		code             Code
		exception, query string
		queryStatus      int
	}{
		{MissingToken, "MissingAuthenticationTokenException", "MissingAuthenticationToken", 403},
		{Incomplete, "IncompleteSignatureException", "IncompleteSignature", 400},
		{Invalid, "InvalidSignatureException", "SignatureDoesNotMatch", 403},
		{UnknownKey, "UnrecognizedClientException", "InvalidClientTokenId", 403},
		{Expired, "ExpiredTokenException", "ExpiredToken", 403},
	}
	for _, tt := range tests {
		if name, status := tt.code.Exception(); name != tt.exception || status != 403 {
			t.Errorf("exception is %s %d, want %s 403", name, status, tt.exception)
		}
		if name, status := tt.code.QueryError(); name != tt.query || status != tt.queryStatus {
			t.Errorf("query error is %s %d, want %s %d", name, status, tt.query, tt.queryStatus)
		}
	}
	wantText(t, "data-plane body", invalid("Signed payloads are not supported").Error(), "InvalidSignatureException: Signed payloads are not supported")
}

func TestSignErrors(t *testing.T) {
	edit := func(f func(*Signer)) *Signer { s := dataPlaneSigner(); f(s); return s }
	noHost := get("/", "")
	noHost.Host = ""
	tests := []struct {
		signer  *Signer
		request *Request
		text    string
	}{
		{edit(func(s *Signer) { s.Algorithm = "AWS4-HMAC-MD5" }), get("/", ""), `algorithm "AWS4-HMAC-MD5" is neither`},
		{edit(func(s *Signer) { s.SecretAccessKey = "" }), get("/", ""), "must all be set"},
		{dataPlaneSigner(), noHost, "no host"},
		{dataPlaneSigner(), get("/", "a=%"), "begins no escape"},
		{dataPlaneSigner(), get("/", "X-Amz-Signature=1"), "already carries a signature"},
	}
	for _, tt := range tests {
		if _, err := tt.signer.Sign(tt.request, testTime); err == nil || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("error is %v, want one that says %q", err, tt.text)
		}
		if _, _, err := tt.signer.Presign(tt.request, testTime, time.Hour); err == nil || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("error is %v, want one that says %q", err, tt.text)
		}
	}
	for _, lifetime := range []time.Duration{0, -time.Hour, time.Second / 2, 1500 * time.Millisecond, maxLifetime + time.Second} {
		if _, _, err := dataPlaneSigner().Presign(get("/", ""), testTime, lifetime); err == nil {
			t.Errorf("presigned for %v", lifetime)
		}
	}
}
