package control

import (
	"strings"

	"pergola/lattice"
)

// The limits of a domain name and of a label in it (RFC 1035 §2.3.4).
const (
	longestDomainName = 253
	longestLabel      = 63
)

// checkDomainName refuses what is not a host name of at least two labels (RFC 1123 §2.1) in lower case. A name has one
// spelling only, so that comparing names is comparing strings.
func checkDomainName(field, name string) error {
	if len(name) > longestDomainName {
		return lattice.Invalid(field, "has %d characters; a domain name has at most %d", len(name), longestDomainName)
	}
	labels := strings.Split(name, ".")
	if len(labels) < 2 {
		return lattice.Invalid(field, "%q is not a fully qualified domain name, such as parking.example.com", name)
	}
	for _, label := range labels {
		if !isLabel(label) {
			return lattice.Invalid(field, "%q is not a domain name: its labels have 1 to %d lower-case letters, digits and hyphens, with no hyphen at either end",
				name, longestLabel)
		}
	}
	return nil
}

func isLabel(label string) bool {
	if label == "" || len(label) > longestLabel || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	for _, c := range []byte(label) {
		if c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}
