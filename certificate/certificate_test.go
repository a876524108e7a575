package certificate_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"pergola/certificate"
)

var now = time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)

// keys are the keys that tests share, since RSA keys take a while to make.
var keys = sync.OnceValue(func() (k struct {
	small, good, other *rsa.PrivateKey
	curve              *ecdsa.PrivateKey
}) {
	for key, bits := range map[**rsa.PrivateKey]int{&k.small: 1024, &k.good: 2048, &k.other: 2048} {
		*key, _ = rsa.GenerateKey(rand.Reader, bits)
	}
	k.curve, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return k
})

// sign makes a certificate from a template; an issuer of nil means itself.
func sign(t testing.TB, template *x509.Certificate, key crypto.Signer, issuer *x509.Certificate, issuerKey crypto.Signer) *x509.Certificate {
	t.Helper()
	if issuer == nil {
		issuer, issuerKey = template, key
	}
	template.SerialNumber = big.NewInt(1)
	if template.NotBefore.IsZero() {
		template.NotBefore, template.NotAfter = now.Add(-time.Hour), now.Add(time.Hour)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), issuerKey)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// TestMatches has one row for each case of the user guide, "Bring Your Own Certificate", and for what they leave open.
func TestMatches(t *testing.T) {
	for _, tt := range []struct {
		name      string
		cn        string
		sans      []string
		addresses []net.IP
		domain    string
		want      bool
	}{
		{name: "the SAN is the name", sans: []string{"parking.example.com"}, domain: "parking.example.com", want: true},
		{name: "one of several SANs is", sans: []string{"a.example.com", "parking.example.com"}, domain: "parking.example.com", want: true},
		{name: "no SAN is", sans: []string{"other.example.com"}, domain: "parking.example.com"},
		{name: "the CN is, without a SAN", cn: "parking.example.com", domain: "parking.example.com", want: true},
		{name: "the CN is not, without a SAN", cn: "other.example.com", domain: "parking.example.com"},
		{name: "the CN is, but there are SANs", cn: "parking.example.com", sans: []string{"other.example.com"}, domain: "parking.example.com"},
		{name: "the CN is, but there is a SAN of another kind", cn: "parking.example.com", addresses: []net.IP{{10, 0, 0, 1}}, domain: "parking.example.com"},
		{name: "neither CN nor SAN", domain: "parking.example.com"},
		{name: "a wildcard one level deep in the SAN", sans: []string{"*.example.com"}, domain: "parking.example.com", want: true},
		{name: "a wildcard one level deep in the CN", cn: "*.example.com", domain: "parking.example.com", want: true},
		{name: "two levels below a wildcard", sans: []string{"*.example.com"}, domain: "parking.different.example.com"},
		{name: "two levels below a wildcard of the CN", cn: "*.example.com", domain: "parking.different.example.com"},
		{name: "the apex of a wildcard", sans: []string{"*.example.com"}, domain: "example.com"},
		{name: "a wildcard in the middle", sans: []string{"parking.*.example.com"}, domain: "parking.a.example.com"},
		{name: "two wildcards", sans: []string{"*.*.example.com"}, domain: "parking.a.example.com"},
		{name: "a wildcard that is part of a label", sans: []string{"p*.example.com"}, domain: "parking.example.com"},
		{name: "a wildcard at the end of a label", sans: []string{"*g.example.com"}, domain: "parking.example.com"},
		{name: "a wildcard alone", sans: []string{"*"}, domain: "example"},
		{name: "a wildcard of a wildcard's name", sans: []string{"*.example.com"}, domain: "*.example.com"},
		{name: "one certificate for several names", sans: []string{"*.example.com", "*.example.net"}, domain: "parking.example.net", want: true},
		{name: "letters of another case", sans: []string{"Parking.Example.COM"}, domain: "parking.example.com", want: true},
		{name: "a dot at the end", sans: []string{"parking.example.com"}, domain: "parking.example.com.", want: true},
		{name: "no label before the dot", sans: []string{"*.example.com"}, domain: ".example.com"},
		{name: "no name", sans: []string{"parking.example.com"}, domain: ""},
		{name: "a letter that only looks the same", sans: []string{"parking.example.com"}, domain: "par\u212Aing.example.com"},
	} {
		leaf := sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: tt.cn}, DNSNames: tt.sans, IPAddresses: tt.addresses}, keys().curve, nil, nil)
		if got := certificate.Matches(leaf, tt.domain); got != tt.want {
			t.Errorf("%s: CN %q, SANs %q match %q: %t", tt.name, tt.cn, tt.sans, tt.domain, got)
		}
	}
}

// rsaOf is a key of so many bits as far as its public part goes, which is made in no time.
type rsaOf struct {
	*ecdsa.PrivateKey
	bits int
}

func (k rsaOf) Public() crypto.PublicKey {
	return &rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), k.bits-1, 1), E: 65537}
}

func TestCheckFor(t *testing.T) {
	good := func(key crypto.Signer) *x509.Certificate {
		return sign(t, &x509.Certificate{DNSNames: []string{"a.example.com"}}, key, nil, nil)
	}
	for name, tt := range map[string]struct {
		leaf         *x509.Certificate
		domain, want string
	}{
		"good":        {good(keys().good), "a.example.com", ""},
		"small key":   {good(keys().small), "a.example.com", "RSA key of 1024 bits"},
		"large key":   {sign(t, &x509.Certificate{DNSNames: []string{"a.example.com"}}, rsaOf{keys().curve, 3072}, &x509.Certificate{}, keys().curve), "a.example.com", "RSA key of 3072 bits"},
		"other key":   {good(keys().curve), "a.example.com", "ECDSA"},
		"other name":  {good(keys().good), "b.example.com", "for a.example.com, not for b.example.com"},
		"longer name": {good(keys().good), "x.a.example.com", "not for x.a.example.com"},
	} {
		switch err := certificate.CheckFor(tt.leaf, tt.domain); {
		case err == nil && tt.want != "", err != nil && (tt.want == "" || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

func pemOf(blockType string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: blockType, Bytes: der}))
}

func certOf(chain ...*x509.Certificate) (text string) {
	for _, c := range chain {
		text += pemOf("CERTIFICATE", c.Raw)
	}
	return text
}

func pkcs8(t testing.TB, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pemOf("PRIVATE KEY", der)
}

func TestImport(t *testing.T) {
	k := keys()
	ca := func(name string) *x509.Certificate {
		return &x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	}
	root := sign(t, ca("root"), k.curve, nil, nil)
	middle := sign(t, ca("middle"), k.other, root, k.curve)
	leaf := func(key crypto.Signer) *x509.Certificate {
		return sign(t, &x509.Certificate{DNSNames: []string{"a.example.com"}}, key, middle, k.other)
	}
	good := leaf(k.good)
	huge := sign(t, ca("huge"), rsaOf{k.curve, 8200}, root, k.curve)
	past := sign(t, &x509.Certificate{NotBefore: now.Add(-2 * time.Hour), NotAfter: now.Add(-time.Second)}, k.good, nil, nil)
	future := sign(t, &x509.Certificate{NotBefore: now.Add(time.Second), NotAfter: now.Add(time.Hour)}, k.good, nil, nil)
	key := pkcs8(t, k.good)
	for name, tt := range map[string]struct {
		certificate, key, chain, want string
	}{
		"chain":                   {certOf(good), key, certOf(middle), ""},
		"chain with its root":     {certOf(good), key, certOf(middle, root), ""},
		"no chain":                {certOf(good), key, "", ""},
		"PKCS #1":                 {certOf(good), pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(k.good)), "", ""},
		"text around it":          {"subject=a\n" + certOf(good) + "\n\n", "\n" + key + "\n", "", ""},
		"nothing":                 {"", key, "", "certificate: holds 0 certificates"},
		"two":                     {certOf(good, middle), key, "", "certificate: holds 2 certificates"},
		"no PEM":                  {"nonsense", key, "", "certificate: is no PEM"},
		"cut off":                 {certOf(good)[:200], key, "", "certificate: is no PEM"},
		"bad DER":                 {pemOf("CERTIFICATE", good.Raw[:100]), key, "", "certificate: holds a certificate that cannot be read"},
		"key for a certificate":   {key, key, "", `certificate: holds a block of type "PRIVATE KEY"`},
		"expired":                 {certOf(past), key, "", "certificate: has expired on 2026-08-01T11:59:59Z"},
		"not yet valid":           {certOf(future), key, "", "certificate: is not valid before 2026-08-01T12:00:01Z"},
		"small key":               {certOf(leaf(k.small)), pkcs8(t, k.small), "", "RSA key of 1024 bits"},
		"key on a curve":          {certOf(leaf(k.curve)), pkcs8(t, k.curve), "", "key of type ECDSA"},
		"another's key":           {certOf(good), pkcs8(t, k.other), "", "private key: is not the key of the certificate"},
		"a key of another type":   {certOf(good), pkcs8(t, k.curve), "", "private key: is not the key of the certificate"},
		"no key":                  {certOf(good), "", "", "private key: is no PEM"},
		"two keys":                {certOf(good), key + key, "", "private key: holds more than the key"},
		"certificate for a key":   {certOf(good), certOf(good), "", `private key: is of type "CERTIFICATE"`},
		"key with a passphrase":   {certOf(good), pemOf("ENCRYPTED PRIVATE KEY", []byte{1}), "", "private key: has a passphrase"},
		"old passphrase":          {certOf(good), "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n", "", "private key: has a passphrase"},
		"bad key":                 {certOf(good), pemOf("PRIVATE KEY", []byte("secret")), "", "private key: cannot be read as a private key"},
		"bad key in PKCS #1":      {certOf(good), pemOf("RSA PRIVATE KEY", []byte("secret")), "", "private key: cannot be read as a private key"},
		"chain in another order":  {certOf(good), key, certOf(root, middle), "certificate chain: number 1 does not certify"},
		"chain with a stranger":   {certOf(good), key, certOf(middle, good), "certificate chain: number 2 does not certify"},
		"chain that is no PEM":    {certOf(good), key, "nonsense", "certificate chain: is no PEM"},
		"chain that takes long":   {certOf(good), key, certOf(huge), "certificate chain: number 1 has an RSA key of 8200 bits"},
		"chain without end":       {certOf(good), key, strings.Repeat(certOf(middle), 21), "certificate chain: holds more than 20"},
		"certificate in the rest": {certOf(good) + "-----BEGIN CERTIFICATE-----\n", key, "", "certificate: is no PEM"},
	} {
		pair, err := certificate.Import([]byte(tt.certificate), []byte(tt.key), []byte(tt.chain), now)
		switch {
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		case tt.want != "":
		case err != nil:
			t.Errorf("%s: %v", name, err)
		default:
			if private, err := certificate.ParseKey(pair.Key); err != nil || !k.good.Equal(private) || !bytes.Equal(pair.Chain[0], good.Raw) {
				t.Errorf("%s: another key or certificate came out: %v", name, err)
			}
			if got := string(certificate.PEM(pair.Chain[1:]...)); got != tt.chain {
				t.Errorf("%s: the chain is\n%s", name, got)
			}
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error repeats the key: %v", name, err)
		}
	}
}

func TestAuthority(t *testing.T) {
	der, key, err := certificate.NewAuthority(now)
	if err != nil {
		t.Fatal(err)
	}
	authority, err := certificate.OpenAuthority(der, key)
	if err != nil || !bytes.Equal(authority.Certificate(), der) {
		t.Fatal(err)
	}
	issued, err := authority.Issue(&keys().good.PublicKey, now, "a.example.com", "*.b.example.com")
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(issued)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(certificate.PEM(der))
	for name, tt := range map[string]struct {
		name string
		at   time.Time
		good bool
	}{
		"now":                  {"a.example.com", now, true},
		"for the other name":   {"x.b.example.com", now, true},
		"on a clock behind":    {"a.example.com", now.Add(-30 * time.Minute), true},
		"for no name of it":    {"c.example.com", now, false},
		"before it":            {"a.example.com", now.Add(-2 * time.Hour), false},
		"at its renewal":       {"a.example.com", certificate.RenewAt(leaf), true},
		"after its end":        {"a.example.com", now.Add(certificate.Lifetime + time.Second), false},
		"one second before it": {"a.example.com", now.Add(certificate.Lifetime - time.Second), true},
	} {
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: tt.name, CurrentTime: tt.at}); (err == nil) != tt.good {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := certificate.RenewAt(leaf).Sub(now); got != 60*24*time.Hour {
		t.Errorf("it is renewed after %v", got)
	}
	if leaf.IsCA || leaf.KeyUsage&x509.KeyUsageCertSign != 0 || leaf.KeyUsage&x509.KeyUsageKeyEncipherment == 0 {
		t.Errorf("what is issued may be used for %v", leaf.KeyUsage)
	}
	again, _ := authority.Issue(&keys().good.PublicKey, now, "a.example.com")
	if second, _ := x509.ParseCertificate(again); second.SerialNumber.Cmp(leaf.SerialNumber) == 0 || second.SerialNumber.BitLen() != 128 {
		t.Errorf("two certificates have the number %v", leaf.SerialNumber)
	}
}

func TestAuthorityIsNoLongerThanItself(t *testing.T) {
	der, key, _ := certificate.NewAuthority(now)
	authority, err := certificate.OpenAuthority(der, key)
	if err != nil {
		t.Fatal(err)
	}
	root, _ := x509.ParseCertificate(der)
	late := root.NotAfter.Add(-time.Hour)
	issued, err := authority.Issue(&keys().good.PublicKey, late, "a.example.com")
	if err != nil {
		t.Fatal(err)
	}
	if leaf, _ := x509.ParseCertificate(issued); !leaf.NotAfter.Equal(root.NotAfter) {
		t.Errorf("a certificate is good until %v, its authority until %v", leaf.NotAfter, root.NotAfter)
	}
	if _, err := authority.Issue(&keys().good.PublicKey, root.NotAfter.Add(time.Second), "a.example.com"); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("an authority that has expired: %v", err)
	}
	early, err := authority.Issue(&keys().good.PublicKey, now.Add(-30*time.Minute), "a.example.com")
	if leaf, _ := x509.ParseCertificate(early); err != nil || leaf.NotBefore.Before(root.NotBefore) {
		t.Errorf("a certificate is older than its authority: %v", err)
	}
}

func TestLongNamesHaveNoCommonName(t *testing.T) {
	der, key, _ := certificate.NewAuthority(now)
	authority, err := certificate.OpenAuthority(der, key)
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("a", 63) + ".example.com"
	issued, err := authority.Issue(&keys().good.PublicKey, now, long)
	if err != nil {
		t.Fatal(err)
	}
	if leaf, err := x509.ParseCertificate(issued); err != nil || leaf.Subject.CommonName != "" || !certificate.Matches(leaf, long) {
		t.Errorf("it has the common name %q, %v", leaf.Subject.CommonName, err)
	}
}

func TestOpenAuthorityRefuses(t *testing.T) {
	der, key, _ := certificate.NewAuthority(now)
	_, another, _ := certificate.NewAuthority(now)
	for name, tt := range map[string][2][]byte{
		"another's key":     {der, another},
		"a key cut off":     {der, key[:10]},
		"a certificate cut": {der[:100], key},
	} {
		if _, err := certificate.OpenAuthority(tt[0], tt[1]); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

// FuzzImport holds that nothing crashes the reader, and that what it accepts can be served. The seeds have no good RSA
// key: reading one takes most of a second where every branch is counted.
func FuzzImport(f *testing.F) {
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	leaf := sign(f, &x509.Certificate{DNSNames: []string{"a.example.com"}}, rsaOf{curve, 2048}, &x509.Certificate{}, curve)
	f.Add([]byte(certOf(leaf)), []byte(pkcs8(f, curve)), []byte(certOf(leaf)))
	f.Add([]byte(certOf(leaf)), []byte(pemOf("RSA PRIVATE KEY", []byte{0x30, 0x03, 0x02, 0x01, 0x00})), []byte{})
	f.Fuzz(func(t *testing.T, own, key, chain []byte) {
		pair, err := certificate.Import(own, key, chain, now)
		if err != nil {
			return
		}
		if _, err := certificate.ParseKey(pair.Key); err != nil {
			t.Error(err)
		}
		for _, der := range pair.Chain {
			if _, err := x509.ParseCertificate(der); err != nil {
				t.Error(err)
			}
		}
	})
}

// FuzzMatches holds the rule of wildcards against another form of it: label by label.
func FuzzMatches(f *testing.F) {
	f.Add("*.example.com", "a.example.com")
	f.Add("example.com", "EXAMPLE.com.")
	f.Add("*.*.com", "a.b.com")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		leaf := &x509.Certificate{Subject: pkix.Name{CommonName: pattern}}
		got := certificate.Matches(leaf, name)
		of, is := strings.Split(pattern, "."), strings.Split(strings.TrimSuffix(name, "."), ".")
		want := len(of) == len(is) && name != "" && name != "."
		for i := 0; want && i < len(of); i++ {
			wild := i == 0 && of[i] == "*" && len(of) > 1 && is[i] != "" && is[i] != "*" && !strings.Contains(is[i], "*")
			want = wild || ascii(of[i]) == ascii(is[i]) && ascii(of[i]) != "." && !strings.Contains(of[i], "*")
		}
		if want && of[0] == "*" && strings.Join(is[1:], ".") == "" {
			want = false
		}
		if got != want {
			t.Errorf("%q covers %q: %t", pattern, name, got)
		}
	})
}

// ascii folds the case of a label, and makes one that has other letters unlike any.
func ascii(label string) string {
	folded := []byte(label)
	for i, c := range folded {
		if c >= 0x80 {
			return "." // no label is that
		}
		if 'A' <= c && c <= 'Z' {
			folded[i] = c + 'a' - 'A'
		}
	}
	return string(folded)
}
