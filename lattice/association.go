package lattice

import "net/netip"

// ServiceNetworkServiceAssociation makes a service callable in a service network.
type ServiceNetworkServiceAssociation struct {
	ID                 string   `json:"id"`
	ARN                string   `json:"arn"`
	Status             Status   `json:"status,omitempty"`
	CreatedBy          string   `json:"createdBy"`
	CreatedAt          Time     `json:"createdAt"`
	ServiceID          string   `json:"serviceId"`
	ServiceName        string   `json:"serviceName"`
	ServiceARN         string   `json:"serviceArn"`
	ServiceNetworkID   string   `json:"serviceNetworkId"`
	ServiceNetworkName string   `json:"serviceNetworkName"`
	ServiceNetworkARN  string   `json:"serviceNetworkArn"`
	DNSEntry           DNSEntry `json:"dnsEntry"`
	CustomDomainName   string   `json:"customDomainName,omitempty"`
	Tags               Tags     `json:"tags,omitempty"`
	ClientToken        string   `json:"clientToken,omitempty"`
	// Failure is why the last change has failed; zero if it has not.
	Failure
	Intent
}

// ServiceNetworkVPCAssociation lets the clients in a VPC call the services of a service network, at an address there.
// Those from before the address was kept have none: see addressing.DoorOf.
type ServiceNetworkVPCAssociation struct {
	ID                 string      `json:"id"`
	ARN                string      `json:"arn"`
	Status             Status      `json:"status,omitempty"`
	CreatedBy          string      `json:"createdBy"`
	CreatedAt          Time        `json:"createdAt"`
	LastUpdatedAt      Time        `json:"lastUpdatedAt"`
	ServiceNetworkID   string      `json:"serviceNetworkId"`
	ServiceNetworkName string      `json:"serviceNetworkName"`
	ServiceNetworkARN  string      `json:"serviceNetworkArn"`
	VPCID              string      `json:"vpcId"`
	SecurityGroupIDs   []string    `json:"securityGroupIds,omitempty"`
	PrivateDNSEnabled  *bool       `json:"privateDnsEnabled,omitempty"`
	DNSOptions         *DNSOptions `json:"dnsOptions,omitempty"`
	Tags               Tags        `json:"tags,omitempty"`
	ClientToken        string      `json:"clientToken,omitempty"`
	Address            netip.Addr  `json:"address,omitzero"`
	// Failure is why the last change has failed; zero if it has not.
	Failure
	Intent
}

// What a VPC association prefers of private DNS: for which custom domains of resources there are private names.
const (
	PreferVerified             = "VERIFIED_DOMAINS_ONLY"
	PreferAll                  = "ALL_DOMAINS"
	PreferVerifiedAndSpecified = "VERIFIED_DOMAINS_AND_SPECIFIED_DOMAINS"
	PreferSpecified            = "SPECIFIED_DOMAINS_ONLY"
)
