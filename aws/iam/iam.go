// Package iam holds the nouns of identity: who calls, and with which keys.
package iam

import "pergola/lattice"

// Caller is the authenticated principal of a control-plane call.
type Caller struct {
	// Account is the 12-digit id of the account that the principal belongs to.
	Account string
	// ARN names the principal, such as arn:aws:iam::100000000001:user/admin.
	ARN string
	// UserID is the principal's unique id, such as AIDA….
	UserID string
}

// AccessKey is a long-term credential of a user.
type AccessKey struct {
	ID string `json:"id"`
	// Secret is sealed with the deployment's key; it is never stored in clear.
	Secret  []byte       `json:"secret"`
	Account string       `json:"account"`
	UserARN string       `json:"userArn"`
	UserID  string       `json:"userId"`
	Created lattice.Time `json:"created"`
}

// KindAccessKey is the kind under which the store keeps access keys, by their ids.
const KindAccessKey = "accesskey"
