package sigv4

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// signedRequests are one request in each form of each version, with everything in it that a signature can cover.
func signedRequests(t testing.TB) map[string]*Request {
	requests := map[string]*Request{}
	for _, algorithm := range []Algorithm{V4, V4A} {
		s := dataPlaneSigner()
		s.Algorithm = algorithm
		r := get("/a/b%20c/d:e", "q=1&r=x%20y&s", Field{"X-Signed", "some value"})
		requests["header "+string(algorithm)] = sign(t, s, r)
		requests["query "+string(algorithm)] = presign(t, s, r, time.Hour)
	}
	return requests
}

// TestAnyByteMatters changes each byte of all that is signed, one at a time, into several others. Nothing so changed may pass.
func TestAnyByteMatters(t *testing.T) {
	v := verifierAt(DataPlane("us-west-2"), testTime)
	// The case of a field's name, of an escape's digits and of a curve signature in hexadecimal means nothing. That of these does.
	caseMatters := map[string]bool{
		"method": true, "path": true, "host": true, "X-Signed": true, "X-Amz-Date": true, "X-Amz-Content-Sha256": true, "X-Amz-Region-Set": true,
	}
	for name, good := range signedRequests(t) {
		t.Run(name, func(t *testing.T) {
			if _, err := v.Verify(good); err != nil {
				t.Fatal(err)
			}
			refused := func(what, text string, build func(string) *Request) {
				for _, changed := range mutations(text) {
					if !caseMatters[what] && strings.EqualFold(changed, text) {
						continue
					}
					if _, err := v.Verify(build(changed)); err == nil {
						t.Errorf("%s %q instead of %q passes", what, changed, text)
					}
				}
			}
			refused("method", good.Method, func(s string) *Request { r := *good; r.Method = s; return &r })
			refused("path", good.Path, func(s string) *Request { r := *good; r.Path = s; return &r })
			refused("query", good.RawQuery, func(s string) *Request { r := *good; r.RawQuery = s; return &r })
			refused("host", good.Host, func(s string) *Request { r := *good; r.Host = s; return &r })
			for _, f := range good.Header {
				refused(f.Name, f.Value, func(s string) *Request { return replaced(good, f.Name, func(string) string { return s }) })
				refused("name", f.Name, func(s string) *Request { return plus(without(good, f.Name), Field{s, f.Value}) })
			}
		})
	}
}

// mutations are text with one byte changed.
func mutations(text string) []string {
	var changed []string
	for i := range len(text) {
		for _, c := range "\x00 +%&=/;,:-.~019AFTafbzt\x7f" {
			if c != rune(text[i]) {
				changed = append(changed, text[:i]+string(c)+text[i+1:])
			}
		}
	}
	return changed
}

// TestRepeatedHeadersKeepOrder: the order of a repeated header's values is signed, the place of other fields between them is not.
func TestRepeatedHeadersKeepOrder(t *testing.T) {
	v := verifierAt(DataPlane(), testTime)
	r := sign(t, dataPlaneSigner(), get("/", "", Field{"a", "1"}, Field{"b", "x"}, Field{"A", "2"}))
	fields := r.Header
	fields[0], fields[1] = fields[1], fields[0]
	if _, err := v.Verify(r); err != nil {
		t.Error(err)
	}
	fields[1], fields[2] = fields[2], fields[1]
	wantRefusal(t, v, r, Invalid, textMismatch)
}

func FuzzAuthorization(f *testing.F) {
	good := sign(f, dataPlaneSigner(), get("/", ""))
	goodValue, _ := lookup(good.Header, "authorization")
	f.Add(goodValue)
	f.Add("AWS4-ECDSA-P256-SHA256 Credential=a/20260102/s/aws4_request,Signature=3045,SignedHeaders=host")
	f.Add("AWS4-HMAC-SHA256 Credential=,, Signature")
	v := verifierAt(DataPlane(), testTime)
	f.Fuzz(func(t *testing.T, value string) {
		r := replaced(good, "authorization", func(string) string { return value })
		c, err := readSignature(r)
		_, refusal := v.Verify(r)
		if err != nil {
			if refusal == nil {
				t.Errorf("%q cannot be read and is authenticated", value)
			}
			return
		}
		again := fmt.Sprintf("%s Credential=%s/%s,SignedHeaders=%s,Signature=%s",
			c.algorithm, c.accessKeyID, c.credentialScope(), c.signedHeaders, c.signature)
		d, err := readSignature(replaced(good, "authorization", func(string) string { return again }))
		if err != nil || c != d {
			t.Errorf("%q reads as %v, and %q as %v, %v", value, c, again, d, err)
		}
		if refusal == nil && !strings.HasSuffix(goodValue, c.signature) {
			t.Errorf("%q is authenticated", value)
		}
	})
}

func FuzzQuery(f *testing.F) {
	f.Add("q=1&r=x%20y&s")
	f.Add("a=b=c&&=&+=%2B&%41=%c3%a9;")
	f.Add(presign(f, dataPlaneSigner(), get("/", "q=1"), time.Hour).RawQuery)
	v := verifierAt(DataPlane(), testTime)
	f.Fuzz(func(t *testing.T, rawQuery string) {
		r := get("/", rawQuery)
		v.Explain(r) // must not panic at any query
		if !wellEncoded(rawQuery) {
			return
		}
		var c canonicalizer
		once := string(c.appendQuery(nil, rawQuery))
		if twice := string(c.appendQuery(nil, once)); once != twice {
			t.Errorf("the canonical query of %q is %q, and that of this %q", rawQuery, once, twice)
		}
		signed, added, err := dataPlaneSigner().Presign(r, testTime, time.Hour)
		if err != nil {
			return
		}
		// A query may hold parameters of the signature in a spelling of its own. Then there are two.
		_, err = v.Verify(get("/", signed, added...))
		if err != nil && !strings.Contains(err.Error(), "only once") && !strings.Contains(err.Error(), "must include") {
			t.Errorf("presigned %q is refused: %v", rawQuery, err)
		}
	})
}

func FuzzPath(f *testing.F) {
	for _, path := range []string{"", "/", "/a/../b", "//a//", "/a%20b/c:d", "/./", "/a/.", "..", "/ሴ"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		normal := normalize(path)
		if again := normalize(normal); again != normal {
			t.Errorf("%q normalises to %q, and this to %q", path, normal, again)
		}
		sent, encoded := string(appendPath(nil, path, PathAsSent)), string(appendPath(nil, path, PathEncoded))
		if samePath(path) && sent != encoded {
			t.Errorf("the forms of %q should be the same and are %q and %q", path, sent, encoded)
		}
	})
}

// FuzzTimestamp holds the reading of instants to that of the standard library.
func FuzzTimestamp(f *testing.F) {
	for _, s := range []string{
		"20260102T030405Z", "20240229T235959Z", "20250229T000000Z", "20260431T000000Z", "20261301T000000Z", "20260001T000000Z", "20260100T000000Z",
		"20260102T240000Z", "20260102T006000Z", "20260102T000060Z", "20260102T030405.5Z", "2026-01-02T03:04:05Z", "20260102030405ZZ", "00000101T000000Z", "",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := parseTimestamp(s)
		want, wanted := time.Parse(timestampLayout, s)
		if good := wanted == nil && len(s) == len(timestampLayout); good != (err == nil) || good && !got.Equal(want) {
			t.Errorf("%q is read as %v, %v; want %v, %v", s, got, err, want, wanted)
		}
	})
}
