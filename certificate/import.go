package certificate

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"
)

// Pair is a certificate with its private key.
type Pair struct {
	// Chain is the certificate itself and then those that certify it, each in DER.
	Chain [][]byte
	// Key is in PKCS #8.
	Key []byte
}

// Import reads a certificate, its private key and the chain that certifies it, which may be empty, from PEM. It refuses
// what a service could not use: another key than an RSA key of a good size, one that belongs to another certificate, a
// certificate that is not valid now, a chain whose links do not certify one another.
func Import(certificate, key, chain []byte, now time.Time) (*Pair, error) {
	own, err := readCertificates(certificate)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	if len(own) != 1 {
		return nil, fmt.Errorf("certificate: holds %d certificates; it takes one, and the certificate chain those that certify it", len(own))
	}
	others, err := readCertificates(chain)
	if err != nil {
		return nil, fmt.Errorf("certificate chain: %w", err)
	}
	leaf := own[0]
	if err := checkLeaf(leaf, now); err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	private, err := readKey(key)
	if err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	if !sameKey(leaf.PublicKey, private.Public()) {
		return nil, errors.New("private key: is not the key of the certificate")
	}
	pair, last := &Pair{Chain: [][]byte{leaf.Raw}}, leaf
	for i, link := range others {
		if key, ok := link.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() > maxLinkBits {
			return nil, fmt.Errorf("certificate chain: number %d has an RSA key of %d bits; those of a chain have %d at most", i+1, key.N.BitLen(), maxLinkBits)
		}
		if err := last.CheckSignatureFrom(link); err != nil {
			return nil, fmt.Errorf("certificate chain: number %d does not certify the one before it: %w", i+1, err)
		}
		pair.Chain, last = append(pair.Chain, link.Raw), link
	}
	pair.Key, err = x509.MarshalPKCS8PrivateKey(private)
	return pair, err
}

func checkLeaf(leaf *x509.Certificate, now time.Time) error {
	switch {
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("is not valid before %s", leaf.NotBefore.UTC().Format(time.RFC3339))
	case now.After(leaf.NotAfter):
		return fmt.Errorf("has expired on %s", leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	return checkKey(leaf, maxKeyBits)
}

// maxLinkBits is how large the RSA keys of a chain may be: clients verify no larger ones (crypto/tls has this limit), and a
// key that fills a request takes minutes to verify with.
const maxLinkBits = 8192

// maxChain is how many certificates a chain may have; those of the public authorities have three or four.
const maxChain = 20

// readCertificates reads all the certificates in a PEM text. Text around them is skipped, as it is by convention.
func readCertificates(text []byte) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		text = rest
		if block.Type != pemCertificate {
			return nil, fmt.Errorf("holds a block of type %q; it takes certificates only", block.Type)
		}
		parsed, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("holds a certificate that cannot be read: %w", err)
		}
		if all = append(all, parsed); len(all) > maxChain {
			return nil, fmt.Errorf("holds more than %d certificates", maxChain)
		}
	}
	if bytes.Contains(text, []byte("-----BEGIN")) || len(all) == 0 && len(bytes.TrimSpace(text)) > 0 {
		return nil, errors.New("is no PEM text, -----BEGIN CERTIFICATE----- and so on")
	}
	return all, nil
}

// readKey reads the one private key in a PEM text.
func readKey(text []byte) (crypto.Signer, error) {
	block, rest := pem.Decode(text)
	if block == nil {
		return nil, errors.New("is no PEM text, -----BEGIN PRIVATE KEY----- and so on")
	}
	if len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("holds more than the key")
	}
	switch {
	case block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "":
		return nil, errors.New("has a passphrase; give it without")
	case block.Type == "RSA PRIVATE KEY":
		key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
		if err != nil {
			return nil, errUnreadableKey
		}
		return key, nil
	case block.Type == pemKey:
		key, err := ParseKey(block.Bytes)
		if err != nil {
			return nil, errUnreadableKey
		}
		return key, nil
	}
	return nil, fmt.Errorf("is of type %q; it must be an RSA key in PKCS #1 or PKCS #8", block.Type)
}

// errUnreadableKey does not say why, since that could repeat some of the key.
var errUnreadableKey = errors.New("cannot be read as a private key")

func sameKey(a, b crypto.PublicKey) bool {
	key, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && key.Equal(b)
}
