package sigv4

import (
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Signer signs requests with one credential for one service.
type Signer struct {
	AccessKeyID     string
	SecretAccessKey string
	// SessionToken goes with temporary credentials; empty for none.
	SessionToken string
	// Algorithm is V4 or V4A; empty means V4.
	Algorithm Algorithm
	// Region is a region for V4 and a region set, such as "us-west-2,eu-*", for V4A.
	Region  string
	Service string
	// Payload says how the body is covered. The data plane of VPC Lattice takes PayloadUnsigned alone.
	Payload Payload
	// Path says how the path is written.
	Path PathForm
}

// Sign signs a request at an instant and returns the fields to add to it, in place of any of the same name. All of the request's fields are
// signed, save those that travel no further than the next hop or that intermediaries change.
func (s *Signer) Sign(r *Request, at time.Time) (Fields, error) {
	c, err := s.claim(r, at)
	if err != nil {
		return nil, err
	}
	added := Fields{{"X-Amz-Date", c.timestamp}}
	if s.SessionToken != "" {
		added = append(added, Field{"X-Amz-Security-Token", s.SessionToken})
	}
	if c.algorithm == V4A {
		added = append(added, Field{"X-Amz-Region-Set", s.Region})
	}
	added = append(added, s.payloadField()...)
	signed := with(r, added)
	c.signedHeaders = signable(signed.Header)
	authorization := fmt.Sprintf("%s Credential=%s/%s, SignedHeaders=%s, Signature=%s",
		c.algorithm, s.AccessKeyID, c.credentialScope(), c.signedHeaders, s.signature(signed, &c))
	return append(added, Field{"Authorization", authorization}), nil
}

// Presign signs a request so that the signature is in its query and good for lifetime: whole seconds, from one second to seven days. It returns
// the new raw query and the fields that must be sent along, which are none unless the payload is unsigned.
func (s *Signer) Presign(r *Request, at time.Time, lifetime time.Duration) (rawQuery string, added Fields, err error) {
	if lifetime < time.Second || lifetime > maxLifetime || lifetime%time.Second != 0 {
		return "", nil, fmt.Errorf("sigv4: presign: lifetime %v must be whole seconds from 1s to %v", lifetime, maxLifetime)
	}
	c, err := s.claim(r, at)
	if err != nil {
		return "", nil, err
	}
	added = s.payloadField()
	signed := with(r, added)
	c.signedHeaders = signable(signed.Header)
	parameters := [...]struct{ name, value string }{
		{"X-Amz-Algorithm", string(c.algorithm)},
		{"X-Amz-Credential", s.AccessKeyID + "/" + c.credentialScope()},
		{"X-Amz-Date", c.timestamp},
		{"X-Amz-Expires", strconv.FormatInt(int64(lifetime/time.Second), 10)},
		{"X-Amz-SignedHeaders", c.signedHeaders},
		{"X-Amz-Security-Token", s.SessionToken},
		{"X-Amz-Region-Set", s.regionSet(&c)},
	}
	for _, p := range parameters {
		if p.value == "" {
			continue
		}
		if signed.RawQuery != "" {
			signed.RawQuery += "&"
		}
		signed.RawQuery += p.name + "=" + url.QueryEscape(p.value)
	}
	return signed.RawQuery + "&X-Amz-Signature=" + s.signature(signed, &c), added, nil
}

// SignHTTP signs r, whose body is body, in the header form.
func (s *Signer) SignHTTP(r *http.Request, body []byte, at time.Time) error {
	added, err := s.Sign(FromHTTP(r, body), at)
	if err != nil {
		return err
	}
	for _, f := range added {
		r.Header.Set(f.Name, f.Value)
	}
	return nil
}

// claim starts what the request will say about its signature.
func (s *Signer) claim(r *Request, at time.Time) (claim, error) {
	switch {
	case s.Algorithm != "" && s.Algorithm != V4 && s.Algorithm != V4A:
		return claim{}, fmt.Errorf("sigv4: sign: algorithm %q is neither %s nor %s", s.Algorithm, V4, V4A)
	case s.AccessKeyID == "" || s.SecretAccessKey == "" || s.Region == "" || s.Service == "":
		return claim{}, errors.New("sigv4: sign: access key id, secret, region and service must all be set")
	case r.Host == "":
		return claim{}, errors.New("sigv4: sign: the request has no host, and a signature must cover it")
	case !wellEncoded(r.RawQuery):
		return claim{}, errors.New("sigv4: sign: the query has a percent sign that begins no escape: write it as %25")
	case signedInQuery(r.RawQuery):
		return claim{}, errors.New("sigv4: sign: the query already carries a signature: remove its X-Amz- parameters")
	}
	timestamp := formatTimestamp(at)
	algorithm := s.Algorithm
	if algorithm == "" {
		algorithm = V4
	}
	return claim{
		algorithm:  algorithm,
		timestamp:  timestamp,
		date:       timestamp[:len("YYYYMMDD")],
		region:     s.Region,
		service:    s.Service,
		terminator: terminator,
	}, nil
}

func (s *Signer) payloadField() Fields {
	if s.Payload != PayloadUnsigned {
		return nil
	}
	return Fields{{"X-Amz-Content-Sha256", unsignedPayload}}
}

func (s *Signer) regionSet(c *claim) string {
	if c.algorithm != V4A {
		return ""
	}
	return s.Region
}

// signature computes the signature in hexadecimal. That of Version 4A is deterministic (RFC 6979), so signing needs no randomness.
func (s *Signer) signature(r *Request, c *claim) string {
	var canonical canonicalizer
	_, _ = canonical.readHeaders(r, c.signedHeaders) // fails only for what signable does not list
	toSign := canonical.stringToSign(c, canonical.canonicalRequest(r, c.signedHeaders, s.Path, s.Payload))
	if c.algorithm == V4A {
		hash := sha256.Sum256(toSign)
		// Sign fails only for a hash of the wrong size.
		der, _ := deriveKeyPair(s.AccessKeyID, s.SecretAccessKey).Sign(nil, hash[:], crypto.SHA256)
		return hex.EncodeToString(der)
	}
	key := deriveKey(s.SecretAccessKey, c.scope())
	mac, _ := key.sum(nil, toSign)
	return hex.EncodeToString(mac[:])
}

// with returns r with fields added in place of any of the same name, and without an old signature.
func with(r *Request, added Fields) *Request {
	fields := slices.Clone(added)
	for _, f := range r.Header {
		replaced := slices.ContainsFunc(added, func(a Field) bool { return strings.EqualFold(a.Name, f.Name) })
		if !replaced && !isNamed(f.Name, "authorization") {
			fields = append(fields, f)
		}
	}
	signed := *r
	signed.Header = fields
	return &signed
}

// signable lists the headers to sign.
func signable(h Fields) string {
	list := []string{"host"}
	for _, f := range h {
		switch name := strings.ToLower(f.Name); name {
		case "connection", "expect", "host", "te", "transfer-encoding", "upgrade", "user-agent", "x-amzn-trace-id":
		default:
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return strings.Join(slices.Compact(list), ";")
}
