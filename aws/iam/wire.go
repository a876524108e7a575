package iam

import "pergola/aws"

// APIVersion is the version of the API whose shapes this package holds. Requests carry the names of their parameters in
// query tags and their constraints in check tags, which package lattice explains; responses carry the names of their
// elements in xml tags.
const APIVersion = "2010-05-08"

// Empty answers the operations that have nothing to tell.
type Empty struct{}

// Page asks for one page of a listing: at most MaxItems items, 100 for 0, after the one that Marker stands for.
type Page struct {
	Marker   string `query:"Marker" check:"len=1..320"`
	MaxItems int32  `query:"MaxItems" check:"range=1..1000"`
}

// Rest says whether a listing goes on after its page, and where.
type Rest struct {
	IsTruncated bool   `xml:"IsTruncated"`
	Marker      string `xml:"Marker,omitempty"`
}

// Subject names the entity that an operation is about. Each operation has one sort of subject, whose member must be set.
type Subject struct {
	UserName            string `query:"UserName" xml:"UserName,omitempty" check:"len=1..128,pattern=entity"`
	GroupName           string `query:"GroupName" xml:"GroupName,omitempty" check:"len=1..128,pattern=entity"`
	RoleName            string `query:"RoleName" xml:"RoleName,omitempty" check:"len=1..64,pattern=entity"`
	InstanceProfileName string `query:"InstanceProfileName" xml:"InstanceProfileName,omitempty" check:"len=1..128,pattern=entity"`
	PolicyARN           string `query:"PolicyArn" xml:"-" check:"len=20..2048"`
	ProviderARN         string `query:"OpenIDConnectProviderArn" xml:"-" check:"len=20..2048"`
}

type SubjectRequest struct{ Subject }

// SubjectPageRequest asks for one page of what a subject has.
type SubjectPageRequest struct {
	Subject
	Page
}

// ListRequest asks for the entities of one sort whose paths begin with PathPrefix.
type ListRequest struct {
	PathPrefix string `query:"PathPrefix" check:"len=1..512,pattern=pathprefix"`
	Page
}

// Tag is one tag.
type Tag struct {
	Key   string `query:"Key" xml:"Key" check:"required,len=1..128,pattern=tagtext"`
	Value string `query:"Value" xml:"Value" check:"len=0..256,pattern=tagtext"`
}

type TagRequest struct {
	Subject
	Tags []Tag `query:"Tags" check:"required,len=0..50"`
}

type UntagRequest struct {
	Subject
	TagKeys []string `query:"TagKeys" check:"required,len=0..50,each=(len=1..128,pattern=tagtext)"`
}

type ListTagsResponse struct {
	Tags aws.Members[Tag] `xml:"Tags"`
	Rest
}

// Boundary is the permissions boundary of a user or a role.
type Boundary struct {
	Type string `xml:"PermissionsBoundaryType"`
	ARN  string `xml:"PermissionsBoundaryArn"`
}

// UserDescription is a user as operations answer.
type UserDescription struct {
	Path     string           `xml:"Path"`
	Name     string           `xml:"UserName"`
	ID       string           `xml:"UserId"`
	ARN      string           `xml:"Arn"`
	Created  aws.Instant      `xml:"CreateDate"`
	Boundary *Boundary        `xml:"PermissionsBoundary,omitempty"`
	Tags     aws.Members[Tag] `xml:"Tags,omitempty"`
}

type CreateUserRequest struct {
	Name     string `query:"UserName" check:"required,len=1..64,pattern=entity"`
	Path     string `query:"Path" check:"len=1..512,pattern=entitypath"`
	Boundary string `query:"PermissionsBoundary" check:"len=20..2048"`
	Tags     []Tag  `query:"Tags" check:"len=0..50"`
}

type UserResponse struct {
	User UserDescription `xml:"User"`
}

type ListUsersResponse struct {
	Users aws.Members[UserDescription] `xml:"Users"`
	Rest
}

type UpdateUserRequest struct {
	Name    string `query:"UserName" check:"required,len=1..128,pattern=entity"`
	NewName string `query:"NewUserName" check:"len=1..64,pattern=entity"`
	NewPath string `query:"NewPath" check:"len=1..512,pattern=entitypath"`
}

// KeyDescription is an access key as operations answer. Only its creation tells the secret.
type KeyDescription struct {
	UserName string      `xml:"UserName"`
	ID       string      `xml:"AccessKeyId"`
	Status   string      `xml:"Status"`
	Secret   string      `xml:"SecretAccessKey,omitempty"`
	Created  aws.Instant `xml:"CreateDate"`
}

type CreateAccessKeyResponse struct {
	Key KeyDescription `xml:"AccessKey"`
}

type ListAccessKeysResponse struct {
	Keys aws.Members[KeyDescription] `xml:"AccessKeyMetadata"`
	Rest
}

// AccessKeyRequest names an access key, of the calling user if no user is named.
type AccessKeyRequest struct {
	Subject
	ID string `query:"AccessKeyId" check:"required,len=16..128,pattern=word"`
}

type UpdateAccessKeyRequest struct {
	AccessKeyRequest
	Status string `query:"Status" check:"required,enum=Active|Inactive"`
}

// GroupDescription is a group as operations answer.
type GroupDescription struct {
	Path    string      `xml:"Path"`
	Name    string      `xml:"GroupName"`
	ID      string      `xml:"GroupId"`
	ARN     string      `xml:"Arn"`
	Created aws.Instant `xml:"CreateDate"`
}

type CreateGroupRequest struct {
	Name string `query:"GroupName" check:"required,len=1..128,pattern=entity"`
	Path string `query:"Path" check:"len=1..512,pattern=entitypath"`
}

type CreateGroupResponse struct {
	Group GroupDescription `xml:"Group"`
}

type GetGroupResponse struct {
	Group GroupDescription             `xml:"Group"`
	Users aws.Members[UserDescription] `xml:"Users"`
	Rest
}

type ListGroupsResponse struct {
	Groups aws.Members[GroupDescription] `xml:"Groups"`
	Rest
}

type MembershipRequest struct {
	GroupName string `query:"GroupName" check:"required,len=1..128,pattern=entity"`
	UserName  string `query:"UserName" check:"required,len=1..128,pattern=entity"`
}

// RoleDescription is a role as operations answer. Trust is percent-encoded.
type RoleDescription struct {
	Path        string           `xml:"Path"`
	Name        string           `xml:"RoleName"`
	ID          string           `xml:"RoleId"`
	ARN         string           `xml:"Arn"`
	Created     aws.Instant      `xml:"CreateDate"`
	Trust       string           `xml:"AssumeRolePolicyDocument"`
	Description string           `xml:"Description,omitempty"`
	MaxSession  int32            `xml:"MaxSessionDuration"`
	Boundary    *Boundary        `xml:"PermissionsBoundary,omitempty"`
	Tags        aws.Members[Tag] `xml:"Tags,omitempty"`
}

type CreateRoleRequest struct {
	Name        string `query:"RoleName" check:"required,len=1..64,pattern=entity"`
	Path        string `query:"Path" check:"len=1..512,pattern=entitypath"`
	Trust       string `query:"AssumeRolePolicyDocument" check:"required,len=1..131072,pattern=document"`
	Description string `query:"Description" check:"len=0..1000"`
	MaxSession  int32  `query:"MaxSessionDuration" check:"range=3600..43200"`
	Boundary    string `query:"PermissionsBoundary" check:"len=20..2048"`
	Tags        []Tag  `query:"Tags" check:"len=0..50"`
}

type RoleResponse struct {
	Role RoleDescription `xml:"Role"`
}

type ListRolesResponse struct {
	Roles aws.Members[RoleDescription] `xml:"Roles"`
	Rest
}

type UpdateRoleRequest struct {
	Name        string  `query:"RoleName" check:"required,len=1..64,pattern=entity"`
	Description *string `query:"Description" check:"len=0..1000"`
	MaxSession  int32   `query:"MaxSessionDuration" check:"range=3600..43200"`
}

type UpdateAssumeRolePolicyRequest struct {
	Name  string `query:"RoleName" check:"required,len=1..64,pattern=entity"`
	Trust string `query:"PolicyDocument" check:"required,len=1..131072,pattern=document"`
}

// ProfileDescription is an instance profile as operations answer.
type ProfileDescription struct {
	Path    string                       `xml:"Path"`
	Name    string                       `xml:"InstanceProfileName"`
	ID      string                       `xml:"InstanceProfileId"`
	ARN     string                       `xml:"Arn"`
	Created aws.Instant                  `xml:"CreateDate"`
	Roles   aws.Members[RoleDescription] `xml:"Roles"`
	Tags    aws.Members[Tag]             `xml:"Tags,omitempty"`
}

type CreateInstanceProfileRequest struct {
	Name string `query:"InstanceProfileName" check:"required,len=1..128,pattern=entity"`
	Path string `query:"Path" check:"len=1..512,pattern=entitypath"`
	Tags []Tag  `query:"Tags" check:"len=0..50"`
}

type InstanceProfileResponse struct {
	Profile ProfileDescription `xml:"InstanceProfile"`
}

type ListInstanceProfilesResponse struct {
	Profiles aws.Members[ProfileDescription] `xml:"InstanceProfiles"`
	Rest
}

type ProfileRoleRequest struct {
	ProfileName string `query:"InstanceProfileName" check:"required,len=1..128,pattern=entity"`
	RoleName    string `query:"RoleName" check:"required,len=1..64,pattern=entity"`
}

type CreateProviderRequest struct {
	URL         string   `query:"Url" check:"required,len=1..255"`
	ClientIDs   []string `query:"ClientIDList" check:"each=(len=1..255)"`
	Thumbprints []string `query:"ThumbprintList" check:"len=0..5,each=(len=40..40)"`
	Tags        []Tag    `query:"Tags" check:"len=0..50"`
}

type CreateProviderResponse struct {
	ARN  string           `xml:"OpenIDConnectProviderArn"`
	Tags aws.Members[Tag] `xml:"Tags,omitempty"`
}

type GetProviderResponse struct {
	URL         string              `xml:"Url"`
	ClientIDs   aws.Members[string] `xml:"ClientIDList"`
	Thumbprints aws.Members[string] `xml:"ThumbprintList"`
	Created     aws.Instant         `xml:"CreateDate"`
	Tags        aws.Members[Tag]    `xml:"Tags,omitempty"`
}

type ListProvidersRequest struct{}

type ListProvidersResponse struct {
	Providers aws.Members[ProviderSummary] `xml:"OpenIDConnectProviderList"`
}

type ProviderSummary struct {
	ARN string `xml:"Arn"`
}

type ClientIDRequest struct {
	ProviderARN string `query:"OpenIDConnectProviderArn" check:"required,len=20..2048"`
	ClientID    string `query:"ClientID" check:"required,len=1..255"`
}
