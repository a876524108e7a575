package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
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

// makePair makes a certificate for an RSA key of 2048 bits.
func makePair(dir string) (p pair, err error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return p, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bench"}, DNSNames: []string{hostName},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return p, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return p, err
	}
	chain := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
	private := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
	p = pair{filepath.Join(dir, "certificate.pem"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "both.pem")}
	for name, content := range map[string][]byte{p.Certificate: chain, p.Key: private, p.Both: append(chain[:len(chain):len(chain)], private...)} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			return p, err
		}
	}
	return p, nil
}
