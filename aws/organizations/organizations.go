// Package organizations holds the nouns of an organisation: its accounts, the tree of units that they are in, and the
// service control policies that bound what they may do. It is as large as accounts and authorisation need.
package organizations

import "time"

// The kinds under which the store keeps these nouns, by their ids.
const (
	KindOrganization    = "organization"
	KindUnit            = "organizationalunit"
	KindAccount         = "account"
	KindPolicy          = "servicecontrolpolicy"
	KindAccountCreation = "accountcreation"
)

// ManagementAccount is the account that owns a deployment, and that the first organisation is made by.
const ManagementAccount = "100000000001"

// The prefixes of ids. A unit's id has its root's own part between the prefix and its own: ou-<root>-….
const (
	OrganizationPrefix    = "o-"
	RootPrefix            = "r-"
	UnitPrefix            = "ou-"
	PolicyPrefix          = "p-"
	AccountCreationPrefix = "car-"
)

// Organization is the accounts of one owner under one root. A deployment has one at most.
type Organization struct {
	ID string `json:"id"`
	// Management is the account that made the organisation. It alone may change it, and no policy bounds it.
	Management string     `json:"management"`
	FeatureSet FeatureSet `json:"featureSet"`
	Root       Root       `json:"root"`
	// PoliciesEnabled says whether service control policies are enabled. While they are not, nothing has any.
	PoliciesEnabled bool `json:"policiesEnabled"`
}

// Root is the top of the tree.
type Root struct {
	ID       string            `json:"id"`
	Policies []string          `json:"policies,omitempty"`
	Tags     map[string]string `json:"tags,omitempty"`
}

// FeatureSet is what an organisation is for.
type FeatureSet string

// An organisation with FeaturesBilling has no policies.
const (
	FeaturesAll     FeatureSet = "ALL"
	FeaturesBilling FeatureSet = "CONSOLIDATED_BILLING"
)

// Unit is a folder of accounts and of further units.
type Unit struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Parent is the root or a unit.
	Parent   string            `json:"parent"`
	Policies []string          `json:"policies,omitempty"`
	Tags     map[string]string `json:"tags,omitempty"`
}

// Account is an owner of resources.
type Account struct {
	// ID is 12 digits.
	ID    string `json:"id"`
	Name  string `json:"name"`
	Email string `json:"email"`
	// Parent is the root or a unit; "" for an account that has left the organisation and stands alone.
	Parent   string            `json:"parent,omitempty"`
	Joined   time.Time         `json:"joined"`
	Method   JoinedMethod      `json:"method"`
	Policies []string          `json:"policies,omitempty"`
	Tags     map[string]string `json:"tags,omitempty"`
}

// JoinedMethod is how an account came into the organisation.
type JoinedMethod string

// The account that makes an organisation counts as invited.
const (
	JoinedInvited JoinedMethod = "INVITED"
	JoinedCreated JoinedMethod = "CREATED"
)

// Policy is a service control policy: it says what the accounts below what it is attached to may do at most.
type Policy struct {
	ID          string            `json:"id"`
	Name        string            `json:"name"`
	Description string            `json:"description,omitempty"`
	Content     string            `json:"content"`
	Tags        map[string]string `json:"tags,omitempty"`
}

// FullAccessID is the id of the policy that is attached to everything when policies are enabled. Every organisation has
// it, and nobody can change it.
const FullAccessID = "p-FullAWSAccess"

// FullAccess is that policy.
func FullAccess() Policy {
	return Policy{
		ID: FullAccessID, Name: "FullAWSAccess", Description: "Allows access to every operation",
		Content: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`,
	}
}

// AccountCreation is a request to make an account, and what has become of it.
type AccountCreation struct {
	ID        string        `json:"id"`
	Name      string        `json:"name"`
	Requested time.Time     `json:"requested"`
	State     CreationState `json:"state"`
	// Account is the account that was made; "" if none was, and Failure says why.
	Account string `json:"account,omitempty"`
	Failure string `json:"failure,omitempty"`
}

// CreationState is how a request to make an account has ended.
type CreationState string

// The states of CreationState. Accounts are made at once, so none is in progress.
const (
	CreationSucceeded CreationState = "SUCCEEDED"
	CreationFailed    CreationState = "FAILED"
)
