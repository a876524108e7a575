package acm

import "pergola/aws"

// APIVersion is the version of the API whose shapes this package holds, each as large as its users need. Members carry
// their names in json tags; those of requests carry their constraints in check tags, which package lattice explains.
const APIVersion = "2015-12-08"

// TargetPrefix begins the names of operations in the header X-Amz-Target.
const TargetPrefix = "CertificateManager"

// Tag is one tag of a certificate. A tag to remove may leave out its value.
type Tag struct {
	Key   string  `json:"Key" check:"required,len=1..128,pattern=tagtext"`
	Value *string `json:"Value,omitempty" check:"len=0..256,pattern=tagtext"`
}

// Reference names one certificate; it is the request of the operations that need no more.
type Reference struct {
	CertificateARN string `json:"CertificateArn" check:"required,len=20..2048,pattern=acmarn"`
}

type ImportCertificateRequest struct {
	CertificateARN string `json:"CertificateArn" check:"len=20..2048,pattern=acmarn"`
	Certificate    []byte `json:"Certificate" check:"required,len=1..32768"`
	PrivateKey     []byte `json:"PrivateKey" check:"required,len=1..8192"`
	Chain          []byte `json:"CertificateChain" check:"len=1..2097152"`
	Tags           []Tag  `json:"Tags" check:"len=1..50"`
}

type ImportCertificateResponse struct {
	CertificateARN string `json:"CertificateArn"`
}

type RequestCertificateRequest struct {
	DomainName        string             `json:"DomainName" check:"required,len=1..253,pattern=certificatename"`
	ValidationMethod  string             `json:"ValidationMethod" check:"enum=EMAIL|DNS|HTTP"`
	AlternativeNames  []string           `json:"SubjectAlternativeNames" check:"len=1..100,each=(len=1..253,pattern=certificatename)"`
	Token             string             `json:"IdempotencyToken" check:"len=1..32,pattern=word"`
	ValidationOptions []ValidationOption `json:"DomainValidationOptions" check:"len=1..100"`
	Options           Options            `json:"Options"`
	AuthorityARN      string             `json:"CertificateAuthorityArn" check:"len=20..2048"`
	Tags              []Tag              `json:"Tags" check:"len=1..50"`
	KeyAlgorithm      string             `json:"KeyAlgorithm" check:"enum=RSA_1024|RSA_2048|RSA_3072|RSA_4096|EC_prime256v1|EC_secp384r1|EC_secp521r1"`
	ManagedBy         string             `json:"ManagedBy" check:"enum=CLOUDFRONT"`
}

// ValidationOption says whose postmasters should vouch for a name.
type ValidationOption struct {
	DomainName       string `json:"DomainName" check:"required,len=1..253,pattern=certificatename"`
	ValidationDomain string `json:"ValidationDomain" check:"required,len=1..253,pattern=certificatename"`
}

type RequestCertificateResponse struct {
	CertificateARN string `json:"CertificateArn"`
}

type DescribeCertificateResponse struct {
	Certificate Description `json:"Certificate"`
}

// The statuses that a certificate can have here.
const (
	StatusIssued  = "ISSUED"
	StatusExpired = "EXPIRED"
)

// RSA2048 is the algorithm of the keys of certificates that are requested.
const RSA2048 = "RSA_2048"

// Description is a certificate as callers see it.
type Description struct {
	CertificateARN     string             `json:"CertificateArn"`
	DomainName         string             `json:"DomainName"`
	AlternativeNames   []string           `json:"SubjectAlternativeNames"`
	Validations        []DomainValidation `json:"DomainValidationOptions,omitempty"`
	Serial             string             `json:"Serial"`
	Subject            string             `json:"Subject"`
	Issuer             string             `json:"Issuer"`
	Created            aws.Timestamp      `json:"CreatedAt"`
	Issued             *aws.Timestamp     `json:"IssuedAt,omitempty"`
	Imported           *aws.Timestamp     `json:"ImportedAt,omitempty"`
	Status             string             `json:"Status"`
	NotBefore          aws.Timestamp      `json:"NotBefore"`
	NotAfter           aws.Timestamp      `json:"NotAfter"`
	KeyAlgorithm       string             `json:"KeyAlgorithm"`
	SignatureAlgorithm string             `json:"SignatureAlgorithm"`
	InUseBy            []string           `json:"InUseBy"`
	Type               Type               `json:"Type"`
	Renewal            *RenewalSummary    `json:"RenewalSummary,omitempty"`
	KeyUsages          []KeyUsage         `json:"KeyUsages"`
	ExtendedKeyUsages  []ExtendedKeyUsage `json:"ExtendedKeyUsages"`
	RenewalEligibility string             `json:"RenewalEligibility"`
	Options            Options            `json:"Options,omitzero"`
}

// DomainValidation is how the ownership of a name was proved.
type DomainValidation struct {
	DomainName       string          `json:"DomainName"`
	ValidationDomain string          `json:"ValidationDomain"`
	Status           string          `json:"ValidationStatus"`
	Method           string          `json:"ValidationMethod"`
	Emails           []string        `json:"ValidationEmails,omitempty"`
	Record           *ResourceRecord `json:"ResourceRecord,omitempty"`
	Redirect         *HTTPRedirect   `json:"HttpRedirect,omitempty"`
}

// ResourceRecord is the record that DNS validation asks for.
type ResourceRecord struct {
	Name  string `json:"Name"`
	Type  string `json:"Type"`
	Value string `json:"Value"`
}

// HTTPRedirect is the redirection that HTTP validation asks for.
type HTTPRedirect struct {
	From string `json:"RedirectFrom"`
	To   string `json:"RedirectTo"`
}

type RenewalSummary struct {
	Status      string             `json:"RenewalStatus"`
	Validations []DomainValidation `json:"DomainValidationOptions"`
	Updated     aws.Timestamp      `json:"UpdatedAt"`
}

// KeyUsage is one purpose of a certificate's key.
type KeyUsage struct {
	Name string `json:"Name"`
}

// ExtendedKeyUsage is one purpose of a certificate.
type ExtendedKeyUsage struct {
	Name string `json:"Name"`
	OID  string `json:"OID"`
}

type ListCertificatesRequest struct {
	Statuses  []string `json:"CertificateStatuses" check:"each=(enum=PENDING_VALIDATION|ISSUED|INACTIVE|EXPIRED|VALIDATION_TIMED_OUT|REVOKED|FAILED)"`
	Includes  Filters  `json:"Includes"`
	NextToken string   `json:"NextToken" check:"len=1..10000"`
	MaxItems  int32    `json:"MaxItems" check:"range=1..1000"`
	SortBy    string   `json:"SortBy" check:"enum=CREATED_AT"`
	SortOrder string   `json:"SortOrder" check:"enum=ASCENDING|DESCENDING"`
}

// Filters say which certificates a listing has. Those that are empty let everything through, but for KeyTypes.
type Filters struct {
	ExtendedKeyUsages []string `json:"extendedKeyUsage" check:"each=(enum=TLS_WEB_SERVER_AUTHENTICATION|TLS_WEB_CLIENT_AUTHENTICATION|CODE_SIGNING|EMAIL_PROTECTION|TIME_STAMPING|OCSP_SIGNING|IPSEC_END_SYSTEM|IPSEC_TUNNEL|IPSEC_USER|ANY|NONE|CUSTOM)"`
	KeyUsages         []string `json:"keyUsage" check:"each=(enum=DIGITAL_SIGNATURE|NON_REPUDIATION|KEY_ENCIPHERMENT|DATA_ENCIPHERMENT|KEY_AGREEMENT|CERTIFICATE_SIGNING|CRL_SIGNING|ENCIPHER_ONLY|DECIPHER_ONLY|ANY|CUSTOM)"`
	// KeyTypes is RSA_1024 and RSA_2048 when it is empty.
	KeyTypes     []string `json:"keyTypes" check:"each=(enum=RSA_1024|RSA_2048|RSA_3072|RSA_4096|EC_prime256v1|EC_secp384r1|EC_secp521r1)"`
	ExportOption string   `json:"exportOption" check:"enum=ENABLED|DISABLED"`
	ManagedBy    string   `json:"managedBy" check:"enum=CLOUDFRONT"`
}

type ListCertificatesResponse struct {
	Certificates []CertificateSummary `json:"CertificateSummaryList"`
	NextToken    string               `json:"NextToken,omitempty"`
}

type CertificateSummary struct {
	CertificateARN     string         `json:"CertificateArn"`
	DomainName         string         `json:"DomainName"`
	AlternativeNames   []string       `json:"SubjectAlternativeNameSummaries"`
	MoreNames          bool           `json:"HasAdditionalSubjectAlternativeNames"`
	Status             string         `json:"Status"`
	Type               Type           `json:"Type"`
	KeyAlgorithm       string         `json:"KeyAlgorithm"`
	KeyUsages          []string       `json:"KeyUsages"`
	ExtendedKeyUsages  []string       `json:"ExtendedKeyUsages"`
	ExportOption       string         `json:"ExportOption,omitempty"`
	InUse              bool           `json:"InUse"`
	Exported           bool           `json:"Exported"`
	RenewalEligibility string         `json:"RenewalEligibility"`
	NotBefore          aws.Timestamp  `json:"NotBefore"`
	NotAfter           aws.Timestamp  `json:"NotAfter"`
	Created            aws.Timestamp  `json:"CreatedAt"`
	Issued             *aws.Timestamp `json:"IssuedAt,omitempty"`
	Imported           *aws.Timestamp `json:"ImportedAt,omitempty"`
}

type GetCertificateResponse struct {
	Certificate string `json:"Certificate"`
	Chain       string `json:"CertificateChain,omitempty"`
}

// TagsRequest is that of AddTagsToCertificate and RemoveTagsFromCertificate.
type TagsRequest struct {
	CertificateARN string `json:"CertificateArn" check:"required,len=20..2048,pattern=acmarn"`
	Tags           []Tag  `json:"Tags" check:"required,len=1..50"`
}

type ListTagsForCertificateResponse struct {
	Tags []Tag `json:"Tags"`
}

type UpdateCertificateOptionsRequest struct {
	CertificateARN string  `json:"CertificateArn" check:"required,len=20..2048,pattern=acmarn"`
	Options        Options `json:"Options" check:"required"`
}
