package iam

import (
	"net/url"
	"strings"
	"unicode"

	"pergola/aws"
	"pergola/policy"
)

// How long documents may be, in characters that are not white space (IAM user guide, "IAM and AWS STS quotas").
const (
	maxManagedPolicy = 6144
	maxTrustPolicy   = 2048
)

// checkPermissions refuses what is no policy for identities.
func checkPermissions(document string) error { return check("", document, policy.Identity) }

// checkManaged refuses what is no managed policy.
func checkManaged(document string) error {
	if err := checkPermissions(document); err != nil {
		return err
	}
	if sizeOf(document) > maxManagedPolicy {
		return limitExceeded("Cannot exceed quota for PolicySize: %d", maxManagedPolicy)
	}
	return nil
}

// checkTrust refuses what is no trust policy.
func checkTrust(document string) error {
	if err := check("sts", document, policy.Trust); err != nil {
		return err
	}
	if sizeOf(document) > maxTrustPolicy {
		return limitExceeded("Cannot exceed quota for ACLSizePerRole: %d", maxTrustPolicy)
	}
	return nil
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
