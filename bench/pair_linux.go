package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// pair names the files of a certificate and its key, in PEM.
type pair struct {
	Certificate string `json:"certificate"`
	Key         string `json:"key"`
	Both        string `json:"both"` // in one file
}

// pairs are what a peer shows: a certificate for an RSA key of 2048 bits, and one for a key on the curve P-256. Pergola
// issues its own, of the same kinds.
type pairs struct {
	RSA  pair `json:"rsa"`
	P256 pair `json:"p256"`
}

// makePairs makes certificates that certify themselves.
func makePairs(dir string) (p pairs, err error) {
	first, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return p, err
	}
	second, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return p, err
	}
	var errs [2]error
	p.RSA, errs[0] = makePair(filepath.Join(dir, "rsa"), first)
	p.P256, errs[1] = makePair(filepath.Join(dir, "p256"), second)
	return p, errors.Join(errs[:]...)
}

// makePair makes a certificate for a key. The names of its files begin with prefix.
func makePair(prefix string, key crypto.Signer) (p pair, err error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bench"}, DNSNames: []string{hostName},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return p, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return p, err
	}
	chain := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
	private := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
	p = pair{prefix + "-certificate.pem", prefix + "-key.pem", prefix + "-both.pem"}
	for name, content := range map[string][]byte{p.Certificate: chain, p.Key: private, p.Both: append(chain[:len(chain):len(chain)], private...)} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			return p, err
		}
	}
	return p, nil
}
