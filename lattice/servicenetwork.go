package lattice

// ServiceNetwork is the boundary that joins services to the VPCs whose clients may call them.
type ServiceNetwork struct {
	ID            string         `json:"id"`
	ARN           string         `json:"arn"`
	Name          string         `json:"name"`
	AuthType      AuthType       `json:"authType"`
	SharingConfig *SharingConfig `json:"sharingConfig,omitempty"`
	CreatedAt     Time           `json:"createdAt"`
	LastUpdatedAt Time           `json:"lastUpdatedAt"`
	Tags          Tags           `json:"tags,omitempty"`
	// AuthPolicy is nil where none was put.
	AuthPolicy *AuthPolicy `json:"authPolicy,omitempty"`
	// ClientToken is the idempotency token it was created with, so that deleting it frees the token.
	ClientToken string `json:"clientToken,omitempty"`
}
