package acm

import (
	"testing"

	"pergola/aws"
	nouns "pergola/aws/acm"
)

// TestFault_A10_CertificatesHaveAQuota goes beyond it by a request and by an import; another account has its own.
func TestFault_A10_CertificatesHaveAQuota(t *testing.T) {
	w := newWorld(t)
	w.Control.Quotas = aws.Quotas{nouns.QuotaCertificates.Code: 1}
	request := nouns.RequestCertificateRequest{DomainName: "a.example.com", Token: "t"}
	must(w, w.RequestCertificate, request)
	must(w, w.RequestCertificate, request) // which is the same one
	refused(w, w.RequestCertificate, nouns.RequestCertificateRequest{DomainName: "b.example.com"},
		"LimitExceededException", "L-F141DD1D")
	w.caller = root("200000000002")
	must(w, w.RequestCertificate, request)
}
