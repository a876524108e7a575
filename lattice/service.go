package lattice

// Service is an application that clients call by name. It owns listeners, and through them rules.
type Service struct {
	ID                 string   `json:"id"`
	ARN                string   `json:"arn"`
	Name               string   `json:"name"`
	AuthType           AuthType `json:"authType"`
	CustomDomainName   string   `json:"customDomainName,omitempty"`
	CertificateARN     string   `json:"certificateArn,omitempty"`
	IdleTimeoutSeconds int32    `json:"idleTimeoutSeconds"`
	Status             Status   `json:"status,omitempty"`
	DNSEntry           DNSEntry `json:"dnsEntry"`
	CreatedAt          Time     `json:"createdAt"`
	LastUpdatedAt      Time     `json:"lastUpdatedAt"`
	Tags               Tags     `json:"tags,omitempty"`
	// AuthPolicy is nil where none was put.
	AuthPolicy *AuthPolicy `json:"authPolicy,omitempty"`
	// ClientToken is the idempotency token it was created with, so that deleting it frees the token.
	ClientToken string `json:"clientToken,omitempty"`
	// Failure is why the last change has failed; zero if it has not.
	Failure
	Intent
}

// DefaultIdleTimeoutSeconds is how long a connection of a service may be idle unless the service says otherwise.
const DefaultIdleTimeoutSeconds = 60

type CreateServiceRequest struct {
	ClientToken        string   `json:"clientToken" check:"len=1..64,pattern=visible"`
	Name               string   `json:"name" check:"required,len=3..40,name=svc-"`
	Tags               Tags     `json:"tags" check:"len=0..200,pattern=tags"`
	CustomDomainName   string   `json:"customDomainName" check:"len=3..255,pattern=domain"`
	CertificateARN     string   `json:"certificateArn" check:"len=0..2048,pattern=certificate"`
	AuthType           AuthType `json:"authType" check:"enum=NONE|AWS_IAM"`
	IdleTimeoutSeconds int32    `json:"idleTimeoutSeconds" check:"range=60..600"`
}

type CreateServiceResponse struct {
	ID                 string   `json:"id,omitempty"`
	ARN                string   `json:"arn,omitempty"`
	Name               string   `json:"name,omitempty"`
	CustomDomainName   string   `json:"customDomainName,omitempty"`
	CertificateARN     string   `json:"certificateArn,omitempty"`
	Status             Status   `json:"status,omitempty"`
	AuthType           AuthType `json:"authType,omitempty"`
	IdleTimeoutSeconds int32    `json:"idleTimeoutSeconds,omitempty"`
	DNSEntry           DNSEntry `json:"dnsEntry,omitzero"`
}

type GetServiceRequest struct {
	ServiceIdentifier string `uri:"serviceIdentifier" check:"required,len=17..2048,id=service"`
}

type GetServiceResponse struct {
	ID                 string   `json:"id,omitempty"`
	Name               string   `json:"name,omitempty"`
	ARN                string   `json:"arn,omitempty"`
	CreatedAt          Time     `json:"createdAt,omitzero"`
	LastUpdatedAt      Time     `json:"lastUpdatedAt,omitzero"`
	DNSEntry           DNSEntry `json:"dnsEntry,omitzero"`
	CustomDomainName   string   `json:"customDomainName,omitempty"`
	CertificateARN     string   `json:"certificateArn,omitempty"`
	Status             Status   `json:"status,omitempty"`
	AuthType           AuthType `json:"authType,omitempty"`
	IdleTimeoutSeconds int32    `json:"idleTimeoutSeconds,omitempty"`
	FailureCode        string   `json:"failureCode,omitempty"`
	FailureMessage     string   `json:"failureMessage,omitempty"`
}

type UpdateServiceRequest struct {
	ServiceIdentifier  string   `uri:"serviceIdentifier" check:"required,len=17..2048,id=service"`
	CertificateARN     *string  `json:"certificateArn" check:"len=0..2048,pattern=certificate"`
	AuthType           AuthType `json:"authType" check:"enum=NONE|AWS_IAM"`
	IdleTimeoutSeconds int32    `json:"idleTimeoutSeconds" check:"range=60..600"`
}

type UpdateServiceResponse struct {
	ID                 string   `json:"id,omitempty"`
	ARN                string   `json:"arn,omitempty"`
	Name               string   `json:"name,omitempty"`
	CustomDomainName   string   `json:"customDomainName,omitempty"`
	CertificateARN     string   `json:"certificateArn,omitempty"`
	AuthType           AuthType `json:"authType,omitempty"`
	IdleTimeoutSeconds int32    `json:"idleTimeoutSeconds,omitempty"`
}

type DeleteServiceRequest struct {
	ServiceIdentifier string `uri:"serviceIdentifier" check:"required,len=17..2048,id=service"`
}

type DeleteServiceResponse struct {
	ID     string `json:"id,omitempty"`
	ARN    string `json:"arn,omitempty"`
	Name   string `json:"name,omitempty"`
	Status Status `json:"status,omitempty"`
}

type ListServicesRequest struct {
	Page
}

type ServiceSummary struct {
	ID               string   `json:"id,omitempty"`
	Name             string   `json:"name,omitempty"`
	ARN              string   `json:"arn,omitempty"`
	CreatedAt        Time     `json:"createdAt,omitzero"`
	LastUpdatedAt    Time     `json:"lastUpdatedAt,omitzero"`
	DNSEntry         DNSEntry `json:"dnsEntry,omitzero"`
	CustomDomainName string   `json:"customDomainName,omitempty"`
	Status           Status   `json:"status,omitempty"`
}
