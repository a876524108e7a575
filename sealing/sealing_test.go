package sealing_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"pergola/aws/iam"
	"pergola/sealing"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func newBox(t testing.TB, seed byte) *sealing.Box {
	t.Helper()
	box, err := sealing.New(bytes.Repeat([]byte{seed}, sealing.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	return box
}

func TestTheKeyOfADirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sealing.key")
	first, err := sealing.Make(path)
	if err != nil {
		t.Fatal(err)
	}
	second, err := sealing.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := second.OpenSecret("AKIA1", first.SealSecret("AKIA1", "s3cret")); err != nil || got != "s3cret" {
		t.Errorf("opened %q, %v after a restart", got, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("the key's file has mode %v, %v, want 0600", info.Mode(), err)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("there are %v, %v beside the key", entries, err)
	}
	if err := os.WriteFile(path, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sealing.Open(path); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "restore") {
		t.Errorf("a damaged key: %v", err)
	}
	if _, err := sealing.Open(filepath.Join(path, "below", "a", "file")); err == nil {
		t.Error("a key was made where none can be")
	}
}

func TestSecretsAreBoundToTheirIDs(t *testing.T) {
	box := newBox(t, 1)
	sealed := box.SealSecret("AKIA1", "s3cret")
	if bytes.Contains(sealed, []byte("s3cret")) {
		t.Error("the secret is in clear")
	}
	if bytes.Equal(sealed, box.SealSecret("AKIA1", "s3cret")) {
		t.Error("two seals of one secret are the same")
	}
	altered := bytes.Clone(sealed)
	altered[len(altered)-1] ^= 1
	for name, open := range map[string]func() (string, error){
		"another id":  func() (string, error) { return box.OpenSecret("AKIA2", sealed) },
		"another key": func() (string, error) { return newBox(t, 2).OpenSecret("AKIA1", sealed) },
		"altered":     func() (string, error) { return box.OpenSecret("AKIA1", altered) },
		"nothing":     func() (string, error) { return box.OpenSecret("AKIA1", nil) },
	} {
		if secret, err := open(); err == nil || secret != "" {
			t.Errorf("%s: opened %q", name, secret)
		}
	}
}

func TestPrivateKeysAreBoundToTheirCertificates(t *testing.T) {
	box, key := newBox(t, 1), []byte("private key")
	sealed := box.SealKey("arn:1", key)
	if bytes.Contains(sealed, key) {
		t.Error("the key is in clear")
	}
	if got, err := box.OpenKey("arn:1", sealed); err != nil || !bytes.Equal(got, key) {
		t.Errorf("opened %q, %v", got, err)
	}
	for name, open := range map[string]func() ([]byte, error){
		"another certificate": func() ([]byte, error) { return box.OpenKey("arn:2", sealed) },
		"another sealing key": func() ([]byte, error) { return newBox(t, 2).OpenKey("arn:1", sealed) },
		"cut off":             func() ([]byte, error) { return box.OpenKey("arn:1", sealed[:10]) },
		"a secret":            func() ([]byte, error) { return box.OpenKey("arn:1", box.SealSecret("arn:1", "s3cret")) },
	} {
		if got, err := open(); err == nil || got != nil || !strings.Contains(err.Error(), "restore") {
			t.Errorf("%s: opened %q, %v", name, got, err)
		}
	}
}

func TestVariablesAreBoundToTheirFunction(t *testing.T) {
	box, variables := newBox(t, 1), []byte(`{"TOKEN":"s3cret"}`)
	sealed := box.SealVariables("arn:1", variables)
	if bytes.Contains(sealed, []byte("s3cret")) {
		t.Error("the variables are in clear")
	}
	if got, err := box.OpenVariables("arn:1", sealed); err != nil || !bytes.Equal(got, variables) {
		t.Errorf("opened %q, %v", got, err)
	}
	for name, open := range map[string]func() ([]byte, error){
		"another function":    func() ([]byte, error) { return box.OpenVariables("arn:2", sealed) },
		"another sealing key": func() ([]byte, error) { return newBox(t, 2).OpenVariables("arn:1", sealed) },
		"a private key":       func() ([]byte, error) { return box.OpenVariables("arn:1", box.SealKey("arn:1", variables)) },
	} {
		if got, err := open(); err == nil || got != nil || !strings.Contains(err.Error(), "restore") {
			t.Errorf("%s: opened %q, %v", name, got, err)
		}
	}
}

func session() iam.Caller {
	return iam.Caller{
		Account: "100000000001", ARN: "arn:aws:sts::100000000001:assumed-role/r/s", UserID: "AROA1:s", Type: iam.TypeAssumedRole,
		RoleARN: "arn:aws:iam::100000000001:role/path/r", Tags: map[string]string{"team": "red", "empty": ""},
		Session: &iam.Session{
			Name: "s", TransitiveTags: []string{"team"}, Policy: `{"Version":"2012-10-17"}`, PolicyARNs: []string{"arn:a", "arn:b"},
			SourceIdentity: "ada", Federation: "arn:p", Issued: now, Expires: now.Add(time.Hour),
		},
	}
}

func TestSessions(t *testing.T) {
	box := newBox(t, 1)
	credential, err := box.SealSession(session())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(credential.AccessKeyID, "ASIA") || len(credential.AccessKeyID) != 20 || len(credential.Secret) != 40 {
		t.Errorf("made key %s with a secret of %d letters", credential.AccessKeyID, len(credential.Secret))
	}
	secret, caller, err := box.OpenSession(credential.AccessKeyID, credential.Token, now)
	if err != nil || secret != credential.Secret || !reflect.DeepEqual(caller, session()) {
		t.Errorf("opened %+v, %v", caller, err)
	}
	other, err := box.SealSession(session())
	if err != nil || other.Secret == credential.Secret || other.AccessKeyID == credential.AccessKeyID {
		t.Errorf("two sessions share their secret or their key, %v", err)
	}
	for name, c := range map[string]struct {
		box       *sealing.Box
		id, token string
		at        time.Time
		want      error
	}{
		"its last second": {box, credential.AccessKeyID, credential.Token, now.Add(time.Hour - time.Nanosecond), nil},
		"its end":         {box, credential.AccessKeyID, credential.Token, now.Add(time.Hour), sealing.ErrExpired},
		"another id":      {box, other.AccessKeyID, credential.Token, now, sealing.ErrInvalid},
		"another key":     {newBox(t, 2), credential.AccessKeyID, credential.Token, now, sealing.ErrInvalid},
		"no token":        {box, credential.AccessKeyID, "", now, sealing.ErrInvalid},
		"padding":         {box, credential.AccessKeyID, credential.Token + "=", now, sealing.ErrInvalid},
		"a line break":    {box, credential.AccessKeyID, credential.Token + "\n", now, sealing.ErrInvalid},
		"too long":        {box, credential.AccessKeyID, credential.Token + strings.Repeat("A", sealing.MaxToken), now, sealing.ErrInvalid},
		"version alone":   {box, credential.AccessKeyID, "AQ", now, sealing.ErrInvalid},
	} {
		if _, _, err := c.box.OpenSession(c.id, c.token, c.at); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// TestEveryAlteredTokenIsRefused flips each bit of a token.
func TestEveryAlteredTokenIsRefused(t *testing.T) {
	box := newBox(t, 1)
	credential, err := box.SealSession(session())
	if err != nil {
		t.Fatal(err)
	}
	raw, err := base64.RawURLEncoding.DecodeString(credential.Token)
	if err != nil {
		t.Fatal(err)
	}
	for bit := range len(raw) * 8 {
		raw[bit/8] ^= 1 << (bit % 8)
		if _, _, err := box.OpenSession(credential.AccessKeyID, base64.RawURLEncoding.EncodeToString(raw), now); !errors.Is(err, sealing.ErrInvalid) {
			t.Fatalf("bit %d flipped: %v", bit, err)
		}
		raw[bit/8] ^= 1 << (bit % 8)
	}
}

// TestRoundTrip seals sessions of every shape: what comes out is what went in, or it did not fit.
func TestRoundTrip(t *testing.T) {
	box, random := newBox(t, 1), rand.New(rand.NewPCG(1, 2))
	text := func(limit int) string {
		raw := make([]byte, random.IntN(limit))
		for i := range raw {
			raw[i] = byte(random.IntN(256))
		}
		return string(raw)
	}
	list := func() (all []string) {
		for range random.IntN(5) {
			all = append(all, text(100))
		}
		return all
	}
	fitted := 0
	for range 2000 {
		in := iam.Caller{
			Account: fmt.Sprintf("%012d", random.Int64N(1e12)), ARN: text(200), UserID: text(50), Type: iam.PrincipalType(text(10)), RoleARN: text(200),
			Session: &iam.Session{
				Name: text(64), TransitiveTags: list(), Policy: text(3000), PolicyARNs: list(), SourceIdentity: text(64), Federation: text(100),
				Issued: time.Unix(random.Int64N(1e11)-1e9, 0).UTC(), Expires: now.Add(time.Duration(random.Int64N(1e6)+1) * time.Second),
			},
		}
		for range random.IntN(4) {
			if in.Tags == nil {
				in.Tags = map[string]string{}
			}
			in.Tags[text(128)] = text(256)
		}
		credential, err := box.SealSession(in)
		if errors.Is(err, sealing.ErrTooLarge) {
			continue
		}
		fitted++
		_, out, err := box.OpenSession(credential.AccessKeyID, credential.Token, now)
		if err != nil || !reflect.DeepEqual(in, out) {
			t.Fatalf("sealed %+v\nopened %+v, %v", in, out, err)
		}
		if len(credential.Token) > sealing.MaxToken {
			t.Fatalf("a token of %d characters", len(credential.Token))
		}
		if account, ok := iam.AccountOfKey(credential.AccessKeyID); !ok || account != in.Account {
			t.Fatalf("%s tells account %s, want %s", credential.AccessKeyID, account, in.Account)
		}
	}
	if fitted < 500 {
		t.Errorf("only %d of 2000 sessions fitted", fitted)
	}
}

func TestTheLongestPolicyFits(t *testing.T) {
	in := session()
	in.Session.Policy = strings.Repeat("x", 2048)
	if _, err := newBox(t, 1).SealSession(in); err != nil {
		t.Error(err)
	}
	in.Session.Policy = strings.Repeat("x", 3000)
	if _, err := newBox(t, 1).SealSession(in); !errors.Is(err, sealing.ErrTooLarge) {
		t.Errorf("%v, want %v", err, sealing.ErrTooLarge)
	}
}

func FuzzToken(f *testing.F) {
	box := newBox(f, 1)
	credential, err := box.SealSession(session())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(credential.Token)
	f.Add("AQ")
	f.Add("")
	f.Fuzz(func(t *testing.T, token string) {
		_, caller, err := box.OpenSession(credential.AccessKeyID, token, now)
		if err == nil && (token != credential.Token || !reflect.DeepEqual(caller, session())) {
			t.Errorf("opened %q, which was not issued", token)
		}
	})
}

func BenchmarkOpenSession(b *testing.B) {
	box := newBox(b, 1)
	credential, err := box.SealSession(session())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := box.OpenSession(credential.AccessKeyID, credential.Token, now); err != nil {
			b.Fatal(err)
		}
	}
}
