package control

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"math/big"
	"sync"
	"testing"
	"time"

	"pergola/aws/acm"
	"pergola/lattice"
	"pergola/store"
)

// rsaKey is a key that tests share, since it takes a while to make one.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })

// certificate keeps a certificate for some names in Certificate Manager, as it does itself, and returns its ARN.
func (w *world) certificate(uuid string, names ...string) string {
	w.t.Helper()
	return w.certificateOf(account, uuid, rsaKey(), names...)
}

func (w *world) certificateOf(owner, uuid string, key crypto.Signer, names ...string) string {
	w.t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: names, NotBefore: w.clock, NotAfter: w.clock.Add(time.Hour)}
	der := must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))
	arn := lattice.ARN{Service: "acm", Region: region, Account: owner, Resource: acm.Resource(uuid)}.String()
	w.write(func(tx *store.Tx) error {
		return certificates.Put(tx, owner+"/"+uuid, acm.Certificate{ARN: arn, Type: acm.Imported, Chain: [][]byte{der}})
	})
	return arn
}

func TestAServiceTakesOnlyACertificateThatFits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	curve := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	exact, wild := w.certificate("exact", "parking.example.com"), w.certificate("wild", "*.example.com")
	for name, tt := range map[string]struct {
		domain, arn string
		kind        lattice.ErrorKind // Internal: it fits
		want        string
	}{
		"exact":              {"parking.example.com", exact, lattice.Internal, ""},
		"wildcard":           {"parking.example.com", wild, lattice.Internal, ""},
		"none":               {"parking.example.com", "", lattice.Internal, ""},
		"no name":            {"", exact, lattice.Validation, "a service without a custom domain name has no use for a certificate"},
		"another name":       {"billing.example.com", exact, lattice.Validation, "the certificate is for parking.example.com, not for billing.example.com"},
		"two levels deep":    {"parking.different.example.com", wild, lattice.Validation, "not for parking.different.example.com"},
		"another kind":       {"parking.example.com", w.certificateOf(account, "curve", curve, "parking.example.com"), lattice.Validation, "key of type ECDSA"},
		"another account's":  {"parking.example.com", w.certificateOf(other, "foreign", rsaKey(), "parking.example.com"), lattice.AccessDenied, "arn:aws:acm:us-west-2:" + other},
		"another region's":   {"parking.example.com", "arn:aws:acm:eu-west-1:" + account + ":certificate/exact", lattice.Validation, "is not the ARN of a certificate in us-west-2"},
		"one that is not":    {"parking.example.com", "arn:aws:acm:us-west-2:" + account + ":certificate/gone", lattice.Validation, "there is no certificate"},
		"of another service": {"parking.example.com", "arn:aws:iam:us-west-2:" + account + ":certificate/exact", lattice.Validation, "is not the ARN of a certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			service, err := w.CreateService(w.ctx, w.caller, &lattice.CreateServiceRequest{Name: "new", CustomDomainName: tt.domain, CertificateARN: tt.arn})
			if tt.kind == lattice.Internal {
				if err != nil || service.CertificateARN != tt.arn {
					t.Fatalf("%+v, %v", service, err)
				}
				w.settleNow()
				must(w.DeleteService(w.ctx, w.caller, &lattice.DeleteServiceRequest{ServiceIdentifier: service.ID}))
			} else {
				refused(t, err, tt.kind, tt.want)
			}
			plain := must(w.CreateService(w.ctx, w.caller, &lattice.CreateServiceRequest{Name: "plain", CustomDomainName: tt.domain}))
			w.settleNow()
			_, err = w.UpdateService(w.ctx, w.caller, &lattice.UpdateServiceRequest{ServiceIdentifier: plain.ID, CertificateARN: &tt.arn})
			if tt.kind == lattice.Internal {
				if err != nil {
					t.Error(err)
				}
			} else {
				refused(t, err, tt.kind, tt.want)
			}
			must(w.DeleteService(w.ctx, w.caller, &lattice.DeleteServiceRequest{ServiceIdentifier: plain.ID}))
			w.settleNow()
		})
	}
}
