// Package sts holds the shapes of the security token service: who am I, and who may I be for a while.
package sts

import (
	"pergola/aws"
	"pergola/aws/iam"
)

// APIVersion is the version of the API whose shapes this package holds. Requests carry the names of their parameters in
// query tags and their constraints in check tags, which package lattice explains; responses carry the names of their
// elements in xml tags.
const APIVersion = "2011-06-15"

type GetCallerIdentityRequest struct{}

type GetCallerIdentityResponse struct {
	Account string `xml:"Account"`
	ARN     string `xml:"Arn"`
	UserID  string `xml:"UserId"`
}

type GetAccessKeyInfoRequest struct {
	ID string `query:"AccessKeyId" check:"required,len=16..128,pattern=word"`
}

type GetAccessKeyInfoResponse struct {
	Account string `xml:"Account"`
}

// MaxSessionPolicy is how many characters the policies of a session may have as they are passed: the document, and the
// ARNs of managed policies (IAM user guide, "IAM and AWS STS quotas").
const MaxSessionPolicy = 2048

// RoleSession is what every operation that makes a session of a role takes. The length of Policy is checked before it
// is read, with the error code that AWS has for the operation.
type RoleSession struct {
	RoleARN    string             `query:"RoleArn" check:"required,len=20..2048"`
	Name       string             `query:"RoleSessionName" check:"required,len=2..64,pattern=entity"`
	PolicyARNs []PolicyDescriptor `query:"PolicyArns"`
	Policy     string             `query:"Policy" check:"len=1..131072,pattern=document"`
	// Seconds is how long the session shall last; 0 means an hour.
	Seconds int32 `query:"DurationSeconds" check:"range=900..43200"`
}

// PolicyDescriptor names a managed policy.
type PolicyDescriptor struct {
	ARN string `query:"arn" check:"required,len=20..2048"`
}

type AssumeRoleRequest struct {
	RoleSession
	Tags           []iam.Tag `query:"Tags" check:"len=0..50"`
	TransitiveTags []string  `query:"TransitiveTagKeys" check:"len=0..50,each=(len=1..128,pattern=tagtext)"`
	ExternalID     string    `query:"ExternalId" check:"len=2..1224,pattern=externalid"`
	SourceIdentity string    `query:"SourceIdentity" check:"len=2..64,pattern=entity"`
	SerialNumber   string    `query:"SerialNumber" check:"len=9..256"`
	TokenCode      string    `query:"TokenCode" check:"len=6..6"`
}

type AssumeRoleResponse struct {
	Credentials    Credentials `xml:"Credentials"`
	AssumedRole    AssumedRole `xml:"AssumedRoleUser"`
	PackedSize     int         `xml:"PackedPolicySize,omitempty"`
	SourceIdentity string      `xml:"SourceIdentity,omitempty"`
}

// Credentials are temporary.
type Credentials struct {
	AccessKeyID string      `xml:"AccessKeyId"`
	Secret      string      `xml:"SecretAccessKey"`
	Token       string      `xml:"SessionToken"`
	Expires     aws.Instant `xml:"Expiration"`
}

// AssumedRole names the principal of a session of a role.
type AssumedRole struct {
	ID  string `xml:"AssumedRoleId"`
	ARN string `xml:"Arn"`
}

type AssumeRoleWithWebIdentityRequest struct {
	RoleSession
	Token    string `query:"WebIdentityToken" check:"required,len=4..20000"`
	Provider string `query:"ProviderId" check:"len=4..2048"`
}

type AssumeRoleWithWebIdentityResponse struct {
	Credentials    Credentials `xml:"Credentials"`
	Subject        string      `xml:"SubjectFromWebIdentityToken"`
	AssumedRole    AssumedRole `xml:"AssumedRoleUser"`
	PackedSize     int         `xml:"PackedPolicySize,omitempty"`
	Provider       string      `xml:"Provider"`
	Audience       string      `xml:"Audience"`
	SourceIdentity string      `xml:"SourceIdentity,omitempty"`
}

type GetSessionTokenRequest struct {
	// Seconds is how long the session shall last; 0 means twelve hours.
	Seconds      int32  `query:"DurationSeconds" check:"range=900..129600"`
	SerialNumber string `query:"SerialNumber" check:"len=9..256"`
	TokenCode    string `query:"TokenCode" check:"len=6..6"`
}

type GetSessionTokenResponse struct {
	Credentials Credentials `xml:"Credentials"`
}
