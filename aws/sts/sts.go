// Package sts holds the shapes of the security token service: who am I, and who may I be for a while.
package sts

//go:generate go run pergola/internal/generate shapes model.json

// APIVersion is the version of the API in model.json. The shapes that are served are in shapes.go.
const APIVersion = "2011-06-15"

// MaxSessionPolicy is how many characters the policies of a session may have as they are passed: the document, and the
// ARNs of managed policies (IAM user guide, "IAM and AWS STS quotas").
const MaxSessionPolicy = 2048
