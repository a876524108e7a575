package sts

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"pergola/aws/iam"
)

// webToken is a JSON Web Token of an OpenID Connect issuer (RFC 7519; OpenID Connect Core §2), whose signature may be
// anything yet.
type webToken struct {
	algorithm, keyID string
	// signed is what the signature covers.
	signed    string
	signature []byte

	issuer, subject string
	audiences       []string
	// authorised is the party that the token was issued to, or "".
	authorised         string
	expires, notBefore time.Time
	// methods are how the issuer authenticated the subject.
	methods        []string
	tags           []iam.Tag
	transitiveTags []string
	sourceIdentity string
}

// audience is the audience that policies see: the authorised party where the token names one.
func (t *webToken) audience() string {
	if t.authorised != "" {
		return t.authorised
	}
	return t.audiences[0]
}

// Claims with which an issuer says what a session shall carry (IAM user guide, "Passing session tags using
// AssumeRoleWithWebIdentity").
const (
	tagsClaim           = "https://aws.amazon.com/tags"
	sourceIdentityClaim = "https://aws.amazon.com/source_identity"
)

// parseToken reads a token in compact form (RFC 7515 §3.1) and refuses what is not whole: it must be signed, and say by
// whom, about whom, for whom and until when.
func parseToken(raw string) (*webToken, error) {
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return nil, fmt.Errorf("it has %d parts, want 3", len(parts))
	}
	header, err := decodeObject(parts[0])
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	claims, err := decodeObject(parts[1])
	if err != nil {
		return nil, fmt.Errorf("claims: %w", err)
	}
	signature, err := base64.RawURLEncoding.Strict().DecodeString(parts[2])
	if err != nil {
		return nil, errors.New("signature: not base64url")
	}
	t := &webToken{signed: parts[0] + "." + parts[1], signature: signature}
	if err := t.readHeader(header); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	if err := t.readClaims(claims); err != nil {
		return nil, fmt.Errorf("claims: %w", err)
	}
	return t, nil
}

// members are those of a JSON object. Unlike in a struct, their names must be exact.
type members map[string]json.RawMessage

func decodeObject(part string) (members, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil {
		return nil, errors.New("not base64url")
	}
	var m members
	if err := json.Unmarshal(raw, &m); err != nil || m == nil {
		return nil, errors.New("not a JSON object")
	}
	return m, nil
}

// read reads a member, if it is there.
func (m members) read(name string, to any) error {
	raw, ok := m[name]
	if !ok {
		return nil
	}
	if err := json.Unmarshal(raw, to); err != nil {
		return fmt.Errorf("%s has the wrong type", name)
	}
	return nil
}

func (t *webToken) readHeader(header members) error {
	if _, ok := header["crit"]; ok { // RFC 7515 §4.1.11: what is critical and not understood must be refused
		return errors.New("crit names extensions that are not supported")
	}
	if err := errors.Join(header.read("alg", &t.algorithm), header.read("kid", &t.keyID)); err != nil {
		return err
	}
	if t.algorithm != iam.RS256 && t.algorithm != iam.ES256 {
		return fmt.Errorf("alg must be %s or %s", iam.RS256, iam.ES256)
	}
	return nil
}

func (t *webToken) readClaims(claims members) error {
	var audience json.RawMessage
	err := errors.Join(
		claims.read("iss", &t.issuer), claims.read("sub", &t.subject), claims.read("aud", &audience), claims.read("azp", &t.authorised),
		claims.read("amr", &t.methods), claims.read(sourceIdentityClaim, &t.sourceIdentity),
		claims.readTime("exp", &t.expires), claims.readTime("nbf", &t.notBefore), t.readTags(claims),
	)
	if err != nil {
		return err
	}
	if t.audiences, err = oneOrMany(audience); err != nil {
		return err
	}
	switch {
	case t.issuer == "":
		return errors.New("iss is missing")
	case t.subject == "":
		return errors.New("sub is missing")
	case len(t.audiences) == 0 || t.audiences[0] == "":
		return errors.New("aud is missing")
	case t.expires.IsZero():
		return errors.New("exp is missing")
	}
	return nil
}

// oneOrMany reads a string or a list of strings (RFC 7519 §4.1.3).
func oneOrMany(raw json.RawMessage) ([]string, error) {
	var many []string
	if len(raw) == 0 || json.Unmarshal(raw, &many) == nil {
		return many, nil
	}
	var one string
	if json.Unmarshal(raw, &one) != nil {
		return nil, errors.New("aud has the wrong type")
	}
	return []string{one}, nil
}

// readTime reads seconds since 1970, which may have a fraction (RFC 7519 §2, NumericDate).
func (m members) readTime(name string, to *time.Time) error {
	var seconds float64
	if err := m.read(name, &seconds); err != nil || m[name] == nil {
		return err
	}
	const year9999 = 253402300799
	if seconds < 1 || seconds > year9999 {
		return fmt.Errorf("%s is no time of this era", name)
	}
	*to = time.Unix(int64(math.Floor(seconds)), 0)
	return nil
}

// readTags reads the session tags. The claim has a list for each key; AWS takes one value of it.
func (t *webToken) readTags(claims members) error {
	var claim struct {
		Tags       map[string][]string `json:"principal_tags"`
		Transitive []string            `json:"transitive_tag_keys"`
	}
	if err := claims.read(tagsClaim, &claim); err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(claim.Tags)) {
		values := claim.Tags[key]
		if len(values) != 1 {
			return fmt.Errorf("the tag %q must have one value, has %d", key, len(values))
		}
		t.tags = append(t.tags, iam.Tag{Key: key, Value: values[0]})
	}
	t.transitiveTags = claim.Transitive
	return nil
}
