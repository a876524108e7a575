package sigv4

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"
)

// suites are the signing test suites that AWS publishes, as the folders that they were; testdata/NOTICE says of what.
var suites = sync.OnceValue(func() fs.FS {
	content, err := os.ReadFile("testdata/suite.json")
	texts := map[string]string{}
	if err == nil {
		err = json.Unmarshal(content, &texts)
	}
	if err != nil {
		panic(err)
	}
	files := fstest.MapFS{}
	for name, text := range texts {
		files[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return files
})

// vectorContext is the context.json of a vector.
type vectorContext struct {
	Credentials struct {
		AccessKeyID     string `json:"access_key_id"`
		SecretAccessKey string `json:"secret_access_key"`
		Token           string `json:"token"`
	} `json:"credentials"`
	Expiration       int       `json:"expiration_in_seconds"`
	Normalize        bool      `json:"normalize"`
	Region           string    `json:"region"`
	Service          string    `json:"service"`
	SignBody         bool      `json:"sign_body"`
	OmitSessionToken bool      `json:"omit_session_token"`
	Timestamp        time.Time `json:"timestamp"`
}

func (c *vectorContext) path() PathForm {
	if c.Normalize {
		return PathNormalized
	}
	return PathEncoded
}

func (c *vectorContext) signer(algorithm Algorithm) *Signer {
	s := &Signer{
		AccessKeyID:     c.Credentials.AccessKeyID,
		SecretAccessKey: c.Credentials.SecretAccessKey,
		SessionToken:    c.Credentials.Token,
		Algorithm:       algorithm,
		Region:          c.Region,
		Service:         c.Service,
		Path:            c.path(),
	}
	if c.OmitSessionToken {
		s.SessionToken = ""
	}
	return s
}

func (c *vectorContext) verifier() *Verifier[string] {
	token := c.Credentials.Token
	if c.OmitSessionToken {
		token = ""
	}
	return New(Config[string]{
		Rules:       Rules{Service: c.Service, Regions: []string{c.Region}, Paths: []PathForm{c.path()}},
		Credentials: holder{c.Credentials.AccessKeyID, c.Credentials.SecretAccessKey, token},
		Now:         func() time.Time { return c.Timestamp },
	})
}

// suite runs one subtest for each vector of a part of the suite.
func suite(t *testing.T, part string, run func(t *testing.T, dir string, c *vectorContext)) {
	entries, err := fs.ReadDir(suites(), part)
	if err != nil || len(entries) < 38 {
		t.Fatalf("%s holds %d vectors, want 38 or more: %v", part, len(entries), err)
	}
	for _, entry := range entries {
		t.Run(entry.Name(), func(t *testing.T) {
			dir := path.Join(part, entry.Name())
			var c vectorContext
			if err := json.Unmarshal([]byte(read(t, dir, "context.json")), &c); err != nil {
				t.Fatal(err)
			}
			run(t, dir, &c)
		})
	}
}

func read(t *testing.T, elem ...string) string {
	t.Helper()
	b, err := fs.ReadFile(suites(), path.Join(elem...))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(strings.ReplaceAll(string(b), "\r\n", "\n"), "\n")
}

// parseVector reads a request as the suite writes it: no carriage returns, targets that may contain spaces, folded header lines.
func parseVector(t *testing.T, text string, signBody bool) *Request {
	t.Helper()
	head, body, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(strings.TrimSuffix(head, "\n"), "\n")
	method, target, _ := strings.Cut(lines[0], " ")
	path, query, _ := strings.Cut(strings.TrimSuffix(target, " HTTP/1.1"), "?")
	r := &Request{Method: method, Path: path, RawQuery: query, BodyHash: sha256.Sum256(nil)}
	if signBody {
		r.BodyHash = sha256.Sum256([]byte(body))
	}
	var fields Fields
	for _, line := range lines[1:] {
		name, value, found := strings.Cut(line, ":")
		switch {
		case strings.HasPrefix(line, " "):
			fields[len(fields)-1].Value += "\r\n" + line
		case !found:
			t.Fatalf("not a header line: %q", line)
		case strings.EqualFold(name, "host"):
			r.Host = value
		default:
			fields = append(fields, Field{name, value})
		}
	}
	r.Header = fields
	return r
}

func without(r *Request, name string) *Request {
	var kept Fields
	for _, f := range r.Header {
		if !strings.EqualFold(f.Name, name) {
			kept = append(kept, f)
		}
	}
	changed := *r
	changed.Header = kept
	return &changed
}

func value(t *testing.T, fields Fields, name string) string {
	t.Helper()
	v, n := lookup(fields, strings.ToLower(name))
	if n != 1 {
		t.Fatalf("%d fields %s in %v, want 1", n, name, fields)
	}
	return v
}

func wantText(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s is\n%s\nwant\n%s", what, got, want)
	}
}

// wantComputed compares what a verifier computes for a request with the suite's files, and the request must be authenticated.
func wantComputed(t *testing.T, v *Verifier[string], r *Request, canonical, toSign string) {
	t.Helper()
	e := v.Explain(r)
	if e.Err != nil {
		t.Errorf("refused: %v", e.Err)
	}
	if len(e.Attempts) == 0 {
		t.Fatalf("no attempts: %v", e)
	}
	wantText(t, "canonical request", e.Attempts[0].CanonicalRequest, canonical)
	wantText(t, "string to sign", e.Attempts[0].StringToSign, toSign)
}

func TestSuiteV4Header(t *testing.T) {
	suite(t, "v4", func(t *testing.T, dir string, c *vectorContext) {
		r := parseVector(t, read(t, dir, "request.txt"), c.SignBody)
		if c.SignBody {
			r.Header = append(r.Header, Field{"x-amz-content-sha256", hex.EncodeToString(r.BodyHash[:])})
		}
		signed := parseVector(t, read(t, dir, "header-signed-request.txt"), c.SignBody)
		added, err := c.signer(V4).Sign(r, c.Timestamp)
		if err != nil {
			t.Fatal(err)
		}
		wantText(t, "Authorization", value(t, added, "authorization"), value(t, signed.Header, "authorization"))
		if c.OmitSessionToken {
			wantRefusal(t, c.verifier(), signed, Incomplete, "Missing the 'x-amz-security-token' in canonical headers")
			signed = without(signed, "x-amz-security-token")
		}
		wantComputed(t, c.verifier(), signed, read(t, dir, "header-canonical-request.txt"), read(t, dir, "header-string-to-sign.txt"))
	})
}

func TestSuiteV4Query(t *testing.T) {
	suite(t, "v4", func(t *testing.T, dir string, c *vectorContext) {
		r := parseVector(t, read(t, dir, "request.txt"), c.SignBody)
		rawQuery, added, err := c.signer(V4).Presign(r, c.Timestamp, time.Duration(c.Expiration)*time.Second)
		if err != nil || added != nil {
			t.Fatal(added, err)
		}
		_, signature, _ := strings.Cut(rawQuery, "&X-Amz-Signature=")
		wantText(t, "signature", signature, read(t, dir, "query-signature.txt"))
		wantComputed(t, c.verifier(), queryVector(t, dir, c), read(t, dir, "query-canonical-request.txt"), read(t, dir, "query-string-to-sign.txt"))
	})
}

// queryVector reads the presigned request of a vector. Where the token was added after signing it is taken away again: here, all of the query
// is signed.
func queryVector(t *testing.T, dir string, c *vectorContext) *Request {
	signed := parseVector(t, read(t, dir, "query-signed-request.txt"), c.SignBody)
	if !c.OmitSessionToken {
		return signed
	}
	wantRefusal(t, New(Config[string]{
		Rules:       Rules{Service: c.Service, Paths: []PathForm{PathEncoded}},
		Credentials: holder{c.Credentials.AccessKeyID, c.Credentials.SecretAccessKey, c.Credentials.Token},
		Now:         func() time.Time { return c.Timestamp },
	}), signed, Invalid, textMismatch)
	before, after, _ := strings.Cut(signed.RawQuery, "&X-Amz-Security-Token=")
	_, after, _ = strings.Cut(after, "&")
	signed.RawQuery = before + "&" + after
	return signed
}

func TestSuiteV4AHeader(t *testing.T) {
	suite(t, "v4a", func(t *testing.T, dir string, c *vectorContext) {
		r := parseVector(t, read(t, dir, "request.txt"), c.SignBody)
		if c.SignBody {
			r.Header = append(r.Header, Field{"x-amz-content-sha256", hex.EncodeToString(r.BodyHash[:])})
		}
		added, err := c.signer(V4A).Sign(r, c.Timestamp)
		if err != nil {
			t.Fatal(err)
		}
		ours := with(r, nil)
		ours.Header = append(ours.Header, added...)
		if _, err := c.verifier().Verify(ours); err != nil {
			t.Errorf("our own signature: %v", err)
		}
		if _, err := fs.Stat(suites(), path.Join(dir, "header-signed-request.txt")); err != nil {
			return // two vectors have no more than a request
		}
		wantPublicKey(t, dir, c)
		signed := parseVector(t, read(t, dir, "header-signed-request.txt"), c.SignBody)
		if c.OmitSessionToken {
			signed = without(signed, "x-amz-security-token")
		}
		wantComputed(t, c.verifier(), signed, read(t, dir, "header-canonical-request.txt"), read(t, dir, "header-string-to-sign.txt"))
		// The suite has a second signature of the same request.
		authorization, _ := lookup(signed.Header, "authorization")
		before, _, _ := strings.Cut(authorization, "Signature=")
		signed = without(signed, "authorization")
		signed.Header = append(signed.Header, Field{"Authorization", before + "Signature=" + read(t, dir, "header-signature.txt")})
		if _, err := c.verifier().Verify(signed); err != nil {
			t.Errorf("header-signature.txt: %v", err)
		}
	})
}

func wantPublicKey(t *testing.T, dir string, c *vectorContext) {
	t.Helper()
	var want struct{ X, Y string }
	if err := json.Unmarshal([]byte(read(t, dir, "public-key.json")), &want); err != nil {
		t.Fatal(err)
	}
	wantKeyPair(t, &deriveKeyPair(c.Credentials.AccessKeyID, c.Credentials.SecretAccessKey).PublicKey, "04"+want.X+want.Y)
}

func wantKeyPair(t *testing.T, key *ecdsa.PublicKey, want string) {
	t.Helper()
	b, err := key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	wantText(t, "public key", hex.EncodeToString(b), want)
}

func TestSuiteV4AQuery(t *testing.T) {
	suite(t, "v4a", func(t *testing.T, dir string, c *vectorContext) {
		r := parseVector(t, read(t, dir, "request.txt"), c.SignBody)
		rawQuery, _, err := c.signer(V4A).Presign(r, c.Timestamp, time.Duration(c.Expiration)*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		ours := *r
		ours.RawQuery = rawQuery
		if _, err := c.verifier().Verify(&ours); err != nil {
			t.Errorf("our own signature: %v", err)
		}
		if _, err := fs.Stat(suites(), path.Join(dir, "query-signed-request.txt")); err != nil {
			return
		}
		signed := queryVector(t, dir, c)
		wantComputed(t, c.verifier(), signed, read(t, dir, "query-canonical-request.txt"), read(t, dir, "query-string-to-sign.txt"))
		before, _, _ := strings.Cut(signed.RawQuery, "X-Amz-Signature=")
		signed.RawQuery = before + "X-Amz-Signature=" + read(t, dir, "query-signature.txt")
		if _, err := c.verifier().Verify(signed); err != nil {
			t.Errorf("query-signature.txt: %v", err)
		}
	})
}

func TestSuiteBotocore(t *testing.T) {
	var c vectorContext
	c.Credentials.AccessKeyID = "AKIDEXAMPLE"
	c.Credentials.SecretAccessKey = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
	c.Region, c.Service, c.Normalize = "us-east-1", "service", true
	c.Timestamp = time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC)
	vectors := 0
	err := fs.WalkDir(suites(), "botocore-aws4_testsuite", func(name string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, ".sreq") {
			return err
		}
		vectors++
		name = strings.TrimSuffix(name, ".sreq")
		t.Run(path.Base(name), func(t *testing.T) { botocoreVector(t, name, c) })
		return nil
	})
	if err != nil || vectors < 30 {
		t.Errorf("%d vectors, %v; want 30 or more", vectors, err)
	}
}

func botocoreVector(t *testing.T, name string, c vectorContext) {
	signed := parseVector(t, read(t, name+".sreq"), true)
	token, _ := lookup(signed.Header, "x-amz-security-token")
	authorization, _ := lookup(signed.Header, "authorization")
	if token != "" && !strings.Contains(authorization, "x-amz-security-token") {
		signed, token = without(signed, "x-amz-security-token"), ""
	}
	c.Credentials.Token = token
	if authorization != read(t, name+".authz") {
		// One signed request of the suite carries the signature of another vector. Its .authz file has the right one.
		if path.Base(name) != "get-vanilla-with-session-token" {
			t.Errorf("the vector contradicts itself: %s", authorization)
		}
		wantRefusal(t, c.verifier(), signed, Invalid, textMismatch)
		signed = without(signed, "authorization")
		signed.Header = append(signed.Header, Field{"Authorization", read(t, name+".authz")})
	}
	wantComputed(t, c.verifier(), signed, read(t, name+".creq"), read(t, name+".sts"))
	added, err := c.signer(V4).Sign(without(signed, "authorization"), c.Timestamp)
	if err != nil {
		t.Fatal(err)
	}
	wantText(t, "Authorization", value(t, added, "authorization"), read(t, name+".authz"))
}
