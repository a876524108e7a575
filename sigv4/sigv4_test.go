package sigv4

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

const (
	testKey    = "AKIDPERGOLA"
	testSecret = "pergola-example-secret/with+signs"
	testHost   = "parking.example:8443"
)

var testTime = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// holder is Credentials of one access key. Its principal is the access key id itself.
type holder struct{ accessKeyID, secret, token string }

func (h holder) Lookup(accessKeyID, sessionToken string, _ time.Time) (string, string, error) {
	if accessKeyID != h.accessKeyID || sessionToken != h.token {
		return "", "", ErrUnknownKey
	}
	return h.secret, h.accessKeyID, nil
}

func verifierAt(rules Rules, now time.Time) *Verifier[string] {
	return New(Config[string]{
		Rules:       rules,
		Credentials: holder{testKey, testSecret, ""},
		Now:         func() time.Time { return now },
	})
}

func dataPlaneSigner() *Signer {
	return &Signer{
		AccessKeyID: testKey, SecretAccessKey: testSecret, Region: "us-west-2", Service: "vpc-lattice-svcs",
		Payload: PayloadUnsigned, Path: PathAsSent,
	}
}

func get(path, rawQuery string, fields ...Field) *Request {
	return &Request{Method: "GET", Path: path, RawQuery: rawQuery, Host: testHost, Header: Fields(fields)}
}

// sign returns r with the fields of the header form.
func sign(t testing.TB, s *Signer, r *Request) *Request {
	t.Helper()
	added, err := s.Sign(r, testTime)
	if err != nil {
		t.Fatal(err)
	}
	signed := with(r, added)
	signed.Header = append(append(Fields{}, r.Header...), added...)
	return signed
}

// presign returns r in the query form.
func presign(t testing.TB, s *Signer, r *Request, lifetime time.Duration) *Request {
	t.Helper()
	rawQuery, added, err := s.Presign(r, testTime, lifetime)
	if err != nil {
		t.Fatal(err)
	}
	signed := *r
	signed.RawQuery = rawQuery
	signed.Header = append(append(Fields{}, r.Header...), added...)
	return &signed
}

// replaced returns r with a field's value put through edit.
func replaced(r *Request, name string, edit func(string) string) *Request {
	changed := *r
	fields := append(Fields{}, r.Header...)
	for i := range fields {
		if strings.EqualFold(fields[i].Name, name) {
			fields[i].Value = edit(fields[i].Value)
		}
	}
	changed.Header = fields
	return &changed
}

func plus(r *Request, fields ...Field) *Request {
	changed := *r
	changed.Header = append(append(Fields{}, r.Header...), fields...)
	return &changed
}

func wantRefusal(t *testing.T, v *Verifier[string], r *Request, code Code, text string) {
	t.Helper()
	identity, err := v.Verify(r)
	refusal, ok := errors.AsType[*Refusal](err)
	if !ok || refusal.Code != code || refusal.Text != text {
		t.Errorf("refusal is %v, want code %d: %s", err, code, text)
	}
	if identity != (Identity[string]{}) {
		t.Errorf("a refused request has an identity: %v", identity)
	}
}

// The signatures in this test were computed by another program, in another language, from canonical requests written by hand.
func TestKnownSignatures(t *testing.T) {
	sha := Field{"x-amz-content-sha256", "UNSIGNED-PAYLOAD"}
	date := Field{"X-Amz-Date", "20260102T030405Z"}
	const names = "host;x-amz-content-sha256;x-amz-date"
	body := []byte(`{"name":"parking"}`)
	tests := []struct {
		name      string
		rules     Rules
		request   *Request
		names     string
		signature string
	}{
		{"plain", DataPlane("us-west-2"), get("/", "", sha, date), names,
			"b23ef7c70b8d0d35037e950af10db15892741d77a3b3abff4778de327eec66c1"},
		{"empty path", DataPlane("us-west-2"), get("", "", sha, date), names,
			"b23ef7c70b8d0d35037e950af10db15892741d77a3b3abff4778de327eec66c1"},
		{"path encoded once", DataPlane("us-west-2"), get("/a%20b/c:d", "", sha, date), names,
			"996c9c07642a1ab9c37a0d585d726d2401a5889793aab62596ac702970a47a81"},
		{"path encoded twice", DataPlane("us-west-2"), get("/a%20b/c:d", "", sha, date), names,
			"bd8cd952fd53e7bb107bd7f371a90431930c4e328207a9e3c15063353222aa5c"},
		{"query", DataPlane(), get("/", "b+c=x/y%20z&a=2&a-b=3&&%61=1&a", sha, date), names,
			"f6bab8c23c84b9325de968739b06fab289c25070b20738307f06724c1712fb23"},
		{"repeated header", DataPlane(), get("/", "", Field{"X-A", "one"}, sha, Field{"x-a", " two\t \r\n three  "}, date, Field{"X-a", ""}),
			"host;x-a;x-amz-content-sha256;x-amz-date", "7058d94cfc30720b0c6badd4669610c4b520b1fe4437bef9c1d8800802ee8333"},
		{"control plane", ControlPlane("vpc-lattice", "us-west-2"), &Request{
			Method: "POST", Path: "/services/arn%3Aaws%3Avpc-lattice", Host: "127.0.0.1:4747", BodyHash: sha256.Sum256(body),
			Header: Fields{{"Content-Type", "application/json"}, date},
		}, "content-type;host;x-amz-date", "b89f702a3da6e89046a8cc2a1c56c49af026e28648988ac56a6753147acb0ee8"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			signed := plus(tt.request, Field{"Authorization", fmt.Sprintf(
				"AWS4-HMAC-SHA256 Credential=%s/20260102/us-west-2/%s/aws4_request, SignedHeaders=%s, Signature=%s",
				testKey, tt.rules.Service, tt.names, tt.signature)})
			identity, err := verifierAt(tt.rules, testTime).Verify(signed)
			if err != nil {
				t.Fatal(err)
			}
			want := Identity[string]{
				Principal: testKey, AccessKeyID: testKey, SignedHeaders: tt.names, Time: testTime,
				Scope: Scope{V4, "20260102", "us-west-2", tt.rules.Service},
			}
			if identity != want {
				t.Errorf("identity is %v, want %v", identity, want)
			}
		})
	}
}

func TestKnownPresignedSignature(t *testing.T) {
	r := &Request{Method: "GET", Path: "/", Host: "127.0.0.1:4747", Header: Fields{}, BodyHash: sha256.Sum256(nil)}
	r.RawQuery = "Action=GetCallerIdentity&X-Amz-Algorithm=AWS4-HMAC-SHA256" +
		"&X-Amz-Credential=AKIDPERGOLA%2F20260102%2Fus-west-2%2Fsts%2Faws4_request&X-Amz-Date=20260102T030405Z&X-Amz-Expires=60" +
		"&X-Amz-SignedHeaders=host&X-Amz-Security-Token=t%2Bo%2Fk%3D" +
		"&X-Amz-Signature=c5301be54ba02fe323b57562cbdc0f0acf37f5ca02aa8c47632c07c12f4d34b7"
	v := New(Config[string]{
		Rules:       ControlPlane("sts"),
		Credentials: holder{testKey, testSecret, "t+o/k="},
		Now:         func() time.Time { return testTime.Add(time.Minute) },
	})
	identity, err := v.Verify(r)
	if err != nil || !identity.Presigned || identity.Scope != (Scope{V4, "20260102", "us-west-2", "sts"}) {
		t.Errorf("got %v, %v", identity, err)
	}
}

func TestKnownKeyPair(t *testing.T) {
	wantKeyPair(t, &deriveKeyPair(testKey, testSecret).PublicKey, "04"+
		"803e8e345f0e4fe31ae260a73c3aa007fad4963f0ddb53223c17ca092c1605a8a55efc8e1229ce89d8e5a76bcdc3eb66d1d2528b42c477c11be40b3e1145cc16")
}

// TestRoundTrip signs and verifies in every form, for every set of rules, and checks that the scope can be read beforehand.
func TestRoundTrip(t *testing.T) {
	fields := []Field{{"Content-Type", "text/plain"}, {"X-Amz-Meta", "a"}, {"x-amz-meta", "b"}, {"User-Agent", "any"}, {"Host", "ignored"}}
	for _, algorithm := range []Algorithm{"", V4, V4A} {
		for _, path := range []PathForm{PathEncoded, PathNormalized, PathAsSent} {
			for _, payload := range []Payload{PayloadHashed, PayloadUnsigned} {
				s := &Signer{AccessKeyID: testKey, SecretAccessKey: testSecret, SessionToken: "token/+=", Algorithm: algorithm,
					Region: "us-west-2", Service: "any", Payload: payload, Path: path}
				v := New(Config[string]{
					Rules:       Rules{Service: "any", Regions: []string{"us-west-2"}, Payload: payload, Paths: []PathForm{path}},
					Credentials: holder{testKey, testSecret, "token/+="},
					Now:         func() time.Time { return testTime },
				})
				r := get("/a//b/./c%2f/../d:e/", "z=1&y=%20&y", fields...)
				r.BodyHash = sha256.Sum256([]byte("body"))
				for _, signed := range []*Request{sign(t, s, r), presign(t, s, r, time.Hour)} {
					if !Signed(signed) {
						t.Error("a signed request does not look signed")
					}
					identity, err := v.Verify(signed)
					if err != nil {
						t.Errorf("%s %s: %v", algorithm, path, v.Explain(signed))
					}
					if scope, err := ScopeOf(signed); err != nil || scope != identity.Scope {
						t.Errorf("scope is %v, %v; want %v", scope, err, identity.Scope)
					}
				}
			}
		}
	}
}

func TestUnsigned(t *testing.T) {
	v := verifierAt(DataPlane(), testTime)
	for _, r := range []*Request{
		get("/", ""),
		get("/", "X-Amz-Date=20260102T030405Z&x-amz-signature=1"),
		get("/", "", Field{"Authorization", "Bearer AWS4-HMAC-SHA256"}),
		get("/", "", Field{"Authorization", "AWS " + testKey + ":c2lnbmF0dXJl"}),
	} {
		if Signed(r) {
			t.Errorf("%v looks signed", r)
		}
		wantRefusal(t, v, r, MissingToken, "Missing Authentication Token")
		if _, err := ScopeOf(r); err == nil {
			t.Errorf("%v has a scope", r)
		}
	}
}

// TestDateHeader: without X-Amz-Date, Date gives the instant, in HTTP's format or in that of the signature.
func TestDateHeader(t *testing.T) {
	v := verifierAt(DataPlane(), testTime)
	for _, date := range []string{testTime.Format(http.TimeFormat), "20260102T030405Z"} {
		s := dataPlaneSigner()
		r := get("/", "", Field{"Date", date}, Field{"X-Amz-Content-Sha256", unsignedPayload})
		c, err := s.claim(r, testTime)
		if err != nil {
			t.Fatal(err)
		}
		c.signedHeaders = "date;host;x-amz-content-sha256"
		r = plus(r, Field{"Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/%s,SignedHeaders=%s,Signature=%s",
			testKey, c.credentialScope(), c.signedHeaders, s.signature(r, &c))})
		if _, err := v.Verify(r); err != nil {
			t.Errorf("Date: %s: %v", date, err)
		}
	}
}

// TestKeyCache has one access key change its secret, and two keys share one place in the cache.
func TestKeyCache(t *testing.T) {
	secrets := map[string]string{"A": "one", "B": "two"}
	v := New(Config[string]{Rules: DataPlane(), Credentials: secretsOf(secrets), Now: func() time.Time { return testTime }, CacheSize: 1})
	signed := func(algorithm Algorithm, accessKeyID, secret string) *Request {
		s := dataPlaneSigner()
		s.Algorithm, s.AccessKeyID, s.SecretAccessKey = algorithm, accessKeyID, secret
		return sign(t, s, get("/", ""))
	}
	for _, algorithm := range []Algorithm{V4, V4A} {
		for range 2 {
			for accessKeyID, secret := range secrets {
				if _, err := v.Verify(signed(algorithm, accessKeyID, secret)); err != nil {
					t.Error(err)
				}
			}
		}
		old := signed(algorithm, "A", "one")
		secrets["A"] = "three"
		wantRefusal(t, v, old, Invalid, textMismatch)
		if _, err := v.Verify(signed(algorithm, "A", "three")); err != nil {
			t.Error(err)
		}
		secrets["A"] = "one"
	}
}

type secretsOf map[string]string

func (s secretsOf) Lookup(accessKeyID, _ string, _ time.Time) (string, string, error) {
	return s[accessKeyID], accessKeyID, nil
}

func TestConcurrentVerification(t *testing.T) {
	v := verifierAt(DataPlane(), testTime)
	r := sign(t, dataPlaneSigner(), get("/a:b", "q=1"))
	done := make(chan error)
	for range 8 {
		go func() {
			for range 100 {
				if _, err := v.Verify(r); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestExplain(t *testing.T) {
	v := verifierAt(DataPlane(), testTime)
	r := sign(t, dataPlaneSigner(), get("/a%20b", "q=1"))
	if got := v.Explain(r).String(); !strings.HasPrefix(got, "authenticated\naccess key AKIDPERGOLA, AWS4-HMAC-SHA256, signed for vpc-lattice-svcs in us-west-2 at 20260102T030405Z\n") {
		t.Error(got)
	}
	r.RawQuery = "q=2"
	e := v.Explain(r)
	if len(e.Attempts) != 2 || e.Attempts[0].Path != PathAsSent || e.Attempts[1].Path != PathEncoded {
		t.Errorf("attempts are %v", e.Attempts)
	}
	want := "refused: InvalidSignatureException: " + textMismatch + `
access key AKIDPERGOLA, AWS4-HMAC-SHA256, signed for vpc-lattice-svcs in us-west-2 at 20260102T030405Z
canonical request, path encoded once:
  GET
  /a%20b
  q=2
  host:parking.example:8443
  x-amz-content-sha256:UNSIGNED-PAYLOAD
  x-amz-date:20260102T030405Z
  
  host;x-amz-content-sha256;x-amz-date
  UNSIGNED-PAYLOAD
string to sign:
`
	if got := e.String(); !strings.HasPrefix(got, want) || !strings.Contains(got, "canonical request, path encoded twice:\n  GET\n  /a%2520b\n") {
		t.Errorf("explanation is\n%s\nwant\n%s", got, want)
	}
	// What would have fitted is as good as a signature. It must not be there, nor what it was made with.
	fitting := sign(t, dataPlaneSigner(), get("/a%20b", "q=2"))
	signature := strings.TrimSpace(strings.SplitAfter(value(t, fitting.Header, "authorization"), "Signature=")[1])
	if got := e.String(); strings.Contains(got, signature) || strings.Contains(got, testSecret) {
		t.Error("the explanation gives the signature or the secret away")
	}
	for _, unreadable := range []*Request{get("/", ""), without(r, "x-amz-content-sha256")} {
		if e := v.Explain(unreadable); e.Err == nil || e.Attempts != nil {
			t.Errorf("explanation is %v", e)
		}
	}
}
