package iam

import (
	"net/url"
	"strings"
	"unicode"

	"pergola/aws"
	"pergola/aws/iam"
	"pergola/policy"
)

// maxManagedPolicy is how many characters other than white space a managed policy may have (IAM user guide, "IAM and
// AWS STS quotas").
const maxManagedPolicy = 6144

// checkPermissions refuses what is no policy for identities. Like all of these, it is for documents whose size has been
// looked at.
func checkPermissions(document string) error { return check("", document, policy.Identity) }

// checkManaged refuses what is no managed policy.
func checkManaged(document string) error {
	if sizeOf(document) > maxManagedPolicy {
		return limitExceeded("Cannot exceed quota for PolicySize: %d", maxManagedPolicy)
	}
	return checkPermissions(document)
}

// checkTrust refuses what is no trust policy.
func (op *call) checkTrust(document string) error {
	if limit := op.limit(iam.QuotaTrustPolicy); sizeOf(document) > limit {
		return exceeded(iam.QuotaTrustPolicy, limit)
	}
	return check("sts", document, policy.Trust)
}

// check refuses a document that cannot be read, or is about actions of other services than the one given, if any.
func check(service, document string, kind policy.Kind) error {
	if _, err := policy.ParseFor(service, []byte(document), kind, 0); err != nil {
		return aws.Errorf("MalformedPolicyDocument", "%v", err)
	}
	return nil
}

// sizeOf counts the characters of a document as the quotas do.
func sizeOf(document string) (size int) {
	for _, r := range document {
		if !unicode.IsSpace(r) {
			size++
		}
	}
	return size
}

// percentEncoded is a document as answers have it (RFC 3986 §2.1).
func percentEncoded(document string) string {
	return strings.ReplaceAll(url.QueryEscape(document), "+", "%20")
}
