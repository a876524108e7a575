package iam

import "pergola/aws"

type PutPolicyRequest struct {
	InlinePolicyRequest
	Document string `query:"PolicyDocument" check:"required,len=1..131072,pattern=document"`
}

// InlinePolicyRequest names an inline policy of a subject.
type InlinePolicyRequest struct {
	Subject
	Name string `query:"PolicyName" check:"required,len=1..128,pattern=entity"`
}

// InlinePolicyResponse is an inline policy. Document is percent-encoded.
type InlinePolicyResponse struct {
	Subject
	Name     string `xml:"PolicyName"`
	Document string `xml:"PolicyDocument"`
}

type ListInlinePoliciesResponse struct {
	Names aws.Members[string] `xml:"PolicyNames"`
	Rest
}

type AttachmentRequest struct {
	Subject
	ARN string `query:"PolicyArn" check:"required,len=20..2048"`
}

type ListAttachedRequest struct {
	Subject
	PathPrefix string `query:"PathPrefix" check:"len=1..512,pattern=pathprefix"`
	Page
}

type ListAttachedResponse struct {
	Policies aws.Members[AttachedPolicy] `xml:"AttachedPolicies"`
	Rest
}

// AttachedPolicy is a managed policy that a user, a group or a role has.
type AttachedPolicy struct {
	Name string `xml:"PolicyName"`
	ARN  string `xml:"PolicyArn"`
}

type PutBoundaryRequest struct {
	Subject
	Boundary string `query:"PermissionsBoundary" check:"required,len=20..2048"`
}

// PolicyDescription is a managed policy as operations answer.
type PolicyDescription struct {
	Name           string           `xml:"PolicyName"`
	ID             string           `xml:"PolicyId"`
	ARN            string           `xml:"Arn"`
	Path           string           `xml:"Path"`
	DefaultVersion string           `xml:"DefaultVersionId"`
	Attachments    int              `xml:"AttachmentCount"`
	BoundaryUses   int              `xml:"PermissionsBoundaryUsageCount"`
	Attachable     bool             `xml:"IsAttachable"`
	Description    string           `xml:"Description,omitempty"`
	Created        aws.Instant      `xml:"CreateDate"`
	Updated        aws.Instant      `xml:"UpdateDate"`
	Tags           aws.Members[Tag] `xml:"Tags,omitempty"`
}

type CreatePolicyRequest struct {
	Name        string `query:"PolicyName" check:"required,len=1..128,pattern=entity"`
	Path        string `query:"Path" check:"len=1..512,pattern=policypath"`
	Document    string `query:"PolicyDocument" check:"required,len=1..131072,pattern=document"`
	Description string `query:"Description" check:"len=0..1000"`
	Tags        []Tag  `query:"Tags" check:"len=0..50"`
}

type PolicyResponse struct {
	Policy PolicyDescription `xml:"Policy"`
}

type ListPoliciesRequest struct {
	Scope        string `query:"Scope" check:"enum=All|AWS|Local"`
	OnlyAttached bool   `query:"OnlyAttached"`
	PathPrefix   string `query:"PathPrefix" check:"len=1..512,pattern=pathprefix"`
	Usage        string `query:"PolicyUsageFilter" check:"enum=PermissionsPolicy|PermissionsBoundary"`
	Page
}

type ListPoliciesResponse struct {
	Policies aws.Members[PolicyDescription] `xml:"Policies"`
	Rest
}

type CreatePolicyVersionRequest struct {
	ARN        string `query:"PolicyArn" check:"required,len=20..2048"`
	Document   string `query:"PolicyDocument" check:"required,len=1..131072,pattern=document"`
	SetDefault bool   `query:"SetAsDefault"`
}

type PolicyVersionRequest struct {
	ARN     string `query:"PolicyArn" check:"required,len=20..2048"`
	Version string `query:"VersionId" check:"required,pattern=policyversion"`
}

// VersionDescription is a version of a managed policy. Its document is percent-encoded, and left out of listings.
type VersionDescription struct {
	Document string      `xml:"Document,omitempty"`
	ID       string      `xml:"VersionId"`
	Default  bool        `xml:"IsDefaultVersion"`
	Created  aws.Instant `xml:"CreateDate"`
}

type PolicyVersionResponse struct {
	Version VersionDescription `xml:"PolicyVersion"`
}

type ListPolicyVersionsResponse struct {
	Versions aws.Members[VersionDescription] `xml:"Versions"`
	Rest
}

type ListEntitiesRequest struct {
	ARN        string `query:"PolicyArn" check:"required,len=20..2048"`
	Filter     string `query:"EntityFilter" check:"enum=User|Role|Group|LocalManagedPolicy|AWSManagedPolicy"`
	PathPrefix string `query:"PathPrefix" check:"len=1..512,pattern=pathprefix"`
	Usage      string `query:"PolicyUsageFilter" check:"enum=PermissionsPolicy|PermissionsBoundary"`
	Page
}

type ListEntitiesResponse struct {
	Groups aws.Members[PolicyGroup] `xml:"PolicyGroups"`
	Users  aws.Members[PolicyUser]  `xml:"PolicyUsers"`
	Roles  aws.Members[PolicyRole]  `xml:"PolicyRoles"`
	Rest
}

// PolicyGroup is a group that has a managed policy.
type PolicyGroup struct {
	Name string `xml:"GroupName"`
	ID   string `xml:"GroupId"`
}

// PolicyUser is a user that has a managed policy.
type PolicyUser struct {
	Name string `xml:"UserName"`
	ID   string `xml:"UserId"`
}

// PolicyRole is a role that has a managed policy.
type PolicyRole struct {
	Name string `xml:"RoleName"`
	ID   string `xml:"RoleId"`
}
