package organizations

import "pergola/aws"

// APIVersion is the version of the API whose shapes this package holds, each as large as its users need. Members carry
// their names in json tags; those of requests carry their constraints in check tags, which package lattice explains.
const APIVersion = "2016-11-28"

// TargetPrefix begins the names of operations in the header X-Amz-Target.
const TargetPrefix = "AWSOrganizationsV20161128"

// ServiceControlPolicy is the one type of policy that is served.
const ServiceControlPolicy = "SERVICE_CONTROL_POLICY"

// Page asks for one page of a listing: at most MaxResults items, 20 for 0, after the one that NextToken names.
type Page struct {
	MaxResults int32  `json:"MaxResults" check:"range=1..20"`
	NextToken  string `json:"NextToken" check:"len=0..100000"`
}

// Tag is one tag of a resource.
type Tag struct {
	Key   string `json:"Key" check:"required,len=1..128,pattern=tagtext"`
	Value string `json:"Value" check:"required,len=0..256,pattern=tagtext"`
}

type CreateOrganizationRequest struct {
	FeatureSet FeatureSet `json:"FeatureSet" check:"enum=ALL|CONSOLIDATED_BILLING"`
}

type CreateOrganizationResponse struct {
	Organization OrganizationDescription `json:"Organization"`
}

// OrganizationDescription is an organisation as callers see it.
type OrganizationDescription struct {
	ID                   string       `json:"Id"`
	ARN                  string       `json:"Arn"`
	FeatureSet           FeatureSet   `json:"FeatureSet"`
	MasterAccountARN     string       `json:"MasterAccountArn"`
	MasterAccountID      string       `json:"MasterAccountId"`
	MasterAccountEmail   string       `json:"MasterAccountEmail"`
	AvailablePolicyTypes []PolicyType `json:"AvailablePolicyTypes"`
}

// PolicyType is a type of policy that is enabled or available.
type PolicyType struct {
	Type   string `json:"Type"`
	Status string `json:"Status"`
}

type DescribeOrganizationRequest struct{}

type DescribeOrganizationResponse struct {
	Organization OrganizationDescription `json:"Organization"`
}

type DeleteOrganizationRequest struct{}

type ListRootsRequest struct{ Page }

type ListRootsResponse struct {
	Roots     []RootDescription `json:"Roots"`
	NextToken string            `json:"NextToken,omitempty"`
}

// RootDescription is a root as callers see it.
type RootDescription struct {
	ID          string       `json:"Id"`
	ARN         string       `json:"Arn"`
	Name        string       `json:"Name"`
	PolicyTypes []PolicyType `json:"PolicyTypes"`
}

type CreateAccountRequest struct {
	Email       string `json:"Email" check:"required,len=6..64,pattern=email"`
	AccountName string `json:"AccountName" check:"required,len=1..50,pattern=printable"`
	Tags        []Tag  `json:"Tags"`
}

type CreateAccountResponse struct {
	Status AccountCreationDescription `json:"CreateAccountStatus"`
}

// AccountCreationDescription is a request to make an account as callers see it.
type AccountCreationDescription struct {
	ID            string        `json:"Id"`
	AccountName   string        `json:"AccountName"`
	State         CreationState `json:"State"`
	Requested     aws.Timestamp `json:"RequestedTimestamp"`
	Completed     aws.Timestamp `json:"CompletedTimestamp"`
	AccountID     string        `json:"AccountId,omitempty"`
	FailureReason string        `json:"FailureReason,omitempty"`
}

type DescribeCreateAccountStatusRequest struct {
	ID string `json:"CreateAccountRequestId" check:"required,len=0..36,pattern=accountcreation"`
}

type DescribeCreateAccountStatusResponse struct {
	Status AccountCreationDescription `json:"CreateAccountStatus"`
}

type ListCreateAccountStatusRequest struct {
	States []CreationState `json:"States" check:"each=(enum=IN_PROGRESS|SUCCEEDED|FAILED)"`
	Page
}

type ListCreateAccountStatusResponse struct {
	Statuses  []AccountCreationDescription `json:"CreateAccountStatuses"`
	NextToken string                       `json:"NextToken,omitempty"`
}

type DescribeAccountRequest struct {
	ID string `json:"AccountId" check:"required,pattern=account"`
}

type DescribeAccountResponse struct {
	Account AccountDescription `json:"Account"`
}

// AccountDescription is an account as callers see it.
type AccountDescription struct {
	ID     string `json:"Id"`
	ARN    string `json:"Arn"`
	Email  string `json:"Email"`
	Name   string `json:"Name"`
	Status string `json:"Status"`
	State  string `json:"State"`
	// Paths has the one path to the account, with the account's id at its end.
	Paths  []string      `json:"Paths"`
	Method JoinedMethod  `json:"JoinedMethod"`
	Joined aws.Timestamp `json:"JoinedTimestamp"`
}

type ListAccountsRequest struct{ Page }

type ListAccountsResponse struct {
	Accounts  []AccountDescription `json:"Accounts"`
	NextToken string               `json:"NextToken,omitempty"`
}

type ListAccountsForParentRequest struct {
	ParentID string `json:"ParentId" check:"required,len=0..100,pattern=organizationparent"`
	Page
}

type RemoveAccountFromOrganizationRequest struct {
	ID string `json:"AccountId" check:"required,pattern=account"`
}

type MoveAccountRequest struct {
	ID          string `json:"AccountId" check:"required,pattern=account"`
	Source      string `json:"SourceParentId" check:"required,len=0..100,pattern=organizationparent"`
	Destination string `json:"DestinationParentId" check:"required,len=0..100,pattern=organizationparent"`
}

type CreateOrganizationalUnitRequest struct {
	ParentID string `json:"ParentId" check:"required,len=0..100,pattern=organizationparent"`
	Name     string `json:"Name" check:"required,len=1..128"`
	Tags     []Tag  `json:"Tags"`
}

// UnitResponse answers the operations that create, describe and update a unit.
type UnitResponse struct {
	Unit UnitDescription `json:"OrganizationalUnit"`
}

// UnitDescription is a unit as callers see it.
type UnitDescription struct {
	ID   string `json:"Id"`
	ARN  string `json:"Arn"`
	Name string `json:"Name"`
	Path string `json:"Path"`
}

type DescribeOrganizationalUnitRequest struct {
	ID string `json:"OrganizationalUnitId" check:"required,len=0..68,pattern=organizationunit"`
}

type UpdateOrganizationalUnitRequest struct {
	ID   string  `json:"OrganizationalUnitId" check:"required,len=0..68,pattern=organizationunit"`
	Name *string `json:"Name" check:"len=1..128"`
}

type DeleteOrganizationalUnitRequest struct {
	ID string `json:"OrganizationalUnitId" check:"required,len=0..68,pattern=organizationunit"`
}

type ListOrganizationalUnitsForParentRequest struct {
	ParentID string `json:"ParentId" check:"required,len=0..100,pattern=organizationparent"`
	Page
}

type ListOrganizationalUnitsForParentResponse struct {
	Units     []UnitDescription `json:"OrganizationalUnits"`
	NextToken string            `json:"NextToken,omitempty"`
}

type ListParentsRequest struct {
	ChildID string `json:"ChildId" check:"required,len=0..100,pattern=organizationchild"`
	Page
}

type ListParentsResponse struct {
	Parents   []Relative `json:"Parents"`
	NextToken string     `json:"NextToken,omitempty"`
}

// The types of what the tree is made of.
const (
	TypeRoot    = "ROOT"
	TypeUnit    = "ORGANIZATIONAL_UNIT"
	TypeAccount = "ACCOUNT"
)

// Relative is a parent or a child.
type Relative struct {
	ID   string `json:"Id"`
	Type string `json:"Type"`
}

type ListChildrenRequest struct {
	ParentID  string `json:"ParentId" check:"required,len=0..100,pattern=organizationparent"`
	ChildType string `json:"ChildType" check:"required,enum=ACCOUNT|ORGANIZATIONAL_UNIT"`
	Page
}

type ListChildrenResponse struct {
	Children  []Relative `json:"Children"`
	NextToken string     `json:"NextToken,omitempty"`
}

// PolicyTypeRequest is that of EnablePolicyType and DisablePolicyType.
type PolicyTypeRequest struct {
	RootID     string `json:"RootId" check:"required,len=0..34,pattern=organizationroot"`
	PolicyType string `json:"PolicyType" check:"required,pattern=organizationpolicytype"`
}

// PolicyTypeResponse is that of EnablePolicyType and DisablePolicyType.
type PolicyTypeResponse struct {
	Root RootDescription `json:"Root"`
}

type CreatePolicyRequest struct {
	Name        string `json:"Name" check:"required,len=1..128"`
	Description string `json:"Description" check:"required,len=0..512"`
	Content     string `json:"Content" check:"required,len=1..1000000"`
	Type        string `json:"Type" check:"required,pattern=organizationpolicytype"`
	Tags        []Tag  `json:"Tags"`
}

// PolicyResponse answers the operations that create, describe and update a policy.
type PolicyResponse struct {
	Policy PolicyDescription `json:"Policy"`
}

// PolicyDescription is a policy as callers see it.
type PolicyDescription struct {
	Summary PolicySummary `json:"PolicySummary"`
	Content string        `json:"Content"`
}

type PolicySummary struct {
	ID          string `json:"Id"`
	ARN         string `json:"Arn"`
	Name        string `json:"Name"`
	Description string `json:"Description"`
	Type        string `json:"Type"`
	AWSManaged  bool   `json:"AwsManaged"`
}

type DescribePolicyRequest struct {
	ID string `json:"PolicyId" check:"required,len=0..130,pattern=organizationpolicy"`
}

type UpdatePolicyRequest struct {
	ID          string  `json:"PolicyId" check:"required,len=0..130,pattern=organizationpolicy"`
	Name        *string `json:"Name" check:"len=1..128"`
	Description *string `json:"Description" check:"len=0..512"`
	Content     *string `json:"Content" check:"len=1..1000000"`
}

type DeletePolicyRequest struct {
	ID string `json:"PolicyId" check:"required,len=0..130,pattern=organizationpolicy"`
}

type ListPoliciesRequest struct {
	Filter string `json:"Filter" check:"required,pattern=organizationpolicytype"`
	Page
}

type ListPoliciesResponse struct {
	Policies  []PolicySummary `json:"Policies"`
	NextToken string          `json:"NextToken,omitempty"`
}

// AttachmentRequest is that of AttachPolicy and DetachPolicy.
type AttachmentRequest struct {
	PolicyID string `json:"PolicyId" check:"required,len=0..130,pattern=organizationpolicy"`
	TargetID string `json:"TargetId" check:"required,len=0..100,pattern=organizationtarget"`
}

type ListPoliciesForTargetRequest struct {
	TargetID string `json:"TargetId" check:"required,len=0..100,pattern=organizationtarget"`
	Filter   string `json:"Filter" check:"required,pattern=organizationpolicytype"`
	Page
}

type ListTargetsForPolicyRequest struct {
	ID string `json:"PolicyId" check:"required,len=0..130,pattern=organizationpolicy"`
	Page
}

type ListTargetsForPolicyResponse struct {
	Targets   []PolicyTarget `json:"Targets"`
	NextToken string         `json:"NextToken,omitempty"`
}

// PolicyTarget is what a policy is attached to.
type PolicyTarget struct {
	ID   string `json:"TargetId"`
	ARN  string `json:"Arn"`
	Name string `json:"Name"`
	Type string `json:"Type"`
}

type TagResourceRequest struct {
	ResourceID string `json:"ResourceId" check:"required,len=0..130,pattern=organizationresource"`
	Tags       []Tag  `json:"Tags" check:"required"`
}

type UntagResourceRequest struct {
	ResourceID string   `json:"ResourceId" check:"required,len=0..130,pattern=organizationresource"`
	TagKeys    []string `json:"TagKeys" check:"required,each=(len=1..128)"`
}

type ListTagsForResourceRequest struct {
	ResourceID string `json:"ResourceId" check:"required,len=0..130,pattern=organizationresource"`
	NextToken  string `json:"NextToken" check:"len=0..100000"`
}

type ListTagsForResourceResponse struct {
	Tags []Tag `json:"Tags"`
}
