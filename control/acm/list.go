package acm

import (
	"cmp"
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"pergola/aws"
	"pergola/aws/acm"
)

// defaultPage is how many certificates a page has unless the request says otherwise.
const defaultPage = 1000

// defaultKeyTypes are the certificates that a listing has which says nothing of keys (ACM API reference, Filters).
func defaultKeyTypes() []string { return []string{"RSA_1024", acm.RSA2048} }

// ListCertificates lists the certificates of the account, by their ids or in the order in which they were made.
func (op *call) ListCertificates(in *acm.ListCertificatesRequest) (*acm.ListCertificatesResponse, error) {
	if (in.SortBy == "") != (in.SortOrder == "") {
		return nil, aws.Errorf("InvalidArgsException", "SortBy and SortOrder go together; give both or none")
	}
	own, err := certificates.All(op.Tx, op.Account)
	if err != nil {
		return nil, err
	}
	users, err := op.users()
	if err != nil {
		return nil, err
	}
	var kept []acm.CertificateSummary
	for _, object := range own {
		description, err := describe(object, users[object.ARN], op.Now())
		if err != nil {
			return nil, err
		}
		if s := summary(&description); admits(in, &s) {
			kept = append(kept, s)
		}
	}
	return page(kept, in)
}

// summary is what a listing says of a certificate.
func summary(d *acm.Description) acm.CertificateSummary {
	s := acm.CertificateSummary{
		CertificateARN: d.CertificateARN, DomainName: d.DomainName, AlternativeNames: d.AlternativeNames, Status: d.Status, Type: d.Type,
		KeyAlgorithm: d.KeyAlgorithm, KeyUsages: []string{}, ExtendedKeyUsages: []string{}, ExportOption: d.Options.Export,
		InUse: len(d.InUseBy) > 0, RenewalEligibility: d.RenewalEligibility,
		NotBefore: d.NotBefore, NotAfter: d.NotAfter, Created: d.Created, Issued: d.Issued, Imported: d.Imported,
	}
	for _, usage := range d.KeyUsages {
		s.KeyUsages = append(s.KeyUsages, usage.Name)
	}
	for _, usage := range d.ExtendedKeyUsages {
		s.ExtendedKeyUsages = append(s.ExtendedKeyUsages, usage.Name)
	}
	return s
}

// admits reports whether a listing has a certificate: of each filter that is given, one value must hold.
func admits(in *acm.ListCertificatesRequest, s *acm.CertificateSummary) bool {
	keyTypes := in.Includes.KeyTypes
	if len(keyTypes) == 0 {
		keyTypes = defaultKeyTypes()
	}
	return slices.Contains(keyTypes, s.KeyAlgorithm) && meets(in.Statuses, s.Status) &&
		meets(in.Includes.KeyUsages, s.KeyUsages...) && meets(in.Includes.ExtendedKeyUsages, s.ExtendedKeyUsages...) &&
		(in.Includes.ExportOption == "" || in.Includes.ExportOption == s.ExportOption) && in.Includes.ManagedBy == ""
}

func meets(wanted []string, has ...string) bool {
	return len(wanted) == 0 || slices.ContainsFunc(has, func(value string) bool { return slices.Contains(wanted, value) })
}

// page cuts one page out of a listing and makes the token of the next one, which names the last certificate of this one.
func page(all []acm.CertificateSummary, in *acm.ListCertificatesRequest) (*acm.ListCertificatesResponse, error) {
	order := compare(in)
	slices.SortFunc(all, order)
	if in.NextToken != "" {
		last, err := resume(in.NextToken)
		if err != nil {
			return nil, err
		}
		all = slices.DeleteFunc(all, func(s acm.CertificateSummary) bool { return order(s, last) <= 0 })
	}
	answer := &acm.ListCertificatesResponse{Certificates: append([]acm.CertificateSummary{}, all...)}
	if size := cmp.Or(int(in.MaxItems), defaultPage); len(all) > size {
		answer.Certificates, answer.NextToken = all[:size], token(all[size-1])
	}
	return answer, nil
}

// compare is the order of a listing.
func compare(in *acm.ListCertificatesRequest) func(a, b acm.CertificateSummary) int {
	return func(a, b acm.CertificateSummary) int {
		order := cmp.Compare(a.CertificateARN, b.CertificateARN)
		if in.SortBy != "" {
			order = cmp.Or(a.Created.Compare(b.Created.Time), order)
		}
		if in.SortOrder == "DESCENDING" {
			return -order
		}
		return order
	}
}

// token names a certificate by what listings are ordered by.
func token(s acm.CertificateSummary) string {
	return base64.RawURLEncoding.EncodeToString([]byte(s.Created.UTC().Format(time.RFC3339Nano) + " " + s.CertificateARN))
}

// resume is the certificate that a token names, as far as it says.
func resume(token string) (s acm.CertificateSummary, err error) {
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err == nil {
		created, arn, _ := strings.Cut(string(raw), " ")
		s.CertificateARN = arn
		s.Created.Time, err = time.Parse(time.RFC3339Nano, created)
	}
	if err != nil {
		return s, aws.Errorf("InvalidArgsException", "NextToken is not one of this listing; begin again without")
	}
	return s, nil
}
