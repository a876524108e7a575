package control

import (
	"crypto/x509"
	"errors"
	"fmt"

	"pergola/aws/acm"
	"pergola/certificate"
	"pergola/lattice"
	"pergola/store"
)

// certificates belong to Certificate Manager. They are only read here, in the transaction of the service that begins to
// use one, so that none is deleted meanwhile.
var certificates = store.NewKind[acm.Certificate](acm.KindCertificate)

// admitCertificate checks that a service with a custom domain name may use a certificate, or none with an empty ARN. It
// must be the account's own, in the service's region, with a key and a name that fit (user guide, "Bring Your Own
// Certificate").
func (op *call) admitCertificate(arn, domain string) error {
	const field = "certificateArn"
	if arn == "" {
		return nil
	}
	if domain == "" {
		return lattice.Invalid(field, "a service without a custom domain name has no use for a certificate: its generated name has one already")
	}
	id, ok := acm.ID(arn, op.Region)
	if !ok {
		return lattice.Invalid(field, "%q is not the ARN of a certificate in %s, where the service is", arn, op.Region)
	}
	if err := op.Owns(arn); err != nil {
		return err
	}
	found, err := certificates.Get(op.Tx, id)
	if errors.Is(err, store.ErrNotFound) {
		return lattice.Invalid(field, "there is no certificate %s", arn)
	}
	if err != nil {
		return err
	}
	leaf, err := x509.ParseCertificate(found.Chain[0])
	if err != nil {
		return fmt.Errorf("certificate %s in the store: %w", arn, err)
	}
	if err := certificate.CheckFor(leaf, domain); err != nil {
		return lattice.Invalid(field, "%v", err)
	}
	return nil
}
