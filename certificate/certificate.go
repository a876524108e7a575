// Package certificate holds the rules about the certificates of services: which name a certificate is good for, what
// may be imported, and how the built-in authority issues. What it works on is DER and PEM; where that is kept, and that
// private keys are sealed there, is for others.
package certificate

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ServiceKeyBits is the size of the RSA key that the certificate of a service must have, in bits (user guide, "Bring Your Own
// Certificate"). It is also that of the keys that are made here.
const ServiceKeyBits = 2048

// maxKeyBits is the size of the largest RSA keys that are imported, which load balancers can use.
const maxKeyBits = 4096

// pemCertificate and pemKey are the types of the blocks that are written.
const (
	pemCertificate = "CERTIFICATE"
	pemKey         = "PRIVATE KEY"
)

// PEM writes certificates one after the other.
func PEM(chain ...[]byte) []byte {
	var text bytes.Buffer
	for _, der := range chain {
		_ = pem.Encode(&text, &pem.Block{Type: pemCertificate, Bytes: der}) // a buffer does not fail
	}
	return text.Bytes()
}

// checkKey checks that a certificate has an RSA key of no more than so many bits, and not of less than services need.
func checkKey(leaf *x509.Certificate, most int) error {
	key, ok := leaf.PublicKey.(*rsa.PublicKey)
	if !ok {
		return fmt.Errorf("the certificate has a key of type %v; it must be an RSA key of %s bits", leaf.PublicKeyAlgorithm, sizes(most))
	}
	if bits := key.N.BitLen(); bits < ServiceKeyBits || bits > most {
		return fmt.Errorf("the certificate has an RSA key of %d bits; it must have %s", bits, sizes(most))
	}
	return nil
}

func sizes(most int) string {
	if most == ServiceKeyBits {
		return strconv.Itoa(most)
	}
	return fmt.Sprintf("%d to %d", ServiceKeyBits, most)
}

// CheckFor checks that a certificate may serve a custom domain name: its key is what services take, and it has the name.
func CheckFor(leaf *x509.Certificate, name string) error {
	if err := checkKey(leaf, ServiceKeyBits); err != nil {
		return err
	}
	if !Matches(leaf, name) {
		return fmt.Errorf("the certificate is for %s, not for %s", strings.Join(Names(leaf), ", "), name)
	}
	return nil
}

// subjectAlternativeName is the extension that holds a certificate's names (RFC 5280 §4.2.1.6).
var subjectAlternativeName = asn1.ObjectIdentifier{2, 5, 29, 17}

// Names are the names that a certificate is good for, as it has them: those of the Subject Alternative Name, or without
// that extension the Common Name (user guide, "Bring Your Own Certificate").
func Names(leaf *x509.Certificate) []string {
	for _, extension := range leaf.Extensions {
		if extension.Id.Equal(subjectAlternativeName) {
			return leaf.DNSNames
		}
	}
	if leaf.Subject.CommonName == "" {
		return nil
	}
	return []string{leaf.Subject.CommonName}
}

// Matches reports whether a certificate is good for a host name. The case of letters does not count, nor does a dot at
// the end of the name.
func Matches(leaf *x509.Certificate, name string) bool {
	return slices.ContainsFunc(Names(leaf), func(pattern string) bool { return covers(pattern, name) })
}

// covers reports whether a name in a certificate is that of a host. A wildcard stands for exactly one label, is the
// whole of the first one, and there is no other (user guide, "Bring Your Own Certificate").
func covers(pattern, name string) bool {
	name = strings.TrimSuffix(name, ".")
	if name == "" || strings.Contains(name, "*") {
		return false
	}
	if suffix, ok := strings.CutPrefix(pattern, "*."); ok {
		var label string
		label, name, _ = strings.Cut(name, ".")
		if label == "" || name == "" {
			return false
		}
		pattern = suffix
	}
	return !strings.Contains(pattern, "*") && equalFold(pattern, name)
}

// equalFold compares names of hosts, in which only ASCII letters have a case.
func equalFold(a, b string) bool {
	return len(a) == len(b) && strings.EqualFold(a, b) && isASCII(a) && isASCII(b)
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 })
}
