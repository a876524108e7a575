package acm

import (
	"cmp"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"strings"
	"time"

	"pergola/aws"
	"pergola/aws/acm"
	"pergola/certificate"
)

// The values of options, and of what a request says about validation.
const (
	enabled          = "ENABLED"
	disabled         = "DISABLED"
	validatedByEmail = "EMAIL"
	success          = "SUCCESS"
)

// DescribeCertificate describes a certificate.
func (op *call) DescribeCertificate(in *acm.Reference) (*acm.DescribeCertificateResponse, error) {
	object, err := op.find(in.CertificateARN)
	if err != nil {
		return nil, err
	}
	users, err := op.users()
	if err != nil {
		return nil, err
	}
	description, err := describe(object, users[object.ARN], op.Now())
	return &acm.DescribeCertificateResponse{Certificate: description}, err
}

// describe says what there is to say about a certificate and what uses it.
func describe(object *acm.Certificate, users []string, now time.Time) (acm.Description, error) {
	leaf, err := x509.ParseCertificate(object.Chain[0])
	if err != nil {
		return acm.Description{}, fmt.Errorf("certificate %s in the store: %w", object.ARN, err)
	}
	names := object.Names
	if len(names) == 0 {
		names = certificate.Names(leaf)
	}
	d := acm.Description{
		CertificateARN: object.ARN, AlternativeNames: append([]string{}, names...), Serial: serial(leaf),
		Subject: leaf.Subject.String(), Issuer: issuer(leaf), Created: aws.Timestamp{Time: object.Created},
		Status: status(leaf, now), NotBefore: aws.Timestamp{Time: leaf.NotBefore}, NotAfter: aws.Timestamp{Time: leaf.NotAfter},
		KeyAlgorithm: keyAlgorithm(leaf), SignatureAlgorithm: signatureAlgorithm(leaf), InUseBy: append([]string{}, users...),
		Type: object.Type, KeyUsages: keyUsages(leaf), ExtendedKeyUsages: extendedKeyUsages(leaf),
		RenewalEligibility: "INELIGIBLE", Options: object.Options,
	}
	if len(names) > 0 {
		d.DomainName, d.Subject = names[0], cmp.Or(d.Subject, "CN="+names[0])
	}
	issued := &aws.Timestamp{Time: object.Issued}
	if object.Type == acm.Imported {
		d.Imported = issued
		return d, nil
	}
	d.Issued, d.Validations = issued, validations(object)
	if len(users) > 0 {
		d.RenewalEligibility = "ELIGIBLE"
	}
	if object.Issued.After(object.Created) {
		d.Renewal = &acm.RenewalSummary{Status: success, Validations: d.Validations, Updated: *issued}
	}
	return d, nil
}

func status(leaf *x509.Certificate, now time.Time) string {
	if now.After(leaf.NotAfter) {
		return acm.StatusExpired
	}
	return acm.StatusIssued
}

// serial is the number of a certificate in pairs of digits.
func serial(leaf *x509.Certificate) string {
	pairs := make([]string, 0, 20)
	for _, octet := range leaf.SerialNumber.Bytes() {
		pairs = append(pairs, fmt.Sprintf("%02x", octet))
	}
	return strings.Join(pairs, ":")
}

// issuer is the name of who issued a certificate.
func issuer(leaf *x509.Certificate) string {
	if organization := leaf.Issuer.Organization; len(organization) > 0 {
		return organization[0]
	}
	return leaf.Issuer.CommonName
}

// keyAlgorithm is the algorithm of a certificate's key. Only RSA keys come in.
func keyAlgorithm(leaf *x509.Certificate) string {
	if key, ok := leaf.PublicKey.(*rsa.PublicKey); ok {
		return fmt.Sprintf("RSA_%d", key.N.BitLen())
	}
	return ""
}

// signatureAlgorithm is the algorithm of a certificate's signature, as in SHA256WITHRSA.
func signatureAlgorithm(leaf *x509.Certificate) string {
	first, second, _ := strings.Cut(leaf.SignatureAlgorithm.String(), "-")
	if strings.HasPrefix(first, "SHA") {
		return first + "WITH" + strings.ReplaceAll(second, "-", "")
	}
	return second + "WITH" + first
}

// usages are the bits of a certificate's key usage in the order of their numbers (RFC 5280 §4.2.1.3).
var usages = []string{
	"DIGITAL_SIGNATURE", "NON_REPUDIATION", "KEY_ENCIPHERMENT", "DATA_ENCIPHERMENT", "KEY_AGREEMENT", "CERTIFICATE_SIGNING",
	"CRL_SIGNING", "ENCIPHER_ONLY", "DECIPHER_ONLY",
}

func keyUsages(leaf *x509.Certificate) []acm.KeyUsage {
	found := []acm.KeyUsage{}
	for bit, name := range usages {
		if leaf.KeyUsage&(1<<bit) != 0 {
			found = append(found, acm.KeyUsage{Name: name})
		}
	}
	return found
}

// extendedUsages are the purposes of certificates (RFC 5280 §4.2.1.12).
var extendedUsages = map[x509.ExtKeyUsage]acm.ExtendedKeyUsage{
	x509.ExtKeyUsageAny:             {Name: "ANY", OID: "2.5.29.37.0"},
	x509.ExtKeyUsageServerAuth:      {Name: "TLS_WEB_SERVER_AUTHENTICATION", OID: "1.3.6.1.5.5.7.3.1"},
	x509.ExtKeyUsageClientAuth:      {Name: "TLS_WEB_CLIENT_AUTHENTICATION", OID: "1.3.6.1.5.5.7.3.2"},
	x509.ExtKeyUsageCodeSigning:     {Name: "CODE_SIGNING", OID: "1.3.6.1.5.5.7.3.3"},
	x509.ExtKeyUsageEmailProtection: {Name: "EMAIL_PROTECTION", OID: "1.3.6.1.5.5.7.3.4"},
	x509.ExtKeyUsageIPSECEndSystem:  {Name: "IPSEC_END_SYSTEM", OID: "1.3.6.1.5.5.7.3.5"},
	x509.ExtKeyUsageIPSECTunnel:     {Name: "IPSEC_TUNNEL", OID: "1.3.6.1.5.5.7.3.6"},
	x509.ExtKeyUsageIPSECUser:       {Name: "IPSEC_USER", OID: "1.3.6.1.5.5.7.3.7"},
	x509.ExtKeyUsageTimeStamping:    {Name: "TIME_STAMPING", OID: "1.3.6.1.5.5.7.3.8"},
	x509.ExtKeyUsageOCSPSigning:     {Name: "OCSP_SIGNING", OID: "1.3.6.1.5.5.7.3.9"},
}

func extendedKeyUsages(leaf *x509.Certificate) []acm.ExtendedKeyUsage {
	found := []acm.ExtendedKeyUsage{}
	for _, usage := range leaf.ExtKeyUsage {
		if known, ok := extendedUsages[usage]; ok {
			found = append(found, known)
		}
	}
	for _, oid := range leaf.UnknownExtKeyUsage {
		found = append(found, acm.ExtendedKeyUsage{Name: "CUSTOM", OID: oid.String()})
	}
	return found
}

// validations are what would have proved the ownership of each name. All of it counts as done.
func validations(object *acm.Certificate) []acm.DomainValidation {
	var all []acm.DomainValidation
	for _, name := range object.Names {
		v := acm.DomainValidation{
			DomainName: name, ValidationDomain: cmp.Or(object.ValidationDomains[name], name), Status: success,
			Method: object.ValidationMethod,
		}
		host := strings.TrimPrefix(name, "*.")
		sum := sha256.Sum256([]byte(object.ARN + " " + host))
		switch v.Method {
		case "DNS":
			v.Record = &acm.ResourceRecord{
				Name: fmt.Sprintf("_%x.%s.", sum[:16], host), Type: "CNAME", Value: fmt.Sprintf("_%x.acm-validations.aws.", sum[16:]),
			}
		case "HTTP":
			v.Redirect = &acm.HTTPRedirect{
				From: fmt.Sprintf("http://%s/.well-known/pki-validation/%x.txt", host, sum[:16]),
				To:   fmt.Sprintf("https://validation.acm-validations.aws/%x", sum[16:]),
			}
		default:
			for _, mailbox := range []string{"admin", "administrator", "hostmaster", "postmaster", "webmaster"} {
				v.Emails = append(v.Emails, mailbox+"@"+strings.TrimPrefix(v.ValidationDomain, "*."))
			}
		}
		all = append(all, v)
	}
	return all
}
