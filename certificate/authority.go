package certificate

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"time"
)

const (
	// Lifetime is how long what the authority issues is good for.
	Lifetime = 90 * 24 * time.Hour
	// RenewBefore is how long before its end a certificate should be replaced.
	RenewBefore = 30 * 24 * time.Hour
	// authorityLifetime outlasts any deployment: the authority itself is not renewed, since all who trust it would have
	// to learn of the next one.
	authorityLifetime = 20 * 365 * 24 * time.Hour
	// clockSkew is how much a client's clock may be behind.
	clockSkew = time.Hour
)

// Authority issues certificates.
type Authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

// NewAuthority makes an authority: its certificate in DER, and its key in PKCS #8.
//
// The key is on the curve P-256, also where it certifies RSA keys: the cipher suites of VPC Lattice ask for the kind of
// a service's key and not for that of its authority. Such a key is made and signs within microseconds, so a
// deployment's first start and a service's first connection do not wait for it.
func NewAuthority(now time.Time) (certificate, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := newSerial()
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{Organization: []string{"Pergola"}, CommonName: "Pergola authority " + serial.Text(16)[:8]},
		NotBefore:             now.Add(-clockSkew),
		NotAfter:              now.Add(authorityLifetime),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	if certificate, err = x509.CreateCertificate(rand.Reader, template, template, private.Public(), private); err != nil {
		return nil, nil, err
	}
	key, err = x509.MarshalPKCS8PrivateKey(private)
	return certificate, key, err
}

// newSerial makes the number of a certificate: positive and of 128 bits, so that each has its own.
func newSerial() (*big.Int, error) {
	limit := new(big.Int).Lsh(big.NewInt(1), 127)
	serial, err := rand.Int(rand.Reader, limit)
	if err != nil {
		return nil, err
	}
	return serial.Add(serial, limit), nil
}

// OpenAuthority is the authority that NewAuthority made.
func OpenAuthority(certificate, key []byte) (*Authority, error) {
	parsed, err := x509.ParseCertificate(certificate)
	if err != nil {
		return nil, fmt.Errorf("the certificate of the built-in authority cannot be read: %w", err)
	}
	private, err := ParseKey(key)
	if err != nil {
		return nil, fmt.Errorf("the key of the built-in authority cannot be read: %w", err)
	}
	if !sameKey(parsed.PublicKey, private.Public()) {
		return nil, errors.New("the key of the built-in authority belongs to another certificate")
	}
	return &Authority{parsed, private}, nil
}

// ParseKey reads a private key in PKCS #8.
func ParseKey(der []byte) (crypto.Signer, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a key of type %T cannot sign", key)
	}
	return signer, nil
}

// Certificate is the authority's own certificate, in DER.
func (a *Authority) Certificate() []byte { return a.certificate.Raw }

// longestCommonName is the limit of a Common Name (RFC 5280, appendix A.1, ub-common-name).
const longestCommonName = 64

// Issue issues a certificate for the owner of a key, RSA or ECDSA, good for some host names from now on, for Lifetime
// or until the authority's own end. It is in DER.
func (a *Authority) Issue(key crypto.PublicKey, now time.Time, names ...string) ([]byte, error) {
	if now.After(a.certificate.NotAfter) {
		return nil, fmt.Errorf("the built-in authority has expired on %s", a.certificate.NotAfter.Format(time.DateOnly))
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		DNSNames:              names,
		NotBefore:             now.Add(-clockSkew),
		NotAfter:              now.Add(Lifetime),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	if _, ok := key.(*rsa.PublicKey); ok {
		// Suites without ephemeral keys encrypt with the key.
		template.KeyUsage |= x509.KeyUsageKeyEncipherment
	}
	if template.NotBefore.Before(a.certificate.NotBefore) {
		template.NotBefore = a.certificate.NotBefore
	}
	if template.NotAfter.After(a.certificate.NotAfter) {
		template.NotAfter = a.certificate.NotAfter
	}
	if len(names) > 0 && len(names[0]) <= longestCommonName {
		template.Subject.CommonName = names[0]
	}
	return x509.CreateCertificate(rand.Reader, template, a.certificate, key, a.key)
}

// RenewAt is when what the authority has issued should be replaced.
func RenewAt(leaf *x509.Certificate) time.Time { return leaf.NotAfter.Add(-RenewBefore) }
