package sts

import (
	"encoding/base64"
	"strings"
	"testing"
)

// FuzzWebToken reads any token. What it takes says by whom it is, about whom, for whom and until when.
func FuzzWebToken(f *testing.F) {
	join := func(parts ...string) string {
		for i := range parts {
			parts[i] = base64.RawURLEncoding.EncodeToString([]byte(parts[i]))
		}
		return strings.Join(parts, ".")
	}
	f.Add(join(`{"alg":"RS256","kid":"one"}`, `{"iss":"https://a.example","sub":"b","aud":"c","exp":1800000000,"nbf":1.5,"amr":["x"]}`, "signature"))
	f.Add(join(`{"alg":"ES256"}`, `{"iss":"i","sub":"b","aud":["c","d"],"azp":"d","exp":1e9,"https://aws.amazon.com/tags":{"principal_tags":{"a":["b"]}}}`, ""))
	f.Add(join(`{"alg":"none"}`, `null`, ``))
	f.Add("..")
	f.Fuzz(func(t *testing.T, raw string) {
		token, err := parseToken(raw)
		if err != nil {
			return
		}
		if token.issuer == "" || token.subject == "" || token.audience() == "" || token.expires.IsZero() || !strings.HasPrefix(raw, token.signed+".") {
			t.Errorf("%q is taken as %+v", raw, token)
		}
	})
}
