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
