// Package sts holds the shapes of the security token service: who am I.
package sts

// APIVersion is the version of the API whose shapes this package holds.
const APIVersion = "2011-06-15"

type GetCallerIdentityRequest struct{}

type GetCallerIdentityResponse struct {
	Account string `xml:"Account"`
	ARN     string `xml:"Arn"`
	UserID  string `xml:"UserId"`
}
