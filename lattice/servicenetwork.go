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

// SharingConfig says whether a service network may be shared with other accounts. It cannot be changed later.
type SharingConfig struct {
	Enabled *bool `json:"enabled,omitempty"`
}

type CreateServiceNetworkRequest struct {
	ClientToken   string         `json:"clientToken" check:"len=1..64,pattern=visible"`
	Name          string         `json:"name" check:"required,len=3..63,name"`
	AuthType      AuthType       `json:"authType" check:"enum=NONE|AWS_IAM"`
	Tags          Tags           `json:"tags" check:"len=0..200,pattern=tags"`
	SharingConfig *SharingConfig `json:"sharingConfig"`
}

type CreateServiceNetworkResponse struct {
	ID            string         `json:"id,omitempty"`
	Name          string         `json:"name,omitempty"`
	ARN           string         `json:"arn,omitempty"`
	SharingConfig *SharingConfig `json:"sharingConfig,omitempty"`
	AuthType      AuthType       `json:"authType,omitempty"`
}

type GetServiceNetworkRequest struct {
	ServiceNetworkIdentifier string `uri:"serviceNetworkIdentifier" check:"required,len=3..2048,id=servicenetwork"`
}

type GetServiceNetworkResponse struct {
	ID                         string         `json:"id,omitempty"`
	Name                       string         `json:"name,omitempty"`
	CreatedAt                  Time           `json:"createdAt,omitzero"`
	LastUpdatedAt              Time           `json:"lastUpdatedAt,omitzero"`
	ARN                        string         `json:"arn,omitempty"`
	AuthType                   AuthType       `json:"authType,omitempty"`
	SharingConfig              *SharingConfig `json:"sharingConfig,omitempty"`
	NumberOfAssociatedVPCs     int64          `json:"numberOfAssociatedVPCs"`
	NumberOfAssociatedServices int64          `json:"numberOfAssociatedServices"`
}

type UpdateServiceNetworkRequest struct {
	ServiceNetworkIdentifier string   `uri:"serviceNetworkIdentifier" check:"required,len=3..2048,id=servicenetwork"`
	AuthType                 AuthType `json:"authType" check:"required,enum=NONE|AWS_IAM"`
}

type UpdateServiceNetworkResponse struct {
	ID       string   `json:"id,omitempty"`
	Name     string   `json:"name,omitempty"`
	ARN      string   `json:"arn,omitempty"`
	AuthType AuthType `json:"authType,omitempty"`
}

type DeleteServiceNetworkRequest struct {
	ServiceNetworkIdentifier string `uri:"serviceNetworkIdentifier" check:"required,len=3..2048,id=servicenetwork"`
}

type ListServiceNetworksRequest struct {
	Page
}

type ServiceNetworkSummary struct {
	ID                                       string `json:"id,omitempty"`
	Name                                     string `json:"name,omitempty"`
	ARN                                      string `json:"arn,omitempty"`
	CreatedAt                                Time   `json:"createdAt,omitzero"`
	LastUpdatedAt                            Time   `json:"lastUpdatedAt,omitzero"`
	NumberOfAssociatedVPCs                   int64  `json:"numberOfAssociatedVPCs"`
	NumberOfAssociatedServices               int64  `json:"numberOfAssociatedServices"`
	NumberOfAssociatedResourceConfigurations int64  `json:"numberOfAssociatedResourceConfigurations"`
}
