// Package acm holds the nouns of Certificate Manager: certificates with their sealed private keys, and the built-in
// authority that issues those that are requested. It is as large as services with HTTPS listeners need.
package acm

import (
	"strings"
	"time"
)

// The kinds under which the store keeps these nouns.
const (
	// KindCertificate is kept by ID.
	KindCertificate = "certificate"
	// KindAuthority has one object, AuthorityID, once somebody needed it.
	KindAuthority = "certificateauthority"
	AuthorityID   = "built-in"
)

// Certificate is a certificate that an account has imported or requested.
type Certificate struct {
	ARN string `json:"arn"`
	// Type is how the account came to have it.
	Type Type `json:"type"`
	// Chain is the certificate itself and then those that certify it, each in DER.
	Chain [][]byte `json:"chain"`
	// SealedKey is the private key in PKCS #8, sealed for the ARN with the deployment's key.
	SealedKey []byte `json:"sealedKey"`
	// Names are the names that were asked for, the first of them the domain name; empty for what was imported.
	Names []string `json:"names,omitempty"`
	// ValidationMethod is what a request said about proving ownership of the names. Nothing is asked for.
	ValidationMethod string `json:"validationMethod,omitempty"`
	// ValidationDomains are the names that should vouch for others, where a request says so.
	ValidationDomains map[string]string `json:"validationDomains,omitempty"`
	Options           Options           `json:"options,omitzero"`
	Tags              map[string]string `json:"tags,omitempty"`
	Created           time.Time         `json:"created"`
	// Issued is when the chain was issued or imported; it moves with each renewal and each import.
	Issued time.Time `json:"issued"`
	// Token is the idempotency token of the request, or "".
	Token string `json:"token,omitempty"`
}

// Type is how an account came to have a certificate.
type Type string

// The types that are served.
const (
	Imported Type = "IMPORTED"
	Issued   Type = "AMAZON_ISSUED"
)

// Authority is the built-in authority: a certificate that certifies itself, with its private key.
type Authority struct {
	// Certificate is in DER.
	Certificate []byte `json:"certificate"`
	// SealedKey is the private key in PKCS #8, sealed for AuthorityID with the deployment's key.
	SealedKey []byte `json:"sealedKey"`
}

// resourcePrefix precedes a certificate's own id in its ARN.
const resourcePrefix = "certificate/"

// Resource is the resource of a certificate's ARN.
func Resource(uuid string) string { return resourcePrefix + uuid }

// ID is where the store keeps the certificate of an ARN: below its account. It is false for what cannot be the ARN of a
// certificate in the region. There is one ARN for an id, of the partition aws: a policy that names a certificate, and what
// refers to it, could otherwise be passed by with another.
func ID(arn, region string) (id string, ok bool) {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || parts[1] != "aws" || parts[2] != "acm" || parts[3] != region {
		return "", false
	}
	uuid, ok := strings.CutPrefix(parts[5], resourcePrefix)
	if !ok || uuid == "" || parts[4] == "" || strings.Contains(parts[4]+uuid, "/") {
		return "", false
	}
	return parts[4] + "/" + uuid, true
}
