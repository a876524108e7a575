package sigv4

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"strings"
	"testing"
	"time"
)

// benchRequest is what the guide's clients send: a dozen headers, six of them signed.
func benchRequest(b testing.TB, s *Signer) *Request {
	r := sign(b, s, get("/parking/rates", "day=1&zone=3", Field{"Content-Type", "application/json"}, Field{"Accept", "*/*"}))
	return plus(r, Field{"User-Agent", "bench"}, Field{"Accept-Encoding", "gzip"}, Field{"Connection", "keep-alive"},
		Field{"Content-Length", "2"}, Field{"X-Forwarded-For", "10.0.0.1"}, Field{"X-Request-Id", "0123456789abcdef"})
}

func benchVerify(b *testing.B, r *Request) {
	token, _ := lookup(r.Header, "x-amz-security-token")
	v := New(Config[string]{
		Rules:       DataPlane("us-west-2"),
		Credentials: holder{testKey, testSecret, token},
		Now:         func() time.Time { return testTime },
	})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyV4(b *testing.B) { benchVerify(b, benchRequest(b, dataPlaneSigner())) }

// tokenSigner signs with a session token of a size that AWS issues.
func tokenSigner() *Signer {
	s := dataPlaneSigner()
	s.SessionToken = strings.Repeat("token+/=", 100)
	return s
}

func BenchmarkVerifyV4Token(b *testing.B) { benchVerify(b, benchRequest(b, tokenSigner())) }

func BenchmarkVerifyV4Presigned(b *testing.B) {
	benchVerify(b, presign(b, dataPlaneSigner(), get("/parking/rates", "day=1&zone=3"), time.Hour))
}

// BenchmarkVerifyV4Floor is the hashing that no implementation can leave out: the canonical request and the HMAC of the string to sign.
func BenchmarkVerifyV4Floor(b *testing.B) { benchFloor(b, dataPlaneSigner()) }

func BenchmarkVerifyV4TokenFloor(b *testing.B) { benchFloor(b, tokenSigner()) }

func benchFloor(b *testing.B, s *Signer) {
	canonical, toSign, key := benchInput(b, s)
	buf := make([]byte, 0, 512)
	b.ReportAllocs()
	for b.Loop() {
		sha256.Sum256(canonical)
		_, buf = key.hmac.sum(buf, toSign)
	}
}

func benchInput(b *testing.B, s *Signer) (canonical, toSign []byte, key *verifyingKey) {
	r := benchRequest(b, s)
	c, err := readClaim(r)
	if err != nil {
		b.Fatal(err)
	}
	var work canonicalizer
	if _, err := work.readHeaders(r, c.signedHeaders); err != nil {
		b.Fatal(err)
	}
	canonical = work.canonicalRequest(r, c.signedHeaders, PathAsSent, PayloadUnsigned)
	return canonical, work.stringToSign(&c, canonical), newVerifyingKey(testKey, testSecret, c.scope())
}

func v4aSigner() *Signer {
	s := dataPlaneSigner()
	s.Algorithm, s.Region = V4A, "*"
	return s
}

func BenchmarkVerifyV4A(b *testing.B) { benchVerify(b, benchRequest(b, v4aSigner())) }

// BenchmarkVerifyV4AFloor is the check of the curve alone.
func BenchmarkVerifyV4AFloor(b *testing.B) {
	_, toSign, key := benchInput(b, v4aSigner())
	hash := sha256.Sum256(toSign)
	der, err := deriveKeyPair(testKey, testSecret).Sign(nil, hash[:], crypto.SHA256)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if !ecdsa.VerifyASN1(key.ecdsa, hash[:], der) {
			b.Fatal("does not verify")
		}
	}
}

func BenchmarkDeriveV4(b *testing.B) {
	scope := Scope{V4, "20260102", "us-west-2", "vpc-lattice-svcs"}
	b.ReportAllocs()
	for b.Loop() {
		deriveKey(testSecret, scope)
	}
}

func BenchmarkDeriveV4A(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		deriveKeyPair(testKey, testSecret)
	}
}

func BenchmarkSignV4(b *testing.B) {
	s, r := dataPlaneSigner(), get("/parking/rates", "day=1&zone=3", Field{"Content-Type", "application/json"})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Sign(r, testTime); err != nil {
			b.Fatal(err)
		}
	}
}

// TestVerifyAllocations: with its key in the cache, a Version 4 signature in the header is verified without allocating.
func TestVerifyAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool drop what it is given")
	}
	v := verifierAt(DataPlane("us-west-2"), testTime)
	r := benchRequest(t, dataPlaneSigner())
	allocations := testing.AllocsPerRun(100, func() {
		if _, err := v.Verify(r); err != nil {
			t.Fatal(err)
		}
	})
	if allocations != 0 {
		t.Errorf("%v allocations, want 0", allocations)
	}
}
